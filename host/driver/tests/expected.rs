//! SQL text whose caller expects some columns.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod rows;
mod support;

use std::sync::Arc;

use ferro_driver::{Cursor, Database, ExpectedColumn, Fence, RawSql};
use ferro_test_support::postgres;
use ferro_wit::plan::Origin;
use ferro_wit::types::{ColumnInfo, Dialect, Error, ErrorKind, ScalarType, Value};

use rows::{both, both_with_table, column, count, rows};
use support::{connect, no_options, one, run};

fn expected(columns: &[(&str, ScalarType)]) -> Arc<[ExpectedColumn]> {
    let column = |(name, kind): &(&str, ScalarType)| ExpectedColumn {
        info: ColumnInfo { nullable: *name == "t", ..column(&name.to_uppercase(), *kind) },
        origin: Origin { table: "t".into(), column: (*name).into(), key: *name == "n" },
    };
    columns.iter().map(column).collect()
}

fn of_table() -> Arc<[ExpectedColumn]> {
    expected(&[("n", ScalarType::Integer), ("t", ScalarType::Text)])
}

async fn read(database: &Database, sql: &str) -> Result<Cursor, Error> {
    database.fetch_raw_as(sql, vec![], of_table()).await
}

/// What goes wrong, before rows are read or with them.
async fn failure(database: &Database, sql: &str) -> Error {
    let mut cursor = match read(database, sql).await {
        Ok(cursor) => cursor,
        Err(error) => return error,
    };
    loop {
        match cursor.next(1).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("{sql}"),
            Err(error) => return error,
        }
    }
}

#[tokio::test]
async fn columns_come_as_they_are_expected_in_the_order_of_the_statement() {
    for database in both_with_table().await {
        for sql in ["SELECT t, n FROM t", "DELETE FROM t RETURNING t, n"] {
            let cursor = read(&database, sql).await.unwrap();
            let paths: Vec<_> = cursor.columns().iter().map(|it| it.path.concat()).collect();
            assert_eq!(paths, ["T", "N"]);
            assert!(rows(cursor).await.is_empty());
        }
        run(&database, &["INSERT INTO t VALUES (1, 'a'), (2, NULL), (3, 'c')"]).await;
        let expected = expected(&[("n", ScalarType::Decimal), ("t", ScalarType::Text)]);
        let sql = "SELECT t, n + 0 AS n FROM t ORDER BY n";
        let cursor = database.fetch_raw_as(sql, vec![], expected).await.unwrap();
        let decimal = |it: &str| Value::Decimal(it.into());
        assert_eq!(
            rows(cursor).await,
            [["a".into(), decimal("1")], [Value::Null, decimal("2")], ["c".into(), decimal("3")]]
        );
    }
}

#[tokio::test]
async fn other_columns_are_refused_before_anything_is_written() {
    for database in both_with_table().await {
        for (columns, message) in [
            ("n", "returns no `t`: its columns must be those of `t`"),
            ("n, t, 1 AS more", "returns `more`, which is not expected: leave it out: its columns"),
            (
                "1 AS x, n, t, 1 AS y",
                "returns `x`, `y`, which are not expected: leave them out: its",
            ),
            ("n, t AS x, n AS y", "returns no `t`, but `x`, `y`"),
            ("n, t, t", "two columns are called `t`"),
        ] {
            for begins in ["SELECT", "INSERT INTO t VALUES (1, 'a') RETURNING"] {
                let from = if begins == "SELECT" { " FROM t" } else { "" };
                let error = failure(&database, &format!("{begins} {columns}{from}")).await;
                assert_eq!(error.kind, ErrorKind::InvalidQuery);
                assert!(error.message.contains(message), "{error}");
            }
        }
        for sql in ["INSERT INTO t VALUES (1, 'a')", "UPDATE t SET n = 2", "CREATE TABLE u (n INT)"]
        {
            let error = failure(&database, sql).await;
            let message =
                "the statement returns no rows: add `returning *`, or run it with `execute`";
            assert_eq!((error.kind, error.message.as_str()), (ErrorKind::InvalidQuery, message));
            assert_eq!(error.table.as_deref(), Some("t"));
        }
        let transaction = database.begin(no_options()).await.unwrap();
        let sql = "INSERT INTO t VALUES (1, 'a') RETURNING n";
        let refused = transaction.fetch_raw_as(sql, vec![], of_table()).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::InvalidQuery);
        transaction.commit().await.unwrap();
        assert_eq!(count(&database, "t").await, 0);
    }
}

