//! The result sets of a query that loads relations, and linking their rows to parents.

use std::collections::HashMap;

use ferro_wit::Cursor;
use ferro_wit::types::{Attachment, Batch, Error, ErrorKind, Value};

use super::include::Nested;
use crate::model::Model;
use crate::rows::BATCH_ROWS;

/// All result sets of a query, in the order of its includes, and the next one to take.
pub struct ResultSets {
    sets: Vec<ResultSet>,
    next: usize,
}

struct ResultSet {
    batches: Vec<Batch>,
    attachment: Option<Attachment>,
}

/// Rows, and for each parent row the indexes of its rows.
pub(super) struct Children<T> {
    pub(super) rows: Vec<T>,
    pub(super) owned: Vec<Vec<usize>>,
}

/// The values that link rows to parents, in hashable form.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Key {
    Boolean(bool),
    Integer(i64),
    Words(u64, u64),
    Text(String),
    Bytes(Vec<u8>),
}

impl ResultSets {
    /// Reads a cursor to its end.
    pub(crate) async fn read(mut cursor: Box<dyn Cursor>) -> Result<Self, Error> {
        let mut sets = Vec::new();
        loop {
            let attachment = cursor.attached().cloned();
            let mut batches = Vec::new();
            while let Some(batch) = cursor.next(BATCH_ROWS).await? {
                batch.validate().map_err(unexpected)?;
                batches.push(batch);
            }
            sets.push(ResultSet { batches, attachment });
            if !cursor.next_result().await? {
                return Ok(Self { sets, next: 1 });
            }
        }
    }

    /// The rows of a model in a result set.
    pub(crate) fn models<M: Model>(&self, set: usize) -> Result<Vec<M>, Error> {
        let mut rows = Vec::new();
        for batch in &self.set(set)?.batches {
            rows.append(&mut M::decode(batch)?);
        }
        Ok(rows)
    }

    /// The rows of the next result set.
    pub(super) fn next<T: Model, O: Nested<T>>(
        &mut self,
        output: &O,
        parents: usize,
    ) -> Result<Children<O::Row>, Error> {
        let index = self.next;
        self.next += 1;
        let set = self.set(index)?;
        let attachment =
            set.attachment.as_ref().ok_or_else(|| unexpected("rows without parents came"))?;
        if attachment.parents as usize != parents {
            return Err(unexpected("rows of other parents came"));
        }
        let mut known: HashMap<Vec<Key>, Vec<usize>> = HashMap::new();
        for (row, key) in set.keys(&attachment.columns)?.into_iter().enumerate() {
            if let Some(key) = key {
                known.entry(key).or_default().push(row);
            }
        }
        let owned = self
            .set(parents)?
            .keys(&attachment.parent_columns)?
            .into_iter()
            .map(|key| key.and_then(|key| known.get(&key).cloned()).unwrap_or_default())
            .collect();
        Ok(Children { rows: output.rows(self, index)?, owned })
    }

    fn set(&self, index: usize) -> Result<&ResultSet, Error> {
        self.sets.get(index).ok_or_else(|| unexpected("fewer relations came than were included"))
    }
}

impl ResultSet {
    /// The values of some columns in each row; `None` if one of them is null.
    fn keys(&self, columns: &[u32]) -> Result<Vec<Option<Vec<Key>>>, Error> {
        let mut keys = Vec::new();
        for batch in &self.batches {
            let columns: Vec<_> = columns
                .iter()
                .map(|it| batch.columns.get(*it as usize))
                .collect::<Option<_>>()
                .ok_or_else(|| unexpected("a column of a key is missing"))?;
            for row in 0..batch.rows as usize {
                let values = columns.iter().map(|it| it.get(row).and_then(Key::of));
                keys.push(values.collect());
            }
        }
        Ok(keys)
    }
}

impl Key {
    /// `None` for null, which equals nothing.
    fn of(value: Value) -> Option<Self> {
        Some(match value {
            Value::Null => return None,
            Value::Boolean(it) => Self::Boolean(it),
            Value::Integer(it)
            | Value::Time(it)
            | Value::Timestamp(it)
            | Value::Timestamptz(it) => Self::Integer(it),
            Value::Date(it) => Self::Integer(it.into()),
            // Equal values with different bits.
            Value::Float(0.0) => Self::Words(0, 0),
            Value::Float(it) => Self::Words(it.to_bits(), 0),
            Value::Uuid((high, low)) => Self::Words(high, low),
            Value::Text(it) | Value::Json(it) => Self::Text(it),
            Value::Decimal(it) => Self::Text(without_trailing_zeros(it)),
            Value::Blob(it) => Self::Bytes(it),
            // Keys do not have these types.
            Value::Interval(_) | Value::Array(_) => return None,
        })
    }
}

/// A decimal in a key may equal one with fewer digits.
fn without_trailing_zeros(mut decimal: String) -> String {
    if decimal.contains('.') {
        let digits = decimal.trim_end_matches('0').trim_end_matches('.');
        decimal.truncate(digits.len());
    }
    decimal
}

fn unexpected(message: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, format!("cannot read the included relations: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_equal_is_one_key() {
        let same = |one: Value, other: Value| Key::of(one) == Key::of(other);
        let decimal = |text: &str| Value::Decimal(text.into());
        assert!(same(decimal("1.50"), decimal("1.5")));
        assert!(same(decimal("100"), decimal("100.00")));
        assert!(!same(decimal("100"), decimal("1")));
        assert!(same(Value::Float(0.0), Value::Float(-0.0)));
        assert!(!same(Value::Text("1.50".into()), Value::Text("1.5".into())));
    }
}
