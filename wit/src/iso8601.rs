//! Dates and times as text, in the same form for the core, the hosts and the SDK.
//!
//! | kind | text |
//! | --- | --- |
//! | date | `YYYY-MM-DD` |
//! | time | `HH:MM:SS.ffffff` |
//! | timestamp | `YYYY-MM-DD HH:MM:SS.ffffff` |
//! | timestamptz | `YYYY-MM-DD HH:MM:SS.ffffff+00:00`, always in UTC |
//!
//! From the year 1 to 9999 the text is sortable. Other forms are read too: a `T` between date and
//! time, missing seconds or fractions, shorter fractions, other offsets, and a date alone for its
//! start.
//!
//! ```
//! use ferro_wit::iso8601::{read_timestamp, write_timestamptz};
//!
//! let (local, offset) = read_timestamp("2024-02-29T12:00+02:00").unwrap();
//! let mut text = String::new();
//! write_timestamptz(&mut text, local - offset.unwrap());
//! assert_eq!(text, "2024-02-29 10:00:00.000000+00:00");
//! assert_eq!(read_timestamp("2024-02-30"), None);
//! ```

use crate::calendar::{self, DAY, HOUR, MINUTE, clock};

/// Appends the date of a count of days.
pub fn write_date(out: &mut String, day: i64) {
    let (year, month, day) = calendar::date(day);
    if year < 0 {
        out.push('-');
    }
    match u32::try_from(year.unsigned_abs()) {
        Ok(year @ ..=9999) => write_digits(out, year, 4),
        _ => out.push_str(&year.unsigned_abs().to_string()),
    }
    out.push('-');
    write_digits(out, month.into(), 2);
    out.push('-');
    write_digits(out, day.into(), 2);
}

/// Appends a time of day.
pub fn write_time(out: &mut String, time: i64) {
    let (hour, minute, second, microsecond) = clock(time);
    write_digits(out, hour.into(), 2);
    out.push(':');
    write_digits(out, minute.into(), 2);
    out.push(':');
    write_digits(out, second.into(), 2);
    out.push('.');
    write_digits(out, microsecond, 6);
}

/// Appends a timestamp without a time zone, of microseconds since 1970.
pub fn write_timestamp(out: &mut String, timestamp: i64) {
    write_date(out, timestamp.div_euclid(DAY));
    out.push(' ');
    write_time(out, timestamp.rem_euclid(DAY));
}

/// Appends an instant, of microseconds since 1970 in UTC.
pub fn write_timestamptz(out: &mut String, timestamp: i64) {
    write_timestamp(out, timestamp);
    out.push_str("+00:00");
}

/// The days of a date of the years 1 to 9999; `None` for any other text.
#[must_use]
pub fn read_date(text: &str) -> Option<i32> {
    let mut reader = Reader(text.as_bytes());
    let day = reader.date()?;
    reader.end(i32::try_from(day).ok()?)
}

/// The microseconds of a time of day; `None` for any other text.
#[must_use]
pub fn read_time(text: &str) -> Option<i64> {
    let mut reader = Reader(text.as_bytes());
    let time = reader.time()?;
    reader.end(time)
}

/// The microseconds of a date with an optional time, and of the offset east of UTC if there is one;
/// `None` for any other text.
#[must_use]
pub fn read_timestamp(text: &str) -> Option<(i64, Option<i64>)> {
    let mut reader = Reader(text.as_bytes());
    let day = reader.date()? * DAY;
    if reader.0.is_empty() {
        return Some((day, None));
    }
    reader.byte(b' ').or_else(|| reader.byte(b'T'))?;
    let timestamp = day + reader.time()?;
    let offset = if reader.0.is_empty() { None } else { Some(reader.offset()?) };
    reader.end((timestamp, offset))
}

/// A number with leading zeros.
fn write_digits(out: &mut String, number: u32, width: u32) {
    for place in (0..width).rev() {
        let digit = number / 10_u32.pow(place) % 10;
        out.push(char::from_digit(digit, 10).unwrap_or_default());
    }
}

