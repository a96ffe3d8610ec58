//! Paths into JSON documents: reading and changing their parts.

use ferro_wit::types::{Dialect, ScalarType};

use super::Spelling as _;
use crate::typing::is_position;

/// What to write before and after a document to get a part of it by keys and array positions.
pub(crate) fn steps(dialect: Dialect, steps: &[String]) -> (&'static str, String) {
    let path = path(steps);
    match dialect {
        // Without the cast, a blob would be read as SQLite's internal form of JSON, and overflow
        // the stack if it is nested deeply.
        Dialect::Sqlite => ("CAST(", format!(" AS TEXT) -> {}", dialect.text(&format!("${path}")))),
        // The arrow operator treats a scalar as an array with one element.
        Dialect::Postgres if steps.iter().any(|it| is_position(it)) => {
            let path = dialect.text(&format!("strict ${path}"));
            ("jsonb_path_query_first(", format!(", {path}, silent => TRUE)"))
        }
        Dialect::Postgres => {
            ("", steps.iter().map(|it| format!(" -> {}", dialect.text(it))).collect())
        }
    }
}

/// How a part of a document, `{0}`, is read as a type; null if it has another type. `None` if this
/// is not possible for the type.
pub(crate) fn template(dialect: Dialect, kind: ScalarType) -> Option<&'static str> {
    use ScalarType as S;
    Some(match (dialect, kind) {
        (_, S::Json) => "{0}",
        (Dialect::Sqlite, S::Text) => "CASE json_type({0}) WHEN 'text' THEN {0} ->> '$' END",
        (Dialect::Sqlite, S::Boolean) => {
            "CASE json_type({0}) WHEN 'true' THEN 1 WHEN 'false' THEN 0 END"
        }
        // A number without a fraction is an integer, however it is written, unless it exceeds 64
        // bits: on PostgreSQL, a cast of it would make the whole query fail.
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

/// What to write before a document, between it and the new value of a part, and after that, to set
/// the part. The first of these is long if there are many steps, so it comes in pieces.
///
/// SQLite creates missing parts on the way, and leaves documents unchanged in which the path leads
/// through something else. On PostgreSQL, this would be an error or change another part, so the
/// expression checks for it first.
pub(crate) fn setting(
    dialect: Dialect,
    steps: &[String],
    kind: Option<ScalarType>,
) -> (Box<dyn Iterator<Item = String> + '_>, String, String) {
    match dialect {
        Dialect::Sqlite => {
            // Inserting one document into another may nest it too deeply for SQLite to read.
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

/// What to write before and after a document to remove a part.
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

/// How a value, `{0}`, becomes a part of a document; `None` if it cannot. Without a type it is
/// null.
pub(crate) fn part(dialect: Dialect, kind: Option<ScalarType>) -> Option<&'static str> {
    use ScalarType as S;
    Some(match (dialect, kind) {
        (Dialect::Sqlite, None) => "NULL",
        // If a column contains a blob, SQLite would read it as its internal form of JSON.
        (Dialect::Sqlite, Some(S::Json)) => "json(CAST({0} AS TEXT))",
        (Dialect::Sqlite, Some(S::Text)) => "CAST({0} AS TEXT)",
        (Dialect::Sqlite, Some(S::Boolean)) => {
            "json(CASE {0} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END)"
        }
        (Dialect::Sqlite, Some(S::Integer)) => {
            "CASE typeof({0}) WHEN 'integer' THEN {0} WHEN 'real' THEN abs(-9223372036854775808) END"
        }
        // SQLite itself would write only 15 digits.
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

/// On PostgreSQL: the document with the new part, if its path exists up to the step `last` and
/// either ends there or continues with missing parts. `None` if a missing part cannot be created,
/// since it is not the first element of an array.
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

/// On PostgreSQL: whether a document has a part that satisfies a condition.
fn has(steps: &[String], condition: String) -> String {
    let path = Dialect::Postgres.text(&format!("strict ${} ? ({condition})", path(steps)));
    format!("jsonb_path_exists(\"document\", {path}, silent => TRUE)")
}

/// The condition that something can have a part with this key or position.
fn of_type(step: &str) -> String {
    let kind = if is_position(step) { "array" } else { "object" };
    format!("@.type() == \"{kind}\"")
}

/// A path as the functions of PostgreSQL take it that change a document.
fn keys(steps: &[String]) -> String {
    let key = |it: &String| Dialect::Postgres.text(position(it).unwrap_or(it));
    format!("ARRAY[{}]", steps.iter().map(key).collect::<Vec<_>>().join(", "))
}

/// A path in SQL's path language, without its `$`; both databases support it.
fn path(steps: &[String]) -> String {
    let step = |step: &String| match position(step) {
        None => format!(".\"{step}\""),
        Some(position) => format!("[{position}]"),
    };
    steps.iter().map(step).collect()
}

/// A step as a position; `None` for a key. PostgreSQL does not accept leading zeros.
fn position(step: &str) -> Option<&str> {
    match step.trim_start_matches('0') {
        _ if !is_position(step) => None,
        "" => Some("0"),
        position => Some(position),
    }
}
