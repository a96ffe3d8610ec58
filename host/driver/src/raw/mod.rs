//! SQL text of the caller: one statement, with placeholders `?` or `$1` on both databases.
//!
//! Placeholders are found by tokenizing the text like its database: literals, quoted identifiers,
//! comments and dollar quotes are skipped. The rules for `?`:
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

use crate::fence::{Fence, RawSql};

use self::lexer::{Lexer, Mark, MarkKind};

/// A statement ready to be sent.
#[derive(Debug)]
pub(crate) struct Statement<'a> {
    pub(crate) sql: Cow<'a, str>,
    /// Whether its verb changes rows, so that their number is meaningful.
    pub(crate) changes: bool,
    /// Whether it may leave state on the connection.
    pub(crate) lasts: bool,
    /// Whether it deletes conflicting rows, on SQLite.
    pub(crate) replaces: bool,
}

/// Which statements are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    source: RawSql,
    read_only: bool,
}

impl Rules {
    /// Without a fence, the text is the application's own.
    pub(crate) fn of(fence: Option<&Fence>) -> Self {
        match fence {
            None => Self { source: RawSql::Unfenced, read_only: false },
            Some(fence) => Self { source: fence.raw_sql, read_only: fence.read_only },
        }
    }
}

/// The longest untrusted text in bytes: the maximum of what the core writes.
const LONGEST: usize = 256 << 10;
/// How deeply parentheses of an untrusted statement may be nested: SQLite recurses into them, and
/// nothing else limits its use of the stack.
const DEEPEST: usize = 200;

/// Statements that would put the connection into a state that the driver does not track.
const REFUSED: [(&[&str], &str); 5] = [
    (
        &["ABORT", "BEGIN", "COMMIT", "END", "RELEASE", "ROLLBACK", "SAVEPOINT", "START"],
        "begin, commit and roll back through a transaction of the session",
    ),
    (&["COPY"], "insert many rows as a batch, and read them with a cursor"),
    (&["DEALLOCATE", "EXECUTE", "PREPARE"], "statements are prepared and kept for you"),
    (&["DISCARD", "LOAD", "RESET"], "connections are reset for you"),
    (&["LISTEN", "UNLISTEN"], "connections are shared, so notifications would be lost"),
];

/// Verbs that read rows, if no part of the statement changes any.
const QUERIES: [&str; 4] = ["SELECT", "WITH", "VALUES", "TABLE"];
/// Verbs that change rows.
const CHANGES: [&str; 5] = ["INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE"];
/// Statements with effects that may persist on a SQLite connection; `CREATE` because of temporary
/// tables.
const SQLITE_LASTING: [&str; 4] = ["ATTACH", "CREATE", "DETACH", "PRAGMA"];

/// Parses a text, and checks that it is a single statement, that it is allowed, and that it takes
/// exactly the given number of parameters.
pub(crate) fn translate<'a>(
    sql: &'a str,
    dialect: Dialect,
    parameters: &[Value],
    rules: Rules,
) -> Result<Statement<'a>, Error> {
    if rules.source == RawSql::Fenced && sql.len() > LONGEST {
        let message = format!("the statement is longer than {LONGEST} bytes");
        return Err(Error::new(ErrorKind::LimitExceeded, message));
    }
    if sql.contains('\0') {
        return Err(invalid("the statement contains the character NUL"));
    }
    let mut lexer = Lexer::new(sql, dialect);
    lexer.read()?;
    if lexer.first.is_empty() {
        return Err(invalid("the statement is empty"));
    }
    check(&lexer, dialect, rules)?;
    if rules.source == RawSql::Fenced && lexer.deepest > DEEPEST {
        let message = format!("parentheses are nested more than {DEEPEST} deep");
        return Err(Error::new(ErrorKind::LimitExceeded, message));
    }
    if rules.source == RawSql::Fenced && lexer.joins_by_name {
        // SQLite does not ask about the columns, nor about the table if nothing else names it.
        let message = "`NATURAL` and `USING` do not name the columns to check: join with `ON`";
        return Err(Error::new(ErrorKind::Denied, message));
    }
    if rules.source == RawSql::Fenced && lexer.writes_uncounted {
        // The row count of a query does not include what a part of it writes.
        let message = "`INSERT`, `UPDATE`, `DELETE`, `MERGE` and `INTO` are not granted inside a \
                       statement, where their rows are not counted: run each as a separate \
                       statement, in a transaction if they belong together, and quote columns with \
                       such names";
        return Err(Error::new(ErrorKind::Denied, message));
    }
    let (changes, replaces) = (lexer.changes == Some(true), lexer.replaces);
    let lasts = match dialect {
        // Any function may change a setting, or take a lock that is held beyond the transaction.
        Dialect::Postgres => true,
        Dialect::Sqlite => is_one_of(lexer.first, &SQLITE_LASTING),
    };
    let marks = std::mem::take(&mut lexer.marks);
    let sql = number(sql, dialect, &marks, parameters)?;
    Ok(Statement { sql, changes, lasts, replaces })
}

