//! The statements of a connection: the open one, and those that are kept prepared.

use std::ffi::{c_char, c_int};
use std::ptr::{self, NonNull};
use std::time::Duration;

use libsqlite3_sys as ffi;

use super::{Handle, UTF8, functions};
use crate::sqlite::failure::Failure;
use crate::sqlite::timings::{Phase, StatementTimings};
use crate::value::sqlite::Stored;

unsafe extern "C" {
    /// Like `sqlite3_prepare_v2`, but the statement is never prepared again: if the schema has
    /// changed when it begins, it fails. The bindings lack this function.
    fn sqlite3_prepare(
        raw: *mut ffi::sqlite3,
        text: *const c_char,
        length: c_int,
        statement: *mut *mut ffi::sqlite3_stmt,
        rest: *mut *const c_char,
    ) -> c_int;
}

/// How long a statement stays prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// Until it is closed.
    Once,
    /// Until it is evicted from the cache.
    Kept,
    /// Until it is closed, and only for the schema as the connection knows it: with another schema
    /// it fails before it does anything. SQLite prepares all other statements again when they
    /// begin, possibly with other columns.
    Fixed,
}

impl From<bool> for Lifetime {
    fn from(keep: bool) -> Self {
        if keep { Self::Kept } else { Self::Once }
    }
}

/// A prepared statement in the cache.
pub(super) struct CachedStatement {
    prepared: Prepared,
    is_opaque: bool,
    timings: StatementTimings,
}

/// The statement that is being executed.
pub(super) struct Open {
    prepared: Prepared,
    /// Its text, if it is to be cached.
    sql: Option<Box<str>>,
    /// Whether one step of it may take long without a chance to interrupt it.
    is_opaque: bool,
    timings: StatementTimings,
    /// The size of the bound texts and blobs in bytes.
    bound: usize,
}

/// Owned: finalized on drop.
struct Prepared(NonNull<ffi::sqlite3_stmt>);

impl Handle {
    /// Opens the first statement of a text; returns where the rest of the text begins.
    ///
    /// With [`Lifetime::Kept`], it stays prepared after it is closed.
    pub(crate) fn open(
        &mut self,
        sql: &str,
        lifetime: impl Into<Lifetime>,
    ) -> Result<usize, Failure> {
        let lifetime = lifetime.into();
        self.close();
        self.renew_budget();
        if lifetime != Lifetime::Fixed
            && let Some((sql, cached)) = self.statements.remove_entry(sql)
        {
            let length = sql.len();
            let CachedStatement { prepared, is_opaque, timings } = cached;
            self.open = Some(Open { prepared, sql: Some(sql), is_opaque, timings, bound: 0 });
            return self.admit().map(|()| length);
        }
        let lifetime = match lifetime {
            Lifetime::Kept if self.statements.capacity() == 0 => Lifetime::Once,
            lifetime => lifetime,
        };
        let (prepared, rest) = self.prepare(sql, lifetime)?;
        let whole = lifetime == Lifetime::Kept && sql[rest..].trim_ascii().is_empty();
        let is_opaque = functions::is_opaque(sql);
        let (sql, timings) = (whole.then(|| sql.into()), StatementTimings::default());
        self.open = Some(Open { prepared, sql, is_opaque, timings, bound: 0 });
        self.admit().map(|()| rest)
    }

    /// Whether a statement is prepared already.
    pub(crate) fn is_cached(&self, sql: &str) -> bool {
        self.statements.contains_key(sql)
    }

