//! Where compiled code is kept: one rule for all hosts.

use std::path::PathBuf;

use pyo3::prelude::*;

use crate::errors::raise;

/// The user's folder for caches of Ferro; None if the environment does not tell.
#[pyfunction]
pub(crate) fn cache_folder() -> Option<PathBuf> {
    ferro_session::cache_folder()
}

/// Makes a folder that nobody else may write to, or put another in the place of; its path, without
/// links.
#[pyfunction]
pub(crate) fn private_folder(py: Python<'_>, folder: PathBuf) -> PyResult<PathBuf> {
    raise(py, ferro_session::private_folder(&folder))
}
