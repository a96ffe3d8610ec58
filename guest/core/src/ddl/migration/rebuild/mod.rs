//! Migrations where little of a table can be changed: SQLite. Columns without rules are added;
//! for anything else the table is made anew, its rows are copied, and it takes the place of the
//! former one, as <https://www.sqlite.org/lang_altertable.html#otheralter> says. Foreign keys must
//! not be enforced meanwhile.

mod anew;
mod indexes;

use ferro_wit::plan::Risk;
use ferro_wit::schema::{ColumnType, IntegerWidth};
use ferro_wit::types::Dialect;

use super::found::{Found, FoundColumn, FoundConstraint, FoundRule, FoundTable};
use super::matching::{keeps_unique, same_rule, serves_as, takes_place};
use super::{Pair, index_reason, pairs, tokens, types};
use crate::ddl::Steps;
use crate::ddl::definition::{ColumnDefinition, Constraint, Reference, Rule, TableDefinition};
use crate::dialect::{DECIMAL_COLLATION, columns};
use crate::error::shown;

pub(super) fn rebuild(steps: &mut Steps, tables: &[TableDefinition<'_>], found: &Found) {
    let (there, missing) = pairs(tables, found, &[]);
    let mut changes: Vec<_> = there.iter().map(|it| Change::new(it, found)).collect();
    wait_for_targets(&mut changes);
    let (ready, _): (Vec<_>, Vec<_>) = changes.iter().partition(|it| !it.waits_for_names());
    // An index may have the name of another table's new one.
    ready.iter().for_each(|it| it.drop_indexes(steps));
    for change in &ready {
        match change.differences.is_empty() {
            true => change.add(steps),
            false => change.make_anew(steps, Stage::Keeping),
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
    for change in ready.iter().filter(|it| it.loses()) {
        change.make_anew(steps, Stage::Losing);
    }
    ready.iter().for_each(|it| it.drop_others(steps));
}

/// Lets tables wait that would get foreign keys to what waits itself.
fn wait_for_targets(changes: &mut [Change<'_>]) {
    let waits = |change: &Change<'_>, changes: &[Change<'_>]| {
        let risk = |reference: &Reference<'_>| {
            let target = changes.iter().find(|it| it.pair.table.table == reference.target);
            target.map_or(Risk::Safe, |it| it.risk_of_key(reference))
        };
        !change.waits && change.new_references().any(|it| risk(it) == Risk::Destructive)
    };
    while let Some(next) = changes.iter().position(|it| waits(it, changes)) {
        changes[next].waits = true;
    }
}

/// A table is made anew without loss first, and then again where values change with their type, and
/// rules are lost that may be somebody else's.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Keeping,
    Losing,
}

/// One table on its way.
struct Change<'a> {
    pair: &'a Pair<'a>,
    found: &'a FoundTable,
    database: &'a Found,
    /// The table as it can be without a change of any value.
    table: TableDefinition<'a>,
    /// The columns whose values may change with their type.
    converted: Vec<&'a str>,
    /// What has rules beside those of the models until then.
    kept: Vec<&'a FoundConstraint>,
    /// What can only be changed with the whole table.
    differences: Vec<String>,
    /// A new foreign key refers to what is there only once something may be lost.
    waits: bool,
}

