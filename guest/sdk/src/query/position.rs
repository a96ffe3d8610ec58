//! Places in the order of a query, as values and as text.

use std::fmt;
use std::str::FromStr;

use ferro_wit::types::{Error, ErrorKind, Value};

use crate::scalar::Storable;
use crate::values::{Decimal, Uuid};

/// The place of a row in the order of a query: what [`page_after`](crate::Query::page_after) goes
/// on from.
///
/// As text it is made of digits and the letters `a` to `f`, so that it can stand in a URL. It holds
/// the values that the row is ordered by: whoever sees it can read them.
///
/// ```
/// use ferro::Position;
///
/// let position: Position = "6930".parse()?;
/// assert_eq!(position.to_string(), "6930");
/// assert!("no position".parse::<Position>().is_err());
/// # Ok::<(), ferro::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    values: Vec<Value>,
}

impl Position {
    pub(super) fn new(values: Vec<Value>) -> Self {
        Self { values }
    }

    /// The values, one for each term of an order.
    pub(super) fn values_for(&self, terms: usize) -> Result<&[Value], Error> {
        if self.values.len() == terms {
            return Ok(&self.values);
        }
        let given = self.values.len();
        let message = format!(
            "the position has {given} values, and the query is ordered by {terms}, its key \
             included: a position is for the query that it comes from"
        );
        Err(Error::new(ErrorKind::InvalidQuery, message))
    }
}

/// A letter for the type, the value, and a NUL between two of them. A value has no NUL: it is a
/// number, or doubly in hexadecimal.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<_> = self.values.iter().map(write).collect();
        f.write_str(&hex(values.join("\0").as_bytes()))
    }
}

impl FromStr for Position {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parse = || {
            let text = String::from_utf8(unhex(text)?).ok()?;
            text.split('\0').map(read).collect()
        };
        let values: Option<Vec<Value>> = parse();
        values.map(Self::new).ok_or_else(|| {
            Error::new(ErrorKind::InvalidQuery, "the text is no position in a query")
        })
    }
}

/// Nothing is ordered by intervals, documents or arrays: those would be null.
fn write(value: &Value) -> String {
    match value {
        Value::Null | Value::Interval(_) | Value::Json(_) | Value::Array(_) => "n".into(),
        Value::Boolean(it) => format!("b{}", u8::from(*it)),
        Value::Integer(it) => format!("i{it}"),
        Value::Float(it) => format!("f{}", it.to_bits()),
        Value::Decimal(it) => format!("m{it}"),
        Value::Text(it) => format!("t{}", hex(it.as_bytes())),
        Value::Blob(it) => format!("x{}", hex(it)),
        Value::Uuid((high, low)) => format!("u{}", (u128::from(*high) << 64) | u128::from(*low)),
        Value::Date(it) => format!("d{it}"),
        Value::Time(it) => format!("h{it}"),
        Value::Timestamp(it) => format!("s{it}"),
        Value::Timestamptz(it) => format!("z{it}"),
    }
}

fn read(text: &str) -> Option<Value> {
    let mut characters = text.chars();
    let kind = characters.next()?;
    let text = characters.as_str();
    Some(match kind {
        'n' if text.is_empty() => Value::Null,
        'b' => Value::Boolean(text.parse::<u8>().ok()? != 0),
        'i' => Value::Integer(text.parse().ok()?),
        'f' => Value::Float(f64::from_bits(text.parse().ok()?)),
        'm' => Value::Decimal(Decimal::parse(text).ok()?.to_string()),
        't' => Value::Text(String::from_utf8(unhex(text)?).ok()?),
        'x' => Value::Blob(unhex(text)?),
        'u' => Storable::into_value(Uuid::from_u128(text.parse().ok()?)).ok()?,
        'd' => Value::Date(text.parse().ok()?),
        'h' => Value::Time(text.parse().ok()?),
        's' => Value::Timestamp(text.parse().ok()?),
        'z' => Value::Timestamptz(text.parse().ok()?),
        _ => return None,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|it| it.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect()
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
        let position = Position::new(values);
        let text = position.to_string();
        assert!(text.bytes().all(|it| it.is_ascii_hexdigit()), "{text}");
        assert_eq!(text.parse::<Position>(), Ok(position));
    }

    #[test]
    fn the_text_of_a_position_is_that_of_python() {
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
            Value::Timestamp(-1),
            Value::Timestamptz(946_684_800_000_000),
        ];
        let text = unhex(&Position::new(values).to_string()).unwrap();
        let parts: Vec<_> = std::str::from_utf8(&text).unwrap().split('\0').collect();
        let expected = [
            "n",
            "b1",
            "i-9223372036854775808",
            "f9223372036854775808",
            "m-12.50",
            "tc3a9003b",
            "x00ff",
            "u340282366920938463444927863358058659841",
            "d-1",
            "h1",
            "s-1",
            "z946684800000000",
        ];
        assert_eq!(parts, expected);
    }

    #[test]
    fn a_text_that_is_no_position_is_refused() {
        for text in ["", "6", "69", "6931+1", "éé", "6e31", "6d78", "7a", "+169"] {
            let error = text.parse::<Position>().unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidQuery, "{text}");
        }
    }
}
