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

use std::borrow::Cow;
use std::fmt::Write;

use ferro_wit::types::{Dialect, Error, ErrorKind, Value};

/// What PostgreSQL's protocol counts. SQLite stops at half of it.
const MOST_PARAMETERS: usize = 65_535;

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

/// Something that may be a placeholder.
struct Mark {
    start: usize,
    end: usize,
    kind: MarkKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum MarkKind {
    /// `$3`
    Dollar(usize),
    /// `?3`
    Numbered(usize),
    /// `?`, which `stands_alone` where it cannot be an operator between two operands.
    Next { stands_alone: bool },
    /// `??`
    Escaped,
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

struct Lexer<'a> {
    sql: &'a str,
    postgres: bool,
    at: usize,
    marks: Vec<Mark>,
    /// The first word, of which there has to be one.
    first: &'a str,
    /// The word before the present one.
    previous: &'a str,
    /// Whether the verb of the statement changes rows; none until it is found.
    changes: Option<bool>,
    /// Where the token before the present one ends.
    behind: usize,
    /// Open parentheses.
    depth: usize,
    /// A statement whose body has semicolons of its own may follow.
    may_have_body: bool,
    /// Blocks open in such a body.
    blocks: usize,
    ended: bool,
}

impl<'a> Lexer<'a> {
    fn new(sql: &'a str, dialect: Dialect) -> Self {
        Self {
            sql,
            postgres: dialect == Dialect::Postgres,
            at: 0,
            marks: Vec::new(),
            first: "",
            previous: "",
            changes: None,
            behind: 0,
            depth: 0,
            may_have_body: false,
            blocks: 0,
            ended: false,
        }
    }

    fn read(&mut self) -> Result<(), Error> {
        while let Some(byte) = self.byte(0) {
            if self.skip_blank()? {
                continue;
            }
            if byte == b';' {
                self.at += 1;
                self.ended |= self.blocks == 0 && !self.first.is_empty();
                continue;
            }
            if self.ended {
                return Err(invalid(
                    "there is more than one statement: run each one on its own, in a transaction \
                     if they belong together",
                ));
            }
            match byte {
                b'\'' => self.skip_quoted(b'\'', false)?,
                b'"' => self.skip_quoted(b'"', false)?,
                b'`' if !self.postgres => self.skip_quoted(b'`', false)?,
                b'[' if !self.postgres => self.skip_bracketed()?,
                b'$' => self.dollar()?,
                b'?' => self.question()?,
                b':' | b'@' if !self.postgres => self.refuse_name()?,
                b'0'..=b'9' => self.skip_number(),
                _ if is_word(byte) => self.word()?,
                _ => self.symbol(byte),
            }
            self.behind = self.at;
        }
        Ok(())
    }

    fn symbol(&mut self, byte: u8) {
        match byte {
            b'(' => self.depth += 1,
            b')' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.at += 1;
    }

    /// Whether there was white space or a comment.
    fn skip_blank(&mut self) -> Result<bool, Error> {
        match (self.byte(0), self.byte(1)) {
            (Some(byte), _) if byte.is_ascii_whitespace() => self.at += 1,
            (Some(b'-'), Some(b'-')) => {
                let rest = &self.sql[self.at..];
                self.at += rest.find('\n').unwrap_or(rest.len());
            }
            (Some(b'/'), Some(b'*')) => self.skip_comment()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Comments of PostgreSQL nest. SQLite takes one that never ends for the rest of the text.
    fn skip_comment(&mut self) -> Result<(), Error> {
        let mut depth = 0_usize;
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(b'/'), Some(b'*')) if self.postgres || depth == 0 => {
                    depth += 1;
                    self.at += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                (Some(_), _) => self.at += 1,
                (None, _) => return Err(invalid("a comment `/*` is not closed")),
            }
        }
    }

    /// A doubled quote stands for itself; a backslash hides a quote in strings that say so.
    fn skip_quoted(&mut self, quote: u8, backslashes: bool) -> Result<(), Error> {
        self.at += 1;
        loop {
            match self.byte(0) {
                Some(b'\\') if backslashes => self.at += 2,
                Some(byte) if byte == quote => {
                    self.at += 1;
                    if self.byte(0) != Some(quote) {
                        return Ok(());
                    }
                    self.at += 1;
                }
                Some(_) => self.at += 1,
                None => {
                    let quote = char::from(quote);
                    return Err(invalid(format!("a quote ({quote}) is not closed")));
                }
            }
        }
    }

    fn skip_bracketed(&mut self) -> Result<(), Error> {
        let rest = &self.sql[self.at..];
        let end = rest.find(']').ok_or_else(|| invalid("a bracket `[` is not closed"))?;
        self.at += end + 1;
        Ok(())
    }

    fn skip_number(&mut self) {
        while self.byte(0).is_some_and(|it| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'_'))
        {
            self.at += 1;
        }
    }

