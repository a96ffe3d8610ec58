//! Exact decimals.

use std::fmt;
use std::str::FromStr;

use ferro_wit::is_decimal;
use ferro_wit::schema::ColumnType;
use ferro_wit::types::Error;

use super::not_a;
use crate::scalar::textual;

/// An exact decimal of any precision, as text in plain notation: `-12.50`. Trailing zeros are
/// kept, and so two decimals that are equal as numbers may differ as values: `1.5`, `1.50`.
///
/// Arithmetic happens in the database. To compute with decimals in Rust, parse the text with a
/// crate for decimals.
///
/// ```
/// use ferro::values::Decimal;
///
/// assert_eq!(Decimal::parse("12.50")?.as_str(), "12.50");
/// assert_eq!(Decimal::from(-3).to_string(), "-3");
/// assert!(Decimal::parse("1e5").is_err());
/// # Ok::<(), ferro::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Decimal(String);

impl Decimal {
    /// Parses digits with an optional sign and point, or `NaN`, `Infinity`, `-Infinity`.
    ///
    /// # Errors
    ///
    /// `type-mismatch` for any other text, including exponents.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match is_decimal(text) {
            true => Ok(Self(text.to_owned())),
            false => Err(not_a("a decimal", text, "digits, as in `-12.50`")),
        }
    }

    /// The number in plain notation.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

textual! {
    Decimal: Decimal, ColumnType::Decimal(None), Decimal::as_str, |it: Decimal| it.0, stored;
}

impl From<i64> for Decimal {
    fn from(it: i64) -> Self {
        Self(it.to_string())
    }
}

impl FromStr for Decimal {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn stored(text: &str) -> Result<Decimal, String> {
    Ok(Decimal(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_notation_is_a_decimal() {
        for text in ["0", "-0.10", "123456789012345678901234567890.5", "NaN", "-Infinity"] {
            assert_eq!(Decimal::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "-", ".5", "5.", "1e3", "+1", "1 ", "١", "--1", "-NaN", "infinity"] {
            assert!(Decimal::parse(text).is_err(), "{text}");
        }
    }
}
