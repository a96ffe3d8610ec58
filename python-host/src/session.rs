//! Sessions of `ferro-session` for asyncio: a database, or a transaction in it.

use std::sync::Arc;

use ferro_session::{Cursor, Tenant};
use ferro_wit::plan::{Bind, Binding, Plan, Step};
use ferro_wit::types::{Dialect, Error, ErrorKind, TransactionOptions, Value};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use crate::bridge::{Bell, block, spawn_in, start};
use crate::columns::read_value;
use crate::databases::Databases;
use crate::errors::{exception, raise};
use crate::loader::Loader;
use crate::models::Models;
use crate::parse::parse;
use crate::query::Query;
use crate::results::{
    DictRows, Form, Instances, RowCursor, Rows, TupleRows, read_first, read_to_end, to_related,
};
use crate::rows::{Carried, Writing, read_rows};
use crate::turns::Turns;
use crate::values::guess_value;

/// The rights of the application's own code: all, or those of a tenant.
#[pyclass(frozen, module = "ferro._native")]
pub(crate) struct Gate(ferro_session::Gate);

#[pymethods]
impl Gate {
    /// With a tenant, as JSON in the form of a tenant file, its grants and forced filters apply.
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
        raise(py, tenant.fits(&models))?;
        Ok(Self(ferro_session::Gate::scoped(databases, models, Arc::new(tenant))))
    }

    /// Opens a session on the database of a label. It does not acquire a connection yet. If the
    /// caller has not named it, errors do not either.
    fn open(&self, py: Python<'_>, label: String, named: bool) -> PyResult<Session> {
        let session = match named {
            true => self.0.open(&label),
            false => self.0.open_as_default(&label),
        };
        let session = raise(py, session)?;
        Ok(Session::new(session, label, Turns::default()))
    }
}

/// A database, or a transaction in it.
///
/// Operations share the lock while they run; the end of the transaction locks it exclusively.
#[pyclass(frozen, module = "ferro._native")]
pub(crate) struct Session {
    session: Arc<Kept>,
    label: Arc<str>,
    turns: Turns,
}

impl Session {
    fn new(session: ferro_session::Session, label: impl Into<Arc<str>>, turns: Turns) -> Self {
        Self { session: Arc::new(RwLock::new(Some(session))), label: label.into(), turns }
    }

    /// Runs a query, and converts its rows with `made`.
    fn fetch_as<'py, T>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, Query>,
        values: &Bound<'py, PyTuple>,
        made: fn(Rows) -> T,
    ) -> PyResult<Bound<'py, PyAny>>
    where
        T: for<'a> IntoPyObject<'a> + Send + 'static,
    {
        let asked = self.ask(py, query, values)?;
        spawn_in(py, &self.turns, async move { Ok(made(read_to_end(asked.fetch().await?).await?)) })
    }

    /// Runs a query for instances, and for other columns if requested.
    fn fetch_models<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, Query>,
        values: &Bound<'py, PyTuple>,
        loader: &Bound<'py, Loader>,
        kind: Kind,
    ) -> PyResult<Bound<'py, PyAny>> {
        let asked = self.ask(py, query, values)?;
        self.make_instances(py, loader, kind != Kind::Instances, async move {
            let mut cursor = asked.fetch().await?;
            if kind == Kind::Related {
                to_related(&mut cursor).await?;
            }
            Ok(cursor)
        })
    }

    /// Creates instances from the rows of a cursor, and tuples from their other columns.
    fn make_instances<'py>(
        &self,
        py: Python<'py>,
        loader: &Bound<'py, Loader>,
        beside: bool,
        cursor: impl Future<Output = Result<Cursor, Error>> + Send + 'static,
    ) -> PyResult<Bound<'py, PyAny>> {
        let instances = Instances::new(py, loader.clone().unbind(), self.label.clone(), beside);
        let bell = Arc::<Bell>::default();
        let work = instances.read(bell.clone(), cursor);
        start(py, &self.turns, Arc::new(instances), bell, work)
    }

    /// Opens a cursor for reading in batches.
    fn open_cursor<'py>(
        &self,
        py: Python<'py>,
        form: Form,
        cursor: impl Future<Output = Result<Cursor, Error>> + Send + 'static,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (label, turns) = (self.label.clone(), self.turns.clone());
        spawn_in(
            py,
            &self.turns,
            async move { Ok(RowCursor::new(cursor.await?, form, label, turns)) },
        )
    }

    /// The session, for one operation.
    fn share(&self) -> impl Future<Output = Result<Shared, Error>> + Send + use<> {
        shared(self.session.clone())
    }

    /// A query with its values, for one operation.
    fn ask(
        &self,
        py: Python<'_>,
        query: &Bound<'_, Query>,
        values: &Bound<'_, PyTuple>,
    ) -> PyResult<Asked> {
        let values = raise(py, query.get().bind(values))?;
        Ok(Asked { session: self.session.clone(), query: query.clone().unbind(), values })
    }

    /// The session, to be consumed.
    fn take(&self) -> impl Future<Output = Result<ferro_session::Session, Error>> + Send + use<> {
        let session = self.session.clone();
        async move { session.write_owned().await.take().ok_or_else(ended) }
    }
}

