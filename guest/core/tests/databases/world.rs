//! Two databases with the same rows.

use std::sync::Arc;

use ferro_core::Catalog;
use ferro_driver::{ConnectOptions, Cursor, Database, Execution};
use ferro_wit::policy::Scope;
use ferro_wit::query::Query;
use ferro_wit::schema::Schema;
use ferro_wit::types::{Attachment, Batch, Error, Value};

pub(crate) struct World {
    pub(crate) catalog: Catalog,
    pub(crate) databases: [Database; 2],
}

impl World {
    /// Empty tables of some models, and what some statements put there.
    pub(crate) async fn new(schema: Schema, seed: &[&str]) -> Self {
        let catalog = Catalog::new(schema).unwrap();
        let mut options = ConnectOptions::default();
        // The machine may be busy with other tests.
        options.pool.acquire_timeout = std::time::Duration::from_secs(20);
        let urls = ["sqlite::memory:".to_owned(), ferro_test_support::postgres::url()];
        let mut databases = Vec::new();
        for url in &urls {
            let database = Database::connect(url, &options).await.unwrap();
            database.apply(&catalog.create_tables(database.dialect(), &[]).unwrap()).await.unwrap();
            for sql in seed {
                let done = database.execute_raw(sql, vec![]).await;
                done.unwrap_or_else(|error| panic!("`{sql}`: {error}"));
            }
            databases.push(database);
        }
        Self { catalog, databases: databases.try_into().unwrap() }
    }

    /// Runs a statement of its own on each database.
    pub(crate) async fn run(&self, statements: [String; 2]) {
        for (database, sql) in self.databases.iter().zip(statements) {
            let done = database.execute_raw(&sql, vec![]).await;
            done.unwrap_or_else(|error| panic!("`{sql}`: {error}"));
        }
    }

    /// SQLite and PostgreSQL.
    pub(crate) fn databases(&self) -> &[Database; 2] {
        &self.databases
    }

    /// The rows that both databases return.
    #[track_caller]
    pub(crate) fn rows(
        &self,
        query: &Query,
        parameters: &[Value],
    ) -> impl Future<Output = Vec<Vec<Value>>> {
        self.scoped(query, parameters, None, &[])
    }

    /// The rows that both databases return under a scope with its forced values.
    #[track_caller]
    pub(crate) fn scoped(
        &self,
        query: &Query,
        parameters: &[Value],
        scope: Option<&Scope>,
        forced: &[Value],
    ) -> impl Future<Output = Vec<Vec<Value>>> {
        let caller = std::panic::Location::caller();
        async move {
            let [sqlite, postgres] = self.outcomes(query, parameters, scope, forced).await;
            let rows = |outcome: Result<_, Error>| {
                outcome.unwrap_or_else(|error| panic!("{caller}: {error:?}"))
            };
            let (sqlite, postgres) = (rows(sqlite), rows(postgres));
            assert_eq!(sqlite, postgres, "SQLite and PostgreSQL differ at {caller}");
            sqlite
        }
    }

    /// What SQLite and PostgreSQL say.
    pub(crate) async fn outcomes(
        &self,
        query: &Query,
        parameters: &[Value],
        scope: Option<&Scope>,
        forced: &[Value],
    ) -> [Result<Vec<Vec<Value>>, Error>; 2] {
        let [sqlite, postgres] = &self.databases;
        [
            self.outcome(sqlite, query, parameters, scope, forced).await,
            self.outcome(postgres, query, parameters, scope, forced).await,
        ]
    }

    /// How many rows both databases say that a batch changed.
    pub(crate) async fn write(&self, query: &Query, rows: &Batch) -> u64 {
        let mut both = Vec::new();
        for database in &self.databases {
            let plan = self.catalog.compile(query, database.dialect(), None).unwrap();
            let execution = Execution {
                plan: Arc::new(plan),
                parameters: vec![],
                forced: vec![],
                rows: Some(rows.clone()),
            };
            both.push(database.execute(execution).await.unwrap());
        }
        assert_eq!(both[0], both[1], "SQLite and PostgreSQL differ");
        both[0]
    }

    /// The result sets that both databases return, and how each finds its parents.
    pub(crate) async fn result_sets(
        &self,
        query: &Query,
        parameters: &[Value],
        scope: Option<&Scope>,
        forced: &[Value],
    ) -> Vec<ResultSet> {
        let mut both = Vec::new();
        for database in &self.databases {
            let plan = self.catalog.compile(query, database.dialect(), scope).unwrap();
            let mut cursor = database
                .fetch(Execution {
                    plan: Arc::new(plan),
                    parameters: parameters.to_vec(),
                    forced: forced.to_vec(),
                    rows: None,
                })
                .await
                .unwrap();
            let mut sets = Vec::new();
            loop {
                let mut rows = read(&mut cursor).await.unwrap();
                let attachment = cursor.attached().cloned();
                // The order counts among the rows of one parent.
                let columns = attachment.iter().flat_map(|it| it.columns.clone());
                let columns: Vec<_> = columns.map(|it| it as usize).collect();
                rows.sort_by_key(|row| {
                    columns.iter().map(|it| format!("{:?}", row[*it])).collect::<Vec<_>>()
                });
                sets.push((attachment, rows));
                if !cursor.next_result().await.unwrap() {
                    break;
                }
            }
            both.push(sets);
        }
        let postgres = both.pop().unwrap();
        assert_eq!(both, std::slice::from_ref(&postgres), "SQLite and PostgreSQL differ");
        postgres
    }

    async fn outcome(
        &self,
        database: &Database,
        query: &Query,
        parameters: &[Value],
        scope: Option<&Scope>,
        forced: &[Value],
    ) -> Result<Vec<Vec<Value>>, Error> {
        let plan = self.catalog.compile(query, database.dialect(), scope)?;
        let returns = !plan.steps[0].columns.is_empty();
        let execution = Execution {
            plan: Arc::new(plan),
            parameters: parameters.to_vec(),
            forced: forced.to_vec(),
            rows: None,
        };
        if !returns {
            let changed = i64::try_from(database.execute(execution).await?).unwrap();
            return Ok(vec![vec![Value::Integer(changed)]]);
        }
        read(&mut database.fetch(execution).await?).await
    }
}

/// How rows find their parents, and the rows.
pub(crate) type ResultSet = (Option<Attachment>, Vec<Vec<Value>>);

/// The rows of the present result set.
async fn read(cursor: &mut Cursor) -> Result<Vec<Vec<Value>>, Error> {
    let mut rows = Vec::new();
    while let Some(batch) = cursor.next(100).await? {
        for row in 0..batch.rows as usize {
            rows.push(batch.columns.iter().map(|column| column.get(row).unwrap()).collect());
        }
    }
    Ok(rows)
}

/// Integers of a query of one column, nulls as -1.
pub(crate) fn integers(rows: Vec<Vec<Value>>) -> Vec<i64> {
    let integer = |row: Vec<Value>| match row.as_slice() {
        [Value::Integer(value)] => *value,
        [Value::Null] => -1,
        other => panic!("not one integer: {other:?}"),
    };
    rows.into_iter().map(integer).collect()
}

/// Rows as text, a line each.
pub(crate) fn shown(rows: &[Vec<Value>]) -> String {
    let cell = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::Text(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Decimal(number) => number.clone(),
        Value::Boolean(truth) => truth.to_string(),
        other => format!("{other:?}"),
    };
    let line = |row: &Vec<Value>| row.iter().map(cell).collect::<Vec<_>>().join(" | ");
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
