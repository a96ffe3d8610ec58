//! Sessions: a database or a transaction, with the rights of one call.

mod admission;
mod client;
mod implicit_transaction;
mod work;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ferro_driver::{Database, ExpectedColumn, Transaction, changes_rows};
use ferro_wit::plan::{Effect, Plan};
use ferro_wit::query::Query;
use ferro_wit::types::{Batch, Dialect, Error, ErrorKind, TransactionOptions, Value};
use tokio::time::Instant;

use crate::call::{Granted, Slot, SlotKind};
use crate::cursor::Cursor;
use crate::gate::renewed;
use crate::limits::{Limits, Wait};
use crate::models::Models;
use crate::row_reservation::RowReservation;
use crate::tenants::ConnectionPermit;

use self::admission::Occupied;
use self::implicit_transaction::BegunTransaction;
use self::work::Work;

/// A database, or a transaction in it, with the rights and limits of a call.
///
/// While a transaction that it began is open, a session returns `busy`; open another session for
/// concurrent work. Dropping an unfinished transaction rolls it back.
///
/// # Cancel safety
///
/// If the future of any method is dropped, its connection is closed, and its transaction rolled
/// back.
pub struct Session {
    granted: Arc<Granted>,
    target: Target,
    /// Whether a transaction that began here is open.
    occupied: Arc<AtomicBool>,
    /// For a transaction: keeps the session in which it began occupied.
    _parent: Option<Occupied>,
    _slot: Slot,
}

enum Target {
    Database(Database),
    Transaction {
        transaction: Transaction,
        savepoint: bool,
        /// The permit for its connection in the tenant's share of the pool, held as long as the
        /// transaction, a savepoint or a cursor of it exists.
        permit: Option<Arc<ConnectionPermit>>,
        /// Whether uncounted rows were written, because their returned rows were not read.
        uncounted: Arc<AtomicBool>,
    },
}

impl Session {
    pub(crate) fn new(granted: Granted, database: Database, slot: Slot) -> Self {
        Self {
            granted: Arc::new(granted),
            target: Target::Database(database),
            occupied: Arc::default(),
            _parent: None,
            _slot: slot,
        }
    }

