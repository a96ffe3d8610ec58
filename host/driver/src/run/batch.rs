//! Writes many rows, all or none.

use std::sync::Arc;

use ferro_wit::plan::{Binding, Given, Plan};
use ferro_wit::types::{Batch, Column, Dialect, Error, ErrorKind, TransactionOptions};

use super::binds::{self, Arguments, ValueLabel};
use super::keys::Keys;
use super::{Execution, Need, Target, bulk, may_repeat, open, run_step};
use crate::cursor::{Cursor, PlannedStep, out_of_turn};
use crate::lease::Connection;
use crate::sqlite::{Handle, Job, Progress, Stop};
use crate::transaction::Transaction;
use crate::value::{Expected, Fault};

/// Writes the rows of an execution; returns how many the database reports as written.
pub(super) async fn write(target: Target<'_>, execution: Arc<Execution>) -> Result<u64, Error> {
    let parts = parts(&execution)?;
    let transaction = begin(target, &parts).await?;
    let inner = transaction.as_ref().map_or(target, Target::Transaction);
    let written = match target.dialect() {
        Dialect::Sqlite if parts.are_several() => run_at_once(inner, execution, parts).await,
        _ => run(inner, &execution, &parts).await,
    };
    end(transaction, written).await
}

async fn run(target: Target<'_>, execution: &Execution, parts: &Parts) -> Result<u64, Error> {
    let is_large = execution.rows.as_ref().is_some_and(|it| it.rows >= bulk::LEAST_ROWS);
    let mut written = 0;
    for part in parts.each() {
        let step = &execution.plan.steps[part.step];
        if let Some(bulk) = step.bulk.as_ref().filter(|_| is_large) {
            match bulk::write(target, execution, step, bulk).await {
                // The array statement that replaced the stream was rejected before anything was
                // written: it is sent again.
                Err(error) if may_repeat(target, &error, Need::Live) => {}
                result => return result,
            }
        }
        written += run_step(target, step, execution, part.first).await?;
    }
    Ok(written)
}

/// Runs all statements of a batch on SQLite as one job.
async fn run_at_once(
    target: Target<'_>,
    execution: Arc<Execution>,
    parts: Parts,
) -> Result<u64, Error> {
    let first = parts.each().next();
    let Some(step) = first.map(|it| execution.plan.steps[it.step].sql.clone()) else {
        return Ok(0);
    };
    let mut connection = target.connection(Need::Live).await?;
    let keep = connection.keeps_statements();
    let watch = connection.watch(&step);
    let Connection::Sqlite(inner) = connection.begin().0 else { return Err(out_of_turn()) };
    let result = match inner.open(&step, keep, None).await {
        Ok(_) => inner.run(Write { execution, parts, keep }).await,
        Err(error) => Err(error),
    };
    inner.close();
    watch.changed(match result {
        Ok((_, Ok(written))) => connection.complete().await.map(|()| written),
        Ok((_, Err(error))) => {
            connection.rest().await;
            Err(error)
        }
        Err(error) => Err(connection.fail(error).await),
    })
}

/// Runs all statements of a batch, one after another.
struct Write {
    execution: Arc<Execution>,
    parts: Parts,
    keep: bool,
}

impl Job for Write {
    type Output = Result<u64, Error>;

    fn run(&mut self, handle: &mut Handle, _: &Progress) -> Result<Self::Output, Stop> {
        let Self { execution, parts, keep } = self;
        let (mut written, mut opened) = (0, None);
        let keys = Keys::default();
        for part in parts.each() {
            let step = &execution.plan.steps[part.step];
            match opened.replace(part.step) {
                Some(before) if before == part.step => handle.rewind(),
                _ => drop(handle.open(&step.sql, *keep)?),
            }
            let arguments =
                match binds::of_step(step, execution, &keys, Dialect::Sqlite, part.first) {
                    Ok(arguments) => arguments,
                    Err(error) => return Ok(Err(error)),
                };
            if let Arguments::Sqlite(values) = arguments {
                handle.bind_all(values.iter().map(|it| it.stored()))?;
            }
            while handle.step()? {}
            written += handle.changes();
        }
        Ok(Ok(written))
    }

    /// Some of the statements may have run already.
    fn can_restart(&self) -> bool {
        false
    }

    fn restart(&mut self) {}
}

/// Writes the rows of an execution; returns a cursor over what they return, in their order.
///
/// The rows of a single statement are streamed. The rows of several statements are read first, so
/// that all of them have run: each returns a few rows, and a cursor that is dropped halfway must
/// not undo some of them.
pub(super) async fn fetch(target: Target<'_>, execution: &Execution) -> Result<Cursor, Error> {
    let parts = parts(execution)?;
    if let (Some(part), false) = (parts.each().next(), parts.are_several()) {
        let at = (part.step, part.first);
        return open(target, execution, at, &Keys::default(), Need::Live).await;
    }
    let planned = PlannedStep::new(&execution.plan, 0)?;
    let transaction = begin(target, &parts).await?;
    let inner = transaction.as_ref().map_or(target, Target::Transaction);
    let returned = read(inner, execution, &parts).await;
    Ok(Cursor::of_batches(planned, end(transaction, returned).await?))
}

