//! Mailboxes of event loops: which tasks of a loop wait, and which results have come.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyWeakrefReference;

/// Whoever gets all results at once lets other tasks of the loop run after so long.
const LONGEST_TURN: Duration = Duration::from_millis(1);

/// A result that is waited for.
pub(crate) type Token = u64;

/// What one event loop waits for.
pub(crate) struct Mailbox {
    /// What has come since the loop looked last.
    arrived: Mutex<Vec<Token>>,
    /// The loop's futures, of those who wait. Used with the interpreter only: nobody is kept waiting.
    expected: Mutex<Expected>,
    /// How long its tasks have kept it since they had to wait last.
    kept: Mutex<Duration>,
    /// A byte in here wakes the loop.
    bell: UnixStream,
    /// Where the loop listens.
    ear: UnixStream,
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
        arrived.push(token);
        let first = arrived.len() == 1;
        drop(arrived);
        if first {
            // A socket that is full has woken the loop; a closed one belongs to a loop that is gone.
            let _ = (&self.bell).write(&[1]);
        }
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
        });
        let listener = Bound::new(py, Listener(mailbox.clone()))?;
        let descriptor = mailbox.ear.as_raw_fd();
        let deliver = listener.getattr(intern!(py, "deliver"))?;
        running.call_method1(intern!(py, "add_reader"), (descriptor, deliver))?;
        loops.set_item(running, listener)?;
        Ok(mailbox)
    }
}

fn running_loop(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static RUNNING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    RUNNING.import(py, "asyncio", "get_running_loop")?.call0()
}

/// What the loop calls when its bell rings.
#[pyclass(frozen, module = "ferro._native")]
struct Listener(Arc<Mailbox>);

#[pymethods]
impl Listener {
    fn deliver(&self, py: Python<'_>) -> PyResult<()> {
        let mailbox = &self.0;
        // First the bell, then the mail: what comes in between rings once too often, not too seldom.
        let _ = (&mailbox.ear).read(&mut [0; 64]);
        let arrived = std::mem::take(&mut *mailbox.arrived.lock());
        for token in arrived {
            let future = mailbox.expected.lock().futures.remove(&token);
            let Some(future) = future else { continue };
            let future = future.bind(py);
            if !future.call_method0(intern!(py, "done"))?.is_truthy()? {
                future.call_method1(intern!(py, "set_result"), (py.None(),))?;
            }
        }
        Ok(())
    }
}
