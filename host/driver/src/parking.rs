//! The permits of a pool, and its idle connections.
//!
//! SQLx pings a connection when it is returned and before it is reused, which takes longer than
//! many statements. So connections are acquired from SQLx for a term, and kept here between
//! callers. A SQLite connection goes back to SQLx after a second, and SQLx limits its age. A
//! PostgreSQL connection may have gone silent, and SQLx would wait for it: it stays here as long as
//! it lives.

use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use ferro_wit::types::Error;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use crate::deadlines::Deadlines;
use crate::error::closed;
use crate::lease::{Connection, PoolPermits, give_back};
use crate::sqlite::Claim;
use crate::statement::Log;

/// How long after its last use a connection is used again without a ping, and the interval at which
/// expired connections are looked for.
pub(crate) const MOMENT: Duration = Duration::from_secs(1);
/// How long opening a connection takes at most if there is no problem.
const PATIENCE: Duration = Duration::from_millis(300);
/// The interval at which a pool that is being closed checks whether connections are still in use.
const BLINK: Duration = Duration::from_millis(20);

/// How long connections are kept here. `None`: forever.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Term {
    /// How long an idle connection is kept.
    pub(crate) idle: Option<Duration>,
    /// How long a connection acquired from SQLx is kept.
    pub(crate) life: Option<Duration>,
    /// How many idle connections are kept in any case.
    pub(crate) least: u32,
}

impl Term {
    /// For connections whose age SQLx limits: short compared with SQLx's own limits.
    pub(crate) const SHORT: Self = Self { idle: Some(MOMENT), life: Some(MOMENT), least: 0 };

    fn is_over(&self, checked_out: Instant, now: Instant) -> bool {
        self.life.is_some_and(|it| now.duration_since(checked_out) >= it)
    }
}

/// The permits of a pool, and its idle connections.
pub(crate) struct Parking {
    log: Arc<Log>,
    term: Term,
    /// One permit per connection of the pool. Whoever has one finds an idle connection or room for
    /// another, so waiting for other callers and waiting for the server can be told apart.
    permits: Arc<Semaphore>,
    waiting: AtomicU32,
    /// The number of connections in use.
    in_use: AtomicU32,
    /// The number of callers whose connection takes long to open; `returned` tells them of another.
    stuck: AtomicU32,
    returned: Notify,
    at_hand: Mutex<AtHand>,
    deadlines: Arc<Deadlines>,
    /// Connections may be returned on a thread without a runtime, such as a garbage collector's.
    runtime: Handle,
}

#[derive(Default)]
struct AtHand {
    /// The most recently used connection is last, and is used next.
    parked: Vec<Parked>,
    /// Whether a task sweeps those that are idle for too long.
    swept: bool,
    /// Whether nothing may be parked any more.
    closed: bool,
}

/// An idle connection.
pub(crate) struct Parked {
    pub(crate) connection: Connection,
    pub(crate) claim: Option<Claim>,
    /// When it was acquired from SQLx's pool.
    pub(crate) checked_out: Instant,
    /// When it was last used.
    pub(crate) since: Instant,
}

impl Parking {
    /// Must be called inside a runtime.
    pub(crate) fn new(permits: u32, term: Term, log: Log) -> Self {
        Self {
            log: Arc::new(log),
            term,
            permits: Arc::new(Semaphore::new(permits as usize)),
            waiting: AtomicU32::new(0),
            in_use: AtomicU32::new(0),
            stuck: AtomicU32::new(0),
            returned: Notify::new(),
            at_hand: Mutex::default(),
            deadlines: Arc::new(Deadlines::new(Handle::current())),
            runtime: Handle::current(),
        }
    }

    /// The log for the statements of the pool.
    pub(crate) fn log(&self) -> &Arc<Log> {
        &self.log
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// The deadlines for what callers hold.
    pub(crate) fn deadlines(&self) -> &Arc<Deadlines> {
        &self.deadlines
    }

    /// Acquires a permit for a connection, in order of arrival.
    pub(crate) async fn permit(&self) -> Result<OwnedSemaphorePermit, Error> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let _counted = Counted::in_(&self.waiting);
        Arc::clone(&self.permits).acquire_owned().await.map_err(|_| closed())
    }

    /// Takes the most recently used idle connection.
    pub(crate) fn take(&self) -> Option<Parked> {
        self.at_hand.lock().parked.pop()
    }

    /// Closes idle connections that have not been used since this time.
    pub(crate) fn forget(&self, before: Instant) {
        let mut at_hand = self.at_hand.lock();
        let parked = std::mem::take(&mut at_hand.parked);
        let (used, silent) = parked.into_iter().partition(|it| it.since >= before);
        at_hand.parked = used;
        drop(at_hand);
        drop::<Vec<_>>(silent);
    }

    /// Waits for a connection to be returned, on behalf of a caller with a permit whose new
    /// connection takes long to open: the server may have no room for more. Sleeps first, so that
    /// it costs nothing if opening is quick.
    pub(crate) async fn returned(&self) -> Parked {
        sleep(PATIENCE).await;
        let _counted = (Counted::in_(&self.stuck), Counted::in_(&self.waiting));
        loop {
            let mut returned = pin!(self.returned.notified());
            // Registers before the check: if several are returned before it waits, each wakes
            // another caller.
            returned.as_mut().enable();
            if let Some(parked) = self.take() {
                return parked;
            }
            returned.await;
        }
    }

