//! Arranging the columns of a statement in the order and the types of a row.

use ferro_wit::types::{Attachment, Batch, Column as Cells, ColumnInfo, Error, ErrorKind};
use ferro_wit::{BoxFuture, Cursor};

use super::convert::convert;
use crate::row::Layout;

/// The rows of a statement, with columns in the order of a row.
pub(super) struct Arranged {
    cursor: Box<dyn Cursor>,
    columns: Vec<ColumnInfo>,
    /// For each column of the row, its index in the statement.
    sources: Vec<usize>,
}

impl Arranged {
    pub(super) fn new(cursor: Box<dyn Cursor>, layout: &Layout) -> Result<Self, Error> {
        let sources = sources(cursor.columns(), layout)?;
        let slots = sources.iter().zip(&layout.slots);
        let columns = slots
            .map(|(&source, slot)| {
                let found = cursor.columns().get(source);
                let nullable = found.is_none_or(|it| it.nullable);
                let path = found.map_or_else(Vec::new, |it| it.path.clone());
                ColumnInfo { path, kind: slot.kind, many: slot.many, nullable }
            })
            .collect();
        Ok(Self { cursor, columns, sources })
    }

    fn arrange(&self, batch: Batch) -> Result<Batch, Error> {
        let rows = batch.rows;
        let mut cells: Vec<Option<Cells>> = batch.columns.into_iter().map(Some).collect();
        let columns = self.sources.iter().zip(&self.columns).map(|(&source, column)| {
            let cells = cells.get_mut(source).and_then(Option::take).ok_or_else(|| {
                fault(format!("the batch lacks the column `{}`", name_of(column)))
            })?;
            convert(cells, column.kind, column.many)
                .map_err(|it| fault(format!("column `{}`: {it}", name_of(column))))
        });
        Ok(Batch { rows, columns: columns.collect::<Result<_, _>>()? })
    }
}

impl Cursor for Arranged {
    fn columns(&self) -> &[ColumnInfo] {
        &self.columns
    }

    fn attached(&self) -> Option<&Attachment> {
        self.cursor.attached()
    }

    fn next(&mut self, max_rows: u32) -> BoxFuture<'_, Result<Option<Batch>, Error>> {
        Box::pin(async move {
            let batch = self.cursor.next(max_rows).await?;
            batch.map(|it| self.arrange(it)).transpose()
        })
    }

    fn next_result(&mut self) -> BoxFuture<'_, Result<bool, Error>> {
        self.cursor.next_result()
    }
}

/// The index in the statement of each column of the row: by name, or by position for rows without
/// names.
fn sources(columns: &[ColumnInfo], layout: &Layout) -> Result<Vec<usize>, Error> {
    let Some(names) = &layout.names else {
        let (got, expected) = (columns.len(), layout.slots.len());
        return match got == expected {
            true => Ok((0..got).collect()),
            false => Err(fault(format!(
                "the statement returns {}, and the row is made of {expected}",
                listed(columns)
            ))),
        };
    };
    let place = |name: &str| {
        let mut places = columns.iter().enumerate().filter(|(_, it)| name_of(it) == name);
        match (places.next(), places.next()) {
            (Some((place, _)), None) => Ok(place),
            (None, _) => Err(fault(format!(
                "the row has a column `{name}`, and the statement returns {}: name it with `AS`",
                listed(columns)
            ))),
            (Some(_), Some(_)) => Err(fault(format!(
                "the statement returns several columns `{name}`: give them names with `AS`"
            ))),
        }
    };
    names.iter().map(|name| place(name)).collect()
}

fn name_of(column: &ColumnInfo) -> &str {
    column.path.last().map_or("", String::as_str)
}

fn listed(columns: &[ColumnInfo]) -> String {
    let names: Vec<_> = columns.iter().map(|it| format!("`{}`", name_of(it))).collect();
    match names.is_empty() {
        true => "no columns".to_owned(),
        false => names.join(", "),
    }
}

fn fault(message: String) -> Error {
    Error::new(ErrorKind::DecodeFailed, message)
}
