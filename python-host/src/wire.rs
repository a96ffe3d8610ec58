//! Values and batches as plain data, to and from which wasmtime-py's values are converted: dicts
//! and lists in the form of the generated types, with bytes for lists of bytes.
//!
//! JSON text would suffice, but it has no NaN.

use ferro_wit::types::{
    Arrays, Batch, Blobs, Column, Elements, Error, ErrorKind, Interval, Scalars, Texts, Value,
};
use pyo3::IntoPyObjectExt as _;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

/// A batch for a guest.
pub(crate) fn write_batch<'py>(py: Python<'py>, batch: &Batch) -> PyResult<Bound<'py, PyAny>> {
    let columns = PyList::empty(py);
    for column in &batch.columns {
        columns.append(match column {
            Column::Scalars(it) => case(py, "scalars", write_scalars(py, it)?)?,
            Column::Arrays(it) => case(py, "arrays", write_arrays(py, it)?)?,
        })?;
    }
    record(py, [("rows", batch.rows.into_bound_py_any(py)?), ("columns", columns.into_any())])
}

fn write_arrays<'py>(py: Python<'py>, arrays: &Arrays) -> PyResult<Bound<'py, PyAny>> {
    record(
        py,
        [
            ("items", write_scalars(py, &arrays.items)?),
            ("ends", (&arrays.ends).into_bound_py_any(py)?),
            ("nulls", write_bytes(py, arrays.nulls.as_deref())),
        ],
    )
}

fn write_scalars<'py>(py: Python<'py>, scalars: &Scalars) -> PyResult<Bound<'py, PyAny>> {
    let (name, elements) = match &scalars.elements {
        Elements::Boolean(it) => ("boolean", it.into_bound_py_any(py)?),
        Elements::Integer(it) => ("integer", it.into_bound_py_any(py)?),
        Elements::Float(it) => ("float", it.into_bound_py_any(py)?),
        Elements::Decimal(it) => ("decimal", write_texts(py, it)?),
        Elements::Text(it) => ("text", write_texts(py, it)?),
        Elements::Blob(it) => ("blob", write_blobs(py, it)?),
        Elements::Uuid(it) => ("uuid", it.into_bound_py_any(py)?),
        Elements::Date(it) => ("date", it.into_bound_py_any(py)?),
        Elements::Time(it) => ("time", it.into_bound_py_any(py)?),
        Elements::Timestamp(it) => ("timestamp", it.into_bound_py_any(py)?),
        Elements::Timestamptz(it) => ("timestamptz", it.into_bound_py_any(py)?),
        Elements::Interval(it) => ("interval", write_intervals(py, it)?),
        Elements::Json(it) => ("json", write_texts(py, it)?),
    };
    let nulls = write_bytes(py, scalars.nulls.as_deref());
    record(py, [("elements", case(py, name, elements)?), ("nulls", nulls)])
}

fn write_texts<'py>(py: Python<'py>, texts: &Texts) -> PyResult<Bound<'py, PyAny>> {
    let data = texts.data.as_str().into_bound_py_any(py)?;
    record(py, [("data", data), ("ends", (&texts.ends).into_bound_py_any(py)?)])
}

fn write_blobs<'py>(py: Python<'py>, blobs: &Blobs) -> PyResult<Bound<'py, PyAny>> {
    let data = write_bytes(py, Some(&blobs.data));
    record(py, [("data", data), ("ends", (&blobs.ends).into_bound_py_any(py)?)])
}

fn write_intervals<'py>(py: Python<'py>, intervals: &[Interval]) -> PyResult<Bound<'py, PyAny>> {
    let list = PyList::empty(py);
    for interval in intervals {
        list.append(record(
            py,
            [
                ("months", interval.months.into_bound_py_any(py)?),
                ("days", interval.days.into_bound_py_any(py)?),
                ("microseconds", interval.microseconds.into_bound_py_any(py)?),
            ],
        )?)?;
    }
    Ok(list.into_any())
}

fn write_bytes<'py>(py: Python<'py>, bytes: Option<&[u8]>) -> Bound<'py, PyAny> {
    match bytes {
        Some(bytes) => PyBytes::new(py, bytes).into_any(),
        None => py.None().into_bound(py),
    }
}

fn record<'py, const N: usize>(
    py: Python<'py>,
    fields: [(&str, Bound<'py, PyAny>); N],
) -> PyResult<Bound<'py, PyAny>> {
    let dict = PyDict::new(py);
    for (name, value) in fields {
        dict.set_item(name, value)?;
    }
    Ok(dict.into_any())
}

fn case<'py>(
    py: Python<'py>,
    name: &str,
    payload: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    record(py, [(name, payload)])
}

/// A batch from a guest, checked.
pub(crate) fn read_batch(plain: &Bound<'_, PyAny>) -> Result<Batch, Error> {
    let batch = parse_batch(plain).map_err(|error| invalid(&error.to_string()))?;
    batch.validate().map_err(|fault| invalid(&fault))?;
    Ok(batch)
}

/// A list of values from a guest.
pub(crate) fn read_values(plain: &Bound<'_, PyAny>) -> Result<Vec<Value>, Error> {
    let values = plain.try_iter().and_then(|items| items.map(|it| parse_value(&it?)).collect());
    values.map_err(|error: PyErr| invalid(&error.to_string()))
}

