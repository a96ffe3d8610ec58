//! Tables from models. Names and values of models are data here: names are quoted, values go
//! through [`constants`](crate::dialect::constants), and nothing else of a model reaches the text.
//!
//! [`definition`] says what a model's table is, and [`migration`] compares it with what a database
//! has: `create-tables` writes down what is missing, and `migrate` what else is different.

mod check;
mod definition;
mod migration;
mod names;

use ferro_wit::plan::{MigrationStep, Risk};
use ferro_wit::schema::EnumType;
use ferro_wit::types::Dialect;

use crate::catalog::Table;
use crate::dialect::Spelling as _;
use crate::error::shown;
use crate::sql::quoted;
use definition::{ColumnDefinition, Constraint, IndexDefinition, Reference, Rule, TableDefinition};

/// Statements on their way.
struct Steps {
    dialect: Dialect,
    done: Vec<MigrationStep>,
    /// What tables and indexes begin with: `IF NOT EXISTS`, or nothing.
    unless_there: &'static str,
    /// What the next step puts at risk at least, as it needs others.
    floor: Risk,
}

const NEEDS_OTHERS: &str = "it needs steps that are not safe";

impl Steps {
    fn new(dialect: Dialect) -> Self {
        Self { dialect, done: Vec::new(), unless_there: "", floor: Risk::Safe }
    }

    /// A statement without any risk.
    fn push(&mut self, sql: String, description: String) {
        self.push_risk(sql, description, Risk::Safe, None);
    }

    /// The next step needs others that put as much at risk.
    fn needing(&mut self, risk: Risk) -> &mut Self {
        self.floor = risk;
        self
    }

    fn push_risk(&mut self, sql: String, description: String, risk: Risk, reason: Option<&str>) {
        let floor = std::mem::replace(&mut self.floor, Risk::Safe);
        let reason = if floor > risk { Some(NEEDS_OTHERS) } else { reason }.map(str::to_owned);
        let risk = risk.max(floor);
        self.done.push(MigrationStep { sql, description, risk, reason, transactional: true });
    }

    /// A statement that PostgreSQL cannot be told to leave out if its object exists. As the text of
    /// a block it is a literal, so nothing in it can end the block. `otherwise` is done if it exists.
    fn push_guarded(&mut self, sql: &str, otherwise: &str, description: String) {
        let block = format!(
            "BEGIN {sql}; EXCEPTION WHEN duplicate_object OR unique_violation THEN {otherwise}; END"
        );
        self.push(format!("DO {}", self.dialect.text(&block)), description);
    }

