//! SQLite's C interface behind a safe face: all unsafe code of the driver but for the callback of
//! [`guard`](super::guard).
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

use std::borrow::Cow;
use std::ffi::{CStr, c_char, c_int};
use std::fmt;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use hashlink::LruCache;
use libsqlite3_sys as ffi;
use sqlx::Sqlite;
use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::LockedSqliteHandle;

use super::guard::Guard;
use crate::fence::Fence;
use crate::value::Fault;
use crate::value::sqlite::Stored;

/// A connection that SQLx lent, and its prepared statements, of which one at a time is open.
///
/// Dropping it closes the connection.
pub(crate) struct Handle {
    // Before the owner, which closes the connection: all statements have to be finalized by then.
    guard: Option<Guard>,
    statements: LruCache<Box<str>, Kept>,
    open: Option<Open>,
    raw: NonNull<ffi::sqlite3>,
    /// None only while it is dropped or given back.
    owner: Option<PoolConnection<Sqlite>>,
    read_only: bool,
}

// SAFETY: the connection is opened for use by many threads, one at a time, as the module says.
unsafe impl Send for Handle {}

/// A statement that waits for its next execution.
struct Kept {
    prepared: Prepared,
    spent: Option<Duration>,
}

/// The statement that is executed.
struct Open {
    prepared: Prepared,
    /// Its text, if it is kept.
    sql: Option<Box<str>>,
    spent: Option<Duration>,
}

/// Owned: finalized when it is dropped.
struct Prepared(NonNull<ffi::sqlite3_stmt>);

/// Where a column of a result comes from.
pub(crate) struct Origin {
    pub(crate) table: String,
    pub(crate) column: String,
}

/// What SQLite said.
#[derive(Debug)]
pub(crate) struct Failure {
    code: c_int,
    message: String,
}

/// `SQLITE_UTF8`, as the byte that binding takes.
const UTF8: u8 = {
    assert!(ffi::SQLITE_UTF8 == 1);
    1
};

impl Handle {
    /// Takes over a connection, with room for some prepared statements.
    pub(crate) async fn lend(
        mut owner: PoolConnection<Sqlite>,
        capacity: usize,
    ) -> Result<Self, sqlx::Error> {
        let raw = owner.lock_handle().await?.as_raw_handle();
        let statements = LruCache::new(capacity);
        Ok(Self { guard: None, statements, open: None, raw, owner: Some(owner), read_only: false })
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
    }

    /// Holds whatever is opened from now on to what a stranger's text may do, or to nothing.
    pub(crate) fn hold_to(&mut self, fence: Option<&Arc<Fence>>) {
        let held = self.guard.as_ref().map(|it| Arc::as_ptr(it.fence()));
        if held == fence.map(Arc::as_ptr) {
            return;
        }
        // The old one goes first. SQLite prepares anew what was prepared under another.
        self.guard = None;
        // SAFETY: the connection is open for as long as this owns it, and the guard goes before.
        self.guard = fence.map(|it| unsafe { Guard::install(self.raw, Arc::clone(it)) });
    }

