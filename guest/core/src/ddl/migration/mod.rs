//! From what a database has to what the models want.
//!
//! What both say is compared as structure, never by name: a unique column is one whatever its
//! constraint is called. Tables of no model are nothing to a migration. Neither are indexes of
//! others, and triggers.

mod alter;
mod checks;
mod enums;
mod found;
mod introspection;
mod matching;
mod rebuild;
mod renames;
mod tokens;
mod types;

use ferro_wit::plan::{MigrationStep, Risk};
use ferro_wit::types::{Dialect, Error};

use super::Steps;
use super::definition::{self, ColumnDefinition, IndexDefinition, Rule, TableDefinition};
use crate::catalog::{Catalog, Table};
use crate::error::{shown, unsupported};
use crate::sql::quoted;
use enums::Replaced;
use found::{Found, FoundColumn, FoundConstraint, FoundIndex, FoundRule, FoundTable, Taken};
use matching::{may_be_key, takes_place};

impl Catalog {
    /// The statements that ask a database what it has where the models have their tables. They are
    /// to be run in order, in a transaction that is rolled back; those that return something return
    /// one row of one text, and those texts are what [`migrate`](Self::migrate) takes. For
    /// [`create_tables`](Self::create_tables), those suffice that come before the first that is not
    /// a `SELECT`: they only read.
    ///
    /// # Errors
    ///
    /// `invalid-schema`, if two models have the same table on that database.
    pub fn introspection(&self, dialect: Dialect) -> Result<Vec<String>, Error> {
        self.check_dialect(dialect)?;
        Ok(introspection::statements(self, dialect))
    }

    /// Statements that create the tables that a database lacks, in order: their schemas and enums,
    /// the tables with their keys and constraints, their indexes. Tables that are there stay as they
    /// are, without the indexes and keys that they lack. With nothing `found`, the database is empty.
    ///
    /// # Errors
    ///
    /// Those of [`migrate`](Self::migrate), and `unsupported`, if a table would refer to a column
    /// that has another type than in the models or is no key, or if the name of an index is taken.
    pub fn create_tables(
        &self,
        dialect: Dialect,
        found: &[String],
    ) -> Result<Vec<MigrationStep>, Error> {
        self.check_dialect(dialect)?;
        let mut found = Found::read(dialect, found)?;
        let tables = definition::tables(self, dialect);
        found.spell(&tables);
        let (_, missing) = pairs(&tables, &found, &[]);
        for table in &missing {
            check_references(dialect, table, &found)?;
            check_indexes(table, |index| found.taken(table.table, index))?;
        }
        let mut steps = Steps { unless_there: " IF NOT EXISTS", ..Steps::new(dialect) };
        steps.create_namespaces(&missing, &found.types.schemas);
        enums::create(&mut steps, &self.enums, &missing, &found);
        steps.create_tables(&missing, |_| Risk::Safe, |_| Risk::Safe);
        Ok(steps.done)
    }

    /// The statements that make of what a database has what the models want, in order; none, if it
    /// has that.
    ///
    /// A step that loses data says so. Those that are not destructive work without the destructive
    /// ones.
    ///
    /// # Errors
    ///
    /// `invalid-schema`, if two models have the same table on that database; `invalid-query`, if
    /// `found` is not what the statements of [`introspection`](Self::introspection) return;
    /// `unsupported`, if something of no model has the name of an index of a new table.
    pub fn migrate(&self, dialect: Dialect, found: &[String]) -> Result<Vec<MigrationStep>, Error> {
        self.check_dialect(dialect)?;
        let mut found = Found::read(dialect, found)?;
        let tables = definition::tables(self, dialect);
        for table in pairs(&tables, &found, &[]).1 {
            check_indexes(table, |index| found.taken_by_others(table.table, index))?;
        }
        let mut steps = Steps::new(dialect);
        renames::rename(&mut steps, &tables, &mut found);
        found.spell(&tables);
        found.claim(&tables);
        match dialect {
            Dialect::Postgres => alter::alter(&mut steps, self, &tables, &found),
            Dialect::Sqlite => rebuild::rebuild(&mut steps, &tables, &found),
        }
        Ok(steps.done)
    }
}

