//! The imports `ferro:orm/database` and `ferro:orm/raw-sql`: the handles of a guest, and the calls
//! of the sessions behind them. No rights are decided here.

use ferro_session::{Cursor, Session};
use ferro_wit::query::Query;
use ferro_wit::types::{
    Attachment, Batch, ColumnInfo, Dialect, Error, ErrorKind, TransactionOptions, Value,
};
use wasmtime::component::{HasSelf, Linker, Resource};

use crate::bindings::plugin::ferro::orm::{database, raw_sql};
use crate::guest::Guest;

/// The result of a host function; the outer error, for misuse of handles, is a trap.
type Answer<T> = wasmtime::Result<Result<T, Error>>;

pub(crate) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    database::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    raw_sql::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)
}

impl database::Host for Guest {}

impl database::HostSession for Guest {
    async fn open(&mut self, label: String) -> Answer<Resource<Session>> {
        let opened = match self.gate() {
            Some(gate) => gate.open(&label),
            None => Err(Error::new(
                ErrorKind::Denied,
                "no database is available while the models are described",
            )),
        };
        self.lend(opened)
    }

    async fn dialect(&mut self, session: Resource<Session>) -> wasmtime::Result<Dialect> {
        Ok(self.table().get(&session)?.dialect())
    }

    async fn fetch(
        &mut self,
        session: Resource<Session>,
        query: Query,
        parameters: Vec<Value>,
    ) -> Answer<Resource<Cursor>> {
        let session = self.table().get(&session)?;
        let cursor = session.fetch(&query, parameters).await;
        self.lend(cursor)
    }

    async fn execute(
        &mut self,
        session: Resource<Session>,
        query: Query,
        parameters: Vec<Value>,
    ) -> Answer<u64> {
        let session = self.table().get(&session)?;
        Ok(session.execute(&query, parameters).await)
    }

    async fn write(
        &mut self,
        session: Resource<Session>,
        query: Query,
        parameters: Vec<Value>,
        rows: Batch,
    ) -> Answer<u64> {
        let session = self.table().get(&session)?;
        Ok(session.write(&query, parameters, rows).await)
    }

    async fn write_returning(
        &mut self,
        session: Resource<Session>,
        query: Query,
        parameters: Vec<Value>,
        rows: Batch,
    ) -> Answer<Resource<Cursor>> {
        let session = self.table().get(&session)?;
        let cursor = session.write_returning(&query, parameters, rows).await;
        self.lend(cursor)
    }

    async fn begin(
        &mut self,
        session: Resource<Session>,
        options: TransactionOptions,
    ) -> Answer<Resource<Session>> {
        let session = self.table().get(&session)?;
        let transaction = session.begin(options).await;
        self.lend(transaction)
    }

    async fn commit(&mut self, transaction: Resource<Session>) -> Answer<()> {
        let transaction = self.table().delete(transaction)?;
        Ok(transaction.commit().await)
    }

    async fn rollback(&mut self, transaction: Resource<Session>) -> Answer<()> {
        let transaction = self.table().delete(transaction)?;
        Ok(transaction.rollback().await)
    }

    async fn drop(&mut self, session: Resource<Session>) -> wasmtime::Result<()> {
        self.table().delete(session)?;
        Ok(())
    }
}

impl database::HostCursor for Guest {
    async fn columns(&mut self, cursor: Resource<Cursor>) -> wasmtime::Result<Vec<ColumnInfo>> {
        Ok(self.table().get(&cursor)?.columns().to_vec())
    }

    async fn attached(&mut self, cursor: Resource<Cursor>) -> wasmtime::Result<Option<Attachment>> {
        Ok(self.table().get(&cursor)?.attached().cloned())
    }

    async fn next(&mut self, cursor: Resource<Cursor>, max_rows: u32) -> Answer<Option<Batch>> {
        let cursor = self.table().get_mut(&cursor)?;
        Ok(cursor.next(max_rows).await)
    }

    async fn next_result(&mut self, cursor: Resource<Cursor>) -> Answer<bool> {
        let cursor = self.table().get_mut(&cursor)?;
        Ok(cursor.next_result().await)
    }

    async fn drop(&mut self, cursor: Resource<Cursor>) -> wasmtime::Result<()> {
        self.table().delete(cursor)?;
        Ok(())
    }
}

impl raw_sql::Host for Guest {
    async fn fetch(
        &mut self,
        session: Resource<Session>,
        sql: String,
        parameters: Vec<Value>,
    ) -> Answer<Resource<Cursor>> {
        let session = self.table().get(&session)?;
        let cursor = session.fetch_raw(&sql, parameters).await;
        self.lend(cursor)
    }

    async fn execute(
        &mut self,
        session: Resource<Session>,
        sql: String,
        parameters: Vec<Value>,
    ) -> Answer<u64> {
        let session = self.table().get(&session)?;
        Ok(session.execute_raw(&sql, parameters).await)
    }
}
