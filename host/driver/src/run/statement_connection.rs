//! Where a statement runs: on its own connection or on that of a transaction; and what happens to
//! the connection afterwards.

use std::io;
use std::pin::pin;
use std::sync::Arc;

use ferro_wit::types::{Dialect, Error};
use sqlx::Connection as _;
use sqlx::postgres::{PgDatabaseError, PgSeverity};
use tokio::runtime::Handle;

use super::describe::FORGET;
use crate::deadlines::Deadlines;
use crate::error::from_sqlx;
use crate::fence::{Breach, Enclosure, Fence};
use crate::lease::{Connection, Lease};
use crate::reset::Traces;
use crate::statement::Watch;
use crate::transaction::outcome_unknown;
use crate::transaction::state::{State, restore, roll_back};

/// A connection for one statement. If it is dropped before [`end`](Self::end), the connection is
/// closed, unless the statement has begun to answer and the rest can be skipped.
pub(crate) struct StatementConnection {
    dialect: Dialect,
    /// `None` only after the end.
    lease: Option<Lease>,
    transaction: Option<Arc<State>>,
    /// The fence around the statement.
    enclosure: Option<Arc<Enclosure>>,
    /// Whether a transaction was begun for this statement only.
    implicit: bool,
    /// Whether the statement has begun to answer.
    answering: bool,
}

/// How a statement ended.
pub(crate) enum Ending {
    /// Its answer was read to the end.
    Complete,
    /// It was not sent.
    Refused(Error),
    /// The database, or the connection to it, failed.
    Failed(sqlx::Error),
    /// It was sent, and its answer is not read to the end.
    Abandoned(Error),
}

impl StatementConnection {
    pub(crate) fn of_pool(lease: Lease, dialect: Dialect) -> Self {
        let lease = Some(lease);
        Self {
            dialect,
            lease,
            transaction: None,
            enclosure: None,
            implicit: false,
            answering: false,
        }
    }

    /// For a statement in a transaction that was begun for it only.
    pub(crate) fn in_implicit_transaction(
        lease: Lease,
        dialect: Dialect,
        enclosure: Option<Arc<Enclosure>>,
    ) -> Self {
        let mut connection = Self::of_pool(lease, dialect);
        (connection.enclosure, connection.implicit) = (enclosure, true);
        connection
    }

    pub(crate) fn in_transaction(lease: Lease, state: Arc<State>) -> Self {
        let dialect = state.dialect();
        let mut connection = Self::of_pool(lease, dialect);
        connection.enclosure = state.enclosure().cloned();
        connection.transaction = Some(state);
        connection
    }

    pub(crate) fn transaction(&self) -> Option<Arc<State>> {
        self.transaction.clone()
    }

    /// The deadlines of the pool.
    pub(crate) fn deadlines(&self) -> Option<&Arc<Deadlines>> {
        self.lease.as_ref().map(Lease::deadlines)
    }

    /// Whether prepared statements may be kept on the connection.
    pub(crate) fn keeps_statements(&self) -> bool {
        self.lease.as_ref().is_some_and(Lease::keeps_statements)
    }

    /// Checks the fence for a statement, which may be SQL `text`.
    pub(crate) async fn admit(mut self, text: bool) -> Result<Self, Error> {
        let Some(enclosure) = self.enclosure.clone() else { return Ok(self) };
        match enclosure.admit(self.begin().0, text).await {
            Ok(()) => Ok(self),
            Err(breach) => Err(self.breached(breach).await),
        }
    }

    /// Applies a fence for SQL text to the next statement, or none, if the database asks for
    /// permission while it prepares a statement: on SQLite.
    pub(crate) async fn hold_to(mut self, fence: Option<&Arc<Fence>>) -> Result<Self, Error> {
        let held = match self.begin().0 {
            Connection::Sqlite(connection) => connection.hold_to(fence).await,
            Connection::Postgres(_) => Ok(()),
        };
        match held {
            Ok(()) => Ok(self),
            Err(error) => Err(self.fail(error).await),
        }
    }

