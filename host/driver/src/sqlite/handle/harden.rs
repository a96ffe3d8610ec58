//! Settings of a connection that no statement can undo.

use std::ffi::c_int;
use std::ptr;

use libsqlite3_sys as ffi;
use sqlx::sqlite::LockedSqliteHandle;

use super::{conversions, decimals, documents, functions, lists, moments};
use crate::sqlite::failure::Failure;

/// Applies settings to a new connection that no statement can undo.
pub(in crate::sqlite) fn harden(handle: &mut LockedSqliteHandle<'_>) -> Result<(), sqlx::Error> {
    let raw = handle.as_raw_handle().as_ptr();
    let switches = [
        // Neither the text of the schema nor the pages of the file can be written directly.
        (ffi::SQLITE_DBCONFIG_DEFENSIVE, 1),
        (ffi::SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0),
        (ffi::SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0),
        // A misspelled identifier in double quotes is an error, not a string.
        (ffi::SQLITE_DBCONFIG_DQS_DML, 0),
        (ffi::SQLITE_DBCONFIG_DQS_DDL, 0),
        // One plan for all values. Otherwise SQLite looks at the value bound to a limit, and
        // prepares the statement again whenever it changes.
        (ffi::SQLITE_DBCONFIG_ENABLE_QPSG, 1),
    ];
    for (option, value) in switches {
        // SAFETY: the lock is held; each of these options takes a number, and a pointer for the
        // former value, which may be null.
        let code = unsafe {
            ffi::sqlite3_db_config(raw, option, value as c_int, ptr::null_mut::<c_int>())
        };
        if code != ffi::SQLITE_OK {
            return Err(Failure::new(code, "SQLite rejected a setting").into());
        }
    }
    // Disables constant propagation. If a column is compared with a constant, SQLite would
    // substitute the constant in all other conditions on the column, even in those that keep
    // expressions that may fail away from rows outside the scope. There is no setting for this,
    // only a control meant for SQLite's own tests.
    // SAFETY: the lock is held; this control takes a connection and a 32-bit number.
    let code = unsafe {
        ffi::sqlite3_test_control(ffi::SQLITE_TESTCTRL_OPTIMIZATIONS, raw, WITHOUT_PROPAGATION)
    };
    if code != ffi::SQLITE_OK {
        return Err(Failure::new(code, "SQLite was built without its controls").into());
    }
    functions::install(raw)?;
    decimals::install(raw)?;
    documents::install(raw)?;
    moments::install(raw)?;
    conversions::install(raw)?;
    lists::install(raw)?;
    for (limit, value) in LIMITS {
        // SAFETY: the lock is held, and SQLite checks both numbers.
        unsafe { ffi::sqlite3_limit(raw, limit, value) };
    }
    Ok(())
}

/// `SQLITE_PropagateConst` in SQLite's source: a set bit disables the optimization.
const WITHOUT_PROPAGATION: u32 = 0x8000;

/// Limits of a statement: far above what the core ever writes, and far below what SQLite allows.
const LIMITS: [(c_int, c_int); 2] =
    [(ffi::SQLITE_LIMIT_SQL_LENGTH, 16 << 20), (ffi::SQLITE_LIMIT_WORKER_THREADS, 0)];
