//! Values on SQLite: how they map to its five storage classes.

use std::borrow::Cow;

use ferro_wit::types::{Elements, ScalarType, Scalars};
use serde::Deserialize as _;
use serde::de::value::{self, StrDeserializer};
use uuid::Uuid;

use super::{
    Cell, Expected, Fault, Operand, array, computed, decimal::Decimal, interval, json, push_text,
    temporal,
};

/// The maximum nesting of documents that SQLite can read: its `JSON_MAX_DEPTH`.
pub(crate) const MAX_JSON_DEPTH: usize = 1000;

/// A value as SQLite stores it.
#[derive(Clone, Copy)]
pub(crate) enum Stored<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'a str),
    Blob(&'a [u8]),
}

impl Stored<'_> {
    /// The type of a value if nothing else is known about it; `None` for null.
    pub(crate) fn kind(self) -> Option<ScalarType> {
        Some(match self {
            Self::Null => return None,
            Self::Integer(_) => ScalarType::Integer,
            Self::Real(_) => ScalarType::Float,
            Self::Text(_) => ScalarType::Text,
            Self::Blob(_) => ScalarType::Blob,
        })
    }

    /// The size in bytes of a text or blob.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::Text(it) => it.len(),
            Self::Blob(it) => it.len(),
            Self::Null | Self::Integer(_) | Self::Real(_) => 0,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Integer(_) => "integer",
            Self::Real(_) => "real",
            Self::Text(_) => "text",
            Self::Blob(_) => "blob",
        }
    }
}

/// The type of a column by its declaration, as the core writes it; `None` for other declarations,
/// for which the storage class of each value decides.
pub(crate) fn declared(declaration: &str) -> Option<ScalarType> {
    let name = declaration.split('(').next().unwrap_or_default().trim().to_ascii_uppercase();
    Some(match name.as_str() {
        "BOOLEAN" | "BOOL" => ScalarType::Boolean,
        "SMALLINT" | "INTEGER" | "BIGINT" | "INT" => ScalarType::Integer,
        "REAL" | "DOUBLE" | "DOUBLE PRECISION" | "FLOAT" => ScalarType::Float,
        "DECIMAL_TEXT" => ScalarType::Decimal,
        "TEXT" | "VARCHAR" => ScalarType::Text,
        "BLOB" => ScalarType::Blob,
        "UUID" => ScalarType::Uuid,
        "DATE_TEXT" => ScalarType::Date,
        "TIME_TEXT" => ScalarType::Time,
        "TIMESTAMP_TEXT" => ScalarType::Timestamp,
        "TIMESTAMPTZ_TEXT" => ScalarType::Timestamptz,
        "INTERVAL_TEXT" => ScalarType::Interval,
        "JSON_TEXT" => ScalarType::Json,
        _ => return None,
    })
}

/// The same including arrays, whose declarations contain the type of their elements:
/// `INTEGER_ARRAY_TEXT`.
pub(crate) fn declared_as(declaration: &str) -> Option<Expected> {
    if let Some(kind) = declared(declaration) {
        return Some(Expected { kind, many: false });
    }
    let name = declaration.trim().to_ascii_lowercase();
    let element = StrDeserializer::<value::Error>::new(name.strip_suffix("_array_text")?);
    Some(Expected { kind: ScalarType::deserialize(element).ok()?, many: true })
}

/// The value for a placeholder, or a value of a row that is kept for later.
#[derive(Debug)]
pub(crate) enum Bound<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(Cow<'a, str>),
    Blob(Cow<'a, [u8]>),
}

impl<'a> Bound<'a> {
    /// Converts a value to its stored form.
    pub(crate) fn of(operand: Operand<'a>) -> Result<Self, Fault> {
        Ok(match operand {
            Operand::Scalar(cell) => match cell {
                Cell::Null => Self::Null,
                Cell::Boolean(it) => Self::Integer(i64::from(it)),
                Cell::Integer(it) => Self::Integer(it),
                // SQLite would store it as null.
                Cell::Float(it) if it.is_nan() => Self::Text("NaN".into()),
                Cell::Float(it) => Self::Real(it),
                Cell::Text(it) => Self::Text(it.into()),
                Cell::Blob(it) => Self::Blob(it.into()),
                // Most significant byte first, so that blobs sort like uuids.
                Cell::Uuid((high, low)) => {
                    Self::Blob(Uuid::from_u64_pair(high, low).as_bytes().to_vec().into())
                }
                other => {
                    let mut text = String::new();
                    write_text(other, &mut text)?;
                    Self::Text(text.into())
                }
            },
            Operand::Array(items, start, end) => {
                let mut text = String::new();
                array::write_json(items, start, end, &mut text)?;
                Self::Text(text.into())
            }
        })
    }

    /// Copies borrowed data.
    pub(crate) fn into_owned(self) -> Bound<'static> {
        match self {
            Self::Null => Bound::Null,
            Self::Integer(it) => Bound::Integer(it),
            Self::Real(it) => Bound::Real(it),
            Self::Text(it) => Bound::Text(it.into_owned().into()),
            Self::Blob(it) => Bound::Blob(it.into_owned().into()),
        }
    }

    pub(crate) fn stored(&self) -> Stored<'_> {
        match self {
            Self::Null => Stored::Null,
            Self::Integer(it) => Stored::Integer(*it),
            Self::Real(it) => Stored::Real(*it),
            Self::Text(it) => Stored::Text(it),
            Self::Blob(it) => Stored::Blob(it),
        }
    }
}

