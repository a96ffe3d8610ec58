//! What all calls of a tenant share: places for calls, connections of each pool, and threads.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use ferro_wit::types::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

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
}

#[derive(Debug, Default)]
struct Known {
    shares: HashMap<Key, Kept>,
    /// How many there were after those that are gone were removed.
    kept: usize,
}

/// What is known of a tenant.
#[derive(Debug)]
struct Kept {
    share: Weak<Share>,
    pools: Arc<Pools>,
}

/// An operator who changes the limits of a tenant starts a new share; calls that run keep the old.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    tenant: String,
    calls: u32,
    connections: Option<u32>,
}

/// What the calls of one tenant share.
#[derive(Debug)]
pub(crate) struct Share {
    calls: Arc<Semaphore>,
    waiting: AtomicU32,
    /// The most connections of one pool; none: half of it.
    connections: Option<u32>,
    pools: Arc<Pools>,
    threads: Arc<Semaphore>,
}

/// By the label of the pool.
#[derive(Debug, Default)]
struct Pools(Mutex<BTreeMap<String, Part>>);

/// The tenant's part of a pool.
#[derive(Debug, Clone)]
struct Part {
    most: u32,
    connections: Arc<Semaphore>,
    /// What works for the connections, threads or backends of a server, of which a statement keeps
    /// one until it ends.
    workers: Arc<Semaphore>,
}

/// A place among the calls of a tenant, until it is dropped.
#[derive(Debug)]
pub struct Admission {
    share: Arc<Share>,
    _place: OwnedSemaphorePermit,
}

impl Default for Tenants {
    fn default() -> Self {
        Self::new(Semaphore::MAX_PERMITS)
    }
}

impl Tenants {
    /// Each tenant may keep so many threads busy at once, at least one; see
    /// [`Admission::threads`].
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self { known: Arc::default(), threads: threads.clamp(1, Semaphore::MAX_PERMITS) }
    }

    /// A place for one more call of a tenant; waits while all of them are taken, for as long as
    /// its `acquire-timeout` says.
    ///
    /// # Errors
    ///
    /// `busy`, if too many calls wait already, or if no place became free in time; `limit-exceeded`,
    /// if the tenant may have no calls at all.
    pub async fn admit(&self, tenant: &Tenant) -> Result<Admission, Error> {
        if tenant.limits.calls == 0 {
            return Err(Limits::calls_refused());
        }
        let share = self.share(tenant);
        let calls = Arc::clone(&share.calls);
        let place = match Arc::clone(&calls).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                let _waiting = Waiting::join(&share, &tenant.limits)?;
                let place = timeout(tenant.limits.acquire_timeout, calls.acquire_owned()).await;
                match place {
                    Ok(Ok(place)) => place,
                    _ => return Err(tenant.limits.calls_exceeded()),
                }
            }
        };
        Ok(Admission { share, _place: place })
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
        let shares = known.shares.iter().filter_map(|(key, it)| Some((key, it.share.upgrade()?)));
        shares.fold((0, 0), |(running, waiting), (key, share)| {
            let places = permits(key.calls);
            let running = running + places.saturating_sub(share.calls.available_permits());
            (running, waiting + share.waiting.load(Ordering::Relaxed) as usize)
        })
    }

    fn share(&self, tenant: &Tenant) -> Arc<Share> {
        let Limits { calls, connections, .. } = tenant.limits;
        let key = Key { tenant: tenant.name.clone(), calls, connections };
        let mut known = self.lock();
        if let Some(share) = known.shares.get(&key).and_then(|it| it.share.upgrade()) {
            return share;
        }
        // The number of tenants is not bounded, so those that are gone make room now and then.
        if known.shares.len() >= 64.max(2 * known.kept) {
            known.shares.retain(|_, it| it.share.strong_count() > 0 || it.pools.are_busy());
            known.kept = known.shares.len();
        }
        let pools = known.shares.get(&key).map(|it| Arc::clone(&it.pools)).unwrap_or_default();
        let share = Share { pools, ..Share::new(&tenant.limits, self.threads) };
        let share = Arc::new(share);
        let kept = Kept { share: Arc::downgrade(&share), pools: Arc::clone(&share.pools) };
        known.shares.insert(key, kept);
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

    pub(crate) fn share(&self) -> &Arc<Share> {
        &self.share
    }
}

impl Share {
    /// The share of a call that nobody admitted: its own.
    pub(crate) fn new(limits: &Limits, threads: usize) -> Self {
        Self {
            calls: Arc::new(Semaphore::new(permits(limits.calls))),
            waiting: AtomicU32::new(0),
            connections: limits.connections,
            pools: Arc::default(),
            threads: Arc::new(Semaphore::new(threads)),
        }
    }

    /// The tenant's part of a pool of up to `max` connections.
    fn of_pool(&self, label: &str, max: u32) -> Part {
        let most = self.connections.unwrap_or_else(|| max.div_ceil(2)).min(max);
        let mut pools = lock(&self.pools.0);
        match pools.get(label) {
            Some(part) if part.most == most => part.clone(),
            // A label may come to mean another pool.
            _ => {
                let permits = || Arc::new(Semaphore::new(most as usize));
                let part = Part { most, connections: permits(), workers: permits() };
                pools.insert(label.to_owned(), part.clone());
                part
            }
        }
    }
}

impl Pools {
    /// Whether a call that is gone has left a statement that still runs.
    fn are_busy(&self) -> bool {
        lock(&self.0).values().any(|it| it.workers.available_permits() < it.most as usize)
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

/// The connections of one pool that one call holds, of those that its tenant may.
#[derive(Debug)]
pub(crate) struct Connections {
    part: Part,
    held: Arc<AtomicU32>,
}

/// A connection that counts; given back when it is dropped.
pub(crate) struct Held {
    held: Arc<AtomicU32>,
    _place: OwnedSemaphorePermit,
}

impl Connections {
    pub(crate) fn new(share: &Share, label: &str, max: u32) -> Self {
        Self { part: share.of_pool(label, max), held: Arc::default() }
    }

    /// What may work for them.
    pub(crate) fn workers(&self) -> &Arc<Semaphore> {
        &self.part.workers
    }

    /// One more connection. A call that holds all of its tenant's would wait for itself, and is
    /// told so at once.
    pub(crate) async fn hold(&self, limits: &Limits) -> Result<Held, Error> {
        let Part { most, connections, .. } = &self.part;
        let place = match Arc::clone(connections).try_acquire_owned() {
            Ok(place) => place,
            Err(_) if self.held.load(Ordering::Relaxed) >= *most => {
                return Err(limits.connections_exceeded(*most));
            }
            Err(_) => {
                match timeout(limits.acquire_timeout, Arc::clone(connections).acquire_owned()).await
                {
                    Ok(Ok(place)) => place,
                    _ => return Err(Wait::Begin.expired(limits)),
                }
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

fn permits(count: u32) -> usize {
    (count as usize).min(Semaphore::MAX_PERMITS)
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
    async fn tenants_without_calls_are_forgotten() {
        let tenants = Tenants::default();
        for number in 0..10_000 {
            tenants.admit(&tenant(&number.to_string(), 1, 1)).await.unwrap();
        }
        assert_eq!(tenants.active(), 0);
        assert!(tenants.lock().shares.len() <= 64, "{}", tenants.lock().shares.len());
    }
}
