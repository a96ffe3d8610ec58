//! What the operator is told of statements.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod rows;
mod support;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ferro_driver::{ConnectOptions, Database, Databases, Fence, RawSql};
use ferro_test_support::postgres;
use ferro_wit::plan::Effect;
use ferro_wit::types::{ErrorKind, ScalarType, Value};
use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use rows::{batch, column, execution, insert, numbers, plan};
use support::{no_options, options};

/// The events of statements, each with its level and its fields.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Record>>>);

type Record = (Level, BTreeMap<&'static str, String>);

struct Fields<'a>(&'a mut BTreeMap<&'static str, String>);

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl<S: Subscriber> Layer<S> for Told {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "ferro::statement" {
            let mut fields = BTreeMap::new();
            event.record(&mut Fields(&mut fields));
            self.0.lock().push((*event.metadata().level(), fields));
        }
    }
}

impl Told {
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        tracing::subscriber::set_default(tracing_subscriber::registry().with(self.clone()))
    }

    /// SQL, rows and outcome of what was told since the last time.
    fn take(&self) -> Vec<(String, String, String)> {
        let told = std::mem::take(&mut *self.0.lock());
        let read = |(_, it): (_, BTreeMap<_, String>)| {
            assert_eq!(it["database"], "app", "{it:?}");
            assert!(it["elapsed_us"].parse::<u64>().is_ok(), "{it:?}");
            (it["sql"].clone(), it["rows"].clone(), it["outcome"].clone())
        };
        told.into_iter().map(read).collect()
    }
}

fn told(sql: &str, rows: u64, outcome: &str) -> (String, String, String) {
    (sql.into(), rows.to_string(), outcome.into())
}

async fn both(options: &ConnectOptions) -> [Database; 2] {
    let databases = [Databases::new(), Databases::new()];
    let [lite, server] = &databases;
    [
        lite.connect("app", "sqlite::memory:", options).await.unwrap(),
        server.connect("app", &postgres::url(), options).await.unwrap(),
    ]
}

async fn drain(mut cursor: ferro_driver::Cursor) {
    while cursor.next(3).await.unwrap().is_some() {}
}

#[tokio::test]
async fn each_statement_is_told_with_its_sql_its_rows_and_how_it_ended() {
    for database in both(&options(|_| {})).await {
        database.execute_raw("CREATE TABLE t (n BIGINT UNIQUE)", vec![]).await.unwrap();
        let events = Told::default();
        let _guard = events.listen();

        let write = "INSERT INTO t VALUES ($1)";
        database.execute_raw(write, vec![Value::Integer(7001)]).await.unwrap();
        let twice = database.execute_raw(write, vec![Value::Integer(7001)]).await.unwrap_err();
        assert_eq!(twice.kind, ErrorKind::UniqueViolation);
        let read = "SELECT n FROM t WHERE n = ?";
        drain(database.fetch_raw(read, vec![Value::Integer(7001)]).await.unwrap()).await;
        let missing = database.fetch_raw("SELECT nothing FROM t", vec![]).await.unwrap_err();
        let expected = [
            told(write, 1, "ok"),
            told(write, 0, "unique-violation"),
            told(read, 1, "ok"),
            told("SELECT nothing FROM t", 0, &missing.kind.to_string()),
        ];
        assert_eq!(events.take(), expected);

        // Plans, as all queries of models are.
        let columns = vec![column("n", ScalarType::Integer), column("t", ScalarType::Text)];
        let many = numbers(database.dialect(), 10);
        let all = || execution(plan(Effect::Read, &many, vec![], columns.clone()), vec![]);
        drain(database.fetch(all()).await.unwrap()).await;
        let mut some = database.fetch(all()).await.unwrap();
        some.next(4).await.unwrap();
        drop(some);
        assert_eq!(events.take(), [told(&many, 10, "ok"), told(&many, 4, "dropped")]);
        let change = plan(Effect::Write, "DELETE FROM t", vec![], vec![]);
        assert_eq!(database.execute(execution(change, vec![])).await, Ok(1));
        assert_eq!(events.take(), [told("DELETE FROM t", 1, "ok")]);

        // A batch, of several statements or as a stream.
        let rows = (6000..8000).map(Value::Integer).collect();
        let mut bulk = execution(
            insert(database.dialect(), "t", &[("n", "BIGINT", ScalarType::Integer)]),
            vec![],
        );
        bulk.rows = Some(batch(vec![(ScalarType::Integer, rows)]));
        assert_eq!(database.execute(bulk).await, Ok(2000));
        let written = events.take();
        let count = |it: &(String, String, String)| it.1.parse::<u64>().unwrap();
        assert_eq!(written.iter().map(count).sum::<u64>(), 2000, "{written:?}");
        assert!(written.iter().all(|it| !it.0.contains("7001") && it.2 == "ok"), "{written:?}");
    }
}

