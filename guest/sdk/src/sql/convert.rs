//! Conversion to the types of a row if a database returned equivalent values of another type: in
//! computed columns, SQLite has no booleans, decimals and dates, and reports a column of nulls as
//! text.

use ferro_wit::types::{Arrays, Column as Cells, ScalarType, Scalars, Value};

use crate::decode::{describe, type_name};
use crate::scalar::Scalar as _;
use crate::values::{Date, Decimal, Time, Timestamp, Timestamptz, Uuid};

/// The cells unchanged, or each converted to an equivalent value of `kind`.
pub(super) fn convert(cells: Cells, kind: ScalarType, many: bool) -> Result<Cells, String> {
    let converted = match &cells {
        Cells::Scalars(it) if !many && it.elements.kind() == kind => return Ok(cells),
        Cells::Arrays(it) if many && it.items.elements.kind() == kind => return Ok(cells),
        Cells::Scalars(it) if many => arrays(it, kind).map(Cells::Arrays),
        Cells::Scalars(it) => scalars(it, kind).map(Cells::Scalars),
        Cells::Arrays(_) => None,
    };
    converted.ok_or_else(|| {
        let (got, expected) = (describe(&cells), type_name(kind, many));
        format!("it is {got}, but the row has {expected}: cast it in the statement")
    })
}

fn scalars(from: &Scalars, kind: ScalarType) -> Option<Scalars> {
    let mut to = Scalars::with_kind(kind);
    for index in 0..from.len() {
        to.push(same(from.get(index)?, kind)?).ok()?;
    }
    Some(to)
}

/// The arrays that SQLite stores as JSON texts.
fn arrays(from: &Scalars, kind: ScalarType) -> Option<Arrays> {
    let mut items = Scalars::with_kind(kind);
    let mut ends = Vec::with_capacity(from.len());
    for index in 0..from.len() {
        let elements = match from.get(index)? {
            Value::Null => Vec::new(),
            Value::Text(text) => serde_json::from_str(&text).ok()?,
            _ => return None,
        };
        for element in elements {
            items.push(same(element_of(element, kind)?, kind)?).ok()?;
        }
        ends.push(u32::try_from(items.len()).ok()?);
    }
    Some(Arrays { items, ends, nulls: from.nulls.clone() })
}

/// An element as the driver writes it, with bytes as hexadecimal digits.
fn element_of(element: serde_json::Value, kind: ScalarType) -> Option<Value> {
    Some(match element {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(it) => Value::Boolean(it),
        serde_json::Value::Number(it) => match it.as_i64() {
            Some(it) => Value::Integer(it),
            None => Value::Float(it.as_f64()?),
        },
        serde_json::Value::String(it) if kind == ScalarType::Blob => Value::Blob(bytes(&it)?),
        serde_json::Value::String(it) => Value::Text(it),
        _ => return None,
    })
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let digit = |it: u8| char::from(it).to_digit(16).and_then(|it| u8::try_from(it).ok());
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|it| Some(digit(*it.first()?)? << 4 | digit(*it.get(1)?)?)).collect()
}

/// The equivalent value of another type, if there is one.
fn same(value: Value, kind: ScalarType) -> Option<Value> {
    Some(match (value, kind) {
        (Value::Null, _) => Value::Null,
        (value, kind) if value.kind() == Some(kind) => value,
        (Value::Integer(it @ (0 | 1)), ScalarType::Boolean) => Value::Boolean(it == 1),
        (Value::Integer(it), ScalarType::Float) => Value::Float(exact(it)?),
        (Value::Integer(it), ScalarType::Decimal) => Value::Decimal(it.to_string()),
        (Value::Text(it), ScalarType::Decimal) => Decimal::parse(&it).ok()?.into_value(),
        (Value::Text(it), ScalarType::Uuid) => Uuid::try_parse(&it).ok()?.into_value(),
        (Value::Blob(it), ScalarType::Uuid) => Uuid::from_slice(&it).ok()?.into_value(),
        (Value::Text(it), ScalarType::Date) => Date::parse(&it).ok()?.into_value(),
        (Value::Text(it), ScalarType::Time) => Time::parse(&it).ok()?.into_value(),
        (Value::Text(it), ScalarType::Timestamp) => Timestamp::parse(&it).ok()?.into_value(),
        (Value::Text(it), ScalarType::Timestamptz) => Timestamptz::parse(&it).ok()?.into_value(),
        (Value::Text(it), ScalarType::Json) => Value::Json(it),
        _ => return None,
    })
}

