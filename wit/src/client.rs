//! The interface `database` as Rust traits, which the SDK needs to run queries.
//!
//! In a plugin, the imports of the component implement them, and every future is ready at once; in
//! an application, `ferro-session` does.

use std::future::{Future, ready};
use std::pin::Pin;

use crate::query::Query;
use crate::types::{
    Attachment, Batch, ColumnInfo, Dialect, Error, ErrorKind, TransactionOptions, Value,
};

/// A future on the heap.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A database, or a transaction in it: the resource `session` of the WIT.
///
/// Dropping an unfinished transaction rolls it back.
pub trait Session: Send + Sync {
    /// The SQL dialect of the database.
    fn dialect(&self) -> Dialect;

    /// Runs a query that returns rows.
    fn fetch(
        &self,
        query: Query,
        parameters: Vec<Value>,
    ) -> BoxFuture<'_, Result<Box<dyn Cursor>, Error>>;

    /// Runs a query for its effect; returns the number of changed rows.
    fn execute(&self, query: Query, parameters: Vec<Value>) -> BoxFuture<'_, Result<u64, Error>>;

    /// Inserts many rows, or updates many by key, all or none; returns the number of changed rows.
    fn write(
        &self,
        query: Query,
        parameters: Vec<Value>,
        rows: Batch,
    ) -> BoxFuture<'_, Result<u64, Error>>;

    /// The same, for a query with `returning`; an insert returns rows in the order of the batch.
    fn write_returning(
        &self,
        query: Query,
        parameters: Vec<Value>,
        rows: Batch,
    ) -> BoxFuture<'_, Result<Box<dyn Cursor>, Error>>;

    /// Runs an SQL statement that returns rows: the interface `raw-sql`.
    fn fetch_raw(
        &self,
        sql: String,
        parameters: Vec<Value>,
    ) -> BoxFuture<'_, Result<Box<dyn Cursor>, Error>> {
        let _ = (sql, parameters);
        Box::pin(ready(Err(no_sql_text())))
    }

    /// Runs an SQL statement for its effect; returns the number of changed rows.
    fn execute_raw(
        &self,
        sql: String,
        parameters: Vec<Value>,
    ) -> BoxFuture<'_, Result<u64, Error>> {
        let _ = (sql, parameters);
        Box::pin(ready(Err(no_sql_text())))
    }

    /// Begins a transaction, or a savepoint inside one. Until it ends, `self` returns errors.
    fn begin(&self, options: TransactionOptions) -> BoxFuture<'_, Result<Box<dyn Session>, Error>>;

    /// Commits a transaction or releases a savepoint; `busy` if a savepoint or a cursor of it is
    /// still open. After any error it is rolled back.
    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>>;

    /// Rolls back a transaction, or to a savepoint.
    fn rollback(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>>;
}

/// A cursor over rows: the resource `cursor` of the WIT.
pub trait Cursor: Send {
    /// The columns of the current result set.
    fn columns(&self) -> &[ColumnInfo];

    /// How the rows of the current result set are linked to their parents; `None` for the query's
    /// own rows.
    fn attached(&self) -> Option<&Attachment>;

    /// Reads up to `max_rows` further rows; `None` at the end.
    fn next(&mut self, max_rows: u32) -> BoxFuture<'_, Result<Option<Batch>, Error>>;

    /// Advances to the next result set; false after the last.
    fn next_result(&mut self) -> BoxFuture<'_, Result<bool, Error>>;
}

fn no_sql_text() -> Error {
    Error::new(ErrorKind::Unsupported, "this session accepts queries, but no SQL text")
}
