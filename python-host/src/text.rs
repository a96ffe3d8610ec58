//! Rules for texts that all parts of Ferro have in common.

use pyo3::prelude::*;
use pyo3::types::PyString;

/// How tables and enums are called after their classes: `BlogPost` as `blog_post`.
#[pyfunction]
pub(crate) fn snake_case(name: &str) -> String {
    ferro_wit::snake_case(name)
}

/// A text as a part of one line. Half of a surrogate pair, which no other text has, is replaced.
#[pyfunction]
pub(crate) fn escape_line(text: &Bound<'_, PyString>) -> String {
    ferro_wit::escape_line(&text.to_string_lossy())
}
