//! Drives the operations that event loops wait for.
//!
//! If a thread of tokio watched the sockets, each answer of a server would wake that thread, and
//! then the event loop's: two wake-ups take longer than many statements. So the sockets belong to a
//! runtime without a thread, and its epoll is watched by an event loop like a socket of its own.
//! When it is readable, the loop takes a turn: it finds out which sockets are ready, and polls the
//! operations that were woken, those of other loops included.
//!
//! One loop is on duty. A thread takes over if that loop takes no turns, because it is busy, closed
//! or has nothing to do; if several loops are at work; and for everything that takes long or that a
//! thread without a loop waits for. So no operation depends on a loop.

use std::fs;
use std::future::poll_fn;
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::fs::MetadataExt as _;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use futures_util::future::{AbortHandle, FutureExt as _, abortable};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use parking_lot::{Condvar, Mutex};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::yield_now;

use crate::bridge::runtime;

/// The thread takes over if the loop on duty has taken no turn for this long, or at most twice as
/// long.
const PATIENCE: Duration = Duration::from_millis(4);
/// A loop whose turn takes longer leaves what remains to the thread.
const LONGEST_TURN: Duration = Duration::from_millis(1);
/// Several loops at work would take duty from each other at each operation: then the thread has it
/// for this long.
const CROWDED: Duration = Duration::from_secs(1);
/// An operation that takes longer at a time, such as one that decodes many rows, is for the thread.
const LONG: Duration = Duration::from_micros(300);

/// Who drives: an event loop by its number, or the thread.
pub(crate) type Driver = u64;
const THREAD: Driver = 0;

/// Sockets and operations. Tasks and most timers belong to the runtime with threads.
pub(crate) struct Reactor {
    sockets: Runtime,
    /// Readable if a socket is ready or an operation was woken. `None` if the system does not tell
    /// its number: the thread is always on duty then.
    epoll: Option<RawFd>,
    /// Locked while they are polled.
    operations: Mutex<FuturesUnordered<Operation>>,
    /// Operations that have not been polled here yet.
    added: Mutex<Vec<Operation>>,
    alarm: Arc<Alarm>,
    on_duty: AtomicU64,
    /// Whether the loop on duty has taken a turn, or was put on duty, since the thread looked last.
    active: AtomicBool,
    /// How much needs the thread.
    attended: AtomicU64,
    /// Until when the thread is on duty since several loops want to be.
    crowded: Mutex<Instant>,
    thread: Thread,
    /// Whether the thread waits for sockets, during which nobody else can look at them.
    is_inside: Mutex<bool>,
    left: Condvar,
}

/// Woken together with each operation.
struct Alarm {
    woken: AtomicBool,
    /// Somebody polls operations, and looks at `woken` once more afterwards.
    polling: AtomicBool,
    sockets: Waker,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, SeqCst);
        if !self.polling.load(SeqCst) {
            self.sockets.wake_by_ref();
        }
    }
}

/// What is driven.
struct Operation {
    work: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Whether it took long.
    attended: Option<Attended>,
}

impl Future for Operation {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let began = Instant::now();
        // The runtime lets it find sockets ready only so often. Otherwise, it would read the rows of a
        // long answer that nobody wants in a single turn.
        let work = &mut self.work;
        let polled = runtime().block_on(poll_fn(|_| Poll::Ready(work.as_mut().poll(context))));
        if began.elapsed() < LONG {
            self.attended = None;
        } else if polled.is_pending() && self.attended.is_none() {
            self.attended = Some(reactor().attend());
        }
        polled
    }
}