    fn word(&mut self) -> Result<(), Error> {
        let start = self.at;
        while self.byte(0).is_some_and(|it| is_word(it) || it.is_ascii_digit() || it == b'$') {
            self.at += 1;
        }
        let word = &self.sql[start..self.at];
        if self.postgres && self.byte(0) == Some(b'\'') && word.eq_ignore_ascii_case("e") {
            return self.skip_quoted(b'\'', true);
        }
        let is = |other: &str| word.eq_ignore_ascii_case(other);
        if self.first.is_empty() {
            self.first = word;
        }
        let leads = self.previous.is_empty() || self.first.eq_ignore_ascii_case("with");
        if leads && self.depth == 0 && self.changes.is_none() {
            self.changes = match () {
                () if ["insert", "update", "delete", "replace", "merge"].into_iter().any(is) => {
                    Some(true)
                }
                () if ["select", "values", "table"].into_iter().any(is) => Some(false),
                () => None,
            };
        }
        self.body(word);
        self.previous = word;
        Ok(())
    }

    /// Triggers of SQLite and functions of PostgreSQL may have statements inside.
    fn body(&mut self, word: &str) {
        let is = |other: &str| word.eq_ignore_ascii_case(other);
        let (opens, follows) = match self.postgres {
            true => (is("atomic"), self.previous.eq_ignore_ascii_case("begin")),
            false => (is("begin"), true),
        };
        if self.first.eq_ignore_ascii_case("create") {
            self.may_have_body |= self.postgres
                || (is("trigger")
                    && ["create", "temp", "temporary"]
                        .iter()
                        .any(|it| self.previous.eq_ignore_ascii_case(it)));
        }
        if self.may_have_body && self.blocks == 0 && opens && follows {
            self.blocks = 1;
        } else if self.blocks > 0 && is("case") {
            self.blocks += 1;
        } else if self.blocks > 0 && is("end") {
            self.blocks -= 1;
        }
    }

    /// `$1`, or a dollar quote of PostgreSQL.
    fn dollar(&mut self) -> Result<(), Error> {
        let start = self.at;
        self.at += 1;
        if let Some(position) = self.position()? {
            let kind = MarkKind::Dollar(position);
            self.marks.push(Mark { start, end: self.at, kind });
            return Ok(());
        }
        if !self.postgres {
            self.at = start;
            return self.refuse_name();
        }
        let tag = self.sql[self.at..].bytes().take_while(|it| is_word(*it) || it.is_ascii_digit());
        self.at += tag.count();
        if self.byte(0) != Some(b'$') {
            return Ok(());
        }
        self.at += 1;
        let quote = &self.sql[start..self.at];
        let end = self.sql[self.at..].find(quote);
        let end = end.ok_or_else(|| invalid(format!("a dollar quote `{quote}` is not closed")))?;
        self.at += end + quote.len();
        Ok(())
    }

