//! Arrays of one dimension: JSON text of the stored forms on SQLite, PostgreSQL's binary arrays.
//!
//! In JSON, booleans are 0 and 1, numbers are numbers (infinities `9e999`, not-a-number the text
//! `NaN`), uuids and byte strings are hexadecimal text, and all others are the text that a column
//! of their type stores. So `json_each` returns values that can be compared with columns; uuids and
//! byte strings need `unhex`.

use std::fmt::{self, Write};

use ferro_wit::types::{ScalarType, Scalars, Value};
use uuid::Uuid;

use super::{Cell, Expected, Fault, conversion, json, postgres, sqlite, sqlite::Stored};

/// Appends the JSON text of an element that is stored as a column on SQLite.
pub(crate) fn write_stored(stored: Stored<'_>, out: &mut String) {
    let written = match stored {
        Stored::Null => write!(out, "null"),
        Stored::Integer(it) => write!(out, "{it}"),
        Stored::Real(f64::INFINITY) => write!(out, "9e999"),
        Stored::Real(f64::NEG_INFINITY) => write!(out, "-9e999"),
        Stored::Real(it) => write!(out, "{it:?}"),
        Stored::Text(it) => {
            json::write_string(it, out);
            Ok(())
        }
        Stored::Blob(it) => write!(out, "\"{}\"", hex::encode(it)),
    };
    // Writing to a string cannot fail.
    let _: fmt::Result = written;
}

/// Appends the JSON text of a range of elements.
pub(crate) fn write_json(
    items: &Scalars,
    start: usize,
    end: usize,
    out: &mut String,
) -> Result<(), Fault> {
    let mut text = String::new();
    out.push('[');
    for index in start..end {
        if index > start {
            out.push(',');
        }
        let cell = Cell::of(items, index).ok_or_else(contradictory)?;
        let bytes;
        let stored = match cell {
            Cell::Null => Stored::Null,
            Cell::Boolean(it) => Stored::Integer(i64::from(it)),
            Cell::Integer(it) => Stored::Integer(it),
            Cell::Float(it) if it.is_nan() => Stored::Text("NaN"),
            Cell::Float(it) => Stored::Real(it),
            Cell::Blob(it) => Stored::Blob(it),
            Cell::Uuid((high, low)) => {
                bytes = Uuid::from_u64_pair(high, low).into_bytes();
                Stored::Blob(&bytes)
            }
            other => {
                text.clear();
                sqlite::write_text(other, &mut text)?;
                Stored::Text(&text)
            }
        };
        write_stored(stored, out);
    }
    out.push(']');
    Ok(())
}

/// Parses a JSON text, and appends its elements to those of a column.
pub(crate) fn read_json(text: &str, items: &mut Scalars) -> Result<(), Fault> {
    let kind = items.elements.kind();
    each(text, |element| read_element(element, kind, items))
}

/// The elements of a JSON text, each with the type that JSON gives it.
pub(crate) fn scalars(text: &str) -> Result<Vec<Value>, Fault> {
    let mut found = Vec::new();
    each(text, |element| {
        let kind = match element.as_bytes() {
            [b'"', ..] => ScalarType::Text,
            b"true" | b"false" => ScalarType::Boolean,
            _ if element.parse::<i64>().is_ok() => ScalarType::Integer,
            // A float would lose digits.
            [b'-' | b'0'..=b'9', ..] if !element.contains(['e', 'E']) => {
                found.push(Value::Decimal(element.to_owned()));
                return Ok(());
            }
            // Infinities are written as numbers, but other numbers are none.
            [b'-' | b'0'..=b'9', ..] if !matches!(element, "9e999" | "-9e999") => {
                found.push(Value::Float(conversion::float(element)?));
                return Ok(());
            }
            _ => ScalarType::Float,
        };
        let mut items = Scalars::with_kind(kind);
        read_element(element, kind, &mut items)?;
        found.extend(items.get(0));
        Ok(())
    })?;
    Ok(found)
}

/// Passes the JSON of each element of an array to `take`.
fn each(text: &str, mut take: impl FnMut(&str) -> Result<(), Fault>) -> Result<(), Fault> {
    let shape = || Fault::undecodable("is not a JSON array of scalars");
    let mut rest = text.trim_ascii().strip_prefix('[').ok_or_else(shape)?.trim_ascii_start();
    if rest == "]" {
        return Ok(());
    }
    loop {
        let (element, after) = split_element(rest).ok_or_else(shape)?;
        take(element)?;
        rest = after.trim_ascii_start();
        rest = match rest.strip_prefix(',') {
            Some(more) => more.trim_ascii_start(),
            None if rest == "]" => return Ok(()),
            None => return Err(shape()),
        };
    }
}

