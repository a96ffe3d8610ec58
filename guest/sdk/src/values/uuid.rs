//! Universally unique identifiers.

use std::fmt;
use std::str::FromStr;

use ferro_wit::parse_uuid;
use ferro_wit::schema::ColumnType;
use ferro_wit::types::{Elements, Error, ScalarType, Value};

use super::not_a;
use crate::scalar::{Scalar, missing, other_kind};

/// A UUID of any version.
///
/// ```
/// use ferro::values::Uuid;
///
/// let id = Uuid::parse("67e55044-10b1-426f-9247-bb680e5fe0c8")?;
/// assert_eq!(id.to_string(), "67e55044-10b1-426f-9247-bb680e5fe0c8");
/// # Ok::<(), ferro::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid(u128);

impl Uuid {
    /// From its 128 bits.
    #[must_use]
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// Its 128 bits.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// From its 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    /// From text: 32 hexadecimal digits, with hyphens or without.
    ///
    /// # Errors
    ///
    /// `type-mismatch` if it is something else.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match parse_uuid(text) {
            Some((high, low)) => Ok(Self::from_words(high, low)),
            None => Err(not_a("a UUID", text, "32 hexadecimal digits")),
        }
    }

    pub(crate) fn from_words(high: u64, low: u64) -> Self {
        Self(u128::from(high) << 64 | u128::from(low))
    }

    #[expect(clippy::cast_possible_truncation, reason = "each word is a half of the bits")]
    fn words(self) -> (u64, u64) {
        ((self.0 >> 64) as u64, self.0 as u64)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = format!("{:032x}", self.0);
        let part = |from, to| hex.get(from..to).unwrap_or_default();
        let parts = [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)];
        f.write_str(&parts.join("-"))
    }
}

impl FromStr for Uuid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl Scalar for Uuid {
    const KIND: ScalarType = ScalarType::Uuid;
    type Stored<'a> = &'a [u64];

    fn column_type() -> ColumnType {
        ColumnType::Uuid
    }

    fn into_value(self) -> Value {
        Value::Uuid(self.words())
    }

    fn stored(elements: &Elements) -> Option<&[u64]> {
        match elements {
            Elements::Uuid(it) => Some(it),
            _ => None,
        }
    }

    fn read(stored: &[u64], index: usize) -> Result<Self, String> {
        match stored.get(2 * index..2 * index + 2) {
            Some(&[high, low]) => Ok(Self::from_words(high, low)),
            _ => Err(missing()),
        }
    }

    fn write(&self, to: &mut Elements) -> Result<(), Error> {
        match to {
            Elements::Uuid(it) => {
                it.extend(<[u64; 2]>::from(self.words()));
                Ok(())
            }
            other => Err(other_kind(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use ferro_wit::types::ErrorKind;

    use super::*;

    #[test]
    fn text_that_is_not_a_uuid_is_refused() {
        let texts = ["", "67e55044", "67e5504410b1426f9247bb680e5fe0cg", "éééééééééééééééé"];
        for text in texts {
            assert_eq!(Uuid::parse(text).unwrap_err().kind, ErrorKind::TypeMismatch, "{text}");
        }
        assert!(Uuid::parse("-67e5504410b1-426f-9247-bb680e5fe0c8").is_err());
        assert!(Uuid::parse("67E5504410B1426F9247BB680E5FE0C8").is_ok());
    }
}
