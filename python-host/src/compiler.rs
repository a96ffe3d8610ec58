//! The core component as a compiler for `ferro-session`, run by a Python object.
//!
//! Python is entered only if a plan is not cached. Nothing here may hold a lock that a thread with
//! the interpreter waits for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use ferro_session::{Catalog, Claimant, Compiler};
use ferro_wit::BoxFuture;
use ferro_wit::plan::{MigrationStep, Plan};
use ferro_wit::policy::Scope;
use ferro_wit::query::Query;
use ferro_wit::schema::Schema;
use ferro_wit::types::{Dialect, Error, ErrorKind};
use pyo3::call::PyCallArgs;
use pyo3::intern;
use pyo3::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::spawn_blocking;

use crate::bridge::check_process;
use crate::errors::from_exception;

/// An object with `catalog(models) -> catalog`, which raises exceptions of `ferro`.
pub(crate) struct PythonCompiler(pub(crate) Py<PyAny>);

impl Compiler for PythonCompiler {
    fn catalog(&self, schema: &Schema) -> Result<Arc<dyn Catalog>, Error> {
        let models = write(schema)?;
        enter(|py| {
            let catalog = self.0.bind(py).call_method1(intern!(py, "catalog"), (models,))?;
            Ok(Arc::new(PythonCatalog(Arc::new(catalog.unbind()))) as Arc<dyn Catalog>)
        })
    }
}

/// An object with a method for each of the trait's, which takes and returns JSON, and
/// `compile_at_once`.
struct PythonCatalog(Arc<Py<PyAny>>);

impl Catalog for PythonCatalog {
    fn compile<'a>(
        &'a self,
        query: &'a Query,
        dialect: Dialect,
        scope: Option<&'a Scope>,
        tenant: Option<&'a Claimant>,
    ) -> BoxFuture<'a, Result<Plan, Error>> {
        #[derive(Serialize)]
        struct Request<'a> {
            query: &'a Query,
            dialect: Dialect,
            scope: Option<&'a Scope>,
        }
        let is_cached = scope.is_none() && tenant.is_none();
        let catalog = Arc::clone(&self.0);
        Box::pin(async move {
            let request = write(&Request { query, dialect, scope })?;
            let arguments = (request.clone(), is_cached);
            let known: Option<String> = call(&catalog, "compile_at_once", arguments)?;
            let plan = match known {
                Some(plan) => plan,
                // The event loop does not wait for it.
                None => {
                    let compiling = move || call(&catalog, "compile", (request, is_cached));
                    spawn_blocking(compiling).await.unwrap_or_else(|_| Err(ending()))?
                }
            };
            read(&plan)
        })
    }

    fn create_tables(
        &self,
        dialect: Dialect,
        found: &[String],
    ) -> Result<Vec<MigrationStep>, Error> {
        self.ask("create_tables", &Differing { dialect, found })
    }

    fn introspection(&self, dialect: Dialect) -> Result<Vec<String>, Error> {
        self.ask("introspection", &dialect)
    }

    fn migrate(&self, dialect: Dialect, found: &[String]) -> Result<Vec<MigrationStep>, Error> {
        self.ask("migrate", &Differing { dialect, found })
    }
}

/// What a database has, to be compared with the models.
#[derive(Serialize)]
struct Differing<'a> {
    dialect: Dialect,
    found: &'a [String],
}

impl PythonCatalog {
    fn ask<T: DeserializeOwned>(&self, name: &str, request: &impl Serialize) -> Result<T, Error> {
        let answer: String = call(&self.0, name, (write(request)?,))?;
        read(&answer)
    }
}

/// Calls a method of an object.
fn call<T>(
    object: &Py<PyAny>,
    name: &str,
    arguments: impl for<'py> PyCallArgs<'py>,
) -> Result<T, Error>
where
    T: for<'any, 'py> FromPyObject<'any, 'py>,
{
    enter(|py| object.bind(py).call_method1(name, arguments)?.extract().map_err(Into::into))
}

/// The thread that shuts down the interpreter, once it does.
static ENDING: OnceLock<ThreadId> = OnceLock::new();
/// The number of threads that have called Python from here.
static INSIDE: AtomicUsize = AtomicUsize::new(0);

/// Stops further calls into Python, and waits until running ones return.
///
/// Before 3.14, an interpreter that has shut down ends each thread that returns to it by unwinding
/// its stack, which aborts the process if Rust functions are on it.
#[pyfunction]
pub(crate) fn end(py: Python<'_>) {
    const LONGEST: Duration = Duration::from_secs(5);
    let _ = ENDING.set(std::thread::current().id());
    // After a fork, the threads inside may not exist. If none are inside, the interpreter is not
    // released: one of several may not return it when it ends.
    if check_process().is_ok() && INSIDE.load(Ordering::SeqCst) > 0 {
        let began = Instant::now();
        py.detach(|| {
            while INSIDE.load(Ordering::SeqCst) > 0 && began.elapsed() < LONGEST {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
    }
}

/// A thread's visit to Python.
struct Visit;

impl Visit {
    fn begin() -> Option<Self> {
        INSIDE.fetch_add(1, Ordering::SeqCst);
        let visit = Self;
        let may_enter = ENDING.get().is_none_or(|it| *it == std::thread::current().id());
        may_enter.then_some(visit)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        INSIDE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Calls into Python, unless the interpreter is shutting down.
fn enter<T>(call: impl FnOnce(Python<'_>) -> PyResult<T>) -> Result<T, Error> {
    let visit = Visit::begin();
    let called = visit.as_ref().and_then(|_| {
        Python::try_attach(|py| call(py).map_err(|raised| from_exception(py, &raised)))
    });
    called.unwrap_or_else(|| Err(ending()))
}

fn ending() -> Error {
    Error::new(ErrorKind::Cancelled, "the interpreter is shutting down")
}

fn write(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| {
        Error::new(ErrorKind::Internal, format!("cannot write a request as JSON: {error}"))
    })
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| {
        Error::new(ErrorKind::Internal, format!("the compiler's answer is not valid: {error}"))
    })
}
