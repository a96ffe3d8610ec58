//! What a write gives for a field whose value the grant forces: the same value, or null.

use std::cell::LazyCell;

use ferro_driver::Execution;
use ferro_wit::plan::{Agreement, Given};
use ferro_wit::types::{Error, ErrorKind, Value};

/// Checks the agreements of a plan. The statement binds the forced values whatever was given, so a
/// write that disagrees would not reach another tenant's rows, but would not do what it says either.
///
/// What is missing or contradicts itself is the driver's to tell. Such a batch is not read here: arrays
/// that overlap are as long, each of them, as all that was sent.
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
