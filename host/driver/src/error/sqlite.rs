//! Maps result codes and messages of SQLite to kinds. Only its messages, which are always in
//! English, contain the names of constraints, tables and columns.

use ferro_wit::types::{Error, ErrorKind};

pub(super) fn describe(code: Option<i32>, message: &str) -> Error {
    let code = code.unwrap_or_default();
    let kind = kind(code, message);
    let Names { constraint, table, column } = names(kind, message);
    Error {
        code: Some(name(code).map_or_else(|| format!("SQLITE_{code}"), str::to_owned)),
        constraint,
        table,
        column,
        retryable: matches!(kind, ErrorKind::Busy | ErrorKind::SerializationFailure),
        ..Error::new(kind, message)
    }
}

fn kind(code: i32, message: &str) -> ErrorKind {
    use ErrorKind as K;
    match (code, code & 0xff) {
        (2067 | 1555 | 2579, _) => K::UniqueViolation,
        (787, _) => K::ForeignKeyViolation,
        // SQLite reports `on delete restrict` with the code of a trigger.
        (1811, _) if message == "FOREIGN KEY constraint failed" => K::ForeignKeyViolation,
        (1299, _) => K::NotNullViolation,
        (3091, _) => K::TypeMismatch,
        // A check, or a trigger that rejected a row.
        (_, 19) => K::CheckViolation,
        // The transaction has read data that another one has changed since; waiting does not help.
        (517, _) => K::SerializationFailure,
        (_, 5 | 6) => K::Busy,
        // Out of memory: an untrusted statement has a memory limit.
        (3082, _) | (_, 7) => K::LimitExceeded,
        (_, 8) => K::ReadOnly,
        (_, 9) => K::Cancelled,
        (_, 14) => K::ConnectionFailed,
        (_, 18) => K::ValueOutOfRange,
        (_, 20) => K::TypeMismatch,
        (_, 23) => K::Denied,
        (_, 26) => K::InvalidConfiguration,
        (_, 1) => kind_of_message(message),
        _ => K::Internal,
    }
}

/// Only the message of `SQLITE_ERROR` says what went wrong.
fn kind_of_message(message: &str) -> ErrorKind {
    const UNDEFINED: [&str; 4] =
        ["no such ", "unknown database", "has no column named", "no query"];
    const LIMITS: [&str; 4] = [
        "too many ",
        "parser stack overflow",
        "Expression tree is too large",
        "pattern too complex",
    ];
    let has_any = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
    const UNDECODABLE: [&str; 3] = [
        "a stored decimal is invalid",
        "a stored date, time or interval is invalid",
        "a stored value is not in its list",
    ];
    const OVERFLOWS: [&str; 5] = [
        "integer overflow",
        "numeric field overflow",
        "datetime field overflow",
        "document overflow",
        "value out of range",
    ];
    if has_any(&OVERFLOWS) {
        ErrorKind::ValueOutOfRange
    } else if message.contains("not authorized") {
        ErrorKind::Denied
    } else if message.contains("` cannot become a `") {
        ErrorKind::TypeMismatch
    } else if has_any(&UNDECODABLE) {
        ErrorKind::DecodeFailed
    } else if has_any(&UNDEFINED) {
        ErrorKind::UndefinedObject
    } else if has_any(&LIMITS) {
        ErrorKind::LimitExceeded
    } else {
        ErrorKind::Syntax
    }
}

#[derive(Debug, Default, PartialEq)]
struct Names {
    constraint: Option<String>,
    table: Option<String>,
    column: Option<String>,
}

fn names(kind: ErrorKind, message: &str) -> Names {
    let after = |prefix| message.strip_prefix(prefix).map(str::to_owned);
    match kind {
        ErrorKind::UniqueViolation => match after("UNIQUE constraint failed: ") {
            // For a unique index on an expression, the message names the index: `index 'name'`.
            Some(it) if it.starts_with("index '") => Names {
                constraint: Some(it["index '".len()..].trim_end_matches('\'').to_owned()),
                ..Names::default()
            },
            Some(columns) => table_and_columns(&columns),
            None => Names::default(),
        },
        ErrorKind::NotNullViolation => after("NOT NULL constraint failed: ")
            .map(|it| table_and_columns(&it))
            .unwrap_or_default(),
        ErrorKind::CheckViolation => {
            Names { constraint: after("CHECK constraint failed: "), ..Names::default() }
        }
        ErrorKind::TypeMismatch => strict_column(message).unwrap_or_default(),
        ErrorKind::UndefinedObject => {
            if let Some(table) = after("no such table: ") {
                Names { table: Some(table), ..Names::default() }
            } else if let Some(column) = after("no such column: ") {
                Names { column: Some(column_of(&column)), ..Names::default() }
            } else if let Some((table, column)) =
                message.strip_prefix("table ").and_then(|it| it.split_once(" has no column named "))
            {
                let table = (!is_alias(table)).then(|| table.into());
                Names { table, column: Some(column.into()), constraint: None }
            } else {
                Names::default()
            }
        }
        _ => Names::default(),
    }
}

