//! Migrations where little of a table can be changed: SQLite. Columns without rules are added;
//! for anything else the table is made anew, its rows are copied, and it takes the place of the
//! former one, as <https://www.sqlite.org/lang_altertable.html#otheralter> says. Foreign keys must
//! not be enforced meanwhile.

use ferro_wit::plan::Risk;
use ferro_wit::types::Dialect;

use super::found::{Found, FoundColumn, FoundIndex, FoundRule, FoundTable};
use super::matching::{keeps_unique, same_index, same_rule, serves_as};
use super::{Pair, SOMEBODY_ELSES, index_reason, pairs, tokens, types};
use crate::ddl::definition::{
    ColumnDefinition, Constraint, IndexDefinition, Reference, Rule, TableDefinition,
};
use crate::ddl::{Steps, create_table, list};
use crate::dialect::{DECIMAL_COLLATION, Spelling as _};
use crate::error::shown;
use crate::sql::quoted;

pub(super) fn rebuild(steps: &mut Steps, tables: &[TableDefinition<'_>], found: &Found) {
    let (there, missing) = pairs(tables, found, &[]);
    let changes: Vec<_> = there.iter().map(|it| Change::new(it, found)).collect();
    let (ready, _): (Vec<_>, Vec<_>) = changes.iter().partition(|it| !it.waits_for_names());
    // An index may have the name of another table's new one.
    ready.iter().for_each(|it| it.drop_indexes(steps));
    for change in &ready {
        let differences = change.differences();
        match differences.is_empty() {
            true => change.add(steps),
            false => change.make_anew(steps, Stage::Keeping, &differences.join(", ")),
        }
    }
    steps.create_tables(
        &missing,
        |table| found.risk_of_name(table.table),
        |reference| {
            let target = changes.iter().find(|it| it.pair.table.table == reference.target);
            target.map_or(Risk::Safe, |it| it.risk_of_key(reference))
        },
    );
    for change in &ready {
        if !change.converted.is_empty() {
            let columns: Vec<_> = change.converted.iter().map(|it| shown(it)).collect();
            change.make_anew(steps, Stage::Converting, &format!("columns {}", columns.join(", ")));
        }
    }
    ready.iter().for_each(|it| it.drop_others(steps));
}

/// A table is made anew without loss first, and then again where values change with their type.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Keeping,
    Converting,
}

/// One table on its way.
struct Change<'a> {
    pair: &'a Pair<'a>,
    found: &'a FoundTable,
    database: &'a Found,
    /// The table as it can be without a change of any value.
    table: TableDefinition<'a>,
    /// The columns whose values change with their type.
    converted: Vec<&'a str>,
}

impl<'a> Change<'a> {
    fn new(pair: &'a Pair<'a>, database: &'a Found) -> Self {
        let (mut table, found) = (pair.table.clone(), pair.found);
        let mut converted = Vec::new();
        for column in &mut table.columns {
            let Some(there) = found.column(column.name).filter(|it| !it.computed) else { continue };
            let kind = if column.generated { "INTEGER" } else { column.plain_kind() };
            if there.generated || types::keeps(&there.kind, kind) {
                continue;
            }
            converted.push(column.name);
            column.kind = declared(&there.kind);
            if std::mem::take(&mut column.generated) {
                table.constraints.push(Constraint {
                    name: format!("{}_pkey", table.table.name),
                    rule: Rule::PrimaryKey(vec![column.name]),
                });
            }
        }
        let there = tokens::checks(found.sql.as_deref().unwrap_or_default());
        table.constraints.retain(|it| match &it.rule {
            Rule::Check(condition) => {
                let waits = converted.iter().any(|it| tokens::mentions(condition, it));
                !waits || there.contains(&condition.as_str())
            }
            _ => true,
        });
        Self { pair, found, database, table, converted }
    }

    /// Whether the texts of triggers and indexes, which would have to be repeated, have names that
    /// are going to change: SQLite changes those, and is asked again.
    fn waits_for_names(&self) -> bool {
        let Self { found, .. } = self;
        let renamed = found.former.is_some() || found.columns.iter().any(|it| it.former.is_some());
        let repeats =
            !found.triggers.is_empty() || found.indexes.iter().any(|it| self.is_others(it));
        renamed && repeats && (!self.differences().is_empty() || !self.converted.is_empty())
    }