impl<'a> Change<'a> {
    fn new(pair: &'a Pair<'a>, database: &'a Found) -> Self {
        let (mut table, found) = (pair.table.clone(), pair.found);
        let mut converted = Vec::new();
        for column in &mut table.columns {
            let Some(there) = found.column(column.name).filter(|it| !it.computed) else { continue };
            let kind = column.plain_kind();
            let keeps = types::keeps(&there.kind, kind) || types::converts(&there.kind, kind);
            if there.generated && column.generated || keeps {
                continue;
            }
            converted.push(column.name);
            let is_key = |it: &Constraint<'_>| it.rule == Rule::PrimaryKey(vec![column.name]);
            let key = table.constraints.iter().position(is_key);
            match key.filter(|_| there.generated) {
                Some(key) => {
                    table.constraints.remove(key);
                    let number = &ColumnType::Integer(IntegerWidth::Big);
                    column.kind = columns::generated_key(Dialect::Sqlite, number).0;
                    (column.generated, column.default) = (true, None);
                }
                None => column.kind = declared(&there.kind),
            }
            if !there.generated && std::mem::take(&mut column.generated) {
                table.constraints.push(Constraint {
                    name: format!("{}_pkey", table.table.name),
                    rule: Rule::PrimaryKey(vec![column.name]),
                    limits: None,
                });
            }
        }
        table.constraints.retain(|it| match &it.rule {
            Rule::Check(condition) => {
                let is_in = |column: &&str| tokens::mentions(Dialect::Sqlite, condition, column);
                !converted.iter().any(is_in)
                    || found.constraints.iter().any(|there| same_rule(database, &it.rule, there))
            }
            _ => true,
        });
        let (kept, differences) = (Vec::new(), Vec::new());
        let waits = false;
        let mut change = Self { pair, found, database, table, converted, kept, differences, waits };
        change.kept = found.constraints.iter().filter(|it| change.keeps(it)).collect();
        change.differences = change.find_differences();
        change
    }

    /// Whether a rule that no model has stays until something may be lost.
    fn keeps(&self, there: &FoundConstraint) -> bool {
        let mut wanted = self.pair.table.constraints.iter();
        let is_wanted = wanted.clone().any(|it| same_rule(self.database, &it.rule, there))
            || self.table.indexes.iter().any(|it| serves_as(there, it));
        // What limits a column goes with its type.
        let waits = |column| self.converted.contains(&column);
        match wanted.find(|it| takes_place(it, there)) {
            _ if is_wanted || matches!(there.rule, FoundRule::PrimaryKey { .. }) => false,
            // It waits for a column, and this with it.
            Some(other) => self.table.constraints.iter().all(|it| it.rule != other.rule),
            None => !there.ours || there.limits.as_deref().is_some_and(waits),
        }
    }

    /// Whether something is lost besides columns.
    fn loses(&self) -> bool {
        !self.converted.is_empty() || !self.kept.is_empty()
    }

    /// Whether the table is not the one it was.
    fn is_made_anew(&self) -> bool {
        !self.differences.is_empty() || self.loses()
    }

    /// Whether the texts of triggers and indexes, which would have to be repeated, have names that
    /// are going to change: SQLite changes those, and is asked again.
    fn waits_for_names(&self) -> bool {
        let Self { found, database, .. } = self;
        let renamed = found.former.is_some() || found.columns.iter().any(|it| it.former.is_some());
        let repeats =
            !found.triggers.is_empty() || found.indexes.iter().any(|it| self.is_others(it));
        let is_named = |former: &str| {
            found.triggers.iter().any(|it| tokens::mentions(Dialect::Sqlite, it, former))
        };
        let repeats_others = || database.formers().any(is_named);
        (renamed && repeats || repeats_others()) && self.is_made_anew()
    }

