//! Constants in DDL, which takes no binds: the one function that makes SQL of a model's values.

use ferro_wit::schema::{ColumnType, DecimalSize};
use ferro_wit::types::{Dialect, Interval, ScalarType, Value};

use super::calendar;
use crate::catalog::scalar_of;
use crate::dialect::{Spelling as _, columns};

/// What is wrong with a constant for a column, as the end of a sentence.
pub(crate) fn fault(value: &Value, (kind, many): (ScalarType, bool)) -> Option<String> {
    if let Value::Array(items) = value {
        if !many || items.elements.kind() != kind {
            return Some(format!("is an array, not {}", describe(kind, many)));
        }
        return (0..items.len()).find_map(|index| match items.get(index) {
            Some(Value::Null) => None,
            Some(item) => scalar_fault(&item),
            None => Some("is an array that contradicts itself".into()),
        });
    }
    if many || value.kind().is_some_and(|it| it != kind) {
        return Some(format!("is not {}", describe(kind, many)));
    }
    scalar_fault(value)
}

/// A checked constant as SQL, in the type of its column.
pub(super) fn sql(dialect: Dialect, value: &Value, kind: &ColumnType) -> String {
    let cast = |literal: String| match dialect {
        Dialect::Sqlite => literal,
        Dialect::Postgres => {
            format!("CAST({literal} AS {})", columns::column_type(dialect, kind))
        }
    };
    match value {
        Value::Null => "NULL".into(),
        Value::Boolean(it) => dialect.boolean(*it).into(),
        Value::Integer(it) => dialect.integer(*it),
        Value::Blob(it) => bytes(dialect, it),
        Value::Uuid((high, low)) if dialect == Dialect::Sqlite => {
            format!("X'{high:016x}{low:016x}'")
        }
        Value::Float(it) if dialect == Dialect::Sqlite => sqlite_float(*it),
        Value::Decimal(it) if dialect == Dialect::Sqlite => {
            dialect.text(&filled(&canonical(it), kind))
        }
        Value::Text(it) if scalar_of(kind) == (ScalarType::Text, false) => match kind {
            ColumnType::Enumeration(_) => cast(dialect.text(it)),
            _ => dialect.text(it),
        },
        other => cast(dialect.text(&stored(dialect, other))),
    }
}

/// What no column can hold.
fn scalar_fault(value: &Value) -> Option<String> {
    let fault = match value {
        Value::Text(it) | Value::Json(it) if text_fault(it).is_some() => return text_fault(it),
        Value::Decimal(it) if !is_plain(it) => "is no decimal in plain notation",
        Value::Json(it) if it.trim().is_empty() => "is no JSON document",
        Value::Date(it) if !calendar::is_date(i64::from(*it)) => OUT_OF_RANGE,
        Value::Timestamp(it) | Value::Timestamptz(it)
            if !calendar::is_date(it.div_euclid(calendar::DAY)) =>
        {
            OUT_OF_RANGE
        }
        Value::Time(it) if !(0..calendar::DAY).contains(it) => "is no time of a day",
        _ => return None,
    };
    Some(fault.to_owned())
}

/// What no text in DDL may have: no database takes a NUL, and who reads a script on a terminal has to
/// see all of it.
pub(crate) fn text_fault(text: &str) -> Option<String> {
    let is_control = |it: char| it.is_control() && !matches!(it, '\t' | '\n');
    let fault = match text {
        _ if text.contains('\0') => "contains a NUL",
        _ if text.contains(is_control) => "contains a control character",
        _ => return None,
    };
    Some(fault.to_owned())
}

