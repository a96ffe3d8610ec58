//! Conversion of Python objects to values, by the kind of the parameter or column.
//!
//! Nothing is coerced silently: an object of another type is rejected here, with its name, before
//! anything is sent.

use ferro_wit::types::{Error, ErrorKind, ScalarType, Scalars, Value};
use pyo3::exceptions::PyOverflowError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDate, PyDateTime, PyDelta, PyDict, PyFloat, PyInt, PyMapping,
    PyMemoryView, PyString, PyTime, PyType,
};

use crate::json;
use crate::times::{to_date, to_interval, to_time, to_timestamp, utc_offset};
use crate::uuids::Uuids;

/// Maximum nesting of enums in values of members; deeper ones may be cyclic.
const MOST_ENUMS: usize = 16;
/// The largest integer up to which every integer is a float too.
const EXACT_FLOAT: u64 = 1 << 53;
/// No database supports larger decimals, and their plain notation would fill the memory.
const LARGEST_EXPONENT: i64 = 131_072;

/// The value behind a Python object, as a scalar of `kind` or, with `many`, as an array of them.
///
/// Error messages continue after the name of the target: "takes …".
pub(crate) fn to_value(
    object: &Bound<'_, PyAny>,
    kind: ScalarType,
    many: bool,
) -> Result<Value, Error> {
    if object.is_none() {
        return Ok(Value::Null);
    }
    if many {
        return to_array(object, kind).map(Value::Array);
    }
    to_scalar(object, kind)
}

fn to_array(object: &Bound<'_, PyAny>, kind: ScalarType) -> Result<Scalars, Error> {
    let refused = object.is_instance_of::<PyString>()
        || object.is_instance_of::<PyBytes>()
        || object.is_instance_of::<PyDict>()
        || object.cast::<PyMapping>().is_ok();
    let items = match object.try_iter() {
        Ok(items) if !refused => items,
        _ => return Err(mismatch("a list", object)),
    };
    let mut scalars = Scalars::with_kind(kind);
    for item in items {
        let item = item.map_err(|error| unreadable(object.py(), &error))?;
        let value = match item.is_none() {
            true => Value::Null,
            false => to_scalar(&item, kind)?,
        };
        scalars.push(value).map_err(|_| {
            Error::new(ErrorKind::ValueOutOfRange, "takes no more than 4 GiB in one list")
        })?;
    }
    Ok(scalars)
}

fn to_scalar(object: &Bound<'_, PyAny>, kind: ScalarType) -> Result<Value, Error> {
    match kind {
        ScalarType::Boolean => to_boolean(object),
        ScalarType::Integer => to_integer(object),
        ScalarType::Float => to_float(object),
        ScalarType::Decimal => to_decimal(object),
        ScalarType::Text => to_text(object),
        ScalarType::Blob => to_blob(object),
        ScalarType::Uuid => Uuids::read(object),
        ScalarType::Date => to_date(object),
        ScalarType::Time => to_time(object),
        ScalarType::Timestamp => to_timestamp(object, false),
        ScalarType::Timestamptz => to_timestamp(object, true),
        ScalarType::Interval => to_interval(object),
        ScalarType::Json => json::write(object).map(Value::Json),
    }
}

/// The value of an object without a known column: an argument of SQL text.
pub(crate) fn guess_value(object: &Bound<'_, PyAny>) -> Result<Value, Error> {
    let object = &without_enums(object.clone())?;
    if object.is_none() {
        return Ok(Value::Null);
    }
    let kind = kind_of(object).ok_or_else(|| mismatch("a value that has a type in SQL", object))?;
    if kind != ScalarType::Json || object.is_instance_of::<PyDict>() {
        return to_scalar(object, kind);
    }
    guess_array(object)
}

