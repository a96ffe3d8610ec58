//! Plans of several steps that return rows, as consecutive result sets.

use std::sync::Arc;

use ferro_wit::plan::{Effect, Plan};
use ferro_wit::types::{Batch, Error, Isolation, TransactionOptions};

use super::keys::Keys;
use super::{Execution, Need, Target, open};
use crate::cursor::{Cursor, PlannedStep};
use crate::database::Database;
use crate::transaction::Transaction;

/// The remaining part of a plan while a cursor is at one of its steps.
pub(crate) struct Steps {
    execution: Arc<Execution>,
    origin: Origin,
    /// The step that the cursor is at.
    current: usize,
    keys: Keys,
}

/// Where all steps run.
enum Origin {
    Database(Database),
    /// The caller's transaction, or one that was begun for these steps.
    Transaction(Transaction),
}

impl Steps {
    /// A cursor at the first step.
    pub(super) async fn start(
        target: Target<'_>,
        execution: Arc<Execution>,
    ) -> Result<Cursor, Error> {
        let origin = match target {
            Target::Transaction(transaction) => Origin::Transaction(transaction.handle()),
            Target::Database(database) if execution.plan.atomic => {
                // A transaction that only reads blocks nobody, so it needs no deadline.
                let is_write = execution.plan.effect == Effect::Write;
                let time = database.transaction_timeout().filter(|_| is_write);
                let begun = database.begin_within(snapshot(&execution.plan), time);
                Origin::Transaction(begun.await?)
            }
            Target::Database(database) => Origin::Database(database.clone()),
        };
        let keys = Keys::of(&execution.plan);
        Self { execution, origin, current: 0, keys }.open().await
    }

    /// Collects the keys of rows that the caller receives.
    pub(crate) fn pass(&mut self, batch: &Batch) {
        self.keys.add(self.current, batch);
    }

    /// Whether there is no step after this one.
    pub(crate) fn is_last(&self) -> bool {
        self.current + 1 >= self.execution.plan.steps.len()
    }

    /// A cursor at the next step.
    pub(crate) async fn next(mut self) -> Result<Cursor, Error> {
        self.current += 1;
        self.open().await
    }

    /// Ends a transaction that was begun for these steps. They changed nothing, so rolling it back
    /// loses nothing.
    pub(crate) async fn end(self) -> Result<(), Error> {
        match self.origin {
            Origin::Transaction(transaction) => transaction.end_reading().await,
            Origin::Database(_) => Ok(()),
        }
    }

    async fn open(self) -> Result<Cursor, Error> {
        let Self { execution, origin, current, keys } = &self;
        let planned = PlannedStep::new(&execution.plan, *current)?;
        let cursor = match keys.lack(planned.step()) {
            true => Cursor::empty(planned),
            false => {
                let need = Need::of(execution.plan.effect);
                open(origin.target(), execution, (*current, 0), keys, need).await?
            }
        };
        Ok(cursor.followed_by(self))
    }
}

impl Origin {
    fn target(&self) -> Target<'_> {
        match self {
            Self::Database(database) => Target::Database(database),
            Self::Transaction(transaction) => Target::Transaction(transaction),
        }
    }
}

/// A transaction in which every statement sees the same rows.
fn snapshot(plan: &Plan) -> TransactionOptions {
    TransactionOptions {
        isolation: Some(Isolation::RepeatableRead),
        // A select that locks rows needs a transaction that may write.
        read_only: plan.effect == Effect::Read,
        ..TransactionOptions::default()
    }
}
