//! How many bytes of values a batch carries: what a reader has to make room for.

use ferro_wit::types::{Batch, Column, Elements, Interval, Scalars};

/// The bytes of all values of a batch, of their ends and of their null bitmaps.
pub(crate) fn bytes_of(batch: &Batch) -> u64 {
    let column = |column: &Column| match column {
        Column::Scalars(it) => scalars(it),
        Column::Arrays(it) => {
            scalars(&it.items) + size_of_val(it.ends.as_slice()) + nulls(it.nulls.as_deref())
        }
    };
    batch.columns.iter().map(column).sum::<usize>() as u64
}

fn scalars(scalars: &Scalars) -> usize {
    let values = match &scalars.elements {
        Elements::Boolean(it) => it.len(),
        Elements::Integer(it)
        | Elements::Time(it)
        | Elements::Timestamp(it)
        | Elements::Timestamptz(it) => size_of_val(it.as_slice()),
        Elements::Float(it) => size_of_val(it.as_slice()),
        Elements::Decimal(it) | Elements::Text(it) | Elements::Json(it) => {
            it.data.len() + size_of_val(it.ends.as_slice())
        }
        Elements::Blob(it) => it.data.len() + size_of_val(it.ends.as_slice()),
        Elements::Uuid(it) => size_of_val(it.as_slice()),
        Elements::Date(it) => size_of_val(it.as_slice()),
        Elements::Interval(it) => it.len() * size_of::<Interval>(),
    };
    values + nulls(scalars.nulls.as_deref())
}

fn nulls(nulls: Option<&[u8]>) -> usize {
    nulls.map_or(0, <[u8]>::len)
}

#[cfg(test)]
mod tests {
    use ferro_wit::types::{ScalarType, Value};

    use super::*;

    #[test]
    fn bytes_are_those_of_values_ends_and_nulls() {
        let scalars = |kind, values: &[Value]| {
            let mut scalars = Scalars::with_kind(kind);
            for value in values {
                scalars.push(value.clone()).unwrap();
            }
            Column::Scalars(scalars)
        };
        let columns = vec![
            scalars(ScalarType::Integer, &[1.into(), Value::Null]),
            scalars(ScalarType::Text, &["abc".into(), "é".into()]),
            scalars(ScalarType::Boolean, &[true.into(), false.into()]),
        ];
        assert_eq!(bytes_of(&Batch::new(columns).unwrap()), (16 + 1) + (5 + 8) + 2);
    }
}
