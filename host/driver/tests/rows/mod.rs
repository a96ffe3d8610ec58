//! Plans made by hand, and their rows read back.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::sync::Arc;

use ferro_driver::{Cursor, Database, Execution};
use ferro_test_support::postgres;
use ferro_wit::plan::{Bind, Binding, Bulk, Effect, Plan, Step};
use ferro_wit::types::{Batch, Column, ColumnInfo, Dialect, ScalarType, Scalars, Value};

use crate::support::{connect, run};

/// The same promise on both databases.
pub async fn both() -> [Database; 2] {
    [connect("sqlite::memory:").await, connect(&postgres::url()).await]
}

/// A value that a plan binds.
pub fn bind(source: Binding, kind: ScalarType) -> Bind {
    Bind { source, kind, many: false }
}

/// A column that a plan returns.
pub fn column(name: &str, kind: ScalarType) -> ColumnInfo {
    ColumnInfo { path: vec![name.into()], kind, many: false, nullable: true }
}

/// A plan of one statement.
pub fn plan(effect: Effect, sql: &str, binds: Vec<Bind>, columns: Vec<ColumnInfo>) -> Plan {
    let step = Step {
        sql: sql.into(),
        binds,
        columns,
        origins: vec![],
        attachment: None,
        rows_per_statement: None,
        bulk: None,
    };
    Plan { effect, steps: vec![step], atomic: false, agreements: vec![], recipients: vec![] }
}

/// A plan with its parameters.
pub fn execution(plan: Plan, parameters: Vec<Value>) -> Execution {
    Execution { plan: Arc::new(plan), parameters, forced: Vec::new(), rows: None }
}

/// Steps that insert rows of scalars, as the core writes them.
pub fn insert(dialect: Dialect, table: &str, columns: &[(&str, &str, ScalarType)]) -> Plan {
    let names: Vec<_> = columns.iter().map(|it| it.0).collect();
    let names = names.join(", ");
    let numbers = || (0_u32..).zip(columns);
    let step = |sql: String, binds, rows_per_statement| Step {
        sql,
        binds,
        columns: Vec::new(),
        origins: Vec::new(),
        attachment: None,
        rows_per_statement,
        bulk: None,
    };
    let steps = match dialect {
        Dialect::Postgres => {
            let arrays: Vec<_> =
                numbers().map(|(at, it)| format!("unnest(${}::{}[])", at + 1, it.1)).collect();
            let sql = format!("INSERT INTO {table} ({names}) SELECT {}", arrays.join(", "));
            let binds = numbers().map(|(at, it)| Bind {
                source: Binding::Column(at),
                kind: it.2,
                many: true,
            });
            let bulk = Bulk {
                sql: format!("COPY {table} ({names}) FROM STDIN WITH (FORMAT binary)"),
                table: table.into(),
                columns: columns.iter().map(|it| it.0.into()).collect(),
                values: numbers().map(|(at, it)| bind(Binding::Column(at), it.2)).collect(),
            };
            vec![Step { bulk: Some(bulk), ..step(sql, binds.collect(), None) }]
        }
        Dialect::Sqlite => [100, 1]
            .map(|rows: usize| {
                let mut next = 0;
                let mut row = || {
                    let marks = columns.iter().map(|_| {
                        next += 1;
                        format!("?{next}")
                    });
                    format!("({})", marks.collect::<Vec<_>>().join(", "))
                };
                let rows_of_marks: Vec<_> = (0..rows).map(|_| row()).collect();
                let values = rows_of_marks.join(", ");
                let sql = format!("INSERT INTO {table} ({names}) VALUES {values}");
                let binds = (0..rows)
                    .flat_map(|_| numbers().map(|(at, it)| bind(Binding::Column(at), it.2)));
                step(sql, binds.collect(), u32::try_from(rows).ok())
            })
            .into(),
    };
    Plan { effect: Effect::Write, steps, atomic: true, agreements: vec![], recipients: vec![] }
}

/// A batch of scalar columns.
pub fn batch(columns: Vec<(ScalarType, Vec<Value>)>) -> Batch {
    let columns = columns.into_iter().map(|(kind, values)| {
        let mut scalars = Scalars::with_kind(kind);
        for value in values {
            scalars.push(value).unwrap();
        }
        Column::Scalars(scalars)
    });
    Batch::new(columns.collect()).unwrap()
}

/// All rows of a cursor, read a few at a time.
pub async fn rows(mut cursor: Cursor) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    while let Some(batch) = cursor.next(7).await.unwrap_or_else(|it| panic!("{it}")) {
        batch.validate().unwrap();
        assert!((1..=7).contains(&batch.rows));
        for row in 0..batch.rows as usize {
            rows.push(batch.columns.iter().map(|it| it.get(row).unwrap()).collect());
        }
    }
    rows
}

/// All rows of SQL text.
pub async fn raw(database: &Database, sql: &str, parameters: Vec<Value>) -> Vec<Vec<Value>> {
    let cursor = database.fetch_raw(sql, parameters).await;
    rows(cursor.unwrap_or_else(|it| panic!("`{sql}`: {it}"))).await
}

/// How many rows a table has.
pub async fn count(database: &Database, table: &str) -> i64 {
    match raw(database, &format!("SELECT count(*) FROM {table}"), vec![]).await[0][0] {
        Value::Integer(count) => count,
        ref other => panic!("{other:?}"),
    }
}

/// An empty table of integers `n` and texts `t` in both databases.
pub async fn both_with_table() -> [Database; 2] {
    let both = both().await;
    for database in &both {
        run(database, &["CREATE TABLE t (n INTEGER PRIMARY KEY, t TEXT)"]).await;
    }
    both
}

/// A million rows, numbered from 1, on both databases.
pub fn numbers(dialect: Dialect, count: u32) -> String {
    match dialect {
        Dialect::Postgres => {
            format!("SELECT n, 'row ' || n AS t FROM generate_series(1, {count}::bigint) AS n")
        }
        Dialect::Sqlite => format!(
            "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {count}) \
             SELECT n, 'row ' || n AS t FROM s"
        ),
    }
}
