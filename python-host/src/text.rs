//! Text rules that all parts of Ferro share.

use pyo3::prelude::*;
use pyo3::types::PyString;

/// The default name of tables and enums from their classes: `BlogPost` becomes `blog_post`.
#[pyfunction]
pub(crate) fn snake_case(name: &str) -> String {
    ferro_wit::snake_case(name)
}

/// Escapes a text to fit in one line. Lone surrogates, which only Python texts can have, are
/// replaced.
#[pyfunction]
pub(crate) fn escape_line(text: &Bound<'_, PyString>) -> String {
    ferro_wit::escape_line(&text.to_string_lossy())
}
