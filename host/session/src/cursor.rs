//! Cursors: reading rows, counted against the limits of the call.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ferro_driver::Transaction;
use ferro_wit::BoxFuture;
use ferro_wit::types::{Attachment, Batch, ColumnInfo, Error, ErrorKind};
use tokio::time::Instant;

use crate::call::{Granted, Slot};
use crate::limits::{Limits, Wait};
use crate::row_reservation::RowReservation;
use crate::tenants::ConnectionPermit;

/// A cursor over rows, which counts them against the limits of the call.
///
/// An error ends the result: its connection is released at once, and every further call returns the
/// same error.
///
/// # Cancel safety
///
/// No row is lost if a future of [`Cursor::next`] is dropped: the next call continues from there.
/// If that future was committing a write, the next call returns `outcome-unknown`.
pub struct Cursor {
    rows: Rows,
    granted: Arc<Granted>,
    /// Held until the rows are read, or reading fails.
    guard: Option<CursorGuard>,
    /// For a write with `returning`, held until its rows are read.
    reservation: Option<RowReservation>,
    /// Bytes of buffered rows that are counted already, but not yet read from here.
    counted: u64,
    /// How much of its time limit the statement has used.
    elapsed: Duration,
    transaction_end: Option<Instant>,
    _slot: Slot,
}

/// What is released after the last row.
#[derive(Default)]
pub(crate) struct CursorGuard {
    /// The implicit transaction, if there is one: committed after the last row, otherwise rolled
    /// back.
    pub(crate) transaction: Option<Transaction>,
    /// The tenant's permit for the connection; released after the transaction.
    pub(crate) permit: Option<Arc<ConnectionPermit>>,
}

enum Rows {
    Open(ferro_driver::Cursor),
    Failed { columns: Vec<ColumnInfo>, attached: Option<Attachment>, error: Error },
}

impl Rows {
    fn columns(&self) -> &[ColumnInfo] {
        match self {
            Self::Open(rows) => rows.columns(),
            Self::Failed { columns, .. } => columns,
        }
    }

    fn attached(&self) -> Option<&Attachment> {
        match self {
            Self::Open(rows) => rows.attached(),
            Self::Failed { attached, .. } => attached.as_ref(),
        }
    }

    /// The same cursor, failed.
    fn failed(&self, error: Error) -> Self {
        let (columns, attached) = (self.columns().to_vec(), self.attached().cloned());
        Self::Failed { columns, attached, error }
    }
}

impl Cursor {
    /// Rows that are buffered already count at once: a caller may hold them without ever reading
    /// them.
    pub(crate) fn new(
        granted: Arc<Granted>,
        rows: ferro_driver::Cursor,
        guard: CursorGuard,
        reservation: Option<RowReservation>,
        elapsed: Duration,
        transaction_end: Option<Instant>,
        slot: Slot,
    ) -> Result<Self, Error> {
        let counted = rows.bytes_at_hand();
        granted.call.count_bytes(counted)?;
        let (rows, guard) = (Rows::Open(rows), Some(guard));
        Ok(Self {
            rows,
            granted,
            guard,
            reservation,
            counted,
            elapsed,
            transaction_end,
            _slot: slot,
        })
    }

    /// The columns of the current result set, also if it has no rows.
    #[must_use]
    pub fn columns(&self) -> &[ColumnInfo] {
        self.rows.columns()
    }

    /// How the rows of the current result set are linked to their parents; `None` for the query's
    /// own rows.
    #[must_use]
    pub fn attached(&self) -> Option<&Attachment> {
        self.rows.attached()
    }

    /// Whether all rows of the current result set are known to be read.
    #[must_use]
    pub fn is_read(&self) -> bool {
        matches!(&self.rows, Rows::Open(rows) if rows.is_read())
    }

    /// Reads up to `max_rows` further rows; `None` at the end.
    ///
    /// # Errors
    ///
    /// `limit-exceeded` if the rows or bytes of the call exceed their limit, `timeout`, and errors
    /// of the database.
    pub async fn next(&mut self, max_rows: u32) -> Result<Option<Batch>, Error> {
        let outcome = self.read(max_rows).await;
        self.keep_failure(outcome)
    }

