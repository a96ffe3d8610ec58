//! Sets the settings of a transaction on PostgreSQL, and verifies that they are still in force.

use std::collections::hash_map::RandomState;
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, Hasher as _};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ferro_wit::types::{Error, ErrorKind};
use sqlx::{AssertSqlSafe, Row as _};

use super::{Fence, RawSql};
use crate::error::invalid_configuration;
use crate::lease::Connection;

/// A setting of the transaction that was begun for a caller: if the setting is gone, the
/// transaction has ended.
pub(super) const MARKER: &str = "ferro.marker";

/// Why SQL text is refused for the current role, and whether the transaction is still open. All
/// names are qualified, since the caller may have created objects with the same names.
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
ELSE (SELECT pg_catalog.format('may call functions that lift the settings of the fence, take or show \
locks, write to the log of changes or have the rights of others: run `REVOKE EXECUTE ON FUNCTION %s \
FROM public, %I`', pg_catalog.string_agg(pg_catalog.format('%I.%I(%s)', n.nspname, p.proname, \
pg_catalog.pg_get_function_identity_arguments(p.oid)), ', '), current_user) \
FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) \
p.pronamespace WHERE CASE WHEN n.nspname OPERATOR(pg_catalog.=) 'pg_catalog' \
THEN p.proname OPERATOR(pg_catalog.~) '^(set_config|pg_lock_status|pg_logical_emit_message|\
pg_(try_)?advisory_(xact_)?lock(_shared)?)$' AND pg_catalog.has_function_privilege(p.oid, 'EXECUTE') \
ELSE p.prosecdef AND p.prokind OPERATOR(pg_catalog.<>) 'p' AND p.prorettype \
OPERATOR(pg_catalog.<>) ALL ('{trigger,event_trigger}'::pg_catalog.regtype[]) \
AND pg_catalog.has_function_privilege('public', p.oid, 'EXECUTE') END \
HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 0) END AS fault";

/// Why a transaction was not begun, or cannot continue.
pub(crate) enum Breach {
    /// The database, or the connection to it, failed.
    Database(sqlx::Error),
    /// The fence is not effective.
    Refused(Error),
}

impl From<sqlx::Error> for Breach {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl Fence {
    /// SQL that follows the `BEGIN` of a transaction, including its marker. All settings are local
    /// to the transaction: nothing remains after it, however it ends.
    pub(super) fn opening(&self, marker: &str) -> String {
        let mut sql = format!("; SET LOCAL {MARKER} = {}", literal(marker));
        // Writing to a string cannot fail.
        for (name, time) in [
            ("statement_timeout", self.statement_timeout),
            ("idle_in_transaction_session_timeout", self.transaction_timeout),
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

    /// Checks that the transaction with this marker is still open, and that the fence holds in it
    /// if SQL text is allowed.
    async fn prove(&self, connection: &mut Connection, marker: &str) -> Result<(), Breach> {
        let Connection::Postgres(backend) = connection else { return Ok(()) };
        let (connection, vigil) = backend.parts();
        let query = sqlx::query(AssertSqlSafe(PROVE)).persistent(false);
        let row = vigil.over(PROVE, pin!(query.fetch_one(connection))).await?;
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

/// The fence around one transaction.
pub(crate) struct Enclosure {
    fence: Arc<Fence>,
    /// Identifies the transaction.
    marker: String,
    /// Whether the role was found safe for SQL text.
    fit: AtomicBool,
    /// Whether SQL text has run since the transaction was last known to be open.
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

    /// SQL that follows the `BEGIN` of the transaction on PostgreSQL.
    pub(crate) fn opening(&self) -> String {
        self.fence.opening(&self.marker)
    }

    /// The error if a transaction was not begun: a role or a setting that the database does not
    /// accept is the operator's mistake.
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

    /// Checks the fence before a statement, as far as it is not known to hold. That takes a round
    /// trip before the first SQL `text`, and one after each.
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

/// A string literal that PostgreSQL reads the same way for any `standard_conforming_strings`.
pub(crate) fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', r"\\").replace('\'', "''"))
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A random marker, from the random keys of the standard library: no caller can predict it.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
