//! How parts of documents are reached, read and changed.

use ferro_wit::types::{Dialect, ScalarType};

use super::Spelling as _;
use crate::typing::is_position;

/// What stands before and behind a document for a part of it: by keys, and by positions in arrays.
pub(crate) fn steps(dialect: Dialect, steps: &[String]) -> (&'static str, String) {
    let path = path(steps);
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

/// What stands before a document, between it and the value of a part, and behind that, to set the
/// part. What comes before is long if there are many steps, so it is made bit by bit.
///
/// SQLite makes what is missing on the way, and leaves documents alone in which the path leads through
/// something else. To PostgreSQL that would be an error, or another part: it is asked before.
pub(crate) fn setting(
    dialect: Dialect,
    steps: &[String],
    kind: Option<ScalarType>,
) -> (Box<dyn Iterator<Item = String> + '_>, String, String) {
    match dialect {
        Dialect::Sqlite => {
            // Inside of a document another one may be deeper than SQLite reads.
            let (check, checked) = match kind {
                Some(ScalarType::Json) => ("ferro_json_readable(", ")"),
                _ => ("", ""),
            };
            let before = std::iter::once(format!("{check}json_set(CAST("));
            let path = dialect.text(&format!("${}", path(steps)));
            (Box::new(before), format!(" AS TEXT), {path}, "), format!("){checked}"))
        }
        Dialect::Postgres => {
            let begin = std::iter::once("(SELECT CASE".to_owned());
            let branches = (0..steps.len()).rev().map_while(|last| branch(steps, last));
            let end = std::iter::once(" ELSE \"document\" END FROM (SELECT ".to_owned());
            let after = " AS \"value\" OFFSET 0) AS \"changed\")".to_owned();
            (Box::new(begin.chain(branches).chain(end)), " AS \"document\", ".to_owned(), after)
        }
    }
}

/// What stands before and behind a document without one of its parts.
pub(crate) fn removing(dialect: Dialect, steps: &[String]) -> (String, String) {
    let Some((step, around)) = steps.split_last() else { return Default::default() };
    match dialect {
        Dialect::Sqlite => {
            let path = dialect.text(&format!("${}", path(steps)));
            ("json_remove(CAST(".to_owned(), format!(" AS TEXT), {path})"))
        }
        Dialect::Postgres => {
            let has = has(around, of_type(step));
            let keys = keys(steps);
            let before = format!(
                "(SELECT CASE WHEN {has} THEN \"document\" #- {keys} ELSE \"document\" END FROM (SELECT "
            );
            (before, " AS \"document\" OFFSET 0) AS \"changed\")".to_owned())
        }
    }
}

/// How a value, `{0}`, becomes a part of a document; none where it cannot. Without a kind it is null.
pub(crate) fn part(dialect: Dialect, kind: Option<ScalarType>) -> Option<&'static str> {
    use ScalarType as S;
    Some(match (dialect, kind) {
        (Dialect::Sqlite, None) => "NULL",
        // Blobs that others put into columns are JSON of SQLite's own to it.
        (Dialect::Sqlite, Some(S::Json)) => "json(CAST({0} AS TEXT))",
        (Dialect::Sqlite, Some(S::Text)) => "CAST({0} AS TEXT)",
        (Dialect::Sqlite, Some(S::Boolean)) => {
            "json(CASE {0} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END)"
        }
        (Dialect::Sqlite, Some(S::Integer)) => {
            "CASE typeof({0}) WHEN 'integer' THEN {0} WHEN 'real' THEN abs(-9223372036854775808) END"
        }
        // SQLite itself would write 15 digits of it.
        (Dialect::Sqlite, Some(S::Float)) => "json(ferro_json_float({0}))",
        (Dialect::Postgres, None) => "CAST('null' AS jsonb)",
        (Dialect::Postgres, Some(S::Json)) => "coalesce({0}, 'null')",
        (Dialect::Postgres, Some(S::Text | S::Boolean | S::Integer)) => {
            "coalesce(to_jsonb({0}), 'null')"
        }
        (Dialect::Postgres, Some(S::Float)) => {
            "coalesce(to_jsonb(CASE WHEN {0} BETWEEN -1.7976931348623157e308 AND \
             1.7976931348623157e308 THEN CAST({0} AS double precision) END), 'null')"
        }
        _ => return None,
    })
}

/// On PostgreSQL: the document with a part, if it is there up to one step and that is the last, or is
/// missing. None if what is missing cannot be made, as it is no first element.
fn branch(steps: &[String], last: usize) -> Option<String> {
    let (around, missing) = steps.split_at(last);
    let (step, missing) = missing.split_first()?;
    let mut value = "\"value\"".to_owned();
    for step in missing.iter().rev() {
        value = match position(step) {
            None => format!("jsonb_build_object({}, {value})", Dialect::Postgres.text(step)),
            Some("0") => format!("jsonb_build_array({value})"),
            Some(_) => return None,
        };
    }
    let is_free = match (position(step), missing) {
        (None, []) => of_type(step),
        (None, _) => format!("{} && (exists(@.\"{step}\")) is unknown", of_type(step)),
        (Some(position), []) => format!("{} && @.size() >= {position}", of_type(step)),
        (Some(position), _) => format!("{} && @.size() == {position}", of_type(step)),
    };
    let (has, keys) = (has(around, is_free), keys(&steps[..=last]));
    Some(format!(" WHEN {has} THEN jsonb_set(\"document\", {keys}, {value})"))
}

/// On PostgreSQL: whether a document has a part of which something holds.
fn has(steps: &[String], condition: String) -> String {
    let path = Dialect::Postgres.text(&format!("strict ${} ? ({condition})", path(steps)));
    format!("jsonb_path_exists(\"document\", {path}, silent => TRUE)")
}

/// What has parts that are called so.
fn of_type(step: &str) -> String {
    let kind = if is_position(step) { "array" } else { "object" };
    format!("@.type() == \"{kind}\"")
}

/// A path as PostgreSQL has it where it changes a document.
fn keys(steps: &[String]) -> String {
    let key = |it: &String| Dialect::Postgres.text(position(it).unwrap_or(it));
    format!("ARRAY[{}]", steps.iter().map(key).collect::<Vec<_>>().join(", "))
}

/// A path in the language for those, which both databases have, without its `$`.
fn path(steps: &[String]) -> String {
    let step = |step: &String| match position(step) {
        None => format!(".\"{step}\""),
        Some(position) => format!("[{position}]"),
    };
    steps.iter().map(step).collect()
}

/// A step as a number; none of a key. PostgreSQL takes no zeros before it.
fn position(step: &str) -> Option<&str> {
    match step.trim_start_matches('0') {
        _ if !is_position(step) => None,
        "" => Some("0"),
        position => Some(position),
    }
}
