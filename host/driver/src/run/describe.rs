//! Which columns SQL text of the caller returns, asked before it is run: no rows have columns too.

use ferro_wit::types::{Error, ScalarType, Value};
use sqlx::postgres::PgTypeInfo;
use sqlx::sqlite::SqliteColumn;
use sqlx::{AssertSqlSafe, Column, Executor as _, SqlSafeStr, Statement, TypeInfo};

use crate::cursor;
use crate::lease::Raw;
use crate::value::{Operand, postgres, sqlite};

/// Asks SQLite.
///
/// A prepared statement that is kept does not learn of changes to the schema, so it is kept under
/// the version of the schema.
pub(super) async fn sqlite(
    raw: &mut Raw,
    sql: &str,
) -> Result<cursor::sqlite::Described, sqlx::Error> {
    let Raw::Sqlite(connection) = raw else {
        return Ok(cursor::sqlite::Described::new(Vec::new()));
    };
    let version: i64 =
        sqlx::query_scalar("PRAGMA schema_version").fetch_one(&mut **connection).await?;
    let sql = format!("{sql}\n-- schema {version}");
    let statement = connection.prepare(AssertSqlSafe(sql).into_sql_str()).await?;
    let mut found = Vec::with_capacity(statement.columns().len());
    for column in statement.columns() {
        let kind = match cursor::sqlite::coarse(column.type_info().name()) {
            Some(kind) => Some(kind),
            None => declared(&mut *connection, column).await?,
        };
        found.push(cursor::sqlite::Found { name: column.name().to_owned(), kind });
    }
    Ok(cursor::sqlite::Described::new(found))
}

/// The kind by the declaration of the column of a table that this is.
async fn declared(
    connection: &mut sqlx::SqliteConnection,
    column: &SqliteColumn,
) -> Result<Option<ScalarType>, sqlx::Error> {
    let origin = column.origin();
    let Some(origin) = origin.table_column() else {
        return Ok(None);
    };
    // A table of another schema comes as `schema.table`, and a point may be in a name too.
    let (schema, table) = origin.table.split_once('.').unwrap_or(("", ""));
    let declaration: Option<String> = sqlx::query_scalar(
        "SELECT type FROM pragma_table_xinfo(?1, 'main') WHERE name = ?2 \
         UNION ALL SELECT type FROM pragma_table_xinfo(?3, ?4) WHERE name = ?2 LIMIT 1",
    )
    .bind(&*origin.table)
    .bind(&*origin.name)
    .bind(table)
    .bind(schema)
    .fetch_optional(connection)
    .await?;
    Ok(declaration.as_deref().and_then(sqlite::declared))
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
    let oid = |value| Operand::of(value).expected().map_or(postgres::UNKNOWN, postgres::oid);
    let types: Vec<_> = parameters.iter().map(|it| PgTypeInfo::with_oid(oid(it))).collect();
    let sql = AssertSqlSafe(sql).into_sql_str();
    let statement = connection.prepare_with(sql, &types).await?;
    if !keeps_statements {
        // SQLx gives every statement that it only prepares a name.
        connection.execute("DEALLOCATE ALL").await?;
    }
    Ok(cursor::postgres::Described::new(statement.columns()))
}
