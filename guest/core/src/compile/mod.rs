//! The last stage: writes statements as SQL, with their binds and result columns.
//!
//! There is one file per kind of statement, and one for expressions. All of them write through
//! [`Sql`], access models through a [`View`], and ask [`crate::typing`] for the type of an
//! expression before they write it.

mod casts;
mod comparison;
mod copy;
mod delete;
mod expression;
mod include;
mod inner;
mod insert;
mod keyed;
mod loads;
mod naming;
mod order;
mod projection;
mod select;
mod tables;
mod texts;
mod update;
mod windows;
mod with;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use ferro_wit::plan::{Agreement, Binding, Effect, Given, Plan, Step};
use ferro_wit::policy::Scope;
use ferro_wit::query::{Node, NodeRef, Query, SelectRef, Statement};
use ferro_wit::types::{Dialect, Error};

use self::copy::SOURCE;
use self::include::RELATED;
use self::keyed::BATCH;
use self::loads::Extra;
use self::with::Filled;
use crate::catalog::{Catalog, Field};
use crate::common_tables::{self, Commons, MAX_COMMON};
use crate::error::invalid;
use crate::policy::{self, View};
use crate::sql::{Sql, alias};
use crate::task::Task;
use crate::typing::{Column, Fact, MAX_TABLES, Typing};
use crate::validate;

impl Catalog {
    /// Compiles a query under a scope; with `None`, everything is allowed.
    ///
    /// # Errors
    ///
    /// `invalid-query`, `type-mismatch` or `unsupported`, with the names of fields;
    /// `limit-exceeded` for a query that is too large; `denied` for anything outside of the scope,
    /// whether it exists or not; `read-only` for a write under a read-only scope;
    /// `invalid-configuration` for a scope that does not match the models.
    pub fn compile(
        &self,
        query: &Query,
        dialect: Dialect,
        scope: Option<&Scope>,
    ) -> Result<Plan, Error> {
        self.check_dialect(dialect)?;
        validate::structure(query)?;
        let model = model_of(query)?;
        let is_read = matches!(
            query.statement,
            Statement::Select(_) | Statement::Count(_) | Statement::Exists(_)
        );
        // A lock blocks the writes of others.
        let locks = |it: &SelectRef| query.selects[*it as usize].lock.is_some();
        let is_read = is_read && !matches!(&query.statement, Statement::Select(it) if locks(it));
        if !is_read {
            policy::allow_writes(scope)?;
        }
        let tables = common_tables::find(self, query, dialect, scope)?;
        let commons = Commons::new(query, &tables);
        let task = Task { catalog: self, query, dialect, scope, commons };
        let view = match &query.statement {
            Statement::Select(_) | Statement::Count(_) | Statement::Exists(_) => {
                task.open(model)?
            }
            _ => {
                commons.check_written(model)?;
                View::open(self, scope, model)?
            }
        };
        let compiler = Compiler::new(task, view.clone())?;
        let steps = match &query.statement {
            Statement::Select(select) => compiler.select_and_relations(*select)?,
            Statement::Count(select) => vec![compiler.count(*select)?],
            Statement::Exists(select) => vec![compiler.exists(*select)?],
            Statement::Insert(insert) => compiler.insert(insert)?,
            Statement::Update(update) => compiler.update(update)?,
            Statement::Delete(delete) => vec![compiler.delete(delete)?],
        };
        let agreements = policy::agreements(&view, query)?;
        check_parameters(&steps, &agreements)?;
        Ok(Plan {
            effect: if is_read { Effect::Read } else { Effect::Write },
            atomic: steps.len() > 1 || steps.iter().any(|it| it.rows_per_statement.is_some()),
            steps,
            agreements,
            recipients: naming::recipients(query),
        })
    }
}

/// Writes one statement.
pub(crate) struct Compiler<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) query: &'a Query,
    pub(crate) dialect: Dialect,
    pub(crate) typing: Typing<'a>,
    pub(crate) sql: Sql,
    /// Whether columns of the first table are written without its alias: in `RETURNING`, where
    /// SQLite has no aliases.
    bare: bool,
    /// Columns that a select lists after its projection.
    extra: Vec<Extra<'a>>,
    /// The common tables that the statement reads.
    reads: Vec<bool>,
    /// The columns of the common table that is being written.
    filled: Option<Filled<'a>>,
    /// Columns, by table, that must be proven to be columns of the table.
    named: BTreeMap<usize, BTreeSet<String>>,
    /// The number of texts computed so far.
    texts: usize,
}

