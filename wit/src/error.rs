//! What errors have besides their fields.

use std::fmt;

use crate::types::{Error, ErrorKind};

impl Error {
    /// An error of a kind with a message, and nothing from a database.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            code: None,
            constraint: None,
            table: None,
            column: None,
            retryable: false,
        }
    }

    /// The code where all connections of a pool were in use for too long.
    pub const POOL_TIMEOUT: &str = "FERRO_POOL_TIMEOUT";
    /// The code where a transaction has ended already.
    pub const TRANSACTION_ENDED: &str = "FERRO_TRANSACTION_ENDED";

    /// The code where a plugin broke off, in a trap or by an exit, through no fault of the host's.
    pub const PLUGIN_TRAPPED: &str = "FERRO_PLUGIN_TRAPPED";

    /// The same with a code, one of Ferro's own.
    #[must_use]
    pub fn with_code(self, code: &str) -> Self {
        Self { code: Some(code.to_owned()), ..self }
    }

    /// The same, worth another attempt.
    #[must_use]
    pub fn retryable(self) -> Self {
        Self { retryable: true, ..self }
    }

    /// Whether a database gave the code: not where there is none, or it is one of Ferro's own.
    #[must_use]
    pub fn is_from_database(&self) -> bool {
        self.code.as_deref().is_some_and(|it| !it.starts_with("FERRO_"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl fmt::Display for ErrorKind {
    /// The name of the case in the WIT: `unique-violation`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        serde::Serialize::serialize(self, f)
    }
}
