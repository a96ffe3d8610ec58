//! A connection in use, and its turn to write. [`job`] decides on which thread its statements run.

mod job;

use std::sync::Arc;
use std::time::Duration;

use sqlx::Sqlite;
use sqlx::pool::PoolConnection;
use tokio::runtime::Handle as Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

pub(crate) use self::job::{Job, Progress, STRIDE, Stop};

use self::job::Execute;
use super::failure::Failure;
use super::handle::{Handle, Lifetime, is_lasting};
use super::interrupter::Interrupter;
use crate::fence::Fence;
use crate::value::sqlite::Bound;

/// The longest text or blob, in bytes: SQLite's own limit, and that for untrusted callers, who
/// could otherwise compose one of any size in the database, where no limit of the host applies.
const LONGEST: u32 = 1_000_000_000;
const STRANGERS_LONGEST: u32 = 32 << 20;
/// The longest pattern of `LIKE` and `GLOB`, in bytes. SQLite compares it with each position of a
/// text, and cannot be interrupted meanwhile.
const LONGEST_PATTERN: u32 = 10_000;
const STRANGERS_LONGEST_PATTERN: u32 = 250;

/// A connection to SQLite, with one open statement at a time.
///
/// If a caller stops waiting for a call, the connection stays as it is: what still runs continues
/// to its end, and the next call waits for that. Dropping the connection closes it as soon as
/// nothing runs on it.
pub(crate) struct Connection {
    /// `None` while a job on another thread has it, and forever if that job panicked.
    handle: Option<Box<Handle>>,
    away: Option<oneshot::Receiver<Box<Handle>>>,
    interrupter: Interrupter,
    queue: Queue,
    /// The connection may be closed on a thread without a runtime.
    runtime: Runtime,
    /// The turn to write, if this connection has it.
    turn: Option<OwnedSemaphorePermit>,
    /// The number of rows that had been changed before the current transaction.
    committed: u64,
    /// Whether its caller has a fence.
    stranger: bool,
    /// How many threads its caller may occupy, shared with others.
    workers: Option<Arc<Semaphore>>,
    /// Set while foreign keys are not enforced: whether they usually are.
    relaxed: Option<bool>,
}

/// The queue of connections that want to write to a database. SQLite's own locks are not fair.
#[derive(Clone)]
pub(super) struct Queue {
    turns: Arc<Semaphore>,
    /// How long to wait for a turn, and for connections that are not in this queue.
    busy_timeout: Duration,
}

impl Queue {
    pub(super) fn new(busy_timeout: Duration) -> Self {
        Self { turns: Arc::new(Semaphore::new(1)), busy_timeout }
    }
}

impl Connection {
    pub(super) async fn new(
        inner: PoolConnection<Sqlite>,
        interrupter: Interrupter,
        queue: Queue,
        capacity: usize,
    ) -> Result<Self, sqlx::Error> {
        let handle = Handle::lend(inner, interrupter.clone(), capacity).await?;
        let committed = handle.all_changes();
        Ok(Self {
            handle: Some(Box::new(handle)),
            away: None,
            interrupter,
            queue,
            runtime: Runtime::current(),
            turn: None,
            committed,
            stranger: false,
            workers: None,
            relaxed: None,
        })
    }

    /// The connection as acquired from SQLx, once nothing runs on it.
    pub(crate) async fn give_back(mut self) -> Option<PoolConnection<Sqlite>> {
        self.settle().await.ok()?;
        self.handle.take()?.give_back()
    }

    /// Whether nothing runs on it and no transaction is open.
    pub(crate) fn is_clean(&self) -> bool {
        self.handle.as_ref().is_some_and(|it| it.is_autocommit())
    }

    /// Sets whether the caller has a fence: what such a caller writes may take any time, even if it
    /// was short before, so it never runs on the caller's thread.
    pub(crate) fn serve(&mut self, stranger: bool, workers: Option<&Arc<Semaphore>>) {
        (self.stranger, self.workers) = (stranger, workers.cloned());
        if let Some(handle) = &mut self.handle {
            handle.hold_to_budget(stranger);
            match stranger {
                true => handle.set_longest(STRANGERS_LONGEST, STRANGERS_LONGEST_PATTERN),
                false => handle.set_longest(LONGEST, LONGEST_PATTERN),
            }
        }
    }

    /// Applies a fence for SQL text to the following statements, or none.
    pub(crate) async fn hold_to(&mut self, fence: Option<&Arc<Fence>>) -> Result<(), sqlx::Error> {
        self.settle().await?.hold_to(fence)
    }

    /// Interrupts what runs on the connection, and everything that is run later, with
    /// `SQLITE_INTERRUPT`.
    pub(crate) fn stop(&self) {
        self.interrupter.stop();
    }

    /// Allows statements again.
    pub(crate) fn resume(&self) {
        self.interrupter.resume();
    }

    /// Sets whether statements that write are rejected.
    pub(crate) async fn set_read_only(&mut self, read_only: bool) -> Result<(), sqlx::Error> {
        self.settle().await?.set_read_only(read_only);
        Ok(())
    }

    /// Turns the enforcement of foreign keys off until [`restore`](Self::restore), so that tables
    /// can be replaced to which others refer. `keys` says whether they are usually enforced. In a
    /// transaction this has no effect.
    pub(crate) async fn relax(&mut self, keys: bool) -> Result<(), sqlx::Error> {
        self.relaxed = Some(keys);
        self.command("PRAGMA foreign_keys = OFF").await
    }

