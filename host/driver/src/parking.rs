//! The permits of a pool, and connections that go from caller to caller.
//!
//! SQLx asks a connection for a sign of life when it comes back and before it is lent again, which
//! costs more than many a statement. So it lends connections for a term, and within the term they are
//! kept at hand here. One to SQLite goes back after a moment, and SQLx ages it. One to PostgreSQL may
//! have fallen silent, for which SQLx would wait: it stays here as long as it lives.

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

/// How long a connection that was used needs no sign of life before it is used again; and how often it
/// is looked whether the term of one is over.
pub(crate) const MOMENT: Duration = Duration::from_secs(1);
/// How long opening a connection takes at most, where nothing is in the way.
const PATIENCE: Duration = Duration::from_millis(300);
/// How often it is looked whether connections are in use still.
const BLINK: Duration = Duration::from_millis(20);

/// How long connections are kept here. None: for ever.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Term {
    /// How long one is at hand that nobody wants.
    pub(crate) idle: Option<Duration>,
    /// How long SQLx lends one.
    pub(crate) life: Option<Duration>,
    /// So many are kept that nobody wants.
    pub(crate) least: u32,
}

impl Term {
    /// For connections that SQLx ages: short beside the times after which it closes one.
    pub(crate) const SHORT: Self = Self { idle: Some(MOMENT), life: Some(MOMENT), least: 0 };

    fn is_over(&self, checked_out: Instant, now: Instant) -> bool {
        self.life.is_some_and(|it| now.duration_since(checked_out) >= it)
    }
}

/// The permits of a pool and who has them.
pub(crate) struct Parking {
    log: Arc<Log>,
    term: Term,
    /// One permit for each place in the pool. Whoever has one finds an idle connection or room for
    /// another, so that waiting for others and waiting for the server are told apart.
    permits: Arc<Semaphore>,
    waiting: AtomicU32,
    /// How many connections are in use.
    in_use: AtomicU32,
    /// Callers whose connection is a long time in opening, and what tells them of another.
    stuck: AtomicU32,
    returned: Notify,
    at_hand: Mutex<AtHand>,
    deadlines: Arc<Deadlines>,
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

/// A connection at hand.
pub(crate) struct Parked {
    pub(crate) connection: Connection,
    pub(crate) claim: Option<Claim>,
    /// When it was checked out of the pool of SQLx.
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

    /// What the statements of the pool are told with.
    pub(crate) fn log(&self) -> &Arc<Log> {
        &self.log
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// What callers hold and have to end by some time.
    pub(crate) fn deadlines(&self) -> &Arc<Deadlines> {
        &self.deadlines
    }

    /// A permit for a connection, in the order in which callers asked.
    pub(crate) async fn permit(&self) -> Result<OwnedSemaphorePermit, Error> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let _counted = Counted::in_(&self.waiting);
        Arc::clone(&self.permits).acquire_owned().await.map_err(|_| closed())
    }

    /// The connection at hand that was used last.
    pub(crate) fn take(&self) -> Option<Parked> {
        self.at_hand.lock().parked.pop()
    }

    /// Closes what is at hand and was not used since some time.
    pub(crate) fn forget(&self, before: Instant) {
        let mut at_hand = self.at_hand.lock();
        let parked = std::mem::take(&mut at_hand.parked);
        let (used, silent) = parked.into_iter().partition(|it| it.since >= before);
        at_hand.parked = used;
        drop(at_hand);
        drop::<Vec<_>>(silent);
    }

    /// A connection that comes back, for a caller who has a permit and waits for the server to open
    /// one: it may have no room for more. Who needs no patience is not disturbed.
    pub(crate) async fn returned(&self) -> Parked {
        sleep(PATIENCE).await;
        let _counted = (Counted::in_(&self.stuck), Counted::in_(&self.waiting));
        loop {
            let mut returned = pin!(self.returned.notified());
            // In line from here on: of several that return before it waits, each is told to somebody.
            returned.as_mut().enable();
            if let Some(parked) = self.take() {
                return parked;
            }
            returned.await;
        }
    }

    /// Keeps a connection at hand that was lent at some time, unless its term is over and nobody waits
    /// for it. Whoever gets its permit then finds it.
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

    /// Keeps a connection at hand that was opened for nobody, and that no permit was taken for.
    pub(crate) fn add(self: &Arc<Self>, connection: Connection) -> Result<(), Connection> {
        let is_wanted = self.keep(connection, None, Instant::now()).map_err(|(it, _)| it)?;
        if is_wanted {
            self.returned.notify_one();
        }
        Ok(())
    }

    /// Whether somebody waits for it.
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

    /// Gives back what nobody has wanted for its term, until nothing is left.
    async fn sweep(parking: Weak<Self>) {
        loop {
            sleep(MOMENT).await;
            let Some(parking) = parking.upgrade() else { return };
            // With no permit to be had, whoever has them all will take what is parked.
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

    /// Nobody gets a permit any more, and nothing is at hand.
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
        // To be told would cost each statement something, for what happens once in the life of a pool.
        while self.in_use.load(Ordering::Relaxed) > 0 {
            sleep(BLINK).await;
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
        // The pool spawns tasks of its own when connections leave it.
        let _inside = self.runtime.enter();
        self.at_hand.lock().parked.clear();
    }
}

/// One more, until it goes out of scope, also where a future is dropped halfway.
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