/// The integer as a float, if that is lossless.
fn exact(integer: i64) -> Option<f64> {
    const LIMIT: i64 = 1 << f64::MANTISSA_DIGITS;
    #[expect(clippy::cast_precision_loss, reason = "there is none within the limit")]
    (-LIMIT..=LIMIT).contains(&integer).then_some(integer as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_read_from_the_texts_that_sqlite_keeps() {
        let texts = |texts: &[Option<&str>]| {
            let mut column = Scalars::with_kind(ScalarType::Text);
            for text in texts {
                column.push(text.map_or(Value::Null, Value::from)).unwrap();
            }
            Cells::Scalars(column)
        };
        let read = |cells, kind| {
            let cells = convert(cells, kind, true)?;
            Ok::<_, String>((0..cells.len()).filter_map(|it| cells.get(it)).collect::<Vec<_>>())
        };
        let array = |kind, values: &[Value]| {
            let mut items = Scalars::with_kind(kind);
            values.iter().for_each(|it| items.push(it.clone()).unwrap());
            Value::Array(items)
        };
        assert_eq!(
            read(texts(&[Some("[1, 2]"), None, Some("[]")]), ScalarType::Integer).unwrap(),
            [
                array(ScalarType::Integer, &[Value::Integer(1), Value::Integer(2)]),
                Value::Null,
                array(ScalarType::Integer, &[]),
            ]
        );
        assert_eq!(
            read(texts(&[Some(r#"["00ff"]"#)]), ScalarType::Blob).unwrap(),
            [array(ScalarType::Blob, &[Value::Blob(vec![0, 255])])]
        );
        for text in [r#"["0"]"#, r#"["+1"]"#, r#"["é"]"#] {
            assert!(read(texts(&[Some(text)]), ScalarType::Blob).is_err(), "{text}");
        }
        for text in ["[1.5]", "{}", "[[1]]", "no"] {
            assert!(read(texts(&[Some(text)]), ScalarType::Integer).is_err(), "{text}");
        }
    }

    #[test]
    fn a_value_becomes_another_type_only_without_loss() {
        let cases = [
            (Value::Integer(1), ScalarType::Boolean, Some(Value::Boolean(true))),
            (Value::Integer(2), ScalarType::Boolean, None),
            (
                Value::Integer(1 << 53),
                ScalarType::Float,
                Some(Value::Float(9_007_199_254_740_992.0)),
            ),
            (Value::Integer((1 << 53) + 1), ScalarType::Float, None),
            (Value::Integer(-3), ScalarType::Decimal, Some(Value::Decimal("-3".into()))),
            (Value::Float(1.0), ScalarType::Integer, None),
            (Value::Text("1e5".into()), ScalarType::Decimal, None),
            (Value::Text("1970-01-02".into()), ScalarType::Date, Some(Value::Date(1))),
            (Value::Text("1970-01-02 00:00:01".into()), ScalarType::Date, None),
            (Value::Null, ScalarType::Interval, Some(Value::Null)),
            (Value::Blob(vec![0; 15]), ScalarType::Uuid, None),
        ];
        for (value, kind, expected) in cases {
            assert_eq!(same(value.clone(), kind), expected, "{value:?} as {kind:?}");
        }
    }
}
