//! The usage of a call so far.

/// The database usage of one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Statements sent, including those that begin transactions.
    pub statements: u64,
    /// Rows returned to the caller.
    pub rows_read: u64,
    /// Rows inserted, updated and deleted.
    pub rows_written: u64,
    /// Bytes of the values returned to the caller.
    pub bytes: u64,
}
