//! Reads rows of PostgreSQL into columns.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ferro_wit::types::{ColumnInfo, Error, ErrorKind};
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, Stream, TryStreamExt};
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArguments, PgColumn, PgQueryResult, PgRow, PgTypeInfo};
use sqlx::{AssertSqlSafe, Column, Either, Executor as _, Row, TypeInfo, ValueRef};
use tokio::task::yield_now;

use super::labels::{LONGEST_KEY, Labels};
use super::{Event, ExpectedColumn, MOST_BYTES, PlannedStep, Unreadable, admit, end, out_of_turn};
use crate::column::BatchBuilder;
use crate::lease::Connection;
use crate::run::statement_connection::{Ending, StatementConnection};
use crate::value::postgres::Wire;
use crate::value::{Expected, Fault, array, postgres};
use crate::vigil::Vigil;

/// After reading this much, counting `ROW` bytes for each row, other operations have their turn: a
/// server may send rows as fast as they are read.
const TURN: usize = 256 << 10;
const ROW: usize = 512;

/// A statement to send. With `keep`, it is prepared once per connection.
pub(crate) struct Request {
    pub(crate) sql: String,
    pub(crate) arguments: PgArguments,
    pub(crate) keep: bool,
    /// The maximum size of a row in bytes.
    pub(crate) most: usize,
}

/// How the rows of a statement become columns.
pub(crate) trait Reader: Send + 'static {
    /// Inspects the first row.
    fn look(&mut self, row: &PgRow) -> Result<(), Error>;
    /// The columns that were found, if there is no plan that has them.
    fn found(&self) -> Option<Vec<ColumnInfo>>;
    /// The columns.
    fn columns(&self) -> &[ColumnInfo];
    /// A builder for the rows.
    fn batch(&self) -> BatchBuilder {
        BatchBuilder::new(self.columns())
    }
    /// The names of columns and rows in errors.
    fn labels(&self) -> Labels<'_>;
    /// The format in which the server sends each column.
    fn wires(&self) -> &[Wire];
}

/// The rows as they arrive from SQLx, and finally their number.
type Answers<'c> = BoxStream<'c, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>;

/// The stream owns the connection while it reads from it, without a task. If it is dropped halfway,
/// [`StatementConnection`] decides what happens to the connection.
pub(crate) fn events<R: Reader>(
    connection: StatementConnection,
    Request { sql, arguments, keep, most }: Request,
    mut reader: R,
    wanted: Arc<AtomicU32>,
) -> impl Stream<Item = Result<Event, Error>> + Send + 'static {
    async_stream::stream! {
        let mut connection = connection;
        let mut last = None;
        let ending = 'rows: {
            let (Connection::Postgres(backend), answering) = connection.begin() else {
                break 'rows Ending::Refused(out_of_turn());
            };
            let (inner, vigil) = backend.parts();
            let query = sqlx::query_with(AssertSqlSafe(sql.as_str()), arguments).persistent(keep);
            let mut answers: Answers<'_> = inner.fetch_many(query);
            let mut next = match next_row(&mut answers, vigil, &sql).await {
                Ok(row) => row,
                Err(error) => break 'rows Ending::Failed(error),
            };
            *answering = true;
            if let Some(row) = &next
                && let Err(error) = reader.look(row)
            {
                break 'rows Ending::Abandoned(error);
            }
            let mut batch = reader.batch();
            yield Ok(Event::Columns(reader.found()));
            let (mut passed, mut taken) = (0, 0);
            while let Some(row) = next {
                let missing = || (0, Fault::undecodable("is missing"));
                let before = batch.bytes();
                let added = guarded(|| read(&row, reader.wires(), most, &mut batch), missing);
                if let Err(unreadable) = added {
                    let number = passed + u64::from(batch.rows()) + 1;
                    let label = reader.labels().row(number, |column, value| {
                        let key = || {
                            let bytes = stored(&row, column)?;
                            let bytes = bytes.ok_or_else(|| Fault::undecodable("is null"))?;
                            admit(bytes.len(), LONGEST_KEY)?;
                            postgres::read(bytes, reader.wires()[column], value)
                        };
                        guarded(key, || Fault::undecodable("is missing"))
                    });
                    let found = origin(&row, unreadable.0);
                    let error = reader.labels().fault(Some(label), found, unreadable);
                    break 'rows Ending::Abandoned(error);
                }
                taken += ROW + (batch.bytes() - before);
                if taken >= TURN {
                    taken = 0;
                    yield_now().await;
                }
                let full = batch.rows() >= wanted.load(Ordering::Relaxed)
                    || batch.bytes() >= MOST_BYTES;
                // The end has often arrived already. The connection is then returned with these
                // rows, and not at the next call, which may never come.
                let read = match full {
                    true => match next_row(&mut answers, vigil, &sql).now_or_never() {
                        Some(Ok(None)) => break,
                        peeked => {
                            passed += u64::from(batch.rows());
                            yield Ok(Event::Batch(batch.split()));
                            match peeked {
                                Some(read) => read,
                                None => next_row(&mut answers, vigil, &sql).await,
                            }
                        }
                    },
                    false => next_row(&mut answers, vigil, &sql).await,
                };
                next = match read {
                    Ok(row) => row,
                    Err(error) => break 'rows Ending::Failed(error),
                };
            }
            if batch.rows() > 0 {
                last = Some(batch.finish());
            }
            Ending::Complete
        };
        for event in end(connection, ending, last).await {
            yield event;
        }
    }
}

