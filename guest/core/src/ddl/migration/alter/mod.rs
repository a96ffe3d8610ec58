//! Migrations where a table can be changed in every part of it: PostgreSQL.

mod columns;
mod constraints;
mod held;

use ferro_wit::plan::Risk;
use ferro_wit::types::Dialect;

use super::found::{Found, FoundColumn, FoundConstraint, FoundIndex, FoundRule};
use super::matching::{keeps_unique, same_index, same_rule, same_set, serves_as};
use super::{Pair, enums, pairs, shadow_index};
use crate::catalog::Catalog;
use crate::ddl::Steps;
use crate::ddl::definition::{
    ColumnDefinition, Constraint, IndexDefinition, Reference, Rule, TableDefinition,
};
use crate::error::shown;
use crate::sql::quoted;
use constraints::Freed;

pub(super) fn alter(
    steps: &mut Steps,
    catalog: &Catalog,
    tables: &[TableDefinition<'_>],
    found: &Found,
) {
    let mut replaced = enums::replaced(&catalog.enums, tables, found);
    let held = held::held(tables, found, &mut replaced);
    let (mut there, missing) = pairs(tables, found, &replaced);
    there.iter_mut().for_each(|it| it.held = &held);
    let tables: Vec<_> = there.iter().map(|it| Change::new(it, &there, found)).collect();
    // Foreign keys go first and come last, as they need the keys of others.
    let mut dropped = Freed::new();
    tables.iter().for_each(|it| it.drop_constraints(steps, true, &mut dropped));
    tables.iter().for_each(|it| it.drop_constraints(steps, false, &mut dropped));
    tables.iter().for_each(|it| it.drop_indexes(steps, &mut dropped));
    constraints::rename(steps, &tables, dropped);
    // What columns are computed of cannot get another type.
    tables.iter().for_each(|it| it.drop_columns(steps, true));
    enums::change(steps, &catalog.enums, &replaced, &there, found);
    tables.iter().for_each(|it| it.change_columns(steps));
    tables.iter().for_each(|it| it.add_constraints(steps, false));
    tables.iter().for_each(|it| it.create_indexes(steps));
    steps.create_namespaces(&missing, &found.types.schemas);
    steps.create_tables(
        &missing,
        |table| {
            let enums = table.columns.iter().map(|it| enums::risk(&replaced, it));
            enums.fold(found.risk_of_name(table.table), Risk::max)
        },
        |it| {
            let target = tables.iter().find(|table| table.pair.table.table == it.target);
            target.map_or(Risk::Safe, |target| target.risk_of_key(&it.target_columns))
        },
    );
    tables.iter().for_each(|it| it.add_constraints(steps, true));
    tables.iter().for_each(|it| it.comment(steps));
    tables.iter().for_each(|it| it.drop_columns(steps, false));
}

/// One table on its way.
struct Change<'a> {
    pair: &'a Pair<'a>,
    /// All tables on their way.
    pairs: &'a [Pair<'a>],
    database: &'a Found,
    /// As SQL.
    name: String,
}

