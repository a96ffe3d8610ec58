//! Where a statement runs, a connection of its own or the one of a transaction, and what becomes
//! of it afterwards.

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

/// A connection for one statement. Dropping it before [`end`](Self::end) leaves the connection
/// closed, unless the statement has begun to answer and what is left of it can be skipped.
pub(crate) struct StatementConnection {
    dialect: Dialect,
    /// None only once it has ended.
    lease: Option<Lease>,
    transaction: Option<Arc<State>>,
    /// The fence around the statement.
    enclosure: Option<Arc<Enclosure>>,
    /// A transaction was begun for the statement alone.
    implicit: bool,
    /// The statement has begun to answer.
    answering: bool,
}

/// How a statement ended.
pub(crate) enum Ending {
    /// It said all it had to say.
    Complete,
    /// It was not sent.
    Refused(Error),
    /// The database, or the way to it, failed.
    Failed(sqlx::Error),
    /// It was sent, and what it says is not read to its end.
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

    /// In a transaction that was begun for one statement.
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

    /// The transaction that the caller holds.
    pub(crate) fn transaction(&self) -> Option<Arc<State>> {
        self.transaction.clone()
    }

    /// Those of the pool.
    pub(crate) fn deadlines(&self) -> Option<&Arc<Deadlines>> {
        self.lease.as_ref().map(Lease::deadlines)
    }

    /// Whether prepared statements may be kept on the connection.
    pub(crate) fn keeps_statements(&self) -> bool {
        self.lease.as_ref().is_some_and(Lease::keeps_statements)
    }

    /// Lets a statement pass the fence, SQL `text` or not.
    pub(crate) async fn admit(mut self, text: bool) -> Result<Self, Error> {
        let Some(enclosure) = self.enclosure.clone() else { return Ok(self) };
        match enclosure.admit(self.begin().0, text).await {
            Ok(()) => Ok(self),
            Err(breach) => Err(self.breached(breach).await),
        }
    }

    /// Holds the statement to a fence around SQL text, or to none, where the database asks for what
    /// it does part by part: on SQLite.
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

    /// Where the fence does not hold, nothing more may run on the connection: it is closed.
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

    /// What the statement may leave on the connection.
    pub(crate) fn leave(&mut self, traces: Traces) {
        if let Some(lease) = &mut self.lease {
            lease.leave(traces);
        }
    }

    /// A cursor will have the connection.
    pub(crate) fn for_cursor(self) -> Self {
        if let Some(state) = &self.transaction {
            state.reading();
        }
        self
    }

    /// Where the rest of an answer may be read that nobody waits for. That is of no use in a transaction
    /// that goes on, which waits for it anyway, and where the connection is not used again; and where
    /// a transaction has changed something, it is not for its end to keep that.
    pub(crate) fn runtime_to_skip(&self) -> Option<Handle> {
        let ends_well = self.transaction.is_none() && (!self.implicit || self.is_read_only());
        self.lease.as_ref().filter(|it| ends_well && it.is_reusable()).map(Lease::runtime)
    }

    /// The connection, and where to note that the statement has begun to answer.
    pub(crate) fn begin(&mut self) -> (&mut Connection, &mut bool) {
        (in_doubt(&mut self.lease).connection(), &mut self.answering)
    }

    /// The same for what is done with the connection as a whole.
    pub(crate) fn lease(&mut self) -> &mut Lease {
        in_doubt(&mut self.lease)
    }

    /// A statement is sent on the connection.
    pub(crate) fn watch(&self, sql: &str) -> Watch {
        self.lease.as_ref().map(|it| it.watch(sql)).unwrap_or_default()
    }

    /// Gives the connection back as its ending allows, and says what went wrong.
    pub(crate) async fn end(self, ending: Ending) -> Result<(), Error> {
        match ending {
            Ending::Complete => self.complete().await,
            Ending::Refused(error) => {
                self.rest().await;
                Err(error)
            }
            // Dropping tells what has to be skipped.
            Ending::Abandoned(error) => Err(error),
            Ending::Failed(error) => Err(self.fail(error).await),
        }
    }

    /// Keeps what the statement did, and gives the connection back. In a transaction whose time is over
    /// nothing is kept, however well it ended.
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

    /// Gives the connection back, which is at rest, though nothing was done.
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

    /// Whether the transaction for the statement alone is one that only reads.
    fn is_read_only(&self) -> bool {
        self.enclosure.as_ref().is_some_and(|it| it.fence().read_only)
    }

    /// Gives the connection back, whose transaction for one statement was committed.
    async fn restore(mut self) {
        if let Some(mut lease) = self.lease.take() {
            let at_rest = restore(lease.connection(), self.is_read_only()).await.is_ok();
            give_back(lease, at_rest).await;
        }
    }

    /// What went wrong, after the connection was given back if it is at rest.
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

    /// A statement of SQLite that is not at its end would hold its locks.
    fn close_statement(&mut self) {
        if let Some(Connection::Sqlite(connection)) = self.lease.as_mut().map(Lease::connection) {
            connection.close();
        }
    }

    /// The connection of a transaction that has ended.
    pub(crate) fn into_lease(mut self) -> Option<Lease> {
        self.lease.take()
    }

    /// A connection to SQLite outlives a statement that nobody listens to, one to PostgreSQL does not:
    /// whether its end is near was seen already. In a transaction, which would go with it, the
    /// statement is waited for.
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

/// The connection, from here on in doubt.
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

/// The database refused the statement in an orderly way, and waits for the next one.
pub(crate) fn is_at_rest(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(_)) && !is_farewell(error)
}

/// Nothing works for the connection any more. Of one that is silent nobody knows.
fn is_lost(error: &sqlx::Error) -> bool {
    let is_silent = |it: &io::Error| it.kind() == io::ErrorKind::TimedOut;
    matches!(error, sqlx::Error::Io(it) if !is_silent(it)) || is_farewell(error)
}

/// The last that a server says on a connection.
fn is_farewell(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    let severity = error.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::severity);
    matches!(severity, Some(PgSeverity::Fatal | PgSeverity::Panic))
}

/// A prepared statement of PostgreSQL that returns other columns since the schema was changed. The
/// server says so before it does anything, in words of its language.
fn is_stale(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    let error = error.try_downcast_ref::<PgDatabaseError>();
    error.is_some_and(|it| it.code() == STALE && it.routine() == Some("RevalidateCachedQuery"))
}

/// `feature_not_supported`, which says so of what runs again once it is prepared anew, too.
pub(crate) const STALE: &str = "0A000";

/// Has the statements of a connection prepared again; whether that could be arranged.
async fn forget(connection: &mut Connection) -> bool {
    match connection {
        Connection::Sqlite(_) => false,
        Connection::Postgres(backend) => {
            let (connection, vigil) = backend.parts();
            vigil.over(FORGET, pin!(connection.clear_cached_statements())).await.is_ok()
        }
    }
}
