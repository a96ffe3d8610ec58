//! Dates and times: the text of [`iso8601`] on SQLite, which sorts chronologically, and
//! PostgreSQL's counts from 2000-01-01.

use ferro_wit::calendar::{DAY, DAYS, TIMES};
use ferro_wit::iso8601;

use super::{Cell, Fault};

/// The epoch of PostgreSQL, 2000-01-01, in days since 1970-01-01.
const POSTGRES_EPOCH: i32 = 10_957;
const POSTGRES_EPOCH_MICROSECONDS: i64 = POSTGRES_EPOCH as i64 * DAY;

/// Appends a date.
pub(crate) fn write_date(days: i32, out: &mut String) -> Result<(), Fault> {
    let days = i64::from(days);
    check_day(days)?;
    iso8601::write_date(out, days);
    Ok(())
}

/// Appends a time of day.
pub(crate) fn write_time(microseconds: i64, out: &mut String) -> Result<(), Fault> {
    check_time(microseconds)?;
    iso8601::write_time(out, microseconds);
    Ok(())
}

/// Appends a timestamp without a time zone.
pub(crate) fn write_timestamp(microseconds: i64, out: &mut String) -> Result<(), Fault> {
    check_day(microseconds.div_euclid(DAY))?;
    iso8601::write_timestamp(out, microseconds);
    Ok(())
}

/// Appends an instant, in UTC.
pub(crate) fn write_timestamptz(microseconds: i64, out: &mut String) -> Result<(), Fault> {
    check_day(microseconds.div_euclid(DAY))?;
    iso8601::write_timestamptz(out, microseconds);
    Ok(())
}

/// Reads a date.
pub(crate) fn parse_date(text: &str) -> Result<i32, Fault> {
    let date = iso8601::read_date(text);
    date.ok_or_else(|| Fault::undecodable("is not a date like `2024-02-29`"))
}

/// Reads a time of day.
pub(crate) fn parse_time(text: &str) -> Result<i64, Fault> {
    let time = iso8601::read_time(text);
    time.ok_or_else(|| Fault::undecodable("is not a time like `23:59:59.999999`"))
}

/// Reads a timestamp without a time zone.
pub(crate) fn parse_timestamp(text: &str) -> Result<i64, Fault> {
    match iso8601::read_timestamp(text) {
        Some((local, None)) => Ok(local),
        _ => Err(Fault::undecodable(
            "is not a timestamp without offset like `2024-02-29 23:59:59.999999`",
        )),
    }
}

/// Reads an instant. Without an offset it is in UTC, like SQLite's own `CURRENT_TIMESTAMP`.
pub(crate) fn parse_timestamptz(text: &str) -> Result<i64, Fault> {
    match iso8601::read_timestamp(text) {
        Some((local, offset)) => Ok(local - offset.unwrap_or(0)),
        None => Err(Fault::undecodable(
            "is not a timestamp with offset like `2024-02-29 23:59:59.999999+00:00`",
        )),
    }
}

/// Converts to PostgreSQL's count of days. The smallest and largest numbers are its infinities.
pub(crate) fn date_to_postgres(days: i32) -> Result<i32, Fault> {
    match days {
        i32::MIN | i32::MAX => Ok(days),
        _ => days.checked_sub(POSTGRES_EPOCH).ok_or_else(out_of_calendar),
    }
}

/// Converts from PostgreSQL's count of days.
pub(crate) fn date_from_postgres(days: i32) -> Result<i32, Fault> {
    match days {
        i32::MIN | i32::MAX => Ok(days),
        _ => days.checked_add(POSTGRES_EPOCH).ok_or_else(|| out_of_calendar().stored()),
    }
}

/// Converts to PostgreSQL's count of microseconds. The smallest and largest numbers are its
/// infinities.
pub(crate) fn timestamp_to_postgres(microseconds: i64) -> Result<i64, Fault> {
    match microseconds {
        i64::MIN | i64::MAX => Ok(microseconds),
        _ => microseconds.checked_sub(POSTGRES_EPOCH_MICROSECONDS).ok_or_else(out_of_calendar),
    }
}

/// Converts from PostgreSQL's count of microseconds. Its timestamps of the year 294276 are out of
/// the range of ours.
pub(crate) fn timestamp_from_postgres(microseconds: i64) -> Result<i64, Fault> {
    match microseconds {
        i64::MIN | i64::MAX => Ok(microseconds),
        _ => microseconds
            .checked_add(POSTGRES_EPOCH_MICROSECONDS)
            .ok_or_else(|| out_of_calendar().stored()),
    }
}

/// Checks that a time of day lies within a day.
pub(crate) fn check_time(microseconds: i64) -> Result<(), Fault> {
    match TIMES.contains(&microseconds) {
        true => Ok(()),
        false => Err(Fault::out_of_range("is a time that is not within a day")),
    }
}

/// Writes the text of a cell on SQLite; `None` for types other than dates and times.
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
    Fault::out_of_range("is outside the calendar")
}

/// Checks that the year has four digits, so that texts sort chronologically.
fn check_day(days: i64) -> Result<(), Fault> {
    match DAYS.contains(&days) {
        true => Ok(()),
        false => {
            Err(Fault::out_of_range("is outside the years 1 to 9999, the range that SQLite stores"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_years_1_to_9999_are_written() {
        let mut text = String::new();
        for days in [-719_163, 2_932_897, i32::MIN, i32::MAX] {
            assert!(write_date(days, &mut text).is_err());
            let microseconds = i64::from(days).saturating_mul(DAY);
            assert!(write_timestamp(microseconds, &mut text).is_err());
            assert!(write_timestamptz(microseconds, &mut text).is_err());
        }
        assert!(write_time(-1, &mut text).is_err() && write_time(DAY + 1, &mut text).is_err());
        assert_eq!(text, "");
    }

    #[test]
    fn an_instant_without_an_offset_is_in_utc_and_a_timestamp_has_none() {
        let noon = 1_709_208_000_000_000;
        for text in ["2024-02-29 12:00:00", "2024-02-29T12:00:00Z", "2024-02-29 14:30+02:30"] {
            assert_eq!(parse_timestamptz(text).unwrap(), noon, "{text}");
        }
        assert_eq!(parse_timestamp("2024-02-29 12:00").unwrap(), noon);
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