    /// If the fence does not hold, nothing else may run on the connection: it is closed.
    async fn breached(mut self, breach: Breach) -> Error {
        let error = match breach {
            Breach::Database(error) => return self.fail(error).await,
            Breach::Refused(error) => error,
        };
        if let Some((lease, state)) = self.lease.take().zip(self.transaction.take()) {
            state.broken(lease, &error);
        }
        error
    }

    /// Notes what the statement may leave on the connection.
    pub(crate) fn leave(&mut self, traces: Traces) {
        if let Some(lease) = &mut self.lease {
            lease.leave(traces);
        }
    }

    /// Notes that a cursor will have the connection.
    pub(crate) fn for_cursor(self) -> Self {
        if let Some(state) = &self.transaction {
            state.reading();
        }
        self
    }

    /// The runtime in which the rest of an abandoned answer may be read, if that helps. It does not
    /// help in a transaction that continues, which waits for the rest anyway, or if the connection
    /// is not reused. And if an implicit transaction has changed something, abandoning the
    /// statement must not commit that.
    pub(crate) fn runtime_to_skip(&self) -> Option<Handle> {
        let ends_well = self.transaction.is_none() && (!self.implicit || self.is_read_only());
        self.lease.as_ref().filter(|it| ends_well && it.is_reusable()).map(Lease::runtime)
    }

    /// The connection, and the flag to set when the statement has begun to answer.
    pub(crate) fn begin(&mut self) -> (&mut Connection, &mut bool) {
        (in_doubt(&mut self.lease).connection(), &mut self.answering)
    }

    /// The same for operations on the lease.
    pub(crate) fn lease(&mut self) -> &mut Lease {
        in_doubt(&mut self.lease)
    }

    /// Starts logging a statement that is about to be sent.
    pub(crate) fn watch(&self, sql: &str) -> Watch {
        self.lease.as_ref().map(|it| it.watch(sql)).unwrap_or_default()
    }

    /// Returns the connection according to how the statement ended, and its error if it failed.
    pub(crate) async fn end(self, ending: Ending) -> Result<(), Error> {
        match ending {
            Ending::Complete => self.complete().await,
            Ending::Refused(error) => {
                self.rest().await;
                Err(error)
            }
            // `drop` decides what happens to the rest of the answer.
            Ending::Abandoned(error) => Err(error),
            Ending::Failed(error) => Err(self.fail(error).await),
        }
    }

    /// Commits what the statement did, and returns the connection. If the time of the transaction
    /// is over, nothing is kept, even if the statement succeeded.
    pub(crate) async fn complete(self) -> Result<(), Error> {
        if !self.implicit {
            let transaction = self.transaction();
            self.rest().await;
            return transaction.map_or(Ok(()), |it| it.in_time());
        }
        let mut connection = self.admit(false).await?;
        match connection.lease().command("COMMIT").await {
            Ok(()) => {
                connection.restore().await;
                Ok(())
            }
            Err(error) if is_at_rest(&error) => Err(connection.fail(error).await),
            Err(error) => Err(outcome_unknown(connection.fail(error).await)),
        }
    }

    /// Returns the connection, which is idle, without a commit.
    pub(crate) async fn rest(mut self) {
        let Some(mut lease) = self.lease.take() else { return };
        match self.transaction.take() {
            Some(state) => state.put_back(lease),
            None if self.implicit => {
                let at_rest = roll_back(&mut lease, self.is_read_only()).await.is_ok();
                give_back(lease, at_rest).await;
            }
            None => give_back(lease, true).await,
        }
    }

    /// Whether the implicit transaction is read-only.
    fn is_read_only(&self) -> bool {
        self.enclosure.as_ref().is_some_and(|it| it.fence().read_only)
    }

    /// Returns the connection after its implicit transaction was committed.
    async fn restore(mut self) {
        if let Some(mut lease) = self.lease.take() {
            let at_rest = restore(lease.connection(), self.is_read_only()).await.is_ok();
            give_back(lease, at_rest).await;
        }
    }

