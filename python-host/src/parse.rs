//! What Python passes as JSON, such as tenants, and where its faults are.

use ferro_wit::types::{Error, ErrorKind};
use serde::de::DeserializeOwned;

/// Reads JSON of one line. Errors name the keys that lead to the fault.
pub(crate) fn parse<T: DeserializeOwned>(text: &str, what: &str) -> Result<T, Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string().escape_debug().to_string();
        let error = error.into_inner();
        let message = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let message = message.strip_suffix(&place).unwrap_or(&message);
        let message = match path.as_str() {
            "." => format!("not a valid {what}: {message}"),
            path => format!("`{path}` of a {what}: {message}"),
        };
        Error::new(ErrorKind::InvalidConfiguration, message)
    })
}