    /// Parks a connection, unless its term is over and nobody waits for it. Whoever gets its permit
    /// then finds it.
    pub(crate) fn park(
        self: &Arc<Self>,
        connection: Connection,
        permits: PoolPermits,
        checked_out: Instant,
    ) -> Result<(), (Connection, PoolPermits)> {
        let PoolPermits { claim, worker, permit } = permits;
        match self.keep(connection, claim, checked_out) {
            Ok(is_wanted) => {
                drop((worker, permit));
                if is_wanted {
                    self.returned.notify_one();
                }
                Ok(())
            }
            Err((connection, claim)) => Err((connection, PoolPermits { claim, worker, permit })),
        }
    }

    /// Parks a connection that was opened for no caller, and without a permit.
    pub(crate) fn add(self: &Arc<Self>, connection: Connection) -> Result<(), Connection> {
        let is_wanted = self.keep(connection, None, Instant::now()).map_err(|(it, _)| it)?;
        if is_wanted {
            self.returned.notify_one();
        }
        Ok(())
    }

    /// Parks a connection; returns whether a caller waits for it.
    fn keep(
        self: &Arc<Self>,
        connection: Connection,
        claim: Option<Claim>,
        checked_out: Instant,
    ) -> Result<bool, (Connection, Option<Claim>)> {
        let now = Instant::now();
        let mut at_hand = self.at_hand.lock();
        let is_wanted = self.stuck.load(Ordering::Relaxed) > 0;
        if at_hand.closed || self.term.is_over(checked_out, now) && !is_wanted {
            return Err((connection, claim));
        }
        at_hand.parked.push(Parked { connection, claim, checked_out, since: now });
        if !std::mem::replace(&mut at_hand.swept, true) {
            self.runtime.spawn(Self::sweep(Arc::downgrade(self)));
        }
        Ok(is_wanted)
    }

    /// Returns connections that have been idle for too long, until none are left.
    async fn sweep(parking: Weak<Self>) {
        loop {
            sleep(MOMENT).await;
            let Some(parking) = parking.upgrade() else { return };
            // If no permit is free, those who hold them will use the parked connections.
            while let Ok(permit) = Arc::clone(&parking.permits).try_acquire_owned() {
                let unwanted = parking.at_hand.lock().unwanted(&parking.term);
                let Some(Parked { connection, claim, .. }) = unwanted else { break };
                give_back(connection, PoolPermits { claim, worker: None, permit }).await;
            }
            let mut at_hand = parking.at_hand.lock();
            if at_hand.parked.is_empty() {
                at_hand.swept = false;
                return;
            }
        }
    }

    /// Closes the permits and all idle connections.
    pub(crate) fn close(&self) {
        self.permits.close();
        let parked = {
            let mut at_hand = self.at_hand.lock();
            at_hand.closed = true;
            std::mem::take(&mut at_hand.parked)
        };
        for Parked { connection, claim, .. } in parked {
            self.runtime.spawn(async move {
                connection.give_back().await;
                drop(claim);
            });
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.permits.is_closed()
    }

    /// Waits until no connection is in use.
    pub(crate) async fn at_rest(&self) {
        // Polls, since a notification would cost something in each statement, for a wait that
        // happens once in the life of a pool.
        while self.in_use.load(Ordering::Relaxed) > 0 {
            sleep(BLINK).await;
        }
    }

    /// Counts a connection as in use.
    pub(crate) fn begin_use(&self) {
        self.in_use.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end_use(&self) {
        self.in_use.fetch_sub(1, Ordering::Relaxed);
    }

    /// The number of connections that are idle and in use, and of callers that wait.
    pub(crate) fn count(&self) -> (u32, u32, u32) {
        let at_hand = u32::try_from(self.at_hand.lock().parked.len()).unwrap_or(u32::MAX);
        (at_hand, self.in_use.load(Ordering::Relaxed), self.waiting.load(Ordering::Relaxed))
    }
}

impl AtHand {
    fn unwanted(&mut self, term: &Term) -> Option<Parked> {
        let now = Instant::now();
        let spare = self.parked.len() > term.least as usize;
        let idle = |it: &Parked| term.idle.is_some_and(|idle| now.duration_since(it.since) >= idle);
        let is_over = |it: &Parked| term.is_over(it.checked_out, now) || spare && idle(it);
        let at = self.parked.iter().position(is_over)?;
        Some(self.parked.remove(at))
    }
}

impl Drop for Parking {
    fn drop(&mut self) {
        // The pool spawns tasks when connections leave it.
        let _inside = self.runtime.enter();
        self.at_hand.lock().parked.clear();
    }
}

/// Counts one more until it is dropped, also if a future is dropped halfway.
struct Counted<'a>(&'a AtomicU32);

impl<'a> Counted<'a> {
    fn in_(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
