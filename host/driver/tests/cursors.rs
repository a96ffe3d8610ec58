//! Rows on their way: how many at a time, in how much memory, and who has the connection.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod rows;
mod support;

use std::time::Duration;

use ferro_driver::Database;
use ferro_test_support::postgres;
use ferro_wit::plan::Effect;
use ferro_wit::types::{ErrorKind, ScalarType, Value};

use rows::{both, column, count, execution, numbers, plan, raw};
use support::{connect, eventually, no_options, options, run};

async fn at_rest(database: &Database) {
    eventually("rest", || {
        let stats = database.stats();
        stats.acquired == 0 && stats.idle == stats.size
    })
    .await;
}

#[tokio::test]
async fn batches_have_the_rows_that_were_asked_for() {
    for database in both().await {
        let sql = numbers(database.dialect(), 10);
        let mut cursor = database.fetch_raw(&sql, vec![]).await.unwrap();
        let mut sizes = vec![];
        let mut first = vec![];
        for wanted in [1, 4, 100, 100] {
            let batch = cursor.next(wanted).await.unwrap();
            sizes.push(batch.as_ref().map(|it| it.rows));
            first.extend(batch.and_then(|it| it.columns[0].get(0)));
        }
        assert_eq!(sizes, [Some(1), Some(4), Some(5), None]);
        assert_eq!(first, [1, 2, 6].map(Value::Integer));
        assert_eq!(cursor.next(0).await.unwrap_err().kind, ErrorKind::ValueOutOfRange);
    }
}

#[tokio::test]
async fn a_single_row_of_sqlite_keeps_nothing_open() {
    let one_connection = options(|it| it.pool.max_connections = 1);
    let database = Database::connect("sqlite::memory:", &one_connection).await.unwrap();
    let mut cursor = database.fetch_raw("SELECT 1 AS n", vec![]).await.unwrap();
    assert_eq!(database.stats().acquired, 0);
    run(&database, &["CREATE TABLE t (n INTEGER)", "INSERT INTO t VALUES (2), (3)"]).await;
    assert_eq!(cursor.next(10).await.unwrap().unwrap().columns[0].get(0), Some(Value::Integer(1)));
    assert_eq!(cursor.next(10).await.unwrap(), None);
    // Several rows do.
    let cursor = database.fetch_raw("SELECT n FROM t", vec![]).await.unwrap();
    assert_eq!(database.stats().acquired, 1);
    drop(cursor);
}

#[tokio::test]
async fn zero_rows_have_columns_too() {
    for database in both().await {
        run(&database, &["CREATE TABLE empty (n BIGINT, t TEXT)"]).await;
        let sql = "SELECT n, t AS label, n + 1 AS more FROM empty";
        let mut cursor = database.fetch_raw(sql, vec![]).await.unwrap();
        let names: Vec<_> = cursor.columns().iter().map(|it| it.path.join(".")).collect();
        assert_eq!(names, ["n", "label", "more"]);
        assert_eq!(cursor.columns()[0].kind, ScalarType::Integer);
        assert_eq!(cursor.next(1).await.unwrap(), None);
        assert_eq!(cursor.next(1).await.unwrap(), None);

        let info = column("n", ScalarType::Integer);
        let read = plan(Effect::Read, "SELECT n FROM empty", vec![], vec![info.clone()]);
        let mut cursor = database.fetch(execution(read, vec![])).await.unwrap();
        assert_eq!(cursor.columns(), [info]);
        assert_eq!(cursor.next(1).await.unwrap(), None);
        at_rest(&database).await;
    }
}

