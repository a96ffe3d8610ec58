//! Pools: who has a connection, who waits, and what is left when it ends.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod rows;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ferro_driver::{ConnectOptions, Database, Databases, Stats};
use ferro_test_support::postgres::{self, Server};
use ferro_wit::plan::Effect;
use ferro_wit::types::{Error, ErrorKind, ScalarType, Value};

use support::{connect, eventually, no_options, one, options, run};

/// The same promise on both databases.
async fn both(options: &ConnectOptions) -> [Database; 2] {
    [
        Database::connect("sqlite::memory:", options).await.unwrap(),
        Database::connect(&postgres::url(), options).await.unwrap(),
    ]
}

#[tokio::test]
async fn a_new_pool_has_a_connection_for_the_first_statement() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}?mode=rwc", folder.path().join("a.db").display());
    for url in ["sqlite::memory:".to_owned(), file, postgres::url()] {
        let database = connect(&url).await;
        let ready = Stats { size: 1, idle: 1, acquired: 0, waiting: 0, max: 10 };
        assert_eq!(database.stats(), ready, "{url}");
        let transaction = database.begin(no_options()).await.unwrap();
        assert_eq!(database.stats(), Stats { idle: 0, acquired: 1, ..ready }, "another was opened");
        transaction.rollback().await.unwrap();
    }
}

/// A server that has no room for more is waited for, and so are the connections that there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_the_server_takes_a_connection_that_comes_back() {
    let url = postgres::url();
    let role = format!("{}_guest", support::name_of(&url));
    postgres::execute(&url, &format!("CREATE ROLE {role} LOGIN PASSWORD 'pw' CONNECTION LIMIT 2"));
    let options = options(|it| {
        it.pool.max_connections = 6;
        it.pool.acquire_timeout = Duration::from_secs(20);
    });
    let guest = support::with_user(&url, &format!("{role}:pw"));
    let database = Database::connect(&guest, &options).await.unwrap();
    let started = Instant::now();
    let statements = (0..6).map(|_| {
        let database = database.clone();
        tokio::spawn(async move { database.execute_raw("SELECT pg_sleep(0.5)", vec![]).await })
    });
    for statement in statements.collect::<Vec<_>>() {
        statement.await.unwrap().unwrap();
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    database.disconnect().await;
    postgres::execute(&url, &format!("DROP ROLE {role}"));
}

#[tokio::test]
async fn stats_tell_who_has_a_connection_and_who_waits() {
    for database in both(&options(|it| it.pool.max_connections = 2)).await {
        let first = database.begin(no_options()).await.unwrap();
        let second = database.begin(no_options()).await.unwrap();
        let full = Stats { size: 2, idle: 0, acquired: 2, waiting: 0, max: 2 };
        assert_eq!(database.stats(), full);
        let waiting = tokio::spawn({
            let database = database.clone();
            async move { database.check().await }
        });
        eventually("waiting", || database.stats() == Stats { waiting: 1, ..full }).await;
        first.commit().await.unwrap();
        waiting.await.unwrap().unwrap();
        drop(second);
        eventually("rest", || {
            let stats = database.stats();
            stats.acquired == 0 && stats.waiting == 0 && stats.idle == stats.size
        })
        .await;
    }
}

#[tokio::test]
async fn p4_waiting_ends_in_busy_which_names_the_pool() {
    let options = options(|it| {
        it.pool.max_connections = 1;
        // Opening a connection to a busy machine has to fit in, too.
        it.pool.acquire_timeout = Duration::from_millis(1500);
    });
    for url in ["sqlite::memory:".to_owned(), postgres::url()] {
        let databases = Databases::new();
        let database = databases.connect("books", &url, &options).await.unwrap();
        let holder = database.begin(no_options()).await.unwrap();
        let error = database.check().await.unwrap_err();
        assert_eq!((error.kind, error.retryable), (ErrorKind::Busy, true), "{error}");
        assert_eq!(error.code.as_deref(), Some(Error::POOL_TIMEOUT));
        for part in ["`books`", "1.5s", "all 1"] {
            assert!(error.message.contains(part), "{error}");
        }
        assert_eq!(database.stats().waiting, 0);
        holder.rollback().await.unwrap();
        assert!(database.check().await.is_ok());
    }
}

