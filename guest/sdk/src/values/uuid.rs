//! Universally unique identifiers: those of the crate `uuid`.

use ferro_wit::schema::ColumnType;
use ferro_wit::types::{Elements, Error, ScalarType, Value};
use uuid::Uuid;

use crate::scalar::{Scalar, missing, other_kind};

impl Scalar for Uuid {
    const KIND: ScalarType = ScalarType::Uuid;
    type Stored<'a> = &'a [u64];

    fn column_type() -> ColumnType {
        ColumnType::Uuid
    }

    fn into_value(self) -> Value {
        self.into()
    }

    fn stored(elements: &Elements) -> Option<&[u64]> {
        match elements {
            Elements::Uuid(it) => Some(it),
            _ => None,
        }
    }

    fn read(stored: &[u64], index: usize) -> Result<Self, String> {
        match stored.get(2 * index..2 * index + 2) {
            Some(&[high, low]) => Ok(Self::from_u64_pair(high, low)),
            _ => Err(missing()),
        }
    }

    fn write(&self, to: &mut Elements) -> Result<(), Error> {
        match to {
            Elements::Uuid(it) => {
                it.extend(<[u64; 2]>::from(self.as_u64_pair()));
                Ok(())
            }
            other => Err(other_kind(other)),
        }
    }
}
