//! Writes many rows as a stream, with PostgreSQL's `COPY`.
//!
//! It is faster than `INSERT`, but not suitable for every table: it ignores rules and row-level
//! security, takes numbers only in the width of their column, and a trigger that raises a notice
//! for each row would block until we read, while we write. So the catalog is asked first. Tables
//! that are not suitable get arrays, and so do values that would fail, since the array statement
//! reports their errors.

use std::pin::pin;

use ferro_wit::plan::{Binding, Bulk, Step};
use ferro_wit::types::{Batch, Column, Elements, Error};
use sqlx::Connection as _;
use sqlx::postgres::types::Oid;
use tokio::task::yield_now;

use super::binds::{self, row};
use super::keys::Keys;
use super::statement_connection::StatementConnection;
use super::{Execution, Need, Target, may_repeat, run_once, sql_of};
use crate::lease::Connection;
use crate::value::postgres::{Wire, write_as};
use crate::value::{Cell, Expected, Operand, array};

/// From this number of rows on, a stream is faster, even if its end waits 40 ms for an
/// acknowledgement, since Nagle's algorithm could not be turned off: a server takes about as long
/// for this many rows. With that wait, a stream of 500 rows took ten times as long as
/// arrays, and one of 5,000 took between half as long and as long.
pub(super) const LEAST_ROWS: u32 = 10_000;
/// How many bytes are sent at once.
const CHUNK: usize = 64 << 10;
/// After how many values that are checked others may run.
const CHECKED: usize = 1_000;

/// The storage types of a table's columns, if `COPY` writes to it with the same effect as `INSERT`.
/// Functions and operators are qualified, since the caller may have created others with the same
/// names.
const COLUMNS: &str = "\
SELECT a.attname::pg_catalog.text AS name, CASE t.typtype WHEN 'd' THEN t.typbasetype \
WHEN 'e' THEN 25::pg_catalog.oid ELSE t.oid END AS type FROM pg_catalog.pg_class AS c \
JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) c.oid \
JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) a.atttypid \
WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1) \
AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p}') AND NOT c.relrowsecurity \
AND NOT c.relhasrules AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger AS g \
WHERE NOT g.tgisinternal AND (g.tgrelid OPERATOR(pg_catalog.=) c.oid \
OR g.tgrelid OPERATOR(pg_catalog.=) ANY (SELECT p.relid::pg_catalog.oid \
FROM pg_catalog.pg_partition_tree(c.oid) AS p))) \
AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped \
AND a.attidentity OPERATOR(pg_catalog.<>) 'a' AND a.attgenerated OPERATOR(pg_catalog.=) ''";
/// The first version whose catalog has all of these columns.
const LEAST_VERSION: u32 = 12_00_00;

/// Writes the rows of an execution that has only this step; returns how many were written.
pub(super) async fn write(
    target: Target<'_>,
    execution: &Execution,
    step: &Step,
    bulk: &Bulk,
) -> Result<u64, Error> {
    // The query also tests the connection, and can be repeated.
    let (mut connection, wires) = match ask(target, bulk, Need::Any).await {
        Err(error) if may_repeat(target, &error, Need::Any) => {
            ask(target, bulk, Need::Live).await?
        }
        found => found?,
    };
    let stream = wires.and_then(|it| Stream::of(execution, bulk, &it));
    if let Some(stream) = stream
        && stream.fits().await
    {
        let watch = connection.watch(&bulk.sql);
        let sent = send(&mut connection, &bulk.sql, &stream).await;
        return watch.changed(match sent {
            Ok(written) => connection.complete().await.map(|()| written),
            Err(error) => Err(connection.fail(error).await),
        });
    }
    let keys = Keys::default();
    match binds::of_step(step, execution, &keys, target.dialect(), 0) {
        Ok(arguments) => {
            let watch = connection.watch(&step.sql);
            watch.changed(run_once(connection, &sql_of(step, target), arguments, true).await)
        }
        Err(error) => {
            connection.rest().await;
            Err(error)
        }
    }
}

/// Asks for the types of the columns; returns a connection that has just answered, or `None` if
/// rows cannot be streamed into the table.
async fn ask(
    target: Target<'_>,
    bulk: &Bulk,
    need: Need,
) -> Result<(StatementConnection, Option<Vec<Wire>>), Error> {
    let mut connection = target.connection(need).await?;
    let found = wires(&mut connection, bulk).await;
    match found {
        Ok(wires) => Ok((connection, wires)),
        Err(error) => Err(connection.fail(error).await),
    }
}

async fn wires(
    connection: &mut StatementConnection,
    bulk: &Bulk,
) -> Result<Option<Vec<Wire>>, sqlx::Error> {
    let keep = connection.keeps_statements();
    let Connection::Postgres(backend) = connection.begin().0 else { return Ok(None) };
    let (inner, vigil) = backend.parts();
    if inner.server_version_num().is_none_or(|it| it < LEAST_VERSION) {
        return vigil.over(COLUMNS, pin!(inner.ping())).await.map(|()| None);
    }
    let query = sqlx::query_as(COLUMNS).persistent(keep).bind(&bulk.table);
    let found: Vec<(String, Oid)> = vigil.over(COLUMNS, pin!(query.fetch_all(inner))).await?;
    let wire = |column: &String| {
        let (_, oid) = found.iter().find(|(name, _)| name == column)?;
        Wire::stored(*oid)
    };
    Ok(bulk.columns.iter().map(wire).collect())
}

