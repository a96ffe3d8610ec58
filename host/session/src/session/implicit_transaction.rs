//! Single statements: a connection from the tenant's share, and an implicit transaction if the
//! statement may have to be rolled back.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ferro_driver::{Database, Transaction};
use ferro_wit::BoxFuture;
use ferro_wit::types::{Error, TransactionOptions};

use super::Session;
use super::work::Work;
use crate::cursor::CursorGuard;
use crate::limits::Wait;
use crate::tenants::ConnectionPermit;

impl Session {
    /// Begins a write that commits after its last row. Boxed, as it is rare and its future is
    /// large.
    pub(super) fn fetch_in_implicit_transaction<'a>(
        &'a self,
        database: &'a Database,
        work: Work<'a>,
    ) -> BoxFuture<'a, Result<(ferro_driver::Cursor, CursorGuard), Error>> {
        Box::pin(async move {
            let BegunTransaction { transaction, permit } =
                self.begin_in(database, TransactionOptions::default()).await?;
            let end = transaction.deadline();
            let rows = self.run_by(end, pin!(work.fetch_within(&transaction))).await?;
            Ok((rows, CursorGuard { permit, transaction: Some(transaction) }))
        })
    }

    /// Runs a write, and commits it unless it changed too many rows. Boxed as well.
    pub(super) fn execute_in_implicit_transaction<'a>(
        &'a self,
        database: &'a Database,
        work: Work<'a>,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        Box::pin(async move {
            let BegunTransaction { transaction, permit } =
                self.begin_in(database, TransactionOptions::default()).await?;
            let end = transaction.deadline();
            let changed = self.run_by(end, pin!(work.execute_within(&transaction))).await?;
            self.granted.call.count_written(changed)?;
            let commit = pin!(transaction.commit());
            self.granted.wait(Wait::Commit, Duration::ZERO, None, commit).await?;
            drop(permit);
            Ok(changed)
        })
    }

    pub(super) async fn begin_in(
        &self,
        database: &Database,
        options: TransactionOptions,
    ) -> Result<BegunTransaction, Error> {
        let permit = self.granted.connection_permit().await?.map(Arc::new);
        let begin = pin!(database.begin(options));
        let transaction = self.granted.wait(Wait::Begin, Duration::ZERO, None, begin).await?;
        Ok(BegunTransaction { transaction, permit })
    }

    /// Runs a single statement, which takes one of the tenant's connections.
    pub(super) async fn with_connection<T>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Unpin,
    ) -> Result<(T, CursorGuard), Error> {
        let permit = self.granted.connection_permit().await?.map(Arc::new);
        let done = self.run(work).await?;
        Ok((done, CursorGuard { permit, transaction: None }))
    }
}

/// A transaction that has begun, and the tenant's permit for its connection.
pub(super) struct BegunTransaction {
    pub(super) transaction: Transaction,
    pub(super) permit: Option<Arc<ConnectionPermit>>,
}
