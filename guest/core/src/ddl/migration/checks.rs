//! Which checks Ferro could have written: [`check`](crate::ddl::check) in the words of a database,
//! and what limits a column where its type does not.

use ferro_wit::types::Dialect;

use super::tokens;
use crate::dialect::Spelling as _;
use crate::sql::quoted;

/// Whether a condition limits a column as Ferro does: its length, or its values to an enum's.
pub(super) fn limits(dialect: Dialect, condition: &str, column: &str) -> bool {
    let (features, column) = (dialect.features(), quoted(column));
    let tokens: Vec<_> = tokens::words(condition, dialect).collect();
    match tokens.as_slice() {
        ["length", "(", name, ")", "<", "=", length] => {
            !features.limited_texts && *name == column && is_number(length)
        }
        [name, "IN", "(", values @ .., ")"] => {
            let is_one = |(index, it): (usize, &&str)| match index % 2 {
                0 => it.starts_with('\''),
                _ => *it == ",",
            };
            let are_values = values.len() % 2 == 1 && values.iter().enumerate().all(is_one);
            !features.enums && *name == column && are_values
        }
        _ => false,
    }
}

/// Whether a condition on some columns is one that a model can ask for: terms that all hold, or
/// groups of them of which any holds.
pub(super) fn is_of_model(dialect: Dialect, condition: &str, columns: &[String]) -> bool {
    let reader = Reader { dialect, columns };
    let Some(parts) = parts(tokens::words(condition, dialect)) else { return false };
    let condition = match (dialect, parts.as_slice()) {
        (Dialect::Sqlite, condition) => condition,
        (Dialect::Postgres, [Part::Word("CHECK"), Part::Group(_, condition)]) => condition,
        (Dialect::Postgres, _) => return false,
    };
    let groups = |it| split(it, "OR").map(bare);
    let terms = |it| split(it, "AND").map(bare);
    groups(bare(condition)).flat_map(terms).all(|it| reader.is_term(it))
}

/// A token, or what stands in parentheses or brackets that open so.
enum Part<'a> {
    Word(&'a str),
    Group(&'a str, Vec<Part<'a>>),
}

/// What Ferro writes is not nested more deeply in any database's words.
const MAX_DEPTH: usize = 12;

fn parts<'a>(tokens: impl Iterator<Item = &'a str>) -> Option<Vec<Part<'a>>> {
    let mut open = vec![("", Vec::new())];
    for token in tokens {
        match token {
            "(" | "[" if open.len() > MAX_DEPTH => return None,
            "(" | "[" => open.push((token, Vec::new())),
            ")" | "]" => {
                let (bracket, inside) = open.pop()?;
                open.last_mut()?.1.push(Part::Group(bracket, inside));
            }
            _ => open.last_mut()?.1.push(Part::Word(token)),
        }
    }
    let (_, parts) = open.pop()?;
    open.is_empty().then_some(parts)
}

/// What stands in parentheses of its own, without them.
fn bare<'a, 'b>(mut parts: &'a [Part<'b>]) -> &'a [Part<'b>] {
    while let [Part::Group("(", inside)] = parts {
        parts = inside;
    }
    parts
}

fn split<'a, 'b>(parts: &'a [Part<'b>], word: &str) -> impl Iterator<Item = &'a [Part<'b>]> {
    parts.split(move |it| matches!(it, Part::Word(it) if *it == word))
}

struct Reader<'a> {
    dialect: Dialect,
    columns: &'a [String],
}

