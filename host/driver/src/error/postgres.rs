//! Maps SQLSTATE codes to kinds.

use ferro_wit::types::{Error, ErrorKind};
use sqlx::postgres::PgDatabaseError;

pub(super) fn describe(error: &PgDatabaseError) -> Error {
    let code = error.code();
    let kind = match error.routine() {
        // A text that is not a value of an enum; on SQLite a check rejects it.
        Some("enum_in" | "enum_recv") => ErrorKind::CheckViolation,
        _ => kind(code, error.message()),
    };
    Error {
        code: Some(code.to_owned()),
        constraint: error.constraint().map(str::to_owned),
        table: error.table().map(str::to_owned),
        column: error.column().map(str::to_owned).or_else(|| key_columns(kind, error.detail()?)),
        retryable: retryable(kind, code),
        ..Error::new(kind, detailed(code, message(code, error.message()), error.detail()))
    }
}

/// Only the details name the objects that prevent a change.
fn detailed(code: &str, message: String, detail: Option<&str>) -> String {
    match (code, detail) {
        (IN_USE | "0A000", Some(detail)) => format!("{message}: {}", detail.replace('\n', "; ")),
        _ => message,
    }
}

fn message(code: &str, message: &str) -> String {
    let advice = match (code, of_pooler(code, message)) {
        _ if is_of_another_session(code, message) => {
            "a pooler between here and the server hands out connections by transaction; set \
             `statement_cache_capacity` to 0, here and for others that use the pooler"
        }
        (_, Some(ErrorKind::InvalidConfiguration)) if message.contains("pooling mode") => {
            "set `pool_mode` of the pooler to `transaction` or `session`"
        }
        (_, Some(ErrorKind::Busy)) => {
            "the pooler between here and the server has no connection to lend; try again later"
        }
        _ => return message.to_owned(),
    };
    format!("{message}: {advice}")
}

/// PgBouncer's messages, which all have the same code, and are always in English.
const OF_POOLERS: [(&str, ErrorKind); 8] = [
    ("authentication failed", ErrorKind::AuthenticationFailed),
    ("no such user", ErrorKind::AuthenticationFailed),
    ("no such database", ErrorKind::DatabaseMissing),
    ("no more connections allowed", ErrorKind::Busy),
    ("query_wait_timeout", ErrorKind::Busy),
    ("server login has been failing", ErrorKind::Busy),
    ("unsupported startup parameter", ErrorKind::InvalidConfiguration),
    ("statement pooling mode", ErrorKind::InvalidConfiguration),
];

fn of_pooler(code: &str, message: &str) -> Option<ErrorKind> {
    let message = message.to_ascii_lowercase();
    let said = OF_POOLERS.iter().find(|(words, _)| message.contains(words));
    said.filter(|_| code == "08P01").map(|(_, kind)| *kind)
}

/// The errors for a statement that was prepared in another session behind the pooler: it does not
/// exist here, or another one with other parameters has its name.
fn is_of_another_session(code: &str, message: &str) -> bool {
    matches!(code, "26000" | "42P05") || code == "08P01" && message.contains("\"sqlx_s_")
}

/// An object cannot be dropped, since others depend on it.
const IN_USE: &str = "2BP01";

/// See <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn kind(code: &str, message: &str) -> ErrorKind {
    use ErrorKind as K;
    match code {
        _ if is_of_another_session(code, message) => K::InvalidConfiguration,
        "23505" => K::UniqueViolation,
        "23503" | "23001" => K::ForeignKeyViolation,
        "23502" => K::NotNullViolation,
        // A text too long for its column is also a check violation: on SQLite, a check limits the
        // length.
        "23514" | "44000" | "22001" => K::CheckViolation,
        "23P01" => K::ExclusionViolation,
        // The default code of exceptions that triggers raise to reject a row.
        "P0001" => K::CheckViolation,
        "40001" => K::SerializationFailure,
        "40P01" => K::Deadlock,
        "40003" => K::OutcomeUnknown,
        "55P03" | "55006" | "53300" => K::Busy,
        // One code for two causes, which only the English message distinguishes.
        "57014" if message.contains("timeout") => K::Timeout,
        "57014" => K::Cancelled,
        "25P03" | "25P04" => K::Timeout,
        "25006" => K::ReadOnly,
        "42501" => K::Denied,
        "42P01" | "42703" | "42883" | "42704" | "42P02" | "3F000" => K::UndefinedObject,
        // The last three: a text, or bytes, that cannot be read as the type.
        "42804" | "42846" | "42P18" | "22007" | "22P02" | "22P03" => K::TypeMismatch,
        "3D000" => K::DatabaseMissing,
        IN_USE => K::Unsupported,
        "57P01" | "57P02" | "57P03" | "57P05" => K::ConnectionFailed,
        _ => match code.get(..2) {
            Some("08") => of_pooler(code, message).unwrap_or(K::ConnectionFailed),
            Some("0A") => K::Unsupported,
            // Several rows where only one is allowed: from a subquery, or with the same key in an
            // upsert.
            Some("21") => K::InvalidQuery,
            Some("22") => K::ValueOutOfRange,
            Some("28") => K::AuthenticationFailed,
            Some("42") => K::Syntax,
            Some("54") => K::LimitExceeded,
            _ => K::Internal,
        },
    }
}

