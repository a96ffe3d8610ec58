//! Dates and times: text that sorts as it stands for SQLite, PostgreSQL's counts from 2000-01-01.
//!
//! | kind | text on SQLite |
//! | --- | --- |
//! | date | `YYYY-MM-DD` |
//! | time | `HH:MM:SS.ffffff` |
//! | timestamp | `YYYY-MM-DD HH:MM:SS.ffffff` |
//! | timestamptz | `YYYY-MM-DD HH:MM:SS.ffffff+00:00`, always in UTC |
//!
//! What other programs wrote is read too: a `T` between date and time, a fraction that is missing
//! or shorter, another offset. The calendar is the proleptic Gregorian one.

use ferro_wit::calendar;

use super::{Cell, Fault};

pub(crate) const MICROSECONDS_OF_DAY: i64 = 86_400_000_000;
/// 2000-01-01, from which PostgreSQL counts, in days since 1970-01-01.
const POSTGRES_EPOCH: i32 = 10_957;
const POSTGRES_EPOCH_MICROSECONDS: i64 = POSTGRES_EPOCH as i64 * MICROSECONDS_OF_DAY;

/// Appends `YYYY-MM-DD`.
pub(crate) fn write_date(days: i32, out: &mut String) -> Result<(), Fault> {
    write_day(i64::from(days), out)
}

/// Appends `HH:MM:SS.ffffff`. The end of a day, `24:00:00`, is a time too, as on PostgreSQL.
pub(crate) fn write_time(microseconds: i64, out: &mut String) -> Result<(), Fault> {
    check_time(microseconds)?;
    let seconds = microseconds / 1_000_000;
    push_digits(out, seconds / 3600, 2);
    out.push(':');
    push_digits(out, seconds / 60 % 60, 2);
    out.push(':');
    push_digits(out, seconds % 60, 2);
    out.push('.');
    push_digits(out, microseconds % 1_000_000, 6);
    Ok(())
}

/// Appends `YYYY-MM-DD HH:MM:SS.ffffff`.
pub(crate) fn write_timestamp(microseconds: i64, out: &mut String) -> Result<(), Fault> {
    write_day(microseconds.div_euclid(MICROSECONDS_OF_DAY), out)?;
    out.push(' ');
    write_time(microseconds.rem_euclid(MICROSECONDS_OF_DAY), out)
}

/// Appends `YYYY-MM-DD HH:MM:SS.ffffff+00:00`.
pub(crate) fn write_timestamptz(microseconds: i64, out: &mut String) -> Result<(), Fault> {
    write_timestamp(microseconds, out)?;
    out.push_str("+00:00");
    Ok(())
}

/// Reads a date.
pub(crate) fn parse_date(text: &str) -> Result<i32, Fault> {
    let mut reader = Reader(text.as_bytes());
    let days = reader.date().filter(|_| reader.0.is_empty());
    let days = days.and_then(|days| i32::try_from(days).ok());
    days.ok_or_else(|| Fault::undecodable("is not a date like `2024-02-29`"))
}

/// Reads a time of day.
pub(crate) fn parse_time(text: &str) -> Result<i64, Fault> {
    let mut reader = Reader(text.as_bytes());
    let time = reader.time().filter(|_| reader.0.is_empty());
    time.ok_or_else(|| Fault::undecodable("is not a time like `23:59:59.999999`"))
}

/// Reads a timestamp in no time zone.
pub(crate) fn parse_timestamp(text: &str) -> Result<i64, Fault> {
    let mut reader = Reader(text.as_bytes());
    let timestamp = reader.timestamp().filter(|_| reader.0.is_empty());
    let shape = "is not a timestamp without offset like `2024-02-29 23:59:59.999999`";
    timestamp.ok_or_else(|| Fault::undecodable(shape))
}

