//! The interface `database` as Rust traits: what the SDK asks of whoever runs its queries.
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

    /// Run a query that returns rows.
    fn fetch(
        &self,
        query: Query,
        parameters: Vec<Value>,
    ) -> BoxFuture<'_, Result<Box<dyn Cursor>, Error>>;

    /// Run a query for its effect; the number of rows changed.
    fn execute(&self, query: Query, parameters: Vec<Value>) -> BoxFuture<'_, Result<u64, Error>>;

    /// Insert many rows, or update many by their keys, all or none; the number of rows changed.
    fn write(
        &self,
        query: Query,
        parameters: Vec<Value>,
        rows: Batch,
    ) -> BoxFuture<'_, Result<u64, Error>>;

    /// The same, of a query with `returning`: what it returns, for an insert in the order of the rows.
    fn write_returning(
        &self,
        query: Query,
        parameters: Vec<Value>,
        rows: Batch,
    ) -> BoxFuture<'_, Result<Box<dyn Cursor>, Error>>;

    /// Run a statement of SQL text that returns rows: the interface `raw-sql`.
    fn fetch_raw(
        &self,
        sql: String,
        parameters: Vec<Value>,
    ) -> BoxFuture<'_, Result<Box<dyn Cursor>, Error>> {
        let _ = (sql, parameters);
        Box::pin(ready(Err(no_sql_text())))
    }

    /// Run a statement of SQL text for its effect; the number of rows changed.
    fn execute_raw(
        &self,
        sql: String,
        parameters: Vec<Value>,
    ) -> BoxFuture<'_, Result<u64, Error>> {
        let _ = (sql, parameters);
        Box::pin(ready(Err(no_sql_text())))
    }

    /// A transaction, or a savepoint inside one. Until it ends, `self` answers with an error.
    fn begin(&self, options: TransactionOptions) -> BoxFuture<'_, Result<Box<dyn Session>, Error>>;

    /// End a transaction or release a savepoint: `busy`, if a savepoint or a cursor of it is still
    /// open. After any error it is undone.
    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>>;

    /// Undo a transaction, or what happened since a savepoint.
    fn rollback(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>>;
}

/// Rows on their way: the resource `cursor` of the WIT.
pub trait Cursor: Send {
    /// The columns of the present result set.
    fn columns(&self) -> &[ColumnInfo];

    /// How the rows of the present result set find their parents; none for the query's own rows.
    fn attached(&self) -> Option<&Attachment>;

    /// Up to `max_rows` further rows; none at the end.
    fn next(&mut self, max_rows: u32) -> BoxFuture<'_, Result<Option<Batch>, Error>>;

    /// Go to the next result set; false after the last.
    fn next_result(&mut self) -> BoxFuture<'_, Result<bool, Error>>;
}

fn no_sql_text() -> Error {
    Error::new(ErrorKind::Unsupported, "this session accepts queries, but no SQL text")
}
