//! Statements as PostgreSQL prepares them: for parameters of certain types. Also finds the columns
//! of SQL text before it runs, since a result without rows has columns, too.

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

/// The text of a statement for parameters of these types. SQLx caches prepared statements by their
/// text alone: the same text with other types must be a different statement, or its values would be
/// read with the wrong types.
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

/// The types with which values of a caller are sent.
pub(super) fn of_values(values: &[Value]) -> impl Iterator<Item = Oid> {
    values.iter().map(oid)
}

/// The types with which the parameters of a step are sent.
pub(super) fn of_step(step: &Step) -> impl Iterator<Item = Oid> {
    let expected = |it: &Bind| Expected { kind: it.kind, many: it.many };
    step.binds.iter().map(move |it| postgres::oid(expected(it)))
}

fn oid(value: &Value) -> Oid {
    Operand::of(value).expected().map_or(postgres::UNKNOWN, postgres::oid)
}

/// Makes the server forget all prepared statements of a connection.
pub(super) const FORGET: &str = "DEALLOCATE ALL";

/// Describes a statement on PostgreSQL. The inner error is for a column that cannot be read, or is
/// not `expected`.
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
    // A cached description may be of an outdated schema.
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
        // SQLx names every statement that it only prepares, and may cache it.
        vigil.over(FORGET, pin!(connection.clear_cached_statements())).await?;
        vigil.over(FORGET, pin!(connection.execute(FORGET))).await?;
    }
    Ok(Described::new(statement.columns(), expected))
}
