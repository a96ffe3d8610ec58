//! The models and a query of a plugin, as passed to the core: the result must be a plan or an
//! error, never a panic, and no SQL beyond its size limit.

#![no_main]

use ferro_core::Catalog;
use ferro_wit::policy::Scope;
use ferro_wit::query::Query;
use ferro_wit::schema::Schema;
use ferro_wit::types::Dialect;
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;

#[derive(Deserialize)]
struct Input {
    schema: Schema,
    scope: Option<Scope>,
    query: Query,
}

/// The maximum size of a statement in bytes.
const MOST_SQL: usize = 256 * 1024;

fuzz_target!(|data: &[u8]| {
    let Ok(Input { schema, scope, query }) = serde_json::from_slice(data) else { return };
    let Ok(catalog) = Catalog::new(schema) else { return };
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let _ = catalog.create_tables(dialect, &[]);
        if let Ok(plan) = catalog.compile(&query, dialect, scope.as_ref()) {
            assert!(plan.steps.iter().all(|it| it.sql.len() <= MOST_SQL && !it.sql.contains('\0')));
        }
    }
});
