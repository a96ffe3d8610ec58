//! JSON documents: text that is checked, not parsed.

use serde::de::IgnoredAny;

use super::Fault;

/// Refuses text that is no JSON document.
pub(crate) fn check(text: &str) -> Result<(), Fault> {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => Ok(()),
        Err(fault) => Err(Fault::malformed(format!("is not valid JSON: {fault}"))),
    }
}

/// Whether a string or a name in a document has the character NUL, which can only be escaped there.
pub(crate) fn has_nul(document: &str) -> bool {
    document.match_indices("\\u0000").any(|(at, _)| {
        let before = document[..at].bytes().rev().take_while(|it| *it == b'\\');
        // Backslashes in pairs stand for themselves.
        before.count() % 2 == 0
    })
}

/// Appends a text as a JSON string.
pub(crate) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|it: char| matches!(it, '"' | '\\' | '\0'..='\x1f')) {
        let (plain, after) = rest.split_at(at);
        out.push_str(plain);
        let mut letters = after.chars();
        match letters.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some(control) => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            None => {}
        }
        rest = letters.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_pass_and_the_rest_is_refused() {
        for text in ["null", "0", "\"a\"", "[1, {\"a\": 1e400}]"] {
            assert!(check(text).is_ok(), "{text}");
        }
        for text in ["", "nul", "{a: 1}", "[1,]", "1 2", "NaN"] {
            assert!(check(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_escaped_nul_is_told_from_an_escaped_backslash() {
        for document in
            [r#""\u0000""#, r#"{"a\u0000": 1}"#, r#""\\\u0000""#, r#"["\\u0000\u0000"]"#]
        {
            assert!(check(document).is_ok() && has_nul(document), "{document}");
        }
        for document in [r#""\\u0000""#, r#""\u0001""#, r#""u0000""#, "0"] {
            assert!(check(document).is_ok() && !has_nul(document), "{document}");
        }
    }

    #[test]
    fn nesting_of_any_depth_is_an_answer_not_a_crash() {
        let deep = "[".repeat(1_000_000);
        assert!(check(&deep).is_err());
    }

    #[test]
    fn strings_come_back_whatever_they_hold() {
        let text = "a\"b\\c\u{0}\n\u{1f}é\u{2028}";
        let mut out = String::new();
        write_string(text, &mut out);
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
    }
}
