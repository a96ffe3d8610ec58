//! The state that all calls of a tenant share: permits for calls, guests, the connections of each
//! pool, and threads.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use ferro_wit::types::Error;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::fair_semaphore::{Claimant, FairPermit, FairSemaphore};
use crate::limits::{Limits, Wait};
use crate::tenant::Tenant;

/// The tenants with calls, and the state that their calls share. A host has one instance for all of
/// its calls; clones share it.
///
/// Tenants are identified by name. The state of a tenant is dropped with its last call, including
/// statements that a call has left running.
#[derive(Debug, Clone)]
pub struct Tenants {
    registry: Arc<Mutex<Registry>>,
    threads: usize,
    /// Permits of the host to run guests.
    guests: FairSemaphore,
    /// The host itself, as another claimant.
    host: Claimant,
    pools: Arc<Pools>,
}

/// Keyed by tenant name.
type Registry = Entries<TenantEntry>;

/// The state of a tenant.
#[derive(Debug)]
struct TenantEntry {
    state: Weak<TenantState>,
    pool_shares: Arc<PoolShares>,
}

/// The state that the calls of one tenant share. Each call has its own limits, as an operator may
/// change them.
#[derive(Debug)]
pub(crate) struct TenantState {
    calls: FairSemaphore,
    calls_claimant: Claimant,
    queued_calls: AtomicU32,
    threads: Arc<Semaphore>,
    guests: FairSemaphore,
    guests_claimant: Claimant,
    /// The claimant of permits to compile.
    compiler_claimant: Claimant,
    pools: Arc<Pools>,
    pool_shares: Arc<PoolShares>,
}

/// The connections of each pool, by its label.
#[derive(Debug, Default)]
struct Pools(Mutex<Entries<FairSemaphore>>);

/// A tenant's shares of the pools, by their labels.
#[derive(Debug, Default)]
struct PoolShares(Mutex<Entries<PoolShare>>);

/// The tenant's share of a pool.
#[derive(Debug)]
struct PoolShare {
    connections: FairSemaphore,
    claimant: Claimant,
    /// The workers behind the connections, threads or server backends, one of which a statement
    /// occupies until it ends.
    workers: Arc<Semaphore>,
    /// The number of workers, including busy ones.
    size: usize,
}

/// Entries by name, whose number is unbounded: operators rename tenants, and connect and disconnect
/// labels. So unused entries are removed from time to time.
#[derive(Debug)]
struct Entries<T> {
    by_name: HashMap<String, T>,
    /// The number of entries after unused ones were last removed.
    swept_len: usize,
}

trait Entry {
    /// Whether recreating it would lose state.
    fn is_used(&self) -> bool;
}

/// A permit for one call of a tenant, released on drop.
#[derive(Debug)]
pub struct Admission {
    state: Arc<TenantState>,
    _permit: FairPermit,
}

impl Default for Tenants {
    fn default() -> Self {
        Self::new(Semaphore::MAX_PERMITS, u32::MAX)
    }
}

impl Tenants {
    /// Each tenant may keep `threads` threads busy at once, at least one; see
    /// [`Admission::threads`]. All tenants share `guests` guests; see [`Admission::guest_permit`].
    #[must_use]
    pub fn new(threads: usize, guests: u32) -> Self {
        Self {
            registry: Arc::default(),
            threads: threads.clamp(1, Semaphore::MAX_PERMITS),
            guests: FairSemaphore::new(guests),
            host: Claimant::default(),
            pools: Arc::default(),
        }
    }

    /// Acquires a permit for a call of a tenant; waits up to its `acquire-timeout` while its limit
    /// is reached.
    ///
    /// # Errors
    ///
    /// `busy` if too many calls wait already, or if no other ended in time; `limit-exceeded` if the
    /// tenant may have no calls at all.
    pub async fn admit(&self, tenant: &Tenant) -> Result<Admission, Error> {
        let limits = &tenant.limits;
        if limits.calls == 0 {
            return Err(Limits::calls_refused());
        }
        let state = self.state(&tenant.name);
        let TenantState { calls, calls_claimant, .. } = &*state;
        let permit = match calls.try_acquire(calls_claimant, limits.calls) {
            Some(permit) => permit,
            None => {
                let _queued = QueuedCall::join(&state, limits)?;
                let permit = calls.acquire(calls_claimant, limits.calls);
                let permit = timeout(limits.acquire_timeout, permit).await;
                permit.map_err(|_| limits.calls_exceeded())?
            }
        };
        Ok(Admission { state, _permit: permit })
    }

