//! Applying migrations.

use std::time::Duration;

use ferro_wit::REBUILT;
use ferro_wit::plan::{MigrationStep, Risk};
use ferro_wit::types::{Dialect, Error, ErrorKind, TransactionOptions, Value};

use super::statement_connection::StatementConnection;
use crate::database::Database;
use crate::transaction::Transaction;

/// How long a migration of PostgreSQL waits for another one, unless the connection has its own
/// `lock_timeout`. On SQLite it waits like any writer, for the `busy_timeout`.
const PATIENCE: Duration = Duration::from_secs(60);

/// The result of a migration.
#[derive(Debug, Clone, PartialEq)]
pub struct Migration {
    /// The SQL dialect of the steps.
    pub dialect: Dialect,
    /// The steps that were applied, in order.
    pub applied: Vec<MigrationStep>,
    /// The steps that were not applied, as their risk was too high.
    pub left: Vec<MigrationStep>,
}

impl Database {
    /// Applies the steps of a migration in order, in one transaction if all of them may run in one;
    /// concurrent calls on one database then wait for each other, as [`migrate`](Self::migrate)
    /// does. On SQLite, foreign keys are not enforced meanwhile, but checked at the end.
    ///
    /// # Errors
    ///
    /// Errors of the database in a step, which the message names. Without a transaction, the steps
    /// before it stay applied. `busy`, if another migration does not end in time.
    /// `foreign-key-violation` on SQLite, if rows violate foreign keys afterwards.
    pub async fn apply(&self, steps: &[MigrationStep]) -> Result<(), Error> {
        if !steps.iter().all(|it| it.transactional) {
            return self.apply_alone(steps).await;
        }
        let keys = match self.dialect() {
            Dialect::Sqlite if puts_rows_at_risk(steps) => {
                Some(self.enforces_foreign_keys().await?)
            }
            _ => None,
        };
        let transaction = self.begin_migration(keys).await.map_err(waited)?;
        let applied = async {
            in_turns(&transaction, PATIENCE).await?;
            let mut orphans = Orphans::new(keys == Some(true));
            apply(&transaction, steps, &mut orphans).await?;
            orphans.check(&transaction).await
        };
        let applied = applied.await;
        transaction.end(applied).await
    }

    /// Reads the schema of the database with the statements of a catalog's `introspection`, has the
    /// steps of a migration planned from it, and applies those of at most this `risk`; with `None`,
    /// it applies nothing. Everything runs in one transaction. Only steps that may not run in a
    /// transaction, such as new enum values on PostgreSQL, run before it.
    ///
    /// Migrations of the same database wait for each other: on PostgreSQL for a minute, or for the
    /// `lock_timeout` of the connection if it has one; on SQLite for the `busy_timeout`.
    ///
    /// On SQLite, foreign keys are not enforced meanwhile, but checked at the end. On PostgreSQL,
    /// the role must be allowed to create temporary tables.
    ///
    /// # Errors
    ///
    /// Errors of `plan` and of the database; the message names the step. `busy`, if another
    /// migration does not end in time. `denied` or `read-only` on PostgreSQL, if temporary tables
    /// are not allowed. `foreign-key-violation` on SQLite, if rows violate foreign keys afterwards.
    /// Then nothing is changed, except by steps that may not run in a transaction.
    pub async fn migrate(
        &self,
        questions: &[String],
        plan: impl Fn(&[String]) -> Result<Vec<MigrationStep>, Error>,
        risk: Option<Risk>,
    ) -> Result<Migration, Error> {
        self.carry_out(Job { questions, plan: &plan, risk, script: None }).await
    }

    /// Like [`migrate`](Self::migrate), if the script of all steps is still the reviewed one.
    /// Otherwise nothing is applied, and the returned migration has another script. Steps on SQLite
    /// that can only be planned after renames are left, too, as they were not reviewed.
    ///
    /// # Errors
    ///
    /// As [`migrate`](Self::migrate).
    pub async fn migrate_reviewed(
        &self,
        questions: &[String],
        plan: impl Fn(&[String]) -> Result<Vec<MigrationStep>, Error>,
        risk: Risk,
        script: &str,
    ) -> Result<Migration, Error> {
        let job = Job { questions, plan: &plan, risk: Some(risk), script: Some(script) };
        self.carry_out(job).await
    }

