//! Functions for changing JSON documents: SQLite itself writes only 15 digits of a number, and can
//! produce documents that are nested too deeply for it to read.

use std::ffi::{CStr, c_int};

use libsqlite3_sys as ffi;

use super::call::{self, Call, Function};
use crate::value::json::Contents;
use crate::value::sqlite::{MAX_JSON_DEPTH, Stored};

const FUNCTIONS: [(&CStr, c_int, Function); 2] =
    [(c"ferro_json_float", 1, json_float), (c"ferro_json_readable", 1, json_readable)];

/// Adds the functions to a connection that is open and not in use.
pub(super) fn install(raw: *mut ffi::sqlite3) -> Result<(), sqlx::Error> {
    call::create(raw, &FUNCTIONS)
}

/// The text of a number, which is read back as the same number; null for numbers that JSON lacks.
unsafe extern "C" fn json_float(
    context: *mut ffi::sqlite3_context,
    count: c_int,
    values: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: SQLite calls this.
    let call = unsafe { Call::new(context, count, values) };
    let text = match call.stored(0) {
        Some(Stored::Integer(it)) => it.to_string(),
        Some(Stored::Real(it)) if it.is_finite() => format!("{it:?}"),
        _ => return,
    };
    call.give_text(text.as_bytes());
}

/// Returns a document that SQLite made unchanged, or an error if SQLite could not read it again.
unsafe extern "C" fn json_readable(
    context: *mut ffi::sqlite3_context,
    count: c_int,
    values: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: SQLite calls this.
    let call = unsafe { Call::new(context, count, values) };
    let Some(text) = call.text(0) else { return };
    match Contents::of(text).depth > MAX_JSON_DEPTH {
        true => call.give_error(c"document overflow: it would be nested more than 1000 deep"),
        false => call.give_text(text.as_bytes()),
    }
}
