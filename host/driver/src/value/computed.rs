//! Converts values computed by SQL text to the type that its caller expects: numbers of another
//! type with the same value, and texts in the form that SQLite stores.

use ferro_wit::types::{Elements, Scalars};
use uuid::Uuid;

use super::decimal::Decimal;
use super::sqlite::{self, Stored};
use super::{Cell, Expected, Fault, push_text};

/// Appends a value to the elements of a column of another type.
pub(crate) fn read(cell: Cell<'_>, items: &mut Scalars) -> Result<(), Fault> {
    match (&mut items.elements, cell) {
        (Elements::Integer(to), Cell::Decimal(it)) => to.push(whole(it)?),
        (Elements::Float(to), Cell::Decimal(it)) => {
            Decimal::parse(it).map_err(Fault::stored)?;
            to.push(it.parse().map_err(|_| Fault::undecodable("is not a number"))?);
        }
        (Elements::Integer(to), Cell::Float(it)) if whole_float(it).is_some() => {
            to.extend(whole_float(it));
        }
        (Elements::Decimal(to), Cell::Float(it)) => {
            let it = whole_float(it).ok_or_else(inexact)?;
            push_text(to, &it.to_string())?;
        }
        (Elements::Uuid(to), Cell::Text(it)) => {
            let uuid = Uuid::parse_str(it);
            let (high, low) =
                uuid.map_err(|_| Fault::undecodable("is a text that is not a UUID"))?.as_u64_pair();
            to.extend([high, low]);
        }
        (Elements::Boolean(_) | Elements::Float(_) | Elements::Decimal(_), Cell::Integer(it)) => {
            sqlite::read(Stored::Integer(it), items)?;
        }
        (
            Elements::Decimal(_)
            | Elements::Date(_)
            | Elements::Time(_)
            | Elements::Timestamp(_)
            | Elements::Timestamptz(_)
            | Elements::Interval(_)
            | Elements::Json(_),
            Cell::Text(it),
        ) => sqlite::read(Stored::Text(it), items)?,
        (elements, cell) => {
            let expected = Expected { kind: elements.kind(), many: false };
            return Err(match cell.kind() {
                Some(kind) => Fault::mismatch(Expected { kind, many: false }, expected).stored(),
                None => Fault::undecodable(format!("is null, where `{expected}` is expected")),
            });
        }
    }
    Ok(())
}

/// The integer equal to a decimal.
fn whole(text: &str) -> Result<i64, Fault> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole = whole.parse().ok().filter(|_| fraction.bytes().all(|it| it == b'0'));
    whole.ok_or_else(|| Fault::undecodable("is a decimal that is not a 64-bit integer"))
}

/// Up to here, a float represents every integer exactly: 2 to the power of 53.
const MOST_WHOLE: f64 = 9_007_199_254_740_992.0;

/// The integer equal to a float, if no other integer has the same float.
fn whole_float(it: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "it is whole, and within the bounds")]
    (it.fract() == 0.0 && it.abs() <= MOST_WHOLE).then_some(it as i64)
}

fn inexact() -> Fault {
    Fault::undecodable(
        "is a float, which does not keep the digits of a decimal: compute it with `ferro_sum`, \
         `ferro_add` and the like on SQLite, or cast it, to `text` there and to `numeric` on \
         PostgreSQL",
    )
}

#[cfg(test)]
mod tests {
    use ferro_wit::types::{Interval, ScalarType, Value};

    use super::*;

    fn as_kind(cell: Cell<'_>, kind: ScalarType) -> Result<Value, String> {
        let mut items = Scalars::with_kind(kind);
        read(cell, &mut items).map_err(|it| it.predicate)?;
        Ok(items.get(0).unwrap_or(Value::Null))
    }

    #[test]
    fn numbers_keep_their_value_and_texts_are_read_as_they_are_stored() {
        use ScalarType as S;
        for (cell, kind, expected) in [
            (Cell::Decimal("-3.00"), S::Integer, Value::Integer(-3)),
            (Cell::Decimal("0.10"), S::Float, Value::Float(0.1)),
            (Cell::Integer(7), S::Float, Value::Float(7.0)),
            (Cell::Integer(7), S::Decimal, Value::Decimal("7".into())),
            (Cell::Float(-3.0), S::Integer, Value::Integer(-3)),
            (Cell::Float(MOST_WHOLE), S::Integer, Value::Integer(1 << 53)),
            (Cell::Float(-0.0), S::Decimal, Value::Decimal("0".into())),
            (Cell::Float(-MOST_WHOLE), S::Decimal, Value::Decimal("-9007199254740992".into())),
            (Cell::Integer(1), S::Boolean, Value::Boolean(true)),
            (Cell::Text("1.50"), S::Decimal, Value::Decimal("1.50".into())),
            (Cell::Text("1970-01-03"), S::Date, Value::Date(2)),
            (Cell::Text("00:00:01"), S::Time, Value::Time(1_000_000)),
            (Cell::Text("1970-01-01T00:00:01"), S::Timestamp, Value::Timestamp(1_000_000)),
            (Cell::Text("1970-01-01 00:00"), S::Timestamptz, Value::Timestamptz(0)),
            (
                Cell::Text("P2D"),
                S::Interval,
                Value::Interval(Interval { months: 0, days: 2, microseconds: 0 }),
            ),
            (Cell::Text("[1]"), S::Json, Value::Json("[1]".into())),
            (Cell::Text("00000000-0000-0000-0000-000000000007"), S::Uuid, Value::Uuid((0, 7))),
        ] {
            assert_eq!(as_kind(cell, kind), Ok(expected));
        }
    }

    #[test]
    fn nothing_else_is_taken_for_another_type() {
        use ScalarType as S;
        for (cell, kind, expected) in [
            (Cell::Decimal("3.01"), S::Integer, "is a decimal that is not a 64-bit integer"),
            (
                Cell::Decimal("9223372036854775808"),
                S::Integer,
                "is a decimal that is not a 64-bit integer",
            ),
            (Cell::Decimal("NaN"), S::Integer, "is a decimal that is not a 64-bit integer"),
            (Cell::Float(3.5), S::Integer, "is of type `float`, where `integer` is expected"),
            (
                Cell::Float(2.0 * MOST_WHOLE),
                S::Integer,
                "is of type `float`, where `integer` is expected",
            ),
            (Cell::Integer(7), S::Boolean, "is the integer 7, where a boolean is 0 or 1"),
            (Cell::Integer(7), S::Text, "is of type `integer`, where `text` is expected"),
            (Cell::Text("7"), S::Integer, "is of type `text`, where `integer` is expected"),
            (Cell::Text("7"), S::Uuid, "is a text that is not a UUID"),
            (Cell::Null, S::Integer, "is null, where `integer` is expected"),
        ] {
            assert_eq!(as_kind(cell, kind), Err(expected.to_owned()));
        }
        for float in [0.1, 2.0 * MOST_WHOLE, f64::INFINITY, f64::NAN] {
            let refused = as_kind(Cell::Float(float), S::Decimal).unwrap_err();
            assert_eq!(refused, inexact().predicate);
        }
    }
}
