//! Behind a pooler that lends sessions by transaction, whatever others do between two of them.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod proxy;
mod rows;
mod support;

use ferro_driver::{Database, Execution};
use ferro_test_support::postgres;
use ferro_wit::plan::{Binding, Effect, MigrationStep, Plan, Risk};
use ferro_wit::types::{Dialect, ErrorKind, ScalarType, Value};

use rows::{batch, bind, column, count, execution, insert, plan, raw};
use support::{no_options, options, run};

async fn pooled() -> Database {
    connect(&proxy::pooled(&postgres::url()).await, 0).await
}

async fn connect(url: &str, statements: usize) -> Database {
    let options = options(|it| {
        it.pool.statement_cache_capacity = Some(statements);
        it.pool.max_connections = 2;
    });
    Database::connect(url, &options).await.unwrap_or_else(|error| panic!("{error}"))
}

fn echo() -> Plan {
    let binds = vec![bind(Binding::Parameter(0), ScalarType::Integer)];
    plan(Effect::Read, "SELECT $1 AS n", binds, vec![column("n", ScalarType::Integer)])
}

#[tokio::test]
async fn a_statement_runs_whole_in_the_session_that_prepared_it() {
    let database = pooled().await;
    run(&database, &["CREATE TABLE t (n bigint, t text)"]).await;
    for n in 0..10 {
        let echoed = database.fetch(execution(echo(), vec![Value::Integer(n)])).await.unwrap();
        assert_eq!(rows::rows(echoed).await, [[Value::Integer(n)]]);
        let text = raw(&database, "SELECT ? AS n", vec![Value::Integer(n)]).await;
        assert_eq!(text, [[Value::Integer(n)]]);
        let insert = "INSERT INTO t VALUES ($1, 'x')";
        assert_eq!(database.execute_raw(insert, vec![Value::Integer(n)]).await, Ok(1));
        let binds = vec![bind(Binding::Parameter(0), ScalarType::Integer)];
        let write = plan(Effect::Write, insert, binds, vec![]);
        assert_eq!(database.execute(execution(write, vec![Value::Integer(n)])).await, Ok(1));
        database.check().await.unwrap();
    }
    assert_eq!(count(&database, "t").await, 20);
}

#[tokio::test]
async fn transactions_and_large_batches_run_in_one_session() {
    let database = pooled().await;
    run(&database, &["CREATE TABLE t (n bigint, t text)"]).await;
    let transaction = database.begin(no_options()).await.unwrap();
    for n in 0..3 {
        let echoed = transaction.fetch(execution(echo(), vec![Value::Integer(n)])).await.unwrap();
        assert_eq!(rows::rows(echoed).await, [[Value::Integer(n)]]);
        transaction.execute_raw("INSERT INTO t VALUES (1, 'x')", vec![]).await.unwrap();
    }
    transaction.commit().await.unwrap();
    for size in [10, 12_000] {
        let columns = [("n", "bigint", ScalarType::Integer), ("t", "text", ScalarType::Text)];
        let texts = (0..size).map(|it| Value::Text(format!("row {it}"))).collect();
        let columns_of_rows = vec![
            (ScalarType::Integer, (0..size).map(Value::Integer).collect()),
            (ScalarType::Text, texts),
        ];
        let write = insert(Dialect::Postgres, "t", &columns);
        let write = Execution { rows: Some(batch(columns_of_rows)), ..execution(write, vec![]) };
        assert_eq!(database.execute(write).await, Ok(u64::try_from(size).unwrap()));
    }
    assert_eq!(count(&database, "t").await, 12_013);
}

#[tokio::test]
async fn an_error_undoes_its_statement_and_the_next_one_runs() {
    let database = pooled().await;
    run(&database, &["CREATE TABLE t (n bigint PRIMARY KEY)"]).await;
    for _ in 0..3 {
        let twice = "INSERT INTO t VALUES (1), (1)";
        let error = database.execute_raw(twice, vec![]).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::UniqueViolation);
        let divided = "SELECT 1 / (2 - n) AS n FROM generate_series(1, 2) AS n";
        let read = match database.fetch_raw(divided, vec![]).await {
            Ok(mut cursor) => cursor.next(10).await.map(drop),
            Err(error) => Err(error),
        };
        assert_eq!(read.unwrap_err().kind, ErrorKind::ValueOutOfRange);
        assert_eq!(count(&database, "t").await, 0);
    }
    assert_eq!(database.stats().acquired, 0);
}

#[tokio::test]
async fn a_step_of_a_migration_that_takes_no_transaction_has_none() {
    let database = pooled().await;
    run(&database, &["CREATE TABLE t (n bigint)"]).await;
    let concurrently = MigrationStep {
        sql: "CREATE INDEX CONCURRENTLY t_n ON t (n)".into(),
        description: "index".into(),
        risk: Risk::Safe,
        reason: None,
        transactional: false,
    };
    database.apply(&[concurrently]).await.unwrap();
    let error = database.execute_raw("VACUUM t", vec![]).await.unwrap_err();
    assert!(error.message.contains("cannot run inside a transaction block"), "{error}");
}

#[tokio::test]
async fn a_statement_that_is_another_ones_meanwhile_is_an_error() {
    let url = proxy::pooled_with_names(&postgres::url()).await;
    let database = connect(&url, 100).await;
    let two = "SELECT n, n + 1 FROM generate_series(1, 3) AS n";
    let columns = vec![column("n", ScalarType::Integer), column("m", ScalarType::Integer)];
    let plan = plan(Effect::Read, two, vec![], columns);
    let mut cursor = database.fetch(execution(plan, vec![])).await.unwrap();
    assert_eq!(cursor.next(10).await.unwrap_err().kind, ErrorKind::DecodeFailed);
    let database = connect(&url, 100).await;
    let error = database.execute_raw("SELECT ?::int", vec![Value::Integer(1)]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidConfiguration, "{error}");
    assert_eq!(error.code.as_deref(), Some("08P01"), "{error}");
    assert!(error.message.contains("set `statement_cache_capacity` to 0"), "{error}");
}
