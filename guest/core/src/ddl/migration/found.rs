//! What a database has, as the statements of [`super::introspection`] tell it in JSON.

use ferro_wit::plan::Risk;
use ferro_wit::types::{Dialect, Error, ErrorKind};
use serde::Deserialize;

use super::matching::Naming;
use super::{checks, tokens};
use crate::catalog::Table;
use crate::ddl::definition::TableDefinition;
use crate::dialect::Spelling as _;

/// All that they tell.
#[derive(Debug)]
pub(super) struct Found {
    dialect: Dialect,
    pub(super) types: Types,
    pub(super) tables: Vec<FoundTable>,
    /// Views and the like under the names of tables.
    others: Vec<Other>,
    /// What has the names of indexes.
    taken: Vec<Taken>,
}

/// What has the name of an index that the models want.
#[derive(Debug, Deserialize)]
pub(super) struct Taken {
    schema: String,
    name: String,
    /// What it is, in a word.
    pub(super) kind: String,
    /// The table whose index it is.
    pub(super) table: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Other {
    schema: String,
    name: String,
}

/// What is there beside tables.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Types {
    /// The schema of tables that name none.
    schema: String,
    pub(super) schemas: Vec<String>,
    pub(super) enums: Vec<FoundEnum>,
    /// There are views or triggers, which SQLite looks at when a table is renamed.
    #[serde(default)]
    pub(super) views: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct FoundEnum {
    pub(super) name: String,
    /// In their order.
    pub(super) values: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct FoundTable {
    pub(super) schema: String,
    pub(super) name: String,
    /// The statement that made it, on SQLite.
    sql: Option<String>,
    pub(super) comment: Option<String>,
    pub(super) columns: Vec<FoundColumn>,
    pub(super) constraints: Vec<FoundConstraint>,
    pub(super) indexes: Vec<FoundIndex>,
    /// What it has that no table of a model does, on SQLite.
    #[serde(skip)]
    pub(super) extras: Vec<String>,
    /// The names of its constraints, on SQLite, which does not say whose they are.
    #[serde(skip)]
    names: Vec<String>,
    /// The statements that made its triggers, on SQLite.
    #[serde(default)]
    pub(super) triggers: Vec<String>,
    /// What it is called until a step of the migration is done.
    #[serde(skip)]
    pub(super) former: Option<String>,
    /// The case of names is nothing to the database.
    #[serde(skip)]
    folds: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct FoundColumn {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) nullable: bool,
    pub(super) default: Option<String>,
    /// The database numbers the rows.
    pub(super) generated: bool,
    /// Nobody else may number them.
    #[serde(default)]
    pub(super) always: bool,
    /// Calculated from other columns, which no column of a model is.
    pub(super) computed: bool,
    /// What it is called until a step of the migration is done.
    #[serde(skip)]
    pub(super) former: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct FoundConstraint {
    pub(super) name: Option<String>,
    #[serde(flatten)]
    pub(super) rule: FoundRule,
    /// It is a key that is deferrable or takes nulls for equal, which no model asks for.
    #[serde(default)]
    pub(super) unlike: bool,
    /// Its name is one that Ferro makes, and not somebody else's.
    #[serde(skip)]
    pub(super) ours: bool,
    /// It is a check that a model could ask for, under any name.
    #[serde(skip)]
    pub(super) asked: bool,
    /// The column that it limits, as Ferro does where types do not.
    #[serde(skip)]
    pub(super) limits: Option<String>,
    /// Ferro made the name when the table or a column was called otherwise.
    #[serde(skip)]
    pub(super) outdated: bool,
}

impl FoundConstraint {
    /// One that is somebody else's until it is found to be Ferro's.
    fn new(name: Option<String>, rule: FoundRule) -> Self {
        let (unlike, ours, asked, outdated) = (false, false, false, false);
        Self { name, rule, unlike, ours, asked, limits: None, outdated }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case")]
pub(super) enum FoundRule {
    PrimaryKey { columns: Vec<String> },
    Unique { columns: Vec<String> },
    ForeignKey(FoundReference),
    Check { condition: String, columns: Option<Vec<String>> },
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct FoundReference {
    pub(super) columns: Vec<String>,
    pub(super) schema: String,
    pub(super) table: String,
    /// None: its primary key, whatever that is.
    pub(super) target_columns: Option<Vec<String>>,
    pub(super) on_delete: String,
    pub(super) on_update: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct FoundIndex {
    pub(super) name: String,
    /// None where it is an expression, or is sorted or compared in a way that no model asks for.
    pub(super) columns: Vec<Option<String>>,
    pub(super) unique: bool,
    /// How many columns, the last ones, are only stored in it.
    #[serde(default)]
    pub(super) included: usize,
    pub(super) condition: Option<String>,
    /// The statement that made it.
    pub(super) sql: String,
    /// Its name is one that Ferro makes, and not somebody else's.
    #[serde(skip)]
    pub(super) ours: bool,
}

/// What one of the statements tells.
#[derive(Deserialize)]
struct Part {
    types: Option<Types>,
    #[serde(default)]
    tables: Vec<FoundTable>,
    #[serde(default)]
    others: Vec<Other>,
    #[serde(default)]
    taken: Vec<Taken>,
}

impl Found {
    pub(super) fn read(dialect: Dialect, parts: &[String]) -> Result<Self, Error> {
        let (types, tables) = (Types::default(), Vec::new());
        let mut found = Self { dialect, types, tables, others: Vec::new(), taken: Vec::new() };
        for part in parts {
            let part: Part = serde_json::from_str(part).map_err(|fault| {
                let message =
                    format!("what the database told of its tables cannot be read: {fault}");
                Error::new(ErrorKind::InvalidQuery, message)
            })?;
            if let Some(types) = part.types {
                found.types = types;
            }
            found.tables.extend(part.tables);
            found.others.extend(part.others);
            found.taken.extend(part.taken);
        }
        for table in &mut found.tables {
            table.complete(dialect);
        }
        Ok(found)
    }

    /// The schema that a table is in.
    pub(super) fn schema_of<'a>(&'a self, table: &'a Table) -> &'a str {
        let namespace = table.namespace.as_deref().filter(|_| self.dialect.features().schemas);
        namespace.unwrap_or(&self.types.schema)
    }

    pub(super) fn position(&self, schema: &str, name: &str) -> Option<usize> {
        self.tables.iter().position(|it| it.schema == schema && self.same_name(&it.name, name))
    }

    pub(super) fn table(&self, table: &Table) -> Option<&FoundTable> {
        self.position(self.schema_of(table), &table.name).map(|it| &self.tables[it])
    }

    /// Whether a view or the like has the name of a table. It is left alone.
    pub(super) fn is_other(&self, table: &Table) -> bool {
        let schema = self.schema_of(table);
        self.others.iter().any(|it| it.schema == schema && self.same_name(&it.name, &table.name))
    }

    /// What has the name that an index of a table would have.
    pub(super) fn taken(&self, table: &Table, index: &str) -> Option<&Taken> {
        let schema = self.schema_of(table);
        self.taken.iter().find(|it| it.schema == schema && self.same_name(&it.name, index))
    }

    /// The same, unless the models have a table of that name or the table with that index: those may
    /// get another name or go.
    pub(super) fn taken_by_others(&self, table: &Table, index: &str) -> Option<&Taken> {
        let is_ours = |it: &Taken| {
            self.position(&it.schema, it.table.as_deref().unwrap_or(&it.name)).is_some()
        };
        self.taken(table, index).filter(|it| !is_ours(it))
    }

    /// Finds out what Ferro made, by the names that the models' tables and columns have and had.
    pub(super) fn claim(&mut self, tables: &[TableDefinition<'_>]) {
        for definition in tables {
            let schema = self.schema_of(definition.table);
            if let Some(position) = self.position(schema, &definition.table.name) {
                self.tables[position].claim(self.dialect, definition);
            }
        }
    }

    /// What tables and columns are called until a step of the migration is done, that get new names.
    pub(super) fn formers(&self) -> impl Iterator<Item = &str> {
        self.tables.iter().flat_map(|table| {
            let columns = table.columns.iter().map(|it| &it.former);
            columns.chain([&table.former]).filter_map(Option::as_deref)
        })
    }

    /// What creating a table needs: its name may be free only once another is renamed.
    pub(super) fn risk_of_name(&self, table: &Table) -> Risk {
        let schema = self.schema_of(table);
        let tables = self.tables.iter().filter(|it| it.schema == schema);
        let mut formers = tables.filter_map(|it| it.former.as_deref());
        let is_taken = formers.any(|it| self.same_name(it, &table.name));
        if is_taken { Risk::Blocking } else { Risk::Safe }
    }

    pub(super) fn same_name(&self, one: &str, other: &str) -> bool {
        same_name(one, other, self.dialect.features().folded_names)
    }

    /// Spells names as the models do, where their case is nothing to the database.
    pub(super) fn spell(&mut self, tables: &[TableDefinition<'_>]) {
        for TableDefinition { table, columns, indexes, .. } in tables {
            let Some(position) = self.position(self.schema_of(table), &table.name) else {
                continue;
            };
            if self.tables[position].name != table.name {
                self.rename_table(position, &table.name);
            }
            for column in columns {
                let there = self.tables[position].column(column.name).map(|it| it.name.clone());
                if let Some(there) = there.filter(|it| it != column.name) {
                    self.rename_column(position, &there, column.name);
                }
            }
            let folds = self.dialect.features().folded_names;
            for there in &mut self.tables[position].indexes {
                let wanted = indexes.iter().find(|it| same_name(&it.name, &there.name, folds));
                if let Some(wanted) = wanted {
                    there.name.clone_from(&wanted.name);
                }
            }
        }
    }

    /// Takes note that a table has another name now.
    pub(super) fn rename_table(&mut self, position: usize, name: &str) {
        let folds = self.dialect.features().folded_names;
        let table = &mut self.tables[position];
        let schema = table.schema.clone();
        let former = std::mem::replace(&mut table.name, name.to_owned());
        if !same_name(&former, name, folds) {
            table.former = Some(former.clone());
        }
        for reference in self.tables.iter_mut().flat_map(FoundTable::references) {
            if reference.schema == schema && reference.table == former {
                name.clone_into(&mut reference.table);
            }
        }
    }

    /// Takes note that a column has another name now.
    pub(super) fn rename_column(&mut self, position: usize, former: &str, name: &str) {
        let (dialect, table) = (self.dialect, &mut self.tables[position]);
        let folds = dialect.features().folded_names;
        let renamed = |sql: &str| tokens::rename(dialect, sql, former, name);
        let rename = |it: &mut String| {
            if same_name(it, former, folds) {
                name.clone_into(it);
            }
        };
        for column in &mut table.columns {
            if same_name(&column.name, former, folds) {
                let former = std::mem::replace(&mut column.name, name.to_owned());
                if !same_name(&former, name, folds) {
                    column.former = Some(former);
                }
            }
        }
        for index in &mut table.indexes {
            index.columns.iter_mut().flatten().for_each(rename);
            index.condition = index.condition.take().map(|it| renamed(&it));
        }
        for constraint in &mut table.constraints {
            match &mut constraint.rule {
                FoundRule::PrimaryKey { columns } | FoundRule::Unique { columns } => {
                    columns.iter_mut().for_each(rename);
                }
                FoundRule::ForeignKey(it) => it.columns.iter_mut().for_each(rename),
                FoundRule::Check { condition, columns } => {
                    *condition = renamed(condition);
                    columns.iter_mut().flatten().for_each(rename);
                }
            }
        }
        let (schema, table) = (table.schema.clone(), table.name.clone());
        for reference in self.tables.iter_mut().flat_map(FoundTable::references) {
            if reference.schema == schema && same_name(&reference.table, &table, folds) {
                reference.target_columns.iter_mut().flatten().for_each(rename);
            }
        }
    }
}

impl FoundTable {
    pub(super) fn column(&self, name: &str) -> Option<&FoundColumn> {
        self.columns.iter().find(|it| same_name(&it.name, name, self.folds))
    }

    /// Whether a name of a column is free only once another is renamed.
    pub(super) fn is_former(&self, name: &str) -> bool {
        let mut formers = self.columns.iter().filter_map(|it| it.former.as_deref());
        formers.any(|it| same_name(it, name, self.folds))
    }

    /// Adds what the database does not tell.
    fn complete(&mut self, dialect: Dialect) {
        self.folds = dialect.features().folded_names;
        if let Some(sql) = self.sql.take() {
            self.read(&sql);
        }
        for index in self.indexes.iter_mut().filter(|_| dialect == Dialect::Sqlite) {
            index.condition = tokens::condition(&index.sql).map(str::to_owned);
        }
    }

    fn claim(&mut self, dialect: Dialect, definition: &TableDefinition<'_>) {
        let (now, ever) = (Naming::now(definition), Naming::ever(definition));
        for there in &mut self.constraints {
            match (&there.rule, &there.name) {
                (FoundRule::Check { condition, columns }, Some(name)) => {
                    let columns = columns.as_deref().unwrap_or_default();
                    there.asked = checks::is_of_model(dialect, condition, columns);
                    let limits = |it: &&String| {
                        checks::limits(dialect, condition, it) && ever.is_for_limit(it, name)
                    };
                    there.limits = columns.iter().find(limits).cloned();
                }
                (FoundRule::Check { .. }, None) | (_, Some(_)) => {}
                (_, None) => {
                    there.name = self.names.iter().find(|it| ever.is_for(there, it)).cloned();
                }
            }
            let is_for =
                |naming: Naming<'_>| there.name.as_ref().is_some_and(|it| naming.is_for(there, it));
            let is_wanted =
                definition.constraints.iter().any(|it| there.name.as_ref() == Some(&it.name));
            let (is_for_now, is_ours) = (is_for(now), is_for(ever));
            there.ours = is_ours;
            there.outdated = is_ours && !is_for_now && !is_wanted;
        }
        for index in &mut self.indexes {
            index.ours = ever.is_for_index(index);
        }
    }

    /// Reads what SQLite tells nowhere else: checks, and the names of constraints.
    fn read(&mut self, sql: &str) {
        self.extras = tokens::extras(sql);
        self.names = tokens::constraints(sql);
        for (name, condition) in tokens::checks(sql) {
            let columns = self.columns.iter().map(|it| it.name.clone());
            let columns = columns.filter(|it| tokens::mentions(Dialect::Sqlite, condition, it));
            let columns = Some(columns.collect());
            let rule = FoundRule::Check { condition: condition.to_owned(), columns };
            self.constraints.push(FoundConstraint::new(name, rule));
        }
    }

    fn references(&mut self) -> impl Iterator<Item = &mut FoundReference> {
        self.constraints.iter_mut().filter_map(|it| match &mut it.rule {
            FoundRule::ForeignKey(reference) => Some(reference),
            _ => None,
        })
    }
}

/// The schema of all tables of SQLite.
pub(super) const MAIN: &str = "main";

fn same_name(one: &str, other: &str, folds: bool) -> bool {
    one == other || folds && one.eq_ignore_ascii_case(other)
}
