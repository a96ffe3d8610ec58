//! Text from outside, sanitized for the operator's log.

use ferro_wit::escape_line;

/// Maximum text of an error in bytes: a message may repeat a value of any size.
const LONGEST: usize = 1024;

/// The size charged for each line, by which a log record exceeds its text.
pub const RECORD: u64 = 64;

/// The beginning of a text, escaped to fit in one line.
pub(crate) fn excerpt(text: &str) -> String {
    let beginning = &text[..text.floor_char_boundary(LONGEST)];
    let mut excerpt = escape_line(beginning);
    let end = excerpt.floor_char_boundary(LONGEST);
    if end < excerpt.len() || beginning.len() < text.len() {
        excerpt.truncate(end);
        excerpt.push('…');
    }
    excerpt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(excerpt("a\n"), "a\\n");
        let escaped = excerpt(&"\u{1b}".repeat(LONGEST));
        assert!(escaped.len() <= LONGEST + '…'.len_utf8() && escaped.ends_with('…'));
        assert_eq!(excerpt(&"é".repeat(LONGEST)), "é".repeat(LONGEST / 2) + "…");
        assert_eq!(
            excerpt(&format!("a{}", "é".repeat(LONGEST))).len(),
            LONGEST - 1 + '…'.len_utf8()
        );
    }
}