/// Why a decimal does not fit a column of a size. PostgreSQL would round it, or fail when a row is
/// written.
pub(crate) fn size_fault(text: &str, size: &DecimalSize) -> Option<String> {
    let text = canonical(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let whole = whole.trim_start_matches(['-', '0']).len();
    let fraction = fraction.trim_end_matches('0').len();
    let (precision, scale) = (usize::from(size.precision), usize::from(size.scale));
    (whole + scale > precision || fraction > scale)
        .then(|| format!("has more digits than a decimal of ({precision}, {scale})"))
}

const OUT_OF_RANGE: &str = "is not in the years 1 … 9999";

fn describe(kind: ScalarType, many: bool) -> String {
    format!("of the type {kind}{}", if many { " array" } else { "" })
}

fn is_plain(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    plain(whole) && plain(fraction)
}

fn bytes(dialect: Dialect, bytes: &[u8]) -> String {
    let digits = hexadecimal(bytes);
    match dialect {
        Dialect::Sqlite => format!("X'{digits}'"),
        Dialect::Postgres => format!("CAST({} AS bytea)", dialect.text(&format!("\\x{digits}"))),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}

/// A decimal as the driver writes one: without a sign that says nothing, and zeros in front.
fn canonical(text: &str) -> String {
    let digits = text.trim_start_matches('-');
    let whole = digits.trim_start_matches('0');
    let whole = match whole {
        "" => "0".to_owned(),
        _ if whole.starts_with('.') => format!("0{whole}"),
        _ => whole.to_owned(),
    };
    let is_zero = whole.bytes().all(|it| matches!(it, b'0' | b'.'));
    if text.starts_with('-') && !is_zero { format!("-{whole}") } else { whole }
}

/// A decimal with as many digits after the point as its column has.
fn filled(text: &str, kind: &ColumnType) -> String {
    let ColumnType::Decimal(Some(size)) = kind else { return text.to_owned() };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    match usize::from(size.scale) {
        0 => text.to_owned(),
        scale => format!("{whole}.{fraction:0<scale$}"),
    }
}

fn sqlite_float(value: f64) -> String {
    match value {
        it if it.is_nan() => "'NaN'".into(),
        f64::INFINITY => "9e999".into(),
        f64::NEG_INFINITY => "(-9e999)".into(),
        it if it.is_sign_negative() => format!("({it:?})"),
        it => format!("{it:?}"),
    }
}

/// The text that stands for a value: what SQLite stores, and what PostgreSQL reads.
fn stored(dialect: Dialect, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Boolean(it) => u8::from(*it).to_string(),
        Value::Integer(it) => it.to_string(),
        Value::Float(it) => float(*it),
        Value::Decimal(it) => canonical(it),
        Value::Text(it) | Value::Json(it) => it.clone(),
        Value::Blob(it) => match dialect {
            Dialect::Sqlite => hexadecimal(it),
            Dialect::Postgres => format!("\\x{}", hexadecimal(it)),
        },
        Value::Uuid((high, low)) => format!("{high:016x}{low:016x}"),
        Value::Date(it) => calendar::date(i64::from(*it)),
        Value::Time(it) => calendar::time(*it),
        Value::Timestamp(it) => calendar::timestamp(*it),
        Value::Timestamptz(it) => format!("{}+00:00", calendar::timestamp(*it)),
        Value::Interval(it) => interval(it),
        Value::Array(items) => {
            let items: Vec<_> = (0..items.len()).filter_map(|index| items.get(index)).collect();
            match dialect {
                Dialect::Sqlite => json_array(&items),
                Dialect::Postgres => array(&items),
            }
        }
    }
}

fn float(value: f64) -> String {
    match value {
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        it => format!("{it:?}"),
    }
}

/// The form that the driver stores intervals in, which is ISO 8601 with signs.
fn interval(value: &Interval) -> String {
    let Interval { months, days, microseconds } = value;
    let sign = if *microseconds < 0 { "-" } else { "" };
    let microseconds = microseconds.unsigned_abs();
    let (seconds, fraction) = (microseconds / 1_000_000, microseconds % 1_000_000);
    format!("P{months}M{days}DT{sign}{seconds}.{fraction:06}S")
}

/// PostgreSQL's text of an array, each element in quotes.
fn array(items: &[Value]) -> String {
    let items = items.iter().map(|item| match item {
        Value::Null => "NULL".to_owned(),
        item => {
            let text = stored(Dialect::Postgres, item);
            format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
        }
    });
    format!("{{{}}}", items.collect::<Vec<_>>().join(","))
}

/// The driver's text of an array on SQLite: JSON of what single values are stored as.
fn json_array(items: &[Value]) -> String {
    let items = items.iter().map(|item| match item {
        Value::Null => "null".to_owned(),
        Value::Boolean(_) | Value::Integer(_) => stored(Dialect::Sqlite, item),
        Value::Float(it) if it.is_finite() => format!("{it:?}"),
        Value::Float(it) if it.is_infinite() => {
            if it.is_sign_negative() {
                "-9e999".into()
            } else {
                "9e999".into()
            }
        }
        item => json_string(&stored(Dialect::Sqlite, item)),
    });
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

fn json_string(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            it if u32::from(it) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(it))),
            it => out.push(it),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use ferro_wit::types::Scalars;

    use super::*;

    fn both(value: &Value, kind: &ColumnType) -> (String, String) {
        assert_eq!(fault(value, scalar_of(kind)), None);
        (sql(Dialect::Sqlite, value, kind), sql(Dialect::Postgres, value, kind))
    }

    #[test]
    fn every_kind_of_constant_is_a_literal_of_its_column() {
        let text = ColumnType::Text(None);
        let cases = [
            (Value::Null, text.clone(), "NULL", "NULL"),
            (Value::Boolean(true), ColumnType::Boolean, "1", "TRUE"),
            (Value::Text("a'b\\".into()), text, r"'a''b\'", r"E'a''b\\'"),
            (
                Value::Text("x".into()),
                ColumnType::Enumeration("mo\"od".into()),
                "'x'",
                r#"CAST('x' AS "mo""od")"#,
            ),
            (Value::Float(-0.5), ColumnType::Double, "(-0.5)", "CAST('-0.5' AS double precision)"),
            (Value::Float(f64::NAN), ColumnType::Real, "'NaN'", "CAST('NaN' AS real)"),
            (
                Value::Float(f64::INFINITY),
                ColumnType::Double,
                "9e999",
                "CAST('Infinity' AS double precision)",
            ),
            (
                Value::Decimal("-1.50".into()),
                ColumnType::Decimal(None),
                "'-1.50'",
                "CAST('-1.50' AS numeric)",
            ),
            (Value::Blob(vec![0, 255]), ColumnType::Blob, "X'00ff'", r"CAST(E'\\x00ff' AS bytea)"),
            (
                Value::Uuid((1, 2)),
                ColumnType::Uuid,
                "X'00000000000000010000000000000002'",
                "CAST('00000000000000010000000000000002' AS uuid)",
            ),
            (Value::Date(-1), ColumnType::Date, "'1969-12-31'", "CAST('1969-12-31' AS date)"),
            (
                Value::Time(1),
                ColumnType::Time,
                "'00:00:00.000001'",
                "CAST('00:00:00.000001' AS time)",
            ),
            (
                Value::Timestamptz(-1),
                ColumnType::Timestamptz,
                "'1969-12-31 23:59:59.999999+00:00'",
                "CAST('1969-12-31 23:59:59.999999+00:00' AS timestamptz)",
            ),
            (
                Value::Interval(Interval { months: -1, days: 2, microseconds: -1 }),
                ColumnType::Interval,
                "'P-1M2DT-0.000001S'",
                "CAST('P-1M2DT-0.000001S' AS interval)",
            ),
        ];
        for (value, kind, sqlite, postgres) in cases {
            assert_eq!(both(&value, &kind), (sqlite.to_owned(), postgres.to_owned()));
        }
    }

    #[test]
    fn decimals_are_written_as_bound_values_are() {
        let sized = ColumnType::Decimal(Some(DecimalSize { precision: 4, scale: 2 }));
        for (text, plain, filled) in [
            ("-0", "'0'", "'0.00'"),
            ("007", "'7'", "'7.00'"),
            ("-00.50", "'-0.50'", "'-0.50'"),
            ("-0.0", "'0.0'", "'0.00'"),
            ("0", "'0'", "'0.00'"),
        ] {
            let value = Value::Decimal(text.into());
            assert_eq!(sql(Dialect::Sqlite, &value, &ColumnType::Decimal(None)), plain);
            assert_eq!(sql(Dialect::Sqlite, &value, &sized), filled);
        }
        let size = DecimalSize { precision: 4, scale: 2 };
        for fits in ["99.99", "-0012.3400", "0"] {
            assert_eq!(size_fault(fits, &size), None, "{fits}");
        }
        for text in ["1.239", "100", "-123.4", "0.001"] {
            assert!(size_fault(text, &size).is_some(), "{text}");
        }
    }

    #[test]
    fn arrays_keep_quotes_inside_their_elements() {
        let mut items = Scalars::with_kind(ScalarType::Text);
        for item in [Value::from("a\"b'\\"), Value::Null, Value::from("}, {")] {
            items.push(item).unwrap();
        }
        let (sqlite, postgres) = both(&Value::Array(items), &ColumnType::Array(ScalarType::Text));
        assert_eq!(sqlite, r#"'["a\"b''\\",null,"}, {"]'"#);
        assert_eq!(postgres, r#"CAST(E'{"a\\"b''\\\\",NULL,"}, {"}' AS text[])"#);
    }

    #[test]
    fn constants_that_no_column_holds_are_faults() {
        let cases = [
            (Value::from("a\0"), ScalarType::Text),
            (Value::from("a\u{1b}[2K"), ScalarType::Text),
            (Value::from("a\rb"), ScalarType::Text),
            (Value::Decimal("1e5".into()), ScalarType::Decimal),
            (Value::Decimal("1); DROP TABLE t".into()), ScalarType::Decimal),
            (Value::Date(i32::MAX), ScalarType::Date),
            (Value::Time(-1), ScalarType::Time),
            (Value::from(1), ScalarType::Text),
            (Value::from("a"), ScalarType::Integer),
        ];
        for (value, kind) in cases {
            assert!(fault(&value, (kind, false)).is_some(), "{value:?}");
        }
        assert!(fault(&Value::from(1), (ScalarType::Integer, true)).is_some());
    }
}
