//! Types for values that the standard library lacks.
//!
//! They hold exactly what the database stores, and convert from and to text. To compute with them
//! in Rust, convert their parts to the types of another crate.

mod clock;
mod date;
mod decimal;
mod interval;
mod json;
mod timestamp;
mod uuid;

pub use self::clock::Time;
pub use self::date::Date;
pub use self::decimal::Decimal;
pub use self::interval::Interval;
pub use self::json::Json;
pub use self::timestamp::{Timestamp, Timestamptz};
/// A UUID of any version, from the crate `uuid`. A plugin can also depend on that crate directly,
/// and create new ones with its features.
///
/// ```
/// use ferro::values::Uuid;
///
/// let id = Uuid::try_parse("67e55044-10b1-426f-9247-bb680e5fe0c8")?;
/// assert_eq!(id.to_string(), "67e55044-10b1-426f-9247-bb680e5fe0c8");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub use ::uuid::Uuid;

use ferro_wit::types::{Error, ErrorKind};

/// A `type-mismatch` for text that is not what a type expects.
fn not_a(what: &str, text: &str, expected: &str) -> Error {
    let message = format!("`{text}` is not {what}: expected {expected}");
    Error::new(ErrorKind::TypeMismatch, message)
}