/// Reads an instant. Without an offset it is in UTC, as SQLite's own `CURRENT_TIMESTAMP` is.
pub(crate) fn parse_timestamptz(text: &str) -> Result<i64, Fault> {
    let mut reader = Reader(text.as_bytes());
    let timestamp = reader.timestamp();
    let instant = timestamp.and_then(|it| Some(it - reader.offset()?));
    let instant = instant.filter(|_| reader.0.is_empty());
    let shape = "is not a timestamp with offset like `2024-02-29 23:59:59.999999+00:00`";
    instant.ok_or_else(|| Fault::undecodable(shape))
}

/// PostgreSQL's count of days. The least and the greatest number are its infinities.
pub(crate) fn date_to_postgres(days: i32) -> Result<i32, Fault> {
    match days {
        i32::MIN | i32::MAX => Ok(days),
        _ => days.checked_sub(POSTGRES_EPOCH).ok_or_else(out_of_calendar),
    }
}

/// Days since 1970-01-01, from PostgreSQL's count.
pub(crate) fn date_from_postgres(days: i32) -> Result<i32, Fault> {
    match days {
        i32::MIN | i32::MAX => Ok(days),
        _ => days.checked_add(POSTGRES_EPOCH).ok_or_else(|| out_of_calendar().stored()),
    }
}

/// PostgreSQL's count of microseconds. The least and the greatest number are its infinities.
pub(crate) fn timestamp_to_postgres(microseconds: i64) -> Result<i64, Fault> {
    match microseconds {
        i64::MIN | i64::MAX => Ok(microseconds),
        _ => microseconds.checked_sub(POSTGRES_EPOCH_MICROSECONDS).ok_or_else(out_of_calendar),
    }
}

/// Microseconds since 1970-01-01, from PostgreSQL's count. It knows timestamps of the year 294276
/// that this number has no room for.
pub(crate) fn timestamp_from_postgres(microseconds: i64) -> Result<i64, Fault> {
    match microseconds {
        i64::MIN | i64::MAX => Ok(microseconds),
        _ => microseconds
            .checked_add(POSTGRES_EPOCH_MICROSECONDS)
            .ok_or_else(|| out_of_calendar().stored()),
    }
}

/// A time of day is one of a day.
pub(crate) fn check_time(microseconds: i64) -> Result<(), Fault> {
    match (0..=MICROSECONDS_OF_DAY).contains(&microseconds) {
        true => Ok(()),
        false => Err(Fault::out_of_range("is a time that is not within a day")),
    }
}

/// The text of a cell on SQLite; none for kinds that are no dates or times.
pub(crate) fn write(cell: Cell<'_>, out: &mut String) -> Option<Result<(), Fault>> {
    Some(match cell {
        Cell::Date(it) => write_date(it, out),
        Cell::Time(it) => write_time(it, out),
        Cell::Timestamp(it) => write_timestamp(it, out),
        Cell::Timestamptz(it) => write_timestamptz(it, out),
        _ => return None,
    })
}

fn out_of_calendar() -> Fault {
    Fault::out_of_range("lies outside of the calendar")
}

fn write_day(days: i64, out: &mut String) -> Result<(), Fault> {
    // Years of four digits, so that text sorts.
    if !calendar::DAYS.contains(&days) {
        let predicate = "lies outside of the years 1 to 9999, which are what SQLite stores";
        return Err(Fault::out_of_range(predicate));
    }
    let (year, month, day) = calendar::date(days);
    push_digits(out, year, 4);
    out.push('-');
    push_digits(out, month, 2);
    out.push('-');
    push_digits(out, day, 2);
    Ok(())
}

/// A number that is not negative, with leading zeros.
fn push_digits(out: &mut String, number: i64, width: u32) {
    for place in (0..width).rev() {
        let digit = u8::try_from(number / 10_i64.pow(place) % 10).unwrap_or(0);
        out.push(char::from(b'0' + digit));
    }
}

