//! From batches to instances of a model, without a call of Python code for each row.

use std::ffi::CStr;
use std::sync::Arc;

use ferro_driver::ExpectedColumn;
use ferro_wit::plan::Origin;
use ferro_wit::types::{Batch, ColumnInfo, Error, ErrorKind, Value};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySet, PyString, PyTuple, PyType};

use crate::columns::{Objects, in_row, read_batch, row_of};
use crate::errors::{exception, from_exception, is_interrupt, raise};
use crate::instance::{Maker, NoCollection, Slot, read_row, set, untrack};
use crate::json;
use crate::query::kind_of;

/// Makes instances of one Pydantic model. Stored values were validated before they were stored, so
/// nothing is validated again: an instance gets its attributes as they are.
#[pyclass(frozen, module = "ferro._native")]
pub(crate) struct Loader {
    maker: Maker<4>,
    /// What is known of an instance's row.
    loaded: Slot,
    /// In the order of the model.
    fields: Vec<Field>,
    /// Whether all that is kept of a loaded row are values of which none can hold another.
    is_plain: bool,
    /// Shared by all instances: it names every field already, so nothing is ever added.
    fields_set: Py<PySet>,
    /// Makes the private attributes, for models that declare some.
    initialise: Option<Py<PyAny>>,
    /// The name of the table, and the fields of its key, for errors.
    table: String,
    keys: Vec<String>,
    /// What SQL text has to give for its rows to be instances.
    columns: Arc<[ExpectedColumn]>,
}

/// Where instances hold what Pydantic and Ferro know of them.
const SLOTS: [&CStr; 4] =
    [c"__pydantic_fields_set__", c"__pydantic_extra__", c"__pydantic_private__", LOADED];
const LOADED: &CStr = c"_ferro_loaded";

struct Field {
    name: Py<PyString>,
    /// The same, to compare with.
    key: String,
    /// From a stored value to the member of an enum.
    members: Option<Py<PyDict>>,
    /// From a document to the value that has its shape.
    decode: Option<Py<PyAny>>,
    kept: Kept,
}

/// What is kept of a value beside the instance, to compare with: nothing that a change of the value
/// in place would reach.
enum Kept {
    Itself,
    /// A list of values that do not change.
    List,
    Document,
    /// Its document: this makes that of a value which has a shape.
    Shaped(Py<PyAny>),
}

/// A field as `ferro` describes it.
#[derive(FromPyObject)]
struct FieldArguments<'py> {
    name: Bound<'py, PyString>,
    db_column: Option<String>,
    kind: String,
    many: bool,
    nullable: bool,
    primary_key: bool,
    members: Option<Bound<'py, PyDict>>,
    decode: Option<Bound<'py, PyAny>>,
    is_document: bool,
    document_of: Option<Bound<'py, PyAny>>,
}

#[pymethods]
impl Loader {
    #[new]
    fn new(
        model: Bound<'_, PyType>,
        fields: Vec<FieldArguments<'_>>,
        initialise: Option<Py<PyAny>>,
        table: String,
        keys: Vec<String>,
    ) -> PyResult<Self> {
        let py = model.py();
        let fields_set = PySet::new(py, fields.iter().map(|field| field.name.clone()))?;
        let columns = fields.iter().map(|field| field.column(&table)).collect::<PyResult<_>>()?;
        let fields = fields
            .into_iter()
            .map(|field| {
                let key = field.name.to_cow()?.into_owned();
                Ok(Field {
                    // The one object for this name, which the instances' own keys are.
                    name: PyString::intern(py, &key).unbind(),
                    key,
                    members: field.members.map(Bound::unbind),
                    decode: field.decode.map(Bound::unbind),
                    kept: match field.document_of {
                        Some(document_of) => Kept::Shaped(document_of.unbind()),
                        None if field.is_document => Kept::Document,
                        None if field.many => Kept::List,
                        None => Kept::Itself,
                    },
                })
            })
            .collect::<PyResult<Vec<_>>>()?;
        let is_plain = fields.iter().all(Field::is_plain);
        let loaded = Slot::of(&model, LOADED)?;
        let maker = Maker::new(model, SLOTS)?;
        let fields_set = fields_set.unbind();
        Ok(Self { maker, loaded, fields, is_plain, fields_set, initialise, table, keys, columns })
    }

