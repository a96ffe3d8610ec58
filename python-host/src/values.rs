//! From a Python object to a value, by the kind that the parameter or column has.
//!
//! Nothing is coerced in silence: an object of another type is refused here, by name, before a
//! database sees it.

use ferro_wit::types::{Error, ErrorKind, Interval, ScalarType, Scalars, Value};
use pyo3::exceptions::PyOverflowError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDate, PyDateTime, PyDelta, PyDeltaAccess, PyDict, PyFloat,
    PyInt, PyMapping, PyMemoryView, PyString, PyTime, PyTimeAccess, PyType,
};

use crate::json;

/// A member of more enums inside of each other may be a member of itself.
const MOST_ENUMS: usize = 16;
/// The largest integer up to which every integer is a float too.
const EXACT_FLOAT: u64 = 1 << 53;
/// Beyond this no database has a decimal, and its plain notation would fill the memory.
const LARGEST_EXPONENT: i64 = 131_072;
const MICROSECONDS_PER_SECOND: i64 = 1_000_000;
const MICROSECONDS_PER_DAY: i64 = 86_400 * MICROSECONDS_PER_SECOND;
/// `date.toordinal()` of 1970-01-01.
const ORDINAL_OF_EPOCH: i32 = 719_163;
/// The instants that are a datetime in UTC: the ordinals from 1 to 3,652,059.
const INSTANTS: std::ops::Range<i64> =
    -719_162 * MICROSECONDS_PER_DAY..(3_652_060 - 719_163) * MICROSECONDS_PER_DAY;

/// The value behind a Python object, as a scalar of `kind` or, with `many`, as an array of them.
///
/// The message of an error goes on from the name of what was given the value: "takes …".
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
        ScalarType::Uuid => to_uuid(object),
        ScalarType::Date => to_date(object),
        ScalarType::Time => to_time(object),
        ScalarType::Timestamp => to_timestamp(object, false),
        ScalarType::Timestamptz => to_timestamp(object, true),
        ScalarType::Interval => to_interval(object),
        ScalarType::Json => json::write(object).map(Value::Json),
    }
}

/// The value of an object whose column is not known: an argument of a raw statement.
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

/// What the member of an enum stands for, which may be the member of another.
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

