//! SQL text: placeholders of both kinds on both databases, and what is no single statement.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod rows;
mod support;

use ferro_driver::Database;
use ferro_test_support::postgres;
use ferro_wit::types::{ErrorKind, ScalarType, Scalars, Value};

use rows::{both, both_with_table, count, raw};
use support::{connect, run};

#[tokio::test]
async fn both_kinds_of_placeholders_work_on_both_databases() {
    for database in both_with_table().await {
        let values = || vec![Value::Integer(1), Value::from("one")];
        for sql in ["INSERT INTO t VALUES (?, ?)", "INSERT INTO t VALUES (?1, ?2)"] {
            assert_eq!(database.execute_raw(sql, values()).await.unwrap(), 1);
            run(&database, &["DELETE FROM t"]).await;
        }
        let sql = "INSERT INTO t (t, n) VALUES ($2, $1)";
        assert_eq!(database.execute_raw(sql, values()).await.unwrap(), 1);
        for sql in [
            "SELECT n FROM t WHERE n = ? AND t = ?",
            "SELECT n FROM t WHERE t = $2 AND n = $1 AND n = $1",
            "SELECT n /* ? $7 */ FROM t -- ? :name\n WHERE n=? AND t=?;",
            "SELECT n FROM t WHERE '?$1' <> \"t\" AND n = ? AND t = ? ; ; -- end",
        ] {
            assert_eq!(raw(&database, sql, values()).await, [[Value::Integer(1)]], "{sql}");
        }
    }
}

#[tokio::test]
async fn operators_of_postgres_are_no_placeholders() {
    let database = connect(&postgres::url()).await;
    run(
        &database,
        &[
            "CREATE TABLE d (id int8, document jsonb)",
            r#"INSERT INTO d VALUES (1, '{"a": 1, "b": [2]}')"#,
            "CREATE OPERATOR ??<@ (LEFTARG = jsonb, RIGHTARG = text, FUNCTION = jsonb_exists)",
        ],
    )
    .await;
    for (sql, values) in [
        ("SELECT id FROM d WHERE document ? 'a' AND id = ?", vec![Value::Integer(1)]),
        ("SELECT id FROM d WHERE document ?| array['a', 'z'] AND id=?", vec![Value::Integer(1)]),
        ("SELECT id FROM d WHERE document ?& array['a', 'b']", vec![]),
        ("SELECT id FROM d WHERE document @? '$.b[*]' AND id = ?", vec![Value::Integer(1)]),
        ("SELECT id FROM d WHERE document ? ? AND id = ?", vec!["a".into(), Value::Integer(1)]),
        ("SELECT id FROM d WHERE document ?? (?)::text", vec!["a".into()]),
        ("SELECT id FROM d WHERE document ? $1", vec!["a".into()]),
        ("SELECT id FROM d WHERE document ?<@ $1", vec!["a".into()]),
        ("SELECT id FROM d WHERE (document) ? /* , */ lower($1)", vec!["A".into()]),
        ("SELECT id FROM d AS \"like\" WHERE \"like\".document -- ,\n ? $1", vec!["a".into()]),
        (
            "SELECT id FROM (SELECT 1 AS id, document AS \"in\" FROM d) AS d WHERE d.in ?$1",
            vec!["a".into()],
        ),
        (
            "SELECT id FROM d WHERE document ?| array[$1] AND '[1]' @? '$' AND id = 1",
            vec!["a".into()],
        ),
        ("SELECT id FROM d WHERE ?||'b' = 'ab' AND $$?$$ <> $x$ $$ ? $x$", vec!["a".into()]),
        (r"SELECT id FROM d WHERE E'\'?' <> ?", vec!["a".into()]),
        ("SELECT id FROM d WHERE E'a' -- '?\n\t--\n'\\'?' <> ?", vec!["a".into()]),
        ("SELECT id FROM d WHERE E'a'\r'b'\n'\\'?' /*\n*/ <> ?", vec!["a".into()]),
        (
            "SELECT id FROM d WHERE (array[1, id])[1:2] = array[1, id] AND @1=? AND 1#1=0",
            vec![1.into()],
        ),
        ("SELECT id FROM d WHERE document #>'{a}' = '1' AND document->'b' @>'2'", vec![]),
        ("SELECT id FROM d /* /* ? */ ? */ WHERE id = ?", vec![Value::Integer(1)]),
    ] {
        assert_eq!(raw(&database, sql, values).await, [[Value::Integer(1)]], "{sql}");
    }
}