    async fn carry_out<P>(&self, job: Job<'_, P>) -> Result<Migration, Error>
    where
        P: Fn(&[String]) -> Result<Vec<MigrationStep>, Error>,
    {
        let mut keys = None;
        if self.dialect() == Dialect::Sqlite {
            // If there is nothing to do, do not wait for writers, nor require write access.
            let transaction = self.begin(TransactionOptions::default()).await?;
            let migration = match job.plan(&transaction, &[]).await {
                Ok(migration) => migration,
                failed => return transaction.end(failed).await,
            };
            transaction.rollback().await?;
            if migration.applied.is_empty() {
                return Ok(migration);
            }
            keys = Some(self.enforces_foreign_keys().await?);
        }
        let mut alone = Vec::new();
        loop {
            let transaction = self.begin_migration(keys).await.map_err(waited)?;
            let run = job.run(&transaction, keys == Some(true), &alone);
            let mut migration = match run.await {
                Ok(migration) => migration,
                failed => return transaction.end(failed).await,
            };
            let (first, rest): (Vec<_>, _) =
                migration.applied.into_iter().partition(|it| !it.transactional);
            migration.applied = rest;
            if first.is_empty() {
                migration.applied.splice(..0, alone);
                return transaction.end(Ok(migration)).await;
            }
            transaction.rollback().await?;
            if !alone.is_empty() {
                return Err(still_missing(&first));
            }
            self.apply_alone(&first).await?;
            alone = first;
        }
    }

    /// Applies steps of which some may not run in a transaction, each on its own.
    async fn apply_alone(&self, steps: &[MigrationStep]) -> Result<(), Error> {
        for step in steps {
            let connection =
                StatementConnection::of_pool(self.acquire_live().await?, self.dialect());
            run(connection, &step.sql).await.map_err(|error| failed(step, error))?;
        }
        Ok(())
    }

    async fn enforces_foreign_keys(&self) -> Result<bool, Error> {
        let mut rows = self.fetch_raw("PRAGMA foreign_keys", Vec::new()).await?;
        let row = rows.next(1).await?;
        Ok(row.is_some_and(|it| it.columns[0].get(0) == Some(Value::Integer(1))))
    }
}

/// A migration to run.
struct Job<'a, P> {
    questions: &'a [String],
    plan: &'a P,
    risk: Option<Risk>,
    /// The reviewed script, from which the migration must not differ; else nothing is applied.
    script: Option<&'a str>,
}

impl<P: Fn(&[String]) -> Result<Vec<MigrationStep>, Error>> Job<'_, P> {
    /// Plans a migration: which steps to apply, and which to leave. Some steps are `done` already.
    async fn plan(
        &self,
        transaction: &Transaction,
        done: &[MigrationStep],
    ) -> Result<Migration, Error> {
        let steps = (self.plan)(&introspect(transaction, self.questions).await?)?;
        let dialect = transaction.dialect();
        let as_reviewed = self.script.is_none_or(|script| {
            let left = done.iter().chain(&steps).cloned().collect();
            Migration { dialect, applied: Vec::new(), left }.script() == script
        });
        let allowed =
            |step: &MigrationStep| as_reviewed && self.risk.is_some_and(|it| step.risk <= it);
        let (applied, left) = steps.into_iter().partition(allowed);
        Ok(Migration { dialect, applied, left })
    }

    /// Plans a migration, and applies its steps, unless some of them may not run in a transaction.
    /// With `keys`, foreign keys on SQLite must hold afterwards as far as they did before.
    async fn run(
        &self,
        transaction: &Transaction,
        keys: bool,
        done: &[MigrationStep],
    ) -> Result<Migration, Error> {
        in_turns(transaction, PATIENCE).await?;
        let mut migration = self.plan(transaction, done).await?;
        if !migration.applied.iter().all(|it| it.transactional) {
            return Ok(migration);
        }
        let mut orphans = Orphans::new(keys && puts_rows_at_risk(&migration.applied));
        apply(transaction, &migration.applied, &mut orphans).await?;
        // On SQLite, some changes can only be planned after renames.
        if transaction.dialect() == Dialect::Sqlite && !migration.applied.is_empty() {
            let mut rest = self.plan(transaction, &[]).await?;
            if self.script.is_some() {
                rest.left.splice(..0, rest.applied.drain(..));
            }
            apply(transaction, &rest.applied, &mut orphans).await?;
            migration.applied.extend(rest.applied);
            migration.left = rest.left;
        }
        orphans.check(transaction).await?;
        Ok(migration)
    }
}

