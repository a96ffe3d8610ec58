//! Sessions and transactions: where queries are sent.

use std::fmt;
use std::ops::Deref;

use ferro_wit::Cursor;
use ferro_wit::query::{Query, Statement};
use ferro_wit::types::{Batch, Dialect, Error, ErrorKind, Isolation, TransactionOptions, Value};

use crate::tree::Arena;

/// A database. Each call may run on another connection; [`begin`](Self::begin) holds one.
///
/// A plugin opens a session by the label under which it was granted the database:
///
/// ```no_run
/// let db = ferro::Session::open("app")?;
/// # Ok::<(), ferro::Error>(())
/// ```
///
/// An application makes one of what its host lends: see [`Session::new`].
pub struct Session {
    inner: Box<dyn ferro_wit::Session>,
}

/// A transaction, or a savepoint inside one; a [`Session`] by dereference.
///
/// Dropped before [`commit`](Self::commit), it rolls back.
#[must_use = "a transaction that is dropped rolls back at once"]
#[derive(Debug)]
pub struct Transaction {
    session: Session,
}

/// A query as data, and the values of its parameters: what a host is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The shape: what plans are cached by.
    pub query: Query,
    /// The values, in the order of the parameters' numbers.
    pub parameters: Vec<Value>,
}

impl Session {
    /// The database that the host lends under a label. For plugins.
    ///
    /// # Errors
    ///
    /// `denied` if there is no such label, or if it is not granted: the two look alike.
    /// `unsupported` outside a component: see [`Session::new`].
    pub fn open(label: &str) -> Result<Self, Error> {
        crate::host::open(label).map(Self::from)
    }

    /// What a host lends natively, such as a `ferro_session::Session`. For applications.
    #[must_use]
    pub fn new(session: impl ferro_wit::Session + 'static) -> Self {
        Self { inner: Box::new(session) }
    }