/// Whether SQL text changes rows, according to its verb: `INSERT`, `UPDATE`, `DELETE`, `MERGE` or
/// `REPLACE`, also after `WITH`. Data-modifying parts of a query, and functions, are not
/// considered.
///
/// ```
/// use ferro_driver::changes_rows;
/// use ferro_wit::types::Dialect;
///
/// assert!(changes_rows("update t set a = 1 returning a", Dialect::Sqlite));
/// assert!(!changes_rows("select 'delete'", Dialect::Postgres));
/// ```
#[must_use]
pub fn changes_rows(sql: &str, dialect: Dialect) -> bool {
    let mut lexer = Lexer::new(sql, dialect);
    lexer.read().is_ok() && lexer.changes == Some(true)
}

/// Checks whether a statement with this first word is allowed.
fn check(lexer: &Lexer<'_>, dialect: Dialect, rules: Rules) -> Result<(), Error> {
    let keyword = || lexer.first.to_ascii_uppercase();
    let reads = is_one_of(lexer.first, &QUERIES) || is_one_of(lexer.first, &["EXPLAIN"]);
    if rules.read_only && (!reads || lexer.changes == Some(true)) {
        let message = format!("`{}` changes something, and the grant is read-only", keyword());
        return Err(Error::new(ErrorKind::ReadOnly, message));
    }
    for (keywords, hint) in REFUSED {
        if is_one_of(lexer.first, keywords) {
            let keyword = keyword();
            return Err(invalid(format!("`{keyword}` cannot be run as a statement: {hint}")));
        }
    }
    if dialect == Dialect::Postgres
        && is_one_of(lexer.first, &["SET"])
        && !is_one_of(lexer.second, &["LOCAL", "TRANSACTION", "CONSTRAINTS"])
    {
        return Err(invalid(
            "`SET` would affect the next user of the connection: use `SET LOCAL` in a transaction, \
             or `options` in the URL",
        ));
    }
    match rules.source {
        RawSql::Unfenced => Ok(()),
        RawSql::Fenced if is_one_of(lexer.first, &QUERIES) || is_one_of(lexer.first, &CHANGES) => {
            Ok(())
        }
        RawSql::Fenced => Err(Error::new(
            ErrorKind::Denied,
            format!(
                "`{}` is not granted: SQL text reads and changes rows, and begins with {} or {}",
                keyword(),
                QUERIES.join(", "),
                CHANGES.join(", ")
            ),
        )),
        RawSql::Denied => {
            Err(Error::new(ErrorKind::Denied, "SQL text is not granted for this database"))
        }
    }
}

fn is_one_of(word: &str, words: &[&str]) -> bool {
    words.iter().any(|it| it.eq_ignore_ascii_case(word))
}

/// Rewrites the placeholders for the database.
fn number<'a>(
    sql: &'a str,
    dialect: Dialect,
    marks: &[Mark],
    parameters: &[Value],
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
    let (wanted, given) = (wanted(marks, dollars), parameters.len());
    if wanted != given {
        return Err(invalid(format!(
            "the statement takes {wanted} parameters, but {given} were given: a placeholder is `?` \
             or `$1`"
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
        if is_list(&parameters[position - 1]) && is_alone_in_list(sql, mark) {
            // SQLite would compare each value with the whole JSON text of the array.
            return Err(invalid(
                "`in (?)` takes one value, not a list: write a placeholder for each value, `in (?, \
                 ?)`, or take all from one list, with `= any(?)` on PostgreSQL, and `in (select \
                 value from json_each(?))` on SQLite",
            ));
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

fn is_list(value: &Value) -> bool {
    match value {
        Value::Array(_) => true,
        Value::Json(text) => text.starts_with('['),
        _ => false,
    }
}

/// Whether the placeholder is the only item in the parentheses of an `IN`.
fn is_alone_in_list(sql: &str, mark: &Mark) -> bool {
    let (before, after) = (sql[..mark.start].trim_end(), sql[mark.end..].trim_start());
    let word = before.strip_suffix('(').and_then(|it| it.split_whitespace().next_back());
    after.starts_with(')') && word.is_some_and(|it| it.eq_ignore_ascii_case("IN"))
}

/// The number of parameters that the placeholders require.
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