fn read_element(element: &str, kind: ScalarType, items: &mut Scalars) -> Result<(), Fault> {
    if element == "null" {
        items.push_null();
        return Ok(());
    }
    if element.starts_with('"') {
        let text: String = serde_json::from_str(element)
            .map_err(|_| Fault::undecodable("is not a JSON array of scalars"))?;
        return match kind {
            ScalarType::Blob | ScalarType::Uuid => {
                let bytes = hex::decode(&text)
                    .map_err(|_| Fault::undecodable("has an element that is not hexadecimal"))?;
                sqlite::read(Stored::Blob(&bytes), items)
            }
            _ => sqlite::read(Stored::Text(&text), items),
        };
    }
    let stored = match element {
        "true" => Some(Stored::Integer(1)),
        "false" => Some(Stored::Integer(0)),
        _ => {
            element.parse().map(Stored::Integer).or_else(|_| element.parse().map(Stored::Real)).ok()
        }
    };
    let stored = stored.ok_or_else(|| Fault::undecodable("is not a JSON array of scalars"))?;
    sqlite::read(stored, items)
}

/// Splits off the text of the next scalar.
fn split_element(text: &str) -> Option<(&str, &str)> {
    let end = match text.strip_prefix('"') {
        Some(string) => {
            let mut escaped = false;
            let close = string.bytes().position(|byte| {
                let closes = byte == b'"' && !escaped;
                escaped = byte == b'\\' && !escaped;
                closes
            })?;
            close + 2
        }
        None => text.find(|it: char| matches!(it, ',' | ']') || it.is_ascii_whitespace())?,
    };
    (end > 0).then(|| text.split_at_checked(end)).flatten()
}

/// Appends a range of elements in PostgreSQL's binary form.
pub(crate) fn write_binary(
    items: &Scalars,
    start: usize,
    end: usize,
    kind: ScalarType,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let length = i32::try_from(end - start)
        .map_err(|_| Fault::out_of_range("is an array of more than 2^31 elements"))?;
    let dimensions = i32::from(length > 0);
    let nulls = i32::from((start..end).any(|index| items.is_null(index)));
    out.extend_from_slice(&dimensions.to_be_bytes());
    out.extend_from_slice(&nulls.to_be_bytes());
    out.extend_from_slice(&postgres::oid(Expected { kind, many: false }).0.to_be_bytes());
    if dimensions == 0 {
        return Ok(());
    }
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&1_i32.to_be_bytes());
    for index in start..end {
        let cell = Cell::of(items, index).ok_or_else(contradictory)?;
        if matches!(cell, Cell::Null) {
            out.extend_from_slice(&(-1_i32).to_be_bytes());
            continue;
        }
        let place = out.len();
        out.extend_from_slice(&[0; 4]);
        postgres::write(cell, out)?;
        let length = i32::try_from(out.len() - place - 4)
            .map_err(|_| Fault::out_of_range("has an element of more than 2 GiB"))?;
        out[place..place + 4].copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

/// Appends the elements of a binary array of PostgreSQL to those of a column.
pub(crate) fn read_binary(
    bytes: &[u8],
    wire: postgres::Wire,
    items: &mut Scalars,
) -> Result<(), Fault> {
    let damaged = || Fault::undecodable("is not a valid array");
    let mut rest = bytes;
    let mut integer = || {
        let (head, tail) = rest.split_first_chunk::<4>()?;
        rest = tail;
        Some(i32::from_be_bytes(*head))
    };
    let dimensions = integer().ok_or_else(damaged)?;
    let (_flags, _element) = (integer().ok_or_else(damaged)?, integer().ok_or_else(damaged)?);
    let length = match dimensions {
        0 => 0,
        1 => {
            let length = integer().ok_or_else(damaged)?;
            let _first_index = integer().ok_or_else(damaged)?;
            length
        }
        _ => {
            return Err(Fault::undecodable(format!(
                "is an array of {dimensions} dimensions, but only one can be read: `unnest` it or \
                 cast it to text"
            )));
        }
    };
    for _ in 0..length {
        let (head, tail) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        match usize::try_from(i32::from_be_bytes(*head)) {
            Err(_) => {
                items.push_null();
                rest = tail;
            }
            Ok(length) => {
                let (element, tail) = tail.split_at_checked(length).ok_or_else(damaged)?;
                postgres::read(element, wire, items)?;
                rest = tail;
            }
        }
    }
    match rest {
        [] => Ok(()),
        _ => Err(damaged()),
    }
}

fn contradictory() -> Fault {
    Fault::malformed("is inconsistent: its ends do not fit its data")
}
