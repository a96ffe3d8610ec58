//! Fills the columns of a batch, value by value, directly from what a database sent.

use ferro_wit::types::{
    Arrays, Batch, Blobs, Column, ColumnInfo, Elements, ScalarType, Scalars, Texts,
};

use crate::value::{Expected, Fault, end_of};

/// The rows of the next batch.
pub(crate) struct BatchBuilder {
    columns: Vec<ColumnBuilder>,
    rows: u32,
    bytes: usize,
}

/// A column of the next batch.
pub(crate) struct ColumnBuilder {
    items: Scalars,
    /// Where each row ends, if the rows are arrays.
    ends: Option<Vec<u32>>,
    /// The rows that are null instead of an array.
    nulls: Option<Vec<u8>>,
    origin: Origin,
}

/// Where the type of a column comes from.
#[derive(Clone, Copy, PartialEq)]
enum Origin {
    /// The statement itself, or its plan.
    Statement,
    /// The caller, who expects it of SQL text that may return anything.
    Caller { nullable: bool },
}

impl BatchBuilder {
    pub(crate) fn new(columns: &[ColumnInfo]) -> Self {
        Self::with(columns, |_| Origin::Statement)
    }

    /// For SQL text, with the columns that its caller expects.
    pub(crate) fn of_text(columns: &[ColumnInfo]) -> Self {
        Self::with(columns, |it| Origin::Caller { nullable: it.nullable })
    }

    fn with(columns: &[ColumnInfo], origin: impl Fn(&ColumnInfo) -> Origin) -> Self {
        let column = |it: &ColumnInfo| ColumnBuilder::new(it.kind, it.many, origin(it));
        Self { columns: columns.iter().map(column).collect(), rows: 0, bytes: 0 }
    }

    /// The columns. For each row, each of them takes one value; then comes `end_row`.
    pub(crate) fn columns(&mut self) -> &mut [ColumnBuilder] {
        &mut self.columns
    }

    /// Ends a row, whose values arrived in this many bytes.
    pub(crate) fn end_row(&mut self, bytes: usize) {
        self.rows += 1;
        self.bytes += bytes + self.columns.len() * size_of::<u64>();
    }

    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    /// The approximate size of the values in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the batch and begins the next one, with room for as many values.
    pub(crate) fn split(&mut self) -> Batch {
        let columns = self.columns.iter().map(ColumnBuilder::like).collect();
        std::mem::replace(self, Self { columns, rows: 0, bytes: 0 }).finish()
    }

    /// The last batch.
    pub(crate) fn finish(self) -> Batch {
        let columns = self.columns.into_iter().map(ColumnBuilder::finish).collect();
        Batch { rows: self.rows, columns }
    }
}

impl ColumnBuilder {
    fn new(kind: ScalarType, many: bool, origin: Origin) -> Self {
        Self { items: Scalars::with_kind(kind), ends: many.then(Vec::new), nulls: None, origin }
    }

    pub(crate) fn is_array(&self) -> bool {
        self.ends.is_some()
    }

    /// The type of its values.
    pub(crate) fn expected(&self) -> Expected {
        Expected { kind: self.items.elements.kind(), many: self.is_array() }
    }

    /// Whether its values may be computed, and have another type than expected.
    pub(crate) fn may_be_computed(&self) -> bool {
        self.origin != Origin::Statement
    }

    /// Adds the value that `read` appends: one element, or all those of an array.
    pub(crate) fn push(
        &mut self,
        read: impl FnOnce(&mut Scalars) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        read(&mut self.items)?;
        if let Some(ends) = &mut self.ends {
            ends.push(end_of(self.items.len())?);
        }
        Ok(())
    }

    pub(crate) fn push_null(&mut self) -> Result<(), Fault> {
        if self.origin == (Origin::Caller { nullable: false }) {
            let expected = self.expected();
            return Err(Fault::undecodable(format!("is null, where `{expected}` is expected")));
        }
        let Some(ends) = &mut self.ends else {
            self.items.push_null();
            return Ok(());
        };
        let index = ends.len();
        ends.push(ends.last().copied().unwrap_or(0));
        let nulls = self.nulls.get_or_insert_default();
        nulls.resize(index / 8 + 1, 0);
        nulls[index / 8] |= 1 << (index % 8);
        Ok(())
    }

