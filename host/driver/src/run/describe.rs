//! Which columns SQL text of the caller returns, asked before it is run: no rows have columns too.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use ferro_wit::types::{Error, ScalarType, Value};
use sqlx::postgres::PgTypeInfo;
use sqlx::postgres::types::Oid;
use sqlx::{AssertSqlSafe, Column, Executor as _, SqlSafeStr, SqliteConnection, Statement};

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
    // A connection learns what others did to the schema when it reads a table, not when it prepares.
    const VERSION: &str = "SELECT schema_version, EXISTS (SELECT 1 FROM sqlite_schema) \
                           FROM pragma_schema_version";
    let version: i64 = sqlx::query_scalar(VERSION).fetch_one(&mut **connection).await?;
    let sql = format!("{sql}\n-- schema {version}");
    let statement = connection.prepare(AssertSqlSafe(sql).into_sql_str()).await?;
    let mut tables = HashMap::new();
    let mut found = Vec::with_capacity(statement.columns().len());
    for column in statement.columns() {
        let kind = match column.origin().table_column() {
            Some(origin) => {
                let declared = match tables.entry(Arc::clone(&origin.table)) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(table) => {
                        let declared = declarations(&mut *connection, table.key()).await?;
                        table.insert(declared)
                    }
                };
                declared.get(&*origin.name).copied()
            }
            None => None,
        };
        found.push(cursor::sqlite::Found { name: column.name().to_owned(), kind });
    }
    Ok(cursor::sqlite::Described::new(found))
}

/// The columns of a table whose declarations tell what they hold. SQLx has the declarations too,
/// but tells only a guess at what they mean.
async fn declarations(
    connection: &mut SqliteConnection,
    table: &str,
) -> Result<HashMap<String, ScalarType>, sqlx::Error> {
    const SQL: &str = "SELECT name, type FROM pragma_table_xinfo(?1, ?2)";
    let mut declarations: Vec<(String, String)> =
        sqlx::query_as(SQL).bind(table).bind("main").fetch_all(&mut *connection).await?;
    // A table of another schema comes as `schema.table`; a point may be in a name too.
    if let (true, Some((schema, table))) = (declarations.is_empty(), table.split_once('.')) {
        declarations = sqlx::query_as(SQL).bind(table).bind(schema).fetch_all(connection).await?;
    }
    let kind =
        |(name, declaration): (String, String)| Some((name, sqlite::declared(&declaration)?));
    Ok(declarations.into_iter().filter_map(kind).collect())
}

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
    let statement = connection.prepare_with(sql, &types).await?;
    if !keeps_statements {
        // SQLx gives every statement that it only prepares a name.
        connection.execute("DEALLOCATE ALL").await?;
    }
    Ok(cursor::postgres::Described::new(statement.columns()))
}
