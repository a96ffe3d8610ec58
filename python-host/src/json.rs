//! Conversion between JSON documents and Python objects.

use std::fmt::Write as _;

use ferro_wit::types::{Error, ErrorKind};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::values::{type_name, utf8};

/// Deeper documents are rejected: `read`, which is Pydantic's parser, would fail on them.
const DEEPEST: usize = 200;

/// Writes a document of dicts with `str` keys, lists, tuples, strings, finite numbers, booleans and
/// None.
pub(crate) fn write(object: &Bound<'_, PyAny>) -> Result<String, Error> {
    let mut text = String::new();
    write_into(&mut text, object, 0)?;
    Ok(text)
}

fn write_into(text: &mut String, object: &Bound<'_, PyAny>, depth: usize) -> Result<(), Error> {
    if object.is_none() {
        text.push_str("null");
    } else if let Ok(it) = object.cast::<PyBool>() {
        text.push_str(if it.is_true() { "true" } else { "false" });
    } else if object.is_instance_of::<PyInt>() {
        // `int.__repr__`, so that an enum of integers prints its number too.
        let digits = object
            .py()
            .get_type::<PyInt>()
            .call_method1("__repr__", (object,))
            .and_then(|digits| digits.extract::<String>())
            .map_err(|_| not_json("an int of too many digits"))?;
        text.push_str(&digits);
    } else if let Ok(it) = object.cast::<PyFloat>() {
        write_float(text, it.value())?;
    } else if let Ok(it) = object.cast::<PyString>() {
        write_string(text, &utf8(it)?);
    } else if let Ok(it) = object.cast::<PyDict>() {
        write_dict(text, it, depth)?;
    } else if object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() {
        write_list(text, object, depth)?;
    } else {
        return Err(not_json(&format!("a `{}`", type_name(object))));
    }
    Ok(())
}

fn write_float(text: &mut String, float: f64) -> Result<(), Error> {
    if !float.is_finite() {
        return Err(not_json("a float that is not finite"));
    }
    let _ = write!(text, "{float:?}");
    Ok(())
}

fn write_string(text: &mut String, string: &str) {
    text.push('"');
    for letter in string.chars() {
        match letter {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            control if control < ' ' => {
                let _ = write!(text, "\\u{:04x}", u32::from(control));
            }
            other => text.push(other),
        }
    }
    text.push('"');
}

fn write_dict(text: &mut String, dict: &Bound<'_, PyDict>, depth: usize) -> Result<(), Error> {
    check_depth(depth)?;
    text.push('{');
    for (index, (key, value)) in dict.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        let key =
            key.cast::<PyString>().map_err(|_| not_json("a dict with a key that is not a str"))?;
        write_string(text, &utf8(key)?);
        text.push(':');
        write_into(text, &value, depth + 1)?;
    }
    text.push('}');
    Ok(())
}

fn write_list(text: &mut String, list: &Bound<'_, PyAny>, depth: usize) -> Result<(), Error> {
    check_depth(depth)?;
    text.push('[');
    let items = list.try_iter().map_err(|_| not_json("a list that cannot be iterated"))?;
    for (index, item) in items.enumerate() {
        if index > 0 {
            text.push(',');
        }
        let item = item.map_err(|_| not_json("a list that cannot be iterated"))?;
        write_into(text, &item, depth + 1)?;
    }
    text.push(']');
    Ok(())
}

/// Checks the nesting depth of a dict or a list.
fn check_depth(depth: usize) -> Result<(), Error> {
    if depth < DEEPEST {
        return Ok(());
    }
    let message = format!("takes a JSON document of at most {DEEPEST} levels");
    Err(Error::new(ErrorKind::ValueOutOfRange, message))
}

fn not_json(found: &str) -> Error {
    Error::new(
        ErrorKind::TypeMismatch,
        format!("takes a JSON document, which {found} is not part of"),
    )
}

static FROM_JSON: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The Python objects of a document.
pub(crate) fn read<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    let from_json = FROM_JSON.get_or_try_init(py, || {
        PyResult::Ok(py.import("pydantic_core")?.getattr("from_json")?.unbind())
    })?;
    from_json.bind(py).call1((text,))
}

static DEEP_COPY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// A deep copy of a document, which changes in place do not affect.
pub(crate) fn copy<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    if let Ok(dict) = object.cast_exact::<PyDict>() {
        let copied = PyDict::new(py);
        for (key, value) in dict {
            copied.set_item(key, copy(&value)?)?;
        }
        return Ok(copied.into_any());
    }
    if let Ok(list) = object.cast_exact::<PyList>() {
        let items: Vec<_> = list.iter().map(|item| copy(&item)).collect::<PyResult<_>>()?;
        return Ok(PyList::new(py, items)?.into_any());
    }
    if object.is_none()
        || object.is_exact_instance_of::<PyString>()
        || object.is_exact_instance_of::<PyInt>()
        || object.is_exact_instance_of::<PyFloat>()
        || object.is_exact_instance_of::<PyBool>()
    {
        return Ok(object.clone());
    }
    // Types that only a caller creates: a tuple, a class of its own.
    let deep_copy = DEEP_COPY
        .get_or_try_init(py, || PyResult::Ok(py.import("copy")?.getattr("deepcopy")?.unbind()))?;
    deep_copy.bind(py).call1((object,))
}
