//! The names of models, fields and types in databases and messages: one rule for the core that
//! generates SQL, the hosts that look up grants, and the tools that show both.

use std::borrow::Cow;
use std::fmt;

use heck::ToSnakeCase as _;

use crate::query::AggregateFunction;
use crate::schema::{Field, Model};
use crate::types::ScalarType;

/// What comes before the name of a table of SQLite while a migration builds it anew.
pub const REBUILT: &str = "ferro new ";

impl Model {
    /// The name of the table, without its namespace; by default the model's name in snake case.
    #[must_use]
    pub fn table_name(&self) -> Cow<'_, str> {
        match &self.table {
            Some(table) => Cow::Borrowed(table),
            None => Cow::Owned(snake_case(&self.name)),
        }
    }

    /// The table's name in grants: `namespace.table` if the model has a namespace.
    #[must_use]
    pub fn full_table_name(&self) -> String {
        let table = self.table_name();
        match &self.namespace {
            Some(namespace) => format!("{namespace}.{table}"),
            None => table.into_owned(),
        }
    }
}

impl Field {
    /// The name of the column; by default the field's name.
    #[must_use]
    pub fn column_name(&self) -> &str {
        self.column.as_deref().unwrap_or(&self.name)
    }
}

/// The default database name for a name in a program: of the table of a model, an enum and its
/// values. Words of letters and digits become snake case; other characters stay, so that the name
/// of a table maps to itself.
///
/// ```
/// use ferro_wit::snake_case;
///
/// assert_eq!(snake_case("BlogPost"), "blog_post");
/// assert_eq!(snake_case("HTTPServer"), "http_server");
/// assert_eq!(snake_case("_Draft"), "_draft");
/// assert_eq!(snake_case("shop.order"), "shop.order");
/// ```
#[must_use]
pub fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for part in name.split_inclusive(|it: char| !it.is_alphanumeric()) {
        let word = part.trim_end_matches(|it: char| !it.is_alphanumeric());
        snake.push_str(&word.to_snake_case());
        snake.push_str(&part[word.len()..]);
    }
    snake
}

impl fmt::Display for ScalarType {
    /// The name of the case in the WIT: `timestamptz`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        serde::Serialize::serialize(self, f)
    }
}

impl fmt::Display for AggregateFunction {
    /// The name of the case in the WIT: `string-agg`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        serde::Serialize::serialize(self, f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The names that all implementations must agree on: their own tests read the file, too.
    const NAMES: &str = include_str!("../../tests/names.json");

    #[test]
    fn names_have_one_form_in_a_database() {
        let names: BTreeMap<&str, &str> = serde_json::from_str(NAMES).unwrap();
        for (name, snake) in names {
            assert_eq!(snake_case(name), snake);
            assert_eq!(snake_case(snake), snake, "a name of a table is its own");
        }
    }

    #[test]
    fn what_is_no_letter_stays() {
        for name in ["", "_", "shop.order", "a__b", "_a_", "a-b c", "i\u{307}", "हिन्दी"]
        {
            assert_eq!(snake_case(name), name);
        }
        assert_eq!(snake_case("Shop.OrderLine"), "shop.order_line");
    }
}
