//! What a call has used so far.

/// What one call has used of its databases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Statements sent, beginnings of transactions included.
    pub statements: u64,
    /// Rows given to the caller.
    pub rows_read: u64,
    /// Rows inserted, updated and deleted.
    pub rows_written: u64,
    /// Bytes of the values given to the caller.
    pub bytes: u64,
}
