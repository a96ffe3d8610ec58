//! Migrations that do not come to their end: all of them or nothing happens, and the next one works.

use super::*;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use ferro_driver::ConnectOptions;
use ferro_test_support::postgres;

fn before() -> Schema {
    let book = Model {
        foreign_keys: vec![foreign_key("author", "author_id", "Author")],
        ..model("Book", vec![id(), big("author_id")])
    };
    models(vec![author(), book])
}

/// The tables get new rules, a column and an index, and there is another one.
fn after() -> Schema {
    let mut after = before();
    let named = check("named", vec![compare("name", Comparison::NotEqual, "".into())]);
    after.models[0].checks.push(named);
    after.models[0].fields.push(Field { indexed: true, ..nullable("born", number()) });
    after.models[1].fields.push(Field { unique: true, ..nullable("code", number()) });
    after.models.push(model("Other", vec![id()]));
    after
}

async fn world() -> World {
    let seed = [
        "INSERT INTO author (name) VALUES ('Ann')",
        "INSERT INTO book (author_id) VALUES (1)",
        "CREATE VIEW names AS SELECT name FROM author",
    ];
    World::new(before(), &seed).await
}

/// Plans the migration, with a statement among its steps; how many they are without it.
async fn attempt_with(
    database: &Database,
    at: usize,
    sql: &str,
) -> (Result<Migration, Error>, usize) {
    let catalog = Catalog::new(after()).unwrap();
    let dialect = database.dialect();
    let questions = catalog.introspection(dialect).unwrap();
    let count = std::cell::Cell::new(0);
    let plan = |found: &[String]| {
        let mut steps = catalog.migrate(dialect, found)?;
        count.set(count.get().max(steps.len()));
        if at < steps.len() {
            let step = MigrationStep {
                sql: sql.to_owned(),
                description: "interrupt".into(),
                risk: Risk::Safe,
                reason: None,
                transactional: true,
            };
            steps.insert(at, step);
        }
        Ok(steps)
    };
    let done = database.migrate(&questions, plan, Some(Risk::Destructive)).await;
    (done, count.get())
}

/// Nothing has changed, on any connection.
async fn assert_untouched(database: &Database) {
    assert_settled(database, &before()).await;
    assert_eq!(rows(database, "SELECT name FROM names").await.len(), 1);
    let orphan = "INSERT INTO book (author_id) VALUES (9)";
    refuses(database, orphan, ErrorKind::ForeignKeyViolation).await;
    if database.dialect() == Dialect::Sqlite {
        let modern = rows(database, "PRAGMA legacy_alter_table").await;
        assert_eq!(modern, [[Value::Integer(0)]]);
    }
}

#[tokio::test]
async fn a_migration_that_fails_at_any_step_changes_nothing() {
    let world = world().await;
    let ends =
        ["SELECT abs(-9223372036854775808)", "SELECT pg_terminate_backend(pg_backend_pid())"];
    let kinds = [ErrorKind::ValueOutOfRange, ErrorKind::ConnectionFailed];
    for ((database, sql), kind) in world.databases().iter().zip(ends).zip(kinds) {
        let mut at = 0;
        loop {
            let (done, steps) = attempt_with(database, at, sql).await;
            if at == steps {
                done.unwrap();
                assert!(steps > 5, "{steps} steps");
                break;
            }
            let error = done.unwrap_err();
            assert_eq!(error.kind, kind, "{error:?}");
            assert_untouched(database).await;
            at += 1;
        }
        assert_settled(database, &after()).await;
    }
}

/// What a future returns, unless it is dropped after so many polls.
async fn polled<T>(future: impl Future<Output = T>, mut polls: usize) -> Option<T> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| match polls {
        0 => Poll::Ready(None),
        _ => {
            polls -= 1;
            future.as_mut().poll(context).map(Some)
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_is_cancelled_at_any_point_is_done_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}?mode=rwc", folder.path().join("app.db").display());
    let mut options = ConnectOptions::default();
    options.pool.acquire_timeout = Duration::from_secs(20);
    for url in [file, postgres::url()] {
        let database = Database::connect(&url, &options).await.unwrap();
        migrate(&database, &before(), Some(Risk::Safe)).await;
        takes(&database, "INSERT INTO author (name) VALUES ('Ann')").await;
        takes(&database, "INSERT INTO book (author_id) VALUES (1)").await;
        takes(&database, "CREATE VIEW names AS SELECT name FROM author").await;
        let (mut polls, mut cancelled) = (0, 0);
        loop {
            let done = polled(attempt(&database, &after(), Risk::Destructive), polls).await;
            if let Some(done) = done {
                done.unwrap();
                break;
            }
            cancelled += 1;
            // A commit that was on its way may have come through.
            let left = migrate(&database, &before(), None).await.left;
            if left.is_empty() {
                assert_untouched(&database).await;
            } else {
                assert_settled(&database, &after()).await;
                migrate(&database, &before(), Some(Risk::Destructive)).await;
                takes(&database, "DROP TABLE other").await;
            }
            polls += 1;
        }
        assert!(cancelled > 1, "{url}: cancelled at {cancelled} points");
        assert_settled(&database, &after()).await;
        assert_eq!(rows(&database, "SELECT id FROM book").await.len(), 1);
    }
}

#[tokio::test]
async fn a_migration_does_not_wait_for_ever_for_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite:{}?mode=rwc", folder.path().join("app.db").display());
    let own = postgres::url();
    let postgres = super::apply::with_setting(&own, "lock_timeout", "200");
    let mut options = ConnectOptions::default();
    options.sqlite.busy_timeout = Duration::from_millis(200);
    for (url, other, advice) in [
        (&sqlite, &sqlite, "for longer than `busy_timeout`: migrate again when it has ended"),
        (&postgres, &own, "another migration of this database has not ended in time"),
    ] {
        let database = Database::connect(url, &options).await.unwrap();
        let other = Database::connect(other, &options).await.unwrap();
        let immediate =
            ferro_wit::types::TransactionOptions { immediate: true, ..Default::default() };
        let busy = other.begin(immediate).await.unwrap();
        if other.dialect() == Dialect::Postgres {
            let turn = "SELECT pg_advisory_xact_lock(439788663407)::text";
            busy.fetch_raw(turn, vec![]).await.unwrap().next(1).await.unwrap();
        }
        let error = attempt(&database, &before(), Risk::Safe).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Busy, "{error:?}");
        assert!(error.message.contains(advice) && error.retryable, "{error:?}");
        busy.rollback().await.unwrap();
        migrate(&database, &before(), Some(Risk::Safe)).await;
        assert_settled(&database, &before()).await;
    }
}