/// What is left to read.
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
        let hours = self.number(2)?;
        self.byte(b':')?;
        let minutes = self.number(2)?;
        let seconds = match self.byte(b':') {
            Some(()) => self.number(2)?,
            None => 0,
        };
        let fraction = match self.byte(b'.') {
            Some(()) => self.fraction()?,
            None => 0,
        };
        let time = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + fraction;
        (minutes < 60 && seconds < 60 && time <= MICROSECONDS_OF_DAY).then_some(time)
    }

    fn timestamp(&mut self) -> Option<i64> {
        let days = self.date()?;
        if self.0.is_empty() {
            return Some(days * MICROSECONDS_OF_DAY);
        }
        self.byte(b' ').or_else(|| self.byte(b'T'))?;
        Some(days * MICROSECONDS_OF_DAY + self.time()?)
    }

    /// In microseconds to the east.
    fn offset(&mut self) -> Option<i64> {
        if self.0.is_empty() || self.byte(b'Z').is_some() {
            return Some(0);
        }
        let sign = if self.byte(b'+').is_some() {
            1
        } else {
            self.byte(b'-')?;
            -1
        };
        let hours = self.number(2)?;
        let _ = self.byte(b':');
        let minutes = self.number(2)?;
        (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000_000)
    }

    /// One to six digits, as microseconds. More would be lost.
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_the_years_1_to_9999_comes_back_and_sorts() {
        let mut before = String::new();
        for days in calendar::DAYS.map(|it| i32::try_from(it).unwrap()) {
            let mut text = String::new();
            write_date(days, &mut text).unwrap();
            assert_eq!(parse_date(&text).unwrap(), days);
            assert!(before < text, "{before} {text}");
            before = text;
        }
        assert_eq!(before, "9999-12-31");
        assert!(write_date(-719_163, &mut before).is_err());
        assert!(write_date(2_932_897, &mut before).is_err());
        assert!(write_date(i32::MIN, &mut before).is_err());
    }

    #[test]
    fn times_before_1970_keep_their_microseconds() {
        let mut text = String::new();
        write_timestamptz(-1, &mut text).unwrap();
        assert_eq!(text, "1969-12-31 23:59:59.999999+00:00");
        assert_eq!(parse_timestamptz(&text).unwrap(), -1);
    }

    #[test]
    fn what_other_programs_write_is_read() {
        let noon = 1_709_208_000_000_000;
        for text in [
            "2024-02-29 12:00:00",
            "2024-02-29T12:00:00Z",
            "2024-02-29 12:00",
            "2024-02-29T14:30:00.0+02:30",
            "2024-02-29 07:00:00.000000-0500",
        ] {
            assert_eq!(parse_timestamptz(text).unwrap(), noon, "{text}");
        }
        assert_eq!(parse_timestamp("2024-02-29").unwrap(), noon - MICROSECONDS_OF_DAY / 2);
    }

    #[test]
    fn what_is_no_date_or_time_is_refused() {
        for text in ["2023-02-29", "2024-13-01", "0000-01-01", "2024-1-01", "", "2024-02-29 "] {
            assert!(parse_date(text).is_err(), "{text}");
        }
        for text in
            ["24:00:00.000001", "12:60:00", "12:00:61", "12", "12:00:00.1234567", "12:00:00."]
        {
            assert!(parse_time(text).is_err(), "{text}");
        }
        assert!(parse_timestamp("2024-02-29 12:00:00+00:00").is_err());
        assert!(parse_timestamptz("2024-02-29 12:00:00+25:00").is_err());
    }

    #[test]
    fn infinities_pass_and_the_rest_is_checked_for_overflow() {
        for it in [i64::MIN, i64::MAX] {
            assert_eq!(timestamp_to_postgres(it).unwrap(), it);
            assert_eq!(timestamp_from_postgres(it).unwrap(), it);
        }
        assert!(timestamp_from_postgres(i64::MAX - 1).is_err());
        assert!(timestamp_to_postgres(i64::MIN + 1).is_err());
        assert!(date_to_postgres(i32::MIN + 1).is_err());
        assert_eq!(date_from_postgres(0).unwrap(), 10_957);
    }
}
