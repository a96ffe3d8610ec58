//! Errors of SQLite.

use std::borrow::Cow;
use std::ffi::c_int;
use std::fmt;

use libsqlite3_sys as ffi;
use sqlx::error::{DatabaseError, ErrorKind};

#[derive(Debug)]
pub(crate) struct Failure {
    pub(super) code: c_int,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(code: c_int, message: &str) -> Self {
        Self { code, message: message.to_owned() }
    }

    pub(super) fn closed() -> Self {
        Self::new(ffi::SQLITE_MISUSE, "no statement is open")
    }

    /// Whether another connection holds a lock that this one needs.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.code & 0xff, ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED)
    }

    /// Whether the progress handler ended the statement.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.code & 0xff == ffi::SQLITE_INTERRUPT
    }

    /// Whether a text or a blob is too long.
    pub(crate) fn is_too_big(&self) -> bool {
        self.code & 0xff == ffi::SQLITE_TOOBIG
    }

    /// The error that SQLite reports after waiting too long for a lock.
    pub(crate) fn busy() -> Self {
        Self::new(ffi::SQLITE_BUSY, "database is locked")
    }
}

/// Whether the schema has changed since the statement was prepared.
pub(crate) fn is_of_another_schema(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    error.try_downcast_ref::<Failure>().is_some_and(|it| it.code & 0xff == ffi::SQLITE_SCHEMA)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(code: {}) {}", self.code, self.message)
    }
}

impl std::error::Error for Failure {}

impl DatabaseError for Failure {
    fn message(&self) -> &str {
        &self.message
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.code.to_string().into())
    }

    fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}
