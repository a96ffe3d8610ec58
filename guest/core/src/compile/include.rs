//! Eager loading: each included relation is a separate step, bound to the keys that the step of its
//! parents returned.
//!
//! This also applies to a relation to one row: a row that many others refer to is returned once,
//! and scopes are applied in the same way. A path in a projection, such as `author.name`, is joined
//! instead.

use ferro_wit::plan::Step;
use ferro_wit::query::{Distinct, Projection, Select, SelectRef};
use ferro_wit::types::Error;

use super::Compiler;
use super::loads::{self, Extra, Key, Load};
use crate::dialect::{Spelling as _, lists};
use crate::error::{invalid, shown};
use crate::policy;
use crate::sql::quoted;
use crate::typing::Column;

/// The name of the rows of a relation in the statement that limits them.
pub(super) const RELATED: &str = "related.rows";

impl<'a> Compiler<'a> {
    /// Compiles a select, and then the relations that it includes.
    pub(super) fn select_and_relations(mut self, select: SelectRef) -> Result<Vec<Step>, Error> {
        let select = self.select_at(select);
        if select.includes.is_empty() {
            let columns = self.typing.check_query(select)?;
            return Ok(vec![self.select(select, columns)?]);
        }
        let task = self.typing.task;
        let loads = loads::find(task, self.view().clone(), select)?;
        self.extra = loads[0].extra.clone();
        let columns = self.typing.check_query(select)?;
        self.check_rows_with_relations(select)?;
        let mut steps = vec![self.select(select, columns)?];
        for load in &loads[1..] {
            let parents = loads[load.parents].view.clone();
            steps.push(Self::new(task, parents)?.load(load)?);
        }
        Ok(steps)
    }

    /// Compiles the rows of a relation. The compiler's first frame is that of the parents, which
    /// are not in the statement.
    fn load(mut self, load: &Load<'a>) -> Result<Step, Error> {
        let frame = self.typing.open_related(0, load.name(), None)?;
        self.typing.enter(frame);
        self.extra = load.extra.clone();
        if let Some(select) = load.rows {
            self.check_rows_of_relation(select)?;
        }
        let mut columns = self.typing.projected(load.projection)?;
        columns.extend(self.extra_columns());

        self.sql.push("SELECT ");
        self.projection(load.projection, false)?;
        self.extra();
        let limited = load.rows.filter(|it| it.limit.is_some() || it.offset.is_some());
        if let Some(select) = limited {
            self.place_among_siblings(load, select)?;
        }
        self.from()?;
        let filter = load.rows.and_then(|it| it.filter);
        let before = policy::conjuncts(&mut self, filter)?;
        self.sql.push(before);
        self.has_parents(load);
        match (limited, load.rows) {
            (Some(select), _) => self.limit_siblings(select, columns.len())?,
            (None, Some(select)) => self.order(select)?,
            (None, None) => {}
        }
        let mut step = self.into_step(&columns)?;
        step.attachment = Some(load.attachment());
        Ok(step)
    }

    /// Checks for what the query's own rows cannot have if relations are loaded with them.
    fn check_rows_with_relations(&mut self, select: &'a Select) -> Result<(), Error> {
        if !select.combined.is_empty() {
            return Err(invalid("combined selects load no relations"));
        }
        if self.typing.is_grouped(select)? {
            return Err(invalid("a select with groups or aggregates loads no relations"));
        }
        match (&select.distinct, self.extra.first()) {
            (Distinct::Rows, Some(extra)) => Err(invalid(format!(
                "distinct rows load relations only by what they list, and {} is not listed",
                shown(extra.name())
            ))),
            _ => Ok(()),
        }
    }

    /// A select of related rows may have a projection, a filter, an order, a limit and an offset.
    fn check_rows_of_relation(&mut self, select: &'a Select) -> Result<(), Error> {
        let plain = matches!(select.distinct, Distinct::No)
            && select.group_by.is_empty()
            && select.having.is_none()
            && select.lock.is_none()
            && select.joins.is_empty()
            && select.combined.is_empty();
        if !plain {
            return Err(invalid(
                "the rows of a relation are chosen by a filter, an order, a limit and an offset only",
            ));
        }
        if !select.includes.is_empty() {
            return Err(invalid(
                "the relations of related rows are included by the query itself, as `comments.author`",
            ));
        }
        self.typing.check_clauses(select)?;
        let order = select.order_by.iter().map(|it| it.expression);
        let outputs = match &select.projection {
            Projection::Outputs(outputs) => outputs.as_slice(),
            Projection::Model | Projection::Fields(_) => &[],
        };
        for node in outputs.iter().map(|it| it.expression).chain(order) {
            self.typing.check_rowwise(node, "the rows of a relation")?;
        }
        Ok(())
    }

