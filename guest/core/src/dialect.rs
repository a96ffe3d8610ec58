//! How SQLite and PostgreSQL differ, as data and as short methods. No other module asks which
//! database it writes for, except to refuse what one of them cannot do.
//!
//! Templates stand for operators that are spelt in different ways; `{0}` and `{1}` are their
//! operands.

use ferro_wit::query::{BinaryOperator, NullsOrder};
use ferro_wit::schema::{ColumnType, IntegerWidth};
use ferro_wit::types::{Dialect, ScalarType};

use crate::sql::quoted;

/// What each database writes for the same thing.
pub(crate) trait Spelling {
    /// The character before the number of a bind.
    fn placeholder(self) -> char;
    /// A truth value. On SQLite the words `true` and `false` would mean columns of that name.
    fn boolean(self, value: bool) -> &'static str;
    /// A whole number.
    fn integer(self, value: i64) -> String;
    /// A text as a literal.
    fn text(self, value: &str) -> String;
    /// What to add to an order so that nulls come where they are asked for.
    fn nulls(self, descending: bool, nulls: NullsOrder) -> &'static str;
    /// What stands for "no limit" where an offset needs one.
    fn no_limit(self) -> Option<&'static str>;
    /// How an operator is written, for those that are not infix operators of both databases.
    fn template(self, operator: BinaryOperator) -> Option<&'static str>;
    /// The type that a cast names.
    fn cast_type(self, kind: ScalarType) -> &'static str;
    /// The elements of a JSON array as rows of stored values, on SQLite.
    fn list_rows(self, kind: ScalarType) -> (&'static str, &'static str);
    /// The type of a column in a table.
    fn column_type(self, kind: &ColumnType) -> String;
}

/// The collation under which decimals, stored as text, compare as numbers.
pub(crate) const DECIMAL_COLLATION: &str = " COLLATE \"ferro_decimal\"";

impl Spelling for Dialect {
    fn placeholder(self) -> char {
        match self {
            Self::Sqlite => '?',
            Self::Postgres => '$',
        }
    }