impl<'a> From<Stored<'a>> for Bound<'a> {
    fn from(stored: Stored<'a>) -> Self {
        match stored {
            Stored::Null => Self::Null,
            Stored::Integer(it) => Self::Integer(it),
            Stored::Real(it) => Self::Real(it),
            Stored::Text(it) => Self::Text(it.into()),
            Stored::Blob(it) => Self::Blob(it.into()),
        }
    }
}

/// Appends the text of a cell whose type is stored as text.
pub(crate) fn write_text(cell: Cell<'_>, out: &mut String) -> Result<(), Fault> {
    match cell {
        Cell::Text(it) => out.push_str(it),
        Cell::Decimal(it) => Decimal::parse(it)?.write(out),
        Cell::Interval(it) => interval::write(it, out)?,
        Cell::Json(it) => {
            // SQLite could store it, but no JSON path of a query could read it.
            if json::contents(it)?.depth > MAX_JSON_DEPTH {
                return Err(Fault::out_of_range(format!(
                    "is nested more than {MAX_JSON_DEPTH} deep, which SQLite does not read"
                )));
            }
            out.push_str(it);
        }
        other => match temporal::write(other, out) {
            Some(written) => written?,
            None => return Err(Fault::malformed("has no text form")),
        },
    }
    Ok(())
}

/// Appends a stored value to the elements of a column, according to the column's type.
pub(crate) fn read(stored: Stored<'_>, items: &mut Scalars) -> Result<(), Fault> {
    match (&mut items.elements, stored) {
        (_, Stored::Null) => items.push_null(),
        (Elements::Integer(to), Stored::Integer(it)) => to.push(it),
        (Elements::Text(to), Stored::Text(it)) => push_text(to, it)?,
        (Elements::Float(to), Stored::Real(it)) => to.push(it),
        (Elements::Float(to), Stored::Integer(it)) => to.push(it as f64),
        (Elements::Float(to), Stored::Text("NaN")) => to.push(f64::NAN),
        (Elements::Boolean(to), Stored::Integer(it @ (0 | 1))) => to.push(it == 1),
        (Elements::Blob(to), Stored::Blob(it)) => {
            to.data.extend_from_slice(it);
            to.ends.push(super::end_of(to.data.len())?);
        }
        (Elements::Uuid(to), Stored::Blob(it)) => {
            let (high, low) = super::uuid_words(it)?;
            to.extend([high, low]);
        }
        (Elements::Decimal(to), Stored::Text(it)) => {
            Decimal::parse(it).map_err(Fault::stored)?.write(&mut to.data);
            to.ends.push(super::end_of(to.data.len())?);
        }
        (Elements::Decimal(to), Stored::Integer(it)) => push_text(to, &it.to_string())?,
        (Elements::Date(to), Stored::Text(it)) => to.push(temporal::parse_date(it)?),
        (Elements::Time(to), Stored::Text(it)) => to.push(temporal::parse_time(it)?),
        (Elements::Timestamp(to), Stored::Text(it)) => to.push(temporal::parse_timestamp(it)?),
        (Elements::Timestamptz(to), Stored::Text(it)) => to.push(temporal::parse_timestamptz(it)?),
        (Elements::Interval(to), Stored::Text(it)) => to.push(interval::parse(it)?),
        (Elements::Json(to), Stored::Text(it)) => {
            json::check(it).map_err(Fault::stored)?;
            push_text(to, it)?;
        }
        (elements, stored) => {
            let (class, kind) = (stored.class(), elements.kind());
            return Err(Fault::undecodable(match stored {
                Stored::Integer(it) if kind == ScalarType::Boolean => {
                    format!("is the integer {it}, where a boolean is 0 or 1")
                }
                _ => format!("is stored as `{class}`, where `{kind}` is expected"),
            }));
        }
    }
    Ok(())
}

/// The same for values computed by SQL, which have only the five storage classes.
pub(crate) fn read_computed(stored: Stored<'_>, items: &mut Scalars) -> Result<(), Fault> {
    match (items.elements.kind(), stored) {
        (ScalarType::Decimal, Stored::Real(it)) => computed::read(Cell::Float(it), items),
        (ScalarType::Integer, Stored::Real(it)) if it.fract() == 0.0 => {
            computed::read(Cell::Float(it), items)
        }
        (ScalarType::Integer, Stored::Text(it)) if Decimal::parse(it).is_ok() => {
            computed::read(Cell::Decimal(it), items)
        }
        (ScalarType::Uuid, Stored::Text(it)) => computed::read(Cell::Text(it), items),
        (ScalarType::Float, Stored::Text(it)) => computed::read(Cell::Decimal(it), items),
        _ => read(stored, items),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_core_declares_has_a_kind() {
        let kind = declared;
        assert_eq!(kind("DECIMAL_TEXT(10,2)"), Some(ScalarType::Decimal));
        assert_eq!(kind("varchar (20)"), Some(ScalarType::Text));
        assert_eq!(kind("DATETIME"), None);
        assert_eq!(kind(""), None);
    }
}