/// The column in `t0.name`, or in `"name" - should this be a string literal in single-quotes?`.
fn column_of(named: &str) -> String {
    let named = named.split_once(" - should this be").map_or(named, |(name, _)| name);
    let column = named.rsplit_once('.').map_or(named, |(_, column)| column);
    column.trim_matches('"').to_owned()
}

/// Whether it is an alias that the core gives to a table in a statement, `t0` to `t63`. A table
/// with such a name in SQL text is then not named in the error.
fn is_alias(table: &str) -> bool {
    table.strip_prefix('t').is_some_and(|it| {
        it.bytes().all(|it| it.is_ascii_digit()) && it.parse::<u8>().is_ok_and(|it| it < 64)
    })
}

/// Splits `users.name, users.email`: one table, and the columns of a key.
fn table_and_columns(list: &str) -> Names {
    let parts: Vec<_> = list.split(", ").filter_map(|it| it.split_once('.')).collect();
    let columns: Vec<_> = parts.iter().map(|(_, column)| *column).collect();
    Names {
        constraint: None,
        table: parts.first().map(|(table, _)| (*table).to_owned()),
        column: (!columns.is_empty()).then(|| columns.join(", ")),
    }
}

/// Reads `cannot store TEXT value in INTEGER column users.age`, a message of strict tables.
fn strict_column(message: &str) -> Option<Names> {
    message
        .strip_prefix("cannot store ")?
        .rsplit_once(" column ")
        .map(|(_, it)| table_and_columns(it))
}

