//! The last stage: statements become SQL, binds and the shape of what comes back.
//!
//! One file for each kind of statement, and one for expressions. All write through [`Sql`], reach
//! models through a [`View`], and ask [`crate::typing`] what an expression is before they write it.

mod comparison;
mod delete;
mod expression;
mod insert;
mod projection;
mod select;
mod update;

use ferro_wit::plan::{Agreement, Binding, Effect, Given, Plan, Step};
use ferro_wit::policy::Scope;
use ferro_wit::query::{Node, NodeRef, Query, Select, SelectRef, Statement};
use ferro_wit::types::{ColumnInfo, Dialect, Error};

use crate::catalog::{Catalog, Field};
use crate::dialect::Spelling as _;
use crate::error::{invalid, unsupported};
use crate::policy::{self, View};
use crate::sql::Sql;
use crate::typing::{Fact, Typing};
use crate::validate;

impl Catalog {
    /// The plan for a query, under a scope; none: everything is allowed.
    ///
    /// # Errors
    ///
    /// `invalid-query`, `type-mismatch` or `unsupported`, naming the node; `limit-exceeded` for a
    /// query that is too large; `denied` for what is outside of the scope, whether it exists or
    /// not; `read-only` for a write under a scope that is; `invalid-configuration` for a scope that
    /// does not fit the models.
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
        if !is_read {
            policy::allow_writes(scope)?;
        }
        let view = View::open(self, scope, model)?;
        let compiler = Compiler::new(self, query, dialect, view.clone());
        let steps = match &query.statement {
            Statement::Select(select) => vec![compiler.select(*select)?],
            Statement::Count(select) => vec![compiler.count(*select)?],
            Statement::Exists(select) => vec![compiler.exists(*select)?],
            Statement::Insert(insert) => compiler.insert(insert)?,
            Statement::Update(update) => vec![compiler.update(update)?],
            Statement::Delete(delete) => vec![compiler.delete(delete)?],
        };
        let agreements = policy::agreements(&view, query)?;
        check_parameters(&steps, &agreements)?;
        Ok(Plan {
            effect: if is_read { Effect::Read } else { Effect::Write },
            atomic: steps.iter().any(|it| it.rows_per_statement.is_some()),
            steps,
            agreements,
        })
    }
}

/// One statement on its way from nodes to text.
pub(crate) struct Compiler<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) query: &'a Query,
    pub(crate) dialect: Dialect,
    pub(crate) typing: Typing<'a>,
    pub(crate) sql: Sql,
    /// The name that the table has in the statement; none in `RETURNING`, where SQLite has no
    /// aliases.
    alias: Option<&'static str>,
}

/// The name of a statement's table.
const ROWS: &str = "t0";
/// The name of the same table in a subquery.
const CHOSEN: &str = "t1";
/// On PostgreSQL such a name, unqualified, is the whole row: no column may have it.
pub(crate) const ALIASES: [&str; 2] = [ROWS, CHOSEN];

impl<'a> Compiler<'a> {
    fn new(catalog: &'a Catalog, query: &'a Query, dialect: Dialect, view: View<'a>) -> Self {
        Self {
            catalog,
            query,
            dialect,
            typing: Typing::new(catalog, query, dialect, view),
            sql: Sql::new(dialect),
            alias: Some(ROWS),
        }
    }

    /// The model as the caller sees it.
    pub(crate) fn view(&self) -> &View<'a> {
        &self.typing.view
    }

    /// What a node is.
    pub(crate) fn fact(&mut self, node: NodeRef) -> Result<Fact, Error> {
        self.typing.fact(node)
    }

    fn node(&self, node: NodeRef) -> &'a Node {
        &self.query.nodes[node as usize]
    }

    /// Writes a column of the statement's table.
    pub(crate) fn column(&mut self, field: &Field) {
        match self.alias {
            Some(alias) => self.sql.qualified(alias, &field.column),
            None => self.sql.name(&field.column),
        }
    }

    /// Whether a qualified name could be a function of the whole row, hidden columns included:
    /// `"t0"."row_to_json"`. An unqualified one cannot, unless it is that of the table's alias.
    fn must_prove_columns(&self) -> bool {
        self.dialect.features().row_functions && self.view().hides_columns()
    }

    /// Writes what rows are selected from: the table, or a select of the columns that the caller may
    /// name, which fails if one of them does not exist. PostgreSQL plans both alike.
    fn source(&mut self) {
        if !self.must_prove_columns() {
            return self.table();
        }
        let outer = self.alias.take();
        self.sql.push("(SELECT ");
        let view = self.view();
        let forced = view.forced.iter().map(|it| it.field);
        let keys = view.model.primary_key.iter().map(|it| &view.model.fields[*it]);
        let mut columns: Vec<_> =
            view.readable_fields().chain(forced).chain(keys).map(|it| &it.column).collect();
        columns.sort();
        columns.dedup();
        for (position, column) in columns.into_iter().enumerate() {
            self.sql.push(if position > 0 { ", " } else { "" });
            self.sql.name(column);
        }
        self.sql.push(" FROM ");
        self.alias = outer;
        self.table();
        self.sql.push(")");
        self.named();
    }

    /// Writes the table's name, and the alias that the columns are qualified with.
    fn table(&mut self) {
        let table = &self.view().model.table;
        match &table.namespace {
            Some(namespace) if self.dialect.features().schemas => {
                self.sql.qualified(namespace, &table.name);
            }
            _ => self.sql.name(&table.name),
        }
        self.named();
    }

    fn named(&mut self) {
        if let Some(alias) = self.alias {
            self.sql.push(" AS ");
            self.sql.name(alias);
        }
    }

    fn into_step(self, columns: Vec<ColumnInfo>) -> Result<Step, Error> {
        self.sql.into_step(columns)
    }
}

/// The model that a statement is about.
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

/// Refuses the parts of a select that are not compiled yet.
fn check_supported(select: &Select) -> Result<(), Error> {
    let construct = if select.lock.is_some() {
        "`lock`"
    } else if !select.includes.is_empty() {
        "`includes`"
    } else if !select.combined.is_empty() {
        "`combined`"
    } else if matches!(select.distinct, ferro_wit::query::Distinct::On(_)) {
        "`distinct on`"
    } else {
        return Ok(());
    };
    Err(unsupported(format!("{construct} of a select is not supported yet")))
}

/// A caller counts its values by what the plan binds, so parameters are numbered without gaps.
fn check_parameters(steps: &[Step], agreements: &[Agreement]) -> Result<(), Error> {
    for step in steps {
        let bound = step.binds.iter().filter_map(|bind| match bind.source {
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
        if let Some((gap, _)) = (0..).zip(&used).find(|(expected, index)| expected != *index) {
            return Err(invalid(format!(
                "parameter {gap} is not used: parameters are numbered from 0 without gaps"
            )));
        }
    }
    Ok(())
}
