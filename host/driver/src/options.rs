//! What can be set on a connection besides its URL.

use std::time::Duration;

use ferro_wit::types::{Error, ErrorKind};

/// Everything that is set besides the URL. The defaults suit a service with a handful of tasks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConnectOptions {
    /// How many connections there are, how long they live, and how long one waits for them.
    pub pool: PoolOptions,
    /// What is set on each connection to SQLite. PostgreSQL takes none of it.
    pub sqlite: SqliteOptions,
}

/// How many connections a pool has, how long they live, and how long one waits for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolOptions {
    /// The most connections at a time. Default: 10, a tenth of what PostgreSQL allows out of the
    /// box. Past it, callers wait in line.
    pub max_connections: u32,
    /// Connections kept open while idle. Default: 0.
    pub min_connections: u32,
    /// How long a caller waits for a free connection, or for a new one to be opened, before it
    /// gets the error `busy` or the cause why none could be opened. Default: 2 s, shorter than the
    /// deadline of a plugin's call, so that the plugin sees the error. Raise it for batch work.
    pub acquire_timeout: Duration,
    /// How long opening the first connection may take, a server that is starting or has too many
    /// guests included. Default: 10 s.
    pub connect_timeout: Duration,
    /// Close a connection that was idle for so long. Default: 10 min; none: never.
    pub idle_timeout: Option<Duration>,
    /// Close a connection that has lived for so long, so that it follows a failover or a changed
    /// role. Default: 30 min; none: never.
    pub max_lifetime: Option<Duration>,
    /// How long a PostgreSQL server may say nothing about a statement before it is asked, over another
    /// connection, whether it still works on it. If it does not, or nobody answers, and no answer comes
    /// for as long again, the connection is closed and the statement has failed: the network may have
    /// dropped the connection without a word. A statement may take any time. Default: 15 s; none: it is
    /// waited for as long as the system waits, which may be for ever.
    pub silence_timeout: Option<Duration>,
    /// Prepared statements kept on each connection. Default: 100, and 0 at the ports of PostgreSQL's
    /// poolers, 6432 (PgBouncer) and 6543 (Supabase, by transaction). With 0 nothing on the server
    /// outlives a transaction, and no statement is outside one, as a transaction-mode pooler in
    /// front of PostgreSQL needs it: that takes two round trips more. The driver then does not set
    /// `client_connection_check_interval` either, with which a server ends a statement whose caller
    /// is gone: set it for the pooler's role or in the server's configuration.
    pub statement_cache_capacity: Option<usize>,
    /// Ask a PostgreSQL connection for a sign of life before it is handed out: one more round
    /// trip, but no error after the server was restarted. A connection that was used within the
    /// last second is asked only if it is to write outside a transaction; anything else is sent
    /// again if the connection turns out to be dead. Default: true.
    pub test_before_acquire: bool,
    /// A statement that takes so long is a warning of the log, with its SQL; the time that its reader
    /// takes counts. Default: none, no statement is slow.
    pub slow_statement: Option<Duration>,
}

/// What is set on each connection to SQLite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteOptions {
    /// Enforce foreign keys. Default: true; SQLite's own default is not to.
    pub foreign_keys: bool,
    /// Keep files in write-ahead mode, where readers and a writer do not wait for each other.
    /// Default: true; false leaves the file in the mode it has.
    pub wal: bool,
    /// How long a writer waits for another before it gets the error `busy`. Default: 5 s. Those of
    /// one pool get their turns in the order in which they came.
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

/// Far more than a server takes, and few enough to reserve room for.
const MOST_CONNECTIONS: u32 = 10_000;
/// What SQLite counts, in milliseconds of 31 bits, and what timers take: some 24 days.
const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

impl ConnectOptions {
    /// Refuses what cannot be meant.
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
