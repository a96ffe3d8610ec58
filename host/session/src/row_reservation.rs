//! The rows that a call writes, counted against its limit.
//!
//! How many an insert writes at most is known: they are counted before it runs, so that nothing is
//! gained by not waiting for it. How many other writes change is known when they have: outside a
//! transaction they have one of their own, which is undone where that is too much.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ferro_wit::query::{Insert, Query, RowSource, Statement};
use ferro_wit::types::{Batch, Error};

use crate::call::Call;

/// Whether a query writes rows. One that locks them does not.
pub(crate) fn writes(query: &Query) -> bool {
    matches!(query.statement, Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_))
}

/// At least so many rows does a query write that goes well.
pub(crate) fn least(query: &Query, rows: Option<&Batch>) -> u64 {
    match &query.statement {
        Statement::Insert(Insert { conflict: None, .. }) => most(query, rows).unwrap_or(0),
        _ => 0,
    }
}

/// So many rows may a query write; none where nobody knows.
fn most(query: &Query, rows: Option<&Batch>) -> Option<u64> {
    match &query.statement {
        Statement::Insert(Insert { source: RowSource::Parameters, .. }) => {
            Some(rows.map_or(1, |it| it.rows.into()))
        }
        _ => None,
    }
}

/// What one write takes of the rows that its call may write.
pub(crate) struct RowReservation {
    call: Arc<Call>,
    /// How many were counted before, if any could be.
    reserved: Option<u64>,
    returned: u64,
    /// Of a transaction: whether rows were written in it that nobody has counted.
    uncounted: Option<Arc<AtomicBool>>,
}

impl RowReservation {
    /// Counts what a query may write. Where that is not known, or too much, it has to be counted when
    /// it is written.
    pub(crate) fn reserve(call: &Arc<Call>, query: &Query, rows: Option<&Batch>) -> Self {
        let mut reservation = Self::unknown(call);
        reservation.reserved = most(query, rows).filter(|rows| call.reserve_written(*rows));
        reservation
    }

    /// For a write that nobody knows the rows of.
    pub(crate) fn unknown(call: &Arc<Call>) -> Self {
        Self { call: Arc::clone(call), reserved: None, returned: 0, uncounted: None }
    }

    /// Whether it can turn out to be too much.
    pub(crate) fn may_pass_limit(&self) -> bool {
        self.reserved.is_none() && self.call.limits().is_some()
    }

    /// In a transaction, which has to know of rows that are never counted.
    pub(crate) fn within(mut self, uncounted: &Arc<AtomicBool>) -> Self {
        self.uncounted = Some(Arc::clone(uncounted));
        self
    }

    /// Nothing was written.
    pub(crate) fn fail(mut self) {
        self.settle();
    }

    /// So many rows were written in all.
    pub(crate) fn end(mut self, rows: u64) -> Result<(), Error> {
        let counted = self.count(rows);
        self.settle();
        counted
    }

    /// So many more rows were written, as what they return tells.
    pub(crate) fn count(&mut self, rows: u64) -> Result<(), Error> {
        self.returned = self.returned.saturating_add(rows);
        match self.reserved {
            Some(_) => Ok(()),
            None => self.call.count_written(rows),
        }
    }

    /// All rows that were written have been counted.
    pub(crate) fn settle(&mut self) {
        if let Some(reserved) = self.reserved.replace(0) {
            self.call.release_written(reserved.saturating_sub(self.returned));
        }
        self.uncounted = None;
    }
}

impl Drop for RowReservation {
    fn drop(&mut self) {
        // What was reserved stays counted: it may be written.
        if let (None, Some(uncounted)) = (self.reserved, &self.uncounted) {
            uncounted.store(true, Ordering::Release);
        }
    }
}
