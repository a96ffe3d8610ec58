//! Rules for texts that all parts of Ferro have in common.

use pyo3::prelude::*;

/// How tables and enums are called after their classes: `BlogPost` as `blog_post`.
#[pyfunction]
pub(crate) fn snake_case(name: &str) -> String {
    ferro_wit::snake_case(name)
}
