//! K1: passwords in no error, no `Debug` and no log, at any level.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod support;

use ferro_driver::{Database, Databases};
use ferro_test_support::{Log, postgres};

use support::{connect, name_of, options, run, with_host, with_user};

#[tokio::test]
async fn k1_passwords_are_in_no_error_no_debug_and_no_log() {
    let url = postgres::url();
    let role = format!("keeper_{}", name_of(&url));
    postgres::execute(&url, &format!("CREATE ROLE {role} LOGIN PASSWORD 'Opensesame1/'"));
    let log = Log::of_process();
    let right = with_user(&url, &format!("{role}:Opensesame1%2F"));
    let mut shown = Vec::new();

    let databases = Databases::new();
    let database = databases.connect("books", &right, &options(|_| {})).await.unwrap();
    shown.push(format!("{databases:?} {database:?} {:?}", options(|_| {})));
    database.check().await.unwrap();
    run(&database, &["SELECT 1"]).await;
    shown.push(format!("{:?}", database.execute_raw("SELECT bad", Vec::new()).await));
    database.disconnect().await;
    shown.push(format!("{:?}", database.check().await));

    for wrong in [
        with_user(&url, &format!("{role}:Opensesame2%2F")),
        right.replace(name_of(&url), "no_such_database"),
        with_host(&right, "no-such-host.invalid"),
        format!("{right}?sslmode=verify-full"),
        format!("{right}?sslmode=bad"),
        format!("{right}?password=Opensesame3"),
        format!("{right}?options=-c%20no_such_setting%3D1"),
        right.replace("%2F", "/"),
        right.replace("%2F", "#"),
        right.replace("%2F", "%"),
        right.replace("postgresql:", "postgre:"),
    ] {
        let error = Database::connect(&wrong, &options(|_| {})).await.unwrap_err();
        shown.push(format!("{error} {error:?}"));
    }
    let logged = log.text();
    for secret in ["Opensesame1", "Opensesame2", "Opensesame3"] {
        assert!(!logged.contains(secret), "{logged}");
        for text in &shown {
            assert!(!text.contains(secret), "{text}");
        }
    }

    // The log is at work. N1: a remote connection in plain text is logged, a local one is not.
    let plain = postgres::without_tls();
    connect(&plain).await;
    assert!(!log.text().contains("not encrypted"));
    connect(&with_host(&plain, "0.0.0.0")).await;
    let logged = log.text();
    assert!(logged.contains("WARN") && logged.contains("not encrypted"), "{logged}");
    assert!(logged.contains("0.0.0.0"), "{logged}");
}