#[tokio::test]
async fn a_caller_who_stops_waiting_is_not_counted_any_more() {
    for database in both(&options(|it| it.pool.max_connections = 1)).await {
        let holder = database.begin(no_options()).await.unwrap();
        let cancelled = tokio::time::timeout(Duration::from_millis(50), database.check()).await;
        assert!(cancelled.is_err());
        assert_eq!(database.stats().waiting, 0);
        drop(holder);
        assert!(database.check().await.is_ok());
    }
}

#[tokio::test]
async fn disconnecting_waits_for_what_runs() {
    for database in both(&options(|_| {})).await {
        run(&database, &["CREATE TABLE t (id INTEGER)"]).await;
        let running = database.begin(no_options()).await.unwrap();
        let closing = tokio::spawn({
            let database = database.clone();
            async move { database.disconnect().await }
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!closing.is_finished());
        let error = database.check().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::ConnectionFailed);
        assert!(error.message.contains("disconnected"), "{error}");
        running.execute_raw("INSERT INTO t VALUES (1)", Vec::new()).await.unwrap();
        running.commit().await.unwrap();
        closing.await.unwrap();
        assert_eq!(database.stats().size, 0);
        // Twice does no harm.
        database.disconnect().await;
    }
}

#[tokio::test]
async fn disconnecting_answers_those_who_wait() {
    for database in both(&options(|it| it.pool.max_connections = 1)).await {
        let holder = database.begin(no_options()).await.unwrap();
        let waiting = tokio::spawn({
            let database = database.clone();
            async move { database.check().await }
        });
        eventually("waiting", || database.stats().waiting == 1).await;
        let closing = tokio::spawn({
            let database = database.clone();
            async move { database.disconnect().await }
        });
        let error = waiting.await.unwrap().unwrap_err();
        assert_eq!(error.kind, ErrorKind::ConnectionFailed);
        drop(holder);
        closing.await.unwrap();
    }
}