#[tokio::test]
async fn what_is_not_one_statement_with_its_parameters_is_refused_before_the_database_sees_it() {
    let one = || vec![Value::Integer(1)];
    for database in both_with_table().await {
        for (sql, values, part) in [
            ("INSERT INTO t VALUES (1, 'a'); DROP TABLE t", vec![], "more than one statement"),
            ("SELECT 1;;SELECT 2", vec![], "more than one statement"),
            ("", vec![], "empty"),
            (" ; -- nothing", vec![], "empty"),
            ("SELECT ?", vec![], "takes 1 parameters, but 0"),
            ("SELECT 1", one(), "takes 0 parameters, but 1"),
            ("SELECT ?, ?", one(), "takes 2 parameters, but 1"),
            ("SELECT $2", vec![Value::Integer(1), Value::Integer(2)], "not use parameter 1"),
            ("SELECT $0", vec![], "no number 0"),
            ("SELECT $99999999999999999999", vec![], "more than 65535"),
            ("BEGIN", vec![], "transaction"),
            ("/* a */ commit", vec![], "transaction"),
            ("ROLLBACK", vec![], "transaction"),
            ("SAVEPOINT a", vec![], "transaction"),
            ("COPY t TO STDOUT", vec![], "`COPY`"),
            ("SELECT 'a", vec![], "not closed"),
            ("SELECT 1 /* a", vec![], "not closed"),
            ("SELECT 1\0", vec![], "NUL"),
        ] {
            for error in [
                database.execute_raw(sql, values.clone()).await.unwrap_err(),
                database.fetch_raw(sql, values).await.unwrap_err(),
            ] {
                assert_eq!((error.kind, &error.code), (ErrorKind::InvalidQuery, &None), "{sql}");
                assert!(error.message.contains(part), "{sql}: {error}");
            }
        }
        assert_eq!(count(&database, "t").await, 0);
    }
}

