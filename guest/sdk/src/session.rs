//! Sessions and transactions, in which queries run.

use std::fmt;
use std::ops::Deref;

use ferro_wit::Cursor;
use ferro_wit::query::{Query, Statement};
use ferro_wit::types::{Batch, Dialect, Error, ErrorKind, Isolation, TransactionOptions, Value};

use crate::tree::Arena;

/// A session on a database. Each call may use a different connection; [`begin`](Self::begin) holds
/// one.
///
/// A plugin opens a session by the label of a database that it was granted:
///
/// ```no_run
/// let db = ferro::Session::open("app")?;
/// # Ok::<(), ferro::Error>(())
/// ```
///
/// An application creates one from a session of its host: see [`Session::new`].
pub struct Session {
    inner: Box<dyn ferro_wit::Session>,
}

/// A transaction, or a savepoint inside one; a [`Session`] by dereference.
///
/// If dropped before [`commit`](Self::commit), it rolls back.
#[must_use = "a transaction that is dropped rolls back at once"]
#[derive(Debug)]
pub struct Transaction {
    session: Session,
}

/// A query as data, with the values of its parameters, as sent to a host.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The shape, by which plans are cached.
    pub query: Query,
    /// The values, in the order of the parameters' numbers.
    pub parameters: Vec<Value>,
}

impl Session {
    /// Opens the database that the host lends under a label; for plugins.
    ///
    /// # Errors
    ///
    /// `denied` if there is no such label, or if it is not granted: the two look alike;
    /// `unsupported` outside a component: see [`Session::new`].
    pub fn open(label: &str) -> Result<Self, Error> {
        crate::host::open(label).map(Self::from)
    }

    /// Wraps a native session of a host, such as a `ferro_session::Session`; for applications.
    #[must_use]
    pub fn new(session: impl ferro_wit::Session + 'static) -> Self {
        Self { inner: Box::new(session) }
    }

    /// The SQL dialect of the database; queries are the same for each.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.inner.dialect()
    }

    /// Begins a transaction, or a savepoint inside one. Until it ends, use it instead of `self`.
    ///
    /// # Errors
    ///
    /// `busy` if no connection is free in time; what the database reports.
    pub async fn begin(&self) -> Result<Transaction, Error> {
        self.begin_with(TransactionOptions::default()).await
    }

    /// Begins a transaction with options: an isolation level, read-only, or, on SQLite, taking the
    /// write lock at once. SQLite has only one isolation level, serializable, whatever is set.
    ///
    /// # Errors
    ///
    /// As [`begin`](Self::begin); `invalid-query` for a savepoint, which only accepts `immediate`.
    pub async fn begin_with(&self, options: TransactionOptions) -> Result<Transaction, Error> {
        Ok(Transaction { session: self.inner.begin(options).await?.into() })
    }

    /// Runs a closure in a transaction, which commits if it returns `Ok` and rolls back if it
    /// returns `Err`. Inside a transaction, it uses a savepoint.
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

    /// Like [`transaction`](Self::transaction), with the options of
    /// [`begin_with`](Self::begin_with).
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
                // The closure's error says more than that of a failed rollback: after a lost
                // connection, there is nothing to roll back.
                let _ = transaction.rollback().await;
                Err(error)
            }
        }
    }

    /// Runs a closure in a serializable transaction, and retries it after a conflict with another
    /// one, up to `attempts` times in total. Side effects of the closure outside the database may
    /// happen more than once.
    ///
    /// It is only for the outermost transaction, and an error inside one: after such a failure a
    /// database rejects all statements of the transaction, so a savepoint cannot be retried.
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
    /// As [`transaction`](Self::transaction), of the last attempt. `serialization-failure` and
    /// `deadlock` are retried, and on SQLite `busy`, but never `outcome-unknown`. `invalid-query`
    /// inside a transaction.
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

    /// Runs a request that returns rows.
    ///
    /// # Errors
    ///
    /// What the database reports.
    pub async fn fetch(&self, request: Request) -> Result<Box<dyn Cursor>, Error> {
        self.inner.fetch(request.query, request.parameters).await
    }

    /// Runs a request for its effect; returns the number of changed rows.
    ///
    /// # Errors
    ///
    /// What the database reports.
    pub async fn execute(&self, request: Request) -> Result<u64, Error> {
        self.inner.execute(request.query, request.parameters).await
    }

    /// Inserts many rows, or updates many by key, all or none; returns the number of changed rows.
    ///
    /// # Errors
    ///
    /// What the database reports.
    pub async fn write(&self, request: Request, rows: Batch) -> Result<u64, Error> {
        self.inner.write(request.query, request.parameters, rows).await
    }

    /// Like [`write`](Self::write), for a request that returns rows.
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
    /// Commits the transaction, or releases the savepoint.
    ///
    /// # Errors
    ///
    /// Errors of the database, such as `serialization-failure`; `outcome-unknown` if the connection
    /// was lost meanwhile; `busy` if a savepoint or a stream of it is still open. After an error,
    /// it is rolled back, including its savepoints.
    pub async fn commit(self) -> Result<(), Error> {
        self.session.inner.commit().await
    }

    /// Rolls back the transaction or the savepoint.
    ///
    /// # Errors
    ///
    /// What the database reports; `busy` if a savepoint or a stream of it is still open. The
    /// transaction ends in any case.
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

/// Whether a transaction failed only because of concurrent ones. A full pool and an open cursor are
/// `busy`, too, but not the database.
fn lost(error: &Error) -> bool {
    match error.kind {
        ErrorKind::SerializationFailure | ErrorKind::Deadlock => true,
        ErrorKind::Busy => error.retryable && error.is_from_database(),
        _ => false,
    }
}
