//! A safe interface to SQLite's C API: all unsafe code of the driver.
//!
//! SQLx opens connections, limits their age and closes them. A [`Handle`] owns a connection
//! acquired from SQLx, and calls SQLite on its raw handle. This is sound for these reasons:
//!
//! - SQLx calls SQLite from its own thread, and only when told to through its connection. A
//!   [`Handle`] owns that connection, and only tells it to close, after its own statements are
//!   finalized.
//! - SQLx opens a connection for use by several threads, one at a time (`SQLITE_OPEN_NOMUTEX`, with
//!   a library built with `SQLITE_THREADSAFE=1`; otherwise it does not open). A [`Handle`] may move
//!   between threads, and every call takes it by reference: it is not `Sync`.
//! - What SQLite returns for a row is borrowed from the [`Handle`], and every call that could
//!   invalidate it takes the [`Handle`] mutably.
//!
//! SQLx's lock of the handle is held only while the pointer is read. It could not be taken for each
//! statement: SQLx queues a request for each lock even if it could grant it at once, and deadlocks
//! when 50 of them are queued while its thread waits for the lock.

#![expect(unsafe_code, reason = "SQLite is a library in C")]

mod call;
mod conversions;
mod decimals;
mod documents;
mod functions;
mod guard;
mod harden;
mod lists;
mod memory;
mod moments;
mod patterns;
mod row;
mod statement;

