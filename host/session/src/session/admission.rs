//! Checks before a session sends anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ferro_driver::Execution;
use ferro_wit::query::Query;
use ferro_wit::types::{Batch, Error, ErrorKind, Value};

use super::Session;
use crate::agreements;
use crate::limit_offset;
use crate::row_reservation::{RowReservation, least, writes};

impl Session {
    /// Checks that a statement may be sent: no transaction that began here is open, and the limits
    /// allow it.
    pub(super) fn admit(&self, parameters: &[Value]) -> Result<(), Error> {
        self.admit_no_other()?;
        self.granted.call.count_statement(parameters.len())?;
        // An array with overlapping ends would exceed every limit when written out.
        for (number, value) in (1..).zip(parameters) {
            value.validate().map_err(|fault| {
                let message = format!("parameter {number} is inconsistent: {fault}");
                Error::new(ErrorKind::TypeMismatch, message)
            })?;
        }
        Ok(())
    }

    pub(super) fn admit_no_other(&self) -> Result<(), Error> {
        match self.occupied.load(Ordering::Acquire) {
            true => Err(occupied()),
            false => Ok(()),
        }
    }

    pub(super) fn admit_raw(&self) -> Result<(), Error> {
        match self.granted.policy.has_raw_sql() {
            true => Ok(()),
            false => {
                let message = "SQL text is not granted for this database: it needs `raw-sql`";
                Err(Error::new(ErrorKind::Denied, message))
            }
        }
    }

    /// Whether the number of rows that the caller may write is limited.
    pub(super) fn is_limited(&self) -> bool {
        self.granted.call.limits().is_some()
    }

    /// Checks a query, its values and its rows against the grant and the limits, and reserves its
    /// written rows.
    pub(super) async fn prepare(
        &self,
        query: &Query,
        parameters: Vec<Value>,
        rows: Option<Batch>,
    ) -> Result<(Execution, Option<RowReservation>), Error> {
        let plan = self.plan(query).await?;
        limit_offset::check(query, &parameters)?;
        let reservation = self.reserve(query, rows.as_ref())?;
        let forced = self.granted.policy.forced.clone();
        let execution = Execution { plan, parameters, forced, rows };
        agreements::check(&execution)?;
        Ok((execution, reservation))
    }

    /// `None` for a query that writes no rows.
    fn reserve(
        &self,
        query: &Query,
        rows: Option<&Batch>,
    ) -> Result<Option<RowReservation>, Error> {
        match (writes(query), rows) {
            (true, _) => {}
            (false, None) => return Ok(None),
            (false, Some(_)) => {
                let message = "a query that only reads does not accept rows";
                return Err(Error::new(ErrorKind::InvalidQuery, message));
            }
        }
        self.granted.call.admit_written(least(query, rows))?;
        Ok(Some(RowReservation::reserve(&self.granted.call, query, rows)))
    }
}

/// Marks a session as occupied by a transaction that began in it.
pub(super) struct Occupied(Arc<AtomicBool>);

impl Occupied {
    pub(super) fn take(session: &Arc<AtomicBool>) -> Result<Self, Error> {
        match session.swap(true, Ordering::AcqRel) {
            true => Err(occupied()),
            false => Ok(Self(session.clone())),
        }
    }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

fn occupied() -> Error {
    Error::new(ErrorKind::Busy, "a transaction of this session is open: use it, or end it first")
}
