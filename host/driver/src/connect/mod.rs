//! Opens pools from URLs: reads the URL, configures each connection, and opens the first one at
//! once, so that a failure is reported with its actual cause.

mod collation;
mod parameters;
mod parts;
mod postgres;
mod secret;
mod settings;
mod sqlite;
mod tls;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ferro_wit::types::{Dialect, Error, ErrorKind};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Connection as _, PgPool, SqliteConnection};
use tokio::time::sleep;

use self::postgres::Server;
pub(crate) use self::postgres::{
    FAREWELL, NOTICED, Socket, find, opened_at_once, seen_address, watch,
};
use self::sqlite::Location;
pub(crate) use self::sqlite::READ;
use crate::backend::Backend;
use crate::error::invalid_configuration;
use crate::options::{ConnectOptions, PoolOptions};
use crate::sqlite::{Slots, bound_memory};
use crate::vigil::Inquiry;

/// How long a pool may take to open a connection before the driver opens another one beside it to
/// find out what is wrong: longer than most nearby servers need, and short for a caller that waits
/// for an error.
const PATIENCE: Duration = Duration::from_millis(150);
/// Prepared statements kept per connection, unless the options say otherwise.
const STATEMENTS: usize = 100;

const SCHEMES: &str = "`sqlite:`, `postgresql://` and `postgres://`";

/// A pool of connections to one database.
#[derive(Clone)]
pub(crate) enum Pool {
    Sqlite(Slots),
    /// This pool only opens and counts connections; open ones are passed between callers by
    /// [`Parking`](crate::parking::Parking).
    Postgres(PgPool, Arc<Inquiry>),
}

/// What a URL refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Sqlite(Location),
    Postgres(Box<Server>),
}

impl Target {
    fn parse(url: &str) -> Result<Self, Error> {
        let (scheme, rest) = url.split_once(':').ok_or_else(|| unknown_scheme(None))?;
        match scheme {
            "sqlite" => Location::parse(rest).map(Self::Sqlite),
            "postgresql" | "postgres" => Server::parse(rest).map(|it| Self::Postgres(Box::new(it))),
            other => Err(unknown_scheme(Some(other))),
        }
    }
}

fn unknown_scheme(scheme: Option<&str>) -> Error {
    // A connection string in another format may contain its password anywhere.
    let is_scheme = |it: &str| {
        it.len() < 16 && it.chars().all(|it| it.is_ascii_alphanumeric() || "+-.".contains(it))
    };
    invalid_configuration(match scheme.filter(|it| is_scheme(it)) {
        Some(scheme) => format!("unknown URL scheme `{scheme}:`: use {SCHEMES}"),
        None => format!("this is not a database URL, which begins with one of {SCHEMES}"),
    })
}

/// An opened pool, and a probe that opens further connections to the same database.
pub(crate) struct Opened {
    pub(crate) pool: Pool,
    pub(crate) probe: Probe,
    /// The connection that the pool has opened, if any.
    pub(crate) first: Option<Backend>,
    /// Whether prepared statements and settings persist: there is a session.
    pub(crate) keeps: bool,
    /// Whether [`watch`] is run on each connection.
    pub(crate) watches: bool,
    /// An in-memory database lives as long as a connection to it; this one is not in the pool.
    pub(crate) keeper: Option<SqliteConnection>,
}

/// Opens and closes a connection outside the pool, to find out why the pool cannot open one.
#[derive(Clone)]
pub(crate) enum Probe {
    Sqlite(Box<(Location, SqliteConnectOptions)>),
    Postgres(Box<(Server, PgPool)>),
}

impl Probe {
    async fn run(&self, timeout: Duration) -> Result<(), Error> {
        match self {
            Self::Sqlite(it) => {
                let connection = open_in_time(&it.0, &it.1, timeout).await?;
                let _ = connection.close().await;
                Ok(())
            }
            Self::Postgres(it) => it.0.probe(&it.1.connect_options(), timeout).await,
        }
    }

    /// Finds out why the pool opens no connection in time; see [`failure`].
    pub(crate) async fn failure(&self, deadline: Instant, timeout: Duration) -> Option<Error> {
        failure(deadline, || self.run(timeout)).await
    }

