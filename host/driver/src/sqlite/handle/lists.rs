//! Aggregates that collect values in a list, in the form in which lists are stored. SQLite's own
//! `json_group_array` keeps only 15 digits of a float, and either rejects a blob or reads it as its
//! internal form of JSON.

use std::ffi::{CStr, c_int};
use std::ptr;

use libsqlite3_sys as ffi;

use super::UTF8;
use super::call::{self, Call, FLAGS, Function};
use crate::value::array;
use crate::value::sqlite::Stored;

/// Each takes one argument, so that it can be `DISTINCT`; therefore there are two of them.
const AGGREGATES: [(&CStr, Function); 2] = [(c"ferro_blobs", blobs), (c"ferro_list", list)];

/// Adds the functions to a connection that is open and not in use.
pub(super) fn install(raw: *mut ffi::sqlite3) -> Result<(), sqlx::Error> {
    for (name, step) in AGGREGATES {
        // SAFETY: the connection is open; the functions take what SQLite passes to them, access
        // only the data of their own aggregate, and live as long as the program.
        call::taken(unsafe {
            ffi::sqlite3_create_function_v2(
                raw,
                name.as_ptr(),
                1,
                FLAGS,
                ptr::null_mut(),
                None,
                Some(step),
                Some(end),
                None,
            )
        })?;
    }
    Ok(())
}

/// Adds a value other than a blob, unless it is null.
unsafe extern "C" fn list(
    context: *mut ffi::sqlite3_context,
    count: c_int,
    values: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: SQLite calls this.
    unsafe { step(&Call::new(context, count, values), context, false) }
}

/// Adds a blob, unless it is null.
unsafe extern "C" fn blobs(
    context: *mut ffi::sqlite3_context,
    count: c_int,
    values: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: SQLite calls this.
    unsafe { step(&Call::new(context, count, values), context, true) }
}

/// # Safety
///
/// Must be called in the step of an aggregate, with its context.
unsafe fn step(call: &Call<'_>, context: *mut ffi::sqlite3_context, blobs: bool) {
    let stored = match call.stored(0) {
        Some(Stored::Null) => return,
        Some(stored) if matches!(stored, Stored::Blob(_)) == blobs => stored,
        // Another model may have stored it in the column.
        _ => return call.give_error(c"a stored value is not in its list"),
    };
    let mut element = String::new();
    array::write_stored(stored, &mut element);
    // SAFETY: as the caller promises.
    let Some(text) = (unsafe { text(context, true) }) else { return call.give_no_memory() };
    // SAFETY: the text belongs to this aggregate, and the length passed is that of the element; if
    // the text cannot grow, SQLite remembers the error in it.
    unsafe {
        let before = if ffi::sqlite3_str_length(text) == 0 { c"[" } else { c"," };
        ffi::sqlite3_str_appendall(text, before.as_ptr());
        match c_int::try_from(element.len()) {
            Ok(length) => ffi::sqlite3_str_append(text, element.as_ptr().cast(), length),
            Err(_) => call.give_too_large(),
        }
        match ffi::sqlite3_str_errcode(text) {
            ffi::SQLITE_OK => {}
            ffi::SQLITE_TOOBIG => call.give_too_large(),
            _ => call.give_no_memory(),
        }
    }
}

/// Returns the list; null if it has no values.
unsafe extern "C" fn end(context: *mut ffi::sqlite3_context) {
    // SAFETY: SQLite calls this once, at the end of each aggregate that has begun, even if its
    // statement was interrupted. The text then belongs to SQLite, which frees it.
    unsafe {
        let Some(list) = text(context, false) else { return };
        ffi::sqlite3_str_appendall(list, c"]".as_ptr());
        let code = ffi::sqlite3_str_errcode(list);
        let length = u64::try_from(ffi::sqlite3_str_length(list)).unwrap_or(0);
        let start = ffi::sqlite3_str_finish(list);
        let call = Call::bare(context);
        match code {
            ffi::SQLITE_OK if !start.is_null() => {
                ffi::sqlite3_result_text64(context, start, length, Some(ffi::sqlite3_free), UTF8)
            }
            ffi::SQLITE_TOOBIG => call.give_too_large(),
            _ => call.give_no_memory(),
        }
    }
}

/// The text of a running aggregate, in SQLite's memory, which is limited; with `make`, a new one if
/// there is none.
///
/// # Safety
///
/// Must be called in a function of an aggregate, with its context.
unsafe fn text(context: *mut ffi::sqlite3_context, make: bool) -> Option<*mut ffi::sqlite3_str> {
    let size = if make { size_of::<*mut ffi::sqlite3_str>() } else { 0 };
    // SAFETY: as the caller promises. SQLite's memory is zeroed, aligned for a pointer, and used by
    // this aggregate only; only this module writes to it.
    unsafe {
        let place = ffi::sqlite3_aggregate_context(context, c_int::try_from(size).unwrap_or(0));
        let place = place.cast::<*mut ffi::sqlite3_str>();
        if place.is_null() {
            return None;
        }
        if (*place).is_null() && make {
            *place = ffi::sqlite3_str_new(ffi::sqlite3_context_db_handle(context));
        }
        Some(*place).filter(|it| !it.is_null())
    }
}
