//! Dates with a time of day, with and without a time zone.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ferro_wit::calendar::DAY;
use ferro_wit::iso8601::{read_timestamp, write_timestamp};
use ferro_wit::schema::ColumnType;
use ferro_wit::types::{Error, ErrorKind};

use super::clock::{Time, without_zeros};
use super::{Date, not_a};
use crate::scalar::fixed;
use crate::schema::Moment;

/// A date and a time of day, to the microsecond, in no time zone.
///
/// ```
/// use ferro::values::Timestamp;
///
/// let noon = Timestamp::parse("2024-02-29 12:00:00")?;
/// assert_eq!(noon.to_string(), "2024-02-29 12:00:00");
/// assert_eq!(Timestamp::parse("2024-02-29T12:00")?, noon);
/// # Ok::<(), ferro::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// An instant, to the microsecond: stored in UTC, compared as an instant.
///
/// ```
/// use ferro::values::Timestamptz;
///
/// let instant = Timestamptz::parse("2024-02-29T12:00:00+02:00")?;
/// assert_eq!(instant.to_string(), "2024-02-29 10:00:00+00:00");
/// assert_eq!(instant, Timestamptz::parse("2024-02-29T10:00:00Z")?);
/// # Ok::<(), ferro::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamptz(i64);

impl Timestamp {
    /// PostgreSQL's `infinity`: later than every other one.
    pub const INFINITY: Self = Self(i64::MAX);
    /// PostgreSQL's `-infinity`: earlier than every other one.
    pub const NEG_INFINITY: Self = Self(i64::MIN);

    /// From the microseconds since 1970-01-01 00:00:00.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The microseconds since 1970-01-01 00:00:00.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// From a date and a time of day.
    #[must_use]
    pub fn new(date: Date, time: Time) -> Self {
        match date {
            Date::INFINITY => Self::INFINITY,
            Date::NEG_INFINITY => Self::NEG_INFINITY,
            _ => Self((i64::from(date.days()) * DAY).saturating_add(time.micros())),
        }
    }

    /// From text: `2024-02-29 12:00:00.123456`, with a space or a `T`, a date alone for its first
    /// moment, or `infinity`.
    ///
    /// # Errors
    ///
    /// `type-mismatch` if it is something else; an offset is: that is a [`Timestamptz`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let local = || match read_timestamp(text)? {
            (micros, None) => Some(micros),
            (_, Some(_)) => None,
        };
        infinity(text).or_else(local).map(Self).ok_or_else(|| {
            not_a("a timestamp", text, "a date and a time, as in `2024-02-29 23:59:07`")
        })
    }
}

impl Timestamptz {
    /// PostgreSQL's `infinity`: later than every other one.
    pub const INFINITY: Self = Self(i64::MAX);
    /// PostgreSQL's `-infinity`: earlier than every other one.
    pub const NEG_INFINITY: Self = Self(i64::MIN);

    /// From the microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// From text: `2024-02-29T12:00:00+02:00`, with `Z` or an offset, or `infinity`.
    ///
    /// # Errors
    ///
    /// `type-mismatch` if it is something else; no offset is: that is a [`Timestamp`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let instant = || match read_timestamp(text)? {
            (micros, Some(offset)) => Some(micros - offset),
            (_, None) => None,
        };
        infinity(text).or_else(instant).map(Self).ok_or_else(|| {
            let expected = "a date, a time and an offset, as in `2024-02-29T23:59:07Z`";
            not_a("a timestamp with time zone", text, expected)
        })
    }
}

fixed! {
    Timestamp: Timestamp(i64), ColumnType::Timestamp, Timestamp::micros, |it| Ok(Timestamp(it));
    Timestamptz: Timestamptz(i64), ColumnType::Timestamptz, Timestamptz::micros,
        |it| Ok(Timestamptz(it));
}

impl Moment for Timestamp {}
impl Moment for Timestamptz {}

impl TryFrom<SystemTime> for Timestamptz {
    type Error = Error;

    /// To the microsecond, rounded down.
    fn try_from(time: SystemTime) -> Result<Self, Error> {
        let micros = |it: Duration| i64::try_from(it.as_micros()).ok();
        let since = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => micros(after),
            Err(before) => {
                let before = before.duration();
                let part = i64::from(before.subsec_nanos() % 1_000 > 0);
                micros(before).and_then(|it| it.checked_neg()?.checked_sub(part))
            }
        };
        let fault = || Error::new(ErrorKind::ValueOutOfRange, "a time too far from the year 1970");
        since.map(Self).ok_or_else(fault)
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl FromStr for Timestamptz {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_micros(f, self.0, "")
    }
}

impl fmt::Display for Timestamptz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_micros(f, self.0, "+00:00")
    }
}

fn infinity(text: &str) -> Option<i64> {
    match text {
        "infinity" => Some(i64::MAX),
        "-infinity" => Some(i64::MIN),
        _ => None,
    }
}

fn write_micros(f: &mut fmt::Formatter<'_>, micros: i64, zone: &str) -> fmt::Result {
    match micros {
        i64::MAX => return f.write_str("infinity"),
        i64::MIN => return f.write_str("-infinity"),
        _ => {}
    }
    let mut text = String::new();
    write_timestamp(&mut text, micros);
    write!(f, "{}{zone}", without_zeros(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_before_and_after_the_epoch_come_back_from_their_text() {
        let texts = [
            ("1970-01-01 00:00:00", 0),
            ("1969-12-31 23:59:59.999999", -1),
            ("0001-01-01 00:00:00", -62_135_596_800_000_000),
            ("9999-12-31 23:59:59.999999", 253_402_300_799_999_999),
        ];
        for (text, micros) in texts {
            let timestamp = Timestamp::parse(text).unwrap();
            assert_eq!((timestamp.micros(), timestamp.to_string().as_str()), (micros, text));
        }
        assert_eq!(Timestamp::INFINITY.to_string(), "infinity");
    }

    #[test]
    fn only_an_instant_has_an_offset() {
        assert!(Timestamp::parse("2024-01-01 00:00:00Z").is_err());
        assert!(Timestamptz::parse("2024-01-01 00:00:00").is_err());
        assert!(Timestamptz::parse("2024-01-01").is_err());
        assert_eq!(
            Timestamp::parse("2024-01-01").unwrap(),
            Timestamp::parse("2023-12-31 24:00").unwrap()
        );
        for zone in ["+01:30", "+0130", "-22:30"] {
            let text = format!("2024-01-01T00:00:00{zone}");
            let instant = Timestamptz::parse(&text).unwrap();
            let expected =
                if zone.starts_with('+') { "2023-12-31 22:30:00" } else { "2024-01-01 22:30:00" };
            assert_eq!(instant.to_string(), format!("{expected}+00:00"), "{zone}");
        }
    }

    #[test]
    fn the_system_clock_is_rounded_down_on_both_sides_of_the_epoch() {
        let nanos = Duration::from_nanos(1_500);
        assert_eq!(Timestamptz::try_from(UNIX_EPOCH + nanos).unwrap().micros(), 1);
        assert_eq!(Timestamptz::try_from(UNIX_EPOCH - nanos).unwrap().micros(), -2);
    }
}
