//! Conversion of batch columns to Python objects, a whole column at a time.

use ferro_wit::calendar::{self, DAY, SECOND};
use ferro_wit::types::{
    Batch, Column, ColumnInfo, Elements, Error, ErrorKind, Interval, Scalars, Texts, Value,
};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyBytes, PyDate, PyDateTime, PyDelta, PyFloat, PyList, PyString, PyTime, PyTzInfo,
};

use crate::errors::exception;
use crate::json;
use crate::uuids::Uuids;
use crate::values::decimal;

/// The objects of one column, one per row.
pub(crate) type Objects<'py> = Vec<Bound<'py, PyAny>>;

/// The objects of every column of a batch.
pub(crate) fn read_batch<'py>(
    py: Python<'py>,
    batch: &Batch,
    columns: &[ColumnInfo],
) -> PyResult<Vec<Objects<'py>>> {
    batch
        .columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let name = columns.get(index).map_or_else(String::new, |info| info.path.join("."));
            read_column(py, column, &name)
        })
        .collect()
}

/// The object of a value that is not an array.
pub(crate) fn read_value<'py>(
    py: Python<'py>,
    value: &Value,
    name: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let Some(kind) = value.kind() else { return Ok(py.None().into_bound(py)) };
    let mut scalars = Scalars::with_kind(kind);
    let objects = match scalars.push(value.clone()) {
        Ok(()) => read_scalars(py, &scalars, name)?,
        Err(_) => Objects::new(),
    };
    objects.into_iter().next().ok_or_else(|| contradiction(py, name))
}

fn read_column<'py>(py: Python<'py>, column: &Column, name: &str) -> PyResult<Objects<'py>> {
    match column {
        Column::Scalars(scalars) => read_scalars(py, scalars, name),
        Column::Arrays(arrays) => {
            let items = read_scalars(py, &arrays.items, name)?;
            let mut start = 0;
            let mut objects = Vec::with_capacity(arrays.ends.len());
            for (row, end) in arrays.ends.iter().enumerate() {
                let end = *end as usize;
                let slice = items.get(start..end).ok_or_else(|| contradiction(py, name))?;
                start = end;
                objects.push(match arrays.is_null(row) {
                    true => py.None().into_bound(py),
                    false => PyList::new(py, slice)?.into_any(),
                });
            }
            Ok(objects)
        }
    }
}

fn read_scalars<'py>(py: Python<'py>, scalars: &Scalars, name: &str) -> PyResult<Objects<'py>> {
    let reader = Reader { py, scalars, name };
    match &scalars.elements {
        Elements::Boolean(it) => {
            Ok(reader.all(it, |it| PyBool::new(py, *it).to_owned().into_any()))
        }
        Elements::Integer(it) => Ok(reader.all(it, |it| {
            let Ok(it) = it.into_pyobject(py);
            it.into_any()
        })),
        Elements::Float(it) => Ok(reader.all(it, |it| PyFloat::new(py, *it).into_any())),
        Elements::Text(it) => reader.texts(it, |text| Ok(PyString::new(py, text).into_any())),
        Elements::Json(it) => reader.texts(it, |text| {
            json::read(py, text).map_err(|raised| {
                let reason = raised.value(py);
                undecodable(py, name, &format!("a document that cannot be read: {reason}"))
            })
        }),
        Elements::Decimal(it) => {
            let decimal = decimal(py)?;
            reader.texts(it, |text| decimal.call1((text,)))
        }
        Elements::Blob(it) => reader.by_index(it.len(), |index| {
            let bytes = it.get(index).ok_or_else(|| contradiction(py, name))?;
            Ok(PyBytes::new(py, bytes).into_any())
        }),
        Elements::Uuid(it) => {
            let uuids = Uuids::get(py)?;
            let words: Vec<_> = it.chunks_exact(2).collect();
            reader.each(&words, |words| uuids.make(py, words))
        }
        Elements::Date(it) => reader.each(it, |days| read_date(py, i64::from(*days), name)),
        Elements::Time(it) => reader.each(it, |time| read_time(py, *time, name)),
        Elements::Timestamp(it) => reader.each(it, |it| read_timestamp(py, *it, None, name)),
        Elements::Timestamptz(it) => {
            let utc = PyTzInfo::utc(py)?.to_owned();
            reader.each(it, |it| read_timestamp(py, *it, Some(&utc), name))
        }
        Elements::Interval(it) => reader.each(it, |it| read_interval(py, it, name)),
    }
}

/// Iterates over the values of a column, with None for nulls.
struct Reader<'a, 'py> {
    py: Python<'py>,
    scalars: &'a Scalars,
    name: &'a str,
}

impl<'py> Reader<'_, 'py> {
    /// For values that always become objects.
    fn all<T>(&self, items: &[T], made: impl Fn(&T) -> Bound<'py, PyAny>) -> Objects<'py> {
        if self.scalars.nulls.is_none() {
            return items.iter().map(made).collect();
        }
        let at = |(index, item)| match self.scalars.is_null(index) {
            true => self.py.None().into_bound(self.py),
            false => made(item),
        };
        items.iter().enumerate().map(at).collect()
    }

    fn each<T>(
        &self,
        items: &[T],
        read: impl Fn(&T) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Objects<'py>> {
        let at = |(index, item)| read(item).map_err(|error| in_row(self.py, error, index));
        if self.scalars.nulls.is_none() {
            return items.iter().enumerate().map(at).collect();
        }
        items
            .iter()
            .enumerate()
            .map(|(index, item)| match self.scalars.is_null(index) {
                true => Ok(self.py.None().into_bound(self.py)),
                false => at((index, item)),
            })
            .collect()
    }

    fn by_index(
        &self,
        length: usize,
        read: impl Fn(usize) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Objects<'py>> {
        (0..length)
            .map(|index| match self.scalars.is_null(index) {
                true => Ok(self.py.None().into_bound(self.py)),
                false => read(index).map_err(|error| in_row(self.py, error, index)),
            })
            .collect()
    }

    fn texts(
        &self,
        texts: &Texts,
        read: impl Fn(&str) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Objects<'py>> {
        self.by_index(texts.len(), |index| {
            read(texts.get(index).ok_or_else(|| contradiction(self.py, self.name))?)
        })
    }
}

