//! The state shared by a transaction, its savepoints and its cursors: who has the connection, and
//! whether the transaction is still open.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use ferro_wit::types::{Dialect, Error, ErrorKind};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::cursor::Rest;
use crate::deadlines::{Deadline, Deadlines, Expire};
use crate::error::from_sqlx;
use crate::fence::Enclosure;
use crate::lease::{Connection, Lease};
use crate::run::statement_connection::{StatementConnection, is_at_rest};

/// How long rolling back an unfinished transaction may take before its connection is closed.
const ROLLBACK_TIMEOUT: Duration = Duration::from_secs(1);

/// The state shared by a transaction, its savepoints and its cursors.
pub(crate) struct State {
    dialect: Dialect,
    read_only: bool,
    /// `None`: the caller is the application itself.
    enclosure: Option<Arc<Enclosure>>,
    /// A transaction may be dropped on a thread without a runtime.
    runtime: Handle,
    deadlines: Arc<Deadlines>,
    /// When it must end.
    deadline: OnceLock<Deadline>,
    inner: Mutex<Inner>,
}

struct Inner {
    /// `None` while a statement or a cursor has it, and after the end.
    lease: Option<Lease>,
    /// Whether a cursor has it.
    reading: bool,
    /// The unread rest of the last cursor.
    rest: Weak<Rest>,
    /// The numbers of the transaction and its open savepoints; the last one may run statements.
    open: Vec<u32>,
    /// The number of the next savepoint.
    next: u32,
    /// The outermost savepoint that was dropped, to roll back before the next statement.
    undo: Option<u32>,
    /// Why PostgreSQL rejects every statement until a rollback.
    failed: Option<Error>,
    /// Whether a statement was not read to its end, so it may have failed unnoticed.
    unread: bool,
    /// Why the transaction accepts no more statements.
    over: Option<Error>,
    /// Whether its time is over.
    is_expired: bool,
}

/// The number of the transaction itself among its savepoints.
pub(crate) const OUTERMOST: u32 = 0;

impl State {
    pub(crate) fn new(
        lease: Lease,
        dialect: Dialect,
        read_only: bool,
        enclosure: Option<Arc<Enclosure>>,
    ) -> Self {
        Self {
            dialect,
            read_only,
            enclosure,
            runtime: Handle::current(),
            deadlines: Arc::clone(lease.deadlines()),
            deadline: OnceLock::new(),
            inner: Mutex::new(Inner {
                lease: Some(lease),
                reading: false,
                rest: Weak::new(),
                open: vec![OUTERMOST],
                next: OUTERMOST + 1,
                undo: None,
                failed: None,
                unread: false,
                over: None,
                is_expired: false,
            }),
        }
    }

