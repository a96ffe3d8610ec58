//! A connection in use: what runs on it where the caller stands, and what on a thread of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::Sqlite;
use sqlx::pool::PoolConnection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::failure::Failure;
use super::handle::{Handle, is_lasting};
use super::spent::Part;
use super::switch::Switch;
use crate::fence::Fence;
use crate::value::sqlite::Bound;

/// How long a statement may keep its caller's thread: as long as some hundred rows take.
const HERE: Duration = Duration::from_millis(1);
/// What has taken longer is not tried on its caller's thread again.
const SHORT: Duration = Duration::from_micros(300);
/// A write with more bytes of texts and blobs is not tried on its caller's thread: a list in one
/// parameter is as many rows as it likes, however few they were before.
const SMALL: usize = 4 << 10;

/// A transaction that has changed more rows does not end on its caller's thread.
const FEW: u64 = 1_000;

/// The longest text or blob, in bytes: what SQLite allows, and what a stranger may make of one by
/// putting it together in the database, where no limit of the host sees it.
const LONGEST: u32 = 1_000_000_000;
const STRANGERS_LONGEST: u32 = 32 << 20;
/// The longest text or blob of a stranger's statement on its caller's thread. Within a row SQLite asks
/// nobody whether it may go on, and a row may be made by many functions of long texts.
const TRIED_LONGEST: u32 = 16 << 10;
/// The longest pattern of `LIKE` and `GLOB`, in bytes. SQLite holds each place of a text against all
/// of it, and nothing can stop that.
const LONGEST_PATTERN: u32 = 10_000;
const STRANGERS_LONGEST_PATTERN: u32 = 250;

/// A connection to SQLite, of which one statement at a time is open.
///
/// Whoever stops waiting for it leaves it as it is: what still runs comes to its end, and the next
/// call waits for that. Dropping it closes it as soon as nothing runs on it.
pub(crate) struct Connection {
    /// None while a job on another thread has it, and for ever if that panicked.
    handle: Option<Box<Handle>>,
    away: Option<oneshot::Receiver<Box<Handle>>>,
    switch: Switch,
    queue: Queue,
    /// The connection is the one that may write.
    turn: Option<OwnedSemaphorePermit>,
    /// How many rows had been changed before the present transaction.
    committed: u64,
    /// Its caller is held to a fence.
    stranger: bool,
    /// How many threads its caller may keep busy, with others.
    workers: Option<Arc<Semaphore>>,
    /// Foreign keys are not enforced for now, which they are usually or not.
    relaxed: Option<bool>,
}

/// Where those who want to write to a database stand in line. SQLite itself knows no order.
#[derive(Clone)]
pub(super) struct Queue {
    turns: Arc<Semaphore>,
    /// How long one waits for a turn, and for connections that do not stand here.
    busy_timeout: Duration,
}

/// What is done with the open statement of a connection.
pub(crate) trait Job: Send + 'static {
    /// What it comes to.
    type Output: Send + 'static;

    /// Steps the open statement, from its beginning or from where the job stopped before.
    fn run(&mut self, handle: &mut Handle, progress: &Progress) -> Result<Self::Output, Stop>;

    /// Which part of the statement's execution comes next.
    fn part(&self) -> Part {
        Part::First
    }

    /// Whether nobody has seen any of what was done, so that it may be done in vain.
    fn can_restart(&self) -> bool;

    /// The statement is at its beginning again.
    fn restart(&mut self);
}

/// Whether a job may go on.
pub(crate) struct Progress {
    /// On its caller's thread.
    here: bool,
    switch: Switch,
}

