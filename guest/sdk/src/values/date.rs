//! Dates of the calendar.

use std::fmt;
use std::str::FromStr;

use ferro_wit::calendar;
use ferro_wit::iso8601::{read_date, write_date};
use ferro_wit::schema::ColumnType;
use ferro_wit::types::Error;

use super::not_a;
use crate::scalar::fixed;
use crate::schema::Moment;

/// A date of the proleptic Gregorian calendar.
///
/// ```
/// use ferro::values::Date;
///
/// let date = Date::parse("2024-02-29")?;
/// assert_eq!((date.year(), date.month(), date.day()), (2024, 2, 29));
/// assert_eq!(date.to_string(), "2024-02-29");
/// assert_eq!(Date::from_days(0).to_string(), "1970-01-01");
/// # Ok::<(), ferro::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(i32);

impl Date {
    /// PostgreSQL's `infinity`: later than every other date.
    pub const INFINITY: Self = Self(i32::MAX);
    /// PostgreSQL's `-infinity`: earlier than every other date.
    pub const NEG_INFINITY: Self = Self(i32::MIN);

    /// Creates a date from the days since 1970-01-01.
    #[must_use]
    pub const fn from_days(days: i32) -> Self {
        Self(days)
    }

    /// The days since 1970-01-01.
    #[must_use]
    pub const fn days(self) -> i32 {
        self.0
    }

    /// Creates a date in the years 1 to 9999; `None` if there is no such day.
    #[must_use]
    pub fn new(year: i32, month: u32, day: u32) -> Option<Self> {
        let days = calendar::day(year.into(), month.into(), day.into())?;
        i32::try_from(days).ok().map(Self)
    }

    /// Parses `2024-02-29`, `infinity` or `-infinity`.
    ///
    /// # Errors
    ///
    /// `type-mismatch` if it is something else, or no day of the calendar.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let date = match text {
            "infinity" => Some(Self::INFINITY),
            "-infinity" => Some(Self::NEG_INFINITY),
            _ => read_date(text).map(Self),
        };
        date.ok_or_else(|| not_a("a date", text, "a day of the calendar, as in `2024-02-29`"))
    }

    /// The year; 0 is the year before the year 1.
    #[must_use]
    pub fn year(self) -> i64 {
        calendar::date(self.0.into()).0
    }

    /// The month, from 1.
    #[must_use]
    pub fn month(self) -> u32 {
        calendar::date(self.0.into()).1.into()
    }

    /// The day of the month, from 1.
    #[must_use]
    pub fn day(self) -> u32 {
        calendar::date(self.0.into()).2.into()
    }
}

fixed! {
    Date: Date(i32), ColumnType::Date, Date::days, |it| Ok(Date(it));
}

impl Moment for Date {}

impl FromStr for Date {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::INFINITY => f.write_str("infinity"),
            Self::NEG_INFINITY => f.write_str("-infinity"),
            _ => {
                let mut text = String::new();
                write_date(&mut text, self.0.into());
                f.write_str(&text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_ten_thousand_years_comes_back_from_its_text() {
        let (first, last) =
            (Date::parse("0001-01-01").unwrap(), Date::parse("9999-12-31").unwrap());
        assert_eq!((first.days(), last.days()), (-719_162, 2_932_896));
        for days in first.days()..=last.days() {
            let date = Date(days);
            let parts = (i32::try_from(date.year()).unwrap(), date.month(), date.day());
            assert_eq!(Date::new(parts.0, parts.1, parts.2), Some(date), "{date}");
            if days % 97 == 0 {
                assert_eq!(Date::parse(&date.to_string()).unwrap(), date);
            }
        }
    }

    #[test]
    fn days_that_are_not_in_the_calendar_are_refused() {
        for text in
            ["2023-02-29", "1900-02-29", "2024-13-01", "2024-00-01", "0000-01-01", "2024-1-1"]
        {
            assert!(Date::parse(text).is_err(), "{text}");
        }
        assert!(Date::parse("2000-02-29 ").is_err());
        assert_eq!(Date::parse("-infinity").unwrap(), Date::NEG_INFINITY);
    }
}
