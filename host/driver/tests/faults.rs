//! The network fails at every point of a conversation: what was promised holds, and the pool goes on.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod proxy;
mod rows;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ferro_driver::{Database, Fence, RawSql};
use ferro_test_support::postgres;
use ferro_wit::plan::{Effect, MigrationStep, Risk};
use ferro_wit::types::{Error, ErrorKind, TransactionOptions};

use proxy::{Fate, Sender, through};
use rows::{count, execution, plan};
use support::{connect, options, run};

const INSERT: &str = "INSERT INTO t VALUES (1)";

async fn with_table() -> (Database, String) {
    let url = postgres::url();
    let direct = connect(&url).await;
    run(&direct, &["CREATE TABLE t (n int)"]).await;
    (direct, url)
}

fn insert() -> ferro_driver::Execution {
    execution(plan(Effect::Write, INSERT, vec![], vec![]), vec![])
}

#[tokio::test]
async fn p3_what_may_have_written_is_not_sent_again() {
    for fate in [Fate::Cut, Fate::CutBefore] {
        let (direct, url) = with_table().await;
        let armed = Arc::new(AtomicBool::new(false));
        let trigger = Arc::clone(&armed);
        let url = through(&url, move |sender, bytes| {
            // The message that runs a prepared statement, with the one that asks for the answer.
            let runs = bytes.windows(5).any(|it| it == b"E\0\0\0\x09");
            match sender == Sender::Client && runs && trigger.swap(false, Ordering::SeqCst) {
                true => fate,
                false => Fate::Pass,
            }
        });
        let pool = Database::connect(&url.await, &options(|_| {})).await.unwrap();
        let mut written = 0;
        for attempt in 0..3 {
            armed.store(true, Ordering::SeqCst);
            let error = match attempt {
                0 => pool.execute(insert()).await.unwrap_err(),
                1 => pool.execute_raw(INSERT, vec![]).await.unwrap_err(),
                _ => {
                    let returning = format!("{INSERT} RETURNING n");
                    pool.fetch_raw(&returning, vec![]).await.unwrap_err()
                }
            };
            assert_eq!(error.kind, ErrorKind::ConnectionFailed, "{error}");
            assert!(!armed.load(Ordering::SeqCst), "the network did fail");
            written += i64::from(fate == Fate::Cut);
            assert_eq!(count(&direct, "t").await, written, "{fate:?}, attempt {attempt}");
        }
        assert!(pool.check().await.is_ok());
    }
}

#[tokio::test]
async fn what_went_wrong_is_said_where_undoing_it_fails_too() {
    let (direct, url) = with_table().await;
    let url = through(&url, |sender, bytes| {
        match sender == Sender::Client && bytes.windows(8).any(|it| it == b"ROLLBACK") {
            true => Fate::CutBefore,
            false => Fate::Pass,
        }
    });
    let pool = Database::connect(&url.await, &options(|_| {})).await.unwrap();
    let steps = [INSERT, "INSERT INTO nowhere VALUES (1)"].map(|sql| MigrationStep {
        sql: sql.into(),
        description: "Add a row".into(),
        risk: Risk::Safe,
        reason: None,
        transactional: true,
    });
    let error = pool.apply(&steps).await.unwrap_err();
    assert_eq!(error.code.as_deref(), Some("42P01"), "{error}");
    assert_eq!(count(&direct, "t").await, 0);
}

#[tokio::test]
async fn a_check_ends_where_whoever_lets_us_in_answers_nothing() {
    // As a pooler that is paused: only what is asked later is kept.
    let paused = Arc::new(AtomicBool::new(false));
    let keeps = Arc::clone(&paused);
    let url = postgres::url();
    let url = through(&url, move |sender, bytes| {
        let asks = sender == Sender::Client && bytes.windows(8).any(|it| it == b"SELECT 1");
        match asks && keeps.load(Ordering::SeqCst) {
            true => Fate::Lose,
            false => Fate::Pass,
        }
    });
    let moment = Duration::from_millis(300);
    let options = options(|it| it.pool.acquire_timeout = moment);
    let pool = Database::connect(&url.await, &options).await.unwrap();
    assert!(pool.check().await.is_ok());
    paused.store(true, Ordering::SeqCst);
    let answer = tokio::time::timeout(Duration::from_secs(20), pool.check()).await;
    let error = answer.expect("there is an end").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Timeout, "{error}");
    assert!(error.message.ends_with("gave no answer within 300ms"), "{error}");
    paused.store(false, Ordering::SeqCst);
    assert!(pool.check().await.is_ok());
    assert_eq!(pool.stats().acquired, 0);
}

/// How a conversation about one row ended.
async fn converse(pool: &Database) -> Result<(), Error> {
    let transaction = pool.begin(TransactionOptions::default()).await?;
    transaction.execute(insert()).await?;
    let savepoint = transaction.begin(TransactionOptions::default()).await?;
    savepoint.execute_raw("SELECT 1", vec![]).await?;
    savepoint.commit().await?;
    transaction.commit().await
}

#[tokio::test]
async fn p1_p2_n3_wherever_the_connection_ends_a_row_is_there_if_and_only_if_it_was_committed() {
    let (direct, url) = with_table().await;
    for fenced in [false, true] {
        for point in 0.. {
            run(&direct, &["DELETE FROM t"]).await;
            // From here on, which of the messages to either side is the last.
            let left = Arc::new(AtomicUsize::new(usize::MAX));
            let counter = Arc::clone(&left);
            let url = through(&url, move |_, _| {
                match counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |it| {
                    (it != usize::MAX).then(|| it.wrapping_sub(1))
                }) {
                    Ok(0) => Fate::Cut,
                    _ => Fate::Pass,
                }
            });
            let options = options(|it| it.pool.max_connections = 1);
            let pool = Database::connect(&url.await, &options).await.unwrap();
            let caller = match fenced {
                true => {
                    pool.fenced(Fence { raw_sql: RawSql::Unfenced, ..Fence::default() }).unwrap()
                }
                false => pool.clone(),
            };
            left.store(point, Ordering::SeqCst);
            let outcome = converse(&caller).await;
            let reached = left.swap(usize::MAX, Ordering::SeqCst) > point;
            // The server may need a moment to see that the connection has ended.
            let rows = settled(&direct).await;
            match &outcome {
                Ok(()) => assert_eq!(rows, 1, "{fenced}, {point}"),
                Err(error) if error.kind == ErrorKind::OutcomeUnknown => {}
                Err(error) => assert_eq!(rows, 0, "{fenced}, {point}: {error}"),
            }
            pool.check().await.unwrap_or_else(|error| panic!("{fenced}, {point}: {error}"));
            assert_eq!(pool.stats().acquired, 0);
            if !reached {
                assert!(point > 8, "there was a conversation of {point} messages");
                break;
            }
        }
    }
}

/// How many rows there are once nobody else has a transaction open.
async fn settled(direct: &Database) -> i64 {
    let others = "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
                  AND state <> 'idle'";
    for _ in 0..200 {
        if count(direct, others).await == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    count(direct, "t").await
}