async fn read(
    target: Target<'_>,
    execution: &Execution,
    parts: &Parts,
) -> Result<Vec<Batch>, Error> {
    let (mut batches, mut bytes) = (Vec::new(), 0);
    for part in parts.each() {
        let keys = Keys::default();
        let at = (part.step, part.first);
        let mut cursor = open(target, execution, at, &keys, Need::Live).await?;
        while let Some(batch) = cursor.next(u32::MAX).await? {
            bytes += batch.bytes();
            // No limit has counted these bytes yet.
            if bytes > target.largest_row() as u64 {
                let most = target.largest_row() >> 20;
                let message = format!(
                    "the rows that a batch returns take more than {most} MiB: write fewer rows at \
                     once"
                );
                return Err(Error::new(ErrorKind::LimitExceeded, message));
            }
            batches.push(batch);
        }
    }
    Ok(batches)
}

/// Begins what makes several statements all or none; `None` if they are already.
async fn begin(target: Target<'_>, parts: &Parts) -> Result<Option<Transaction>, Error> {
    let options = TransactionOptions { immediate: true, ..TransactionOptions::default() };
    Ok(match target {
        // A single statement is atomic by itself.
        _ if !parts.are_several() => None,
        Target::Database(database) => Some(database.begin(options).await?),
        // On PostgreSQL, a failed statement makes the whole transaction fail, but not on SQLite.
        Target::Transaction(outer) if target.dialect() == Dialect::Sqlite => {
            Some(outer.begin(options).await?)
        }
        Target::Transaction(_) => None,
    })
}

async fn end<T>(transaction: Option<Transaction>, result: Result<T, Error>) -> Result<T, Error> {
    match transaction {
        Some(transaction) => transaction.end(result).await,
        None => result,
    }
}

/// One execution of a step, which writes as many rows as the step takes, starting at `first`.
struct Part {
    step: usize,
    first: usize,
}

/// The executions of a batch, one after another. They are not listed one by one: a batch without
/// columns may claim to have billions of rows.
struct Parts(Vec<Run>);

/// Consecutive executions of a step.
struct Run {
    step: usize,
    first: usize,
    /// How many rows each execution writes, and the number of executions.
    size: usize,
    times: usize,
}

impl Parts {
    fn each(&self) -> impl Iterator<Item = Part> {
        self.0.iter().flat_map(|&Run { step, first, size, times }| {
            (0..times).map(move |number| Part { step, first: first + number * size })
        })
    }

    fn are_several(&self) -> bool {
        self.0.iter().map(|it| it.times).sum::<usize>() > 1
    }
}

/// Splits a batch into executions: always of the step that takes most of the remaining rows.
fn parts(execution: &Execution) -> Result<Parts, Error> {
    let Some(rows) = execution.rows.as_ref().filter(|it| it.rows > 0) else {
        return Ok(Parts(Vec::new()));
    };
    check(rows, &execution.plan)?;
    let steps = &execution.plan.steps;
    let rows = rows.rows as usize;
    if let Some(step) = steps.iter().position(|it| it.rows_per_statement.is_none()) {
        return Ok(Parts(vec![Run { step, first: 0, size: rows, times: 1 }]));
    }
    let size = |step: usize| steps[step].rows_per_statement.unwrap_or(0) as usize;
    let mut parts = Vec::new();
    let mut first = 0;
    while first < rows {
        let left = rows - first;
        let fitting = (0..steps.len()).filter(|it| (1..=left).contains(&size(*it)));
        let step = fitting.max_by_key(|it| size(*it)).ok_or_else(|| {
            invalid(format!("the plan has no statement for the last {left} rows of the batch"))
        })?;
        let (size, times) = (size(step), left / size(step));
        parts.push(Run { step, first, size, times });
        first += size * times;
    }
    Ok(Parts(parts))
}

/// Checks the batch, and the types of its columns, before anything is sent.
fn check(rows: &Batch, plan: &Plan) -> Result<(), Error> {
    rows.validate().map_err(|fault| invalid(format!("the batch is inconsistent: {fault}")))?;
    let mut used = vec![false; rows.columns.len()];
    // A column that is only compared with a forced value is used, too.
    for agreement in &plan.agreements {
        if let Given::Column(number) = agreement.given
            && let Some(used) = used.get_mut(number as usize)
        {
            *used = true;
        }
    }
    for step in &plan.steps {
        for bind in &step.binds {
            let Binding::Column(number) = bind.source else {
                continue;
            };
            // Messages count from 1.
            let ordinal = u64::from(number) + 1;
            let Some(column) = rows.columns.get(number as usize) else {
                let given = rows.columns.len();
                return Err(invalid(format!(
                    "the batch has {given} columns, but the plan writes column {ordinal}"
                )));
            };
            used[number as usize] = true;
            let given = match column {
                Column::Scalars(it) => Expected { kind: it.elements.kind(), many: false },
                Column::Arrays(it) => Expected { kind: it.items.elements.kind(), many: true },
            };
            // If all rows are bound as one array, its column has scalars.
            let many = bind.many && step.rows_per_statement.is_some();
            if given.kind != bind.kind || given.many != many {
                let expected = Expected { kind: bind.kind, many };
                return Err(Fault::mismatch(given, expected).at(ValueLabel::of(plan, bind, None)));
            }
        }
    }
    match used.iter().position(|it| !it) {
        Some(unused) => {
            Err(invalid(format!("the plan does not write column {} of the batch", unused + 1)))
        }
        None => Ok(()),
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidQuery, message)
}
