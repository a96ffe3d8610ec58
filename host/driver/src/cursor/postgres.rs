//! From rows of PostgreSQL to columns.

use ferro_wit::types::{ColumnInfo, Error, ErrorKind};
use sqlx::postgres::{PgArguments, PgColumn, PgRow};
use sqlx::{AssertSqlSafe, Column, Postgres, Row, TypeInfo, ValueRef};

use super::{Answers, Reader, Unreadable, decode_error};
use crate::column::BatchBuilder;
use crate::lease::Raw;
use crate::value::postgres::Wire;
use crate::value::{Expected, Fault, array, postgres};

/// Sends a statement. One that is `cached` is prepared once for each connection.
pub(crate) fn open(
    sql: String,
    arguments: PgArguments,
    cached: bool,
) -> impl for<'c> FnOnce(&'c mut Raw) -> Result<Answers<'c, Postgres>, Error> + Send + 'static {
    move |raw| match raw {
        Raw::Postgres(connection) => Ok(sqlx::query_with(AssertSqlSafe(sql), arguments)
            .persistent(cached)
            .fetch(&mut **connection)),
        Raw::Sqlite(_) => Err(super::out_of_turn()),
    }
}

/// Reads the columns that a plan tells of. How the server writes them is seen from the first row.
pub(crate) struct Planned {
    planned: super::Planned,
    wires: Vec<Wire>,
}

impl Planned {
    pub(crate) fn new(planned: super::Planned) -> Self {
        Self { planned, wires: Vec::new() }
    }

    fn columns(&self) -> &[ColumnInfo] {
        &self.planned.step().columns
    }
}

impl Reader<Postgres> for Planned {
    fn look(&mut self, row: &PgRow) -> Result<bool, Error> {
        let planned = Self::columns(self);
        if row.len() != planned.len() {
            let (expected, given) = (planned.len(), row.len());
            let message = format!("the plan has {expected} columns, but the statement {given}");
            return Err(Error::new(ErrorKind::DecodeFailed, message));
        }
        let mut wires = Vec::with_capacity(planned.len());
        for (index, (info, column)) in planned.iter().zip(row.columns()).enumerate() {
            let expected = Expected { kind: info.kind, many: info.many };
            match Wire::of(column.type_info()) {
                Some((wire, many)) if wire.kind() == info.kind && many == info.many => {
                    wires.push(wire);
                }
                _ => {
                    let given = column.type_info().name();
                    let predicate = format!("is of type `{given}`, where `{expected}` is expected");
                    let unreadable = (index, Fault::undecodable(predicate));
                    return Err(decode_error(planned, row, None, unreadable));
                }
            }
        }
        self.wires = wires;
        Ok(true)
    }

    fn columns(&mut self) -> (BatchBuilder, Option<Vec<ColumnInfo>>) {
        (BatchBuilder::new(Self::columns(self)), None)
    }

    fn described(&self) -> &[ColumnInfo] {
        Self::columns(self)
    }

    fn read(&mut self, row: &PgRow, batch: &mut BatchBuilder) -> Result<(), Unreadable> {
        read(row, &self.wires, batch)
    }
}

/// Reads the columns that the prepared statement tells of.
pub(crate) struct Described {
    columns: Vec<ColumnInfo>,
    wires: Vec<Wire>,
}

impl Described {
    /// Refuses columns of types that cannot be read.
    pub(crate) fn new(found: &[PgColumn]) -> Result<Self, Error> {
        let mut columns = Vec::with_capacity(found.len());
        let mut wires = Vec::with_capacity(found.len());
        for column in found {
            let (wire, many) = Wire::of(column.type_info()).ok_or_else(|| unsupported(column))?;
            wires.push(wire);
            columns.push(ColumnInfo {
                path: vec![column.name().to_owned()],
                kind: wire.kind(),
                many,
                nullable: true,
            });
        }
        Ok(Self { columns, wires })
    }
}

impl Reader<Postgres> for Described {
    fn look(&mut self, _: &PgRow) -> Result<bool, Error> {
        Ok(true)
    }

    fn columns(&mut self) -> (BatchBuilder, Option<Vec<ColumnInfo>>) {
        (BatchBuilder::new(&self.columns), Some(self.columns.clone()))
    }

    fn described(&self) -> &[ColumnInfo] {
        &self.columns
    }

    fn read(&mut self, row: &PgRow, batch: &mut BatchBuilder) -> Result<(), Unreadable> {
        read(row, &self.wires, batch)
    }
}

/// Adds a row; in case of a fault, in which column.
fn read(row: &PgRow, wires: &[Wire], batch: &mut BatchBuilder) -> Result<(), Unreadable> {
    for (index, (column, wire)) in batch.columns().iter_mut().zip(wires).enumerate() {
        let value =
            row.try_get_raw(index).map_err(|_| (index, Fault::undecodable("is missing")))?;
        if value.is_null() {
            column.push_null();
            continue;
        }
        let many = column.is_array();
        let bytes = value.as_bytes().map_err(|_| (index, Fault::undecodable("is missing")))?;
        let pushed = column.push(|items| match many {
            true => array::read_binary(bytes, *wire, items),
            false => postgres::read(bytes, *wire, items),
        });
        pushed.map_err(|fault| (index, fault))?;
    }
    batch.end_row();
    Ok(())
}

fn unsupported(column: &PgColumn) -> Error {
    let (name, type_name) = (column.name(), column.type_info().name());
    Error {
        column: Some(name.to_owned()),
        ..Error::new(
            ErrorKind::Unsupported,
            format!(
                "column `{name}` is of type `{type_name}`, which cannot be read: cast it to text"
            ),
        )
    }
}
