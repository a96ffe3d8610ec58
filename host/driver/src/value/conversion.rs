//! Converts stored values when a migration changes the type of a SQLite column: the result is that
//! of a cast on PostgreSQL, or an error.

use std::num::{IntErrorKind, ParseIntError};

use ferro_wit::calendar::DAY;
use ferro_wit::types::{ScalarType, Scalars, Value};
use uuid::Uuid;

use super::exact::Exact;
use super::sqlite::{self, Bound, Stored};
use super::{Expected, Fault, Operand, array, json};

/// Converts a stored value from one declared type to another. If the core does not know the
/// declaration, the storage class of the value determines its type.
pub(crate) fn converted(stored: Stored<'_>, from: &str, to: &str) -> Result<Bound<'static>, Fault> {
    let Some(value) = found(stored, from)? else { return Ok(Bound::Null) };
    let to =
        sqlite::declared_as(to).ok_or_else(|| Fault::malformed("would have an unknown type"))?;
    let value = match to {
        Expected { kind, many: false } => cast(value, kind)?,
        Expected { kind, many: true } => Value::Array(elements(&value, kind)?),
    };
    Ok(Bound::of(Operand::of(&value))?.into_owned())
}

/// The value that is stored; `None` for null.
fn found(stored: Stored<'_>, declaration: &str) -> Result<Option<Value>, Fault> {
    let Some(class) = stored.kind() else { return Ok(None) };
    Ok(Some(match (sqlite::declared_as(declaration), stored) {
        (Some(Expected { kind, many: true }), Stored::Text(text)) => {
            let mut items = Scalars::with_kind(kind);
            array::read_json(text, &mut items)?;
            Value::Array(items)
        }
        (Some(Expected { kind, many: false }), stored) => read(stored, kind)?,
        (_, stored) => read(stored, class)?,
    }))
}

fn read(stored: Stored<'_>, kind: ScalarType) -> Result<Value, Fault> {
    let mut items = Scalars::with_kind(kind);
    sqlite::read(stored, &mut items)?;
    items.get(0).ok_or_else(|| Fault::undecodable("is missing"))
}

fn cast(value: Value, to: ScalarType) -> Result<Value, Fault> {
    use ScalarType as S;
    Ok(match (value, to) {
        (value, to) if is_of(&value, to) => value,
        (Value::Boolean(it), S::Integer) => Value::Integer(it.into()),
        (Value::Boolean(it), S::Float | S::Decimal) => cast(Value::Integer(it.into()), to)?,
        (Value::Integer(it), S::Boolean) => Value::Boolean(it != 0),
        (Value::Integer(it), S::Float) => Value::Float(it as f64),
        (Value::Float(it), S::Integer) => Value::Integer(whole(it)?),
        (Value::Float(it), S::Decimal) if it.is_finite() => parsed(&rounded(it).to_string(), to)?,
        (Value::Decimal(it), S::Integer) => {
            let text = Exact::parse(&it)?.round(0).to_text().unwrap_or_default();
            parsed(&text, to)?
        }
        (value @ (Value::Float(_) | Value::Decimal(_)), S::Boolean) => {
            cast(cast(value, S::Integer)?, to)?
        }
        (Value::Date(it), S::Timestamp) => Value::Timestamp(i64::from(it) * DAY),
        (Value::Date(it), S::Timestamptz) => Value::Timestamptz(i64::from(it) * DAY),
        (Value::Timestamp(it), S::Timestamptz) => Value::Timestamptz(it),
        (Value::Timestamptz(it), S::Timestamp) => Value::Timestamp(it),
        (Value::Timestamp(it) | Value::Timestamptz(it), S::Date) => {
            let days = i32::try_from(it.div_euclid(DAY));
            Value::Date(days.map_err(|_| Fault::out_of_range("has no date"))?)
        }
        (Value::Timestamp(it) | Value::Timestamptz(it), S::Time) => Value::Time(it.rem_euclid(DAY)),
        (Value::Array(it), S::Json) => Value::Json(document(&it)?),
        (value, to) => parsed(&text(&value)?, to)?,
    })
}

fn is_of(value: &Value, kind: ScalarType) -> bool {
    Operand::of(value).expected().is_some_and(|it| it.kind == kind && !it.many)
}

/// The nearest integer; halves are rounded to even.
fn whole(value: f64) -> Result<i64, Fault> {
    let digits = format!("{:.0}", value.round_ties_even());
    digits.parse().map_err(|_| too_large())
}

fn too_large() -> Fault {
    Fault::out_of_range("is not a 64-bit integer")
}

fn text(value: &Value) -> Result<String, Fault> {
    Ok(match value {
        Value::Boolean(it) => it.to_string(),
        Value::Integer(it) => it.to_string(),
        Value::Float(it) if it.is_infinite() => {
            if *it > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
        }
        Value::Float(it) => digits(*it),
        Value::Uuid((high, low)) => Uuid::from_u64_pair(*high, *low).to_string(),
        Value::Blob(it) => format!("\\x{}", hex::encode(it)),
        other => match Bound::of(Operand::of(other))? {
            Bound::Text(it) => it.into_owned(),
            _ => return Err(Fault::malformed("has no text form")),
        },
    })
}

/// Rounds to 15 digits, since every decimal of at most 15 digits survives a conversion to a float
/// and back.
fn rounded(value: f64) -> f64 {
    let rounded = format!("{value:.14e}").parse();
    rounded.ok().filter(|it: &f64| it.is_finite()).unwrap_or(value)
}

/// Large and small numbers get an exponent of at least two digits.
fn digits(value: f64) -> String {
    let scientific = format!("{value:e}");
    let parts = scientific.split_once('e').map(|(digits, it)| (digits, it.parse::<i32>()));
    match parts {
        Some((digits, Ok(exponent))) if !(-4..15).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => value.to_string(),
    }
}

/// Parses a text as a value of a type.
fn parsed(text: &str, kind: ScalarType) -> Result<Value, Fault> {
    use ScalarType as S;
    let trimmed = text.trim_matches(|it: char| it.is_ascii_whitespace());
    let none = |what: &str| Fault::malformed(format!("is not a valid {what}"));
    Ok(match kind {
        S::Text => Value::Text(text.to_owned()),
        S::Boolean => match trimmed.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "on" | "1" => Value::Boolean(true),
            "false" | "f" | "no" | "n" | "off" | "0" => Value::Boolean(false),
            _ => return Err(none("boolean")),
        },
        S::Integer => {
            Value::Integer(trimmed.parse().map_err(|fault: ParseIntError| match fault.kind() {
                IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => too_large(),
                _ => none("integer"),
            })?)
        }
        S::Float => Value::Float(float(trimmed)?),
        S::Blob => Value::Blob(match trimmed.strip_prefix("\\x") {
            Some(digits) => hex::decode(digits).map_err(|_| none("blob"))?,
            None => text.as_bytes().to_vec(),
        }),
        S::Uuid => Uuid::try_parse(trimmed).map_err(|_| none("uuid"))?.into(),
        _ => read(Stored::Text(trimmed), kind)?,
    })
}