#[tokio::test]
async fn transactions_are_told_from_their_beginning_to_their_end() {
    for database in both(&options(|_| {})).await {
        let events = Told::default();
        let _guard = events.listen();
        let transaction = database.begin(no_options()).await.unwrap();
        let savepoint = transaction.begin(no_options()).await.unwrap();
        savepoint.commit().await.unwrap();
        let savepoint = transaction.begin(no_options()).await.unwrap();
        savepoint.rollback().await.unwrap();
        transaction.commit().await.unwrap();
        database.begin(no_options()).await.unwrap().rollback().await.unwrap();
        let expected = [
            "BEGIN",
            "SAVEPOINT ferro_1",
            "RELEASE SAVEPOINT ferro_1",
            "SAVEPOINT ferro_2",
            "ROLLBACK TO SAVEPOINT ferro_2; RELEASE SAVEPOINT ferro_2",
            "COMMIT",
            "BEGIN",
            "ROLLBACK",
        ];
        assert_eq!(events.take(), expected.map(|it| told(it, 0, "ok")));
    }
}

#[tokio::test]
async fn of_a_long_statement_the_beginning_is_told() {
    for database in both(&options(|_| {})).await {
        let events = Told::default();
        let _guard = events.listen();
        let whole = format!("SELECT 1 /*{}*/", "-".repeat((4 << 10) - 13));
        let long = format!("SELECT 1 /* {}*/", "é".repeat(10_000));
        for sql in [&whole, &long] {
            drain(database.fetch_raw(sql, vec![]).await.unwrap()).await;
        }
        let cut = format!("SELECT 1 /* {}…", "é".repeat((4 << 10) / 2 - 6));
        assert_eq!(events.take(), [told(&whole, 1, "ok"), told(&cut, 1, "ok")]);
    }
}

#[tokio::test]
async fn what_a_fence_adds_to_a_transaction_is_not_told() {
    let [_, database] = both(&options(|_| {})).await;
    let Value::Text(role) = support::one(&database, "SELECT current_user::text").await else {
        panic!("the name of a role");
    };
    let fence = Fence {
        settings: [("request.token".into(), "secret 7001".into())].into(),
        role: Some(role),
        raw_sql: RawSql::Unfenced,
        ..Fence::default()
    };
    let fenced = database.fenced(fence).unwrap();
    let events = Told::default();
    let _guard = events.listen();
    let text = "SELECT current_setting('request.token')";
    assert_eq!(support::one(&fenced, text).await, Value::Text("secret 7001".into()));
    fenced.begin(no_options()).await.unwrap().rollback().await.unwrap();
    // The text ends with its reader.
    let expected = ["BEGIN", "COMMIT", text, "BEGIN", "ROLLBACK"];
    let sql: Vec<_> = events.take().into_iter().map(|it| it.0).collect();
    assert_eq!(sql, expected);
}

#[tokio::test]
async fn a_slow_statement_is_a_warning() {
    for slow in [Duration::from_millis(50), Duration::from_secs(600)] {
        for database in both(&options(|it| it.pool.slow_statement = Some(slow))).await {
            let events = Told::default();
            let guard = events.listen();
            let one = numbers(database.dialect(), 2);
            let mut cursor = database.fetch_raw(&one, vec![]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(60)).await;
            while cursor.next(10).await.unwrap().is_some() {}
            drop(guard);
            let levels: Vec<_> = events.0.lock().iter().map(|it| it.0).collect();
            let expected = if slow.as_secs() == 0 { Level::WARN } else { Level::DEBUG };
            assert_eq!(levels, [expected]);
        }
    }
}
