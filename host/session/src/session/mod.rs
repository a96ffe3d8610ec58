//! Sessions: a database or a transaction, as one call may use it.

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

/// A database, or a transaction in it, under the rights and limits of a call.
///
/// While a transaction that it began is open, a session answers with `busy`; open another one for
/// work beside it. Dropping an unfinished transaction rolls it back.
///
/// # Cancel safety
///
/// A dropped future of any method leaves no connection in doubt: it is closed, and what a
/// transaction did is rolled back.
pub struct Session {
    granted: Arc<Granted>,
    target: Target,
    /// Whether a transaction that began here is open.
    occupied: Arc<AtomicBool>,
    /// Of a transaction: keeps the session that it began in occupied.
    _parent: Option<Occupied>,
    _slot: Slot,
}

enum Target {
    Database(Database),
    Transaction {
        transaction: Transaction,
        savepoint: bool,
        /// Its connection counts against the tenant's share of the pool for as long as the
        /// transaction, a savepoint or a cursor of it is there.
        permit: Option<Arc<ConnectionPermit>>,
        /// Whether rows were written that nobody has counted, as nobody has read what they return.
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

    /// Run a query that returns rows.
    ///
    /// # Errors
    ///
    /// `denied` or `read-only`, if the grant does not allow the query; `limit-exceeded`, `timeout`
    /// or `busy`, where a limit is reached; `busy` while a transaction of this session is open;
    /// and what is wrong with the query, its values or the database.
    pub async fn fetch(&self, query: &Query, parameters: Vec<Value>) -> Result<Cursor, Error> {
        self.read(query, parameters, None).await
    }

    /// Write many rows, all or none; what each of them returns, in their order.
    ///
    /// # Errors
    ///
    /// As [`Session::fetch`]; `invalid-query`, if the batch contradicts itself.
    pub async fn write_returning(
        &self,
        query: &Query,
        parameters: Vec<Value>,
        rows: Batch,
    ) -> Result<Cursor, Error> {
        self.read(query, parameters, Some(rows)).await
    }

    /// The plan of a query, under the scope of the grant: what [`Session::fetch`] would send.
    ///
    /// # Errors
    ///
    /// What is wrong with the query, and what the grant does not allow.
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

    /// Run a query for its effect; the number of rows changed.
    ///
    /// # Errors
    ///
    /// As [`Session::fetch`].
    pub async fn execute(&self, query: &Query, parameters: Vec<Value>) -> Result<u64, Error> {
        self.change(query, parameters, None).await
    }

    /// Insert many rows, all or none; the number of rows inserted.
    ///
    /// # Errors
    ///
    /// As [`Session::fetch`]; `invalid-query`, if the batch contradicts itself.
    pub async fn write(
        &self,
        query: &Query,
        parameters: Vec<Value>,
        rows: Batch,
    ) -> Result<u64, Error> {
        self.change(query, parameters, Some(rows)).await
    }

    /// Run SQL text that returns rows: one statement, with `?` or `$1` for its parameters.
    ///
    /// # Errors
    ///
    /// `denied`, if the grant has no `raw-sql`; else as [`Session::fetch`].
    pub async fn fetch_raw(&self, sql: &str, parameters: Vec<Value>) -> Result<Cursor, Error> {
        self.read_text(sql, parameters, None).await
    }

    /// The same for rows whose columns are known: the statement has to have all of `expected` and no
    /// others, in any order, and what it computes is read as what is expected of its column.
    ///
    /// # Errors
    ///
    /// As [`Session::fetch_raw`]; `invalid-query` for other columns, and `decode-failed` for values
    /// that are not what is expected.
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

    /// Run SQL text for its effect; the number of rows changed.
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

    /// A transaction, or a savepoint inside one. Until it ends, this session answers with `busy`.
    /// Where the grant is read-only, so is the transaction.
    ///
    /// # Errors
    ///
    /// `limit-exceeded`, if too many sessions are open; `busy`, if no connection or lock was free in
    /// time; and what is wrong with the options or the database.
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

    /// End a transaction or release a savepoint.
    ///
    /// # Errors
    ///
    /// `invalid-query`, if this is not a transaction; `busy`, if a savepoint or a cursor is open in
    /// it: it is then rolled back, with its savepoints. `timeout`, if it was open for too long, and
    /// `limit-exceeded`, if more rows were written than may be: it is then rolled back.
    /// `outcome-unknown`, if the connection broke meanwhile.
    pub async fn commit(self) -> Result<(), Error> {
        self.admit_no_other()?;
        let Target::Transaction { transaction, savepoint, permit, uncounted } = self.target else {
            return Err(not_a_transaction());
        };
        self.granted.call.admit_written(0)?;
        if self.granted.call.limits().is_some() && uncounted.load(Ordering::Acquire) {
            return Err(Limits::rows_uncounted());
        }
        // A savepoint that is not released in time is gone with its transaction.
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

    /// Undo a transaction, or what happened since a savepoint.
    ///
    /// # Errors
    ///
    /// `invalid-query`, if this is not a transaction; `busy`, if a savepoint or a cursor is open in
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

    /// The fields of a model that the grant forces to one value, with it: rows that are inserted
    /// without them have it, those with another one are `denied`.
    #[must_use]
    pub fn settled(&self, model: &str) -> Vec<(&str, &Value)> {
        self.granted.policy.settled(model)
    }

    /// Have queries from here on mean other models: an application may get some while a transaction
    /// is open. The grant stays as it is.
    ///
    /// # Errors
    ///
    /// `invalid-configuration`, if the grant does not fit the models.
    pub fn renew(&mut self, models: Arc<Models>) -> Result<(), Error> {
        self.granted = Arc::new(renewed(&self.granted, models)?);
        Ok(())
    }

    /// When a transaction has to end.
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