    fn prepare(&self, sql: &str, lifetime: Lifetime) -> Result<(Prepared, usize), Failure> {
        let too_long = || Failure::new(ffi::SQLITE_TOOBIG, "the statement is too long");
        let length = c_int::try_from(sql.len()).map_err(|_| too_long())?;
        let (mut statement, mut rest) = (ptr::null_mut(), ptr::null());
        let text = sql.as_ptr().cast::<c_char>();
        // SAFETY: the connection is open; SQLite reads no more than `length` bytes of the text.
        let code = unsafe {
            let _spending = (!is_lasting(sql)).then(|| self.spend());
            let (raw, statement, rest) = (self.raw.as_ptr(), &mut statement, &mut rest);
            let flags = match lifetime {
                Lifetime::Kept => ffi::SQLITE_PREPARE_PERSISTENT,
                Lifetime::Once | Lifetime::Fixed => 0,
            };
            match lifetime {
                Lifetime::Fixed => sqlite3_prepare(raw, text, length, statement, rest),
                _ => ffi::sqlite3_prepare_v3(raw, text, length, flags as _, statement, rest),
            }
        };
        if code != ffi::SQLITE_OK {
            return Err(self.failure(code));
        }
        let empty = || Failure::new(ffi::SQLITE_MISUSE, "no query: the text has no statement");
        let prepared = NonNull::new(statement).map(Prepared).ok_or_else(empty)?;
        // SQLite points into the text, or to its end.
        let rest = (rest as usize).saturating_sub(text as usize).min(sql.len());
        Ok((prepared, if sql.is_char_boundary(rest) { rest } else { sql.len() }))
    }

    /// Rejects a statement that writes if the connection is read-only.
    fn admit(&mut self) -> Result<(), Failure> {
        match self.read_only && self.writes() {
            true => {
                self.close();
                let message = "the transaction is read-only, and the statement is not";
                Err(Failure::new(ffi::SQLITE_READONLY, message))
            }
            false => Ok(()),
        }
    }

