//! The stage between `validate` and `typing`: finds the common tables that a statement reads, and
//! their columns. From then on they look like models without keys and relations.
//!
//! Their names belong to the query and are not used in SQL, where tables and columns are numbered.
//! So a name that the caller chooses can never refer to a table that it may not see.

mod reach;

use ferro_wit::policy::Scope;
use ferro_wit::query::{CommonTable, Distinct, Query, Select, SetOperator};
use ferro_wit::types::{Dialect, Error, ErrorKind};

use crate::catalog::{Catalog, Field, Model, Type, name_fault};
use crate::error::{invalid, limit, mismatch, shown};
use crate::policy::View;
use crate::task::Task;
use crate::typing::{Column, Typing};

/// The maximum number of common tables in a query.
pub(crate) const MAX_COMMON: usize = 32;

/// How many times the step of a recursive table is checked to find out which of its columns are
/// nullable.
const ROUNDS: usize = 4;

/// A common table that a statement reads.
#[derive(Debug)]
pub(crate) struct Common {
    /// Its model for the selects that read it.
    pub(crate) model: Model,
    /// Whether it, or a table that it reads, contains parameters.
    pub(crate) parameter: bool,
    /// Whether it reads other common tables.
    pub(crate) derived: bool,
}

/// The common tables of a query that are known so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Commons<'a> {
    query: &'a Query,
    /// By number; `None` for those that the statement does not read.
    known: &'a [Option<Common>],
    /// The next one, while its step is checked.
    own: Option<&'a Common>,
}

/// The name of a common table in a statement, which no table or column of a model may have.
pub(crate) fn table_name(index: usize) -> String {
    format!("common{index}")
}

/// Checks the common tables that a statement reads.
pub(crate) fn find(
    catalog: &Catalog,
    query: &Query,
    dialect: Dialect,
    scope: Option<&Scope>,
) -> Result<Vec<Option<Common>>, Error> {
    if query.common.is_empty() {
        return Ok(Vec::new());
    }
    check_names(catalog, query, scope)?;
    let reached = reach::reached(query)?;
    let mut tables = Vec::with_capacity(query.common.len());
    for (table, reached) in query.common.iter().zip(reached) {
        let task = Task { catalog, query, dialect, scope, commons: Commons::new(query, &tables) };
        let found = match reached {
            Some(read) => {
                let found = Finder { task }.table(table).map_err(of_table(table))?;
                Some(Common { derived: !read.is_empty(), ..found })
            }
            None => None,
        };
        tables.push(found);
    }
    Ok(tables)
}

/// Adds the name of the common table to an error.
fn of_table(table: &CommonTable) -> impl FnOnce(Error) -> Error {
    move |mut error| {
        error.message = format!("common table {}: {}", shown(&table.name), error.message);
        error
    }
}

/// Checks the names of common tables. The name of a model that the caller may not see counts as
/// free.
fn check_names(catalog: &Catalog, query: &Query, scope: Option<&Scope>) -> Result<(), Error> {
    if query.common.len() > MAX_COMMON {
        return Err(limit(format!("more than {MAX_COMMON} common tables")));
    }
    for (index, table) in query.common.iter().enumerate() {
        if let Some(fault) = name_fault(&table.name) {
            return Err(of_table(table)(invalid(format!("its name {fault}"))));
        }
        if query.common[..index].iter().any(|it| it.name == table.name) {
            return Err(of_table(table)(invalid("there is another one of that name")));
        }
        match View::open(catalog, scope, &table.name) {
            Ok(_) => return Err(of_table(table)(invalid("there is a model of that name"))),
            // An invalid scope is reported, and not taken as hiding the model.
            Err(error) if error.kind == ErrorKind::InvalidConfiguration => return Err(error),
            Err(_) => {}
        }
    }
    Ok(())
}

impl<'a> Commons<'a> {
    pub(crate) fn new(query: &'a Query, known: &'a [Option<Common>]) -> Self {
        Self { query, known, own: None }
    }

    pub(crate) fn get(&self, index: usize) -> Option<&'a Common> {
        match self.own {
            Some(own) if index == self.known.len() => Some(own),
            _ => self.known.get(index)?.as_ref(),
        }
    }

    /// A common table by its name, as a view for selects.
    pub(crate) fn view(&self, name: &str) -> Option<View<'a>> {
        let index = self.query.common.iter().position(|it| it.name == name)?;
        Some(View::of_common(index, &self.get(index)?.model))
    }

    /// Fails if this is a common table, since rows are only written to models.
    pub(crate) fn check_written(&self, name: &str) -> Result<(), Error> {
        match self.query.common.iter().any(|it| it.name == name) {
            true => Err(invalid(format!(
                "{} is a common table: only rows of models are written",
                shown(name)
            ))),
            false => Ok(()),
        }
    }
}

