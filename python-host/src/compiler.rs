//! The core component as `ferro-session` wants its compiler: behind a Python object that runs it.
//!
//! Python is entered only where a plan is not cached. Nothing here may hold a lock that a thread
//! with the interpreter waits for.

use std::sync::Arc;

use ferro_session::{Catalog, Compiler};
use ferro_wit::plan::{MigrationStep, Plan};
use ferro_wit::policy::Scope;
use ferro_wit::query::Query;
use ferro_wit::schema::Schema;
use ferro_wit::types::{Dialect, Error, ErrorKind};
use pyo3::intern;
use pyo3::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::errors::from_exception;

/// An object with `catalog(models) -> catalog`, which raises exceptions of `ferro`.
pub(crate) struct PythonCompiler(pub(crate) Py<PyAny>);

impl Compiler for PythonCompiler {
    fn catalog(&self, schema: &Schema) -> Result<Arc<dyn Catalog>, Error> {
        let models = write(schema)?;
        enter(|py| {
            let catalog = self.0.bind(py).call_method1(intern!(py, "catalog"), (models,))?;
            Ok(Arc::new(PythonCatalog(catalog.unbind())) as Arc<dyn Catalog>)
        })
    }
}

/// An object with `compile(request) -> plan` and `create_tables(dialect) -> steps`, all as JSON.
struct PythonCatalog(Py<PyAny>);

impl Catalog for PythonCatalog {
    fn compile(
        &self,
        query: &Query,
        dialect: Dialect,
        scope: Option<&Scope>,
    ) -> Result<Plan, Error> {
        #[derive(Serialize)]
        struct Request<'a> {
            query: &'a Query,
            dialect: Dialect,
            scope: Option<&'a Scope>,
        }
        let request = write(&Request { query, dialect, scope })?;
        let plan: String = enter(|py| {
            self.0.bind(py).call_method1(intern!(py, "compile"), (request,))?.extract()
        })?;
        read(&plan)
    }

    fn create_tables(&self, dialect: Dialect) -> Result<Vec<MigrationStep>, Error> {
        let request = write(&dialect)?;
        let steps: String = enter(|py| {
            self.0.bind(py).call_method1(intern!(py, "create_tables"), (request,))?.extract()
        })?;
        read(&steps)
    }
}

/// Call into Python, unless the interpreter is about to end.
fn enter<T>(call: impl FnOnce(Python<'_>) -> PyResult<T>) -> Result<T, Error> {
    Python::try_attach(|py| call(py).map_err(|raised| from_exception(py, &raised))).unwrap_or_else(
        || Err(Error::new(ErrorKind::Cancelled, "the interpreter is shutting down")),
    )
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
