//! Where statements run, and on which connection.

use std::sync::Arc;

use ferro_wit::plan::Effect;
use ferro_wit::types::{Dialect, Error};

use super::place::Place;
use crate::database::Database;
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

/// The largest row of a stranger, in bytes.
const STRANGERS_ROW: usize = 128 << 20;

/// Which connection a statement needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Whichever is at hand. If it turns out to be dead, the statement is sent again on another.
    Any,
    /// One that has given a sign of life, since what may write is not sent twice.
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
    pub(super) async fn place(self, need: Need) -> Result<Place, Error> {
        let place = match self {
            Self::Database(it) => it.place(false, need).await?,
            Self::Transaction(it) => it.place(false).await?,
        };
        place.hold_to(None).await
    }

    /// The connection for SQL text of the caller.
    pub(super) async fn place_for(self, statement: &Statement<'_>) -> Result<Place, Error> {
        let place = match self {
            Self::Database(it) => it.place(true, Need::Live).await?.admit(true).await?,
            Self::Transaction(it) => it.place(true).await?,
        };
        let fence = self.fence().filter(|it| it.raw_sql == RawSql::Fenced);
        let fence = fence.map(|it| match statement.replaces {
            true => Arc::new(it.replacing()),
            false => Arc::clone(it),
        });
        let mut place = place.hold_to(fence.as_ref()).await?;
        place.leave(match self.fence() {
            Some(_) => Traces::Stranger,
            None if statement.lasts => Traces::Session,
            None => Traces::None,
        });
        Ok(place)
    }

    /// How many bytes a row may have that is read. A stranger may put together one in the database
    /// that no limit of the host has seen.
    pub(super) fn largest_row(self) -> usize {
        self.fence().map_or(usize::MAX, |_| STRANGERS_ROW)
    }

    /// What the database itself holds the caller to; none for the application.
    pub(super) fn fence(self) -> Option<&'a Arc<Fence>> {
        match self {
            Self::Database(it) => it.fence(),
            Self::Transaction(it) => it.fence(),
        }
    }
}
