//! The permits of a pool, and connections that go from caller to caller.
//!
//! SQLx asks a connection for a sign of life when it comes back and before it is lent again, which
//! costs more than many a statement. So it lends connections for a term. Within the term they are
//! kept at hand here; after it, and when nobody wants them, they go back to SQLx, which ages them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ferro_wit::types::Error;
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use crate::error::closed;
use crate::lease::{Connection, PoolPermits, give_back};
use crate::sqlite::Claim;
use crate::statement::Log;

/// How long SQLx lends a connection, and how long one is at hand that nobody wants: short beside
/// the times after which it closes one.
const TERM: Duration = Duration::from_secs(1);
/// How long opening a connection takes at most, where nothing is in the way.
const PATIENCE: Duration = Duration::from_millis(300);
/// How often it is looked whether connections are in use still.
const MOMENT: Duration = Duration::from_millis(20);

/// The permits of a pool and who has them.
pub(crate) struct Parking {
    log: Arc<Log>,
    /// One for each connection that there may be. Whoever has one finds an idle connection or room
    /// for another, so that waiting for others and waiting for the server are told apart.
    permits: Arc<Semaphore>,
    waiting: AtomicU32,
    /// How many connections are in use.
    in_use: AtomicU32,
    /// Callers whose connection is a long time in opening, and what tells them of another.
    stuck: AtomicU32,
    returned: Notify,
    at_hand: Mutex<AtHand>,
    /// Connections may come back on a thread that no runtime knows, of a garbage collector for one.
    runtime: Handle,
}

#[derive(Default)]
struct AtHand {
    /// The one that was used last comes last, and is used next.
    parked: Vec<Parked>,
    /// A task looks after those that nobody wants.
    swept: bool,
    /// Nothing is parked any more.
    closed: bool,
}

struct Parked {
    connection: Connection,
    claim: Option<Claim>,
    checked_out: Instant,
    since: Instant,
}

impl Parking {
    /// Must be called inside a runtime.
    pub(crate) fn new(size: u32, log: Log) -> Self {
        Self {
            log: Arc::new(log),
            permits: Arc::new(Semaphore::new(size as usize)),
            waiting: AtomicU32::new(0),
            in_use: AtomicU32::new(0),
            stuck: AtomicU32::new(0),
            returned: Notify::new(),
            at_hand: Mutex::default(),
            runtime: Handle::current(),
        }
    }

    /// What the statements of the pool are told with.
    pub(crate) fn log(&self) -> &Arc<Log> {
        &self.log
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// A permit for a connection, in the order in which callers asked.
    pub(crate) async fn permit(&self) -> Result<OwnedSemaphorePermit, Error> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let _counted = Counted::in_(&self.waiting);
        Arc::clone(&self.permits).acquire_owned().await.map_err(|_| closed())
    }

    /// A connection that was used moments ago, when SQLx lent it, and what it needs to go back.
    pub(crate) fn take(&self) -> Option<(Connection, Option<Claim>, Instant)> {
        let Parked { connection, claim, checked_out, .. } = self.lock().parked.pop()?;
        Some((connection, claim, checked_out))
    }

    /// A connection that comes back, for a caller who has a permit and waits for the server to open
    /// one: it may have no room for more. Who needs no patience is not disturbed.
    pub(crate) async fn returned(&self) -> (Connection, Option<Claim>, Instant) {
        sleep(PATIENCE).await;
        let _counted = (Counted::in_(&self.stuck), Counted::in_(&self.waiting));
        loop {
            let returned = self.returned.notified();
            if let Some(parked) = self.take() {
                return parked;
            }
            returned.await;
        }
    }

    /// Keeps a connection at hand that was lent at some time, unless its term is over and nobody waits
    /// for it.
    pub(crate) fn park(
        self: &Arc<Self>,
        connection: Connection,
        permits: PoolPermits,
        checked_out: Instant,
    ) -> Result<(), (Connection, PoolPermits)> {
        let now = Instant::now();
        let mut at_hand = self.lock();
        let is_wanted = self.stuck.load(Ordering::Relaxed) > 0;
        if at_hand.closed || now.duration_since(checked_out) >= TERM && !is_wanted {
            return Err((connection, permits));
        }
        let PoolPermits { claim, worker, permit } = permits;
        at_hand.parked.push(Parked { connection, claim, checked_out, since: now });
        if !std::mem::replace(&mut at_hand.swept, true) {
            self.runtime.spawn(Arc::clone(self).sweep());
        }
        drop(at_hand);
        // Whoever gets the permit finds the connection.
        drop((worker, permit));
        if is_wanted {
            self.returned.notify_one();
        }
        Ok(())
    }

    /// Gives back what nobody has wanted for a term, until nothing is left.
    async fn sweep(self: Arc<Self>) {
        loop {
            sleep(TERM).await;
            // With no permit to be had, whoever has them all will take what is parked.
            while let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
                let Some(Parked { connection, claim, .. }) = self.lock().unwanted() else { break };
                give_back(connection, PoolPermits { claim, worker: None, permit }).await;
            }
            let mut at_hand = self.lock();
            if at_hand.parked.is_empty() {
                at_hand.swept = false;
                return;
            }
        }
    }

    /// Nobody gets a permit any more, and nothing is at hand.
    pub(crate) fn close(&self) {
        self.permits.close();
        let parked = {
            let mut at_hand = self.lock();
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
        // To be told would cost each statement something, for what happens once in the life of a pool.
        while self.in_use.load(Ordering::Relaxed) > 0 {
            sleep(MOMENT).await;
        }
    }

    /// Notes that a connection is in use, or no longer.
    pub(crate) fn begin_use(&self) {
        self.in_use.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end_use(&self) {
        self.in_use.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many connections are at hand, are in use, and are waited for.
    pub(crate) fn count(&self) -> (u32, u32, u32) {
        let at_hand = u32::try_from(self.lock().parked.len()).unwrap_or(u32::MAX);
        (at_hand, self.in_use.load(Ordering::Relaxed), self.waiting.load(Ordering::Relaxed))
    }

    fn lock(&self) -> MutexGuard<'_, AtHand> {
        self.at_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AtHand {
    fn unwanted(&mut self) -> Option<Parked> {
        let first = self.parked.first()?;
        (first.since.elapsed() >= TERM).then(|| self.parked.remove(0))
    }
}

impl Drop for Parking {
    fn drop(&mut self) {
        // The pool spawns tasks of its own when connections leave it.
        let _inside = self.runtime.enter();
        self.lock().parked.clear();
    }
}

/// One more, until it goes out of scope, also where a future is dropped half-way.
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