/// Parses a number as the nearest float. One that is out of range is neither infinite nor zero.
pub(super) fn float(text: &str) -> Result<f64, Fault> {
    let value: f64 = text.parse().map_err(|_| Fault::malformed("is not a valid number"))?;
    let digits = text.split(['e', 'E']).next().unwrap_or_default();
    let has = |digit: fn(&char) -> bool| digits.chars().any(|it| digit(&it));
    let fits = match value {
        0.0 => !has(|it| matches!(it, '1'..='9')),
        it => !it.is_infinite() || !has(char::is_ascii_digit),
    };
    if fits { Ok(value) } else { Err(Fault::out_of_range("is not a 64-bit float")) }
}

/// Converts an array to a JSON document.
fn document(items: &Scalars) -> Result<String, Fault> {
    let mut document = "[".to_owned();
    for element in (0..items.len()).filter_map(|it| items.get(it)) {
        if document.len() > 1 {
            document.push(',');
        }
        let text = if element == Value::Null { "null".to_owned() } else { text(&element)? };
        match element {
            Value::Null | Value::Boolean(_) | Value::Json(_) => document.push_str(&text),
            // Infinities and not-a-number become strings.
            Value::Integer(_) | Value::Float(_) | Value::Decimal(_)
                if text.ends_with(|it: char| it.is_ascii_digit()) =>
            {
                document.push_str(&text);
            }
            _ => json::write_string(&text, &mut document),
        }
    }
    document.push(']');
    Ok(document)
}