    /// An empty builder with the same capacity.
    fn like(&self) -> Self {
        Self {
            items: Scalars { elements: like(&self.items.elements), nulls: None },
            ends: self.ends.as_ref().map(|it| Vec::with_capacity(it.len())),
            nulls: None,
            origin: self.origin,
        }
    }

    fn finish(mut self) -> Column {
        let length = self.items.len();
        fit(&mut self.items.nulls, length);
        let Some(ends) = self.ends else {
            return Column::Scalars(self.items);
        };
        fit(&mut self.nulls, ends.len());
        Column::Arrays(Arrays { items: self.items, ends, nulls: self.nulls })
    }
}

/// Extends a bitmap to its full length: it only grows when a null is added, and non-null values may
/// follow the last one.
fn fit(nulls: &mut Option<Vec<u8>>, length: usize) {
    if let Some(nulls) = nulls {
        nulls.resize(length.div_ceil(8), 0);
    }
}

fn like(full: &Elements) -> Elements {
    let texts = |it: &Texts| Texts {
        data: String::with_capacity(it.data.len()),
        ends: Vec::with_capacity(it.ends.len()),
    };
    match full {
        Elements::Boolean(it) => Elements::Boolean(Vec::with_capacity(it.len())),
        Elements::Integer(it) => Elements::Integer(Vec::with_capacity(it.len())),
        Elements::Float(it) => Elements::Float(Vec::with_capacity(it.len())),
        Elements::Decimal(it) => Elements::Decimal(texts(it)),
        Elements::Text(it) => Elements::Text(texts(it)),
        Elements::Blob(it) => Elements::Blob(Blobs {
            data: Vec::with_capacity(it.data.len()),
            ends: Vec::with_capacity(it.ends.len()),
        }),
        Elements::Uuid(it) => Elements::Uuid(Vec::with_capacity(it.len())),
        Elements::Date(it) => Elements::Date(Vec::with_capacity(it.len())),
        Elements::Time(it) => Elements::Time(Vec::with_capacity(it.len())),
        Elements::Timestamp(it) => Elements::Timestamp(Vec::with_capacity(it.len())),
        Elements::Timestamptz(it) => Elements::Timestamptz(Vec::with_capacity(it.len())),
        Elements::Interval(it) => Elements::Interval(Vec::with_capacity(it.len())),
        Elements::Json(it) => Elements::Json(texts(it)),
    }
}

/// Leaves the first rows in the batch, and returns the others, if there are any.
pub(crate) fn split_off(batch: &mut Batch, rows: u32) -> Option<Batch> {
    let left = batch.rows.checked_sub(rows).filter(|left| *left > 0)?;
    batch.rows = rows;
    let columns = batch.columns.iter_mut().map(|column| match column {
        Column::Scalars(scalars) => Column::Scalars(split_scalars(scalars, rows as usize)),
        Column::Arrays(arrays) => {
            let (at, ends) = split_ends(&mut arrays.ends, rows as usize);
            let nulls = split_nulls(&mut arrays.nulls, rows as usize, ends.len());
            Column::Arrays(Arrays { items: split_scalars(&mut arrays.items, at), ends, nulls })
        }
    });
    Some(Batch { rows: left, columns: columns.collect() })
}

fn split_scalars(scalars: &mut Scalars, at: usize) -> Scalars {
    let left = scalars.len().saturating_sub(at);
    let elements = split_elements(&mut scalars.elements, at);
    Scalars { elements, nulls: split_nulls(&mut scalars.nulls, at, left) }
}

