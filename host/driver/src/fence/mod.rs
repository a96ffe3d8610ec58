//! Fences: restrictions on a caller that the database itself enforces, in addition to those that
//! the core writes into statements.

mod postgres;
mod sqlite;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use ferro_wit::policy::FieldSet;
use ferro_wit::types::{Dialect, Error};

use self::postgres::MARKER;
pub(crate) use self::postgres::{Breach, Enclosure, literal};
use crate::error::invalid_configuration;

/// Restrictions on a caller that the database itself enforces; see
/// [`Database::fenced`](crate::Database::fenced).
///
/// By default, there are none.
#[derive(Clone, PartialEq, Default)]
pub struct Fence {
    /// Makes transactions read-only, including those around a single statement.
    pub read_only: bool,
    /// Whether SQL text is allowed, and how far it is trusted.
    pub raw_sql: RawSql,
    /// PostgreSQL: the role of every transaction. SQL text could reset a role that was set by `SET
    /// ROLE`, so with SQL text the connection's own user must be this role.
    pub role: Option<String>,
    /// PostgreSQL: the schemas in which names are looked up. Empty: those of the connection.
    pub search_path: Vec<String>,
    /// PostgreSQL: settings of every transaction, for row-level security policies.
    pub settings: BTreeMap<String, String>,
    /// PostgreSQL: how long a statement may take in a transaction that is begun for the caller,
    /// unless `settings` sets it.
    pub statement_timeout: Option<Duration>,
    /// How long a transaction of the caller may be open, and how long reading the rows of a write
    /// outside one may take. After that it is rolled back, whoever holds it, and unread rows of a
    /// cursor are lost. A statement that has not begun to answer first runs to its end, and then
    /// returns `timeout`; so a caller that stops waiting for one must drop its future, as otherwise
    /// SQLite keeps its lock. On PostgreSQL it is also the limit for idling between statements,
    /// unless `settings` sets it.
    pub transaction_timeout: Option<Duration>,
    /// SQLite: the tables that fenced SQL text may access. `None`: all except SQLite's own.
    pub tables: Option<BTreeMap<String, TableRights>>,
}

impl fmt::Debug for Fence {
    /// Without the values of settings, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { read_only, raw_sql, role, search_path, settings, .. } = self;
        let Self { statement_timeout, transaction_timeout, tables, .. } = self;
        f.debug_struct("Fence")
            .field("read_only", read_only)
            .field("raw_sql", raw_sql)
            .field("role", role)
            .field("search_path", search_path)
            .field("settings", &settings.keys())
            .field("statement_timeout", statement_timeout)
            .field("transaction_timeout", transaction_timeout)
            .field("tables", tables)
            .finish()
    }
}

/// The rights of fenced SQL text on a table of SQLite, which checks each table and column while it
/// prepares a statement. Views and triggers have no more rights than the text itself.
#[derive(Debug, Clone, PartialEq)]
pub struct TableRights {
    /// The columns that may be read, by database name.
    pub read: FieldSet,
    /// Whether rows may be inserted, with any values.
    pub insert: bool,
    /// The columns that may be updated, if any may.
    pub update: Option<FieldSet>,
    /// Whether rows may be deleted.
    pub delete: bool,
}

/// Whose SQL text may run, which determines how far it is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RawSql {
    /// SQL text is not allowed.
    #[default]
    Denied,
    /// Untrusted: only statements that read and change rows, within the rights of the role on
    /// PostgreSQL. Roles with rights over others are rejected, such as superusers, owners of tables
    /// and predefined server roles, and roles that may call `set_config` and similar functions;
    /// `docs/security.md` lists them.
    Fenced,
    /// Trusted like the application's own, with all rights of the connection's role.
    Unfenced,
}

/// Settings that the driver or the fence sets itself, or that would lift the fence.
const FIXED: [&str; 8] = [
    "client_encoding",
    "datestyle",
    "role",
    "search_path",
    "session_authorization",
    "standard_conforming_strings",
    "timezone",
    "transaction_read_only",
];