fn read_date<'py>(py: Python<'py>, days: i64, name: &str) -> PyResult<Bound<'py, PyAny>> {
    let (year, month, day) = civil(days).ok_or_else(|| outside(py, name, "date"))?;
    Ok(PyDate::new(py, year, month, day)?.into_any())
}

fn read_time<'py>(py: Python<'py>, time: i64, name: &str) -> PyResult<Bound<'py, PyAny>> {
    let (hour, minute, second, microsecond) =
        clock(time).ok_or_else(|| outside(py, name, "time"))?;
    Ok(PyTime::new(py, hour, minute, second, microsecond, None)?.into_any())
}

fn read_timestamp<'py>(
    py: Python<'py>,
    timestamp: i64,
    zone: Option<&Bound<'py, PyTzInfo>>,
    name: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let date = civil(timestamp.div_euclid(DAY));
    let time = clock(timestamp.rem_euclid(DAY));
    let (Some((year, month, day)), Some((hour, minute, second, microsecond))) = (date, time) else {
        return Err(outside(py, name, "datetime"));
    };
    let datetime = PyDateTime::new(py, year, month, day, hour, minute, second, microsecond, zone)?;
    Ok(datetime.into_any())
}

fn read_interval<'py>(
    py: Python<'py>,
    interval: &Interval,
    name: &str,
) -> PyResult<Bound<'py, PyAny>> {
    if interval.months != 0 {
        return Err(undecodable(
            py,
            name,
            "an interval with months, which a timedelta cannot hold",
        ));
    }
    let of_clock = interval.microseconds.div_euclid(DAY);
    let rest = interval.microseconds.rem_euclid(DAY);
    let days = i32::try_from(i64::from(interval.days) + of_clock);
    let seconds = i32::try_from(rest / SECOND);
    let microseconds = i32::try_from(rest % SECOND);
    let (Ok(days), Ok(seconds), Ok(microseconds)) = (days, seconds, microseconds) else {
        return Err(outside(py, name, "timedelta"));
    };
    let delta = PyDelta::new(py, days, seconds, microseconds, false);
    Ok(delta.map_err(|_| outside(py, name, "timedelta"))?.into_any())
}

/// Year, month and day of a count of days since 1970-01-01, in the years that Python supports.
fn civil(days: i64) -> Option<(i32, u8, u8)> {
    let (year, month, day) = calendar::DAYS.contains(&days).then(|| calendar::date(days))?;
    Some((i32::try_from(year).ok()?, month, day))
}

/// The parts of a count of microseconds since midnight. Python lacks PostgreSQL's 24:00:00.
fn clock(time: i64) -> Option<(u8, u8, u8, u32)> {
    (0..DAY).contains(&time).then(|| calendar::clock(time))
}

fn outside(py: Python<'_>, name: &str, class: &str) -> PyErr {
    undecodable(py, name, &format!("a value that no Python {class} can hold"))
}

fn undecodable(py: Python<'_>, name: &str, found: &str) -> PyErr {
    let mut error = Error::new(ErrorKind::DecodeFailed, format!("column `{name}` holds {found}"));
    error.column = Some(name.to_owned());
    exception(py, &error)
}

/// Attaches the row of the batch to an exception.
pub(crate) fn in_row(py: Python<'_>, error: PyErr, row: usize) -> PyErr {
    match error.value(py).setattr(intern!(py, ROW), row) {
        Ok(()) => error,
        Err(failure) => failure,
    }
}

/// The row of the batch that was attached to an exception.
pub(crate) fn row_of(py: Python<'_>, error: &PyErr) -> Option<usize> {
    error.value(py).getattr(intern!(py, ROW)).ok()?.extract().ok()
}

const ROW: &str = "_row";

fn contradiction(py: Python<'_>, name: &str) -> PyErr {
    let message = format!("column `{name}` is inconsistent");
    exception(py, &Error::new(ErrorKind::Internal, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates_from_year_1_to_9999() {
        assert_eq!(civil(0), Some((1970, 1, 1)));
        assert_eq!(civil(-1), Some((1969, 12, 31)));
        assert_eq!(civil(19_782), Some((2024, 2, 29)));
        assert_eq!(civil(-719_162), Some((1, 1, 1)));
        assert_eq!(civil(2_932_896), Some((9999, 12, 31)));
        assert_eq!(civil(-719_163), None);
        assert_eq!(civil(2_932_897), None);
        assert_eq!(civil(i64::MAX), None);
    }

    #[test]
    fn a_day_has_no_hour_24() {
        assert_eq!(clock(DAY - 1), Some((23, 59, 59, 999_999)));
        assert_eq!(clock(DAY), None);
        assert_eq!(clock(-1), None);
    }
}
