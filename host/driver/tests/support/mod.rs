//! What the tests of the driver share.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::time::Duration;

use ferro_driver::{ConnectOptions, Database};
use ferro_wit::types::{Error, TransactionOptions, Value};

/// Options with a change.
pub(crate) fn options(change: impl FnOnce(&mut ConnectOptions)) -> ConnectOptions {
    let mut options = ConnectOptions::default();
    // The machine may be busy with other tests.
    options.pool.acquire_timeout = Duration::from_secs(20);
    change(&mut options);
    options
}

/// A pool for the tests.
pub(crate) async fn connect(url: &str) -> Database {
    Database::connect(url, &options(|_| {})).await.unwrap_or_else(|error| panic!("{error}"))
}

/// The error of a URL that must not lead to a pool.
pub(crate) async fn refused(url: &str) -> Error {
    match Database::connect(url, &ConnectOptions::default()).await {
        Ok(_) => panic!("a pool where an error was expected"),
        Err(error) => error,
    }
}

/// The first value of the first row.
pub(crate) async fn one(database: &Database, sql: &str) -> Value {
    let mut cursor = database.fetch_raw(sql, Vec::new()).await.unwrap();
    let batch = cursor.next(1).await.unwrap().expect("a row");
    batch.columns[0].get(0).expect("a column")
}

/// Runs statements one after another.
pub(crate) async fn run(database: &Database, statements: &[&str]) {
    for sql in statements {
        database.execute_raw(sql, Vec::new()).await.unwrap_or_else(|it| panic!("`{sql}`: {it}"));
    }
}

/// Waits for what happens in the background, for which a busy machine or valgrind may need a while.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not happen within 20 s");
}

/// A URL with another `user:password`.
pub(crate) fn with_user(url: &str, user: &str) -> String {
    let start = url.find("://").unwrap() + 3;
    let end = url.rfind('@').unwrap();
    format!("{}{user}{}", &url[..start], &url[end..])
}

/// A URL with another host; the port stays.
pub(crate) fn with_host(url: &str, host: &str) -> String {
    let start = url.rfind('@').unwrap() + 1;
    let end = start + url[start..].find(':').unwrap();
    format!("{}{host}{}", &url[..start], &url[end..])
}

/// The name of the database at the end of a URL.
pub(crate) fn name_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}

/// A transaction as the database makes it by default.
pub(crate) fn no_options() -> TransactionOptions {
    TransactionOptions { isolation: None, read_only: false, immediate: false, deferrable: false }
}