    /// Creates the schemas of tables, but for those that are there.
    fn create_namespaces<'a>(&mut self, tables: &[&'a TableDefinition<'_>], there: &'a [String]) {
        if !self.dialect.features().schemas {
            return;
        }
        let mut known: Vec<&str> = there.iter().map(String::as_str).collect();
        for namespace in tables.iter().filter_map(|it| it.table.namespace.as_deref()) {
            if !known.contains(&namespace) {
                known.push(namespace);
                self.push(
                    format!("CREATE SCHEMA IF NOT EXISTS {}", quoted(namespace)),
                    format!("create schema {}", shown(namespace)),
                );
            }
        }
    }

    fn create_enum(&mut self, found: &EnumType) {
        let name = self.dialect.text(&quoted(&found.name));
        // Another kind of type may have the name, and would take the enum's place.
        let is_enum = format!(
            "IF NOT EXISTS (SELECT FROM pg_catalog.pg_type WHERE typtype = 'e' \
             AND oid = pg_catalog.to_regtype({name})) THEN RAISE; END IF"
        );
        self.push_guarded(
            &create_enum(self.dialect, "", found),
            &is_enum,
            format!("create enum {}", shown(&found.name)),
        );
    }

    /// Creates tables, which are in the order in which they refer to each other, and all that
    /// belongs to them. They or what they refer to may need steps that put something at risk.
    fn create_tables(
        &mut self,
        tables: &[&TableDefinition<'_>],
        floor_of: impl Fn(&TableDefinition<'_>) -> Risk,
        risk_of: impl Fn(&Reference<'_>) -> Risk,
    ) {
        let can_add = self.dialect.features().added_constraints;
        let mut late = Vec::new();
        let mut risks: Vec<Risk> = Vec::new();
        for (index, table) in tables.iter().enumerate() {
            let risk = |it: &Reference<'_>| {
                let mut new = tables[..index].iter().zip(&risks);
                let new = new.find(|(table, _)| table.table == it.target).map(|(_, risk)| *risk);
                new.unwrap_or_else(|| risk_of(it))
            };
            let comes_later = |it: &Reference<'_>| {
                let comes = tables[index + 1..].iter().any(|later| later.table == it.target);
                // So do indexes.
                let target = tables[..=index].iter().find(|earlier| earlier.table == it.target);
                let is_key = |rule: &Constraint<'_>| rule.rule.is_key(&it.target_columns);
                comes || target.is_some_and(|target| !target.constraints.iter().any(is_key))
            };
            let (mut now, mut floor) = (Vec::new(), floor_of(table));
            for constraint in &table.constraints {
                match &constraint.rule {
                    // Where it can only be said here, the other table may come later.
                    Rule::ForeignKey(it)
                        if can_add && (comes_later(it) || risk(it) > Risk::Safe) =>
                    {
                        late.push((index, constraint, it));
                    }
                    Rule::ForeignKey(it) => {
                        floor = floor.max(risk(it));
                        now.push(constraint);
                    }
                    _ => now.push(constraint),
                }
            }
            self.create_table(table, &now, floor);
            risks.push(floor);
        }
        for (table, risk) in tables.iter().zip(&risks) {
            for index in &table.indexes {
                self.needing(*risk).create_index(table.table, index);
            }
        }
        for (index, constraint, key) in late {
            let target = tables.iter().position(|it| it.table == key.target);
            let target = target.map_or_else(|| risk_of(key), |it| risks[it]);
            let risk = target.max(risks[index]);
            self.needing(risk).add_foreign_key(tables[index].table, constraint);
        }
    }

    fn create_table(
        &mut self,
        table: &TableDefinition<'_>,
        constraints: &[&Constraint<'_>],
        floor: Risk,
    ) {
        let name = table.table.sql(self.dialect);
        let what = format!("create table {}", shown(&table.table.name));
        let constraints = constraints.iter().map(|it| it.sql(self.dialect));
        let parts = table.columns.iter().map(ColumnDefinition::sql).chain(constraints).collect();
        let sql = create_table(self.unless_there, &name, parts);
        self.needing(floor).push(sql, what);
        if let Some(comment) = table.comment.filter(|it| !it.is_empty()) {
            self.needing(floor).comment(table.table, comment);
        }
    }

    fn comment(&mut self, table: &Table, comment: &str) {
        let text = self.dialect.text(comment);
        self.push(
            format!("COMMENT ON TABLE {} IS {text}", table.sql(self.dialect)),
            format!("comment on table {}", shown(&table.name)),
        );
    }

    /// Adds a foreign key that could not be part of its table.
    fn add_foreign_key(&mut self, table: &Table, key: &Constraint<'_>) {
        let target = match &key.rule {
            Rule::ForeignKey(it) => &it.target.name,
            _ => &table.name,
        };
        self.push_guarded(
            &format!("ALTER TABLE {} ADD {}", table.sql(self.dialect), key.sql(self.dialect)),
            "NULL",
            format!("let table {} refer to {}", shown(&table.name), shown(target)),
        );
    }

    fn create_index(&mut self, table: &Table, index: &IndexDefinition<'_>) {
        self.push(
            index.sql(self.unless_there, &table.sql(self.dialect)),
            format!("create index {}", shown(&index.name)),
        );
    }
}

/// A table's statement, of its columns and constraints. It may begin with `IF NOT EXISTS`.
fn create_table(unless_there: &str, name: &str, parts: Vec<String>) -> String {
    format!("CREATE TABLE{unless_there} {name} (\n  {}\n)", parts.join(",\n  "))
}

/// A type's statement. Its schema stands with a point, or nothing does.
fn create_enum(dialect: Dialect, schema: &str, found: &EnumType) -> String {
    let values: Vec<_> = found.values.iter().map(|it| dialect.text(it)).collect();
    format!("CREATE TYPE {schema}{} AS ENUM ({})", quoted(&found.name), values.join(", "))
}
