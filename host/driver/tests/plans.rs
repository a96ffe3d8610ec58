//! Plans: what they bind, and batches that are written whole or not at all.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod rows;
mod support;

use std::sync::Arc;

use ferro_driver::{Database, Execution};
use ferro_wit::plan::{Binding, Effect, MigrationStep, Risk};
use ferro_wit::types::{Batch, Dialect, ErrorKind, ScalarType, Value};

use rows::{batch, bind, both, both_with_table, column, count, insert, plan, raw};
use support::no_options;

const COLUMNS: [(&str, &str, ScalarType); 2] =
    [("n", "int8", ScalarType::Integer), ("t", "text", ScalarType::Text)];

fn numbered(numbers: impl IntoIterator<Item = i64>) -> Batch {
    let numbers: Vec<_> = numbers.into_iter().collect();
    let texts = numbers.iter().map(|it| Value::from(format!("row {it}"))).collect();
    let numbers = numbers.into_iter().map(Value::Integer).collect();
    batch(vec![(ScalarType::Integer, numbers), (ScalarType::Text, texts)])
}

fn writing(database: &Database, rows: Batch) -> Execution {
    Execution {
        plan: Arc::new(insert(database.dialect(), "t", &COLUMNS)),
        parameters: vec![],
        forced: vec![],
        rows: Some(rows),
    }
}

#[tokio::test]
async fn a_batch_of_any_size_is_written() {
    for database in both_with_table().await {
        for (start, rows) in [(0, 0), (0, 1), (10, 99), (200, 100), (400, 101), (1000, 10_000)] {
            let written =
                database.execute(writing(&database, numbered(start..start + rows))).await.unwrap();
            assert_eq!(written, u64::try_from(rows).unwrap());
        }
        assert_eq!(count(&database, "t").await, 1 + 99 + 100 + 101 + 10_000);
        let found = raw(&database, "SELECT t FROM t WHERE n = 10999", vec![]).await;
        assert_eq!(found, [[Value::from("row 10999")]]);
    }
}

#[tokio::test]
async fn a_batch_is_written_whole_or_not_at_all() {
    for database in both_with_table().await {
        let doubled = || numbered((0..250).chain([100]));
        let error = database.execute(writing(&database, doubled())).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::UniqueViolation);
        assert_eq!(count(&database, "t").await, 0);

        // In a transaction too, which stays usable where the database allows it.
        let transaction = database.begin(no_options()).await.unwrap();
        transaction.execute(writing(&database, numbered(1000..1150))).await.unwrap();
        let savepoint = transaction.begin(no_options()).await.unwrap();
        let error = savepoint.execute(writing(&database, doubled())).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::UniqueViolation);
        savepoint.rollback().await.unwrap();
        if database.dialect() == Dialect::Sqlite {
            transaction.execute(writing(&database, doubled())).await.unwrap_err();
        }
        transaction.commit().await.unwrap();
        assert_eq!(count(&database, "t").await, 150);
    }
}

#[tokio::test]
async fn a_batch_that_does_not_fit_its_plan_is_refused_before_the_database_sees_it() {
    for database in both().await {
        let integers = || (ScalarType::Integer, vec![Value::Integer(1)]);
        let texts = || (ScalarType::Text, vec![Value::from("a")]);
        let mut torn = batch(vec![integers(), texts()]);
        torn.rows = 2;
        for (rows, kind, part) in [
            (batch(vec![integers()]), ErrorKind::InvalidQuery, "1 columns"),
            (batch(vec![integers(), texts(), texts()]), ErrorKind::InvalidQuery, "column 3"),
            (batch(vec![texts(), texts()]), ErrorKind::TypeMismatch, "column 1 of the batch is"),
            (torn, ErrorKind::InvalidQuery, "is inconsistent"),
        ] {
            let error = database.execute(writing(&database, rows)).await.unwrap_err();
            assert_eq!((error.kind, &error.code), (kind, &None), "{error}");
            assert!(error.message.contains(part), "{error}");
        }
    }
}

#[tokio::test]
async fn a_value_of_a_batch_that_cannot_be_stored_names_its_row() {
    let [database, _] = both().await;
    let plan = insert(Dialect::Sqlite, "t", &[("d", "numeric", ScalarType::Decimal)]);
    let texts = ["1", "2", "x"].map(|it| Value::Decimal(it.into()));
    let rows = Some(batch(vec![(ScalarType::Decimal, texts.into())]));
    support::run(&database, &["CREATE TABLE t (d DECIMAL_TEXT)"]).await;
    let execution = Execution { plan: Arc::new(plan), parameters: vec![], forced: vec![], rows };
    let error = database.execute(execution).await.unwrap_err();
    assert!(error.message.starts_with("column 1 of the batch, row 3,"), "{error}");
    assert_eq!(count(&database, "t").await, 0);
}

