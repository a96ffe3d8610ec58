//! TLS against a real server: a connection is never weaker than its URL.

mod proxy;
mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ferro_driver::{ConnectOptions, Database};
use ferro_test_support::postgres;
use ferro_wit::types::{Error, ErrorKind, Value};

use proxy::{Fate, Sender, through};
use support::{connect, one, refused, with_host, with_user};

async fn is_encrypted(database: &Database) -> bool {
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    one(database, sql).await == Value::Boolean(true)
}

fn root(path: impl AsRef<Path>) -> String {
    format!("sslrootcert={}", path.as_ref().display())
}

#[track_caller]
fn assert_tls_failed(error: &Error, part: &str) {
    assert_eq!(error.kind, ErrorKind::TlsFailed, "{error}");
    assert!(error.message.contains(part), "{error}");
}

#[tokio::test]
async fn n1_require_encrypts() {
    let (url, _) = postgres::with_tls();
    assert!(is_encrypted(&connect(&format!("{url}?sslmode=require")).await).await);
}

#[tokio::test]
async fn n1_prefer_encrypts_where_the_server_can_and_is_the_default() {
    let (url, _) = postgres::with_tls();
    assert!(is_encrypted(&connect(&url).await).await);
    assert!(is_encrypted(&connect(&format!("{url}?sslmode=prefer")).await).await);
    assert!(!is_encrypted(&connect(&format!("{url}?sslmode=disable")).await).await);
    assert!(!is_encrypted(&connect(&postgres::without_tls()).await).await);
}

#[tokio::test]
async fn n1_verify_ca_passes_with_the_right_authority_only() {
    let (url, certificates) = postgres::with_tls();
    let right = root(certificates.authority());
    let wrong = root(certificates.other_authority());
    // The name is not looked at.
    for host in ["localhost", "127.0.0.1"] {
        let url = with_host(&url, host);
        let database = connect(&format!("{url}?sslmode=verify-ca&{right}")).await;
        assert!(is_encrypted(&database).await);
        let error = refused(&format!("{url}?sslmode=verify-ca&{wrong}")).await;
        assert_tls_failed(&error, "check `sslrootcert`");
    }
}

#[tokio::test]
async fn n1_require_with_an_authority_verifies_it() {
    let (url, certificates) = postgres::with_tls();
    let right = root(certificates.authority());
    assert!(is_encrypted(&connect(&format!("{url}?sslmode=require&{right}")).await).await);
    let wrong = root(certificates.other_authority());
    let error = refused(&format!("{url}?sslmode=require&{wrong}")).await;
    assert_tls_failed(&error, "check `sslrootcert`");
}

#[tokio::test]
async fn n1_verify_full_checks_the_name_too() {
    let (url, certificates) = postgres::with_tls();
    let query = format!("sslmode=verify-full&{}", root(certificates.authority()));
    let database = connect(&format!("{}?{query}", with_host(&url, "localhost"))).await;
    assert!(is_encrypted(&database).await);
    let error = refused(&format!("{}?{query}", with_host(&url, "127.0.0.1"))).await;
    assert_tls_failed(&error, "made out to the host");
    let wrong = root(certificates.other_authority());
    let url = with_host(&url, "localhost");
    assert_tls_failed(&refused(&format!("{url}?sslmode=verify-full&{wrong}")).await, "certificate");
    // Only public authorities are trusted then, and none of them signed this.
    assert_tls_failed(&refused(&format!("{url}?sslmode=verify-full")).await, "certificate");
}

#[tokio::test]
async fn n1_a_server_without_tls_is_refused_unless_prefer_allows_it() {
    let url = postgres::without_tls();
    let (_, certificates) = postgres::with_tls();
    let authority = root(certificates.authority());
    for query in [
        "sslmode=require".to_owned(),
        format!("sslmode=require&{authority}"),
        format!("sslmode=verify-ca&{authority}"),
        format!("sslmode=verify-full&{authority}"),
    ] {
        let error = refused(&format!("{url}?{query}")).await;
        assert_tls_failed(&error, "does not offer TLS");
        assert!(error.message.contains("enable TLS there"), "{error}");
    }
}