#[tokio::test]
async fn p4_p6_a_server_that_went_away_is_told_at_once_and_found_again() {
    let mut server = Server::start_without_tls().unwrap();
    let options = options(|it| it.pool.acquire_timeout = Duration::from_secs(60));
    let database = Database::connect(server.url(), &options).await.unwrap();
    database.check().await.unwrap();
    server.stop().unwrap();
    for _ in 0..2 {
        let start = Instant::now();
        let error = database.check().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::ConnectionFailed, "{error}");
        assert!(error.message.contains("check that it runs"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        assert_eq!(database.stats().acquired, 0);
    }
    server.resume().unwrap();
    database.check().await.unwrap();
}

#[tokio::test]
async fn check_is_a_round_trip_and_gives_its_time() {
    for database in both(&options(|_| {})).await {
        let time = database.check().await.unwrap();
        assert!(time > Duration::ZERO && time < Duration::from_secs(5), "{time:?}");
        assert_eq!(database.stats().acquired, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p7_memory_is_one_database_for_readers_and_writers_at_once() {
    let database = connect("sqlite::memory:").await;
    run(&database, &["CREATE TABLE t (writer INTEGER, n INTEGER)"]).await;
    let mut tasks = Vec::new();
    for writer in 0..5 {
        let database = database.clone();
        tasks.push(tokio::spawn(async move {
            for n in 0..40 {
                run(&database, &[&format!("INSERT INTO t VALUES ({writer}, {n})")]).await;
            }
        }));
    }
    for _ in 0..5 {
        let database = database.clone();
        tasks.push(tokio::spawn(async move {
            for _ in 0..40 {
                one(&database, "SELECT count(*) FROM t").await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(one(&database, "SELECT count(*) FROM t").await, Value::Integer(200));
    assert!(database.stats().size > 1, "{:?}", database.stats());
}

#[tokio::test]
async fn p7_memory_has_readers_side_by_side() {
    let database = connect("sqlite::memory:").await;
    run(&database, &["CREATE TABLE t (n INTEGER)", "INSERT INTO t VALUES (1), (2)"]).await;
    let mut cursors = Vec::new();
    for _ in 0..4 {
        let mut cursor = database.fetch_raw("SELECT n FROM t", Vec::new()).await.unwrap();
        assert_eq!(cursor.next(1).await.unwrap().unwrap().rows, 1);
        cursors.push(cursor);
    }
    assert_eq!(database.stats().acquired, 4);
    for mut cursor in cursors {
        assert_eq!(cursor.next(1).await.unwrap().unwrap().rows, 1);
    }
}

#[tokio::test]
async fn p7_memory_outlives_its_connections_and_is_nobody_elses() {
    let options = options(|it| {
        it.pool.max_lifetime = Some(Duration::from_millis(20));
        it.pool.idle_timeout = Some(Duration::from_millis(20));
    });
    let database = Database::connect("sqlite::memory:", &options).await.unwrap();
    run(&database, &["CREATE TABLE t (n INTEGER)"]).await;
    eventually("closing of idle connections", || database.stats().size == 0).await;
    assert_eq!(one(&database, "SELECT count(*) FROM t").await, Value::Integer(0));
    let other = Database::connect("sqlite::memory:", &options).await.unwrap();
    let error = other.execute_raw("SELECT * FROM t", Vec::new()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::UndefinedObject);
}

#[tokio::test]
async fn what_is_set_on_sqlite_is_set_on_every_connection() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}?mode=rwc", folder.path().join("app.db").display());
    let on = connect(&url).await;
    for (sql, expected) in [
        ("PRAGMA foreign_keys", Value::Integer(1)),
        ("PRAGMA journal_mode", Value::Text("wal".into())),
        ("PRAGMA trusted_schema", Value::Integer(0)),
        ("SELECT 'a' LIKE 'A'", Value::Integer(0)),
        ("SELECT '10' > '9' COLLATE ferro_decimal", Value::Integer(1)),
        ("SELECT '1.50' = '1.5' COLLATE ferro_decimal", Value::Integer(1)),
        (
            "SELECT max(column1 COLLATE ferro_decimal) FROM (VALUES ('9'), ('NaN'), ('10'))",
            Value::Text("NaN".into()),
        ),
    ] {
        assert_eq!(one(&on, sql).await, expected, "`{sql}`");
    }
    on.disconnect().await;
    let options = options(|it| {
        it.sqlite.foreign_keys = false;
        it.sqlite.wal = false;
        it.sqlite.busy_timeout = Duration::from_millis(7);
    });
    let url = format!("sqlite:{}?mode=rwc", folder.path().join("other.db").display());
    let off = Database::connect(&url, &options).await.unwrap();
    for (sql, expected) in [
        ("PRAGMA foreign_keys", Value::Integer(0)),
        ("PRAGMA journal_mode", Value::Text("delete".into())),
    ] {
        assert_eq!(one(&off, sql).await, expected, "`{sql}`");
    }
}

#[test]
fn what_a_pool_lent_may_be_dropped_on_any_thread() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for min_connections in [0, 1] {
        let options = options(|it| it.pool.min_connections = min_connections);
        let [sqlite, postgres] = runtime.block_on(both(&options));
        for database in [sqlite, postgres] {
            let transaction = runtime.block_on(database.begin(no_options())).unwrap();
            std::thread::spawn(move || drop(transaction)).join().unwrap();
            let held = || database.stats().acquired;
            runtime.block_on(eventually("return", || held() == 0));
            assert!(runtime.block_on(database.check()).is_ok());
            std::thread::spawn(move || drop(database)).join().unwrap();
        }
    }
}

#[test]
fn what_a_pool_lent_may_outlive_the_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let options = options(|it| it.pool.min_connections = 1);
    let databases = runtime.block_on(both(&options));
    let lent: Vec<_> =
        databases.iter().map(|it| runtime.block_on(it.begin(no_options())).unwrap()).collect();
    drop(runtime);
    drop(lent);
    drop(databases);
}

/// Reads, transactions and writes, each on whichever connection is there.
async fn use_everything(database: &Database) {
    assert_eq!(one(database, "SELECT 7").await, Value::Integer(7));
    let transaction = database.begin(no_options()).await.unwrap();
    transaction.execute_raw("UPDATE t SET n = n + 1", vec![]).await.unwrap();
    transaction.commit().await.unwrap();
    database.execute_raw("UPDATE t SET n = n + 1", vec![]).await.unwrap();
}

#[tokio::test]
async fn p6_connections_that_died_at_hand_are_replaced_in_silence() {
    let url = ferro_test_support::postgres::url();
    let database =
        Database::connect(&url, &options(|it| it.pool.max_connections = 4)).await.unwrap();
    let killer = connect(&url).await;
    run(&database, &["CREATE TABLE t (n int)", "INSERT INTO t VALUES (0)"]).await;
    let kill = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity \
                WHERE datname = current_database() AND pid <> pg_backend_pid() \
                AND backend_type = 'client backend'";
    for _ in 0..10 {
        // All of them are at hand.
        let held = [(); 4].map(|()| database.begin(no_options()));
        drop(futures_util::future::join_all(held).await);
        eventually("rest", || database.stats().acquired == 0).await;
        use_everything(&database).await;
        assert!(matches!(one(&killer, kill).await, Value::Integer(1..)));
        use_everything(&database).await;
    }
    assert_eq!(one(&database, "SELECT n FROM t").await, Value::Integer(40));
}

#[tokio::test]
async fn p4_a_transaction_that_begins_on_a_dead_connection_gives_its_permit_back_first() {
    let url = postgres::url();
    let killer = connect(&url).await;
    let database =
        Database::connect(&url, &options(|it| it.pool.max_connections = 1)).await.unwrap();
    let columns = vec![rows::column("pid", ScalarType::Integer)];
    let pid = "SELECT pg_backend_pid()::bigint AS pid";
    let pid = rows::execution(rows::plan(Effect::Read, pid, vec![], columns), vec![]);
    let pid = rows::rows(database.fetch(pid).await.unwrap()).await.remove(0);
    rows::raw(&killer, "SELECT pg_terminate_backend($1::int, 10000)", pid).await;
    let transaction = database.begin(no_options()).await.unwrap();
    transaction.execute_raw("SELECT 1", vec![]).await.unwrap();
    transaction.commit().await.unwrap();
}

/// Statements, transactions and waits go on while two roles get new passwords in turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_is_replaced_under_load_and_nobody_notices() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}?mode=rwc", folder.path().join("a.db").display());
    let server = postgres::url();
    let role = |number: i32| format!("{}_rotated{}", support::name_of(&server), number % 2);
    postgres::execute(&server, "CREATE TABLE rotated (n INTEGER)");
    for number in 0..2 {
        let role = role(number);
        postgres::execute(&server, &format!("CREATE ROLE {role} LOGIN PASSWORD 'pw{number}'"));
        postgres::execute(&server, &format!("GRANT SELECT, INSERT ON rotated TO {role}"));
    }
    let few = options(|it| it.pool.max_connections = 2);
    for is_server in [false, true] {
        let url = |number: i32| match is_server {
            true => support::with_user(&server, &format!("{}:pw{number}", role(number))),
            false => file.clone(),
        };
        let databases = Databases::new();
        let database = databases.connect("app", &url(0), &few).await.unwrap();
        if !is_server {
            run(&database, &["CREATE TABLE rotated (n INTEGER)"]).await;
        }
        let stop = Arc::new(AtomicBool::new(false));
        // More than there are connections, so that some always wait.
        let callers = (0..5).map(|caller| {
            let (database, stop) = (database.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut written = 0;
                while !stop.load(Ordering::Relaxed) {
                    let insert = "INSERT INTO rotated VALUES (1)";
                    if caller == 0 {
                        let transaction = database.begin(no_options()).await?;
                        transaction.execute_raw("SELECT 1", vec![]).await?;
                        transaction.execute_raw(insert, vec![]).await?;
                        transaction.commit().await?;
                    } else {
                        database.execute_raw(insert, vec![]).await?;
                    }
                    written += 1;
                }
                Ok::<i64, Error>(written)
            })
        });
        let callers: Vec<_> = callers.collect();
        for number in 1..6 {
            if is_server {
                let sql = format!("ALTER ROLE {} PASSWORD 'pw{number}'", role(number));
                postgres::execute(&server, &sql);
            }
            databases.replace("app", &url(number), &few).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        stop.store(true, Ordering::Relaxed);
        let mut written = 0;
        for caller in callers {
            written += caller.await.unwrap().unwrap();
        }
        let stored = one(&database, "SELECT count(*) FROM rotated").await;
        assert_eq!(stored, Value::Integer(written));
        assert_eq!(databases.default_label().as_deref(), Some("app"));
        assert_eq!(database.stats().acquired, 0);
        if is_server {
            let old = role(4);
            let count = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{old}'");
            let watcher = connect(&server).await;
            // The server takes a moment to notice the last farewell.
            while one(&watcher, &count).await != Value::Integer(0) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        databases.disconnect_all().await;
    }
}

#[tokio::test]
async fn a_transaction_ends_in_the_pool_that_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}?mode=rwc", folder.path().join("a.db").display());
    for url in [file, postgres::url()] {
        let databases = Databases::new();
        let one_connection = options(|it| it.pool.max_connections = 1);
        let database = databases.connect("app", &url, &one_connection).await.unwrap();
        run(&database, &["CREATE TABLE t (n INTEGER)"]).await;
        let transaction = database.begin(no_options()).await.unwrap();
        let waiting = tokio::spawn({
            let database = database.clone();
            async move { database.check().await }
        });
        eventually("waiting", || database.stats().waiting == 1).await;
        let replacing = tokio::spawn({
            let databases = databases.clone();
            async move { databases.replace("app", &url, &options(|_| {})).await }
        });
        waiting.await.unwrap().unwrap();
        assert!(!replacing.is_finished());
        assert_eq!(database.stats().max, 10);
        transaction.execute_raw("INSERT INTO t VALUES (1)", vec![]).await.unwrap();
        transaction.commit().await.unwrap();
        replacing.await.unwrap().unwrap();
        assert_eq!(one(&database, "SELECT count(*) FROM t").await, Value::Integer(1));
    }
}

#[tokio::test]
async fn a_pool_that_was_closed_is_not_replaced() {
    let (databases, options) = (Databases::new(), options(|_| {}));
    let database = databases.connect("app", "sqlite::memory:", &options).await.unwrap();
    database.disconnect().await;
    let replaced = databases.replace("app", "sqlite::memory:", &options).await;
    assert_eq!(replaced.unwrap_err().kind, ErrorKind::ConnectionFailed);
    assert_eq!(database.check().await.unwrap_err().kind, ErrorKind::ConnectionFailed);
}

#[tokio::test]
async fn a_pool_that_cannot_be_replaced_stays() {
    let folder = tempfile::tempdir().unwrap();
    let missing = format!("sqlite:{}", folder.path().join("missing.db").display());
    let server = postgres::url();
    let wrong = support::with_user(&server, "nobody:wrong");
    for (url, others) in [
        ("sqlite::memory:", [missing.as_str(), &server]),
        (&server, [wrong.as_str(), "sqlite::memory:"]),
    ] {
        let databases = Databases::new();
        let database = databases.connect("app", url, &options(|_| {})).await.unwrap();
        for other in others {
            databases.replace("app", other, &options(|_| {})).await.unwrap_err();
            database.check().await.unwrap();
        }
        let error = databases.replace("other", url, &options(|_| {})).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    }
    let databases = Databases::new();
    let database = databases.connect("app", &server, &options(|_| {})).await.unwrap();
    let pooled = options(|it| it.pool.statement_cache_capacity = Some(0));
    let error = databases.replace("app", &server, &pooled).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidConfiguration, "{error}");
    database.check().await.unwrap();
}