    /// Undoes [`relax`](Self::relax), and the other settings of a migration.
    pub(crate) async fn restore(&mut self) -> Result<(), sqlx::Error> {
        let Some(keys) = self.relaxed else { return Ok(()) };
        let keys = if keys { "ON" } else { "OFF" };
        let sql = format!("PRAGMA foreign_keys = {keys}; PRAGMA legacy_alter_table = OFF");
        self.command(&sql).await?;
        self.relaxed = None;
        Ok(())
    }

    /// Runs SQL of the driver itself that takes no parameters, ignoring any rows.
    pub(crate) async fn command(&mut self, mut sql: &str) -> Result<(), sqlx::Error> {
        self.hold_to(None).await?;
        loop {
            let rest = self.open(sql, is_lasting(sql), Some(&[])).await?;
            self.execute().await?;
            sql = sql[rest..].trim_ascii();
            if sql.is_empty() {
                return Ok(());
            }
        }
    }

    /// Reads what other connections have changed in the schema: stepping a statement does that,
    /// preparing one does not.
    pub(crate) async fn learn_schema(&mut self) -> Result<(), sqlx::Error> {
        let fence = self.settle().await?.fence().cloned();
        self.command("SELECT 1 FROM sqlite_schema LIMIT 1").await?;
        self.hold_to(fence.as_ref()).await
    }

    /// Runs the open statement to its end, and closes it; returns how many rows it changed.
    pub(crate) async fn execute(&mut self) -> Result<u64, sqlx::Error> {
        let (_, changed) = self.run(Execute).await?;
        self.close();
        Ok(changed)
    }

    /// Whether a transaction is open.
    pub(crate) async fn is_in_transaction(&mut self) -> Result<bool, sqlx::Error> {
        Ok(!self.settle().await?.is_autocommit())
    }

    /// Waits for what still runs on the connection.
    pub(crate) async fn settle(&mut self) -> Result<&mut Handle, sqlx::Error> {
        if let Some(away) = &mut self.away {
            let back = away.await;
            self.away = None;
            self.handle = back.ok();
            self.note_turn();
        }
        self.handle.as_deref_mut().ok_or(sqlx::Error::WorkerCrashed)
    }

    /// Opens a statement, and binds its parameters if they are given; returns where the rest of the
    /// text begins. A statement that writes waits for its turn.
    pub(crate) async fn open(
        &mut self,
        sql: &str,
        lifetime: impl Into<Lifetime>,
        values: Option<&[Bound<'_>]>,
    ) -> Result<usize, sqlx::Error> {
        let rest = self.prepare(sql, lifetime.into()).await?;
        let handle = self.settle().await?;
        if let Some(values) = values {
            handle.bind_all(values.iter().map(Bound::stored))?;
        }
        if self.turn.is_none() && self.settle().await?.writes() {
            self.stand_in_line().await?;
        }
        Ok(rest)
    }

    /// Waits for the turn to write. A transaction that has read something does not wait: the
    /// current writer may have to wait for it, and SQLite reports at once that it cannot write any
    /// more.
    async fn stand_in_line(&mut self) -> Result<(), sqlx::Error> {
        let turns = Arc::clone(&self.queue.turns);
        if let Ok(turn) = Arc::clone(&turns).try_acquire_owned() {
            self.turn = Some(turn);
        } else if !self.settle().await?.has_snapshot() {
            match timeout(self.queue.busy_timeout, turns.acquire_owned()).await {
                Ok(turn) => self.turn = turn.ok(),
                Err(_) => {
                    self.close();
                    return Err(Failure::busy().into());
                }
            }
        }
        Ok(())
    }

    /// Prepares a statement. Reading the schema may have to wait for another connection, and an
    /// untrusted statement may take any time to prepare, since nested views are expanded.
    async fn prepare(&mut self, sql: &str, lifetime: Lifetime) -> Result<usize, sqlx::Error> {
        let stranger = self.stranger;
        let handle = self.settle().await?;
        let is_cached = lifetime != Lifetime::Fixed && handle.is_cached(sql);
        if !stranger || is_lasting(sql) || is_cached {
            handle.set_busy_timeout(Duration::ZERO);
            match handle.open(sql, lifetime) {
                Err(failure) if failure.is_busy() => {}
                opened => return Ok(opened?),
            }
        }
        let (sql, busy_timeout) = (sql.to_owned(), self.queue.busy_timeout);
        let opened = self.lend(move |handle| {
            handle.set_busy_timeout(busy_timeout);
            handle.open(&sql, lifetime)
        });
        Ok(opened.await??)
    }

    /// Closes the open statement, unless a job still has it, and ends the turn to write if nothing
    /// is left to commit. A statement that has written outside a transaction commits now, which may
    /// take any time, so that runs on another thread.
    pub(crate) fn close(&mut self) {
        match self.handle.take() {
            Some(handle) if handle.is_autocommit() && handle.is_writing() => {
                self.close_away(handle)
            }
            Some(mut handle) => {
                handle.close();
                self.handle = Some(handle);
            }
            None => {}
        }
        self.note_turn();
    }

    /// Waits for what still runs on the connection, and closes the open statement.
    pub(crate) async fn finish(&mut self) -> Result<(), sqlx::Error> {
        self.settle().await?;
        self.close();
        self.settle().await.map(drop)
    }

    fn note_turn(&mut self) {
        let is_over = match &self.handle {
            Some(handle) => handle.is_autocommit() && !handle.is_writing(),
            // A job has the handle, and may be in a transaction; or the handle is lost forever.
            None => self.away.is_none(),
        };
        if is_over {
            self.turn = None;
            self.committed = self.handle.as_ref().map_or(0, |it| it.all_changes());
        }
    }
}
