//! Conversion of Python's dates, times and durations to values.

use ferro_wit::calendar::{DAY, DAYS, HOUR, MINUTE, SECOND};
use ferro_wit::types::{Error, ErrorKind, Interval, Value};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDate, PyDateTime, PyDelta, PyDeltaAccess, PyTime, PyTimeAccess};

use crate::values::{mismatch, unreadable};

/// `date.toordinal()` of 1970-01-01.
const ORDINAL_OF_EPOCH: i32 = 719_163;

pub(crate) fn to_date(object: &Bound<'_, PyAny>) -> Result<Value, Error> {
    // In Python every datetime is a date, but not in a database.
    let Ok(date) = object.cast::<PyDate>() else {
        return Err(mismatch("a date", object));
    };
    if object.cast::<PyDateTime>().is_ok() {
        return Err(mismatch("a date", object));
    }
    Ok(Value::Date(days(date)?))
}

/// Days since 1970-01-01.
fn days(date: &Bound<'_, PyAny>) -> Result<i32, Error> {
    date.call_method0(intern!(date.py(), "toordinal"))
        .and_then(|ordinal| ordinal.extract::<i32>())
        .map_err(|error| unreadable(date.py(), &error))?
        .checked_sub(ORDINAL_OF_EPOCH)
        .ok_or_else(|| {
            Error::new(ErrorKind::ValueOutOfRange, "takes a date of the years 1 to 9999")
        })
}

pub(crate) fn to_time(object: &Bound<'_, PyAny>) -> Result<Value, Error> {
    let time = object.cast::<PyTime>().map_err(|_| mismatch("a time", object))?;
    if utc_offset(object)?.is_some() {
        return Err(Error::new(ErrorKind::TypeMismatch, "takes a time without a zone"));
    }
    Ok(Value::Time(clock(time)))
}

pub(crate) fn to_timestamp(object: &Bound<'_, PyAny>, aware: bool) -> Result<Value, Error> {
    let expected = match aware {
        true => "an aware datetime",
        false => "a naive datetime",
    };
    let datetime = object.cast::<PyDateTime>().map_err(|_| mismatch(expected, object))?;
    let local = i64::from(days(object)?) * DAY + clock(datetime);
    let refused = |fault| Err(Error::new(ErrorKind::TypeMismatch, fault));
    match (utc_offset(object)?, aware) {
        (Some(offset), true) if is_readable(local.saturating_sub(offset)) => {
            Ok(Value::Timestamptz(local - offset))
        }
        (Some(_), true) => Err(Error::new(
            ErrorKind::ValueOutOfRange,
            "takes an instant whose year is 1 to 9999 in UTC: no other can be read back",
        )),
        (None, false) => Ok(Value::Timestamp(local)),
        (Some(_), false) => {
            refused("takes a naive datetime, not an aware one: the type of those is `datetime`")
        }
        (None, true) => refused(
            "takes an aware datetime, not a naive one: the type of those is \
             `pydantic.NaiveDatetime`",
        ),
    }
}

/// Whether an instant is a datetime in UTC.
fn is_readable(instant: i64) -> bool {
    DAYS.contains(&instant.div_euclid(DAY))
}

/// Microseconds since midnight.
fn clock(time: &impl PyTimeAccess) -> i64 {
    let [hour, minute, second] =
        [time.get_hour(), time.get_minute(), time.get_second()].map(i64::from);
    hour * HOUR + minute * MINUTE + second * SECOND + i64::from(time.get_microsecond())
}

/// The UTC offset of a datetime or a time, in microseconds; `None` for a naive one.
pub(crate) fn utc_offset(object: &Bound<'_, PyAny>) -> Result<Option<i64>, Error> {
    let py = object.py();
    let offset =
        object.call_method0(intern!(py, "utcoffset")).map_err(|error| unreadable(py, &error))?;
    match offset.cast::<PyDelta>() {
        // Less than a day, except for classes that violate this.
        Ok(delta) => {
            let days = i64::from(delta.get_days()).saturating_mul(DAY);
            Ok(Some(days.saturating_add(below_a_day(delta))))
        }
        Err(_) => Ok(None),
    }
}

pub(crate) fn to_interval(object: &Bound<'_, PyAny>) -> Result<Value, Error> {
    let delta = object.cast::<PyDelta>().map_err(|_| mismatch("a timedelta", object))?;
    Ok(Value::Interval(Interval {
        months: 0,
        days: delta.get_days(),
        microseconds: below_a_day(delta),
    }))
}

fn below_a_day(delta: &Bound<'_, PyDelta>) -> i64 {
    i64::from(delta.get_seconds()) * SECOND + i64::from(delta.get_microseconds())
}
