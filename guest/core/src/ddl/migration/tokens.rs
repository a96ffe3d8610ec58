//! What SQLite keeps nowhere but in the text that made a table or an index.

use crate::sql::quoted;

/// The text in the parentheses of each check.
pub(super) fn checks(sql: &str) -> Vec<&str> {
    let mut checks = Vec::new();
    // Where the condition of a check began, and inside of how many parentheses that is.
    let (mut open, mut depth) = (None, 0_usize);
    let mut was_check = false;
    let mut rest = 0;
    while let Some(token) = token(&sql[rest..]) {
        let at = rest;
        rest += token.len();
        match token {
            "(" => {
                depth += 1;
                if was_check && open.is_none() {
                    open = Some((rest, depth));
                }
            }
            ")" => {
                if let Some((start, _)) = open.filter(|(_, outer)| *outer == depth) {
                    checks.push(sql[start..at].trim());
                    open = None;
                }
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
        if !is_space(token) {
            was_check = token.eq_ignore_ascii_case("check");
        }
    }
    checks
}

/// The condition of an index.
pub(super) fn condition(sql: &str) -> Option<&str> {
    let mut at = 0;
    while let Some(token) = token(&sql[at..]) {
        at += token.len();
        if token.eq_ignore_ascii_case("where") {
            return Some(sql[at..].trim());
        }
    }
    None
}

/// The text with another name for a column, as a database changes its own text.
pub(super) fn rename(sql: &str, former: &str, name: &str) -> String {
    let mut renamed = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(token) = token(rest) {
        rest = &rest[token.len()..];
        match token {
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

/// Whether a name stands anywhere in a text.
pub(super) fn mentions(sql: &str, name: &str) -> bool {
    let mut rest = sql;
    while let Some(token) = token(rest) {
        rest = &rest[token.len()..];
        let bare = token.trim_matches(['"', '`', '[', ']']);
        if bare.eq_ignore_ascii_case(name) || token == quoted(name) {
            return true;
        }
    }
    false
}

/// The first token: a word, something in quotes, a comment, white space, or a single character.
fn token(sql: &str) -> Option<&str> {
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
        '\'' | '"' | '`' => in_quotes(first),
        '[' => until("]", 1),
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
    use super::*;

    #[test]
    fn checks_are_found_among_all_else_that_a_table_says() {
        let sql = r#"CREATE TABLE "check (" (
            a TEXT DEFAULT 'check (1)' CHECK (a <> ')' AND length(a) > (1)), -- check (2)
            "check" INTEGER /* check (3) */ check ("check" IN (1, 2)),
            [c)] INTEGER, CONSTRAINT x CHECK
            ( `b` > 0 )
        )"#;
        assert_eq!(
            checks(sql),
            ["a <> ')' AND length(a) > (1)", r#""check" IN (1, 2)"#, "`b` > 0"]
        );
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
        assert_eq!(rename(r#""a""b" > 'a"b'"#, "a\"b", "c"), r#""c" > 'a"b'"#);
        assert_eq!(rename("(a > 'a'::text)", "a", "b c"), r#"("b c" > 'a'::text)"#);
        assert!(mentions(sql, "T") && mentions(sql, "a\"b") && !mentions(sql, "b"));
    }
}
