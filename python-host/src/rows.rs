//! Conversion of instances to the columns of a batch, without calling Python code for each row.

use std::sync::OnceLock;

use ferro_wit::types::{Arrays, Batch, Column, Elements, Error, ErrorKind, Scalars, Value};
use parking_lot::Mutex;
use pyo3::IntoPyObjectExt as _;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::bridge::Outcome;
use crate::errors::{exception, raise};
use crate::instance::{NoCollection, read_row};
use crate::loader::Loader;
use crate::query::Parameter;
use crate::values::utf8;

/// A field of the rows, and its encoder.
pub(crate) type Carried<'py> = (Bound<'py, PyString>, Option<Bound<'py, PyAny>>);

/// The values of some fields of all rows, as columns. With a loader, whose fields must be all of
/// these, and the label of a connection, also the rows' tracked state after they are stored there,
/// as [`Loader::known`] takes it.
pub(crate) fn read_rows<'py>(
    parameters: &[Parameter],
    rows: &Bound<'py, PyList>,
    fields: &[Carried<'py>],
    loader: Option<(&Loader, &str)>,
) -> PyResult<(Batch, Vec<Bound<'py, PyAny>>)> {
    let py = rows.py();
    if parameters.len() != fields.len() {
        return Err(PyValueError::new_err("one field for each parameter"));
    }
    let count = u32::try_from(rows.len()).map_err(|_| {
        let message = "a batch has at most 2^32 - 1 rows";
        exception(py, &Error::new(ErrorKind::ValueOutOfRange, message))
    })?;
    let mut columns: Vec<_> = parameters.iter().map(|it| Builder::new(it, rows.len())).collect();
    let loader = loader.map(|(loader, origin)| (loader, PyString::new(py, origin).into_any()));
    let kept = if loader.is_some() { rows.len() } else { 1 };
    let mut values = Vec::with_capacity(kept * (fields.len() + 1));
    for row in rows {
        match &loader {
            Some((_, origin)) => values.push(origin.clone()),
            None => values.clear(),
        }
        let first = values.len();
        read_row(&row, fields.iter().map(|(name, _)| name), &mut values)?;
        let row = columns.iter_mut().zip(fields).zip(&mut values[first..]);
        for (place, ((column, (_, encode)), value)) in row.enumerate() {
            let stored = match encode {
                Some(encode) => Some(encode.call1((&*value,))?),
                None => None,
            };
            raise(py, column.push(stored.as_ref().unwrap_or(value)))?;
            if let Some((loader, _)) = &loader
                && let Some(kept) = loader.kept(place, value, stored)?
            {
                *value = kept;
            }
        }
    }
    let columns = columns.into_iter().map(Builder::finish).collect();
    Ok((Batch { rows: count, columns }, values))
}

/// A running write of rows, and its number of written rows.
pub(crate) struct Writing {
    rows: Py<PyList>,
    /// The loader that tracks the stored rows, if they are tracked.
    loader: Option<Py<Loader>>,
    known: OnceLock<Vec<Py<PyTuple>>>,
    end: Mutex<Option<Result<u64, Error>>>,
}

impl Writing {
    pub(crate) fn new(rows: Py<PyList>, loader: Option<Py<Loader>>) -> Self {
        Self { rows, loader, known: OnceLock::new(), end: Mutex::default() }
    }

    /// Ends with the answer of the database.
    pub(crate) fn end(&self, result: Result<u64, Error>) {
        *self.end.lock() = Some(result);
    }

    /// Builds the tracked state of each row from the values that were read. This takes a third of
    /// the time of reading them, so it is done while the database writes.
    pub(crate) fn know(&self, py: Python<'_>, values: Vec<Bound<'_, PyAny>>) -> PyResult<()> {
        if let Some(loader) = &self.loader {
            let _quiet = NoCollection::begin(py);
            let known = loader.get().known(py, values)?.map(Bound::unbind);
            let _ = self.known.set(known.collect());
        }
        Ok(())
    }
}