#[tokio::test]
async fn placeholders_of_both_kinds_in_one_statement_are_refused() {
    for database in both_with_table().await {
        for sql in [
            "SELECT ?, $1",
            "SELECT $1, ?",
            "SELECT ? AS a WHERE $1 = 1",
            "SELECT n FROM t WHERE n = $1 AND t = ?",
            "SELECT n FROM t WHERE n = ? AND t = $1",
            "SELECT n FROM t WHERE n=? OR n=$2",
            "SELECT n FROM t WHERE ? = n OR n=$1",
            "SELECT n FROM t WHERE ? > n OR n=$1",
            "SELECT n FROM t WHERE n BETWEEN ? AND $2",
            "SELECT n FROM t WHERE t LIKE ? ORDER BY $1",
            "SELECT n FROM t WHERE n IN (?, $1)",
            "SELECT n FROM t WHERE n = ?1 OR n = $1",
            "INSERT INTO t VALUES ($1, ? /* , */)",
            "SELECT n FROM t WHERE n = $1 LIMIT ?;",
        ] {
            // However many values are given, the message is about the placeholders.
            for values in [vec![Value::Integer(1)], vec![Value::Integer(1); 2]] {
                let error = database.fetch_raw(sql, values).await.unwrap_err();
                assert_eq!((error.kind, &error.code), (ErrorKind::InvalidQuery, &None), "{sql}");
                assert!(error.message.contains("placeholders of both kinds"), "{sql}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn a_list_is_not_the_values_of_in() {
    let mut numbers = Scalars::with_kind(ScalarType::Integer);
    numbers.push(Value::Integer(1)).unwrap();
    numbers.push(Value::Integer(2)).unwrap();
    let numbers = Value::Array(numbers);
    for database in both_with_table().await {
        run(&database, &["INSERT INTO t (n) VALUES (1)"]).await;
        for sql in [
            "SELECT n FROM t WHERE n IN (?)",
            "SELECT n FROM t WHERE n not in(\n$1 )",
            "DELETE FROM t WHERE n IN (?1)",
        ] {
            let error = database.execute_raw(sql, vec![numbers.clone()]).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidQuery, "{sql}");
            assert!(error.message.contains("takes one value, not a list"), "{error}");
        }
        let sql = "SELECT n FROM t WHERE n IN (?) AND '(?)' <> ''";
        assert_eq!(raw(&database, sql, vec![Value::Integer(1)]).await, [[Value::Integer(1)]]);
    }
}

#[tokio::test]
async fn named_placeholders_are_refused_on_sqlite() {
    let database = connect("sqlite::memory:").await;
    for sql in "SELECT :a;SELECT @a;SELECT $a;SELECT #a;SELECT :1;SELECT @1;SELECT #1;SELECT :$1;SELECT @$1;\
        SELECT $$1;SELECT $::1;SELECT #::é;SELECT :_"
        .split(';')
    {
        let error = database.fetch_raw(sql, vec![Value::Null]).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidQuery, "{sql}");
        assert!(error.message.contains("write `?` or `$1`"), "{error}");
    }
}

#[tokio::test]
async fn statements_may_have_statements_inside() {
    let [sqlite, postgres] = both_with_table().await;
    run(
        &sqlite,
        &[
            "CREATE TEMP TRIGGER doubled AFTER INSERT ON t BEGIN \
             UPDATE t SET t = CASE WHEN NEW.n > 1 THEN 'many' ELSE 'few' END WHERE n = NEW.n; \
             DELETE FROM t WHERE n > 100; END;",
            "CREATE TABLE begin (n INTEGER)",
        ],
    )
    .await;
    let error = sqlite.execute_raw("CREATE TABLE x (begin INTEGER); SELECT 1", vec![]).await;
    assert!(error.unwrap_err().message.contains("more than one"));
    run(
        &postgres,
        &[
            "CREATE FUNCTION f(n int8) RETURNS int8 LANGUAGE plpgsql AS $$ BEGIN RETURN n; END; $$",
            "DO $$ BEGIN INSERT INTO t VALUES (1, 'a'); INSERT INTO t VALUES (2, 'b'); END $$",
            "CREATE TABLE other (n int8)",
            "CREATE RULE forget AS ON INSERT TO other DO ALSO (DELETE FROM t WHERE n = 9; NOTIFY x)",
        ],
    )
    .await;
    assert_eq!(raw(&postgres, "SELECT f(?)", vec![Value::Integer(3)]).await, [[Value::Integer(3)]]);
    assert_eq!(count(&postgres, "t").await, 2);
}

#[tokio::test]
async fn values_bind_as_what_they_are_and_nulls_as_what_is_wanted() {
    for database in both().await {
        run(&database, &["CREATE TABLE m (b BOOLEAN, i BIGINT, t TEXT, u UUID)"]).await;
        let sql = "INSERT INTO m VALUES (?, ?, ?, ?)";
        database.execute_raw(sql, vec![Value::Null; 4]).await.unwrap();
        let values = vec![Value::Boolean(true), Value::Integer(2), "x".into(), Value::Uuid((3, 4))];
        database.execute_raw(sql, values.clone()).await.unwrap();
        let found = raw(&database, "SELECT * FROM m ORDER BY i NULLS FIRST", vec![]).await;
        assert_eq!(found, [vec![Value::Null; 4], values]);
    }
    // The same text with values of other types is prepared for those.
    for database in both_with_table().await {
        let sql = "INSERT INTO t (n, t) VALUES (1, ?) RETURNING t";
        for value in [Value::Null, "a".into(), Value::Null] {
            assert_eq!(raw(&database, sql, vec![value.clone()]).await, [[value.clone()]]);
            run(&database, &["DELETE FROM t"]).await;
        }
        let sql = "INSERT INTO t (n) VALUES (?)";
        for n in [Value::Integer(5), Value::Integer(6)] {
            database.execute_raw(sql, vec![n]).await.unwrap();
        }
        let sql = "SELECT n FROM t WHERE n = ?";
        for value in [Value::Null, Value::Integer(5), Value::Float(6.0), Value::Integer(6)] {
            let found = raw(&database, sql, vec![value.clone()]).await;
            assert_eq!(found.len(), usize::from(value != Value::Null), "{value:?}");
        }
    }
    let database = connect(&postgres::url()).await;
    let mut ids = Scalars::with_kind(ScalarType::Integer);
    for id in [1, 3] {
        ids.push(Value::Integer(id)).unwrap();
    }
    let sql = "SELECT n FROM generate_series(1, 5) AS n WHERE n = ANY(?)";
    let found = raw(&database, sql, vec![Value::Array(ids)]).await;
    assert_eq!(found, [[Value::Integer(1)], [Value::Integer(3)]]);
}

#[tokio::test]
async fn a_null_is_of_the_type_of_its_column_though_nobody_has_looked_that_up() {
    let url = postgres::url();
    let setup = connect(&url).await;
    run(
        &setup,
        &[
            "CREATE TYPE mood AS ENUM ('sad', 'ok')",
            "CREATE DOMAIN word AS text",
            "CREATE TYPE pair AS (a int, b int)",
            "CREATE TABLE m (n int, mood mood, word word, pair pair)",
        ],
    )
    .await;
    let long = format!("{} -- {}", "UPDATE m SET mood = ?", "x".repeat(20_000));
    for sql in [
        "INSERT INTO m (mood) VALUES (?)",
        "INSERT INTO m (word) VALUES (?)",
        "INSERT INTO m (pair) VALUES (?)",
        "UPDATE m SET n = 1 WHERE mood IS DISTINCT FROM ? RETURNING mood",
        &long,
    ] {
        for statements in [100, 0] {
            let options =
                support::options(|it| it.pool.statement_cache_capacity = Some(statements));
            let database = Database::connect(&url, &options).await.unwrap();
            let outcome = database.execute_raw(sql, vec![Value::Null]).await;
            assert!(outcome.is_ok(), "{sql}: {outcome:?}");
            // Where a statement that failed is not sent again.
            let database = Database::connect(&url, &options).await.unwrap();
            let transaction = database.begin(support::no_options()).await.unwrap();
            let outcome = transaction.execute_raw(sql, vec![Value::Null]).await;
            assert!(outcome.is_ok(), "in a transaction: {sql}: {outcome:?}");
            transaction.commit().await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_number_of_changed_rows_is_that_of_statements_which_change_rows() {
    for database in both_with_table().await {
        let mut changed = vec![];
        for sql in [
            "INSERT INTO t VALUES (1, 'a'), (2, 'b')",
            "SELECT n FROM t",
            "CREATE TABLE other (n INTEGER)",
            "WITH x AS (SELECT 1) UPDATE t SET t = 'c'",
            "WITH x AS (SELECT n FROM t) SELECT replace('a', 'b', 'c') FROM x",
            "WITH replace AS (SELECT n FROM t) SELECT * FROM replace",
            "WITH merge(a) AS (SELECT n FROM t) SELECT (1) FROM merge",
            "DELETE FROM t WHERE n > 1",
        ] {
            changed.push(database.execute_raw(sql, vec![]).await.unwrap());
        }
        assert_eq!(changed, [2, 0, 0, 2, 0, 0, 0, 1]);
    }
}
