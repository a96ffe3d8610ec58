//! Differences between SQLite and PostgreSQL: [`features`] has them as data, and the other modules
//! as spelling: [`columns`] for declarations, [`constants`] for values in them; [`documents`],
//! [`functions`], [`lists`] and [`moments`] for expressions. Other modules of the core ask for a
//! [`Features`] or for a spelling, not for the database.
//!
//! Templates are for operators that are spelled differently; `{0}` and `{1}` are their operands. On
//! SQLite, some templates call `abs(-9223372036854775808)` to raise an error: it is the same as
//! that of an aggregate that overflows.

use ferro_wit::query::{BinaryOperator, NullsOrder};
use ferro_wit::schema::DecimalSize;
use ferro_wit::types::{Dialect, ScalarType};

pub(crate) mod columns;
pub(crate) mod constants;
pub(crate) mod documents;
mod features;
pub(crate) mod functions;
pub(crate) mod lists;
pub(crate) mod moments;

pub(crate) use features::Features;

/// How each database spells the same thing.
pub(crate) trait Spelling {
    /// The features of the database.
    fn features(self) -> &'static Features;
    /// The character before the number of a placeholder.
    fn placeholder(self) -> char;
    /// A boolean literal. On SQLite, the words `true` and `false` could refer to columns.
    fn boolean(self, value: bool) -> &'static str;
    /// An expression for an integer, `{0}`, that fails if it exceeds 64 bits. `None` if the
    /// database does that anyway; otherwise it would have become a float.
    fn checked_integer(self) -> Option<&'static str>;
    /// An integer literal.
    fn integer(self, value: i64) -> String;
    /// A text literal.
    fn text(self, value: &str) -> String;
    /// What to add to an order term to sort nulls as requested.
    fn nulls(self, descending: bool, nulls: NullsOrder) -> &'static str;
    /// The end of a select inside `EXISTS`. SQLite 3.51 would convert it to a join, and then apply
    /// an offset of the enclosing select to the rows of both. It does not do that if there is a
    /// limit.
    fn end_of_exists(self) -> &'static str;
    /// What stands for "no limit" if an offset requires a limit.
    fn no_limit(self) -> Option<&'static str>;
    /// The template of an operator, unless it is an infix operator on both databases.
    fn template(self, operator: BinaryOperator) -> Option<&'static str>;
    /// The driver's function for an operator with decimals, if these are texts.
    fn decimals(self, operator: BinaryOperator) -> Option<&'static str>;
    /// What to write before and after a decimal for a column of this size, unless the type of the
    /// column enforces it.
    fn sized(self, size: &DecimalSize) -> Option<(&'static str, String)>;
    /// The beginning of the aggregate that concatenates texts.
    fn string_agg(self) -> &'static str;
    /// The beginning of the aggregate that collects values in a list. On SQLite it is a function of
    /// the driver, which skips nulls.
    fn array_agg(self, kind: ScalarType) -> &'static str;
    /// The name of a type in a cast.
    fn cast_type(self, kind: ScalarType) -> &'static str;
    /// An expression for a text or document, `{0}`, that fails if it is longer than a million
    /// characters. `None` for other types.
    fn bounded(self, kind: ScalarType) -> Option<&'static str>;
    /// What to write before the lengths of texts, between the lengths and the texts, and after the
    /// texts, to concatenate them to at most four million bytes; the result is null if one of them
    /// is. `None` if the driver limits the memory of a statement.
    fn bounded_concat(self) -> Option<[&'static str; 3]>;
    /// What to write after a value so that it is compared exactly, whatever the collation of its
    /// column.
    fn exact(self, kind: ScalarType) -> &'static str;
    /// What to write before and after a column to test whether a value has its declared type.
    /// `None` if columns cannot contain others, and for types that no other declaration could be
    /// mistaken for.
    fn type_test(self, kind: ScalarType) -> Option<(&'static str, &'static str)>;
    /// The command to read rows for some columns of a table from a stream, both quoted. `None` if a
    /// stream is not faster than statements.
    fn bulk(self, table: &str, columns: &str) -> Option<String>;
}

/// The collation with which decimals, stored as text, are compared as numbers.
pub(crate) const DECIMAL_COLLATION: &str = " COLLATE \"ferro_decimal\"";

/// The driver's functions for negating, summing and averaging such decimals.
pub(crate) const DECIMAL_NEGATE: &str = "ferro_negate(";
pub(crate) const DECIMAL_SUM: &str = "ferro_sum(";
pub(crate) const DECIMAL_AVERAGE: &str = "ferro_average(";

impl Spelling for Dialect {
    fn features(self) -> &'static Features {
        match self {
            Self::Sqlite => &features::SQLITE,
            Self::Postgres => &features::POSTGRES,
        }
    }

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

    fn checked_integer(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => {
                Some("CASE typeof({0}) WHEN 'real' THEN abs(-9223372036854775808) ELSE {0} END")
            }
            Self::Postgres => None,
        }
    }

