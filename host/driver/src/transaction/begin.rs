//! Beginning transactions: for a caller, and around a single statement.

use std::sync::Arc;
use std::time::Duration;

use ferro_wit::types::{Dialect, Error, Isolation, TransactionOptions};

use super::Transaction;
use super::state::{State, roll_back};
use crate::database::Database;
use crate::error::from_sqlx;
use crate::fence::Enclosure;
use crate::lease::{Connection, Lease};
use crate::run::Need;
use crate::run::statement_connection::{StatementConnection, is_at_rest};

impl Database {
    /// Begins a transaction.
    ///
    /// SQLite has only one isolation level, the strongest. There, the connection enforces
    /// `read_only`, and `immediate` waits for other writers now rather than at the first write.
    /// PostgreSQL also accepts `deferrable`.
    ///
    /// # Errors
    ///
    /// `busy` if no connection or, with `immediate`, no lock is free in time; errors of opening a
    /// connection.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the connection is closed.
    pub async fn begin(&self, options: TransactionOptions) -> Result<Transaction, Error> {
        self.begin_within(options, self.transaction_timeout()).await
    }

    /// The same, with a time limit.
    pub(crate) async fn begin_within(
        &self,
        options: TransactionOptions,
        time: Option<Duration>,
    ) -> Result<Transaction, Error> {
        let options = match self.fence() {
            Some(fence) if fence.read_only => {
                TransactionOptions { read_only: true, immediate: false, ..options }
            }
            _ => options,
        };
        let (lease, enclosure) = self.enclose(&options, None).await?;
        let state = State::new(lease, self.dialect(), options.read_only, enclosure);
        Ok(Transaction::outermost(state, options.read_only, time))
    }

    /// Begins a transaction that writes. With `relaxed`, SQLite does not enforce foreign keys in
    /// it; the value says whether it usually does.
    pub(crate) async fn begin_migration(
        &self,
        relaxed: Option<bool>,
    ) -> Result<Transaction, Error> {
        let options = TransactionOptions {
            immediate: true,
            // A migration that waited for another one must see its changes.
            isolation: Some(Isolation::ReadCommitted),
            ..TransactionOptions::default()
        };
        let (lease, enclosure) = self.enclose(&options, relaxed).await?;
        let state = State::new(lease, self.dialect(), false, enclosure);
        Ok(Transaction::outermost(state, false, None))
    }

    /// A connection for a single statement. The fence may require a transaction around it, more
    /// often for SQL `text`. Behind a pooler there always is one: SQLx prepares a statement and
    /// runs it in two steps, and in between, another client may get the session and prepare its own
    /// statement.
    pub(crate) async fn connection(
        &self,
        text: bool,
        need: Need,
    ) -> Result<StatementConnection, Error> {
        let dialect = self.dialect();
        let fence = self.fence();
        if self.is_pooled() || fence.is_some_and(|it| it.encloses(dialect, text)) {
            let read_only = fence.is_some_and(|it| it.read_only);
            let options = TransactionOptions { read_only, ..Default::default() };
            let (lease, enclosure) = self.enclose(&options, None).await?;
            return Ok(StatementConnection::in_implicit_transaction(lease, dialect, enclosure));
        }
        let lease = match need {
            Need::Any => self.acquire().await?,
            Need::Live => self.acquire_live().await?,
        };
        Ok(StatementConnection::of_pool(lease, dialect))
    }

    /// A connection in doubt on which a transaction was begun, and the fence around the
    /// transaction.
    async fn enclose(
        &self,
        options: &TransactionOptions,
        relaxed: Option<bool>,
    ) -> Result<(Lease, Option<Arc<Enclosure>>), Error> {
        let dialect = self.dialect();
        let enclosure = self.fence().map(|it| Arc::new(Enclosure::new(Arc::clone(it))));
        let mut lease = self.acquire().await?;
        lease.doubt();
        let mut begun = begin(&mut lease, dialect, options, enclosure.as_deref(), relaxed).await;
        if begun.as_ref().is_err_and(|it| !is_at_rest(it)) && !lease.is_fresh() {
            // The connection was already dead. Dropping it makes room for the next one.
            lease.lose();
            drop(lease);
            lease = Box::pin(self.acquire_live()).await?;
            lease.doubt();
            begun = begin(&mut lease, dialect, options, enclosure.as_deref(), relaxed).await;
        }
        match begun {
            Ok(()) => Ok((lease, enclosure)),
            Err(error) => {
                if is_at_rest(&error) && roll_back(&mut lease, options.read_only).await.is_ok() {
                    lease.clear();
                    lease.release().await;
                }
                let error = from_sqlx(&error, dialect);
                match enclosure {
                    Some(enclosure) => Err(enclosure.explain(error)),
                    None => Err(error),
                }
            }
        }
    }
}

async fn begin(
    lease: &mut Lease,
    dialect: Dialect,
    options: &TransactionOptions,
    enclosure: Option<&Enclosure>,
    relaxed: Option<bool>,
) -> Result<(), sqlx::Error> {
    if let Connection::Sqlite(connection) = lease.connection()
        && let Some(keys) = relaxed
    {
        connection.relax(keys).await?;
    }
    match dialect {
        Dialect::Sqlite if options.read_only => {
            if let Connection::Sqlite(connection) = lease.connection() {
                connection.set_read_only(true).await?;
            }
            lease.command("BEGIN").await
        }
        Dialect::Sqlite if options.immediate => lease.command("BEGIN IMMEDIATE").await,
        Dialect::Sqlite => lease.command("BEGIN").await,
        Dialect::Postgres => {
            let mut sql = String::from(match options.isolation {
                None => "BEGIN",
                Some(Isolation::ReadCommitted) => "BEGIN ISOLATION LEVEL READ COMMITTED",
                Some(Isolation::RepeatableRead) => "BEGIN ISOLATION LEVEL REPEATABLE READ",
                Some(Isolation::Serializable) => "BEGIN ISOLATION LEVEL SERIALIZABLE",
            });
            if options.read_only {
                sql.push_str(" READ ONLY");
            }
            if options.deferrable {
                sql.push_str(" DEFERRABLE");
            }
            // The SQL of the fence contains its marker, and settings that may be secrets.
            let told = sql.clone();
            if let Some(enclosure) = enclosure {
                sql.push_str(&enclosure.opening());
            }
            lease.command_told_as(&told, &sql).await
        }
    }
}
