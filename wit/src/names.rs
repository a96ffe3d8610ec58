//! What models, fields and types are called in a database and in messages: one rule for the core
//! that writes SQL, the hosts that look up grants, and the tools that show both.

use std::borrow::Cow;
use std::fmt;

use crate::schema::{Field, Model};
use crate::types::ScalarType;

impl Model {
    /// The name of the table, without its namespace: the model's own in snake case where it names
    /// none.
    #[must_use]
    pub fn table_name(&self) -> Cow<'_, str> {
        match &self.table {
            Some(table) => Cow::Borrowed(table),
            None => Cow::Owned(default_table(&self.name)),
        }
    }

    /// The table as grants name it: `namespace.table` where the model names a namespace.
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
    /// The name of the column: the field's own where it names none.
    #[must_use]
    pub fn column_name(&self) -> &str {
        self.column.as_deref().unwrap_or(&self.name)
    }
}

/// The table of a model that names none: in snake case, with an underscore before each capital but
/// the first.
///
/// ```
/// use ferro_wit::default_table;
///
/// assert_eq!(default_table("BlogPost"), "blog_post");
/// assert_eq!(default_table("Été"), "été");
/// ```
#[must_use]
pub fn default_table(model: &str) -> String {
    let mut table = String::with_capacity(model.len() + 4);
    for character in model.chars() {
        if character.is_uppercase() && !table.is_empty() {
            table.push('_');
        }
        table.extend(character.to_lowercase());
    }
    table
}

impl fmt::Display for ScalarType {
    /// The name of the case in the WIT: `timestamptz`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        serde::Serialize::serialize(self, f)
    }
}
