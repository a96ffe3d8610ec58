//! A statement that nobody waits for any more ends at the database, and its permit is free.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod rows;
mod support;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ferro_driver::{Cursor, Database, Fence, RawSql};
use ferro_test_support::postgres;
use ferro_wit::plan::Effect;
use ferro_wit::types::{ErrorKind, ScalarType, Value};
use futures_util::FutureExt as _;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use support::{connect, eventually, no_options, one, options, run};

/// Within this time after it was given up, a statement has ended.
const SOON: Duration = Duration::from_secs(2);

/// A pool of one connection, and another one that sees what the first one's statements hold.
struct World {
    database: Database,
    observer: Database,
    /// The file, on SQLite.
    _folder: Option<TempDir>,
}

impl World {
    async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}?mode=rwc", folder.path().join("app.db").display());
        let options = options(|it| {
            it.pool.max_connections = 1;
            // Readers then hold off a writer, which shows that they still run.
            it.sqlite.wal = false;
            it.sqlite.busy_timeout = SOON;
        });
        let database = Database::connect(&url, &options).await.unwrap();
        let observer = Database::connect(&url, &options).await.unwrap();
        run(&database, &["CREATE TABLE t (n INTEGER)"]).await;
        run(&database, &[&format!("INSERT INTO t {}", numbers(1000))]).await;
        Self { database, observer, _folder: Some(folder) }
    }

    async fn postgres() -> Self {
        let url = postgres::url();
        let database =
            Database::connect(&url, &options(|it| it.pool.max_connections = 1)).await.unwrap();
        let observer = connect(&url).await;
        run(&database, &["CREATE TABLE t (n INTEGER)"]).await;
        Self { database, observer, _folder: None }
    }

    /// Waits until a statement is on its way.
    async fn assert_running(&self) {
        sleep(Duration::from_millis(200)).await;
        if self.is_postgres() {
            assert_eq!(self.running().await, 1);
        } else {
            let writer = self.observer.execute_raw("DELETE FROM t WHERE n = 0", Vec::new());
            assert!(timeout(Duration::from_millis(200), writer).await.is_err());
        }
    }

    /// Checks that the statement has ended, and that nothing of it is left in the pool.
    async fn assert_ended(&self) {
        let start = Instant::now();
        if self.is_postgres() {
            while self.running().await > 0 {
                assert!(start.elapsed() < SOON, "the statement still runs");
                sleep(Duration::from_millis(20)).await;
            }
        } else {
            // Waits for the lock as long as `busy_timeout` says.
            run(&self.observer, &["DELETE FROM t WHERE n = 0"]).await;
        }
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
        eventually("rest", || {
            let stats = self.database.stats();
            stats.acquired == 0 && stats.waiting == 0 && stats.idle == stats.size
        })
        .await;
        self.database.check().await.unwrap();
        assert_eq!(self.database.stats().size, 1);
    }

    fn is_postgres(&self) -> bool {
        self._folder.is_none()
    }

    async fn running(&self) -> i64 {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                   AND state = 'active' AND pid <> pg_backend_pid()";
        match one(&self.observer, sql).await {
            Value::Integer(count) => count,
            other => panic!("{other:?}"),
        }
    }
}

/// As many rows as asked for, on SQLite.
fn numbers(count: u64) -> String {
    format!(
        "WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c LIMIT {count}) \
         SELECT n FROM c"
    )
}

/// Reads of many minutes: the one waits, the others work.
const SQLITE_READ: &str = "SELECT count(*) FROM t a, t b, t c, t d";
const POSTGRES_SLEEP: &str = "SELECT pg_sleep(60)::text";
const POSTGRES_READ: &str = "SELECT count(*) FROM generate_series(1, 100000) a, \
                             generate_series(1, 100000) b WHERE a # b = 0";

/// Polls a statement for a while, sees it run, and drops it.
async fn give_up(world: &World, statement: impl Future) {
    tokio::select! {
        _ = statement => panic!("the statement ended by itself"),
        () = world.assert_running() => {}
    }
}