/// A list is an array of what its first element is; of texts if there is none.
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
    to_array(object, kind).map(Value::Array)
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
    } else if is_instance(object, &UUID, "uuid", "UUID") {
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
            "takes a float, and this int has no exact one",
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

/// The plain notation; none for infinities, signalling NaNs and immense exponents.
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

/// The text of a `str`, which may hold halves of surrogate pairs that no database takes.
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

fn to_uuid(object: &Bound<'_, PyAny>) -> Result<Value, Error> {
    if !is_instance(object, &UUID, "uuid", "UUID") {
        return Err(mismatch("a UUID", object));
    }
    let bits: u128 = object
        .getattr(intern!(object.py(), "int"))
        .and_then(|bits| bits.extract())
        .map_err(|error| unreadable(object.py(), &error))?;
    #[expect(clippy::cast_possible_truncation, reason = "each half on its own")]
    let halves = ((bits >> 64) as u64, bits as u64);
    Ok(Value::Uuid(halves))
}

fn to_date(object: &Bound<'_, PyAny>) -> Result<Value, Error> {
    // Every datetime is a date to Python, and none is one to a database.
    let Ok(date) = object.cast::<PyDate>() else {
        return Err(mismatch("a date", object));
    };
    if object.cast::<PyDateTime>().is_ok() {
        return Err(mismatch("a date", object));
    }
    Ok(Value::Date(days(date)?))
}

/// Days since 1970-01-01.
fn days(date: &Bound<'_, PyAny>) -> Result<i32, Error> {
    date.call_method0(intern!(date.py(), "toordinal"))
        .and_then(|ordinal| ordinal.extract::<i32>())
        .map_err(|error| unreadable(date.py(), &error))?
        .checked_sub(ORDINAL_OF_EPOCH)
        .ok_or_else(|| {
            Error::new(ErrorKind::ValueOutOfRange, "takes a date of the years 1 to 9999")
        })
}

fn to_time(object: &Bound<'_, PyAny>) -> Result<Value, Error> {
    let time = object.cast::<PyTime>().map_err(|_| mismatch("a time", object))?;
    if utc_offset(object)?.is_some() {
        return Err(Error::new(ErrorKind::TypeMismatch, "takes a time without a zone"));
    }
    Ok(Value::Time(clock(time)))
}

fn to_timestamp(object: &Bound<'_, PyAny>, aware: bool) -> Result<Value, Error> {
    let expected = match aware {
        true => "an aware datetime",
        false => "a naive datetime",
    };
    let datetime = object.cast::<PyDateTime>().map_err(|_| mismatch(expected, object))?;
    let local = i64::from(days(object)?) * MICROSECONDS_PER_DAY + clock(datetime);
    let refused = |fault| Err(Error::new(ErrorKind::TypeMismatch, fault));
    match (utc_offset(object)?, aware) {
        (Some(offset), true) if INSTANTS.contains(&local.saturating_sub(offset)) => {
            Ok(Value::Timestamptz(local - offset))
        }
        (Some(_), true) => Err(Error::new(
            ErrorKind::ValueOutOfRange,
            "takes an instant whose year is 1 to 9999 in UTC: no other can be read back",
        )),
        (None, false) => Ok(Value::Timestamp(local)),
        (Some(_), false) => {
            refused("takes a naive datetime, not an aware one: the type of those is `datetime`")
        }
        (None, true) => refused(
            "takes an aware datetime, not a naive one: the type of those is \
             `pydantic.NaiveDatetime`",
        ),
    }
}

/// Microseconds since midnight.
fn clock(time: &impl PyTimeAccess) -> i64 {
    let seconds = (i64::from(time.get_hour()) * 60 + i64::from(time.get_minute())) * 60
        + i64::from(time.get_second());
    seconds * MICROSECONDS_PER_SECOND + i64::from(time.get_microsecond())
}

/// What a datetime or a time is ahead of UTC, in microseconds; none for a naive one.
fn utc_offset(object: &Bound<'_, PyAny>) -> Result<Option<i64>, Error> {
    let py = object.py();
    let offset =
        object.call_method0(intern!(py, "utcoffset")).map_err(|error| unreadable(py, &error))?;
    match offset.cast::<PyDelta>() {
        // Less than a day, but of classes that say otherwise.
        Ok(delta) => {
            let days = i64::from(delta.get_days()).saturating_mul(MICROSECONDS_PER_DAY);
            Ok(Some(days.saturating_add(below_a_day(delta))))
        }
        Err(_) => Ok(None),
    }
}

fn to_interval(object: &Bound<'_, PyAny>) -> Result<Value, Error> {
    let delta = object.cast::<PyDelta>().map_err(|_| mismatch("a timedelta", object))?;
    Ok(Value::Interval(Interval {
        months: 0,
        days: delta.get_days(),
        microseconds: below_a_day(delta),
    }))
}

fn below_a_day(delta: &Bound<'_, PyDelta>) -> i64 {
    i64::from(delta.get_seconds()) * MICROSECONDS_PER_SECOND + i64::from(delta.get_microseconds())
}

static DECIMAL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static UUID: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static ENUM: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// `decimal.Decimal`.
pub(crate) fn decimal(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    DECIMAL.import(py, "decimal", "Decimal")
}

/// `uuid.UUID`.
pub(crate) fn uuid(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    UUID.import(py, "uuid", "UUID")
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

/// "takes an int, not a `str`": the type of what was given, never its value, which may be a secret.
fn mismatch(expected: &str, object: &Bound<'_, PyAny>) -> Error {
    let found = object.get_type().name().map_or_else(|_| "object".into(), |name| name.to_string());
    Error::new(ErrorKind::TypeMismatch, format!("takes {expected}, not `{found}`"))
}

/// A method of the object raised: a subclass that does not behave like its base.
fn unreadable(py: Python<'_>, error: &PyErr) -> Error {
    let class = error.get_type(py).name().map_or_else(|_| "error".into(), |name| name.to_string());
    Error::new(
        ErrorKind::TypeMismatch,
        format!("takes a value that can be read, not one that raises `{class}`"),
    )
}

/// Python refuses to print integers of more than 4,300 digits.
fn too_long(py: Python<'_>, error: &PyErr) -> Error {
    match error.is_instance_of::<pyo3::exceptions::PyValueError>(py) {
        true => Error::new(ErrorKind::ValueOutOfRange, "takes a number with fewer digits"),
        false => unreadable(py, error),
    }
}