    /// The SQL dialect of the database.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match &self.target {
            Target::Database(database) => database.dialect(),
            Target::Transaction { transaction, .. } => transaction.dialect(),
        }
    }

    /// Runs a query that returns rows.
    ///
    /// # Errors
    ///
    /// `denied` or `read-only` if the grant does not allow the query; `limit-exceeded`, `timeout`
    /// or `busy` if a limit is reached; `busy` while a transaction of this session is open; and
    /// errors of the query, its values or the database.
    pub async fn fetch(&self, query: &Query, parameters: Vec<Value>) -> Result<Cursor, Error> {
        self.read(query, parameters, None).await
    }

    /// Writes many rows, all or none, and returns their `returning` values in the same order.
    ///
    /// # Errors
    ///
    /// As [`Session::fetch`]; `invalid-query` if the batch is inconsistent.
    pub async fn write_returning(
        &self,
        query: &Query,
        parameters: Vec<Value>,
        rows: Batch,
    ) -> Result<Cursor, Error> {
        self.read(query, parameters, Some(rows)).await
    }

    /// The plan of a query under the scope of the grant, as [`Session::fetch`] would send it.
    ///
    /// # Errors
    ///
    /// Errors of the query, and rights that the grant lacks.
    pub async fn plan(&self, query: &Query) -> Result<Arc<Plan>, Error> {
        let policy = &self.granted.policy;
        let models = &self.granted.models;
        let claimant = self.granted.call.compiler_claimant();
        let plan = models
            .plan_for(claimant, query, self.dialect(), policy.scope.as_ref())
            .await
            .map_err(|error| self.granted.explain(error))?;
        match policy.read_only && plan.effect == Effect::Write {
            true => Err(Error::new(ErrorKind::ReadOnly, "the grant is read-only")),
            false => Ok(plan),
        }
    }

    /// Runs a query for its effect; returns the number of changed rows.
    ///
    /// # Errors
    ///
    /// As [`Session::fetch`].
    pub async fn execute(&self, query: &Query, parameters: Vec<Value>) -> Result<u64, Error> {
        self.change(query, parameters, None).await
    }

    /// Inserts many rows, all or none; returns the number of inserted rows.
    ///
    /// # Errors
    ///
    /// As [`Session::fetch`]; `invalid-query` if the batch is inconsistent.
    pub async fn write(
        &self,
        query: &Query,
        parameters: Vec<Value>,
        rows: Batch,
    ) -> Result<u64, Error> {
        self.change(query, parameters, Some(rows)).await
    }

    /// Runs SQL text that returns rows: one statement, with `?` or `$1` for its parameters.
    ///
    /// # Errors
    ///
    /// `denied` if the grant lacks `raw-sql`; otherwise as [`Session::fetch`].
    pub async fn fetch_raw(&self, sql: &str, parameters: Vec<Value>) -> Result<Cursor, Error> {
        self.read_text(sql, parameters, None).await
    }

    /// The same for rows with known columns: the statement must return exactly the columns of
    /// `expected`, in any order, and computed values are read as the expected types.
    ///
    /// # Errors
    ///
    /// As [`Session::fetch_raw`]; `invalid-query` for other columns, and `decode-failed` for values
    /// that do not fit the expected types.
    pub async fn fetch_raw_as(
        &self,
        sql: &str,
        parameters: Vec<Value>,
        expected: Arc<[ExpectedColumn]>,
    ) -> Result<Cursor, Error> {
        self.read_text(sql, parameters, Some(expected)).await
    }

    async fn read_text(
        &self,
        sql: &str,
        parameters: Vec<Value>,
        expected: Option<Arc<[ExpectedColumn]>>,
    ) -> Result<Cursor, Error> {
        self.admit_raw()?;
        self.admit(&parameters)?;
        let slot = Slot::take(&self.granted.call, SlotKind::Cursor)?;
        let mut reservation = None;
        if self.is_limited() && changes_rows(sql, self.dialect()) {
            self.granted.call.admit_written(0)?;
            reservation = Some(RowReservation::unknown(&self.granted.call));
        }
        self.open(Work::Text(sql, parameters, expected), reservation, slot).await
    }

    /// Runs SQL text for its effect; returns the number of changed rows.
    ///
    /// # Errors
    ///
    /// As [`Session::fetch_raw`].
    pub async fn execute_raw(&self, sql: &str, parameters: Vec<Value>) -> Result<u64, Error> {
        self.admit_raw()?;
        self.admit(&parameters)?;
        self.granted.call.admit_written(0)?;
        let reservation = RowReservation::unknown(&self.granted.call);
        self.apply(Work::Text(sql, parameters, None), Some(reservation)).await
    }

    /// Begins a transaction, or a savepoint inside one. Until it ends, this session returns `busy`.
    /// With a read-only grant, the transaction is read-only.
    ///
    /// # Errors
    ///
    /// `limit-exceeded` if too many sessions are open; `busy` if no connection or lock was free in
    /// time; and errors of the options or the database.
    pub async fn begin(&self, options: TransactionOptions) -> Result<Self, Error> {
        self.admit(&[])?;
        let parent = Occupied::take(&self.occupied)?;
        let slot = Slot::take(&self.granted.call, SlotKind::Session)?;
        let target = match &self.target {
            Target::Database(database) => {
                let BegunTransaction { transaction, permit } =
                    self.begin_in(database, options).await?;
                let uncounted = Arc::default();
                Target::Transaction { transaction, savepoint: false, permit, uncounted }
            }
            Target::Transaction { transaction, permit, .. } => {
                let transaction = self.run(pin!(transaction.begin(options))).await?;
                let (permit, uncounted) = (permit.clone(), Arc::default());
                Target::Transaction { transaction, savepoint: true, permit, uncounted }
            }
        };
        Ok(Self {
            granted: self.granted.clone(),
            target,
            occupied: Arc::default(),
            _parent: Some(parent),
            _slot: slot,
        })
    }

    /// Commits a transaction or releases a savepoint.
    ///
    /// # Errors
    ///
    /// `invalid-query` if this is not a transaction; `busy` if a savepoint or a cursor is open in
    /// it; `timeout` if it was open for too long; `limit-exceeded` if it wrote too many rows. In
    /// the last three cases it is rolled back, with its savepoints. `outcome-unknown` if the
    /// connection was lost meanwhile.
    pub async fn commit(self) -> Result<(), Error> {
        self.admit_no_other()?;
        let Target::Transaction { transaction, savepoint, permit, uncounted } = self.target else {
            return Err(not_a_transaction());
        };
        self.granted.call.admit_written(0)?;
        if self.granted.call.limits().is_some() && uncounted.load(Ordering::Acquire) {
            return Err(Limits::rows_uncounted());
        }
        // A savepoint that is not released in time ends with its transaction.
        let wait = if savepoint { Wait::Run } else { Wait::Commit };
        if let (Some(end), Some(limits)) = (transaction.deadline(), self.granted.call.limits())
            && end <= Instant::now()
        {
            return Err(limits.transaction_expired());
        }
        let commit = pin!(transaction.commit());
        let outcome = self.granted.wait(wait, Duration::ZERO, None, commit).await;
        drop(permit);
        outcome
    }

    /// Rolls back a transaction, or to a savepoint.
    ///
    /// # Errors
    ///
    /// `invalid-query` if this is not a transaction; `busy` if a savepoint or a cursor is open in
    /// it: it is rolled back when that ends.
    pub async fn rollback(self) -> Result<(), Error> {
        self.admit_no_other()?;
        let Target::Transaction { transaction, permit, .. } = self.target else {
            return Err(not_a_transaction());
        };
        let undo = pin!(transaction.rollback());
        let outcome = self.granted.wait(Wait::Run, Duration::ZERO, None, undo).await;
        drop(permit);
        outcome
    }

    /// The fields of a model that the grant forces to one value, with that value: inserted rows
    /// have it by default, and rows with another one are `denied`.
    #[must_use]
    pub fn settled(&self, model: &str) -> Vec<(&str, &Value)> {
        self.granted.policy.settled(model)
    }

    /// Replaces the models for further queries, since an application may add models while a
    /// transaction is open. The grant does not change.
    ///
    /// # Errors
    ///
    /// `invalid-configuration` if the grant does not fit the models.
    pub fn renew(&mut self, models: Arc<Models>) -> Result<(), Error> {
        self.granted = Arc::new(renewed(&self.granted, models)?);
        Ok(())
    }

    /// The deadline of the transaction.
    fn end(&self) -> Option<Instant> {
        match &self.target {
            Target::Database(..) => None,
            Target::Transaction { transaction, .. } => transaction.deadline(),
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("database", &self.granted.label)
            .field("transaction", &matches!(self.target, Target::Transaction { .. }))
            .finish_non_exhaustive()
    }
}

fn not_a_transaction() -> Error {
    Error::new(ErrorKind::InvalidQuery, "this session is not a transaction: begin one first")
}
