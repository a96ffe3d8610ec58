//! JSON documents.

use std::fmt;

use ferro_wit::schema::ColumnType;

use crate::scalar::textual;

/// A JSON document, as text. The database checks it; PostgreSQL also brings it into its own form,
/// so that spaces and the order of keys may come back changed.
///
/// The document `null` is a value; a column that may be null is an `Option<Json>`.
///
/// ```
/// use ferro::values::Json;
///
/// let tags = Json::new(r#"["port", "capital"]"#);
/// assert_eq!(tags.as_str(), r#"["port", "capital"]"#);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Json(String);

impl Json {
    /// From text, which is not checked before it reaches the database.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

textual! {
    Json: Json, ColumnType::Json, Json::as_str, Json::into_string, stored;
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn stored(text: &str) -> Result<Json, String> {
    Ok(Json::new(text))
}
