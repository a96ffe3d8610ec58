//! What still runs when the time of its transaction is over.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::time::Duration;

use ferro_driver::{Database, Fence, RawSql, Transaction};
use ferro_test_support::postgres;
use ferro_wit::types::{Error, ErrorKind, TransactionOptions};
use tempfile::TempDir;
use tokio::time::{sleep_until, timeout};

use support::{connect, no_options, run};

const OVER: &str = "the time limit of the transaction has passed, and it was rolled back";

/// Databases with three rows, and the same for a caller whose transactions have little time.
async fn both() -> ([(Database, Database); 2], TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}?mode=rwc", folder.path().join("app.db").display());
    let world = async |url: &str| {
        let database = connect(url).await;
        let rows = "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')";
        run(&database, &["CREATE TABLE t (n INTEGER PRIMARY KEY, s TEXT)", rows]).await;
        let transaction_timeout = Some(Duration::from_millis(100));
        let fence = Fence { raw_sql: RawSql::Unfenced, transaction_timeout, ..Fence::default() };
        let hurried = database.fenced(fence).unwrap();
        (database, hurried)
    };
    ([world(&url).await, world(&postgres::url()).await], folder)
}

/// What a statement ends in that waits for the rows of another transaction until its own has no time
/// left, and its transaction.
async fn late<T>(
    (database, hurried): &(Database, Database),
    statement: impl AsyncFnOnce(&Transaction) -> Result<T, Error>,
) -> (Result<T, Error>, Transaction) {
    let immediate = TransactionOptions { immediate: true, ..no_options() };
    let holder = database.begin(immediate).await.unwrap();
    holder.execute_raw("UPDATE t SET s = s", vec![]).await.unwrap();
    let transaction = hurried.begin(no_options()).await.unwrap();
    let end = transaction.deadline().unwrap() + Duration::from_millis(50);
    let release = async {
        sleep_until(end).await;
        holder.rollback().await.unwrap();
    };
    let (ended, ()) = tokio::join!(statement(&transaction), release);
    (ended, transaction)
}

/// Others write, and nothing is kept of what was late.
async fn assert_free((database, _): &(Database, Database), transaction: Transaction) {
    let write = database.execute_raw("UPDATE t SET s = 'free' WHERE s <> 'late'", vec![]);
    let written = timeout(Duration::from_secs(3), write).await;
    assert_eq!(written.expect("somebody keeps others from writing"), Ok(3));
    assert_over(transaction.commit().await);
}

fn assert_over<T>(ended: Result<T, Error>) {
    let error = ended.map(drop).unwrap_err();
    assert_eq!((error.kind, &*error.message), (ErrorKind::Timeout, OVER));
}

#[tokio::test]
async fn p1_what_is_opened_after_the_end_of_its_transaction_keeps_nothing() {
    let (worlds, _folder) = both().await;
    for world in worlds {
        // Nobody reads or drops what was opened, or would have been.
        for which in ["", "WHERE n = 1"] {
            let sql = format!("UPDATE t SET s = 'late' {which} RETURNING n");
            let (opened, transaction) =
                late(&world, async |it| it.fetch_raw(&sql, vec![]).await).await;
            assert_free(&world, transaction).await;
            assert_over(opened);
        }
    }
}

#[tokio::test]
async fn p1_what_runs_at_the_end_of_its_transaction_comes_to_its_end_and_is_late() {
    let (worlds, _folder) = both().await;
    for world in worlds {
        let sql = "UPDATE t SET s = 'late'";
        let (ended, transaction) = late(&world, async |it| it.execute_raw(sql, vec![]).await).await;
        assert_over(ended);
        assert_free(&world, transaction).await;
    }
}

#[tokio::test]
async fn what_fails_after_the_end_of_its_transaction_is_not_why_that_was_rolled_back() {
    let (worlds, _folder) = both().await;
    for world in worlds {
        let sql = "INSERT INTO t VALUES (1, 'late')";
        let (ended, transaction) = late(&world, async |it| it.execute_raw(sql, vec![]).await).await;
        assert_eq!(ended.unwrap_err().kind, ErrorKind::UniqueViolation);
        assert_over(transaction.execute_raw(sql, vec![]).await);
        assert_free(&world, transaction).await;
    }
}
