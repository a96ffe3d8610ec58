//! Queries of the Python API: parsed once, bound again and again.

use ferro_wit::types::{Error, ErrorKind, ScalarType, Value};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::errors::raise;
use crate::values::to_value;

/// The shape of a query, and what it takes as parameters.
#[pyclass(frozen, module = "ferro._native")]
pub(crate) struct Query {
    pub(crate) query: ferro_wit::query::Query,
    pub(crate) parameters: Vec<Parameter>,
}

/// What one parameter takes.
pub(crate) struct Parameter {
    /// What errors call it: `User.age`.
    name: String,
    kind: ScalarType,
    many: bool,
}

#[pymethods]
impl Query {
    /// From the JSON of the WIT's `query`, and name, kind and `many` of each parameter.
    #[new]
    fn new(py: Python<'_>, shape: &str, parameters: Vec<(String, String, bool)>) -> PyResult<Self> {
        raise(py, Self::parse(shape, parameters))
    }

    /// Raises an error for values that its parameters do not take.
    fn check(&self, py: Python<'_>, values: &Bound<'_, PyTuple>) -> PyResult<()> {
        raise(py, self.bind(values).map(drop))
    }
}

impl Query {
    fn parse(shape: &str, parameters: Vec<(String, String, bool)>) -> Result<Self, Error> {
        let query = serde_json::from_str(shape).map_err(|error| invalid(&error))?;
        let parameters = parameters
            .into_iter()
            .map(|(name, kind, many)| Ok(Parameter { name, kind: kind_of(&kind)?, many }))
            .collect::<Result<_, Error>>()?;
        Ok(Self { query, parameters })
    }

    /// The values of all parameters.
    pub(crate) fn bind(&self, values: &Bound<'_, PyTuple>) -> Result<Vec<Value>, Error> {
        bind(&self.parameters, values)
    }

    /// The values that are passed beside the rows of a batch, and the parameters that these carry:
    /// the last ones, as many as there are fields.
    pub(crate) fn bind_beside(
        &self,
        fields: usize,
        values: &Bound<'_, PyTuple>,
    ) -> Result<(Vec<Value>, &[Parameter]), Error> {
        let beside = self.parameters.len().saturating_sub(fields);
        let (beside, carried) = self.parameters.split_at(beside);
        Ok((bind(beside, values)?, carried))
    }
}

fn bind(parameters: &[Parameter], values: &Bound<'_, PyTuple>) -> Result<Vec<Value>, Error> {
    if values.len() != parameters.len() {
        return Err(Error::new(
            ErrorKind::InvalidQuery,
            format!("{} values for {} parameters", values.len(), parameters.len()),
        ));
    }
    let bind = |(parameter, value): (&Parameter, _)| parameter.value(&value);
    parameters.iter().zip(values).map(bind).collect()
}

impl Parameter {
    /// The value of an object, or an error that names the parameter.
    pub(crate) fn value(&self, object: &Bound<'_, PyAny>) -> Result<Value, Error> {
        to_value(object, self.kind, self.many).map_err(|error| self.named(error))
    }

    pub(crate) fn kind(&self) -> (ScalarType, bool) {
        (self.kind, self.many)
    }

    pub(crate) fn named(&self, error: Error) -> Error {
        Error { message: format!("`{}` {}", self.name, error.message), ..error }
    }
}

/// The kind of values, by its name.
pub(crate) fn kind_of(name: &str) -> Result<ScalarType, Error> {
    serde_json::from_value(name.into()).map_err(|error| invalid(&error))
}

fn invalid(error: &serde_json::Error) -> Error {
    Error::new(ErrorKind::InvalidQuery, format!("not a query: {error}"))
}