async fn next_row(
    answers: &mut Answers<'_>,
    vigil: &Vigil,
    sql: &str,
) -> Result<Option<PgRow>, sqlx::Error> {
    loop {
        match vigil.over(sql, pin!(answers.try_next())).await? {
            Some(Either::Right(row)) => return Ok(Some(row)),
            Some(Either::Left(_)) => {}
            None => return Ok(None),
        }
    }
}

/// The table and column that a result column comes from. The row contains them; they are only
/// looked up for errors.
fn origin(row: &PgRow, column: usize) -> Option<(String, String)> {
    let origin = row.columns().get(column)?.origin();
    let origin = origin.table_column()?;
    Some((origin.table.to_string(), origin.name.to_string()))
}

/// Reads the columns of a plan. The format of each is known from the first row.
pub(crate) struct Planned {
    planned: PlannedStep,
    wires: Vec<Wire>,
}

impl Planned {
    pub(crate) fn new(planned: PlannedStep) -> Self {
        Self { planned, wires: Vec::new() }
    }
}

impl Reader for Planned {
    fn look(&mut self, row: &PgRow) -> Result<(), Error> {
        let planned = self.columns();
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
                    let unreadable = (index, mismatched(column.type_info(), expected));
                    return Err(self.labels().fault(None, origin(row, index), unreadable));
                }
            }
        }
        self.wires = wires;
        Ok(())
    }

    fn found(&self) -> Option<Vec<ColumnInfo>> {
        None
    }

    fn columns(&self) -> &[ColumnInfo] {
        &self.planned.step().columns
    }

    fn labels(&self) -> Labels<'_> {
        self.planned.labels()
    }

    fn wires(&self) -> &[Wire] {
        &self.wires
    }
}

/// Reads the columns that the prepared statement reports.
pub(crate) struct Described {
    columns: Vec<ColumnInfo>,
    wires: Vec<Wire>,
    /// The columns that the caller expects, if it said so.
    expected: Option<PlannedStep>,
}

