//! Grants: what a tenant may do in one database, in the database's own names.

use std::collections::BTreeMap;
use std::fmt;

use ferro_driver::{Fence, RawSql, TableRights};
use ferro_wit::policy::FieldSet;
use ferro_wit::schema::Comparison;
use ferro_wit::snake_case;
use ferro_wit::types::{Dialect, Error, ErrorKind, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::filter::{Filter, read_filters, write_filters};
use crate::strict_map;

/// What a tenant may do in one database. By default: read every table of the plugin's models.
///
/// Tables and columns are named as the *database* names them, since a plugin's models are the
/// plugin's own: if a grant named models, a plugin could give the name to another table. A table in
/// a schema of PostgreSQL is `schema.table`. A name with capitals, `BlogPost`, is that of the table
/// `blog_post` too, which such a model has if it names none.
#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Grant {
    /// Whether anything may be changed.
    pub access: Access,
    /// The tables that exist for the tenant; what is not named here cannot be named in a query.
    /// None: every table that the plugin has a model of, without filters. Leave it out only for a
    /// database that is the tenant's alone.
    #[serde(
        deserialize_with = "strict_map::deserialize_optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub tables: Option<BTreeMap<String, TableGrant>>,
    /// Whether SQL text may be sent. **Filters do not apply to it.** In a file: `false`, `true` or
    /// `"fenced"`, and `"unfenced"`.
    ///
    /// On SQLite, fenced text is held to the grant's tables and columns by SQLite itself; a row may
    /// be inserted only where all columns may be written. With filters it is refused.
    ///
    /// On PostgreSQL, fenced text has the rights of the connection's user, so connect as a role that
    /// may see no more than the tenant: one that is superuser, bypasses row-level security, owns
    /// tables, or may take such a role is refused.
    ///
    /// Unfenced text has all power of the connection. Grant it to plugins only that you trust as your
    /// own code.
    #[serde(deserialize_with = "raw_sql", serialize_with = "write_raw_sql")]
    #[serde(skip_serializing_if = "is_default")]
    pub raw_sql: RawSql,
    /// On PostgreSQL, the role of every statement, reached by `SET LOCAL ROLE`. Where there is SQL
    /// text, which could leave that again, the connection's user has to be this role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// On PostgreSQL, the schemas in which statements look for tables. Default: the connection's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search_path: Vec<String>,
    /// On PostgreSQL, settings around every statement, for policies of row-level security.
    #[serde(
        deserialize_with = "strict_map::deserialize",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub settings: BTreeMap<String, String>,
}

impl fmt::Debug for Grant {
    /// Without the values of settings, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { access, tables, raw_sql, role, search_path, settings } = self;
        f.debug_struct("Grant")
            .field("access", access)
            .field("tables", tables)
            .field("raw_sql", raw_sql)
            .field("role", role)
            .field("search_path", search_path)
            .field("settings", &settings.keys())
            .finish()
    }
}

/// Whether anything may be changed in a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Queries are refused that would change anything, and transactions are read-only.
    #[default]
    ReadOnly,
    /// What the tables' grants allow.
    ReadWrite,
}

