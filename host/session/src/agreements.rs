//! Checks of the values that a write sets for fields forced by the grant: the same value, or null.

use std::cell::LazyCell;

use ferro_driver::Execution;
use ferro_wit::plan::{Agreement, Given};
use ferro_wit::types::{Error, ErrorKind, Value};

/// Checks the agreements of a plan. The statement always binds the forced values, so a write with
/// other values could not reach another tenant's rows, but would not do what it says.
///
/// The driver reports missing values and inconsistent batches. They are not read here: each of many
/// overlapping arrays could be as long as the whole batch.
pub(crate) fn check(execution: &Execution) -> Result<(), Error> {
    let rows = LazyCell::new(|| execution.rows.as_ref().filter(|it| it.validate().is_ok()));
    for agreement in &execution.plan.agreements {
        let forced = execution.forced.get(agreement.forced as usize);
        let agrees = |given: &Value| *given == Value::Null || Some(given) == forced;
        let agreed = match agreement.given {
            Given::Parameter(number) => {
                execution.parameters.get(number as usize).is_none_or(agrees)
            }
            Given::Column(number) => {
                let column = rows.and_then(|it| it.columns.get(number as usize));
                column.is_none_or(|column| {
                    (0..column.len()).filter_map(|row| column.get(row)).all(|it| agrees(&it))
                })
            }
        };
        if !agreed {
            return Err(disagreed(agreement));
        }
    }
    Ok(())
}

fn disagreed(agreement: &Agreement) -> Error {
    let field = &agreement.field;
    let message = format!("`{field}` may only be given the value that the grant forces, or null");
    Error { column: Some(field.clone()), ..Error::new(ErrorKind::Denied, message) }
}