/// The names of the codes; SQLite has no function for them. See
/// <https://www.sqlite.org/rescode.html>.
fn name(code: i32) -> Option<&'static str> {
    Some(match code {
        1 => "SQLITE_ERROR",
        2 => "SQLITE_INTERNAL",
        3 => "SQLITE_PERM",
        4 => "SQLITE_ABORT",
        5 => "SQLITE_BUSY",
        6 => "SQLITE_LOCKED",
        7 => "SQLITE_NOMEM",
        8 => "SQLITE_READONLY",
        9 => "SQLITE_INTERRUPT",
        10 => "SQLITE_IOERR",
        11 => "SQLITE_CORRUPT",
        12 => "SQLITE_NOTFOUND",
        13 => "SQLITE_FULL",
        14 => "SQLITE_CANTOPEN",
        15 => "SQLITE_PROTOCOL",
        17 => "SQLITE_SCHEMA",
        18 => "SQLITE_TOOBIG",
        19 => "SQLITE_CONSTRAINT",
        20 => "SQLITE_MISMATCH",
        21 => "SQLITE_MISUSE",
        22 => "SQLITE_NOLFS",
        23 => "SQLITE_AUTH",
        25 => "SQLITE_RANGE",
        26 => "SQLITE_NOTADB",
        257 => "SQLITE_ERROR_MISSING_COLLSEQ",
        261 => "SQLITE_BUSY_RECOVERY",
        262 => "SQLITE_LOCKED_SHAREDCACHE",
        264 => "SQLITE_READONLY_RECOVERY",
        266 => "SQLITE_IOERR_READ",
        267 => "SQLITE_CORRUPT_VTAB",
        275 => "SQLITE_CONSTRAINT_CHECK",
        270 => "SQLITE_CANTOPEN_NOTEMPDIR",
        513 => "SQLITE_ERROR_RETRY",
        516 => "SQLITE_ABORT_ROLLBACK",
        517 => "SQLITE_BUSY_SNAPSHOT",
        520 => "SQLITE_READONLY_CANTLOCK",
        522 => "SQLITE_IOERR_SHORT_READ",
        526 => "SQLITE_CANTOPEN_ISDIR",
        531 => "SQLITE_CONSTRAINT_COMMITHOOK",
        769 => "SQLITE_ERROR_SNAPSHOT",
        773 => "SQLITE_BUSY_TIMEOUT",
        776 => "SQLITE_READONLY_ROLLBACK",
        778 => "SQLITE_IOERR_WRITE",
        782 => "SQLITE_CANTOPEN_FULLPATH",
        787 => "SQLITE_CONSTRAINT_FOREIGNKEY",
        1032 => "SQLITE_READONLY_DBMOVED",
        1034 => "SQLITE_IOERR_FSYNC",
        1043 => "SQLITE_CONSTRAINT_FUNCTION",
        1288 => "SQLITE_READONLY_CANTINIT",
        1299 => "SQLITE_CONSTRAINT_NOTNULL",
        1544 => "SQLITE_READONLY_DIRECTORY",
        1555 => "SQLITE_CONSTRAINT_PRIMARYKEY",
        1811 => "SQLITE_CONSTRAINT_TRIGGER",
        2067 => "SQLITE_CONSTRAINT_UNIQUE",
        2323 => "SQLITE_CONSTRAINT_VTAB",
        2579 => "SQLITE_CONSTRAINT_ROWID",
        2835 => "SQLITE_CONSTRAINT_PINNED",
        3091 => "SQLITE_CONSTRAINT_DATATYPE",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(code: i32, message: &str) -> (ErrorKind, Names) {
        let error = describe(Some(code), message);
        let Error { constraint, table, column, .. } = error;
        (error.kind, Names { constraint, table, column })
    }

    fn named(constraint: &str, table: &str, column: &str) -> Names {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Names { constraint: some(constraint), table: some(table), column: some(column) }
    }

    #[test]
    fn names_are_taken_from_messages() {
        for (code, message, kind, names) in [
            (
                2067,
                "UNIQUE constraint failed: t.a, t.b",
                ErrorKind::UniqueViolation,
                named("", "t", "a, b"),
            ),
            (
                2067,
                "UNIQUE constraint failed: index 'i'",
                ErrorKind::UniqueViolation,
                named("i", "", ""),
            ),
            (
                1299,
                "NOT NULL constraint failed: t.c",
                ErrorKind::NotNullViolation,
                named("", "t", "c"),
            ),
            (
                275,
                "CHECK constraint failed: positive",
                ErrorKind::CheckViolation,
                named("positive", "", ""),
            ),
            (
                787,
                "FOREIGN KEY constraint failed",
                ErrorKind::ForeignKeyViolation,
                named("", "", ""),
            ),
            (
                1811,
                "FOREIGN KEY constraint failed",
                ErrorKind::ForeignKeyViolation,
                named("", "", ""),
            ),
            (1811, "no", ErrorKind::CheckViolation, named("", "", "")),
            (
                3091,
                "cannot store TEXT value in INTEGER column t.n",
                ErrorKind::TypeMismatch,
                named("", "t", "n"),
            ),
            (1, "no such table: x", ErrorKind::UndefinedObject, named("", "x", "")),
            (1, "table t has no column named c", ErrorKind::UndefinedObject, named("", "t", "c")),
            (1, "table t0 has no column named c", ErrorKind::UndefinedObject, named("", "", "c")),
            (1, "no such column: t0.c", ErrorKind::UndefinedObject, named("", "", "c")),
            (
                1,
                "no such column: \"c\" - should this be a string literal in single-quotes?",
                ErrorKind::UndefinedObject,
                named("", "", "c"),
            ),
            (1, "near \"x\": syntax error", ErrorKind::Syntax, named("", "", "")),
            (517, "database is locked", ErrorKind::SerializationFailure, named("", "", "")),
        ] {
            assert_eq!(found(code, message), (kind, names), "{message}");
        }
    }

    #[test]
    fn codes_have_names_and_unknown_ones_their_number() {
        assert_eq!(describe(Some(5), "").code.as_deref(), Some("SQLITE_BUSY"));
        assert!(describe(Some(5), "").retryable);
        assert_eq!(describe(Some(99_999), "").code.as_deref(), Some("SQLITE_99999"));
        assert_eq!(describe(None, "").kind, ErrorKind::Internal);
    }
}
