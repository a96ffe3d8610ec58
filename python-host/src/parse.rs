//! What Python passes as JSON, such as tenants, and where its faults are.

use ferro_wit::types::{Error, ErrorKind};
use serde::de::DeserializeOwned;

/// Reads JSON of one line. Errors name the keys that lead to the fault.
pub(crate) fn parse<T: DeserializeOwned>(text: &str, what: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let message = message.strip_suffix(&place).unwrap_or(&message);
        let keys = keys_at(text.get(..error.column()).unwrap_or(text)).join(".");
        let message = match keys.is_empty() {
            true => format!("not a valid {what}: {message}"),
            false => format!("`{keys}` of a {what}: {message}"),
        };
        Error::new(ErrorKind::InvalidConfiguration, message)
    })
}

/// The keys of the objects that are still open at the end of a part of JSON.
fn keys_at(text: &str) -> Vec<String> {
    let mut open: Vec<(char, Option<String>)> = Vec::new();
    let mut characters = text.char_indices();
    while let Some((start, character)) = characters.next() {
        match (character, open.last_mut()) {
            ('{' | '[', _) => open.push((character, None)),
            ('}' | ']', _) => drop(open.pop()),
            (',', Some((_, key))) => *key = None,
            ('"', around) => {
                let mut escaped = false;
                let end = characters.find(|(_, it)| {
                    let is_end = *it == '"' && !escaped;
                    escaped = *it == '\\' && !escaped;
                    is_end
                });
                if let (Some(('{', key @ None)), Some((end, _))) = (around, end) {
                    let quoted = text.get(start..=end).unwrap_or_default();
                    *key = serde_json::from_str(quoted).ok();
                }
            }
            _ => {}
        }
    }
    let keys = open.into_iter().filter_map(|(_, key)| key);
    keys.map(|key| key.escape_debug().to_string()).collect()
}
