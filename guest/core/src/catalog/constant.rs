//! Checks constants of models. [`constants`](crate::dialect::constants) writes valid ones as SQL.

use ferro_wit::calendar::{DAY, DAYS, TIMES};
use ferro_wit::schema::DecimalSize;
use ferro_wit::types::{ScalarType, Value};

use crate::dialect::constants::canonical;

/// What is wrong with a constant for a column, as a predicate.
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

/// What is wrong with a scalar that no column could store.
fn scalar_fault(value: &Value) -> Option<String> {
    let fault = match value {
        Value::Text(it) | Value::Json(it) if text_fault(it).is_some() => return text_fault(it),
        Value::Decimal(it) if !is_plain(it) => "is no decimal in plain notation",
        Value::Json(it) if it.trim().is_empty() => "is no JSON document",
        Value::Date(it) if !DAYS.contains(&i64::from(*it)) => OUT_OF_RANGE,
        Value::Timestamp(it) | Value::Timestamptz(it) if !DAYS.contains(&it.div_euclid(DAY)) => {
            OUT_OF_RANGE
        }
        Value::Time(it) if !TIMES.contains(it) => "is no time of a day",
        _ => return None,
    };
    Some(fault.to_owned())
}

/// What is wrong with a text in DDL: no database accepts a NUL, and all of a script must be visible
/// to whoever reads it on a terminal.
pub(crate) fn text_fault(text: &str) -> Option<String> {
    let is_control = |it: char| it.is_control() && !matches!(it, '\t' | '\n');
    let fault = match text {
        _ if text.contains('\0') => "contains a NUL",
        _ if text.contains(is_control) => "contains a control character",
        _ => return None,
    };
    Some(fault.to_owned())
}

/// Why a decimal does not fit a column of this size. PostgreSQL would round it, or fail when a row
/// is written.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_has_to_fit_its_column() {
        let size = DecimalSize { precision: 4, scale: 2 };
        for fits in ["99.99", "-0012.3400", "0"] {
            assert_eq!(size_fault(fits, &size), None, "{fits}");
        }
        for text in ["1.239", "100", "-123.4", "0.001"] {
            assert!(size_fault(text, &size).is_some(), "{text}");
        }
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
