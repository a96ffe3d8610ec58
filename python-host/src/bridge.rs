//! Between asyncio and tokio: what Python awaits, and waits that release the interpreter.
//!
//! A result goes back to its event loop without any thread of tokio ever asking for the interpreter:
//! it is put into the loop's mailbox, and a byte into a socket that the loop watches wakes it. All
//! results that have come meanwhile are handed out in one go.

use std::future::Future;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};

use ferro_wit::types::{Error, ErrorKind};
use pyo3::IntoPyObjectExt as _;
use pyo3::exceptions::{PyRuntimeError, PyStopIteration};
use pyo3::intern;
use pyo3::prelude::*;
use tokio::runtime::Runtime;
use tokio::task::AbortHandle;

use crate::errors::{exception, raise};
use crate::mailbox::{Mailbox, Token};

/// What runs everything that is awaited. Made by the first use, so that a process may fork before.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.enable_all().thread_name("ferro").build().expect("no threads to run queries on")
    });
    &RUNTIME
}

/// Run a future on tokio; what is returned is awaited once, by a task of the running loop. Letting
/// go of it, as a task does that is cancelled, drops the Rust future where it stands.
pub(crate) fn spawn<'py, T>(
    py: Python<'py>,
    future: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> PyResult<Bound<'py, PyAny>>
where
    T: for<'any> IntoPyObject<'any> + Send + 'static,
{
    raise(py, check_process())?;
    let (mailbox, token, waiter) = Mailbox::expect(py)?;
    let slot = Arc::new(Slot(Mutex::new(None)));
    let bell = Bell { mailbox: mailbox.clone(), token };
    let filled = slot.clone();
    let task = runtime().spawn(async move {
        let bell = bell;
        *lock(&filled.0) = Some(future.await);
        drop(bell);
    });
    let pending =
        Pending { waiter: Some(waiter), outcome: slot, mailbox, token, task: task.abort_handle() };
    pending.into_bound_py_any(py)
}

/// Rings when its task ends, in whatever way.
struct Bell {
    mailbox: Arc<Mailbox>,
    token: Token,
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.mailbox.post(self.token);
    }
}

/// Where a task leaves its result.
struct Slot<T>(Mutex<Option<Result<T, Error>>>);

/// A slot of any type. The object is made by the loop's thread, which has the interpreter anyway.
trait Outcome: Send + Sync {
    fn take(&self, py: Python<'_>) -> PyResult<Py<PyAny>>;
}

impl<T> Outcome for Slot<T>
where
    T: for<'any> IntoPyObject<'any> + Send,
{
    fn take(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match lock(&self.0).take() {
            Some(Ok(value)) => value.into_py_any(py),
            Some(Err(error)) => Err(exception(py, &error)),
            None => Err(exception(py, &Error::new(ErrorKind::Internal, "the work broke off"))),
        }
    }
}

/// What Python awaits.
#[pyclass(module = "ferro._native")]
struct Pending {
    /// The loop's own future, until it was handed to the task that awaits.
    waiter: Option<Py<PyAny>>,
    outcome: Arc<dyn Outcome>,
    mailbox: Arc<Mailbox>,
    token: Token,
    task: AbortHandle,
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

    /// First the future that the task waits for, then the end, with the result.
    fn __next__(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if let Some(waiter) = self.waiter.take() {
            // As `Future.__await__` does: a task looks whether it is really meant to wait.
            waiter.bind(py).setattr(intern!(py, "_asyncio_future_blocking"), true)?;
            return Ok(waiter);
        }
        if self.mailbox.forget(self.token) {
            return Err(PyRuntimeError::new_err("await was not used with this future"));
        }
        let value = self.outcome.take(py)?;
        Err(PyStopIteration::new_err((value,)))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // Still expected: whoever awaited it was cancelled, or never did.
        if self.mailbox.forget(self.token) {
            self.task.abort();
        }
    }
}

/// Wait for a future on a thread that is not the event loop's, without holding the interpreter.
pub(crate) fn block<T: Send, F: Future<Output = Result<T, Error>>>(
    py: Python<'_>,
    start: impl FnOnce() -> F + Send,
) -> Result<T, Error> {
    check_process()?;
    py.detach(|| runtime().block_on(start()))
}

/// After a `fork` the threads of tokio and the sockets are the parent's: whoever waits for them
/// waits for ever, whoever writes to them speaks in the parent's name.
fn check_process() -> Result<(), Error> {
    static PROCESS: OnceLock<u32> = OnceLock::new();
    let here = std::process::id();
    match *PROCESS.get_or_init(|| here) == here {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::Unsupported,
            "this process was forked from one that uses ferro: connect after the fork only, or \
             start the process with `spawn`",
        )),
    }
}

/// What a lock guards here is whole between any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