/// What is returned with the instances of a query.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Nothing.
    Instances,
    /// The values of the columns after their fields.
    WithOthers,
    /// The same, for the instances of the included relation.
    Related,
}

/// None once the transaction has ended.
type Kept = RwLock<Option<ferro_session::Session>>;

type Shared = OwnedRwLockReadGuard<Option<ferro_session::Session>, ferro_session::Session>;

async fn shared(session: Arc<Kept>) -> Result<Shared, Error> {
    OwnedRwLockReadGuard::try_map(session.read_owned().await, Option::as_ref).map_err(|_| ended())
}

/// A query with its values, and the session that it goes to.
struct Asked {
    session: Arc<Kept>,
    query: Py<Query>,
    values: Vec<Value>,
}

impl Asked {
    async fn fetch(self) -> Result<ferro_session::Cursor, Error> {
        shared(self.session).await?.fetch(&self.query.get().query, self.values).await
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::InvalidQuery, "this transaction has ended: begin another one")
        .with_code(Error::TRANSACTION_ENDED)
}

fn running() -> Error {
    let message = "a model was defined while a statement is still running in this transaction: \
                   await the statement first";
    Error::new(ErrorKind::Busy, message)
}

#[pymethods]
impl Session {
    /// Replaces the models for further queries. Nothing may run in the session meanwhile.
    fn renew(&self, py: Python<'_>, models: &Models) -> PyResult<()> {
        let mut session = raise(py, self.session.try_write().map_err(|_| running()))?;
        let session = raise(py, session.as_mut().ok_or_else(ended))?;
        raise(py, session.renew(models.models.clone()))
    }

