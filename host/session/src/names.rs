//! Names as the database has them, from models as the plugin has them.

use ferro_wit::schema::{Field, Model};

/// The table of a model: `schema.table` where the model names a schema.
pub(crate) fn table_of(model: &Model) -> String {
    let table = model.table.clone().unwrap_or_else(|| default_table(&model.name));
    match &model.namespace {
        Some(namespace) => format!("{namespace}.{table}"),
        None => table,
    }
}

/// The column of a field.
pub(crate) fn column_of(field: &Field) -> &str {
    field.column.as_deref().unwrap_or(&field.name)
}

/// The table of a model that names none, as the core derives it.
pub(crate) fn default_table(model: &str) -> String {
    let mut table = String::with_capacity(model.len() + 4);
    for character in model.chars() {
        if character.is_uppercase() && !table.is_empty() {
            table.push('_');
        }
        table.extend(character.to_lowercase());
    }
    table
}

/// Whether two names may mean the same to a database: SQLite compares letters of ASCII without
/// their case, PostgreSQL the first 63 bytes.
pub(crate) fn may_be_same(one: &str, other: &str) -> bool {
    let short = |name: &str| name.as_bytes()[..name.len().min(63)].to_ascii_lowercase();
    short(one) == short(other)
}

#[cfg(test)]
mod tests {
    use ferro_wit::schema::Schema;
    use ferro_wit::types::Dialect;
    use serde_json::json;

    use super::*;

    #[test]
    fn t1_tables_are_derived_as_the_core_derives_them() {
        for name in ["User", "BlogPost", "HTTPServer", "user", "Été", "A1b"] {
            let id = json!({
                "name": "id", "kind": { "integer": "big" }, "nullable": false, "unique": false,
                "indexed": false, "generated-key": true, "version": false,
            });
            let model = json!({
                "name": name, "fields": [id], "primary-key": ["id"], "foreign-keys": [],
                "many-to-manys": [], "indexes": [], "checks": [],
            });
            let schema = json!({ "models": [model], "enums": [] });
            let schema: Schema = serde_json::from_value(schema).unwrap();
            let table = table_of(&schema.models[0]);
            let steps = ferro_core::Catalog::new(schema).unwrap();
            let steps = steps.create_tables(Dialect::Sqlite).unwrap();
            assert!(steps[0].sql.contains(&format!("\"{table}\"")), "{table}: {}", steps[0].sql);
        }
    }

    #[test]
    fn names_that_a_database_takes_for_one_are_the_same() {
        let long = "x".repeat(63);
        assert!(may_be_same("Tenant_ID", "tenant_id"));
        assert!(may_be_same(&long, &format!("{long}é")));
        assert!(!may_be_same("tenant", "tenant_id"));
        assert!(!may_be_same("É", "é"));
    }
}
