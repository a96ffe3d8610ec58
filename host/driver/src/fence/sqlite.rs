//! Answers SQLite's questions while it prepares fenced SQL text.

use std::collections::BTreeMap;

use ferro_wit::policy::FieldSet;

use super::{Fence, TableRights};
use crate::sqlite::Action;

/// Prefixes of SQLite's own tables and virtual tables, which reveal things about all others.
const OWN: [&str; 3] = ["sqlite_", "pragma_", "dbstat"];
/// Table-valued JSON functions, which are reported as tables.
const JSON_TABLES: [&str; 4] = ["json_each", "json_tree", "jsonb_each", "jsonb_tree"];
/// Prefixes of JSON functions and operators. They take a blob for SQLite's internal form of JSON.
/// They recurse as deeply as that, or the path of `json_set`, is nested, and overflow the stack.
const JSON: [&str; 2] = ["json", "->"];
/// Functions that reach beyond the database, that reveal how SQLite was built or what others did on
/// the connection, or whose time or memory grows with the square of their arguments without any way
/// to interrupt them.
const UNSAFE_FUNCTIONS: [&str; 7] = [
    "changes",
    "ferro_converted",
    "fts3_tokenizer",
    "fts5_source_id",
    "last_insert_rowid",
    "load_extension",
    "total_changes",
];
/// Prefix of functions that reveal facts about SQLite itself or its files, or write to its log.
const OWN_FUNCTIONS: &str = "sqlite_";

impl Fence {
    /// The same fence for a statement that deletes conflicting rows: SQLite neither asks whether it
    /// may, nor runs triggers for them.
    pub(crate) fn replacing(&self) -> Self {
        let mut fence = self.clone();
        for rights in fence.tables.iter_mut().flat_map(BTreeMap::values_mut) {
            if !rights.delete {
                (rights.insert, rights.update) = (false, None);
            }
        }
        fence
    }

    /// Whether fenced SQL text may perform an action on SQLite.
    pub(crate) fn allows(&self, action: Action<'_>) -> bool {
        let may = |table: &str, ask: fn(&TableRights, &str) -> bool, column: &str| {
            let is_own = OWN.iter().any(|it| begins_with(table, it))
                || JSON_TABLES.iter().any(|it| it.eq_ignore_ascii_case(table));
            match &self.tables {
                None => !is_own,
                Some(tables) => {
                    let granted = tables.iter().find(|(it, _)| it.eq_ignore_ascii_case(table));
                    !is_own && granted.is_some_and(|(_, rights)| ask(rights, column))
                }
            }
        };
        match action {
            Action::Select => true,
            Action::Read(table, column) => may(table, TableRights::may_read, column),
            Action::Call(function) => {
                !begins_with(function, OWN_FUNCTIONS)
                    && !JSON.iter().any(|it| begins_with(function, it))
                    && !UNSAFE_FUNCTIONS.iter().any(|it| it.eq_ignore_ascii_case(function))
            }
            Action::Other => false,
            _ if self.read_only => false,
            Action::Insert(table) => may(table, |it, _| it.insert, ""),
            // SQLite's name for the key, whatever the name of its column is.
            Action::Update(table, "ROWID") => {
                may(table, |it, _| it.update == Some(FieldSet::All), "")
            }
            Action::Update(table, column) => may(table, TableRights::may_update, column),
            Action::Delete(table) => may(table, |it, _| it.delete, ""),
        }
    }
}

impl TableRights {
    fn may_read(&self, column: &str) -> bool {
        // A statement that only counts a table reads no particular column.
        match column {
            "" => !matches!(&self.read, FieldSet::Only(columns) if columns.is_empty()),
            column => has(&self.read, column),
        }
    }

    fn may_update(&self, column: &str) -> bool {
        self.update.as_ref().is_some_and(|it| has(it, column))
    }
}

/// Names are compared case-insensitively, as SQLite does.
fn has(columns: &FieldSet, column: &str) -> bool {
    let named = |columns: &[String]| columns.iter().any(|it| it.eq_ignore_ascii_case(column));
    match columns {
        FieldSet::All => true,
        FieldSet::Only(columns) => named(columns),
        FieldSet::Except(columns) => !named(columns),
    }
}

fn begins_with(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|it| it.eq_ignore_ascii_case(prefix))
}
