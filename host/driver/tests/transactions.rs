//! Transactions and savepoints: what is kept, what is not, and what is left in the pool.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod rows;
mod support;

use std::time::Duration;

use ferro_driver::{Database, Transaction};
use ferro_test_support::postgres;
use ferro_wit::plan::Effect;
use ferro_wit::types::{Dialect, ErrorKind, Isolation, ScalarType, TransactionOptions, Value};

use rows::{both_with_table, count, numbers, raw};
use support::{connect, eventually, no_options, one, options, run};

const INSERT: &str = "INSERT INTO t VALUES (?, 'x')";

async fn insert(transaction: &Transaction, n: i64) {
    assert_eq!(transaction.execute_raw(INSERT, vec![Value::Integer(n)]).await.unwrap(), 1);
}

async fn at_rest(database: &Database) {
    eventually("rest", || {
        let stats = database.stats();
        stats.acquired == 0 && stats.idle == stats.size
    })
    .await;
}

#[tokio::test]
async fn p1_a_transaction_is_kept_by_commit_only() {
    for database in both_with_table().await {
        let transaction = database.begin(no_options()).await.unwrap();
        insert(&transaction, 1).await;
        transaction.commit().await.unwrap();
        let transaction = database.begin(no_options()).await.unwrap();
        insert(&transaction, 2).await;
        transaction.rollback().await.unwrap();
        let transaction = database.begin(no_options()).await.unwrap();
        insert(&transaction, 3).await;
        drop(transaction);
        assert_eq!(raw(&database, "SELECT n FROM t", vec![]).await, [[Value::Integer(1)]]);
        at_rest(&database).await;
    }
}

#[tokio::test]
async fn p1_dropping_gives_the_connection_back() {
    let options = options(|it| it.pool.max_connections = 1);
    for url in ["sqlite::memory:".to_owned(), postgres::url()] {
        let database = Database::connect(&url, &options).await.unwrap();
        run(&database, &["CREATE TABLE t (n INTEGER PRIMARY KEY, t TEXT)"]).await;
        for _ in 0..20 {
            let transaction = database.begin(no_options()).await.unwrap();
            insert(&transaction, 1).await;
            drop(transaction);
        }
        assert_eq!(count(&database, "t").await, 0);
        assert_eq!(database.stats().size, 1);
    }
}

#[tokio::test]
async fn a_savepoint_refuses_what_only_a_whole_transaction_can_have() {
    for database in both_with_table().await {
        let transaction = database.begin(no_options()).await.unwrap();
        let isolation = Some(Isolation::Serializable);
        for (options, name) in [
            (TransactionOptions { isolation, ..no_options() }, "`isolation`"),
            (TransactionOptions { read_only: true, ..no_options() }, "`read-only`"),
            (TransactionOptions { deferrable: true, ..no_options() }, "`deferrable`"),
        ] {
            let error = transaction.begin(options).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidQuery);
            assert!(error.message.contains(name), "{error}");
        }

        let immediate = TransactionOptions { immediate: true, ..no_options() };
        let savepoint = transaction.begin(immediate).await.unwrap();
        insert(&savepoint, 1).await;
        savepoint.commit().await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(count(&database, "t").await, 1);
    }
}

#[tokio::test]
async fn a_savepoint_undoes_what_happened_since_and_leaves_the_outer_usable() {
    for database in both_with_table().await {
        let transaction = database.begin(no_options()).await.unwrap();
        insert(&transaction, 1).await;

        let savepoint = transaction.begin(no_options()).await.unwrap();
        insert(&savepoint, 2).await;
        let inner = savepoint.begin(no_options()).await.unwrap();
        insert(&inner, 3).await;
        inner.rollback().await.unwrap();
        insert(&savepoint, 4).await;
        savepoint.commit().await.unwrap();

        let dropped = transaction.begin(no_options()).await.unwrap();
        insert(&dropped, 5).await;
        drop(dropped);

        let failing = transaction.begin(no_options()).await.unwrap();
        insert(&failing, 6).await;
        let error = failing.execute_raw(INSERT, vec![Value::Integer(1)]).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::UniqueViolation);
        failing.rollback().await.unwrap();

        insert(&transaction, 7).await;
        transaction.commit().await.unwrap();
        let found = raw(&database, "SELECT n FROM t ORDER BY n", vec![]).await;
        assert_eq!(found, [1, 2, 4, 7].map(|it| [Value::Integer(it)]));
        at_rest(&database).await;
    }
}

