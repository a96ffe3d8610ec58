//! Statements as PostgreSQL prepares them: for parameters of some types, and which columns SQL text of
//! the caller returns, asked before it is run, since no rows have columns too.

use std::fmt::Write as _;
use std::pin::pin;

use ferro_wit::plan::{Bind, Step};
use ferro_wit::types::{Error, Value};
use sqlx::postgres::PgTypeInfo;
use sqlx::postgres::types::Oid;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, SqlSafeStr, Statement};

use crate::backend::Backend;
use crate::cursor::ExpectedColumn;
use crate::cursor::postgres::Described;
use crate::lease::Connection;
use crate::value::{Expected, Operand, postgres};

/// A statement for PostgreSQL as it is prepared for parameters of some types. SQLx keeps it under its
/// text alone: the same text with other types has to be another one, or the values of one would be
/// read as those of the other.
pub(super) fn typed(sql: &str, types: impl IntoIterator<Item = Oid>) -> String {
    let mut typed = String::with_capacity(sql.len() + 64);
    typed.push_str(sql);
    for (index, Oid(oid)) in types.into_iter().enumerate() {
        typed.push_str(if index == 0 { "\n-- " } else { "," });
        // Writing to a string cannot fail.
        let _ = write!(typed, "{oid}");
    }
    typed
}

/// What the values of a caller are sent as.
pub(super) fn of_values(values: &[Value]) -> impl Iterator<Item = Oid> {
    values.iter().map(oid)
}

/// What the parameters of a step are sent as.
pub(super) fn of_step(step: &Step) -> impl Iterator<Item = Oid> {
    let expected = |it: &Bind| Expected { kind: it.kind, many: it.many };
    step.binds.iter().map(move |it| postgres::oid(expected(it)))
}

fn oid(value: &Value) -> Oid {
    Operand::of(value).expected().map_or(postgres::UNKNOWN, postgres::oid)
}

/// Has the server forget all statements that it prepared for a connection.
pub(super) const FORGET: &str = "DEALLOCATE ALL";

/// Asks PostgreSQL. The inner error is about a column that cannot be read, or is not `expected`.
pub(super) async fn postgres(
    connection: &mut Connection,
    sql: &str,
    parameters: &[Value],
    keep: bool,
    expected: Option<&[ExpectedColumn]>,
) -> Result<Result<Described, Error>, sqlx::Error> {
    let Connection::Postgres(backend) = connection else {
        return Ok(Described::new(&[], expected));
    };
    let types: Vec<_> = parameters.iter().map(|it| PgTypeInfo::with_oid(oid(it))).collect();
    let described = ask(backend, sql, &types, keep, expected).await?;
    if described.is_ok() || expected.is_none() || !keep {
        return Ok(described);
    }
    // What was kept may tell of a schema that was changed since.
    let (connection, vigil) = backend.parts();
    vigil.over(FORGET, pin!(connection.clear_cached_statements())).await?;
    ask(backend, sql, &types, keep, expected).await
}

async fn ask(
    backend: &mut Backend,
    sql: &str,
    types: &[PgTypeInfo],
    keep: bool,
    expected: Option<&[ExpectedColumn]>,
) -> Result<Result<Described, Error>, sqlx::Error> {
    let (connection, vigil) = backend.parts();
    let prepared = connection.prepare_with(AssertSqlSafe(sql).into_sql_str(), types);
    let statement = vigil.over(sql, pin!(prepared)).await?;
    if !keep {
        // SQLx gives every statement that it only prepares a name, and may remember it.
        vigil.over(FORGET, pin!(connection.clear_cached_statements())).await?;
        vigil.over(FORGET, pin!(connection.execute(FORGET))).await?;
    }
    Ok(Described::new(statement.columns(), expected))
}