/// Why a job did not come to its end.
pub(crate) enum Stop {
    /// It is to go on with time enough, where it stopped.
    Late,
    /// SQLite failed.
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Progress {
    /// Between two rows: whether the time on the caller's thread is over.
    pub(crate) fn is_late(&self) -> bool {
        self.here && self.switch.is_late()
    }

    /// Whether what takes too long is done again elsewhere, so that it may be tried.
    pub(crate) fn is_a_try(&self) -> bool {
        self.here
    }
}

impl Queue {
    pub(super) fn new(busy_timeout: Duration) -> Self {
        Self { turns: Arc::new(Semaphore::new(1)), busy_timeout }
    }
}

impl Connection {
    pub(super) async fn new(
        lent: PoolConnection<Sqlite>,
        switch: Switch,
        queue: Queue,
        capacity: usize,
    ) -> Result<Self, sqlx::Error> {
        let handle = Handle::lend(lent, capacity).await?;
        let committed = handle.all_changes();
        Ok(Self {
            handle: Some(Box::new(handle)),
            away: None,
            switch,
            queue,
            turn: None,
            committed,
            stranger: false,
            workers: None,
            relaxed: None,
        })
    }

    /// The connection as SQLx lent it, once nothing runs on it.
    pub(crate) async fn give_back(mut self) -> Option<PoolConnection<Sqlite>> {
        self.settle().await.ok()?;
        self.handle.take()?.give_back()
    }

    /// Whether nothing runs on it, and no transaction is open.
    pub(crate) fn is_clean(&self) -> bool {
        self.handle.as_ref().is_some_and(|it| it.is_autocommit())
    }

    /// Its caller is held to a fence, or not: what a stranger writes may take any time, however
    /// short it was before, so it never runs on the caller's thread.
    pub(crate) fn serve(&mut self, stranger: bool, workers: Option<&Arc<Semaphore>>) {
        (self.stranger, self.workers) = (stranger, workers.cloned());
        if let Some(handle) = &mut self.handle {
            handle.hold_to_budget(stranger.then(|| self.switch.clone()));
            match stranger {
                true => handle.set_longest(STRANGERS_LONGEST, STRANGERS_LONGEST_PATTERN),
                false => handle.set_longest(LONGEST, LONGEST_PATTERN),
            }
        }
    }

    /// Holds statements from now on to a fence around SQL text, or to none.
    pub(crate) async fn hold_to(&mut self, fence: Option<&Arc<Fence>>) -> Result<(), sqlx::Error> {
        self.settle().await?.hold_to(fence)
    }

    /// What runs on it ends now, with `SQLITE_INTERRUPT`, and so does what comes.
    pub(crate) fn stop(&self) {
        self.switch.stop();
    }

    /// It runs again what it is given.
    pub(crate) fn resume(&self) {
        self.switch.resume();
    }

    /// From here on, or no longer, statements that write are refused.
    pub(crate) async fn set_read_only(&mut self, read_only: bool) -> Result<(), sqlx::Error> {
        self.settle().await?.set_read_only(read_only);
        Ok(())
    }

    /// Until [`restore`](Self::restore), foreign keys are not enforced, which they are usually or
    /// not, and tables can be replaced that others refer to. In a transaction this does nothing.
    pub(crate) async fn relax(&mut self, keys: bool) -> Result<(), sqlx::Error> {
        self.relaxed = Some(keys);
        self.command("PRAGMA foreign_keys = OFF").await
    }

    /// Takes [`relax`](Self::relax) back, and what a migration set besides.
    pub(crate) async fn restore(&mut self) -> Result<(), sqlx::Error> {
        let Some(keys) = self.relaxed else { return Ok(()) };
        let keys = if keys { "ON" } else { "OFF" };
        let sql = format!("PRAGMA foreign_keys = {keys}; PRAGMA legacy_alter_table = OFF");
        self.command(&sql).await?;
        self.relaxed = None;
        Ok(())
    }

    /// Runs SQL of ours that takes no parameters, and returns nothing that is looked at.
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

    /// Runs the open statement to its end, and closes it; how many rows it has changed, if it is
    /// one that changes any.
    pub(crate) async fn execute(&mut self) -> Result<u64, sqlx::Error> {
        let (_, changed) = self.run(Execute).await?;
        self.close();
        Ok(changed)
    }

