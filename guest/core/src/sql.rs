//! The only writer of SQL text, responsible for quoting, placeholders, and the order of binds.
//!
//! Ferro does not use a query builder, because the binds of a plan are sources of values rather
//! than values, are shared if they are the same, and are numbered in the order in which they are
//! written.

use std::collections::{BTreeMap, VecDeque};

use ferro_wit::plan::{Bind, Binding, Origin, Step};
use ferro_wit::types::{ColumnInfo, Dialect, Error, ScalarType};

use crate::dialect::Spelling as _;
use crate::error::limit;

/// The longest statement in bytes.
pub(crate) const MAX_SQL_BYTES: usize = 256 * 1024;

/// A statement that is being written.
pub(crate) struct Sql {
    text: String,
    /// The statement, while a common table is written.
    aside: String,
    /// Selects before the statement, each with a name. They read nothing else that precedes the
    /// statement.
    ahead: Vec<String>,
    /// Common tables, in order of dependency.
    common: VecDeque<String>,
    /// Parts of the statement, such as its batch.
    parts: Vec<String>,
    recursive: bool,
    binds: Vec<Bind>,
    /// Placeholders that can be reused: those of parameters and forced values.
    shared: BTreeMap<(Source, u32), usize>,
    dialect: Dialect,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Parameter,
    Forced,
}

impl Sql {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self {
            text: String::with_capacity(256),
            aside: String::new(),
            ahead: Vec::new(),
            common: VecDeque::new(),
            parts: Vec::new(),
            recursive: false,
            binds: Vec::new(),
            shared: BTreeMap::new(),
            dialect,
        }
    }

    /// Writes SQL of the core itself. Nothing from outside goes through here.
    pub(crate) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Adds a select without binds before the statement: `WITH name AS (…)`.
    pub(crate) fn ahead(&mut self, name: &str, select: &str) {
        self.ahead.push(format!("{} AS ({select})", quoted(name)));
    }

    /// Moves what has been written so far before the statement, with a name and column names.
    pub(crate) fn move_ahead(&mut self, name: &str, columns: &[String]) {
        let select = std::mem::take(&mut self.text);
        self.parts.push(format!("{} ({}) AS ({select})", quoted(name), columns.join(", ")));
    }

    /// Begins the rows of a common table. The tables that it reads are written later.
    pub(crate) fn begin_common(&mut self) {
        self.aside = std::mem::take(&mut self.text);
    }

    /// Ends a common table, and continues with the statement.
    pub(crate) fn end_common(&mut self, head: &str, recursive: bool) {
        let rows = std::mem::replace(&mut self.text, std::mem::take(&mut self.aside));
        self.common.push_front(format!("{head} ({rows})"));
        self.recursive |= recursive;
    }

    /// Writes a quoted identifier.
    pub(crate) fn name(&mut self, name: &str) {
        push_name(&mut self.text, name);
    }

    /// Writes the quoted alias of a table.
    pub(crate) fn alias(&mut self, table: usize) {
        self.text.push_str("\"t");
        self.number(table);
        self.text.push('"');
    }

    /// Writes a quoted identifier after its qualifier.
    pub(crate) fn qualified(&mut self, qualifier: &str, name: &str) {
        self.name(qualifier);
        self.push(".");
        self.name(name);
    }

    /// Writes an integer. Negative ones are in parentheses, since two minus signs begin a comment.
    pub(crate) fn integer(&mut self, number: i64) {
        self.text.push_str(&self.dialect.integer(number));
    }

    /// Writes the placeholder of a parameter, the same one each time.
    pub(crate) fn parameter(&mut self, index: u32, kind: ScalarType, many: bool) {
        self.share(
            Source::Parameter,
            index,
            Bind { source: Binding::Parameter(index), kind, many },
        );
    }

    /// Writes the placeholder of a forced value, the same one each time.
    pub(crate) fn forced(&mut self, index: u32, kind: ScalarType, many: bool) {
        self.share(Source::Forced, index, Bind { source: Binding::Forced(index), kind, many });
    }

    /// Writes a new placeholder for a column of the batch.
    pub(crate) fn column(&mut self, index: u32, kind: ScalarType, many: bool) {
        let position = self.add(Bind { source: Binding::Column(index), kind, many });
        self.placeholder(position);
    }

    /// Writes a new placeholder for the keys that an earlier step returned in one of its columns.
    pub(crate) fn keys(&mut self, step: u32, column: u32, kind: ScalarType) {
        let position = self.add(Bind { source: Binding::Keys((step, column)), kind, many: true });
        self.placeholder(position);
    }

    /// Fails if the statement is too long, so that no query keeps the writer busy forever.
    pub(crate) fn check_size(&self) -> Result<(), Error> {
        let ahead: usize = self.stands_ahead().map(String::len).sum();
        if self.text.len() + self.aside.len() + ahead > MAX_SQL_BYTES {
            return Err(limit(format!("the statement is longer than {MAX_SQL_BYTES} bytes")));
        }
        Ok(())
    }

    /// Finishes the statement as a step of a plan.
    pub(crate) fn into_step(
        self,
        columns: Vec<ColumnInfo>,
        origins: Vec<Option<Origin>>,
    ) -> Result<Step, Error> {
        self.check_size()?;
        let ahead: Vec<_> = self.stands_ahead().map(String::as_str).collect();
        let sql = match (ahead.is_empty(), self.recursive) {
            (true, _) => self.text,
            (false, false) => format!("WITH {} {}", ahead.join(", "), self.text),
            (false, true) => format!("WITH RECURSIVE {} {}", ahead.join(", "), self.text),
        };
        Ok(Step {
            sql,
            binds: self.binds,
            columns,
            origins,
            attachment: None,
            rows_per_statement: None,
            bulk: None,
        })
    }

    fn stands_ahead(&self) -> impl Iterator<Item = &String> {
        self.ahead.iter().chain(&self.common).chain(&self.parts)
    }

    fn share(&mut self, source: Source, index: u32, bind: Bind) {
        let position = match self.shared.get(&(source, index)) {
            Some(position) => *position,
            None => {
                let position = self.add(bind);
                self.shared.insert((source, index), position);
                position
            }
        };
        self.placeholder(position);
    }

    fn add(&mut self, bind: Bind) -> usize {
        self.binds.push(bind);
        self.binds.len()
    }

    fn placeholder(&mut self, position: usize) {
        self.text.push(self.dialect.placeholder());
        self.number(position);
    }

    fn number(&mut self, number: usize) {
        // Most numbers have one digit, and formatting takes longer than the rest of a column.
        match u8::try_from(number) {
            Ok(digit @ 0..=9) => self.text.push(char::from(b'0' + digit)),
            _ => self.text.push_str(&number.to_string()),
        }
    }
}

