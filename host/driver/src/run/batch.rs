//! Writing many rows, all or none.

use ferro_wit::plan::{Binding, Given, Plan, Step};
use ferro_wit::types::{Batch, Column, Dialect, Error, ErrorKind, TransactionOptions};

use super::{Execution, Target, run_step};
use crate::value::{Expected, Fault};

/// Writes the rows of an execution; how many the database says were written.
pub(super) async fn write(target: Target<'_>, execution: &Execution) -> Result<u64, Error> {
    let Some(rows) = &execution.rows else {
        return Ok(0);
    };
    check(rows, &execution.plan)?;
    if rows.rows == 0 {
        return Ok(0);
    }
    let parts = divide(&execution.plan.steps, rows.rows as usize)?;
    let options = TransactionOptions { immediate: true, ..TransactionOptions::default() };
    let transaction = match target {
        // One statement is all or none by itself.
        _ if parts.len() == 1 => None,
        Target::Database(database) => Some(database.begin(options).await?),
        // A failed statement fails the transaction as a whole on PostgreSQL, but not on SQLite.
        Target::Transaction(outer) if target.dialect() == Dialect::Sqlite => {
            Some(outer.begin(options).await?)
        }
        Target::Transaction(_) => None,
    };
    let inner = transaction.as_ref().map_or(target, Target::Transaction);
    let written = run(inner, execution, &parts).await;
    match (transaction, &written) {
        (Some(transaction), Ok(_)) => transaction.commit().await?,
        (Some(transaction), Err(_)) => transaction.rollback().await?,
        (None, _) => {}
    }
    written
}

async fn run(
    target: Target<'_>,
    execution: &Execution,
    parts: &[(&Step, usize)],
) -> Result<u64, Error> {
    let mut written = 0;
    for (step, first) in parts {
        written += run_step(target, step, execution, *first).await?;
    }
    Ok(written)
}

/// Which step writes the rows from which one on: always the largest that fits.
fn divide(steps: &[Step], rows: usize) -> Result<Vec<(&Step, usize)>, Error> {
    if let Some(step) = steps.iter().find(|it| it.rows_per_statement.is_none()) {
        return Ok(vec![(step, 0)]);
    }
    let size = |step: &Step| step.rows_per_statement.unwrap_or(0) as usize;
    let mut parts = Vec::new();
    let mut first = 0;
    while first < rows {
        let fitting = steps.iter().filter(|it| (1..=rows - first).contains(&size(it)));
        let step = fitting.max_by_key(|it| size(it)).ok_or_else(|| {
            let left = rows - first;
            invalid(format!("the plan has no statement for the last {left} rows of the batch"))
        })?;
        parts.push((step, first));
        first += size(step);
    }
    Ok(parts)
}

/// Checks the shape of the batch, and the kinds of its columns, before anything is sent.
fn check(rows: &Batch, plan: &Plan) -> Result<(), Error> {
    rows.validate().map_err(|fault| invalid(format!("the batch contradicts itself: {fault}")))?;
    let mut used = vec![false; rows.columns.len()];
    // What agrees with a forced value is written as that.
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
            // An array of all rows at once binds scalars.
            let many = bind.many && step.rows_per_statement.is_some();
            if given.kind != bind.kind || given.many != many {
                let expected = Expected { kind: bind.kind, many };
                let place = format_args!("column {ordinal} of the batch");
                return Err(Fault::mismatch(given, expected).at(place));
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
