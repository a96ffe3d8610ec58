//! How parts of documents are reached and read.

use ferro_wit::types::{Dialect, ScalarType};

use super::Spelling as _;
use crate::typing::is_position;

/// What stands before and behind a document for a part of it: by keys, and by positions in arrays.
pub(crate) fn steps(dialect: Dialect, steps: &[String]) -> (&'static str, String) {
    let step = |step: &String| match step.trim_start_matches('0') {
        _ if !is_position(step) => format!(".\"{step}\""),
        "" => "[0]".to_owned(),
        // PostgreSQL takes no zeros before it.
        position => format!("[{position}]"),
    };
    let path: String = steps.iter().map(step).collect();
    match dialect {
        // A blob would be taken for JSON of SQLite's own, which may be deeper than the stack.
        Dialect::Sqlite => ("CAST(", format!(" AS TEXT) -> {}", dialect.text(&format!("${path}")))),
        // To its arrow a value alone is an array of one.
        Dialect::Postgres if steps.iter().any(|it| is_position(it)) => {
            let path = dialect.text(&format!("strict ${path}"));
            ("jsonb_path_query_first(", format!(", {path}, silent => TRUE)"))
        }
        Dialect::Postgres => {
            ("", steps.iter().map(|it| format!(" -> {}", dialect.text(it))).collect())
        }
    }
}

/// How a part of a document, `{0}`, is read as a type; null if it is something else. None where that
/// cannot be.
pub(crate) fn template(dialect: Dialect, kind: ScalarType) -> Option<&'static str> {
    use ScalarType as S;
    Some(match (dialect, kind) {
        (_, S::Json) => "{0}",
        (Dialect::Sqlite, S::Text) => "CASE json_type({0}) WHEN 'text' THEN {0} ->> '$' END",
        (Dialect::Sqlite, S::Boolean) => {
            "CASE json_type({0}) WHEN 'true' THEN 1 WHEN 'false' THEN 0 END"
        }
        // A number without fraction is whole, however it is written, unless it is too large for 64
        // bits: on PostgreSQL a cast of that would fail for all rows.
        (Dialect::Sqlite, S::Integer) => {
            "CASE WHEN json_type({0}) IN ('integer', 'real') AND {0} ->> '$' = \
             CAST({0} ->> '$' AS INTEGER) THEN CAST({0} ->> '$' AS INTEGER) END"
        }
        (Dialect::Sqlite, S::Float) => {
            "CASE WHEN json_type({0}) IN ('integer', 'real') AND {0} ->> '$' BETWEEN \
             -1.7976931348623157e308 AND 1.7976931348623157e308 THEN CAST({0} ->> '$' AS REAL) END"
        }
        (Dialect::Postgres, S::Text) => {
            "CASE jsonb_typeof({0}) WHEN 'string' THEN {0} #>> '{}' END"
        }
        (Dialect::Postgres, S::Boolean) => {
            "CASE jsonb_typeof({0}) WHEN 'boolean' THEN CAST({0} AS boolean) END"
        }
        (Dialect::Postgres, S::Integer) => {
            "CASE jsonb_typeof({0}) WHEN 'number' THEN CASE WHEN CAST({0} AS numeric) BETWEEN \
             -9223372036854775808 AND 9223372036854775807 AND CAST({0} AS numeric) = \
             trunc(CAST({0} AS numeric)) THEN CAST({0} AS bigint) END END"
        }
        (Dialect::Postgres, S::Float) => {
            "CASE jsonb_typeof({0}) WHEN 'number' THEN CASE WHEN abs(CAST({0} AS numeric)) < \
             4.9e-324 THEN 0 WHEN abs(CAST({0} AS numeric)) <= 1.7976931348623157e308 THEN \
             CAST({0} AS double precision) END END"
        }
        (Dialect::Postgres, S::Decimal) => {
            "CASE jsonb_typeof({0}) WHEN 'number' THEN CAST({0} AS numeric) END"
        }
        _ => return None,
    })
}
