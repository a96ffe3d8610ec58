//! How much one call may use, and the error that each limit ends in.

use std::time::Duration;

use ferro_wit::types::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

/// How much one call of a tenant may use. Each limit ends in an error that names it and its value.
///
/// In a file, names are in kebab-case, times in seconds (`statement-timeout = 1.5`) and sizes in
/// bytes; what is not named keeps its default. There is no "0 means no limit": 0 allows nothing.
///
/// ```
/// use ferro_session::Limits;
///
/// let limits: Limits = serde_json::from_str(r#"{"rows": 500, "statement-timeout": 0.5}"#)?;
/// assert_eq!(limits.rows, 500);
/// assert_eq!(limits.statement_timeout.as_millis(), 500);
/// assert_eq!(limits.sessions, Limits::default().sessions);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Limits {
    /// Sessions that are open at once, transactions and savepoints included: 4, enough for a
    /// transaction with two levels of savepoints. Past it: `limit-exceeded`.
    pub sessions: u32,
    /// Cursors that are open at once: 16. Each may hold a connection. Past it: `limit-exceeded`.
    pub cursors: u32,
    /// Statements in a call, beginnings of transactions included: 1,000. A loop that sends one
    /// statement for each row meets it; a batch or a join does not. Past it: `limit-exceeded`.
    pub statements: u64,
    /// Parameters of one statement: 32,000, which both databases can bind. Past it:
    /// `limit-exceeded`.
    pub parameters: u32,
    /// Rows that a call may read: 100,000. One more is `limit-exceeded`, never a silent cut.
    pub rows: u64,
    /// Rows that a call may write: 100,000. One more is `limit-exceeded`, and what wrote it is undone.
    /// A statement outside a transaction gets one of its own where its rows are not known before.
    pub rows_written: u64,
    /// Bytes of values that a call may read: 64 MiB, as much as its memory. Past it:
    /// `limit-exceeded`.
    pub result_bytes: u64,
    /// How long one statement may take, counted while somebody waits for it: 3 s. Past it:
    /// `timeout`.
    #[serde(with = "seconds")]
    pub statement_timeout: Duration,
    /// How long a transaction may be open, and the rows of a write be read that has none: 10 s. Past
    /// it: `timeout`, and it is rolled back at once, though its call may be busy with something else.
    #[serde(with = "seconds")]
    pub transaction_timeout: Duration,
    /// How long a call may wait for a connection, or for the lock that a transaction begins with:
    /// 2 s, and as long again until it may run, and for an instance or the thread that it runs on.
    /// Past it: `busy`.
    #[serde(with = "seconds")]
    pub acquire_timeout: Duration,
    /// Connections of one pool that the calls of the tenant may hold together: by default half of the
    /// pool, which is the most. Less than that where other tenants hold some: a tenant gets another one
    /// only while more are free than it has. Past it: as when no connection is free.
    pub connections: Option<u32>,

    /// Calls of the tenant that run at once: 16. Those of others are not held up by more than these.
    /// Kept by the host of the guest.
    pub calls: u32,
    /// Calls of the tenant that wait until they may run: 64. One more, and one that waits for
    /// longer than `acquire-timeout`: `busy`. Kept by the host of the guest.
    pub queued_calls: u32,
    /// Wall-clock time of a whole call, calls of the host included: 5 s. Past it: `timeout`. Kept
    /// by the host of the guest.
    #[serde(with = "seconds")]
    pub deadline: Duration,
    /// Units of fuel that a call may use, about one for each instruction of the guest: the same call
    /// uses as much each time. By default only the deadline counts, since metering makes guests
    /// slower: the host has to be set up for it. Past it: `limit-exceeded`. Kept by the host of the
    /// guest.
    pub fuel: Option<u64>,
    /// Bytes of a guest's memories together: 64 MiB. Kept by the host of the guest.
    pub memory: u64,
    /// Core instances in a guest: 64. Kept by the host of the guest.
    pub instances: u32,
    /// Handles that a guest may hold at once: 256. Kept by the host of the guest.
    pub handles: u32,
    /// Bytes that a guest may pass in one call of the host, and that an export may return: 8 MiB. They
    /// are those that the host takes for it: a byte in a list is one where an export is called typed, and
    /// some tens where it is called by name. Kept by the host of the guest.
    pub host_call_bytes: u64,
    /// Bytes that a call may print, where the end of a line counts for 64, as the log has a record of
    /// each: 64 KiB, kept by the host of the guest; and as many of its errors in the log. The rest is
    /// dropped.
    pub log_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            sessions: 4,
            cursors: 16,
            statements: 1_000,
            parameters: 32_000,
            rows: 100_000,
            rows_written: 100_000,
            result_bytes: 64 * MIB,
            statement_timeout: Duration::from_secs(3),
            transaction_timeout: Duration::from_secs(10),
            acquire_timeout: Duration::from_secs(2),
            connections: None,
            calls: 16,
            queued_calls: 64,
            deadline: Duration::from_secs(5),
            fuel: None,
            memory: 64 * MIB,
            instances: 64,
            handles: 256,
            host_call_bytes: 8 * MIB,
            log_bytes: 64 * 1024,
        }
    }
}

