//! How values are searched for in lists, which are arrays on PostgreSQL and JSON on SQLite.

use ferro_wit::types::{Dialect, ScalarType};

/// What to write between a value and a list that must, or must not, contain it, and after the list.
pub(crate) fn contains(
    dialect: Dialect,
    kind: ScalarType,
    negated: bool,
) -> (&'static str, &'static str) {
    match (dialect, negated, is_bytes(kind)) {
        (Dialect::Postgres, false, _) => (" = ANY(", ")"),
        (Dialect::Postgres, true, _) => (" <> ALL(", ")"),
        (Dialect::Sqlite, false, false) => (" IN (SELECT value FROM json_each(", "))"),
        (Dialect::Sqlite, true, false) => (" NOT IN (SELECT value FROM json_each(", "))"),
        (Dialect::Sqlite, false, true) => (" IN (SELECT unhex(value) FROM json_each(", "))"),
        (Dialect::Sqlite, true, true) => (" NOT IN (SELECT unhex(value) FROM json_each(", "))"),
    }
}

/// What to write before and after a list that may be null: then the result is null, too.
pub(crate) fn or_null(dialect: Dialect) -> (&'static str, &'static str) {
    match dialect {
        // `json_each` of null has no elements, like an empty list.
        Dialect::Sqlite => ("coalesce(", ", '[null]')"),
        Dialect::Postgres => ("", ""),
    }
}

/// What to write before each of several lists, and after the last, to get rows with one value of
/// each.
pub(crate) fn rows(dialect: Dialect, kinds: &[ScalarType]) -> (Vec<String>, String) {
    match dialect {
        Dialect::Postgres => {
            let mut before = vec![", ".to_owned(); kinds.len()];
            before[0] = "SELECT * FROM unnest(".to_owned();
            (before, ")".to_owned())
        }
        // Materialized, they are joined by an index; otherwise, that would take quadratic time.
        Dialect::Sqlite => {
            let (mut before, mut values, mut joins) = (Vec::new(), Vec::new(), String::new());
            for (position, kind) in kinds.iter().enumerate() {
                let name = format!("\"k{position}\"");
                let end = if position > 0 { ")), " } else { "WITH " };
                before.push(format!(
                    "{end}{name} AS MATERIALIZED (SELECT \"key\", \"value\" FROM json_each("
                ));
                values.push(match is_bytes(*kind) {
                    true => format!("unhex({name}.\"value\")"),
                    false => format!("{name}.\"value\""),
                });
                joins += &match position {
                    0 => format!(" FROM {name}"),
                    _ => format!(" JOIN {name} ON {name}.\"key\" = \"k0\".\"key\""),
                };
            }
            (before, format!(")) SELECT {}{joins}", values.join(", ")))
        }
    }
}

/// Whether values are encoded as hexadecimal digits, since JSON has no bytes.
fn is_bytes(kind: ScalarType) -> bool {
    matches!(kind, ScalarType::Blob | ScalarType::Uuid)
}
