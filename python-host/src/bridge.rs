//! Between asyncio and tokio: what Python awaits, and waits that release the interpreter.
//!
//! Work begins where it is asked for, on the event loop's thread: what needs no wait is done there
//! and then, without a task, a thread or a turn of the loop. What has to wait goes on in a task of
//! tokio. Its results go back without any thread of tokio ever asking for the interpreter: a token is
//! put into the loop's mailbox, and a byte into a socket that the loop watches wakes it. All results
//! that have come meanwhile are handed out in one go.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::task::{Context, Waker};
use std::time::Instant;

use ferro_wit::types::{Error, ErrorKind};
use parking_lot::Mutex;
use pyo3::IntoPyObjectExt as _;
use pyo3::exceptions::PyStopIteration;
use pyo3::prelude::*;
use tokio::runtime::Runtime;
use tokio::task::AbortHandle;

use crate::errors::{exception, from_exception, raise};
use crate::log;
use crate::mailbox::{Mailbox, Token};
use crate::turns::Turns;

/// What runs everything that is awaited. Made by the first use, so that a process may fork before.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.enable_all().thread_name("ferro").build().expect("no threads to run queries on")
    });
    &RUNTIME
}

/// Run a future; what is returned is awaited once, by a task of the running loop. Letting go of it,
/// as a task does that is cancelled, drops the Rust future where it stands.
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
    let inside = runtime().enter();
    let is_done = py.detach(|| {
        // Whoever it waits for may wake nobody: the task polls it again. A task that begins only when
        // it is woken wakes fewer threads, and answers later: an idle processor takes long to wake.
        work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
    });
    drop(inside);
    let state = match is_done {
        true => State::Done { outcome, yields: mailbox.has_kept_the_loop(began.elapsed()) },
        false => {
            let token = mailbox.token();
            // Only the task rings from here on, and there is none yet.
            let _ = bell.listener.set((mailbox.clone(), token));
            let task = runtime().spawn(work).abort_handle();
            State::Running { outcome, mailbox, token, bell, task, turns: turns.clone() }
        }
    };
    Pending(state).into_bound_py_any(py)
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

/// Rings when its task ends, in whatever way.
struct End(Arc<Bell>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::SeqCst);
        self.0.ring();
    }
}

/// Where a task leaves what it has found.
pub(crate) trait Outcome: Send + Sync {
    /// Takes what there is; the result, if that is all of it. Python's objects are made here, by the
    /// loop's thread, which has the interpreter anyway.
    fn take(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>>;
}

/// The one result of a task.
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
        task: AbortHandle,
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
        kind: Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
        _traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        self.cancel();
        Err(PyErr::from_value(value.unwrap_or(kind)))
    }

    /// What a coroutine does that is closed.
    fn close(&mut self) {
        self.cancel();
    }
}

impl Pending {
    /// Lets go of what runs, and of what has come.
    fn cancel(&mut self) {
        if let State::Running { mailbox, token, task, turns, .. } =
            std::mem::replace(&mut self.0, State::Over)
        {
            mailbox.forget(token);
            task.abort();
            turns.cancelled();
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // Nobody awaits it any more, or nobody ever did.
        self.cancel();
    }
}

/// Wait for a future on a thread that is not the event loop's, without holding the interpreter.
pub(crate) fn block<T: Send, F: Future<Output = Result<T, Error>>>(
    py: Python<'_>,
    start: impl FnOnce() -> F + Send,
) -> Result<T, Error> {
    check_process()?;
    log::listen(py).map_err(|raised| from_exception(py, &raised))?;
    let result = py.detach(|| runtime().block_on(start()));
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
