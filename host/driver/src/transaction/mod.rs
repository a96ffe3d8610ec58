//! Transactions and savepoints.

mod begin;
pub(crate) mod state;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ferro_wit::types::{Dialect, Error, ErrorKind, TransactionOptions, Value};
use tokio::time::Instant;

use crate::cursor::{Cursor, ExpectedColumn};
use crate::error::from_sqlx;
use crate::fence::Fence;
use crate::run::statement_connection::{StatementConnection, is_at_rest};
use crate::run::{self, Execution, Target};

use self::state::{OUTERMOST, State, restore, roll_back, roll_back_to};

/// A transaction, or a savepoint inside one. It holds its connection.
///
/// Dropping it before its end rolls it back, without waiting, and immediately from the view of
/// others. Its statements run one at a time; while a cursor or a savepoint of it is open, it
/// returns `busy`. On PostgreSQL, nothing runs after a failed statement until the transaction, or a
/// savepoint around the statement, is rolled back; on SQLite, only the failed statement is undone.
/// Cancelling a running statement ends it in the database, together with the transaction.
///
/// # Examples
///
/// ```
/// use ferro_driver::{ConnectOptions, Database};
/// use ferro_wit::types::TransactionOptions;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let database = Database::connect("sqlite::memory:", &ConnectOptions::default()).await?;
/// database.execute_raw("CREATE TABLE t (n INTEGER)", vec![]).await?;
///
/// let transaction = database.begin(TransactionOptions::default()).await?;
/// transaction.execute_raw("INSERT INTO t VALUES (1)", vec![]).await?;
/// let savepoint = transaction.begin(TransactionOptions::default()).await?;
/// savepoint.execute_raw("INSERT INTO t VALUES (2)", vec![]).await?;
/// savepoint.rollback().await?;
/// transaction.commit().await?;
///
/// let mut rows = database.fetch_raw("SELECT n FROM t", vec![]).await?;
/// assert_eq!(rows.next(10).await?.map(|it| it.rows), Some(1));
/// # Ok::<(), ferro_wit::types::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a transaction that is dropped is rolled back"]
pub struct Transaction {
    state: Arc<State>,
    level: u32,
    read_only: bool,
    /// Whether nothing is left to roll back, or another handle does that.
    ended: bool,
}

impl Transaction {
    /// A transaction with a time limit, if there is one.
    fn outermost(state: State, read_only: bool, time: Option<Duration>) -> Self {
        let state = Arc::new(state);
        if let Some(end) = time.and_then(|it| Instant::now().checked_add(it)) {
            state.end_at(end);
        }
        Self { state, level: OUTERMOST, read_only, ended: false }
    }

