//! Methods of errors.

use std::fmt;

use crate::types::{Error, ErrorKind};

impl Error {
    /// Creates an error of a kind with a message, without details from a database.
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

    /// The code if all connections of a pool were in use for too long.
    pub const POOL_TIMEOUT: &str = "FERRO_POOL_TIMEOUT";
    /// The code if a transaction has already ended.
    pub const TRANSACTION_ENDED: &str = "FERRO_TRANSACTION_ENDED";

    /// The code if a plugin trapped or exited, through no fault of the host.
    pub const PLUGIN_TRAPPED: &str = "FERRO_PLUGIN_TRAPPED";

    /// Sets a code, one of Ferro's own.
    #[must_use]
    pub fn with_code(self, code: &str) -> Self {
        Self { code: Some(code.to_owned()), ..self }
    }

    /// Marks the error as retryable.
    #[must_use]
    pub fn retryable(self) -> Self {
        Self { retryable: true, ..self }
    }

    /// Whether the code is from a database; false without a code, or for one of Ferro's own.
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
