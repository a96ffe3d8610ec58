//! Grants: the rights of a tenant in one database, by database names.

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

/// The rights of a tenant in one database. By default, it may read every table of the plugin's
/// models.
///
/// Tables and columns are given by their *database* names, since a plugin defines its own models:
/// if a grant named models, a plugin could use the name for another table. A table in a PostgreSQL
/// schema is `schema.table`. A name with capitals, `BlogPost`, also means the table `blog_post`,
/// the default table of such a model.
#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Grant {
    /// Whether writes are allowed.
    pub access: Access,
    /// The tables that exist for the tenant; queries cannot refer to others. `None` means all
    /// tables of the plugin's models, without filters: use it only for a database that belongs to
    /// the tenant alone.
    #[serde(
        deserialize_with = "strict_map::deserialize_optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub tables: Option<BTreeMap<String, TableGrant>>,
    /// Whether SQL text is allowed. **Filters do not apply to it.** In a file: `false`, `true` or
    /// `"fenced"`, or `"unfenced"`.
    ///
    /// On SQLite, SQLite itself restricts fenced text to the tables and columns of the grant; rows
    /// can be inserted only if all columns may be written. With filters, fenced text is rejected.
    ///
    /// On PostgreSQL, fenced text has the rights of the connection's user, so connect as a role
    /// that sees no more than the tenant may: a role that is superuser, bypasses row-level
    /// security, owns tables, or can become such a role is rejected.
    ///
    /// Unfenced text has all rights of the connection. Grant it only to plugins that you trust like
    /// your own code.
    #[serde(deserialize_with = "raw_sql", serialize_with = "write_raw_sql")]
    #[serde(skip_serializing_if = "is_default")]
    pub raw_sql: RawSql,
    /// On PostgreSQL, the role of every statement, set by `SET LOCAL ROLE`. With SQL text, which
    /// could reset it, the connection's user must be this role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// On PostgreSQL, the schemas in which statements look up tables; by default the connection's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search_path: Vec<String>,
    /// On PostgreSQL, settings for every statement, for row-level security policies.
    #[serde(
        deserialize_with = "strict_map::deserialize",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub settings: BTreeMap<String, String>,
}

impl fmt::Debug for Grant {
    /// Omits the values of settings, which may be secrets.
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

/// Whether writes are allowed in a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Writes are rejected, and transactions are read-only.
    #[default]
    ReadOnly,
    /// The table grants decide.
    ReadWrite,
}

/// The rights of a tenant on one table. By default, it may read all columns of all rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct TableGrant {
    /// The columns that may be read, and used in filters and orders. In a file: `"all"`, a list, or
    /// `{ except = […] }`. If some are hidden, PostgreSQL rejects a model with a field that has no
    /// column: it could refer to the whole row.
    #[serde(deserialize_with = "columns", skip_serializing_if = "is_all")]
    pub read: FieldSet,
    /// The columns that inserts and updates may set, if they are allowed.
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
    /// Conditions that every row satisfies that is read, written or left by a write. In a file: the
    /// column, and a value (`tenant_id = 42`), a list of values, or comparisons (`{ less = 10 }`).
    #[serde(deserialize_with = "read_filters", serialize_with = "write_filters")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
}

impl Grant {
    /// Allows reading every table.
    #[must_use]
    pub fn read_only() -> Self {
        Self::default()
    }

    /// Allows reading and writing every table.
    #[must_use]
    pub fn read_write() -> Self {
        Self { access: Access::ReadWrite, ..Self::default() }
    }

    /// Adds a table. After the first one, tables that are not added do not exist for the tenant.
    #[must_use]
    pub fn table(mut self, name: impl Into<String>, grant: TableGrant) -> Self {
        self.tables.get_or_insert_default().insert(name.into(), grant);
        self
    }

    /// Allows fenced SQL text; see [`Grant::raw_sql`].
    #[must_use]
    pub fn with_raw_sql(mut self) -> Self {
        self.raw_sql = RawSql::Fenced;
        self
    }

    /// Allows SQL text with all rights of the connection; see [`Grant::raw_sql`].
    #[must_use]
    pub fn with_unfenced_raw_sql(mut self) -> Self {
        self.raw_sql = RawSql::Unfenced;
        self
    }

    /// Sets the PostgreSQL role.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.role = Some(role.into());
        self
    }

    /// Adds a schema in which PostgreSQL looks up tables.
    #[must_use]
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.search_path.push(name.into());
        self
    }

    /// Adds a PostgreSQL setting for every statement.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// Whether SQL text is allowed, fenced or not.
    #[must_use]
    pub fn has_raw_sql(&self) -> bool {
        self.raw_sql != RawSql::Denied
    }

    /// The restrictions that the database itself enforces.
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

    /// The fence for a kind of database. SQLite restricts fenced SQL text to the tables and the
    /// columns of the grant, as PostgreSQL does by the rights of the role.
    ///
    /// # Errors
    ///
    /// `invalid-configuration` if the grant has filters, which cannot be enforced on text.
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
    /// The rights of SQL text. SQLite does not report which columns an insert sets.
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
    /// Allows reading all columns.
    #[must_use]
    pub fn read_only() -> Self {
        Self::default()
    }

    /// Allows reading all columns, and inserting, updating and deleting rows.
    #[must_use]
    pub fn read_write() -> Self {
        Self { insert: true, update: true, delete: true, ..Self::default() }
    }

    /// Sets the columns to read.
    #[must_use]
    pub fn read(mut self, columns: FieldSet) -> Self {
        self.read = columns;
        self
    }

    /// Sets the columns to write.
    #[must_use]
    pub fn write(mut self, columns: FieldSet) -> Self {
        self.write = columns;
        self
    }

    /// Adds a filter: only rows in which a column equals a value, or one of the values of an array.
    #[must_use]
    pub fn filter(self, column: impl Into<String>, value: impl Into<Value>) -> Self {
        self.filter_by(column, Comparison::Equal, value)
    }

    /// Adds a filter: only rows in which a column satisfies a comparison with a value.
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

/// `true` means fenced: full rights must be explicit.
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

/// Whether a value is the default, which a file omits.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_all(columns: &FieldSet) -> bool {
    *columns == FieldSet::All
}

/// Reads a set of columns; a plain list means only those.
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
