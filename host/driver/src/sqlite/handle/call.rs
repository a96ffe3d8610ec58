//! Calls of our own functions by SQLite.

use std::ffi::{CStr, c_int};
use std::{ptr, slice};

use libsqlite3_sys as ffi;

use super::UTF8;
use crate::sqlite::failure::Failure;
use crate::value::sqlite::Stored;

pub(super) type Function =
    unsafe extern "C" fn(*mut ffi::sqlite3_context, c_int, *mut *mut ffi::sqlite3_value);

/// The properties of all functions.
pub(super) const FLAGS: c_int =
    ffi::SQLITE_UTF8 | ffi::SQLITE_DETERMINISTIC | ffi::SQLITE_INNOCUOUS;

/// Adds functions, each with its number of arguments, to a connection that is open and not in use.
pub(super) fn create(
    raw: *mut ffi::sqlite3,
    functions: &[(&CStr, c_int, Function)],
) -> Result<(), sqlx::Error> {
    for (name, count, function) in functions {
        // SAFETY: the connection is open; the function takes what SQLite gives it, needs no data of
        // its own, and lives as long as the program.
        let code = unsafe {
            ffi::sqlite3_create_function_v2(
                raw,
                name.as_ptr(),
                *count,
                FLAGS,
                ptr::null_mut(),
                Some(*function),
                None,
                None,
                None,
            )
        };
        taken(code)?;
    }
    Ok(())
}

/// Checks whether SQLite accepted a function.
pub(super) fn taken(code: c_int) -> Result<(), sqlx::Error> {
    match code {
        ffi::SQLITE_OK => Ok(()),
        code => Err(Failure::new(code, "SQLite rejected a function").into()),
    }
}

/// The arguments of a call, and its result, which is null by default.
pub(super) struct Call<'a> {
    context: *mut ffi::sqlite3_context,
    values: &'a [*mut ffi::sqlite3_value],
}

