//! Models that were checked by the core component.

use std::sync::{Arc, LazyLock};

use ferro_session::PlanCache;
use ferro_wit::types::{Error, ErrorKind};
use pyo3::prelude::*;

use crate::compiler::PythonCompiler;
use crate::errors::raise;

/// The plans of all models of the process: the application's, and those of plugins.
static PLANS: LazyLock<Arc<PlanCache>> = LazyLock::new(Arc::default);

/// A schema, and the catalog that the core component made of it.
#[pyclass(frozen, module = "ferro._native")]
pub(crate) struct Models {
    pub(crate) models: Arc<ferro_session::Models>,
}

#[pymethods]
impl Models {
    /// From the JSON of the WIT's `schema`. `compiler` runs the core component.
    #[new]
    fn new(py: Python<'_>, schema: &str, compiler: Py<PyAny>) -> PyResult<Self> {
        let models = py.detach(|| Self::check(schema, PythonCompiler(compiler)));
        Ok(Self { models: Arc::new(raise(py, models)?) })
    }
}

impl Models {
    fn check(schema: &str, compiler: PythonCompiler) -> Result<ferro_session::Models, Error> {
        let schema = serde_json::from_str(schema).map_err(|error| {
            Error::new(ErrorKind::InvalidSchema, format!("not a schema: {error}"))
        })?;
        ferro_session::Models::new(&compiler, schema, PLANS.clone())
    }
}