    /// The fields of a model that the scope forces to one value, with that value in stored form.
    fn settled<'py>(&self, py: Python<'py>, model: &str) -> PyResult<Bound<'py, PyDict>> {
        let session = raise(py, self.session.try_read().map_err(|_| ended()))?;
        let session = raise(py, session.as_ref().ok_or_else(ended))?;
        let fields = PyDict::new(py);
        for (field, value) in session.settled(model) {
            fields.set_item(field, read_value(py, value, field)?)?;
        }
        Ok(fields)
    }

    /// Runs a query. Resolves to a list of tuples.
    fn fetch<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, Query>,
        values: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.fetch_as(py, query, values, TupleRows)
    }

    /// Runs a query. Resolves to a list of dicts, by column name.
    fn fetch_dicts<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, Query>,
        values: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.fetch_as(py, query, values, DictRows)
    }

    /// Runs a query whose rows are read in batches, as instances of a model or, without a loader,
    /// as dicts; on request, the columns after the fields are returned with the instances. Resolves
    /// to a cursor.
    fn open<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, Query>,
        values: &Bound<'py, PyTuple>,
        loader: Option<Bound<'py, Loader>>,
        beside: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let asked = self.ask(py, query, values)?;
        self.open_cursor(py, Form::new(loader, beside), async move { asked.fetch().await })
    }

    /// The same for SQL text, with rows as instances.
    fn open_raw<'py>(
        &self,
        py: Python<'py>,
        sql: String,
        values: &Bound<'py, PyTuple>,
        loader: Bound<'py, Loader>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let session = self.share();
        let values = raise(py, raw_values(values))?;
        let columns = loader.get().columns();
        self.open_cursor(py, Form::new(Some(loader), false), async move {
            session.await?.fetch_raw_as(&sql, values, columns).await
        })
    }

    /// The statement of a query, and the values of its placeholders, in order.
    fn sql<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, Query>,
        values: &Bound<'py, PyTuple>,
    ) -> PyResult<(String, Bound<'py, PyTuple>)> {
        let session = raise(py, self.session.try_read().map_err(|_| ended()))?;
        let session = raise(py, session.as_ref().ok_or_else(ended))?;
        let query = query.get();
        let plan = raise(py, block(py, || session.plan(&query.query)))?;
        let step = raise(py, first_step(&plan))?;
        let value = |bind: &Bind| match &bind.source {
            Binding::Parameter(number) => values.get_item(*number as usize),
            Binding::Constant(value) => read_value(py, value, "constant"),
            _ => Err(exception(py, &forced())),
        };
        let values: Vec<_> = step.binds.iter().map(value).collect::<PyResult<_>>()?;
        Ok((step.sql.clone(), PyTuple::new(py, values)?))
    }

    /// The database's plan for a query. Resolves to a list of dicts.
    fn explain<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, Query>,
        values: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Asked { session, query, values } = self.ask(py, query, values)?;
        spawn_in(py, &self.turns, async move {
            let session = shared(session).await?;
            let plan = session.plan(&query.get().query).await?;
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

    /// Runs a query for the rows of a model. Resolves to a list of instances.
    fn fetch_instances<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, Query>,
        values: &Bound<'py, PyTuple>,
        loader: &Bound<'py, Loader>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.fetch_models(py, query, values, loader, Kind::Instances)
    }

    /// Like `fetch_instances`, for a query that selects the fields of the model, followed by other
    /// columns. Resolves to a list of instances, and a list of tuples with the other columns.
    fn fetch_instances_and<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, Query>,
        values: &Bound<'py, PyTuple>,
        loader: &Bound<'py, Loader>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.fetch_models(py, query, values, loader, Kind::WithOthers)
    }

    /// Like `fetch_instances_and`, for the rows of the included relation: all columns of the model,
    /// followed by those that link the parents.
    fn fetch_related<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, Query>,
        values: &Bound<'py, PyTuple>,
        loader: &Bound<'py, Loader>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.fetch_models(py, query, values, loader, Kind::Related)
    }

    /// Runs a query for its effect. Resolves to the number of changed rows.
    fn execute<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, Query>,
        values: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Asked { session, query, values } = self.ask(py, query, values)?;
        spawn_in(py, &self.turns, async move {
            shared(session).await?.execute(&query.get().query, values).await
        })
    }

    /// Writes instances as one batch. `fields` are their fields, in the order of the query's last
    /// parameters, each with its encoder; `values` are those of the parameters before. With a
    /// loader, the fields are all of the model's, and the instances are marked as stored after the
    /// write. Resolves to the number of written rows.
    fn write<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, Query>,
        rows: &Bound<'py, PyList>,
        fields: Vec<Carried<'py>>,
        values: &Bound<'py, PyTuple>,
        loader: Option<&Bound<'py, Loader>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let session = self.share();
        let (beside, carried) = raise(py, query.get().bind_beside(fields.len(), values))?;
        let known = loader.map(|it| (it.get(), &*self.label));
        let (batch, values) = read_rows(carried, rows, &fields, known)?;
        let loader = loader.map(|it| it.clone().unbind());
        let writing = Arc::new(Writing::new(rows.clone().unbind(), loader));
        let (query, written) = (query.clone().unbind(), writing.clone());
        let pending = start(py, &self.turns, writing.clone(), Arc::default(), async move {
            let result = async { session.await?.write(&query.get().query, beside, batch).await };
            written.end(result.await);
        })?;
        writing.know(py, values)?;
        Ok(pending)
    }

    /// Like `write`; resolves to the returned values, a list of tuples in the order of the rows.
    fn write_returning<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, Query>,
        rows: &Bound<'py, PyList>,
        fields: Vec<Carried<'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let session = self.share();
        let (rows, _) = read_rows(&query.get().parameters, rows, &fields, None)?;
        let query = query.clone().unbind();
        spawn_in(py, &self.turns, async move {
            let session = session.await?;
            let cursor = session.write_returning(&query.get().query, Vec::new(), rows).await?;
            drop(session);
            Ok(TupleRows(read_to_end(cursor).await?))
        })
    }

    /// Runs SQL text for its rows, or for the first one. Resolves to a list of dicts.
    fn fetch_raw<'py>(
        &self,
        py: Python<'py>,
        sql: String,
        values: &Bound<'py, PyTuple>,
        first: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let session = self.share();
        let values = raise(py, raw_values(values))?;
        spawn_in(py, &self.turns, async move {
            let session = session.await?;
            let cursor = session.fetch_raw(&sql, values).await?;
            drop(session);
            Ok(DictRows(match first {
                true => read_first(cursor).await?,
                false => read_to_end(cursor).await?,
            }))
        })
    }

    /// Runs SQL text for the rows of a model. Resolves to a list of instances.
    fn fetch_raw_instances<'py>(
        &self,
        py: Python<'py>,
        sql: String,
        values: &Bound<'py, PyTuple>,
        loader: &Bound<'py, Loader>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let session = self.share();
        let values = raise(py, raw_values(values))?;
        let columns = loader.get().columns();
        self.make_instances(py, loader, false, async move {
            session.await?.fetch_raw_as(&sql, values, columns).await
        })
    }

    /// Runs SQL text for its effect. Resolves to the number of changed rows.
    fn execute_raw<'py>(
        &self,
        py: Python<'py>,
        sql: String,
        values: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let session = self.share();
        let values = raise(py, raw_values(values))?;
        spawn_in(py, &self.turns, async move { session.await?.execute_raw(&sql, values).await })
    }

    /// Begins a transaction, or a savepoint inside one. Resolves to its session.
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
        let (label, turns) = (self.label.clone(), self.turns.inside());
        spawn_in(py, &self.turns, async move {
            Ok(Self::new(session.await?.begin(options).await?, label, turns))
        })
    }

    /// Commits the transaction, or releases the savepoint. Resolves to None.
    fn commit<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let session = self.take();
        spawn_in(py, &self.turns, async move { session.await?.commit().await })
    }

    /// Rolls back the transaction, or to the savepoint. Resolves to None.
    fn rollback<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let session = self.take();
        spawn_in(py, &self.turns, async move { session.await?.rollback().await })
    }

    /// Drops the transaction: unfinished work is rolled back, as soon as nothing uses it.
    fn close(&self) {
        match self.session.try_write() {
            Ok(mut session) => drop(session.take()),
            Err(_) => {
                let session = self.take();
                self.turns.when_gone(async move { drop(session.await) });
            }
        }
    }
}

/// The statement that returns the rows of a query.
fn first_step(plan: &Plan) -> Result<&Step, Error> {
    plan.steps.first().ok_or_else(|| Error::new(ErrorKind::Internal, "a plan without a statement"))
}

/// The bound values of a statement, as for SQL text.
fn bound(step: &Step, values: &[Value]) -> Result<Vec<Value>, Error> {
    let value = |bind: &Bind| match &bind.source {
        Binding::Parameter(number) => values.get(*number as usize).cloned().ok_or_else(|| {
            Error::new(ErrorKind::Internal, "a plan binds a parameter that does not exist")
        }),
        Binding::Constant(value) => Ok(value.clone()),
        _ => Err(forced()),
    };
    step.binds.iter().map(value).collect()
}

fn forced() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the statement of a query under a scope is not shown: its forced values stay with the gate",
    )
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