    /// The additional columns after the projection.
    pub(super) fn extra_columns(&self) -> Vec<Column<'a>> {
        let row = self.typing.frame().row;
        self.extra.iter().map(|it| it.column(row)).collect()
    }

    /// Writes the additional columns after the projection.
    pub(super) fn extra(&mut self) {
        for extra in self.extra.clone() {
            self.sql.push(", ");
            self.as_text(extra.like(), |it| it.extra_column(&extra));
        }
    }

    fn extra_column(&mut self, extra: &Extra<'a>) {
        let frame = self.typing.frame();
        let pairs = frame.reach.and_then(|it| it.pairs);
        match (extra, pairs) {
            (Extra::Pair { column, .. }, Some(pairs)) => self.column_named(pairs, column),
            (extra, _) => self.column(extra.like()),
        }
    }

    /// Writes the number of a row among the rows of its parent.
    fn place_among_siblings(&mut self, load: &Load<'a>, select: &'a Select) -> Result<(), Error> {
        self.sql.push(", row_number() OVER (PARTITION BY ");
        self.separated(", ", &load.keys, |it, key| it.extra_column(&key.own));
        self.order(select)?;
        self.sql.push(")");
        Ok(())
    }

    /// Applies the limit and offset within each parent.
    fn limit_siblings(&mut self, select: &'a Select, columns: usize) -> Result<(), Error> {
        let mut names: Vec<_> = (0..columns).map(|it| quoted(&format!("c{it}"))).collect();
        let listed = names.join(", ");
        names.push(quoted("place"));
        self.sql.move_ahead(RELATED, &names);
        self.sql.push(&format!("SELECT {listed} FROM \"{RELATED}\" WHERE "));
        if let Some(offset) = select.offset {
            self.sql.push("\"place\" > ");
            self.expression(offset)?;
        }
        if let Some(limit) = select.limit {
            self.sql.push(if select.offset.is_some() { " AND \"place\"" } else { "\"place\"" });
            if let Some(offset) = select.offset {
                self.sql.push(" - ");
                self.expression(offset)?;
            }
            self.sql.push(" <= ");
            self.expression(limit)?;
        }
        self.sql.push(" ORDER BY \"place\"");
        Ok(())
    }

    /// Writes the condition that a row belongs to one of the returned parents.
    fn has_parents(&mut self, load: &Load<'a>) {
        if let [key] = load.keys.as_slice() {
            self.extra_column(&key.own);
            let (before, after) = lists::contains(self.dialect, key.parent.ty.kind, false);
            self.sql.push(before);
            self.returned(load, key);
            return self.sql.push(after);
        }
        self.sql.push("(");
        self.separated(", ", &load.keys, |it, key| it.extra_column(&key.own));
        self.sql.push(") IN (");
        let kinds: Vec<_> = load.keys.iter().map(|it| it.parent.ty.kind).collect();
        let (before, after) = lists::rows(self.dialect, &kinds);
        for (before, key) in before.iter().zip(&load.keys) {
            self.sql.push(before);
            self.returned(load, key);
        }
        self.sql.push(&after);
        self.sql.push(")");
    }

    /// Writes the placeholder for the keys of the parents.
    fn returned(&mut self, load: &Load<'a>, key: &Key<'a>) {
        let ty = key.parent.ty;
        let name = ty.enumeration.filter(|_| self.dialect.features().enums);
        let name = name.map(|it| quoted(&self.catalog.enums[it].name));
        self.sql.push(if name.is_some() { "CAST(" } else { "" });
        self.sql.keys(load.parents_step(), key.parent_column, ty.kind);
        if let Some(name) = name {
            self.sql.push(&format!(" AS {name}[])"));
        }
    }
}
