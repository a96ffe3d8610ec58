//! The checksum of a row: integers as they are, floats without their fraction, texts by their
//! length.

use ferro_wit::types::{Batch, Column, Elements, Value};

#[expect(clippy::cast_possible_truncation, reason = "a checksum")]
pub(crate) fn cell(value: &Value) -> i64 {
    match value {
        Value::Integer(it) => *it,
        Value::Float(it) => *it as i64,
        Value::Text(it) => it.len() as i64,
        _ => 0,
    }
}

pub(crate) fn batch(batch: &Batch) -> i64 {
    batch.columns.iter().map(column).sum()
}

#[expect(clippy::cast_possible_truncation, reason = "a checksum")]
fn column(column: &Column) -> i64 {
    let Column::Scalars(scalars) = column else { return 0 };
    match &scalars.elements {
        Elements::Integer(it) => it.iter().sum(),
        Elements::Float(it) => it.iter().map(|it| *it as i64).sum(),
        Elements::Text(it) => it.ends.last().map_or(0, |end| i64::from(*end)),
        _ => 0,
    }
}