    /// Advances to the next result set; false after the last. It has the related rows of the rows
    /// that were read: unread rows of the current result set are skipped. Each result set counts as
    /// a statement.
    ///
    /// # Errors
    ///
    /// As [`Session::fetch`](crate::Session::fetch).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it ends, the cursor has no further rows, and returns
    /// `cancelled`.
    pub async fn next_result(&mut self) -> Result<bool, Error> {
        let outcome = self.advance().await;
        self.keep_failure(outcome)
    }

    async fn read(&mut self, max_rows: u32) -> Result<Option<Batch>, Error> {
        let rows = match &mut self.rows {
            Rows::Open(rows) => rows,
            Rows::Failed { error, .. } => return Err(error.clone()),
        };
        let call = &self.granted.call;
        let started = Instant::now();
        let most = call.rows_to_ask(max_rows);
        let batch = self
            .granted
            .wait(Wait::Run, self.elapsed, self.transaction_end, pin!(rows.next(most)))
            .await?;
        self.elapsed += started.elapsed();
        let is_read = rows.is_read();
        if let Some(batch) = &batch {
            call.count_rows(batch.rows)?;
            let bytes = batch.bytes();
            let counted = bytes.min(self.counted);
            self.counted -= counted;
            call.count_bytes(bytes - counted)?;
            if let Some(reservation) = &mut self.reservation {
                reservation.count(u64::from(batch.rows))?;
            }
        }
        let is_last = batch.is_none() && !rows.has_next_result();
        if let Some(mut reservation) = self.reservation.take_if(|_| is_read) {
            match self.columns().is_empty() {
                // Their number is unknown.
                true if reservation.may_pass_limit() => return Err(Limits::rows_uncounted()),
                true => {}
                false => reservation.settle(),
            }
        }
        if is_last {
            self.end().await?;
        }
        Ok(batch)
    }

    /// Ends after all rows were read.
    async fn end(&mut self) -> Result<(), Error> {
        let Some(CursorGuard { transaction, permit }) = self.guard.take() else { return Ok(()) };
        if let Some(transaction) = transaction {
            // A caller that stops waiting and calls again must not mistake the end of rows for a
            // commit.
            let unknown = "the commit was not waited for, and may or may not have happened";
            let failed = self.rows.failed(Error::new(ErrorKind::OutcomeUnknown, unknown));
            let rows = std::mem::replace(&mut self.rows, failed);
            // Boxed, as it is rare, and every read would reserve space for it.
            let commit = Box::pin(transaction.commit());
            let committed = self.granted.wait(Wait::Commit, Duration::ZERO, None, commit).await;
            self.rows = rows;
            committed?;
        }
        drop(permit);
        Ok(())
    }

    async fn advance(&mut self) -> Result<bool, Error> {
        let rows = match &mut self.rows {
            Rows::Open(rows) => rows,
            Rows::Failed { error, .. } => return Err(error.clone()),
        };
        if self.reservation.take().is_some_and(|it| it.may_pass_limit()) {
            return Err(Limits::rows_uncounted());
        }
        if rows.has_next_result() {
            self.granted.call.count_statement(0)?;
        }
        self.elapsed = Duration::ZERO;
        let started = Instant::now();
        let more = self
            .granted
            .wait(Wait::Run, self.elapsed, self.transaction_end, pin!(rows.next_result()))
            .await?;
        self.elapsed = started.elapsed();
        Ok(more)
    }

    /// After an error, nothing more is read, so everything is released.
    fn keep_failure<T>(&mut self, outcome: Result<T, Error>) -> Result<T, Error> {
        if let (Err(error), Rows::Open(_)) = (&outcome, &self.rows) {
            self.rows = self.rows.failed(error.clone());
            self.guard = None;
        }
        outcome
    }
}

impl ferro_wit::Cursor for Cursor {
    fn columns(&self) -> &[ColumnInfo] {
        self.columns()
    }

    fn attached(&self) -> Option<&Attachment> {
        self.attached()
    }

    fn next(&mut self, max_rows: u32) -> BoxFuture<'_, Result<Option<Batch>, Error>> {
        Box::pin(self.next(max_rows))
    }

    fn next_result(&mut self) -> BoxFuture<'_, Result<bool, Error>> {
        Box::pin(self.next_result())
    }
}

impl std::fmt::Debug for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cursor")
            .field("database", &self.granted.label)
            .field("columns", &self.columns())
            .finish_non_exhaustive()
    }
}