    /// What will be known of rows once they are stored on a connection: what they hold now.
    fn know<'py>(
        &self,
        py: Python<'py>,
        rows: &Bound<'py, PyList>,
        origin: &str,
    ) -> PyResult<Bound<'py, PyList>> {
        let origin = PyString::new(py, origin).into_any();
        let mut values = Vec::with_capacity(rows.len() * (self.fields.len() + 1));
        for row in rows {
            values.push(origin.clone());
            let first = values.len();
            read_row(&row, self.fields.iter().map(|it| it.name.bind(py)), &mut values)?;
            for (field, value) in self.fields.iter().zip(&mut values[first..]) {
                *value = field.kept(value, None)?;
            }
        }
        PyList::new(py, self.known(py, values)?)
    }

    /// Note what is known of rows that are stored now.
    fn store(&self, rows: &Bound<'_, PyList>, known: &Bound<'_, PyList>) -> PyResult<()> {
        for (row, known) in rows.iter().zip(known) {
            self.mark(&row, known.cast()?)?;
        }
        Ok(())
    }

    /// Whether one of these is known to be stored.
    fn any_stored(&self, rows: &Bound<'_, PyList>) -> bool {
        rows.iter().any(|row| self.loaded.get(&row).is_some())
    }
}

impl Loader {
    /// What SQL text has to give for its rows to be instances.
    pub(crate) fn columns(&self) -> Arc<[ExpectedColumn]> {
        Arc::clone(&self.columns)
    }

    /// How many columns a row has.
    pub(crate) fn width(&self) -> usize {
        self.fields.len()
    }

    /// Notes what is known of a stored row.
    pub(crate) fn mark(&self, row: &Bound<'_, PyAny>, known: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.loaded.set(row, known)
    }

