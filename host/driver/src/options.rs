//! Options of connections besides the URL.

use std::time::Duration;

use ferro_wit::types::{Error, ErrorKind};

/// All options besides the URL. The defaults suit a service with a handful of tasks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConnectOptions {
    /// The number of connections, their lifetime, and wait times.
    pub pool: PoolOptions,
    /// Settings of each SQLite connection; ignored for PostgreSQL.
    pub sqlite: SqliteOptions,
}

/// The number of connections of a pool, their lifetime, and wait times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolOptions {
    /// Maximum number of connections. Default: 10, a tenth of PostgreSQL's default. Further callers
    /// wait in a queue.
    pub max_connections: u32,
    /// Idle connections to keep open. Default: 0.
    pub min_connections: u32,
    /// How long a caller waits for a free connection, or for opening a new one, before it gets
    /// `busy` or the cause of the failure. Default: 2 s, shorter than the deadline of a plugin
    /// call, so that the plugin sees the error. Increase it for batch work.
    pub acquire_timeout: Duration,
    /// How long opening the first connection may take, including the wait for a server that is
    /// starting or full. Default: 10 s.
    pub connect_timeout: Duration,
    /// Close connections that have been idle for this time. Default: 10 min; `None`: never.
    pub idle_timeout: Option<Duration>,
    /// Close connections of this age, so that they follow a failover or a changed role. Default: 30
    /// min; `None`: never.
    pub max_lifetime: Option<Duration>,
    /// How long a PostgreSQL server may be silent during a statement before the driver checks, over
    /// another connection, whether the statement still runs. If it does not, or the check gets no
    /// answer, and the server stays silent for the same time again, the connection is closed and
    /// the statement fails: the network may have dropped the connection silently. Statements may
    /// take any time. Default: 15 s; `None`: wait as long as the operating system does, possibly
    /// forever.
    pub silence_timeout: Option<Duration>,
    /// Prepared statements kept per connection. Default: 100, but 0 at the ports of PostgreSQL
    /// poolers, 6432 (PgBouncer) and 6543 (Supabase, transaction mode). With 0, nothing on the
    /// server outlives a transaction, and every statement runs in one, as transaction-mode poolers
    /// require; this takes two more round trips. The driver then does not set
    /// `client_connection_check_interval` either, by which a server ends the statements of lost
    /// clients: set it for the pooler's role or in the server's configuration.
    pub statement_cache_capacity: Option<usize>,
    /// Test a PostgreSQL connection before use: one more round trip, but no error after a restart
    /// of the server. A connection that was used within the last second is tested only for writes
    /// outside a transaction, and only if its socket does not show that the server has left it
    /// open; anything else is resent if the connection turns out to be dead. Default: true.
    pub test_before_acquire: bool,
    /// Statements that take this long are logged as warnings, with their SQL; the reader's time
    /// counts. Default: `None`, no warnings.
    pub slow_statement: Option<Duration>,
}

/// Settings of each SQLite connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteOptions {
    /// Enforce foreign keys. Default: true, unlike SQLite's own.
    pub foreign_keys: bool,
    /// Use write-ahead logging for files, so that readers and a writer do not block each other.
    /// Default: true; false does not change the mode of the file.
    pub wal: bool,
    /// How long a writer waits for another one before it gets `busy`. Default: 5 s. Writers of one
    /// pool take turns in the order of arrival.
    pub busy_timeout: Duration,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            max_connections: 10,
            min_connections: 0,
            acquire_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Some(Duration::from_secs(10 * 60)),
            max_lifetime: Some(Duration::from_secs(30 * 60)),
            silence_timeout: Some(Duration::from_secs(15)),
            statement_cache_capacity: None,
            test_before_acquire: true,
            slow_statement: None,
        }
    }
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { foreign_keys: true, wal: true, busy_timeout: Duration::from_secs(5) }
    }
}

/// Far more than a server accepts, and few enough to allocate.
const MOST_CONNECTIONS: u32 = 10_000;
/// The maximum of SQLite, 31 bits of milliseconds, and of timers: about 24 days.
const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

impl ConnectOptions {
    /// Rejects invalid values.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let PoolOptions { max_connections: max, min_connections: min, .. } = self.pool;
        if max == 0 || max > MOST_CONNECTIONS {
            return Err(invalid(format!(
                "`max_connections` is {max}: it must be between 1 and {MOST_CONNECTIONS}"
            )));
        }
        if min > max {
            return Err(invalid(format!(
                "`min_connections` is {min}, more than `max_connections`, which is {max}"
            )));
        }
        let waits = [
            ("acquire_timeout", Some(self.pool.acquire_timeout)),
            ("connect_timeout", Some(self.pool.connect_timeout)),
            ("idle_timeout", self.pool.idle_timeout),
            ("max_lifetime", self.pool.max_lifetime),
            ("silence_timeout", self.pool.silence_timeout),
        ];
        for (name, wait) in waits {
            if wait.is_some_and(|wait| wait.is_zero() || wait > LONGEST) {
                return Err(invalid(format!("`{name}` must be between 1 ns and 24 days")));
            }
        }
        if self.sqlite.busy_timeout > LONGEST {
            return Err(invalid("`busy_timeout` must be at most 24 days"));
        }
        Ok(())
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfiguration, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(change: impl FnOnce(&mut ConnectOptions)) -> String {
        let mut options = ConnectOptions::default();
        change(&mut options);
        let error = options.validate().unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidConfiguration);
        error.message
    }

    #[test]
    fn options_that_cannot_be_meant_are_refused_by_name() {
        assert!(ConnectOptions::default().validate().is_ok());
        assert!(fault(|it| it.pool.max_connections = 0).contains("`max_connections` is 0"));
        assert!(fault(|it| it.pool.max_connections = u32::MAX).contains("10000"));
        assert!(fault(|it| it.pool.min_connections = 11).contains("`min_connections` is 11"));
        assert!(fault(|it| it.pool.acquire_timeout = Duration::ZERO).contains("`acquire_timeout`"));
        assert!(fault(|it| it.pool.max_lifetime = Some(Duration::MAX)).contains("`max_lifetime`"));
        assert!(fault(|it| it.sqlite.busy_timeout = Duration::MAX).contains("`busy_timeout`"));
    }
}
