//! What foreign keys keep from changing until they are dropped, which may lose something.

use ferro_wit::plan::Risk;

use super::Change;
use crate::ddl::definition::TableDefinition;
use crate::ddl::migration::enums::Replaced;
use crate::ddl::migration::found::{Found, FoundRule};
use crate::ddl::migration::{Held, Pair, pairs};

/// Finds out what waits for foreign keys. It may be what other foreign keys wait for. An enum waits
/// with each of its columns.
pub(super) fn held(
    tables: &[TableDefinition<'_>],
    found: &Found,
    replaced: &mut [Replaced],
) -> Vec<Held> {
    let mut held = Vec::new();
    loop {
        let (mut there, _) = pairs(tables, found, replaced);
        there.iter_mut().for_each(|it| it.held = &held);
        let more: Vec<_> = there.iter().flat_map(|it| waiting(it, &there, found)).collect();
        if more.is_empty() {
            return held;
        }
        for it in more {
            let column = it.column.and_then(|column| tables[it.table].columns.get(column));
            let enumeration = column.and_then(|it| it.enumeration);
            let mut enums = replaced.iter_mut();
            match enums.find(|replaced| Some(replaced.index) == enumeration) {
                Some(replaced) => replaced.risk = Risk::Destructive,
                None => held.push(it),
            }
        }
    }
}

/// What would not wait for those foreign keys of a table that stay until something may be lost.
fn waiting(pair: &Pair<'_>, pairs: &[Pair<'_>], found: &Found) -> Vec<Held> {
    let change = Change::new(pair, pairs, found);
    let mut waiting = Vec::new();
    for constraint in &pair.found.constraints {
        let FoundRule::ForeignKey(key) = &constraint.rule else { continue };
        if change.fate(constraint).is_none_or(|(risk, _)| risk < Risk::Destructive) {
            continue;
        }
        waiting.extend(retyped(pair, &key.columns));
        let is_target =
            |it: &&Pair<'_>| it.found.schema == key.schema && it.found.name == key.table;
        let Some(target) = pairs.iter().find(is_target) else { continue };
        let columns = key.target_columns.as_deref().unwrap_or_default();
        waiting.extend(retyped(target, columns));
        let columns: Vec<_> = columns.iter().map(String::as_str).collect();
        if !target.holds(None) && Change::new(target, pairs, found).drops_key(&columns) {
            waiting.push(Held { table: target.position, column: None });
        }
    }
    waiting
}

/// Those of some columns that would get another type before something may be lost.
fn retyped(pair: &Pair<'_>, columns: &[String]) -> Vec<Held> {
    let wanted = pair.table.columns.iter().enumerate();
    let retyped = wanted
        .filter(|(_, it)| columns.iter().any(|column| column == it.name))
        .filter(|(_, it)| pair.is_retyped(it) && pair.risk_of_column(it) < Risk::Destructive)
        .map(|(index, _)| Held { table: pair.position, column: Some(index) });
    retyped.collect()
}