fn split_elements(elements: &mut Elements, at: usize) -> Elements {
    let texts = |it: &mut Texts| {
        let (byte, ends) = split_ends(&mut it.ends, at);
        Texts { data: it.data.split_off(byte), ends }
    };
    match elements {
        Elements::Boolean(it) => Elements::Boolean(it.split_off(at)),
        Elements::Integer(it) => Elements::Integer(it.split_off(at)),
        Elements::Float(it) => Elements::Float(it.split_off(at)),
        Elements::Decimal(it) => Elements::Decimal(texts(it)),
        Elements::Text(it) => Elements::Text(texts(it)),
        Elements::Blob(it) => {
            let (byte, ends) = split_ends(&mut it.ends, at);
            Elements::Blob(Blobs { data: it.data.split_off(byte), ends })
        }
        Elements::Uuid(it) => Elements::Uuid(it.split_off(2 * at)),
        Elements::Date(it) => Elements::Date(it.split_off(at)),
        Elements::Time(it) => Elements::Time(it.split_off(at)),
        Elements::Timestamp(it) => Elements::Timestamp(it.split_off(at)),
        Elements::Timestamptz(it) => Elements::Timestamptz(it.split_off(at)),
        Elements::Interval(it) => Elements::Interval(it.split_off(at)),
        Elements::Json(it) => Elements::Json(texts(it)),
    }
}

/// The end of the first rows, and the ends of the others relative to it.
fn split_ends(ends: &mut Vec<u32>, at: usize) -> (usize, Vec<u32>) {
    let rest = ends.split_off(at);
    let start = ends.last().copied().unwrap_or(0);
    (start as usize, rest.into_iter().map(|end| end - start).collect())
}

fn split_nulls(nulls: &mut Option<Vec<u8>>, at: usize, left: usize) -> Option<Vec<u8>> {
    let all = nulls.as_mut()?;
    let mut rest = vec![0; left.div_ceil(8)];
    for index in (0..left).filter(|it| all[(at + it) / 8] & (1 << ((at + it) % 8)) != 0) {
        rest[index / 8] |= 1 << (index % 8);
    }
    all.truncate(at.div_ceil(8));
    Some(rest)
}

#[cfg(test)]
mod tests {
    use ferro_wit::types::Value;
    use proptest::prelude::*;

    use super::*;

    const KINDS: [ScalarType; 6] = [
        ScalarType::Boolean,
        ScalarType::Integer,
        ScalarType::Text,
        ScalarType::Blob,
        ScalarType::Uuid,
        ScalarType::Date,
    ];

    fn value(kind: ScalarType, number: u8) -> Value {
        let small = usize::from(number % 5);
        match kind {
            _ if number.is_multiple_of(3) => Value::Null,
            ScalarType::Boolean => Value::Boolean(number > 9),
            ScalarType::Integer => Value::Integer(number.into()),
            ScalarType::Text => Value::Text("é".repeat(small)),
            ScalarType::Blob => Value::Blob(vec![number; small]),
            ScalarType::Uuid => Value::Uuid((number.into(), 1)),
            _ => Value::Date(number.into()),
        }
    }

    fn batch(numbers: &[u8]) -> Batch {
        let infos = KINDS.iter().flat_map(|kind| [(*kind, false), (*kind, true)]);
        let infos: Vec<_> = infos
            .map(|(kind, many)| ColumnInfo { path: vec![], kind, many, nullable: true })
            .collect();
        let mut batch = BatchBuilder::new(&infos);
        for number in numbers {
            for (column, info) in batch.columns().iter_mut().zip(&infos) {
                if !info.many || number % 4 > 0 {
                    let length = if info.many { number % 4 } else { 1 };
                    let push = |items: &mut Scalars| {
                        for item in 0..length {
                            items.push(value(info.kind, number.wrapping_add(item))).unwrap();
                        }
                        Ok(())
                    };
                    column.push(push).unwrap();
                } else {
                    column.push_null().unwrap();
                }
            }
            batch.end_row(0);
        }
        batch.finish()
    }

    proptest! {
        #[test]
        fn a_batch_that_is_cut_has_the_same_rows(numbers: Vec<u8>, at in 1..40_usize) {
            let mut first = batch(&numbers);
            let rest = split_off(&mut first, u32::try_from(at).unwrap());
            let (head, tail) = numbers.split_at(at.min(numbers.len()));
            prop_assert_eq!(rest.is_some(), !tail.is_empty());
            for (part, expected) in [(Some(first), head), (rest, tail)] {
                let Some(part) = part else { continue };
                let expected = batch(expected);
                prop_assert!(part.validate().is_ok());
                prop_assert_eq!(part.rows, expected.rows);
                for (column, expected) in part.columns.iter().zip(&expected.columns) {
                    for row in 0..=part.rows as usize {
                        prop_assert_eq!(column.get(row), expected.get(row));
                    }
                }
            }
        }
    }
}
