//! The values for the placeholders of a statement. All of them are checked here, before anything is
//! sent to the database.

use std::fmt;

use ferro_wit::plan::{Bind, Binding, Given, Plan, Step};
use ferro_wit::types::{Column, Dialect, Error, ErrorKind, Value};
use sqlx::postgres::PgArguments;

use super::Execution;
use super::keys::Keys;
use crate::value::sqlite::Bound;
use crate::value::{Cell, Expected, Fault, Operand, postgres};

/// The values of a statement, encoded.
pub(crate) enum Arguments<'a> {
    Sqlite(Vec<Bound<'a>>),
    Postgres(PgArguments),
}

impl<'a> Arguments<'a> {
    fn new(dialect: Dialect, count: usize) -> Self {
        match dialect {
            Dialect::Sqlite => Self::Sqlite(Vec::with_capacity(count)),
            Dialect::Postgres => Self::Postgres(PgArguments::default()),
        }
    }

    fn add(&mut self, operand: Operand<'a>, expected: Option<Expected>) -> Result<(), Fault> {
        match self {
            Self::Sqlite(arguments) => arguments.push(Bound::of(operand)?),
            Self::Postgres(arguments) => postgres::bind(operand, expected, arguments)?,
        }
        Ok(())
    }
}

/// Encodes each value by its own type; a null has no type.
pub(super) fn of_values(values: &[Value], dialect: Dialect) -> Result<Arguments<'_>, Error> {
    let mut arguments = Arguments::new(dialect, values.len());
    for (index, value) in values.iter().enumerate() {
        let operand = Operand::of(value);
        arguments
            .add(operand, operand.expected())
            .map_err(|fault| fault.at(format_args!("parameter {}", index + 1)))?;
    }
    Ok(arguments)
}

/// The values of one execution of a step: for all rows of the batch, or for those starting at
/// `first`.
pub(super) fn of_step<'a>(
    step: &'a Step,
    execution: &'a Execution,
    keys: &'a Keys,
    dialect: Dialect,
    first: usize,
) -> Result<Arguments<'a>, Error> {
    let mut arguments = Arguments::new(dialect, step.binds.len());
    let mut rows = Rows { first, seen: Vec::new(), whole: step.rows_per_statement.is_none() };
    for bind in &step.binds {
        let expected = Expected { kind: bind.kind, many: bind.many };
        let operand = resolve(step, bind, execution, keys, &mut rows)?;
        operand.check(expected).and_then(|()| arguments.add(operand, Some(expected))).map_err(
            |fault| {
                let row = rows.row(bind).or_else(|| rows.row_of_whole(bind, operand));
                fault.at(ValueLabel::of(&execution.plan, bind, row))
            },
        )?;
    }
    Ok(arguments)
}

/// Checks that there are exactly as many values as the plan takes.
pub(super) fn check_counts(execution: &Execution) -> Result<(), Error> {
    let binds = || execution.plan.steps.iter().flat_map(|it| &it.binds).map(|it| &it.source);
    let parameters = binds().filter_map(|it| match it {
        Binding::Parameter(number) => Some(*number as usize + 1),
        _ => None,
    });
    let compared = execution.plan.agreements.iter().filter_map(|it| match it.given {
        Given::Parameter(number) => Some(number as usize + 1),
        Given::Column(_) => None,
    });
    let wanted = parameters.chain(compared).max().unwrap_or(0);
    let given = execution.parameters.len();
    if wanted != given {
        return Err(Error::new(
            ErrorKind::InvalidQuery,
            format!("the query takes {wanted} parameters, but {given} were given"),
        ));
    }
    for binding in binds() {
        let Binding::Forced(number) = binding else {
            continue;
        };
        if matches!(execution.forced.get(*number as usize), None | Some(Value::Null)) {
            // Without its value, a filter would not filter anything.
            return Err(Error::new(
                ErrorKind::InvalidConfiguration,
                format!("forced value {} of the scope is missing or null", u64::from(*number) + 1),
            ));
        }
    }
    Ok(())
}

/// Maps the `column` binds of a statement to rows of the batch: the first bind of a column is for
/// the first row, the second for the next.
struct Rows {
    first: usize,
    /// How many binds of each column have been seen.
    seen: Vec<usize>,
    whole: bool,
}

impl Rows {
    fn next(&mut self, column: usize) -> usize {
        if self.seen.len() <= column {
            self.seen.resize(column + 1, 0);
        }
        self.seen[column] += 1;
        self.first + self.seen[column] - 1
    }