    /// No text or blob may be longer than so many bytes.
    pub(crate) fn set_longest(&mut self, bytes: u32) {
        let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX);
        // SAFETY: the connection is open, and SQLite checks the number.
        unsafe { ffi::sqlite3_limit(self.raw.as_ptr(), ffi::SQLITE_LIMIT_LENGTH, bytes) };
    }

    /// Opens a statement, which is the first one of a text; where the rest of the text begins.
    ///
    /// One that is to be `kept` stays prepared when it is closed.
    pub(crate) fn open(&mut self, sql: &str, keep: bool) -> Result<usize, Failure> {
        self.close();
        if let Some((sql, Kept { prepared, spent })) = self.statements.remove_entry(sql) {
            let length = sql.len();
            self.open = Some(Open { prepared, sql: Some(sql), spent });
            return self.admit().map(|()| length);
        }
        let keep = keep && self.statements.capacity() > 0;
        let (prepared, rest) = self.prepare(sql, keep)?;
        let whole = keep && sql[rest..].trim_ascii().is_empty();
        self.open = Some(Open { prepared, sql: whole.then(|| sql.into()), spent: None });
        self.admit().map(|()| rest)
    }

    fn prepare(&self, sql: &str, keep: bool) -> Result<(Prepared, usize), Failure> {
        let too_long = || Failure::new(ffi::SQLITE_TOOBIG, "the statement is too long");
        let length = c_int::try_from(sql.len()).map_err(|_| too_long())?;
        let flags = if keep { ffi::SQLITE_PREPARE_PERSISTENT } else { 0 };
        let (mut statement, mut rest) = (ptr::null_mut(), ptr::null());
        let text = sql.as_ptr().cast::<c_char>();
        // SAFETY: the connection is open; SQLite reads no more than `length` bytes of the text.
        let code = unsafe {
            let raw = self.raw.as_ptr();
            ffi::sqlite3_prepare_v3(raw, text, length, flags as _, &mut statement, &mut rest)
        };
        if code != ffi::SQLITE_OK {
            return Err(self.failure(code));
        }
        let empty = || Failure::new(ffi::SQLITE_MISUSE, "no query: the text has no statement");
        let prepared = NonNull::new(statement).map(Prepared).ok_or_else(empty)?;
        // SQLite points into the text, or past its end.
        let rest = (rest as usize).saturating_sub(text as usize).min(sql.len());
        Ok((prepared, if sql.is_char_boundary(rest) { rest } else { sql.len() }))
    }

    /// Refuses what would change something where nothing may be changed.
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

    /// From here on, or no longer, only statements that read are opened.
    pub(crate) fn set_read_only(&mut self, read_only: bool) {
        self.read_only = read_only;
    }

    /// Closes the open statement, if there is one. What it did stays; what it had to give is lost.
    pub(crate) fn close(&mut self) {
        let Some(Open { prepared, sql, spent }) = self.open.take() else { return };
        let Some(sql) = sql else { return };
        // SAFETY: the statement is one of this connection and not finalized. What `reset` returns
        // is how the last step ended, which has been told.
        unsafe {
            ffi::sqlite3_reset(prepared.0.as_ptr());
            ffi::sqlite3_clear_bindings(prepared.0.as_ptr());
        }
        self.statements.insert(sql, Kept { prepared, spent });
    }

    /// Takes the open statement back to its beginning. It keeps what is bound.
    pub(crate) fn rewind(&mut self) {
        if let Some(statement) = self.statement() {
            // SAFETY: as in `close`.
            unsafe { ffi::sqlite3_reset(statement.as_ptr()) };
        }
    }

    /// Binds a value of the open statement; the first one has the index 1.
    pub(crate) fn bind(&mut self, index: usize, value: Stored<'_>) -> Result<(), Failure> {
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
        match code {
            ffi::SQLITE_OK => Ok(()),
            code => Err(self.failure(code)),
        }
    }

    /// Goes to the next row of the open statement; false: there is none.
    pub(crate) fn step(&mut self) -> Result<bool, Failure> {
        let statement = self.statement().ok_or_else(Failure::closed)?;
        // SAFETY: the statement is not finalized, and nothing of its row is borrowed.
        match unsafe { ffi::sqlite3_step(statement.as_ptr()) } {
            ffi::SQLITE_ROW => Ok(true),
            ffi::SQLITE_DONE => Ok(false),
            code => Err(self.failure(code)),
        }
    }

    /// A value of the present row; null where there is none.
    pub(crate) fn value(&self, column: usize) -> Result<Stored<'_>, Fault> {
        let (Some(statement), Ok(column)) = (self.statement(), c_int::try_from(column)) else {
            return Ok(Stored::Null);
        };
        let statement = statement.as_ptr();
        // SAFETY: the statement is not finalized. SQLite answers for a column or a row that does
        // not exist as for a null. What it points to stays until the statement is stepped, reset or
        // finalized, each of which takes `self` for itself; texts are in UTF-8, or become so at the
        // call before their length is asked for.
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
                    // An empty blob is no memory at all.
                    let bytes =
                        if length == 0 { Some(&[][..]) } else { bytes(blob.cast(), length) };
                    Stored::Blob(bytes.ok_or_else(no_memory)?)
                }
                _ => Stored::Null,
            })
        }
    }

    /// How many columns the open statement returns. Another version of the schema is noticed by the
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

    /// What the column of a table that a column of the open statement comes from was declared as.
    pub(crate) fn declaration(&self, column: usize) -> Option<String> {
        self.text(column, ffi::sqlite3_column_decltype)
    }

    /// Where a column of the open statement comes from; none for an expression.
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
        // SAFETY: the statement is not finalized, SQLite checks the column, and what it points to
        // ends in a NUL and is copied before anything else is asked.
        unsafe {
            let text = ask(statement.as_ptr(), column);
            (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
        }
    }

    /// Whether the open statement may change the database, as SQLite itself sees it.
    pub(crate) fn writes(&self) -> bool {
        // SAFETY: the statement is not finalized.
        self.statement().is_some_and(|it| unsafe { ffi::sqlite3_stmt_readonly(it.as_ptr()) == 0 })
    }

    /// How many rows the last statement that changed any has changed.
    pub(crate) fn changes(&self) -> u64 {
        // SAFETY: the connection is open.
        u64::try_from(unsafe { ffi::sqlite3_changes64(self.raw.as_ptr()) }).unwrap_or(0)
    }

    /// Whether no transaction is open.
    pub(crate) fn is_autocommit(&self) -> bool {
        // SAFETY: the connection is open.
        unsafe { ffi::sqlite3_get_autocommit(self.raw.as_ptr()) != 0 }
    }

    /// Whether a transaction has read, so that it has seen the database as it was then.
    pub(crate) fn has_snapshot(&self) -> bool {
        // SAFETY: the connection is open, and no name means all of its databases.
        let state = unsafe { ffi::sqlite3_txn_state(self.raw.as_ptr(), ptr::null()) };
        state == ffi::SQLITE_TXN_READ
    }

    /// How long a statement waits for the lock of another connection.
    pub(crate) fn set_busy_timeout(&mut self, timeout: Duration) {
        let timeout = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: the connection is open.
        unsafe { ffi::sqlite3_busy_timeout(self.raw.as_ptr(), timeout) };
    }

    /// How long the open statement took at its last execution, if it was executed before.
    pub(crate) fn spent(&self) -> Option<Duration> {
        self.open.as_ref()?.spent
    }

    /// Notes how long the open statement took.
    pub(crate) fn note(&mut self, spent: Duration) {
        if let Some(open) = &mut self.open {
            open.spent = Some(spent);
        }
    }

    fn statement(&self) -> Option<NonNull<ffi::sqlite3_stmt>> {
        self.open.as_ref().map(|it| it.prepared.0)
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
            let message = match code == extended {
                true => ffi::sqlite3_errmsg(raw),
                false => ffi::sqlite3_errstr(code),
            };
            let message = CStr::from_ptr(message).to_string_lossy().into_owned();
            Failure { code, message }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.clear();
        if let Some(owner) = self.owner.take() {
            drop(owner.detach());
        }
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // SAFETY: it is the only owner. What is returned is how the last step ended.
        unsafe { ffi::sqlite3_finalize(self.0.as_ptr()) };
    }
}