    /// Sets a deadline, at which it ends whoever holds it.
    pub(crate) fn end_at(self: &Arc<Self>, end: Instant) {
        let state = Arc::downgrade(self);
        self.deadline.get_or_init(|| self.deadlines.add(end, state));
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline.get().map(Deadline::end)
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The fence around the transaction, if there is one.
    pub(crate) fn enclosure(&self) -> Option<&Arc<Enclosure>> {
        self.enclosure.as_ref()
    }

    /// The connection for a statement at a level.
    pub(crate) async fn enter(self: &Arc<Self>, level: u32) -> Result<StatementConnection, Error> {
        let connection = self.enter_failed(level).await?;
        let failed = self.inner.lock().failed.clone();
        match failed {
            None => Ok(connection),
            Some(error) => {
                connection.rest().await;
                Err(aborted(&error))
            }
        }
    }

    /// The connection for the end of a level, which may have failed.
    pub(crate) async fn enter_failed(
        self: &Arc<Self>,
        level: u32,
    ) -> Result<StatementConnection, Error> {
        let (mut connection, undo) = self.take(level)?;
        if let Some(savepoint) = undo {
            if let Err(error) = roll_back_to(connection.lease(), savepoint).await {
                // Whatever the transaction contains now is unknown.
                self.inner.lock().over.get_or_insert_with(ended);
                return Err(connection.fail(error).await);
            }
            // The server answers in order: earlier unread answers no longer matter.
            let mut inner = self.inner.lock();
            inner.failed = None;
            inner.unread = false;
        }
        if self.dialect == Dialect::Sqlite && std::mem::take(&mut self.inner.lock().unread) {
            // If SQLite runs out of memory in a statement, it rolls back the transaction, and this
            // one's error was not read.
            let alive = match connection.begin().0 {
                Connection::Sqlite(inner) => inner.is_in_transaction().await.unwrap_or(false),
                Connection::Postgres(_) => true,
            };
            if !alive {
                let error = self.inner.lock().over.get_or_insert_with(rolled_back).clone();
                connection.rest().await;
                return Err(error);
            }
        }
        Ok(connection)
    }

    /// Why the innermost level cannot be committed.
    pub(crate) async fn failure(
        &self,
        connection: &mut StatementConnection,
    ) -> Result<Option<Error>, sqlx::Error> {
        let unread = {
            let mut inner = self.inner.lock();
            if let Some(error) = inner.failed.take() {
                return Ok(Some(error));
            }
            std::mem::take(&mut inner.unread)
        };
        if !unread {
            return Ok(None);
        }
        match connection.lease().command("SELECT 1").await {
            Ok(()) => Ok(None),
            Err(error) if is_at_rest(&error) => Ok(Some(from_sqlx(&error, self.dialect))),
            Err(error) => Err(error),
        }
    }

    /// Whether nothing is left to end.
    pub(crate) fn is_over(&self) -> bool {
        self.inner.lock().over.is_some()
    }

    /// The number for a new savepoint.
    pub(crate) fn number(&self) -> u32 {
        let mut inner = self.inner.lock();
        inner.next += 1;
        inner.next - 1
    }

    /// Records that the database has opened a savepoint.
    pub(crate) fn opened(&self, savepoint: u32) {
        self.inner.lock().open.push(savepoint);
    }

    /// Records that the database has ended the innermost level, and its failures with it.
    pub(crate) fn closed(&self) {
        let mut inner = self.inner.lock();
        inner.failed = None;
        inner.unread = false;
        if inner.open.pop() == Some(OUTERMOST) {
            inner.over = Some(ended());
        }
    }

    /// Handles a level that was dropped before its end.
    pub(crate) fn dropped(&self, level: u32) {
        let mut inner = self.inner.lock();
        let position = inner.open.iter().position(|it| *it == level);
        let Some(position) = position.filter(|_| inner.over.is_none()) else {
            return;
        };
        if level == OUTERMOST {
            inner.over = Some(ended());
            let lease = inner.lease.take();
            drop(inner);
            // If a cursor still has the connection, it returns it to `put_back`.
            if let Some(lease) = lease {
                self.roll_back_later(lease);
            }
        } else {
            inner.open.truncate(position);
            inner.undo = Some(level);
        }
    }

    /// Takes back the connection after a statement.
    pub(crate) fn put_back(&self, lease: Lease) {
        let mut inner = self.inner.lock();
        if inner.over.is_none() {
            inner.lease = Some(lease);
            return;
        }
        drop(inner);
        self.roll_back_later(lease);
    }

    /// Takes back the connection of a cursor that was dropped before its end.
    pub(crate) fn put_back_unread(&self, lease: Lease) {
        self.inner.lock().unread = true;
        self.put_back(lease);
    }

    /// Records that a cursor has the connection.
    pub(crate) fn reading(&self) {
        self.inner.lock().reading = true;
    }

    /// Records the unread rest of the cursor; fails if the time is over, since nothing would end
    /// it.
    pub(crate) fn read_by(&self, rest: Weak<Rest>) -> Result<(), Error> {
        let mut inner = self.inner.lock();
        if inner.is_expired {
            return Err(expired());
        }
        inner.rest = rest;
        Ok(())
    }

    /// Checks that what has ended did so in time, and so may be committed.
    pub(crate) fn in_time(&self) -> Result<(), Error> {
        match self.inner.lock().is_expired {
            true => Err(expired()),
            false => Ok(()),
        }
    }

    /// Handles a statement that was dropped before its answer: the connection is closed.
    pub(crate) fn cancelled(&self, lease: Lease) {
        self.broken(lease, &rolled_back());
    }

    /// Ends the transaction with an error: the connection is closed.
    pub(crate) fn broken(&self, lease: Lease, error: &Error) {
        self.inner.lock().over.get_or_insert_with(|| error.clone());
        drop(lease);
    }

    /// Handles a failed statement.
    pub(crate) async fn failed(&self, mut lease: Lease, error: &Error, at_rest: bool) {
        let gone = Error {
            message: format!(
                "the database rolled the transaction back after an earlier error ({})",
                error.message
            ),
            ..error.clone()
        };
        if at_rest && self.dialect == Dialect::Postgres {
            self.inner.lock().failed.get_or_insert_with(|| error.clone());
            return self.put_back(lease);
        }
        // Assume that it is over until we know otherwise, in case this call is cancelled.
        let was_over = {
            let mut inner = self.inner.lock();
            let was_over = inner.over.is_some();
            inner.over.get_or_insert(gone);
            was_over
        };
        if !at_rest {
            return;
        }
        // SQLite continues after most errors, but rolls back the transaction after some.
        let alive = match lease.connection() {
            Connection::Sqlite(connection) => connection.is_in_transaction().await,
            Connection::Postgres(_) => Ok(false),
        };
        match alive {
            Ok(true) => {
                if !was_over {
                    let mut inner = self.inner.lock();
                    inner.over = inner.is_expired.then(expired);
                }
                self.put_back(lease);
            }
            Ok(false) => self.roll_back_later(lease),
            Err(_) => {}
        }
    }

    /// Rolls back in the background, and returns the connection.
    pub(crate) fn roll_back_later(&self, mut lease: Lease) {
        if self.inner.lock().unread {
            lease.stop();
        }
        let read_only = self.read_only;
        let work = async move {
            let rollback = roll_back(&mut lease, read_only);
            match tokio::time::timeout(ROLLBACK_TIMEOUT, rollback).await {
                Ok(Ok(())) => {
                    lease.resume();
                    lease.clear();
                    lease.release().await;
                }
                Ok(Err(error)) => {
                    tracing::warn!(%error, "closed a connection that did not roll back")
                }
                Err(_) => tracing::warn!("closed a connection that did not roll back in time"),
            }
        };
        self.runtime.spawn(work.in_current_span());
    }

    fn take(self: &Arc<Self>, level: u32) -> Result<(StatementConnection, Option<u32>), Error> {
        let mut inner = self.inner.lock();
        if let Some(error) = &inner.over {
            return Err(error.clone());
        }
        if !inner.open.contains(&level) {
            return Err(ended());
        }
        if inner.open.last() != Some(&level) {
            return Err(busy("a savepoint of this transaction is still open: end it first"));
        }
        match inner.lease.take() {
            Some(lease) => {
                inner.reading = false;
                let undo = inner.undo.take();
                Ok((StatementConnection::in_transaction(lease, Arc::clone(self)), undo))
            }
            None if inner.reading => Err(busy(
                "a stream of this transaction is still open: read it to its end or close it first",
            )),
            None => Err(busy("another statement of this transaction is still running")),
        }
    }
}

impl Expire for State {
    /// A statement that has not begun to answer, or a commit, first runs to its end. The unread
    /// rows of a cursor are discarded.
    fn expire(&self) {
        let mut inner = self.inner.lock();
        inner.is_expired = true;
        inner.over.get_or_insert_with(expired);
        let (lease, rest) = (inner.lease.take(), inner.rest.upgrade());
        drop(inner);
        // If a cursor has the connection, it comes back from there.
        match (lease, rest) {
            (Some(lease), _) => self.roll_back_later(lease),
            (None, Some(rest)) => rest.expire(),
            (None, None) => {}
        }
    }
}

fn expired() -> Error {
    let message = "the time limit of the transaction has passed, and it was rolled back";
    Error::new(ErrorKind::Timeout, message)
}

fn rolled_back() -> Error {
    let message = "a statement of this transaction was cancelled halfway, and the transaction was \
                   rolled back";
    Error::new(ErrorKind::Cancelled, message)
}

/// Rolls back the transaction, if there is one, and resets its settings.
pub(crate) async fn roll_back(lease: &mut Lease, read_only: bool) -> Result<(), sqlx::Error> {
    match lease.command("ROLLBACK").await {
        // SQLite fails if there is no transaction.
        Err(error) if !is_at_rest(&error) => return Err(error),
        _ => {}
    }
    restore(lease.connection(), read_only).await
}

/// Resets the settings of a transaction.
pub(crate) async fn restore(
    connection: &mut Connection,
    read_only: bool,
) -> Result<(), sqlx::Error> {
    match connection {
        Connection::Sqlite(connection) => {
            if read_only {
                connection.set_read_only(false).await?;
            }
            connection.restore().await
        }
        Connection::Postgres(_) => Ok(()),
    }
}

/// Rolls back to a savepoint, and removes it.
pub(crate) async fn roll_back_to(lease: &mut Lease, savepoint: u32) -> Result<(), sqlx::Error> {
    let sql =
        format!("ROLLBACK TO SAVEPOINT ferro_{savepoint}; RELEASE SAVEPOINT ferro_{savepoint}");
    lease.command(&sql).await
}

fn busy(message: &str) -> Error {
    Error::new(ErrorKind::Busy, message)
}

fn ended() -> Error {
    Error::new(ErrorKind::InvalidQuery, "the transaction has ended: begin another one")
        .with_code(Error::TRANSACTION_ENDED)
}

fn aborted(error: &Error) -> Error {
    Error {
        message: format!(
            "the transaction failed at an earlier statement ({}): roll it back, or to a savepoint",
            error.message
        ),
        code: Some("25P02".into()),
        ..error.clone()
    }
}
