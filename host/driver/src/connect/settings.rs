//! The parameter `options` of a URL: settings of the session, `-c name=value` or `--name=value`.

use ferro_wit::types::Error;

use crate::error::invalid_configuration;

/// Settings that the driver sets itself, since its decoding relies on them.
const FIXED: [&str; 3] = ["client_encoding", "datestyle", "timezone"];

pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, Error> {
    let mut words = split(text).into_iter();
    let mut settings: Vec<(String, String)> = Vec::new();
    while let Some(word) = words.next() {
        let assignment = match word.strip_prefix("--") {
            Some(rest) => rest.to_owned(),
            None if word == "-c" => words.next().unwrap_or_default(),
            None => match word.strip_prefix("-c") {
                Some(rest) => rest.to_owned(),
                None => return Err(unreadable()),
            },
        };
        let (name, value) = assignment.split_once('=').ok_or_else(unreadable)?;
        // In a long option, dashes stand for underscores.
        let name = name.replace('-', "_").to_ascii_lowercase();
        if name.is_empty()
            || !name.chars().all(|it| it.is_ascii_alphanumeric() || "_.".contains(it))
        {
            return Err(unreadable());
        }
        if FIXED.contains(&name.as_str()) {
            return Err(invalid_configuration(format!(
                "`options` of the URL sets `{name}`, which is the same on every connection"
            )));
        }
        if settings.iter().any(|(known, _)| *known == name) {
            return Err(invalid_configuration(format!(
                "`options` of the URL sets `{name}` more than once"
            )));
        }
        settings.push((name, value.to_owned()));
    }
    Ok(settings)
}

/// Splits at spaces like the server: a backslash escapes the next character.
fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => word.get_or_insert_default().extend(letters.next()),
            _ if letter.is_ascii_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

fn unreadable() -> Error {
    invalid_configuration(
        "`options` of the URL cannot be read: write `-c name=value`, with spaces as `%20` and `=` \
         as `%3D`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_the_server_reads_them() {
        let settings =
            parse(r"-c search_path=a,b  --statement-timeout=5s -cgeqo=off -c x.y=a\ b").unwrap();
        let expected =
            [("search_path", "a,b"), ("statement_timeout", "5s"), ("geqo", "off"), ("x.y", "a b")];
        assert_eq!(settings, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn n2_settings_that_are_not_understood_are_refused() {
        for (text, expected) in [
            ("reference=abc", "-c name=value"),
            ("-c", "-c name=value"),
            ("-c search_path", "-c name=value"),
            ("-c a;b=c", "-c name=value"),
            ("-c a=1 -c A=2", "`a` more than once"),
            ("-c TimeZone=Asia/Tokyo", "`timezone`"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.message.contains(expected), "{text}: {error}");
        }
    }
}
