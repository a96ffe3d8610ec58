//! The work of a session, in a database or a transaction.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ferro_driver::{Database, Execution, ExpectedColumn, Transaction};
use ferro_wit::query::Query;
use ferro_wit::types::{Batch, Error, Value};
use tokio::time::Instant;

use super::{Session, Target};
use crate::call::{Slot, SlotKind};
use crate::cursor::{Cursor, CursorGuard};
use crate::limits::Wait;
use crate::row_reservation::RowReservation;

pub(super) enum Work<'a> {
    Query(Execution),
    /// SQL, its parameters, and the expected columns of its rows, if known.
    Text(&'a str, Vec<Value>, Option<Arc<[ExpectedColumn]>>),
}

impl Work<'_> {
    pub(super) async fn fetch(self, database: &Database) -> Result<ferro_driver::Cursor, Error> {
        match self {
            Self::Query(execution) => database.fetch(execution).await,
            Self::Text(sql, values, None) => database.fetch_raw(sql, values).await,
            Self::Text(sql, values, Some(columns)) => {
                database.fetch_raw_as(sql, values, columns).await
            }
        }
    }

    pub(super) async fn fetch_within(
        self,
        transaction: &Transaction,
    ) -> Result<ferro_driver::Cursor, Error> {
        match self {
            Self::Query(execution) => transaction.fetch(execution).await,
            Self::Text(sql, values, None) => transaction.fetch_raw(sql, values).await,
            Self::Text(sql, values, Some(columns)) => {
                transaction.fetch_raw_as(sql, values, columns).await
            }
        }
    }

    pub(super) async fn execute(self, database: &Database) -> Result<u64, Error> {
        match self {
            Self::Query(execution) => database.execute(execution).await,
            Self::Text(sql, values, _) => database.execute_raw(sql, values).await,
        }
    }

    pub(super) async fn execute_within(self, transaction: &Transaction) -> Result<u64, Error> {
        match self {
            Self::Query(execution) => transaction.execute(execution).await,
            Self::Text(sql, values, _) => transaction.execute_raw(sql, values).await,
        }
    }
}

impl Session {
    /// Runs a query that returns rows.
    pub(super) async fn read(
        &self,
        query: &Query,
        parameters: Vec<Value>,
        rows: Option<Batch>,
    ) -> Result<Cursor, Error> {
        self.admit(&parameters)?;
        let slot = Slot::take(&self.granted.call, SlotKind::Cursor)?;
        let (execution, reservation) = self.prepare(query, parameters, rows).await?;
        self.open(Work::Query(execution), reservation, slot).await
    }

    /// Runs a query for its effect.
    pub(super) async fn change(
        &self,
        query: &Query,
        parameters: Vec<Value>,
        rows: Option<Batch>,
    ) -> Result<u64, Error> {
        self.admit(&parameters)?;
        let (execution, reservation) = self.prepare(query, parameters, rows).await?;
        self.apply(Work::Query(execution), reservation).await
    }

    /// Begins work that returns rows.
    pub(super) async fn open(
        &self,
        work: Work<'_>,
        mut reservation: Option<RowReservation>,
        slot: Slot,
    ) -> Result<Cursor, Error> {
        let started = Instant::now();
        let undoable = reservation.as_ref().is_some_and(RowReservation::may_pass_limit);
        let opened = match &self.target {
            Target::Database(database) if undoable => {
                self.fetch_in_implicit_transaction(database, work).await
            }
            Target::Database(database) => self.with_connection(pin!(work.fetch(database))).await,
            Target::Transaction { transaction, permit, uncounted, .. } => {
                reservation = reservation.map(|it| it.within(uncounted));
                let rows = self.run(pin!(work.fetch_within(transaction))).await;
                rows.map(|rows| (rows, CursorGuard { permit: permit.clone(), transaction: None }))
            }
        };
        match opened {
            Ok((rows, guard)) => {
                let (granted, elapsed) = (self.granted.clone(), started.elapsed());
                let own_end = guard.transaction.as_ref().and_then(Transaction::deadline);
                let end = self.end().or(own_end).or(rows.deadline());
                Cursor::new(granted, rows, guard, reservation, elapsed, end, slot)
            }
            Err(error) => {
                if let Some(reservation) = reservation {
                    reservation.fail();
                }
                Err(error)
            }
        }
    }

    /// Runs work for its effect; returns the number of changed rows.
    pub(super) async fn apply(
        &self,
        work: Work<'_>,
        reservation: Option<RowReservation>,
    ) -> Result<u64, Error> {
        let undoable = match work {
            Work::Query(..) => reservation.as_ref().is_some_and(RowReservation::may_pass_limit),
            // Trusted text may be a statement that cannot run in a transaction.
            Work::Text(..) => self.granted.policy.has_fenced_text(),
        };
        let changed = match &self.target {
            Target::Database(database) if undoable => {
                return self.execute_in_implicit_transaction(database, work).await;
            }
            Target::Database(database) => {
                self.with_connection(pin!(work.execute(database))).await.map(|it| it.0)
            }
            Target::Transaction { transaction, .. } => {
                self.run(pin!(work.execute_within(transaction))).await
            }
        };
        match (reservation, changed) {
            (Some(reservation), Ok(changed)) => reservation.end(changed).map(|()| changed),
            (Some(reservation), Err(error)) => {
                reservation.fail();
                Err(error)
            }
            (None, changed) => changed,
        }
    }

    /// Waits for the database, within the limits.
    pub(super) async fn run<T>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Unpin,
    ) -> Result<T, Error> {
        self.run_by(self.end(), work).await
    }

    /// The same, in a transaction with a deadline.
    pub(super) async fn run_by<T>(
        &self,
        end: Option<Instant>,
        work: impl Future<Output = Result<T, Error>> + Unpin,
    ) -> Result<T, Error> {
        let wait = match &self.target {
            Target::Database(..) => Wait::AcquireAndRun,
            Target::Transaction { .. } => Wait::Run,
        };
        self.granted.wait(wait, Duration::ZERO, end, work).await
    }
}