/// Resident memory of this process, in bytes.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|it| it.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[tokio::test]
async fn a_million_rows_pass_in_bounded_memory() {
    for database in both().await {
        let sql = numbers(database.dialect(), 1_000_000);
        let mut cursor = database.fetch_raw(&sql, vec![]).await.unwrap();
        cursor.next(1000).await.unwrap();
        #[cfg(target_os = "linux")]
        let before = resident();
        let mut rows = 1000;
        let mut last = Value::Null;
        while let Some(batch) = cursor.next(1000).await.unwrap() {
            assert_eq!(batch.rows, 1000);
            rows += batch.rows;
            last = batch.columns[1].get(999).unwrap();
        }
        assert_eq!((rows, last), (1_000_000, "row 1000000".into()));
        // All rows at once are some hundred megabytes as SQLx has them.
        #[cfg(target_os = "linux")]
        assert!(resident() < before + (48 << 20), "{} of {before}", resident());
        at_rest(&database).await;
    }
}

#[tokio::test]
async fn the_connection_goes_back_with_the_last_row() {
    let options = options(|it| it.pool.max_connections = 1);
    for url in ["sqlite::memory:".to_owned(), postgres::url()] {
        let database = Database::connect(&url, &options).await.unwrap();
        let sql = numbers(database.dialect(), 3);
        let mut cursor = database.fetch_raw(&sql, vec![]).await.unwrap();
        assert_eq!(database.stats().acquired, 1);
        let batch = cursor.next(10).await.unwrap().unwrap();
        assert_eq!((batch.rows, database.stats().acquired), (3, 0));
        // The cursor is still there, and the pool has one connection.
        assert_eq!(count(&database, "(SELECT 1) AS one").await, 1);
        assert_eq!(cursor.next(10).await.unwrap(), None);
    }
}

#[tokio::test]
async fn c3_a_cursor_that_is_dropped_half_way_leaves_no_answer_to_the_next() {
    let options = options(|it| it.pool.max_connections = 1);
    for url in ["sqlite::memory:".to_owned(), postgres::url()] {
        let database = Database::connect(&url, &options).await.unwrap();
        let sql = numbers(database.dialect(), 1_000_000);
        for _ in 0..3 {
            let mut cursor = database.fetch_raw(&sql, vec![]).await.unwrap();
            cursor.next(10).await.unwrap();
            drop(cursor);
            let started = std::time::Instant::now();
            assert_eq!(raw(&database, "SELECT 42", vec![]).await, [[Value::Integer(42)]]);
            assert!(started.elapsed() < Duration::from_secs(1), "the rest was read");
        }
        at_rest(&database).await;
    }
}