/// Sends all rows; returns how many the server wrote.
async fn send(
    connection: &mut StatementConnection,
    sql: &str,
    stream: &Stream<'_>,
) -> Result<u64, sqlx::Error> {
    let Connection::Postgres(backend) = connection.begin().0 else { return Ok(0) };
    let (inner, vigil) = backend.parts();
    let mut copy = vigil.over(sql, pin!(inner.copy_in_raw(sql))).await?;
    let mut chunk = Vec::with_capacity(2 * CHUNK);
    chunk.extend_from_slice(HEADER);
    for index in 0..stream.rows {
        stream.write(index, &mut chunk).map_err(|Unfit| {
            sqlx::Error::Encode("a value was found to fit its column, and cannot be written".into())
        })?;
        if chunk.len() >= CHUNK {
            vigil.over(sql, pin!(copy.send(chunk.as_slice()))).await?;
            chunk.clear();
        }
    }
    chunk.extend_from_slice(&END);
    vigil.over(sql, pin!(copy.send(chunk))).await?;
    vigil.over(sql, pin!(copy.finish())).await
}

/// The signature, then no flags and no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Replaces the number of values after the last row.
const END: [u8; 2] = (-1_i16).to_be_bytes();

/// The rows of a batch to stream.
struct Stream<'a> {
    rows: usize,
    fields: Vec<Field<'a>>,
}

/// The value of a column of the table.
struct Field<'a> {
    source: Source<'a>,
    expected: Expected,
    wire: Wire,
}

enum Source<'a> {
    /// Each row has its own value.
    Column(&'a Column),
    /// All rows have the same value.
    Value(Operand<'a>),
}

/// An error: a value cannot be written.
struct Unfit;

impl<'a> Stream<'a> {
    /// `None` if the plan, the batch and the table do not fit together.
    fn of(execution: &'a Execution, bulk: &'a Bulk, wires: &[Wire]) -> Option<Self> {
        let Batch { rows, columns } = execution.rows.as_ref()?;
        if wires.len() != bulk.values.len() {
            return None;
        }
        let field = |(bind, wire): (&'a ferro_wit::plan::Bind, &Wire)| {
            let source = match &bind.source {
                Binding::Column(number) => Source::Column(columns.get(*number as usize)?),
                Binding::Parameter(number) => {
                    Source::value(execution.parameters.get(*number as usize)?)
                }
                Binding::Forced(number) => Source::value(execution.forced.get(*number as usize)?),
                Binding::Constant(value) => Source::value(value),
                Binding::Keys(_) => return None,
            };
            let expected = Expected { kind: bind.kind, many: bind.many };
            (wire.kind() == bind.kind).then_some(Field { source, expected, wire: *wire })
        };
        let fields = bulk.values.iter().zip(wires).map(field).collect::<Option<_>>()?;
        Some(Self { rows: *rows as usize, fields })
    }

    /// Whether all values can be written. Checked first, as the outcome of an aborted stream is
    /// unknown.
    async fn fits(&self) -> bool {
        let mut scratch = Vec::new();
        for field in &self.fields {
            let rows = match &field.source {
                Source::Value(_) => 1,
                Source::Column(column) if is_harmless(column, field.wire) => 0,
                Source::Column(_) => self.rows,
            };
            for index in 0..rows {
                if index % CHECKED == CHECKED - 1 {
                    yield_now().await;
                }
                scratch.clear();
                if field.write(index, &mut scratch).is_err() {
                    return false;
                }
            }
        }
        i16::try_from(self.fields.len()).is_ok()
    }

    fn write(&self, index: usize, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let count = i16::try_from(self.fields.len()).map_err(|_| Unfit)?;
        out.extend_from_slice(&count.to_be_bytes());
        self.fields.iter().try_for_each(|it| it.write(index, out))
    }
}

impl<'a> Source<'a> {
    fn value(value: &'a ferro_wit::types::Value) -> Self {
        Self::Value(Operand::of(value))
    }
}

impl Field<'_> {
    /// Appends the value of a row, after its length.
    fn write(&self, index: usize, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let operand = match self.source {
            Source::Column(column) => row(column, index).ok_or(Unfit)?,
            Source::Value(operand) => operand,
        };
        operand.check(self.expected).map_err(|_| Unfit)?;
        let place = out.len();
        out.extend_from_slice(&NULL);
        let written = match operand {
            Operand::Scalar(Cell::Null) => return Ok(()),
            Operand::Scalar(cell) => write_as(cell, self.wire, out),
            Operand::Array(items, start, end) => {
                array::write_binary(items, start, end, self.expected.kind, out)
            }
        };
        written.map_err(|_| Unfit)?;
        let length = i32::try_from(out.len() - place - NULL.len()).map_err(|_| Unfit)?;
        out[place..place + NULL.len()].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }
}

/// Stands for a null in place of the length.
const NULL: [u8; 4] = (-1_i32).to_be_bytes();

/// Whether every value of a column is known to be valid without looking at each.
fn is_harmless(column: &Column, wire: Wire) -> bool {
    let Column::Scalars(items) = column else { return false };
    match (&items.elements, wire) {
        (Elements::Text(texts), Wire::Text) => !texts.data.contains('\0'),
        (Elements::Integer(_), Wire::Int8)
        | (Elements::Float(_), Wire::Float8)
        | (Elements::Boolean(_) | Elements::Uuid(_), _) => true,
        _ => false,
    }
}
