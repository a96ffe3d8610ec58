//! A real PostgreSQL server for tests: a private cluster that the tests start themselves.
//!
//! [`url`] returns the URL of a new database for each caller. The server is started once per
//! process, or by `cargo xtask test` for all tests of a run, which sets these variables:
//!
//! | variable | what it holds |
//! | --- | --- |
//! | `FERRO_TEST_POSTGRES_URL` | a URL whose user may create databases |
//! | `FERRO_TEST_POSTGRES_CERTIFICATES` | the folder of [`Certificates`], if the server has them |
//!
//! With only the first one, the TLS tests start their own server.

mod binaries;
mod certificates;
mod owner;
mod server;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

pub use certificates::Certificates;
pub use server::Server;

/// The variable with the URL of a server to use instead of starting one.
pub const URL: &str = "FERRO_TEST_POSTGRES_URL";
const CERTIFICATES: &str = "FERRO_TEST_POSTGRES_CERTIFICATES";

/// Creates an empty database, and returns its URL.
///
/// # Panics
///
/// If there is no server; the message says what to install.
#[must_use]
pub fn url() -> String {
    fresh_database(&access().url)
}

/// Creates an empty database on a server with TLS; returns its URL and the certificates.
///
/// # Panics
///
/// If there is no server; the message says what to install.
#[must_use]
pub fn with_tls() -> (String, &'static Certificates) {
    static OWN: OnceLock<Server> = OnceLock::new();
    if let Access { url, certificates: Some(certificates) } = access() {
        return (fresh_database(url), certificates);
    }
    let server = OWN.get_or_init(start);
    match server.certificates() {
        Some(certificates) => (fresh_database(server.url()), certificates),
        None => panic!(
            "this test needs a PostgreSQL server with TLS, and the one that was found is built \
             without it: install one from the system's packages (`apt-get install postgresql`, \
             `brew install postgresql`)"
        ),
    }
}

/// Creates an empty database on a server that rejects TLS, and returns its URL.
///
/// # Panics
///
/// If there is no server; the message says what to install.
#[must_use]
pub fn without_tls() -> String {
    static OWN: OnceLock<Server> = OnceLock::new();
    let server =
        OWN.get_or_init(|| Server::start_without_tls().unwrap_or_else(|error| panic!("{error:#}")));
    fresh_database(server.url())
}

/// Runs statements on a separate connection, outside of what is tested.
///
/// # Panics
///
/// If the connection or a statement fails.
pub fn execute(url: &str, sql: &str) {
    let done = on_a_connection(url, async |connection| {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
        Ok(())
    });
    done.unwrap_or_else(|error| panic!("`{sql}`: {error:#}"));
}

/// The server that this process uses: that of the environment, or its own.
struct Access {
    url: String,
    certificates: Option<Certificates>,
}

fn access() -> &'static Access {
    static ACCESS: OnceLock<Access> = OnceLock::new();
    static OWN: OnceLock<Server> = OnceLock::new();
    ACCESS.get_or_init(|| match std::env::var(URL) {
        Ok(url) if !url.is_empty() => {
            drop_leftovers(&url).unwrap_or_else(|error| panic!("`{URL}`: {error:#}"));
            let certificates = std::env::var_os(CERTIFICATES).map(|it| Certificates::at(it.into()));
            Access { url, certificates }
        }
        _ => {
            let server = OWN.get_or_init(start);
            Access { url: server.url().to_owned(), certificates: server.certificates().cloned() }
        }
    })
}

fn start() -> Server {
    Server::start().unwrap_or_else(|error| panic!("{error:#}"))
}

/// The names contain the time of creation, so that leftovers can be told from databases in use.
const PREFIX: &str = "ferro_test_";

fn fresh_database(url: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("{PREFIX}{}_{}_{count}", seconds(), std::process::id());
    execute(url, &format!("CREATE DATABASE {name}"));
    with_database(url, &name)
}

/// On an external server, databases of earlier runs remain: drops those older than a day.
fn drop_leftovers(url: &str) -> Result<()> {
    const DAY: u64 = 24 * 60 * 60;
    let names: Vec<String> = on_a_connection(url, async |connection| {
        let rows = sqlx::query(
            "SELECT datname::text FROM pg_database WHERE starts_with(datname, $1) AND NOT EXISTS \
             (SELECT FROM pg_stat_activity a WHERE a.datname = pg_database.datname)",
        )
        .bind(PREFIX)
        .fetch_all(connection)
        .await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    })?;
    for name in names {
        let made = name[PREFIX.len()..].split('_').next().and_then(|it| it.parse::<u64>().ok());
        if made.is_some_and(|made| made + DAY < seconds()) {
            // Another run may drop it at the same time.
            execute(url, &format!("DROP DATABASE IF EXISTS {name}"));
        }
    }
    Ok(())
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs())
}

/// The same URL with another path.
fn with_database(url: &str, name: &str) -> String {
    let (address, query) = match url.split_once('?') {
        Some((address, query)) => (address, format!("?{query}")),
        None => (url, String::new()),
    };
    let start = address.find("://").map_or(0, |it| it + 3);
    let end = address[start..].find('/').map_or(address.len(), |it| start + it);
    format!("{}/{name}{query}", &address[..end])
}

/// Runs in a separate thread, since tests call this inside their runtimes.
fn on_a_connection<T: Send>(
    url: &str,
    work: impl AsyncFnOnce(&mut PgConnection) -> Result<T> + Send,
) -> Result<T> {
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut connection =
                    PgConnection::connect(url).await.context("cannot connect to the server")?;
                let result = work(&mut connection).await;
                connection.close().await?;
                result
            })
        });
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_database_keeps_the_rest_of_the_url() {
        for (url, expected) in [
            ("postgresql://u:p@h:1/a", "postgresql://u:p@h:1/b"),
            ("postgresql://u:p@h:1", "postgresql://u:p@h:1/b"),
            ("postgresql://u@h/a?sslmode=require", "postgresql://u@h/b?sslmode=require"),
        ] {
            assert_eq!(with_database(url, "b"), expected);
        }
    }

    fn names(url: &str) -> Vec<String> {
        let names = on_a_connection(url, async |connection| {
            let sql = "SELECT datname::text FROM pg_database WHERE starts_with(datname, $1)";
            let rows = sqlx::query(sql).bind(PREFIX).fetch_all(connection).await?;
            Ok(rows.iter().map(|row| row.get(0)).collect())
        });
        names.unwrap()
    }

    #[test]
    fn a_process_that_is_told_of_a_server_uses_it_and_clears_away_what_is_old() {
        let server = Server::start().unwrap();
        let old = format!("{PREFIX}1_2_3");
        execute(server.url(), &format!("CREATE DATABASE {old}"));
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "postgres::tests::each_caller_has_a_database_of_its_own"])
            .envs(server.environment())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        let names = names(server.url());
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(!names.contains(&old));
    }

    #[test]
    fn each_caller_has_a_database_of_its_own() {
        let (one, other) = (url(), url());
        assert_ne!(one, other);
        execute(&one, "CREATE TABLE here (id integer)");
        execute(&other, "CREATE TABLE here (id integer)");
    }
}
