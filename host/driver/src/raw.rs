//! SQL text of the caller: one statement, with placeholders `?` or `$1` on both databases.
//!
//! Placeholders are found by reading the text as its database does: literals, quoted identifiers,
//! comments and dollar quotes are left alone. The rule for `?`:
//!
//! - `?3` is the third parameter, on both databases, as `$3` is.
//! - Each other `?` is the next parameter.
//! - On PostgreSQL, where `?` is in the names of operators: a statement with a `$1` has no
//!   placeholder `?` at all, and is refused if it has a `?` where no operator can be; `?|`, `?&` and
//!   `@?` are operators (but `?||` is a parameter and a concatenation); a `?` right before a string
//!   literal or another `?` is an operator, as in `document ? 'key'` and `document ? ?`; and `??` is
//!   the operator `?` anywhere else.

mod lexer;

use std::borrow::Cow;
use std::fmt::Write;

use ferro_wit::types::{Dialect, Error, ErrorKind, Value};

use self::lexer::{Lexer, Mark, MarkKind};

/// A statement ready to be sent.
#[derive(Debug)]
pub(crate) struct Statement<'a> {
    pub(crate) sql: Cow<'a, str>,
    /// Whether it is one that changes rows, so that their number means something.
    pub(crate) changes: bool,
}

/// Statements that would leave the connection in a state that nobody keeps track of.
const REFUSED: [(&[&str], &str); 4] = [
    (
        &["ABORT", "BEGIN", "COMMIT", "END", "RELEASE", "ROLLBACK", "SAVEPOINT", "START"],
        "begin, commit and roll back through a transaction of the session",
    ),
    (&["COPY"], "insert many rows as a batch, and read them with a cursor"),
    (&["DEALLOCATE", "EXECUTE", "PREPARE"], "statements are prepared and kept for you"),
    (&["DISCARD"], "connections are reset for you"),
];

/// Reads a statement and checks that it is one, that it may be run, and that it takes just as many
/// parameters as there are.
pub(crate) fn translate<'a>(
    sql: &'a str,
    dialect: Dialect,
    parameters: &[Value],
) -> Result<Statement<'a>, Error> {
    if sql.contains('\0') {
        return Err(invalid("the statement contains the character NUL"));
    }
    let mut lexer = Lexer::new(sql, dialect);
    lexer.read()?;
    if lexer.first.is_empty() {
        return Err(invalid("the statement is empty"));
    }
    for (keywords, hint) in REFUSED {
        if keywords.iter().any(|it| lexer.first.eq_ignore_ascii_case(it)) {
            let keyword = lexer.first.to_ascii_uppercase();
            return Err(invalid(format!("`{keyword}` cannot be run as a statement: {hint}")));
        }
    }
    let changes = lexer.changes == Some(true);
    let marks = std::mem::take(&mut lexer.marks);
    let sql = number(sql, dialect, &marks, parameters.len())?;
    Ok(Statement { sql, changes })
}

/// Writes the placeholders as the database wants them.
fn number<'a>(
    sql: &'a str,
    dialect: Dialect,
    marks: &[Mark],
    given: usize,
) -> Result<Cow<'a, str>, Error> {
    let dollars = marks.iter().any(|it| matches!(it.kind, MarkKind::Dollar(_)));
    let questions = marks.iter().any(|it| match it.kind {
        MarkKind::Dollar(_) => false,
        MarkKind::Next { stands_alone: false } | MarkKind::Escaped => dialect == Dialect::Sqlite,
        MarkKind::Next { stands_alone: true } | MarkKind::Numbered(_) => true,
    });
    if dollars && questions {
        return Err(invalid("the statement has placeholders of both kinds: write `?` or `$1`"));
    }
    let wanted = wanted(marks, dollars);
    if wanted != given {
        return Err(invalid(format!(
            "the statement takes {wanted} parameters, but {given} were given"
        )));
    }
    let mut used = vec![false; given];
    let mut out = String::new();
    let (mut copied, mut next) = (0, 0);
    for mark in marks {
        let position = match mark.kind {
            MarkKind::Dollar(position) => Some(position),
            _ if dollars => continue,
            MarkKind::Numbered(position) => Some(position),
            MarkKind::Next { .. } => {
                next += 1;
                Some(next)
            }
            MarkKind::Escaped => None,
        };
        out.push_str(&sql[copied..mark.start]);
        copied = mark.end;
        let Some(position) = position else {
            out.push('?');
            continue;
        };
        match position.checked_sub(1).and_then(|it| used.get_mut(it)) {
            Some(used) => *used = true,
            None => return Err(invalid("placeholders are numbered from 1: there is no number 0")),
        }
        let sign = if dialect == Dialect::Sqlite { '?' } else { '$' };
        // Writing to a string cannot fail.
        let _ = write!(out, "{sign}{position}");
    }
    if let Some(unused) = used.iter().position(|it| !it) {
        return Err(invalid(format!("the statement does not use parameter {}", unused + 1)));
    }
    if copied == 0 {
        return Ok(Cow::Borrowed(sql));
    }
    out.push_str(&sql[copied..]);
    Ok(Cow::Owned(out))
}

/// How many parameters the placeholders ask for.
fn wanted(marks: &[Mark], dollars: bool) -> usize {
    let is_next = |it: &&Mark| matches!(it.kind, MarkKind::Next { .. }) && !dollars;
    let next = marks.iter().filter(is_next).count();
    let numbered = marks.iter().filter_map(|it| match it.kind {
        MarkKind::Dollar(position) => Some(position),
        MarkKind::Numbered(position) if !dollars => Some(position),
        _ => None,
    });
    numbered.chain([next]).max().unwrap_or(0)
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidQuery, message)
}
