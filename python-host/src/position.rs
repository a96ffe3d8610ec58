//! Places in the order of a query: the values, and the text that all who hand them out agree on.

use ferro_wit::position;
use ferro_wit::types::{Error, ErrorKind, Value};
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use crate::columns::read_value;
use crate::errors::raise;
use crate::values::{guess_value, type_name};

/// How a term is called in the order of a position.
#[pyfunction]
pub(crate) fn position_term(path: &str, descending: bool, nulls_first: bool) -> String {
    position::term(path, descending, nulls_first)
}

/// The text of a position.
#[pyfunction]
pub(crate) fn position_text(
    py: Python<'_>,
    order: &str,
    values: &Bound<'_, PyTuple>,
) -> PyResult<String> {
    let values: Result<Vec<_>, _> = values.iter().map(|it| ordering_value(&it)).collect();
    raise(py, values).map(|values| position::write(order, &values))
}

/// The order and the values of a text.
#[pyfunction]
pub(crate) fn position_parts<'py>(
    py: Python<'py>,
    text: &Bound<'py, PyString>,
) -> PyResult<(String, Bound<'py, PyTuple>)> {
    let read = |(order, values): (String, Vec<Value>)| {
        let objects: PyResult<Vec<_>> = values.iter().map(|it| read_value(py, it, "")).collect();
        Some((order, PyTuple::new(py, objects.ok()?).ok()?))
    };
    let parts = text.to_str().ok().and_then(position::read).and_then(read).ok_or_else(|| {
        Error::new(ErrorKind::InvalidQuery, "the text is not a position in a query")
    });
    raise(py, parts)
}

fn ordering_value(object: &Bound<'_, PyAny>) -> Result<Value, Error> {
    match guess_value(object) {
        Ok(Value::Interval(_) | Value::Json(_) | Value::Array(_)) | Err(_) => {
            let ty = type_name(object);
            let message = format!("cannot page rows that are ordered by `{ty}`");
            Err(Error::new(ErrorKind::InvalidQuery, message))
        }
        Ok(value) => Ok(value),
    }
}
