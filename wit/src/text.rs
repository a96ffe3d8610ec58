//! Text from outside, escaped for messages, logs and scripts.

/// Escapes a text to fit in one line. Characters that would end the line, move a terminal's cursor,
/// or change the display order of others are escaped, as in Rust; tabs stay.
///
/// ```
/// use ferro_wit::escape_line;
///
/// assert_eq!(escape_line("a\tb\nc\u{1b}[2J"), "a\tb\\nc\\u{1b}[2J");
/// assert_eq!(escape_line("\u{202e}txt"), "\\u{202e}txt");
/// ```
#[must_use]
pub fn escape_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => line.push(character),
            _ if character.is_control() => line.extend(character.escape_default()),
            // The ends of lines and paragraphs, and characters with Unicode's property
            // `Bidi_Control`.
            '\u{2028}'
            | '\u{2029}'
            | '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => line.extend(character.escape_unicode()),
            _ => line.push(character),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_fool_a_reader_is_escaped() {
        assert_eq!(escape_line("a\tb\u{1b}[2J\r\0\u{9b}é"), "a\tb\\u{1b}[2J\\r\\u{0}\\u{9b}é");
        let bidi = "\u{61c}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}\u{2028}\u{2029}";
        assert!(escape_line(bidi).is_ascii());
        assert_eq!(escape_line("نص 👩\u{200d}🔬 \u{a0}"), "نص 👩\u{200d}🔬 \u{a0}");
    }
}