impl Fence {
    /// Rejects options that make no sense on a database.
    pub(crate) fn validate(&self, dialect: Dialect, pooled: bool) -> Result<(), Error> {
        let of_postgres =
            self.role.is_some() || !self.search_path.is_empty() || !self.settings.is_empty();
        if dialect == Dialect::Sqlite && of_postgres {
            return Err(invalid_configuration(
                "SQLite has no roles, schemas or settings of transactions: leave them out",
            ));
        }
        if pooled && self.raw_sql == RawSql::Fenced {
            return Err(invalid_configuration(
                "SQL text cannot be fenced behind a pooler in transaction mode: connect to the \
                 server itself",
            ));
        }
        if dialect == Dialect::Postgres && self.tables.is_some() {
            return Err(invalid_configuration(
                "PostgreSQL restricts SQL text to the rights of its role: grant it the tables there",
            ));
        }
        for name in self.settings.keys() {
            let parts = || name.split('.');
            let is_word = |it: &str| {
                !it.is_empty() && it.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
            };
            if parts().count() > 2 || !parts().all(is_word) {
                return Err(invalid_configuration(format!(
                    "`{name}` is not a valid name of a setting"
                )));
            }
            let name = name.to_ascii_lowercase();
            if FIXED.contains(&name.as_str()) || name == MARKER {
                return Err(invalid_configuration(format!(
                    "the setting `{name}` cannot be used in a fence"
                )));
            }
        }
        let texts = self.role.iter().chain(&self.search_path).chain(self.settings.values());
        if texts.into_iter().any(|it| it.contains('\0')) {
            return Err(invalid_configuration("a role, schema or setting has the character NUL"));
        }
        if self.role.iter().chain(&self.search_path).any(String::is_empty) {
            return Err(invalid_configuration("a role or schema has no name"));
        }
        Ok(())
    }

    /// Whether a single statement also needs a transaction around it. Timeouts alone do not justify
    /// two round trips.
    pub(crate) fn encloses(&self, dialect: Dialect, raw: bool) -> bool {
        match dialect {
            Dialect::Sqlite => self.read_only && raw,
            Dialect::Postgres => {
                raw || self.read_only
                    || self.role.is_some()
                    || !self.search_path.is_empty()
                    || !self.settings.is_empty()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(name: &str, value: &str) -> Fence {
        Fence { settings: BTreeMap::from([(name.into(), value.into())]), ..Fence::default() }
    }

    #[test]
    fn r2_names_and_values_of_a_fence_cannot_become_sql() {
        let fence = Fence {
            role: Some(r#"a"; RESET ROLE; --"#.into()),
            search_path: vec!["b\", public".into()],
            ..settings("app.tenant", r"\'; COMMIT; --")
        };
        let sql = fence.opening("m");
        let expected = String::from(
            "; SET LOCAL ferro.marker = E'm'; SET LOCAL \"app\".\"tenant\" = E'\\\\''; COMMIT; \
             --'; SET LOCAL search_path = \"b\"\", public\"; SET LOCAL ROLE \"a\"\"; RESET ROLE; --\"",
        );
        assert_eq!(sql, expected);
    }

    #[test]
    fn k1_the_values_of_settings_are_not_shown() {
        let shown = format!("{:?}", settings("app.key", "hunter2"));
        assert!(shown.contains("app.key") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn r2_a_fence_that_cannot_be_meant_is_refused() {
        let fault = |fence: &Fence, dialect| fence.validate(dialect, false).unwrap_err().message;
        for name in ["role", "ROLE", "search_path", "ferro.marker", "TimeZone"] {
            let fault = fault(&settings(name, "x"), Dialect::Postgres);
            assert!(fault.contains("cannot be used in a fence"), "{name}: {fault}");
        }
        for name in ["", "a.", "a.b.c", "a b", "a;b", "a\"b"] {
            let fault = fault(&settings(name, "x"), Dialect::Postgres);
            assert!(fault.contains("not a valid name of a setting"), "{name}: {fault}");
        }
        assert!(fault(&settings("a.b", "\0"), Dialect::Postgres).contains("NUL"));
        assert!(fault(&settings("a.b", "x"), Dialect::Sqlite).contains("SQLite has no roles"));
        let nobody = Fence { role: Some(String::new()), ..Fence::default() };
        assert!(fault(&nobody, Dialect::Postgres).contains("no name"));
        let text = Fence { raw_sql: RawSql::Fenced, ..Fence::default() };
        assert!(text.validate(Dialect::Postgres, true).is_err());
        assert!(text.validate(Dialect::Postgres, false).is_ok());
    }
}
