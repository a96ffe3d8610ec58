//! Deadlines for what callers hold, such as transactions and cursors that write. A caller that did
//! nothing with a transaction, or with the rows of a write, could otherwise block other writers for
//! as long as it likes.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Something that can be ended from outside.
pub(crate) trait Expire: Send + Sync {
    /// Called when its time is over.
    fn expire(&self);
}

/// The deadlines of a pool. A single task watches them, and only while there are any: most
/// operations end long before their deadline, and only cost an entry here.
pub(crate) struct Deadlines {
    queue: Mutex<Queue>,
    /// Wakes the task when a new deadline is earlier than all others.
    earlier: Notify,
    runtime: Handle,
}

#[derive(Default)]
struct Queue {
    waiting: BTreeMap<Key, Weak<dyn Expire>>,
    /// The number of the next deadline.
    next: u64,
    /// When the task wakes up; `None` if there is no task.
    wakes: Option<Instant>,
}

/// The number distinguishes deadlines at the same time.
type Key = (Instant, u64);

/// A deadline, which is removed when this is dropped.
pub(crate) struct Deadline {
    deadlines: Arc<Deadlines>,
    key: Key,
}

impl Deadlines {
    pub(crate) fn new(runtime: Handle) -> Self {
        Self { queue: Mutex::default(), earlier: Notify::new(), runtime }
    }

    /// Ends something at this time, if it still exists then.
    pub(crate) fn add(self: &Arc<Self>, end: Instant, what: Weak<dyn Expire>) -> Deadline {
        let mut queue = self.queue.lock();
        let key = (end, queue.next);
        queue.next += 1;
        queue.waiting.insert(key, what);
        let wakes = queue.wakes.filter(|wakes| *wakes <= end);
        let before = queue.wakes.replace(wakes.unwrap_or(end));
        drop(queue);
        match before {
            None => drop(self.runtime.spawn(Arc::clone(self).look_after())),
            Some(_) if wakes.is_none() => self.earlier.notify_one(),
            Some(_) => {}
        }
        Deadline { deadlines: Arc::clone(self), key }
    }

    async fn look_after(self: Arc<Self>) {
        while let Some(next) = self.expire() {
            let _ = timeout_at(next, self.earlier.notified()).await;
        }
    }

    /// Ends everything whose time is over; returns when to wake up next, if anything is left.
    fn expire(&self) -> Option<Instant> {
        let mut queue = self.queue.lock();
        let later = queue.waiting.split_off(&(Instant::now(), u64::MAX));
        let late = std::mem::replace(&mut queue.waiting, later);
        queue.wakes = queue.waiting.keys().next().map(|(end, _)| *end);
        let wakes = queue.wakes;
        // Dropping what has ended removes its deadline, which takes the lock.
        drop(queue);
        for it in late.into_values().filter_map(|it| it.upgrade()) {
            // A panic in one of them must not affect the deadlines of the others.
            if catch_unwind(AssertUnwindSafe(|| it.expire())).is_err() {
                tracing::error!("ending an operation at its deadline panicked");
            }
        }
        wakes
    }
}

impl Deadline {
    pub(crate) fn end(&self) -> Instant {
        self.key.0
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.deadlines.queue.lock().waiting.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;

    #[derive(Default)]
    struct Ended(AtomicU32);

    impl Expire for Ended {
        fn expire(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn eventually(holds: impl Fn() -> bool) {
        for _ in 0..1_000 {
            if holds() {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("it does not come to that");
    }

    #[tokio::test]
    async fn what_is_there_at_its_time_ends_and_a_task_is_there_only_for_that() {
        let deadlines = Arc::new(Deadlines::new(Handle::current()));
        let tasks = || Handle::current().metrics().num_alive_tasks();
        let ends: [Arc<Ended>; 3] = Default::default();
        let ended = || ends.each_ref().map(|it| it.0.load(Ordering::Relaxed));
        let add = |index: usize, time| {
            let what = Arc::downgrade(&ends[index]);
            deadlines.add(Instant::now() + time, what)
        };
        let (soon, late) = (Duration::from_millis(20), Duration::from_secs(3600));
        // The second deadline is earlier than the one that the task waits for.
        let (last, _first, taken_back) = (add(0, late), add(1, soon), add(2, soon));
        drop(taken_back);
        assert_eq!(tasks(), 1);
        eventually(|| ended() == [0, 1, 0]).await;
        assert_eq!(deadlines.queue.lock().waiting.len(), 1);

        // Deadlines are removed when something ends in time; after the last one, the task ends.
        drop((last, add(0, soon)));
        assert!(deadlines.queue.lock().waiting.is_empty());
        eventually(|| tasks() == 0).await;
        assert_eq!(ended(), [0, 1, 0]);
        let _another = add(2, soon);
        eventually(|| ended() == [0, 1, 1] && tasks() == 0).await;
    }

    struct Panicking;

    impl Expire for Panicking {
        fn expire(&self) {
            panic!("it cannot be ended");
        }
    }

    #[tokio::test]
    async fn one_that_panics_leaves_the_others_their_ends() {
        let deadlines = Arc::new(Deadlines::new(Handle::current()));
        let (soon, ended) = (Duration::from_millis(20), Arc::new(Ended::default()));
        let what: Arc<dyn Expire> = Arc::new(Panicking);
        let _first = deadlines.add(Instant::now() + soon, Arc::downgrade(&what));
        let _second = deadlines.add(Instant::now() + 2 * soon, Arc::downgrade(&ended) as _);
        eventually(|| ended.0.load(Ordering::Relaxed) == 1).await;
    }
}
