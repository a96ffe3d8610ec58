//! Constraints and indexes on their way.

use std::collections::HashMap;

use ferro_wit::plan::Risk;
use ferro_wit::types::Dialect;

use super::Change;
use crate::ddl::Steps;
use crate::ddl::definition::{IndexDefinition, Rule};
use crate::ddl::migration::found::{FoundConstraint, FoundRule};
use crate::ddl::migration::matching::{keeps_unique, same_set, serves_as, takes_place};
use crate::ddl::migration::{Pair, SOMEBODY_ELSES, index_reason, renames, tokens};
use crate::error::shown;
use crate::sql::quoted;

impl Change<'_> {
    /// Drops what refuses rows that the models allow, or is in the way.
    pub(super) fn drop_constraints(
        &self,
        steps: &mut Steps,
        foreign_keys: bool,
        dropped: &mut Freed,
    ) {
        for there in &self.pair.found.constraints {
            let is_key = matches!(there.rule, FoundRule::ForeignKey(_));
            let Some(name) = there.name.as_deref().filter(|_| is_key == foreign_keys) else {
                continue;
            };
            let Some((risk, reason)) = self.fate(there) else { continue };
            let needs = match &there.rule {
                FoundRule::PrimaryKey { columns } | FoundRule::Unique { columns } => {
                    self.risk_of_references(&columns.iter().map(String::as_str).collect::<Vec<_>>())
                }
                _ => Risk::Safe,
            };
            let sql = format!("ALTER TABLE {} DROP CONSTRAINT {}", self.name, quoted(name));
            let risk = self.drop(steps.needing(needs), sql, name, risk, reason);
            dropped.insert(self.key_of_constraint(there), risk);
        }
    }

    /// What dropping a constraint costs; none, if it stays.
    pub(super) fn fate(&self, there: &FoundConstraint) -> Option<(Risk, Option<&'static str>)> {
        let Pair { table, .. } = self.pair;
        if table.constraints.iter().any(|it| self.is(it, there))
            || table.indexes.iter().any(|it| serves_as(there, it))
        {
            return None;
        }
        let mut constraints = table.constraints.iter();
        let other = constraints.find(|it| self.matches(it, there) || takes_place(it, there));
        let other = other.map(|it| self.risk_of(&it.rule)).or_else(|| {
            let has_index =
                matches!(there.rule, FoundRule::PrimaryKey { .. } | FoundRule::Unique { .. });
            let is_name = |it: &&IndexDefinition<'_>| there.name.as_ref() == Some(&it.name);
            let index = table.indexes.iter().find(is_name).filter(|_| has_index);
            index.map(|it| self.risk_of_index(it))
        });
        let is_soon = match &there.rule {
            FoundRule::Check { condition, .. } => self.is_soon_in_the_way(condition),
            _ => false,
        };
        Some(fate(there.ours, other.map(|it| if is_soon { Risk::Blocking } else { it })))
    }

    /// What the name of a new constraint needs: something of others may have it.
    pub(super) fn risk_of_name(&self, name: &str) -> Risk {
        let Pair { table, found, .. } = self.pair;
        let goes_on = |there: &FoundConstraint| {
            let mut constraints = table.constraints.iter();
            constraints.any(|it| self.matches(it, there) || takes_place(it, there))
        };
        let mut named = found.constraints.iter().filter(|it| it.name.as_deref() == Some(name));
        let is_taken = named.any(|it| !it.ours && !goes_on(it));
        if is_taken { Risk::Destructive } else { Risk::Safe }
    }

    /// Whether a condition names a column that gets another type before anything is lost. It cannot
    /// wait for what takes its place, then.
    fn is_soon_in_the_way(&self, condition: &str) -> bool {
        self.pair.table.columns.iter().any(|it| {
            self.pair.is_another_type(it)
                && self.pair.risk_of(&[it.name]) == Risk::Blocking
                && tokens::mentions(Dialect::Postgres, condition, it.name)
        })
    }

    /// What dropping the foreign keys costs that need a key of some columns.
    fn risk_of_references(&self, columns: &[&str]) -> Risk {
        let refers = |it: &&FoundConstraint| match &it.rule {
            FoundRule::ForeignKey(it) => {
                it.schema == self.pair.found.schema
                    && it.table == self.pair.found.name
                    && it.target_columns.as_ref().is_some_and(|it| same_set(columns, it))
            }
            _ => false,
        };
        let mut worst = Risk::Safe;
        for pair in self.pairs {
            let other = Change::new(pair, self.pairs, self.database);
            let fates =
                pair.found.constraints.iter().filter(refers).filter_map(|it| other.fate(it));
            worst = fates.map(|(risk, _)| risk.max(pair.risk_of(&[]))).fold(worst, Risk::max);
        }
        worst
    }

    /// Drops indexes that Ferro made, and those that refuse rows.
    pub(super) fn drop_indexes(&self, steps: &mut Steps, dropped: &mut Freed) {
        let Pair { table, found, .. } = self.pair;
        for there in &found.indexes {
            let unique = table.constraints.iter().any(
                |it| matches!(&it.rule, Rule::Unique(columns) if keeps_unique(there, columns)),
            );
            if unique || table.indexes.iter().any(|it| self.is_index(it, there)) {
                continue;
            }
            let mut other = table.indexes.iter().filter(|it| it.name == there.name);
            let is_soon = there.condition.as_deref().is_some_and(|it| self.is_soon_in_the_way(it));
            let other = other.next().map(|it| match is_soon {
                true => Risk::Blocking,
                false => self.risk_of_index(it),
            });
            let in_the_way = table.columns.iter().any(|it| self.pair.is_in_the_way(there, it));
            if other.is_some() || there.ours || there.unique || in_the_way {
                let sql = format!("DROP INDEX {}.{}", quoted(&found.schema), quoted(&there.name));
                let (risk, reason) = fate(there.ours, other);
                let columns: Vec<_> = there.columns.iter().flatten().map(String::as_str).collect();
                let needs = self.risk_of_references(&columns);
                let risk = self.drop(steps.needing(needs), sql, &there.name, risk, reason);
                dropped.insert(self.key(&there.name), risk);
            }
        }
    }

    /// Drops a constraint or an index, and says what that puts at risk.
    fn drop(
        &self,
        steps: &mut Steps,
        sql: String,
        name: &str,
        risk: Risk,
        reason: Option<&str>,
    ) -> Risk {
        let floor = steps.floor.max(self.pair.risk_of(&[]));
        let what = format!("drop {} of table {}", shown(name), self.shown());
        steps.needing(floor).push_risk(sql, what, risk, reason);
        risk.max(floor)
    }

    /// What no two indexes of a schema can share.
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", quoted(&self.pair.found.schema))
    }

    /// A constraint that has no index only shares its name with none of its table.
    fn key_of(&self, name: &str, has_index: bool) -> String {
        match has_index {
            true => self.key(name),
            false => format!("{}.{name}", self.name),
        }
    }

    fn key_of_constraint(&self, there: &FoundConstraint) -> String {
        let has_index =
            matches!(there.rule, FoundRule::PrimaryKey { .. } | FoundRule::Unique { .. });
        self.key_of(there.name.as_deref().unwrap_or_default(), has_index)
    }

    /// The names that constraints and indexes have after those that they were, and the statements.
    fn renames(&self) -> Vec<Rename> {
        let Pair { table, found, .. } = self.pair;
        let mut renames = Vec::new();
        for wanted in &table.constraints {
            let mut there = found.constraints.iter().filter(|it| it.ours && self.is(wanted, it));
            let Some(there) = there.next() else { continue };
            let Some(former) = there.name.as_deref() else { continue };
            let has_index = matches!(wanted.rule, Rule::PrimaryKey(_) | Rule::Unique(_));
            renames.push(Rename {
                key: self.key_of(&wanted.name, has_index),
                former: vec![self.key_of(former, has_index)],
                sql: format!(
                    "ALTER TABLE {} RENAME CONSTRAINT {} TO {}",
                    self.name,
                    quoted(former),
                    quoted(&wanted.name)
                ),
                what: format!("rename {} to {}", shown(former), shown(&wanted.name)),
                risk: self.risk_of(&wanted.rule).min(Risk::Blocking),
            });
        }
        for wanted in &table.indexes {
            let mut there = found.indexes.iter().filter(|it| it.ours && self.is_index(wanted, it));
            let Some(there) = there.next() else { continue };
            renames.push(Rename {
                key: self.key(&wanted.name),
                former: vec![self.key(&there.name)],
                sql: format!(
                    "ALTER INDEX {}.{} RENAME TO {}",
                    quoted(&found.schema),
                    quoted(&there.name),
                    quoted(&wanted.name)
                ),
                what: format!("rename {} to {}", shown(&there.name), shown(&wanted.name)),
                risk: self.risk_of_index(wanted).min(Risk::Blocking),
            });
        }
        renames
    }

    pub(super) fn add_constraints(&self, steps: &mut Steps, foreign_keys: bool) {
        for wanted in &self.pair.table.constraints {
            let is_key = matches!(wanted.rule, Rule::ForeignKey(_));
            if is_key != foreign_keys || self.is_there(wanted) {
                continue;
            }
            let name = self.risk_of_name(&wanted.name);
            steps.needing(self.risk_of(&wanted.rule).max(name)).push_risk(
                format!("ALTER TABLE {} ADD {}", self.name, wanted.sql(Dialect::Postgres)),
                format!("add {} to table {}", shown(&wanted.name), self.shown()),
                Risk::Blocking,
                Some("all rows are read, and it fails if one of them breaks the rule"),
            );
        }
    }

    pub(super) fn create_indexes(&self, steps: &mut Steps) {
        for index in self.pair.table.indexes.iter().filter(|it| !self.has_index(it)) {
            steps.needing(self.risk_of_index(index)).push_risk(
                index.sql("", &self.name),
                format!("create index {}", shown(&index.name)),
                Risk::Blocking,
                Some(index_reason(index)),
            );
        }
    }
}