#[tokio::test]
async fn prefer_does_without_tls_where_the_server_takes_its_time_to_say_so() {
    // Slow enough that we look beside the pool what is wrong, and hear it first.
    let first = AtomicBool::new(true);
    let fate = move |_: Sender, bytes: &[u8]| match bytes {
        b"N" if first.swap(false, Ordering::Relaxed) => Fate::Late(Duration::from_millis(500)),
        _ => Fate::Pass,
    };
    let url = through(&postgres::without_tls(), fate).await;
    assert!(!is_encrypted(&connect(&url.replace("disable", "prefer")).await).await);
}

#[tokio::test]
async fn a_certificate_of_the_client_logs_in_without_a_password() {
    let (url, certificates) = postgres::with_tls();
    let url = with_user(&url, "certified");
    let (certificate, key) = certificates.client();
    let identity = format!("sslcert={}&sslkey={}", certificate.display(), key.display());
    for mode in ["require".to_owned(), format!("verify-ca&{}", root(certificates.authority()))] {
        let database = connect(&format!("{url}?sslmode={mode}&{identity}")).await;
        assert_eq!(one(&database, "SELECT current_user::text").await, Value::from("certified"));
    }
    let error = refused(&format!("{url}?sslmode=require")).await;
    assert_eq!(error.kind, ErrorKind::AuthenticationFailed, "{error}");
}

#[tokio::test]
async fn n2_bad_certificate_files_are_errors_at_once() {
    let (url, certificates) = postgres::with_tls();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = certificates.client();
    let (certificate, key) = (certificate.display(), key.display());
    let empty = folder.path().join("empty");
    let damaged = folder.path().join("damaged");
    std::fs::write(&empty, "").unwrap();
    std::fs::write(&damaged, "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    let (empty, damaged) = (empty.display(), damaged.display());
    for (query, parts) in [
        ("sslrootcert=/no/such.pem".to_owned(), ["`sslrootcert`", "`/no/such.pem`"]),
        (format!("sslrootcert={empty}"), ["`sslrootcert`", "no PEM certificate"]),
        (format!("sslrootcert={key}"), ["`sslrootcert`", "no PEM certificate"]),
        (format!("sslcert={certificate}&sslkey={certificate}"), ["`sslkey`", "private key"]),
        (format!("sslcert={key}&sslkey={key}"), ["`sslcert`", "no PEM certificate"]),
        (format!("sslcert={certificate}&sslkey=/no/such.key"), ["`sslkey`", "`/no/such.key`"]),
    ] {
        let error = refused(&format!("{url}?sslmode=require&{query}")).await;
        assert_eq!(error.kind, ErrorKind::InvalidConfiguration, "{error}");
        for part in parts {
            assert!(error.message.contains(part), "{query}: {error}");
        }
    }
    let error = refused(&format!("{url}?sslmode=require&sslrootcert={damaged}")).await;
    assert_tls_failed(&error, "certificate");
}

#[tokio::test]
async fn every_connection_of_the_pool_is_as_safe_as_the_first() {
    let (url, certificates) = postgres::with_tls();
    let url = format!("{url}?sslmode=verify-ca&{}", root(certificates.authority()));
    let database = Database::connect(&url, &ConnectOptions::default()).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..3 {
        let transaction = database.begin(support::no_options()).await.unwrap();
        let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        let mut cursor = transaction.fetch_raw(sql, Vec::new()).await.unwrap();
        let batch = cursor.next(1).await.unwrap().unwrap();
        assert_eq!(batch.columns[0].get(0), Some(Value::Boolean(true)));
        drop(cursor);
        held.push(transaction);
    }
    assert_eq!(database.stats().acquired, 3);
}

#[tokio::test]
async fn a_server_that_fell_silent_does_not_hold_up_the_end_of_a_pool() {
    let silent = Arc::new(AtomicBool::new(false));
    let is_silent = Arc::clone(&silent);
    let fate = move |_, _: &[u8]| match is_silent.load(Ordering::Relaxed) {
        true => Fate::Lose,
        false => Fate::Pass,
    };
    let url = through(&postgres::with_tls().0, fate).await.replace("disable", "require");
    for wait in [Duration::ZERO, Duration::from_secs(3)] {
        let database = connect(&url).await;
        assert!(is_encrypted(&database).await);
        // At first it is at hand, and then it has gone back to the pool.
        tokio::time::sleep(wait).await;
        silent.store(true, Ordering::Relaxed);
        let end = tokio::time::timeout(Duration::from_secs(10), database.disconnect()).await;
        assert!(end.is_ok(), "after {wait:?}");
        silent.store(false, Ordering::Relaxed);
    }
}