impl Call<'_> {
    /// # Safety
    ///
    /// The arguments must be those that SQLite passed to a function, and that function must not
    /// have returned yet.
    pub(super) unsafe fn new(
        context: *mut ffi::sqlite3_context,
        count: c_int,
        values: *mut *mut ffi::sqlite3_value,
    ) -> Self {
        let count = usize::try_from(count).unwrap_or(0);
        // SAFETY: there are as many values as the function was registered with, and at least one.
        Self { context, values: unsafe { slice::from_raw_parts(values, count) } }
    }

    /// A call without arguments.
    ///
    /// # Safety
    ///
    /// The context must be that which SQLite passed to a function, and that function must not have
    /// returned yet.
    pub(super) unsafe fn bare(context: *mut ffi::sqlite3_context) -> Self {
        Self { context, values: &[] }
    }

    /// The type of an argument.
    pub(super) fn kind(&self, index: usize) -> c_int {
        // SAFETY: an argument of this call.
        unsafe { ffi::sqlite3_value_type(self.values[index]) }
    }

    /// The bytes of an argument; those of its text for a number, `None` for null.
    pub(super) fn bytes(&self, index: usize) -> Option<&[u8]> {
        let value = self.values[index];
        // SAFETY: an argument of this call, which nothing changes until the call ends: only reading
        // it for the first time may convert a number to a text. SQLite reports its length.
        unsafe {
            let start = match ffi::sqlite3_value_type(value) {
                ffi::SQLITE_NULL => return None,
                ffi::SQLITE_BLOB => ffi::sqlite3_value_blob(value).cast::<u8>(),
                _ => ffi::sqlite3_value_text(value),
            };
            let length = usize::try_from(ffi::sqlite3_value_bytes(value)).unwrap_or(0);
            Some(match start.is_null() {
                true => &[],
                false => slice::from_raw_parts(start, length),
            })
        }
    }

    /// An argument that is a text.
    pub(super) fn text(&self, index: usize) -> Option<&str> {
        str::from_utf8(self.bytes(index)?).ok()
    }

    /// The value of an argument; `None` for a text that is not valid UTF-8.
    pub(super) fn stored(&self, index: usize) -> Option<Stored<'_>> {
        Some(match self.kind(index) {
            ffi::SQLITE_NULL => Stored::Null,
            ffi::SQLITE_INTEGER => Stored::Integer(self.integer(index)),
            // SAFETY: an argument of this call.
            ffi::SQLITE_FLOAT => unsafe {
                Stored::Real(ffi::sqlite3_value_double(self.values[index]))
            },
            ffi::SQLITE_BLOB => Stored::Blob(self.bytes(index)?),
            _ => Stored::Text(self.text(index)?),
        })
    }

    /// An argument as an integer; 0 if it is not a number.
    pub(super) fn integer(&self, index: usize) -> i64 {
        // SAFETY: an argument of this call.
        unsafe { ffi::sqlite3_value_int64(self.values[index]) }
    }

    pub(super) fn give(&self, stored: Stored<'_>) {
        match stored {
            Stored::Null => {}
            // SAFETY: the context of this call.
            Stored::Integer(it) => unsafe { ffi::sqlite3_result_int64(self.context, it) },
            // SAFETY: the context of this call.
            Stored::Real(it) => unsafe { ffi::sqlite3_result_double(self.context, it) },
            Stored::Text(it) => self.give_text(it.as_bytes()),
            Stored::Blob(it) => {
                let (start, length) = (it.as_ptr().cast(), it.len() as u64);
                let copied = ffi::SQLITE_TRANSIENT();
                // SAFETY: the context of this call; SQLite copies the blob before it returns.
                unsafe { ffi::sqlite3_result_blob64(self.context, start, length, copied) }
            }
        }
    }

    pub(super) fn give_integer(&self, value: usize) {
        // SAFETY: the context of this call.
        unsafe { ffi::sqlite3_result_int64(self.context, i64::try_from(value).unwrap_or(i64::MAX)) }
    }

    /// If the text is too long, SQLite makes the result an error.
    pub(super) fn give_text(&self, text: &[u8]) {
        let (start, length) = (text.as_ptr().cast(), text.len() as u64);
        let copied = ffi::SQLITE_TRANSIENT();
        // SAFETY: the context of this call; SQLite copies the text before it returns.
        unsafe { ffi::sqlite3_result_text64(self.context, start, length, copied, UTF8) }
    }

    pub(super) fn give_error(&self, message: &CStr) {
        // SAFETY: the context of this call; SQLite copies the message, which ends in a NUL.
        unsafe { ffi::sqlite3_result_error(self.context, message.as_ptr(), -1) }
    }

    /// Ends the statement, as SQLite does at its own checks for an interruption.
    pub(super) fn give_interruption(&self) {
        // SAFETY: the context of this call.
        unsafe { ffi::sqlite3_result_error_code(self.context, ffi::SQLITE_INTERRUPT) }
    }

    pub(super) fn give_no_memory(&self) {
        // SAFETY: the context of this call.
        unsafe { ffi::sqlite3_result_error_nomem(self.context) }
    }

    /// Whether a pattern of this many bytes is allowed.
    pub(super) fn takes_pattern(&self, length: usize) -> bool {
        self.is_within(ffi::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, length)
    }

    /// Whether a result of this many bytes is allowed; if not, the result is an error.
    pub(super) fn fits(&self, length: usize) -> bool {
        let fits = self.is_within(ffi::SQLITE_LIMIT_LENGTH, length);
        if !fits {
            self.give_too_large();
        }
        fits
    }

    pub(super) fn give_too_large(&self) {
        // SAFETY: the context of this call.
        unsafe { ffi::sqlite3_result_error_toobig(self.context) }
    }

    fn is_within(&self, limit: c_int, length: usize) -> bool {
        // SAFETY: the context of this call. A negative limit does not change the current one.
        let most = unsafe {
            let raw = ffi::sqlite3_context_db_handle(self.context);
            ffi::sqlite3_limit(raw, limit, -1)
        };
        usize::try_from(most).is_ok_and(|most| length <= most)
    }
}
