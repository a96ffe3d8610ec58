//! How values are looked for in lists, which are arrays on PostgreSQL and JSON on SQLite.

use ferro_wit::types::{Dialect, ScalarType};

/// What stands between a value and a list of its type that it must be in, or not, and after.
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

/// What stands before and after such a list that can be null: nothing is in it or out of it then.
pub(crate) fn or_null(dialect: Dialect) -> (&'static str, &'static str) {
    match dialect {
        // No array has no elements, as an empty one.
        Dialect::Sqlite => ("coalesce(", ", '[null]')"),
        Dialect::Postgres => ("", ""),
    }
}

/// What stands before each of several lists, and after the last, for rows that have a value of each.
pub(crate) fn rows(dialect: Dialect, kinds: &[ScalarType]) -> (Vec<String>, String) {
    match dialect {
        Dialect::Postgres => {
            let mut before = vec![", ".to_owned(); kinds.len()];
            before[0] = "SELECT * FROM unnest(".to_owned();
            (before, ")".to_owned())
        }
        // Materialized, they are joined by an index: else in quadratic time.
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

/// Whether values travel as hexadecimal digits, as JSON has no bytes.
fn is_bytes(kind: ScalarType) -> bool {
    matches!(kind, ScalarType::Blob | ScalarType::Uuid)
}
