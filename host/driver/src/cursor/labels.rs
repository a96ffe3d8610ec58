//! Names of columns and rows of a result in errors.

use std::fmt;

use ferro_wit::plan::{Origin, Step};
use ferro_wit::types::{ColumnInfo, Error, Scalars};

use super::Unreadable;
use crate::value::{Fault, array};

/// Longer keys, in bytes, are not repeated in errors.
pub(super) const LONGEST_KEY: usize = 256;

/// The columns of a result.
#[derive(Clone, Copy)]
pub(crate) struct Labels<'a> {
    columns: &'a [ColumnInfo],
    /// One per column if there is a plan, else empty.
    origins: &'a [Option<Origin>],
}

/// A row of a result.
pub(crate) struct RowLabel {
    number: u64,
    /// Empty if unknown.
    key: String,
}

impl<'a> Labels<'a> {
    /// Labels for columns without a plan.
    pub(crate) fn of(columns: &'a [ColumnInfo]) -> Self {
        Self { columns, origins: &[] }
    }

    pub(crate) fn of_step(step: &'a Step) -> Self {
        Self { columns: &step.columns, origins: &step.origins }
    }

    /// Names a row by its number, and by its key if the plan says which columns that is. `read`
    /// appends the row's value in a column.
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

    /// The error for a column, or for its value in a row. Its table and column come from the plan,
    /// or else from the database if it has `found` them.
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
