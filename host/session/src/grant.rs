//! Grants: what a tenant may do in one database, in the database's own names.

use std::collections::BTreeMap;

use ferro_wit::policy::FieldSet;
use ferro_wit::schema::Comparison;
use ferro_wit::types::Value;
use serde::{Deserialize, Deserializer};

use crate::filter::{Filter, read_filters};

/// What a tenant may do in one database. By default: read every table of the plugin's models.
///
/// Tables and columns are named as the *database* names them, since a plugin's models are the
/// plugin's own: if a grant named models, a plugin could give the name to another table. A table in
/// a schema of PostgreSQL is `schema.table`. A name with capitals, `BlogPost`, is that of the table
/// `blog_post` too, which such a model has if it names none.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Grant {
    /// Whether anything may be changed.
    pub access: Access,
    /// The tables that exist for the tenant; what is not named here cannot be named in a query.
    /// None: every table that the plugin has a model of, without filters. Leave it out only for a
    /// database that is the tenant's alone.
    pub tables: Option<BTreeMap<String, TableGrant>>,
    /// Whether SQL text may be sent. **Filters and tables do not apply to it**: it has the power of
    /// the login role.
    pub raw_sql: bool,
}

/// Whether anything may be changed in a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Queries are refused that would change anything, and transactions are read-only.
    #[default]
    ReadOnly,
    /// What the tables' grants allow.
    ReadWrite,
}

/// What a tenant may do with one table. By default: read all columns of all rows.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct TableGrant {
    /// The columns that may be read, filtered and ordered by. In a file: `"all"`, a list, or
    /// `{ except = […] }`. Where some are hidden, PostgreSQL refuses a model that has a field
    /// without a column: it could stand for the whole row.
    #[serde(deserialize_with = "columns")]
    pub read: FieldSet,
    /// The columns that may be given values, where rows may be inserted or updated.
    #[serde(deserialize_with = "columns")]
    pub write: FieldSet,
    /// Whether rows may be inserted.
    pub insert: bool,
    /// Whether rows may be updated.
    pub update: bool,
    /// Whether rows may be deleted.
    pub delete: bool,
    /// What every row satisfies that is read, changed or left behind. In a file: the column, and a
    /// value (`tenant_id = 42`), a list of values, or comparisons (`{ less = 10 }`).
    #[serde(deserialize_with = "read_filters")]
    pub filters: Vec<Filter>,
}

impl Grant {
    /// May read every table.
    #[must_use]
    pub fn read_only() -> Self {
        Self::default()
    }

    /// May read and change every table.
    #[must_use]
    pub fn read_write() -> Self {
        Self { access: Access::ReadWrite, ..Self::default() }
    }

    /// The same, with a table. With the first one, all tables that are not named are gone.
    #[must_use]
    pub fn table(mut self, name: impl Into<String>, grant: TableGrant) -> Self {
        self.tables.get_or_insert_default().insert(name.into(), grant);
        self
    }

    /// The same, with SQL text allowed; see [`Grant::raw_sql`] for what that means.
    #[must_use]
    pub fn with_raw_sql(mut self) -> Self {
        self.raw_sql = true;
        self
    }
}

impl Default for TableGrant {
    fn default() -> Self {
        Self {
            read: FieldSet::All,
            write: FieldSet::All,
            insert: false,
            update: false,
            delete: false,
            filters: Vec::new(),
        }
    }
}

impl TableGrant {
    /// May read all columns.
    #[must_use]
    pub fn read_only() -> Self {
        Self::default()
    }

    /// May read all columns, and insert, update and delete rows.
    #[must_use]
    pub fn read_write() -> Self {
        Self { insert: true, update: true, delete: true, ..Self::default() }
    }

    /// The same, with other columns to read.
    #[must_use]
    pub fn read(mut self, columns: FieldSet) -> Self {
        self.read = columns;
        self
    }

    /// The same, with other columns to write.
    #[must_use]
    pub fn write(mut self, columns: FieldSet) -> Self {
        self.write = columns;
        self
    }

    /// The same, only for rows in which a column equals a value, or one of the values of an array.
    #[must_use]
    pub fn filter(self, column: impl Into<String>, value: impl Into<Value>) -> Self {
        self.filter_by(column, Comparison::Equal, value)
    }

    /// The same, only for rows in which a column compares so with a value.
    #[must_use]
    pub fn filter_by(
        mut self,
        column: impl Into<String>,
        test: Comparison,
        value: impl Into<Value>,
    ) -> Self {
        self.filters.push(Filter { column: column.into(), test, value: value.into() });
        self
    }
}

/// A set of columns; a plain list means only those.
fn columns<'de, D: Deserializer<'de>>(from: D) -> Result<FieldSet, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Columns {
        List(Vec<String>),
        Set(FieldSet),
    }
    Ok(match Columns::deserialize(from)? {
        Columns::List(names) => FieldSet::Only(names),
        Columns::Set(set) => set,
    })
}
