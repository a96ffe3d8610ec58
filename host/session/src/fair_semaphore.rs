//! A semaphore whose permits tenants share fairly: for the connections of a pool, a host's guests
//! and compilers, and a tenant's own calls.
//!
//! A tenant gets another permit only while more are free than it has. So a single tenant gets half
//! of them, the next one half of the rest, and the last permit is for a tenant that has none:
//! whatever `k` tenants do, one of `2^k` permits stays free. A released permit goes to the first
//! claimant in the queue that may have it, so that tenants with many permits wait rather than those
//! with none.

use std::collections::BTreeMap;
use std::mem::forget;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// A semaphore. A claimant gets another permit only while more are free than it has. Clones share
/// the permits.
#[derive(Debug, Clone)]
pub struct FairSemaphore {
    size: u32,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    free: u32,
    /// In the order of arrival. None of them may have the free permits.
    queue: BTreeMap<u64, Waiter>,
    /// The number of the next waiter.
    next: u64,
}

#[derive(Debug)]
struct Waiter {
    claimant: Claimant,
    max: u32,
    granted: oneshot::Sender<()>,
}

/// A party that shares permits with others, and how many it holds. The number changes only under
/// the lock of the semaphore.
#[derive(Debug, Clone, Default)]
pub struct Claimant(Arc<AtomicU32>);

impl Claimant {
    pub(crate) fn held(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether there are clones, or permits that it holds or waits for.
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

/// A permit; released on drop.
#[derive(Debug)]
pub struct FairPermit {
    semaphore: FairSemaphore,
    claimant: Claimant,
}

/// A place in the queue. A waiter that is no longer in the queue has a permit: no other signal is
/// needed, and a waiter that leaves cleans up.
struct Ticket<'a> {
    semaphore: &'a FairSemaphore,
    claimant: &'a Claimant,
    number: u64,
}

impl FairSemaphore {
    /// Creates a semaphore with this many permits, all free.
    #[must_use]
    pub fn new(size: u32) -> Self {
        let state = State { free: size, queue: BTreeMap::new(), next: 0 };
        Self { size, state: Arc::new(Mutex::new(state)) }
    }

    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    /// The number of held permits.
    #[must_use]
    pub fn held(&self) -> u32 {
        self.size - self.state.lock().free
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }

    /// Whether there are clones, or permits that are held.
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.state) > 1
    }

    /// The maximum number of permits that one claimant can hold.
    pub(crate) fn max_share(&self) -> u32 {
        self.size.div_ceil(2)
    }

    /// Acquires a permit for a claimant that may hold up to `max`, if one is free for it.
    pub(crate) fn try_acquire(&self, claimant: &Claimant, max: u32) -> Option<FairPermit> {
        let granted = self.state.lock().grant(claimant, max);
        granted.then(|| self.permit(claimant))
    }

    /// Waits for a permit for a claimant that may hold up to `max`.
    pub async fn acquire(&self, claimant: &Claimant, max: u32) -> FairPermit {
        let (granted, permit) = oneshot::channel();
        let ticket = {
            let mut state = self.state.lock();
            if state.grant(claimant, max) {
                return self.permit(claimant);
            }
            let number = state.next;
            state.next += 1;
            state.queue.insert(number, Waiter { claimant: claimant.clone(), max, granted });
            Ticket { semaphore: self, claimant, number }
        };
        // Whoever removes it from the queue notifies it.
        drop(permit.await);
        forget(ticket);
        self.permit(claimant)
    }

    /// The permit that was granted to a claimant.
    fn permit(&self, claimant: &Claimant) -> FairPermit {
        FairPermit { semaphore: self.clone(), claimant: claimant.clone() }
    }

    /// Releases a permit, and grants those that others may have now.
    fn release(&self, claimant: &Claimant) {
        let mut granted = Vec::new();
        let mut state = self.state.lock();
        state.free += 1;
        claimant.0.fetch_sub(1, Ordering::Relaxed);
        // A claimant that may not have one now may not when fewer are free.
        let mut from = 0;
        while let Some(number) = state.first(from)
            && let Some(waiter) = state.queue.remove(&number)
        {
            state.grant(&waiter.claimant, waiter.max);
            granted.push(waiter.granted);
            from = number;
        }
        drop(state);
        for waiter in granted {
            // This wakes it, so not under the lock.
            let _ = waiter.send(());
        }
    }
}

impl State {
    fn has_for(&self, claimant: &Claimant, max: u32) -> bool {
        claimant.held() < max.min(self.free)
    }

    /// Counts one more permit of a claimant that may hold up to `max`.
    fn grant(&mut self, claimant: &Claimant, max: u32) -> bool {
        let granted = self.has_for(claimant, max);
        if granted {
            self.free -= 1;
            claimant.0.fetch_add(1, Ordering::Relaxed);
        }
        granted
    }

