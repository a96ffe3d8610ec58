//! Turns: how guests share the threads of the runtime.
//!
//! A guest that computes would occupy a thread, and the guests of one tenant all of them. So a
//! guest runs only while it has a turn, of which its tenant has a few, and releases the turn
//! whenever it waits or the epoch interrupts it. A guest that has already computed for long needs a
//! second turn, of which there is one less than there are threads: the last thread is for quick
//! guests.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// How long a guest may keep threads busy before it counts as slow: two ticks of the epoch.
const QUICK: Duration = Duration::from_millis(10);

/// The turns of one guest, and the thread time that it has used.
pub(crate) struct CpuTurns {
    /// The turns of its tenant.
    tenant: Arc<Semaphore>,
    /// The turns of all slow guests.
    slow: Arc<Semaphore>,
    busy: AtomicU64,
}

/// A turn: the permit of the tenant and, for a slow guest, that of slow guests.
type Turn = (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>);
/// The wait of a guest for its turn.
type Waiting = Pin<Box<dyn Future<Output = Option<Turn>> + Send>>;

impl CpuTurns {
    pub(crate) fn new(tenant: Arc<Semaphore>, slow: Arc<Semaphore>) -> Self {
        Self { tenant, slow, busy: AtomicU64::new(0) }
    }

    /// How long the guest has kept threads busy, including in host code.
    pub(crate) fn busy(&self) -> Duration {
        Duration::from_nanos(self.busy.load(Ordering::Relaxed))
    }

    /// Runs a call of the guest in turns.
    pub(crate) async fn run<T>(&self, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        let mut waiting: Option<Waiting> = None;
        poll_fn(|context| {
            if let Some(next) = &mut waiting {
                let Poll::Ready(turn) = next.as_mut().poll(context) else { return Poll::Pending };
                waiting = None;
                let polled = self.poll(call.as_mut(), context);
                drop(turn);
                return polled;
            }
            if let Some(turn) = self.at_once() {
                let polled = self.poll(call.as_mut(), context);
                drop(turn);
                return polled;
            }
            let mut next: Waiting = Box::pin(wait(
                Arc::clone(&self.tenant),
                self.is_slow().then(|| Arc::clone(&self.slow)),
            ));
            // The first poll registers the waker; it may already be our turn.
            match next.as_mut().poll(context) {
                Poll::Ready(turn) => {
                    let polled = self.poll(call.as_mut(), context);
                    drop(turn);
                    polled
                }
                Poll::Pending => {
                    waiting = Some(next);
                    Poll::Pending
                }
            }
        })
        .await
    }

    fn at_once(&self) -> Option<(SemaphorePermit<'_>, Option<SemaphorePermit<'_>>)> {
        let permit = self.tenant.try_acquire().ok()?;
        match self.is_slow() {
            true => Some((permit, Some(self.slow.try_acquire().ok()?))),
            false => Some((permit, None)),
        }
    }

    fn is_slow(&self) -> bool {
        self.busy() >= QUICK
    }

    fn poll<T>(
        &self,
        call: Pin<&mut impl Future<Output = T>>,
        context: &mut Context<'_>,
    ) -> Poll<T> {
        let started = Instant::now();
        let polled = call.poll(context);
        let nanoseconds = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.busy.fetch_add(nanoseconds, Ordering::Relaxed);
        polled
    }
}

/// Acquires the tenant's permit first, which limits how many of its guests wait with the slow ones.
async fn wait(tenant: Arc<Semaphore>, slow: Option<Arc<Semaphore>>) -> Option<Turn> {
    let permit = tenant.acquire_owned().await.ok()?;
    match slow {
        None => Some((permit, None)),
        Some(slow) => Some((permit, Some(slow.acquire_owned().await.ok()?))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn permits(count: usize) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(count))
    }

    /// Keeps a thread busy and yields, several times; records how many did so at once.
    async fn work(inside: &AtomicUsize, most: &AtomicUsize, times: usize) {
        for _ in 0..times {
            let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(3));
            inside.fetch_sub(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn p4_guests_of_a_tenant_keep_no_more_threads_busy_than_it_has() {
        let (tenant, slow) = (permits(2), permits(4));
        let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let guests = (0..8).map(|_| {
            let turns = CpuTurns::new(Arc::clone(&tenant), Arc::clone(&slow));
            let (inside, most) = (Arc::clone(&inside), Arc::clone(&most));
            tokio::spawn(async move {
                turns.run(work(&inside, &most, 10)).await;
                turns.busy()
            })
        });
        for guest in guests.collect::<Vec<_>>() {
            assert!(guest.await.unwrap() >= Duration::from_millis(30));
        }
        assert!((1..=2).contains(&most.load(Ordering::SeqCst)), "{most:?}");
        assert_eq!((tenant.available_permits(), slow.available_permits()), (2, 4));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn p4_slow_guests_of_all_tenants_leave_a_thread_to_quick_ones() {
        let slow = permits(1);
        let guests = (0..4).map(|_| {
            let turns = CpuTurns::new(permits(1), Arc::clone(&slow));
            tokio::spawn(async move {
                let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
                turns.run(work(&inside, &most, 20)).await;
            })
        });
        let guests: Vec<_> = guests.collect();
        tokio::time::sleep(Duration::from_millis(30)).await;
        let quick = CpuTurns::new(permits(1), Arc::clone(&slow));
        quick.run(async {}).await;
        assert!(guests.iter().any(|it| !it.is_finished()), "they were not slow");
        for guest in guests {
            guest.await.unwrap();
        }
        assert_eq!(slow.available_permits(), 1);
    }

    #[tokio::test]
    async fn a_guest_that_is_dropped_while_it_waits_takes_no_turn() {
        let (tenant, slow) = (permits(1), permits(1));
        let held = Arc::clone(&tenant).try_acquire_owned().unwrap();
        let turns = CpuTurns::new(Arc::clone(&tenant), slow);
        let late = tokio::time::timeout(Duration::from_millis(20), turns.run(async {})).await;
        assert!(late.is_err());
        drop(held);
        turns.run(async {}).await;
        assert_eq!(tenant.available_permits(), 1);
    }
}
