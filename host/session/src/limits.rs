//! The limits of a call, and their errors.

use std::time::Duration;

use ferro_wit::types::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

/// The limits of one call of a tenant. Exceeding a limit is an error that names it and its value.
///
/// In a file, names are in kebab-case, times in seconds (`statement-timeout = 1.5`) and sizes in
/// bytes; omitted limits keep their defaults. 0 does not mean "no limit": it allows nothing.
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
    /// Sessions open at once, including transactions and savepoints: 4, enough for a transaction
    /// with two levels of savepoints. Past it: `limit-exceeded`.
    pub sessions: u32,
    /// Cursors open at once: 16. Each may hold a connection. Past it: `limit-exceeded`.
    pub cursors: u32,
    /// Statements in a call, including those that begin transactions: 1,000. A loop that sends one
    /// statement per row reaches it; a batch or a join does not. Past it: `limit-exceeded`.
    pub statements: u64,
    /// Parameters of one statement: 32,000, which both databases can bind. Past it:
    /// `limit-exceeded`.
    pub parameters: u32,
    /// Rows that a call may read: 100,000. One more is `limit-exceeded`; results are never
    /// truncated silently.
    pub rows: u64,
    /// Rows that a call may write: 100,000. One more is `limit-exceeded`, and its write is rolled
    /// back. A statement outside a transaction gets an implicit one if its number of rows is not
    /// known in advance.
    pub rows_written: u64,
    /// Bytes of values that a call may read: 64 MiB, as much as its memory. Past it:
    /// `limit-exceeded`.
    pub result_bytes: u64,
    /// How long one statement may take, counting only time in which the caller waits for it: 3 s.
    /// Past it: `timeout`.
    #[serde(with = "seconds")]
    pub statement_timeout: Duration,
    /// How long a transaction may be open, and how long reading the rows of a write outside one may
    /// take: 10 s. Past it: `timeout`, and it is rolled back at once, even while its call does
    /// something else.
    #[serde(with = "seconds")]
    pub transaction_timeout: Duration,
    /// How long a call may wait for a connection, or for the lock with which a transaction begins:
    /// 2 s. The same time applies separately to waiting for admission, and for an instance or a
    /// thread. Past it: `busy`.
    #[serde(with = "seconds")]
    pub acquire_timeout: Duration,
    /// Connections of one pool that the tenant's calls may hold together: by default half of the
    /// pool, which is the maximum. It is less while other tenants hold some: a tenant gets another
    /// one only while more are free than it has. Past it: as if no connection is free.
    pub connections: Option<u32>,

    /// Calls of the tenant that run at once: 16. Further calls do not delay other tenants. Enforced
    /// by the host of the guest.
    pub calls: u32,
    /// Calls of the tenant that wait for admission: 64. One more, or a wait longer than
    /// `acquire-timeout`: `busy`. Enforced by the host of the guest.
    pub queued_calls: u32,
    /// Wall-clock time of a whole call, including host calls: 5 s. Past it: `timeout`. Enforced by
    /// the host of the guest.
    #[serde(with = "seconds")]
    pub deadline: Duration,
    /// Units of fuel that a call may use, about one per instruction of the guest; the same call
    /// always uses the same amount. By default there is no fuel limit, since metering makes guests
    /// slower and must be enabled on the host. Past it: `limit-exceeded`. Enforced by the host of
    /// the guest.
    pub fuel: Option<u64>,
    /// Bytes of all memories of a guest together: 64 MiB. Enforced by the host of the guest.
    pub memory: u64,
    /// Core instances in a guest: 64. Enforced by the host of the guest.
    pub instances: u32,
    /// Handles that a guest may hold at once: 256. Enforced by the host of the guest.
    pub handles: u32,
    /// Bytes that a guest may pass to one host call, and that an export may return: 8 MiB. This
    /// counts memory in the host: a byte in a list takes one byte in a typed call of an export, and
    /// some tens in a call by name. Enforced by the host of the guest.
    pub host_call_bytes: u64,
    /// Bytes that a call may print: 64 KiB, where each line counts 64 bytes more for its log
    /// record; enforced by the host of the guest. The same number of bytes applies to its errors in
    /// the log. The rest is dropped.
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

    /// The error of a caller that waited too long for one of a host's `max` guests.
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

/// What a caller waits for, which determines the time limit.
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
    /// Its time limit.
    pub(crate) fn limit(self, limits: &Limits) -> Duration {
        match self {
            Self::Begin => limits.acquire_timeout,
            Self::AcquireAndRun => limits.acquire_timeout.saturating_add(limits.statement_timeout),
            Self::Run | Self::Commit => limits.statement_timeout,
        }
    }

    /// The error for exceeding it.
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

/// Times in seconds, with fractions.
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