/// Appends a quoted identifier. Names have been checked not to contain NUL.
pub(crate) fn push_name(text: &mut String, name: &str) {
    text.push('"');
    match name.bytes().any(|it| it == b'"') {
        true => text.push_str(&name.replace('"', "\"\"")),
        false => text.push_str(name),
    }
    text.push('"');
}

/// The alias of a table, by its number. On PostgreSQL, an unqualified alias refers to the whole
/// row, so no column may have such a name.
pub(crate) fn alias(table: usize) -> String {
    format!("t{table}")
}

/// An identifier in quotes.
pub(crate) fn quoted(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 2);
    push_name(&mut text, name);
    text
}

/// Identifiers in quotes, separated by commas.
pub(crate) fn quoted_list<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> String {
    let names: Vec<_> = names.into_iter().map(|it| quoted(it.as_ref())).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_in_names_are_doubled() {
        assert_eq!(quoted(r#"a" ; DROP TABLE "b"#), r#""a"" ; DROP TABLE ""b""#);
    }

    #[test]
    fn a_parameter_used_twice_is_one_bind() {
        let mut sql = Sql::new(Dialect::Sqlite);
        for index in [4, 2, 4] {
            sql.parameter(index, ScalarType::Text, false);
        }
        let step = sql.into_step(Vec::new(), Vec::new()).unwrap();
        assert_eq!(step.sql, "?1?2?1");
        assert_eq!(step.binds.len(), 2);
    }
}
