//! What a stranger's statement may take of the memory of the process.
//!
//! The limits of SQLite are for one value. A row has up to 2,000 of them, and each aggregate and each
//! argument keeps its own. So SQLite is told that there is no more memory once a statement has taken
//! its part. It is told so, too, where a statement is to end: within a row it asks nobody else.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::marker::PhantomData;
use std::ptr;
use std::sync::{Once, OnceLock};

use libsqlite3_sys as ffi;

use crate::sqlite::interrupter::Interrupter;

/// How many bytes a statement may take.
const MOST: i64 = 128 << 20;

thread_local! {
    /// Of the statement that the thread is at; null: it may take what there is.
    static PRESENT: Cell<*const Budget> = const { Cell::new(ptr::null()) };
}

/// What is left for a statement.
pub(super) struct Budget {
    left: Cell<i64>,
    interrupter: Interrupter,
}

/// What its thread takes is of a budget, for as long as this lives.
pub(super) struct Spending<'a>(PhantomData<&'a Budget>);

impl Budget {
    pub(super) fn new(interrupter: Interrupter) -> Self {
        Self { left: Cell::new(MOST), interrupter }
    }

    /// Another statement begins.
    pub(super) fn renew(&self) {
        self.left.set(MOST);
    }

    pub(super) fn spend(&self) -> Spending<'_> {
        PRESENT.set(self);
        Spending(PhantomData)
    }

    /// Whether it refuses everything, for the statement to end.
    pub(super) fn is_stopped(&self) -> bool {
        self.interrupter.is_stopped()
    }

    /// Takes some bytes, or gives back as many below 0, if there are enough.
    fn take(&self, bytes: i64) -> bool {
        // What others took before may be given back, and is no credit.
        let left = (self.left.get() - bytes).min(MOST);
        let may = bytes <= 0 || (left >= 0 && !self.is_stopped());
        if may {
            self.left.set(left);
        }
        may
    }
}

impl Drop for Spending<'_> {
    fn drop(&mut self) {
        PRESENT.set(ptr::null());
    }
}

/// How SQLite gets its memory where nobody counts.
struct Methods {
    allocate: unsafe extern "C" fn(c_int) -> *mut c_void,
    free: unsafe extern "C" fn(*mut c_void),
    resize: unsafe extern "C" fn(*mut c_void, c_int) -> *mut c_void,
    size: unsafe extern "C" fn(*mut c_void) -> c_int,
}

static METHODS: OnceLock<Methods> = OnceLock::new();

/// Has SQLite ask here for memory. Only before its first use in the process it lets itself be told,
/// so whoever comes at once waits here.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let mut methods = ffi::sqlite3_mem_methods {
            xMalloc: None,
            xFree: None,
            xRealloc: None,
            xSize: None,
            xRoundup: None,
            xInit: None,
            xShutdown: None,
            pAppData: ptr::null_mut(),
        };
        // SAFETY: the option takes a place for the methods.
        unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_GETMALLOC, &raw mut methods) };
        let ours = ffi::sqlite3_mem_methods {
            xMalloc: Some(allocate),
            xFree: Some(free),
            xRealloc: Some(resize),
            ..methods
        };
        let (Some(allocate), Some(free), Some(resize), Some(size)) =
            (methods.xMalloc, methods.xFree, methods.xRealloc, methods.xSize)
        else {
            return warn();
        };
        // Known before anybody can be asked.
        METHODS.get_or_init(|| Methods { allocate, free, resize, size });
        // SAFETY: the option takes methods, which SQLite copies, and which live as long as the program.
        let code = unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, &raw const ours) };
        if code != ffi::SQLITE_OK {
            warn();
        }
    });
}

fn warn() {
    tracing::warn!(
        "SQLite was used before Ferro connected: the memory of statements is not limited"
    );
}

/// Whether the statement that this thread is at is to end.
pub(super) fn is_stopped() -> bool {
    present().is_some_and(Budget::is_stopped)
}

/// The budget of the statement that this thread is at.
fn present() -> Option<&'static Budget> {
    // SAFETY: whoever spends borrows the budget until it is no longer here. The reference goes no
    // further than the calls of one method below.
    unsafe { PRESENT.get().as_ref() }
}

unsafe extern "C" fn allocate(size: c_int) -> *mut c_void {
    let Some(methods) = METHODS.get() else { return ptr::null_mut() };
    if !present().is_none_or(|it| it.take(size.into())) {
        return ptr::null_mut();
    }
    // SAFETY: SQLite's own method, called as SQLite calls this.
    unsafe { (methods.allocate)(size) }
}

unsafe extern "C" fn free(block: *mut c_void) {
    let Some(methods) = METHODS.get() else { return };
    // SAFETY: SQLite's own methods, and a block that is one of theirs.
    unsafe {
        if let Some(budget) = present() {
            budget.take(-i64::from((methods.size)(block)));
        }
        (methods.free)(block);
    }
}

unsafe extern "C" fn resize(block: *mut c_void, size: c_int) -> *mut c_void {
    let Some(methods) = METHODS.get() else { return ptr::null_mut() };
    // SAFETY: SQLite's own methods, and a block that is one of theirs.
    unsafe {
        if let Some(budget) = present() {
            let before = (methods.size)(block);
            if !budget.take(i64::from(size) - i64::from(before)) {
                return ptr::null_mut();
            }
        }
        (methods.resize)(block, size)
    }
}
