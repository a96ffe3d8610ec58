//! Between asyncio and tokio: futures that Python awaits, and waits that release the interpreter.

use std::future::Future;
use std::sync::OnceLock;

use ferro_wit::types::{Error, ErrorKind};
use pyo3::prelude::*;
use pyo3_async_runtimes::tokio::{future_into_py, get_runtime};

use crate::errors::{Outcome, raise};

/// Run a future on tokio; what is returned is an `asyncio.Future` of the running loop. Cancelling
/// that drops the Rust future where it stands.
pub(crate) fn spawn<'py, T>(
    py: Python<'py>,
    future: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> PyResult<Bound<'py, PyAny>>
where
    T: for<'any> IntoPyObject<'any> + Send + 'static,
{
    raise(py, check_process())?;
    future_into_py(py, async move { Ok(Outcome(future.await)) })
}

/// Wait for a future on a thread that is not the event loop's, without holding the interpreter.
pub(crate) fn block<T: Send, F: Future<Output = Result<T, Error>>>(
    py: Python<'_>,
    start: impl FnOnce() -> F + Send,
) -> Result<T, Error> {
    check_process()?;
    py.detach(|| get_runtime().block_on(start()))
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
