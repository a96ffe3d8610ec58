//! UUIDs, the keys of many tables: read and created without calling Python code for each.

use ferro_wit::types::{Error, Value};
use pyo3::IntoPyObjectExt as _;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};
use uuid::Uuid;

use crate::instance::Maker;
use crate::values::{mismatch, unreadable};

/// `uuid.UUID`.
pub(crate) struct Uuids {
    class: Py<PyType>,
    /// `None` if Python's UUIDs have another layout than since 3.8.
    parts: Option<Parts>,
}

/// The attributes that `UUID.__init__` sets from the number.
struct Parts {
    maker: Maker<2>,
    unknown: Py<PyAny>,
}

static UUIDS: PyOnceLock<Uuids> = PyOnceLock::new();

impl Uuids {
    pub(crate) fn get(py: Python<'_>) -> PyResult<&'static Self> {
        UUIDS.get_or_try_init(py, || {
            let module = py.import(intern!(py, "uuid"))?;
            let class = module.getattr(intern!(py, "UUID"))?.cast_into::<PyType>()?;
            let unknown = module.getattr("SafeUUID")?.getattr("unknown")?;
            let parts = Parts::of(&class, unknown).ok();
            Ok(Self { class: class.unbind(), parts })
        })
    }

    pub(crate) fn make<'py>(&self, py: Python<'py>, words: &[u64]) -> PyResult<Bound<'py, PyAny>> {
        let bits = words.iter().fold(0, |bits, word| (bits << 64) | u128::from(*word));
        let Some(parts) = &self.parts else {
            let arguments = PyDict::new(py);
            arguments.set_item(intern!(py, "int"), bits)?;
            return self.class.bind(py).call((), Some(&arguments));
        };
        let unknown = parts.unknown.bind(py).clone();
        parts.maker.make(py, [bits.into_bound_py_any(py)?, unknown])
    }

    pub(crate) fn is_one(object: &Bound<'_, PyAny>) -> bool {
        let class = Self::get(object.py()).map(|it| it.class.bind(object.py()));
        class.and_then(|it| object.is_instance(it)).unwrap_or(false)
    }

    /// The value of a UUID.
    pub(crate) fn read(object: &Bound<'_, PyAny>) -> Result<Value, Error> {
        let py = object.py();
        if !Self::is_one(object) {
            return Err(mismatch("a UUID", object));
        }
        let bits: u128 = object
            .getattr(intern!(py, "int"))
            .and_then(|bits| bits.extract())
            .map_err(|error| unreadable(py, &error))?;
        Ok(Uuid::from_u128(bits).into())
    }
}

impl Parts {
    fn of(class: &Bound<'_, PyType>, unknown: Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self {
            maker: Maker::new(class.clone(), [c"int", c"is_safe"])?,
            unknown: unknown.unbind(),
        })
    }
}