    /// The first waiter in the queue, starting at a number, that may have a permit.
    fn first(&self, from: u64) -> Option<u64> {
        if self.free == 0 {
            return None;
        }
        let mut queue = self.queue.range(from..);
        queue.find(|(_, it)| self.has_for(&it.claimant, it.max)).map(|(number, _)| *number)
    }
}

impl Drop for FairPermit {
    fn drop(&mut self) {
        self.semaphore.release(&self.claimant);
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let waiter = self.semaphore.state.lock().queue.remove(&self.number);
        if waiter.is_none() {
            self.semaphore.release(self.claimant);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::{Context, Waker};

    use tokio::time::{Duration, timeout};

    use super::*;

    /// All permits that it gets at once.
    fn fill(semaphore: &FairSemaphore, claimant: &Claimant) -> Vec<FairPermit> {
        std::iter::from_fn(|| semaphore.try_acquire(claimant, u32::MAX)).collect()
    }

    #[test]
    fn p4_who_is_alone_gets_half_and_the_next_half_of_the_rest() {
        let semaphore = FairSemaphore::new(10);
        let claimants: [Claimant; 5] = Default::default();
        let filled: Vec<_> = claimants.iter().map(|it| fill(&semaphore, it)).collect();
        assert_eq!(filled.iter().map(Vec::len).collect::<Vec<_>>(), [5, 3, 1, 1, 0]);
        assert_eq!(semaphore.max_share(), 5);
    }

    #[test]
    fn p4_of_two_to_the_power_of_k_permits_k_tenants_leave_one_whatever_they_do() {
        for tenants in 1..=4_usize {
            let semaphore = FairSemaphore::new(1 << tenants);
            let claimants: Vec<_> = (0..tenants).map(|_| Claimant::default()).collect();
            let mut held: Vec<Vec<FairPermit>> = claimants.iter().map(|_| Vec::new()).collect();
            let mut random = 88_172_645_463_325_252_u64;
            for _ in 0..20_000 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let tenant = usize::try_from(random >> 33).unwrap() % tenants;
                match random % 3 {
                    0 => drop(held[tenant].pop()),
                    _ => held[tenant].extend(semaphore.try_acquire(&claimants[tenant], u32::MAX)),
                }
                assert!(semaphore.state.lock().free > 0, "{held:?}");
            }
        }
    }

    #[tokio::test]
    async fn p4_a_permit_that_is_released_is_for_those_who_have_none() {
        let semaphore = FairSemaphore::new(2);
        let [greedy, other, third]: [Claimant; 3] = Default::default();
        let one = semaphore.try_acquire(&greedy, u32::MAX).unwrap();
        let two = semaphore.try_acquire(&other, u32::MAX).unwrap();
        let more = semaphore.acquire(&greedy, u32::MAX);
        let first = semaphore.acquire(&third, u32::MAX);
        let (more, first, ()) = tokio::join!(
            timeout(Duration::from_millis(50), more),
            timeout(Duration::from_millis(50), first),
            async { drop(two) }
        );
        assert!(more.is_err(), "it has the last one");
        drop((one, first.unwrap()));
        // Nobody waits any more, and no permit is lost.
        assert_eq!(semaphore.state.lock().free, 2);
    }

    #[tokio::test]
    async fn who_stops_waiting_is_forgotten() {
        let semaphore = FairSemaphore::new(1);
        let claimant = Claimant::default();
        let _permit = semaphore.try_acquire(&claimant, u32::MAX).unwrap();
        for _ in 0..100 {
            let wait = timeout(Duration::ZERO, semaphore.acquire(&claimant, u32::MAX));
            assert!(wait.await.is_err());
        }
        assert!(semaphore.state.lock().queue.is_empty());
    }

    /// Whatever is done for each of them, it is done in turn.
    #[test]
    fn p4_any_number_may_stop_waiting_before_and_after_it_was_their_turn() {
        const COUNT: usize = 100_000;
        let test = || {
            let semaphore = FairSemaphore::new(1);
            let claimant = Claimant::default();
            let mut context = Context::from_waker(Waker::noop());
            for granted_first in [false, true] {
                let mut permit = semaphore.try_acquire(&claimant, u32::MAX);
                let mut waiting: VecDeque<_> =
                    (0..COUNT).map(|_| Box::pin(semaphore.acquire(&claimant, u32::MAX))).collect();
                for it in &mut waiting {
                    assert!(it.as_mut().poll(&mut context).is_pending());
                }
                if granted_first {
                    permit = None;
                    assert_eq!(semaphore.state.lock().free, 0);
                }
                // From the front: each passes the permit on to the next.
                while waiting.pop_front().is_some() {}
                drop(permit);
                let state = semaphore.state.lock();
                assert_eq!((state.free, state.queue.len(), claimant.held()), (1, 0, 0));
            }
        };
        let thread = std::thread::Builder::new().stack_size(256 * 1024);
        thread.spawn(test).unwrap().join().unwrap();
    }
}
