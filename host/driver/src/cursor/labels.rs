//! What errors call the columns and the rows of a result.

use std::fmt;

use ferro_wit::plan::{Origin, Step};
use ferro_wit::types::{ColumnInfo, Error, Scalars};

use super::Unreadable;
use crate::value::{Fault, array};

/// A key of more bytes is not repeated in an error.
pub(super) const LONGEST_KEY: usize = 256;

/// The columns of a result.
#[derive(Clone, Copy)]
pub(crate) struct Labels<'a> {
    columns: &'a [ColumnInfo],
    /// One for each column, where there is a plan.
    origins: &'a [Option<Origin>],
}

/// A row of a result.
pub(crate) struct RowLabel {
    number: u64,
    /// Empty where it is not known.
    key: String,
}

impl<'a> Labels<'a> {
    /// Of columns that no plan tells of.
    pub(crate) fn of(columns: &'a [ColumnInfo]) -> Self {
        Self { columns, origins: &[] }
    }

    pub(crate) fn of_step(step: &'a Step) -> Self {
        Self { columns: &step.columns, origins: &step.origins }
    }

    /// A row by its number, and by its key where the plan tells which columns that is. `read` adds the
    /// row's value in a column.
    pub(crate) fn row(
        self,
        number: u64,
        read: impl Fn(usize, &mut Scalars) -> Result<(), Fault>,
    ) -> RowLabel {
        let columns = self.columns.iter().zip(self.origins).enumerate();
        let parts = columns.filter_map(|(index, (info, origin))| {
            let column = &origin.as_ref().filter(|it| it.key)?.column;
            Some((index, info.kind, column))
        });
        let key = parts.map(|(index, kind, column)| {
            let (mut value, mut text) = (Scalars::with_kind(kind), String::new());
            read(index, &mut value).ok().filter(|()| !value.is_null(0))?;
            array::write_json(&value, 0, value.len(), &mut text).ok()?;
            Some(format!("`{column}` is {}", text.trim_matches(['[', ']'])))
        });
        let key: Option<Vec<_>> = key.collect();
        RowLabel { number, key: key.unwrap_or_default().join(", ") }
    }

    /// What is wrong with a column, or with its value in a row. The plan tells the table and the column
    /// that it is of, or the database, as far as it has `found` them.
    pub(crate) fn fault(
        self,
        row: Option<RowLabel>,
        found: Option<(String, String)>,
        (index, fault): Unreadable,
    ) -> Error {
        let info = self.columns.get(index);
        let path = info.map(|it| it.path.join(".")).unwrap_or_default();
        let error = match row {
            Some(row) => fault.at(format_args!("the value of column `{path}` in row {row}")),
            None => fault.at(format_args!("column `{path}`")),
        };
        let planned = self.origins.get(index).and_then(Option::as_ref);
        match planned.map(|it| (it.table.clone(), it.column.clone())).or(found) {
            Some((table, column)) => Error { table: Some(table), column: Some(column), ..error },
            None => Error { column: info.and_then(|it| it.path.last().cloned()), ..error },
        }
    }
}

impl fmt::Display for RowLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => write!(f, "{}", self.number),
            key => write!(f, "{}, whose {key},", self.number),
        }
    }
}
