//! Arithmetic with dates and times, which SQLite stores as texts, as functions of its connections.
//! They behave like PostgreSQL, within the years 1 to 9999.

use std::ffi::{CStr, c_int};

use ferro_wit::calendar::{self, CYCLE, DAY};
use ferro_wit::iso8601::read_timestamp;
use ferro_wit::types::Interval;
use libsqlite3_sys as ffi;

use super::call::{self, Call, Function};
use crate::value::{Fault, interval, temporal};

const FUNCTIONS: [(&CStr, c_int, Function); 4] = [
    (c"ferro_add_days", 2, add_days),
    (c"ferro_add_interval", 2, add_interval),
    (c"ferro_interval_between", 2, interval_between),
    (c"ferro_subtract_interval", 2, subtract_interval),
];

const OVERFLOW: &CStr = c"datetime field overflow: a date outside the years 1 to 9999";
const NONE: &CStr = c"a stored date, time or interval is invalid";

/// Adds the functions to a connection that is open and not in use.
pub(super) fn install(raw: *mut ffi::sqlite3) -> Result<(), sqlx::Error> {
    call::create(raw, &FUNCTIONS)
}

/// The text of the result, or an error.
type Given = Result<String, &'static CStr>;

macro_rules! calculation {
    ($name:ident, $calculate:expr) => {
        unsafe extern "C" fn $name(
            context: *mut ffi::sqlite3_context,
            count: c_int,
            values: *mut *mut ffi::sqlite3_value,
        ) {
            // SAFETY: SQLite calls this.
            let call = unsafe { Call::new(context, count, values) };
            if (0..2).any(|it| call.kind(it) == ffi::SQLITE_NULL) {
                return;
            }
            let given: Given = $calculate(&call);
            match given {
                Ok(text) => call.give_text(text.as_bytes()),
                Err(message) => call.give_error(message),
            }
        }
    };
}

calculation!(add_days, |call: &Call<'_>| {
    let days = temporal::parse_date(text(call, 0)?).map_err(|_| NONE)?;
    // If an integer has become a float, it is out of range.
    let added = Some(call.integer(1)).filter(|_| call.kind(1) == ffi::SQLITE_INTEGER);
    let sum = added.and_then(|it| i64::from(days).checked_add(it)?.try_into().ok());
    written(sum, temporal::write_date)
});

calculation!(add_interval, |call: &Call<'_>| Moment::of(call, 0)?.plus(interval_of(call)?));

calculation!(subtract_interval, |call: &Call<'_>| {
    let Interval { months, days, microseconds } = interval_of(call)?;
    let negated = (|| {
        Some(Interval {
            months: months.checked_neg()?,
            days: days.checked_neg()?,
            microseconds: microseconds.checked_neg()?,
        })
    })();
    Moment::of(call, 0)?.plus(negated.ok_or(OVERFLOW)?)
});

calculation!(interval_between, |call: &Call<'_>| {
    let distance = Moment::of(call, 0)?.microseconds - Moment::of(call, 1)?.microseconds;
    let days = i32::try_from(distance / DAY).ok();
    let microseconds = distance % DAY;
    let between = days.map(|days| Interval { months: 0, days, microseconds });
    written(between, |it, out| interval::write(&it, out))
});

fn text<'c>(call: &'c Call<'_>, index: usize) -> Result<&'c str, &'static CStr> {
    call.text(index).ok_or(NONE)
}

fn interval_of(call: &Call<'_>) -> Result<Interval, &'static CStr> {
    interval::parse(text(call, 1)?).map_err(|_| NONE)
}

fn written<T>(value: Option<T>, write: impl FnOnce(T, &mut String) -> Result<(), Fault>) -> Given {
    let mut text = String::with_capacity(32);
    write(value.ok_or(OVERFLOW)?, &mut text).map_err(|_| OVERFLOW)?;
    Ok(text)
}

/// A timestamp, with or without a time zone.
struct Moment {
    microseconds: i64,
    zoned: bool,
}

impl Moment {
    fn of(call: &Call<'_>, index: usize) -> Result<Self, &'static CStr> {
        let (local, offset) = read_timestamp(text(call, index)?).ok_or(NONE)?;
        Ok(Self { microseconds: local - offset.unwrap_or(0), zoned: offset.is_some() })
    }

    fn plus(&self, interval: Interval) -> Given {
        let write = match self.zoned {
            true => temporal::write_timestamptz,
            false => temporal::write_timestamp,
        };
        written(plus(self.microseconds, interval), write)
    }
}

/// Adds the months first, then the days, then the rest.
fn plus(moment: i64, interval: Interval) -> Option<i64> {
    let day = plus_months(moment.div_euclid(DAY), interval.months)?;
    let days = (day + i64::from(interval.days)).checked_mul(DAY)?;
    days.checked_add(moment.rem_euclid(DAY))?.checked_add(interval.microseconds)
}

/// The same day of another month, or its last day if the month is shorter.
fn plus_months(day: i64, months: i32) -> Option<i64> {
    let (year, month, of_month) = calendar::date(day);
    let months = year * 12 + i64::from(month) - 1 + i64::from(months);
    let (year, month) = (months.div_euclid(12) - 1, months.rem_euclid(12) + 1);
    let (cycles, year) = (year.div_euclid(400), year.rem_euclid(400) + 1);
    let day = (1..=of_month).rev().find_map(|it| calendar::day(year, month, it.into()))?;
    Some(day + cycles * CYCLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_keep_their_days_or_end() {
        let day = |year, month, day| calendar::day(year, month, day).unwrap();
        let cases = [
            (day(2024, 1, 31), 1, day(2024, 2, 29)),
            (day(2024, 2, 29), 12, day(2025, 2, 28)),
            (day(2024, 2, 29), -48, day(2020, 2, 29)),
            (day(2024, 3, 31), -1, day(2024, 2, 29)),
            (day(2024, 12, 31), -13, day(2023, 11, 30)),
            (day(1, 1, 31), 12 * 9_998 + 11, day(9999, 12, 31)),
            (day(9999, 12, 31), -12 * 9_998 - 10, day(1, 2, 28)),
            (day(1970, 1, 1), 0, 0),
        ];
        for (before, months, after) in cases {
            assert_eq!(plus_months(before, months), Some(after), "{before} {months}");
        }
        // Years that do not fit the text form are only found when it is written.
        assert_eq!(plus_months(day(9999, 12, 1), 1), Some(day(9999, 12, 1) + 31));
        assert_eq!(plus_months(day(1, 1, 1), -1), Some(day(1, 1, 1) - 31));
    }
}
