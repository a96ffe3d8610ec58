//! Sessions of `ferro-session` for asyncio: a database, or a transaction in it.

use std::sync::Arc;

use ferro_session::{Cursor, Tenant};
use ferro_wit::plan::{Bind, Binding, Plan, Step};
use ferro_wit::types::{Batch, ColumnInfo, Dialect, Error, ErrorKind, TransactionOptions, Value};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use tokio::sync::{Mutex, OwnedRwLockReadGuard, RwLock};

use crate::bridge::{Bell, Outcome, lock, runtime, spawn, start};
use crate::columns::read_batch;
use crate::databases::Databases;
use crate::errors::{exception, raise};
use crate::guest::parse;
use crate::loader::Loader;
use crate::models::Models;
use crate::query::Query;
use crate::rows::{Carried, Written, read_rows};
use crate::values::guess_value;

/// Rows are asked for in batches of so many: large enough that the ask costs nothing, small enough
/// that objects are made of the first rows while the last ones are read.
const ROWS_PER_BATCH: u32 = 2_048;

/// What the application's own code may do: everything.
#[pyclass(frozen, module = "ferro._native")]
pub(crate) struct Gate(ferro_session::Gate);

#[pymethods]
impl Gate {
    /// With a tenant, which is JSON as an operator's file has it, its grants and forced filters.
    #[new]
    fn new(
        py: Python<'_>,
        databases: &Databases,
        models: &Models,
        tenant: Option<&str>,
    ) -> PyResult<Self> {
        let (databases, models) = (databases.databases.clone(), models.models.clone());
        let Some(tenant) = tenant else {
            return Ok(Self(ferro_session::Gate::trusted(databases, models)));
        };
        let tenant: Tenant = raise(py, parse(tenant, "tenant"))?;
        raise(py, tenant.check(&models))?;
        Ok(Self(ferro_session::Gate::scoped(databases, models, Arc::new(tenant))))
    }

    /// A session with the database of a label. It takes no connection yet.
    fn open(&self, py: Python<'_>, label: String) -> PyResult<Session> {
        let session = raise(py, self.0.open(&label))?;
        Ok(Session::new(session, label))
    }
}

/// A database, or a transaction in it.
///
/// Operations share the lock while they run; the end of the transaction has it alone. So it waits
/// for operations that were cancelled a moment ago and are not gone yet.
#[pyclass(frozen, module = "ferro._native")]
pub(crate) struct Session {
    session: Arc<RwLock<Option<ferro_session::Session>>>,
    label: Arc<str>,
}

impl Session {
    fn new(session: ferro_session::Session, label: impl Into<Arc<str>>) -> Self {
        Self { session: Arc::new(RwLock::new(Some(session))), label: label.into() }
    }

    /// The session, for one operation.
    fn share(&self) -> impl Future<Output = Result<Shared, Error>> + Send + use<> {
        let session = self.session.clone();
        async move {
            OwnedRwLockReadGuard::try_map(session.read_owned().await, Option::as_ref)
                .map_err(|_| ended())
        }
    }

    /// The session, to be consumed.
    fn take(&self) -> impl Future<Output = Result<ferro_session::Session, Error>> + Send + use<> {
        let session = self.session.clone();
        async move { session.write_owned().await.take().ok_or_else(ended) }
    }
}

type Shared = OwnedRwLockReadGuard<Option<ferro_session::Session>, ferro_session::Session>;

fn ended() -> Error {
    Error::new(ErrorKind::InvalidQuery, "this transaction has ended: begin another one")
}