fn retryable(kind: ErrorKind, code: &str) -> bool {
    let lost_a_race =
        matches!(kind, ErrorKind::SerializationFailure | ErrorKind::Deadlock | ErrorKind::Busy);
    lost_a_race || code == "57P03"
}

/// The columns of a key, which the server names only in the details: `Key (a, b)=(1, 2) …`. The
/// words around them may be translated, the parentheses not.
fn key_columns(kind: ErrorKind, detail: &str) -> Option<String> {
    match kind {
        ErrorKind::UniqueViolation => {}
        // If a row is still referenced, the details name the columns of the other table.
        ErrorKind::ForeignKeyViolation if detail.contains("is not present") => {}
        _ => return None,
    }
    let start = detail.find('(')? + 1;
    let end = start + detail.get(start..)?.find(")=(")?;
    let columns = detail.get(start..end)?;
    // An index on an expression: `lower(email)`.
    (!columns.contains('(')).then(|| columns.replace('"', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_a_key_are_found_in_the_details() {
        let unique = |detail| key_columns(ErrorKind::UniqueViolation, detail);
        assert_eq!(unique("Key (email)=(a)=(b)) already exists."), Some("email".into()));
        assert_eq!(unique("Schlüssel »(a, \"B\")=(1, 2)« existiert bereits."), Some("a, B".into()));
        assert_eq!(unique("Key (lower(email))=(x) already exists."), None);
        assert_eq!(unique("nothing of the kind"), None);
        let foreign = |detail| key_columns(ErrorKind::ForeignKeyViolation, detail);
        assert_eq!(foreign("Key (id)=(1) is not present in table \"a\"."), Some("id".into()));
        assert_eq!(foreign("Key (id)=(1) is still referenced from table \"b\"."), None);
    }

    #[test]
    fn what_poolers_say_has_the_kind_that_servers_give_it() {
        let kind_of = |message| kind("08P01", message);
        for (said, expected) in [
            ("SASL authentication failed", ErrorKind::AuthenticationFailed),
            ("no such user: ada", ErrorKind::AuthenticationFailed),
            ("no such database: shop", ErrorKind::DatabaseMissing),
            ("no more connections allowed (max_client_conn)", ErrorKind::Busy),
            ("query_wait_timeout", ErrorKind::Busy),
            ("unsupported startup parameter: options", ErrorKind::InvalidConfiguration),
            ("invalid frontend message type 1", ErrorKind::ConnectionFailed),
        ] {
            assert_eq!(kind_of(said), expected, "{said}");
        }
        assert_eq!(kind("08006", "query_wait_timeout"), ErrorKind::ConnectionFailed);
        let by_statement = "transaction blocks not allowed in statement pooling mode";
        assert!(message("08P01", by_statement).contains("set `pool_mode`"));
    }

    #[test]
    fn every_class_of_codes_has_a_kind() {
        for (code, expected) in [
            ("22012", ErrorKind::ValueOutOfRange),
            ("21000", ErrorKind::InvalidQuery),
            ("08006", ErrorKind::ConnectionFailed),
            ("42601", ErrorKind::Syntax),
            ("54001", ErrorKind::LimitExceeded),
            ("XX000", ErrorKind::Internal),
            ("", ErrorKind::Internal),
            ("é", ErrorKind::Internal),
        ] {
            assert_eq!(kind(code, ""), expected, "{code}");
        }
        let timed_out = "canceling statement due to statement timeout";
        assert_eq!(kind("57014", timed_out), ErrorKind::Timeout);
        assert_eq!(kind("57014", "canceling statement due to user request"), ErrorKind::Cancelled);
    }
}
