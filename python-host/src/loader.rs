//! From batches to instances of a model, without a call of Python code for each row.

use std::collections::HashMap;

use ferro_wit::types::{Batch, ColumnInfo, Error, ErrorKind};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySet, PyString, PyType};

use crate::columns::{Objects, read_batch};
use crate::errors::exception;

/// Makes instances of one Pydantic model. Stored values were validated before they were stored, so
/// nothing is validated again: an instance gets its dict as it is.
#[pyclass(frozen, module = "ferro._native")]
pub(crate) struct Loader {
    model: Py<PyType>,
    fields: HashMap<String, Field>,
    /// Shared by all instances: it names every field already, so nothing is ever added.
    fields_set: Py<PySet>,
    /// Makes the private attributes, for models that declare some.
    initialise: Option<Py<PyAny>>,
    new: Py<PyAny>,
    set: Py<PyAny>,
}

struct Field {
    name: Py<PyString>,
    /// From a stored value to the member of an enum.
    members: Option<Py<PyDict>>,
    /// From a document to the value that has its shape.
    decode: Option<Py<PyAny>>,
    /// The value can change in place: what was loaded is kept as a copy of its own.
    copy: Option<Py<PyAny>>,
}

/// A field as `ferro` describes it.
#[derive(FromPyObject)]
struct FieldArguments<'py> {
    name: Bound<'py, PyString>,
    members: Option<Bound<'py, PyDict>>,
    decode: Option<Bound<'py, PyAny>>,
    copy: Option<Bound<'py, PyAny>>,
}

#[pymethods]
impl Loader {
    #[new]
    fn new(
        model: Bound<'_, PyType>,
        fields: Vec<FieldArguments<'_>>,
        initialise: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let py = model.py();
        let object = py.import("builtins")?.getattr("object")?;
        let fields_set = PySet::new(py, fields.iter().map(|field| field.name.clone()))?;
        let fields = fields
            .into_iter()
            .map(|field| {
                let key = field.name.to_cow()?.into_owned();
                let field = Field {
                    name: field.name.unbind(),
                    members: field.members.map(Bound::unbind),
                    decode: field.decode.map(Bound::unbind),
                    copy: field.copy.map(Bound::unbind),
                };
                Ok((key, field))
            })
            .collect::<PyResult<_>>()?;
        Ok(Self {
            new: object.getattr("__new__")?.unbind(),
            set: object.getattr("__setattr__")?.unbind(),
            model: model.unbind(),
            fields,
            fields_set: fields_set.unbind(),
            initialise,
        })
    }
}

impl Loader {
    /// The instances of all rows. `origin` is the label of the connection that they come from.
    pub(crate) fn load<'py>(
        &self,
        py: Python<'py>,
        batches: &[Batch],
        columns: &[ColumnInfo],
        origin: &str,
    ) -> PyResult<Bound<'py, PyList>> {
        let instances = PyList::empty(py);
        let origin = PyString::new(py, origin);
        for batch in batches {
            let objects = read_batch(py, batch, columns)?;
            let values = columns
                .iter()
                .zip(objects)
                .map(|(info, objects)| self.column(py, info, objects))
                .collect::<PyResult<Vec<_>>>()?;
            for row in 0..batch.rows as usize {
                instances.append(self.instance(py, &values, row, &origin)?)?;
            }
        }
        Ok(instances)
    }

    fn column<'a, 'py>(
        &'a self,
        py: Python<'py>,
        info: &ColumnInfo,
        mut objects: Objects<'py>,
    ) -> PyResult<(&'a Field, Objects<'py>)> {
        let name = info.path.last().map_or("", String::as_str);
        let field = self.fields.get(name).ok_or_else(|| {
            let message = format!("the result has a column `{name}`, which is not a field");
            exception(py, &Error::new(ErrorKind::Internal, message))
        })?;
        if let Some(members) = &field.members {
            for object in &mut objects {
                if !object.is_none() {
                    *object = member(members.bind(py), object, name)?;
                }
            }
        }
        if let Some(decode) = &field.decode {
            for object in &mut objects {
                if !object.is_none() {
                    *object = decoded(decode.bind(py), object, name)?;
                }
            }
        }
        Ok((field, objects))
    }

    /// `object.__new__` and the attributes that Pydantic's own constructor sets.
    fn instance<'py>(
        &self,
        py: Python<'py>,
        values: &[(&Field, Objects<'py>)],
        row: usize,
        origin: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let dict = PyDict::new(py);
        for (field, objects) in values {
            if let Some(object) = objects.get(row) {
                dict.set_item(&field.name, object)?;
            }
        }
        let loaded = dict.copy()?;
        for (field, objects) in values {
            if let (Some(copy), Some(object)) = (&field.copy, objects.get(row))
                && !object.is_none()
            {
                loaded.set_item(&field.name, copy.bind(py).call1((object,))?)?;
            }
        }
        let instance = self.new.bind(py).call1((&self.model,))?;
        let set = self.set.bind(py);
        set.call1((&instance, intern!(py, "__dict__"), dict))?;
        set.call1((&instance, intern!(py, "__pydantic_fields_set__"), &self.fields_set))?;
        set.call1((&instance, intern!(py, "__pydantic_extra__"), py.None()))?;
        set.call1((&instance, intern!(py, "__pydantic_private__"), py.None()))?;
        set.call1((&instance, intern!(py, "_ferro_loaded"), (origin, loaded)))?;
        if let Some(initialise) = &self.initialise {
            initialise.bind(py).call1((&instance, py.None()))?;
        }
        Ok(instance)
    }
}

fn decoded<'py>(
    decode: &Bound<'py, PyAny>,
    document: &Bound<'py, PyAny>,
    column: &str,
) -> PyResult<Bound<'py, PyAny>> {
    decode.call1((document,)).map_err(|raised| {
        let py = decode.py();
        let message = format!("column `{column}` holds a document of another shape: {raised}");
        let mut error = Error::new(ErrorKind::DecodeFailed, message);
        error.column = Some(column.to_owned());
        exception(py, &error)
    })
}

fn member<'py>(
    members: &Bound<'py, PyDict>,
    stored: &Bound<'py, PyAny>,
    column: &str,
) -> PyResult<Bound<'py, PyAny>> {
    members.get_item(stored)?.ok_or_else(|| {
        let stored = stored.repr().map_or_else(|_| "?".into(), |it| it.to_string());
        let message = format!("column `{column}` holds {stored}, which is no value of its enum");
        let mut error = Error::new(ErrorKind::DecodeFailed, message);
        error.column = Some(column.to_owned());
        exception(members.py(), &error)
    })
}
