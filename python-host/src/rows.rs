//! From instances to the columns of a batch, without a call of Python code for each row.

use ferro_wit::types::{Arrays, Batch, Column, Elements, Error, ErrorKind, Scalars, Value};
use pyo3::exceptions::{PyAttributeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::errors::{exception, raise};
use crate::loader::Loader;
use crate::query::Parameter;
use crate::values::utf8;

/// A field that rows carry, and what turns its values into those that are stored.
pub(crate) type Carried<'py> = (Bound<'py, PyString>, Option<Bound<'py, PyAny>>);

/// The values of some fields of all rows, and with a loader, what is known of each row once they are
/// written to `origin`: the fields are then all of the model's.
pub(crate) fn read_rows(
    parameters: &[Parameter],
    rows: &Bound<'_, PyList>,
    fields: &[Carried<'_>],
    loader: Option<&Loader>,
    origin: &str,
) -> PyResult<(Batch, Vec<Py<PyTuple>>)> {
    let py = rows.py();
    let origin = PyString::new(py, origin).into_any();
    let mut known = Vec::with_capacity(if loader.is_some() { rows.len() } else { 0 });
    let mut values = Vec::with_capacity(fields.len() + 1);
    if parameters.len() != fields.len() {
        return Err(PyValueError::new_err("one field for each parameter"));
    }
    let count = u32::try_from(rows.len()).map_err(|_| {
        let message = "a batch has at most 2^32 - 1 rows";
        exception(py, &Error::new(ErrorKind::ValueOutOfRange, message))
    })?;
    let mut columns: Vec<_> = parameters.iter().map(|it| Builder::new(it, rows.len())).collect();
    for row in rows {
        values.clear();
        values.push(origin.clone());
        let held = row.getattr(intern!(py, "__dict__"))?.cast_into::<PyDict>()?;
        for (column, (name, encode)) in columns.iter_mut().zip(fields) {
            let value = held
                .get_item(name)?
                .ok_or_else(|| PyAttributeError::new_err(name.clone().unbind()))?;
            match encode {
                Some(encode) => raise(py, column.push(&encode.call1((&value,))?))?,
                None => raise(py, column.push(&value))?,
            }
            if loader.is_some() {
                values.push(value);
            }
        }
        if let Some(loader) = loader {
            known.push(loader.known(&mut values)?.unbind());
        }
    }
    let columns = columns.into_iter().map(Builder::finish).collect();
    Ok((Batch { rows: count, columns }, known))
}

/// How many rows were written; those that are given are stored now.
pub(crate) struct Written {
    pub(crate) count: u64,
    pub(crate) rows: Py<PyList>,
    /// Who notes what is known of each row, if that is to be noted.
    pub(crate) loader: Option<Py<Loader>>,
    pub(crate) known: Vec<Py<PyTuple>>,
}

impl<'py> IntoPyObject<'py> for Written {
    type Target = PyInt;
    type Output = Bound<'py, PyInt>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        if let Some(loader) = &self.loader {
            for (row, known) in self.rows.bind(py).iter().zip(&self.known) {
                loader.get().mark(&row, known.bind(py))?;
            }
        }
        Ok(self.count.into_pyobject(py)?)
    }
}

/// A column that grows.
struct Builder<'a> {
    field: &'a Parameter,
    items: Scalars,
    /// Of arrays: where each ends, and whether it is null.
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

    /// Takes an object of exactly the type that most values of the column have; false for others,
    /// which go the long way and may be refused there.
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
