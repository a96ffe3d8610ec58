//! Conversion of query results to Python: tuples, dicts, and instances of models.

use std::sync::Arc;

use ferro_session::Cursor;
use ferro_wit::types::{Batch, ColumnInfo, Error, ErrorKind};
use pyo3::IntoPyObjectExt as _;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use tokio::sync::Mutex;

use crate::bridge::{Bell, Outcome, runtime, spawn_in};
use crate::columns::{Objects, read_batch};
use crate::errors::exception;
use crate::loader::Loader;
use crate::turns::Turns;

/// Rows per batch: large enough that the cost of a request is negligible.
const ROWS_PER_BATCH: u32 = 2_048;
/// If objects are created while further rows are read, the first batch is small, so that both begin
/// early, and each further batch is twice as large, up to a size that leaves little work after the
/// last read.
const FIRST_ROWS: u32 = 128;
const MOST_ROWS: u32 = 1_024;

/// Everything that a query returned.
pub(crate) struct Rows {
    columns: Vec<ColumnInfo>,
    batches: Vec<Batch>,
}

pub(crate) async fn read_to_end(mut cursor: Cursor) -> Result<Rows, Error> {
    let columns = cursor.columns().to_vec();
    let mut batches = Vec::new();
    while let Some(batch) = cursor.next(ROWS_PER_BATCH).await? {
        batches.push(batch);
    }
    Ok(Rows { columns, batches })
}

/// Advances to the rows of the included relation, after reading and dropping all parents.
pub(crate) async fn to_related(cursor: &mut Cursor) -> Result<(), Error> {
    while cursor.next(ROWS_PER_BATCH).await?.is_some() {}
    match cursor.next_result().await? {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::Internal, "a query without the relation it includes")),
    }
}

/// The first row of a query. All others are read and dropped, since only then is a write certain.
pub(crate) async fn read_first(mut cursor: Cursor) -> Result<Rows, Error> {
    let columns = cursor.columns().to_vec();
    let first = cursor.next(1).await?;
    while cursor.next(ROWS_PER_BATCH).await?.is_some() {}
    Ok(Rows { columns, batches: first.into_iter().collect() })
}

impl Rows {
    /// A list with an object per row, created from the columns and the row number.
    fn to_list<'py, T: IntoPyObject<'py>>(
        &self,
        py: Python<'py>,
        make: impl Fn(&[Objects<'py>], usize) -> PyResult<T>,
    ) -> PyResult<Bound<'py, PyList>> {
        let rows = PyList::empty(py);
        for batch in &self.batches {
            let columns = read_batch(py, batch, &self.columns)?;
            for row in 0..batch.rows as usize {
                rows.append(make(&columns, row)?)?;
            }
        }
        Ok(rows)
    }
}

pub(crate) struct TupleRows(pub(crate) Rows);

impl<'py> IntoPyObject<'py> for TupleRows {
    type Target = PyList;
    type Output = Bound<'py, PyList>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        self.0
            .to_list(py, |columns, row| PyTuple::new(py, columns.iter().map(|column| &column[row])))
    }
}

pub(crate) struct DictRows(pub(crate) Rows);

impl<'py> IntoPyObject<'py> for DictRows {
    type Target = PyList;
    type Output = Bound<'py, PyList>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        let names: Vec<_> = self.0.columns.iter().map(|info| info.path.join(".")).collect();
        if let Some(twice) = (1..names.len()).find(|at| names[..*at].contains(&names[*at])) {
            let name = &names[twice];
            let message = format!("two columns are called `{name}`: name one of them with `AS`");
            return Err(exception(py, &Error::new(ErrorKind::InvalidQuery, message)));
        }
        let names = PyTuple::new(py, names)?;
        self.0.to_list(py, |columns, row| {
            let dict = PyDict::new(py);
            for (name, column) in names.iter().zip(columns) {
                dict.set_item(name, &column[row])?;
            }
            Ok(dict)
        })
    }
}

/// The instances of a query, created while further rows are read.
pub(crate) struct Instances {
    loader: Py<Loader>,
    label: Arc<str>,
    made: Py<PyList>,
    /// The values of the columns after the fields, a tuple per instance, if requested.
    beside: Option<Py<PyList>>,
    arrived: Arc<parking_lot::Mutex<Arrived>>,
}

/// Batches that were read and not yet converted to instances.
#[derive(Default)]
struct Arrived {
    columns: Vec<ColumnInfo>,
    batches: Vec<Batch>,
    end: Option<Result<(), Error>>,
}

impl Instances {
    pub(crate) fn new(py: Python<'_>, loader: Py<Loader>, label: Arc<str>, beside: bool) -> Self {
        let made = PyList::empty(py).unbind();
        let beside = beside.then(|| PyList::empty(py).unbind());
        Self { loader, label, made, beside, arrived: Arc::default() }
    }