/// Converts the elements of an array, of a document, or of the text of a document, to an array of
/// another type.
fn elements(value: &Value, kind: ScalarType) -> Result<Scalars, Fault> {
    let found = match value {
        Value::Array(items) => (0..items.len()).filter_map(|it| items.get(it)).collect(),
        Value::Json(document) | Value::Text(document) => array::scalars(document)?,
        _ => return Err(Fault::malformed("is not an array")),
    };
    let mut items = Scalars::with_kind(kind);
    for element in found {
        let element = match element {
            Value::Null => Value::Null,
            element => cast(element, kind)?,
        };
        items.push(element).map_err(|_| Fault::malformed("is not an array of one type"))?;
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(stored: Stored<'_>, from: &str, to: &str) -> String {
        match converted(stored, from, to) {
            Ok(Bound::Null) => "null".to_owned(),
            Ok(Bound::Integer(it)) => it.to_string(),
            Ok(Bound::Real(it)) => format!("{it:?}"),
            Ok(Bound::Text(it)) => format!("'{it}'"),
            Ok(Bound::Blob(it)) => format!("x'{}'", hex::encode(it)),
            Err(fault) => format!("! {}", fault.predicate),
        }
    }

    #[test]
    fn values_are_what_postgres_casts_them_to() {
        let text = Stored::Text;
        for (stored, from, to, expected) in [
            (Stored::Null, "TEXT", "BIGINT", "null"),
            (text(" 12 "), "TEXT", "BIGINT", "12"),
            (text("12"), "VARCHAR(9)", "DOUBLE", "12.0"),
            (text("1.50"), "TEXT", "DECIMAL_TEXT(6,2)", "'1.50'"),
            (Stored::Real(2.5), "DOUBLE", "BIGINT", "2"),
            (Stored::Real(-3.5), "DOUBLE", "BIGINT", "-4"),
            (Stored::Real(0.1), "DOUBLE", "DECIMAL_TEXT", "'0.1'"),
            (Stored::Real(0.1 + 0.2), "DOUBLE", "DECIMAL_TEXT", "'0.3'"),
            (
                Stored::Real(1.234_567_890_123_456_7e20),
                "DOUBLE",
                "DECIMAL_TEXT",
                "'123456789012346000000'",
            ),
            (Stored::Real(1e20), "DOUBLE", "DECIMAL_TEXT", "'100000000000000000000'"),
            (Stored::Real(1.0), "DOUBLE", "TEXT", "'1'"),
            (Stored::Real(-1.5e20), "DOUBLE", "TEXT", "'-1.5e+20'"),
            (Stored::Real(1e15), "DOUBLE", "TEXT", "'1e+15'"),
            (Stored::Real(123_456_789_012_345.0), "DOUBLE", "TEXT", "'123456789012345'"),
            (Stored::Real(0.0001), "DOUBLE", "TEXT", "'0.0001'"),
            (Stored::Real(1.25e-5), "DOUBLE", "BLOB", "x'312e3235652d3035'"),
            (Stored::Integer(3), "BIGINT", "BOOLEAN", "1"),
            (Stored::Integer(1), "BOOLEAN", "TEXT", "'true'"),
            (Stored::Integer(1), "BOOLEAN", "DOUBLE", "1.0"),
            (text("2.5"), "DECIMAL_TEXT", "BIGINT", "3"),
            (text("0.4"), "DECIMAL_TEXT", "BOOLEAN", "0"),
            (text("Yes"), "TEXT", "BOOLEAN", "1"),
            (text("2024-02-29"), "DATE_TEXT", "TIMESTAMP_TEXT", "'2024-02-29 00:00:00.000000'"),
            (text("2024-02-29"), "TEXT", "DATE_TEXT", "'2024-02-29'"),
            (
                text("2024-02-29 23:59:59.500000+00:00"),
                "TIMESTAMPTZ_TEXT",
                "TIME_TEXT",
                "'23:59:59.500000'",
            ),
            (text("1969-12-31 23:00:00.000000"), "TIMESTAMP_TEXT", "DATE_TEXT", "'1969-12-31'"),
            (
                text("00000000-0000-0001-0000-000000000002"),
                "TEXT",
                "UUID",
                "x'00000000000000010000000000000002'",
            ),
            (
                text("{00000000-0000-0001-0000-000000000002} "),
                "TEXT",
                "UUID",
                "x'00000000000000010000000000000002'",
            ),
            (Stored::Blob(&[0xab; 16]), "UUID", "TEXT", "'abababab-abab-abab-abab-abababababab'"),
            (Stored::Blob(&[1, 255]), "BLOB", "TEXT", "'\\x01ff'"),
            (text("\\x01ff"), "TEXT", "BLOB", "x'01ff'"),
            (text("5"), "JSON_TEXT", "BIGINT", "5"),
            (text(r#"[1, "2", null]"#), "JSON_TEXT", "INTEGER_ARRAY_TEXT", "'[1,2,null]'"),
            (text("[1,2.5,true]"), "ARRAY_TEXT", "TEXT_ARRAY_TEXT", r#"'["1","2.5","true"]'"#),
            (text("[1,2]"), "INTEGER_ARRAY_TEXT", "JSON_TEXT", "'[1,2]'"),
            (text("[1,0,null]"), "BOOLEAN_ARRAY_TEXT", "JSON_TEXT", "'[true,false,null]'"),
            (text(r#"["1.50","NaN"]"#), "DECIMAL_ARRAY_TEXT", "JSON_TEXT", r#"'[1.50,"NaN"]'"#),
            (text(r#"["01ff"]"#), "BLOB_ARRAY_TEXT", "JSON_TEXT", r#"'["\\x01ff"]'"#),
            (
                text("[1.50,12345678901234567890.125]"),
                "JSON_TEXT",
                "DECIMAL_ARRAY_TEXT",
                r#"'["1.50","12345678901234567890.125"]'"#,
            ),
            (text("[1,0]"), "BOOLEAN_ARRAY_TEXT", "TEXT_ARRAY_TEXT", r#"'["true","false"]'"#),
            (
                text(r#"["00000000000000010000000000000002"]"#),
                "UUID_ARRAY_TEXT",
                "TEXT_ARRAY_TEXT",
                r#"'["00000000-0000-0001-0000-000000000002"]'"#,
            ),
            (Stored::Integer(5), "SOMETHING", "DECIMAL_TEXT", "'5'"),
            (text("1.7e308"), "TEXT", "DOUBLE", "1.7e308"),
            (text("0.0e-400"), "TEXT", "DOUBLE", "0.0"),
            (text("5e-324"), "TEXT", "DOUBLE", "5e-324"),
            (text("-infinity"), "TEXT", "DOUBLE", "-inf"),
            (text("NaN"), "TEXT", "DOUBLE", "'NaN'"),
            (text("[9e999,-9e999]"), "TEXT", "FLOAT_ARRAY_TEXT", "'[9e999,-9e999]'"),
        ] {
            assert_eq!(shown(stored, from, to), expected, "{from} to {to}");
        }
    }

    #[test]
    fn what_cannot_be_converted_is_an_error() {
        for (stored, from, to) in [
            (Stored::Text("twelve"), "TEXT", "BIGINT"),
            (Stored::Text("1.5"), "TEXT", "BIGINT"),
            (Stored::Real(f64::INFINITY), "DOUBLE", "BIGINT"),
            (Stored::Real(9.3e18), "DOUBLE", "BIGINT"),
            (Stored::Text("NaN"), "DOUBLE", "BIGINT"),
            (Stored::Text("NaN"), "DECIMAL_TEXT", "BIGINT"),
            (Stored::Text("1 hour"), "INTERVAL_TEXT", "BIGINT"),
            (Stored::Text("1e400"), "TEXT", "DOUBLE"),
            (Stored::Text("-1e400"), "TEXT", "DOUBLE"),
            (Stored::Text("1E-400"), "TEXT", "DOUBLE"),
            (Stored::Text("9".repeat(400).leak()), "DECIMAL_TEXT", "DOUBLE"),
            (Stored::Text("[1e400]"), "JSON_TEXT", "FLOAT_ARRAY_TEXT"),
            (Stored::Text("[1e400]"), "JSON_TEXT", "DECIMAL_ARRAY_TEXT"),
            (Stored::Text("[-1e-400]"), "JSON_TEXT", "FLOAT_ARRAY_TEXT"),
            (Stored::Text("maybe"), "TEXT", "BOOLEAN"),
            (Stored::Text("2024-02-30"), "TEXT", "DATE_TEXT"),
            (Stored::Text("é".repeat(18).leak()), "TEXT", "UUID"),
            (Stored::Text("{"), "TEXT", "JSON_TEXT"),
            (Stored::Text(r#"{"a": 1}"#), "JSON_TEXT", "INTEGER_ARRAY_TEXT"),
            (Stored::Text("[[1]]"), "JSON_TEXT", "INTEGER_ARRAY_TEXT"),
            (Stored::Text(r#"["x"]"#), "TEXT_ARRAY_TEXT", "INTEGER_ARRAY_TEXT"),
            (Stored::Integer(5), "BIGINT", "INTEGER_ARRAY_TEXT"),
            (Stored::Integer(5), "BIGINT", "DATE_TEXT"),
            (Stored::Integer(5), "BIGINT", "NOTHING"),
            (Stored::Integer(5), "DATE_TEXT", "TEXT"),
        ] {
            let found = shown(stored, from, to);
            assert!(found.starts_with('!'), "{from} to {to}: {found}");
        }
    }
}
