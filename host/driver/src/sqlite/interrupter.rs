//! Tells a connection to SQLite, while it works, whether it may continue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::SqliteConnection;

use super::handle::harden;

/// The number of steps of SQLite's virtual machine between two checks: some tens of microseconds,
/// without a measurable effect on scans.
const STEPS: i32 = 1_000;
/// There is no deadline.
const ENDLESS: u64 = u64::MAX;
/// How long to wait before each attempt to get a lock, in milliseconds; the last one is repeated.
/// The values are those of SQLite.
const PAUSES: [u64; 12] = [1, 2, 5, 10, 15, 20, 25, 25, 25, 50, 50, 100];

/// Ends what a connection runs, and everything that it is given to run, from [`stop`](Self::stop)
/// until [`resume`](Self::resume). In addition, a statement may have a deadline.
#[derive(Clone)]
pub(crate) struct Interrupter(Arc<State>);

pub(crate) struct State {
    stopped: AtomicBool,
    /// When the statement must have ended, in nanoseconds since the interrupter was created.
    until: AtomicU64,
    /// How long to wait for a lock, in milliseconds.
    patience: AtomicU64,
    since: Instant,
}

impl Interrupter {
    pub(crate) fn new() -> Self {
        Self(Arc::new(State {
            stopped: AtomicBool::new(false),
            until: AtomicU64::new(ENDLESS),
            patience: AtomicU64::new(0),
            since: Instant::now(),
        }))
    }

    /// Installs it on a new connection, along with other settings that no statement can undo.
    pub(super) async fn install(
        &self,
        connection: &mut SqliteConnection,
    ) -> Result<(), sqlx::Error> {
        let state = Arc::clone(&self.0);
        let mut handle = connection.lock_handle().await?;
        handle.set_progress_handler(STEPS, move || state.may_go_on());
        harden(&mut handle)
    }

    /// Interrupts what runs on the connection, with `SQLITE_INTERRUPT`.
    pub(crate) fn stop(&self) {
        self.0.stopped.store(true, Ordering::Relaxed);
    }

    /// Allows statements on the connection again.
    pub(crate) fn resume(&self) {
        self.0.stopped.store(false, Ordering::Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::Relaxed)
    }

    /// Interrupts what runs after this time.
    pub(super) fn set_deadline(&self, time: Duration) {
        let until = self.0.since.elapsed() + time;
        let until = u64::try_from(until.as_nanos()).unwrap_or(ENDLESS);
        self.0.until.store(until, Ordering::Relaxed);
    }

    /// Removes the deadline.
    pub(super) fn clear_deadline(&self) {
        self.0.until.store(ENDLESS, Ordering::Relaxed);
    }

    /// Whether the deadline has passed.
    pub(super) fn is_late(&self) -> bool {
        self.0.is_late()
    }

    /// Sets how long a statement waits for the lock of another connection, unless it is
    /// interrupted.
    pub(super) fn set_patience(&self, patience: Duration) {
        let patience = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        self.0.patience.store(patience, Ordering::Relaxed);
    }

    pub(super) fn state(&self) -> *const State {
        Arc::as_ptr(&self.0)
    }
}

impl State {
    fn may_go_on(&self) -> bool {
        !self.stopped.load(Ordering::Relaxed) && !self.is_late()
    }

    /// Waits for a lock, if there is time; returns whether to try again. `before` is the number of
    /// attempts so far.
    pub(super) fn wait(&self, before: usize) -> bool {
        let pause = |number: usize| PAUSES[number.min(PAUSES.len() - 1)];
        let more = before.saturating_sub(PAUSES.len()) as u64 * pause(before);
        let waited = more + (0..before.min(PAUSES.len())).map(pause).sum::<u64>();
        let left = self.patience.load(Ordering::Relaxed).saturating_sub(waited);
        std::thread::sleep(Duration::from_millis(left.min(pause(before))));
        left > 0 && !self.stopped.load(Ordering::Relaxed)
    }

    fn is_late(&self) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        until != ENDLESS && self.since.elapsed().as_nanos() >= u128::from(until)
    }
}