/// The value of an enum's member, which may itself be a member of another enum.
fn without_enums(mut object: Bound<'_, PyAny>) -> Result<Bound<'_, PyAny>, Error> {
    let py = object.py();
    for _ in 0..MOST_ENUMS {
        if !is_instance(&object, &ENUM, "enum", "Enum") {
            return Ok(object);
        }
        object = object.getattr(intern!(py, "value")).map_err(|error| unreadable(py, &error))?;
    }
    Err(mismatch("an enum that stands for a value", &object))
}

/// A list is an array of the type of its first element, of texts if it is empty, or a document if
/// the element is a dict or a list.
fn guess_array(object: &Bound<'_, PyAny>) -> Result<Value, Error> {
    let items = object.try_iter().map_err(|error| unreadable(object.py(), &error))?;
    let mut kind = ScalarType::Text;
    for item in items {
        let item = item.map_err(|error| unreadable(object.py(), &error))?;
        if !item.is_none() {
            kind = kind_of(&item).ok_or_else(|| mismatch("a list of values", &item))?;
            break;
        }
    }
    match kind {
        ScalarType::Json => to_scalar(object, kind),
        kind => to_array(object, kind).map(Value::Array),
    }
}

fn kind_of(object: &Bound<'_, PyAny>) -> Option<ScalarType> {
    Some(if object.is_instance_of::<PyBool>() {
        ScalarType::Boolean
    } else if object.is_instance_of::<PyInt>() {
        ScalarType::Integer
    } else if object.is_instance_of::<PyFloat>() {
        ScalarType::Float
    } else if object.is_instance_of::<PyString>() {
        ScalarType::Text
    } else if is_bytes_like(object) {
        ScalarType::Blob
    } else if object.cast::<PyDateTime>().is_ok() {
        match utc_offset(object) {
            Ok(Some(_)) => ScalarType::Timestamptz,
            _ => ScalarType::Timestamp,
        }
    } else if object.cast::<PyDate>().is_ok() {
        ScalarType::Date
    } else if object.cast::<PyTime>().is_ok() {
        ScalarType::Time
    } else if object.cast::<PyDelta>().is_ok() {
        ScalarType::Interval
    } else if is_instance(object, &DECIMAL, "decimal", "Decimal") {
        ScalarType::Decimal
    } else if Uuids::is_one(object) {
        ScalarType::Uuid
    } else if object.is_instance_of::<PyDict>()
        || object.is_instance_of::<pyo3::types::PyList>()
        || object.is_instance_of::<pyo3::types::PyTuple>()
    {
        ScalarType::Json
    } else {
        return None;
    })
}

fn to_boolean(object: &Bound<'_, PyAny>) -> Result<Value, Error> {
    let boolean = object.cast::<PyBool>().map_err(|_| mismatch("a bool", object))?;
    Ok(Value::Boolean(boolean.is_true()))
}

fn to_integer(object: &Bound<'_, PyAny>) -> Result<Value, Error> {
    if !object.is_instance_of::<PyInt>() || object.is_instance_of::<PyBool>() {
        return Err(mismatch("an int", object));
    }
    object.extract().map(Value::Integer).map_err(|error| {
        match error.is_instance_of::<PyOverflowError>(object.py()) {
            true => Error::new(ErrorKind::ValueOutOfRange, "takes an int of at most 64 bits"),
            false => unreadable(object.py(), &error),
        }
    })
}

fn to_float(object: &Bound<'_, PyAny>) -> Result<Value, Error> {
    if let Ok(float) = object.cast::<PyFloat>() {
        return Ok(Value::Float(float.value()));
    }
    match to_integer(object) {
        Ok(Value::Integer(it)) if it.unsigned_abs() <= EXACT_FLOAT => {
            #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
            let float = it as f64;
            Ok(Value::Float(float))
        }
        Ok(_) => Err(Error::new(
            ErrorKind::ValueOutOfRange,
            "takes a float, and no float equals this int",
        )),
        Err(_) => Err(mismatch("a float", object)),
    }
}

fn to_decimal(object: &Bound<'_, PyAny>) -> Result<Value, Error> {
    if object.is_instance_of::<PyInt>() && !object.is_instance_of::<PyBool>() {
        let digits = object.str().map_err(|error| too_long(object.py(), &error))?;
        return Ok(Value::Decimal(digits.to_string()));
    }
    if !is_instance(object, &DECIMAL, "decimal", "Decimal") {
        return Err(mismatch("a Decimal", object));
    }
    plain_decimal(object)
        .map_err(|error| unreadable(object.py(), &error))?
        .map(Value::Decimal)
        .ok_or_else(|| {
            Error::new(
                ErrorKind::ValueOutOfRange,
                "takes a Decimal that is a number of at most 131072 digits, or NaN",
            )
        })
}

/// The plain notation; `None` for infinities, signalling NaNs and huge exponents.
fn plain_decimal(object: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    let py = object.py();
    if object.call_method0(intern!(py, "is_qnan"))?.is_truthy()? {
        return Ok(Some("NaN".into()));
    }
    if !object.call_method0(intern!(py, "is_finite"))?.is_truthy()? {
        return Ok(None);
    }
    let exponent: i64 = object
        .call_method0(intern!(py, "as_tuple"))?
        .getattr(intern!(py, "exponent"))?
        .extract()?;
    let highest: i64 = object.call_method0(intern!(py, "adjusted"))?.extract()?;
    if exponent < -LARGEST_EXPONENT || highest > LARGEST_EXPONENT {
        return Ok(None);
    }
    let text = object.call_method1(intern!(py, "__format__"), ("f",))?;
    text.extract().map(Some)
}

fn to_text(object: &Bound<'_, PyAny>) -> Result<Value, Error> {
    let text = object.cast::<PyString>().map_err(|_| mismatch("a str", object))?;
    Ok(Value::Text(utf8(text)?.into_owned()))
}

/// The text of a `str`, which may contain lone surrogates that no database accepts.
pub(crate) fn utf8<'a>(text: &'a Bound<'_, PyString>) -> Result<std::borrow::Cow<'a, str>, Error> {
    text.to_cow()
        .map_err(|_| Error::new(ErrorKind::ValueOutOfRange, "takes a str without lone surrogates"))
}

fn is_bytes_like(object: &Bound<'_, PyAny>) -> bool {
    object.is_instance_of::<PyBytes>()
        || object.is_instance_of::<PyByteArray>()
        || object.is_instance_of::<PyMemoryView>()
}

fn to_blob(object: &Bound<'_, PyAny>) -> Result<Value, Error> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(Value::Blob(bytes.as_bytes().to_vec()));
    }
    if let Ok(bytes) = object.cast::<PyByteArray>() {
        return Ok(Value::Blob(bytes.to_vec()));
    }
    if !object.is_instance_of::<PyMemoryView>() {
        return Err(mismatch("bytes", object));
    }
    object
        .call_method0(intern!(object.py(), "tobytes"))
        .and_then(|bytes| bytes.extract().map(Value::Blob))
        .map_err(|error| unreadable(object.py(), &error))
}

