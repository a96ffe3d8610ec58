//! Reads rows of SQLite directly into columns.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ferro_wit::types::{Batch, ColumnInfo, Error, ErrorKind, ScalarType};
use futures_util::Stream;

use super::labels::{LONGEST_KEY, Labels};
use super::{
    Columns, Cursor, Event, Events, ExpectedColumn, MOST_BYTES, PlannedStep, Unreadable, Wanted,
    admit, end, out_of_turn,
};
use crate::column::{BatchBuilder, ColumnBuilder};
use crate::lease::Connection;
use crate::run::statement_connection::{Ending, StatementConnection};
use crate::sqlite::{
    self as engine, Handle, Job, Lifetime, Phase, Progress, STRIDE, Stop, is_of_another_schema,
};
use crate::value::sqlite::{Bound, Stored};
use crate::value::{Fault, array, sqlite};

/// A statement to run. With `keep`, it is prepared once per connection.
pub(crate) struct Request<'a> {
    pub(crate) sql: &'a str,
    pub(crate) values: &'a [Bound<'a>],
    pub(crate) keep: bool,
    /// The maximum size of a row in bytes.
    pub(crate) most: usize,
    /// For SQL text: the columns that its caller expects, if it said so.
    pub(crate) expected: Option<Arc<[ExpectedColumn]>>,
}

/// Runs a statement up to its first row. If there is no other row and it came quickly, the
/// connection is returned at once, and nothing is left to stream.
pub(crate) async fn open(
    mut connection: StatementConnection,
    request: Request<'_>,
    planned: Option<PlannedStep>,
) -> Result<Cursor, Error> {
    let (rows, only) = match begin(&mut connection, request, planned).await {
        Ok(begun) => begun,
        Err(ending) => return Err(connection.end(ending).await.err().unwrap_or_else(out_of_turn)),
    };
    if rows.is_ended() {
        connection.end(Ending::Complete).await?;
        let columns = Columns::new(rows.planned, rows.found);
        return Ok(Cursor { ready: only.into_iter().collect(), ..Cursor::with_columns(columns) });
    }
    let columns = Columns::new(rows.planned.clone(), rows.found.clone());
    let transaction = connection.transaction();
    let events = Events::new(|wanted| events(connection, rows, wanted));
    let events = events.within(transaction.as_deref())?;
    Ok(Cursor { events: Some(events), ..Cursor::with_columns(columns) })
}

/// The rows, and all of them in a batch if it is known that there are no others; else how the
/// statement ended.
async fn begin(
    connection: &mut StatementConnection,
    Request { sql, values, keep, most, expected }: Request<'_>,
    planned: Option<PlannedStep>,
) -> Result<(Rows, Option<Batch>), Ending> {
    let (Connection::Sqlite(inner), answering) = connection.begin() else {
        return Err(Ending::Refused(out_of_turn()));
    };
    inner.open(sql, keep, Some(values)).await.map_err(Ending::Failed)?;
    let writes = inner.settle().await.map_err(Ending::Failed)?.writes();
    let (rows, read) = match expected {
        Some(expected) if writes => write(inner, (sql, values, most), &expected).await?,
        expected => {
            let rows = Rows { expected, ..Rows::new(planned, most) };
            inner.run(rows).await.map_err(Ending::Failed)?
        }
    };
    if rows.is_ended() && read.is_ok() {
        inner.close();
    } else {
        *answering = true;
    }
    Ok((rows, read.map_err(Ending::Abandoned)?))
}

/// How often a statement is prepared again because the schema has changed when it begins: as often
/// as SQLite itself does.
const MOST_SCHEMAS: u32 = 50;