/// What dropping something costs. Where another takes its place, it stays until that comes.
fn fate(ours: bool, other: Option<Risk>) -> (Risk, Option<&'static str>) {
    match other {
        Some(risk) => (risk.max(Risk::Blocking), Some("another takes its place")),
        None if ours => (Risk::Safe, None),
        None => (Risk::Destructive, Some(SOMEBODY_ELSES)),
    }
}

/// The names that are free once steps are done which put so much at risk.
pub(super) type Freed = HashMap<String, Risk>;

struct Rename {
    key: String,
    former: Vec<String>,
    sql: String,
    what: String,
    risk: Risk,
}

/// Gives constraints and indexes the names that Ferro makes for their tables and columns, whose
/// names have changed. Else those would be in the way of a new table or column of the former name.
pub(super) fn rename(steps: &mut Steps, tables: &[Change<'_>], mut freed: Freed) {
    let there = tables.iter().flat_map(|it| {
        let constraints = it.pair.found.constraints.iter().map(|there| it.key_of_constraint(there));
        constraints.chain(it.pair.found.indexes.iter().map(|there| it.key(&there.name)))
    });
    let there = there.filter(|it| !freed.contains_key(it)).collect();
    let renames: Vec<_> = tables.iter().flat_map(Change::renames).collect();
    let wanted: Vec<_> = renames.iter().map(|it| (&*it.key, &*it.former)).collect();
    for (index, former) in renames::moves(&wanted, there, |one, other| one == other) {
        let Rename { key, sql, what, risk, .. } = &renames[index];
        let risk = freed.get(key).copied().unwrap_or(Risk::Safe).max(*risk);
        steps.needing(risk).push(sql.clone(), what.clone());
        freed.insert(former, risk);
    }
}