#[tokio::test]
async fn a_value_that_is_not_what_is_expected_is_named() {
    for database in both_with_table().await {
        run(&database, &["INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')"]).await;
        let when = |value: &str| {
            format!("SELECT n, CASE n WHEN 2 THEN {value} ELSE NULL END AS t FROM t ORDER BY n")
        };
        let error = failure(&database, &when("5")).await;
        assert_eq!(error.kind, ErrorKind::DecodeFailed);
        assert_eq!((error.table.as_deref(), error.column.as_deref()), (Some("t"), Some("t")));
        let place = "the value of column `T` in row 2, whose `n` is 2, is ";
        assert!(error.message.starts_with(place), "{error}");
        assert!(error.message.ends_with(" `integer`, where `text` is expected"), "{error}");
        let error = failure(&database, "SELECT nullif(n, 3) AS n, t FROM t ORDER BY t").await;
        let message = "the value of column `N` in row 3 is null, where `integer` is expected";
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::DecodeFailed, message));
        assert_eq!(count(&database, "t").await, 3);
    }
}

#[tokio::test]
async fn a_statement_that_is_kept_is_prepared_anew_for_another_schema() {
    for database in both_with_table().await {
        let sqls = [("SELECT * FROM t", 0), ("UPDATE t SET n = n + 1 RETURNING *", 1)];
        run(&database, &["ALTER TABLE t DROP COLUMN t", "INSERT INTO t VALUES (1)"]).await;
        let mut n = 1;
        for (sql, more) in sqls {
            for _ in 0..2 {
                assert!(failure(&database, sql).await.message.contains("returns no `t`"));
                n += more;
                // This one is kept.
                assert_eq!(rows::raw(&database, sql, vec![]).await, [[Value::Integer(n)]]);
            }
        }
        run(&database, &["ALTER TABLE t ADD COLUMN t TEXT"]).await;
        for (sql, more) in sqls {
            let cursor = read(&database, sql).await.unwrap();
            n += more;
            assert_eq!(rows(cursor).await, [[Value::Integer(n), Value::Null]]);
        }
        run(&database, &["ALTER TABLE t RENAME COLUMN t TO u"]).await;
        for (sql, _) in sqls {
            assert!(failure(&database, sql).await.message.contains("returns no `t`, but `u`"));
            assert_eq!(one(&database, "SELECT n FROM t").await, Value::Integer(n));
        }
    }
}

/// What another process does to the schema is seen when a write is about to begin, not after it.
#[tokio::test]
async fn a_write_is_refused_before_it_writes_where_another_connection_changed_the_schema() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}?mode=rwc", folder.path().join("app.db").display());
    for url in [url, postgres::url()] {
        let (database, other) = (connect(&url).await, connect(&url).await);
        run(&other, &["CREATE TABLE t (n INTEGER PRIMARY KEY, t TEXT)"]).await;
        run(&other, &["INSERT INTO t VALUES (1, 'a')"]).await;
        let sql = "UPDATE t SET n = n + 1 RETURNING *";
        for n in [2, 3] {
            let cursor = read(&database, sql).await.unwrap();
            assert_eq!(rows(cursor).await, [[Value::Integer(n), "a".into()]]);
        }
        run(&other, &["ALTER TABLE t ADD COLUMN more TEXT"]).await;
        let message = "returns `more`, which is not expected";
        for _ in 0..2 {
            let error = failure(&database, sql).await;
            assert_eq!(error.kind, ErrorKind::InvalidQuery, "{error}");
            assert!(error.message.contains(message), "{error}");
            assert_eq!(one(&database, "SELECT n FROM t").await, Value::Integer(3));
        }
        run(&other, &["ALTER TABLE t DROP COLUMN more"]).await;
        // Nothing else has noticed that it fits again.
        let cursor = read(&database, sql).await.unwrap();
        assert_eq!(rows(cursor).await, [[Value::Integer(4), "a".into()]]);

        if database.dialect() == Dialect::Postgres {
            // The server itself refuses what was prepared for other columns, and the transaction.
            continue;
        }
        let transaction = database.begin(no_options()).await.unwrap();
        run(&other, &["ALTER TABLE t ADD COLUMN more TEXT"]).await;
        let refused = transaction.fetch_raw_as(sql, vec![], of_table()).await.unwrap_err();
        assert!(refused.message.contains(message), "{refused}");
        transaction.execute_raw("UPDATE t SET t = 'b'", vec![]).await.unwrap();
        transaction.commit().await.unwrap();
        let row = rows::raw(&database, "SELECT n, t FROM t", vec![]).await;
        assert_eq!(row, [[Value::Integer(4), "b".into()]]);
    }
}

#[tokio::test]
async fn a_write_that_fails_says_what_other_writes_say() {
    for database in both_with_table().await {
        run(&database, &["INSERT INTO t VALUES (1, 'a')"]).await;
        let sql = "INSERT INTO t VALUES (2, 'b'), (1, 'c') RETURNING *";
        let plain = database.execute_raw(sql, vec![]).await.unwrap_err();
        let error = failure(&database, sql).await;
        assert_eq!(error.kind, ErrorKind::UniqueViolation);
        assert_eq!(error, plain);
        assert_eq!(count(&database, "t").await, 1);
    }
}

