//! The one conversion of errors into Python exceptions.

use std::cell::RefCell;

use ferro_wit::types::{Error, ErrorKind};
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

thread_local! {
    /// An exception that interrupted Python code called from here, such as `KeyboardInterrupt`. It
    /// is meant for the program, but travels as the error of an operation to its awaiter.
    static INTERRUPT: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// The exception for an error; its class is `ferro.exceptions`' choice by kind.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    if let Some(interrupt) = INTERRUPT.take() {
        return interrupt;
    }
    make(py, error).unwrap_or_else(|failure| failure)
}

fn make(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let make = MAKE.get_or_try_init(py, || {
        PyResult::Ok(py.import("ferro.exceptions")?.getattr("from_native")?.unbind())
    })?;
    let raised = make.bind(py).call1((
        error.kind.to_string(),
        error.message.as_str(),
        error.code.as_deref(),
        error.constraint.as_deref(),
        error.table.as_deref(),
        error.column.as_deref(),
        error.retryable,
    ))?;
    Ok(PyErr::from_value(raised))
}

/// The error inside an exception of Python code called from here, such as the compiler.
pub(crate) fn from_exception(py: Python<'_>, raised: &PyErr) -> Error {
    if is_interrupt(py, raised) {
        INTERRUPT.set(Some(raised.clone_ref(py)));
    }
    let value = raised.value(py);
    let kind = value
        .getattr(intern!(py, "kind"))
        .and_then(|kind| kind.extract::<String>())
        .ok()
        .and_then(|kind| serde_json::from_value::<ErrorKind>(kind.into()).ok());
    match kind {
        Some(kind) => Error::new(kind, value.to_string()),
        None => Error::new(ErrorKind::Internal, raised.to_string()),
    }
}

/// Whether an exception is meant for the program, as `KeyboardInterrupt` and `SystemExit` are.
pub(crate) fn is_interrupt(py: Python<'_>, raised: &PyErr) -> bool {
    !raised.is_instance_of::<PyException>(py)
}

/// For synchronous functions.
pub(crate) fn raise<T>(py: Python<'_>, result: Result<T, Error>) -> PyResult<T> {
    result.map_err(|error| exception(py, &error))
}
