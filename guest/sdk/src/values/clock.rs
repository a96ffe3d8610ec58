//! Times of day.

use std::fmt;
use std::str::FromStr;

use ferro_wit::schema::ColumnType;
use ferro_wit::types::Error;

use super::{digits, not_a};
use crate::scalar::fixed;
use crate::schema::Moment;

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// A time of day, to the microsecond, in no time zone.
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
    /// From the microseconds since midnight; none if that is not within one day. PostgreSQL's
    /// `24:00:00` is.
    #[must_use]
    pub fn from_micros(micros: i64) -> Option<Self> {
        (0..=DAY).contains(&micros).then_some(Self(micros))
    }

    /// The microseconds since midnight.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// From text: `23:59`, `23:59:07` or `23:59:07.123456`.
    ///
    /// # Errors
    ///
    /// `type-mismatch` if it is something else.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match Self::parse_start(text) {
            Some((time, "")) => Ok(time),
            _ => Err(not_a("a time", text, "a time of day, as in `23:59:07`")),
        }
    }

    /// The time at the start of a text, and what follows it.
    pub(super) fn parse_start(text: &str) -> Option<(Self, &str)> {
        let (hours, rest) = digits(text, 2)?;
        let (minutes, mut rest) = digits(rest.strip_prefix(':')?, 2)?;
        let mut seconds = 0;
        let mut micros = 0;
        if let Some(part) = rest.strip_prefix(':') {
            (seconds, rest) = digits(part, 2)?;
            if let Some(part) = rest.strip_prefix('.') {
                let width = part.bytes().take_while(u8::is_ascii_digit).count();
                let (fraction, after) = part.split_at_checked(width)?;
                // Six digits are what is stored: more would be lost in silence.
                if fraction.is_empty() || width > 6 {
                    return None;
                }
                micros = format!("{fraction:0<6}").parse().ok()?;
                rest = after;
            }
        }
        if hours > 23 || minutes > 59 || seconds > 59 {
            return None;
        }
        let [hours, minutes, seconds] = [hours, minutes, seconds].map(i64::from);
        Some((Self(hours * HOUR + minutes * MINUTE + seconds * SECOND + micros), rest))
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
        let (hours, minutes, seconds) =
            (self.0 / HOUR, self.0 % HOUR / MINUTE, self.0 % MINUTE / SECOND);
        write!(f, "{hours:02}:{minutes:02}:{seconds:02}")?;
        match self.0 % SECOND {
            0 => Ok(()),
            micros => write!(f, ".{micros:06}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_times_come_back_and_others_are_refused() {
        for text in ["00:00:00", "23:59:59.999999", "12:30:00.000001"] {
            assert_eq!(Time::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Time::parse("12:30").unwrap(), Time::parse("12:30:00").unwrap());
        for text in ["24:00:00", "12", "12:60:00", "12:30:60", "12:30:00.", "12:30:00.1234567"] {
            assert!(Time::parse(text).is_err(), "{text}");
        }
    }
}