    fn boolean(self, value: bool) -> &'static str {
        match (self, value) {
            (Self::Sqlite, false) => "0",
            (Self::Sqlite, true) => "1",
            (Self::Postgres, false) => "FALSE",
            (Self::Postgres, true) => "TRUE",
        }
    }

    fn integer(self, value: i64) -> String {
        match (self, value) {
            // Without its sign the smallest number is no integer any more.
            (Self::Postgres, i64::MIN) => format!("CAST('{value}' AS bigint)"),
            (_, ..0) => format!("({value})"),
            _ => value.to_string(),
        }
    }

    fn text(self, value: &str) -> String {
        let quotes = value.replace('\'', "''");
        match self {
            // Whether a backslash is one in plain quotes is a setting of the server.
            Self::Postgres if value.contains('\\') => format!("E'{}'", quotes.replace('\\', r"\\")),
            Self::Postgres | Self::Sqlite => format!("'{quotes}'"),
        }
    }

    fn nulls(self, descending: bool, nulls: NullsOrder) -> &'static str {
        // SQLite takes nulls for the smallest values, PostgreSQL for the largest. Saying what is
        // so anyway would keep indexes from being used.
        let last_anyway = match self {
            Self::Sqlite => descending,
            Self::Postgres => !descending,
        };
        match (nulls, last_anyway) {
            (NullsOrder::Last, false) => " NULLS LAST",
            (NullsOrder::First, true) => " NULLS FIRST",
            (NullsOrder::Last, true) | (NullsOrder::First, false) => "",
        }
    }

    fn no_limit(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => Some("-1"),
            Self::Postgres => None,
        }
    }

    fn template(self, operator: BinaryOperator) -> Option<&'static str> {
        use BinaryOperator as B;
        Some(match (self, operator) {
            (_, B::IsDistinct) => "{0} IS DISTINCT FROM {1}",
            (_, B::IsNotDistinct) => "{0} IS NOT DISTINCT FROM {1}",
            // SQLite has no error for a division by zero: it is null there, and so it is here.
            (Self::Postgres, B::Divide) => "{0} / NULLIF({1}, 0)",
            (Self::Postgres, B::Modulo) => "{0} % NULLIF({1}, 0)",
            (Self::Sqlite, B::Divide) => "{0} / {1}",
            (Self::Sqlite, B::Modulo) => "{0} % {1}",
            // PostgreSQL's escape is the backslash if nothing is said. SQLite has none then. Its
            // connections compare with case, see `case_sensitive_like`.
            (Self::Postgres, B::Like) => "{0} LIKE {1}",
            (Self::Postgres, B::NotLike) => "{0} NOT LIKE {1}",
            (Self::Postgres, B::Ilike) => "{0} ILIKE {1}",
            (Self::Postgres, B::NotIlike) => "{0} NOT ILIKE {1}",
            (Self::Sqlite, B::Like) => r"{0} LIKE {1} ESCAPE '\'",
            (Self::Sqlite, B::NotLike) => r"{0} NOT LIKE {1} ESCAPE '\'",
            (Self::Sqlite, B::Ilike) => r"lower({0}) LIKE lower({1}) ESCAPE '\'",
            (Self::Sqlite, B::NotIlike) => r"lower({0}) NOT LIKE lower({1}) ESCAPE '\'",
            // No patterns, so there is nothing to escape.
            (Self::Postgres, B::Contains) => "strpos({0}, {1}) > 0",
            (Self::Postgres, B::StartsWith) => "starts_with({0}, {1})",
            (Self::Postgres, B::EndsWith) => "right({0}, length({1})) = {1}",
            (Self::Sqlite, B::Contains) => "instr({0}, {1}) > 0",
            (Self::Sqlite, B::StartsWith) => "substr({0}, 1, length({1})) = {1}",
            (Self::Sqlite, B::EndsWith) => "substr({0}, length({0}) - length({1}) + 1) = {1}",
            _ => return None,
        })
    }

    fn cast_type(self, kind: ScalarType) -> &'static str {
        match self {
            Self::Sqlite => match kind {
                ScalarType::Boolean | ScalarType::Integer => "INTEGER",
                ScalarType::Float => "REAL",
                ScalarType::Blob | ScalarType::Uuid => "BLOB",
                ScalarType::Decimal
                | ScalarType::Text
                | ScalarType::Date
                | ScalarType::Time
                | ScalarType::Timestamp
                | ScalarType::Timestamptz
                | ScalarType::Interval
                | ScalarType::Json => "TEXT",
            },
            Self::Postgres => match kind {
                ScalarType::Boolean => "boolean",
                ScalarType::Integer => "bigint",
                ScalarType::Float => "double precision",
                ScalarType::Decimal => "numeric",
                ScalarType::Text => "text",
                ScalarType::Blob => "bytea",
                ScalarType::Uuid => "uuid",
                ScalarType::Date => "date",
                ScalarType::Time => "time",
                ScalarType::Timestamp => "timestamp",
                ScalarType::Timestamptz => "timestamptz",
                ScalarType::Interval => "interval",
                ScalarType::Json => "jsonb",
            },
        }
    }

    fn list_rows(self, kind: ScalarType) -> (&'static str, &'static str) {
        match kind {
            // JSON has no bytes: they travel as hexadecimal digits.
            ScalarType::Blob | ScalarType::Uuid => ("(SELECT unhex(value) FROM json_each(", "))"),
            _ => ("(SELECT value FROM json_each(", "))"),
        }
    }

    fn column_type(self, kind: &ColumnType) -> String {
        match self {
            Self::Sqlite => sqlite_column(kind),
            Self::Postgres => postgres_column(kind),
        }
    }
}