/// Runs a statement up to its first row, when all its writes are done. Its columns are checked
/// before, and it only runs with the schema for which they were checked.
async fn write(
    inner: &mut engine::Connection,
    (sql, values, most): (&str, &[Bound<'_>], usize),
    expected: &Arc<[ExpectedColumn]>,
) -> Result<(Rows, <Rows as Job>::Output), Ending> {
    let (mut schemas, mut is_learned) = (0, false);
    loop {
        inner.open(sql, Lifetime::Fixed, Some(values)).await.map_err(Ending::Failed)?;
        let names = inner.settle().await.map_err(Ending::Failed)?.names();
        match PlannedStep::of_text(expected, &names) {
            Ok(_) => {
                let expected = Some(Arc::clone(expected));
                let rows = Rows { expected, ..Rows::new(None, most) };
                schemas += 1;
                match inner.run(rows).await {
                    Err(error) if schemas < MOST_SCHEMAS && is_of_another_schema(&error) => {}
                    ran => return ran.map_err(Ending::Failed),
                }
            }
            Err(error) if is_learned => {
                inner.close();
                return Err(Ending::Refused(error));
            }
            // The columns may be those of an outdated schema.
            Err(_) => {
                inner.learn_schema().await.map_err(Ending::Failed)?;
                is_learned = true;
            }
        }
    }
}

/// The stream owns the connection while it reads from it. If it is dropped halfway,
/// [`StatementConnection`] decides what happens to the connection.
fn events(
    connection: StatementConnection,
    rows: Rows,
    wanted: Wanted,
) -> impl Stream<Item = Result<Event, Error>> + Send + 'static {
    async_stream::stream! {
        let (mut connection, mut rows) = (connection, rows);
        let mut last = None;
        let ending = 'rows: {
            let (Connection::Sqlite(inner), _) = connection.begin() else {
                break 'rows Ending::Refused(out_of_turn());
            };
            loop {
                rows.wanted = Some(wanted.load(Ordering::Relaxed));
                let (batch, ended) = match inner.run(rows).await {
                    Ok((more, Ok(Some(batch)))) => {
                        let ended = more.is_ended();
                        rows = more;
                        (batch, ended)
                    }
                    Ok((_, Ok(None))) => break,
                    Ok((_, Err(error))) => break 'rows Ending::Abandoned(error),
                    Err(error) => break 'rows Ending::Failed(error),
                };
                if ended {
                    last = Some(batch);
                    break;
                }
                yield Ok(Event::Batch(batch));
            }
            inner.close();
            Ending::Complete
        };
        for event in end(connection, ending, last).await {
            yield event;
        }
    }
}

/// Reads the rows of a statement into columns.
struct Rows {
    /// `None` if the statement itself determines the columns, or if the expected ones have not been
    /// found in it yet.
    planned: Option<PlannedStep>,
    /// The columns that the statement must have; once found, they become `planned`.
    expected: Option<Arc<[ExpectedColumn]>>,
    /// The maximum size of a row in bytes.
    most: usize,
    /// The columns of the statement itself, once they are known.
    found: Vec<ColumnInfo>,
    /// `None` before the first row.
    batch: Option<BatchBuilder>,
    /// Rows that were read ahead to find the types of columns.
    ahead: VecDeque<Vec<Bound<'static>>>,
    /// The statement is at a row that has not been read.
    at_row: bool,
    /// The maximum number of rows of the next batch; `None` if no rows have been requested yet.
    wanted: Option<u32>,
    /// The number of rows handed out.
    given: u64,
    ended: bool,
    /// Why the first row cannot be read; reported when it is requested.
    unreadable: Option<Error>,
}

/// The maximum number and size of rows that are read ahead to find the types of columns.
const MOST_AHEAD: usize = 256;
const MOST_BYTES_AHEAD: usize = 1 << 20;

impl Job for Rows {
    /// `None` if there are no more rows, or if none were requested yet and there are several.
    type Output = Result<Option<Batch>, Error>;

    fn run(&mut self, handle: &mut Handle, progress: &Progress) -> Result<Self::Output, Stop> {
        if let Some(error) = self.unreadable.take() {
            return Ok(Err(error));
        }
        let mut batch = match self.batch.take() {
            Some(batch) => batch,
            None => {
                self.at_row = handle.step()?;
                self.ended = !self.at_row;
                if let Err(error) = self.find(handle)? {
                    return Ok(Err(error));
                }
                match self.expected {
                    None => BatchBuilder::new(self.columns()),
                    Some(_) => BatchBuilder::of_text(self.columns()),
                }
            }
        };
        let wanted = match self.wanted {
            Some(wanted) => wanted,
            // On the caller's thread, try whether there is only one row.
            None if progress.is_a_try() => 1,
            None => 0,
        };
        let filled = self.fill(handle, progress, &mut batch, wanted);
        let given = match filled {
            Ok(Ok(())) if self.wanted.is_none() && !self.is_ended() => Ok(None),
            Ok(Ok(())) => return Ok(Ok(self.give(batch))),
            Ok(Err(unreadable)) => {
                let number = self.given + u64::from(batch.rows()) + 1;
                let row = self.labels().row(number, |column, value| {
                    let stored = handle.value(column)?;
                    admit(stored.size(), LONGEST_KEY)?;
                    sqlite::read(stored, value)
                });
                let found = handle.origin(unreadable.0).map(|it| (it.table, it.column));
                let error = self.labels().fault(Some(row), found, unreadable);
                match self.wanted {
                    Some(_) => Err(error),
                    None => {
                        self.unreadable = Some(error);
                        Ok(None)
                    }
                }
            }
            Err(stop) => {
                self.batch = Some(batch);
                return Err(stop);
            }
        };
        self.batch = Some(batch);
        Ok(given)
    }

    fn phase(&self) -> Phase {
        match self.batch {
            None => Phase::First,
            Some(_) => Phase::Rest,
        }
    }

    fn can_restart(&self) -> bool {
        self.given == 0
    }