/// What SQLite points to.
///
/// # Safety
///
/// As many bytes as `length` says have to stay there for as long as the slice lives.
unsafe fn bytes<'a>(start: *const u8, length: c_int) -> Option<&'a [u8]> {
    let length = usize::try_from(length).ok()?;
    // SAFETY: the caller's promise.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start, length) })
}

fn no_memory() -> Fault {
    Fault::undecodable("cannot be read: SQLite is out of memory")
}

/// Sets on a new connection what no statement can lift.
pub(super) fn harden(handle: &mut LockedSqliteHandle<'_>) -> Result<(), sqlx::Error> {
    let raw = handle.as_raw_handle().as_ptr();
    let switches = [
        // Neither the schema's own text nor the pages of the file can be written.
        (ffi::SQLITE_DBCONFIG_DEFENSIVE, 1),
        (ffi::SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0),
        (ffi::SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0),
        // A misspelt name is an error, not a text.
        (ffi::SQLITE_DBCONFIG_DQS_DML, 0),
        (ffi::SQLITE_DBCONFIG_DQS_DDL, 0),
    ];
    for (option, value) in switches {
        // SAFETY: the lock is held; each of these options takes a number and where to put the
        // former one, which may be null.
        let code = unsafe {
            ffi::sqlite3_db_config(raw, option, value as c_int, ptr::null_mut::<c_int>())
        };
        if code != ffi::SQLITE_OK {
            return Err(Failure::new(code, "SQLite does not take a setting").into());
        }
    }
    for (limit, value) in LIMITS {
        // SAFETY: the lock is held, and SQLite checks both numbers.
        unsafe { ffi::sqlite3_limit(raw, limit, value) };
    }
    Ok(())
}

/// What a statement may take: far more than the core ever writes, and far less than SQLite allows.
const LIMITS: [(c_int, c_int); 4] = [
    (ffi::SQLITE_LIMIT_SQL_LENGTH, 16 << 20),
    (ffi::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 10_000),
    (ffi::SQLITE_LIMIT_TRIGGER_DEPTH, 100),
    (ffi::SQLITE_LIMIT_WORKER_THREADS, 0),
];

impl Failure {
    fn new(code: c_int, message: &str) -> Self {
        Self { code, message: message.to_owned() }
    }

    fn closed() -> Self {
        Self::new(ffi::SQLITE_MISUSE, "no statement is open")
    }

    /// Another connection has what this one needs.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.code & 0xff, ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED)
    }

    /// The progress handler ended the statement.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.code & 0xff == ffi::SQLITE_INTERRUPT
    }

    /// As SQLite says it where it has waited in vain.
    pub(crate) fn busy() -> Self {
        Self::new(ffi::SQLITE_BUSY, "database is locked")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(code: {}) {}", self.code, self.message)
    }
}

impl std::error::Error for Failure {}

impl DatabaseError for Failure {
    fn message(&self) -> &str {
        &self.message
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.code.to_string().into())
    }

    fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}