/// The declared types tell the driver what a column holds. Those of values that are stored as text
/// contain `TEXT`, so that SQLite does not turn digits into numbers.
fn sqlite_column(kind: &ColumnType) -> String {
    let name = match kind {
        ColumnType::Boolean => "BOOLEAN",
        ColumnType::Integer(IntegerWidth::Small) => "SMALLINT",
        ColumnType::Integer(IntegerWidth::Regular) => "INTEGER",
        ColumnType::Integer(IntegerWidth::Big) => "BIGINT",
        ColumnType::Real => "REAL",
        ColumnType::Double => "DOUBLE",
        ColumnType::Decimal(size) => {
            let size = size.as_ref().map(|it| format!("({},{})", it.precision, it.scale));
            return format!("DECIMAL_TEXT{}{DECIMAL_COLLATION}", size.unwrap_or_default());
        }
        ColumnType::Text(Some(length)) => return format!("VARCHAR({length})"),
        ColumnType::Text(None) | ColumnType::Enumeration(_) => "TEXT",
        ColumnType::Blob => "BLOB",
        ColumnType::Uuid => "UUID",
        ColumnType::Date => "DATE_TEXT",
        ColumnType::Time => "TIME_TEXT",
        ColumnType::Timestamp => "TIMESTAMP_TEXT",
        ColumnType::Timestamptz => "TIMESTAMPTZ_TEXT",
        ColumnType::Interval => "INTERVAL_TEXT",
        ColumnType::Json => "JSON_TEXT",
        ColumnType::Array(_) => "ARRAY_TEXT",
    };
    name.to_owned()
}

fn postgres_column(kind: &ColumnType) -> String {
    let scalar = |kind| Dialect::Postgres.cast_type(kind).to_owned();
    match kind {
        ColumnType::Boolean => scalar(ScalarType::Boolean),
        ColumnType::Integer(IntegerWidth::Small) => "smallint".into(),
        ColumnType::Integer(IntegerWidth::Regular) => "integer".into(),
        ColumnType::Integer(IntegerWidth::Big) => "bigint".into(),
        ColumnType::Real => "real".into(),
        ColumnType::Double => "double precision".into(),
        ColumnType::Decimal(None) => "numeric".into(),
        ColumnType::Decimal(Some(it)) => format!("numeric({}, {})", it.precision, it.scale),
        ColumnType::Text(None) => "text".into(),
        ColumnType::Text(Some(length)) => format!("varchar({length})"),
        ColumnType::Blob => scalar(ScalarType::Blob),
        ColumnType::Uuid => scalar(ScalarType::Uuid),
        ColumnType::Date => scalar(ScalarType::Date),
        ColumnType::Time => scalar(ScalarType::Time),
        ColumnType::Timestamp => scalar(ScalarType::Timestamp),
        ColumnType::Timestamptz => scalar(ScalarType::Timestamptz),
        ColumnType::Interval => scalar(ScalarType::Interval),
        ColumnType::Json => scalar(ScalarType::Json),
        ColumnType::Enumeration(name) => quoted(name),
        ColumnType::Array(kind) => format!("{}[]", Dialect::Postgres.cast_type(*kind)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_leave_their_quotes() {
        let cases = [
            ("it's", "'it''s'", "'it''s'"),
            (r"\'; DROP TABLE t; --", r"'\''; DROP TABLE t; --'", r"E'\\''; DROP TABLE t; --'"),
            ("", "''", "''"),
            ("$$", "'$$'", "'$$'"),
        ];
        for (value, sqlite, postgres) in cases {
            assert_eq!(Dialect::Sqlite.text(value), sqlite);
            assert_eq!(Dialect::Postgres.text(value), postgres);
        }
    }

    #[test]
    fn every_integer_is_an_integer() {
        for dialect in [Dialect::Sqlite, Dialect::Postgres] {
            assert_eq!(dialect.integer(7), "7");
            assert_eq!(dialect.integer(-7), "(-7)");
        }
        assert_eq!(Dialect::Postgres.integer(i64::MIN), "CAST('-9223372036854775808' AS bigint)");
    }
}
