//! Tables from models. Names and values of models are data here: names are quoted, values go
//! through [`constant`], and nothing else of a model reaches the text.
//!
//! Every statement leaves alone what exists, so that all of them can run again.

mod calendar;
mod check;
pub(crate) mod constant;
mod names;
mod table;

use ferro_wit::plan::{MigrationStep, Risk};
use ferro_wit::types::{Dialect, Error};

use crate::catalog::{Catalog, Table};
use crate::dialect::Spelling as _;
use crate::error::shown;
use crate::sql::quoted;
use names::Names;

impl Catalog {
    /// Statements that create what is missing, in order: schemas and enums, tables with their keys
    /// and constraints, indexes.
    ///
    /// # Errors
    ///
    /// `invalid-schema`, if two models have the same table on that database.
    pub fn create_tables(&self, dialect: Dialect) -> Result<Vec<MigrationStep>, Error> {
        self.check_dialect(dialect)?;
        let mut ddl = Ddl { catalog: self, dialect, names: Names::new(self), steps: Vec::new() };
        if dialect.features().schemas {
            ddl.namespaces();
        }
        if dialect.features().enums {
            ddl.enums();
        }
        let order = ddl.order();
        let mut created = vec![false; self.models.len()];
        let mut late = Vec::new();
        for model in order {
            created[model] = true;
            late.extend(ddl.table(model, &created));
        }
        for join in &self.join_tables {
            ddl.join_table(join);
        }
        for (model, key) in late {
            ddl.add_foreign_key(model, key);
        }
        for model in &self.models {
            ddl.indexes(model);
        }
        Ok(ddl.steps)
    }
}

/// Statements on their way.
struct Ddl<'a> {
    catalog: &'a Catalog,
    dialect: Dialect,
    names: Names,
    steps: Vec<MigrationStep>,
}

impl Ddl<'_> {
    fn push(&mut self, sql: String, description: String) {
        self.steps.push(MigrationStep {
            sql,
            description,
            risk: Risk::Safe,
            reason: None,
            transactional: true,
        });
    }

    /// A statement that PostgreSQL cannot be told to leave out if its object exists. As the text of
    /// a block it is a literal, so nothing in it can end the block.
    fn push_guarded(&mut self, sql: &str, description: String) {
        let block = format!(
            "BEGIN {sql}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END"
        );
        self.push(format!("DO {}", self.dialect.text(&block)), description);
    }

    fn namespaces(&mut self) {
        let mut known: Vec<&str> = Vec::new();
        for model in &self.catalog.models {
            let Some(namespace) = model.table.namespace.as_deref() else { continue };
            if !known.contains(&namespace) {
                known.push(namespace);
            }
        }
        for namespace in known {
            self.push(
                format!("CREATE SCHEMA IF NOT EXISTS {}", quoted(namespace)),
                format!("create schema {}", shown(namespace)),
            );
        }
    }

    fn enums(&mut self) {
        for found in &self.catalog.enums {
            let values: Vec<_> = found.values.iter().map(|it| self.dialect.text(it)).collect();
            let sql =
                format!("CREATE TYPE {} AS ENUM ({})", quoted(&found.name), values.join(", "));
            self.push_guarded(&sql, format!("create enum {}", shown(&found.name)));
        }
    }

    /// The models, those first that others refer to. Where they refer to each other, the order is
    /// that of the schema.
    fn order(&self) -> Vec<usize> {
        let models = &self.catalog.models;
        let mut order = Vec::with_capacity(models.len());
        let mut placed = vec![false; models.len()];
        while order.len() < models.len() {
            let ready = |index: usize| {
                let mut keys = models[index].foreign_keys.iter();
                !placed[index] && keys.all(|key| placed[key.target] || key.target == index)
            };
            let unplaced = || (0..models.len()).find(|index| !placed[*index]);
            let Some(next) = (0..models.len()).find(|it| ready(*it)).or_else(unplaced) else {
                break;
            };
            placed[next] = true;
            order.push(next);
        }
        order
    }

    /// A table's name in quotes, with its schema where there are schemas.
    fn table_name(&self, table: &Table) -> String {
        match &table.namespace {
            Some(namespace) if self.dialect.features().schemas => {
                format!("{}.{}", quoted(namespace), quoted(&table.name))
            }
            _ => quoted(&table.name),
        }
    }
}

/// Names in quotes, separated by commas.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(quoted).collect::<Vec<_>>().join(", ")
}
