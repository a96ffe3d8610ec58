//! Where statements run, and on which connection.

use std::sync::Arc;

use ferro_wit::plan::Effect;
use ferro_wit::types::{Dialect, Error};
use tokio::time::Instant;

use super::statement_connection::StatementConnection;
use crate::database::Database;
use crate::deadlines::Deadlines;
use crate::fence::{Fence, RawSql};
use crate::raw::Statement;
use crate::reset::Traces;
use crate::transaction::Transaction;

/// Where to run.
#[derive(Clone, Copy)]
pub(crate) enum Target<'a> {
    Database(&'a Database),
    Transaction(&'a Transaction),
}

/// The largest row of an untrusted caller, in bytes.
const STRANGERS_ROW: usize = 128 << 20;

/// Which connection a statement needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Any. If it turns out to be dead, the statement is sent again on another one.
    Any,
    /// One that has been tested, since a statement that may write is not sent twice.
    Live,
}

impl Need {
    pub(super) fn of(effect: Effect) -> Self {
        match effect {
            Effect::Read => Self::Any,
            Effect::Write => Self::Live,
        }
    }
}

impl<'a> Target<'a> {
    pub(crate) fn dialect(self) -> Dialect {
        match self {
            Self::Database(it) => it.dialect(),
            Self::Transaction(it) => it.dialect(),
        }
    }

    /// The connection for a statement.
    pub(super) async fn connection(self, need: Need) -> Result<StatementConnection, Error> {
        let connection = match self {
            Self::Database(it) => it.connection(false, need).await?,
            Self::Transaction(it) => it.connection(false).await?,
        };
        connection.hold_to(None).await
    }

    /// The connection for SQL text of the caller.
    pub(super) async fn connection_for(
        self,
        statement: &Statement<'_>,
    ) -> Result<StatementConnection, Error> {
        let connection = match self {
            Self::Database(it) => it.connection(true, Need::Live).await?.admit(true).await?,
            Self::Transaction(it) => it.connection(true).await?,
        };
        let fence = self.fence().filter(|it| it.raw_sql == RawSql::Fenced);
        let fence = fence.map(|it| match statement.replaces {
            true => Arc::new(it.replacing()),
            false => Arc::clone(it),
        });
        let mut connection = connection.hold_to(fence.as_ref()).await?;
        connection.leave(match self.fence() {
            Some(_) => Traces::Stranger,
            None if statement.lasts => Traces::Session,
            None => Traces::None,
        });
        Ok(connection)
    }

    /// The maximum size in bytes of a row that is read. An untrusted caller may compose a large row
    /// inside the database, where no limit of the host applies.
    pub(super) fn largest_row(self) -> usize {
        self.fence().map_or(usize::MAX, |_| STRANGERS_ROW)
    }

    /// When the rows of a statement that has changed something, or is about to, must have been
    /// read. In a transaction, they end with the transaction.
    pub(super) fn end_of_rows(
        self,
        connection: &StatementConnection,
        changes: bool,
    ) -> Option<(Instant, Arc<Deadlines>)> {
        let Self::Database(database) = self else { return None };
        let time = database.transaction_timeout().filter(|_| changes)?;
        Instant::now().checked_add(time).zip(connection.deadlines().cloned())
    }

    /// The fence that the database enforces on the caller; `None` for the application itself.
    pub(super) fn fence(self) -> Option<&'a Arc<Fence>> {
        match self {
            Self::Database(it) => it.fence(),
            Self::Transaction(it) => it.fence(),
        }
    }
}