/// While this exists, the thread is on duty.
pub(crate) struct Attended(&'static Reactor);

impl Drop for Attended {
    fn drop(&mut self) {
        self.0.attended.fetch_sub(1, SeqCst);
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
            on_duty: AtomicU64::new(THREAD),
            active: AtomicBool::new(false),
            attended: AtomicU64::new(0),
            crowded: Mutex::new(Instant::now()),
            thread: thread.thread().clone(),
            is_inside: Mutex::new(false),
            left: Condvar::new(),
        }
    }

    /// What an event loop has to watch to be on duty. `None` if this thread cannot drive.
    pub(crate) fn epoll(&self) -> Option<RawFd> {
        self.epoll.filter(|_| can_drive())
    }

    /// Puts an event loop on duty that `wants` to be, unless something needs the thread: several
    /// loops do.
    pub(crate) fn claim(&self, driver: Driver, wants: bool) {
        let on_duty = self.on_duty.load(SeqCst);
        if on_duty == driver || self.attended.load(SeqCst) > 0 {
            return;
        }
        if on_duty != THREAD {
            *self.crowded.lock() = Instant::now() + CROWDED;
            self.relieve(on_duty);
        } else if wants
            && *self.crowded.lock() <= Instant::now()
            && self.on_duty.compare_exchange(THREAD, driver, SeqCst, SeqCst).is_ok()
        {
            self.active.store(true, SeqCst);
            self.alarm.sockets.wake_by_ref();
        }
    }

    /// Puts the thread on duty in place of an event loop.
    pub(crate) fn relieve(&self, driver: Driver) {
        if self.on_duty.compare_exchange(driver, THREAD, SeqCst, SeqCst).is_ok() {
            self.thread.unpark();
        }
    }

    pub(crate) fn is_on_duty(&self, driver: Driver) -> bool {
        self.on_duty.load(SeqCst) == driver
    }

    /// Starts an operation for an event loop. An aborted one is dropped when it is polled next.
    pub(crate) fn add(
        &self,
        driver: Driver,
        operation: impl Future<Output = ()> + Send + 'static,
    ) -> AbortHandle {
        let (operation, handle) = abortable(operation);
        // Whoever waits for an operation that panics is told that it has ended without a result.
        let work = AssertUnwindSafe(async { _ = operation.await }).catch_unwind().map(drop);
        self.added.lock().push(Operation { work: Box::pin(work), attended: None });
        self.alarm.woken.store(true, SeqCst);
        self.poll_woken(driver);
        handle
    }

    /// Polls the operations that were woken, if the event loop is on duty, or else has it done.
    pub(crate) fn poll_woken(&self, driver: Driver) {
        if self.is_on_duty(driver)
            && can_drive()
            && let Some(mut operations) = self.operations.try_lock()
        {
            self.alarm.polling.store(true, SeqCst);
            self.poll(driver, &mut operations);
        } else {
            self.alarm.wake_by_ref();
        }
    }

    /// The turn of an event loop: polls what is ready, without waiting for anything. Returns whether
    /// the loop stays on duty.
    pub(crate) fn turn(&self, driver: Driver) -> bool {
        if !self.is_on_duty(driver) {
            return false;
        }
        let is_free = can_drive() && self.has_left();
        match self.operations.try_lock() {
            Some(mut operations) if is_free => {
                self.active.store(true, SeqCst);
                self.alarm.polling.store(true, SeqCst);
                self.sockets.block_on(yield_now());
                self.poll(driver, &mut operations);
            }
            // The loop has better things to do than to wait.
            _ => self.relieve(driver),
        }
        self.is_on_duty(driver)
    }

    /// Waits until the thread, which was told to, has stopped waiting for sockets. Returns whether it
    /// has. The loop's turns would be in vain until then, and follow each other at once, which may
    /// keep the thread from running.
    fn has_left(&self) -> bool {
        let mut is_inside = self.is_inside.lock();
        self.left.wait_while_for(&mut is_inside, |it| *it, LONGEST_TURN);
        !*is_inside
    }

    /// Puts the thread on duty, until what is returned is dropped.
    pub(crate) fn attend(&'static self) -> Attended {
        self.attended.fetch_add(1, SeqCst);
        if self.on_duty.swap(THREAD, SeqCst) != THREAD {
            self.thread.unpark();
        }
        Attended(self)
    }

    /// Polls what was woken, after `polling` was set.
    fn poll(&self, driver: Driver, operations: &mut FuturesUnordered<Operation>) {
        let _inside = runtime().enter();
        let waker = Waker::from(self.alarm.clone());
        let began = Instant::now();
        let has_time = || began.elapsed() < LONGEST_TURN;
        while has_time() && self.is_on_duty(driver) && self.alarm.woken.swap(false, SeqCst) {
            operations.extend(self.added.lock().drain(..));
            let mut context = Context::from_waker(&waker);
            while let Poll::Ready(Some(())) = operations.poll_next_unpin(&mut context) {
                if !has_time() || !self.is_on_duty(driver) {
                    self.alarm.woken.store(true, SeqCst);
                    break;
                }
            }
        }
        self.alarm.polling.store(false, SeqCst);
        if !has_time() && driver != THREAD {
            // There is more to do than fits in between.
            self.relieve(driver);
        }
        if self.alarm.woken.load(SeqCst) {
            self.alarm.sockets.wake_by_ref();
        }
    }

    /// Drives while no event loop does.
    fn stand_in(&self) {
        loop {
            self.wait_for_duty();
            *self.is_inside.lock() = true;
            self.sockets.block_on(async {
                // At least one look at the sockets: operations may wake each other for ever.
                yield_now().await;
                poll_fn(|_| match self.alarm.woken.load(SeqCst) {
                    false if self.is_on_duty(THREAD) => Poll::Pending,
                    _ => Poll::Ready(()),
                })
                .await;
            });
            *self.is_inside.lock() = false;
            self.left.notify_all();
            if self.is_on_duty(THREAD) {
                let mut operations = self.operations.lock();
                self.alarm.polling.store(true, SeqCst);
                self.poll(THREAD, &mut operations);
            } else if self.alarm.woken.load(SeqCst) {
                // That is for the loop.
                self.alarm.sockets.wake_by_ref();
            }
        }
    }

    /// Waits until the thread is needed.
    fn wait_for_duty(&self) {
        while !self.is_on_duty(THREAD) {
            if self.attended.load(SeqCst) == 0 {
                thread::park_timeout(PATIENCE);
            }
            if !self.active.swap(false, SeqCst) || self.attended.load(SeqCst) > 0 {
                self.on_duty.store(THREAD, SeqCst);
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
