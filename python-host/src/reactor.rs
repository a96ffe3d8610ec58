//! Drives the operations that event loops wait for.
//!
//! If a thread of tokio watched the sockets, each answer of a server would wake that thread, and
//! then the event loop's: two wake-ups take longer than many statements. So the sockets belong to a
//! runtime without a thread. Event loops watch its epoll like a socket of their own. When that is
//! readable, a loop takes a turn: it finds out which sockets are ready, and polls the operations
//! that were woken, those of other loops included. While no loop takes turns, because all are busy
//! or closed, a thread stands in for them.

use std::fs;
use std::future::poll_fn;
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::fs::MetadataExt as _;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use futures_util::future::{AbortHandle, FutureExt as _, abortable};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use parking_lot::Mutex;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::yield_now;

use crate::bridge::runtime;

/// The thread stands in if no event loop has taken a turn for this long.
const PATIENCE: Duration = Duration::from_millis(10);
/// A turn that takes longer leaves the remaining operations to the next one.
const LONGEST_TURN: Duration = Duration::from_millis(1);

type Operation = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Sockets and operations. Tasks and timers belong to the runtime with threads.
pub(crate) struct Reactor {
    sockets: Runtime,
    /// Readable if a socket is ready or an operation was woken. None if the system does not show it.
    epoll: Option<RawFd>,
    /// Locked by the thread that drives.
    operations: Mutex<FuturesUnordered<Operation>>,
    /// Operations that the driving thread has not seen yet.
    added: Mutex<Vec<Operation>>,
    alarm: Arc<Alarm>,
    /// How many turns event loops have taken.
    turns: AtomicU64,
    /// How many threads wait for operations of their own, without an event loop.
    blocked: AtomicU64,
    /// An event loop wants to take turns again.
    claimed: AtomicBool,
    thread: Thread,
}

/// Woken together with each operation.
struct Alarm {
    woken: AtomicBool,
    /// A thread polls operations, and checks `woken` once more when it is done.
    polling: AtomicBool,
    sockets: Waker,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        if !self.polling.load(Ordering::SeqCst) {
            self.sockets.wake_by_ref();
        }
    }
}

/// Made by the first use, so that a process may fork before.
pub(crate) fn reactor() -> &'static Reactor {
    static REACTOR: LazyLock<Reactor> = LazyLock::new(Reactor::new);
    &REACTOR
}

impl Reactor {
    fn new() -> Self {
        let sockets = Builder::new_current_thread().enable_all().thread_name("ferro").build();
        let sockets = sockets.expect("no descriptors to watch sockets with");
        let epoll = epoll_of(&sockets);
        let waker = sockets.block_on(poll_fn(|context| Poll::Ready(context.waker().clone())));
        let thread = thread::Builder::new().name("ferro sockets".into());
        let thread =
            thread.spawn(|| reactor().stand_in()).expect("no thread to watch sockets with");
        ferro_driver::watch_sockets(sockets.handle().clone());
        Self {
            sockets,
            epoll,
            operations: Mutex::default(),
            added: Mutex::default(),
            alarm: Arc::new(Alarm {
                woken: AtomicBool::new(false),
                polling: AtomicBool::new(false),
                sockets: waker,
            }),
            turns: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
            claimed: AtomicBool::new(false),
            thread: thread.thread().clone(),
        }
    }

    /// What an event loop has to watch to take turns. None if this thread cannot take any.
    pub(crate) fn epoll(&self) -> Option<RawFd> {
        self.epoll.filter(|_| can_drive())
    }

    /// Starts an operation. An aborted one is dropped by the next turn.
    pub(crate) fn add(
        &self,
        operation: impl Future<Output = ()> + Send + 'static,
        takes_turns: bool,
    ) -> AbortHandle {
        let (operation, handle) = abortable(operation);
        // Whoever waits for an operation that panics is told that it has ended without a result.
        let operation = AssertUnwindSafe(async { _ = operation.await }).catch_unwind().map(drop);
        self.added.lock().push(Box::pin(operation));
        match self.operations.try_lock() {
            Some(mut operations) => {
                self.alarm.woken.store(true, Ordering::SeqCst);
                self.poll(&mut operations);
            }
            None => {
                self.claimed.fetch_or(takes_turns, Ordering::SeqCst);
                self.alarm.wake_by_ref();
            }
        }
        handle
    }