/// Derives the columns of a common table from those before it.
#[derive(Clone, Copy)]
struct Finder<'a> {
    task: Task<'a>,
}

/// The columns of a select, and whether it contains parameters.
struct Rows<'a> {
    columns: Vec<Column<'a>>,
    parameter: bool,
}

impl Finder<'_> {
    fn table(&self, table: &CommonTable) -> Result<Common, Error> {
        let base = &self.task.query.selects[table.rows as usize];
        if base.lock.is_some() {
            return Err(invalid("its rows cannot be locked"));
        }
        let found = self.rows(base, None)?;
        match &table.step {
            None => Ok(self.common(table, found)),
            Some((operator, step)) => {
                if !matches!(operator, SetOperator::Union | SetOperator::UnionAll) {
                    return Err(invalid("its step adds rows with `union` or `union-all`"));
                }
                let step = &self.task.query.selects[*step as usize];
                check_step(step)?;
                self.recursive(table, found, *operator, step)
            }
        }
    }

    /// A column is nullable if the step can make it null, possibly from another nullable column. It
    /// is of an enum if all values that the step adds are. If that is not settled after some
    /// rounds, all columns are nullable, and none is of an enum.
    fn recursive(
        &self,
        table: &CommonTable,
        base: Rows<'_>,
        operator: SetOperator,
        step: &Select,
    ) -> Result<Common, Error> {
        let mut common = self.common(table, base);
        for _ in 0..ROUNDS {
            let Rows { columns: found, parameter } = self.rows(step, Some((operator, &common)))?;
            let found: Vec<_> =
                found.iter().map(|it| (it.shape(), it.nullable, it.given)).collect();
            let columns = &mut common.model.fields;
            if columns.len() != found.len() {
                return Err(invalid(format!(
                    "its step and its rows differ in how many columns they have: {} and {}",
                    found.len(),
                    columns.len()
                )));
            }
            let mut changed = false;
            for (column, (ty, nullable, given)) in columns.iter_mut().zip(found) {
                if column.ty.kind != ty.kind || column.ty.many != ty.many {
                    return Err(mismatch(format!(
                        "column {} has another type in its step than in its rows",
                        shown(&column.name)
                    )));
                }
                changed |= nullable && !column.nullable;
                column.nullable |= nullable;
                if !ty.fits(column.ty, given) {
                    self.make_text(column);
                    changed = true;
                }
            }
            common.parameter |= parameter;
            if !changed {
                return Ok(common);
            }
        }
        for column in &mut common.model.fields {
            self.make_text(column);
            column.nullable = true;
        }
        Ok(common)
    }

    /// Turns the column into a text, as the step also adds values that are not of its enum.
    fn make_text(&self, column: &mut Field) {
        let ty = Type { enumeration: None, ..column.ty };
        let (catalog, Field { name, column: place, .. }) = (self.task.catalog, &*column);
        *column = catalog.common_field(name, place.clone(), ty, column.nullable);
    }

    /// Checks a select like a separate statement.
    fn rows<'s>(
        &'s self,
        select: &'s Select,
        step_of: Option<(SetOperator, &'s Common)>,
    ) -> Result<Rows<'s>, Error> {
        let own = step_of.map(|(_, common)| common);
        let task = Task { commons: Commons { own, ..self.task.commons }, ..self.task };
        let mut typing = Typing::new(task, task.open(&select.model)?)?;
        let columns = typing.check_select(select)?;
        if let Some((operator, _)) = step_of {
            typing.check_step(select)?;
            if operator == SetOperator::Union {
                typing.check_equality(&columns)?;
            }
        }
        let parameter = typing.whole(select)?.parameter;
        Ok(Rows { columns, parameter })
    }

    fn common(&self, table: &CommonTable, rows: Rows<'_>) -> Common {
        let fields = rows.columns.into_iter().enumerate();
        let fields = fields.map(|(index, it)| {
            self.task.catalog.common_field(it.name, format!("c{index}"), it.shape(), it.nullable)
        });
        let name = table_name(self.task.commons.known.len());
        let model = self.task.catalog.common_table(&table.name, name, fields.collect());
        Common { model, parameter: rows.parameter, derived: false }
    }
}

/// Both databases require the step to be a plain select.
fn check_step(step: &Select) -> Result<(), Error> {
    let plain = matches!(step.distinct, Distinct::No)
        && step.group_by.is_empty()
        && step.having.is_none()
        && step.order_by.is_empty()
        && step.limit.is_none()
        && step.offset.is_none()
        && step.lock.is_none()
        && step.combined.is_empty();
    match plain {
        true => Ok(()),
        false => Err(invalid("its step has joins, a filter and a projection only")),
    }
}
