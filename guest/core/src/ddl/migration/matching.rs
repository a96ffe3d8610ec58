//! Whether what the models want is there already.

use ferro_wit::schema::ReferentialAction;

use super::found::{Found, FoundConstraint, FoundIndex, FoundReference, FoundRule, FoundTable};
use crate::catalog::{MAX_NAME_BYTES, shorten};
pub(super) use crate::ddl::definition::same_set;
use crate::ddl::definition::{
    ColumnDefinition, Constraint, IndexDefinition, Reference, Rule, TableDefinition,
};

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

/// What the names are made of that Ferro gives to constraints and indexes: those of a table and its
/// columns.
#[derive(Clone, Copy)]
pub(super) struct Naming<'a> {
    table: &'a str,
    former: &'a [String],
    columns: &'a [ColumnDefinition<'a>],
}

impl<'a> Naming<'a> {
    /// By what all is called now.
    pub(super) fn now(table: &'a TableDefinition<'_>) -> Self {
        Self { table: &table.table.name, former: &[], columns: &[] }
    }

    /// By what all is called now or was called before.
    pub(super) fn ever(table: &'a TableDefinition<'_>) -> Self {
        Self { former: table.former, columns: &table.columns, ..Self::now(table) }
    }

    /// Whether a name is one for a constraint. Checks need to be such as Ferro writes, too.
    pub(super) fn is_for(self, there: &FoundConstraint, name: &str) -> bool {
        let is = |columns: &[String], suffix| self.is_of(columns, suffix, name);
        match (&there.rule, &there.limits) {
            (FoundRule::PrimaryKey { .. }, _) => is(&[], "pkey"),
            (FoundRule::Unique { columns }, _) => is(columns, "key"),
            (FoundRule::ForeignKey(it), _) => is(&it.columns, "fkey"),
            (FoundRule::Check { .. }, Some(column)) => self.is_for_limit(column, name),
            (FoundRule::Check { .. }, None) => there.asked && is(&[], "check"),
        }
    }

    /// Whether a name is one for a check that limits a column.
    pub(super) fn is_for_limit(self, column: &String, name: &str) -> bool {
        self.is_of(std::slice::from_ref(column), "check", name)
    }

    /// Whether an index has one of its own.
    pub(super) fn is_for_index(self, index: &FoundIndex) -> bool {
        let columns: Option<Vec<String>> = index.columns.iter().cloned().collect();
        let suffix = if index.unique { "key" } else { "idx" };
        columns.is_some_and(|it| self.is_of(&it, suffix, &index.name))
    }

    fn is_of(self, columns: &[String], suffix: &str, name: &str) -> bool {
        // Where the name was taken, there is a number after it.
        let number = name.rsplit_once('_').map_or("", |(_, it)| it);
        let is_number = !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit());
        self.bases(columns, name).iter().any(|base| {
            let base = format!("{base}_{suffix}");
            is_number && name == shorten(format!("{base}_{number}")) || name == shorten(base)
        })
    }

    /// What a name may begin with: a table and columns.
    fn bases(self, columns: &[String], name: &str) -> Vec<String> {
        let tables = self.former.iter().map(String::as_str).chain([self.table]);
        let mut bases: Vec<_> = tables.map(str::to_owned).collect();
        for column in columns {
            let wanted = self.columns.iter().find(|it| it.name == column);
            let former = wanted.map_or(&[][..], |it| it.former);
            let with = |part| bases.iter().map(move |base| format!("{base}_{part}"));
            let longer = former.iter().chain([column]).flat_map(with);
            // Else many columns with former names would have a great many between them.
            bases = longer.filter(|it| begin_alike(it, name)).collect();
        }
        bases
    }
}

/// Whether two names do not differ in what is left of long ones.
fn begin_alike(one: &str, other: &str) -> bool {
    one.bytes().zip(other.bytes()).take(MAX_NAME_BYTES / 2).all(|(one, other)| one == other)
}

/// Whether a rule is to be in the place of one that is there.
pub(super) fn takes_place(wanted: &Constraint<'_>, there: &FoundConstraint) -> bool {
    let same_name = || there.name.as_ref() == Some(&wanted.name);
    match (&wanted.rule, &there.rule) {
        // A table has one of the two at most.
        (Rule::PrimaryKey(_), FoundRule::PrimaryKey { .. }) => true,
        (Rule::ForeignKey(wanted), FoundRule::ForeignKey(there))
            if wanted.columns == there.columns =>
        {
            true
        }
        (Rule::Check(_), FoundRule::Check { .. }) => match (wanted.limits, &there.limits) {
            (Some(wanted), Some(there)) => wanted == there,
            (None, None) => there.asked && same_name(),
            _ => false,
        },
        _ => there.ours && same_name(),
    }
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

/// Whether columns are a key of a table that is there, as far as that is known: it may be an index
/// that is sorted or compared in a way that no model asks for.
pub(super) fn may_be_key(table: &FoundTable, columns: &[&str]) -> bool {
    let constraints = table.constraints.iter().any(|it| match &it.rule {
        FoundRule::PrimaryKey { columns: key } | FoundRule::Unique { columns: key } => {
            same_set(columns, key)
        }
        FoundRule::ForeignKey(_) | FoundRule::Check { .. } => false,
    });
    let may_be = |it: &FoundIndex| {
        let mut key = it.columns.iter().take(columns.len()).flatten();
        it.unique
            && it.condition.is_none()
            && it.columns.len() == columns.len() + it.included
            && key.all(|it| columns.contains(&it.as_str()))
    };
    constraints || table.indexes.iter().any(may_be)
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
