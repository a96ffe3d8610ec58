//! Filling the columns of a batch, value by value, straight from what a database sent.

use ferro_wit::types::{
    Arrays, Batch, Blobs, Column, ColumnInfo, Elements, ScalarType, Scalars, Texts,
};

use crate::value::{Fault, end_of};

/// The rows of the next batch.
pub(crate) struct BatchBuilder {
    columns: Vec<ColumnBuilder>,
    rows: u32,
}

/// A column of the next batch.
pub(crate) struct ColumnBuilder {
    items: Scalars,
    /// Where each row ends, if each is an array.
    ends: Option<Vec<u32>>,
    /// Rows that are null rather than an array.
    nulls: Option<Vec<u8>>,
}

impl BatchBuilder {
    pub(crate) fn new(columns: &[ColumnInfo]) -> Self {
        let columns = columns.iter().map(|it| ColumnBuilder::new(it.kind, it.many)).collect();
        Self { columns, rows: 0 }
    }

    /// The columns, each of which takes one value for a row, and then `end_row`.
    pub(crate) fn columns(&mut self) -> &mut [ColumnBuilder] {
        &mut self.columns
    }

    pub(crate) fn end_row(&mut self) {
        self.rows += 1;
    }

    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    /// How much memory the values take.
    pub(crate) fn bytes(&self) -> usize {
        self.columns.iter().map(|it| size(&it.items.elements)).sum()
    }

    /// The batch; the builder begins the next one, which will probably be as large.
    pub(crate) fn split(&mut self) -> Batch {
        let columns = self.columns.iter().map(ColumnBuilder::like).collect();
        std::mem::replace(self, Self { columns, rows: 0 }).finish()
    }

    /// The last batch.
    pub(crate) fn finish(self) -> Batch {
        let columns = self.columns.into_iter().map(ColumnBuilder::finish).collect();
        Batch { rows: self.rows, columns }
    }
}

impl ColumnBuilder {
    fn new(kind: ScalarType, many: bool) -> Self {
        Self { items: Scalars::with_kind(kind), ends: many.then(Vec::new), nulls: None }
    }

    pub(crate) fn is_array(&self) -> bool {
        self.ends.is_some()
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

    pub(crate) fn push_null(&mut self) {
        let Some(ends) = &mut self.ends else {
            return self.items.push_null();
        };
        let index = ends.len();
        ends.push(ends.last().copied().unwrap_or(0));
        let nulls = self.nulls.get_or_insert_default();
        nulls.resize(index / 8 + 1, 0);
        nulls[index / 8] |= 1 << (index % 8);
    }

    /// Nothing yet, with room for as much.
    fn like(&self) -> Self {
        Self {
            items: Scalars { elements: like(&self.items.elements), nulls: None },
            ends: self.ends.as_ref().map(|it| Vec::with_capacity(it.len())),
            nulls: None,
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

/// Bitmaps grow with nulls only; values that follow the last one belong to them too.
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

fn size(elements: &Elements) -> usize {
    let texts = |it: &Texts| it.data.len() + 4 * it.ends.len();
    match elements {
        Elements::Boolean(it) => it.len(),
        Elements::Integer(it)
        | Elements::Time(it)
        | Elements::Timestamp(it)
        | Elements::Timestamptz(it) => 8 * it.len(),
        Elements::Float(it) => 8 * it.len(),
        Elements::Decimal(it) | Elements::Text(it) | Elements::Json(it) => texts(it),
        Elements::Blob(it) => it.data.len() + 4 * it.ends.len(),
        Elements::Uuid(it) => 8 * it.len(),
        Elements::Date(it) => 4 * it.len(),
        Elements::Interval(it) => 16 * it.len(),
    }
}