/// The results of the statements of a catalog's `introspection`.
async fn introspect(transaction: &Transaction, questions: &[String]) -> Result<Vec<String>, Error> {
    let savepoint = transaction.begin(Default::default()).await?;
    let mut found = Vec::new();
    for sql in questions {
        if !sql.starts_with("SELECT") {
            run(savepoint.connection(false).await?, sql).await.map_err(incomparable)?;
            continue;
        }
        let mut rows = savepoint.fetch_raw(sql, Vec::new()).await?;
        while let Some(batch) = rows.next(1).await? {
            match batch.columns.first().and_then(|it| it.get(0)) {
                Some(Value::Text(text) | Value::Json(text)) => found.push(text),
                _ => {
                    return Err(Error::new(ErrorKind::InvalidQuery, "introspection returns texts"));
                }
            }
        }
    }
    savepoint.rollback().await?;
    Ok(found)
}

/// Makes concurrent migrations wait for each other. Programs that start at the same time would
/// otherwise create the same table, and all but one would fail, despite `IF NOT EXISTS`. SQLite has
/// only one writer at a time anyway.
async fn in_turns(transaction: &Transaction, patience: Duration) -> Result<(), Error> {
    if transaction.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    // The number is "ferro" in ASCII.
    let take = "SELECT pg_catalog.pg_advisory_xact_lock(439788663407)";
    let patience = format!("SET LOCAL lock_timeout = {}", patience.as_millis());
    let statements = match has_lock_timeout(transaction).await? {
        true => vec![take],
        false => vec![&*patience, take, "SET LOCAL lock_timeout = 0"],
    };
    for sql in statements {
        run(transaction.connection(false).await?, sql).await.map_err(waited)?;
    }
    Ok(())
}

/// Whether the connection limits how long it waits for locks.
async fn has_lock_timeout(transaction: &Transaction) -> Result<bool, Error> {
    let ask = "SELECT pg_catalog.current_setting('lock_timeout') <> '0'";
    let mut rows = transaction.fetch_raw(ask, Vec::new()).await?;
    let answer = rows.next(1).await?;
    while rows.next(1).await?.is_some() {}
    let answer = answer.as_ref().and_then(|it| it.columns.first()).and_then(|it| it.get(0));
    Ok(answer == Some(Value::Boolean(true)))
}

/// The error of a migration that waited too long for another one.
fn waited(error: Error) -> Error {
    let advice = match error.code.as_deref() {
        // 57014 is a `statement_timeout`, or a user who cancels the statement.
        Some("55P03" | "57014") if error.kind != ErrorKind::Cancelled => {
            "another migration of this database has not ended in time: migrate again when it has; \
             the advisory locks in `pg_locks` show its connection"
        }
        Some(code) if code.starts_with("SQLITE_BUSY") => {
            "another program has written to this database for longer than `busy_timeout`: migrate \
             again when it has ended"
        }
        _ => return error,
    };
    let message = format!("{advice} ({})", error.message);
    Error { kind: ErrorKind::Busy, message, ..error }
}

async fn apply(
    transaction: &Transaction,
    steps: &[MigrationStep],
    orphans: &mut Orphans,
) -> Result<(), Error> {
    for step in steps {
        if !changes_no_rows(step) {
            orphans.count(transaction).await?;
        }
        let connection = transaction.connection(false).await?;
        run(connection, &step.sql).await.map_err(|error| failed(step, error))?;
    }
    Ok(())
}

async fn run(mut connection: StatementConnection, sql: &str) -> Result<(), Error> {
    match connection.lease().command(sql).await {
        Ok(()) => connection.complete().await,
        Err(error) => Err(connection.fail(error).await),
    }
}

/// Safe steps only add, so they cannot orphan rows.
fn puts_rows_at_risk(steps: &[MigrationStep]) -> bool {
    steps.iter().any(|it| it.risk > Risk::Safe)
}

/// Whether a step on SQLite neither removes rows nor changes what they refer to: it renames
/// something, or adds or drops a column that is in no key.
pub(super) fn changes_no_rows(step: &MigrationStep) -> bool {
    step.sql.starts_with("ALTER TABLE ")
}

/// Counts rows on SQLite with dangling references, if foreign keys must hold as far as they did
/// before.
struct Orphans {
    watched: bool,
    /// The counts from before any rows were changed, but after tables were renamed.
    before: Option<Vec<(String, String, i64)>>,
}

impl Orphans {
    fn new(watched: bool) -> Self {
        Self { watched, before: None }
    }

    async fn count(&mut self, transaction: &Transaction) -> Result<(), Error> {
        if self.watched && self.before.is_none() {
            self.before = Some(orphans(transaction).await?);
        }
        Ok(())
    }

    async fn check(&self, transaction: &Transaction) -> Result<(), Error> {
        match &self.before {
            Some(before) => check_foreign_keys(before, &orphans(transaction).await?),
            None => Ok(()),
        }
    }
}