    fn question(&mut self) -> Result<(), Error> {
        let start = self.at;
        self.at += 1;
        let kind = match (self.byte(0), self.byte(1)) {
            (Some(b'0'..=b'9'), _) => match self.position()? {
                Some(position) => MarkKind::Numbered(position),
                None => return Ok(()),
            },
            (Some(b'?'), _) if self.postgres => {
                self.at += 1;
                MarkKind::Escaped
            }
            (Some(b'|'), after) if self.postgres && after != Some(b'|') => return Ok(()),
            (Some(b'&'), _) if self.postgres => return Ok(()),
            _ if self.postgres && start > 0 && self.sql.as_bytes()[start - 1] == b'@' => {
                return Ok(());
            }
            _ if self.postgres && self.before_operand()? => return Ok(()),
            _ => MarkKind::Next { stands_alone: !self.after_operand() || self.before_end()? },
        };
        self.marks.push(Mark { start, end: self.at, kind });
        Ok(())
    }

    /// Whether what came last may be the left operand of an operator.
    fn after_operand(&self) -> bool {
        let text = &self.sql[..self.behind];
        let Some(before) = text.strip_suffix(self.previous).filter(|_| !self.previous.is_empty())
        else {
            return !text.ends_with(['(', '[', ',', '=', '<', '>']);
        };
        // What follows a point is a name, whatever it is.
        before.ends_with('.') || !is_one_of(self.previous, BEFORE_OPERANDS)
    }

    /// Whether what comes next cannot be the right operand of an operator.
    fn before_end(&mut self) -> Result<bool, Error> {
        let here = self.at;
        while self.skip_blank()? {}
        let rest = &self.sql[self.at..];
        // A sign right after it may be a part of the operator.
        let apart = self.at > here;
        self.at = here;
        let word = rest.split(|it: char| !it.is_ascii_alphanumeric() && it != '_').next();
        Ok(rest.is_empty()
            || rest.starts_with([')', ']', ',', ';'])
            || (apart && rest.starts_with(['=', '<', '>']))
            || word.is_some_and(|word| is_one_of(word, AFTER_OPERANDS)))
    }

    /// Whether a string literal or a `?` comes next, which cannot follow a parameter.
    fn before_operand(&mut self) -> Result<bool, Error> {
        let here = self.at;
        while self.skip_blank()? {}
        let operand = match (self.byte(0), self.byte(1)) {
            (Some(b'\'' | b'?'), _) | (Some(b'e' | b'E'), Some(b'\'')) => true,
            (Some(b'$'), Some(byte)) => !byte.is_ascii_digit(),
            _ => false,
        };
        self.at = here;
        Ok(operand)
    }

    /// The number of a placeholder; none if no digit follows.
    fn position(&mut self) -> Result<Option<usize>, Error> {
        let start = self.at;
        while self.byte(0).is_some_and(|it| it.is_ascii_digit()) {
            self.at += 1;
        }
        let digits = &self.sql[start..self.at];
        if digits.is_empty() {
            return Ok(None);
        }
        match digits.parse() {
            Ok(position) if position <= MOST_PARAMETERS => Ok(Some(position)),
            _ => Err(invalid(format!("there cannot be more than {MOST_PARAMETERS} parameters"))),
        }
    }

    fn refuse_name(&mut self) -> Result<(), Error> {
        match self.byte(1).is_some_and(is_word) {
            true => Err(invalid("placeholders have no names here: write `?` or `$1`")),
            false => {
                self.at += 1;
                Ok(())
            }
        }
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.sql.as_bytes().get(self.at + ahead).copied()
    }
}

/// Words that PostgreSQL reserves, so that no operand ends with one.
const BEFORE_OPERANDS: &str = "and case distinct else having ilike in like limit not offset on or \
                               returning select then when where";
/// Words that PostgreSQL reserves, so that no operand begins with one.
const AFTER_OPERANDS: &str = "and as asc desc else end except from group having ilike in \
                              intersect is like limit offset or order then union when";

fn is_one_of(word: &str, words: &str) -> bool {
    words.split(' ').any(|it| it.eq_ignore_ascii_case(word))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii()
}
