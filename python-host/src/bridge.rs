//! Between asyncio and tokio: what Python awaits, and waits that release the interpreter.
//!
//! A future of Rust runs where it is awaited: on the event loop's thread, with the interpreter
//! released. What needs no wait is done at once, without a turn of the loop. What has to wait is
//! polled again when it was woken (see `work`): mostly by the loop itself, which watches the sockets
//! of connections (see `reactor`). Results of other threads reach the loop by its mailbox. No other
//! thread asks for the interpreter to deliver them.

use std::future::Future;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Instant;

use ferro_wit::types::{Error, ErrorKind};
use parking_lot::Mutex;
use pyo3::IntoPyObjectExt as _;
use pyo3::exceptions::PyStopIteration;
use pyo3::prelude::*;
use tokio::runtime::Runtime;

use crate::errors::{exception, from_exception, raise};
use crate::log;
use crate::mailbox::Mailbox;
use crate::turns::Turns;
use crate::work::Running;

/// Runs tasks and timers. Made by the first use, so that a process may fork before.
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
    start(py, turns, slot, work)
}

/// Run a future that leaves its results in `outcome`.
pub(crate) fn start<'py>(
    py: Python<'py>,
    turns: &Turns,
    outcome: Arc<dyn Outcome>,
    work: impl Future<Output = ()> + Send + 'static,
) -> PyResult<Bound<'py, PyAny>> {
    raise(py, check_process())?;
    log::listen(py)?;
    let mailbox = Mailbox::of_running_loop(py)?;
    let running = Running::new(mailbox, turns.clone().run(work));
    let began = Instant::now();
    let state = match running.poll(py) {
        true => {
            let yields = running.mailbox().has_kept_the_loop(began.elapsed());
            State::Done { outcome, yields }
        }
        false => State::Running { outcome, running },
    };
    Pending(state).into_bound_py_any(py)
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
    Done {
        outcome: Arc<dyn Outcome>,
        yields: bool,
    },
    Running {
        outcome: Arc<dyn Outcome>,
        running: Running,
    },
    /// It has returned its result, has raised something, or was cancelled.
    Ended,
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

    /// What has to be waited for, as often as it has to; in the end, the result.
    fn __next__(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let step = self.step(py);
        if step.is_err() {
            // It ends with whatever it raises. The traceback may keep it alive for long.
            self.0 = State::Ended;
        }
        step
    }

    /// What a coroutine does with an exception that is thrown into it, such as a cancellation: it
    /// ends.
    #[pyo3(signature = (kind, value = None, _traceback = None))]
    fn throw(
        &mut self,
        kind: Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
        _traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        self.0 = State::Ended;
        Err(PyErr::from_value(value.unwrap_or(kind)))
    }

    /// What a coroutine does that is closed.
    fn close(&mut self) {
        self.0 = State::Ended;
    }
}

impl Pending {
    fn step(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        raise(py, check_process())?;
        let value = match &mut self.0 {
            State::Ended => None,
            State::Done { outcome, yields } => {
                log::deliver(py)?;
                if std::mem::take(yields) {
                    return Ok(py.None());
                }
                outcome.take(py)?
            }
            State::Running { outcome, running } => loop {
                let began = Instant::now();
                let wakes = running.wakes();
                let is_done = running.poll(py);
                log::deliver(py)?;
                let value = outcome.take(py)?;
                if is_done || value.is_some() {
                    break value;
                }
                if let Some(future) = running.wait(py, wakes)? {
                    return Ok(future);
                }
                if running.mailbox().has_kept_the_loop(began.elapsed()) {
                    return Ok(py.None());
                }
            },
        };
        match value {
            Some(value) => Err(PyStopIteration::new_err((value,))),
            None => {
                let error = Error::new(
                    ErrorKind::Internal,
                    "the operation ended without a result, or was awaited twice",
                );
                Err(exception(py, &error))
            }
        }
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