#[pymethods]
impl Session {
    /// Run a query for its rows. Resolves to a list of tuples.
    fn fetch<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, Query>,
        values: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let session = self.share();
        let values = raise(py, query.get().bind(values))?;
        let query = query.clone().unbind();
        spawn(py, async move {
            let session = session.await?;
            let cursor = session.fetch(&query.get().query, values).await?;
            drop(session);
            Ok(TupleRows(read_to_end(cursor).await?))
        })
    }

    /// Run a query for its rows. Resolves to a list of dicts, by the names of the columns.
    fn fetch_dicts<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, Query>,
        values: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let session = self.share();
        let values = raise(py, query.get().bind(values))?;
        let query = query.clone().unbind();
        spawn(py, async move {
            let session = session.await?;
            let cursor = session.fetch(&query.get().query, values).await?;
            drop(session);
            Ok(DictRows(read_to_end(cursor).await?))
        })
    }

    /// Run a query whose rows are read bit by bit, as instances of a model or, without a loader, as
    /// dicts. Resolves to a cursor.
    fn open<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, Query>,
        values: &Bound<'py, PyTuple>,
        loader: Option<Bound<'py, Loader>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let session = self.share();
        let values = raise(py, query.get().bind(values))?;
        let (query, loader) = (query.clone().unbind(), loader.map(Bound::unbind));
        let label = self.label.clone();
        spawn(py, async move {
            let cursor = session.await?.fetch(&query.get().query, values).await?;
            Ok(RowCursor::new(cursor, loader, label))
        })
    }

    /// The statement of a query, and which of its values go to the placeholders, in order.
    fn sql<'py>(&self, py: Python<'py>, query: &Bound<'py, Query>) -> PyResult<(String, Vec<u32>)> {
        let session = raise(py, self.session.try_read().map_err(|_| ended()))?;
        let session = raise(py, session.as_ref().ok_or_else(ended))?;
        let query = query.get();
        let plan = raise(py, py.detach(|| session.plan(&query.query)))?;
        let step = raise(py, first_step(&plan))?;
        let places = step.binds.iter().filter_map(|bind| match bind.source {
            Binding::Parameter(number) => Some(number),
            _ => None,
        });
        Ok((step.sql.clone(), places.collect()))
    }

    /// How the database means to run a query. Resolves to a list of dicts.
    fn explain<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, Query>,
        values: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let session = self.share();
        let values = raise(py, query.get().bind(values))?;
        let query = query.clone().unbind();
        spawn(py, async move {
            let session = session.await?;
            let plan = session.plan(&query.get().query)?;
            let step = first_step(&plan)?;
            let explain = match session.dialect() {
                Dialect::Sqlite => "EXPLAIN QUERY PLAN",
                Dialect::Postgres => "EXPLAIN",
            };
            let sql = format!("{explain} {}", step.sql);
            let cursor = session.fetch_raw(&sql, bound(step, &values)?).await?;
            drop(session);
            Ok(DictRows(read_to_end(cursor).await?))
        })
    }

    /// Run a query for the rows of a model. Resolves to a list of instances.
    fn fetch_instances<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, Query>,
        values: &Bound<'py, PyTuple>,
        loader: &Bound<'py, Loader>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let session = self.share();
        let values = raise(py, query.get().bind(values))?;
        let query = query.clone().unbind();
        let instances = Instances::new(py, loader.clone().unbind(), self.label.clone());
        let (arrived, bell) = (instances.arrived.clone(), Arc::<Bell>::default());
        let ringer = bell.clone();
        let work = async move {
            let read = async {
                let session = session.await?;
                let mut cursor = session.fetch(&query.get().query, values).await?;
                drop(session);
                lock(&arrived).columns = cursor.columns().to_vec();
                while let Some(batch) = cursor.next(ROWS_PER_BATCH).await? {
                    lock(&arrived).batches.push(batch);
                    ringer.ring();
                }
                Ok(())
            };
            let end = read.await;
            lock(&arrived).end = Some(end);
        };
        start(py, Arc::new(instances), bell, work)
    }

    /// Run a query for its effect. Resolves to the number of rows changed.
    fn execute<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, Query>,
        values: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let session = self.share();
        let values = raise(py, query.get().bind(values))?;
        let query = query.clone().unbind();
        spawn(py, async move { session.await?.execute(&query.get().query, values).await })
    }

    /// Write instances as one batch. `fields` are what they carry, in the order of the query's
    /// parameters, each with what turns a value into one that is stored. With a loader, the fields
    /// are all of the model's, and the instances are stored once they are written. Resolves to the
    /// number of rows that were written.
    fn write<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, Query>,
        rows: &Bound<'py, PyList>,
        fields: Vec<Carried<'py>>,
        loader: Option<&Bound<'py, Loader>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let session = self.share();
        let loader = loader.map(Bound::get);
        let parameters = &query.get().parameters;
        let (batch, known) = read_rows(parameters, rows, &fields, loader, &self.label)?;
        let (query, rows) = (query.clone().unbind(), rows.clone().unbind());
        spawn(py, async move {
            let count = session.await?.write(&query.get().query, Vec::new(), batch).await?;
            Ok(Written { count, rows, known })
        })
    }

    /// As `write`; resolves to what each row returns, a list of tuples in the order of the rows.
    fn write_returning<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, Query>,
        rows: &Bound<'py, PyList>,
        fields: Vec<Carried<'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let session = self.share();
        let (rows, _) = read_rows(&query.get().parameters, rows, &fields, None, "")?;
        let query = query.clone().unbind();
        spawn(py, async move {
            let session = session.await?;
            let cursor = session.write_returning(&query.get().query, Vec::new(), rows).await?;
            drop(session);
            Ok(TupleRows(read_to_end(cursor).await?))
        })
    }

    /// Run SQL text for its rows. Resolves to a list of dicts.
    fn fetch_raw<'py>(
        &self,
        py: Python<'py>,
        sql: String,
        values: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let session = self.share();
        let values = raise(py, raw_values(values))?;
        spawn(py, async move {
            let session = session.await?;
            let cursor = session.fetch_raw(&sql, values).await?;
            drop(session);
            Ok(DictRows(read_to_end(cursor).await?))
        })
    }

    /// Run SQL text for its effect. Resolves to the number of rows changed.
    fn execute_raw<'py>(
        &self,
        py: Python<'py>,
        sql: String,
        values: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let session = self.share();
        let values = raise(py, raw_values(values))?;
        spawn(py, async move { session.await?.execute_raw(&sql, values).await })
    }

    /// Begin a transaction, or a savepoint inside one. Resolves to its session.
    #[pyo3(signature = (*, isolation=None, read_only=false, immediate=false, deferrable=false))]
    fn begin<'py>(
        &self,
        py: Python<'py>,
        isolation: Option<&str>,
        read_only: bool,
        immediate: bool,
        deferrable: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let session = self.share();
        let isolation = isolation
            .map(|name| serde_json::from_value(name.into()))
            .transpose()
            .map_err(|error| PyValueError::new_err(format!("no such isolation: {error}")))?;
        let options = TransactionOptions { isolation, read_only, immediate, deferrable };
        let label = self.label.clone();
        spawn(py, async move { Ok(Self::new(session.await?.begin(options).await?, label)) })
    }

    /// Commit the transaction, or release the savepoint. Resolves to None.
    fn commit<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let session = self.take();
        spawn(py, async move { session.await?.commit().await })
    }

    /// Undo the transaction, or what happened since the savepoint. Resolves to None.
    fn rollback<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let session = self.take();
        spawn(py, async move { session.await?.rollback().await })
    }

    /// Let go of the transaction: what is unfinished is undone, as soon as nothing uses it.
    fn close(&self) {
        match self.session.try_write() {
            Ok(mut session) => drop(session.take()),
            Err(_) => drop(runtime().spawn(self.take())),
        }
    }
}

