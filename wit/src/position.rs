//! Positions in the order of a query as text: digits and the letters `a` to `f`, for URLs.

use uuid::Uuid;

use crate::types::Value;
use crate::value::is_decimal;

/// The name of an order's term in a position: its path (`author.name`, or `?` if it is computed),
/// with the prefix `-` if it descends, and the suffix `^` if nulls come first. The name of an order
/// is its terms, separated by commas.
///
/// ```
/// assert_eq!(ferro_wit::position::term("author.name", true, false), "-author.name");
/// ```
#[must_use]
pub fn term(path: &str, descending: bool, nulls_first: bool) -> String {
    let sign = if descending { "-" } else { "" };
    let nulls = if nulls_first { "^" } else { "" };
    format!("{sign}{path}{nulls}")
}

/// The text of an order and of a row's values in it, the same in every host and the SDK. The values
/// are readable.
///
/// Intervals, documents and arrays cannot be in an order: they would be written as null.
///
/// ```
/// use ferro_wit::position::{read, write};
/// use ferro_wit::types::Value;
///
/// assert_eq!(write("id", &[Value::Integer(0)]), "6964006930");
/// assert_eq!(read("6964006930"), Some(("id".into(), vec![Value::Integer(0)])));
/// assert_eq!(read("no position"), None);
/// ```
#[must_use]
pub fn write(order: &str, values: &[Value]) -> String {
    // A part contains no NUL: names have none, and other values are in hexadecimal.
    let parts: Vec<_> = values.iter().map(part_of).collect();
    hex::encode(format!("{order}\0{}", parts.join("\0")))
}

/// Reads the order and the values from such a text; `None` for any other text.
#[must_use]
pub fn read(text: &str) -> Option<(String, Vec<Value>)> {
    let parts = String::from_utf8(hex::decode(text).ok()?).ok()?;
    let (order, values) = parts.split_once('\0')?;
    let values: Option<Vec<_>> = values.split('\0').map(value_of).collect();
    Some((order.to_owned(), values?))
}

/// A letter for the type, and the value.
fn part_of(value: &Value) -> String {
    match value {
        Value::Null | Value::Interval(_) | Value::Json(_) | Value::Array(_) => "n".into(),
        Value::Boolean(it) => format!("b{}", u8::from(*it)),
        Value::Integer(it) => format!("i{it}"),
        Value::Float(it) => format!("f{}", it.to_bits()),
        Value::Decimal(it) => format!("m{it}"),
        Value::Text(it) => format!("t{}", hex::encode(it)),
        Value::Blob(it) => format!("x{}", hex::encode(it)),
        Value::Uuid((high, low)) => format!("u{}", Uuid::from_u64_pair(*high, *low).simple()),
        Value::Date(it) => format!("d{it}"),
        Value::Time(it) => format!("h{it}"),
        Value::Timestamp(it) => format!("s{it}"),
        Value::Timestamptz(it) => format!("z{it}"),
    }
}

fn value_of(part: &str) -> Option<Value> {
    let (kind, text) = part.split_at_checked(1)?;
    Some(match kind {
        "n" if text.is_empty() => Value::Null,
        "b" => Value::Boolean(text.parse::<u8>().ok()? != 0),
        "i" => Value::Integer(text.parse().ok()?),
        "f" => Value::Float(f64::from_bits(text.parse().ok()?)),
        "m" if is_decimal(text) => Value::Decimal(text.to_owned()),
        "t" => Value::Text(String::from_utf8(hex::decode(text).ok()?).ok()?),
        "x" => Value::Blob(hex::decode(text).ok()?),
        "u" => Value::from(Uuid::try_parse(text).ok()?),
        "d" => Value::Date(text.parse().ok()?),
        "h" => Value::Time(text.parse().ok()?),
        "s" => Value::Timestamp(text.parse().ok()?),
        "z" => Value::Timestamptz(text.parse().ok()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_the_same_after_it_was_a_text() {
        let values = vec![
            Value::Null,
            Value::Boolean(true),
            Value::Integer(i64::MIN),
            Value::Float(-0.0),
            Value::Decimal("-12.50".into()),
            Value::Text("é\0;".into()),
            Value::Blob(vec![0, 255]),
            Value::Uuid((u64::MAX, 1)),
            Value::Date(-1),
            Value::Time(1),
            Value::Timestamp(i64::MAX),
            Value::Timestamptz(0),
        ];
        let text = write("-é", &values);
        assert!(text.bytes().all(|it| it.is_ascii_hexdigit()), "{text}");
        assert_eq!(read(&text), Some(("-é".into(), values)));
    }

    #[test]
    fn a_text_that_is_no_position_is_refused() {
        for text in [
            "", "6", "69", "6931", "006931+1", "éé", "006e31", "006d78", "007a", "+10069", "c3a9",
            "0000",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