    fn integer(self, value: i64) -> String {
        match (self, value) {
            // Without its sign, the smallest number is not a 64-bit integer.
            (Self::Postgres, i64::MIN) => format!("CAST('{value}' AS bigint)"),
            (_, ..0) => format!("({value})"),
            _ => value.to_string(),
        }
    }

    fn text(self, value: &str) -> String {
        let quotes = value.replace('\'', "''");
        match self {
            // Whether a backslash in plain quotes is an escape depends on a server setting.
            Self::Postgres if value.contains('\\') => format!("E'{}'", quotes.replace('\\', r"\\")),
            Self::Postgres | Self::Sqlite => format!("'{quotes}'"),
        }
    }

    fn nulls(self, descending: bool, nulls: NullsOrder) -> &'static str {
        // SQLite treats nulls as the smallest values, PostgreSQL as the largest. Writing the
        // default would prevent the use of indexes.
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

    fn end_of_exists(self) -> &'static str {
        match self {
            Self::Sqlite => " LIMIT 1",
            Self::Postgres => "",
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
            // A division by zero is null on SQLite, so it is null here, too.
            (Self::Postgres, B::Divide) => "{0} / NULLIF({1}, 0)",
            (Self::Postgres, B::Modulo) => "{0} % NULLIF({1}, 0)",
            (Self::Sqlite, B::Divide) => "{0} / {1}",
            (Self::Sqlite, B::Modulo) => "{0} % {1}",
            // The default escape character is the backslash on PostgreSQL; SQLite has none. On
            // SQLite, `LIKE` is case-sensitive by `case_sensitive_like`.
            (Self::Postgres, B::Like) => "{0} LIKE {1}",
            (Self::Postgres, B::NotLike) => "{0} NOT LIKE {1}",
            (Self::Postgres, B::Ilike) => "{0} ILIKE {1}",
            (Self::Postgres, B::NotIlike) => "{0} NOT ILIKE {1}",
            (Self::Sqlite, B::Like) => r"{0} LIKE {1} ESCAPE '\'",
            (Self::Sqlite, B::NotLike) => r"{0} NOT LIKE {1} ESCAPE '\'",
            (Self::Sqlite, B::Ilike) => r"lower({0}) LIKE lower({1}) ESCAPE '\'",
            (Self::Sqlite, B::NotIlike) => r"lower({0}) NOT LIKE lower({1}) ESCAPE '\'",
            // These are not patterns, so there is nothing to escape.
            (Self::Postgres, B::Contains) => "strpos({0}, {1}) > 0",
            (Self::Postgres, B::StartsWith) => "starts_with({0}, {1})",
            (Self::Postgres, B::EndsWith) => "right({0}, length({1})) = {1}",
            (Self::Sqlite, B::Contains) => "instr({0}, {1}) > 0",
            (Self::Sqlite, B::StartsWith) => "substr({0}, 1, length({1})) = {1}",
            (Self::Sqlite, B::EndsWith) => "substr({0}, length({0}) - length({1}) + 1) = {1}",
            (Self::Postgres, B::ArrayContains | B::JsonContains) => "{0} @> {1}",
            (Self::Postgres, B::ArrayOverlaps) => "{0} && {1}",
            // A null element equals no other one. Without the cast, a blob in the column would be
            // read as SQLite's internal form of JSON, however deeply it is nested.
            (Self::Sqlite, B::ArrayContains) => {
                "CASE WHEN {0} IS NOT NULL AND {1} IS NOT NULL THEN NOT EXISTS (SELECT value FROM \
                 json_each(CAST({1} AS TEXT)) EXCEPT SELECT value FROM json_each(CAST({0} AS TEXT)) \
                 WHERE value IS NOT NULL) END"
            }
            (Self::Sqlite, B::ArrayOverlaps) => {
                "CASE WHEN {0} IS NOT NULL AND {1} IS NOT NULL THEN EXISTS (SELECT value FROM \
                 json_each(CAST({0} AS TEXT)) INTERSECT SELECT value FROM json_each(CAST({1} AS TEXT)) \
                 WHERE value IS NOT NULL) END"
            }
            _ => return None,
        })
    }

    fn decimals(self, operator: BinaryOperator) -> Option<&'static str> {
        use BinaryOperator as B;
        Some(match (self, operator) {
            (Self::Sqlite, B::Add) => "ferro_add({0}, {1})",
            (Self::Sqlite, B::Subtract) => "ferro_subtract({0}, {1})",
            (Self::Sqlite, B::Multiply) => "ferro_multiply({0}, {1})",
            (Self::Sqlite, B::Divide) => "ferro_divide({0}, {1})",
            _ => return None,
        })
    }

    fn sized(self, size: &DecimalSize) -> Option<(&'static str, String)> {
        match self {
            Self::Sqlite => {
                Some(("ferro_sized(", format!(", {}, {})", size.precision, size.scale)))
            }
            Self::Postgres => None,
        }
    }

    fn string_agg(self) -> &'static str {
        match self {
            Self::Sqlite => "group_concat(",
            Self::Postgres => "string_agg(",
        }
    }

    fn array_agg(self, kind: ScalarType) -> &'static str {
        match (self, kind) {
            (Self::Sqlite, ScalarType::Blob | ScalarType::Uuid) => "ferro_blobs(",
            (Self::Sqlite, _) => "ferro_list(",
            (Self::Postgres, _) => "array_agg(",
        }
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

    fn bounded(self, kind: ScalarType) -> Option<&'static str> {
        Some(match (self, kind) {
            (Self::Sqlite, ScalarType::Text | ScalarType::Json) => {
                "CASE WHEN length({0}) > 1000000 THEN abs(-9223372036854775808) ELSE {0} END"
            }
            (Self::Postgres, ScalarType::Text) => {
                "CASE WHEN length({0}) > 1000000 THEN CAST(9223372036854775807 + length({0}) AS \
                 text) ELSE {0} END"
            }
            (Self::Postgres, ScalarType::Json) => {
                "CASE WHEN length(CAST({0} AS text)) > 1000000 THEN to_jsonb(9223372036854775807 + \
                 length(CAST({0} AS text))) ELSE {0} END"
            }
            _ => return None,
        })
    }

    fn bounded_concat(self) -> Option<[&'static str; 3]> {
        match self {
            Self::Sqlite => None,
            // Lengths that add up to more than 2^31 are an error. `concat` would skip nulls, but is
            // not called if there are any.
            Self::Postgres => Some(["CASE WHEN 2143483647", " > 0 THEN concat(", ") END"]),
        }
    }

    fn exact(self, kind: ScalarType) -> &'static str {
        match (self, kind) {
            (Self::Sqlite, ScalarType::Decimal) => DECIMAL_COLLATION,
            (Self::Sqlite, ScalarType::Text) => " COLLATE BINARY",
            (Self::Postgres, ScalarType::Text) => " COLLATE \"C\"",
            _ => "",
        }
    }

    fn type_test(self, kind: ScalarType) -> Option<(&'static str, &'static str)> {
        let class = match (self, kind) {
            (Self::Sqlite, ScalarType::Integer) => ") = 'integer'",
            (Self::Sqlite, ScalarType::Decimal | ScalarType::Text) => ") = 'text'",
            (Self::Sqlite, ScalarType::Uuid) => ") = 'blob'",
            _ => return None,
        };
        Some(("typeof(", class))
    }

    fn bulk(self, table: &str, columns: &str) -> Option<String> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => {
                Some(format!("COPY {table} ({columns}) FROM STDIN WITH (FORMAT binary)"))
            }
        }
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
