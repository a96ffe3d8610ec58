//! Fences: what the database itself holds a caller to, besides what the core writes into its
//! statements.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, Hasher as _};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ferro_wit::policy::FieldSet;
use ferro_wit::types::{Dialect, Error, ErrorKind};
use sqlx::{AssertSqlSafe, Row as _};

use crate::error::{caught, invalid_configuration};
use crate::lease::Connection;
use crate::sqlite::Action;

/// What the database itself holds a caller to, see [`Database::fenced`](crate::Database::fenced).
///
/// By default: nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fence {
    /// Transactions are read-only, those that run one statement too.
    pub read_only: bool,
    /// What becomes of SQL text.
    pub raw_sql: RawSql,
    /// PostgreSQL: the role of every transaction. SQL text could leave a role that was reached by
    /// `SET ROLE`, so for it the connection's own user has to be this role.
    pub role: Option<String>,
    /// PostgreSQL: the schemas in which names are looked for. Empty: those of the connection.
    pub search_path: Vec<String>,
    /// PostgreSQL: settings of every transaction, for policies of row-level security.
    pub settings: BTreeMap<String, String>,
    /// PostgreSQL: how long a statement may take in a transaction that is begun for the caller, unless
    /// `settings` say it.
    pub statement_timeout: Option<Duration>,
    /// PostgreSQL: how long such a transaction may wait for its next statement, unless `settings` say
    /// it.
    pub idle_timeout: Option<Duration>,
    /// SQLite: the tables that fenced SQL text may touch. None: all but SQLite's own.
    pub tables: Option<BTreeMap<String, TableRights>>,
}

/// What fenced SQL text may do with a table of SQLite, which asks for each table and column while it
/// prepares a statement. Views and triggers do no more for it than it may do itself.
#[derive(Debug, Clone, PartialEq)]
pub struct TableRights {
    /// The columns that may be read, by their names in the database.
    pub read: FieldSet,
    /// Whether rows may be inserted, with any values.
    pub insert: bool,
    /// The columns that may be updated, if any may.
    pub update: Option<FieldSet>,
    /// Whether rows may be deleted.
    pub delete: bool,
}

/// Whose SQL text runs, and so how far it is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RawSql {
    /// None may be sent.
    #[default]
    Denied,
    /// A stranger's: statements that read and change rows and do nothing else, where PostgreSQL
    /// holds the role to its rights. A role is refused that has rights over others, as a superuser,
    /// an owner of tables or a role of the server has, and one that may call `set_config`;
    /// `docs/security.md` lists them.
    Fenced,
    /// As the application's own, with all power of the connection's role.
    Unfenced,
}

/// Set by the driver or the fence itself, or what would lift the fence.
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

/// Tables that SQLite keeps or makes itself, which tell of all others.
const OWN: [&str; 3] = ["sqlite_", "pragma_", "dbstat"];
/// Functions of JSON that are called in the place of a table.
const JSON_TABLES: [&str; 4] = ["json_each", "json_tree", "jsonb_each", "jsonb_tree"];
/// What functions and operators of JSON begin with. A blob is JSON of SQLite's own to them, and they
/// follow it, and the path that `json_set` is given, as deep as it goes: past the end of the stack.
const JSON: [&str; 2] = ["json", "->"];
/// What reaches beyond the database, tells how it was built or what others did on the connection, or
/// takes time or memory that grows with the square of its arguments while nobody can stop it.
const UNSAFE_FUNCTIONS: [&str; 7] = [
    "changes",
    "ferro_converted",
    "fts3_tokenizer",
    "fts5_source_id",
    "last_insert_rowid",
    "load_extension",
    "total_changes",
];
/// What the functions begin with that tell of SQLite itself, of its files, or write to its log.
const OWN_FUNCTIONS: &str = "sqlite_";

/// A setting of the transaction that was begun for a caller: where it is gone, so is the
/// transaction.
const MARKER: &str = "ferro.marker";

/// Why SQL text is refused to the present role, and whether the transaction still lives. Each name
/// is qualified: the caller may have made objects of the same name.
const PROVE: &str = "\
SELECT pg_catalog.current_setting('ferro.marker', true) AS marker, CASE \
WHEN session_user OPERATOR(pg_catalog.<>) current_user \
THEN 'was reached by `SET ROLE`, which SQL text can undo: connect as that role' \
WHEN EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.rolsuper \
AND pg_catalog.pg_has_role(current_user, r.oid, 'MEMBER')) \
THEN 'is superuser, or may become one' \
WHEN EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.rolbypassrls \
AND pg_catalog.pg_has_role(current_user, r.oid, 'MEMBER')) \
THEN 'bypasses row-level security' \
WHEN EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE (r.rolcreaterole \
OR r.rolreplication) AND pg_catalog.pg_has_role(current_user, r.oid, 'MEMBER')) \
THEN 'may make roles, or read the changes of all by replication' \
WHEN EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.~~) 'pg\\_%' \
AND r.rolname OPERATOR(pg_catalog.<>) 'pg_database_owner' \
AND pg_catalog.pg_has_role(current_user, r.oid, 'MEMBER')) \
THEN 'has a role of the server itself, as those that reach its files or all data' \
WHEN EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.relkind OPERATOR(pg_catalog.=) \
ANY ('{r,p,v,m,f}') AND c.relowner OPERATOR(pg_catalog.=) ANY (SELECT r.oid \
FROM pg_catalog.pg_roles AS r WHERE pg_catalog.pg_has_role(current_user, r.oid, 'MEMBER'))) \
THEN 'owns tables, which rights and row-level security do not hold it back from' \
WHEN pg_catalog.has_function_privilege('pg_catalog.set_config(text,text,boolean)', 'EXECUTE') \
THEN 'may call `set_config`, which lifts the timeouts and settings of the fence: revoke that from \
public' END AS fault";

