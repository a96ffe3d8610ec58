//! Rust's own types for fields, and the macros that add others.

use ferro_wit::schema::{ColumnType, IntegerWidth};
use ferro_wit::types::{Blobs, Elements, Error, ScalarType, Value};

use super::{Scalar, end, missing, other_kind};

/// A scalar of fixed size: its type, its case in `Elements` and `Value`, and the conversions to and
/// from the stored form.
macro_rules! fixed {
    ($($type:ty: $case:ident($stored:ty), $column:expr, $to:expr, $from:expr;)*) => {$(
        impl $crate::scalar::Scalar for $type {
            const KIND: ::ferro_wit::types::ScalarType = ::ferro_wit::types::ScalarType::$case;
            type Stored<'a> = &'a [$stored];

            fn column_type() -> ::ferro_wit::schema::ColumnType {
                $column
            }

            fn into_value(self) -> ::ferro_wit::types::Value {
                ::ferro_wit::types::Value::$case(($to)(self))
            }

            fn stored(elements: &::ferro_wit::types::Elements) -> Option<&[$stored]> {
                match elements {
                    ::ferro_wit::types::Elements::$case(it) => Some(it),
                    _ => None,
                }
            }

            fn read(stored: &[$stored], index: usize) -> Result<Self, String> {
                let stored = stored.get(index).ok_or_else($crate::scalar::missing)?;
                ($from)(stored.clone())
            }

            fn write(
                &self,
                to: &mut ::ferro_wit::types::Elements,
            ) -> Result<(), ::ferro_wit::types::Error> {
                match to {
                    ::ferro_wit::types::Elements::$case(it) => {
                        it.push(($to)(self.clone()));
                        Ok(())
                    }
                    other => Err($crate::scalar::other_kind(other)),
                }
            }
        }
    )*};
}

/// A scalar that is stored as text: its type, its case, and the conversions to and from text.
macro_rules! textual {
    ($($type:ty: $case:ident, $column:expr, $as_str:expr, $into:expr, $from:expr;)*) => {$(
        impl $crate::scalar::Scalar for $type {
            const KIND: ::ferro_wit::types::ScalarType = ::ferro_wit::types::ScalarType::$case;
            type Stored<'a> = &'a ::ferro_wit::types::Texts;

            fn column_type() -> ::ferro_wit::schema::ColumnType {
                $column
            }

            fn into_value(self) -> ::ferro_wit::types::Value {
                ::ferro_wit::types::Value::$case(($into)(self))
            }

            fn stored(elements: &::ferro_wit::types::Elements) -> Option<&::ferro_wit::types::Texts> {
                match elements {
                    ::ferro_wit::types::Elements::$case(it) => Some(it),
                    _ => None,
                }
            }

            fn read(stored: &::ferro_wit::types::Texts, index: usize) -> Result<Self, String> {
                ($from)(stored.get(index).ok_or_else($crate::scalar::missing)?)
            }

            fn write(
                &self,
                to: &mut ::ferro_wit::types::Elements,
            ) -> Result<(), ::ferro_wit::types::Error> {
                match to {
                    ::ferro_wit::types::Elements::$case(it) => {
                        $crate::scalar::write_text(it, ($as_str)(self))
                    }
                    other => Err($crate::scalar::other_kind(other)),
                }
            }
        }
    )*};
}

pub(crate) use {fixed, textual};

fixed! {
    bool: Boolean(bool), ColumnType::Boolean, |it| it, Ok;
    i16: Integer(i64), ColumnType::Integer(IntegerWidth::Small), i64::from, narrow;
    i32: Integer(i64), ColumnType::Integer(IntegerWidth::Regular), i64::from, narrow;
    i64: Integer(i64), ColumnType::Integer(IntegerWidth::Big), |it| it, Ok;
    f64: Float(f64), ColumnType::Double, |it| it, Ok;
    f32: Float(f64), ColumnType::Real, f64::from, to_f32;
}

textual! {
    String: Text, ColumnType::Text(None), String::as_str, |it| it, |it: &str| Ok(it.to_owned());
}

impl Scalar for Vec<u8> {
    const KIND: ScalarType = ScalarType::Blob;
    type Stored<'a> = &'a Blobs;

    fn column_type() -> ColumnType {
        ColumnType::Blob
    }

    fn into_value(self) -> Value {
        Value::Blob(self)
    }

    fn stored(elements: &Elements) -> Option<&Blobs> {
        match elements {
            Elements::Blob(it) => Some(it),
            _ => None,
        }
    }

    fn read(stored: &Blobs, index: usize) -> Result<Self, String> {
        stored.get(index).map(<[u8]>::to_vec).ok_or_else(missing)
    }

    fn write(&self, to: &mut Elements) -> Result<(), Error> {
        match to {
            Elements::Blob(it) => {
                it.ends.push(end(it.data.len() + self.len())?);
                it.data.extend_from_slice(self);
                Ok(())
            }
            other => Err(other_kind(other)),
        }
    }
}

fn narrow<T: TryFrom<i64>>(value: i64) -> Result<T, String> {
    T::try_from(value).map_err(|_| {
        let bits = 8 * size_of::<T>();
        format!("`{value}` does not fit {bits} bits")
    })
}

#[expect(clippy::cast_possible_truncation, reason = "the column has 32 bits, sent as 64")]
fn to_f32(value: f64) -> Result<f32, String> {
    Ok(value as f32)
}