    /// The deadline after which it is rolled back.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.state.deadline()
    }

    /// The SQL dialect of the database.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.state.dialect()
    }

    /// Runs a plan that returns rows; see [`Database::fetch`](crate::Database::fetch).
    ///
    /// # Errors
    ///
    /// As [`Database::fetch`](crate::Database::fetch), and `busy` while a cursor or a savepoint is
    /// open.
    pub async fn fetch(&self, execution: Execution) -> Result<Cursor, Error> {
        run::fetch(Target::Transaction(self), execution).await
    }

    /// Runs a plan for its effect; see [`Database::execute`](crate::Database::execute).
    ///
    /// # Errors
    ///
    /// As [`Database::execute`](crate::Database::execute), and `busy` while a cursor or a savepoint
    /// is open.
    pub async fn execute(&self, execution: Execution) -> Result<u64, Error> {
        run::execute(Target::Transaction(self), execution).await
    }

    /// Runs SQL text that returns rows; see [`Database::fetch_raw`](crate::Database::fetch_raw).
    ///
    /// # Errors
    ///
    /// As [`Database::fetch_raw`](crate::Database::fetch_raw), and `busy` while a cursor or a
    /// savepoint is open.
    pub async fn fetch_raw(&self, sql: &str, parameters: Vec<Value>) -> Result<Cursor, Error> {
        run::fetch_raw(Target::Transaction(self), sql, parameters, None).await
    }

    /// The same for rows with known columns; see
    /// [`Database::fetch_raw_as`](crate::Database::fetch_raw_as).
    ///
    /// # Errors
    ///
    /// As [`Database::fetch_raw_as`](crate::Database::fetch_raw_as), and `busy` while a cursor or a
    /// savepoint is open.
    pub async fn fetch_raw_as(
        &self,
        sql: &str,
        parameters: Vec<Value>,
        expected: Arc<[ExpectedColumn]>,
    ) -> Result<Cursor, Error> {
        run::fetch_raw(Target::Transaction(self), sql, parameters, Some(expected)).await
    }

    /// Runs SQL text for its effect; see [`Database::execute_raw`](crate::Database::execute_raw).
    ///
    /// # Errors
    ///
    /// As [`Database::execute_raw`](crate::Database::execute_raw), and `busy` while a cursor or a
    /// savepoint is open.
    pub async fn execute_raw(&self, sql: &str, parameters: Vec<Value>) -> Result<u64, Error> {
        run::execute_raw(Target::Transaction(self), sql, parameters).await
    }

    /// Begins a savepoint. Until it ends, only the savepoint accepts statements.
    ///
    /// # Errors
    ///
    /// `invalid-query` for any option but `immediate`; `busy` while a cursor or another savepoint
    /// is open; the reason why the transaction accepts no statements.
    pub async fn begin(&self, options: TransactionOptions) -> Result<Self, Error> {
        check_savepoint(&options)?;
        let mut connection = self.connection(false).await?;
        let savepoint = self.state.number();
        let sql = format!("SAVEPOINT ferro_{savepoint}");
        if let Err(error) = connection.lease().command(&sql).await {
            return Err(connection.fail(error).await);
        }
        self.state.opened(savepoint);
        // From here on, a cancelled call leaves a savepoint to undo, not an unknown state.
        let opened = Self {
            state: Arc::clone(&self.state),
            level: savepoint,
            read_only: self.read_only,
            ended: false,
        };
        connection.rest().await;
        Ok(opened)
    }

    /// Commits the transaction, or releases the savepoint.
    ///
    /// # Errors
    ///
    /// If this fails, everything is rolled back, except for `outcome-unknown`: the connection was
    /// lost, and the transaction may or may not have been committed. `busy` if a cursor or a
    /// savepoint is open; an earlier failure in the transaction, if PostgreSQL cannot commit it;
    /// constraints that are checked at the end; `serialization-failure`.
    pub async fn commit(mut self) -> Result<(), Error> {
        let mut connection = self.state.enter_failed(self.level).await?;
        let failure = match self.state.failure(&mut connection).await {
            Ok(failure) => failure,
            Err(error) => return Err(connection.fail(error).await),
        };
        if let Some(error) = failure {
            let message =
                format!("nothing was committed, because a statement had failed: {}", error.message);
            // If this fails, the connection is closed; the first error says more.
            let _ = self.undo(connection).await;
            return Err(Error { message, ..error });
        }
        let mut connection = connection.admit(false).await?;
        let committed = match self.level {
            OUTERMOST => connection.lease().command("COMMIT").await,
            level => {
                let sql = format!("RELEASE SAVEPOINT ferro_{level}");
                connection.lease().command(&sql).await
            }
        };
        match committed {
            Ok(()) => self.close(connection).await,
            Err(error) if is_at_rest(&error) => {
                let error = from_sqlx(&error, self.dialect());
                let _ = self.undo(connection).await;
                Err(error)
            }
            Err(error) => {
                let error = connection.fail(error).await;
                // The server had already ended the transaction, since it was idle for too long.
                let is_known = error.kind == ErrorKind::Timeout && error.is_from_database();
                Err(if self.level == OUTERMOST && !is_known {
                    outcome_unknown(error)
                } else {
                    error
                })
            }
        }
    }

    /// Rolls back the transaction, or to the savepoint.
    ///
    /// # Errors
    ///
    /// `busy` if a cursor or a savepoint is open: it is rolled back as soon as that has ended. A
    /// transaction that the database has already ended is not an error.
    pub async fn rollback(mut self) -> Result<(), Error> {
        if self.state.is_over() {
            return Ok(());
        }
        let connection = self.state.enter_failed(self.level).await?;
        self.undo(connection).await
    }

    /// Commits, or rolls back if something failed.
    pub(crate) async fn end<T>(self, result: Result<T, Error>) -> Result<T, Error> {
        match result {
            Ok(value) => self.commit().await.map(|()| value),
            Err(error) => {
                // If this fails, the connection is closed; the first error says more.
                let _ = self.rollback().await;
                Err(error)
            }
        }
    }

    /// The connection for a statement, which may be SQL `text`.
    pub(crate) async fn connection(&self, text: bool) -> Result<StatementConnection, Error> {
        self.state.enter(self.level).await?.admit(text).await
    }

    /// The fence that the database enforces on the caller; `None` for the application itself.
    pub(crate) fn fence(&self) -> Option<&Arc<Fence>> {
        self.state.enclosure().map(|it| it.fence())
    }

    /// Another handle of the transaction, for a cursor of several result sets. The transaction ends
    /// with the original.
    pub(crate) fn handle(&self) -> Self {
        let state = Arc::clone(&self.state);
        Self { state, level: self.level, read_only: self.read_only, ended: true }
    }

    /// Ends a transaction that changed nothing, unless this is a [`handle`](Self::handle) of it.
    pub(crate) async fn end_reading(self) -> Result<(), Error> {
        match self.ended {
            true => Ok(()),
            false => self.rollback().await,
        }
    }

    /// Rolls back in the database, and ends this level.
    async fn undo(&mut self, mut connection: StatementConnection) -> Result<(), Error> {
        let undone = match self.level {
            OUTERMOST => roll_back(connection.lease(), false).await,
            level => roll_back_to(connection.lease(), level).await,
        };
        match undone {
            Ok(()) => self.close(connection).await,
            // The connection is closed, and the transaction with it.
            Err(error) => match connection.fail(error).await {
                _ if self.level == OUTERMOST => Ok(()),
                error => Err(error),
            },
        }
    }

    /// Ends this level after the database has ended it.
    async fn close(&mut self, mut connection: StatementConnection) -> Result<(), Error> {
        self.ended = true;
        self.state.closed();
        if self.level != OUTERMOST {
            connection.rest().await;
            return Ok(());
        }
        // What was committed stays committed: if this fails, the connection is only closed.
        let restored = restore(connection.begin().0, self.read_only).await;
        if let (Ok(()), Some(mut lease)) = (restored, connection.into_lease()) {
            lease.clear();
            lease.release().await;
        }
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.ended {
            self.state.dropped(self.level);
        }
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let savepoint = (self.level != OUTERMOST).then_some(self.level);
        f.debug_struct("Transaction").field("savepoint", &savepoint).finish_non_exhaustive()
    }
}

/// A savepoint has the isolation of its transaction. It always satisfies `immediate`: the
/// transaction has the lock, or gets it with its first write.
fn check_savepoint(options: &TransactionOptions) -> Result<(), Error> {
    let TransactionOptions { isolation, read_only, immediate: _, deferrable } = *options;
    let options =
        [("isolation", isolation.is_some()), ("read-only", read_only), ("deferrable", deferrable)];
    match options.into_iter().find(|(_, is_given)| *is_given) {
        None => Ok(()),
        Some((name, _)) => Err(Error::new(
            ErrorKind::InvalidQuery,
            format!(
                "a transaction inside another is a savepoint, and does not support `{name}`: pass \
                 it to the outermost one"
            ),
        )),
    }
}

/// The connection broke during a commit.
pub(crate) fn outcome_unknown(cause: Error) -> Error {
    let message = format!(
        "the connection broke during the commit, which may or may not have happened: {}",
        cause.message
    );
    Error { kind: ErrorKind::OutcomeUnknown, message, retryable: false, ..cause }
}
