//! Errors of this crate; each names the field, relation or model that it is about.

use ferro_wit::escape_line;
use ferro_wit::types::{Error, ErrorKind};

/// How many characters of a name from elsewhere are shown.
const SHOWN_CHARACTERS: usize = 63;
/// How many names on the path to a field are shown.
const SHOWN_STEPS: usize = 8;
/// How many names are listed in an error.
const SHOWN_NAMES: usize = 4;

/// The query as a whole is invalid.
pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidQuery, message)
}

/// The query exceeds one of the limits of [`crate::validate`].
pub(crate) fn limit(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::LimitExceeded, message)
}

/// The caller lacks the right.
pub(crate) fn denied(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Denied, message)
}

/// The scope cannot be applied, so nothing is granted at all.
pub(crate) fn bad_scope(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfiguration, message)
}

/// Not supported by Ferro, or by this database.
pub(crate) fn unsupported(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, message)
}

/// An operand has a type that its operator does not accept.
pub(crate) fn mismatch(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::TypeMismatch, message)
}

/// A number in the query has the right type, but is too small or too large.
pub(crate) fn out_of_range(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::ValueOutOfRange, message)
}

/// Adds what an error is about, if it has a name.
pub(crate) fn about(names: &str, mut error: Error) -> Error {
    if !names.is_empty() {
        error.message = format!("{names}: {}", error.message);
    }
    error
}

/// A name in a message: quoted, on one line, and truncated.
pub(crate) fn shown(name: &str) -> String {
    path([name])
}

/// A field in a message, after its model and the relations that lead to it.
pub(crate) fn path<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names = names.into_iter();
    let mut shown: Vec<_> = names.by_ref().take(SHOWN_STEPS).map(clipped).collect();
    if names.next().is_some() {
        shown.push("…".to_owned());
    }
    format!("`{}`", shown.join("."))
}

/// Lists names in a message, without duplicates, and not all if there are many.
pub(crate) fn listed(names: impl Iterator<Item = String>) -> String {
    let mut shown: Vec<String> = Vec::new();
    for name in names {
        if shown.contains(&name) {
            continue;
        }
        if shown.len() == SHOWN_NAMES {
            shown.push("…".to_owned());
            break;
        }
        shown.push(name);
    }
    shown.join(", ")
}

fn clipped(name: &str) -> String {
    match name.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", escape_line(&name[..end])),
        None => escape_line(name),
    }
}

/// `; did you mean …?` with the known name most similar to a misspelled one, or nothing.
pub(crate) fn suggestion<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    // Much longer names would make the comparison expensive, and are not typing errors.
    if name.len() > 2 * crate::catalog::MAX_NAME_BYTES {
        return String::new();
    }
    let tolerated = (name.chars().count() / 3).max(1);
    known
        .map(|it| (strsim::osa_distance(&name.to_lowercase(), &it.to_lowercase()), it))
        .filter(|(distance, _)| *distance <= tolerated)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, it)| format!("; did you mean `{it}`?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_and_a_far_one_is_not() {
        let known = || ["name", "age", "created_at"].into_iter();
        assert_eq!(suggestion("nmae", known()), "; did you mean `name`?");
        assert_eq!(suggestion("Created_At", known()), "; did you mean `created_at`?");
        assert_eq!(suggestion("salary", known()), "");
        assert_eq!(suggestion(&"n".repeat(1_000_000), known()), "");
    }

    #[test]
    fn a_hostile_name_is_shown_on_one_short_line() {
        assert_eq!(shown("a\nb\0"), r"`a\nb\u{0}`");
        assert_eq!(shown(&"é".repeat(100)).chars().count(), SHOWN_CHARACTERS + 3);
    }

    #[test]
    fn many_names_and_long_ways_are_cut() {
        assert_eq!(path(["City", "country", "iso"]), "`City.country.iso`");
        assert_eq!(path(["a"; 1_000]), "`a.a.a.a.a.a.a.a.…`");
        let names = |names: &[&str]| listed(names.iter().map(|it| shown(it)));
        assert_eq!(names(&["b", "a", "b"]), "`b`, `a`");
        assert_eq!(names(&["a", "b", "c", "d", "e", "f"]), "`a`, `b`, `c`, `d`, …");
    }
}
