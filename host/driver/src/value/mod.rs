//! Conversions of values between WIT, SQLite and PostgreSQL: one file per database, one per
//! complicated type, and shared types.
//!
//! | kind | SQLite | PostgreSQL |
//! | --- | --- | --- |
//! | boolean | integer 0 or 1 | `bool` |
//! | integer | integer | `int8`, read from `int2`, `int4` and `oid` too |
//! | float | real; NaN as the text `NaN` | `float8`, read from `float4` too |
//! | decimal | text, see [`decimal`] | `numeric` |
//! | text | text | `text`, read from every type whose wire form is text |
//! | blob | blob | `bytea` |
//! | uuid | blob of 16 bytes | `uuid` |
//! | date, time, timestamp, timestamptz | text that sorts, see [`temporal`] | their own types |
//! | interval | text, see [`interval`] | `interval` |
//! | json | text | `jsonb`, read from `json` too |
//! | array | JSON text, see [`array`](mod@array) | array |

pub(crate) mod array;
pub(crate) mod computed;
pub(crate) mod conversion;
pub(crate) mod decimal;
pub(crate) mod exact;
pub(crate) mod interval;
pub(crate) mod json;
pub(crate) mod postgres;
pub(crate) mod sqlite;
pub(crate) mod temporal;

use std::fmt;

use ferro_wit::types::{Elements, Error, ErrorKind, Interval, ScalarType, Scalars, Value};
use uuid::Uuid;