    /// Returns the connection if it is idle, and then the error.
    pub(crate) async fn fail(mut self, error: sqlx::Error) -> Error {
        self.close_statement();
        let at_rest = is_at_rest(&error);
        if let Some(lease) = self.lease.as_mut().filter(|_| is_lost(&error)) {
            lease.lose();
        }
        let is_stale = is_stale(&error);
        let mut error = from_sqlx(&error, self.dialect);
        if is_stale && forget(self.begin().0).await {
            error.retryable = true;
        }
        match self.transaction.take() {
            None if at_rest => self.rest().await,
            None => drop(self.lease.take()),
            Some(state) => {
                if let Some(lease) = self.lease.take() {
                    state.failed(lease, &error, at_rest).await;
                }
            }
        }
        error
    }

    /// On SQLite, a statement that is not at its end would keep its locks.
    fn close_statement(&mut self) {
        if let Some(Connection::Sqlite(connection)) = self.lease.as_mut().map(Lease::connection) {
            connection.close();
        }
    }

    pub(crate) fn into_lease(mut self) -> Option<Lease> {
        self.lease.take()
    }

    /// Handles a statement that was abandoned. A SQLite connection can be used again. A PostgreSQL
    /// connection cannot: whether the end of the answer is near has already been tried. In a
    /// transaction, which would be lost with its connection, the next statement waits for it.
    fn abandon(&mut self, mut lease: Lease) {
        match self.transaction.take() {
            Some(state) if self.answering => state.put_back_unread(lease),
            Some(state) => state.cancelled(lease),
            None => {
                if self.answering && self.dialect == Dialect::Sqlite && !self.implicit {
                    lease.clear();
                }
            }
        }
    }
}

/// The connection, marked as in doubt from here on.
fn in_doubt(lease: &mut Option<Lease>) -> &mut Lease {
    match lease {
        Some(lease) => {
            lease.doubt();
            lease
        }
        None => unreachable!("only `end` and `drop` take the connection, and both end it"),
    }
}

async fn give_back(mut lease: Lease, at_rest: bool) {
    if at_rest {
        lease.clear();
        lease.release().await;
    }
}

impl Drop for StatementConnection {
    fn drop(&mut self) {
        self.close_statement();
        if let Some(lease) = self.lease.take() {
            self.abandon(lease);
        }
    }
}

/// Whether the database rejected the statement in an orderly way, and is ready for the next one.
pub(crate) fn is_at_rest(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(_)) && !is_farewell(error)
}

/// Whether the connection is certainly dead. The state of a silent one is unknown.
fn is_lost(error: &sqlx::Error) -> bool {
    let is_silent = |it: &io::Error| it.kind() == io::ErrorKind::TimedOut;
    matches!(error, sqlx::Error::Io(it) if !is_silent(it)) || is_farewell(error)
}

/// Whether it is the last message of a server on a connection.
fn is_farewell(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    let severity = error.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::severity);
    matches!(severity, Some(PgSeverity::Fatal | PgSeverity::Panic))
}

/// Whether a prepared statement of PostgreSQL is outdated, as it returns other columns since the
/// schema changed. The server reports this before it does anything, with a translated message.
fn is_stale(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    let error = error.try_downcast_ref::<PgDatabaseError>();
    error.is_some_and(|it| it.code() == STALE && it.routine() == Some("RevalidateCachedQuery"))
}

/// `feature_not_supported`, which is also the code for statements that only have to be prepared
/// again.
pub(crate) const STALE: &str = "0A000";

/// Makes a connection prepare its statements again; returns whether that worked.
async fn forget(connection: &mut Connection) -> bool {
    match connection {
        Connection::Sqlite(_) => false,
        Connection::Postgres(backend) => {
            let (connection, vigil) = backend.parts();
            vigil.over(FORGET, pin!(connection.clear_cached_statements())).await.is_ok()
        }
    }
}