impl Limits {
    pub(crate) fn sessions_exceeded(&self) -> Error {
        exceeded(&format!("`sessions`: {} open at once; drop one first", self.sessions))
    }

    pub(crate) fn cursors_exceeded(&self) -> Error {
        exceeded(&format!("`cursors`: {} open at once; drop one first", self.cursors))
    }

    pub(crate) fn statements_exceeded(&self) -> Error {
        exceeded(&format!("`statements`: {} in a call", self.statements))
    }

    pub(crate) fn parameters_exceeded(&self) -> Error {
        exceeded(&format!("`parameters`: {} in a statement", self.parameters))
    }

    pub(crate) fn rows_exceeded(&self) -> Error {
        exceeded(&format!("`rows`: {} read in a call", self.rows))
    }

    pub(crate) fn rows_written_exceeded(&self) -> Error {
        exceeded(&format!(
            "`rows-written`: {} in a call; the statement was rolled back",
            self.rows_written
        ))
    }

    pub(crate) fn rows_uncounted() -> Error {
        exceeded(
            "`rows-written`: the rows of a write were not counted, so it was rolled back: read \
             what it returns to the end, and execute a write without `returning` instead of \
             fetching it",
        )
    }

    pub(crate) fn result_bytes_exceeded(&self) -> Error {
        exceeded(&format!("`result-bytes`: {} read in a call", self.result_bytes))
    }

    pub(crate) fn calls_exceeded(&self) -> Error {
        let Self { calls, queued_calls, .. } = self;
        let message = format!(
            "over the limit `calls`: {calls} at once, while {queued_calls} may wait; try \
             again later"
        );
        Error::new(ErrorKind::Busy, message).retryable()
    }

    /// Of `max` guests of a host.
    pub(crate) fn guests_exceeded(&self, max: u32) -> Error {
        let what =
            format!("too many of the {max} instances of plugins are in use; try again later");
        let error = expired("acquire-timeout", self.acquire_timeout, ErrorKind::Busy, &what);
        error.retryable()
    }

    pub(crate) fn calls_refused() -> Error {
        exceeded("`calls`: none may run")
    }

    pub(crate) fn connections_exceeded(&self, most: u32) -> Error {
        if most == 0 {
            return exceeded("`connections`: none may be used");
        }
        let message = format!(
            "over the limit `connections`: this call holds {most} at once; end a cursor or \
             a transaction first"
        );
        Error::new(ErrorKind::Busy, message)
    }

    pub(crate) fn transaction_expired(&self) -> Error {
        let outcome = "what was not committed is rolled back";
        expired("transaction-timeout", self.transaction_timeout, ErrorKind::Timeout, outcome)
    }
}

/// What a caller waits for, and so which limit on time it runs against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// A connection, and the begin of a transaction on it.
    Begin,
    /// A connection, and a statement outside a transaction.
    AcquireAndRun,
    /// A statement.
    Run,
    Commit,
}

impl Wait {
    /// How long it may take.
    pub(crate) fn limit(self, limits: &Limits) -> Duration {
        match self {
            Self::Begin => limits.acquire_timeout,
            Self::AcquireAndRun => limits.acquire_timeout.saturating_add(limits.statement_timeout),
            Self::Run | Self::Commit => limits.statement_timeout,
        }
    }

    /// The error that a longer one ends in.
    pub(crate) fn expired(self, limits: &Limits) -> Error {
        let statement = ("statement-timeout", limits.statement_timeout);
        let ((limit, time), kind, outcome) = match self {
            Self::Begin => (
                ("acquire-timeout", limits.acquire_timeout),
                ErrorKind::Busy,
                "no connection or lock was free; try again later",
            ),
            Self::AcquireAndRun | Self::Run => {
                (statement, ErrorKind::Timeout, "the statement was stopped")
            }
            Self::Commit => (
                statement,
                ErrorKind::OutcomeUnknown,
                "the commit was abandoned, and may or may not have happened",
            ),
        };
        Error { retryable: kind == ErrorKind::Busy, ..expired(limit, time, kind, outcome) }
    }
}

pub(crate) fn expired(limit: &str, time: Duration, kind: ErrorKind, outcome: &str) -> Error {
    let seconds = time.as_secs_f64();
    Error::new(kind, format!("the limit `{limit}` of {seconds} s is reached: {outcome}"))
}

pub(crate) fn exceeded(what: &str) -> Error {
    Error::new(ErrorKind::LimitExceeded, format!("over the limit {what}"))
}

/// Times as seconds, whole or not.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(time.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(from)?;
        Duration::try_from_secs_f64(seconds)
            .map_err(|_| de::Error::custom(format!("`{seconds}` is not a time in seconds")))
    }
}
