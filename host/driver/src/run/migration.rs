//! Applying migrations.

use ferro_wit::plan::MigrationStep;
use ferro_wit::types::{Dialect, Error, TransactionOptions};

use super::place::Place;
use crate::database::Database;
use crate::transaction::Transaction;
use crate::transaction::state::command;

/// Programs that start at once would make the same table at once, and all but one fail, whatever
/// `IF NOT EXISTS` says. The number is "ferro" in ASCII.
const IN_TURNS: &str = "SELECT pg_catalog.pg_advisory_xact_lock(439788663407)";

impl Database {
    /// Applies the steps of a migration in order, in one transaction if all of them may run in one.
    /// Several that are applied to one database at once wait for each other then.
    ///
    /// # Errors
    ///
    /// What the database says of a step, which the message names. Without a transaction, the steps
    /// before it stay applied.
    pub async fn apply(&self, steps: &[MigrationStep]) -> Result<(), Error> {
        if !steps.iter().all(|it| it.transactional) {
            for step in steps {
                // Not in a transaction, whatever is around other statements.
                let place = Place::of_pool(self.acquire_live().await?, self.dialect());
                run(place, &step.sql).await.map_err(|error| failed(step, error))?;
            }
            return Ok(());
        }
        let options = TransactionOptions { immediate: true, ..TransactionOptions::default() };
        let transaction = self.begin(options).await?;
        match apply(&transaction, steps).await {
            Ok(()) => transaction.commit().await,
            Err(error) => {
                transaction.rollback().await?;
                Err(error)
            }
        }
    }
}

async fn apply(transaction: &Transaction, steps: &[MigrationStep]) -> Result<(), Error> {
    if transaction.dialect() == Dialect::Postgres {
        run(transaction.place(false).await?, IN_TURNS).await?;
    }
    for step in steps {
        let place = transaction.place(false).await?;
        run(place, &step.sql).await.map_err(|error| failed(step, error))?;
    }
    Ok(())
}

async fn run(mut place: Place, sql: &str) -> Result<(), Error> {
    match command(place.begin().0, sql).await {
        Ok(()) => place.complete().await,
        Err(error) => Err(place.fail(error).await),
    }
}

fn failed(step: &MigrationStep, error: Error) -> Error {
    Error { message: format!("{}: {}", step.description, error.message), ..error }
}
