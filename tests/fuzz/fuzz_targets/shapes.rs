//! Mostly meaningful queries, generated from bytes: each table that a plan names must be in the
//! scope.

#![no_main]

#[path = "../../../host/session/tests/gate/shapes.rs"]
mod shapes;

use std::sync::OnceLock;

use ferro_core::Catalog;
use ferro_wit::policy::{FieldSet, ForcedFilter, Scope, TableScope};
use ferro_wit::schema::Comparison;
use ferro_wit::types::Dialect;
use libfuzzer_sys::fuzz_target;

const SCHEMA: &str = include_str!("../../../host/session/tests/gate/teams.json");

fn scope() -> Scope {
    let own = |model: &str| TableScope {
        model: model.into(),
        readable: FieldSet::All,
        writable: FieldSet::All,
        insert: true,
        update: true,
        delete: true,
        filters: vec![ForcedFilter {
            field: "tenant_id".into(),
            test: Comparison::Equal,
            many: false,
        }],
    };
    let note = TableScope { readable: FieldSet::Except(vec!["secret".into()]), ..own("Note") };
    Scope { tables: vec![own("Team"), note], pairs: None, read_only: false }
}

fuzz_target!(|data: &[u8]| {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    let catalog = CATALOG.get_or_init(|| {
        let schema = serde_json::from_str(SCHEMA).expect("the schema of the tests");
        Catalog::new(schema).expect("the schema of the tests")
    });
    let question = shapes::question(data);
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let Ok(plan) = catalog.compile(&question.query, dialect, Some(&scope())) else { continue };
        for step in &plan.steps {
            let tables =
                step.sql.matches("\"note\" AS").count() + step.sql.matches("\"team\" AS").count();
            let filters = step.sql.matches("\"tenant_id\"").count();
            assert!(filters >= tables, "{}", step.sql);
        }
    }
});