    /// Polls what is ready, without waiting for anything.
    pub(crate) fn turn(&self) {
        if !can_drive() {
            return;
        }
        let Some(mut operations) = self.operations.try_lock() else { return };
        self.turns.fetch_add(1, Ordering::SeqCst);
        self.sockets.block_on(yield_now());
        self.poll(&mut operations);
    }

    /// Until the result is dropped, a thread waits for an operation: the one that stands in drives,
    /// since the event loop's has to wait for the interpreter, which others may hold.
    pub(crate) fn attend(&self) -> impl Drop {
        struct Attended<'a>(&'a Reactor);
        impl Drop for Attended<'_> {
            fn drop(&mut self) {
                self.0.blocked.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.blocked.fetch_add(1, Ordering::SeqCst);
        self.thread.unpark();
        Attended(self)
    }

    fn poll(&self, operations: &mut FuturesUnordered<Operation>) {
        let _inside = runtime().enter();
        let began = Instant::now();
        let waker = Waker::from(self.alarm.clone());
        self.alarm.polling.store(true, Ordering::SeqCst);
        while began.elapsed() < LONGEST_TURN && self.alarm.woken.swap(false, Ordering::SeqCst) {
            operations.extend(self.added.lock().drain(..));
            let mut context = Context::from_waker(&waker);
            while let Poll::Ready(Some(())) = operations.poll_next_unpin(&mut context) {
                if began.elapsed() >= LONGEST_TURN {
                    self.alarm.woken.store(true, Ordering::SeqCst);
                    break;
                }
            }
        }
        self.alarm.polling.store(false, Ordering::SeqCst);
        if self.alarm.woken.load(Ordering::SeqCst) {
            self.alarm.sockets.wake_by_ref();
        }
    }

    /// Drives while no event loop does.
    fn stand_in(&self) {
        let mut before = 0;
        loop {
            let is_needed = || self.epoll.is_none() || self.blocked.load(Ordering::SeqCst) > 0;
            if !is_needed() {
                thread::park_timeout(PATIENCE);
                let turns = self.turns.load(Ordering::SeqCst);
                if !is_needed() && turns != before {
                    before = turns;
                    continue;
                }
            }
            let mut operations = self.operations.lock();
            loop {
                self.sockets.block_on(async {
                    // At least one look at the sockets: operations may wake each other for ever.
                    yield_now().await;
                    poll_fn(|_| match self.alarm.woken.load(Ordering::SeqCst) {
                        true => Poll::Ready(()),
                        false => Poll::Pending,
                    })
                    .await;
                });
                self.poll(&mut operations);
                if self.claimed.swap(false, Ordering::SeqCst) && !is_needed() {
                    break;
                }
            }
        }
    }
}

/// Whether this thread may drive: one of another runtime must not block on this one.
fn can_drive() -> bool {
    Handle::try_current().is_err()
}

/// The descriptor of a runtime's epoll, found by a socket that it watches: proc(5) lists the
/// descriptors that each epoll watches, and their files.
fn epoll_of(runtime: &Runtime) -> Option<RawFd> {
    let _inside = runtime.enter();
    let (probe, _other_end) = UnixStream::pair().ok()?;
    let descriptor = probe.as_raw_fd();
    let file = format!("ino:{:x}", fs::metadata(format!("/proc/self/fd/{descriptor}")).ok()?.ino());
    let watches_probe = |line: &str| {
        let mut words = line.strip_prefix("tfd:").unwrap_or_default().split_whitespace();
        words.next().and_then(|it| it.parse().ok()) == Some(descriptor)
            && words.any(|word| word == file)
    };
    fs::read_dir("/proc/self/fdinfo").ok()?.flatten().find_map(|entry| {
        let about = fs::read_to_string(entry.path()).ok()?;
        let found = about.lines().any(watches_probe);
        entry.file_name().to_str()?.parse().ok().filter(|_| found)
    })
}
