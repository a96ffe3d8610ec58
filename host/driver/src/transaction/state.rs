//! The state that a transaction, its savepoints and its cursors share: who has the connection, and
//! whether the transaction still lives.

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

/// How long an unfinished transaction has for its rollback before its connection is closed.
const ROLLBACK_TIMEOUT: Duration = Duration::from_secs(1);

/// What a transaction, its savepoints and its cursors share.
pub(crate) struct State {
    dialect: Dialect,
    read_only: bool,
    /// None: the caller is the application itself.
    enclosure: Option<Arc<Enclosure>>,
    /// A transaction may be dropped on a thread that no runtime knows.
    runtime: Handle,
    deadlines: Arc<Deadlines>,
    /// When it has to end.
    deadline: OnceLock<Deadline>,
    inner: Mutex<Inner>,
}

struct Inner {
    /// None while a statement or a cursor has it, and after the end.
    lease: Option<Lease>,
    /// Whether it is a cursor that has it.
    reading: bool,
    /// What the last cursor had still to read.
    rest: Weak<Rest>,
    /// The transaction, then its open savepoints, by number; the last one may run statements.
    open: Vec<u32>,
    /// The number of the next savepoint.
    next: u32,
    /// An outermost savepoint that was dropped: to be rolled back before the next statement.
    undo: Option<u32>,
    /// Why PostgreSQL refuses every statement until a rollback.
    failed: Option<Error>,
    /// A statement was not read to its end, so it may have failed without our knowing.
    unread: bool,
    /// Why the transaction takes no statement any more.
    over: Option<Error>,
    /// Its time is over.
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

    /// Has it end at some time, whoever holds it then.
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
                // Nobody can tell any more what the transaction holds.
                self.inner.lock().over.get_or_insert_with(ended);
                return Err(connection.fail(error).await);
            }
            // The server answers in order: what was not read is behind us.
            let mut inner = self.inner.lock();
            inner.failed = None;
            inner.unread = false;
        }
        if self.dialect == Dialect::Sqlite && std::mem::take(&mut self.inner.lock().unread) {
            // A statement that has no memory takes its transaction with it, and nobody has heard of it.
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

    /// Why what happened at the innermost level cannot be kept.
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

    /// A number for a savepoint.
    pub(crate) fn number(&self) -> u32 {
        let mut inner = self.inner.lock();
        inner.next += 1;
        inner.next - 1
    }

    /// The database has opened a savepoint.
    pub(crate) fn opened(&self, savepoint: u32) {
        self.inner.lock().open.push(savepoint);
    }

    /// The database has ended the innermost level, whose failures are no more.
    pub(crate) fn closed(&self) {
        let mut inner = self.inner.lock();
        inner.failed = None;
        inner.unread = false;
        if inner.open.pop() == Some(OUTERMOST) {
            inner.over = Some(ended());
        }
    }

    /// A level was dropped before its end.
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
            // A cursor that still has the connection brings it to `put_back`.
            if let Some(lease) = lease {
                self.roll_back_later(lease);
            }
        } else {
            inner.open.truncate(position);
            inner.undo = Some(level);
        }
    }

    /// A statement came to its end.
    pub(crate) fn put_back(&self, lease: Lease) {
        let mut inner = self.inner.lock();
        if inner.over.is_none() {
            inner.lease = Some(lease);
            return;
        }
        drop(inner);
        self.roll_back_later(lease);
    }

    /// A cursor was dropped before its end.
    pub(crate) fn put_back_unread(&self, lease: Lease) {
        self.inner.lock().unread = true;
        self.put_back(lease);
    }

    /// A cursor has got the connection.
    pub(crate) fn reading(&self) {
        self.inner.lock().reading = true;
    }

    /// What the cursor has still to read, unless its time is over: then nobody would end it.
    pub(crate) fn read_by(&self, rest: Weak<Rest>) -> Result<(), Error> {
        let mut inner = self.inner.lock();
        if inner.is_expired {
            return Err(expired());
        }
        inner.rest = rest;
        Ok(())
    }

    /// Whether what has come to its end did so in time, and so may still be kept.
    pub(crate) fn in_time(&self) -> Result<(), Error> {
        match self.inner.lock().is_expired {
            true => Err(expired()),
            false => Ok(()),
        }
    }

    /// A statement was dropped before its answer: the connection is closed.
    pub(crate) fn cancelled(&self, lease: Lease) {
        self.broken(lease, &rolled_back());
    }

    /// Nothing more may run here: the connection is closed.
    pub(crate) fn broken(&self, lease: Lease, error: &Error) {
        self.inner.lock().over.get_or_insert_with(|| error.clone());
        drop(lease);
    }

    /// A statement failed.
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
        // Until the contrary is known, so that it holds if we are cancelled on the way.
        let was_over = {
            let mut inner = self.inner.lock();
            let was_over = inner.over.is_some();
            inner.over.get_or_insert(gone);
            was_over
        };
        if !at_rest {
            return;
        }
        // SQLite goes on after most errors, but rolls back the transaction at some.
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

    /// Ends what the database may still hold, and gives back the connection.
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
    /// A statement that has not begun to answer, and a commit, come to their end before. The rows that
    /// a cursor has still to read are gone.
    fn expire(&self) {
        let mut inner = self.inner.lock();
        inner.is_expired = true;
        inner.over.get_or_insert_with(expired);
        let (lease, rest) = (inner.lease.take(), inner.rest.upgrade());
        drop(inner);
        // That a cursor has comes back from there.
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

/// Rolls back a transaction, if there is one, and what was set for it.
pub(crate) async fn roll_back(lease: &mut Lease, read_only: bool) -> Result<(), sqlx::Error> {
    match lease.command("ROLLBACK").await {
        // SQLite refuses where there is none.
        Err(error) if !is_at_rest(&error) => return Err(error),
        _ => {}
    }
    restore(lease.connection(), read_only).await
}

/// Takes back what was set for a transaction.
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

/// Undoes what happened since a savepoint, and the savepoint.
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
