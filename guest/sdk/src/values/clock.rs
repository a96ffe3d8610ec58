//! Times of day.

use std::fmt;
use std::str::FromStr;

use ferro_wit::calendar::TIMES;
use ferro_wit::iso8601::{read_time, write_time};
use ferro_wit::schema::ColumnType;
use ferro_wit::types::Error;

use super::not_a;
use crate::scalar::fixed;
use crate::schema::Moment;

/// A time of day, to the microsecond, without a time zone.
///
/// ```
/// use ferro::values::Time;
///
/// let time = Time::parse("23:59:07.5")?;
/// assert_eq!(time.to_string(), "23:59:07.500000");
/// assert_eq!(Time::from_micros(0).unwrap().to_string(), "00:00:00");
/// # Ok::<(), ferro::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// Creates a time from the microseconds since midnight; `None` if they exceed a day.
    /// PostgreSQL's `24:00:00` is accepted.
    #[must_use]
    pub fn from_micros(micros: i64) -> Option<Self> {
        TIMES.contains(&micros).then_some(Self(micros))
    }

    /// The microseconds since midnight.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Parses `23:59`, `23:59:07` or `23:59:07.123456`.
    ///
    /// # Errors
    ///
    /// `type-mismatch` if it is something else.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let time = read_time(text).map(Self);
        time.ok_or_else(|| not_a("a time", text, "a time of day, as in `23:59:07`"))
    }
}

fixed! {
    Time: Time(i64), ColumnType::Time, Time::micros,
        |it| Time::from_micros(it).ok_or_else(|| format!("`{it}` µs are not within a day"));
}

impl Moment for Time {}

impl FromStr for Time {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        write_time(&mut text, self.0);
        f.write_str(without_zeros(&text))
    }
}

/// The text of a time without a zero fraction.
pub(super) fn without_zeros(text: &str) -> &str {
    text.strip_suffix(".000000").unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_times_come_back_and_others_are_refused() {
        for text in ["00:00:00", "23:59:59.999999", "12:30:00.000001", "24:00:00"] {
            assert_eq!(Time::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Time::parse("12:30").unwrap(), Time::parse("12:30:00").unwrap());
        for text in ["24:00:01", "12", "12:60:00", "12:30:60", "12:30:00.", "12:30:00.1234567"] {
            assert!(Time::parse(text).is_err(), "{text}");
        }
    }
}
