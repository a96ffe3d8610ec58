//! The folder for compiled code, the same for all hosts.

use std::path::PathBuf;

use pyo3::prelude::*;

use crate::errors::raise;

/// The user's cache folder for Ferro; None if the environment does not define one.
#[pyfunction]
pub(crate) fn cache_folder() -> Option<PathBuf> {
    ferro_session::cache_folder()
}

/// Creates a folder that nobody else may write to or replace; returns its path, without links.
#[pyfunction]
pub(crate) fn private_folder(py: Python<'_>, folder: PathBuf) -> PyResult<PathBuf> {
    raise(py, ferro_session::private_folder(&folder))
}
