//! Running plans and SQL text, on a connection of the pool or in a transaction.

mod batch;
pub(crate) mod binds;
mod bulk;
mod describe;
mod keys;
pub(crate) mod migration;
mod script;
pub(crate) mod statement_connection;
pub(crate) mod steps;
mod target;
mod text;

use std::borrow::Cow;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use ferro_wit::plan::{Effect, Plan, Step};
use ferro_wit::types::{Batch, Dialect, Error, ErrorKind, Value};
use sqlx::AssertSqlSafe;

use self::binds::Arguments;
use self::keys::Keys;
use self::statement_connection::{STALE, StatementConnection};
use self::steps::Steps;
pub(crate) use self::target::{Need, Target};
pub(crate) use self::text::{execute_raw, fetch_raw};
use crate::cursor::{self, Cursor, ExpectedColumn, PlannedStep};
use crate::database::Database;
use crate::lease::Connection;

/// A plan with its values.
#[derive(Clone)]
pub struct Execution {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The parameters of the query, in order.
    pub parameters: Vec<Value>,
    /// The forced values of the scope, in order.
    pub forced: Vec<Value>,
    /// The rows of a batch to write, one column per field.
    pub rows: Option<Batch>,
}

impl Database {
    /// Runs a plan that returns rows, up to its first row. The steps of a plan are consecutive
    /// result sets; an `atomic` plan holds a connection, and a snapshot of the database, from the
    /// first to the last of them. With rows it is a batch insert, as in [`execute`](Self::execute),
    /// which returns rows in their order.
    ///
    /// # Errors
    ///
    /// Before anything is sent: `invalid-query` for a missing or extra parameter, `type-mismatch`
    /// and `value-out-of-range` for values that do not fit. Then `busy` if no connection is free in
    /// time, and errors of the database.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection and ends the statement, which may already have
    /// run.
    pub async fn fetch(&self, execution: Execution) -> Result<Cursor, Error> {
        fetch(Target::Database(self), execution).await
    }

    /// Runs a plan for its effect; returns the number of changed rows. With rows it is a batch
    /// insert: all are written or none.
    ///
    /// # Errors
    ///
    /// As [`fetch`](Self::fetch).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection and ends what runs; a single statement may already
    /// have run.
    pub async fn execute(&self, execution: Execution) -> Result<u64, Error> {
        execute(Target::Database(self), execution).await
    }

    /// Runs one SQL statement that returns rows. Placeholders are `?` or `$1` on every database. On
    /// PostgreSQL, a `?` that may be an operator is not a placeholder: in `?|`, `?&` and `@?`,
    /// before a string literal or another `?`, and in a statement with a `$1`; `??` is always the
    /// operator. Values are bound with their own types.
    ///
    /// # Errors
    ///
    /// Before anything is sent: `invalid-query` for several statements, for too few or too many
    /// parameters, and for statements that begin or end transactions. Then `unsupported` for
    /// columns of types that cannot be read, and errors of the database.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection and ends the statement, which may already have
    /// run.
    pub async fn fetch_raw(&self, sql: &str, parameters: Vec<Value>) -> Result<Cursor, Error> {
        fetch_raw(Target::Database(self), sql, parameters, None).await
    }

    /// The same for rows with known columns: the statement must return exactly the columns of
    /// `expected`, in any order, and computed values are read as the expected types.
    ///
    /// # Errors
    ///
    /// As [`fetch_raw`](Self::fetch_raw). `invalid-query` for other columns, before the statement
    /// has changed anything; `decode-failed` for an unexpected value or null, while its rows are
    /// read.
    ///
    /// # Cancel safety
    ///
    /// As [`fetch_raw`](Self::fetch_raw).
    pub async fn fetch_raw_as(
        &self,
        sql: &str,
        parameters: Vec<Value>,
        expected: Arc<[ExpectedColumn]>,
    ) -> Result<Cursor, Error> {
        fetch_raw(Target::Database(self), sql, parameters, Some(expected)).await
    }

    /// Runs one statement of SQL for its effect; the number of rows that an `INSERT`, `UPDATE`,
    /// `DELETE`, `REPLACE` or `MERGE` changed, 0 for other statements.
    ///
    /// # Errors
    ///
    /// As [`fetch_raw`](Self::fetch_raw).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection and ends the statement, which may already have
    /// run.
    pub async fn execute_raw(&self, sql: &str, parameters: Vec<Value>) -> Result<u64, Error> {
        execute_raw(Target::Database(self), sql, parameters).await
    }
}

impl fmt::Debug for Execution {
    /// Without the values, which may not be meant for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Execution")
            .field("plan", &self.plan)
            .field("parameters", &self.parameters.len())
            .field("forced", &self.forced.len())
            .field("rows", &self.rows.as_ref().map(|it| it.rows))
            .finish()
    }
}

pub(crate) async fn fetch(target: Target<'_>, execution: Execution) -> Result<Cursor, Error> {
    binds::check_counts(&execution)?;
    let need = Need::of(execution.plan.effect);
    let execution = Arc::new(execution);
    let once = async |need| match execution.plan.steps.len() {
        _ if execution.rows.is_some() => batch::fetch(target, &execution).await,
        1 => open(target, &execution, (0, 0), &Keys::default(), need).await,
        _ => Steps::start(target, Arc::clone(&execution)).await,
    };
    match once(need).await {
        Err(error) if may_repeat(target, &error, need) => Box::pin(once(Need::Live)).await,
        result => result,
    }
}

