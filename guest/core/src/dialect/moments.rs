//! Arithmetic with dates and times. On SQLite, the driver provides functions for it.

use ferro_wit::query::BinaryOperator as B;
use ferro_wit::types::{Dialect, ScalarType as S};

/// The template of an operator for operands of these types; `None` for other operators and types.
pub(crate) fn template(dialect: Dialect, operator: B, left: S, right: S) -> Option<&'static str> {
    Some(match (dialect, operator, left, right) {
        (Dialect::Sqlite, B::Add, S::Date, S::Integer) => "ferro_add_days({0}, {1})",
        (Dialect::Sqlite, B::Subtract, S::Date, S::Integer) => "ferro_add_days({0}, -{1})",
        (Dialect::Postgres, B::Add, S::Date, S::Integer) => "{0} + CAST({1} AS integer)",
        (Dialect::Postgres, B::Subtract, S::Date, S::Integer) => "{0} - CAST({1} AS integer)",
        (Dialect::Sqlite, B::Add, S::Timestamp | S::Timestamptz, S::Interval) => {
            "ferro_add_interval({0}, {1})"
        }
        (Dialect::Sqlite, B::Subtract, S::Timestamp | S::Timestamptz, S::Interval) => {
            "ferro_subtract_interval({0}, {1})"
        }
        (Dialect::Postgres, B::Add, S::Timestamp, S::Interval) => "{0} + {1}",
        (Dialect::Postgres, B::Subtract, S::Timestamp, S::Interval) => "{0} - {1}",
        // Otherwise, days would be those of the session's time zone.
        (Dialect::Postgres, B::Add, S::Timestamptz, S::Interval) => {
            "({0} AT TIME ZONE 'UTC' + {1}) AT TIME ZONE 'UTC'"
        }
        (Dialect::Postgres, B::Subtract, S::Timestamptz, S::Interval) => {
            "({0} AT TIME ZONE 'UTC' - {1}) AT TIME ZONE 'UTC'"
        }
        (Dialect::Sqlite, B::Subtract, S::Timestamp, S::Timestamp)
        | (Dialect::Sqlite, B::Subtract, S::Timestamptz, S::Timestamptz) => {
            "ferro_interval_between({0}, {1})"
        }
        (Dialect::Postgres, B::Subtract, S::Timestamp, S::Timestamp)
        | (Dialect::Postgres, B::Subtract, S::Timestamptz, S::Timestamptz) => "{0} - {1}",
        _ => return None,
    })
}
