//! Columns: reading them, and appending to them.

use crate::types::{Arrays, Blobs, Column, Elements, Interval, ScalarType, Scalars, Texts, Value};

impl Texts {
    /// The number of texts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no texts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The text at `index`; `None` if it does not exist or the ends do not fit the data.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&str> {
        let (start, end) = span(&self.ends, index)?;
        self.data.get(start..end)
    }
}

impl Blobs {
    /// The number of byte strings.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no byte strings.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The byte string at `index`; `None` if it does not exist or the ends do not fit the data.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let (start, end) = span(&self.ends, index)?;
        self.data.get(start..end)
    }
}

impl Elements {
    /// The scalar type of the elements.
    #[must_use]
    pub fn kind(&self) -> ScalarType {
        crate::scalar_kind!(self)
    }

    /// The number of elements, including nulls.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Boolean(it) => it.len(),
            Self::Integer(it) | Self::Time(it) | Self::Timestamp(it) | Self::Timestamptz(it) => {
                it.len()
            }
            Self::Float(it) => it.len(),
            Self::Decimal(it) | Self::Text(it) | Self::Json(it) => it.len(),
            Self::Blob(it) => it.len(),
            Self::Uuid(it) => it.len() / 2,
            Self::Date(it) => it.len(),
            Self::Interval(it) => it.len(),
        }
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Scalars {
    /// The number of values, including nulls.
    #[must_use]
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// Whether the value at `index` is null. False past the end.
    #[must_use]
    pub fn is_null(&self, index: usize) -> bool {
        bit(self.nulls.as_deref(), index)
    }

    /// A copy of the value at `index`; `None` past the end, or if the ends of texts or byte strings
    /// do not fit their data.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Value> {
        if index >= self.len() {
            return None;
        }
        if self.is_null(index) {
            return Some(Value::Null);
        }
        Some(match &self.elements {
            Elements::Boolean(it) => Value::Boolean(*it.get(index)?),
            Elements::Integer(it) => Value::Integer(*it.get(index)?),
            Elements::Float(it) => Value::Float(*it.get(index)?),
            Elements::Decimal(it) => Value::Decimal(it.get(index)?.to_owned()),
            Elements::Text(it) => Value::Text(it.get(index)?.to_owned()),
            Elements::Blob(it) => Value::Blob(it.get(index)?.to_owned()),
            Elements::Uuid(it) => Value::Uuid((*it.get(2 * index)?, *it.get(2 * index + 1)?)),
            Elements::Date(it) => Value::Date(*it.get(index)?),
            Elements::Time(it) => Value::Time(*it.get(index)?),
            Elements::Timestamp(it) => Value::Timestamp(*it.get(index)?),
            Elements::Timestamptz(it) => Value::Timestamptz(*it.get(index)?),
            Elements::Interval(it) => Value::Interval(it.get(index)?.clone()),
            Elements::Json(it) => Value::Json(it.get(index)?.to_owned()),
        })
    }
}

impl Column {
    /// The number of values, including nulls.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Scalars(it) => it.len(),
            Self::Arrays(it) => it.ends.len(),
        }
    }

    /// Whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of the value at `index`; `None` past the end, or if the column is inconsistent.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Value> {
        match self {
            Self::Scalars(it) => it.get(index),
            Self::Arrays(it) => it.get(index),
        }
    }
}

impl Arrays {
    /// Whether the array at `index` is null. False past the end.
    #[must_use]
    pub fn is_null(&self, index: usize) -> bool {
        bit(self.nulls.as_deref(), index)
    }

    fn get(&self, index: usize) -> Option<Value> {
        let (start, end) = span(&self.ends, index)?;
        if self.is_null(index) {
            return Some(Value::Null);
        }
        let mut items = Scalars::with_kind(self.items.elements.kind());
        for index in start..end {
            items.push(self.items.get(index)?).ok()?;
        }
        Some(Value::Array(items))
    }
}

impl Scalars {
    /// Creates an empty column for values of a kind.
    #[must_use]
    pub fn with_kind(kind: ScalarType) -> Self {
        let texts = || Texts { data: String::new(), ends: Vec::new() };
        let elements = match kind {
            ScalarType::Boolean => Elements::Boolean(Vec::new()),
            ScalarType::Integer => Elements::Integer(Vec::new()),
            ScalarType::Float => Elements::Float(Vec::new()),
            ScalarType::Decimal => Elements::Decimal(texts()),
            ScalarType::Text => Elements::Text(texts()),
            ScalarType::Blob => Elements::Blob(Blobs { data: Vec::new(), ends: Vec::new() }),
            ScalarType::Uuid => Elements::Uuid(Vec::new()),
            ScalarType::Date => Elements::Date(Vec::new()),
            ScalarType::Time => Elements::Time(Vec::new()),
            ScalarType::Timestamp => Elements::Timestamp(Vec::new()),
            ScalarType::Timestamptz => Elements::Timestamptz(Vec::new()),
            ScalarType::Interval => Elements::Interval(Vec::new()),
            ScalarType::Json => Elements::Json(texts()),
        };
        Self { elements, nulls: None }
    }

