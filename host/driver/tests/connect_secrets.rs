//! K1: passwords in no error, no `Debug` and no log, at any level.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod support;

use std::io;
use std::sync::{Arc, Mutex};

use ferro_driver::{Database, Databases};
use ferro_test_support::postgres;
use tracing_subscriber::fmt::MakeWriter;

use support::{connect, name_of, options, run, with_host, with_user};

/// All that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// The log of this process; there is one test in it.
    fn start() -> Self {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(log.clone())
            .with_ansi(false)
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
        log
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self::Writer {
        self.clone()
    }
}

#[tokio::test]
async fn k1_passwords_are_in_no_error_no_debug_and_no_log() {
    let url = postgres::url();
    let role = format!("keeper_{}", name_of(&url));
    postgres::execute(&url, &format!("CREATE ROLE {role} LOGIN PASSWORD 'Opensesame1/'"));
    let log = Log::start();
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
