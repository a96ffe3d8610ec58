//! The interface `database` for plugins in wasmtime-py: the same sessions, for a thread that may
//! block, with plain data instead of Python's own types.

use std::pin::pin;
use std::sync::Arc;

use ferro_session::{
    Admission, Deadline, FairPermit, Gate, Grant, GuestLimit, QUERY_BYTES, Session, Tenant,
    Tenants, Usage,
};
use ferro_wit::query::Query;
use ferro_wit::types::{Error, ErrorKind, TransactionOptions, Value};
use parking_lot::{Mutex, MutexGuard};
use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::bridge::{block, spawn};
use crate::databases::Databases;
use crate::errors::{exception, raise};
use crate::models::Models;
use crate::parse::parse;
use crate::wire::{read_batch, read_values, write_batch};

/// Raises an error for faults in the bytes of a component, before it is compiled.
#[pyfunction]
pub(crate) fn check_component(py: Python<'_>, name: &str, code: &[u8], limit: u64) -> PyResult<()> {
    let checked = py.detach(|| ferro_session::check_component(name, code, limit));
    raise(py, checked)
}

/// The rights and the deadline of one plugin call. Until it is closed, it counts among its tenant's
/// calls, and holds one of the threads that tenants share.
#[pyclass(frozen, module = "ferro._native")]
pub(crate) struct GuestGate {
    state: Mutex<State>,
    deadline: Deadline,
}

enum State {
    Admitted { gate: Gate, _thread: FairPermit },
    Ended(Usage),
}

impl State {
    fn usage(&self) -> Usage {
        match self {
            Self::Admitted { gate, .. } => gate.usage(),
            Self::Ended(usage) => *usage,
        }
    }
}

#[pymethods]
impl GuestGate {
    /// Raises an error for faults in a tenant's grants on some models, including unknown columns.
    #[staticmethod]
    fn check(py: Python<'_>, models: &Models, tenant: &str) -> PyResult<()> {
        let tenant: Tenant = raise(py, parse(tenant, "tenant"))?;
        raise(py, tenant.check(&models.models))
    }

    /// `tenant` is JSON in the form of a tenant file. Waits for admission, and for a thread; then
    /// the call's time starts. Resolves to the gate.
    #[staticmethod]
    fn admit<'py>(
        py: Python<'py>,
        databases: &Databases,
        models: &Models,
        tenant: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let tenant: Tenant = raise(py, parse(tenant, "tenant"))?;
        raise(py, tenant.fits(&models.models))?;
        let deadline = Deadline::after(tenant.limits.deadline);
        let (tenants, models) = (databases.tenants.clone(), models.models.clone());
        let databases = databases.databases.clone();
        spawn(py, async move {
            let (admission, thread) = deadline.bound(pin!(admit(&tenants, &tenant))).await??;
            let gate = Gate::admitted(databases, models, Arc::new(tenant), admission);
            let state = Mutex::new(State::Admitted { gate, _thread: thread });
            Ok(Self { state, deadline })
        })
    }

    fn open(&self, py: Python<'_>, label: &str) -> PyResult<GuestSession> {
        let session = match &*self.state() {
            State::Admitted { gate, .. } => gate.open(label),
            State::Ended(_) => Err(ended()),
        };
        Ok(GuestSession::new(raise(py, session)?, self.deadline))
    }

    /// The seconds until the deadline of the call.
    fn remaining(&self) -> f64 {
        self.deadline.remaining().as_secs_f64()
    }

    /// The database usage of the call so far, or in total.
    fn usage<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let Usage { statements, rows_read, rows_written, bytes } = self.state().usage();
        let dict = PyDict::new(py);
        dict.set_item("statements", statements)?;
        dict.set_item("rows_read", rows_read)?;
        dict.set_item("rows_written", rows_written)?;
        dict.set_item("bytes", bytes)?;
        Ok(dict)
    }

    /// Releases the call's slot, once its sessions are closed, too.
    fn close(&self) {
        let mut state = self.state();
        *state = State::Ended(state.usage());
    }
}

impl GuestGate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

async fn admit(tenants: &Tenants, tenant: &Tenant) -> Result<(Admission, FairPermit), Error> {
    let admission = tenants.admit(tenant).await?;
    let thread = admission.guest_permit(&tenant.limits).await?;
    Ok((admission, thread))
}

/// The limits of a tenant that the host in Python must enforce, and their errors.
#[pyclass(frozen, module = "ferro._native")]
pub(crate) struct GuestLimits {
    tenant: Tenant,
}

