//! The types of values that the standard library has none for.

mod decimal;
mod uuid;

pub use self::decimal::Decimal;
pub use self::uuid::Uuid;