    /// Closes the open statement, if there is one. Its effects remain; unread rows are lost.
    pub(crate) fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let Open { prepared, sql, is_opaque, mut timings, .. } = open;
        let Some(sql) = sql else { return };
        timings.end();
        // SAFETY: the statement belongs to this connection and is not finalized. `reset` returns
        // the error of the last step, which has already been reported.
        unsafe {
            ffi::sqlite3_reset(prepared.0.as_ptr());
            ffi::sqlite3_clear_bindings(prepared.0.as_ptr());
        }
        self.statements.insert(sql, CachedStatement { prepared, is_opaque, timings });
    }

    /// Resets the open statement to its beginning, with the bound values.
    pub(crate) fn rewind(&mut self) {
        if let Some(statement) = self.statement() {
            // SAFETY: as in `close`.
            unsafe { ffi::sqlite3_reset(statement.as_ptr()) };
        }
        self.renew_budget();
    }

    /// Binds the values of the open statement. Fails if SQLite finds another number of parameters
    /// than we did, as it then reads the text differently.
    pub(crate) fn bind_all<'a>(
        &mut self,
        values: impl ExactSizeIterator<Item = Stored<'a>>,
    ) -> Result<(), Failure> {
        let statement = self.statement().ok_or_else(Failure::closed)?.as_ptr();
        // SAFETY: the statement is not finalized.
        let wanted = unsafe { ffi::sqlite3_bind_parameter_count(statement) };
        if usize::try_from(wanted) != Ok(values.len()) {
            let message = "the statement has other parameters than were counted";
            return Err(Failure::new(ffi::SQLITE_RANGE, message));
        }
        (1..).zip(values).try_for_each(|(index, value)| self.bind(index, value))
    }

    /// Binds a value of the open statement; indices start at 1.
    fn bind(&mut self, index: usize, value: Stored<'_>) -> Result<(), Failure> {
        let statement = self.statement().ok_or_else(Failure::closed)?.as_ptr();
        let range = || Failure::new(ffi::SQLITE_RANGE, "the statement has no such parameter");
        let index = c_int::try_from(index).map_err(|_| range())?;
        let copied = ffi::SQLITE_TRANSIENT();
        // SAFETY: the statement is not finalized; SQLite checks the index, and copies texts and
        // blobs before it returns.
        let code = unsafe {
            match value {
                Stored::Null => ffi::sqlite3_bind_null(statement, index),
                Stored::Integer(it) => ffi::sqlite3_bind_int64(statement, index, it),
                Stored::Real(it) => ffi::sqlite3_bind_double(statement, index, it),
                Stored::Text(it) => {
                    let (text, length) = (it.as_ptr().cast::<c_char>(), it.len() as u64);
                    ffi::sqlite3_bind_text64(statement, index, text, length, copied, UTF8)
                }
                Stored::Blob(it) => {
                    let (bytes, length) = (it.as_ptr().cast(), it.len() as u64);
                    ffi::sqlite3_bind_blob64(statement, index, bytes, length, copied)
                }
            }
        };
        if code != ffi::SQLITE_OK {
            return Err(self.failure(code));
        }
        if let Some(open) = &mut self.open {
            open.bound += value.size();
        }
        Ok(())
    }

    /// The size of the texts and blobs bound to the open statement in bytes.
    pub(crate) fn bound(&self) -> usize {
        self.open.as_ref().map_or(0, |it| it.bound)
    }

    /// Steps to the next row of the open statement; false if there is none.
    pub(crate) fn step(&mut self) -> Result<bool, Failure> {
        let statement = self.statement().ok_or_else(Failure::closed)?;
        // SAFETY: the statement is not finalized, and nothing of its row is borrowed.
        let code = unsafe {
            let _spending = self.spend();
            ffi::sqlite3_step(statement.as_ptr())
        };
        match code {
            ffi::SQLITE_ROW => Ok(true),
            ffi::SQLITE_DONE => Ok(false),
            code => {
                // For a statement with a fixed schema, only `reset` returns the actual error.
                // SAFETY: the statement is not finalized.
                let reset = unsafe { ffi::sqlite3_reset(statement.as_ptr()) };
                Err(self.failure(if reset == ffi::SQLITE_OK { code } else { reset }))
            }
        }
    }

    /// Whether the open statement may change the database, according to SQLite.
    pub(crate) fn writes(&self) -> bool {
        // SAFETY: the statement is not finalized.
        self.statement().is_some_and(|it| unsafe { ffi::sqlite3_stmt_readonly(it.as_ptr()) == 0 })
    }

    /// The number of rows that the open statement has changed. SQLite's own count is that of the
    /// last statement that could change any, perhaps another caller's.
    pub(crate) fn changes(&self) -> u64 {
        if !self.writes() {
            return 0;
        }
        // SAFETY: the connection is open.
        u64::try_from(unsafe { ffi::sqlite3_changes64(self.raw.as_ptr()) }).unwrap_or(0)
    }

    /// Whether one step of the open statement may take long without a chance to interrupt it.
    pub(crate) fn is_opaque(&self) -> bool {
        self.open.as_ref().is_some_and(|it| it.is_opaque)
    }

    /// Notes that a step of the open statement took long.
    pub(crate) fn set_opaque(&mut self) {
        if let Some(open) = &mut self.open {
            open.is_opaque = true;
        }
    }

    /// How long a phase of the open statement took, if it was executed before.
    pub(crate) fn timing(&self, phase: Phase) -> Option<Duration> {
        self.open.as_ref()?.timings.of(phase)
    }

    /// Notes how long a phase of the open statement took.
    pub(crate) fn record(&mut self, phase: Phase, elapsed: Duration) {
        if let Some(open) = &mut self.open {
            open.timings.record(phase, elapsed);
        }
    }

    pub(super) fn statement(&self) -> Option<NonNull<ffi::sqlite3_stmt>> {
        self.open.as_ref().map(|it| it.prepared.0)
    }
}

/// Whether a text is the driver's own command to begin or end a transaction or savepoint. It is
/// kept prepared, and must run even if an untrusted statement has to end. Untrusted text never
/// begins like this.
pub(in crate::sqlite) fn is_lasting(sql: &str) -> bool {
    const LASTING: [&str; 5] = ["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"];
    LASTING.iter().any(|it| sql.starts_with(it))
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // SAFETY: this is the only owner. The result is the error of the last step.
        unsafe { ffi::sqlite3_finalize(self.0.as_ptr()) };
    }
}