/// What is read of the schema meanwhile is not the text's own doing.
#[tokio::test]
async fn a_fence_holds_a_write_with_expected_columns_too() {
    let [database, _] = both_with_table().await;
    let fence = Fence { raw_sql: RawSql::Fenced, ..Fence::default() };
    let stranger = database.fenced(fence).unwrap();
    for columns in ["n", "n, sqlite_version() AS t", "n, t"] {
        let sql = format!("INSERT INTO t VALUES (1, 'a') RETURNING {columns}");
        match (columns, read(&stranger, &sql).await) {
            ("n", Err(error)) => assert_eq!(error.kind, ErrorKind::InvalidQuery, "{error}"),
            ("n, t", Ok(cursor)) => {
                assert_eq!(rows(cursor).await, [[Value::Integer(1), "a".into()]]);
            }
            (_, Err(error)) => assert_eq!(error.kind, ErrorKind::Denied, "{error}"),
            (_, Ok(_)) => panic!("{sql}"),
        }
    }
    assert_eq!(count(&database, "t").await, 1);
}

/// The one value of a column, as it is expected, or why it is not.
async fn value(database: &Database, sql: &str, kind: ScalarType, many: bool) -> String {
    let column = |it: ExpectedColumn| ExpectedColumn {
        info: ColumnInfo { many, nullable: true, ..it.info },
        ..it
    };
    let expected = expected(&[("n", kind)]).iter().cloned().map(column).collect();
    let cursor = database.fetch_raw_as(&format!("SELECT {sql} AS n"), vec![], expected).await;
    let mut cursor = match cursor {
        Ok(cursor) => cursor,
        Err(error) => return error.message,
    };
    match cursor.next(1).await {
        Ok(batch) => format!("{:?}", batch.unwrap().columns[0].get(0).unwrap()),
        Err(error) => error.message,
    }
}

#[tokio::test]
async fn computed_numbers_are_what_they_are_or_refused() {
    use ScalarType as S;
    for database in both().await {
        run(&database, &["CREATE TABLE sums (n INTEGER, d NUMERIC)"]).await;
        run(&database, &["INSERT INTO sums VALUES (2, 1), (4, 1)"]).await;
        let real = |it: &str| match database.dialect() {
            Dialect::Sqlite => it.to_owned(),
            Dialect::Postgres => format!("CAST({it} AS DOUBLE PRECISION)"),
        };
        let text = match database.dialect() {
            Dialect::Sqlite => "'3.00'",
            Dialect::Postgres => "3.00",
        };
        for (sql, kind, expected) in [
            ("(SELECT avg(n) FROM sums)", S::Integer, "Integer(3)"),
            (&*real("-9007199254740992.0"), S::Integer, "Integer(-9007199254740992)"),
            (text, S::Integer, "Integer(3)"),
            (&*real("3.0"), S::Decimal, "Decimal(\"3\")"),
            (&*real("(0.0 * -1)"), S::Decimal, "Decimal(\"0\")"),
        ] {
            assert_eq!(value(&database, sql, kind, false).await, expected, "{sql}");
        }
        for (sql, kind, message) in [
            ("0.1 + 0.2", S::Decimal, "is a float, which does not keep the digits of a decimal"),
            ("9007199254740994.0", S::Decimal, "is a float, which does not keep"),
            ("9007199254740994.0", S::Integer, "`float`, where `integer` is expected"),
            ("1.5", S::Integer, "where `integer` is expected"),
        ] {
            let refused = value(&database, &real(sql), kind, false).await;
            assert!(refused.contains(message), "{sql}: {refused}");
        }
        assert_eq!(value(&database, "NULL", S::Integer, true).await, "Null");
        assert_eq!(value(&database, "CAST(NULL AS TEXT)", S::Text, true).await, "Null");
    }
    let [sqlite, postgres] = both().await;
    run(&sqlite, &["CREATE TABLE price (d DECIMAL_TEXT)"]).await;
    run(&sqlite, &["INSERT INTO price VALUES ('0.10'), ('0.20')"]).await;
    let sum = value(&sqlite, "(SELECT sum(d) FROM price)", S::Decimal, false).await;
    assert!(sum.contains("compute it with `ferro_sum`"), "{sum}");
    let sum = value(&sqlite, "(SELECT ferro_sum(d) FROM price)", S::Decimal, false).await;
    assert_eq!(sum, "Decimal(\"0.30\")");
    assert_eq!(value(&sqlite, "'0.00' * -1", S::Decimal, false).await, "Decimal(\"0\")");
    for sql in ["'{1}'", "CAST('x' AS TEXT)"] {
        let refused = value(&postgres, sql, S::Integer, true).await;
        assert!(refused.contains("`TEXT`, where `array of integer` is expected"), "{refused}");
    }
    let refused = value(&postgres, "CAST(NULL AS INTEGER)", S::Integer, true).await;
    assert!(refused.contains("where `array of integer` is expected"), "{refused}");
}
