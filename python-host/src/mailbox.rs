//! Mailboxes of event loops: which tasks of a loop wait, and which results have come.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use parking_lot::Mutex;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyWeakrefReference;

use crate::bridge::check_process;
use crate::reactor::{Driver, reactor};

/// Whoever gets all results at once lets other tasks of the loop run after so long.
const LONGEST_TURN: Duration = Duration::from_millis(1);

/// A loop that waits for few operations answers sooner if it drives them itself. One that waits for
/// many gets more done if it leaves them to the thread, which wakes it for several at a time.
const FEW: usize = 4;
const MANY: usize = 12;

/// A result that is waited for.
pub(crate) type Token = u64;

/// What one event loop waits for.
pub(crate) struct Mailbox {
    arrived: Mutex<Arrived>,
    /// The loop's futures, of those who wait. No Python code runs while it is locked.
    expected: Mutex<Expected>,
    /// How long its tasks have kept it since they had to wait last.
    kept: Mutex<Duration>,
    /// A byte in here wakes the loop.
    bell: UnixStream,
    /// Where the loop listens.
    ear: UnixStream,
    /// Its number among those that drive.
    pub(crate) driver: Driver,
    /// What it watches while it drives; `None` if it cannot.
    epoll: Option<RawFd>,
    /// Whether it watches that. Used by the loop's thread only.
    watches: AtomicBool,
}

#[derive(Default)]
struct Arrived {
    /// What has come since the loop looked last.
    tokens: Vec<Token>,
    /// The loop looks next when its turn is over, and needs not be woken.
    in_turn: bool,
}

#[derive(Default)]
struct Expected {
    last: Token,
    futures: HashMap<Token, Py<PyAny>>,
}

thread_local! {
    /// The loop that ran last on this thread, and its mailbox.
    static HERE: RefCell<Option<(Py<PyWeakrefReference>, Arc<Mailbox>)>> =
        const { RefCell::new(None) };
}

impl Mailbox {
    /// The mailbox of the loop that runs on this thread.
    pub(crate) fn of_running_loop(py: Python<'_>) -> PyResult<Arc<Self>> {
        Self::of(&running_loop(py)?)
    }

    /// A token that was not given before.
    pub(crate) fn token(&self) -> Token {
        let mut expected = self.expected.lock();
        expected.last += 1;
        expected.last
    }

    /// A new future of the running loop: it is done when its token is posted next.
    pub(crate) fn expect(&self, py: Python<'_>, token: Token) -> PyResult<Py<PyAny>> {
        let running = running_loop(py)?;
        let future = running.call_method0(intern!(py, "create_future"))?;
        // As `Future.__await__` does: a task looks whether it is really meant to wait.
        future.setattr(intern!(py, "_asyncio_future_blocking"), true)?;
        let future = future.unbind();
        let former = self.expected.lock().futures.insert(token, future.clone_ref(py));
        drop(former);
        *self.kept.lock() = Duration::ZERO;
        Ok(future)
    }

    /// Something took so long without a turn of the loop; whether others are to have one.
    pub(crate) fn has_kept_the_loop(&self, time: Duration) -> bool {
        let mut kept = self.kept.lock();
        *kept += time;
        let long = *kept >= LONGEST_TURN;
        if long {
            *kept = Duration::ZERO;
        }
        long
    }

    /// Nobody waits for this one any more.
    pub(crate) fn forget(&self, token: Token) {
        // The future goes when the lock is open again: what goes with it may come by here.
        let future = self.expected.lock().futures.remove(&token);
        drop(future);
    }

    /// A result is there. Called by any thread, with the interpreter or without.
    pub(crate) fn post(&self, token: Token) {
        let mut arrived = self.arrived.lock();
        arrived.tokens.push(token);
        let rings = arrived.tokens.len() == 1 && !arrived.in_turn;
        drop(arrived);
        if rings {
            // A socket that is full has woken the loop; a closed one belongs to a loop that is gone.
            let _ = (&self.bell).write(&[1]);
        }
    }

    fn resolve(&self, py: Python<'_>, token: Token) -> PyResult<()> {
        let future = self.expected.lock().futures.remove(&token);
        let Some(future) = future else { return Ok(()) };
        let future = future.bind(py);
        if !future.call_method0(intern!(py, "done"))?.is_truthy()? {
            future.call_method1(intern!(py, "set_result"), (py.None(),))?;
        }
        Ok(())
    }

