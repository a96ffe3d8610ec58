//! The proleptic Gregorian calendar, in which dates are counts of days since 1970-01-01, and times of
//! day counts of microseconds since midnight.

use std::ops::RangeInclusive;

/// The days of the years 1 to 9999.
pub const DAYS: RangeInclusive<i64> = -719_162..=2_932_896;

/// The microseconds of a second.
pub const SECOND: i64 = 1_000_000;

/// The microseconds of a minute.
pub const MINUTE: i64 = 60 * SECOND;

/// The microseconds of an hour.
pub const HOUR: i64 = 60 * MINUTE;

/// The microseconds of a day.
pub const DAY: i64 = 24 * HOUR;

/// The times of a day. The last one is its end, `24:00:00`, as on PostgreSQL.
pub const TIMES: RangeInclusive<i64> = 0..=DAY;

/// The days of 400 years, after which the calendar repeats.
pub const CYCLE: i64 = 146_097;

/// The days from 0000-03-01 to 1970-01-01. Years that begin in March have their leap day at the end.
const EPOCH: i64 = 719_468;

/// The year, the month and the day of a count of days. 0 is the year before the year 1.
///
/// ```
/// use ferro_wit::calendar::date;
///
/// assert_eq!(date(0), (1970, 1, 1));
/// assert_eq!(date(-1), (1969, 12, 31));
/// ```
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "months and their days are small"
)]
pub fn date(day: i64) -> (i64, u8, u8) {
    let day_since_cycle = day.rem_euclid(CYCLE) + EPOCH;
    let cycle = day.div_euclid(CYCLE) + day_since_cycle / CYCLE;
    let day = day_since_cycle % CYCLE;
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (cycle * 400 + year + next, month as u8, day as u8)
}

/// The count of days of a date; `None` if it is not in the calendar of the years 1 to 9999.
///
/// ```
/// use ferro_wit::calendar::day;
///
/// assert_eq!(day(1970, 1, 1), Some(0));
/// assert_eq!(day(2023, 2, 29), None);
/// ```
#[must_use]
pub fn day(year: i64, month: i64, day: i64) -> Option<i64> {
    let exists = (1..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day);
    if !exists {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(365 * year + year / 4 - year / 100 + year / 400 + day_of_year - EPOCH)
}

/// The hour, the minute, the second and the microsecond of a time of day.
///
/// ```
/// use ferro_wit::calendar::{DAY, clock, time};
///
/// assert_eq!(clock(DAY - 1), (23, 59, 59, 999_999));
/// assert_eq!(clock(DAY), (24, 0, 0, 0));
/// assert_eq!(time(23, 59, 59, 999_999), Some(DAY - 1));
/// ```
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a day has few hours, and what is no time of a day is said to be its end"
)]
pub fn clock(time: i64) -> (u8, u8, u8, u32) {
    let time = if TIMES.contains(&time) { time } else { DAY };
    let (hour, minute) = (time / HOUR, time % HOUR / MINUTE);
    let (second, microsecond) = (time % MINUTE / SECOND, time % SECOND);
    (hour as u8, minute as u8, second as u8, microsecond as u32)
}

/// The time of day from its parts; `None` if it does not exist.
#[must_use]
pub fn time(hour: i64, minute: i64, second: i64, microsecond: i64) -> Option<i64> {
    let exists = (0..=24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second)
        && (0..SECOND).contains(&microsecond);
    if !exists {
        return None;
    }
    let time = hour * HOUR + minute * MINUTE + second * SECOND + microsecond;
    TIMES.contains(&time).then_some(time)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_the_years_1_to_9999_follows_the_one_before_and_comes_back() {
        let mut expected = (1, 1, 1);
        for count in DAYS {
            assert_eq!(date(count), expected);
            let (year, month, of_month) = expected;
            assert_eq!(day(year, month.into(), of_month.into()), Some(count));
            expected = match i64::from(of_month) < days_of(year, month.into()) {
                true => (year, month, of_month + 1),
                false if month < 12 => (year, month + 1, 1),
                false => (year + 1, 1, 1),
            };
        }
        assert_eq!(expected, (10_000, 1, 1));
    }

    #[test]
    fn years_of_any_number_of_digits_have_dates() {
        assert_eq!(date(-719_163), (0, 12, 31));
        assert_eq!(date(i32::MIN.into()), (-5_877_641, 6, 23));
        assert_eq!(date(i32::MAX.into()), (5_881_580, 7, 11));
        assert!(date(i64::MIN) < date(i64::MAX));
    }

    #[test]
    fn what_is_no_day_of_the_calendar_has_no_count() {
        for (year, month, of_month) in [
            (2023, 2, 29),
            (1900, 2, 29),
            (2024, 4, 31),
            (2024, 13, 1),
            (2024, 0, 1),
            (2024, 1, 0),
            (0, 12, 31),
            (10_000, 1, 1),
        ] {
            assert_eq!(day(year, month, of_month), None, "{year}-{month}-{of_month}");
        }
        assert_eq!(day(2000, 2, 29), Some(11_016));
    }

    #[test]
    fn times_of_a_day_come_back_and_others_do_not_exist() {
        for count in TIMES.step_by(1_234_567) {
            let (hour, minute, second, microsecond) = clock(count);
            let [hour, minute, second] = [hour, minute, second].map(i64::from);
            assert_eq!(time(hour, minute, second, microsecond.into()), Some(count));
        }
        assert_eq!((clock(-1), clock(i64::MAX)), (clock(DAY), clock(DAY)));
        let others =
            [(24, 0, 0, 1), (25, 0, 0, 0), (0, 60, 0, 0), (0, 0, 60, 0), (0, 0, 0, 1_000_000)];
        for (hour, minute, second, microsecond) in others {
            assert_eq!(time(hour, minute, second, microsecond), None);
        }
    }
}