use std::ffi::{CStr, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use hashlink::LruCache;
use libsqlite3_sys as ffi;
use sqlx::Sqlite;
use sqlx::pool::PoolConnection;

use super::failure::Failure;
use super::interrupter::{Interrupter, State};
use crate::fence::Fence;

use guard::Guard;
use memory::{Budget, Spending};
use statement::{CachedStatement, Open};

pub(crate) use guard::Action;
pub(super) use harden::harden;
pub(crate) use memory::install as bound_memory;
pub(crate) use statement::Lifetime;
pub(super) use statement::is_lasting;

/// A connection acquired from SQLx, and its prepared statements, of which one at a time is open.
///
/// Dropping it closes the connection.
pub(crate) struct Handle {
    // Declared before the owner, which closes the connection: statements must be finalized first.
    guard: Option<Guard>,
    statements: LruCache<Box<str>, CachedStatement>,
    open: Option<Open>,
    raw: NonNull<ffi::sqlite3>,
    /// `None` only while it is dropped or given back.
    owner: Option<PoolConnection<Sqlite>>,
    read_only: bool,
    interrupter: Interrupter,
    /// Limits the memory of an untrusted statement.
    budget: Option<Budget>,
}

// SAFETY: the connection is opened for use by several threads, one at a time; see the module.
unsafe impl Send for Handle {}

/// `SQLITE_UTF8`, as the byte that binding takes.
const UTF8: u8 = {
    assert!(ffi::SQLITE_UTF8 == 1);
    1
};

impl Handle {
    /// Takes over a connection, with a cache for this many prepared statements.
    pub(crate) async fn lend(
        mut owner: PoolConnection<Sqlite>,
        interrupter: Interrupter,
        capacity: usize,
    ) -> Result<Self, sqlx::Error> {
        let raw = owner.lock_handle().await?.as_raw_handle();
        let statements = LruCache::new(capacity);
        let (owner, read_only, budget) = (Some(owner), false, None);
        Ok(Self { guard: None, statements, open: None, raw, owner, read_only, interrupter, budget })
    }

    /// Gives back the connection without its prepared statements.
    pub(crate) fn give_back(mut self) -> Option<PoolConnection<Sqlite>> {
        self.clear();
        self.owner.take()
    }

    fn clear(&mut self) {
        self.guard = None;
        self.open = None;
        self.statements.clear();
        // SAFETY: the connection is open. Its busy handler is removed before the interrupter that
        // it uses.
        unsafe { ffi::sqlite3_busy_handler(self.raw.as_ptr(), None, ptr::null_mut()) };
    }

    /// Applies a fence to everything that is opened from now on, or none.
    pub(crate) fn hold_to(&mut self, fence: Option<&Arc<Fence>>) -> Result<(), sqlx::Error> {
        if self.fence().map(Arc::as_ptr) == fence.map(Arc::as_ptr) {
            return Ok(());
        }
        // The old guard is dropped first. SQLite prepares statements again when the authorizer
        // changes.
        self.guard = None;
        if fence.is_some() {
            self.close();
            patterns::install(self.raw)?;
        }
        // SAFETY: the connection is open as long as `self` owns it, and the guard is dropped before
        // it.
        self.guard = fence.map(|it| unsafe { Guard::install(self.raw, Arc::clone(it)) });
        Ok(())
    }

    /// The current fence.
    pub(crate) fn fence(&self) -> Option<&Arc<Fence>> {
        self.guard.as_ref().map(Guard::fence)
    }

    /// Sets whether the memory of statements that are opened from now on is limited.
    pub(crate) fn hold_to_budget(&mut self, stranger: bool) {
        self.budget = stranger.then(|| Budget::new(self.interrupter.clone()));
    }

    /// Counts SQLite's allocations against the budget. The end of a transaction, which has no
    /// columns and changes nothing itself, is exempt.
    fn spend(&self) -> Option<Spending<'_>> {
        let budget = self.budget.as_ref()?;
        (self.open.is_none() || self.columns() > 0 || self.writes()).then(|| budget.spend())
    }

    fn renew_budget(&self) {
        if let Some(budget) = &self.budget {
            budget.renew();
        }
    }

    /// Sets the maximum size in bytes of a text or blob, and of a pattern.
    pub(crate) fn set_longest(&mut self, text: u32, pattern: u32) {
        for (limit, bytes) in
            [(ffi::SQLITE_LIMIT_LENGTH, text), (ffi::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, pattern)]
        {
            let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX);
            // SAFETY: the connection is open, and SQLite checks the number.
            unsafe { ffi::sqlite3_limit(self.raw.as_ptr(), limit, bytes) };
        }
    }

    /// Sets whether only statements that read may be opened.
    pub(crate) fn set_read_only(&mut self, read_only: bool) {
        self.read_only = read_only;
    }

    /// The number of rows changed since the connection was opened.
    pub(crate) fn all_changes(&self) -> u64 {
        // SAFETY: the connection is open.
        u64::try_from(unsafe { ffi::sqlite3_total_changes64(self.raw.as_ptr()) }).unwrap_or(0)
    }

    /// Whether no transaction is open.
    pub(crate) fn is_autocommit(&self) -> bool {
        // SAFETY: the connection is open.
        unsafe { ffi::sqlite3_get_autocommit(self.raw.as_ptr()) != 0 }
    }

    /// Whether a transaction has read, and so has a snapshot of the database.
    pub(crate) fn has_snapshot(&self) -> bool {
        self.state() == ffi::SQLITE_TXN_READ
    }

    /// Whether a transaction has written, including that of the open statement.
    pub(crate) fn is_writing(&self) -> bool {
        self.state() == ffi::SQLITE_TXN_WRITE
    }

    fn state(&self) -> c_int {
        // SAFETY: the connection is open, and a null name means all of its databases.
        unsafe { ffi::sqlite3_txn_state(self.raw.as_ptr(), ptr::null()) }
    }

    /// Sets how long a statement waits for the lock of another connection. SQLite's own wait cannot
    /// be interrupted: a statement that was abandoned would still get its lock, and write.
    pub(crate) fn set_busy_timeout(&mut self, timeout: Duration) {
        self.interrupter.set_patience(timeout);
        let state = self.interrupter.state().cast_mut().cast::<c_void>();
        // SAFETY: the connection is open; the state lives as long as the interrupter, and the
        // handler is removed before that.
        unsafe { ffi::sqlite3_busy_handler(self.raw.as_ptr(), Some(wait), state) };
    }

    /// The error of the last call.
    fn failure(&self, code: c_int) -> Failure {
        // SAFETY: the connection is open, and nobody else uses it; SQLite's message ends in a NUL,
        // and is copied here.
        unsafe {
            let raw = self.raw.as_ptr();
            let extended = ffi::sqlite3_extended_errcode(raw);
            // Misuse is not recorded on the connection.
            let code = if extended & 0xff == code & 0xff { extended } else { code };
            if code == ffi::SQLITE_NOMEM && self.budget.as_ref().is_some_and(Budget::is_stopped) {
                return Failure::new(ffi::SQLITE_INTERRUPT, "interrupted");
            }
            let message = match code == extended {
                true => ffi::sqlite3_errmsg(raw),
                false => ffi::sqlite3_errstr(code),
            };
            let message = CStr::from_ptr(message).to_string_lossy().into_owned();
            Failure { code, message }
        }
    }
}

/// The busy handler: whether SQLite should try again to get a lock.
unsafe extern "C" fn wait(state: *mut c_void, before: c_int) -> c_int {
    // SAFETY: SQLite passes what it was given, a state that is changed only through atomics.
    let state = unsafe { &*state.cast_const().cast::<State>() };
    c_int::from(state.wait(usize::try_from(before).unwrap_or_default()))
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.clear();
        if let Some(owner) = self.owner.take() {
            drop(owner.detach());
        }
    }
}