    /// Puts the running loop on duty if it waits for few operations, or the thread if it waits for
    /// many.
    pub(crate) fn claim(&self) {
        let waiting = self.expected.lock().futures.len();
        if waiting >= MANY {
            reactor().relieve(self.driver);
        }
        reactor().claim(self.driver, waiting <= FEW && self.epoll.is_some());
    }

    /// Makes the running loop watch what it drives, if it is on duty.
    pub(crate) fn watch(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        if let Some(epoll) = self.epoll
            && reactor().is_on_duty(self.driver)
            && !self.watches.load(Relaxed)
        {
            let drive = Bound::new(py, Listener(self.clone()))?.getattr(intern!(py, "drive"))?;
            running_loop(py)?.call_method1(intern!(py, "add_reader"), (epoll, drive))?;
            self.watches.store(true, Relaxed);
        }
        Ok(())
    }

    /// The running loop drives no longer.
    fn leave(&self, py: Python<'_>) -> PyResult<()> {
        if let Some(epoll) = self.epoll {
            // First, since an interrupt may come after the removal: it would never watch again.
            self.watches.store(false, Relaxed);
            running_loop(py)?.call_method1(intern!(py, "remove_reader"), (epoll,))?;
        }
        Ok(())
    }

    fn of(running: &Bound<'_, PyAny>) -> PyResult<Arc<Self>> {
        let py = running.py();
        let known = HERE.with_borrow(|here| {
            let (known, mailbox) = here.as_ref()?;
            known.bind(py).upgrade()?.is(running).then(|| mailbox.clone())
        });
        if let Some(mailbox) = known {
            return Ok(mailbox);
        }
        let mailbox = Self::listening(running)?;
        let weak = PyWeakrefReference::new(running)?.unbind();
        HERE.with_borrow_mut(|here| *here = Some((weak, mailbox.clone())));
        Ok(mailbox)
    }

    /// The mailbox of a loop, which has one as long as it lives. The loop is not kept alive.
    fn listening(running: &Bound<'_, PyAny>) -> PyResult<Arc<Self>> {
        static LOOPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let py = running.py();
        let loops = LOOPS.get_or_try_init(py, || {
            PyResult::Ok(py.import("weakref")?.getattr("WeakKeyDictionary")?.call0()?.unbind())
        })?;
        let loops = loops.bind(py);
        let known = loops.call_method1(intern!(py, "get"), (running,))?;
        if let Ok(listener) = known.cast::<Listener>() {
            return Ok(listener.get().0.clone());
        }
        let (bell, ear) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        ear.set_nonblocking(true)?;
        let mailbox = Arc::new(Self {
            arrived: Mutex::default(),
            expected: Mutex::default(),
            kept: Mutex::default(),
            bell,
            ear,
            driver: NEXT.fetch_add(1, Relaxed),
            epoll: reactor().epoll(),
            watches: AtomicBool::new(false),
        });
        let listener = Bound::new(py, Listener(mailbox.clone()))?;
        let descriptor = mailbox.ear.as_raw_fd();
        let listen = listener.getattr(intern!(py, "listen"))?;
        running.call_method1(intern!(py, "add_reader"), (descriptor, listen))?;
        loops.set_item(running, listener)?;
        Ok(mailbox)
    }
}

fn running_loop(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static RUNNING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    RUNNING.import(py, "asyncio", "get_running_loop")?.call0()
}

/// What the loop calls when something is ready.
#[pyclass(frozen, module = "ferro._native")]
struct Listener(Arc<Mailbox>);

#[pymethods]
impl Listener {
    /// The bell has rung.
    fn listen(&self, py: Python<'_>) -> PyResult<()> {
        // First the bell, then the mail: what comes in between rings once too often, not too seldom.
        let _ = (&self.0.ear).read(&mut [0; 64]);
        self.deliver(py)
    }

    /// A socket is ready, or an operation was woken.
    fn drive(&self, py: Python<'_>) -> PyResult<()> {
        if check_process().is_err() {
            return Ok(());
        }
        self.0.arrived.lock().in_turn = true;
        let is_on_duty = py.detach(|| reactor().turn(self.0.driver));
        self.deliver(py)?;
        if is_on_duty { Ok(()) } else { self.0.leave(py) }
    }
}

impl Listener {
    fn deliver(&self, py: Python<'_>) -> PyResult<()> {
        let mailbox = &self.0;
        let arrived = std::mem::take(&mut *mailbox.arrived.lock());
        let mut tokens = arrived.tokens.into_iter();
        let delivered = tokens.try_for_each(|token| mailbox.resolve(py, token));
        // An interrupt must not keep others from their results.
        tokens.for_each(|token| mailbox.post(token));
        delivered
    }
}