/// The rest of the text.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn date(&mut self) -> Option<i64> {
        let year = self.number(4)?;
        self.byte(b'-')?;
        let month = self.number(2)?;
        self.byte(b'-')?;
        let day = self.number(2)?;
        calendar::day(year, month, day)
    }

    fn time(&mut self) -> Option<i64> {
        let hour = self.number(2)?;
        self.byte(b':')?;
        let minute = self.number(2)?;
        let (mut second, mut microsecond) = (0, 0);
        if self.byte(b':').is_some() {
            second = self.number(2)?;
            if self.byte(b'.').is_some() {
                microsecond = self.fraction()?;
            }
        }
        calendar::time(hour, minute, second, microsecond)
    }

    /// `Z`, `+02`, `+0230` or `-02:30`.
    fn offset(&mut self) -> Option<i64> {
        if self.byte(b'Z').is_some() {
            return Some(0);
        }
        let sign = match self.byte(b'+') {
            Some(()) => 1,
            None => self.byte(b'-').map(|()| -1)?,
        };
        let hours = self.number(2)?;
        let minutes = match self.byte(b':') {
            None if self.0.is_empty() => 0,
            _ => self.number(2)?,
        };
        (hours < 24 && minutes < 60).then_some(sign * (hours * HOUR + minutes * MINUTE))
    }

    /// One to six digits, as microseconds. More digits would be lost.
    fn fraction(&mut self) -> Option<i64> {
        let digits = self.0.iter().take_while(|it| it.is_ascii_digit()).count();
        let scale = u32::try_from(digits).ok().filter(|it| (1..=6).contains(it))?;
        Some(self.number(digits)? * 10_i64.pow(6 - scale))
    }

    fn number(&mut self, digits: usize) -> Option<i64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        number.iter().try_fold(0, |value, digit| {
            digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0'))
        })
    }

    fn byte(&mut self, byte: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    /// The result, if the text ends here.
    fn end<T>(&self, found: T) -> Option<T> {
        self.0.is_empty().then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::DAYS;

    fn written(write: impl FnOnce(&mut String)) -> String {
        let mut text = String::new();
        write(&mut text);
        text
    }

    #[test]
    fn every_day_of_the_years_1_to_9999_comes_back_and_sorts() {
        let mut before = String::new();
        for day in DAYS {
            let text = written(|out| write_date(out, day));
            assert_eq!(read_date(&text).map(i64::from), Some(day));
            assert!(before < text, "{before} {text}");
            before = text;
        }
        assert_eq!(before, "9999-12-31");
    }

    #[test]
    fn years_of_any_number_of_digits_are_written() {
        let cases =
            [(-719_163, "0000-12-31"), (-719_529, "-0001-12-31"), (2_932_897, "10000-01-01")];
        for (day, text) in cases {
            assert_eq!(written(|out| write_date(out, day)), text);
        }
        let last = written(|out| write_timestamp(out, i64::MAX));
        assert_eq!(last, "294247-01-10 04:00:54.775807");
    }

    #[test]
    fn times_come_back() {
        for (time, text) in [
            (0, "00:00:00.000000"),
            (45_000_000_001, "12:30:00.000001"),
            (DAY - 1, "23:59:59.999999"),
            (DAY, "24:00:00.000000"),
        ] {
            assert_eq!(written(|out| write_time(out, time)), text);
            assert_eq!(read_time(text), Some(time));
        }
        let instant = written(|out| write_timestamptz(out, -1));
        assert_eq!(instant, "1969-12-31 23:59:59.999999+00:00");
        assert_eq!(read_timestamp(&instant), Some((-1, Some(0))));
        assert_eq!(read_timestamp("1969-12-31 23:59:59.999999"), Some((-1, None)));
    }

    #[test]
    fn what_others_write_is_read() {
        assert_eq!(read_time("12:30"), read_time("12:30:00.0"));
        let noon = 1_709_208_000_000_000;
        for text in [
            "2024-02-29T12:00:00Z",
            "2024-02-29 12:00+00",
            "2024-02-29T14:30:00.0+02:30",
            "2024-02-29 07:00:00.000000-0500",
            "2024-02-28 24:00-12",
        ] {
            let (local, offset) = read_timestamp(text).unwrap();
            assert_eq!(local - offset.unwrap(), noon, "{text}");
        }
        assert_eq!(read_timestamp("2024-02-29"), Some((noon - DAY / 2, None)));
    }

    #[test]
    fn what_is_no_date_or_time_is_refused() {
        for text in ["2023-02-29", "2024-13-01", "0000-01-01", "2024-1-01", "", "2024-02-29 ", "é"]
        {
            assert_eq!(read_date(text), None, "{text}");
        }
        for text in [
            "24:00:00.000001",
            "12:60:00",
            "12:00:60",
            "12",
            "12:00:00.1234567",
            "12:00:00.",
            "12:00Z",
            "12:00.5",
            "+1:00",
            "1:000",
        ] {
            assert_eq!(read_time(text), None, "{text}");
        }
        for zone in ["+1", "+24", "+01:60", "z", "+01:", "++1", "Z ", "+01:000", " "] {
            assert_eq!(read_timestamp(&format!("2024-01-01T00:00:00{zone}")), None, "{zone}");
        }
        for text in ["2024-01-01T", "2024-01-01Z", "2024-01-01_00:00"] {
            assert_eq!(read_timestamp(text), None, "{text}");
        }
    }
}