/// What a tenant may do with one table. By default: read all columns of all rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct TableGrant {
    /// The columns that may be read, filtered and ordered by. In a file: `"all"`, a list, or
    /// `{ except = […] }`. Where some are hidden, PostgreSQL refuses a model that has a field
    /// without a column: it could stand for the whole row.
    #[serde(deserialize_with = "columns", skip_serializing_if = "is_all")]
    pub read: FieldSet,
    /// The columns that may be given values, where rows may be inserted or updated.
    #[serde(deserialize_with = "columns", skip_serializing_if = "is_all")]
    pub write: FieldSet,
    /// Whether rows may be inserted.
    #[serde(skip_serializing_if = "is_default")]
    pub insert: bool,
    /// Whether rows may be updated.
    #[serde(skip_serializing_if = "is_default")]
    pub update: bool,
    /// Whether rows may be deleted.
    #[serde(skip_serializing_if = "is_default")]
    pub delete: bool,
    /// What every row satisfies that is read, changed or left behind. In a file: the column, and a
    /// value (`tenant_id = 42`), a list of values, or comparisons (`{ less = 10 }`).
    #[serde(deserialize_with = "read_filters", serialize_with = "write_filters")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
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

    /// The same, with fenced SQL text; see [`Grant::raw_sql`] for what that means.
    #[must_use]
    pub fn with_raw_sql(mut self) -> Self {
        self.raw_sql = RawSql::Fenced;
        self
    }

    /// The same, with SQL text that has all power of the connection; see [`Grant::raw_sql`].
    #[must_use]
    pub fn with_unfenced_raw_sql(mut self) -> Self {
        self.raw_sql = RawSql::Unfenced;
        self
    }

    /// The same, in a role of PostgreSQL.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.role = Some(role.into());
        self
    }

    /// The same, with one more schema in which PostgreSQL looks for tables.
    #[must_use]
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.search_path.push(name.into());
        self
    }

    /// The same, with a setting of PostgreSQL around every statement.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// Whether SQL text may be sent, fenced or not.
    #[must_use]
    pub fn has_raw_sql(&self) -> bool {
        self.raw_sql != RawSql::Denied
    }

    /// What the database itself holds the tenant to.
    pub(crate) fn fence(&self) -> Fence {
        Fence {
            read_only: self.access == Access::ReadOnly,
            raw_sql: self.raw_sql,
            role: self.role.clone(),
            search_path: self.search_path.clone(),
            settings: self.settings.clone(),
            ..Fence::default()
        }
    }

    /// The same for a kind of database. SQLite itself holds fenced SQL text to the tables and the
    /// columns of the grant, as PostgreSQL does by the rights of the role.
    ///
    /// # Errors
    ///
    /// `invalid-configuration`, if the grant has filters, which nothing holds text to.
    pub(crate) fn fence_on(&self, dialect: Dialect) -> Result<Fence, Error> {
        let fence = self.fence();
        let is_held = dialect == Dialect::Sqlite && self.raw_sql == RawSql::Fenced;
        let Some(tables) = self.tables.as_ref().filter(|_| is_held) else { return Ok(fence) };
        if tables.values().any(|it| !it.filters.is_empty()) {
            return Err(Error::new(
                ErrorKind::InvalidConfiguration,
                "SQLite cannot apply the filters of a grant to SQL text: remove the filters or \
                 `raw-sql`, or declare the text `unfenced`",
            ));
        }
        let rights = |(name, grant): (&String, &TableGrant)| {
            [(name.clone(), grant.rights()), (snake_case(name), grant.rights())]
        };
        Ok(Fence { tables: Some(tables.iter().flat_map(rights).collect()), ..fence })
    }
}

impl TableGrant {
    /// What SQL text may do. SQLite does not tell which columns an insert gives values.
    fn rights(&self) -> TableRights {
        TableRights {
            read: self.read.clone(),
            insert: self.insert && self.write == FieldSet::All,
            update: self.update.then(|| self.write.clone()),
            delete: self.delete,
        }
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

/// `true` is fenced: what takes all power says so.
fn raw_sql<'de, D: Deserializer<'de>>(from: D) -> Result<RawSql, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Granted {
        Plain(bool),
        Named(String),
    }
    match Granted::deserialize(from)? {
        Granted::Plain(false) => Ok(RawSql::Denied),
        Granted::Plain(true) => Ok(RawSql::Fenced),
        Granted::Named(name) if name == "fenced" => Ok(RawSql::Fenced),
        Granted::Named(name) if name == "unfenced" => Ok(RawSql::Unfenced),
        Granted::Named(name) => Err(de::Error::custom(format!(
            "`raw-sql` is `{name}`: use `false`, `true`, `\"fenced\"` or `\"unfenced\"`"
        ))),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn write_raw_sql<S: Serializer>(raw_sql: &RawSql, to: S) -> Result<S::Ok, S::Error> {
    match raw_sql {
        RawSql::Denied => to.serialize_bool(false),
        RawSql::Fenced => to.serialize_bool(true),
        RawSql::Unfenced => to.serialize_str("unfenced"),
    }
}

/// What a file need not say.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_all(columns: &FieldSet) -> bool {
    *columns == FieldSet::All
}

/// A set of columns; a plain list means only those.
fn columns<'de, D: Deserializer<'de>>(from: D) -> Result<FieldSet, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "columns are a list of names, `\"all\"`, or `except` with a list of them"
    )]
    enum Columns {
        List(Vec<String>),
        Set(FieldSet),
    }
    Ok(match Columns::deserialize(from)? {
        Columns::List(names) => FieldSet::Only(names),
        Columns::Set(set) => set,
    })
}
