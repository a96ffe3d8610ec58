//! How SQLite and PostgreSQL differ: [`features`] has it as data, and the rest how each is spelt:
//! [`columns`] what is about tables, [`constants`] what values look like in them, [`documents`],
//! [`functions`], [`lists`] and [`moments`] what their names say. Other modules ask for a
//! [`Features`] or for a spelling, not for the database.
//!
//! Templates stand for operators that are spelt in different ways; `{0}` and `{1}` are their
//! operands. Those on SQLite that ask for `abs(-9223372036854775808)` want its error: the one that an
//! aggregate has for an overflow.

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

/// What each database writes for the same thing.
pub(crate) trait Spelling {
    /// What it has.
    fn features(self) -> &'static Features;
    /// The character before the number of a bind.
    fn placeholder(self) -> char;
    /// A truth value. On SQLite the words `true` and `false` would mean columns of that name.
    fn boolean(self, value: bool) -> &'static str;
    /// How an integer, `{0}`, is written that needs at most 64 bits: more are an error. None where that
    /// is so anyway; else it would have become a float.
    fn checked_integer(self) -> Option<&'static str>;
    /// A whole number.
    fn integer(self, value: i64) -> String;
    /// A text as a literal.
    fn text(self, value: &str) -> String;
    /// What to add to an order so that nulls come where they are asked for.
    fn nulls(self, descending: bool, nulls: NullsOrder) -> &'static str;
    /// What goes at the end of a select inside of `EXISTS`. SQLite 3.51 would make a join of it, and
    /// then count an offset of the select around it by the rows of both. It leaves alone what has a
    /// limit.
    fn end_of_exists(self) -> &'static str;
    /// What stands for "no limit" where an offset needs one.
    fn no_limit(self) -> Option<&'static str>;
    /// How an operator is written, for those that are not infix operators of both databases.
    fn template(self, operator: BinaryOperator) -> Option<&'static str>;
    /// What the driver calculates with decimals, where they are texts.
    fn decimals(self, operator: BinaryOperator) -> Option<&'static str>;
    /// What stands before and behind a decimal that goes to a column of a size, where types of a size
    /// do not see to that.
    fn sized(self, size: &DecimalSize) -> Option<(&'static str, String)>;
    /// The beginning of the aggregate that joins texts.
    fn string_agg(self) -> &'static str;
    /// The beginning of the aggregate that puts values of a kind into a list. On SQLite it is the
    /// driver's, and leaves out nulls.
    fn array_agg(self, kind: ScalarType) -> &'static str;
    /// The type that a cast names.
    fn cast_type(self, kind: ScalarType) -> &'static str;
    /// A text or a document, `{0}`, that must not have more than a million characters. None for other
    /// types.
    fn bounded(self, kind: ScalarType) -> Option<&'static str>;
    /// What stands before the lengths of texts, between these and the texts, and behind the texts, so
    /// that they become one text of no more than four million bytes; null if one of them is. None
    /// where the driver bounds what a statement holds.
    fn bounded_concat(self) -> Option<[&'static str; 3]>;
    /// What makes values compare exactly, whatever collation their column has.
    fn exact(self, kind: ScalarType) -> &'static str;
    /// What stands before and behind a column to ask whether a value in it is of its type. None where
    /// columns have no others, and for types whose values no model could give another one.
    fn type_test(self, kind: ScalarType) -> Option<(&'static str, &'static str)>;
    /// What reads rows for some columns of a table from a stream, both quoted. None where no stream
    /// is faster than statements.
    fn bulk(self, table: &str, columns: &str) -> Option<String>;
}

/// The collation under which decimals, stored as text, compare as numbers.
pub(crate) const DECIMAL_COLLATION: &str = " COLLATE \"ferro_decimal\"";

/// How such decimals are negated, summed up and averaged: by functions of the driver.
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
            (Self::Postgres, B::ArrayContains | B::JsonContains) => "{0} @> {1}",
            (Self::Postgres, B::ArrayOverlaps) => "{0} && {1}",
            // A null among the elements is like no other. Another model may have put a blob into the
            // column, which SQLite would take for JSON of its own, however deep.
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
            // Past 2^31 is its error. `concat` would skip a null, but is not called where one is.
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