/// The statement that returns the rows of a query.
fn first_step(plan: &Plan) -> Result<&Step, Error> {
    plan.steps.first().ok_or_else(|| Error::new(ErrorKind::Internal, "a plan without a statement"))
}

/// What a statement binds, as values of SQL text.
fn bound(step: &Step, values: &[Value]) -> Result<Vec<Value>, Error> {
    let value = |bind: &Bind| match &bind.source {
        Binding::Parameter(number) => values.get(*number as usize).cloned().ok_or_else(|| {
            Error::new(ErrorKind::Internal, "a plan binds a parameter that there is not")
        }),
        Binding::Constant(value) => Ok(value.clone()),
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            "a query under a scope is not explained: its forced values stay with the gate",
        )),
    };
    step.binds.iter().map(value).collect()
}

/// Rows that are read bit by bit.
#[pyclass(frozen, module = "ferro._native")]
pub(crate) struct RowCursor {
    cursor: Arc<Mutex<Option<Cursor>>>,
    loader: Option<Py<Loader>>,
    label: Arc<str>,
}

impl RowCursor {
    fn new(cursor: Cursor, loader: Option<Py<Loader>>, label: Arc<str>) -> Self {
        Self { cursor: Arc::new(Mutex::new(Some(cursor))), loader, label }
    }
}

#[pymethods]
impl RowCursor {
    /// At most so many rows more. Resolves to a list, which is empty at the end.
    fn next<'py>(&self, py: Python<'py>, max_rows: u32) -> PyResult<Bound<'py, PyAny>> {
        let cursor = self.cursor.clone();
        let loader = self.loader.as_ref().map(|loader| loader.clone_ref(py));
        let label = self.label.clone();
        spawn(py, async move {
            let mut cursor = cursor.lock().await;
            let Some(open) = cursor.as_mut() else {
                return Err(Error::new(ErrorKind::InvalidQuery, "this cursor is closed"));
            };
            let columns = open.columns().to_vec();
            let batch = open.next(max_rows).await?;
            let rows = Rows { columns, batches: batch.into_iter().collect() };
            Ok(match loader {
                Some(loader) => NextRows::Instances { rows, loader, label },
                None => NextRows::Dicts(DictRows(rows)),
            })
        })
    }

    /// Let go of the rows that were not read, as soon as nothing reads them.
    fn close(&self) {
        match self.cursor.try_lock() {
            Ok(mut cursor) => {
                let _runtime = runtime().enter();
                drop(cursor.take());
            }
            Err(_) => {
                let cursor = self.cursor.clone();
                drop(runtime().spawn(async move { drop(cursor.lock().await.take()) }));
            }
        }
    }
}