#[tokio::test]
async fn p1_dropping_an_outer_savepoint_undoes_the_inner_ones() {
    for database in both_with_table().await {
        let transaction = database.begin(no_options()).await.unwrap();
        let outer = transaction.begin(no_options()).await.unwrap();
        insert(&outer, 1).await;
        let inner = outer.begin(no_options()).await.unwrap();
        insert(&inner, 2).await;
        drop(outer);
        let error = inner.execute_raw(INSERT, vec![Value::Integer(3)]).await.unwrap_err();
        assert!(error.message.contains("has ended"), "{error}");
        drop(inner);
        insert(&transaction, 4).await;
        transaction.commit().await.unwrap();
        assert_eq!(raw(&database, "SELECT n FROM t", vec![]).await, [[Value::Integer(4)]]);
    }
}

#[tokio::test]
async fn an_open_cursor_or_savepoint_makes_the_transaction_busy() {
    for database in both_with_table().await {
        let transaction = database.begin(no_options()).await.unwrap();
        let sql = numbers(database.dialect(), 1000);
        let mut cursor = transaction.fetch_raw(&sql, vec![]).await.unwrap();
        cursor.next(10).await.unwrap();
        for error in [
            transaction.execute_raw(INSERT, vec![Value::Integer(1)]).await.unwrap_err(),
            transaction.begin(no_options()).await.unwrap_err(),
            transaction.fetch_raw("SELECT 1", vec![]).await.unwrap_err(),
        ] {
            assert_eq!(error.kind, ErrorKind::Busy);
            assert!(error.message.contains("a stream of this transaction"), "{error}");
        }
        drop(cursor);
        insert(&transaction, 1).await;

        let savepoint = transaction.begin(no_options()).await.unwrap();
        let error = transaction.execute_raw(INSERT, vec![Value::Integer(2)]).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Busy);
        assert!(error.message.contains("savepoint"), "{error}");
        savepoint.commit().await.unwrap();

        // A cursor that was read to its end is none.
        let mut cursor = transaction.fetch_raw("SELECT 1", vec![]).await.unwrap();
        cursor.next(10).await.unwrap();
        insert(&transaction, 2).await;
        transaction.commit().await.unwrap();
        assert_eq!(count(&database, "t").await, 2);
    }
}

#[tokio::test]
async fn a_transaction_dropped_under_its_cursor_ends_with_the_cursor() {
    for database in both_with_table().await {
        let transaction = database.begin(no_options()).await.unwrap();
        insert(&transaction, 1).await;
        let sql = numbers(database.dialect(), 1000);
        let mut cursor = transaction.fetch_raw(&sql, vec![]).await.unwrap();
        cursor.next(10).await.unwrap();
        drop(transaction);
        assert_eq!(database.stats().acquired, 1);
        let mut rest = 0;
        while let Some(batch) = cursor.next(100).await.unwrap() {
            rest += batch.rows;
        }
        assert_eq!(rest, 990);
        at_rest(&database).await;
        assert_eq!(count(&database, "t").await, 0);
    }
}

