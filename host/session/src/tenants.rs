//! What all calls of a tenant share: places for calls, connections of each pool, and threads.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use ferro_wit::types::Error;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::fair_semaphore::{Holder, Place, Places};
use crate::limits::{Limits, Wait};
use crate::tenant::Tenant;

/// The tenants that have calls, and what their calls share. A host has one of these for all of its
/// calls; clones are the same.
///
/// Tenants are told apart by their names. What is kept of one goes with its last call, and with what
/// that has left running.
#[derive(Debug, Clone)]
pub struct Tenants {
    known: Arc<Mutex<Known>>,
    threads: usize,
    /// Places of the host: for instances, or for the threads that they run on.
    places: Places,
    /// The host, as one more who has some of them.
    own: Holder,
    pools: Arc<Pools>,
}

#[derive(Debug, Default)]
struct Known {
    /// By the tenant's name.
    shares: HashMap<String, Kept>,
    /// How many there were after those that are gone were removed.
    kept: usize,
}

/// What is known of a tenant.
#[derive(Debug)]
struct Kept {
    share: Weak<Share>,
    parts: Arc<Parts>,
}

/// What the calls of one tenant share. How much of it they may have is in the limits of each: an
/// operator may change them.
#[derive(Debug)]
pub(crate) struct Share {
    calls: Places,
    running: Holder,
    waiting: AtomicU32,
    threads: Arc<Semaphore>,
    places: Places,
    placed: Holder,
    /// Of places for compiles.
    compiling: Holder,
    pools: Arc<Pools>,
    parts: Arc<Parts>,
}

/// The connections of each pool, by its label.
#[derive(Debug, Default)]
struct Pools(Mutex<BTreeMap<String, Places>>);

/// A tenant's parts of the pools, by their labels.
#[derive(Debug, Default)]
struct Parts(Mutex<BTreeMap<String, Part>>);

/// The tenant's part of a pool.
#[derive(Debug)]
struct Part {
    connections: Places,
    held: Holder,
    /// What works for the connections, threads or backends of a server, of which a statement keeps
    /// one until it ends.
    workers: Arc<Semaphore>,
    /// How many of these there are, those at work included.
    hired: usize,
}

/// A place among the calls of a tenant, until it is dropped.
#[derive(Debug)]
pub struct Admission {
    share: Arc<Share>,
    _place: Place,
}

impl Default for Tenants {
    fn default() -> Self {
        Self::new(Semaphore::MAX_PERMITS, u32::MAX)
    }
}

impl Tenants {
    /// Each tenant may keep so many threads busy at once, at least one; see [`Admission::threads`].
    /// All of them share so many places; see [`Admission::place`].
    #[must_use]
    pub fn new(threads: usize, places: u32) -> Self {
        Self {
            known: Arc::default(),
            threads: threads.clamp(1, Semaphore::MAX_PERMITS),
            places: Places::new(places),
            own: Holder::default(),
            pools: Arc::default(),
        }
    }

    /// A place for one more call of a tenant; waits while all of them are taken, for as long as
    /// its `acquire-timeout` says.
    ///
    /// # Errors
    ///
    /// `busy`, if too many calls wait already, or if no place became free in time; `limit-exceeded`,
    /// if the tenant may have no calls at all.
    pub async fn admit(&self, tenant: &Tenant) -> Result<Admission, Error> {
        let limits = &tenant.limits;
        if limits.calls == 0 {
            return Err(Limits::calls_refused());
        }
        let share = self.share(&tenant.name);
        let Share { calls, running, .. } = &*share;
        let place = match calls.try_take(running, limits.calls) {
            Some(place) => place,
            None => {
                let _waiting = Waiting::join(&share, limits)?;
                let place = timeout(limits.acquire_timeout, calls.take(running, limits.calls));
                place.await.map_err(|_| limits.calls_exceeded())?
            }
        };
        Ok(Admission { share, _place: place })
    }

    /// A place of the host's, for work of its own: of these, the host gets what one tenant would.
    ///
    /// # Errors
    ///
    /// As [`Admission::place`].
    pub async fn place(&self, limits: &Limits) -> Result<Place, Error> {
        place(&self.places, &self.own, limits).await
    }