    /// Appends a value.
    ///
    /// # Errors
    ///
    /// Returns the value if it is of another kind, or if the texts would exceed 4 GiB.
    pub fn push(&mut self, value: Value) -> Result<(), Value> {
        let index = self.len();
        if matches!(value, Value::Null) {
            self.push_null();
            return Ok(());
        }
        match (&mut self.elements, value) {
            (Elements::Boolean(to), Value::Boolean(it)) => to.push(it),
            (Elements::Integer(to), Value::Integer(it))
            | (Elements::Time(to), Value::Time(it))
            | (Elements::Timestamp(to), Value::Timestamp(it))
            | (Elements::Timestamptz(to), Value::Timestamptz(it)) => to.push(it),
            (Elements::Float(to), Value::Float(it)) => to.push(it),
            (Elements::Decimal(to), Value::Decimal(it)) => {
                return push_text(to, it).map_err(Value::Decimal).map(|()| self.grow_nulls(index));
            }
            (Elements::Text(to), Value::Text(it)) => {
                return push_text(to, it).map_err(Value::Text).map(|()| self.grow_nulls(index));
            }
            (Elements::Json(to), Value::Json(it)) => {
                return push_text(to, it).map_err(Value::Json).map(|()| self.grow_nulls(index));
            }
            (Elements::Blob(to), Value::Blob(it)) => {
                let Ok(end) = u32::try_from(to.data.len() + it.len()) else {
                    return Err(Value::Blob(it));
                };
                to.data.extend_from_slice(&it);
                to.ends.push(end);
            }
            (Elements::Uuid(to), Value::Uuid((high, low))) => to.extend([high, low]),
            (Elements::Date(to), Value::Date(it)) => to.push(it),
            (Elements::Interval(to), Value::Interval(it)) => to.push(it),
            (_, value) => return Err(value),
        }
        self.grow_nulls(index);
        Ok(())
    }

    /// Appends a null.
    pub fn push_null(&mut self) {
        let index = self.len();
        match &mut self.elements {
            Elements::Boolean(it) => it.push(false),
            Elements::Integer(it)
            | Elements::Time(it)
            | Elements::Timestamp(it)
            | Elements::Timestamptz(it) => it.push(0),
            Elements::Float(it) => it.push(0.0),
            Elements::Decimal(it) | Elements::Text(it) | Elements::Json(it) => {
                it.ends.push(it.ends.last().copied().unwrap_or(0));
            }
            Elements::Blob(it) => it.ends.push(it.ends.last().copied().unwrap_or(0)),
            Elements::Uuid(it) => it.extend([0, 0]),
            Elements::Date(it) => it.push(0),
            Elements::Interval(it) => {
                it.push(Interval { months: 0, days: 0, microseconds: 0 });
            }
        }
        let nulls = self.nulls.get_or_insert_default();
        nulls.resize(index / 8 + 1, 0);
        nulls[index / 8] |= 1 << (index % 8);
    }

    /// Extends the bitmap, if there is one, to the length of the values.
    fn grow_nulls(&mut self, index: usize) {
        if let Some(nulls) = &mut self.nulls {
            nulls.resize(index / 8 + 1, 0);
        }
    }
}

fn push_text(texts: &mut Texts, text: String) -> Result<(), String> {
    let Ok(end) = u32::try_from(texts.data.len() + text.len()) else {
        return Err(text);
    };
    texts.data.push_str(&text);
    texts.ends.push(end);
    Ok(())
}

fn span(ends: &[u32], index: usize) -> Option<(usize, usize)> {
    let end = *ends.get(index)? as usize;
    let start = if index == 0 { 0 } else { ends[index - 1] as usize };
    Some((start, end))
}

fn bit(bits: Option<&[u8]>, index: usize) -> bool {
    bits.and_then(|bits| bits.get(index / 8)).is_some_and(|byte| byte & (1 << (index % 8)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Batch;

    #[test]
    fn scalars_keep_nulls_apart_from_values() {
        let mut scalars = Scalars::with_kind(ScalarType::Text);
        for value in [Value::from("a"), Value::Null, Value::from(""), Value::from("é")] {
            scalars.push(value).unwrap();
        }
        let read: Vec<_> = (0..5).map(|index| scalars.get(index)).collect();
        assert_eq!(
            read,
            [Some("a".into()), Some(Value::Null), Some("".into()), Some("é".into()), None]
        );
        assert_eq!(scalars.push(Value::Integer(1)), Err(Value::Integer(1)));
        assert!(Batch::new(vec![Column::Scalars(scalars)]).is_ok());
    }
}