#[pymethods]
impl GuestLimits {
    /// `tenant` is JSON in the form of a tenant file.
    #[new]
    fn new(py: Python<'_>, tenant: &str) -> PyResult<Self> {
        Ok(Self { tenant: raise(py, parse(tenant, "tenant"))? })
    }

    #[getter]
    fn tenant(&self) -> &str {
        &self.tenant.name
    }

    #[getter]
    fn raw_sql(&self) -> bool {
        self.tenant.grants.values().any(Grant::has_raw_sql)
    }

    /// In seconds.
    #[getter]
    fn deadline(&self) -> f64 {
        self.tenant.limits.deadline.as_secs_f64()
    }

    #[getter]
    fn fuel(&self) -> Option<u64> {
        self.tenant.limits.fuel
    }

    #[getter]
    fn handles(&self) -> u32 {
        self.tenant.limits.handles
    }

    #[getter]
    fn instances(&self) -> u32 {
        self.tenant.limits.instances
    }

    #[getter]
    fn log_bytes(&self) -> u64 {
        self.tenant.limits.log_bytes
    }

    #[getter]
    fn memory(&self) -> u64 {
        self.tenant.limits.memory
    }

    fn deadline_exceeded(&self, py: Python<'_>) -> Py<PyBaseException> {
        exceeded(py, GuestLimit::Deadline(self.tenant.limits.deadline))
    }

    fn fuel_exceeded(&self, py: Python<'_>) -> Py<PyBaseException> {
        exceeded(py, GuestLimit::Fuel(self.fuel().unwrap_or(u64::MAX)))
    }

    fn handles_exceeded(&self, py: Python<'_>) -> Py<PyBaseException> {
        exceeded(py, GuestLimit::Handles(self.handles() as usize))
    }

    #[staticmethod]
    fn query_exceeded(py: Python<'_>) -> Py<PyBaseException> {
        exceeded(py, GuestLimit::Query(QUERY_BYTES))
    }

    #[staticmethod]
    fn stack_exceeded(py: Python<'_>, bytes: usize) -> Py<PyBaseException> {
        exceeded(py, GuestLimit::Stack(bytes))
    }
}

fn exceeded(py: Python<'_>, limit: GuestLimit) -> Py<PyBaseException> {
    exception(py, &limit.exceeded()).into_value(py)
}

/// The resource `session`.
#[pyclass(frozen, module = "ferro._native")]
pub(crate) struct GuestSession {
    session: Mutex<Option<Session>>,
    deadline: Deadline,
}

impl GuestSession {
    fn new(session: Session, deadline: Deadline) -> Self {
        Self { session: Mutex::new(Some(session)), deadline }
    }

    /// Runs `work` with the session, and waits for it. One thread runs the guest, so the lock is
    /// free.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl AsyncFnOnce(&Session) -> Result<T, Error> + Send,
    ) -> PyResult<T> {
        let session = self.session.lock().take();
        let session = raise(py, session.ok_or_else(ended))?;
        let result = block(py, async || self.deadline.bound(pin!(work(&session))).await?);
        *self.session.lock() = Some(session);
        raise(py, result)
    }

    fn take(&self, py: Python<'_>) -> PyResult<Session> {
        let session = self.session.lock().take();
        raise(py, session.ok_or_else(ended))
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::InvalidQuery, "this session has ended")
}

#[pymethods]
impl GuestSession {
    fn dialect(&self, py: Python<'_>) -> PyResult<String> {
        let session = self.session.lock();
        let dialect = session.as_ref().map(Session::dialect).ok_or_else(ended);
        Ok(raise(py, dialect)?.to_string())
    }

    fn fetch(
        &self,
        py: Python<'_>,
        query: &str,
        parameters: &Bound<'_, PyAny>,
    ) -> PyResult<GuestCursor> {
        let (query, values) = raise(py, arguments(query, parameters))?;
        let cursor = self.with(py, async |session| session.fetch(&query, values).await)?;
        Ok(GuestCursor { cursor: Mutex::new(Some(cursor)), deadline: self.deadline })
    }

    fn execute(&self, py: Python<'_>, query: &str, parameters: &Bound<'_, PyAny>) -> PyResult<u64> {
        let (query, values) = raise(py, arguments(query, parameters))?;
        self.with(py, async |session| session.execute(&query, values).await)
    }

    fn write(
        &self,
        py: Python<'_>,
        query: &str,
        parameters: &Bound<'_, PyAny>,
        rows: &Bound<'_, PyAny>,
    ) -> PyResult<u64> {
        let (query, values) = raise(py, arguments(query, parameters))?;
        let rows = raise(py, read_batch(rows))?;
        self.with(py, async |session| session.write(&query, values, rows).await)
    }

