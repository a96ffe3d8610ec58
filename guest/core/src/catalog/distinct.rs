//! Checks names in the namespace that tables and indexes share.

use std::collections::{BTreeMap, HashMap};

use ferro_wit::schema::{Model, Schema};

use super::{Table, names, relations, table_of};
use crate::error::shown;

/// Adds indexes with the name of another index or a table.
pub(super) fn find(schema: &Schema, found: &mut Vec<String>) {
    let space = |table: &Table| table.namespace.as_deref().map(names::fold);
    for (model, index, other) in clashes(schema, space) {
        let (model, index) = (shown(&model.name), shown(index));
        found.push(format!("model {model}, index {index}: its name is that of {other} already"));
    }
}

/// Names that clash on SQLite, which has no schemas.
pub(super) fn same_without_schemas(schema: &Schema) -> Vec<String> {
    let mut tables = HashMap::new();
    let mut faults = Vec::new();
    for model in &schema.models {
        let table = table_of(model).name;
        if let Some(other) = tables.insert(names::fold(&table), model) {
            faults.push(format!(
                "the models {} and {} have the same table {} on SQLite, which has no schemas",
                shown(&other.name),
                shown(&model.name),
                shown(&table)
            ));
        }
    }
    for (model, index, other) in clashes(schema, |_| None) {
        faults.push(format!(
            "the index {} of model {} has the name of {other} on SQLite, which has no schemas",
            shown(index),
            shown(&model.name)
        ));
    }
    faults
}

/// Indexes whose name is taken, and by what. `IF NOT EXISTS` would silently skip the second one.
fn clashes(
    schema: &Schema,
    space: impl Fn(&Table) -> Option<String>,
) -> Vec<(&Model, &str, String)> {
    let key = |table: &Table, name: &str| (space(table), names::fold(name));
    let mut taken = HashMap::new();
    let none = BTreeMap::new();
    for model in &schema.models {
        let table = table_of(model);
        taken.insert(key(&table, &table.name), format!("the table {}", shown(&table.name)));
        for relation in model.many_to_manys.iter().filter(|it| it.through.is_none()) {
            let target = schema.models.iter().find(|it| it.name == relation.target);
            let Some(target) = target else { continue };
            let table = relations::join_table(model, relation, target, &none).table;
            taken.insert(key(&table, &table.name), format!("the table {}", shown(&table.name)));
        }
    }
    let mut clashes = Vec::new();
    for model in &schema.models {
        for name in model.indexes.iter().filter_map(|it| it.name.as_deref()) {
            let own = format!("an index of model {}", shown(&model.name));
            if let Some(other) = taken.insert(key(&table_of(model), name), own) {
                clashes.push((model, name, other));
            }
        }
    }
    clashes
}