    /// The SQL dialect of the database; queries are the same on each.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.inner.dialect()
    }

    /// Begin a transaction, or a savepoint inside one. Until it ends, use it and not `self`.
    ///
    /// # Errors
    ///
    /// `busy` if no connection is free in time; what the database reports.
    pub async fn begin(&self) -> Result<Transaction, Error> {
        self.begin_with(TransactionOptions::default()).await
    }

    /// Begin a transaction with another isolation, read-only, or, on SQLite, with the write lock
    /// taken at once. SQLite has one isolation, serializable, whatever is asked for.
    ///
    /// # Errors
    ///
    /// As [`begin`](Self::begin); `invalid-query` for a savepoint, which takes no option but
    /// `immediate`.
    pub async fn begin_with(&self, options: TransactionOptions) -> Result<Transaction, Error> {
        Ok(Transaction { session: self.inner.begin(options).await?.into() })
    }

    /// Run a closure in a transaction: committed if it returns `Ok`, rolled back if it returns
    /// `Err`. Inside a transaction, the same with a savepoint.
    ///
    /// ```
    /// # use ferro::prelude::*;
    /// # #[derive(Model, Debug, Clone)]
    /// # struct City { #[ferro(key)] id: i64, name: String }
    /// async fn swap(db: &ferro::Session, a: i64, b: i64) -> Result<(), ferro::Error> {
    ///     db.transaction(async |tx| {
    ///         let mut first = City::get(tx, a).await?;
    ///         let mut second = City::get(tx, b).await?;
    ///         let name = first.name.clone();
    ///         first.update(tx, |it| it.name = second.name.clone()).await?;
    ///         second.update(tx, |it| it.name = name).await
    ///     })
    ///     .await
    /// }
    /// # let _ = swap;
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the closure, of [`begin`](Self::begin) and of [`Transaction::commit`].
    pub async fn transaction<T, E: From<Error>>(
        &self,
        work: impl AsyncFnOnce(&Session) -> Result<T, E>,
    ) -> Result<T, E> {
        self.transaction_with(TransactionOptions::default(), work).await
    }

    /// As [`transaction`](Self::transaction), with the options of [`begin_with`](Self::begin_with).
    ///
    /// ```
    /// use ferro::prelude::*;
    /// use ferro::{Isolation, TransactionOptions};
    ///
    /// # #[derive(Model, Debug, Clone)]
    /// # struct City { #[ferro(key)] id: i64 }
    /// async fn report(db: &ferro::Session) -> Result<(u64, Vec<City>), ferro::Error> {
    ///     let snapshot = TransactionOptions {
    ///         isolation: Some(Isolation::Serializable),
    ///         read_only: true,
    ///         ..TransactionOptions::default()
    ///     };
    ///     db.transaction_with(snapshot, async |tx| {
    ///         Ok((City::query().count(tx).await?, City::query().limit(10).all(tx).await?))
    ///     })
    ///     .await
    /// }
    /// # let _ = report;
    /// ```
    ///
    /// # Errors
    ///
    /// As [`transaction`](Self::transaction) and [`begin_with`](Self::begin_with).
    pub async fn transaction_with<T, E: From<Error>>(
        &self,
        options: TransactionOptions,
        work: impl AsyncFnOnce(&Session) -> Result<T, E>,
    ) -> Result<T, E> {
        let transaction = self.begin_with(options).await?;
        match work(&transaction).await {
            Ok(value) => {
                transaction.commit().await?;
                Ok(value)
            }
            Err(error) => {
                // The closure's error says more than a rollback that failed as well: after a lost
                // connection there is nothing left to undo.
                let _ = transaction.rollback().await;
                Err(error)
            }
        }
    }

    /// Run a closure in a serializable transaction, and again from its start where it lost against
    /// another one, `attempts` times in all. What the closure does outside the database it may
    /// do more than once.
    ///
    /// It is for the outermost transaction, and an error inside one: after such a failure a
    /// database takes nothing more in it, so that a savepoint cannot be tried again.
    ///
    /// ```
    /// # use ferro::prelude::*;
    /// # #[derive(Model, Debug, Clone)]
    /// # struct Account { #[ferro(key)] id: i64, balance: i64 }
    /// async fn transfer(db: &ferro::Session, amount: i64) -> Result<(), ferro::Error> {
    ///     db.retry(5, async |tx| {
    ///         Account::get(tx, 1).await?.update(tx, |it| it.balance -= amount).await?;
    ///         Account::get(tx, 2).await?.update(tx, |it| it.balance += amount).await
    ///     })
    ///     .await
    /// }
    /// # let _ = transfer;
    /// ```
    ///
    /// # Errors
    ///
    /// As [`transaction`](Self::transaction): those of the last attempt. `serialization-failure` and
    /// `deadlock` are tried again, and on SQLite a `busy`; `outcome-unknown` never is.
    /// `invalid-query` inside a transaction.
    pub async fn retry<T>(
        &self,
        attempts: u32,
        work: impl AsyncFn(&Session) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let options = TransactionOptions {
            isolation: Some(Isolation::Serializable),
            ..TransactionOptions::default()
        };
        let mut attempt = 1;
        loop {
            match self.transaction_with(options.clone(), &work).await {
                Err(error) if attempt < attempts && lost(&error) => attempt += 1,
                result => return result,
            }
        }
    }

    /// Run a request that returns rows.
    ///
    /// # Errors
    ///
    /// What the database reports.
    pub async fn fetch(&self, request: Request) -> Result<Box<dyn Cursor>, Error> {
        self.inner.fetch(request.query, request.parameters).await
    }

    /// Run a request for its effect; how many rows changed.
    ///
    /// # Errors
    ///
    /// What the database reports.
    pub async fn execute(&self, request: Request) -> Result<u64, Error> {
        self.inner.execute(request.query, request.parameters).await
    }

    /// Insert many rows, or update many by their keys, all or none; how many rows changed.
    ///
    /// # Errors
    ///
    /// What the database reports.
    pub async fn write(&self, request: Request, rows: Batch) -> Result<u64, Error> {
        self.inner.write(request.query, request.parameters, rows).await
    }

    /// As [`write`](Self::write), of a request that returns rows: what it returns.
    ///
    /// # Errors
    ///
    /// What the database reports.
    pub async fn write_returning(
        &self,
        request: Request,
        rows: Batch,
    ) -> Result<Box<dyn Cursor>, Error> {
        self.inner.write_returning(request.query, request.parameters, rows).await
    }

    #[cfg(feature = "raw-sql")]
    pub(crate) async fn fetch_raw(
        &self,
        sql: String,
        parameters: Vec<Value>,
    ) -> Result<Box<dyn Cursor>, Error> {
        self.inner.fetch_raw(sql, parameters).await
    }

    #[cfg(feature = "raw-sql")]
    pub(crate) async fn execute_raw(
        &self,
        sql: String,
        parameters: Vec<Value>,
    ) -> Result<u64, Error> {
        self.inner.execute_raw(sql, parameters).await
    }
}

impl Transaction {
    /// Make what was done last; inside a transaction, give up the savepoint and keep the work.
    ///
    /// # Errors
    ///
    /// What the database reports, `serialization-failure` for one; `outcome-unknown` if the
    /// connection broke meanwhile; `busy` if a savepoint or a stream of it is still open. What was
    /// done is undone then, in savepoints, too.
    pub async fn commit(self) -> Result<(), Error> {
        self.session.inner.commit().await
    }

    /// Undo what was done.
    ///
    /// # Errors
    ///
    /// What the database reports; `busy` if a savepoint or a stream of it is still open. The
    /// transaction is over in any case.
    pub async fn rollback(self) -> Result<(), Error> {
        self.session.inner.rollback().await
    }
}

impl Request {
    pub(crate) fn new(arena: Arena, statement: Statement) -> Self {
        let Arena { nodes, selects, common, parameters, .. } = arena;
        Self { query: Query { nodes, selects, common, statement }, parameters }
    }
}

impl Deref for Transaction {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl From<Box<dyn ferro_wit::Session>> for Session {
    fn from(inner: Box<dyn ferro_wit::Session>) -> Self {
        Self { inner }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("dialect", &self.dialect()).finish_non_exhaustive()
    }
}

/// Whether a transaction failed only because others ran beside it. A pool that is full and a cursor
/// that is still open are busy, too, but not the database.
fn lost(error: &Error) -> bool {
    match error.kind {
        ErrorKind::SerializationFailure | ErrorKind::Deadlock => true,
        ErrorKind::Busy => error.retryable && error.is_from_database(),
        _ => false,
    }
}
