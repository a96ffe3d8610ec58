//! `ferro._native`: the databases behind the Python package `ferro`.
//!
//! Intentionally thin: it converts between Python objects and values, futures and awaitables,
//! errors and exceptions. The core component defines what queries mean, `ferro-session` what a
//! caller may do, and the API is written in Python.

#![deny(unsafe_code)]

use pyo3::prelude::*;

mod bridge;
mod columns;
mod compiler;
mod databases;
mod errors;
mod folder;
mod guest;
mod instance;
mod json;
mod loader;
mod log;
mod mailbox;
mod models;
mod parse;
mod position;
mod query;
mod reactor;
mod results;
mod rows;
mod session;
mod text;
mod times;
mod turns;
mod uuids;
mod values;
mod wire;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    log::install();
    module.add("QUERY_BYTES", ferro_session::QUERY_BYTES)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("WIT_FUNCTIONS", ferro_wit::FUNCTIONS)?;
    module.add("WIT_VERSION", ferro_wit::VERSION)?;
    module.add_class::<databases::Databases>()?;
    module.add_class::<models::Models>()?;
    module.add_class::<query::Query>()?;
    module.add_class::<loader::Loader>()?;
    module.add_class::<session::Gate>()?;
    module.add_class::<session::Session>()?;
    module.add_class::<results::RowCursor>()?;
    module.add_class::<guest::GuestGate>()?;
    module.add_class::<guest::GuestLimits>()?;
    module.add_class::<guest::GuestSession>()?;
    module.add_class::<guest::GuestCursor>()?;
    module.add_function(wrap_pyfunction!(folder::cache_folder, module)?)?;
    module.add_function(wrap_pyfunction!(folder::private_folder, module)?)?;
    module.add_function(wrap_pyfunction!(guest::check_component, module)?)?;
    module.add_function(wrap_pyfunction!(position::position_parts, module)?)?;
    module.add_function(wrap_pyfunction!(position::position_term, module)?)?;
    module.add_function(wrap_pyfunction!(position::position_text, module)?)?;
    module.add_function(wrap_pyfunction!(text::escape_line, module)?)?;
    module.add_function(wrap_pyfunction!(text::snake_case, module)?)?;
    module.add_function(wrap_pyfunction!(compiler::end, module)?)
}