/// Fails if a new table would refer to what is no key, or to a column that has another type than its
/// own. SQLite would not mind before a row is written.
fn check_references(
    dialect: Dialect,
    table: &TableDefinition<'_>,
    found: &Found,
) -> Result<(), Error> {
    let refuse = |target: &Table, why: String| {
        let (own, target) = (shown(&table.table.name), shown(&target.name));
        Err(unsupported(format!("table {own} cannot refer to table {target}: {why}")))
    };
    for constraint in &table.constraints {
        let Rule::ForeignKey(key) = &constraint.rule else { continue };
        let Some(target) = found.table(key.target) else {
            if found.is_other(key.target) {
                return refuse(key.target, "in the database, that is no table".to_owned());
            }
            continue;
        };
        for (from, to) in key.columns.iter().zip(&key.target_columns) {
            let own = table.columns.iter().find(|it| it.name == *from);
            let Some((own, other)) = own.zip(target.column(to)) else { continue };
            if !types::can_refer(dialect, own.plain_kind(), &other.kind) {
                let why = format!(
                    "column {} would be {}, and column {} is {} in the database: migrate that first",
                    shown(from),
                    shown(own.plain_kind()),
                    shown(to),
                    shown(&other.kind)
                );
                return refuse(key.target, why);
            }
        }
        if !may_be_key(target, &key.target_columns) {
            let columns: Vec<_> = key.target_columns.iter().map(|it| shown(it)).collect();
            let why = format!(
                "in the database, {} is neither its primary key nor unique: migrate that first",
                columns.join(", ")
            );
            return refuse(key.target, why);
        }
    }
    Ok(())
}

/// Fails if an index of a new table would have a name that is taken: `IF NOT EXISTS` would silently
/// skip it.
fn check_indexes<'a>(
    table: &TableDefinition<'_>,
    taken: impl Fn(&str) -> Option<&'a Taken>,
) -> Result<(), Error> {
    for index in &table.indexes {
        let Some(Taken { kind, table: owner, .. }) = taken(&index.name) else { continue };
        let there = match owner {
            Some(owner) => format!("table {} has an index of that name", shown(owner)),
            None => format!("there is a {kind} of that name"),
        };
        return Err(unsupported(format!(
            "table {} cannot have the index {}: in the database, {there}: drop or rename that, or \
             name this one otherwise",
            shown(&table.table.name),
            shown(&index.name)
        )));
    }
    Ok(())
}

/// A table of the models that the database has.
struct Pair<'a> {
    /// The place of the table among those of the models.
    position: usize,
    table: &'a TableDefinition<'a>,
    found: &'a FoundTable,
    /// What the database makes of the definition, where that was asked.
    shadow: Option<&'a FoundTable>,
    /// The enums that others take the place of.
    replaced: &'a [Replaced],
    /// What waits for foreign keys.
    held: &'a [Held],
}

/// What can change only once a foreign key is dropped that stays until something may be lost.
struct Held {
    /// The place of its table among those of the models.
    table: usize,
    /// The place of a column; none: all that makes keys, and the names of indexes.
    column: Option<usize>,
}

/// The tables that are there, and those that are not. A view in the place of one is neither.
fn pairs<'a>(
    tables: &'a [TableDefinition<'a>],
    found: &'a Found,
    replaced: &'a [Replaced],
) -> (Vec<Pair<'a>>, Vec<&'a TableDefinition<'a>>) {
    let (mut there, mut missing) = (Vec::new(), Vec::new());
    for (position, table) in tables.iter().enumerate() {
        match found.table(table.table) {
            Some(it) => {
                let shadow = found.position(SHADOWS, &shadow(position));
                let shadow = shadow.map(|it| &found.tables[it]);
                there.push(Pair { position, table, found: it, shadow, replaced, held: &[] });
            }
            None if found.is_other(table.table) => {}
            None => missing.push(table),
        }
    }
    (there, missing)
}

impl Steps {
    /// Drops a column that no field has.
    fn drop_column(&mut self, table: &TableDefinition<'_>, column: &str) {
        self.push_risk(
            format!("ALTER TABLE {} DROP COLUMN {}", table.table.sql(self.dialect), quoted(column)),
            format!(
                "drop column {} of table {}, which no field has",
                shown(column),
                shown(&table.table.name)
            ),
            Risk::Destructive,
            Some("its values are lost"),
        );
    }
}

