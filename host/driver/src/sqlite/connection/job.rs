//! Jobs: work on an open statement, on the caller's thread or on a blocking thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::{Connection, STRANGERS_LONGEST, STRANGERS_LONGEST_PATTERN};
use crate::sqlite::failure::Failure;
use crate::sqlite::handle::Handle;
use crate::sqlite::interrupter::Interrupter;
use crate::sqlite::timings::Phase;

/// How long a statement may occupy its caller's thread: about the time for some hundred rows.
const HERE: Duration = Duration::from_millis(1);
/// A statement that took longer is not tried on its caller's thread again.
const SHORT: Duration = Duration::from_micros(300);
/// A write with more bytes of texts and blobs is not tried on its caller's thread: a list in one
/// parameter may have any number of rows, however few it had the last time.
const SMALL: usize = 4 << 10;

/// If a transaction has changed more rows, its end does not run on its caller's thread.
const FEW: u64 = 1_000;
/// The longest text or blob of an untrusted statement on its caller's thread. Within a row, SQLite
/// cannot be interrupted, and a row may be computed by many functions of long texts.
const TRIED_LONGEST: u32 = 16 << 10;
/// The number of rows between two checks of the clock.
pub(crate) const STRIDE: u32 = 64;

/// Work on the open statement of a connection.
pub(crate) trait Job: Send + 'static {
    /// Its result.
    type Output: Send + 'static;

    /// Steps the open statement, from its beginning or from where the job stopped.
    fn run(&mut self, handle: &mut Handle, progress: &Progress) -> Result<Self::Output, Stop>;

    /// The next phase of the statement's execution.
    fn phase(&self) -> Phase {
        Phase::First
    }

    /// Whether the work may be repeated from the beginning, since nobody has seen any of its
    /// results.
    fn can_restart(&self) -> bool;

    /// Called when the statement has been reset to its beginning.
    fn restart(&mut self);
}

/// Whether a job may continue.
pub(crate) struct Progress {
    /// Whether it runs on its caller's thread.
    here: bool,
    interrupter: Interrupter,
}

/// Why a job stopped before its end.
pub(crate) enum Stop {
    /// Its time on this thread is over: it continues on another one from where it stopped.
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
    /// Called between two rows: whether the time on the caller's thread is over.
    pub(crate) fn is_late(&self) -> bool {
        self.here && self.interrupter.is_late()
    }

    /// Whether this is only an attempt: if the work takes too long, it is done elsewhere.
    pub(crate) fn is_a_try(&self) -> bool {
        self.here
    }
}

impl Connection {
    /// Runs a job on the open statement. Returns the job for its next run, unless it panicked.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, work on another thread continues, and the job is lost.
    pub(crate) async fn run<J: Job>(&mut self, mut job: J) -> Result<(J, J::Output), sqlx::Error> {
        let (phase, stranger) = (job.phase(), self.stranger);
        let mut tried = Duration::ZERO;
        if self.is_short(phase).await? && job.can_restart() {
            let start = Instant::now();
            let progress = Progress { here: true, interrupter: self.interrupter.clone() };
            let handle = self.settle().await?;
            // Only a query may be interrupted and restarted: a statement that writes or ends a
            // transaction may report an interruption although it has already taken effect.
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

    /// Whether a phase of the open statement is expected to be short enough for its caller's
    /// thread.
    async fn is_short(&mut self, phase: Phase) -> Result<bool, sqlx::Error> {
        let (stranger, committed) = (self.stranger, self.committed);
        let handle = self.settle().await?;
        let changed = || handle.all_changes().saturating_sub(committed);
        Ok(match (handle.timing(phase), handle.writes()) {
            (_, true) if stranger || handle.bound() > SMALL => false,
            (_, false) if stranger && handle.is_opaque() => false,
            // The end of a transaction writes all of it to the file.
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
            // The time until the thread starts does not count: if threads are slow to start, short
            // statements would be sent to them again and again.
            let start = Instant::now();
            let result = job.run(handle, &progress);
            handle.record(phase, tried + start.elapsed());
            result.map(|output| (job, output))
        });
        done.await?.map_err(|stop| {
            self.close();
            match stop {
                Stop::Failed(failure) => failure.into(),
                // There is no time limit here.
                Stop::Late => sqlx::Error::WorkerCrashed,
            }
        })
    }

    /// Runs work on a blocking thread.
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
            // If nobody waits for it any more, the connection is closed here.
            let _ = back.send(handle);
            done
        });
        let done = work.await.map_err(|_| sqlx::Error::WorkerCrashed);
        self.settle().await?;
        done
    }

    /// Closes the open statement on a blocking thread. Only the next use of the connection waits
    /// for that.
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