fn parse_batch(plain: &Bound<'_, PyAny>) -> PyResult<Batch> {
    let py = plain.py();
    let columns = plain
        .get_item(intern!(py, "columns"))?
        .try_iter()?
        .map(|column| parse_column(&column?))
        .collect::<PyResult<_>>()?;
    Ok(Batch { rows: plain.get_item(intern!(py, "rows"))?.extract()?, columns })
}

fn parse_column(plain: &Bound<'_, PyAny>) -> PyResult<Column> {
    let (name, payload) = parse_case(plain)?;
    match name.as_str() {
        "scalars" => Ok(Column::Scalars(parse_scalars(&payload)?)),
        "arrays" => {
            let py = plain.py();
            Ok(Column::Arrays(Arrays {
                items: parse_scalars(&payload.get_item(intern!(py, "items"))?)?,
                ends: payload.get_item(intern!(py, "ends"))?.extract()?,
                nulls: payload.get_item(intern!(py, "nulls"))?.extract()?,
            }))
        }
        other => Err(unknown(other)),
    }
}

fn parse_scalars(plain: &Bound<'_, PyAny>) -> PyResult<Scalars> {
    let py = plain.py();
    let (name, items) = parse_case(&plain.get_item(intern!(py, "elements"))?)?;
    let elements = match name.as_str() {
        "boolean" => Elements::Boolean(items.extract()?),
        "integer" => Elements::Integer(items.extract()?),
        "float" => Elements::Float(items.extract()?),
        "decimal" => Elements::Decimal(parse_texts(&items)?),
        "text" => Elements::Text(parse_texts(&items)?),
        "blob" => Elements::Blob(Blobs {
            data: items.get_item(intern!(py, "data"))?.extract()?,
            ends: items.get_item(intern!(py, "ends"))?.extract()?,
        }),
        "uuid" => Elements::Uuid(items.extract()?),
        "date" => Elements::Date(items.extract()?),
        "time" => Elements::Time(items.extract()?),
        "timestamp" => Elements::Timestamp(items.extract()?),
        "timestamptz" => Elements::Timestamptz(items.extract()?),
        "interval" => {
            let parse = |item: PyResult<Bound<'_, PyAny>>| parse_interval(&item?);
            Elements::Interval(items.try_iter()?.map(parse).collect::<PyResult<_>>()?)
        }
        "json" => Elements::Json(parse_texts(&items)?),
        other => return Err(unknown(other)),
    };
    Ok(Scalars { elements, nulls: plain.get_item(intern!(py, "nulls"))?.extract()? })
}

fn parse_texts(plain: &Bound<'_, PyAny>) -> PyResult<Texts> {
    let py = plain.py();
    Ok(Texts {
        data: plain.get_item(intern!(py, "data"))?.extract()?,
        ends: plain.get_item(intern!(py, "ends"))?.extract()?,
    })
}

fn parse_interval(plain: &Bound<'_, PyAny>) -> PyResult<Interval> {
    let py = plain.py();
    Ok(Interval {
        months: plain.get_item(intern!(py, "months"))?.extract()?,
        days: plain.get_item(intern!(py, "days"))?.extract()?,
        microseconds: plain.get_item(intern!(py, "microseconds"))?.extract()?,
    })
}

fn parse_value(plain: &Bound<'_, PyAny>) -> PyResult<Value> {
    if plain.extract::<&str>().is_ok_and(|name| name == "null") {
        return Ok(Value::Null);
    }
    let (name, payload) = parse_case(plain)?;
    Ok(match name.as_str() {
        "boolean" => Value::Boolean(payload.extract()?),
        "integer" => Value::Integer(payload.extract()?),
        "float" => Value::Float(payload.extract()?),
        "decimal" => Value::Decimal(payload.extract()?),
        "text" => Value::Text(payload.extract()?),
        "blob" => Value::Blob(payload.extract()?),
        "uuid" => Value::Uuid(payload.extract()?),
        "date" => Value::Date(payload.extract()?),
        "time" => Value::Time(payload.extract()?),
        "timestamp" => Value::Timestamp(payload.extract()?),
        "timestamptz" => Value::Timestamptz(payload.extract()?),
        "interval" => Value::Interval(parse_interval(&payload)?),
        "json" => Value::Json(payload.extract()?),
        "array" => Value::Array(parse_scalars(&payload)?),
        other => return Err(unknown(other)),
    })
}

/// The one entry of a dict: the name of a case, and its payload.
fn parse_case<'py>(plain: &Bound<'py, PyAny>) -> PyResult<(String, Bound<'py, PyAny>)> {
    let dict = plain.cast::<PyDict>()?;
    match dict.iter().next() {
        Some((name, payload)) if dict.len() == 1 => Ok((name.extract()?, payload)),
        _ => Err(PyValueError::new_err("a case is a dict of one entry")),
    }
}

fn unknown(name: &str) -> PyErr {
    PyValueError::new_err(format!("there is no case `{name}`"))
}

fn invalid(fault: &str) -> Error {
    Error::new(ErrorKind::TypeMismatch, format!("not valid values: {fault}"))
}