/// Whether a table, a common table or another part of a statement could get this name. If a part of
/// a statement has the same name as a table that it reads, SQLite takes the table for the part
/// itself.
pub(crate) fn is_alias(name: &str) -> bool {
    // There are many names to check: only one with a number is compared with the aliases.
    let number = name.trim_start_matches(|it: char| !it.is_ascii_digit()).parse::<usize>();
    let numbered = number.is_ok_and(|it| {
        (it < MAX_TABLES && name.eq_ignore_ascii_case(&alias(it)))
            || (it < MAX_COMMON && name.eq_ignore_ascii_case(&common_tables::table_name(it)))
    });
    numbered || [SOURCE, BATCH, RELATED].iter().any(|it| name.eq_ignore_ascii_case(it))
}

impl<'a> Compiler<'a> {
    fn new(task: Task<'a>, view: View<'a>) -> Result<Self, Error> {
        let Task { catalog, query, dialect, .. } = task;
        Ok(Self {
            catalog,
            query,
            dialect,
            typing: Typing::new(task, view)?,
            sql: Sql::new(dialect),
            bare: false,
            extra: Vec::new(),
            reads: vec![false; query.common.len()],
            filled: None,
            named: BTreeMap::new(),
            texts: 0,
        })
    }

    /// The model as visible to the caller.
    pub(crate) fn view(&self) -> &View<'a> {
        self.typing.view()
    }

    /// The type of a node, and other facts.
    pub(crate) fn fact(&mut self, node: NodeRef) -> Result<Fact, Error> {
        self.typing.fact(node)
    }

    fn node(&self, node: NodeRef) -> &'a Node {
        self.typing.node(node)
    }

    /// Writes inside a subquery, in another frame.
    fn inside<T>(&mut self, frame: usize, write: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.typing.enter(frame);
        let written = write(self);
        self.typing.enter(before);
        written
    }

    /// Writes items with a separator between them.
    pub(crate) fn separated<T>(
        &mut self,
        separator: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        let Ok(()) = self.try_separated(separator, items, |it, item| {
            write(it, item);
            Ok::<_, Infallible>(())
        });
    }

    /// Writes items with a separator between them; stops at the first error.
    pub(crate) fn try_separated<T, E>(
        &mut self,
        separator: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T) -> Result<(), E>,
    ) -> Result<(), E> {
        for (position, item) in items.into_iter().enumerate() {
            if position > 0 {
                self.sql.push(separator);
            }
            write(self, item)?;
        }
        Ok(())
    }

    /// Writes a column of the current row.
    pub(crate) fn column(&mut self, field: &Field) {
        self.column_of(self.typing.frame().row, field);
    }

    /// Writes a column of a table.
    pub(crate) fn column_of(&mut self, table: usize, field: &Field) {
        self.column_named(table, &field.column);
    }

    fn column_named(&mut self, table: usize, column: &str) {
        self.note(table, column);
        match self.bare && table == 0 {
            true => self.sql.name(column),
            false => {
                self.sql.alias(table);
                self.sql.push(".");
                self.sql.name(column);
            }
        }
    }

    fn into_step(mut self, columns: &[Column<'_>]) -> Result<Step, Error> {
        self.common_tables()?;
        self.prove_columns();
        let origins = self.origins(columns);
        self.sql.into_step(columns.iter().map(Column::info).collect(), origins)
    }
}

/// The model that a statement reads or writes.
fn model_of(query: &Query) -> Result<&str, Error> {
    let of_rows = |rows: SelectRef, model: &str| -> Result<(), Error> {
        match query.selects[rows as usize].model == model {
            true => Ok(()),
            false => Err(invalid("the rows to change are selected from another model")),
        }
    };
    Ok(match &query.statement {
        Statement::Select(select) | Statement::Count(select) | Statement::Exists(select) => {
            &query.selects[*select as usize].model
        }
        Statement::Insert(insert) => &insert.model,
        Statement::Update(update) => {
            of_rows(update.rows, &update.model)?;
            &update.model
        }
        Statement::Delete(delete) => {
            of_rows(delete.rows, &delete.model)?;
            &delete.model
        }
    })
}

/// Callers determine the number of parameters from the binds, so parameters must be numbered
/// without gaps.
fn check_parameters(steps: &[Step], agreements: &[Agreement]) -> Result<(), Error> {
    let binds = steps.iter().flat_map(|it| &it.binds);
    let bound = binds.filter_map(|bind| match bind.source {
        Binding::Parameter(index) => Some(index),
        _ => None,
    });
    let compared = agreements.iter().filter_map(|it| match it.given {
        Given::Parameter(index) => Some(index),
        Given::Column(_) => None,
    });
    let mut used: Vec<u32> = bound.chain(compared).collect();
    used.sort_unstable();
    used.dedup();
    match (0..).zip(&used).find(|(expected, index)| expected != *index) {
        Some((gap, _)) => Err(invalid(format!(
            "parameter {gap} is not used: parameters are numbered from 0 without gaps"
        ))),
        None => Ok(()),
    }
}