async fn give_up_read(world: &World, sql: &str) {
    give_up(world, async {
        let mut cursor = world.database.fetch_raw(sql, Vec::new()).await.unwrap();
        cursor.next(1).await.unwrap();
    })
    .await;
    world.assert_ended().await;
}

#[tokio::test]
async fn p5_a_read_whose_future_is_dropped_ends_at_sqlite() {
    let world = World::sqlite().await;
    for _ in 0..3 {
        give_up_read(&world, SQLITE_READ).await;
    }
}

#[tokio::test]
async fn p5_a_read_whose_future_is_dropped_ends_at_postgres() {
    let world = World::postgres().await;
    for sql in [POSTGRES_SLEEP, POSTGRES_READ] {
        give_up_read(&world, sql).await;
    }
}

#[tokio::test]
async fn p4_statements_that_are_given_up_keep_their_permits_until_the_server_has_noticed() {
    let url = postgres::url();
    let database = Database::connect(&url, &options(|it| it.pool.max_connections = 3)).await;
    let database = database.unwrap();
    let observer = connect(&url).await;
    let world = World { database, observer, _folder: None };
    let workers = Arc::new(Semaphore::new(2));
    let stranger = world.database.fenced(Fence { raw_sql: RawSql::Unfenced, ..Fence::default() });
    let stranger = stranger.unwrap().with_workers(Arc::clone(&workers));
    for _ in 0..20 {
        let slow = async {
            let mut cursor = stranger.fetch_raw(POSTGRES_SLEEP, vec![]).await.unwrap();
            cursor.next(1).await.unwrap();
        };
        assert!(timeout(Duration::from_millis(50), slow).await.is_err());
        assert!(world.running().await <= 2, "{}", world.running().await);
        // Others have the rest of the pool.
        let started = Instant::now();
        assert_eq!(one(&world.database, "SELECT 1").await, Value::Integer(1));
        assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
    }
    assert_eq!(workers.available_permits(), 0);
    assert_eq!(world.database.stats().acquired, 2);
    eventually("permits are free", || workers.available_permits() == 2).await;
    assert_eq!(world.database.stats().acquired, 0);
    assert_eq!(world.running().await, 0);
}

#[tokio::test]
async fn p5_a_write_whose_future_is_dropped_ends_and_leaves_nothing() {
    let insert = format!("INSERT INTO t {}", numbers(u64::from(u32::MAX)));
    let sleeping = "INSERT INTO t SELECT 1 FROM pg_sleep(60)";
    for (world, sql) in [(World::sqlite().await, &*insert), (World::postgres().await, sleeping)] {
        let before = one(&world.database, "SELECT count(*) FROM t").await;
        give_up(&world, world.database.execute_raw(sql, Vec::new())).await;
        world.assert_ended().await;
        assert_eq!(one(&world.observer, "SELECT count(*) FROM t").await, before);
    }
}

#[tokio::test]
async fn p5_a_statement_of_a_transaction_ends_with_it_when_its_future_is_dropped() {
    for (world, sql) in
        [(World::sqlite().await, SQLITE_READ), (World::postgres().await, POSTGRES_SLEEP)]
    {
        let before = one(&world.database, "SELECT count(*) FROM t").await;
        let transaction = world.database.begin(no_options()).await.unwrap();
        transaction.execute_raw("INSERT INTO t VALUES (7)", Vec::new()).await.unwrap();
        give_up(&world, transaction.execute_raw(sql, Vec::new())).await;
        world.assert_ended().await;
        let error = transaction.commit().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Cancelled, "{error}");
        assert_eq!(one(&world.observer, "SELECT count(*) FROM t").await, before);
    }
}

/// Something at once, and the last row in many minutes.
const SQLITE_ROWS: &str = "SELECT 1 AS n UNION ALL SELECT count(*) FROM t a, t b, t c, t d";
/// The server sends a row when the next ones fill its buffer.
const POSTGRES_ROWS: &str = "SELECT repeat('x', 9000) AS n FROM generate_series(1, 4) UNION ALL \
                             SELECT pg_sleep(60)::text";