#[tokio::test]
async fn binds_come_from_parameters_constants_and_the_scope() {
    for database in both_with_table().await {
        let marks = match database.dialect() {
            Dialect::Sqlite => ["?1", "?2", "?3"],
            Dialect::Postgres => ["$1", "$2", "$3"],
        };
        let sql = format!("SELECT {} AS a, {} AS b, {} AS c", marks[0], marks[1], marks[2]);
        let binds = vec![
            bind(Binding::Forced(1), ScalarType::Text),
            bind(Binding::Constant(Value::Integer(7)), ScalarType::Integer),
            bind(Binding::Parameter(0), ScalarType::Boolean),
        ];
        let columns = vec![
            column("a", ScalarType::Text),
            column("b", ScalarType::Integer),
            column("c", ScalarType::Boolean),
        ];
        let plan = Arc::new(plan(Effect::Read, &sql, binds, columns));
        let run = |parameters, forced| Execution {
            plan: Arc::clone(&plan),
            parameters,
            forced,
            rows: None,
        };
        let forced = || vec![Value::Integer(0), Value::from("tenant")];
        let cursor = database.fetch(run(vec![Value::Boolean(true)], forced())).await.unwrap();
        let found = rows::rows(cursor).await;
        assert_eq!(found, [["tenant".into(), Value::Integer(7), Value::Boolean(true)]]);

        for (parameters, forced, kind) in [
            (vec![], forced(), ErrorKind::InvalidQuery),
            (vec![Value::Boolean(true); 2], forced(), ErrorKind::InvalidQuery),
            (vec![Value::Boolean(true)], vec![Value::Integer(0)], ErrorKind::InvalidConfiguration),
            (
                vec![Value::Boolean(true)],
                vec![Value::Integer(0), Value::Null],
                ErrorKind::InvalidConfiguration,
            ),
            (vec![Value::Integer(1)], forced(), ErrorKind::TypeMismatch),
        ] {
            let error = database.fetch(run(parameters, forced)).await.unwrap_err();
            assert_eq!((error.kind, &error.code), (kind, &None), "{error}");
        }
    }
}

#[tokio::test]
async fn steps_of_a_migration_are_applied_together() {
    let step = |sql: &str| MigrationStep {
        sql: sql.into(),
        description: format!("run `{sql}`"),
        risk: Risk::Safe,
        reason: None,
        transactional: true,
    };
    for database in both().await {
        let broken = [step("CREATE TABLE a (n INTEGER)"), step("CREATE TABLE a (n INTEGER)")];
        let error = database.apply(&broken).await.unwrap_err();
        assert!(error.message.starts_with("run `CREATE TABLE a"), "{error}");
        assert!(database.fetch_raw("SELECT n FROM a", vec![]).await.is_err(), "a step was kept");
        database.apply(&[step("CREATE TABLE a (n INTEGER)"), step("DROP TABLE a")]).await.unwrap();
        database.apply(&broken[..1]).await.unwrap();
        assert_eq!(count(&database, "a").await, 0);
    }
}

/// PostgreSQL looks whether a table is there, and then makes it: `IF NOT EXISTS` may fail.
#[tokio::test(flavor = "multi_thread")]
async fn migrations_that_are_applied_at_once_wait_for_each_other() {
    let steps = |table: u32| {
        let sql = format!("CREATE TABLE IF NOT EXISTS t{table} (n INTEGER PRIMARY KEY)");
        let (description, transactional) = ("create".into(), true);
        [MigrationStep { sql, description, risk: Risk::Safe, reason: None, transactional }]
    };
    for database in both().await {
        for table in 0..20 {
            let at_once = (0..4).map(|_| {
                let database = database.clone();
                tokio::spawn(async move { database.apply(&steps(table)).await })
            });
            for applied in futures_util::future::join_all(at_once).await {
                applied.unwrap().unwrap();
            }
        }
    }
}

#[tokio::test]
async fn statements_run_where_none_may_be_kept() {
    let options = support::options(|it| {
        it.pool.statement_cache_capacity = Some(0);
        it.pool.max_connections = 1;
    });
    let url = ferro_test_support::postgres::url();
    let database = Database::connect(&url, &options).await.unwrap();
    for _ in 0..3 {
        assert_eq!(
            raw(&database, "SELECT ?", vec![Value::Integer(1)]).await,
            [[Value::Integer(1)]]
        );
        database.execute_raw("SELECT 2", vec![]).await.unwrap();
    }
    let kept = raw(&database, "SELECT count(*) FROM pg_prepared_statements", vec![]).await;
    assert_eq!(kept, [[Value::Integer(0)]]);
}

#[tokio::test]
async fn a_value_is_never_read_as_one_of_another_type_that_had_the_same_statement() {
    for database in rows::both().await {
        let twice = |kind| {
            let binds = vec![bind(Binding::Parameter(0), kind)];
            plan(Effect::Read, "SELECT 1.5 * $1 AS x", binds, vec![column("x", ScalarType::Float)])
        };
        let sql = match database.dialect() {
            Dialect::Sqlite => "SELECT 1.5 * ?1 AS x",
            Dialect::Postgres => "SELECT (1.5 * $1)::double precision AS x",
        };
        for (value, expected) in [
            (Value::Float(1.5), 2.25),
            (Value::Integer(2), 3.0),
            (Value::Float(2.0), 3.0),
            (Value::Decimal("4".into()), 6.0),
            (Value::Integer(-2), -3.0),
        ] {
            let kind = match &value {
                Value::Float(_) => ScalarType::Float,
                Value::Integer(_) => ScalarType::Integer,
                _ => ScalarType::Decimal,
            };
            let mut plan = twice(kind);
            plan.steps[0].sql = sql.into();
            let execution = rows::execution(plan, vec![value]);
            let found = rows::rows(database.fetch(execution).await.unwrap());
            assert_eq!(found.await, [[Value::Float(expected)]]);
        }
    }
}