    /// Converts the pool's own error from opening a connection to one for the caller.
    pub(crate) fn describe(&self, error: sqlx::Error, timeout: Duration) -> Error {
        match self {
            Self::Sqlite(it) => it.0.describe(&error),
            Self::Postgres(it) => it.0.describe(error, timeout),
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }
}

/// Finds out why a pool opens no connection. Ends only once the cause is known, or at the deadline
/// with the last transient error. `look` opens a connection outside the pool, since the pool itself
/// retries a refused port until its time is up.
async fn failure<L: Future<Output = Result<(), Error>>>(
    deadline: Instant,
    look: impl Fn() -> L,
) -> Option<Error> {
    let mut last = None;
    let mut pause = PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        sleep(pause.min(left)).await;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return last;
        }
        match tokio::time::timeout(left, look()).await {
            // It works here, so the pool will succeed too.
            Ok(Ok(())) => {}
            // The server is starting, or has too many clients: this is transient.
            Ok(Err(error)) if error.retryable && error.is_from_database() => last = Some(error),
            Ok(Err(error)) => return Some(error),
            Err(_) => return last,
        }
        pause *= 2;
    }
}

pub(crate) async fn open(url: &str, options: &ConnectOptions) -> Result<Opened, Error> {
    options.validate()?;
    match Target::parse(url)? {
        Target::Sqlite(location) => open_sqlite(location, options).await,
        Target::Postgres(server) => open_postgres(*server, options).await,
    }
}

async fn open_sqlite(location: Location, options: &ConnectOptions) -> Result<Opened, Error> {
    bound_memory();
    let connect = location.connect_options(options);
    let first = open_in_time(&location, &connect, options.pool.connect_timeout).await?;
    let pool = SqlitePoolOptions::new()
        .acquire_timeout(options.pool.acquire_timeout)
        .idle_timeout(options.pool.idle_timeout)
        .max_lifetime(options.pool.max_lifetime)
        // A file does not become unreachable as a server does.
        .test_before_acquire(false);
    let PoolOptions { max_connections, min_connections, statement_cache_capacity, .. } =
        options.pool;
    let pool = Slots::new(
        &pool,
        (max_connections, min_connections),
        &connect,
        options.sqlite.busy_timeout,
        statement_cache_capacity.unwrap_or(STATEMENTS),
    );
    let keeper = match location {
        Location::Memory => Some(first),
        Location::File { .. } => {
            let _ = first.close().await;
            None
        }
    };
    let probe = Probe::Sqlite(Box::new((location, connect)));
    let keeps = statement_cache_capacity.is_none_or(|it| it > 0);
    Ok(Opened { pool: Pool::Sqlite(pool), probe, first: None, keeps, watches: false, keeper })
}

async fn open_in_time(
    location: &Location,
    options: &SqliteConnectOptions,
    timeout: Duration,
) -> Result<SqliteConnection, Error> {
    match tokio::time::timeout(timeout, location.open(options)).await {
        Ok(opened) => opened,
        Err(_) => {
            let message = format!("the database file could not be opened within {timeout:?}");
            Err(Error::new(ErrorKind::Busy, message).retryable())
        }
    }
}

async fn open_postgres(server: Server, options: &ConnectOptions) -> Result<Opened, Error> {
    let capacity = options.pool.statement_cache_capacity;
    let capacity = capacity.unwrap_or(if server.is_pooler() { 0 } else { STATEMENTS });
    let connect = server.connect_options(capacity).await?;
    let watches = server.can_watch(capacity);
    let pool = PgPoolOptions::new()
        .max_connections(options.pool.max_connections)
        // Callers that wait for the pool have an earlier deadline of their own, whose error has the
        // cause.
        .acquire_timeout(options.pool.acquire_timeout.max(options.pool.connect_timeout) + PATIENCE)
        // Connections are not returned to SQLx: to close an idle one, it would wait for an answer,
        // even from a silent server.
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                match watches {
                    true => watch(connection, "").await,
                    false => Ok(()),
                }
            })
        });
    let make = |options| pool.clone().connect_lazy_with(options);
    let (pool, inquiry, first) = server.settle(connect, make, &options.pool, capacity > 0).await?;
    Ok(Opened {
        probe: Probe::Postgres(Box::new((server, pool.clone()))),
        first: Some(first),
        pool: Pool::Postgres(pool, inquiry),
        keeps: capacity > 0,
        watches,
        keeper: None,
    })
}
