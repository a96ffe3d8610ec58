//! The network drops connections without a word: whoever waits hears of it, and the pool goes on.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod proxy;
mod rows;
mod support;

use std::time::{Duration, Instant};

use ferro_driver::{ConnectOptions, Database, Execution};
use ferro_test_support::postgres;
use ferro_wit::plan::Effect;
use ferro_wit::types::{ErrorKind, ScalarType, Value};
use tokio::time::{sleep, timeout};

use proxy::{Network, forgetful};
use rows::{column, count, execution, plan};
use support::{connect, eventually, no_options, one, options, run};

/// How long a server may be silent before it is asked.
const SILENCE: Duration = Duration::from_millis(400);
/// Long after all that is waited for.
const LONG: Duration = Duration::from_secs(20);

async fn pool(change: impl FnOnce(&mut ConnectOptions)) -> (Database, Network) {
    let (url, network) = forgetful(&postgres::url()).await;
    (Database::connect(&url, &options(change)).await.unwrap(), network)
}

/// So many connections are open, and nobody has them.
async fn warm(database: &Database, connections: u32) {
    let held = (0..connections).map(|_| database.begin(no_options()));
    drop(futures_util::future::join_all(held).await);
    eventually("rest", || database.stats().acquired == 0).await;
    assert_eq!(database.stats().idle, connections);
}

fn read(sql: &str) -> Execution {
    execution(plan(Effect::Read, sql, vec![], vec![column("n", ScalarType::Integer)]), vec![])
}

fn write(sql: &str) -> Execution {
    execution(plan(Effect::Write, sql, vec![], vec![]), vec![])
}

#[tokio::test]
async fn n3_a_silent_connection_behind_tls_keeps_no_place_when_its_time_has_come() {
    let term = Some(Duration::from_secs(3));
    let aged = async |idle, life| {
        let (url, network) = forgetful(&postgres::with_tls().0).await;
        let options = options(|it| {
            it.pool.max_connections = 1;
            it.pool.acquire_timeout = Duration::from_secs(4);
            it.pool.idle_timeout = idle;
            it.pool.max_lifetime = life;
        });
        let url = url.replace("disable", "require");
        let database = Database::connect(&url, &options).await.unwrap();
        // It has been idle for a while, and then it falls silent.
        sleep(Duration::from_millis(2200)).await;
        assert_eq!(database.stats().size, 1);
        network.forget();
        sleep(Duration::from_secs(3)).await;
        database.check().await.unwrap();
        // Whatever looks after connections lives on.
        eventually("the end of the next one", || database.stats().size == 0).await;
    };
    tokio::join!(aged(term, None), aged(None, term));
}

#[tokio::test]
async fn as_many_as_are_kept_open_are_opened_again_and_no_more() {
    let (database, network) = pool(|it| {
        it.pool.min_connections = 2;
        it.pool.idle_timeout = Some(Duration::from_millis(100));
        it.pool.acquire_timeout = Duration::from_secs(2);
    })
    .await;
    eventually("two", || database.stats().idle == 2).await;
    warm(&database, 4).await;
    eventually("two again", || database.stats().idle == 2).await;
    sleep(Duration::from_millis(1500)).await;
    assert_eq!(database.stats().size, 2);
    // What is dead is replaced without anybody's asking.
    network.forget();
    database.check().await.unwrap();
    eventually("two living ones", || database.stats().idle == 2).await;
    database.disconnect().await;
    assert_eq!(database.stats().size, 0);
}