impl Described {
    /// Rejects columns of unreadable types, and columns that differ from the expected ones.
    pub(crate) fn new(
        found: &[PgColumn],
        expected: Option<&[ExpectedColumn]>,
    ) -> Result<Self, Error> {
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
        let Some(expected) = expected else {
            return Ok(Self { columns, wires, expected: None });
        };
        let names: Vec<_> = found.iter().map(|it| it.name().to_owned()).collect();
        let expected = PlannedStep::of_text(expected, &names)?;
        let infos = expected.step().columns.iter().zip(&columns).zip(found);
        for (index, ((info, given), column)) in infos.enumerate() {
            // Scalar types are checked when a value arrives. A null may have any type, and an
            // untyped null is reported as text.
            let may_be_null = matches!(column.type_info().oid(), Some(Oid(25 | 705)));
            if info.many != given.many && !(info.many && may_be_null) {
                let wanted = Expected { kind: info.kind, many: info.many };
                let fault = mismatched(column.type_info(), wanted);
                return Err(expected.labels().fault(None, None, (index, fault)));
            }
        }
        Ok(Self { columns, wires, expected: Some(expected) })
    }

    pub(crate) fn expected(&self) -> Option<&PlannedStep> {
        self.expected.as_ref()
    }
}

impl Reader for Described {
    fn look(&mut self, _: &PgRow) -> Result<(), Error> {
        Ok(())
    }

    fn found(&self) -> Option<Vec<ColumnInfo>> {
        Some(self.columns.clone())
    }

    fn columns(&self) -> &[ColumnInfo] {
        self.expected.as_ref().map_or(&self.columns, |it| &it.step().columns)
    }

    fn batch(&self) -> BatchBuilder {
        match self.expected {
            None => BatchBuilder::new(self.columns()),
            Some(_) => BatchBuilder::of_text(self.columns()),
        }
    }

    fn labels(&self) -> Labels<'_> {
        self.expected.as_ref().map_or(Labels::of(&self.columns), PlannedStep::labels)
    }

    fn wires(&self) -> &[Wire] {
        &self.wires
    }
}

/// Adds a row; on failure, returns the column of the fault.
fn read(
    row: &PgRow,
    wires: &[Wire],
    most: usize,
    batch: &mut BatchBuilder,
) -> Result<(), Unreadable> {
    let mut size = 0;
    for (index, (column, wire)) in batch.columns().iter_mut().zip(wires).enumerate() {
        let Some(bytes) = stored(row, index).map_err(|fault| (index, fault))? else {
            column.push_null().map_err(|fault| (index, fault))?;
            continue;
        };
        let many = column.is_array();
        size += bytes.len();
        if many && column.may_be_computed() {
            let given = row.columns().get(index).map(Column::type_info);
            if let Some(given) = given.filter(|it| Wire::of(it).is_none_or(|(_, many)| !many)) {
                return Err((index, mismatched(given, column.expected())));
            }
        }
        let pushed = admit(size, most).and_then(|()| {
            column.push(|items| match many {
                true => array::read_binary(bytes, *wire, items),
                false => postgres::read(bytes, *wire, items),
            })
        });
        pushed.map_err(|fault| (index, fault))?;
    }
    batch.end_row(size);
    Ok(())
}

/// Runs `read` on a row, guarding against SQLx, which panics if a row has fewer values than its
/// statement has columns.
fn guarded<T, E>(read: impl FnOnce() -> Result<T, E>, missing: impl FnOnce() -> E) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(missing()))
}

/// A value as the server sent it; `None` for null.
fn stored(row: &PgRow, column: usize) -> Result<Option<&[u8]>, Fault> {
    let missing = || Fault::undecodable("is missing");
    // Only borrowed: a move copies it at once, and waits for each part that was just written. That was
    // a sixth of what reading rows takes.
    match &row.try_get_raw(column) {
        Ok(value) if value.is_null() => Ok(None),
        Ok(value) => value.as_bytes().map(Some).map_err(|_| missing()),
        Err(_) => Err(missing()),
    }
}

fn mismatched(given: &PgTypeInfo, expected: Expected) -> Fault {
    let given = given.name();
    Fault::undecodable(format!("is of type `{given}`, where `{expected}` is expected"))
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
