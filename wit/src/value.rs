//! Values: their types, and checks that they are consistent.

use uuid::Uuid;

use crate::types::{Dialect, ScalarType, TransactionOptions, Value};

/// Maps an enum with a case for each scalar type to the type; other cases are listed.
#[doc(hidden)]
#[macro_export]
macro_rules! scalar_kind {
    ($value:expr $(, $other:pat => $kind:expr)* $(,)?) => {
        match $value {
            $($other => $kind,)*
            Self::Boolean(_) => $crate::types::ScalarType::Boolean,
            Self::Integer(_) => $crate::types::ScalarType::Integer,
            Self::Float(_) => $crate::types::ScalarType::Float,
            Self::Decimal(_) => $crate::types::ScalarType::Decimal,
            Self::Text(_) => $crate::types::ScalarType::Text,
            Self::Blob(_) => $crate::types::ScalarType::Blob,
            Self::Uuid(_) => $crate::types::ScalarType::Uuid,
            Self::Date(_) => $crate::types::ScalarType::Date,
            Self::Time(_) => $crate::types::ScalarType::Time,
            Self::Timestamp(_) => $crate::types::ScalarType::Timestamp,
            Self::Timestamptz(_) => $crate::types::ScalarType::Timestamptz,
            Self::Interval(_) => $crate::types::ScalarType::Interval,
            Self::Json(_) => $crate::types::ScalarType::Json,
        }
    };
}

macro_rules! value_from {
    ($($from:ty => $case:ident),* $(,)?) => {$(
        impl From<$from> for Value {
            fn from(it: $from) -> Self {
                Self::$case(it.into())
            }
        }
    )*};
}

value_from! {
    bool => Boolean,
    i16 => Integer,
    i32 => Integer,
    i64 => Integer,
    f32 => Float,
    f64 => Float,
    &str => Text,
    String => Text,
    Vec<u8> => Blob,
}

impl From<Uuid> for Value {
    fn from(it: Uuid) -> Self {
        Self::Uuid(it.as_u64_pair())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(it: Option<T>) -> Self {
        it.map_or(Self::Null, Into::into)
    }
}

impl Value {
    /// The scalar type of this value, or of the elements of an array; `None` for null.
    #[must_use]
    pub fn kind(&self) -> Option<ScalarType> {
        Some(crate::scalar_kind!(self,
            Self::Null => return None,
            Self::Array(items) => items.elements.kind(),
        ))
    }

    /// Checks that the ends of texts and byte strings of an array increase and stay within their
    /// data, and that its bitmap is long enough. With overlapping ends, an array of a few bytes
    /// could represent texts of any size.
    ///
    /// # Errors
    ///
    /// The fault.
    pub fn validate(&self) -> Result<(), String> {
        match self {
            Self::Array(items) => crate::batch::validate_scalars(items, items.len()),
            _ => Ok(()),
        }
    }
}

impl Default for TransactionOptions {
    /// The database's default isolation, read and write.
    fn default() -> Self {
        Self { isolation: None, read_only: false, immediate: false, deferrable: false }
    }
}

impl std::fmt::Display for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        })
    }
}

/// Whether a text is a decimal in plain notation: digits, with a sign and a point where there is one,
/// or `NaN`, `Infinity`, `-Infinity`.
///
/// ```
/// use ferro_wit::is_decimal;
///
/// assert!(is_decimal("-12.50"));
/// assert!(!is_decimal("1e5"));
/// ```
#[must_use]
pub fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    text == "NaN" || digits == "Infinity" || all_digits(whole) && all_digits(fraction)
}

#[cfg(test)]
mod tests {

    #[test]
    fn json_is_kebab_case_and_refuses_unknown_fields() {
        let scope = crate::policy::Scope { tables: vec![], pairs: None, read_only: true };
        let json = serde_json::to_string(&scope).unwrap();
        assert_eq!(json, r#"{"tables":[],"pairs":null,"read-only":true}"#);
        let unknown = r#"{"tables":[],"read-only":true,"more":1}"#;
        assert!(serde_json::from_str::<crate::policy::Scope>(unknown).is_err());
    }
}