#[tokio::test]
async fn p6_connections_that_fell_silent_at_hand_are_replaced_within_the_time_for_one() {
    let (database, network) = pool(|it| {
        it.pool.max_connections = 8;
        it.pool.acquire_timeout = Duration::from_secs(3);
    })
    .await;
    run(&database, &["CREATE TABLE t (n int)"]).await;
    // A write is not sent on a connection that has given no sign of life, however short it was idle:
    // through a network, nobody can see that the server has left it open.
    for (round, idle) in [Duration::ZERO, Duration::from_millis(1100)].into_iter().enumerate() {
        warm(&database, 8).await;
        sleep(idle).await;
        network.forget();
        let start = Instant::now();
        database.execute(write("INSERT INTO t VALUES (1)")).await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        // The others were closed with the first, and cost nobody anything.
        let start = Instant::now();
        for _ in 0..8 {
            database.execute(write("INSERT INTO t VALUES (1)")).await.unwrap();
        }
        assert!(start.elapsed() < Duration::from_millis(1400), "{:?}", start.elapsed());
        assert_eq!(count(&database, "t").await, 9 * (i64::try_from(round).unwrap() + 1));
    }
    // A server that cannot be reached takes one time, not one for each connection.
    warm(&database, 8).await;
    network.vanish();
    for check in [false, true] {
        let start = Instant::now();
        let error = match check {
            true => database.check().await.unwrap_err(),
            false => database.execute(write("INSERT INTO t VALUES (1)")).await.unwrap_err(),
        };
        assert_eq!(error.kind, ErrorKind::ConnectionFailed, "{error}");
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn n3_a_statement_on_a_silent_connection_ends_once_the_server_works_on_it_no_more() {
    let url = postgres::url();
    let direct = connect(&url).await;
    let (url, network) = forgetful(&url).await;
    let options = options(|it| it.pool.silence_timeout = Some(2 * SILENCE));
    let database = Database::connect(&url, &options).await.unwrap();
    run(&database, &["CREATE TABLE t (n int)"]).await;
    let transaction = database.begin(no_options()).await.unwrap();
    transaction.execute(write("INSERT INTO t VALUES (1)")).await.unwrap();
    let other = database.begin(no_options()).await.unwrap();
    let text = database.execute_raw("INSERT INTO t SELECT 2 FROM pg_sleep(2)", vec![]);
    let planned = database.execute(write("INSERT INTO t SELECT 3 FROM pg_sleep(2)"));
    let reading = async {
        let mut cursor = database.fetch(read("SELECT 4 FROM pg_sleep(2)")).await?;
        cursor.next(10).await
    };
    let network = async {
        let sleeping = "pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(2)%' \
                        AND pid <> pg_backend_pid() AND datname = current_database()";
        while count(&direct, sleeping).await < 3 {
            sleep(Duration::from_millis(10)).await;
        }
        network.forget();
        // Both are sent into the void.
        let committed = transaction.commit();
        let rolled_back = other.rollback();
        tokio::join!(committed, rolled_back)
    };
    let all = async { tokio::join!(text, planned, reading, network) };
    let (text, planned, reading, (committed, rolled_back)) =
        timeout(LONG, all).await.expect("all of them end");
    for error in [text.unwrap_err(), planned.unwrap_err()] {
        assert_eq!(error.kind, ErrorKind::ConnectionFailed, "{error}");
        assert!(error.message.contains("no longer working on it"), "{error}");
    }
    // What only reads is sent again.
    assert_eq!(reading.unwrap().unwrap().columns[0].get(0), Some(Value::Integer(4)));
    assert_eq!(committed.unwrap_err().kind, ErrorKind::OutcomeUnknown);
    rolled_back.unwrap();
    assert_eq!(database.stats().acquired, 0);
    database.check().await.unwrap();
}

#[tokio::test]
async fn n3_a_pool_ends_though_its_statements_and_the_whole_network_are_silent() {
    let (database, network) = pool(|it| {
        it.pool.silence_timeout = Some(SILENCE);
        it.pool.connect_timeout = Duration::from_secs(1);
    })
    .await;
    let slow = tokio::spawn({
        let database = database.clone();
        async move { database.execute_raw("SELECT pg_sleep(1)", vec![]).await }
    });
    sleep(Duration::from_millis(300)).await;
    network.vanish();
    timeout(LONG, database.disconnect()).await.expect("there is an end");
    let error = slow.await.unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::ConnectionFailed, "{error}");
}

#[tokio::test]
async fn n3_rows_that_stop_coming_end_the_cursor() {
    let (database, network) = pool(|it| it.pool.silence_timeout = Some(SILENCE)).await;
    let sql = "SELECT n::bigint AS n, repeat('x', 1000) FROM generate_series(1, 100000) AS n";
    let mut cursor = database.fetch_raw(sql, vec![]).await.unwrap();
    assert_eq!(cursor.next(1).await.unwrap().unwrap().rows, 1);
    network.forget();
    let rest = async {
        loop {
            match cursor.next(1000).await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the network has lost rows"),
                Err(error) => return error,
            }
        }
    };
    let error = timeout(LONG, rest).await.expect("there is an end");
    assert_eq!(error.kind, ErrorKind::ConnectionFailed, "{error}");
}