    /// The columns that no field has.
    fn unwanted(&self) -> impl Iterator<Item = &'a FoundColumn> {
        let found = self.found;
        let is_wanted =
            |name: &str| self.table.columns.iter().any(|it| it.name.eq_ignore_ascii_case(name));
        found.columns.iter().filter(move |it| !is_wanted(&it.name))
    }

    /// What a reference to the table needs.
    fn risk_of_key(&self, reference: &Reference<'_>) -> Risk {
        let differs = !self.differences().is_empty();
        let risk = if differs { Risk::Blocking } else { Risk::Safe };
        risk.max(self.pair.risk_of(&reference.target_columns))
    }

    /// What can only be changed with the whole table.
    fn differences(&self) -> Vec<String> {
        let columns = self.table.columns.iter().filter(|it| match self.found.column(it.name) {
            Some(there) => !is_same(it, there),
            None => !can_be_added(it),
        });
        let columns = columns.map(|it| it.name);
        let unwanted = self.unwanted().filter(|it| needs_value(it));
        let columns = columns.chain(unwanted.map(|it| it.name.as_str()));
        let mut differences: Vec<_> = columns.map(|it| format!("column {}", shown(it))).collect();
        for (differs, what) in [
            (self.primary_key() != self.found_primary_key(), "primary key"),
            (self.rules_differ(), "unique and foreign keys"),
            (self.checks_differ(), "checks"),
        ] {
            differences.extend(differs.then(|| what.to_owned()));
        }
        differences
    }

    fn primary_key(&self) -> Vec<&str> {
        let generated = self.table.columns.iter().find(|it| it.generated).map(|it| vec![it.name]);
        let rules = self.table.constraints.iter().find_map(|it| match &it.rule {
            Rule::PrimaryKey(columns) => Some(columns.clone()),
            _ => None,
        });
        rules.or(generated).unwrap_or_default()
    }

    fn found_primary_key(&self) -> Vec<&str> {
        let rules = self.found.constraints.iter().find_map(|it| match &it.rule {
            FoundRule::PrimaryKey { columns } => Some(columns),
            _ => None,
        });
        rules.into_iter().flatten().map(String::as_str).collect()
    }

    /// Uniques and foreign keys.
    fn rules_differ(&self) -> bool {
        let same = |wanted: &Rule<'_>, there| same_rule(self.database, wanted, there);
        let wanted = self.table.constraints.iter().map(|it| &it.rule);
        let mut wanted = wanted.filter(|it| matches!(it, Rule::Unique(_) | Rule::ForeignKey(_)));
        let is_there = |rule: &Rule<'_>| {
            let indexes = &self.found.indexes;
            self.found.constraints.iter().any(|it| same(rule, &it.rule))
                || matches!(rule, Rule::Unique(columns)
                    if indexes.iter().any(|it| keeps_unique(it, columns)))
        };
        let there = self.found.constraints.iter().map(|it| &it.rule);
        let mut there =
            there.filter(|it| matches!(it, FoundRule::Unique { .. } | FoundRule::ForeignKey(_)));
        let is_wanted = |rule| {
            self.table.constraints.iter().any(|it| same(&it.rule, rule))
                || self.table.indexes.iter().any(|it| serves_as(rule, it))
        };
        !wanted.all(is_there) || !there.all(is_wanted)
    }

    fn checks_differ(&self) -> bool {
        let mut wanted: Vec<&str> = Vec::new();
        for constraint in &self.table.constraints {
            if let Rule::Check(condition) = &constraint.rule {
                wanted.push(condition);
            }
        }
        let sql = self.found.sql.as_deref().unwrap_or_default();
        let mut there = tokens::checks(sql);
        wanted.sort_unstable();
        there.sort_unstable();
        wanted != there
    }

    /// Drops indexes that no model has, or not under this name.
    fn drop_indexes(&self, steps: &mut Steps) {
        for there in &self.found.indexes {
            let replaced = self
                .table
                .indexes
                .iter()
                .find(|it| it.name == there.name || self.is(it, there) && !self.is_there(it));
            match replaced {
                _ if self.is_wanted(there) => {}
                Some(index) => {
                    let risk = self.pair.risk_of(&index.columns).max(Risk::Blocking);
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
    fn drop_others(&self, steps: &mut Steps) {
        let columns: Vec<_> = self.unwanted().filter(|it| !it.computed).collect();
        for there in self.found.indexes.iter().filter(|it| self.is_others(it)) {
            let is_on = |it: &&FoundColumn| tokens::mentions(&there.sql, &it.name);
            if there.unique || columns.iter().any(is_on) {
                self.drop_index(steps, there, Risk::Destructive, SOMEBODY_ELSES);
            }
        }
        for column in columns {
            steps.drop_column(&self.table, &column.name);
        }
    }

    /// Adds columns, and creates indexes.
    fn add(&self, steps: &mut Steps) {
        let Self { table, found, .. } = self;
        let name = table.table.sql(steps.dialect);
        for column in table.columns.iter().filter(|it| found.column(it.name).is_none()) {
            let what =
                format!("add column {} to table {}", shown(column.name), shown(&table.table.name));
            let sql = format!("ALTER TABLE {name} ADD COLUMN {}", column.sql());
            steps.needing(self.pair.risk_of(&[column.name])).push(sql, what);
        }
        for index in table.indexes.iter().filter(|it| !self.is_there(it)) {
            steps.needing(self.pair.risk_of(&index.columns)).push_risk(
                index.sql("", &name),
                format!("create index {}", shown(&index.name)),
                Risk::Blocking,
                Some(index_reason(index)),
            );
        }
    }

    fn is(&self, wanted: &IndexDefinition<'_>, there: &FoundIndex) -> bool {
        same_index(wanted, wanted.condition.as_deref(), there)
    }

    /// Whether an index is there, under its name or one that somebody else gave it.
    fn is_there(&self, wanted: &IndexDefinition<'_>) -> bool {
        let is = |it: &FoundIndex| self.is(wanted, it) && (it.name == wanted.name || !it.ours);
        self.found.indexes.iter().any(is)
            || self.found.constraints.iter().any(|it| serves_as(&it.rule, wanted))
    }

    fn is_wanted(&self, there: &FoundIndex) -> bool {
        let mut rules = self.table.constraints.iter().map(|it| &it.rule);
        let is =
            |it: &IndexDefinition<'_>| self.is(it, there) && (it.name == there.name || !there.ours);
        self.table.indexes.iter().any(is)
            || rules.any(|it| matches!(it, Rule::Unique(columns) if keeps_unique(there, columns)))
    }

    /// Whether an index is nothing to the models, nor in the way of theirs.
    fn is_others(&self, there: &FoundIndex) -> bool {
        let replaced = self.table.indexes.iter().any(|it| it.name == there.name);
        !there.ours && !replaced && !self.is_wanted(there)
    }

    /// Puts a new table in the place of the one that is there, for what is different.
    fn make_anew(&self, steps: &mut Steps, stage: Stage, differences: &str) {
        let found = self.found;
        let table = match stage {
            Stage::Keeping => &self.table,
            Stage::Converting => self.pair.table,
        };
        let name = table.table.sql(steps.dialect);
        let new = format!("ferro new {}", table.table.name);
        let unwanted: Vec<_> = self.unwanted().collect();
        let (risk, reason) = match unwanted.iter().any(|it| it.computed) {
            _ if stage == Stage::Converting => (Risk::Destructive, "values may change or be lost"),
            true => (Risk::Destructive, "a computed column, which no field has, is lost"),
            false => (Risk::Blocking, "the table is written anew"),
        };
        let at = shown(&table.table.name);
        let mut push = |sql, what: &str| {
            steps.push_risk(sql, format!("table {at}: {what}"), risk, Some(reason));
        };

        let kept: Vec<_> = unwanted.into_iter().filter(|it| !it.computed).collect();
        let columns = table.columns.iter().map(ColumnDefinition::sql);
        let constraints = table.constraints.iter().map(|it| it.sql(Dialect::Sqlite));
        let parts = columns.chain(kept.iter().map(|it| bare(it))).chain(constraints).collect();
        push(create_table("", &quoted(&new), parts), &format!("make it anew for {differences}"));
        if table.columns.iter().any(|it| it.generated) {
            let text = |it: &str| Dialect::Sqlite.text(it);
            let sql = format!(
                "INSERT INTO sqlite_sequence (name, seq) SELECT {}, seq FROM sqlite_sequence \
                 WHERE name = {}",
                text(&new),
                text(&found.name)
            );
            push(sql, "number on");
        }
        let copied = table.columns.iter().map(|it| it.name);
        let is_there = |it: &&str| found.column(it).is_some_and(|it| !it.computed);
        let copied = copied.filter(|it| stage == Stage::Converting || is_there(it));
        let copied: Vec<_> = copied.chain(kept.iter().map(|it| it.name.as_str())).collect();
        let copying = match self.needs_values() {
            true if stage == Stage::Keeping => {
                "copy the rows, which fails if there are any: a field without a default is new"
            }
            _ => "copy the rows, which fails if one breaks a rule",
        };
        if !copied.is_empty() {
            let columns = list(&copied);
            let new = quoted(&new);
            let sql = format!("INSERT INTO {new} ({columns}) SELECT {columns} FROM {name}");
            push(sql, copying);
        }
        push(format!("DROP TABLE {name}"), "drop the former one");
        // Views still name the table that is not there now.
        let lax = self.database.types.views;
        if lax {
            push("PRAGMA legacy_alter_table = ON".to_owned(), "leave views alone");
        }
        push(format!("ALTER TABLE {} RENAME TO {name}", quoted(&new)), "take its name");
        if lax {
            push("PRAGMA legacy_alter_table = OFF".to_owned(), "mind views again");
        }
        for index in &table.indexes {
            push(index.sql("", &name), &format!("create index {}", shown(&index.name)));
        }
        for there in found.indexes.iter().filter(|it| self.is_others(it)) {
            push(there.sql.clone(), &format!("create index {}", shown(&there.name)));
        }
        for trigger in &found.triggers {
            push(trigger.clone(), "create a trigger");
        }
    }

    /// Whether rows that are there would need a value that nobody gives.
    fn needs_values(&self) -> bool {
        let added = self.table.columns.iter().filter(|it| self.found.column(it.name).is_none());
        added.into_iter().any(|it| !it.nullable && it.default.is_none() && !it.generated)
    }
}

fn is_same(wanted: &ColumnDefinition<'_>, there: &FoundColumn) -> bool {
    if wanted.generated || there.generated {
        return wanted.generated == there.generated;
    }
    wanted.plain_kind().eq_ignore_ascii_case(&there.kind)
        && wanted.nullable == there.nullable
        && wanted.default.as_deref().map(bare_default) == there.default.as_deref().map(bare_default)
}

/// A type that is told, with its collation.
fn declared(kind: &str) -> String {
    let collation = if kind.starts_with("DECIMAL_TEXT") { DECIMAL_COLLATION } else { "" };
    format!("{kind}{collation}")
}

/// A default in parentheses is told without them.
fn bare_default(sql: &str) -> &str {
    sql.strip_prefix('(').and_then(|it| it.strip_suffix(')')).unwrap_or(sql)
}

fn can_be_added(column: &ColumnDefinition<'_>) -> bool {
    column.is_easily_added() && !column.default.as_ref().is_some_and(|it| it.starts_with('('))
}

/// Whether rows without a value for it are refused.
fn needs_value(column: &FoundColumn) -> bool {
    !column.nullable && column.default.is_none() && !column.computed
}

/// A column that no field has, without any rule.
fn bare(column: &FoundColumn) -> String {
    let default = column.default.as_ref().map(|it| format!(" DEFAULT ({it})")).unwrap_or_default();
    format!("{} {}{default}", quoted(&column.name), declared(&column.kind))
}