#[tokio::test]
async fn p2_commit_succeeds_only_if_the_database_committed() {
    for database in both_with_table().await {
        let transaction = database.begin(no_options()).await.unwrap();
        insert(&transaction, 1).await;
        let error = transaction.execute_raw(INSERT, vec![Value::Integer(1)]).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::UniqueViolation);
        let next = transaction.execute_raw(INSERT, vec![Value::Integer(2)]).await;
        let committed = transaction.commit().await;
        match database.dialect() {
            // SQLite undoes the statement only.
            Dialect::Sqlite => {
                next.unwrap();
                committed.unwrap();
                assert_eq!(count(&database, "t").await, 2);
            }
            Dialect::Postgres => {
                let next = next.unwrap_err();
                assert_eq!(next.code.as_deref(), Some("25P02"));
                assert!(next.message.contains("duplicate key"), "{next}");
                let error = committed.unwrap_err();
                assert_eq!(error.kind, ErrorKind::UniqueViolation);
                assert!(error.message.contains("nothing was committed"), "{error}");
                assert_eq!(count(&database, "t").await, 0);
            }
        }
        at_rest(&database).await;
    }
}

#[tokio::test]
async fn p2_a_failure_in_rows_that_nobody_read_is_found_at_commit() {
    let [_, database] = both_with_table().await;
    let transaction = database.begin(no_options()).await.unwrap();
    insert(&transaction, 1).await;
    let sql = "SELECT 1 / (100000 - n) AS q FROM generate_series(1, 100000) AS n";
    let mut cursor = transaction.fetch_raw(sql, vec![]).await.unwrap();
    cursor.next(1).await.unwrap();
    drop(cursor);
    let error = transaction.commit().await.unwrap_err();
    assert!(error.message.contains("nothing was committed"), "{error}");
    assert_eq!(count(&database, "t").await, 0);
    at_rest(&database).await;
}

#[tokio::test]
async fn p2_constraints_checked_at_the_end_fail_the_commit() {
    for database in both_with_table().await {
        run(
            &database,
            &["CREATE TABLE c (n INTEGER REFERENCES t (n) DEFERRABLE INITIALLY DEFERRED)"],
        )
        .await;
        let transaction = database.begin(no_options()).await.unwrap();
        transaction.execute_raw("INSERT INTO c VALUES (9)", vec![]).await.unwrap();
        let error = transaction.commit().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::ForeignKeyViolation, "{error}");
        assert_eq!(count(&database, "c").await, 0);
        at_rest(&database).await;
    }
}

#[tokio::test]
async fn p2_nothing_runs_after_sqlite_ended_the_transaction_by_itself() {
    let [database, _] = both_with_table().await;
    let transaction = database.begin(no_options()).await.unwrap();
    insert(&transaction, 1).await;
    let savepoint = transaction.begin(no_options()).await.unwrap();
    let sql = "INSERT OR ROLLBACK INTO t VALUES (1, 'again')";
    let error = savepoint.execute_raw(sql, vec![]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::UniqueViolation);
    let error = savepoint.execute_raw(INSERT, vec![Value::Integer(2)]).await.unwrap_err();
    assert!(error.message.contains("rolled the transaction back"), "{error}");
    drop(savepoint);
    assert!(transaction.commit().await.is_err());
    assert_eq!(count(&database, "t").await, 0);
    at_rest(&database).await;
}