#[tokio::test]
async fn who_gets_a_place_when_the_time_is_nearly_over_hears_that_the_pool_was_busy() {
    let (database, network) = pool(|it| {
        it.pool.max_connections = 1;
        it.pool.acquire_timeout = Duration::from_secs(1);
    })
    .await;
    let busy =
        timeout(Duration::from_millis(800), database.execute_raw("SELECT pg_sleep(60)", vec![]));
    let (gave_up, error) = tokio::join!(busy, async {
        eventually("a statement", || database.stats().acquired == 1).await;
        network.vanish();
        database.execute_raw("SELECT 1", vec![]).await.unwrap_err()
    });
    assert!(gave_up.is_err());
    assert_eq!(error.kind, ErrorKind::Busy, "{error}");
}

#[tokio::test]
async fn a_statement_may_take_as_long_as_the_server_works_on_it() {
    let url = postgres::url();
    let short = |it: &mut ConnectOptions| it.pool.silence_timeout = Some(SILENCE / 2);
    let hidden = format!("{url}?options=-c%20track_activities%3Doff");
    let pooled = |it: &mut ConnectOptions| {
        short(it);
        it.pool.statement_cache_capacity = Some(0);
    };
    let long = "SELECT 7::bigint AS n FROM pg_sleep(1)";
    for (url, options) in
        [(&url, options(short)), (&url, options(pooled)), (&hidden, options(short))]
    {
        let database = Database::connect(url, &options).await.unwrap();
        assert_eq!(one(&database, long).await, Value::Integer(7));
        let transaction = database.begin(no_options()).await.unwrap();
        transaction.execute(write("DO $$BEGIN PERFORM pg_sleep(1); END$$")).await.unwrap();
        transaction.commit().await.unwrap();
        // One that waits for another is at work, too.
        run(&database, &["CREATE TABLE IF NOT EXISTS t (n int)"]).await;
        let first = database.begin(no_options()).await.unwrap();
        first.execute_raw("LOCK t", vec![]).await.unwrap();
        let (second, ()) =
            tokio::join!(database.execute(write("INSERT INTO t VALUES (1)")), async {
                sleep(Duration::from_secs(1)).await;
                first.rollback().await.unwrap();
            });
        assert_eq!(second.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_server_without_room_for_the_question_is_believed() {
    let url = postgres::url();
    let name = support::name_of(&url);
    let role = format!("{name}_single");
    postgres::execute(&url, &format!("CREATE ROLE {role} LOGIN PASSWORD 'pw' CONNECTION LIMIT 1"));
    let options = options(|it| it.pool.silence_timeout = Some(SILENCE / 2));
    let url = support::with_user(&url, &format!("{role}:pw"));
    let database = Database::connect(&url, &options).await.unwrap();
    let long = "SELECT 7::bigint AS n FROM pg_sleep(1)";
    assert_eq!(one(&database, long).await, Value::Integer(7));
}