    /// The columns that no field has.
    fn unwanted(&self) -> impl Iterator<Item = &'a FoundColumn> {
        let found = self.found;
        let is_wanted =
            |name: &str| self.table.columns.iter().any(|it| it.name.eq_ignore_ascii_case(name));
        found.columns.iter().filter(move |it| !is_wanted(&it.name))
    }

    /// The foreign keys that the table gets.
    fn new_references(&self) -> impl Iterator<Item = &Reference<'a>> {
        let rules = self.table.constraints.iter().map(|it| &it.rule);
        let is_there = |rule: &Rule<'_>| {
            self.found.constraints.iter().any(|it| same_rule(self.database, rule, it))
        };
        rules.filter(move |it| !is_there(it)).filter_map(|it| match it {
            Rule::ForeignKey(reference) => Some(reference),
            _ => None,
        })
    }

    /// What a reference to the table needs.
    fn risk_of_key(&self, reference: &Reference<'_>) -> Risk {
        let waits = reference.target_columns.iter().any(|it| self.converted.contains(it));
        let kind = if waits { Risk::Destructive } else { Risk::Safe };
        let table = self.risk_of_table().max(self.risk_of_indexes(&reference.target_columns));
        kind.max(table).max(self.pair.risk_of(&reference.target_columns))
    }

    /// What a key needs that no constraint makes, but an index.
    fn risk_of_indexes(&self, columns: &[&str]) -> Risk {
        let is_rule = self.table.constraints.iter().any(|it| it.rule.is_key(columns));
        let is_number = self.table.columns.iter().any(|it| it.generated && columns == [it.name]);
        let mut indexes = self.table.indexes.iter().filter(|it| it.is_key(columns));
        let is_there = is_rule || is_number || indexes.any(|it| self.is_there(it));
        if is_there { Risk::Safe } else { Risk::Blocking }
    }

    /// What the table needs to be as it is without a loss.
    fn risk_of_table(&self) -> Risk {
        match self.differences.is_empty() {
            true => Risk::Safe,
            false => self.risk_at(Stage::Keeping).0,
        }
    }

    fn find_differences(&self) -> Vec<String> {
        let columns = self.table.columns.iter().filter(|it| match self.found.column(it.name) {
            Some(there) => !there.computed && !is_same(it, there),
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
        if differences.is_empty() && self.has_outdated_names() {
            differences.push("names of constraints".to_owned());
        }
        differences
    }

    /// Whether a rule has a name by which later models could not know it for one of Ferro's. Nobody
    /// looks at that of a primary key.
    fn has_outdated_names(&self) -> bool {
        let mut rules = self.changing();
        rules.any(|it| it.outdated && !matches!(it.rule, FoundRule::PrimaryKey { .. }))
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
        let same = |wanted: &Rule<'_>, there: &_| same_rule(self.database, wanted, there);
        let wanted = self.table.constraints.iter().map(|it| &it.rule);
        let mut wanted = wanted.filter(|it| matches!(it, Rule::Unique(_) | Rule::ForeignKey(_)));
        let is_there = |rule: &Rule<'_>| {
            let indexes = &self.found.indexes;
            self.found.constraints.iter().any(|it| same(rule, it))
                || matches!(rule, Rule::Unique(columns)
                    if indexes.iter().any(|it| keeps_unique(it, columns)))
        };
        let is_rule = |it: &&FoundConstraint| {
            matches!(it.rule, FoundRule::Unique { .. } | FoundRule::ForeignKey(_))
        };
        let mut there = self.changing().filter(is_rule);
        let is_wanted = |there: &FoundConstraint| {
            self.table.constraints.iter().any(|it| same(&it.rule, there))
                || self.table.indexes.iter().any(|it| serves_as(there, it))
        };
        !wanted.all(is_there) || !there.all(is_wanted)
    }

    /// The rules that are there, but for those that stay as they are.
    fn changing(&self) -> impl Iterator<Item = &'a FoundConstraint> {
        let found = self.found.constraints.iter();
        found.filter(|it| !self.kept.iter().any(|kept| std::ptr::eq(*kept, *it)))
    }

    fn checks_differ(&self) -> bool {
        let wanted = self.table.constraints.iter().filter_map(|it| match &it.rule {
            Rule::Check(condition) => Some(condition),
            _ => None,
        });
        let there = self.changing().filter_map(|it| match &it.rule {
            FoundRule::Check { condition, .. } => Some(condition),
            _ => None,
        });
        let (mut wanted, mut there): (Vec<_>, Vec<_>) = (wanted.collect(), there.collect());
        wanted.sort_unstable();
        there.sort_unstable();
        wanted != there
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
