//! Tokenizes SQL text as its database does, as far as needed to find placeholders and the end of a
//! statement.

use ferro_wit::types::{Dialect, Error};

use super::invalid;

/// The limit of PostgreSQL's protocol. SQLite allows half as many.
const MOST_PARAMETERS: usize = 65_535;

/// A token that may be a placeholder.
pub(super) struct Mark {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: MarkKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum MarkKind {
    /// `$3`
    Dollar(usize),
    /// `?3`
    Numbered(usize),
    /// `?`; it `stands_alone` if it cannot be an operator between two operands.
    Next { stands_alone: bool },
    /// `??`
    Escaped,
}

/// Scans a statement once.
pub(super) struct Lexer<'a> {
    sql: &'a str,
    postgres: bool,
    at: usize,
    pub(super) marks: Vec<Mark>,
    /// The first word; every statement has one.
    pub(super) first: &'a str,
    /// The word after it, if there is one.
    pub(super) second: &'a str,
    /// The word before the current one.
    previous: &'a str,
    /// The word before that.
    last_but_one: &'a str,
    /// Whether the verb of the statement changes rows; `None` until it is found.
    pub(super) changes: Option<bool>,
    /// Whether the statement deletes conflicting rows, on SQLite.
    pub(super) replaces: bool,
    /// Whether tables may be joined by column names (`NATURAL`, `USING`), on SQLite.
    pub(super) joins_by_name: bool,
    /// Whether a part of the statement may write rows that are not included in its row count, on
    /// PostgreSQL.
    pub(super) writes_uncounted: bool,
    /// The end of the previous token.
    behind: usize,
    /// The number of open parentheses.
    depth: usize,
    /// The maximum number of open parentheses.
    pub(super) deepest: usize,
    /// Whether the statement may have a body with its own semicolons.
    may_have_body: bool,
    /// The number of open blocks in such a body.
    blocks: usize,
    ended: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(sql: &'a str, dialect: Dialect) -> Self {
        Self {
            sql,
            postgres: dialect == Dialect::Postgres,
            at: 0,
            marks: Vec::new(),
            first: "",
            second: "",
            previous: "",
            last_but_one: "",
            changes: None,
            replaces: false,
            joins_by_name: false,
            writes_uncounted: false,
            behind: 0,
            depth: 0,
            deepest: 0,
            may_have_body: false,
            blocks: 0,
            ended: false,
        }
    }

