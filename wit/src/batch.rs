//! Batches, and checks that they are consistent: guests create them, so they are not trusted.

use crate::types::{Batch, Column, Elements, Scalars};

impl Batch {
    /// Creates a batch of the given columns.
    ///
    /// # Errors
    ///
    /// The column that differs in length from the first one, or is inconsistent.
    pub fn new(columns: Vec<Column>) -> Result<Self, String> {
        let rows = columns.first().map_or(0, Column::len);
        let rows = u32::try_from(rows).map_err(|_| "more than 2^32 rows".to_owned())?;
        let batch = Self { rows, columns };
        batch.validate()?;
        Ok(batch)
    }

    /// Checks that every column has as many values as the batch has rows, that the ends of texts,
    /// byte strings and arrays increase and stay within their data, and that bitmaps are long
    /// enough.
    ///
    /// # Errors
    ///
    /// The inconsistent column, and its fault.
    pub fn validate(&self) -> Result<(), String> {
        for (index, column) in self.columns.iter().enumerate() {
            validate_column(column, self.rows as usize)
                .map_err(|fault| format!("column {index}: {fault}"))?;
        }
        Ok(())
    }

    /// The size of all values, their ends and their null bitmaps, in bytes, which a reader must
    /// allocate.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferro_wit::types::{Batch, Column, Elements, Scalars};
    ///
    /// let numbers = Scalars { elements: Elements::Integer(vec![1, 2]), nulls: None };
    /// assert_eq!(Batch::new(vec![Column::Scalars(numbers)])?.bytes(), 16);
    /// # Ok::<(), String>(())
    /// ```
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let column = |column: &Column| match column {
            Column::Scalars(it) => bytes_of_scalars(it),
            Column::Arrays(it) => {
                let nulls = bytes_of_nulls(it.nulls.as_deref());
                bytes_of_scalars(&it.items) + size_of_val(it.ends.as_slice()) + nulls
            }
        };
        self.columns.iter().map(column).sum::<usize>() as u64
    }
}

fn bytes_of_scalars(scalars: &Scalars) -> usize {
    let values = match &scalars.elements {
        Elements::Boolean(it) => it.len(),
        Elements::Integer(it)
        | Elements::Time(it)
        | Elements::Timestamp(it)
        | Elements::Timestamptz(it) => size_of_val(it.as_slice()),
        Elements::Float(it) => size_of_val(it.as_slice()),
        Elements::Decimal(it) | Elements::Text(it) | Elements::Json(it) => {
            it.data.len() + size_of_val(it.ends.as_slice())
        }
        Elements::Blob(it) => it.data.len() + size_of_val(it.ends.as_slice()),
        Elements::Uuid(it) => size_of_val(it.as_slice()),
        Elements::Date(it) => size_of_val(it.as_slice()),
        Elements::Interval(it) => size_of_val(it.as_slice()),
    };
    values + bytes_of_nulls(scalars.nulls.as_deref())
}

fn bytes_of_nulls(nulls: Option<&[u8]>) -> usize {
    nulls.map_or(0, <[u8]>::len)
}

fn validate_column(column: &Column, rows: usize) -> Result<(), String> {
    let (items, expected) = match column {
        Column::Scalars(it) => (it, rows),
        Column::Arrays(it) => {
            if it.ends.len() != rows {
                return Err(format!("{} arrays where {rows} rows were expected", it.ends.len()));
            }
            validate_nulls(it.nulls.as_deref(), rows)?;
            validate_ends(&it.ends, it.items.len())?;
            (&it.items, it.ends.last().map_or(0, |it| *it as usize))
        }
    };
    validate_scalars(items, expected)
}

pub(crate) fn validate_scalars(items: &Scalars, expected: usize) -> Result<(), String> {
    if items.len() != expected {
        return Err(format!("{} values where {expected} were expected", items.len()));
    }
    validate_nulls(items.nulls.as_deref(), expected)?;
    match &items.elements {
        Elements::Decimal(it) | Elements::Text(it) | Elements::Json(it) => {
            validate_ends(&it.ends, it.data.len())?;
            match it.ends.iter().all(|end| it.data.is_char_boundary(*end as usize)) {
                true => Ok(()),
                false => Err("a text ends inside a character".into()),
            }
        }
        Elements::Blob(it) => validate_ends(&it.ends, it.data.len()),
        Elements::Uuid(it) if it.len() % 2 != 0 => Err("half a uuid".into()),
        _ => Ok(()),
    }
}

fn validate_nulls(nulls: Option<&[u8]>, length: usize) -> Result<(), String> {
    match nulls {
        Some(nulls) if nulls.len() < length.div_ceil(8) => {
            Err(format!("a null bitmap of {} bytes for {length} values", nulls.len()))
        }
        _ => Ok(()),
    }
}

fn validate_ends(ends: &[u32], length: usize) -> Result<(), String> {
    match ends.is_sorted() && ends.last().is_none_or(|end| *end as usize <= length) {
        true => Ok(()),
        false => Err("ends that do not fit the data".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{ScalarType, Texts, Value};

    #[test]
    fn bytes_are_those_of_values_ends_and_nulls() {
        let scalars = |kind, values: &[Value]| {
            let mut scalars = Scalars::with_kind(kind);
            for value in values {
                scalars.push(value.clone()).unwrap();
            }
            Column::Scalars(scalars)
        };
        let columns = vec![
            scalars(ScalarType::Integer, &[1.into(), Value::Null]),
            scalars(ScalarType::Text, &["abc".into(), "é".into()]),
            scalars(ScalarType::Boolean, &[true.into(), false.into()]),
        ];
        assert_eq!(Batch::new(columns).unwrap().bytes(), (16 + 1) + (5 + 8) + 2);
    }

    #[test]
    fn a_batch_that_contradicts_itself_is_refused_and_named() {
        let text = |data: &str, ends: &[u32]| {
            Column::Scalars(Scalars {
                elements: Elements::Text(Texts { data: data.into(), ends: ends.into() }),
                nulls: None,
            })
        };
        let faults = [
            (Batch { rows: 2, columns: vec![text("a", &[1])] }, "1 values"),
            (Batch { rows: 1, columns: vec![text("a", &[2])] }, "ends"),
            (Batch { rows: 2, columns: vec![text("ab", &[2, 1])] }, "ends"),
            (Batch { rows: 2, columns: vec![text("é", &[1, 2])] }, "inside a character"),
        ];
        for (batch, expected) in faults {
            let fault = batch.validate().unwrap_err();
            assert!(fault.starts_with("column 0: ") && fault.contains(expected), "{fault}");
        }
    }

    #[test]
    fn an_array_that_contradicts_itself_is_refused() {
        let array = |ends: &[u32], nulls: Option<Vec<u8>>| {
            let texts = Texts { data: "aé".into(), ends: ends.into() };
            Value::Array(Scalars { elements: Elements::Text(texts), nulls })
        };
        assert_eq!(array(&[1, 3], Some(vec![0])).validate(), Ok(()));
        for (value, expected) in [
            (array(&[3, 0, 3, 0, 3], None), "ends"),
            (array(&[4], None), "ends"),
            (array(&[2], None), "inside a character"),
            (array(&[1, 3], Some(vec![])), "bitmap"),
        ] {
            let fault = value.validate().unwrap_err();
            assert!(fault.contains(expected), "{fault}");
        }
    }
}
