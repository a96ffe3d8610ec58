//! Sessions as native sessions of the SDK.

use ferro_wit::BoxFuture;
use ferro_wit::query::Query;
use ferro_wit::types::{Batch, Dialect, Error, TransactionOptions, Value};

use super::Session;

impl ferro_wit::Session for Session {
    fn dialect(&self) -> Dialect {
        self.dialect()
    }

    fn fetch(
        &self,
        query: Query,
        parameters: Vec<Value>,
    ) -> BoxFuture<'_, Result<Box<dyn ferro_wit::Cursor>, Error>> {
        Box::pin(async move {
            let cursor = self.fetch(&query, parameters).await?;
            Ok(Box::new(cursor) as Box<dyn ferro_wit::Cursor>)
        })
    }

    fn execute(&self, query: Query, parameters: Vec<Value>) -> BoxFuture<'_, Result<u64, Error>> {
        Box::pin(async move { self.execute(&query, parameters).await })
    }

    fn write(
        &self,
        query: Query,
        parameters: Vec<Value>,
        rows: Batch,
    ) -> BoxFuture<'_, Result<u64, Error>> {
        Box::pin(async move { self.write(&query, parameters, rows).await })
    }

    fn write_returning(
        &self,
        query: Query,
        parameters: Vec<Value>,
        rows: Batch,
    ) -> BoxFuture<'_, Result<Box<dyn ferro_wit::Cursor>, Error>> {
        Box::pin(async move {
            let cursor = self.write_returning(&query, parameters, rows).await?;
            Ok(Box::new(cursor) as Box<dyn ferro_wit::Cursor>)
        })
    }

    fn fetch_raw(
        &self,
        sql: String,
        parameters: Vec<Value>,
    ) -> BoxFuture<'_, Result<Box<dyn ferro_wit::Cursor>, Error>> {
        Box::pin(async move {
            let cursor = self.fetch_raw(&sql, parameters).await?;
            Ok(Box::new(cursor) as Box<dyn ferro_wit::Cursor>)
        })
    }

    fn execute_raw(
        &self,
        sql: String,
        parameters: Vec<Value>,
    ) -> BoxFuture<'_, Result<u64, Error>> {
        Box::pin(async move { self.execute_raw(&sql, parameters).await })
    }

    fn begin(
        &self,
        options: TransactionOptions,
    ) -> BoxFuture<'_, Result<Box<dyn ferro_wit::Session>, Error>> {
        Box::pin(async move {
            let transaction = self.begin(options).await?;
            Ok(Box::new(transaction) as Box<dyn ferro_wit::Session>)
        })
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin((*self).commit())
    }

    fn rollback(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin((*self).rollback())
    }
}
