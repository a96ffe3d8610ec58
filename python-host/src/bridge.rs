//! Between asyncio and tokio: what Python awaits, and waits that release the interpreter.
//!
//! Work begins where it is asked for, on the event loop's thread: what needs no wait is done there
//! and then, without a thread or a turn of the loop. What has to wait is left to the
//! [reactor](crate::reactor), which the loop itself drives if it can. If a thread does, it need not
//! ask for the interpreter to hand over a result: it puts a token into the loop's mailbox, and a byte
//! into a socket that the loop watches wakes it. All results that have come meanwhile are handed out
//! in one go.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::task::{Context, Waker};
use std::time::Instant;

use ferro_wit::types::{Error, ErrorKind};
use futures_util::future::{AbortHandle, FutureExt as _};
use parking_lot::Mutex;
use pyo3::IntoPyObjectExt as _;
use pyo3::exceptions::PyStopIteration;
use pyo3::prelude::*;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::errors::{exception, from_exception, raise};
use crate::log;
use crate::mailbox::{Mailbox, Token};
use crate::reactor::{Driver, reactor};
use crate::turns::Turns;

/// Runs tasks, timers and what blocks. Made by the first use, so that a process may fork before.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.enable_all().thread_name("ferro").build().expect("no threads to run queries on")
    });
    &RUNTIME
}

/// Run a future; what is returned is awaited once, by a task of the running loop. Letting go of it,
/// as a task does that is cancelled, drops the Rust future where it stands, at once or soon.
pub(crate) fn spawn<'py, T>(
    py: Python<'py>,
    future: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> PyResult<Bound<'py, PyAny>>
where
    T: for<'any> IntoPyObject<'any> + Send + 'static,
{
    spawn_in(py, &Turns::default(), future)
}

/// The same for an operation that may be one of a transaction.
pub(crate) fn spawn_in<'py, T>(
    py: Python<'py>,
    turns: &Turns,
    future: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> PyResult<Bound<'py, PyAny>>
where
    T: for<'any> IntoPyObject<'any> + Send + 'static,
{
    let slot = Arc::new(Slot(Mutex::new(None)));
    let filled = slot.clone();
    // It takes kilobytes, and each future around it would have room for it twice.
    let future = Box::pin(future);
    let work = async move {
        let result = future.await;
        *filled.0.lock() = Some(result);
    };
    start(py, turns, slot, Arc::default(), work)
}

/// Run a future that leaves its results in `outcome`, and rings the bell whenever there are some.
pub(crate) fn start<'py>(
    py: Python<'py>,
    turns: &Turns,
    outcome: Arc<dyn Outcome>,
    bell: Arc<Bell>,
    work: impl Future<Output = ()> + Send + 'static,
) -> PyResult<Bound<'py, PyAny>> {
    raise(py, check_process())?;
    log::listen(py)?;
    let mailbox = Mailbox::of_running_loop(py)?;
    let (turn, end) = (turns.clone(), End(bell.clone()));
    let mut work: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
        let _end = end;
        turn.run(work).await;
    });
    let began = Instant::now();
    let state = py.detach(|| {
        let inside = runtime().enter();
        // Nobody needs to wake it: if it has to wait, the reactor polls it again at once.
        let polled = work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        drop(inside);
        if polled.is_ready() {
            return State::Done { outcome, yields: mailbox.has_kept_the_loop(began.elapsed()) };
        }
        let token = mailbox.token();
        // Only the reactor rings from here on, and it does not know the operation yet.
        let _ = bell.listener.set((mailbox.clone(), token));
        mailbox.claim();
        let handle = reactor().add(mailbox.driver, work);
        let mailbox = mailbox.clone();
        State::Running { outcome, mailbox, token, bell, handle, turns: turns.clone() }
    });
    let pending = Pending(state);
    if let State::Running { mailbox, .. } = &pending.0 {
        mailbox.watch(py)?;
    }
    pending.into_bound_py_any(py)
}

/// Tells an event loop that there are results. Before anybody listens, nobody has to be told.
#[derive(Default)]
pub(crate) struct Bell {
    listener: OnceLock<(Arc<Mailbox>, Token)>,
    /// How often it has rung.
    rings: AtomicU64,
    /// Nothing more comes.
    ended: AtomicBool,
}

impl Bell {
    /// There are new results.
    pub(crate) fn ring(&self) {
        self.rings.fetch_add(1, Ordering::SeqCst);
        if let Some((mailbox, token)) = self.listener.get() {
            mailbox.post(*token);
        }
    }
}

/// Rings when its operation ends, in whatever way.
struct End(Arc<Bell>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::SeqCst);
        self.0.ring();
    }
}