    /// How many of the host's places are taken.
    #[must_use]
    pub fn places_taken(&self) -> u32 {
        self.places.taken()
    }

    /// How many tenants have calls that run or wait.
    #[must_use]
    pub fn active(&self) -> usize {
        self.lock().shares.values().filter(|it| it.share.strong_count() > 0).count()
    }

    /// How many calls have their place, and how many wait for one.
    #[must_use]
    pub fn calls(&self) -> (usize, usize) {
        let known = self.lock();
        let shares = known.shares.values().filter_map(|it| it.share.upgrade());
        shares.fold((0, 0), |(running, waiting), share| {
            let running = running + share.running.held() as usize;
            (running, waiting + share.waiting.load(Ordering::Relaxed) as usize)
        })
    }

    fn share(&self, tenant: &str) -> Arc<Share> {
        let mut known = self.lock();
        if let Some(share) = known.shares.get(tenant).and_then(|it| it.share.upgrade()) {
            return share;
        }
        // The number of tenants is not bounded, so those that are gone make room now and then.
        if known.shares.len() >= 64.max(2 * known.kept) {
            known.shares.retain(|_, it| it.share.strong_count() > 0 || it.parts.are_busy());
            known.kept = known.shares.len();
        }
        let parts = known.shares.get(tenant).map(|it| Arc::clone(&it.parts)).unwrap_or_default();
        let share = Arc::new(Share::new(self, Arc::clone(&parts)));
        let kept = Kept { share: Arc::downgrade(&share), parts };
        known.shares.insert(tenant.to_owned(), kept);
        share
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        lock(&self.known)
    }
}

impl Admission {
    /// One permit for each thread that the tenant may keep busy at once. A host has a guest hold
    /// one while its code runs, so that a tenant with many calls leaves room for others.
    #[must_use]
    pub fn threads(&self) -> &Arc<Semaphore> {
        &self.share.threads
    }

    /// A place of the host's. A tenant gets another one only while more are free than it has; it
    /// waits for that as long as its `acquire-timeout` says.
    ///
    /// # Errors
    ///
    /// `busy`, if there was none in time.
    pub async fn place(&self, limits: &Limits) -> Result<Place, Error> {
        place(&self.share.places, &self.share.placed, limits).await
    }

    pub(crate) fn share(&self) -> &Arc<Share> {
        &self.share
    }
}

async fn place(places: &Places, holder: &Holder, limits: &Limits) -> Result<Place, Error> {
    let place = timeout(limits.acquire_timeout, places.take(holder, u32::MAX));
    place.await.map_err(|_| limits.places_exceeded(places.count()))
}

impl Share {
    fn new(tenants: &Tenants, parts: Arc<Parts>) -> Self {
        Self {
            calls: Places::new(u32::MAX),
            running: Holder::default(),
            waiting: AtomicU32::new(0),
            threads: Arc::new(Semaphore::new(tenants.threads)),
            places: tenants.places.clone(),
            placed: Holder::default(),
            compiling: Holder::default(),
            pools: Arc::clone(&tenants.pools),
            parts,
        }
    }

    pub(crate) fn compiling(&self) -> &Holder {
        &self.compiling
    }

    /// The share of a call that nobody admitted: its own.
    pub(crate) fn alone() -> Self {
        Self::new(&Tenants::default(), Arc::default())
    }
}

impl Pools {
    /// The connections of a pool of up to `max`. A label may come to mean another pool.
    fn get(&self, label: &str, max: u32) -> Places {
        let mut pools = lock(&self.0);
        match pools.get(label) {
            Some(places) if places.count() == max => places.clone(),
            _ => {
                let places = Places::new(max);
                pools.insert(label.to_owned(), places.clone());
                places
            }
        }
    }
}

impl Parts {
    /// Whether a call that is gone has left a statement that still runs.
    fn are_busy(&self) -> bool {
        lock(&self.0).values().any(|it| it.workers.available_permits() < it.hired)
    }
}

