//! Places that tenants share: those of a pool, of a host's instances and compilers, of a tenant's own
//! calls.
//!
//! A tenant gets another place only while more are free than it has. So one that is alone gets half of
//! them, the next one half of the rest, and the last place is for a tenant that has none: whatever `k`
//! tenants do, of `2^k` places one is free. A place that comes back is for the first in line who may
//! have it, so that tenants who have many wait, and not those who have none.

use std::collections::BTreeMap;
use std::mem::forget;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Some places. A holder gets another one only while more are free than it has. Clones are the same.
#[derive(Debug, Clone)]
pub struct Places {
    count: u32,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    free: u32,
    /// In the order in which they came. None of them may have what is free.
    waiting: BTreeMap<u64, Waiting>,
    /// The number of the next one.
    next: u64,
}

#[derive(Debug)]
struct Waiting {
    holder: Holder,
    most: u32,
    given: oneshot::Sender<()>,
}

/// How many of some places somebody has. It changes with these only, under their lock.
#[derive(Debug, Clone, Default)]
pub struct Holder(Arc<AtomicU32>);

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

/// A number in the line. Who is not in the line any more has the place: it needs no other sign, and
/// one that goes leaves nothing behind.
struct Turn<'a> {
    places: &'a Places,
    holder: &'a Holder,
    number: u64,
}

impl Places {
    /// So many, all of them free.
    #[must_use]
    pub fn new(count: u32) -> Self {
        let state = State { free: count, waiting: BTreeMap::new(), next: 0 };
        Self { count, state: Arc::new(Mutex::new(state)) }
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// How many are taken.
    #[must_use]
    pub fn taken(&self) -> u32 {
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
        let given = self.lock().give(holder, most);
        given.then(|| self.place(holder))
    }

    /// One more place, as soon as it is free for a holder who may have so many.
    pub async fn take(&self, holder: &Holder, most: u32) -> Place {
        let (given, place) = oneshot::channel();
        let turn = {
            let mut state = self.lock();
            if state.give(holder, most) {
                return self.place(holder);
            }
            let number = state.next;
            state.next += 1;
            state.waiting.insert(number, Waiting { holder: holder.clone(), most, given });
            Turn { places: self, holder, number }
        };
        // Whoever takes it out of the line says so.
        drop(place.await);
        forget(turn);
        self.place(holder)
    }

    /// A place that was given to a holder.
    fn place(&self, holder: &Holder) -> Place {
        Place { places: self.clone(), holder: holder.clone() }
    }

    /// Takes a place back, and gives away what others may have now.
    fn take_back(&self, holder: &Holder) {
        let mut given = Vec::new();
        let mut state = self.lock();
        state.free += 1;
        holder.0.fetch_sub(1, Ordering::Relaxed);
        // Who may not have one now may not when fewer are free.
        let mut from = 0;
        while let Some(number) = state.first(from)
            && let Some(waiting) = state.waiting.remove(&number)
        {
            state.give(&waiting.holder, waiting.most);
            given.push(waiting.given);
            from = number;
        }
        drop(state);
        for waiting in given {
            // Wakes it, so not under the lock.
            let _ = waiting.send(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change under the lock is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_for(&self, holder: &Holder, most: u32) -> bool {
        holder.held() < most.min(self.free)
    }

    /// Counts one more place of a holder who may have so many.
    fn give(&mut self, holder: &Holder, most: u32) -> bool {
        let given = self.has_for(holder, most);
        if given {
            self.free -= 1;
            holder.0.fetch_add(1, Ordering::Relaxed);
        }
        given
    }

    /// The first in line, from a number on, who may have a place.
    fn first(&self, from: u64) -> Option<u64> {
        if self.free == 0 {
            return None;
        }
        let mut waiting = self.waiting.range(from..);
        waiting.find(|(_, it)| self.has_for(&it.holder, it.most)).map(|(number, _)| *number)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.take_back(&self.holder);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let waiting = self.places.lock().waiting.remove(&self.number);
        if waiting.is_none() {
            self.places.take_back(self.holder);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::{Context, Waker};

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
        assert!(places.lock().waiting.is_empty());
    }

    /// Whatever is done for each of them, it is done in turn.
    #[test]
    fn p4_any_number_may_stop_waiting_before_and_after_it_was_their_turn() {
        const COUNT: usize = 100_000;
        let test = || {
            let places = Places::new(1);
            let holder = Holder::default();
            let mut context = Context::from_waker(Waker::noop());
            for given_first in [false, true] {
                let mut place = places.try_take(&holder, u32::MAX);
                let mut waiting: VecDeque<_> =
                    (0..COUNT).map(|_| Box::pin(places.take(&holder, u32::MAX))).collect();
                for it in &mut waiting {
                    assert!(it.as_mut().poll(&mut context).is_pending());
                }
                if given_first {
                    place = None;
                    assert_eq!(places.lock().free, 0);
                }
                // From the front, each gives it to the next.
                while waiting.pop_front().is_some() {}
                drop(place);
                let state = places.lock();
                assert_eq!((state.free, state.waiting.len(), holder.held()), (1, 0, 0));
            }
        };
        let thread = std::thread::Builder::new().stack_size(256 * 1024);
        thread.spawn(test).unwrap().join().unwrap();
    }
}