impl Outcome for Writing {
    fn take(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let count = match self.end.lock().take() {
            Some(Ok(count)) => count,
            Some(Err(error)) => return Err(exception(py, &error)),
            None => return Ok(None),
        };
        if let Some(loader) = &self.loader {
            let known = self.known.get().into_iter().flatten();
            for (row, known) in self.rows.bind(py).iter().zip(known) {
                loader.get().mark(&row, known.bind(py))?;
            }
        }
        count.into_py_any(py).map(Some)
    }
}

/// A column under construction.
struct Builder<'a> {
    field: &'a Parameter,
    items: Scalars,
    /// For arrays: the end of each, and whether it is null.
    arrays: Option<(Vec<u32>, Vec<bool>)>,
}

impl<'a> Builder<'a> {
    fn new(field: &'a Parameter, rows: usize) -> Self {
        let (kind, many) = field.kind();
        let arrays = many.then(|| (Vec::with_capacity(rows), Vec::with_capacity(rows)));
        Self { field, items: Scalars::with_kind(kind), arrays }
    }

    fn push(&mut self, object: &Bound<'_, PyAny>) -> Result<(), Error> {
        if self.arrays.is_none() && self.push_plain(object)? {
            return Ok(());
        }
        let value = self.field.value(object)?;
        let Some((ends, nulls)) = &mut self.arrays else {
            return self.items.push(value).map_err(|_| too_large(self.field));
        };
        nulls.push(!matches!(value, Value::Array(_)));
        if let Value::Array(array) = value {
            for index in 0..array.len() {
                let item = array.get(index).unwrap_or(Value::Null);
                self.items.push(item).map_err(|_| too_large(self.field))?;
            }
        }
        ends.push(u32::try_from(self.items.len()).map_err(|_| too_large(self.field))?);
        Ok(())
    }

    /// Appends an object of exactly the column's usual type; returns false for others, which take
    /// the slow path and may be rejected there.
    fn push_plain(&mut self, object: &Bound<'_, PyAny>) -> Result<bool, Error> {
        let index = self.items.len();
        match &mut self.items.elements {
            _ if object.is_none() => {
                self.items.push_null();
                return Ok(true);
            }
            Elements::Integer(items) if object.is_exact_instance_of::<PyInt>() => {
                let Ok(it) = object.extract() else { return Ok(false) };
                items.push(it);
            }
            Elements::Float(items) => {
                let Ok(it) = object.cast_exact::<PyFloat>() else { return Ok(false) };
                items.push(it.value());
            }
            Elements::Boolean(items) => {
                let Ok(it) = object.cast_exact::<PyBool>() else { return Ok(false) };
                items.push(it.is_true());
            }
            Elements::Text(texts) => {
                let Ok(it) = object.cast_exact::<PyString>() else { return Ok(false) };
                let text = utf8(it).map_err(|error| self.field.named(error))?;
                let end = texts.data.len() + text.len();
                texts.ends.push(u32::try_from(end).map_err(|_| too_large(self.field))?);
                texts.data.push_str(&text);
            }
            _ => return Ok(false),
        }
        if let Some(nulls) = &mut self.items.nulls {
            nulls.resize(index / 8 + 1, 0);
        }
        Ok(true)
    }

    fn finish(self) -> Column {
        let Some((ends, is_null)) = self.arrays else {
            return Column::Scalars(self.items);
        };
        let mut nulls = vec![0_u8; is_null.len().div_ceil(8)];
        for row in (0..is_null.len()).filter(|row| is_null[*row]) {
            nulls[row / 8] |= 1 << (row % 8);
        }
        let nulls = nulls.iter().any(|byte| *byte != 0).then_some(nulls);
        Column::Arrays(Arrays { items: self.items, ends, nulls })
    }
}

fn too_large(field: &Parameter) -> Error {
    field.named(Error::new(ErrorKind::ValueOutOfRange, "takes no more than 4 GiB in one batch"))
}
