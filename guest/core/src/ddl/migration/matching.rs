//! Whether what the models want is there already.

use ferro_wit::schema::ReferentialAction;

use super::found::{Found, FoundConstraint, FoundIndex, FoundReference, FoundRule, FoundTable};
use crate::catalog::shorten;
use crate::ddl::definition::{IndexDefinition, Reference, Rule};

/// Whether a rule is the same as one that is there. Conditions are compared as texts.
pub(super) fn same_rule(found: &Found, wanted: &Rule<'_>, there: &FoundConstraint) -> bool {
    match (wanted, &there.rule) {
        _ if there.unlike => false,
        (Rule::PrimaryKey(columns), FoundRule::PrimaryKey { columns: there }) => columns == there,
        (Rule::Unique(columns), FoundRule::Unique { columns: there }) => same_set(columns, there),
        (Rule::ForeignKey(wanted), FoundRule::ForeignKey(there)) => {
            same_reference(found, wanted, there)
        }
        (Rule::Check(wanted), FoundRule::Check { condition, .. }) => wanted == condition,
        _ => false,
    }
}

/// Whether a unique index does what a unique constraint would do.
pub(super) fn keeps_unique(index: &FoundIndex, columns: &[&str]) -> bool {
    let there: Option<Vec<String>> = index.columns.iter().cloned().collect();
    index.unique && index.condition.is_none() && there.is_some_and(|it| same_set(columns, &it))
}

/// Whether a unique constraint does what a unique index would do.
pub(super) fn serves_as(there: &FoundConstraint, index: &IndexDefinition<'_>) -> bool {
    matches!(&there.rule, FoundRule::Unique { columns }
        if index.unique && index.condition.is_none() && index.columns == *columns)
        && !there.unlike
}

/// Whether an index is the same as one that is there. Conditions are compared as texts.
pub(super) fn same_index(
    wanted: &IndexDefinition<'_>,
    condition: Option<&str>,
    there: &FoundIndex,
) -> bool {
    let columns = wanted.columns.iter().map(|it| Some(*it));
    columns.eq(there.columns.iter().map(Option::as_deref))
        && wanted.unique == there.unique
        && condition == there.condition.as_deref()
}

/// Whether a constraint has the name that Ferro makes, and is not somebody else's.
pub(super) fn is_ours(table: &str, constraint: &FoundConstraint) -> bool {
    let name = constraint.name.as_deref();
    name.is_some_and(|it| is_made_for(table, it, &constraint.rule))
}

/// Whether a name is the one that Ferro makes for a rule.
pub(super) fn is_made_for(table: &str, name: &str, rule: &FoundRule) -> bool {
    let is = |columns: &[String], suffix| is_made_name(name, table, columns, suffix);
    match rule {
        FoundRule::PrimaryKey { .. } => is(&[], "pkey"),
        FoundRule::Unique { columns } => is(columns, "key"),
        FoundRule::ForeignKey(it) => is(&it.columns, "fkey"),
        FoundRule::Check { columns, .. } => {
            let mut columns = columns.iter().flatten();
            is(&[], "check") || columns.any(|it| is(std::slice::from_ref(it), "check"))
        }
    }
}

/// Whether an index has the name that Ferro makes, and is not somebody else's.
pub(super) fn is_our_index(table: &str, index: &FoundIndex) -> bool {
    let columns: Option<Vec<String>> = index.columns.iter().cloned().collect();
    let suffix = if index.unique { "key" } else { "idx" };
    columns.is_some_and(|it| is_made_name(&index.name, table, &it, suffix))
}

fn is_made_name(name: &str, table: &str, columns: &[String], suffix: &str) -> bool {
    let columns = columns.iter().map(String::as_str);
    let base = [table].into_iter().chain(columns).chain([suffix]).collect::<Vec<_>>().join("_");
    // Where the name was taken, there is a number after it.
    let number = name.rsplit_once('_').map_or("", |(_, it)| it);
    let is_number = !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit());
    name == shorten(base.clone()) || is_number && name == shorten(format!("{base}_{number}"))
}

/// Whether a table has one of the two at most.
pub(super) fn takes_place(wanted: &Rule<'_>, there: &FoundRule) -> bool {
    match (wanted, there) {
        (Rule::PrimaryKey(_), FoundRule::PrimaryKey { .. }) => true,
        (Rule::ForeignKey(wanted), FoundRule::ForeignKey(there)) => wanted.columns == there.columns,
        _ => false,
    }
}

pub(super) fn same_set(one: &[&str], other: &[String]) -> bool {
    one.len() == other.len() && one.iter().all(|it| other.iter().any(|other| other == it))
}

fn same_reference(found: &Found, wanted: &Reference<'_>, there: &FoundReference) -> bool {
    let targets = || match &there.target_columns {
        Some(columns) => wanted.target_columns == *columns,
        None => found.table(wanted.target).is_some_and(|it| is_key(it, &wanted.target_columns)),
    };
    wanted.columns == there.columns
        && found.schema_of(wanted.target) == there.schema
        && wanted.target.name == there.table
        && targets()
        && word(wanted.on_delete) == there.on_delete
        && word(wanted.on_update) == there.on_update
}

fn is_key(table: &FoundTable, columns: &[&str]) -> bool {
    let mut rules = table.constraints.iter().map(|it| &it.rule);
    rules.any(|it| matches!(it, FoundRule::PrimaryKey { columns: key } if columns == key))
}

fn word(action: ReferentialAction) -> &'static str {
    match action {
        ReferentialAction::NoAction => "NO ACTION",
        ReferentialAction::Cascade => "CASCADE",
        ReferentialAction::Restrict => "RESTRICT",
        ReferentialAction::SetNull => "SET NULL",
        ReferentialAction::SetDefault => "SET DEFAULT",
    }
}