    /// Acquires a permit to run a guest for the host's own work, for which the host counts as one
    /// tenant.
    ///
    /// # Errors
    ///
    /// As [`Admission::guest_permit`].
    pub async fn guest_permit(&self, limits: &Limits) -> Result<FairPermit, Error> {
        guest_permit(&self.guests, &self.host, limits).await
    }

    /// The number of guests that run, or are about to.
    #[must_use]
    pub fn guests(&self) -> u32 {
        self.guests.held()
    }

    /// The number of tenants with running or waiting calls.
    #[must_use]
    pub fn active(&self) -> usize {
        self.registry.lock().by_name.values().filter(|it| it.state.strong_count() > 0).count()
    }

    /// The numbers of running and of waiting calls.
    #[must_use]
    pub fn calls(&self) -> (usize, usize) {
        let registry = self.registry.lock();
        let states = registry.by_name.values().filter_map(|it| it.state.upgrade());
        states.fold((0, 0), |(running, queued), state| {
            let running = running + state.calls_claimant.held() as usize;
            (running, queued + state.queued_calls.load(Ordering::Relaxed) as usize)
        })
    }

    fn state(&self, tenant: &str) -> Arc<TenantState> {
        let mut registry = self.registry.lock();
        let entry = registry.by_name.get(tenant);
        if let Some(state) = entry.and_then(|it| it.state.upgrade()) {
            return state;
        }
        let pool_shares = entry.map(|it| Arc::clone(&it.pool_shares)).unwrap_or_default();
        let state = Arc::new(TenantState::new(self, Arc::clone(&pool_shares)));
        registry.insert(tenant, TenantEntry { state: Arc::downgrade(&state), pool_shares });
        state
    }
}

impl Admission {
    /// One permit for each thread that the tenant may keep busy at once. A guest holds one while
    /// its code runs, so that a tenant with many calls leaves threads for others.
    #[must_use]
    pub fn threads(&self) -> &Arc<Semaphore> {
        &self.state.threads
    }

    /// Acquires a permit to run a guest. A tenant gets another one only while more are free than it
    /// has; it waits up to its `acquire-timeout`.
    ///
    /// # Errors
    ///
    /// `busy` if there was none in time.
    pub async fn guest_permit(&self, limits: &Limits) -> Result<FairPermit, Error> {
        guest_permit(&self.state.guests, &self.state.guests_claimant, limits).await
    }

    pub(crate) fn tenant_state(&self) -> &Arc<TenantState> {
        &self.state
    }
}

async fn guest_permit(
    guests: &FairSemaphore,
    claimant: &Claimant,
    limits: &Limits,
) -> Result<FairPermit, Error> {
    let permit = timeout(limits.acquire_timeout, guests.acquire(claimant, u32::MAX));
    permit.await.map_err(|_| limits.guests_exceeded(guests.size()))
}

impl TenantState {
    fn new(tenants: &Tenants, pool_shares: Arc<PoolShares>) -> Self {
        Self {
            calls: FairSemaphore::new(u32::MAX),
            calls_claimant: Claimant::default(),
            queued_calls: AtomicU32::new(0),
            threads: Arc::new(Semaphore::new(tenants.threads)),
            guests: tenants.guests.clone(),
            guests_claimant: Claimant::default(),
            compiler_claimant: Claimant::default(),
            pools: Arc::clone(&tenants.pools),
            pool_shares,
        }
    }

    pub(crate) fn compiler_claimant(&self) -> &Claimant {
        &self.compiler_claimant
    }

    /// The state of a call without admission: its own.
    pub(crate) fn alone() -> Self {
        Self::new(&Tenants::default(), Arc::default())
    }
}

impl Pools {
    /// The connections of a pool of up to `max`. A label may later refer to another pool.
    fn get(&self, label: &str, max: u32) -> FairSemaphore {
        let mut pools = self.0.lock();
        match pools.by_name.get(label) {
            Some(connections) if connections.size() == max => connections.clone(),
            _ => {
                let connections = FairSemaphore::new(max);
                pools.insert(label, connections.clone());
                connections
            }
        }
    }
}