/// Why a transaction was not begun, or does not go on.
pub(crate) enum Breach {
    /// The database, or the way to it, failed.
    Database(sqlx::Error),
    /// The fence does not hold.
    Refused(Error),
}

impl From<sqlx::Error> for Breach {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl Fence {
    /// Refuses what cannot be meant on a database.
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
                "SQL text has no fence behind a pooler that lends sessions by transaction: connect \
                 to the server itself",
            ));
        }
        if dialect == Dialect::Postgres && self.tables.is_some() {
            return Err(invalid_configuration(
                "PostgreSQL holds SQL text to the rights of its role: grant it the tables there",
            ));
        }
        for name in self.settings.keys() {
            let parts = || name.split('.');
            let is_word = |it: &str| {
                !it.is_empty() && it.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
            };
            if parts().count() > 2 || !parts().all(is_word) {
                return Err(invalid_configuration(format!("`{name}` is no name of a setting")));
            }
            let name = name.to_ascii_lowercase();
            if FIXED.contains(&name.as_str()) || name == MARKER {
                return Err(invalid_configuration(format!(
                    "the setting `{name}` is not for a fence"
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

    /// Whether a single statement needs a transaction around it, too. Timeouts alone are not worth
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

    /// The same for a statement that deletes the rows in its way: SQLite does not ask whether it
    /// may, and runs no triggers for them.
    pub(crate) fn replacing(&self) -> Self {
        let mut fence = self.clone();
        for rights in fence.tables.iter_mut().flat_map(BTreeMap::values_mut) {
            if !rights.delete {
                (rights.insert, rights.update) = (false, None);
            }
        }
        fence
    }

    /// Whether fenced SQL text may do something on SQLite.
    pub(crate) fn allows(&self, action: Action<'_>) -> bool {
        let may = |table: &str, ask: fn(&TableRights, &str) -> bool, column: &str| {
            let is_own = OWN.iter().any(|it| begins_with(table, it))
                || JSON_TABLES.iter().any(|it| it.eq_ignore_ascii_case(table));
            match &self.tables {
                None => !is_own,
                Some(tables) => {
                    let granted = tables.iter().find(|(it, _)| it.eq_ignore_ascii_case(table));
                    !is_own && granted.is_some_and(|(_, rights)| ask(rights, column))
                }
            }
        };
        match action {
            Action::Select => true,
            Action::Read(table, column) => may(table, TableRights::may_read, column),
            Action::Call(function) => {
                !begins_with(function, OWN_FUNCTIONS)
                    && !JSON.iter().any(|it| begins_with(function, it))
                    && !UNSAFE_FUNCTIONS.iter().any(|it| it.eq_ignore_ascii_case(function))
            }
            Action::Other => false,
            _ if self.read_only => false,
            Action::Insert(table) => may(table, |it, _| it.insert, ""),
            // So SQLite calls the key, whatever its column is called.
            Action::Update(table, "ROWID") => {
                may(table, |it, _| it.update == Some(FieldSet::All), "")
            }
            Action::Update(table, column) => may(table, TableRights::may_update, column),
            Action::Delete(table) => may(table, |it, _| it.delete, ""),
        }
    }

    /// What follows the `BEGIN` of a transaction, so that it has a marker. Only settings of the
    /// transaction itself: nothing is left when it has ended, however it ends.
    fn opening(&self, marker: &str) -> String {
        let mut sql = format!("; SET LOCAL {MARKER} = {}", literal(marker));
        // Writing to a string cannot fail.
        for (name, time) in [
            ("statement_timeout", self.statement_timeout),
            ("idle_in_transaction_session_timeout", self.idle_timeout),
        ] {
            if let Some(time) = time {
                let milliseconds = time.as_millis().clamp(1, i32::MAX as u128);
                let _ = write!(sql, "; SET LOCAL {name} = {milliseconds}");
            }
        }
        for (name, value) in &self.settings {
            let name: Vec<_> = name.split('.').map(identifier).collect();
            let _ = write!(sql, "; SET LOCAL {} = {}", name.join("."), literal(value));
        }
        if !self.search_path.is_empty() {
            let path: Vec<_> = self.search_path.iter().map(|it| identifier(it)).collect();
            let _ = write!(sql, "; SET LOCAL search_path = {}", path.join(", "));
        }
        if let Some(role) = &self.role {
            let _ = write!(sql, "; SET LOCAL ROLE {}", identifier(role));
        }
        sql
    }

    /// Whether the transaction with a marker still lives, and whether the fence holds in it if SQL
    /// text is run.
    async fn prove(&self, connection: &mut Connection, marker: &str) -> Result<(), Breach> {
        let Connection::Postgres(connection) = connection else { return Ok(()) };
        let query = sqlx::query(AssertSqlSafe(PROVE)).persistent(false);
        let row = caught(pin!(query.fetch_one(&mut **connection))).await?;
        if row.try_get::<Option<String>, _>("marker")?.as_deref() != Some(marker) {
            let message = "SQL text ended the transaction that it ran in: the session is closed";
            return Err(Breach::Refused(Error::new(ErrorKind::Denied, message)));
        }
        match row.try_get::<Option<String>, _>("fault")? {
            Some(fault) if self.raw_sql == RawSql::Fenced => {
                Err(Breach::Refused(invalid_configuration(format!(
                    "SQL text is refused, because the role of the connection {fault}"
                ))))
            }
            _ => Ok(()),
        }
    }
}

impl TableRights {
    fn may_read(&self, column: &str) -> bool {
        // Of a table that is only counted, no column is named.
        match column {
            "" => !matches!(&self.read, FieldSet::Only(columns) if columns.is_empty()),
            column => has(&self.read, column),
        }
    }

    fn may_update(&self, column: &str) -> bool {
        self.update.as_ref().is_some_and(|it| has(it, column))
    }
}

/// Names are compared as SQLite does.
fn has(columns: &FieldSet, column: &str) -> bool {
    let named = |columns: &[String]| columns.iter().any(|it| it.eq_ignore_ascii_case(column));
    match columns {
        FieldSet::All => true,
        FieldSet::Only(columns) => named(columns),
        FieldSet::Except(columns) => !named(columns),
    }
}

fn begins_with(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|it| it.eq_ignore_ascii_case(prefix))
}

/// The fence around one transaction.
pub(crate) struct Enclosure {
    fence: Arc<Fence>,
    /// What the transaction is told from others by.
    marker: String,
    /// The role was found fit for SQL text.
    fit: AtomicBool,
    /// SQL text has run since the transaction was last seen alive.
    ran: AtomicBool,
}

impl Enclosure {
    pub(crate) fn new(fence: Arc<Fence>) -> Self {
        let marker = format!("{:016x}{:016x}", random(), random());
        Self { fence, marker, fit: AtomicBool::new(false), ran: AtomicBool::new(false) }
    }

    pub(crate) fn fence(&self) -> &Arc<Fence> {
        &self.fence
    }

    /// What follows the `BEGIN` of the transaction on PostgreSQL.
    pub(crate) fn opening(&self) -> String {
        self.fence.opening(&self.marker)
    }

    /// Why a transaction was not begun: a role or a setting that the database does not have is the
    /// operator's mistake.
    pub(crate) fn explain(&self, error: Error) -> Error {
        let refused = [ErrorKind::Denied, ErrorKind::UndefinedObject, ErrorKind::ValueOutOfRange];
        match refused.contains(&error.kind) {
            true => Error {
                message: format!("the fence of the grant cannot be set up: {}", error.message),
                kind: ErrorKind::InvalidConfiguration,
                ..error
            },
            false => error,
        }
    }

    /// Lets a statement pass, SQL `text` or not: proves what is not known. That costs a round trip
    /// before the first text, and one after each.
    pub(crate) async fn admit(
        &self,
        connection: &mut Connection,
        text: bool,
    ) -> Result<(), Breach> {
        let ran = self.ran.swap(text, Ordering::Relaxed);
        if ran || (text && !self.fit.load(Ordering::Relaxed)) {
            self.fence.prove(connection, &self.marker).await?;
            self.fit.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// A text as PostgreSQL reads it whatever `standard_conforming_strings` says.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', r"\\").replace('\'', "''"))
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Keyed at random by the standard library: no caller can foresee it.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
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
    fn r2_a_fence_that_cannot_be_meant_is_refused() {
        let fault = |fence: &Fence, dialect| fence.validate(dialect, false).unwrap_err().message;
        for name in ["role", "ROLE", "search_path", "ferro.marker", "TimeZone"] {
            let fault = fault(&settings(name, "x"), Dialect::Postgres);
            assert!(fault.contains("not for a fence"), "{name}: {fault}");
        }
        for name in ["", "a.", "a.b.c", "a b", "a;b", "a\"b"] {
            let fault = fault(&settings(name, "x"), Dialect::Postgres);
            assert!(fault.contains("no name of a setting"), "{name}: {fault}");
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
