//! What SQL text of a stranger may touch, asked by SQLite itself while it prepares a statement.

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
    /// Read a column of a table; none of its columns where the name is empty.
    Read(&'a str, &'a str),
    Insert(&'a str),
    /// Set a column of a table.
    Update(&'a str, &'a str),
    Delete(&'a str),
    Call(&'a str),
    /// Anything else: schemas, pragmas, transactions, other databases.
    Other,
}

/// Holds a connection to a fence for as long as it is installed.
pub(super) struct Guard {
    raw: NonNull<ffi::sqlite3>,
    fence: Arc<Fence>,
}

impl Guard {
    /// Has a connection ask the fence whenever it prepares a statement, from now on.
    ///
    /// # Safety
    ///
    /// The connection must stay open, and be used by nobody else, for as long as the guard lives.
    pub(super) unsafe fn install(raw: NonNull<ffi::sqlite3>, fence: Arc<Fence>) -> Self {
        let data = Arc::as_ptr(&fence).cast_mut().cast::<c_void>();
        // SAFETY: the connection is open by the caller's promise. The fence stays where it is
        // until `drop` has taken the callback away.
        unsafe { ffi::sqlite3_set_authorizer(raw.as_ptr(), Some(authorize), data) };
        Self { raw, fence }
    }

    pub(super) fn fence(&self) -> &Arc<Fence> {
        &self.fence
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // SAFETY: the connection is still open, by the promise given to `install`.
        unsafe { ffi::sqlite3_set_authorizer(self.raw.as_ptr(), None, ptr::null_mut()) };
    }
}

/// SQLite's question. Its fourth text names the view, the trigger or the subquery that a column is
/// read for; a statement gives subqueries any name it likes, so that says nothing.
unsafe extern "C" fn authorize(
    data: *mut c_void,
    action: c_int,
    first: *const c_char,
    second: *const c_char,
    _database: *const c_char,
    _inside: *const c_char,
) -> c_int {
    let allowed = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `data` is the fence that `install` has registered, which lives until the callback
        // is taken away. Texts are null or end in a NUL, and stay until this returns.
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

/// A text of SQLite, empty where there is none; none where it is not UTF-8.
///
/// # Safety
///
/// It is null, or ends in a NUL and stays for as long as the result lives.
unsafe fn text<'a>(text: *const c_char) -> Option<&'a str> {
    if text.is_null() {
        return Some("");
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_str().ok()
}
