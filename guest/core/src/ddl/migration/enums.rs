//! Enums that are types of their own.

use ferro_wit::plan::Risk;
use ferro_wit::schema::EnumType;
use ferro_wit::types::Dialect;

use super::found::{Found, FoundEnum};
use super::{Pair, STANDS_IN_THE_WAY, pairs};
use crate::catalog::shorten;
use crate::ddl::definition::{ColumnDefinition, TableDefinition};
use crate::ddl::{Steps, create_enum};
use crate::dialect::Spelling as _;
use crate::error::shown;
use crate::sql::quoted;

/// An enum that loses or reorders values, so that another has to take its place.
#[derive(Clone, Copy)]
pub(super) struct Replaced {
    /// Its position.
    pub(super) index: usize,
    pub(super) risk: Risk,
}

/// The enums that others have to take the place of, and what that puts at risk: all columns change
/// with their enum.
pub(super) fn replaced(
    wanted: &[EnumType],
    tables: &[TableDefinition<'_>],
    found: &Found,
) -> Vec<Replaced> {
    let is_replaced = |wanted: &EnumType| {
        let there = found.types.enums.iter().find(|it| it.name == wanted.name);
        there.is_some_and(|it| !keeps_all(it, wanted))
    };
    let replaced = (0..wanted.len()).filter(|it| is_replaced(&wanted[*it]));
    let replaced: Vec<_> = replaced.map(|index| Replaced { index, risk: Risk::Blocking }).collect();
    let (there, _) = pairs(tables, found, &replaced);
    let is_watched = |index: usize| {
        let mut columns = there.iter().flat_map(|it| it.table.columns.iter().map(move |c| (it, c)));
        columns.any(|(it, column)| column.enumeration == Some(index) && it.is_watched(column))
    };
    let risk = |index| if is_watched(index) { Risk::Destructive } else { Risk::Blocking };
    replaced.iter().map(|it| Replaced { risk: risk(it.index), ..*it }).collect()
}

/// What a column's enum puts at risk.
pub(super) fn risk(replaced: &[Replaced], column: &ColumnDefinition<'_>) -> Risk {
    let enumeration = replaced.iter().find(|it| Some(it.index) == column.enumeration);
    enumeration.map_or(Risk::Safe, |it| it.risk)
}

/// Creates the enums of tables that are to be created, but for those that are there.
pub(super) fn create(
    steps: &mut Steps,
    wanted: &[EnumType],
    tables: &[&TableDefinition<'_>],
    found: &Found,
) {
    if !steps.dialect.features().enums {
        return;
    }
    let is_used = |index| {
        let mut columns = tables.iter().flat_map(|it| &it.columns);
        columns.any(|it| it.enumeration == Some(index))
    };
    for (index, wanted) in wanted.iter().enumerate() {
        let is_there = found.types.enums.iter().any(|it| it.name == wanted.name);
        if !is_there && is_used(index) {
            steps.create_enum(wanted);
        }
    }
}

/// Creates the enums that are missing, and gives the others the values of the models.
pub(super) fn change(
    steps: &mut Steps,
    wanted: &[EnumType],
    replaced: &[Replaced],
    tables: &[Pair<'_>],
    found: &Found,
) {
    for (index, wanted) in wanted.iter().enumerate() {
        match found.types.enums.iter().find(|it| it.name == wanted.name) {
            None => steps.create_enum(wanted),
            Some(there) if there.values == wanted.values => {}
            Some(there) => match replaced.iter().find(|it| it.index == index) {
                None => add_values(steps, there, wanted),
                Some(it) => replace(steps, *it, wanted, tables, found),
            },
        }
    }
}

/// Whether the values that are there stay, in their order.
fn keeps_all(there: &FoundEnum, wanted: &EnumType) -> bool {
    let mut wanted = wanted.values.iter();
    there.values.iter().all(|it| wanted.any(|wanted| wanted == it))
}

/// A new value cannot be used in the transaction that adds it, so these steps are in none.
fn add_values(steps: &mut Steps, there: &FoundEnum, wanted: &EnumType) {
    let text = |it: &str| steps.dialect.text(it);
    let mut added = Vec::new();
    for (index, value) in wanted.values.iter().enumerate() {
        if there.values.contains(value) {
            continue;
        }
        let place = match index.checked_sub(1) {
            Some(before) => format!(" AFTER {}", text(&wanted.values[before])),
            None => {
                there.values.first().map(|it| format!(" BEFORE {}", text(it))).unwrap_or_default()
            }
        };
        added.push((
            format!(
                "ALTER TYPE {} ADD VALUE IF NOT EXISTS {}{place}",
                quoted(&wanted.name),
                text(value)
            ),
            format!("add {} to enum {}", shown(value), shown(&wanted.name)),
        ));
    }
    for (sql, what) in added {
        steps.push(sql, what);
        if let Some(step) = steps.done.last_mut() {
            step.transactional = false;
        }
    }
}

/// Values never leave an enum, so another one takes its place.
fn replace(
    steps: &mut Steps,
    Replaced { index, risk }: Replaced,
    wanted: &EnumType,
    tables: &[Pair<'_>],
    database: &Found,
) {
    let reason = match risk {
        Risk::Destructive => STANDS_IN_THE_WAY,
        _ => "tables are written anew, and it fails if a row has a value that is gone",
    };
    let name = quoted(&wanted.name);
    let is_free = |name: &String| database.types.enums.iter().all(|it| it.name != *name);
    let names = (1_u64..).map(|it| shorten(format!("{} before {it}", wanted.name)));
    let former = quoted(&names.into_iter().find(is_free).unwrap_or_default());
    let mut push = |sql: String| {
        let what = format!("change the values of enum {}", shown(&wanted.name));
        steps.push_risk(sql, what, risk, Some(reason));
    };
    push(format!("ALTER TYPE {name} RENAME TO {former}"));
    push(create_enum(Dialect::Postgres, "", wanted));
    for Pair { table, found, shadow, .. } in tables {
        let mut actions = Vec::new();
        for column in table.columns.iter().filter(|it| it.enumeration == Some(index)) {
            let Some(there) = found.column(column.name) else { continue };
            let wanted = shadow.and_then(|it| it.column(column.name));
            // What is of another type now is changed like any other column.
            let Some(wanted) = wanted.filter(|it| it.kind == there.kind) else { continue };
            let column = quoted(column.name);
            if there.default.is_some() {
                actions.push(format!("ALTER COLUMN {column} DROP DEFAULT"));
            }
            actions.push(format!(
                "ALTER COLUMN {column} TYPE {name} USING CAST(CAST({column} AS text) AS {name})"
            ));
            if let Some(default) = &wanted.default {
                actions.push(format!("ALTER COLUMN {column} SET DEFAULT {default}"));
            }
        }
        if !actions.is_empty() {
            let table = table.table.sql(Dialect::Postgres);
            push(format!("ALTER TABLE {table} {}", actions.join(", ")));
        }
    }
    // Columns of no model may have it.
    let block = format!(
        "BEGIN DROP TYPE {former}; EXCEPTION WHEN dependent_objects_still_exist THEN NULL; END"
    );
    push(format!("DO {}", Dialect::Postgres.text(&block)));
}
