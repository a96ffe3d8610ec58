//! Which columns SQL text of the caller returns on PostgreSQL, asked before it is run: no rows have
//! columns too.

use std::pin::pin;

use ferro_wit::types::{Error, Value};
use sqlx::postgres::PgTypeInfo;
use sqlx::postgres::types::Oid;
use sqlx::{AssertSqlSafe, Executor as _, SqlSafeStr, Statement};

use crate::cursor;
use crate::error::caught;
use crate::lease::Raw;
use crate::value::{Operand, postgres};

/// SQL text for PostgreSQL, which is prepared for the types of its parameters and kept under its
/// text: the same text with other types has to be another one.
pub(super) fn typed(sql: &str, parameters: &[Value]) -> String {
    let types: Vec<_> = parameters.iter().map(|it| oid(it).0.to_string()).collect();
    match types.is_empty() {
        true => sql.to_owned(),
        false => format!("{sql}\n-- {}", types.join(",")),
    }
}

fn oid(value: &Value) -> Oid {
    Operand::of(value).expected().map_or(postgres::UNKNOWN, postgres::oid)
}

/// Asks PostgreSQL. The inner error is about a column that cannot be read.
pub(super) async fn postgres(
    raw: &mut Raw,
    sql: &str,
    parameters: &[Value],
    keeps_statements: bool,
) -> Result<Result<cursor::postgres::Described, Error>, sqlx::Error> {
    let Raw::Postgres(connection) = raw else {
        return Ok(cursor::postgres::Described::new(&[]));
    };
    let types: Vec<_> = parameters.iter().map(|it| PgTypeInfo::with_oid(oid(it))).collect();
    let sql = AssertSqlSafe(sql).into_sql_str();
    let statement = caught(pin!(connection.prepare_with(sql, &types))).await?;
    if !keeps_statements {
        // SQLx gives every statement that it only prepares a name.
        connection.execute("DEALLOCATE ALL").await?;
    }
    Ok(cursor::postgres::Described::new(statement.columns()))
}
