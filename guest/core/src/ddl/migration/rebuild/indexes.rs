//! Indexes on their way, and what may be somebody else's.

use ferro_wit::plan::Risk;
use ferro_wit::types::Dialect;

use super::Change;
use crate::ddl::Steps;
use crate::ddl::definition::{IndexDefinition, Rule};
use crate::ddl::migration::found::{FoundColumn, FoundIndex};
use crate::ddl::migration::matching::{keeps_unique, same_index, serves_as};
use crate::ddl::migration::{SOMEBODY_ELSES, tokens};
use crate::error::shown;
use crate::sql::quoted;

impl Change<'_> {
    /// Drops indexes that no model has, or not under this name.
    pub(super) fn drop_indexes(&self, steps: &mut Steps) {
        for there in &self.found.indexes {
            let replaced = self
                .table
                .indexes
                .iter()
                .find(|it| it.name == there.name || self.is(it, there) && !self.is_there(it));
            match replaced {
                _ if self.is_wanted(there) => {}
                Some(index) => {
                    // It has to come back with what it needs.
                    let risk = self.pair.risk_of(&index.columns).max(self.risk_of_table());
                    let risk = risk.max(Risk::Blocking);
                    self.drop_index(steps, there, risk, "another takes its place");
                }
                None if there.ours => self.drop_index(steps, there, Risk::Safe, ""),
                None => {}
            }
        }
    }

    fn drop_index(&self, steps: &mut Steps, there: &FoundIndex, risk: Risk, reason: &str) {
        steps.push_risk(
            format!("DROP INDEX {}", quoted(&there.name)),
            format!("drop {} of table {}", shown(&there.name), shown(&self.table.table.name)),
            risk,
            Some(reason).filter(|it| !it.is_empty()),
        );
    }

    /// Drops what no field and no model has, and may be somebody else's.
    pub(super) fn drop_others(&self, steps: &mut Steps) {
        // Those that are computed go first, as they are computed of others. A table that was made
        // anew has none.
        let (computed, columns): (Vec<_>, Vec<_>) = self.unwanted().partition(|it| it.computed);
        let computed = computed.into_iter().rev().filter(|_| !self.is_made_anew());
        let columns: Vec<_> = computed.chain(columns).collect();
        for there in self.found.indexes.iter().filter(|it| self.is_others(it)) {
            let is_on = |it: &&FoundColumn| tokens::mentions(Dialect::Sqlite, &there.sql, &it.name);
            if there.unique || columns.iter().any(is_on) {
                self.drop_index(steps, there, Risk::Destructive, SOMEBODY_ELSES);
            }
        }
        for column in columns {
            steps.drop_column(&self.table, &column.name);
        }
    }

    fn is(&self, wanted: &IndexDefinition<'_>, there: &FoundIndex) -> bool {
        same_index(wanted, wanted.condition.as_deref(), there)
    }

    /// Whether an index is there, under its name or one that somebody else gave it.
    pub(super) fn is_there(&self, wanted: &IndexDefinition<'_>) -> bool {
        let is = |it: &FoundIndex| self.is(wanted, it) && (it.name == wanted.name || !it.ours);
        self.found.indexes.iter().any(is)
            || self.found.constraints.iter().any(|it| serves_as(it, wanted))
    }

    fn is_wanted(&self, there: &FoundIndex) -> bool {
        let mut rules = self.table.constraints.iter().map(|it| &it.rule);
        let is =
            |it: &IndexDefinition<'_>| self.is(it, there) && (it.name == there.name || !there.ours);
        self.table.indexes.iter().any(is)
            || rules.any(|it| matches!(it, Rule::Unique(columns) if keeps_unique(there, columns)))
    }

    /// Whether an index is nothing to the models, nor in the way of theirs.
    pub(super) fn is_others(&self, there: &FoundIndex) -> bool {
        let replaced = self.table.indexes.iter().any(|it| it.name == there.name);
        !there.ours && !replaced && !self.is_wanted(there)
    }
}