impl Part {
    fn new(connections: Places) -> Self {
        let workers = Arc::new(Semaphore::new(0));
        Self { connections, held: Holder::default(), workers, hired: 0 }
    }

    /// Has so many workers; one too many that is at work goes another time.
    fn hire(&mut self, most: usize) {
        match most.checked_sub(self.hired) {
            Some(more) => {
                self.workers.add_permits(more);
                self.hired = most;
            }
            None => self.hired -= self.workers.forget_permits(self.hired - most),
        }
    }
}

/// Somebody who waits for a place.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn join(share: &'a Share, limits: &Limits) -> Result<Self, Error> {
        let below = |waiting: u32| (waiting < limits.queued_calls).then(|| waiting + 1);
        match share.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, below) {
            Ok(_) => Ok(Self(&share.waiting)),
            Err(_) => Err(limits.calls_exceeded()),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The connections of one pool, as one call may hold them.
#[derive(Debug)]
pub(crate) struct Connections {
    places: Places,
    /// The tenant, who may hold so many.
    holder: Holder,
    most: u32,
    workers: Arc<Semaphore>,
    /// How many this call holds.
    held: Arc<AtomicU32>,
}

/// A connection that counts; given back when it is dropped.
pub(crate) struct Held {
    held: Arc<AtomicU32>,
    _place: Place,
}

impl Connections {
    pub(crate) fn new(share: &Share, label: &str, max: u32, limits: &Limits) -> Self {
        let places = share.pools.get(label, max);
        let most = limits.connections.unwrap_or(max).min(places.share());
        let mut parts = lock(&share.parts.0);
        let part = parts.entry(label.to_owned()).or_insert_with(|| Part::new(places.clone()));
        if !part.connections.is(&places) {
            *part = Part::new(places.clone());
        }
        part.hire(most as usize);
        let (holder, workers) = (part.held.clone(), Arc::clone(&part.workers));
        Self { places, holder, most, workers, held: Arc::default() }
    }

    /// What may work for them.
    pub(crate) fn workers(&self) -> &Arc<Semaphore> {
        &self.workers
    }

    /// One more connection. A call that holds all that its tenant can have would wait for itself, and
    /// is told so at once.
    pub(crate) async fn hold(&self, limits: &Limits) -> Result<Held, Error> {
        let Self { places, holder, most, .. } = self;
        let place = match places.try_take(holder, *most) {
            Some(place) => place,
            None if self.held.load(Ordering::Relaxed) >= *most => {
                return Err(limits.connections_exceeded(*most));
            }
            None => {
                let place = timeout(limits.acquire_timeout, places.take(holder, *most));
                place.await.map_err(|_| Wait::Begin.expired(limits))?
            }
        };
        self.held.fetch_add(1, Ordering::Relaxed);
        Ok(Held { held: Arc::clone(&self.held), _place: place })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.held.fetch_sub(1, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under the lock is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ferro_wit::types::ErrorKind;

    use super::*;

    fn tenant(name: &str, calls: u32, queued_calls: u32) -> Tenant {
        let acquire_timeout = Duration::from_millis(50);
        let limits = Limits { calls, queued_calls, acquire_timeout, ..Limits::default() };
        Tenant::new(name).limits(limits)
    }

    #[tokio::test]
    async fn p4_calls_of_a_tenant_are_counted_and_those_that_wait_too() {
        let tenants = Tenants::default();
        let acme = tenant("acme", 2, 1);
        let one = tenants.admit(&acme).await.unwrap();
        let _two = tenants.admit(&acme).await.unwrap();
        // One waits; the next is told at once.
        let (waited, refused) = tokio::join!(tenants.admit(&acme), async {
            tokio::task::yield_now().await;
            assert_eq!(tenants.calls(), (2, 1));
            tenants.admit(&acme).await
        });
        for error in [waited.unwrap_err(), refused.unwrap_err()] {
            assert_eq!(error.kind, ErrorKind::Busy);
            assert!(error.retryable && error.message.contains("`calls`"), "{error}");
        }
        // Another tenant notices nothing, and a place that is free is taken again.
        tenants.admit(&tenant("other", 2, 1)).await.unwrap();
        drop(one);
        tenants.admit(&acme).await.unwrap();
        assert_eq!(tenants.calls(), (1, 0));
    }

    #[tokio::test]
    async fn p4_limits_that_differ_are_those_of_one_tenant_if_its_name_is_one() {
        let tenants = Tenants::default();
        let _one = tenants.admit(&tenant("acme", 1, 0)).await.unwrap();
        let _two = tenants.admit(&tenant("acme", 2, 0)).await.unwrap();
        assert_eq!(tenants.active(), 1);
        // Its newest limits hold for the call that they come with.
        for calls in [1, 2] {
            let refused = tenants.admit(&tenant("acme", calls, 0)).await;
            assert_eq!(refused.unwrap_err().kind, ErrorKind::Busy, "{calls}");
        }
        tenants.admit(&tenant("acme", 3, 0)).await.unwrap();
    }

    #[tokio::test]
    async fn p4_workers_are_as_many_as_the_newest_limits_say() {
        let tenants = Tenants::default();
        let admission = tenants.admit(&tenant("acme", 1, 0)).await.unwrap();
        let workers = |connections| {
            let limits = Limits { connections, ..Limits::default() };
            Arc::clone(Connections::new(admission.share(), "app", 10, &limits).workers())
        };
        let some = workers(None);
        assert_eq!(some.available_permits(), 5);
        let at_work = Arc::clone(&some).acquire_many_owned(4).await.unwrap();
        assert_eq!(workers(Some(2)).available_permits(), 0);
        drop(at_work);
        assert_eq!(workers(Some(2)).available_permits(), 2);
        assert_eq!(workers(Some(10)).available_permits(), 5);
    }

    #[tokio::test]
    async fn who_may_have_no_calls_is_told_at_once() {
        let calls = tenant("acme", 0, 1);
        let limits = Limits { acquire_timeout: Duration::MAX, ..calls.limits.clone() };
        let error = Tenants::default().admit(&calls.limits(limits)).await.unwrap_err();
        assert_eq!((error.kind, error.retryable), (ErrorKind::LimitExceeded, false), "{error}");
    }

    #[tokio::test]
    async fn p4_who_waits_gets_the_place_that_becomes_free() {
        let tenants = Tenants::default();
        let acme = tenant("acme", 1, 1);
        let one = tenants.admit(&acme).await.unwrap();
        let (next, ()) = tokio::join!(tenants.admit(&acme), async { drop(one) });
        next.unwrap();
    }

    #[tokio::test]
    async fn p4_a_place_of_the_host_is_waited_for_as_long_as_the_tenant_may() {
        let tenants = Tenants::new(1, 2);
        let acme = tenant("acme", 2, 0);
        let (one, two) = (tenants.admit(&acme).await.unwrap(), tenants.admit(&acme).await.unwrap());
        let _place = one.place(&acme.limits).await.unwrap();
        let error = two.place(&acme.limits).await.unwrap_err();
        assert_eq!((error.kind, error.retryable), (ErrorKind::Busy, true), "{error}");
        assert!(error.message.contains("of the 2 instances"), "{error}");
    }

    #[tokio::test]
    async fn p4_what_the_host_does_itself_leaves_places_as_a_tenant_does() {
        let tenants = Tenants::new(1, 4);
        let limits = tenant("acme", 1, 0).limits;
        let own = [tenants.place(&limits).await.unwrap(), tenants.place(&limits).await.unwrap()];
        assert_eq!(tenants.place(&limits).await.unwrap_err().kind, ErrorKind::Busy);
        let admission = tenants.admit(&tenant("acme", 1, 0)).await.unwrap();
        admission.place(&limits).await.unwrap();
        drop(own);
        tenants.place(&limits).await.unwrap();
    }

    #[tokio::test]
    async fn tenants_without_calls_are_forgotten() {
        let tenants = Tenants::default();
        for number in 0..10_000 {
            tenants.admit(&tenant(&number.to_string(), 1, 1)).await.unwrap();
        }
        assert_eq!(tenants.active(), 0);
        assert!(tenants.lock().shares.len() <= 64, "{}", tenants.lock().shares.len());
    }
}
