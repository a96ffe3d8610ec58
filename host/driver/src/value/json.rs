//! JSON documents: the text is validated, not converted.

use serde::de::IgnoredAny;

use super::Fault;

/// Rejects text that is not valid JSON.
pub(crate) fn check(text: &str) -> Result<(), Fault> {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => Ok(()),
        Err(fault) => Err(Fault::malformed(format!("is not valid JSON: {fault}"))),
    }
}

/// What matters for storing a document, besides its validity.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    /// The maximum nesting of arrays and objects.
    pub(crate) depth: usize,
    /// Whether it contains an (escaped) NUL character.
    pub(crate) nul: bool,
    /// Whether it contains an escaped half of a surrogate pair, which is not a character.
    half: bool,
}

/// Rejects text that cannot be stored as a document, and reports what it contains.
pub(crate) fn contents(text: &str) -> Result<Contents, Fault> {
    check(text)?;
    let contents = Contents::of(text);
    match contents.half {
        true => Err(Fault::malformed(
            "is not valid JSON: half of a surrogate pair (`\\ud800` to `\\udfff`) is not a \
             character",
        )),
        false => Ok(contents),
    }
}

impl Contents {
    pub(crate) fn of(document: &str) -> Self {
        let mut found = Self::default();
        let (mut depth, mut in_text) = (0_usize, false);
        // Whether the first half of a pair has just been read.
        let mut high = false;
        let mut bytes = document.bytes();
        while let Some(byte) = bytes.next() {
            let mut unit = None;
            match byte {
                b'"' => in_text = !in_text,
                b'\\' if bytes.next() == Some(b'u') => {
                    let digits = bytes.by_ref().take(4);
                    unit = Some(digits.fold(0, |unit, it| unit << 4 | hexadecimal(it)));
                }
                b'[' | b'{' if !in_text => {
                    depth += 1;
                    found.depth = found.depth.max(depth);
                }
                b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
                _ => {}
            }
            let low = matches!(unit, Some(0xdc00..=0xdfff));
            found.nul |= unit == Some(0);
            found.half |= high != low;
            high = matches!(unit, Some(0xd800..=0xdbff));
        }
        found
    }
}

fn hexadecimal(digit: u8) -> u32 {
    char::from(digit).to_digit(16).unwrap_or_default()
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
            assert!(contents(document).is_ok_and(|it| it.nul), "{document}");
        }
        for document in [r#""\\u0000""#, r#""\u0001""#, r#""u0000""#, "0"] {
            assert!(contents(document).is_ok_and(|it| !it.nul), "{document}");
        }
    }

    #[test]
    fn half_of_a_pair_is_no_character() {
        for document in [r#""\ud83d\ude00""#, r#"["\uD83D\uDE00\ud7ff\ue000", "\\ud800"]"#] {
            assert!(contents(document).is_ok(), "{document}");
        }
        for document in
            [r#""\ud83d""#, r#""\ude00""#, r#"{"\ude00\ud83d": 1}"#, r#""\ud83d\n\ude00""#]
        {
            assert!(check(document).is_ok() && contents(document).is_err(), "{document}");
        }
    }

    #[test]
    fn brackets_in_texts_are_no_nesting() {
        for (document, depth) in
            [("0", 0), ("[[], {}]", 2), (r#"{"[[": "\"[["}"#, 1), (r#"[{"a": [1]}, [[]]]"#, 3)]
        {
            assert_eq!(contents(document).map(|it| it.depth).ok(), Some(depth), "{document}");
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