#[tokio::test]
async fn p2_a_connection_that_is_lost_while_committing_leaves_the_outcome_unknown() {
    let [_, database] = both_with_table().await;
    let other = database.clone();
    let transaction = database.begin(no_options()).await.unwrap();
    let process = raw_in(&transaction, "SELECT pg_backend_pid()").await;
    insert(&transaction, 1).await;
    other.execute_raw("SELECT pg_terminate_backend($1::int4)", vec![process]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let error = transaction.commit().await.unwrap_err();
    assert_eq!((error.kind, error.retryable), (ErrorKind::OutcomeUnknown, false), "{error}");
    at_rest(&database).await;
    assert_eq!(count(&database, "t").await, 0);
}

async fn raw_in(transaction: &Transaction, sql: &str) -> Value {
    let mut cursor = transaction.fetch_raw(sql, vec![]).await.unwrap();
    cursor.next(10).await.unwrap().unwrap().columns[0].get(0).unwrap()
}

#[tokio::test]
async fn t8_a_read_only_transaction_writes_nothing_and_leaves_a_connection_that_can() {
    let options = options(|it| it.pool.max_connections = 1);
    for url in ["sqlite::memory:".to_owned(), postgres::url()] {
        let database = Database::connect(&url, &options).await.unwrap();
        run(&database, &["CREATE TABLE t (n INTEGER PRIMARY KEY, t TEXT)"]).await;
        let read_only = TransactionOptions {
            read_only: true,
            immediate: true,
            ..TransactionOptions::default()
        };
        for end in 0..3 {
            let transaction = database.begin(read_only.clone()).await.unwrap();
            assert_eq!(raw_in(&transaction, "SELECT count(*) FROM t").await, Value::Integer(end));
            let error = transaction.execute_raw(INSERT, vec![Value::Integer(9)]).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::ReadOnly, "{error}");
            match end {
                0 => drop(transaction),
                1 => transaction.rollback().await.unwrap(),
                _ => drop(transaction.commit().await),
            }
            let done = database.execute_raw(INSERT, vec![Value::Integer(end)]).await.unwrap();
            assert_eq!(done, 1);
        }
        assert_eq!(database.stats().size, 1);
    }
}

#[tokio::test]
async fn postgres_takes_isolation_and_deferrable() {
    let database = connect(&postgres::url()).await;
    for (isolation, name) in [
        (None, "read committed"),
        (Some(Isolation::ReadCommitted), "read committed"),
        (Some(Isolation::RepeatableRead), "repeatable read"),
        (Some(Isolation::Serializable), "serializable"),
    ] {
        let options = TransactionOptions {
            isolation,
            read_only: true,
            deferrable: true,
            ..TransactionOptions::default()
        };
        let transaction = database.begin(options).await.unwrap();
        let found = raw_in(&transaction, "SELECT current_setting('transaction_isolation')").await;
        assert_eq!(found, Value::from(name));
        let found = raw_in(&transaction, "SELECT current_setting('transaction_deferrable')").await;
        assert_eq!(found, Value::from("on"));
        transaction.commit().await.unwrap();
    }
}

#[tokio::test]
async fn p7_an_immediate_transaction_waits_for_the_other_and_then_is_busy() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}?mode=rwc", folder.path().join("app.db").display());
    let options = options(|it| it.sqlite.busy_timeout = Duration::from_millis(200));
    let database = Database::connect(&url, &options).await.unwrap();
    run(&database, &["CREATE TABLE t (n INTEGER PRIMARY KEY, t TEXT)"]).await;
    let immediate = TransactionOptions { immediate: true, ..TransactionOptions::default() };
    let first = database.begin(immediate.clone()).await.unwrap();
    let error = database.begin(immediate.clone()).await.unwrap_err();
    assert_eq!((error.kind, error.retryable), (ErrorKind::Busy, true), "{error}");
    let second = tokio::spawn({
        let (database, immediate) = (database.clone(), immediate.clone());
        async move { database.begin(immediate).await.map(drop) }
    });
    insert(&first, 1).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    first.commit().await.unwrap();
    second.await.unwrap().unwrap();
    at_rest(&database).await;
}

/// Cancels what runs after ever longer times, until it comes to its end.
async fn cancel_everywhere<F: Future<Output = bool>>(database: &Database, run: impl Fn() -> F) {
    let mut patience = Duration::ZERO;
    for round in 0_u32.. {
        assert!(round < 3000, "it never comes to its end");
        let ended = tokio::time::timeout(patience, run()).await;
        patience += Duration::from_micros(30);
        match ended {
            Ok(true) => break,
            Ok(false) => panic!("it failed"),
            Err(_) => {}
        }
        if round % 10 == 0 {
            at_rest(database).await;
            // A connection with an open transaction would not see what others have committed, or
            // would refuse to begin another.
            let transaction = database.begin(no_options()).await.unwrap();
            transaction.commit().await.unwrap();
        }
    }
    at_rest(database).await;
}

