//! What no statement on a connection can lift.

use std::ffi::c_int;
use std::ptr;

use libsqlite3_sys as ffi;
use sqlx::sqlite::LockedSqliteHandle;

use super::{conversions, decimals, documents, functions, lists, moments};
use crate::sqlite::failure::Failure;

/// Sets on a new connection what no statement can lift.
pub(in crate::sqlite) fn harden(handle: &mut LockedSqliteHandle<'_>) -> Result<(), sqlx::Error> {
    let raw = handle.as_raw_handle().as_ptr();
    let switches = [
        // Neither the schema's own text nor the pages of the file can be written.
        (ffi::SQLITE_DBCONFIG_DEFENSIVE, 1),
        (ffi::SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0),
        (ffi::SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0),
        // A misspelt name is an error, not a text.
        (ffi::SQLITE_DBCONFIG_DQS_DML, 0),
        (ffi::SQLITE_DBCONFIG_DQS_DDL, 0),
        // One plan for all values. Else SQLite looks at a bound limit, and prepares the statement
        // again whenever another is bound.
        (ffi::SQLITE_DBCONFIG_ENABLE_QPSG, 1),
    ];
    for (option, value) in switches {
        // SAFETY: the lock is held; each of these options takes a number and where to put the
        // former one, which may be null.
        let code = unsafe {
            ffi::sqlite3_db_config(raw, option, value as c_int, ptr::null_mut::<c_int>())
        };
        if code != ffi::SQLITE_OK {
            return Err(Failure::new(code, "SQLite rejected a setting").into());
        }
    }
    // Else SQLite puts the value of a column that is compared with a constant into all other conditions
    // on it, those included that keep what can fail from rows outside of the scope. No setting does
    // this: what the control is for is the tests of SQLite.
    // SAFETY: the lock is held; this control takes a connection, and a number of 32 bits.
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

/// `SQLITE_PropagateConst` of SQLite's source: optimizations are turned off by their bits.
const WITHOUT_PROPAGATION: u32 = 0x8000;

/// What a statement may take: far more than the core ever writes, and far less than SQLite allows.
const LIMITS: [(c_int, c_int); 2] =
    [(ffi::SQLITE_LIMIT_SQL_LENGTH, 16 << 20), (ffi::SQLITE_LIMIT_WORKER_THREADS, 0)];