impl Reader<'_> {
    /// Whether a column is compared with another, or with constants.
    fn is_term(&self, term: &[Part<'_>]) -> bool {
        use Part::{Group, Word};
        let Some(test) = self.after_column(term) else { return false };
        match test {
            [Word("IS"), Word("NULL")] | [Word("IS"), Word("NOT"), Word("NULL")] => true,
            [Word("IN"), Group("(", values)] => are_constants(values),
            [Word("="), Word("ANY"), Group("(", array)] => is_array(array),
            [Word("<"), Word(">" | "="), value @ ..]
            | [Word(">"), Word("="), value @ ..]
            | [Word("=" | "<" | ">"), value @ ..] => {
                self.after_column(value).is_some_and(<[_]>::is_empty) || is_constant(value)
            }
            _ => false,
        }
    }

    /// What follows a column, of which PostgreSQL makes a text to compare it.
    fn after_column<'a, 'b>(&self, parts: &'a [Part<'b>]) -> Option<&'a [Part<'b>]> {
        use Part::{Group, Word};
        let (column, rest) = match parts {
            [Group("(", it), Word(":"), Word(":"), Word("text"), rest @ ..] => {
                (it.as_slice(), rest)
            }
            _ => parts.split_at_checked(1)?,
        };
        matches!(column, [Word(it)] if self.is_column(it)).then_some(rest)
    }

    /// SQLite keeps a name in quotes. PostgreSQL leaves them out where they are not needed, and all
    /// other words stay as they are.
    fn is_column(&self, word: &str) -> bool {
        let is_named = |it: &str| self.columns.iter().any(|column| column == it);
        match word.strip_prefix('"') {
            Some(_) => is_named(&tokens::bare(word)),
            None => self.dialect == Dialect::Postgres && is_named(word),
        }
    }
}