    fn write_returning(
        &self,
        py: Python<'_>,
        query: &str,
        parameters: &Bound<'_, PyAny>,
        rows: &Bound<'_, PyAny>,
    ) -> PyResult<GuestCursor> {
        let (query, values) = raise(py, arguments(query, parameters))?;
        let rows = raise(py, read_batch(rows))?;
        let write = async |session: &Session| session.write_returning(&query, values, rows).await;
        let cursor = self.with(py, write)?;
        Ok(GuestCursor { cursor: Mutex::new(Some(cursor)), deadline: self.deadline })
    }

    fn fetch_raw(
        &self,
        py: Python<'_>,
        sql: &str,
        parameters: &Bound<'_, PyAny>,
    ) -> PyResult<GuestCursor> {
        let values = raise(py, read_values(parameters))?;
        let cursor = self.with(py, async |session| session.fetch_raw(sql, values).await)?;
        Ok(GuestCursor { cursor: Mutex::new(Some(cursor)), deadline: self.deadline })
    }

    fn execute_raw(
        &self,
        py: Python<'_>,
        sql: &str,
        parameters: &Bound<'_, PyAny>,
    ) -> PyResult<u64> {
        let values = raise(py, read_values(parameters))?;
        self.with(py, async |session| session.execute_raw(sql, values).await)
    }

    fn begin(&self, py: Python<'_>, options: &str) -> PyResult<Self> {
        let options: TransactionOptions = raise(py, parse(options, "transaction-options"))?;
        let transaction = self.with(py, async |session| session.begin(options).await)?;
        Ok(Self::new(transaction, self.deadline))
    }

    fn commit(&self, py: Python<'_>) -> PyResult<()> {
        let session = self.take(py)?;
        raise(py, block(py, async || self.deadline.bound(pin!(session.commit())).await?))
    }

    fn rollback(&self, py: Python<'_>) -> PyResult<()> {
        let session = self.take(py)?;
        raise(py, block(py, async || self.deadline.bound(pin!(session.rollback())).await?))
    }

    /// Drops it: an unfinished transaction is rolled back.
    fn close(&self) {
        self.session.lock().take();
    }
}

/// The resource `cursor`.
#[pyclass(frozen, module = "ferro._native")]
pub(crate) struct GuestCursor {
    cursor: Mutex<Option<ferro_session::Cursor>>,
    deadline: Deadline,
}

impl GuestCursor {
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl AsyncFnOnce(&mut ferro_session::Cursor) -> Result<T, Error> + Send,
    ) -> PyResult<T> {
        let cursor = self.cursor.lock().take();
        let mut cursor = raise(py, cursor.ok_or_else(closed))?;
        let result = block(py, async || self.deadline.bound(pin!(work(&mut cursor))).await?);
        *self.cursor.lock() = Some(cursor);
        raise(py, result)
    }

    fn describe(
        &self,
        py: Python<'_>,
        write: impl FnOnce(&ferro_session::Cursor) -> serde_json::Result<String>,
    ) -> PyResult<String> {
        let cursor = self.cursor.lock();
        let text = cursor.as_ref().ok_or_else(closed).and_then(|cursor| {
            write(cursor).map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))
        });
        raise(py, text)
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::InvalidQuery, "this cursor is closed")
}

#[pymethods]
impl GuestCursor {
    /// The JSON of a list of `column-info`.
    fn columns(&self, py: Python<'_>) -> PyResult<String> {
        self.describe(py, |cursor| serde_json::to_string(cursor.columns()))
    }

    /// The JSON of an `attachment`, or of null.
    fn attached(&self, py: Python<'_>) -> PyResult<String> {
        self.describe(py, |cursor| serde_json::to_string(&cursor.attached()))
    }

    fn next<'py>(&self, py: Python<'py>, max_rows: u32) -> PyResult<Option<Bound<'py, PyAny>>> {
        let batch = self.with(py, async |cursor| cursor.next(max_rows).await)?;
        batch.map(|batch| write_batch(py, &batch)).transpose()
    }

    fn next_result(&self, py: Python<'_>) -> PyResult<bool> {
        self.with(py, async |cursor| cursor.next_result().await)
    }

    /// Drops it, and releases its connection.
    fn close(&self) {
        self.cursor.lock().take();
    }
}

fn arguments(query: &str, parameters: &Bound<'_, PyAny>) -> Result<(Query, Vec<Value>), Error> {
    let query = serde_json::from_str(query)
        .map_err(|error| Error::new(ErrorKind::InvalidQuery, format!("not a query: {error}")))?;
    Ok((query, read_values(parameters)?))
}
