//! Conversions of stored values, for migrations that change the type of a column: SQLite itself
//! would copy each value unchanged.

use std::ffi::{CStr, CString, c_int};

use ferro_wit::types::ErrorKind;
use libsqlite3_sys as ffi;

use super::call::{self, Call, Function};
use crate::value::conversion;

const FUNCTIONS: [(&CStr, c_int, Function); 1] = [(c"ferro_converted", 3, converted)];

/// Adds the functions to a connection that is open and not in use.
pub(super) fn install(raw: *mut ffi::sqlite3) -> Result<(), sqlx::Error> {
    call::create(raw, &FUNCTIONS)
}

/// Converts the first argument from the declared type in the second argument to that in the third.
unsafe extern "C" fn converted(
    context: *mut ffi::sqlite3_context,
    count: c_int,
    values: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: SQLite calls this.
    let call = unsafe { Call::new(context, count, values) };
    let (Some(from), Some(to)) = (call.text(1), call.text(2)) else {
        return call.give_error(c"ferro_converted takes a value and two types");
    };
    let Some(stored) = call.stored(0) else {
        return call.give_error(c"a stored text is not in UTF-8");
    };
    match conversion::converted(stored, from, to) {
        Ok(bound) => call.give(bound.stored()),
        Err(fault) => {
            // Errors of SQLite get their kind by these words; see `error/sqlite.rs`.
            let kind = match fault.kind {
                ErrorKind::ValueOutOfRange => "value out of range: ",
                _ => "",
            };
            let message =
                format!("{kind}a `{from}` cannot become a `{to}`: it {}", fault.predicate);
            let message = CString::new(message).unwrap_or_default();
            call.give_error(&message);
        }
    }
}