    fn restart(&mut self) {
        // A caller that requests rows has seen the columns.
        let is_told = self.wanted.is_some();
        let found = match is_told {
            true => std::mem::take(&mut self.found),
            false => Vec::new(),
        };
        let expected = self.expected.take();
        let planned = self.planned.take().filter(|_| is_told || expected.is_none());
        *self = Self { found, expected, wanted: self.wanted, ..Self::new(planned, self.most) };
    }
}

impl Rows {
    fn new(planned: Option<PlannedStep>, most: usize) -> Self {
        Self {
            planned,
            expected: None,
            most,
            found: Vec::new(),
            batch: None,
            ahead: VecDeque::new(),
            at_row: false,
            wanted: None,
            given: 0,
            ended: false,
            unreadable: None,
        }
    }

    fn columns(&self) -> &[ColumnInfo] {
        self.planned.as_ref().map_or(&self.found, |it| &it.step().columns)
    }

    fn labels(&self) -> Labels<'_> {
        self.planned.as_ref().map_or(Labels::of(&self.found), PlannedStep::labels)
    }

    /// Whether all rows have been handed out.
    fn is_ended(&self) -> bool {
        self.ended && self.ahead.is_empty() && self.unreadable.is_none()
    }

    /// Adds rows until the batch is full or there are no more.
    fn fill(
        &mut self,
        handle: &mut Handle,
        progress: &Progress,
        batch: &mut BatchBuilder,
        wanted: u32,
    ) -> Result<Result<(), Unreadable>, Stop> {
        let mut looked_at = batch.rows();
        loop {
            if batch.rows() >= wanted || batch.bytes() >= MOST_BYTES {
                // The end is often near. The connection is then returned with these rows, and not
                // at the next call, which may never come. If rows arrive slowly, the rows read so
                // far do not wait for another one.
                let is_near = progress.is_a_try() || batch.rows() >= STRIDE;
                if is_near && self.ahead.is_empty() && !self.at_row {
                    self.at_row = !self.ended && handle.step()?;
                    self.ended = !self.at_row;
                }
                return Ok(Ok(()));
            }
            if batch.rows() - looked_at >= STRIDE {
                looked_at = batch.rows();
                if progress.is_late() {
                    return Err(Stop::Late);
                }
            }
            if let Some(row) = self.ahead.pop_front() {
                if let Err(unreadable) = read(batch, self.most, |column| Ok(seen(&row, column))) {
                    return Ok(Err(unreadable));
                }
            } else {
                if !self.at_row {
                    self.at_row = !self.ended && handle.step()?;
                    self.ended = !self.at_row;
                }
                if self.ended {
                    return Ok(Ok(()));
                }
                if let Err(unreadable) = read(batch, self.most, |column| handle.value(column)) {
                    return Ok(Err(unreadable));
                }
                self.at_row = false;
            }
        }
    }

    /// Hands out the batch; surplus rows go into another one.
    fn give(&mut self, mut batch: BatchBuilder) -> Option<Batch> {
        self.given += u64::from(batch.rows());
        match batch.rows() {
            0 => None,
            _ if self.is_ended() => Some(batch.finish()),
            _ => {
                let full = batch.split();
                self.batch = Some(batch);
                Some(full)
            }
        }
    }

    /// Determines the types of columns if they are not known: the declared ones, else those of the
    /// first values.
    fn find(&mut self, handle: &mut Handle) -> Result<Result<(), Error>, Stop> {
        if let Some(expected) = &self.expected {
            return Ok(PlannedStep::of_text(expected, &handle.names()).and_then(|found| {
                let before = self.planned.get_or_insert_with(|| found.clone());
                match before.step().columns == found.step().columns {
                    true => Ok(()),
                    false => Err(altered()),
                }
            }));
        }
        if let Some(planned) = &self.planned {
            let expected = planned.step().columns.len();
            let given = handle.columns();
            return Ok(match given == expected || !self.at_row {
                true => Ok(()),
                false => {
                    let predicate =
                        format!("is one of {expected}, but the statement returns {given}");
                    let unreadable = (0, Fault::undecodable(predicate));
                    Err(planned.labels().fault(None, None, unreadable))
                }
            });
        }
        let declared = |it| handle.declaration(it).and_then(|it| sqlite::declared(&it));
        let mut kinds: Vec<_> = (0..handle.columns()).map(declared).collect();
        let mut bytes = 0;
        while self.at_row && kinds.iter().any(Option::is_none) {
            let mut row = Vec::with_capacity(kinds.len());
            for (index, kind) in kinds.iter_mut().enumerate() {
                let stored = handle.value(index).and_then(|stored| {
                    bytes += stored.size();
                    admit(bytes, self.most).map(|()| stored)
                });
                let stored = match stored {
                    Ok(stored) => stored,
                    Err(fault) => return Ok(Err(fault.at(format_args!("column {}", index + 1)))),
                };
                *kind = kind.or_else(|| stored.kind());
                row.push(Bound::from(stored).into_owned());
            }
            self.ahead.push_back(row);
            // The next row may take long: read it only if a type is still unknown.
            let enough = self.ahead.len() >= MOST_AHEAD || bytes >= MOST_BYTES_AHEAD;
            self.at_row = false;
            if !enough && kinds.iter().any(Option::is_none) {
                self.at_row = handle.step()?;
                self.ended = !self.at_row;
            }
        }
        let info = |(index, kind): (usize, Option<ScalarType>)| ColumnInfo {
            path: vec![handle.name(index)],
            // Only nulls so far.
            kind: kind.unwrap_or(ScalarType::Text),
            many: false,
            nullable: true,
        };
        let found: Vec<_> = kinds.into_iter().enumerate().map(info).collect();
        let names = |of: &[ColumnInfo]| of.iter().map(|it| it.path.clone()).collect::<Vec<_>>();
        match self.found.is_empty() {
            true => self.found = found,
            // It was restarted, and prepared for another schema.
            false if names(&self.found) != names(&found) => return Ok(Err(altered())),
            false => {}
        }
        Ok(Ok(()))
    }
}

