//! Durations of the calendar and the clock.

use std::fmt;

use ferro_wit::calendar::{HOUR, MINUTE, SECOND};
use ferro_wit::schema::ColumnType;
use ferro_wit::types;

use crate::scalar::fixed;

/// A duration, as PostgreSQL stores it: months are not converted to days, as their lengths differ,
/// nor days to hours.
///
/// ```
/// use ferro::values::Interval;
///
/// let interval = Interval { months: 14, days: 3, micros: 90_500_000 };
/// assert_eq!(interval.to_string(), "P1Y2M3DT1M30.5S");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Interval {
    /// Months; a year counts as twelve.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Microseconds, including hours, minutes and seconds.
    pub micros: i64,
}

fixed! {
    Interval: Interval(types::Interval), ColumnType::Interval, to_stored, from_stored;
}

impl fmt::Display for Interval {
    /// ISO 8601, each part with its sign.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::default() {
            return f.write_str("PT0S");
        }
        f.write_str("P")?;
        for (number, unit) in [(self.months / 12, 'Y'), (self.months % 12, 'M'), (self.days, 'D')] {
            if number != 0 {
                write!(f, "{number}{unit}")?;
            }
        }
        if self.micros == 0 {
            return Ok(());
        }
        f.write_str("T")?;
        for (number, unit) in [(self.micros / HOUR, 'H'), (self.micros % HOUR / MINUTE, 'M')] {
            if number != 0 {
                write!(f, "{number}{unit}")?;
            }
        }
        let micros = self.micros % MINUTE;
        if micros != 0 {
            let sign = if micros < 0 { "-" } else { "" };
            let (seconds, fraction) = ((micros / SECOND).abs(), (micros % SECOND).abs());
            let fraction = format!(".{fraction:06}");
            write!(f, "{sign}{seconds}{}S", fraction.trim_end_matches('0').trim_end_matches('.'))?;
        }
        Ok(())
    }
}

fn to_stored(it: Interval) -> types::Interval {
    types::Interval { months: it.months, days: it.days, microseconds: it.micros }
}

fn from_stored(it: types::Interval) -> Result<Interval, String> {
    Ok(Interval { months: it.months, days: it.days, micros: it.microseconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_an_interval_shows_its_sign() {
        let intervals = [
            (Interval::default(), "PT0S"),
            (Interval { months: -14, days: 3, micros: 0 }, "P-1Y-2M3D"),
            (Interval { micros: -1, ..Interval::default() }, "PT-0.000001S"),
            (Interval { micros: -HOUR - SECOND, ..Interval::default() }, "PT-1H-1S"),
            (Interval { micros: MINUTE, ..Interval::default() }, "PT1M"),
        ];
        for (interval, text) in intervals {
            assert_eq!(interval.to_string(), text);
        }
    }
}
