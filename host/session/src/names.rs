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
