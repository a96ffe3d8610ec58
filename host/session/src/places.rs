//! Places that tenants share: those of a pool, of a host's instances, of a tenant's own calls.
//!
//! A tenant gets another place only while more are free than it has. So one that is alone gets half of
//! them, the next one half of the rest, and the last place is for a tenant that has none: whatever `k`
//! tenants do, of `2^k` places one is free. A place that comes back is for the first in line who may
//! have it, so that tenants who have many wait, and not those who have none.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Some places. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    count: u32,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    free: u32,
    /// In the order in which they came. None of them may have what is free.
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    holder: Holder,
    most: u32,
    given: oneshot::Sender<Place>,
}

/// How many of some places somebody has. It changes with these only, under their lock.
#[derive(Debug, Clone, Default)]
pub(crate) struct Holder(Arc<AtomicU32>);

impl Holder {
    pub(crate) fn held(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A place; given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    holder: Holder,
}

impl Places {
    pub(crate) fn new(count: u32) -> Self {
        Self { count, state: Arc::new(Mutex::new(State { free: count, waiting: VecDeque::new() })) }
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn taken(&self) -> u32 {
        self.count - self.lock().free
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }

    /// The most that one holder can have.
    pub(crate) fn share(&self) -> u32 {
        self.count.div_ceil(2)
    }

    /// One more place, if it is free for a holder who may have so many.
    pub(crate) fn try_take(&self, holder: &Holder, most: u32) -> Option<Place> {
        self.give(&mut self.lock(), holder, most)
    }

    /// One more place, as soon as it is free for a holder who may have so many.
    pub(crate) async fn take(&self, holder: &Holder, most: u32) -> Place {
        let place = {
            let mut state = self.lock();
            if let Some(place) = self.give(&mut state, holder, most) {
                return place;
            }
            // Those who are passed over would pile up else, where they have stopped waiting.
            state.waiting.retain(|it| !it.given.is_closed());
            let (given, place) = oneshot::channel();
            state.waiting.push_back(Waiting { holder: holder.clone(), most, given });
            place
        };
        match place.await {
            Ok(place) => place,
            // These places are there, and with them whoever gives them.
            Err(_) => pending().await,
        }
    }

    fn give(&self, state: &mut State, holder: &Holder, most: u32) -> Option<Place> {
        let held = holder.held();
        if held >= most.min(state.free) {
            return None;
        }
        state.free -= 1;
        holder.0.store(held + 1, Ordering::Relaxed);
        Some(Place { places: self.clone(), holder: holder.clone() })
    }

    /// Takes a place back, and gives away what others may have now.
    fn take_back(&self, holder: &Holder) {
        let mut given = Vec::new();
        let mut state = self.lock();
        state.free += 1;
        holder.0.fetch_sub(1, Ordering::Relaxed);
        let mut next = 0;
        while state.free > 0
            && let Some(Waiting { holder, most, .. }) = state.waiting.get(next)
        {
            let (holder, most) = (holder.clone(), *most);
            match self.give(&mut state, &holder, most) {
                Some(place) => given.extend(state.waiting.remove(next).map(|it| (it.given, place))),
                None => next += 1,
            }
        }
        drop(state);
        for (waiting, place) in given {
            // Whoever has stopped waiting gives it back at once, so not under the lock.
            drop(waiting.send(place));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change under the lock is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.take_back(&self.holder);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Duration, timeout};

    use super::*;

    /// All that it gets at once.
    fn fill(places: &Places, holder: &Holder) -> Vec<Place> {
        std::iter::from_fn(|| places.try_take(holder, u32::MAX)).collect()
    }

    #[test]
    fn p4_who_is_alone_gets_half_and_the_next_half_of_the_rest() {
        let places = Places::new(10);
        let holders: [Holder; 5] = Default::default();
        let filled: Vec<_> = holders.iter().map(|it| fill(&places, it)).collect();
        assert_eq!(filled.iter().map(Vec::len).collect::<Vec<_>>(), [5, 3, 1, 1, 0]);
        assert_eq!(places.share(), 5);
    }

    #[test]
    fn p4_of_two_to_the_power_of_k_places_k_tenants_leave_one_whatever_they_do() {
        for tenants in 1..=4_usize {
            let places = Places::new(1 << tenants);
            let holders: Vec<_> = (0..tenants).map(|_| Holder::default()).collect();
            let mut held: Vec<Vec<Place>> = holders.iter().map(|_| Vec::new()).collect();
            let mut random = 88_172_645_463_325_252_u64;
            for _ in 0..20_000 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let tenant = usize::try_from(random >> 33).unwrap() % tenants;
                match random % 3 {
                    0 => drop(held[tenant].pop()),
                    _ => held[tenant].extend(places.try_take(&holders[tenant], u32::MAX)),
                }
                assert!(places.lock().free > 0, "{held:?}");
            }
        }
    }

    #[tokio::test]
    async fn p4_a_place_that_comes_back_is_for_those_who_have_none() {
        let places = Places::new(2);
        let [greedy, other, third]: [Holder; 3] = Default::default();
        let one = places.try_take(&greedy, u32::MAX).unwrap();
        let two = places.try_take(&other, u32::MAX).unwrap();
        let more = places.take(&greedy, u32::MAX);
        let first = places.take(&third, u32::MAX);
        let (more, first, ()) = tokio::join!(
            timeout(Duration::from_millis(50), more),
            timeout(Duration::from_millis(50), first),
            async { drop(two) }
        );
        assert!(more.is_err(), "it has the last one");
        drop((one, first.unwrap()));
        // Nobody waits any more, and nothing is lost.
        assert_eq!(places.lock().free, 2);
    }

    #[tokio::test]
    async fn who_stops_waiting_is_forgotten() {
        let places = Places::new(1);
        let holder = Holder::default();
        let _place = places.try_take(&holder, u32::MAX).unwrap();
        for _ in 0..100 {
            let wait = timeout(Duration::ZERO, places.take(&holder, u32::MAX));
            assert!(wait.await.is_err());
        }
        assert!(places.lock().waiting.len() <= 1);
    }
}