enum NextRows {
    Instances { rows: Rows, loader: Py<Loader>, label: Arc<str> },
    Dicts(DictRows),
}

impl<'py> IntoPyObject<'py> for NextRows {
    type Target = PyList;
    type Output = Bound<'py, PyList>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        match self {
            Self::Instances { rows, loader, label } => {
                let made = PyList::empty(py);
                for batch in &rows.batches {
                    loader.get().load(&made, batch, &rows.columns, &label)?;
                }
                Ok(made)
            }
            Self::Dicts(rows) => rows.into_pyobject(py),
        }
    }
}

fn raw_values(values: &Bound<'_, PyTuple>) -> Result<Vec<Value>, Error> {
    let value = |(index, object): (usize, Bound<'_, PyAny>)| {
        guess_value(&object).map_err(|error| Error {
            message: format!("argument {} {}", index + 1, error.message),
            ..error
        })
    };
    values.iter().enumerate().map(value).collect()
}

/// Everything that a query returned.
struct Rows {
    columns: Vec<ColumnInfo>,
    batches: Vec<Batch>,
}

async fn read_to_end(mut cursor: Cursor) -> Result<Rows, Error> {
    let columns = cursor.columns().to_vec();
    let mut batches = Vec::new();
    while let Some(batch) = cursor.next(ROWS_PER_BATCH).await? {
        batches.push(batch);
    }
    Ok(Rows { columns, batches })
}

struct TupleRows(Rows);

impl<'py> IntoPyObject<'py> for TupleRows {
    type Target = PyList;
    type Output = Bound<'py, PyList>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        let rows = PyList::empty(py);
        for batch in &self.0.batches {
            let columns = read_batch(py, batch, &self.0.columns)?;
            for row in 0..batch.rows as usize {
                rows.append(PyTuple::new(py, columns.iter().map(|column| &column[row]))?)?;
            }
        }
        Ok(rows)
    }
}

struct DictRows(Rows);

impl<'py> IntoPyObject<'py> for DictRows {
    type Target = PyList;
    type Output = Bound<'py, PyList>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        let names: Vec<_> = self.0.columns.iter().map(|info| info.path.join(".")).collect();
        let names = PyTuple::new(py, names)?;
        let rows = PyList::empty(py);
        for batch in &self.0.batches {
            let columns = read_batch(py, batch, &self.0.columns)?;
            for row in 0..batch.rows as usize {
                let dict = PyDict::new(py);
                for (name, column) in names.iter().zip(&columns) {
                    dict.set_item(name, &column[row])?;
                }
                rows.append(dict)?;
            }
        }
        Ok(rows)
    }
}

/// The instances of a query, made while further rows are read.
struct Instances {
    loader: Py<Loader>,
    label: Arc<str>,
    made: Py<PyList>,
    arrived: Arc<std::sync::Mutex<Arrived>>,
}

/// What was read and is not yet made into instances.
#[derive(Default)]
struct Arrived {
    columns: Vec<ColumnInfo>,
    batches: Vec<Batch>,
    end: Option<Result<(), Error>>,
}

impl Instances {
    fn new(py: Python<'_>, loader: Py<Loader>, label: Arc<str>) -> Self {
        Self { loader, label, made: PyList::empty(py).unbind(), arrived: Arc::default() }
    }
}

impl Outcome for Instances {
    fn take(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let mut arrived = lock(&self.arrived);
        let (batches, end) = (std::mem::take(&mut arrived.batches), arrived.end.take());
        let columns = match batches.is_empty() {
            true => Vec::new(),
            false => arrived.columns.clone(),
        };
        drop(arrived);
        let made = self.made.bind(py);
        for batch in &batches {
            self.loader.get().load(made, batch, &columns, &self.label)?;
        }
        match end {
            Some(Ok(())) => Ok(Some(made.clone().into_any().unbind())),
            Some(Err(error)) => Err(exception(py, &error)),
            None => Ok(None),
        }
    }
}