fn index_reason(index: &IndexDefinition<'_>) -> &'static str {
    match index.unique {
        true => "nothing is written meanwhile, and it fails if two rows are the same",
        false => "nothing is written meanwhile",
    }
}

const SOMEBODY_ELSES: &str = "no model has it, and it may be somebody else's";
const STANDS_IN_THE_WAY: &str = "what needs the present type has to go first";
const LOSES_VALUES: &str = "values may change, and it fails if one cannot be converted";
const NO_VALUE: &str = "it fails if there are rows, which get no value: give the field a default";

impl Pair<'_> {
    /// What the columns of the table put at risk on their way to what the models want.
    fn risk_of(&self, columns: &[&str]) -> Risk {
        let renamed = if self.found.former.is_some() { Risk::Blocking } else { Risk::Safe };
        let wanted = self.table.columns.iter().filter(|it| columns.contains(&it.name));
        wanted.fold(renamed, |risk, column| risk.max(self.risk_of_column(column)))
    }

    /// Whether a column waits for a foreign key; if none is named, whether keys do.
    fn holds(&self, column: Option<&str>) -> bool {
        let mut held = self.held.iter().filter(|it| it.table == self.position);
        let name = |index: usize| self.table.columns.get(index).map(|it| it.name);
        held.any(|it| it.column.and_then(name) == column)
    }

    /// What a key or an index needs of the columns it is about, and of those before it.
    fn risk_of_key(&self, columns: &[&str]) -> Risk {
        let key = if self.holds(None) { Risk::Destructive } else { Risk::Safe };
        self.risk_of(columns).max(key)
    }

    fn risk_of_column(&self, column: &ColumnDefinition<'_>) -> Risk {
        let enumeration = enums::risk(self.replaced, column);
        let Some(there) = self.found.column(column.name) else {
            let is_easy = column.is_easily_added() && !self.found.is_former(column.name);
            return if is_easy { enumeration } else { enumeration.max(Risk::Blocking) };
        };
        let shadow = self.shadow.and_then(|it| it.column(column.name));
        let kind = shadow.filter(|it| it.kind != there.kind);
        let kind = kind.map_or(Risk::Safe, |it| {
            types::risk(&there.kind, &it.kind, column.enumeration.is_some())
        });
        let kind = match self.is_watched(column) || self.holds(Some(column.name)) {
            true => Risk::Destructive,
            false => kind,
        };
        let renamed = if there.former.is_some() { Risk::Blocking } else { Risk::Safe };
        kind.max(renamed).max(enumeration)
    }

    /// Whether something of somebody else's keeps a column from getting another type.
    fn is_watched(&self, column: &ColumnDefinition<'_>) -> bool {
        self.found.indexes.iter().any(|it| self.is_in_the_way(it, column))
            || self.found.constraints.iter().any(|it| self.is_checked_by(it, column))
            || self.found.columns.iter().any(|it| self.is_read_by(it, column))
    }

    /// Whether somebody else's index has a condition or an expression on a column, which would no
    /// longer be one with the column's new type.
    fn is_in_the_way(&self, index: &FoundIndex, column: &ColumnDefinition<'_>) -> bool {
        let depends = index.condition.is_some() || index.columns.iter().any(Option::is_none);
        let is_others = !index.ours && self.table.indexes.iter().all(|it| it.name != index.name);
        depends
            && is_others
            && self.is_another_type(column)
            && tokens::mentions(Dialect::Postgres, &index.sql, self.present_name(column))
    }

    /// The same of somebody else's check.
    fn is_checked_by(&self, check: &FoundConstraint, column: &ColumnDefinition<'_>) -> bool {
        let FoundRule::Check { condition, .. } = &check.rule else { return false };
        let is_others = !self.table.constraints.iter().any(|it| takes_place(it, check));
        !check.ours
            && is_others
            && self.is_another_type(column)
            && tokens::mentions(Dialect::Postgres, condition, column.name)
    }

    /// The same of a computed column, which keeps any other type away.
    fn is_read_by(&self, computed: &FoundColumn, column: &ColumnDefinition<'_>) -> bool {
        let reads = |it: &str| tokens::mentions(Dialect::Postgres, it, self.present_name(column));
        computed.computed
            && self.is_retyped(column)
            && computed.default.as_deref().is_some_and(reads)
    }

    /// What a column is called until it is renamed.
    fn present_name<'b>(&'b self, column: &'b ColumnDefinition<'_>) -> &'b str {
        let former = self.found.column(column.name).and_then(|it| it.former.as_deref());
        former.unwrap_or(column.name)
    }

    /// Whether conditions on the column would no longer be such with its new type.
    fn is_another_type(&self, column: &ColumnDefinition<'_>) -> bool {
        let shadow = self.shadow.and_then(|it| it.column(column.name));
        let kinds = shadow.zip(self.found.column(column.name));
        self.is_replaced(column)
            || kinds.is_some_and(|(wanted, there)| !types::are_alike(&there.kind, &wanted.kind))
    }

    fn is_retyped(&self, column: &ColumnDefinition<'_>) -> bool {
        let shadow = self.shadow.and_then(|it| it.column(column.name));
        let kinds = shadow.zip(self.found.column(column.name));
        self.is_replaced(column) || kinds.is_some_and(|(wanted, there)| wanted.kind != there.kind)
    }

    /// Whether another enum takes the place of the column's.
    fn is_replaced(&self, column: &ColumnDefinition<'_>) -> bool {
        enums::risk(self.replaced, column) > Risk::Safe
    }
}

/// Where PostgreSQL keeps temporary tables.
const SHADOWS: &str = "pg_temp";

/// The name of the temporary table for one of the models'.
fn shadow(index: usize) -> String {
    format!("ferro shadow {index}")
}

/// The name of the index for one with a condition: two schemas may have some of the same name.
fn shadow_index(table: usize, index: usize) -> String {
    format!("{} index {index}", shadow(table))
}
