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
