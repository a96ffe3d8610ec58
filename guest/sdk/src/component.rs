//! The imports of a component as a session: `ferro_wit::Session` over the bindings of the interface
//! `database`. Every call is complete when it returns, and so is every future.

use std::cell::OnceCell;
use std::future::ready;

use ferro_wit::BoxFuture;
use ferro_wit::query::Query;
use ferro_wit::types::{Attachment, Batch, ColumnInfo, Dialect, Error, TransactionOptions, Value};

pub use self::bindings::plain::ferro::orm::database;
#[cfg(feature = "raw-sql")]
pub use self::bindings::privileged::ferro::orm::raw_sql;

/// The generated code, the only unsafe code in this crate.
#[allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::undocumented_unsafe_blocks,
    reason = "generated"
)]
mod bindings {
    pub mod plain {
        wit_bindgen::generate!({
            // Only the imports: a plugin's own world adds the exports.
            inline: "
                package ferro:sdk;
                world imports { import ferro:orm/database@0.1.0; }
            ",
            path: "../../wit",
            with: {
                "ferro:orm/database@0.1.0": generate,
                "ferro:orm/query@0.1.0": ferro_wit::query,
                "ferro:orm/types@0.1.0": ferro_wit::types,
            },
        });
    }

    /// A plugin imports SQL text only if its author enabled the feature.
    #[cfg(feature = "raw-sql")]
    pub mod privileged {
        wit_bindgen::generate!({
            inline: "
                package ferro:sdk-privileged;
                world imports { import ferro:orm/raw-sql@0.1.0; }
            ",
            path: "../../wit",
            with: {
                "ferro:orm/database@0.1.0": crate::host::database,
                "ferro:orm/query@0.1.0": ferro_wit::query,
                "ferro:orm/raw-sql@0.1.0": generate,
                "ferro:orm/types@0.1.0": ferro_wit::types,
            },
        });
    }
}

/// The database that the host lends under a label.
pub(crate) fn open(label: &str) -> Result<Box<dyn ferro_wit::Session>, Error> {
    Ok(Box::new(database::Session::open(label)?))
}

impl ferro_wit::Session for database::Session {
    fn dialect(&self) -> Dialect {
        self.dialect()
    }

    fn fetch(
        &self,
        query: Query,
        parameters: Vec<Value>,
    ) -> BoxFuture<'_, Result<Box<dyn ferro_wit::Cursor>, Error>> {
        let cursor = self.fetch(&query, &parameters);
        finished(cursor.map(|cursor| Box::new(Cursor::new(cursor)) as _))
    }

    fn execute(&self, query: Query, parameters: Vec<Value>) -> BoxFuture<'_, Result<u64, Error>> {
        finished(self.execute(&query, &parameters))
    }

    fn write(
        &self,
        query: Query,
        parameters: Vec<Value>,
        rows: Batch,
    ) -> BoxFuture<'_, Result<u64, Error>> {
        finished(self.write(&query, &parameters, &rows))
    }

    fn write_returning(
        &self,
        query: Query,
        parameters: Vec<Value>,
        rows: Batch,
    ) -> BoxFuture<'_, Result<Box<dyn ferro_wit::Cursor>, Error>> {
        let cursor = self.write_returning(&query, &parameters, &rows);
        finished(cursor.map(|cursor| Box::new(Cursor::new(cursor)) as _))
    }

    #[cfg(feature = "raw-sql")]
    fn fetch_raw(
        &self,
        sql: String,
        parameters: Vec<Value>,
    ) -> BoxFuture<'_, Result<Box<dyn ferro_wit::Cursor>, Error>> {
        let cursor = raw_sql::fetch(self, &sql, &parameters);
        finished(cursor.map(|cursor| Box::new(Cursor::new(cursor)) as _))
    }

    #[cfg(feature = "raw-sql")]
    fn execute_raw(
        &self,
        sql: String,
        parameters: Vec<Value>,
    ) -> BoxFuture<'_, Result<u64, Error>> {
        finished(raw_sql::execute(self, &sql, &parameters))
    }

    fn begin(
        &self,
        options: TransactionOptions,
    ) -> BoxFuture<'_, Result<Box<dyn ferro_wit::Session>, Error>> {
        finished(self.begin(options).map(|session| Box::new(session) as _))
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        finished(Self::commit(*self))
    }

    fn rollback(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        finished(Self::rollback(*self))
    }
}

/// A cursor of the host. The description of its result set is fetched at most once, and only on
/// use.
struct Cursor {
    cursor: database::Cursor,
    columns: OnceCell<Vec<ColumnInfo>>,
    attached: OnceCell<Option<Attachment>>,
}

impl Cursor {
    fn new(cursor: database::Cursor) -> Self {
        Self { cursor, columns: OnceCell::new(), attached: OnceCell::new() }
    }
}

impl ferro_wit::Cursor for Cursor {
    fn columns(&self) -> &[ColumnInfo] {
        self.columns.get_or_init(|| self.cursor.columns())
    }

    fn attached(&self) -> Option<&Attachment> {
        self.attached.get_or_init(|| self.cursor.attached()).as_ref()
    }

    fn next(&mut self, max_rows: u32) -> BoxFuture<'_, Result<Option<Batch>, Error>> {
        finished(self.cursor.next(max_rows))
    }

    fn next_result(&mut self) -> BoxFuture<'_, Result<bool, Error>> {
        self.columns = OnceCell::new();
        self.attached = OnceCell::new();
        finished(self.cursor.next_result())
    }
}

fn finished<'a, T: Send + 'a>(result: Result<T, Error>) -> BoxFuture<'a, Result<T, Error>> {
    Box::pin(ready(result))
}