    /// Adds the instances of a batch's rows to a list. `origin` is the label of the connection that
    /// they come from.
    pub(crate) fn load<'py>(
        &self,
        instances: &Bound<'py, PyList>,
        batch: &Batch,
        columns: &[ColumnInfo],
        origin: &str,
    ) -> PyResult<()> {
        let py = instances.py();
        let mut loaded = read_batch(py, batch, columns)
            .and_then(|found| self.in_order(py, columns, found))
            .map_err(|error| self.named(py, batch, columns, error))?;
        // Only where no code of others runs: they may ask for a collection, or switch it on.
        let _quiet = self.initialise.is_none().then(|| NoCollection::begin(py));
        let names: Vec<_> = self.fields.iter().map(|field| field.name.bind(py)).collect();
        let origin = PyString::new(py, origin).into_any();
        let mut values = Vec::with_capacity(batch.rows as usize * (loaded.len() + 1));
        for _ in 0..batch.rows {
            values.push(origin.clone());
            for column in &mut loaded {
                values.push(column.known.next().ok_or_else(|| contradiction(py))?);
            }
        }
        for known in self.known(py, values)? {
            if self.is_plain {
                untrack(&known);
            }
            instances.append(self.instance(py, &names, &mut loaded, &known)?)?;
        }
        Ok(())
    }

    /// What is known of each of some rows: its origin, and a value for each field. It is given for
    /// all rows, one after another.
    pub(crate) fn known<'py>(
        &self,
        py: Python<'py>,
        values: Vec<Bound<'py, PyAny>>,
    ) -> PyResult<impl ExactSizeIterator<Item = Bound<'py, PyTuple>>> {
        let width = self.fields.len() + 1;
        let rows = values.len() / width;
        // One call copies a row out of a tuple of all, where each value would take two.
        let all = PyTuple::new(py, values)?;
        Ok((0..rows).map(move |row| all.get_slice(row * width, (row + 1) * width)))
    }

    /// An error about a row, with what the row is called.
    fn named(&self, py: Python<'_>, batch: &Batch, columns: &[ColumnInfo], error: PyErr) -> PyErr {
        let Some(row) = row_of(py, &error) else { return error };
        let value = |key: &String| {
            let named = |info: &ColumnInfo| info.path.last().is_some_and(|it| it == key);
            let at = columns.iter().position(named)?;
            Some(format!("`{key}` is {}", shown(batch.columns.get(at)?.get(row)?)))
        };
        let keys: Vec<_> = self.keys.iter().filter_map(value).collect();
        let mut named = from_exception(py, &error);
        let column = error.value(py).getattr(intern!(py, "column"));
        named.column = column.and_then(|it| it.extract()).ok().flatten();
        named.message =
            format!("{}, in the row of `{}` whose {}", named.message, self.table, keys.join(", "));
        named.table = Some(self.table.clone());
        exception(py, &named)
    }

    /// The columns in the order of the fields, as they are held by instances.
    fn in_order<'py>(
        &self,
        py: Python<'py>,
        columns: &[ColumnInfo],
        found: Vec<Objects<'py>>,
    ) -> PyResult<Vec<Loaded<'py>>> {
        let mut found: Vec<_> = found.into_iter().map(Some).collect();
        let place = |field: &Field| {
            columns.iter().position(|info| info.path.last().is_some_and(|it| *it == field.key))
        };
        self.fields
            .iter()
            .map(|field| {
                let objects = place(field).and_then(|at| found.get_mut(at)?.take());
                let objects = objects.ok_or_else(|| {
                    // The core leaves out what a scope may not read.
                    let message = format!(
                        "the scope may not read `{}` of `{}`, but an instance has all fields: \
                         select the readable ones with `values`",
                        field.key, self.table
                    );
                    exception(py, &Error::new(ErrorKind::Denied, message))
                })?;
                field.loaded(py, objects)
            })
            .collect()
    }

    /// What is kept beside a row of one of its values, whose stored form may be at hand; none where
    /// that is the value itself.
    pub(crate) fn kept<'py>(
        &self,
        place: usize,
        value: &Bound<'py, PyAny>,
        stored: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.fields.get(place) {
            None | Some(Field { kept: Kept::Itself, .. }) => Ok(None),
            Some(field) => field.kept(value, stored).map(Some),
        }
    }

    /// `object.__new__` and the attributes that Pydantic's own constructor sets, and ours.
    fn instance<'py>(
        &self,
        py: Python<'py>,
        names: &[&Bound<'py, PyString>],
        loaded: &mut [Loaded<'py>],
        known: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let none = || py.None().into_bound(py);
        let fields_set = self.fields_set.bind(py).clone().into_any();
        let instance =
            self.maker.make(py, [fields_set, none(), none(), known.clone().into_any()])?;
        for (place, (name, column)) in names.iter().zip(loaded).enumerate() {
            match &mut column.values {
                None => set(&instance, name, &*known.get_borrowed_item(place + 1)?)?,
                Some(values) => {
                    let value = values.next().ok_or_else(|| contradiction(py))?;
                    set(&instance, name, &value)?;
                }
            }
        }
        if let Some(initialise) = &self.initialise {
            initialise.bind(py).call1((&instance, py.None()))?;
        }
        Ok(instance)
    }
}

/// A column of what is loaded.
struct Loaded<'py> {
    /// What is kept beside instances.
    known: std::vec::IntoIter<Bound<'py, PyAny>>,
    /// What they hold, where that is something else.
    values: Option<std::vec::IntoIter<Bound<'py, PyAny>>>,
}