impl PoolShares {
    /// The share of a pool. Its label may have referred to another one before.
    fn get(&self, label: &str, pool: &FairSemaphore, size: usize) -> (Claimant, Arc<Semaphore>) {
        let mut shares = self.0.lock();
        let share = match shares.by_name.get_mut(label).filter(|it| it.connections.is(pool)) {
            Some(share) => share,
            None => shares.insert(label, PoolShare::new(pool.clone())),
        };
        share.resize(size);
        (share.claimant.clone(), Arc::clone(&share.workers))
    }
}

impl<T: Entry> Entries<T> {
    fn insert(&mut self, name: &str, entry: T) -> &mut T {
        if self.by_name.len() >= 64.max(2 * self.swept_len) {
            self.by_name.retain(|_, it| it.is_used());
            self.swept_len = self.by_name.len();
        }
        self.by_name.entry(name.to_owned()).insert_entry(entry).into_mut()
    }
}

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self { by_name: HashMap::new(), swept_len: 0 }
    }
}

impl Entry for TenantEntry {
    /// Used by a call, or by a statement that an ended call has left running.
    fn is_used(&self) -> bool {
        self.state.strong_count() > 0
            || self.pool_shares.0.lock().by_name.values().any(Entry::is_used)
    }
}

impl Entry for FairSemaphore {
    /// Used by a share of it.
    fn is_used(&self) -> bool {
        self.is_shared()
    }
}

impl Entry for PoolShare {
    /// Used by a call, or by a running statement. An idle connection may still refer to the
    /// workers.
    fn is_used(&self) -> bool {
        self.claimant.is_shared() || self.workers.available_permits() < self.size
    }
}

impl PoolShare {
    fn new(connections: FairSemaphore) -> Self {
        let workers = Arc::new(Semaphore::new(0));
        Self { connections, claimant: Claimant::default(), workers, size: 0 }
    }

    /// Sets the number of workers; a surplus busy worker is removed later.
    fn resize(&mut self, size: usize) {
        match size.checked_sub(self.size) {
            Some(more) => {
                self.workers.add_permits(more);
                self.size = size;
            }
            None => self.size -= self.workers.forget_permits(self.size - size),
        }
    }
}

/// A call that waits for admission.
struct QueuedCall<'a>(&'a AtomicU32);

impl<'a> QueuedCall<'a> {
    fn join(state: &'a TenantState, limits: &Limits) -> Result<Self, Error> {
        let below = |queued: u32| (queued < limits.queued_calls).then(|| queued + 1);
        match state.queued_calls.fetch_update(Ordering::Relaxed, Ordering::Relaxed, below) {
            Ok(_) => Ok(Self(&state.queued_calls)),
            Err(_) => Err(limits.calls_exceeded()),
        }
    }
}

impl Drop for QueuedCall<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The connections of one pool, for one call.
#[derive(Debug)]
pub(crate) struct Connections {
    pool: FairSemaphore,
    /// The tenant, and how many it may hold.
    claimant: Claimant,
    max: u32,
    workers: Arc<Semaphore>,
    /// The number that this call holds.
    held: Arc<AtomicU32>,
}

/// A permit to use a connection; released on drop.
pub(crate) struct ConnectionPermit {
    held: Arc<AtomicU32>,
    _permit: FairPermit,
}

impl Connections {
    pub(crate) fn new(state: &TenantState, label: &str, size: u32, limits: &Limits) -> Self {
        let pool = state.pools.get(label, size);
        let max = limits.connections.unwrap_or(size).min(pool.max_share());
        let (claimant, workers) = state.pool_shares.get(label, &pool, max as usize);
        Self { pool, claimant, max, workers, held: Arc::default() }
    }

    /// Their workers.
    pub(crate) fn workers(&self) -> &Arc<Semaphore> {
        &self.workers
    }