static DECIMAL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static ENUM: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// `decimal.Decimal`.
pub(crate) fn decimal(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    DECIMAL.import(py, "decimal", "Decimal")
}

fn is_instance(
    object: &Bound<'_, PyAny>,
    cell: &PyOnceLock<Py<PyType>>,
    module: &str,
    name: &str,
) -> bool {
    cell.import(object.py(), module, name)
        .is_ok_and(|class| object.is_instance(class).unwrap_or(false))
}

/// "takes an int, not a `str`": names the type, never the value, which may be a secret.
pub(crate) fn mismatch(expected: &str, object: &Bound<'_, PyAny>) -> Error {
    let found = type_name(object);
    Error::new(ErrorKind::TypeMismatch, format!("takes {expected}, not `{found}`"))
}

pub(crate) fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "object".into(), |name| name.to_string())
}

/// The error if a method of the object raises, as in a subclass that does not behave like its base.
pub(crate) fn unreadable(py: Python<'_>, error: &PyErr) -> Error {
    let class = error.get_type(py).name().map_or_else(|_| "error".into(), |name| name.to_string());
    Error::new(
        ErrorKind::TypeMismatch,
        format!("takes a value that can be read, not one that raises `{class}`"),
    )
}

/// The error for integers of more than 4,300 digits, which Python does not print.
fn too_long(py: Python<'_>, error: &PyErr) -> Error {
    match error.is_instance_of::<pyo3::exceptions::PyValueError>(py) {
        true => Error::new(ErrorKind::ValueOutOfRange, "takes a number with fewer digits"),
        false => unreadable(py, error),
    }
}
