//! Limits the memory of untrusted statements.
//!
//! SQLite's limits apply to one value. A row has up to 2,000 of them, and each aggregate and each
//! argument keeps its own. So once a statement has used its share, its allocations fail. They also
//! fail if a statement has to end, since within a row SQLite checks nothing else.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::marker::PhantomData;
use std::ptr;
use std::sync::{Once, OnceLock};

use libsqlite3_sys as ffi;

use crate::sqlite::interrupter::Interrupter;

/// How many bytes a statement may allocate.
const MOST: i64 = 128 << 20;

thread_local! {
    /// The budget of the statement that the thread runs; null if there is no limit.
    static PRESENT: Cell<*const Budget> = const { Cell::new(ptr::null()) };
}

/// The remaining memory of a statement.
pub(super) struct Budget {
    left: Cell<i64>,
    interrupter: Interrupter,
}

/// While this lives, allocations of its thread count against a budget.
pub(super) struct Spending<'a>(PhantomData<&'a Budget>);

impl Budget {
    pub(super) fn new(interrupter: Interrupter) -> Self {
        Self { left: Cell::new(MOST), interrupter }
    }

    /// Begins another statement.
    pub(super) fn renew(&self) {
        self.left.set(MOST);
    }

    pub(super) fn spend(&self) -> Spending<'_> {
        PRESENT.set(self);
        Spending(PhantomData)
    }

    /// Whether all allocations fail, so that the statement ends.
    pub(super) fn is_stopped(&self) -> bool {
        self.interrupter.is_stopped()
    }

    /// Allocates bytes if enough are left; negative numbers free them.
    fn take(&self, bytes: i64) -> bool {
        // Freeing what was allocated before the statement must not raise the limit.
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

/// SQLite's own allocator.
struct Methods {
    allocate: unsafe extern "C" fn(c_int) -> *mut c_void,
    free: unsafe extern "C" fn(*mut c_void),
    resize: unsafe extern "C" fn(*mut c_void, c_int) -> *mut c_void,
    size: unsafe extern "C" fn(*mut c_void) -> c_int,
}

static METHODS: OnceLock<Methods> = OnceLock::new();

/// Makes SQLite allocate memory here. It accepts an allocator only before its first use in the
/// process, so concurrent callers wait here.
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
        // SAFETY: the option takes a pointer to methods, which SQLite fills in.
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
        // Set before ours can be called.
        METHODS.get_or_init(|| Methods { allocate, free, resize, size });
        // SAFETY: the option takes methods, which SQLite copies, and which live as long as the
        // program.
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

/// Whether the statement that this thread runs has to end.
pub(super) fn is_stopped() -> bool {
    present().is_some_and(Budget::is_stopped)
}

/// The budget of the statement that this thread runs.
fn present() -> Option<&'static Budget> {
    // SAFETY: `Spending` borrows the budget until the pointer is removed. The reference is only
    // used in the calls of one method below.
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
    // SAFETY: SQLite's own methods, and a block that they allocated.
    unsafe {
        if let Some(budget) = present() {
            budget.take(-i64::from((methods.size)(block)));
        }
        (methods.free)(block);
    }
}

unsafe extern "C" fn resize(block: *mut c_void, size: c_int) -> *mut c_void {
    let Some(methods) = METHODS.get() else { return ptr::null_mut() };
    // SAFETY: SQLite's own methods, and a block that they allocated.
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