async fn read_one(mut cursor: Cursor) -> Cursor {
    assert_eq!(cursor.next(1).await.unwrap().unwrap().rows, 1);
    cursor
}

#[tokio::test]
async fn p5_a_cursor_that_is_dropped_between_rows_ends_its_statement() {
    for (world, sql) in
        [(World::sqlite().await, SQLITE_ROWS), (World::postgres().await, POSTGRES_ROWS)]
    {
        let cursor = read_one(world.database.fetch_raw(sql, Vec::new()).await.unwrap()).await;
        world.assert_running().await;
        drop(cursor);
        world.assert_ended().await;
    }
}

#[tokio::test]
async fn p5_a_transaction_that_is_dropped_ends_the_statement_of_its_cursor() {
    for (world, sql) in
        [(World::sqlite().await, SQLITE_ROWS), (World::postgres().await, POSTGRES_ROWS)]
    {
        let transaction = world.database.begin(no_options()).await.unwrap();
        let cursor = read_one(transaction.fetch_raw(sql, Vec::new()).await.unwrap()).await;
        world.assert_running().await;
        drop(cursor);
        drop(transaction);
        world.assert_ended().await;
    }
}

#[tokio::test]
async fn p5_a_connection_to_sqlite_outlives_the_cursor_that_was_dropped() {
    let world = World::sqlite().await;
    run(&world.database, &["CREATE TABLE mark (n INTEGER)", "INSERT INTO mark VALUES (1)"]).await;
    let cursor = world.database.fetch_raw(SQLITE_ROWS, Vec::new()).await.unwrap();
    drop(read_one(cursor).await);
    world.assert_ended().await;
    // It is the same one, and runs what is long again.
    assert_eq!(one(&world.database, "SELECT total_changes()").await, Value::Integer(1));
    let long = format!("SELECT count(*) FROM ({})", numbers(100_000));
    assert_eq!(one(&world.database, &long).await, Value::Integer(100_000));
}

/// More than the server sends at once, and no more than is read in a moment.
const POSTGRES_FEW: &str = "SELECT n::bigint AS n FROM generate_series(1, 1000) AS n";

#[tokio::test]
async fn a_connection_to_postgres_outlives_a_cursor_that_is_dropped_near_its_end() {
    let world = World::postgres().await;
    let columns = vec![rows::column("n", ScalarType::Integer)];
    let plan = || rows::plan(Effect::Read, POSTGRES_FEW, vec![], columns.clone());
    let reader = Fence { read_only: true, ..Fence::default() };
    let reader = world.database.fenced(reader).unwrap();
    for attempt in 1.. {
        let before = backend(&world.database).await;
        drop(read_one(world.database.fetch_raw(POSTGRES_FEW, vec![]).await.unwrap()).await);
        for database in [&world.database, &reader] {
            let execution = rows::execution(plan(), vec![]);
            drop(read_one(database.fetch(execution).await.unwrap()).await);
        }
        // The machine may be so busy that a moment was too short.
        match backend(&world.database).await == before {
            true => break,
            false => assert!(attempt < 20, "no connection is kept"),
        }
    }
    world.assert_ended().await;

    let before = backend(&world.database).await;
    drop(read_one(world.database.fetch_raw(POSTGRES_ROWS, Vec::new()).await.unwrap()).await);
    assert_ne!(backend(&world.database).await, before, "nobody waits for the rest");
}

#[tokio::test]
async fn a_write_in_a_transaction_of_its_own_is_not_kept_because_its_cursor_is_dropped() {
    let world = World::postgres().await;
    let settings = [("app.tenant".to_owned(), "7".to_owned())].into();
    let writer = world.database.fenced(Fence { settings, ..Fence::default() }).unwrap();
    let columns = vec![rows::column("n", ScalarType::Integer)];
    let insert = format!("INSERT INTO t {POSTGRES_FEW} RETURNING n::bigint");
    let insert = rows::execution(rows::plan(Effect::Write, &insert, vec![], columns), vec![]);
    drop(read_one(writer.fetch(insert).await.unwrap()).await);
    world.assert_ended().await;
    assert_eq!(one(&world.observer, "SELECT count(*) FROM t").await, Value::Integer(0));
}

