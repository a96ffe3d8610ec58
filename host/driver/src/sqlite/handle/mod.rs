//! SQLite's C interface behind a safe face: all unsafe code of the driver.
//!
//! SQLx opens a connection, ages it and closes it; [`Handle`] owns what SQLx lent and calls SQLite
//! on the connection's own handle meanwhile. What makes that sound:
//!
//! - SQLx calls SQLite from a thread of its own, and only when it is told to through its connection.
//!   A [`Handle`] owns that connection and tells it nothing but to close, after its own statements
//!   are finalized.
//! - A connection of SQLx is opened for many threads, one at a time (`SQLITE_OPEN_NOMUTEX` of a
//!   library built with `SQLITE_THREADSAFE=1`, or it is not opened at all). A [`Handle`] may go from
//!   thread to thread, and every call takes it by reference: it is not `Sync`.
//! - What SQLite lends of a row is borrowed from the [`Handle`], and whatever could take it away
//!   needs the [`Handle`] for itself.
//!
//! The lock that comes with the handle is held no longer than it takes to read the pointer. It could
//! not be taken for each statement: SQLx queues a request for each lock while it may have the lock
//! already, and waits for ever once its thread, which waits for the lock, lets 50 of them pile up.

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

/// A connection that SQLx lent, and its prepared statements, of which one at a time is open.
///
/// Dropping it closes the connection.
pub(crate) struct Handle {
    // Before the owner, which closes the connection: all statements have to be finalized by then.
    guard: Option<Guard>,
    statements: LruCache<Box<str>, CachedStatement>,
    open: Option<Open>,
    raw: NonNull<ffi::sqlite3>,
    /// None only while it is dropped or given back.
    owner: Option<PoolConnection<Sqlite>>,
    read_only: bool,
    interrupter: Interrupter,
    /// What the memory of a stranger's statement is of.
    budget: Option<Budget>,
}

// SAFETY: the connection is opened for use by many threads, one at a time, as the module says.
unsafe impl Send for Handle {}

/// `SQLITE_UTF8`, as the byte that binding takes.
const UTF8: u8 = {
    assert!(ffi::SQLITE_UTF8 == 1);
    1
};

impl Handle {
    /// Takes over a connection, with room for some prepared statements.
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

    /// The connection as it was, without what was prepared on it.
    pub(crate) fn give_back(mut self) -> Option<PoolConnection<Sqlite>> {
        self.clear();
        self.owner.take()
    }

    fn clear(&mut self) {
        self.guard = None;
        self.open = None;
        self.statements.clear();
        // SAFETY: the connection is open. Its handler goes before the interrupter that it asks.
        unsafe { ffi::sqlite3_busy_handler(self.raw.as_ptr(), None, ptr::null_mut()) };
    }

    /// Holds whatever is opened from now on to what a stranger's text may do, or to nothing.
    pub(crate) fn hold_to(&mut self, fence: Option<&Arc<Fence>>) -> Result<(), sqlx::Error> {
        if self.fence().map(Arc::as_ptr) == fence.map(Arc::as_ptr) {
            return Ok(());
        }
        // The old one goes first. SQLite prepares anew what was prepared under another.
        self.guard = None;
        if fence.is_some() {
            self.close();
            patterns::install(self.raw)?;
        }
        // SAFETY: the connection is open for as long as this owns it, and the guard goes before.
        self.guard = fence.map(|it| unsafe { Guard::install(self.raw, Arc::clone(it)) });
        Ok(())
    }

    /// What it is held to.
    pub(crate) fn fence(&self) -> Option<&Arc<Fence>> {
        self.guard.as_ref().map(Guard::fence)
    }

    /// Bounds the memory of what is opened from now on, until it is interrupted, or no longer.
    pub(crate) fn hold_to_budget(&mut self, stranger: bool) {
        self.budget = stranger.then(|| Budget::new(self.interrupter.clone()));
    }

    /// What SQLite takes now is of the budget, unless it is at the end of a transaction, which has no
    /// columns and changes nothing itself.
    fn spend(&self) -> Option<Spending<'_>> {
        let budget = self.budget.as_ref()?;
        (self.open.is_none() || self.columns() > 0 || self.writes()).then(|| budget.spend())
    }

    fn renew_budget(&self) {
        if let Some(budget) = &self.budget {
            budget.renew();
        }
    }

    /// No text or blob may be longer than so many bytes, and no pattern than so many.
    pub(crate) fn set_longest(&mut self, text: u32, pattern: u32) {
        for (limit, bytes) in
            [(ffi::SQLITE_LIMIT_LENGTH, text), (ffi::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, pattern)]
        {
            let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX);
            // SAFETY: the connection is open, and SQLite checks the number.
            unsafe { ffi::sqlite3_limit(self.raw.as_ptr(), limit, bytes) };
        }
    }

    /// From here on, or no longer, only statements that read are opened.
    pub(crate) fn set_read_only(&mut self, read_only: bool) {
        self.read_only = read_only;
    }

    /// How many rows were changed since the connection was opened.
    pub(crate) fn all_changes(&self) -> u64 {
        // SAFETY: the connection is open.
        u64::try_from(unsafe { ffi::sqlite3_total_changes64(self.raw.as_ptr()) }).unwrap_or(0)
    }

    /// Whether no transaction is open.
    pub(crate) fn is_autocommit(&self) -> bool {
        // SAFETY: the connection is open.
        unsafe { ffi::sqlite3_get_autocommit(self.raw.as_ptr()) != 0 }
    }

    /// Whether a transaction has read, so that it has seen the database as it was then.
    pub(crate) fn has_snapshot(&self) -> bool {
        self.state() == ffi::SQLITE_TXN_READ
    }

    /// Whether a transaction has written, that of a statement which is open included.
    pub(crate) fn is_writing(&self) -> bool {
        self.state() == ffi::SQLITE_TXN_WRITE
    }

    fn state(&self) -> c_int {
        // SAFETY: the connection is open, and no name means all of its databases.
        unsafe { ffi::sqlite3_txn_state(self.raw.as_ptr(), ptr::null()) }
    }

    /// How long a statement waits for the lock of another connection. SQLite's own way to wait asks
    /// nobody: what was given up would still get its lock, and write.
    pub(crate) fn set_busy_timeout(&mut self, timeout: Duration) {
        self.interrupter.set_patience(timeout);
        let state = self.interrupter.state().cast_mut().cast::<c_void>();
        // SAFETY: the connection is open; the state is there for as long as the interrupter, before
        // which the handler is taken away.
        unsafe { ffi::sqlite3_busy_handler(self.raw.as_ptr(), Some(wait), state) };
    }

    /// What went wrong at the call before.
    fn failure(&self, code: c_int) -> Failure {
        // SAFETY: the connection is open, and nobody else uses it; SQLite's message is a text that
        // ends in a NUL, and is copied here.
        unsafe {
            let raw = self.raw.as_ptr();
            let extended = ffi::sqlite3_extended_errcode(raw);
            // Misuse is not noted on the connection.
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

/// Whether SQLite is to try again to get a lock.
unsafe extern "C" fn wait(state: *mut c_void, before: c_int) -> c_int {
    // SAFETY: SQLite calls this with what it was given, a state that nobody changes but by atomics.
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