    /// Acquires a permit for another connection. A call that already holds all that its tenant can
    /// have would wait for itself, and gets an error at once.
    pub(crate) async fn permit(&self, limits: &Limits) -> Result<ConnectionPermit, Error> {
        let Self { pool, claimant, max, .. } = self;
        let permit = match pool.try_acquire(claimant, *max) {
            Some(permit) => permit,
            None if self.held.load(Ordering::Relaxed) >= *max => {
                return Err(limits.connections_exceeded(*max));
            }
            None => {
                let permit = timeout(limits.acquire_timeout, pool.acquire(claimant, *max));
                permit.await.map_err(|_| Wait::Begin.expired(limits))?
            }
        };
        self.held.fetch_add(1, Ordering::Relaxed);
        Ok(ConnectionPermit { held: Arc::clone(&self.held), _permit: permit })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.held.fetch_sub(1, Ordering::Relaxed);
    }
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
        // One waits; the next fails at once.
        let (waited, refused) = tokio::join!(tenants.admit(&acme), async {
            tokio::task::yield_now().await;
            assert_eq!(tenants.calls(), (2, 1));
            tenants.admit(&acme).await
        });
        for error in [waited.unwrap_err(), refused.unwrap_err()] {
            assert_eq!(error.kind, ErrorKind::Busy);
            assert!(error.retryable && error.message.contains("`calls`"), "{error}");
        }
        // Another tenant is not affected, and the permit of an ended call is reused.
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
        // A call's own limits apply to it.
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
            Arc::clone(Connections::new(admission.tenant_state(), "app", 10, &limits).workers())
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
    async fn p4_who_waits_gets_the_permit_that_becomes_free() {
        let tenants = Tenants::default();
        let acme = tenant("acme", 1, 1);
        let one = tenants.admit(&acme).await.unwrap();
        let (next, ()) = tokio::join!(tenants.admit(&acme), async { drop(one) });
        next.unwrap();
    }

    #[tokio::test]
    async fn p4_a_guest_is_waited_for_as_long_as_the_tenant_may() {
        let tenants = Tenants::new(1, 2);
        let acme = tenant("acme", 2, 0);
        let (one, two) = (tenants.admit(&acme).await.unwrap(), tenants.admit(&acme).await.unwrap());
        let _permit = one.guest_permit(&acme.limits).await.unwrap();
        let error = two.guest_permit(&acme.limits).await.unwrap_err();
        assert_eq!((error.kind, error.retryable), (ErrorKind::Busy, true), "{error}");
        assert!(error.message.contains("of the 2 instances"), "{error}");
    }

    #[tokio::test]
    async fn p4_what_the_host_does_itself_leaves_guests_to_tenants() {
        let tenants = Tenants::new(1, 4);
        let limits = tenant("acme", 1, 0).limits;
        let permit = async || tenants.guest_permit(&limits).await;
        let held = [permit().await.unwrap(), permit().await.unwrap()];
        assert_eq!(permit().await.unwrap_err().kind, ErrorKind::Busy);
        let admission = tenants.admit(&tenant("acme", 1, 0)).await.unwrap();
        admission.guest_permit(&limits).await.unwrap();
        drop(held);
        permit().await.unwrap();
    }

    #[tokio::test]
    async fn tenants_without_calls_are_forgotten() {
        let tenants = Tenants::default();
        for number in 0..10_000 {
            tenants.admit(&tenant(&number.to_string(), 1, 1)).await.unwrap();
        }
        assert_eq!(tenants.active(), 0);
        assert!(
            tenants.registry.lock().by_name.len() <= 64,
            "{}",
            tenants.registry.lock().by_name.len()
        );
    }

    /// For example, if each tenant has a file that is connected for its calls.
    #[tokio::test]
    async fn labels_that_nobody_uses_are_forgotten_and_those_in_use_are_not() {
        let (tenants, limits) = (Tenants::default(), Limits::default());
        let acme = tenants.admit(&tenant("acme", 1, 1)).await.unwrap();
        let connections = |admission: &Admission, label: &str| {
            Connections::new(admission.tenant_state(), label, 4, &limits)
        };
        let in_use = connections(&acme, "in use");
        let permit = connections(&acme, "held").permit(&limits).await.unwrap();
        let at_work = Arc::clone(connections(&acme, "at work").workers());
        let at_work = at_work.acquire_owned().await.unwrap();
        for number in 0..1_000 {
            let label = number.to_string();
            let other = tenants.admit(&tenant(&label, 1, 1)).await.unwrap();
            drop((connections(&acme, &label), connections(&other, &label)));
        }
        let known = |labels: usize| assert!(labels <= 256, "{labels}");
        known(tenants.pools.0.lock().by_name.len());
        known(acme.tenant_state().pool_shares.0.lock().by_name.len());
        // Two calls of the tenant share its state, whatever happened in between.
        assert!(Arc::ptr_eq(in_use.workers(), connections(&acme, "in use").workers()));
        assert_eq!(connections(&acme, "held").claimant.held(), 1);
        assert_eq!(connections(&acme, "at work").workers().available_permits(), 1);
        drop((permit, at_work));
    }
}