#[tokio::test]
async fn c3_cancelling_anywhere_leaves_no_transaction_in_the_pool() {
    let options = options(|it| it.pool.max_connections = 2);
    for url in ["sqlite::memory:".to_owned(), postgres::url()] {
        let database = Database::connect(&url, &options).await.unwrap();
        run(&database, &["CREATE TABLE t (n INTEGER PRIMARY KEY, t TEXT)"]).await;
        cancel_everywhere(&database, || async {
            let transaction = database.begin(no_options()).await.unwrap();
            insert(&transaction, 1).await;
            let savepoint = transaction.begin(no_options()).await.unwrap();
            insert(&savepoint, 2).await;
            savepoint.commit().await.unwrap();
            let sql = numbers(database.dialect(), 50);
            let mut cursor = transaction.fetch_raw(&sql, vec![]).await.unwrap();
            while cursor.next(20).await.unwrap().is_some() {}
            transaction.rollback().await.is_ok()
        })
        .await;
        assert_eq!(count(&database, "t").await, 0);
    }
}

#[tokio::test]
async fn a_statement_cancelled_half_way_ends_its_transaction() {
    let database = connect(&postgres::url()).await;
    run(&database, &["CREATE TABLE t (n INTEGER PRIMARY KEY, t TEXT)"]).await;
    let transaction = database.begin(no_options()).await.unwrap();
    insert(&transaction, 1).await;
    let slow = transaction.execute_raw("SELECT pg_sleep(10)", vec![]);
    assert!(tokio::time::timeout(Duration::from_millis(50), slow).await.is_err());
    let error = transaction.execute_raw(INSERT, vec![Value::Integer(2)]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled, "{error}");
    assert_eq!(transaction.commit().await.unwrap_err().kind, ErrorKind::Cancelled);
    at_rest(&database).await;
    assert_eq!(one(&database, "SELECT count(*) FROM t").await, Value::Integer(0));
}

#[tokio::test]
async fn a_first_row_that_cannot_be_read_leaves_the_transaction_as_a_later_one_does() {
    for database in rows::both_with_table().await {
        let transaction = database.begin(no_options()).await.unwrap();
        transaction.execute_raw("INSERT INTO t VALUES (1, 'x')", vec![]).await.unwrap();
        let column = rows::column("t", ScalarType::Integer);
        let unreadable = rows::plan(Effect::Read, "SELECT t FROM t", vec![], vec![column]);
        let unreadable = transaction.fetch(rows::execution(unreadable, vec![])).await;
        let error = match unreadable {
            Ok(mut cursor) => cursor.next(1).await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.kind, ErrorKind::DecodeFailed, "{error}");
        transaction.execute_raw("INSERT INTO t VALUES (2, 'y')", vec![]).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(rows::count(&database, "t").await, 2);
    }
}

#[tokio::test]
async fn a_transaction_that_the_server_ended_while_it_was_idle_is_known_to_be_undone() {
    let url = postgres::url();
    let setup = connect(&url).await;
    run(&setup, &["CREATE TABLE t (n int)"]).await;
    let options = "?options=-c%20idle_in_transaction_session_timeout%3D200";
    let database = connect(&format!("{url}{options}")).await;
    let transaction = database.begin(no_options()).await.unwrap();
    transaction.execute_raw("INSERT INTO t VALUES (1)", vec![]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(800)).await;
    let error = transaction.commit().await.unwrap_err();
    assert_eq!((error.kind, error.code.as_deref()), (ErrorKind::Timeout, Some("25P03")), "{error}");
    assert_eq!(one(&setup, "SELECT count(*) FROM t").await, Value::Integer(0));
}