/// One scalar, borrowed from a parameter or from a column of a batch.
#[derive(Clone, Copy)]
pub(crate) enum Cell<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Decimal(&'a str),
    Text(&'a str),
    Blob(&'a [u8]),
    Uuid((u64, u64)),
    Date(i32),
    Time(i64),
    Timestamp(i64),
    Timestamptz(i64),
    Interval(&'a Interval),
    Json(&'a str),
}

/// The value of one placeholder.
#[derive(Clone, Copy)]
pub(crate) enum Operand<'a> {
    Scalar(Cell<'a>),
    /// The elements from the first index up to the second.
    Array(&'a Scalars, usize, usize),
}

/// The type that a placeholder expects.
#[derive(Clone, Copy)]
pub(crate) struct Expected {
    pub(crate) kind: ScalarType,
    pub(crate) many: bool,
}

/// What is wrong with a value: the predicate of a sentence; the caller adds the place of the value
/// as its subject.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
    pub(crate) predicate: String,
}

impl<'a> Cell<'a> {
    /// `None` past the end, and if the elements are inconsistent.
    pub(crate) fn of(scalars: &'a Scalars, index: usize) -> Option<Self> {
        if index >= scalars.len() {
            return None;
        }
        if scalars.is_null(index) {
            return Some(Self::Null);
        }
        Some(match &scalars.elements {
            Elements::Boolean(it) => Self::Boolean(*it.get(index)?),
            Elements::Integer(it) => Self::Integer(*it.get(index)?),
            Elements::Float(it) => Self::Float(*it.get(index)?),
            Elements::Decimal(it) => Self::Decimal(it.get(index)?),
            Elements::Text(it) => Self::Text(it.get(index)?),
            Elements::Blob(it) => Self::Blob(it.get(index)?),
            Elements::Uuid(it) => Self::Uuid((*it.get(2 * index)?, *it.get(2 * index + 1)?)),
            Elements::Date(it) => Self::Date(*it.get(index)?),
            Elements::Time(it) => Self::Time(*it.get(index)?),
            Elements::Timestamp(it) => Self::Timestamp(*it.get(index)?),
            Elements::Timestamptz(it) => Self::Timestamptz(*it.get(index)?),
            Elements::Interval(it) => Self::Interval(it.get(index)?),
            Elements::Json(it) => Self::Json(it.get(index)?),
        })
    }

    /// `None` for null.
    pub(crate) fn kind(self) -> Option<ScalarType> {
        Some(ferro_wit::scalar_kind!(self, Self::Null => return None))
    }
}

impl<'a> Operand<'a> {
    pub(crate) fn of(value: &'a Value) -> Self {
        Self::Scalar(match value {
            Value::Null => Cell::Null,
            Value::Boolean(it) => Cell::Boolean(*it),
            Value::Integer(it) => Cell::Integer(*it),
            Value::Float(it) => Cell::Float(*it),
            Value::Decimal(it) => Cell::Decimal(it),
            Value::Text(it) => Cell::Text(it),
            Value::Blob(it) => Cell::Blob(it),
            Value::Uuid(it) => Cell::Uuid(*it),
            Value::Date(it) => Cell::Date(*it),
            Value::Time(it) => Cell::Time(*it),
            Value::Timestamp(it) => Cell::Timestamp(*it),
            Value::Timestamptz(it) => Cell::Timestamptz(*it),
            Value::Interval(it) => Cell::Interval(it),
            Value::Json(it) => Cell::Json(it),
            Value::Array(it) => return Self::Array(it, 0, it.len()),
        })
    }

    /// The type of the operand; `None` for null, which fits everywhere.
    pub(crate) fn expected(self) -> Option<Expected> {
        match self {
            Self::Scalar(cell) => cell.kind().map(|kind| Expected { kind, many: false }),
            Self::Array(items, ..) => Some(Expected { kind: items.elements.kind(), many: true }),
        }
    }

    /// Nothing is converted: a null and an empty array fit everywhere, other types must match.
    pub(crate) fn check(self, expected: Expected) -> Result<(), Fault> {
        let fits = match self {
            Self::Scalar(Cell::Null) => true,
            Self::Scalar(cell) => !expected.many && cell.kind() == Some(expected.kind),
            Self::Array(items, start, end) => {
                expected.many && (start == end || items.elements.kind() == expected.kind)
            }
        };
        match (fits, self.expected()) {
            (false, Some(given)) => Err(Fault::mismatch(given, expected)),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.many { "array of " } else { "" }, self.kind)
    }
}

impl Fault {
    pub(crate) fn new(kind: ErrorKind, predicate: impl Into<String>) -> Self {
        Self { kind, predicate: predicate.into() }
    }

    pub(crate) fn mismatch(given: Expected, expected: Expected) -> Self {
        let predicate = format!("is of type `{given}`, where `{expected}` is expected");
        Self::new(ErrorKind::TypeMismatch, predicate)
    }

    pub(crate) fn malformed(predicate: impl Into<String>) -> Self {
        Self::new(ErrorKind::TypeMismatch, predicate)
    }

    pub(crate) fn out_of_range(predicate: impl Into<String>) -> Self {
        Self::new(ErrorKind::ValueOutOfRange, predicate)
    }

    pub(crate) fn undecodable(predicate: impl Into<String>) -> Self {
        Self::new(ErrorKind::DecodeFailed, predicate)
    }

    pub(crate) fn too_large() -> Self {
        Self::new(ErrorKind::LimitExceeded, "is too large: a batch holds 4 GiB of each column")
    }

    /// The complete sentence.
    pub(crate) fn at(self, place: impl fmt::Display) -> Error {
        Error::new(self.kind, format!("{place} {}", self.predicate))
    }

    /// Turns a fault of a value to be sent into one of a value that was read.
    pub(crate) fn stored(self) -> Self {
        Self { kind: ErrorKind::DecodeFailed, ..self }
    }
}

/// Appends a text to a column.
pub(crate) fn push_text(texts: &mut ferro_wit::types::Texts, text: &str) -> Result<(), Fault> {
    texts.data.push_str(text);
    texts.ends.push(end_of(texts.data.len())?);
    Ok(())
}

/// The end of a text or an array that was just appended to a column.
pub(crate) fn end_of(length: usize) -> Result<u32, Fault> {
    u32::try_from(length).map_err(|_| Fault::too_large())
}

/// The two halves of a uuid of 16 bytes.
pub(crate) fn uuid_words(bytes: &[u8]) -> Result<(u64, u64), Fault> {
    Uuid::from_slice(bytes)
        .map(|it| it.as_u64_pair())
        .map_err(|_| Fault::undecodable(format!("has {} bytes instead of 16", bytes.len())))
}
