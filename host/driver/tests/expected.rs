//! SQL text whose caller expects some columns.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod rows;
mod support;

use std::sync::Arc;

use ferro_driver::{Cursor, Database, ExpectedColumn};
use ferro_wit::plan::Origin;
use ferro_wit::types::{ColumnInfo, Error, ErrorKind, ScalarType, Value};

use rows::{both_with_table, column, count, rows};
use support::{no_options, run};

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
            ("n", "gives no `t`: its columns have to be those of `t`"),
            ("n, t, 1 AS more", "gives `more`, which is not expected: leave it out: its columns"),
            ("1 AS x, n, t, 1 AS y", "gives `x`, `y`, which are not expected: leave them out: its"),
            ("n, t AS x, n AS y", "gives no `t`, but `x`, `y`"),
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
        let sqls = ["SELECT * FROM t", "UPDATE t SET n = n RETURNING *"];
        run(&database, &["ALTER TABLE t DROP COLUMN t", "INSERT INTO t VALUES (1)"]).await;
        for sql in sqls {
            for _ in 0..2 {
                assert!(failure(&database, sql).await.message.contains("gives no `t`"));
                // This one is kept.
                assert_eq!(rows::raw(&database, sql, vec![]).await, [[Value::Integer(1)]]);
            }
        }
        run(&database, &["ALTER TABLE t ADD COLUMN t TEXT"]).await;
        for sql in sqls {
            let cursor = read(&database, sql).await.unwrap();
            assert_eq!(rows(cursor).await, [[Value::Integer(1), Value::Null]]);
        }
        run(&database, &["ALTER TABLE t RENAME COLUMN t TO u"]).await;
        for sql in sqls {
            assert!(failure(&database, sql).await.message.contains("gives no `t`, but `u`"));
        }
    }
}