impl<'a> Change<'a> {
    fn new(pair: &'a Pair<'a>, pairs: &'a [Pair<'a>], database: &'a Found) -> Self {
        Self { pair, pairs, database, name: pair.table.table.sql(Dialect::Postgres) }
    }

    fn target(&self, reference: &Reference<'_>) -> Option<Self> {
        let target = self.pairs.iter().find(|it| it.table.table == reference.target)?;
        Some(Self::new(target, self.pairs, self.database))
    }

    fn shown(&self) -> String {
        shown(&self.pair.table.table.name)
    }

    /// What the database makes of a column of the models.
    fn shadow(&self, column: &ColumnDefinition<'_>) -> Option<&'a FoundColumn> {
        self.pair.shadow.and_then(|it| it.column(column.name))
    }

    /// What the database makes of a check.
    fn check(&self, name: &str) -> Option<&'a str> {
        let constraints = &self.pair.shadow?.constraints;
        let check = constraints.iter().find(|it| it.name.as_deref() == Some(name))?;
        match &check.rule {
            FoundRule::Check { condition, .. } => Some(condition),
            _ => None,
        }
    }

    /// What the database makes of the condition of an index.
    fn condition(&self, wanted: &IndexDefinition<'_>) -> Option<&'a str> {
        let Pair { position, table, shadow, .. } = self.pair;
        let index = table.indexes.iter().position(|it| it.name == wanted.name)?;
        let name = shadow_index(*position, index);
        let shadow = (*shadow)?.indexes.iter().find(|it| it.name == name)?;
        shadow.condition.as_deref()
    }

    /// Whether a constraint is one that is there, whatever becomes of that.
    fn matches(&self, wanted: &Constraint<'_>, there: &FoundConstraint) -> bool {
        match (&wanted.rule, &there.rule) {
            (Rule::Check(_), FoundRule::Check { condition, .. }) => {
                self.check(&wanted.name) == Some(condition)
            }
            (wanted, _) => same_rule(self.database, wanted, there),
        }
    }

    fn is(&self, wanted: &Constraint<'_>, there: &FoundConstraint) -> bool {
        self.matches(wanted, there) && !self.is_made_anew(&wanted.rule)
    }

    fn is_index(&self, wanted: &IndexDefinition<'_>, there: &FoundIndex) -> bool {
        let condition = wanted.condition.as_deref();
        same_index(wanted, self.condition(wanted), there)
            && !condition.is_some_and(|it| self.has_replaced(it))
    }

    fn is_there(&self, wanted: &Constraint<'_>) -> bool {
        let Pair { found, .. } = self.pair;
        let kept = |columns: &[&str]| found.indexes.iter().any(|it| keeps_unique(it, columns));
        found.constraints.iter().any(|it| self.is(wanted, it))
            || matches!(&wanted.rule, Rule::Unique(columns) if kept(columns))
    }

    fn has_index(&self, wanted: &IndexDefinition<'_>) -> bool {
        let Pair { found, .. } = self.pair;
        found.indexes.iter().any(|it| self.is_index(wanted, it))
            || found.constraints.iter().any(|it| serves_as(it, wanted))
    }

    /// Whether what is there is in the way of other changes.
    fn is_made_anew(&self, rule: &Rule<'_>) -> bool {
        match rule {
            Rule::PrimaryKey(_) | Rule::Unique(_) => false,
            Rule::Check(condition) => self.has_replaced(condition),
            Rule::ForeignKey(it) => {
                self.retypes(&it.columns)
                    || self.target(it).is_some_and(|target| {
                        target.retypes(&it.target_columns) || target.drops_key(&it.target_columns)
                    })
            }
        }
    }

    /// Whether a condition names a column whose enum is replaced.
    fn has_replaced(&self, condition: &str) -> bool {
        let mut columns = self.pair.table.columns.iter();
        columns.any(|it| self.pair.is_replaced(it) && condition.contains(&quoted(it.name)))
    }

    fn retypes(&self, columns: &[&str]) -> bool {
        let mut wanted = self.pair.table.columns.iter().filter(|it| columns.contains(&it.name));
        wanted.any(|it| self.pair.is_retyped(it))
    }

    /// Whether the constraint or the index goes that makes a key of some columns.
    fn drops_key(&self, columns: &[&str]) -> bool {
        let Pair { table, found, .. } = self.pair;
        let constraints = found.constraints.iter().filter(|it| match &it.rule {
            FoundRule::PrimaryKey { columns: there } | FoundRule::Unique { columns: there } => {
                same_set(columns, there)
            }
            _ => false,
        });
        let goes = |it: &FoundConstraint| !table.constraints.iter().any(|w| self.is(w, it));
        let indexes = found.indexes.iter().filter(|it| keeps_unique(it, columns));
        let index_goes = |it: &FoundIndex| {
            let unique = |w: &Constraint<'_>| matches!(&w.rule, Rule::Unique(columns) if keeps_unique(it, columns));
            !table.constraints.iter().any(unique)
                && !table.indexes.iter().any(|w| self.is_index(w, it))
        };
        constraints.into_iter().any(goes) || indexes.into_iter().any(index_goes)
    }

    /// What a constraint needs of the columns it is about.
    fn risk_of(&self, rule: &Rule<'_>) -> Risk {
        match rule {
            Rule::PrimaryKey(columns) | Rule::Unique(columns) => self.pair.risk_of_key(columns),
            Rule::Check(condition) => self.risk_of_condition(condition),
            Rule::ForeignKey(it) => {
                let target = self.target(it).map(|target| target.risk_of_key(&it.target_columns));
                self.pair.risk_of(&it.columns).max(target.unwrap_or(Risk::Safe))
            }
        }
    }

    fn risk_of_condition(&self, condition: &str) -> Risk {
        let columns = self.pair.table.columns.iter().map(|it| it.name);
        let columns: Vec<_> = columns.filter(|it| condition.contains(&quoted(it))).collect();
        self.pair.risk_of(&columns)
    }

    fn risk_of_index(&self, index: &IndexDefinition<'_>) -> Risk {
        let condition = index.condition.as_deref().map(|it| self.risk_of_condition(it));
        self.pair.risk_of_key(&index.columns).max(condition.unwrap_or(Risk::Safe))
    }

    /// What a reference to columns of the table needs.
    fn risk_of_key(&self, columns: &[&str]) -> Risk {
        let Pair { table, .. } = self.pair;
        let mut constraints = table.constraints.iter().filter(|it| it.rule.is_key(columns));
        let mut indexes = table.indexes.iter().filter(|it| it.is_key(columns));
        if constraints.clone().any(|it| self.is_there(it)) || indexes.any(|it| self.has_index(it)) {
            return self.pair.risk_of(columns);
        }
        let new = match constraints.next() {
            Some(new) => self.risk_of(&new.rule).max(self.risk_of_name(&new.name)),
            None => self.pair.risk_of_key(columns),
        };
        new.max(Risk::Blocking)
    }

    fn comment(&self, steps: &mut Steps) {
        let Pair { table, found, .. } = self.pair;
        // PostgreSQL keeps no empty comment.
        let there = found.comment.as_deref().unwrap_or_default();
        if let Some(comment) = table.comment.filter(|it| there != *it) {
            steps.needing(self.pair.risk_of(&[])).comment(table.table, comment);
        }
    }

    fn drop_columns(&self, steps: &mut Steps, computed: bool) {
        for there in self.unwanted().filter(|it| it.computed == computed) {
            steps.drop_column(self.pair.table, &there.name);
        }
    }
}