/// Opens a cursor at the first row of the step `index`. If it writes rows of a batch, it starts at
/// row `first`.
async fn open(
    target: Target<'_>,
    execution: &Execution,
    (index, first): (usize, usize),
    keys: &Keys,
    need: Need,
) -> Result<Cursor, Error> {
    let planned = PlannedStep::new(&execution.plan, index)?;
    let step = planned.step();
    let arguments = binds::of_step(step, execution, keys, target.dialect(), first)?;
    let connection = target.connection(need).await?.for_cursor();
    let (keep, most) = (connection.keeps_statements(), target.largest_row());
    let watch = connection.watch(&step.sql);
    let end = target.end_of_rows(&connection, execution.plan.effect == Effect::Write);
    let opened = match arguments {
        Arguments::Sqlite(values) => {
            let request = cursor::sqlite::Request {
                sql: &step.sql,
                values: &values,
                keep,
                most,
                expected: None,
            };
            cursor::sqlite::open(connection, request, Some(planned.clone())).await
        }
        Arguments::Postgres(arguments) => {
            let sql = describe::typed(&step.sql, describe::of_step(step));
            let request = cursor::postgres::Request { sql, arguments, keep, most };
            let reader = cursor::postgres::Planned::new(planned.clone());
            let (runtime, transaction) = (connection.runtime_to_skip(), connection.transaction());
            let events = |it| cursor::postgres::events(connection, request, reader, it);
            Cursor::start(Some(planned), runtime, transaction, events).await
        }
    };
    watch.opened(opened.map(|it| it.ending(end)))
}

pub(crate) async fn execute(target: Target<'_>, execution: Execution) -> Result<u64, Error> {
    binds::check_counts(&execution)?;
    if execution.rows.is_some() {
        return batch::write(target, Arc::new(execution)).await;
    }
    run_step(target, only_step(&execution.plan)?, &execution, 0).await
}

/// Runs a step, for some rows of the batch if there is one; returns how many rows it changed.
async fn run_step(
    target: Target<'_>,
    step: &Step,
    execution: &Execution,
    first: usize,
) -> Result<u64, Error> {
    let need = Need::of(execution.plan.effect);
    let once = async |need| {
        let keys = Keys::default();
        let arguments = binds::of_step(step, execution, &keys, target.dialect(), first)?;
        let connection = target.connection(need).await?;
        let watch = connection.watch(&step.sql);
        let ran = run_once(connection, &sql_of(step, target), arguments, true).await;
        // After a read, a database may report the number of rows changed by an earlier statement.
        watch.changed(ran.map(|it| if execution.plan.effect == Effect::Write { it } else { 0 }))
    };
    match once(need).await {
        Err(error) if may_repeat(target, &error, need) => Box::pin(once(Need::Live)).await,
        result => result,
    }
}

/// The SQL of a step as it is sent to the database.
fn sql_of<'a>(step: &'a Step, target: Target<'_>) -> Cow<'a, str> {
    match target.dialect() {
        Dialect::Sqlite => Cow::Borrowed(&step.sql),
        Dialect::Postgres => Cow::Owned(describe::typed(&step.sql, describe::of_step(step))),
    }
}

/// Runs a statement; returns how many rows the database reports as changed.
async fn run_once(
    mut connection: StatementConnection,
    sql: &str,
    arguments: Arguments<'_>,
    repeats: bool,
) -> Result<u64, Error> {
    let keep = repeats && connection.keeps_statements();
    let result = match (connection.begin().0, arguments) {
        (Connection::Sqlite(inner), Arguments::Sqlite(values)) => {
            match inner.open(sql, keep, Some(&values)).await {
                Ok(_) => inner.execute().await,
                Err(error) => Err(error),
            }
        }
        (Connection::Postgres(backend), Arguments::Postgres(arguments)) => {
            let (inner, vigil) = backend.parts();
            let query = sqlx::query_with(AssertSqlSafe(sql), arguments).persistent(keep);
            vigil.over(sql, pin!(query.execute(inner))).await.map(|it| it.rows_affected())
        }
        _ => unreachable!("arguments are encoded for the database that they are sent to"),
    };
    match result {
        Ok(changed) => connection.complete().await.map(|()| changed),
        Err(error) => Err(connection.fail(error).await),
    }
}

/// `invalid_sql_statement_name`: the prepared statement does not exist, so nothing was executed.
const LOST: &str = "26000";

/// Whether a statement can be sent again: it was rejected before it ran, for a reason that is gone
/// the next time; or it only reads and its connection was lost, which may have been dead before. In
/// a transaction, neither helps.
fn may_repeat(target: Target<'_>, error: &Error, need: Need) -> bool {
    let code = error.code.as_deref();
    let stale = error.retryable && code == Some(STALE) || code == Some(LOST);
    let lost = need == Need::Any && error.kind == ErrorKind::ConnectionFailed && !error.retryable;
    matches!(target, Target::Database(_)) && (stale || lost)
}

fn only_step(plan: &Plan) -> Result<&Step, Error> {
    match plan.steps.as_slice() {
        [step] => Ok(step),
        [step, ..] if step.rows_per_statement.is_some() => Err(Error::new(
            ErrorKind::InvalidQuery,
            "the rows of the batch are missing: use `write`",
        )),
        _ => Err(Error::new(
            ErrorKind::InvalidQuery,
            "a query that loads relations returns rows: use `fetch`",
        )),
    }
}