    /// The row of the last bind, if it binds a single row.
    fn row(&self, bind: &Bind) -> Option<usize> {
        match bind.source {
            Binding::Column(column) if !self.whole => {
                self.seen.get(column as usize).map(|seen| self.first + seen - 1)
            }
            _ => None,
        }
    }

    /// The first row whose value cannot be sent, if all rows are bound as one array.
    fn row_of_whole(&self, bind: &Bind, operand: Operand<'_>) -> Option<usize> {
        let (Binding::Column(_), Operand::Array(items, start, end)) = (&bind.source, operand)
        else {
            return None;
        };
        let fails = |row: &usize| {
            let cell = Cell::of(items, *row);
            cell.is_none_or(|it| postgres::write(it, &mut Vec::new()).is_err())
        };
        (start..end).find(fails).filter(|_| self.whole)
    }
}

fn resolve<'a>(
    step: &Step,
    bind: &'a Bind,
    execution: &'a Execution,
    keys: &'a Keys,
    rows: &mut Rows,
) -> Result<Operand<'a>, Error> {
    let found = match &bind.source {
        Binding::Parameter(number) => execution.parameters.get(*number as usize).map(Operand::of),
        Binding::Forced(number) => execution.forced.get(*number as usize).map(Operand::of),
        Binding::Constant(value) => Some(Operand::of(value)),
        Binding::Column(number) => {
            let column = execution.rows.as_ref().and_then(|it| it.columns.get(*number as usize));
            match column {
                Some(column) if rows.whole => whole(column),
                Some(column) => row(column, rows.next(*number as usize)),
                None => None,
            }
        }
        Binding::Keys((source, column)) => keys.bound(step, *source, *column),
    };
    found.ok_or_else(|| {
        let label = ValueLabel::of(&execution.plan, bind, rows.row(bind));
        Fault::new(ErrorKind::InvalidQuery, "is missing, but the plan binds it").at(label)
    })
}

fn whole(column: &Column) -> Option<Operand<'_>> {
    match column {
        Column::Scalars(items) => Some(Operand::Array(items, 0, items.len())),
        // PostgreSQL's arrays of arrays must all have the same length.
        Column::Arrays(_) => None,
    }
}

pub(super) fn row(column: &Column, index: usize) -> Option<Operand<'_>> {
    match column {
        Column::Scalars(items) => Cell::of(items, index).map(Operand::Scalar),
        Column::Arrays(arrays) if arrays.is_null(index) => Some(Operand::Scalar(Cell::Null)),
        Column::Arrays(arrays) => {
            let end = *arrays.ends.get(index)? as usize;
            let start = match index.checked_sub(1) {
                Some(before) => *arrays.ends.get(before)? as usize,
                None => 0,
            };
            Some(Operand::Array(&arrays.items, start, end))
        }
    }
}

/// The origin of a value, for messages, which count from 1.
pub(super) struct ValueLabel<'a> {
    source: &'a Binding,
    /// The field that the value is for.
    field: Option<&'a str>,
    row: Option<usize>,
}

impl<'a> ValueLabel<'a> {
    pub(super) fn of(plan: &'a Plan, bind: &'a Bind, row: Option<usize>) -> Self {
        let is_it = |given: &Given| match (given, &bind.source) {
            (Given::Parameter(it), Binding::Parameter(number))
            | (Given::Column(it), Binding::Column(number)) => it == number,
            _ => false,
        };
        let recipient = plan.recipients.iter().find(|it| is_it(&it.given));
        Self { source: &bind.source, field: recipient.map(|it| it.field.as_str()), row }
    }
}

impl fmt::Display for ValueLabel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = self.field {
            write!(f, "the value for field `{field}`")?;
            return self.row.map_or(Ok(()), |row| write!(f, " in row {}", row + 1));
        }
        match self.source {
            Binding::Parameter(number) => write!(f, "parameter {}", u64::from(*number) + 1),
            Binding::Forced(number) => write!(f, "forced value {}", u64::from(*number) + 1),
            Binding::Constant(_) => write!(f, "a constant of the plan"),
            Binding::Keys((step, column)) => {
                write!(f, "column {} of step {}", u64::from(*column) + 1, u64::from(*step) + 1)
            }
            Binding::Column(number) => {
                write!(f, "column {} of the batch", u64::from(*number) + 1)?;
                self.row.map_or(Ok(()), |row| write!(f, ", row {},", row + 1))
            }
        }
    }
}