#[tokio::test]
async fn a_cancelled_next_loses_no_row() {
    for database in both().await {
        let sql = numbers(database.dialect(), 20_000);
        let mut cursor = database.fetch_raw(&sql, vec![]).await.unwrap();
        let mut found = vec![];
        for round in 0.. {
            let patience = Duration::from_micros(round % 7 * 50);
            let Ok(next) = tokio::time::timeout(patience, cursor.next(500)).await else {
                continue;
            };
            let Some(batch) = next.unwrap() else {
                break;
            };
            found.extend((0..batch.rows as usize).filter_map(|it| batch.columns[0].get(it)));
        }
        assert_eq!(found, (1..=20_000).map(Value::Integer).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_failure_half_way_is_not_the_end() {
    for database in both().await {
        let sql = match database.dialect() {
            ferro_wit::types::Dialect::Postgres => {
                "SELECT 10 / (5000 - n) AS q FROM generate_series(1, 10000) AS n".to_owned()
            }
            ferro_wit::types::Dialect::Sqlite => format!(
                "SELECT abs(CASE n WHEN 5000 THEN -9223372036854775807 - 1 ELSE n END) AS q FROM ({})",
                numbers(database.dialect(), 10_000)
            ),
        };
        let mut cursor = database.fetch_raw(&sql, vec![]).await.unwrap();
        let mut rows = 0;
        let error = loop {
            match cursor.next(1000).await {
                Ok(Some(batch)) => rows += batch.rows,
                Ok(None) => panic!("an end after {rows} rows"),
                Err(error) => break error,
            }
        };
        assert_eq!(rows, 4000);
        assert!(error.code.is_some(), "{error:?}");
        assert_eq!(cursor.next(1000).await.unwrap_err(), error);
        at_rest(&database).await;
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_statement_is_known_before_its_rows_are_asked_for() {
    for database in both().await {
        let error = database.fetch_raw("SELECT * FROM nowhere", vec![]).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::UndefinedObject);
        run(&database, &["CREATE TABLE u (n BIGINT PRIMARY KEY)", "INSERT INTO u VALUES (1)"])
            .await;
        let sql = "INSERT INTO u VALUES (1) RETURNING n";
        let error = database.fetch_raw(sql, vec![]).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::UniqueViolation);
        at_rest(&database).await;
    }
}

#[tokio::test]
async fn a_write_that_returns_rows_happens_without_being_read() {
    for database in both().await {
        run(&database, &["CREATE TABLE u (n BIGINT PRIMARY KEY)"]).await;
        let transaction = database.begin(no_options()).await.unwrap();
        let sql = "INSERT INTO u VALUES (1), (2), (3) RETURNING n";
        drop(transaction.fetch_raw(sql, vec![]).await.unwrap());
        transaction.commit().await.unwrap();
        assert_eq!(count(&database, "u").await, 3);
    }
}

#[tokio::test]
async fn kinds_on_sqlite_are_declared_or_found_in_the_first_values() {
    let database = connect("sqlite::memory:").await;
    run(
        &database,
        &[
            "CREATE TABLE k (b BOOLEAN, d DATE_TEXT, i INTERVAL_TEXT, a)",
            "INSERT INTO k VALUES (1, '2024-02-29', 'P1D', NULL), (0, NULL, NULL, 1.5)",
            "CREATE VIEW v AS SELECT d AS day, b AS flag FROM k",
        ],
    )
    .await;
    let kinds = async |sql| {
        let cursor = database.fetch_raw(sql, vec![]).await.unwrap();
        cursor.columns().iter().map(|it| it.kind).collect::<Vec<_>>()
    };
    use ScalarType::{Blob, Boolean, Date, Float, Integer, Interval, Text};
    assert_eq!(kinds("SELECT * FROM k").await, [Boolean, Date, Interval, Float]);
    assert_eq!(kinds("SELECT day, flag FROM v").await, [Date, Boolean]);
    assert_eq!(kinds("SELECT 1, 1.5, 'a', x'00', NULL").await, [Integer, Float, Text, Blob, Text]);
    // Changes of the schema are seen at once, also those of another connection.
    let other = database.begin(no_options()).await.unwrap();
    kinds("SELECT * FROM k").await;
    other.execute_raw("ALTER TABLE k ADD COLUMN t TIME_TEXT", vec![]).await.unwrap();
    other.commit().await.unwrap();
    let reader = database.begin(no_options()).await.unwrap();
    assert_eq!(kinds("SELECT * FROM k").await.len(), 5);
    assert_eq!(kinds("SELECT * FROM k").await.len(), 5);
    drop(reader);
    run(&database, &["DROP VIEW v", "CREATE VIEW v AS SELECT 'x' AS day, 2 AS flag"]).await;
    assert_eq!(kinds("SELECT day, flag FROM v").await, [Text, Integer]);
}

#[tokio::test]
async fn statements_are_prepared_again_after_the_schema_has_changed() {
    for database in both().await {
        run(&database, &["CREATE TABLE s (n BIGINT)", "INSERT INTO s VALUES (1)"]).await;
        let sql = "SELECT * FROM s";
        assert_eq!(raw(&database, sql, vec![]).await[0].len(), 1);
        run(&database, &["ALTER TABLE s ADD COLUMN t TEXT DEFAULT 'new'"]).await;
        assert_eq!(raw(&database, sql, vec![]).await, [[Value::Integer(1), "new".into()]]);
        at_rest(&database).await;
    }
}