impl FieldArguments<'_> {
    /// The column of a table that holds the field.
    fn column(&self, table: &str) -> PyResult<ExpectedColumn> {
        let name = self.name.to_cow()?.into_owned();
        let column = self.db_column.clone().unwrap_or_else(|| name.clone());
        Ok(ExpectedColumn {
            origin: Origin { table: table.to_owned(), column, key: self.primary_key },
            info: ColumnInfo {
                path: vec![name],
                kind: raise(self.name.py(), kind_of(&self.kind))?,
                many: self.many,
                nullable: self.nullable,
            },
        })
    }
}

impl Field {
    /// Whether its values, as they are loaded, hold no other objects: a member of an enum does, which
    /// is an object of the application.
    fn is_plain(&self) -> bool {
        matches!(self.kept, Kept::Itself) && self.members.is_none() && self.decode.is_none()
    }

    /// Stored values as instances hold them.
    fn loaded<'py>(&self, py: Python<'py>, mut objects: Objects<'py>) -> PyResult<Loaded<'py>> {
        // A value may hold parts of its document, and change them.
        let documents = match self.kept {
            Kept::Shaped(_) => Some(objects.iter().map(json::copy).collect::<PyResult<Vec<_>>>()?),
            _ => None,
        };
        if let Some(members) = &self.members {
            for (row, object) in objects.iter_mut().enumerate() {
                if !object.is_none() {
                    *object = member(members.bind(py), object, &self.key)
                        .map_err(|error| in_row(py, error, row))?;
                }
            }
        }
        if let Some(decode) = &self.decode {
            for (row, object) in objects.iter_mut().enumerate() {
                if !object.is_none() {
                    *object = decoded(decode.bind(py), object, &self.key)
                        .map_err(|error| in_row(py, error, row))?;
                }
            }
        }
        let known = match (&self.kept, documents) {
            (Kept::Itself, _) => return Ok(Loaded { known: objects.into_iter(), values: None }),
            (_, Some(documents)) => documents,
            (_, None) => objects.iter().map(|it| self.kept(it, None)).collect::<PyResult<_>>()?,
        };
        Ok(Loaded { known: known.into_iter(), values: Some(objects.into_iter()) })
    }

    /// What is kept of a value, whose document may be at hand.
    fn kept<'py>(
        &self,
        value: &Bound<'py, PyAny>,
        document: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = value.py();
        match &self.kept {
            Kept::Itself => Ok(value.clone()),
            _ if value.is_none() => Ok(value.clone()),
            Kept::List => py.get_type::<PyList>().call1((value,)),
            Kept::Document => json::copy(value),
            Kept::Shaped(document_of) => {
                document.map_or_else(|| document_of.bind(py).call1((value,)), Ok)
            }
        }
    }
}

/// The value of a key.
fn shown(value: Value) -> String {
    match value {
        Value::Integer(it) => it.to_string(),
        Value::Text(it) => format!("{it:?}"),
        Value::Uuid((high, low)) => format!("{high:016x}{low:016x}"),
        other => format!("{other:?}"),
    }
}

fn contradiction(py: Python<'_>) -> PyErr {
    exception(py, &Error::new(ErrorKind::Internal, "a batch has fewer rows than it says"))
}

fn decoded<'py>(
    decode: &Bound<'py, PyAny>,
    document: &Bound<'py, PyAny>,
    column: &str,
) -> PyResult<Bound<'py, PyAny>> {
    decode.call1((document,)).map_err(|raised| {
        let py = decode.py();
        if is_interrupt(py, &raised) {
            return raised;
        }
        let reason = raised.value(py);
        let message =
            format!("column `{column}` holds a document with a different shape: {reason}");
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
        let message = format!("column `{column}` holds {stored}, which is not a value of its enum");
        let mut error = Error::new(ErrorKind::DecodeFailed, message);
        error.column = Some(column.to_owned());
        exception(members.py(), &error)
    })
}