/// Where an operation leaves what it has found.
pub(crate) trait Outcome: Send + Sync {
    /// Takes what there is; the result, if that is all of it. Python's objects are made here, by the
    /// loop's thread, which has the interpreter anyway.
    fn take(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>>;
}

/// The one result of an operation.
struct Slot<T>(Mutex<Option<Result<T, Error>>>);

impl<T> Outcome for Slot<T>
where
    T: for<'any> IntoPyObject<'any> + Send,
{
    fn take(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        match self.0.lock().take() {
            Some(Ok(value)) => value.into_py_any(py).map(Some),
            Some(Err(error)) => Err(exception(py, &error)),
            None => Ok(None),
        }
    }
}

/// What Python awaits.
#[pyclass(module = "ferro._native")]
struct Pending(State);

enum State {
    /// All results are there. One who has kept the loop to himself for long lets others have it.
    Done { outcome: Arc<dyn Outcome>, yields: bool },
    Running {
        outcome: Arc<dyn Outcome>,
        mailbox: Arc<Mailbox>,
        token: Token,
        bell: Arc<Bell>,
        handle: AbortHandle,
        turns: Turns,
    },
    /// The result has been taken, or nobody wants it any more.
    Over,
}

#[pymethods]
impl Pending {
    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    /// `asyncio.wait_for` and `ensure_future` take what `__await__` gives for an iterable.
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    /// What the task waits for, as often as it has to; in the end, the result.
    fn __next__(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match &mut self.0 {
            State::Done { outcome, yields } => {
                log::deliver(py)?;
                if std::mem::take(yields) {
                    return Ok(py.None());
                }
                let taken = outcome.take(py);
                self.0 = State::Over;
                if let Some(value) = taken? {
                    return Err(PyStopIteration::new_err((value,)));
                }
            }
            State::Running { outcome, mailbox, token, bell, .. } => loop {
                let rings = bell.rings.load(Ordering::SeqCst);
                let ended = bell.ended.load(Ordering::SeqCst);
                let taken = outcome.take(py);
                // What it has logged came before its result.
                log::deliver(py)?;
                if let Some(value) = taken? {
                    self.0 = State::Over;
                    return Err(PyStopIteration::new_err((value,)));
                }
                if ended {
                    break;
                }
                let future = mailbox.expect(py, *token)?;
                // What came in between has rung for nobody.
                if bell.rings.load(Ordering::SeqCst) == rings {
                    return Ok(future);
                }
                mailbox.forget(*token);
            },
            State::Over => {}
        }
        let message = "the operation ended without a result, or was awaited twice";
        Err(exception(py, &Error::new(ErrorKind::Internal, message)))
    }

    /// What a coroutine does with an exception that is thrown into it, of a task that is cancelled for
    /// one: the traceback may keep this alive for long.
    #[pyo3(signature = (kind, value = None, _traceback = None))]
    fn throw(
        &mut self,
        py: Python<'_>,
        kind: Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
        _traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        self.close(py);
        Err(PyErr::from_value(value.unwrap_or(kind)))
    }

    /// What a coroutine does that is closed.
    fn close(&mut self, py: Python<'_>) {
        let driver = self.cancel();
        // If the loop drives, it is let go of here and now. What a forked process has belongs to
        // its parent.
        if let (Some(driver), Ok(())) = (driver, check_process()) {
            py.detach(|| reactor().poll_woken(driver));
        }
    }
}

impl Pending {
    /// Lets go of what runs, and of what has come; returns who drives it, if something did.
    fn cancel(&mut self) -> Option<Driver> {
        match std::mem::replace(&mut self.0, State::Over) {
            State::Running { mailbox, token, handle, turns, .. } => {
                mailbox.forget(token);
                handle.abort();
                turns.cancelled();
                Some(mailbox.driver)
            }
            State::Done { .. } | State::Over => None,
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // Nobody awaits it any more, or nobody ever did.
        self.cancel();
    }
}

/// Runs a future on a thread of the runtime, since it calls Python code, which may take long.
pub(crate) async fn on_a_thread<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    // Dropping the set ends the task.
    let mut tasks = JoinSet::new();
    tasks.spawn_on(work, runtime().handle());
    match tasks.join_next().await {
        Some(Ok(result)) => result,
        _ => Err(Error::new(ErrorKind::Internal, "the operation ended without a result")),
    }
}

/// Wait for a future on a thread that is not the event loop's, without holding the interpreter.
pub(crate) fn block<T: Send, F: Future<Output = Result<T, Error>>>(
    py: Python<'_>,
    start: impl FnOnce() -> F + Send,
) -> Result<T, Error> {
    check_process()?;
    log::listen(py).map_err(|raised| from_exception(py, &raised))?;
    let reactor = reactor();
    let result = py.detach(|| {
        runtime().block_on(async {
            let mut work = pin!(start());
            if let Some(result) = work.as_mut().now_or_never() {
                return result;
            }
            let _attended = reactor.attend();
            work.await
        })
    });
    log::deliver(py).map_err(|raised| from_exception(py, &raised))?;
    result
}

/// After a `fork` the threads of tokio and the sockets are the parent's: whoever waits for them
/// waits for ever, whoever writes to them speaks in the parent's name.
pub(crate) fn check_process() -> Result<(), Error> {
    static PROCESS: OnceLock<u32> = OnceLock::new();
    let here = std::process::id();
    match *PROCESS.get_or_init(|| here) == here {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::Unsupported,
            "this process was forked from one that uses ferro: connect only after the fork, or \
             start the process with `spawn`",
        )),
    }
}
