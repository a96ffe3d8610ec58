//! Intervals on SQLite: text based on ISO 8601 that keeps months, days and microseconds apart.
//!
//! `P14M-3DT0.000001S` is 14 months, minus 3 days, plus a microsecond. Each part has its own sign
//! and is always present, with six digits after the point, so that equal intervals have equal
//! texts. Other forms of ISO 8601 can be read, too: years, weeks, hours, minutes, and omitted
//! parts.

use std::fmt::Write;

use ferro_wit::types::Interval;

use super::Fault;

/// Appends the text of an interval.
pub(crate) fn write(interval: &Interval, out: &mut String) -> Result<(), Fault> {
    let Interval { months, days, microseconds } = *interval;
    write_parts(months, days, microseconds, out)
        .map_err(|_| Fault::out_of_range("is an interval that cannot be written"))
}

fn write_parts(months: i32, days: i32, microseconds: i64, out: &mut String) -> std::fmt::Result {
    let sign = if microseconds < 0 { "-" } else { "" };
    let microseconds = microseconds.unsigned_abs();
    let (seconds, fraction) = (microseconds / 1_000_000, microseconds % 1_000_000);
    write!(out, "P{months}M{days}DT{sign}{seconds}.{fraction:06}S")
}

/// Reads an interval.
pub(crate) fn parse(text: &str) -> Result<Interval, Fault> {
    parse_parts(text).ok_or_else(|| Fault::undecodable("is not an interval like `P1M2DT3.5S`"))
}

fn parse_parts(text: &str) -> Option<Interval> {
    let rest = text.strip_prefix('P')?;
    let (dates, times) = match rest.split_once('T') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None if rest.is_empty() => return None,
        None => (rest, ""),
    };
    let (mut months, mut days, mut microseconds) = (0_i64, 0_i64, 0_i128);
    for (number, unit) in parts(dates)? {
        let number: i64 = i64::from(number.parse::<i32>().ok()?);
        match unit {
            'Y' => months += number * 12,
            'M' => months += number,
            'W' => days += number * 7,
            'D' => days += number,
            _ => return None,
        }
    }
    for (number, unit) in parts(times)? {
        microseconds += match unit {
            'H' => i128::from(number.parse::<i64>().ok()?) * 3_600_000_000,
            'M' => i128::from(number.parse::<i64>().ok()?) * 60_000_000,
            'S' => microseconds_of(number)?,
            _ => return None,
        };
    }
    Some(Interval {
        months: i32::try_from(months).ok()?,
        days: i32::try_from(days).ok()?,
        microseconds: i64::try_from(microseconds).ok()?,
    })
}

/// Splits into numbers, each with the letter that follows it.
fn parts(text: &str) -> Option<Vec<(&str, char)>> {
    let mut parts = Vec::with_capacity(4);
    let mut rest = text;
    while !rest.is_empty() {
        let at = rest.find(|it: char| it.is_ascii_alphabetic())?;
        let (number, after) = rest.split_at(at);
        let unit = after.chars().next()?;
        parts.push((number, unit));
        rest = &after[unit.len_utf8()..];
    }
    Some(parts)
}

fn microseconds_of(seconds: &str) -> Option<i128> {
    let (negative, digits) = match seconds.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, seconds),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    if !plain(whole) || !plain(fraction) || fraction.len() > 6 {
        return None;
    }
    let whole = i128::from(whole.parse::<u64>().ok()?) * 1_000_000;
    let fraction = format!("{fraction:0<6}").parse::<i128>().ok()?;
    Some(if negative { -(whole + fraction) } else { whole + fraction })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(months: i32, days: i32, microseconds: i64) -> String {
        let mut out = String::new();
        write(&Interval { months, days, microseconds }, &mut out).unwrap();
        out
    }

    #[test]
    fn intervals_come_back_with_their_extremes() {
        for (months, days, microseconds) in [
            (0, 0, 0),
            (14, -3, 1),
            (i32::MIN, i32::MAX, i64::MIN),
            (i32::MAX, i32::MIN, i64::MAX),
            (0, 0, -999_999),
        ] {
            let read = parse(&text(months, days, microseconds)).unwrap();
            assert_eq!(read, Interval { months, days, microseconds });
        }
        assert_eq!(text(0, 0, 0), "P0M0DT0.000000S");
        assert_eq!(text(14, -3, -1), "P14M-3DT-0.000001S");
    }

    #[test]
    fn what_iso_8601_allows_besides_is_read() {
        let read = parse("P1Y2M1W3DT4H5M6.5S").unwrap();
        assert_eq!(read, Interval { months: 14, days: 10, microseconds: 14_706_500_000 });
    }

    #[test]
    fn what_is_no_interval_is_refused() {
        for text in [
            "",
            "P",
            "PT",
            "1D",
            "P1",
            "P1X",
            "PT1D",
            "P1.5D",
            "PT1.S",
            "PT.5S",
            "PT1.1234567S",
            "P99999999999M",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