    /// Creates the instances of a batch.
    fn load(&self, py: Python<'_>, mut batch: Batch, columns: &[ColumnInfo]) -> PyResult<()> {
        let (made, loader) = (self.made.bind(py), self.loader.get());
        let Some(beside) = &self.beside else {
            return loader.load(made, &batch, columns, &self.label);
        };
        let (fields, others) = columns.split_at(loader.width().min(columns.len()));
        let rest = Batch { rows: batch.rows, columns: batch.columns.split_off(fields.len()) };
        loader.load(made, &batch, fields, &self.label)?;
        let rest = read_batch(py, &rest, others)?;
        for row in 0..batch.rows as usize {
            beside.bind(py).append(PyTuple::new(py, rest.iter().map(|column| &column[row]))?)?;
        }
        Ok(())
    }

    /// The result: a list of instances and, if requested, a list of the other columns' values.
    fn made(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match &self.beside {
            None => Ok(self.made.clone_ref(py).into_any()),
            Some(beside) => (&self.made, beside).into_py_any(py),
        }
    }

    /// Reads the rows of a future cursor, and signals each batch.
    pub(crate) fn read<C>(&self, bell: Arc<Bell>, cursor: C) -> impl Future<Output = ()> + use<C>
    where
        C: Future<Output = Result<Cursor, Error>>,
    {
        let arrived = self.arrived.clone();
        // Both take kilobytes, and each future around them would have room for them twice.
        let cursor = Box::pin(cursor);
        Box::pin(async move {
            let read = async {
                let mut cursor = cursor.await?;
                arrived.lock().columns = cursor.columns().to_vec();
                let mut rows = FIRST_ROWS;
                while let Some(batch) = cursor.next(rows).await? {
                    arrived.lock().batches.push(batch);
                    // The last rows come with the end.
                    if !cursor.is_read() {
                        bell.ring();
                    }
                    rows = MOST_ROWS.min(rows * 2);
                }
                Ok(())
            };
            let end = read.await;
            arrived.lock().end = Some(end);
        })
    }
}

impl Outcome for Instances {
    fn take(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let mut arrived = self.arrived.lock();
        let (batches, end) = (std::mem::take(&mut arrived.batches), arrived.end.take());
        let columns = match batches.is_empty() {
            true => Vec::new(),
            false => arrived.columns.clone(),
        };
        drop(arrived);
        for batch in batches {
            self.load(py, batch, &columns)?;
        }
        match end {
            Some(Ok(())) => self.made(py).map(Some),
            Some(Err(error)) => Err(exception(py, &error)),
            None => Ok(None),
        }
    }
}

/// A cursor that reads rows in batches.
#[pyclass(frozen, module = "ferro._native")]
pub(crate) struct RowCursor {
    cursor: Arc<Mutex<Option<Cursor>>>,
    form: Form,
    label: Arc<str>,
    turns: Turns,
}

/// The form of rows that are read in batches.
pub(crate) enum Form {
    Dicts,
    /// With the values of the columns after the fields, if requested.
    Instances {
        loader: Py<Loader>,
        beside: bool,
    },
}

impl Form {
    pub(crate) fn new(loader: Option<Bound<'_, Loader>>, beside: bool) -> Self {
        match loader {
            None => Self::Dicts,
            Some(loader) => Self::Instances { loader: loader.unbind(), beside },
        }
    }
}

impl RowCursor {
    pub(crate) fn new(cursor: Cursor, form: Form, label: Arc<str>, turns: Turns) -> Self {
        Self { cursor: Arc::new(Mutex::new(Some(cursor))), form, label, turns }
    }
}

#[pymethods]
impl RowCursor {
    /// Reads at most `max_rows` further rows. Resolves to a list, empty at the end; for instances
    /// with other columns, to two lists.
    fn next<'py>(&self, py: Python<'py>, max_rows: u32) -> PyResult<Bound<'py, PyAny>> {
        let cursor = self.cursor.clone();
        let instances = match &self.form {
            Form::Dicts => None,
            Form::Instances { loader, beside } => {
                Some(Instances::new(py, loader.clone_ref(py), self.label.clone(), *beside))
            }
        };
        spawn_in(py, &self.turns, async move {
            let mut cursor = cursor.lock().await;
            let Some(open) = cursor.as_mut() else {
                return Err(Error::new(
                    ErrorKind::InvalidQuery,
                    "this stream is closed: its transaction or its connection has ended",
                ));
            };
            let columns = open.columns().to_vec();
            let batch = open.next(max_rows).await?;
            let rows = Rows { columns, batches: batch.into_iter().collect() };
            Ok(NextRows { rows, instances })
        })
    }

    /// Drops the unread rows, as soon as nothing reads them.
    fn close(&self) {
        match self.cursor.try_lock() {
            Ok(mut cursor) => {
                let _runtime = runtime().enter();
                drop(cursor.take());
            }
            Err(_) => {
                let cursor = self.cursor.clone();
                self.turns.when_gone(async move { drop(cursor.lock().await.take()) });
            }
        }
    }
}

struct NextRows {
    rows: Rows,
    /// `None` if rows become dicts.
    instances: Option<Instances>,
}

impl<'py> IntoPyObject<'py> for NextRows {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        let Some(instances) = self.instances else {
            return Ok(DictRows(self.rows).into_pyobject(py)?.into_any());
        };
        for batch in self.rows.batches {
            instances.load(py, batch, &self.rows.columns)?;
        }
        Ok(instances.made(py)?.into_bound(py))
    }
}