/// A value of a row that was read ahead.
fn seen<'a>(row: &'a [Bound<'_>], column: usize) -> Stored<'a> {
    row.get(column).map_or(Stored::Null, Bound::stored)
}

fn altered() -> Error {
    let message = "the schema was changed while the rows were read, and they have other columns now: \
                   run the statement again";
    Error::new(ErrorKind::SerializationFailure, message).retryable()
}

/// Adds a row; on failure, returns the column of the fault.
fn read<'a>(
    batch: &mut BatchBuilder,
    most: usize,
    value: impl Fn(usize) -> Result<Stored<'a>, Fault>,
) -> Result<(), Unreadable> {
    let mut size = 0;
    for (index, column) in batch.columns().iter_mut().enumerate() {
        let pushed = value(index).and_then(|stored| {
            size += stored.size();
            admit(size, most).and_then(|()| push(stored, column))
        });
        pushed.map_err(|fault| (index, fault))?;
    }
    batch.end_row(size);
    Ok(())
}

fn push(stored: Stored<'_>, column: &mut ColumnBuilder) -> Result<(), Fault> {
    match stored {
        Stored::Null => column.push_null(),
        Stored::Text(text) if column.is_array() => {
            column.push(|items| array::read_json(text, items))
        }
        _ if column.is_array() => Err(Fault::undecodable("is not stored as text")),
        stored if column.may_be_computed() => {
            column.push(|items| sqlite::read_computed(stored, items))
        }
        stored => column.push(|items| sqlite::read(stored, items)),
    }
}

#[cfg(test)]
mod tests {
    use crate::{ConnectOptions, Database};

    use super::*;

    /// Runs a statement again from its beginning.
    async fn again(inner: &mut crate::sqlite::Connection, mut rows: Rows) -> (Rows, Option<Error>) {
        inner.settle().await.unwrap().rewind();
        rows.restart();
        let (rows, read) = inner.run(rows).await.unwrap();
        (rows, read.err())
    }

    #[tokio::test]
    async fn what_is_started_again_has_the_columns_that_were_told_or_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}?mode=rwc", folder.path().join("app.db").display());
        let database = Database::connect(&url, &ConnectOptions::default()).await.unwrap();
        let run = async |sql: &str| database.execute_raw(sql, vec![]).await.unwrap();
        run("CREATE TABLE t (a INTEGER)").await;
        run("INSERT INTO t VALUES (1), (2)").await;

        let mut lease = database.acquire().await.unwrap();
        let Connection::Sqlite(inner) = lease.connection() else { panic!("it is SQLite") };
        inner.open("SELECT * FROM t", true, Some(&[])).await.unwrap();
        let (rows, _) = inner.run(Rows::new(None, usize::MAX)).await.unwrap();
        assert_eq!(rows.found[0].path, ["a"]);
        // Nobody has seen the columns yet, so they may change.
        run("ALTER TABLE t RENAME COLUMN a TO b").await;
        let (mut rows, failure) = again(inner, rows).await;
        assert_eq!((&*rows.found[0].path[0], failure), ("b", None));
        // A caller that requests rows has seen them.
        rows.wanted = Some(10);
        for change in ["RENAME COLUMN b TO c", "ADD COLUMN d INTEGER"] {
            run(&format!("ALTER TABLE t {change}")).await;
            let (same, failure) = again(inner, rows).await;
            let failure = failure.unwrap();
            assert_eq!(failure.kind, ErrorKind::SerializationFailure, "{failure}");
            assert!(failure.message.contains("other columns now"), "{failure}");
            rows = same;
        }
    }
}
