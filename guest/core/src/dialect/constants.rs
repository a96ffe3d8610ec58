//! Constants in DDL, which has no binds: the only function that writes values of a model as SQL.

use ferro_wit::iso8601::{write_date, write_time, write_timestamp, write_timestamptz};
use ferro_wit::schema::ColumnType;
use ferro_wit::types::{Dialect, Interval, ScalarType, Value};
use uuid::Uuid;

use super::Spelling as _;
use super::columns::column_type;
use crate::catalog::scalar_of;

/// A checked constant as SQL, with the type of its column.
pub(crate) fn sql(dialect: Dialect, value: &Value, kind: &ColumnType) -> String {
    let cast = |literal: String| match dialect {
        Dialect::Sqlite => literal,
        Dialect::Postgres => {
            format!("CAST({literal} AS {})", column_type(dialect, kind))
        }
    };
    match value {
        Value::Null => "NULL".into(),
        Value::Boolean(it) => dialect.boolean(*it).into(),
        Value::Integer(it) => dialect.integer(*it),
        Value::Blob(it) => bytes(dialect, it),
        Value::Uuid((high, low)) if dialect == Dialect::Sqlite => {
            bytes(dialect, Uuid::from_u64_pair(*high, *low).as_bytes())
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

fn bytes(dialect: Dialect, bytes: &[u8]) -> String {
    let digits = hex::encode(bytes);
    match dialect {
        Dialect::Sqlite => format!("X'{digits}'"),
        Dialect::Postgres => format!("CAST({} AS bytea)", dialect.text(&format!("\\x{digits}"))),
    }
}

/// A decimal as the driver writes it: without leading zeros and without the sign of zero.
pub(crate) fn canonical(text: &str) -> String {
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

/// A decimal padded to the scale of its column.
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

/// The text of a value: what SQLite stores, and what PostgreSQL parses.
fn stored(dialect: Dialect, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Boolean(it) => u8::from(*it).to_string(),
        Value::Integer(it) => it.to_string(),
        Value::Float(it) => float(*it),
        Value::Decimal(it) => canonical(it),
        Value::Text(it) | Value::Json(it) => it.clone(),
        Value::Blob(it) => match dialect {
            Dialect::Sqlite => hex::encode(it),
            Dialect::Postgres => format!("\\x{}", hex::encode(it)),
        },
        Value::Uuid((high, low)) => Uuid::from_u64_pair(*high, *low).simple().to_string(),
        Value::Date(it) => written(write_date, (*it).into()),
        Value::Time(it) => written(write_time, *it),
        Value::Timestamp(it) => written(write_timestamp, *it),
        Value::Timestamptz(it) => written(write_timestamptz, *it),
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

fn written(write: fn(&mut String, i64), count: i64) -> String {
    let mut text = String::new();
    write(&mut text, count);
    text
}

fn float(value: f64) -> String {
    match value {
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        it => format!("{it:?}"),
    }
}

/// The form in which the driver stores intervals: ISO 8601 with signs.
fn interval(value: &Interval) -> String {
    let Interval { months, days, microseconds } = value;
    let sign = if *microseconds < 0 { "-" } else { "" };
    let microseconds = microseconds.unsigned_abs();
    let (seconds, fraction) = (microseconds / 1_000_000, microseconds % 1_000_000);
    format!("P{months}M{days}DT{sign}{seconds}.{fraction:06}S")
}

/// The text of an array on PostgreSQL, with each element in quotes.
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

/// The text of an array on SQLite, as the driver writes it: JSON of the stored forms of its
/// elements.
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
    use ferro_wit::schema::DecimalSize;
    use ferro_wit::types::Scalars;

    use super::*;

    fn both(value: &Value, kind: &ColumnType) -> (String, String) {
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
}
