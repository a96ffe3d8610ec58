//! The current row of a statement, and its columns.

use std::ffi::{CStr, c_char, c_int};

use libsqlite3_sys as ffi;

use ferro_wit::types::ErrorKind;

use super::Handle;
use crate::value::Fault;
use crate::value::sqlite::Stored;

/// Where a column of a result comes from.
pub(crate) struct Origin {
    pub(crate) table: String,
    pub(crate) column: String,
}

impl Handle {
    /// A value of the current row; null if there is no row.
    pub(crate) fn value(&self, column: usize) -> Result<Stored<'_>, Fault> {
        let (Some(statement), Ok(column)) = (self.statement(), c_int::try_from(column)) else {
            return Ok(Stored::Null);
        };
        let statement = statement.as_ptr();
        let _spending = self.spend();
        // SAFETY: the statement is not finalized. For a column or row that does not exist, SQLite
        // returns null. Its pointers are valid until the statement is stepped, reset or finalized,
        // each of which takes `self` mutably; texts are in UTF-8, or are converted by the call
        // before the one for their length.
        unsafe {
            Ok(match ffi::sqlite3_column_type(statement, column) {
                ffi::SQLITE_INTEGER => {
                    Stored::Integer(ffi::sqlite3_column_int64(statement, column))
                }
                ffi::SQLITE_FLOAT => Stored::Real(ffi::sqlite3_column_double(statement, column)),
                ffi::SQLITE_TEXT => {
                    let text = ffi::sqlite3_column_text(statement, column);
                    let length = ffi::sqlite3_column_bytes(statement, column);
                    let bytes = bytes(text, length).ok_or_else(no_memory)?;
                    let text = std::str::from_utf8(bytes);
                    Stored::Text(
                        text.map_err(|_| Fault::undecodable("is a text that is not UTF-8"))?,
                    )
                }
                ffi::SQLITE_BLOB => {
                    let blob = ffi::sqlite3_column_blob(statement, column);
                    let length = ffi::sqlite3_column_bytes(statement, column);
                    // The pointer to an empty blob is null.
                    let bytes =
                        if length == 0 { Some(&[][..]) } else { bytes(blob.cast(), length) };
                    Stored::Blob(bytes.ok_or_else(no_memory)?)
                }
                _ => Stored::Null,
            })
        }
    }

    /// The number of columns of the open statement. A change of the schema is only noticed at the
    /// first step.
    pub(crate) fn columns(&self) -> usize {
        // SAFETY: the statement is not finalized.
        let count = self.statement().map(|it| unsafe { ffi::sqlite3_column_count(it.as_ptr()) });
        count.and_then(|it| usize::try_from(it).ok()).unwrap_or(0)
    }

    /// The name of a column of the open statement.
    pub(crate) fn name(&self, column: usize) -> String {
        self.text(column, ffi::sqlite3_column_name).unwrap_or_default()
    }

    /// The names of all columns of the open statement.
    pub(crate) fn names(&self) -> Vec<String> {
        (0..self.columns()).map(|it| self.name(it)).collect()
    }

    /// The declared type of the table column that a column of the open statement comes from.
    pub(crate) fn declaration(&self, column: usize) -> Option<String> {
        self.text(column, ffi::sqlite3_column_decltype)
    }

    /// Where a column of the open statement comes from; `None` for an expression.
    pub(crate) fn origin(&self, column: usize) -> Option<Origin> {
        let table = self.text(column, ffi::sqlite3_column_table_name)?;
        let column = self.text(column, ffi::sqlite3_column_origin_name)?;
        Some(Origin { table, column })
    }

    fn text(
        &self,
        column: usize,
        ask: unsafe extern "C" fn(*mut ffi::sqlite3_stmt, c_int) -> *const c_char,
    ) -> Option<String> {
        let (statement, column) = (self.statement()?, c_int::try_from(column).ok()?);
        // SAFETY: the statement is not finalized, SQLite checks the column, and its text ends in a
        // NUL and is copied before the next call.
        unsafe {
            let text = ask(statement.as_ptr(), column);
            (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
        }
    }
}

/// A slice of memory that SQLite points to.
///
/// # Safety
///
/// The memory must have `length` bytes, and be valid as long as the slice lives.
unsafe fn bytes<'a>(start: *const u8, length: c_int) -> Option<&'a [u8]> {
    let length = usize::try_from(length).ok()?;
    // SAFETY: the caller's promise.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start, length) })
}

fn no_memory() -> Fault {
    Fault::new(ErrorKind::LimitExceeded, "cannot be read: SQLite is out of memory")
}
