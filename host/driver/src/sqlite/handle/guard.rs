//! Restricts untrusted SQL text: SQLite asks for permission while it prepares a statement.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use libsqlite3_sys as ffi;

use crate::fence::Fence;

/// What a statement is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action<'a> {
    /// Read something.
    Select,
    /// Read a column of a table; with an empty name, the table without any of its columns.
    Read(&'a str, &'a str),
    Insert(&'a str),
    /// Set a column of a table.
    Update(&'a str, &'a str),
    Delete(&'a str),
    Call(&'a str),
    /// Anything else: schemas, pragmas, transactions, other databases.
    Other,
}

/// Applies a fence to a connection as long as it is installed.
pub(super) struct Guard {
    raw: NonNull<ffi::sqlite3>,
    fence: Arc<Fence>,
}

impl Guard {
    /// Makes a connection ask the fence whenever it prepares a statement.
    ///
    /// # Safety
    ///
    /// The connection must stay open, and be used by nobody else, as long as the guard lives.
    pub(super) unsafe fn install(raw: NonNull<ffi::sqlite3>, fence: Arc<Fence>) -> Self {
        let data = Arc::as_ptr(&fence).cast_mut().cast::<c_void>();
        // SAFETY: the connection is open, as the caller promises. The fence does not move until
        // `drop` has removed the callback.
        unsafe { ffi::sqlite3_set_authorizer(raw.as_ptr(), Some(authorize), data) };
        Self { raw, fence }
    }

    pub(super) fn fence(&self) -> &Arc<Fence> {
        &self.fence
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // SAFETY: the connection is still open, as promised to `install`.
        unsafe { ffi::sqlite3_set_authorizer(self.raw.as_ptr(), None, ptr::null_mut()) };
    }
}

/// The authorizer callback of SQLite. Its fourth text names the view, trigger or subquery that
/// reads a column; it is ignored, since a statement can give subqueries any name.
unsafe extern "C" fn authorize(
    data: *mut c_void,
    action: c_int,
    first: *const c_char,
    second: *const c_char,
    _database: *const c_char,
    _inside: *const c_char,
) -> c_int {
    let allowed = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `data` is the fence that `install` registered, which lives until the callback is
        // removed. Texts are null or end in a NUL, and live until this returns.
        let (fence, first, second) = unsafe { (&*data.cast::<Fence>(), text(first), text(second)) };
        let (Some(first), Some(second)) = (first, second) else { return false };
        fence.allows(match action {
            ffi::SQLITE_SELECT | ffi::SQLITE_RECURSIVE => Action::Select,
            ffi::SQLITE_READ => Action::Read(first, second),
            ffi::SQLITE_INSERT => Action::Insert(first),
            ffi::SQLITE_UPDATE => Action::Update(first, second),
            ffi::SQLITE_DELETE => Action::Delete(first),
            ffi::SQLITE_FUNCTION => Action::Call(second),
            _ => Action::Other,
        })
    }));
    match allowed {
        Ok(true) => ffi::SQLITE_OK,
        Ok(false) | Err(_) => ffi::SQLITE_DENY,
    }
}

/// A text of SQLite; empty if it is null, `None` if it is not UTF-8.
///
/// # Safety
///
/// It must be null, or end in a NUL and live as long as the result.
unsafe fn text<'a>(text: *const c_char) -> Option<&'a str> {
    if text.is_null() {
        return Some("");
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_str().ok()
}
