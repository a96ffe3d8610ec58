//! How SQLite and PostgreSQL differ, as data and as short methods; [`columns`] has what is about
//! tables, [`constants`] what values look like in them, [`functions`] the functions. Other modules ask
//! for a [`Features`] or for a spelling, not for the database.
//!
//! Templates stand for operators that are spelt in different ways; `{0}` and `{1}` are their
//! operands.

use ferro_wit::query::{BinaryOperator, NullsOrder};
use ferro_wit::schema::DecimalSize;
use ferro_wit::types::{Dialect, ScalarType};

use crate::typing::is_position;

pub(crate) mod calendar;
pub(crate) mod columns;
pub(crate) mod constants;
pub(crate) mod functions;

/// What one database has and another has not.
#[derive(Debug)]
pub(crate) struct Features {
    /// Enums are types of their own. Else they are checked texts.
    pub(crate) enums: bool,
    /// Decimals are numbers. Else they are texts under a collation of the driver's.
    pub(crate) decimals: bool,
    /// Arrays are values, and a batch can be bound as arrays. Else they are JSON.
    pub(crate) arrays: bool,
    /// Intervals compare.
    pub(crate) intervals: bool,
    /// Documents compare, and can be searched. Else they are texts.
    pub(crate) documents: bool,
    /// An integer that needs more than 64 bits is an error. Else it becomes a float.
    pub(crate) checked_integers: bool,
    /// Numbers of fewer than 64 bits are calculated in as few.
    pub(crate) narrow_numbers: bool,
    /// Sums and averages of integers are decimals.
    pub(crate) decimal_aggregates: bool,
    /// Texts of a limited length are types of their own. Else they are checked.
    pub(crate) limited_texts: bool,
    /// An exact comparison cannot use the indexes of its column.
    pub(crate) exact_without_index: bool,
    /// `row.name` is a function of the row where the row has no such column.
    pub(crate) row_functions: bool,
    /// Unions and their like stand in parentheses inside of others.
    pub(crate) nested_sets: bool,
    /// The columns of a recursive table have the types of its first rows to the letter: those of
    /// what is added are not widened.
    pub(crate) exact_recursion: bool,
    /// Single rows can be locked. Else a transaction that reads is alone with what it read: if
    /// another one writes, its own writes fail with `busy`.
    pub(crate) row_locks: bool,
    /// Tables lie in schemas.
    pub(crate) schemas: bool,
    /// Constraints can be added to a table, and must be if they refer to a later one.
    pub(crate) added_constraints: bool,
    /// Tables have comments.
    pub(crate) comments: bool,
    /// Names that differ in the case of their letters only are the same.
    pub(crate) folded_names: bool,
}

const SQLITE: Features = Features {
    enums: false,
    decimals: false,
    arrays: false,
    intervals: false,
    documents: false,
    checked_integers: false,
    narrow_numbers: false,
    decimal_aggregates: false,
    limited_texts: false,
    exact_without_index: false,
    row_functions: false,
    nested_sets: false,
    exact_recursion: false,
    row_locks: false,
    schemas: false,
    added_constraints: false,
    comments: false,
    folded_names: true,
};

const POSTGRES: Features = Features {
    enums: true,
    decimals: true,
    arrays: true,
    intervals: true,
    documents: true,
    checked_integers: true,
    narrow_numbers: true,
    decimal_aggregates: true,
    limited_texts: true,
    exact_without_index: true,
    row_functions: true,
    nested_sets: true,
    exact_recursion: true,
    row_locks: true,
    schemas: true,
    added_constraints: true,
    comments: true,
    folded_names: false,
};

