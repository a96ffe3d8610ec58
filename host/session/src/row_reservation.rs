//! Counting the rows that a call writes against its limit.
//!
//! The maximum number of rows of an insert is known: they are counted before it runs, so that not
//! waiting for it gains nothing. For other writes it is known only afterwards: outside a
//! transaction they get an implicit one, which is rolled back if there are too many rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ferro_wit::query::{Insert, Query, RowSource, Statement};
use ferro_wit::types::{Batch, Error};

use crate::call::Call;

/// Whether a query writes rows; locking them does not count.
pub(crate) fn writes(query: &Query) -> bool {
    matches!(query.statement, Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_))
}

/// The minimum number of rows that a successful query writes.
pub(crate) fn least(query: &Query, rows: Option<&Batch>) -> u64 {
    match &query.statement {
        Statement::Insert(Insert { conflict: None, .. }) => most(query, rows).unwrap_or(0),
        _ => 0,
    }
}

/// The maximum number of rows that a query may write; `None` if unknown.
fn most(query: &Query, rows: Option<&Batch>) -> Option<u64> {
    match &query.statement {
        Statement::Insert(Insert { source: RowSource::Parameters, .. }) => {
            Some(rows.map_or(1, |it| it.rows.into()))
        }
        _ => None,
    }
}

/// The share of one write in the rows that its call may write.
pub(crate) struct RowReservation {
    call: Arc<Call>,
    /// How many were counted in advance, if known.
    reserved: Option<u64>,
    returned: u64,
    /// For a transaction: whether uncounted rows were written in it.
    uncounted: Option<Arc<AtomicBool>>,
}

impl RowReservation {
    /// Counts the rows that a query may write. If the number is unknown or too large, they must be
    /// counted after the write.
    pub(crate) fn reserve(call: &Arc<Call>, query: &Query, rows: Option<&Batch>) -> Self {
        let mut reservation = Self::unknown(call);
        reservation.reserved = most(query, rows).filter(|rows| call.reserve_written(*rows));
        reservation
    }

    /// For a write with an unknown number of rows.
    pub(crate) fn unknown(call: &Arc<Call>) -> Self {
        Self { call: Arc::clone(call), reserved: None, returned: 0, uncounted: None }
    }

    /// Whether the write may exceed the limit.
    pub(crate) fn may_pass_limit(&self) -> bool {
        self.reserved.is_none() && self.call.limits().is_some()
    }

    /// For a write in a transaction, which must know about rows that are never counted.
    pub(crate) fn within(mut self, uncounted: &Arc<AtomicBool>) -> Self {
        self.uncounted = Some(Arc::clone(uncounted));
        self
    }

    /// Ends with nothing written.
    pub(crate) fn fail(mut self) {
        self.settle();
    }

    /// Ends with the total number of rows written.
    pub(crate) fn end(mut self, rows: u64) -> Result<(), Error> {
        let counted = self.count(rows);
        self.settle();
        counted
    }

    /// Counts more written rows, as returned by the write.
    pub(crate) fn count(&mut self, rows: u64) -> Result<(), Error> {
        self.returned = self.returned.saturating_add(rows);
        match self.reserved {
            Some(_) => Ok(()),
            None => self.call.count_written(rows),
        }
    }

    /// Marks all written rows as counted.
    pub(crate) fn settle(&mut self) {
        if let Some(reserved) = self.reserved.replace(0) {
            self.call.release_written(reserved.saturating_sub(self.returned));
        }
        self.uncounted = None;
    }
}

impl Drop for RowReservation {
    fn drop(&mut self) {
        // Reserved rows stay counted: they may have been written.
        if let (None, Some(uncounted)) = (self.reserved, &self.uncounted) {
            uncounted.store(true, Ordering::Release);
        }
    }
}