    /// Whether a transaction is open.
    pub(crate) async fn is_in_transaction(&mut self) -> Result<bool, sqlx::Error> {
        Ok(!self.settle().await?.is_autocommit())
    }

    /// Waits for what still runs on it.
    pub(crate) async fn settle(&mut self) -> Result<&mut Handle, sqlx::Error> {
        if let Some(away) = &mut self.away {
            let back = away.await;
            self.away = None;
            self.handle = back.ok();
            self.note_turn();
        }
        self.handle.as_deref_mut().ok_or(sqlx::Error::WorkerCrashed)
    }

    /// Opens a statement and binds its parameters, if they are not bound later; where the text goes on
    /// after it. One that writes waits for its turn.
    pub(crate) async fn open(
        &mut self,
        sql: &str,
        keep: bool,
        values: Option<&[Bound<'_>]>,
    ) -> Result<usize, sqlx::Error> {
        let rest = self.prepare(sql, keep).await?;
        let handle = self.settle().await?;
        if let Some(values) = values {
            handle.bind_all(values.iter().map(Bound::stored))?;
        }
        if self.turn.is_none() && self.settle().await?.writes() {
            self.stand_in_line().await?;
        }
        Ok(rest)
    }

    /// Waits for the turn to write. A transaction that has read does not wait: the one that writes
    /// may have to wait for it to end, and SQLite tells it at once that it has lost.
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

    /// Opens a statement. Reading the schema for it may have to wait for another connection, and a
    /// stranger's may take any time to prepare: tables that read each other are unfolded.
    async fn prepare(&mut self, sql: &str, keep: bool) -> Result<usize, sqlx::Error> {
        let stranger = self.stranger;
        let handle = self.settle().await?;
        if !stranger || is_lasting(sql) || handle.is_kept(sql) {
            handle.set_busy_timeout(Duration::ZERO);
            match handle.open(sql, keep) {
                Err(failure) if failure.is_busy() => {}
                opened => return Ok(opened?),
            }
        }
        let (sql, busy_timeout) = (sql.to_owned(), self.queue.busy_timeout);
        let opened = self.lend(move |handle| {
            handle.set_busy_timeout(busy_timeout);
            handle.open(&sql, keep)
        });
        Ok(opened.await??)
    }

    /// Closes the open statement, unless a job is still at it, and ends the turn to write if
    /// nothing is left to be committed.
    pub(crate) fn close(&mut self) {
        if let Some(handle) = &mut self.handle {
            handle.close();
        }
        self.note_turn();
    }

    fn note_turn(&mut self) {
        let is_over = match &self.handle {
            Some(handle) => handle.is_autocommit(),
            // A job has it, which may be in a transaction; or nobody ever will again.
            None => self.away.is_none(),
        };
        if is_over {
            self.turn = None;
            self.committed = self.handle.as_ref().map_or(0, |it| it.all_changes());
        }
    }

    /// Does a job with the open statement. The job comes back, to go on with, unless it panicked.
    ///
    /// # Cancel safety
    ///
    /// What runs on another thread goes on when the future is dropped, and the job is lost.
    pub(crate) async fn run<J: Job>(&mut self, mut job: J) -> Result<(J, J::Output), sqlx::Error> {
        let (part, stranger) = (job.part(), self.stranger);
        let mut tried = Duration::ZERO;
        if self.is_short(part).await? && job.can_restart() {
            let start = Instant::now();
            let progress = Progress { here: true, switch: self.switch.clone() };
            let handle = self.settle().await?;
            // Only a query is stopped and run again: what writes, or ends a transaction, may tell
            // that it was stopped when it was done already.
            let is_query = handle.columns() > 0 && !handle.writes();
            if is_query {
                progress.switch.give(HERE);
            }
            let is_cut = is_query && stranger;
            if is_cut {
                handle.set_longest(TRIED_LONGEST, STRANGERS_LONGEST_PATTERN);
            }
            handle.set_busy_timeout(Duration::ZERO);
            let result = job.run(handle, &progress);
            if is_cut {
                handle.set_longest(STRANGERS_LONGEST, STRANGERS_LONGEST_PATTERN);
            }
            let late = is_query && progress.switch.is_late() && !progress.switch.is_stopped();
            progress.switch.give_any_time();
            tried = start.elapsed();
            match result {
                Ok(output) => {
                    handle.note(part, tried);
                    return Ok((job, output));
                }
                Err(Stop::Late) => {}
                Err(Stop::Failed(failure)) if is_cut && failure.is_too_big() => {
                    handle.set_opaque();
                    handle.rewind();
                    job.restart();
                }
                Err(Stop::Failed(failure))
                    if failure.is_busy() || (late && failure.is_interrupted()) =>
                {
                    handle.rewind();
                    job.restart();
                }
                Err(Stop::Failed(failure)) => {
                    self.close();
                    return Err(failure.into());
                }
            }
        }
        self.run_away(job, part, tried).await
    }

    /// Whether a part of the open statement is thought to be short enough for its caller's thread.
    async fn is_short(&mut self, part: Part) -> Result<bool, sqlx::Error> {
        let (stranger, committed) = (self.stranger, self.committed);
        let handle = self.settle().await?;
        let changed = || handle.all_changes().saturating_sub(committed);
        Ok(match (handle.spent(part), handle.writes()) {
            (_, true) if stranger || handle.bound() > SMALL => false,
            (_, false) if stranger && handle.is_opaque() => false,
            // What ends a transaction writes all of it to the file.
            (_, false) if handle.columns() == 0 && changed() > FEW => false,
            (Some(spent), _) => spent <= SHORT,
            (None, writes) => !writes,
        })
    }

    async fn run_away<J: Job>(
        &mut self,
        mut job: J,
        part: Part,
        tried: Duration,
    ) -> Result<(J, J::Output), sqlx::Error> {
        let progress = Progress { here: false, switch: self.switch.clone() };
        let busy_timeout = self.queue.busy_timeout;
        let done = self.lend(move |handle| {
            handle.set_busy_timeout(busy_timeout);
            // Its way to this thread is no time of its own: where threads are slow to come, short
            // statements would be sent to them ever again.
            let start = Instant::now();
            let result = job.run(handle, &progress);
            handle.note(part, tried + start.elapsed());
            result.map(|output| (job, output))
        });
        done.await?.map_err(|stop| {
            self.close();
            match stop {
                Stop::Failed(failure) => failure.into(),
                // Nobody has asked it to hurry.
                Stop::Late => sqlx::Error::WorkerCrashed,
            }
        })
    }

    /// Does something on a thread that may block.
    async fn lend<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Handle) -> T + Send + 'static,
    ) -> Result<T, sqlx::Error> {
        self.settle().await?;
        let thread = match &self.workers {
            Some(workers) => Arc::clone(workers).acquire_owned().await.ok(),
            None => None,
        };
        let mut handle = self.handle.take().ok_or(sqlx::Error::WorkerCrashed)?;
        let (back, away) = oneshot::channel();
        self.away = Some(away);
        let work = spawn_blocking(move || {
            let done = work(&mut handle);
            drop(thread);
            // Nobody waits for it any more: it is closed here.
            let _ = back.send(handle);
            done
        });
        let done = work.await.map_err(|_| sqlx::Error::WorkerCrashed);
        self.settle().await?;
        done
    }
}

/// Rows between two looks at the clock.
pub(crate) const STRIDE: u32 = 64;

/// Steps a statement to its end.
struct Execute;

impl Job for Execute {
    type Output = u64;

    fn run(&mut self, handle: &mut Handle, progress: &Progress) -> Result<u64, Stop> {
        let mut rows = 0_u32;
        while handle.step()? {
            rows = rows.wrapping_add(1);
            if rows.is_multiple_of(STRIDE) && progress.is_late() {
                return Err(Stop::Late);
            }
        }
        Ok(handle.changes())
    }

    fn can_restart(&self) -> bool {
        true
    }

    fn restart(&mut self) {}
}
