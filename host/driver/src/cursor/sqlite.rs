//! From rows of SQLite, as SQLx hands them over, to columns.

use ferro_wit::types::{ColumnInfo, Error, ScalarType};
use sqlx::sqlite::{SqliteArguments, SqliteRow, SqliteValueRef};
use sqlx::{AssertSqlSafe, Decode, Row, Sqlite, TypeInfo, ValueRef};

use super::{Answers, Reader, Unreadable};
use crate::column::BatchBuilder;
use crate::lease::Raw;
use crate::value::sqlite::Stored;
use crate::value::{Fault, array, sqlite};

/// Sends a statement. One that is `cached` is prepared once for each connection.
pub(crate) fn open(
    sql: String,
    arguments: SqliteArguments,
    cached: bool,
) -> impl for<'c> FnOnce(&'c mut Raw) -> Result<Answers<'c, Sqlite>, Error> + Send + 'static {
    move |raw| match raw {
        Raw::Sqlite(connection) => Ok(sqlx::query_with(AssertSqlSafe(sql), arguments)
            .persistent(cached)
            .fetch(&mut **connection)),
        Raw::Postgres(_) => Err(super::out_of_turn()),
    }
}

/// Reads the columns that a plan tells of.
pub(crate) struct Planned(pub(crate) super::Planned);

impl Planned {
    fn columns(&self) -> &[ColumnInfo] {
        &self.0.step().columns
    }
}

impl Reader<Sqlite> for Planned {
    fn look(&mut self, _: &SqliteRow) -> Result<bool, Error> {
        Ok(true)
    }

    fn columns(&mut self) -> (BatchBuilder, Option<Vec<ColumnInfo>>) {
        (BatchBuilder::new(Self::columns(self)), None)
    }

    fn described(&self) -> &[ColumnInfo] {
        Self::columns(self)
    }

    fn read(&mut self, row: &SqliteRow, batch: &mut BatchBuilder) -> Result<(), Unreadable> {
        read(row, batch)
    }
}

/// A column of which the statement tells.
pub(crate) struct Found {
    pub(crate) name: String,
    /// None: the first value that is not null tells.
    pub(crate) kind: Option<ScalarType>,
}

/// Rows are looked at up to this size for kinds of columns.
const MOST_BYTES_AHEAD: usize = 1 << 20;

/// Reads columns whose kind may have to be found from their values.
pub(crate) struct Described {
    found: Vec<Found>,
    columns: Vec<ColumnInfo>,
    /// Of texts and blobs, in the rows that were looked at.
    bytes: usize,
}

impl Described {
    pub(crate) fn new(found: Vec<Found>) -> Self {
        Self { found, columns: Vec::new(), bytes: 0 }
    }
}

impl Reader<Sqlite> for Described {
    fn look(&mut self, row: &SqliteRow) -> Result<bool, Error> {
        for (index, column) in self.found.iter_mut().enumerate() {
            let stored = row.try_get_raw(index).ok().and_then(|value| stored(value).ok());
            self.bytes += match stored {
                Some(Stored::Text(it)) => it.len(),
                Some(Stored::Blob(it)) => it.len(),
                _ => 0,
            };
            column.kind = column.kind.or_else(|| stored.and_then(Stored::kind));
        }
        let enough = self.bytes >= MOST_BYTES_AHEAD;
        Ok(enough || self.found.iter().all(|it| it.kind.is_some()))
    }

    fn columns(&mut self) -> (BatchBuilder, Option<Vec<ColumnInfo>>) {
        let info = |it: &Found| ColumnInfo {
            path: vec![it.name.clone()],
            // Nothing but nulls so far.
            kind: it.kind.unwrap_or(ScalarType::Text),
            many: false,
            nullable: true,
        };
        self.columns = self.found.iter().map(info).collect();
        (BatchBuilder::new(&self.columns), Some(self.columns.clone()))
    }

    fn described(&self) -> &[ColumnInfo] {
        &self.columns
    }

    fn read(&mut self, row: &SqliteRow, batch: &mut BatchBuilder) -> Result<(), Unreadable> {
        read(row, batch)
    }
}

/// Adds a row; in case of a fault, in which column.
fn read(row: &SqliteRow, batch: &mut BatchBuilder) -> Result<(), Unreadable> {
    let expected = batch.columns().len();
    if row.len() != expected {
        let predicate = format!("is one of {expected}, but the statement returns {}", row.len());
        return Err((0, Fault::undecodable(predicate)));
    }
    for (index, column) in batch.columns().iter_mut().enumerate() {
        let value = row.try_get_raw(index).map_err(|_| Fault::undecodable("is missing"));
        let pushed = value.and_then(stored).and_then(|stored| match stored {
            Stored::Null => {
                column.push_null();
                Ok(())
            }
            Stored::Text(text) if column.is_array() => {
                column.push(|items| array::read_json(text, items))
            }
            _ if column.is_array() => Err(Fault::undecodable("is not stored as text")),
            stored => column.push(|items| sqlite::read(stored, items)),
        });
        pushed.map_err(|fault| (index, fault))?;
    }
    batch.end_row();
    Ok(())
}

fn stored(value: SqliteValueRef<'_>) -> Result<Stored<'_>, Fault> {
    if value.is_null() {
        return Ok(Stored::Null);
    }
    let class = value.type_info().name().as_bytes().first().copied();
    let stored = match class {
        Some(b'I') => Decode::<Sqlite>::decode(value).map(Stored::Integer),
        Some(b'R') => Decode::<Sqlite>::decode(value).map(Stored::Real),
        Some(b'T') => Decode::<Sqlite>::decode(value).map(Stored::Text),
        _ => Decode::<Sqlite>::decode(value).map(Stored::Blob),
    };
    stored.map_err(|fault| Fault::undecodable(format!("cannot be read: {fault}")))
}