    pub(super) fn read(&mut self) -> Result<(), Error> {
        while let Some(byte) = self.byte(0) {
            if self.skip_blank()? {
                continue;
            }
            if byte == b';' {
                self.at += 1;
                // In PostgreSQL's `CREATE RULE`, several statements may stand in parentheses.
                let within = self.blocks > 0 || (self.postgres && self.depth > 0);
                self.ended |= !within && !self.first.is_empty();
                continue;
            }
            if self.ended {
                return Err(invalid(
                    "there is more than one statement: run each one separately, in a transaction \
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
                b':' | b'@' | b'#' if !self.postgres => self.refuse_name()?,
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
            b'(' => {
                self.depth += 1;
                self.deepest = self.deepest.max(self.depth);
            }
            b')' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.at += 1;
    }

    /// Skips white space or a comment; returns whether there was one.
    fn skip_blank(&mut self) -> Result<bool, Error> {
        match (self.byte(0), self.byte(1)) {
            (Some(byte), _) if byte.is_ascii_whitespace() => self.at += 1,
            (Some(b'-'), Some(b'-')) => self.skip_line(),
            // A byte order mark, which SQLite treats as white space.
            (Some(0xef), _) if !self.postgres && self.sql[self.at..].starts_with('\u{feff}') => {
                self.at += '\u{feff}'.len_utf8();
            }
            (Some(b'/'), Some(b'*')) => self.skip_comment()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Skips a comment up to the end of its line.
    fn skip_line(&mut self) {
        let rest = &self.sql[self.at..];
        let ends = |it: char| it == '\n' || (it == '\r' && self.postgres);
        self.at += rest.find(ends).unwrap_or(rest.len());
    }

    /// Comments nest on PostgreSQL. On SQLite, an unclosed comment extends to the end of the text.
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

    /// A doubled quote stands for a quote; with `backslashes`, a backslash escapes one.
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

    /// Moves to where a string of PostgreSQL continues after a line break, with the same rule for
    /// backslashes.
    fn is_continued(&mut self) -> bool {
        let here = self.at;
        let mut broken = false;
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(b'\''), _) if broken => return true,
                (Some(b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c), _) => {
                    broken |= matches!(self.byte(0), Some(b'\n' | b'\r'));
                    self.at += 1;
                }
                (Some(b'-'), Some(b'-')) => self.skip_line(),
                _ => {
                    self.at = here;
                    return false;
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
        let start = self.at;
        while self.byte(0).is_some_and(|it| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'_'))
        {
            self.at += 1;
        }
        // Before version 15, PostgreSQL reads a word directly after a number as a separate word:
        // `1INTO`.
        let end = self.sql.as_bytes()[start..self.at].last_chunk::<4>();
        let writes = end.is_some_and(|it| it.eq_ignore_ascii_case(b"into"));
        self.writes_uncounted |= self.postgres && writes;
    }

    fn word(&mut self) -> Result<(), Error> {
        let start = self.at;
        while self.byte(0).is_some_and(|it| is_word(it) || it.is_ascii_digit() || it == b'$') {
            self.at += 1;
        }
        let word = &self.sql[start..self.at];
        if self.postgres && self.byte(0) == Some(b'\'') && word.eq_ignore_ascii_case("e") {
            self.skip_quoted(b'\'', true)?;
            while self.is_continued() {
                self.skip_quoted(b'\'', true)?;
            }
            return Ok(());
        }
        let is = |other: &str| word.eq_ignore_ascii_case(other);
        if self.first.is_empty() {
            self.first = word;
        } else if self.second.is_empty() {
            self.second = word;
        }
        let leads = self.previous.is_empty() || self.first.eq_ignore_ascii_case("with");
        let leads = leads && !((is("replace") || is("merge")) && self.names_rows());
        if leads && self.depth == 0 && self.changes.is_none() {
            self.changes = match () {
                () if ["insert", "update", "delete", "replace", "merge"].into_iter().any(is) => {
                    Some(true)
                }
                () if ["select", "values", "table"].into_iter().any(is) => Some(false),
                () => None,
            };
        }
        let counted = self.changes == Some(true) && self.depth == 0;
        let writes = ["insert", "update", "delete", "merge", "into"].into_iter().any(is);
        self.writes_uncounted |= self.postgres && writes && !counted && !self.locks(start);
        // `REPLACE INTO`, `INSERT OR REPLACE INTO` and `UPDATE OR REPLACE`, as opposed to the
        // function.
        let follows = |other: &str| self.previous.eq_ignore_ascii_case(other);
        self.replaces |= is("into") && follows("replace")
            || is("replace") && follows("or") && self.last_but_one.eq_ignore_ascii_case("update");
        self.joins_by_name |= !self.postgres && (is("natural") || is("using"));
        self.body(word);
        (self.last_but_one, self.previous) = (self.previous, word);
        Ok(())
    }

    /// Whether the word before this position is the name of a common table expression: `WITH
    /// replace AS (…)`.
    fn names_rows(&self) -> bool {
        let rest = self.sql[self.at..].trim_start();
        let (word, _) = rest.split_at(rest.find(|it: char| !it.is_alphanumeric()).unwrap_or(0));
        rest.starts_with('(') || word.eq_ignore_ascii_case("as")
    }

    /// Whether the word at `start`, if it is `UPDATE`, belongs to `FOR UPDATE` or `FOR NO KEY
    /// UPDATE`.
    fn locks(&self, start: usize) -> bool {
        let is = |word: &str, other: &str| word.eq_ignore_ascii_case(other);
        let follows = self.sql[..self.behind].ends_with(self.previous);
        is(&self.sql[start..self.at], "update")
            && follows
            && (is(self.previous, "for") || is(self.previous, "key") && is(self.last_but_one, "no"))
    }

    /// Triggers on SQLite and functions on PostgreSQL may contain statements.
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

    /// Whether the previous token may be the left operand of an operator.
    fn after_operand(&self) -> bool {
        let text = &self.sql[..self.behind];
        let Some(before) = text.strip_suffix(self.previous).filter(|_| !self.previous.is_empty())
        else {
            return !text.ends_with(['(', '[', ',', '=', '<', '>']);
        };
        // After a dot, any word is a name.
        before.ends_with('.') || !is_one_of(self.previous, BEFORE_OPERANDS)
    }

    /// Whether the next token cannot be the right operand of an operator.
    fn before_end(&mut self) -> Result<bool, Error> {
        let here = self.at;
        while self.skip_blank()? {}
        let rest = &self.sql[self.at..];
        // A sign directly after it may be part of the operator.
        let apart = self.at > here;
        self.at = here;
        let word = rest.split(|it: char| !it.is_ascii_alphanumeric() && it != '_').next();
        Ok(rest.is_empty()
            || rest.starts_with([')', ']', ',', ';'])
            || (apart && rest.starts_with(['=', '<', '>']))
            || word.is_some_and(|word| is_one_of(word, AFTER_OPERANDS)))
    }

    /// Whether a string literal or a `?` comes next, neither of which can follow a parameter.
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

    /// The number of a placeholder; `None` if no digit follows.
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

    /// On SQLite, digits and dollar signs are names, too. After a name, anything in parentheses
    /// belongs to it, even a quote.
    fn refuse_name(&mut self) -> Result<(), Error> {
        match self.byte(1).is_some_and(|it| is_word(it) || it.is_ascii_digit() || it == b'$') {
            true => Err(invalid("named placeholders are not supported: write `?` or `$1`")),
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

/// Words reserved in PostgreSQL with which no operand ends.
const BEFORE_OPERANDS: &str = "and case distinct else having ilike in like limit not offset on or \
                               returning select then when where";
/// Words reserved in PostgreSQL with which no operand begins.
const AFTER_OPERANDS: &str = "and as asc desc else end except from group having ilike in \
                              intersect is like limit offset or order then union when";

fn is_one_of(word: &str, words: &str) -> bool {
    words.split(' ').any(|it| it.eq_ignore_ascii_case(word))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii()
}