/// The number of rows with dangling references, by their table and the table they refer to.
async fn orphans(transaction: &Transaction) -> Result<Vec<(String, String, i64)>, Error> {
    const ASK: &str =
        "SELECT \"table\", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2";
    let mut rows = transaction.fetch_raw(ASK, Vec::new()).await?;
    let mut orphans = Vec::new();
    while let Some(batch) = rows.next(1).await? {
        let value = |column: usize| batch.columns.get(column).and_then(|it| it.get(0));
        if let (Some(Value::Text(table)), Some(Value::Text(parent)), Some(Value::Integer(count))) =
            (value(0), value(1), value(2))
        {
            orphans.push((table, parent, count));
        }
    }
    Ok(orphans)
}

/// Fails if there are more dangling references than before.
fn check_foreign_keys(
    before: &[(String, String, i64)],
    after: &[(String, String, i64)],
) -> Result<(), Error> {
    let count = |table: &str, parent: &str| {
        before.iter().find(|it| it.0 == table && it.1 == parent).map_or(0, |it| it.2)
    };
    let more = |it: &&(String, String, i64)| it.2 > count(&it.0, &it.1);
    let Some((table, parent, _)) = after.iter().find(more) else { return Ok(()) };
    let message = format!(
        "a row of table `{table}` refers to a row of table `{parent}` that does not exist; nothing \
         is changed"
    );
    let error = Error::new(ErrorKind::ForeignKeyViolation, message);
    Err(Error { table: Some(table.clone()), ..error })
}

/// The error of a statement that creates the temporary tables with which the models are compared.
fn incomparable(error: Error) -> Error {
    let advice = match error.kind {
        ErrorKind::Denied => "`GRANT TEMPORARY ON DATABASE` to the role of this connection",
        ErrorKind::ReadOnly => "migrate on a server that takes writes",
        _ => return error,
    };
    let message = format!(
        "the models are compared with temporary tables, which cannot be created: {}: {advice}",
        error.message
    );
    Error { message, ..error }
}

fn failed(step: &MigrationStep, mut error: Error) -> Error {
    // Rows are copied to a new table, which has a temporary name until then.
    let copies = step.sql.starts_with(&format!("INSERT INTO \"{REBUILT}"));
    let table = error.table.as_deref().and_then(|it| it.strip_prefix(REBUILT));
    if let Some(table) = table.filter(|_| copies).map(str::to_owned) {
        error.message = error.message.replace(&format!("{REBUILT}{table}."), &format!("{table}."));
        error.table = Some(table);
    }
    error.message = format!("{}: {}", step.description, error.message);
    error
}

fn still_missing(steps: &[MigrationStep]) -> Error {
    let what = steps.first().map(|it| it.description.as_str()).unwrap_or_default();
    Error::new(
        ErrorKind::Internal,
        format!(
            "{what}: it was applied, but the database still lacks \
                                             it"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ConnectOptions;

    #[tokio::test]
    async fn a_turn_comes_in_time_or_not_at_all() {
        let url = ferro_test_support::postgres::url();
        let database = Database::connect(&url, &ConnectOptions::default()).await.unwrap();
        let first = database.begin_migration(None).await.unwrap();
        in_turns(&first, PATIENCE).await.unwrap();
        // The `lock_timeout` does not apply to other locks.
        let mut rows = first.fetch_raw("SHOW lock_timeout", vec![]).await.unwrap();
        let shown = rows.next(1).await.unwrap().unwrap().columns[0].get(0);
        assert_eq!(shown, Some(Value::from("0")));
        drop(rows);

        let second = database.begin_migration(None).await.unwrap();
        let error = in_turns(&second, Duration::from_millis(100)).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_deref()), (ErrorKind::Busy, Some("55P03")));
        assert!(error.message.starts_with("another migration of this database"), "{error}");
        second.rollback().await.unwrap();
        // Nor does a `statement_timeout` look like a slow statement of the migration.
        let third = database.begin_migration(None).await.unwrap();
        let shorter = "SET LOCAL statement_timeout = 100";
        run(third.connection(false).await.unwrap(), shorter).await.unwrap();
        let error = in_turns(&third, PATIENCE).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_deref()), (ErrorKind::Busy, Some("57014")));
        third.rollback().await.unwrap();
        first.commit().await.unwrap();
        let third = database.begin_migration(None).await.unwrap();
        in_turns(&third, Duration::from_millis(100)).await.unwrap();
        third.commit().await.unwrap();
    }
}
