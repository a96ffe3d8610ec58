//! Running SQL text of the caller.

use std::sync::Arc;

use ferro_wit::types::{Dialect, Error, Value};

use super::binds::{self, Arguments};
use super::target::{Need, Target};
use super::{describe, may_repeat, run_once};
use crate::cursor::{self, Cursor, ExpectedColumn};
use crate::raw;

/// A longer text is not kept as a prepared statement: it would take too much memory on the server.
const LONGEST_KEPT: usize = 16 << 10;

/// Runs SQL text that returns rows, with the expected columns if they are given.
pub(crate) async fn fetch_raw(
    target: Target<'_>,
    sql: &str,
    parameters: Vec<Value>,
    expected: Option<Arc<[ExpectedColumn]>>,
) -> Result<Cursor, Error> {
    let rules = raw::Rules::of(target.fence().map(|it| &**it));
    let statement = raw::translate(sql, target.dialect(), &parameters, rules)?;
    let once = async || {
        let arguments = binds::of_values(&parameters, target.dialect())?;
        let mut connection = target.connection_for(&statement).await?.for_cursor();
        let most = target.largest_row();
        let watch = connection.watch(sql);
        let end = target.end_of_rows(&connection, statement.changes);
        let opened = match arguments {
            Arguments::Sqlite(values) => {
                let keep = connection.keeps_statements() && !statement.lasts;
                let request = cursor::sqlite::Request {
                    sql: &statement.sql,
                    values: &values,
                    keep,
                    most,
                    expected: expected.clone(),
                };
                cursor::sqlite::open(connection, request, None).await
            }
            Arguments::Postgres(arguments) => {
                let sql = describe::typed(&statement.sql, describe::of_values(&parameters));
                let keep = connection.keeps_statements();
                let inner = connection.begin().0;
                let expected = expected.as_deref();
                let described = describe::postgres(inner, &sql, &parameters, keep, expected).await;
                let reader = match described {
                    Ok(Ok(reader)) => reader,
                    Ok(Err(error)) => {
                        connection.rest().await;
                        return watch.opened(Err(error));
                    }
                    Err(error) => return watch.opened(Err(connection.fail(error).await)),
                };
                let request = cursor::postgres::Request { sql, arguments, keep, most };
                let planned = reader.expected().cloned();
                let (runtime, transaction) =
                    (connection.runtime_to_skip(), connection.transaction());
                let events = |it| cursor::postgres::events(connection, request, reader, it);
                Cursor::start(planned, runtime, transaction, events).await
            }
        };
        watch.opened(opened.map(|it| it.ending(end)))
    };
    match once().await {
        Err(error) if may_repeat(target, &error, Need::Live) => Box::pin(once()).await,
        result => result,
    }
}

pub(crate) async fn execute_raw(
    target: Target<'_>,
    sql: &str,
    parameters: Vec<Value>,
) -> Result<u64, Error> {
    let rules = raw::Rules::of(target.fence().map(|it| &**it));
    let statement = raw::translate(sql, target.dialect(), &parameters, rules)?;
    let once = async || {
        let arguments = binds::of_values(&parameters, target.dialect())?;
        let mut connection = target.connection_for(&statement).await?;
        let watch = connection.watch(sql);
        // After any statement, a database may report the number of rows changed by an earlier one.
        let changed = |it| if statement.changes { it } else { 0 };
        let Dialect::Postgres = target.dialect() else {
            let ran = run_once(connection, &statement.sql, arguments, !statement.lasts).await;
            return watch.changed(ran.map(changed));
        };
        let sql = describe::typed(&statement.sql, describe::of_values(&parameters));
        let keep = connection.keeps_statements() && sql.len() <= LONGEST_KEPT;
        // If SQLx has to look up a type, it loses a statement that is not kept. In a transaction,
        // it is too late then to send it again, so its types are looked up first.
        if !keep && matches!(target, Target::Transaction(_)) {
            let described =
                describe::postgres(connection.begin().0, &sql, &parameters, false, None).await;
            if let Err(error) = described {
                return watch.changed(Err(connection.fail(error).await));
            }
        }
        watch.changed(run_once(connection, &sql, arguments, keep).await.map(changed))
    };
    match once().await {
        Err(error) if may_repeat(target, &error, Need::Live) => Box::pin(once()).await,
        result => result,
    }
}
