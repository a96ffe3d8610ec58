//! Writing many rows as a stream, with PostgreSQL's `COPY`.
//!
//! It skips what an `INSERT` does for each row, but it is not for every table: it knows nothing of
//! rules and row-level security, takes numbers in the width of their column only, and a trigger that
//! says something for each row would wait for us to listen while we write. So the catalog is asked
//! first; what it cannot do goes as arrays, and so does what would fail, for there are its errors.

use std::pin::pin;

use ferro_wit::plan::{Binding, Bulk, Step};
use ferro_wit::types::{Batch, Column, Elements, Error};
use sqlx::Connection as _;
use sqlx::postgres::types::Oid;

use super::binds::{self, row};
use super::keys::Keys;
use super::statement_connection::StatementConnection;
use super::{Execution, Need, Target, may_repeat, run_once, sql_of};
use crate::lease::Connection;
use crate::value::postgres::{Wire, write_as};
use crate::value::{Cell, Expected, Operand, array};

/// From here on a stream is faster, also where its end has to wait 40 ms for a sign that the last rows
/// arrived, since the system does not let us turn Nagle's algorithm off: a server takes that long for
/// so many rows. With that wait, a stream of 500 rows took ten times as long as arrays, and one of
/// 5,000 from half as long to as long.
pub(super) const LEAST_ROWS: u32 = 10_000;
/// How many bytes are sent at a time.
const CHUNK: usize = 64 << 10;

/// What the columns of a table are stored as where it takes a stream in the way of an `INSERT`.
/// Functions and operators are qualified: the caller may have made some of the same name.
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
/// The first version whose catalog says all of that.
const LEAST_VERSION: u32 = 12_00_00;

/// Writes the rows of an execution whose only step is this one; how many were written.
pub(super) async fn write(
    target: Target<'_>,
    execution: &Execution,
    step: &Step,
    bulk: &Bulk,
) -> Result<u64, Error> {
    // The question is a sign of life, and can be asked again.
    let (mut connection, wires) = match ask(target, bulk, Need::Any).await {
        Err(error) if may_repeat(target, &error, Need::Any) => {
            ask(target, bulk, Need::Live).await?
        }
        found => found?,
    };
    let stream = wires.and_then(|it| Stream::of(execution, bulk, &it)).filter(Stream::fits);
    if let Some(stream) = stream {
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

/// A connection that has just answered how the columns of a stream are written; none where rows cannot
/// go as a stream.
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

/// Sends all rows; how many the server has written.
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

/// The signature, no flags, and no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Instead of a number of values.
const END: [u8; 2] = (-1_i16).to_be_bytes();

/// The rows of a batch on their way.
struct Stream<'a> {
    rows: usize,
    fields: Vec<Field<'a>>,
}

/// What a column of the table gets.
struct Field<'a> {
    source: Source<'a>,
    expected: Expected,
    wire: Wire,
}

enum Source<'a> {
    /// Each row has its own value.
    Column(&'a Column),
    /// All rows have the same.
    Value(Operand<'a>),
}

/// A value that cannot be written.
struct Unfit;

impl<'a> Stream<'a> {
    /// None if something does not belong together.
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

    /// Whether all values can be written. Nothing is known of a stream that broke off halfway.
    fn fits(&self) -> bool {
        let mut scratch = Vec::new();
        let mut fits = |field: &Field<'_>, index| {
            scratch.clear();
            field.write(index, &mut scratch).is_ok()
        };
        i16::try_from(self.fields.len()).is_ok()
            && self.fields.iter().all(|field| match &field.source {
                Source::Value(_) => fits(field, 0),
                Source::Column(column) if is_harmless(column, field.wire) => true,
                Source::Column(_) => (0..self.rows).all(|index| fits(field, index)),
            })
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
    /// Appends the value of a row behind its length.
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

/// Instead of a length.
const NULL: [u8; 4] = (-1_i32).to_be_bytes();

/// Whether every value of a column can be written, as is seen without looking at each.
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
