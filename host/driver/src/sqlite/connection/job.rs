//! Jobs: what is done with an open statement, on the caller's thread or on one that may block.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::{Connection, STRANGERS_LONGEST, STRANGERS_LONGEST_PATTERN};
use crate::sqlite::failure::Failure;
use crate::sqlite::handle::Handle;
use crate::sqlite::interrupter::Interrupter;
use crate::sqlite::timings::Phase;

/// How long a statement may keep its caller's thread: as long as some hundred rows take.
const HERE: Duration = Duration::from_millis(1);
/// What has taken longer is not tried on its caller's thread again.
const SHORT: Duration = Duration::from_micros(300);
/// A write with more bytes of texts and blobs is not tried on its caller's thread: a list in one
/// parameter is as many rows as it likes, however few they were before.
const SMALL: usize = 4 << 10;

/// A transaction that has changed more rows does not end on its caller's thread.
const FEW: u64 = 1_000;
/// The longest text or blob of a stranger's statement on its caller's thread. Within a row SQLite asks
/// nobody whether it may go on, and a row may be made by many functions of long texts.
const TRIED_LONGEST: u32 = 16 << 10;
/// Rows between two looks at the clock.
pub(crate) const STRIDE: u32 = 64;

/// What is done with the open statement of a connection.
pub(crate) trait Job: Send + 'static {
    /// What it comes to.
    type Output: Send + 'static;

    /// Steps the open statement, from its beginning or from where the job stopped before.
    fn run(&mut self, handle: &mut Handle, progress: &Progress) -> Result<Self::Output, Stop>;

    /// Which phase of the statement's execution comes next.
    fn phase(&self) -> Phase {
        Phase::First
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
    interrupter: Interrupter,
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
        self.here && self.interrupter.is_late()
    }

    /// Whether what takes too long is done again elsewhere, so that it may be tried.
    pub(crate) fn is_a_try(&self) -> bool {
        self.here
    }
}

impl Connection {
    /// Does a job with the open statement. The job comes back, to go on with, unless it panicked.
    ///
    /// # Cancel safety
    ///
    /// What runs on another thread goes on when the future is dropped, and the job is lost.
    pub(crate) async fn run<J: Job>(&mut self, mut job: J) -> Result<(J, J::Output), sqlx::Error> {
        let (phase, stranger) = (job.phase(), self.stranger);
        let mut tried = Duration::ZERO;
        if self.is_short(phase).await? && job.can_restart() {
            let start = Instant::now();
            let progress = Progress { here: true, interrupter: self.interrupter.clone() };
            let handle = self.settle().await?;
            // Only a query is stopped and run again: what writes, or ends a transaction, may tell
            // that it was stopped when it was done already.
            let is_query = handle.columns() > 0 && !handle.writes();
            if is_query {
                progress.interrupter.set_deadline(HERE);
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
            let late =
                is_query && progress.interrupter.is_late() && !progress.interrupter.is_stopped();
            progress.interrupter.clear_deadline();
            tried = start.elapsed();
            match result {
                Ok(output) => {
                    handle.record(phase, tried);
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
        self.run_away(job, phase, tried).await
    }

    /// Whether a phase of the open statement is thought to be short enough for its caller's thread.
    async fn is_short(&mut self, phase: Phase) -> Result<bool, sqlx::Error> {
        let (stranger, committed) = (self.stranger, self.committed);
        let handle = self.settle().await?;
        let changed = || handle.all_changes().saturating_sub(committed);
        Ok(match (handle.timing(phase), handle.writes()) {
            (_, true) if stranger || handle.bound() > SMALL => false,
            (_, false) if stranger && handle.is_opaque() => false,
            // What ends a transaction writes all of it to the file.
            (_, false) if handle.columns() == 0 && changed() > FEW => false,
            (Some(elapsed), _) => elapsed <= SHORT,
            (None, writes) => !writes,
        })
    }

    async fn run_away<J: Job>(
        &mut self,
        mut job: J,
        phase: Phase,
        tried: Duration,
    ) -> Result<(J, J::Output), sqlx::Error> {
        let progress = Progress { here: false, interrupter: self.interrupter.clone() };
        let busy_timeout = self.queue.busy_timeout;
        let done = self.lend(move |handle| {
            handle.set_busy_timeout(busy_timeout);
            // Its way to this thread is no time of its own: where threads are slow to come, short
            // statements would be sent to them ever again.
            let start = Instant::now();
            let result = job.run(handle, &progress);
            handle.record(phase, tried + start.elapsed());
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
    pub(super) async fn lend<T: Send + 'static>(
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

    /// Closes the open statement on a thread that may block. Nobody waits for that but who uses the
    /// connection next.
    pub(super) fn close_away(&mut self, mut handle: Box<Handle>) {
        let (back, away) = oneshot::channel();
        self.away = Some(away);
        let busy_timeout = self.queue.busy_timeout;
        self.runtime.spawn_blocking(move || {
            handle.set_busy_timeout(busy_timeout);
            handle.close();
            let _ = back.send(handle);
        });
    }
}

/// Steps a statement to its end.
pub(super) struct Execute;

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