/// What each database writes for the same thing.
pub(crate) trait Spelling {
    /// What it has.
    fn features(self) -> &'static Features;
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
    /// What stands before and behind a document for a part of it: by keys, and by positions in
    /// arrays.
    fn json_steps(self, steps: &[String]) -> (&'static str, String);
    /// How a part of a document, `{0}`, is read as a type; null if it is something else. None where
    /// that cannot be.
    fn json(self, kind: ScalarType) -> Option<&'static str>;
    /// The type that a cast names.
    fn cast_type(self, kind: ScalarType) -> &'static str;
    /// What stands between a value and a list of its type that it must be in, or not, and after.
    fn in_list(self, kind: ScalarType, negated: bool) -> (&'static str, &'static str);
    /// What stands before and after such a list that can be null: nothing is in it or out of it then.
    fn list_or_null(self) -> (&'static str, &'static str);
    /// What stands before and after an element of a JSON array, which has no bytes: they travel as
    /// hexadecimal digits.
    fn element(self, kind: ScalarType) -> (&'static str, &'static str);
    /// A text, `{0}`, that must not have more than a million characters.
    fn bounded_text(self) -> &'static str;
    /// What makes values compare exactly, whatever collation their column has.
    fn exact(self, kind: ScalarType) -> &'static str;
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

/// Raises an error, on SQLite: the one that an aggregate has for an overflow.
pub(crate) const OVERFLOW: &str = "abs(-9223372036854775808)";

impl Spelling for Dialect {
    fn features(self) -> &'static Features {
        match self {
            Self::Sqlite => &SQLITE,
            Self::Postgres => &POSTGRES,
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

    fn json_steps(self, steps: &[String]) -> (&'static str, String) {
        let step = |step: &String| match step.trim_start_matches('0') {
            _ if !is_position(step) => format!(".\"{step}\""),
            "" => "[0]".to_owned(),
            // PostgreSQL takes no zeros before it.
            position => format!("[{position}]"),
        };
        let path: String = steps.iter().map(step).collect();
        match self {
            // A blob would be taken for JSON of SQLite's own, which may be deeper than the stack.
            Self::Sqlite => ("CAST(", format!(" AS TEXT) -> {}", self.text(&format!("${path}")))),
            // To its arrow a value alone is an array of one.
            Self::Postgres if steps.iter().any(|it| is_position(it)) => {
                let path = self.text(&format!("strict ${path}"));
                ("jsonb_path_query_first(", format!(", {path}, silent => TRUE)"))
            }
            Self::Postgres => {
                ("", steps.iter().map(|it| format!(" -> {}", self.text(it))).collect())
            }
        }
    }

    fn json(self, kind: ScalarType) -> Option<&'static str> {
        use ScalarType as S;
        Some(match (self, kind) {
            (_, S::Json) => "{0}",
            (Self::Sqlite, S::Text) => "CASE json_type({0}) WHEN 'text' THEN {0} ->> '$' END",
            (Self::Sqlite, S::Boolean) => {
                "CASE json_type({0}) WHEN 'true' THEN 1 WHEN 'false' THEN 0 END"
            }
            // A number without fraction is whole, however it is written, unless it is too large for 64
            // bits: on PostgreSQL a cast of that would fail for all rows.
            (Self::Sqlite, S::Integer) => {
                "CASE WHEN json_type({0}) IN ('integer', 'real') AND {0} ->> '$' = \
                 CAST({0} ->> '$' AS INTEGER) THEN CAST({0} ->> '$' AS INTEGER) END"
            }
            (Self::Sqlite, S::Float) => {
                "CASE WHEN json_type({0}) IN ('integer', 'real') AND {0} ->> '$' BETWEEN \
                 -1.7976931348623157e308 AND 1.7976931348623157e308 THEN CAST({0} ->> '$' AS REAL) END"
            }
            (Self::Postgres, S::Text) => {
                "CASE jsonb_typeof({0}) WHEN 'string' THEN {0} #>> '{}' END"
            }
            (Self::Postgres, S::Boolean) => {
                "CASE jsonb_typeof({0}) WHEN 'boolean' THEN CAST({0} AS boolean) END"
            }
            (Self::Postgres, S::Integer) => {
                "CASE jsonb_typeof({0}) WHEN 'number' THEN CASE WHEN CAST({0} AS numeric) BETWEEN \
                 -9223372036854775808 AND 9223372036854775807 AND CAST({0} AS numeric) = \
                 trunc(CAST({0} AS numeric)) THEN CAST({0} AS bigint) END END"
            }
            (Self::Postgres, S::Float) => {
                "CASE jsonb_typeof({0}) WHEN 'number' THEN CASE WHEN abs(CAST({0} AS numeric)) < \
                 4.9e-324 THEN 0 WHEN abs(CAST({0} AS numeric)) <= 1.7976931348623157e308 THEN \
                 CAST({0} AS double precision) END END"
            }
            (Self::Postgres, S::Decimal) => {
                "CASE jsonb_typeof({0}) WHEN 'number' THEN CAST({0} AS numeric) END"
            }
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

    fn in_list(self, kind: ScalarType, negated: bool) -> (&'static str, &'static str) {
        let bytes = matches!(kind, ScalarType::Blob | ScalarType::Uuid);
        match (self, negated, bytes) {
            (Self::Postgres, false, _) => (" = ANY(", ")"),
            (Self::Postgres, true, _) => (" <> ALL(", ")"),
            (Self::Sqlite, false, false) => (" IN (SELECT value FROM json_each(", "))"),
            (Self::Sqlite, true, false) => (" NOT IN (SELECT value FROM json_each(", "))"),
            // JSON has no bytes: they travel as hexadecimal digits.
            (Self::Sqlite, false, true) => (" IN (SELECT unhex(value) FROM json_each(", "))"),
            (Self::Sqlite, true, true) => (" NOT IN (SELECT unhex(value) FROM json_each(", "))"),
        }
    }

    fn list_or_null(self) -> (&'static str, &'static str) {
        match self {
            // No array has no elements, as an empty one.
            Self::Sqlite => ("coalesce(", ", '[null]')"),
            Self::Postgres => ("", ""),
        }
    }

    fn element(self, kind: ScalarType) -> (&'static str, &'static str) {
        match (self, kind) {
            (Self::Sqlite, ScalarType::Blob | ScalarType::Uuid) => ("unhex(", ")"),
            _ => ("", ""),
        }
    }

    fn bounded_text(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "CASE WHEN length({0}) > 1000000 THEN abs(-9223372036854775808) ELSE {0} END"
            }
            Self::Postgres => {
                "CASE WHEN length({0}) > 1000000 THEN CAST(9223372036854775807 + length({0}) AS \
                 text) ELSE {0} END"
            }
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