async fn backend(database: &Database) -> Value {
    one(database, "SELECT pg_backend_pid()").await
}

#[tokio::test]
async fn p5_postgres_is_told_to_watch_unless_the_session_is_shared_or_the_url_says_otherwise() {
    let url = postgres::url();
    let stated = format!("{url}?options=-c%20client_connection_check_interval%3D3s");
    let shared = options(|it| it.pool.statement_cache_capacity = Some(0));
    for (url, options, expected) in
        [(&url, &options(|_| {}), "500ms"), (&url, &shared, "0"), (&stated, &options(|_| {}), "3s")]
    {
        let database = Database::connect(url, options).await.unwrap();
        let found = one(&database, "SHOW client_connection_check_interval").await;
        assert_eq!(found, Value::Text(expected.into()));
    }
}

#[tokio::test]
async fn p5_a_write_that_waits_for_a_lock_and_is_given_up_does_not_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}?mode=rwc", folder.path().join("app.db").display());
    let long = Duration::from_secs(60);
    let patient = Database::connect(&url, &options(|it| it.sqlite.busy_timeout = long)).await;
    let patient = patient.unwrap();
    run(&patient, &["CREATE TABLE t (n INTEGER)"]).await;
    let other = connect(&url).await;
    let immediate = ferro_wit::types::TransactionOptions { immediate: true, ..no_options() };
    let lock = other.begin(immediate).await.unwrap();
    let write = patient.execute_raw("INSERT INTO t VALUES (1)", vec![]);
    assert!(timeout(Duration::from_millis(200), write).await.is_err());
    lock.rollback().await.unwrap();
    // Longer than SQLite waits between two attempts.
    for _ in 0..20 {
        sleep(Duration::from_millis(25)).await;
        assert_eq!(one(&other, "SELECT count(*) FROM t").await, Value::Integer(0));
    }
}

#[tokio::test]
async fn p5_what_cannot_be_stopped_leaves_the_other_connections_free() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}?mode=rwc", folder.path().join("app.db").display());
    let database = connect(&url).await;
    // Within this SQLite asks nobody: at each place of a text it compares thousands of letters.
    let slow = "SELECT printf('%.*c', ?, 'a') LIKE '%' || printf('%.*c', 9000, 'a') || 'b'";
    let read = async |length: i64| {
        let rows = database.fetch_raw(slow, vec![Value::Integer(length)]).await;
        rows.unwrap().next(1).await.map(drop)
    };
    // What has taken long is not tried on this thread again: the next one runs elsewhere.
    read(20_000).await.unwrap();
    for attempt in 1.. {
        assert!(read(200_000).now_or_never().is_none());
        assert_eq!(one(&database, "SELECT 1").await, Value::Integer(1));
        // This thread may have had to wait for a processor until the other one was done.
        match database.stats().size {
            2 => break,
            _ => assert!(attempt < 5, "the next one waited for it"),
        }
    }
}

#[tokio::test]
async fn p7_a_write_whose_rows_are_read_keeps_its_turn() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}?mode=rwc", folder.path().join("app.db").display());
    let database = connect(&url).await;
    run(&database, &["CREATE TABLE t (n INTEGER)"]).await;
    let insert = format!("INSERT INTO t {} RETURNING n", numbers(10_000));
    let rows = read_one(database.fetch_raw(&insert, vec![]).await.unwrap()).await;
    let workers = Arc::new(Semaphore::new(1));
    let next = database.with_workers(Arc::clone(&workers));
    let mut write = pin!(next.execute_raw("INSERT INTO t VALUES (7)", vec![]));
    assert!(timeout(Duration::from_millis(200), &mut write).await.is_err());
    assert_eq!(workers.available_permits(), 1, "who stands in line keeps no thread");
    drop(rows);
    assert_eq!(write.await, Ok(1));
}
