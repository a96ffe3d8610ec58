//! What databases keep nowhere but in texts of SQL: those that made a table or an index of SQLite, and
//! conditions as PostgreSQL prints them.

use ferro_wit::types::Dialect;

use crate::sql::quoted;

/// The checks of a table of SQLite: their names, and the texts in their parentheses.
pub(super) fn checks(sql: &str) -> Vec<(Option<String>, &str)> {
    let mut checks = Vec::new();
    // The condition of a check began here, inside of so many parentheses.
    let (mut open, mut depth) = (None, 0_usize);
    let mut before = [""; 3];
    for (at, token) in Tokens::of(sql, Dialect::Sqlite) {
        match token {
            "(" => {
                depth += 1;
                if before[2].eq_ignore_ascii_case("check") && open.is_none() {
                    let is_named = before[0].eq_ignore_ascii_case("constraint");
                    open = Some((is_named.then(|| bare(before[1])), at + 1, depth));
                }
            }
            ")" => {
                if let Some((name, start, _)) = open.take_if(|(_, _, outer)| *outer == depth) {
                    checks.push((name, sql[start..at].trim()));
                }
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
        if !is_space(token) {
            before = [before[1], before[2], token];
        }
    }
    checks
}

/// All tokens but white space and comments.
pub(super) fn words(sql: &str, dialect: Dialect) -> impl Iterator<Item = &str> {
    Tokens::of(sql, dialect).map(|(_, it)| it).filter(|it| !is_space(it))
}

/// The names of all constraints of a table of SQLite.
pub(super) fn constraints(sql: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_name = false;
    for token in words(sql, Dialect::Sqlite) {
        if is_name {
            names.push(bare(token));
        }
        is_name = token.eq_ignore_ascii_case("constraint");
    }
    names
}

/// What the text of a table of SQLite asks for that no table of a model does, in its words; but how
/// its rows are stored is nothing that could be missed.
pub(super) fn extras(sql: &str) -> Vec<String> {
    let mut extras = Vec::new();
    let mut add = |it: String| match extras.contains(&it) {
        true => {}
        false => extras.push(it),
    };
    // Conditions and calculations are kept whole, or told of elsewhere.
    let (mut depth, mut skipped) = (0_usize, None);
    let [mut earlier, mut before] = [String::new(), String::new()];
    for (_, token) in Tokens::of(sql, Dialect::Sqlite).filter(|(_, it)| !is_space(it)) {
        let word = token.to_ascii_uppercase();
        match (word.as_str(), before.as_str()) {
            ("(", _) => {
                depth += 1;
                if matches!(before.as_str(), "CHECK" | "AS" | "DEFAULT") {
                    skipped = skipped.or(Some(depth));
                }
            }
            (")", _) => {
                skipped.take_if(|outer| *outer == depth);
                depth = depth.saturating_sub(1);
            }
            _ if skipped.is_some() => {}
            ("STRICT", ")" | ",") if depth == 0 => add(word.clone()),
            ("ABORT", "CONFLICT") => {}
            (_, "CONFLICT") if earlier == "ON" => add(format!("ON CONFLICT {word}")),
            ("DEFERRED", "INITIALLY") => add("DEFERRABLE INITIALLY DEFERRED".to_owned()),
            (_, "COLLATE") if depth > 0 => {
                let name = bare(token).to_ascii_uppercase();
                if !DEFAULT_COLLATIONS.contains(&name.as_str()) {
                    add(format!("COLLATE {name}"));
                }
            }
            _ => {}
        }
        (earlier, before) = (before, word);
    }
    extras
}

/// How columns compare if nothing is said, and how decimals do.
const DEFAULT_COLLATIONS: [&str; 2] = ["BINARY", "FERRO_DECIMAL"];

/// The condition of an index.
pub(super) fn condition(sql: &str) -> Option<&str> {
    let mut tokens = Tokens::of(sql, Dialect::Sqlite);
    let (at, token) = tokens.find(|(_, it)| it.eq_ignore_ascii_case("where"))?;
    Some(sql[at + token.len()..].trim())
}

/// The text with another name for a column, as a database changes its own text.
pub(super) fn rename(dialect: Dialect, sql: &str, former: &str, name: &str) -> String {
    let mut renamed = String::with_capacity(sql.len());
    let mut types = Types::default();
    for (_, token) in Tokens::of(sql, dialect) {
        match token {
            _ if types.has(dialect, token) => renamed.push_str(token),
            _ if token == quoted(former) => renamed.push_str(&quoted(name)),
            _ if token == former && is_plain(name) => renamed.push_str(name),
            _ if token == former => renamed.push_str(&quoted(name)),
            _ => renamed.push_str(token),
        }
    }
    renamed
}

/// Whether a name needs no quotes, unless it is a keyword.
fn is_plain(name: &str) -> bool {
    let is_plain = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_';
    name.chars().all(is_plain) && !name.starts_with(|it: char| it.is_ascii_digit())
}

/// Whether a name stands anywhere in a text, but for those of types.
pub(super) fn mentions(dialect: Dialect, sql: &str, name: &str) -> bool {
    let mut types = Types::default();
    Tokens::of(sql, dialect)
        .any(|(_, it)| !types.has(dialect, it) && bare(it).eq_ignore_ascii_case(name))
}

/// A name without its quotes. A text keeps its own.
pub(super) fn bare(token: &str) -> String {
    let inside = |open, close| token.strip_prefix(open).and_then(|it| it.strip_suffix(close));
    for quote in ["\"", "`"] {
        if let Some(name) = inside(quote, quote) {
            return name.replace(&quote.repeat(2), quote);
        }
    }
    inside("[", "]").unwrap_or(token).to_owned()
}

/// What the name of a type of PostgreSQL may go on with.
pub(super) const MORE_OF_TYPES: [&str; 6] =
    ["precision", "time", "varying", "with", "without", "zone"];

/// Which tokens name a type, as PostgreSQL writes them behind two colons.
#[derive(Default)]
struct Types {
    colons: u8,
    /// The next token begins one, or the last one may go on.
    begins: bool,
    goes_on: bool,
}

impl Types {
    /// Whether the next token of a text belongs to the name of a type.
    fn has(&mut self, dialect: Dialect, token: &str) -> bool {
        if dialect == Dialect::Sqlite || is_space(token) {
            return false;
        }
        let is_digits = token.bytes().all(|it| it.is_ascii_digit());
        let begins = std::mem::take(&mut self.begins);
        self.colons = if token == ":" { self.colons + 1 } else { 0 };
        match token {
            ":" => (self.begins, self.goes_on) = (self.colons == 2, false),
            "." if self.goes_on => self.begins = true,
            "(" | ")" => {}
            _ if begins => self.goes_on = true,
            _ => self.goes_on &= is_digits || MORE_OF_TYPES.contains(&token),
        }
        begins || self.goes_on
    }
}

/// The tokens of a text, with where they begin: words, something in quotes, comments, white space, and
/// single characters.
struct Tokens<'a> {
    sql: &'a str,
    at: usize,
    dialect: Dialect,
}

impl<'a> Tokens<'a> {
    fn of(sql: &'a str, dialect: Dialect) -> Self {
        Self { sql, at: 0, dialect }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = (usize, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        let token = token(&self.sql[at..], self.dialect)?;
        self.at += token.len();
        Some((at, token))
    }
}

fn token(sql: &str, dialect: Dialect) -> Option<&str> {
    let first = sql.chars().next()?;
    let until = |end: &str, from: usize| {
        sql.get(from..).and_then(|it| it.find(end)).map_or(sql.len(), |it| from + it + end.len())
    };
    // A quote inside of quotes is written twice.
    let in_quotes = |quote: char| {
        let mut rest = sql[1..].char_indices().peekable();
        while let Some((at, it)) = rest.next() {
            if it == quote && rest.next_if(|(_, next)| *next == quote).is_none() {
                return 1 + at + it.len_utf8();
            }
        }
        sql.len()
    };
    let length = match first {
        '\'' | '"' => in_quotes(first),
        // Elsewhere they begin an array, or an operator.
        '`' if dialect == Dialect::Sqlite => in_quotes(first),
        '[' if dialect == Dialect::Sqlite => until("]", 1),
        '-' if sql.starts_with("--") => until("\n", 2),
        '/' if sql.starts_with("/*") => until("*/", 2),
        it if is_word(it) => sql.find(|it| !is_word(it)).unwrap_or(sql.len()),
        it if it.is_whitespace() => sql.find(|it: char| !it.is_whitespace()).unwrap_or(sql.len()),
        it => it.len_utf8(),
    };
    Some(&sql[..length])
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_' || character == '$'
}

fn is_space(token: &str) -> bool {
    token.starts_with(char::is_whitespace) || token.starts_with("--") || token.starts_with("/*")
}

#[cfg(test)]
mod tests {
    use Dialect::{Postgres, Sqlite};

    use super::*;

    #[test]
    fn checks_are_found_among_all_else_that_a_table_says() {
        let sql = r#"CREATE TABLE "check (" (
            a TEXT DEFAULT 'check (1)' CHECK (a <> ')' AND length(a) > (1)), -- check (2)
            "check" INTEGER /* check (3) */ constraint "a""b" /* c */ check ("check" IN (1, 2)),
            [c)] INTEGER, CONSTRAINT x CHECK
            ( `b` > 0 )
        )"#;
        let named = |name: &str, condition| (Some(name.to_owned()), condition);
        assert_eq!(
            checks(sql),
            [
                (None, "a <> ')' AND length(a) > (1)"),
                named("a\"b", r#""check" IN (1, 2)"#),
                named("x", "`b` > 0")
            ]
        );
        assert_eq!(constraints(sql), ["a\"b", "x"]);
        for broken in ["", "CHECK (", "CHECK )", "'", "CHECK ((a)", "/*", "\u{e9}CHECK(1"] {
            assert!(checks(broken).is_empty(), "{broken}");
        }
    }

    #[test]
    fn conditions_and_names_are_told_from_texts_and_comments() {
        let sql =
            r#"CREATE INDEX " where " ON t ("a""b", 'where') /* where */ WHERE "a""b" > 'a"b'"#;
        assert_eq!(condition(sql), Some(r#""a""b" > 'a"b'"#));
        assert_eq!(condition(r#"CREATE INDEX "where" ON t (a)"#), None);
        assert_eq!(rename(Sqlite, r#""a""b" > 'a"b'"#, "a\"b", "c"), r#""c" > 'a"b'"#);
        assert_eq!(rename(Postgres, "(a > 'a'::text)", "a", "b c"), r#"("b c" > 'a'::text)"#);
        let mentions = |name| mentions(Sqlite, sql, name);
        assert!(mentions("T") && mentions("a\"b") && !mentions("b"));
    }

    #[test]
    fn what_no_table_of_a_model_has_is_told_in_the_words_of_the_table() {
        let sql = r#"CREATE TABLE strict (
            strict INT DEFAULT (1 COLLATE nocase), a TEXT collate [NoCase] UNIQUE ON CONFLICT ignore,
            b TEXT COLLATE "ferro_decimal" CHECK (b <> 'x' COLLATE rtrim), c TEXT COLLATE binary,
            d TEXT AS (a COLLATE rtrim) REFERENCES x (y) NOT DEFERRABLE INITIALLY IMMEDIATE,
            e INT REFERENCES x (y) deferrable initially deferred, f TEXT COLLATE nocase,
            PRIMARY KEY (a COLLATE nocase) ON CONFLICT abort
        ) without /* a */ rowid, strict"#;
        assert_eq!(
            extras(sql),
            ["COLLATE NOCASE", "ON CONFLICT IGNORE", "DEFERRABLE INITIALLY DEFERRED", "STRICT"]
        );
        let names = "CREATE TABLE strict (a INT, strict INT, conflict TEXT) -- strict";
        for plain in ["", "(", ")", names] {
            assert!(extras(plain).is_empty(), "{plain}");
        }
    }

    #[test]
    fn arrays_and_types_of_postgresql_are_neither_quotes_nor_columns() {
        let array = "(status = ANY (ARRAY[a, b]))";
        assert!(mentions(Postgres, array, "a") && mentions(Postgres, array, "b"));
        assert!(!mentions(Sqlite, array, "a"));
        assert_eq!(rename(Postgres, array, "b", "c"), "(status = ANY (ARRAY[a, c]))");
        let typed =
            "((text)::text <> (zone)::time(3) without time zone) AND ((varying)::x.text > 1)";
        assert_eq!(
            rename(Postgres, typed, "text", "body"),
            "((body)::text <> (zone)::time(3) without time zone) AND ((varying)::x.text > 1)"
        );
        for name in ["text", "zone", "varying"] {
            assert!(mentions(Postgres, typed, name), "{name}");
        }
        for name in ["time", "without", "x"] {
            assert!(!mentions(Postgres, typed, name), "{name}");
        }
    }
}