fn is_constant(parts: &[Part<'_>]) -> bool {
    use Part::{Group, Word};
    let rest = match parts {
        [Group("(", it), rest @ ..] if is_constant(it) => rest,
        [Word("X" | "E"), Word(it), rest @ ..] if it.starts_with('\'') => rest,
        [Word(it), rest @ ..] if it.starts_with('\'') => rest,
        [Word("true" | "false"), rest @ ..] => rest,
        [Word("-"), rest @ ..] | rest => match after_number(rest) {
            Some(rest) => rest,
            None => return false,
        },
    };
    after_casts(rest).is_empty()
}

fn are_constants(parts: &[Part<'_>]) -> bool {
    split(parts, ",").all(|it| is_constant(it))
}

/// An array as PostgreSQL writes a list of values.
fn is_array(parts: &[Part<'_>]) -> bool {
    use Part::{Group, Word};
    let (values, rest) = match parts {
        [Word("ARRAY"), Group("[", values), rest @ ..] => (are_constants(values), rest),
        [Group("(", array), rest @ ..] => (is_array(array), rest),
        _ => return false,
    };
    values && after_casts(rest).is_empty()
}

/// What follows digits with a point and an exponent, where there are such.
fn after_number<'a, 'b>(parts: &'a [Part<'b>]) -> Option<&'a [Part<'b>]> {
    use Part::Word;
    let is_one = |it: &str| it.starts_with(|it: char| it.is_ascii_digit());
    let (last, rest) = match parts {
        [Word(whole), Word("."), Word(it), rest @ ..] if is_number(whole) => (it, rest),
        [Word(it), rest @ ..] => (it, rest),
        [..] => return None,
    };
    match rest {
        [Word("-"), Word(it), rest @ ..] if last.ends_with('e') && is_number(it) => Some(rest),
        rest => Some(rest),
    }
    .filter(|_| is_one(last))
}

/// What follows the casts of a value: names of types behind two colons, as PostgreSQL writes them.
fn after_casts<'a, 'b>(mut parts: &'a [Part<'b>]) -> &'a [Part<'b>] {
    use Part::{Group, Word};
    while let [Word(":"), Word(":"), Word(_), rest @ ..] = parts {
        parts = rest;
        loop {
            parts = match parts {
                [Word("."), Word(_), rest @ ..] | [Group(..), rest @ ..] => rest,
                [Word(it), rest @ ..] if tokens::MORE_OF_TYPES.contains(it) => rest,
                _ => break,
            };
        }
    }
    parts
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|it| it.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use Dialect::{Postgres, Sqlite};

    use super::*;

    fn is_of_model(dialect: Dialect, condition: &str) -> bool {
        let columns = ["a", "b c", "true"].map(str::to_owned);
        super::is_of_model(dialect, condition, &columns)
    }

    #[test]
    fn what_models_ask_for_is_told_from_what_others_do_on_sqlite() {
        for ours in [
            r#""a" > (-1)"#,
            r#""a" <> 'it''s OR ('"#,
            r#""a" IN (1.5, 1e100, 2.5e-7, 1e-7, (-9e999)) AND "b c" IS NOT NULL"#,
            r#"("a" = X'00' AND "a" >= "b c") OR ("b c" IS NULL) OR ("true" = 1)"#,
        ] {
            assert!(is_of_model(Sqlite, ours), "{ours}");
        }
        for theirs in [
            "",
            "a > 1",
            r#""a""#,
            r#""a" > 1 + 1"#,
            r#""a" > 1 - 1"#,
            r#""a" > fee - 1"#,
            r#""a" > abs(1)"#,
            r#""d" > 1"#,
            r#""a" > - "b c""#,
            r#"NOT "a" > 1"#,
            r#"NOT ("a" > 1)"#,
            r#""a" BETWEEN 1 AND 2"#,
            r#""a" LIKE 'x'"#,
            r#""a" = 1 COLLATE NOCASE"#,
            r#""a" NOT IN (1)"#,
            r#""a" IN (SELECT 1)"#,
            r#""a" > 1 AND ("a" < 2 OR "b c" = 1)"#,
            r#"length("a") <= 20"#,
            r#""a" > 1)"#,
            r#"("a" > 1"#,
        ] {
            assert!(!is_of_model(Sqlite, theirs), "{theirs}");
        }
        assert!(!is_of_model(Sqlite, &format!("{}\"a\" = 1{}", "(".repeat(99), ")".repeat(99))));
    }

    #[test]
    fn what_models_ask_for_is_told_from_what_others_do_on_postgresql() {
        for ours in [
            "CHECK ((a > '-1'::integer))",
            "CHECK (((a)::text <> 'it''s OR ('::text))",
            r#"CHECK (((a = ANY (ARRAY[1.5, (2)::numeric(8,3)])) AND ("b c" IS NOT NULL)))"#,
            "CHECK (((a)::text = ANY ((ARRAY['x'::character varying, 'y'::x.\"m d\"])::text[])))",
            r#"CHECK ((((a = E'\\'::bytea) AND (a >= "b c")) OR ("true" IS NULL) OR (a = true)))"#,
            "CHECK ((a < '2026-01-01 00:00:00+00'::timestamp(3) with time zone))",
        ] {
            assert!(is_of_model(Postgres, ours), "{ours}");
        }
        for theirs in [
            "a > 1",
            "CHECK (true)",
            "CHECK ((a > 1)) NOT VALID",
            "CHECK ((a > (1 + 1)))",
            "CHECK ((a > abs(1)))",
            "CHECK ((a > (a - 1)))",
            "CHECK (((a)::date = 'x'::date))",
            "CHECK ((a <= CURRENT_DATE))",
            "CHECK ((lower(a) = 'x'::text))",
            "CHECK ((NOT (a > 1)))",
            "CHECK ((a ~ 'x'::text))",
            "CHECK ((a ~~ 'x'::text))",
            "CHECK (((a)::text = lower((a)::text)))",
            "CHECK ((a <> ALL (ARRAY[1, 2])))",
            r#"CHECK (((a > 1) AND ((a < 2) OR ("b c" = 1))))"#,
            r#"CHECK ((a = ANY (ARRAY["b c", a])))"#,
            "CHECK (((a -> 1) = 2))",
            "CHECK ((a COLLATE \"C\" > 'x'::text))",
        ] {
            assert!(!is_of_model(Postgres, theirs), "{theirs}");
        }
    }

    #[test]
    fn only_what_ferro_writes_limits_a_column() {
        for (ours, column) in [
            (r#"length("a") <= 20"#, "a"),
            (r#"length("a""b") <= 1"#, "a\"b"),
            (r#""a" IN ('x')"#, "a"),
            (r#""a" IN ('x', 'it''s')"#, "a"),
        ] {
            assert!(limits(Sqlite, ours, column), "{ours}");
            assert!(!limits(Postgres, ours, column), "{ours}");
            assert!(!limits(Sqlite, ours, "b"), "{ours}");
        }
        for theirs in [
            "length(a) <= 20",
            r#"length("a") <= 20 AND "a" <> ''"#,
            r#"length("a") < 20"#,
            r#"length("a") <= "a""#,
            r#"length(trim("a")) <= 20"#,
            r#""a" IN ()"#,
            r#""a" IN (1)"#,
            r#""a" NOT IN ('x')"#,
            r#""a" IN ('x' || 'y')"#,
            r#""a" = 'x'"#,
        ] {
            assert!(!limits(Sqlite, theirs, "a"), "{theirs}");
        }
    }
}
