//! Updates: they touch exactly the rows that their select chooses.

use std::collections::BTreeSet;

use ferro_wit::plan::Step;
use ferro_wit::query::{
    Assignment, Distinct, Node, NodeRef, Projection, Query, Select, SelectRef, Update,
};
use ferro_wit::schema::UpdateValue;
use ferro_wit::types::Error;

use super::Compiler;
use super::projection::RETURNED;
use crate::catalog::Field;
use crate::dialect::{Spelling as _, columns};
use crate::error::{invalid, shown, unsupported};
use crate::policy::{self, Write};
use crate::typing::{Bounds, Table, check_no_includes};
use crate::validate::{children, select_nodes};

impl<'a> Compiler<'a> {
    pub(super) fn update(self, update: &'a Update) -> Result<Vec<Step>, Error> {
        self.view().allow(Write::Update)?;
        match &update.batch {
            None => Ok(vec![self.update_chosen(update)?]),
            Some(batch) => self.update_batch(update, batch),
        }
    }

    fn update_chosen(mut self, update: &'a Update) -> Result<Step, Error> {
        let chosen = self.check_rows(update.rows)?;
        self.check_returned(update.returning.as_ref())?;
        self.sql.push("UPDATE ");
        self.table();
        self.sql.push(" SET ");
        self.typing.confine(Bounds::Selects);
        self.assignments(&update.set)?;
        self.chosen(&chosen)?;
        let columns = self.returning(update.returning.as_ref())?;
        self.into_step(&columns)
    }

    /// Checks what is returned again: a node may be both assigned and returned, and assigned values
    /// may contain more.
    fn check_returned(&mut self, projection: Option<&'a Projection>) -> Result<(), Error> {
        let Some(Projection::Outputs(outputs)) = projection else { return Ok(()) };
        let mut nodes = outputs.iter().map(|it| it.expression);
        nodes.try_for_each(|it| self.typing.check_rowwise(it, RETURNED).map(drop))
    }

    /// Checks the rows of an update or a delete.
    pub(super) fn check_rows(&mut self, rows: SelectRef) -> Result<Chosen<'a>, Error> {
        let rows = self.plain_rows_at(rows)?;
        let counted = rows.limit.is_some() || rows.offset.is_some();
        if !counted && !reaches_out(self.query, rows) {
            self.typing.confine(Bounds::Row);
            self.typing.check_clauses(rows)?;
            return Ok(Chosen { rows, frame: None });
        }
        self.typing.confine(Bounds::Row);
        let frame = self.typing.open(self.view().clone(), None)?;
        self.typing.within(frame, |it| it.check_clauses(rows))?;
        Ok(Chosen { rows, frame: Some(frame) })
    }

    /// Checks the rows of an update by a batch: only a filter is allowed besides their keys.
    pub(super) fn check_rows_of_batch(&mut self, rows: SelectRef) -> Result<&'a Select, Error> {
        let rows = self.plain_rows_at(rows)?;
        if rows.limit.is_some() || rows.offset.is_some() || !rows.order_by.is_empty() {
            return Err(invalid("an update by a batch has no order, limit and offset"));
        }
        if reaches_out(self.query, rows) {
            return Err(unsupported("an update by a batch filters by the row's own fields only"));
        }
        self.typing.confine(Bounds::Row);
        Ok(rows)
    }

    fn plain_rows_at(&self, rows: SelectRef) -> Result<&'a Select, Error> {
        let rows = self.select_at(rows);
        check_no_includes(rows)?;
        let plain = matches!(rows.distinct, Distinct::No)
            && rows.lock.is_none()
            && rows.joins.is_empty()
            && rows.combined.is_empty()
            && rows.group_by.is_empty()
            && rows.having.is_none();
        match plain {
            true => Ok(rows),
            false => Err(invalid(
                "the rows to change are chosen by a filter, an order, a limit and an offset only",
            )),
        }
    }

    /// Writes the assignments.
    pub(super) fn assignments(&mut self, set: &'a [Assignment]) -> Result<(), Error> {
        if set.is_empty() {
            return Err(invalid("an update sets at least one field"));
        }
        let mut known = BTreeSet::new();
        for (position, assignment) in set.iter().enumerate() {
            let field = self.view().writable(&assignment.field)?;
            if !known.insert(field.name.as_str()) {
                return Err(invalid(format!("field {} is set twice", shown(&field.name))));
            }
            self.check_assigned(assignment.value, field)?;
            if position > 0 {
                self.sql.push(", ");
            }
            self.sql.name(&field.column);
            self.sql.push(" = ");
            // A value that agrees with the scope is the one that the row already has.
            if self.view().agreed(field).is_some() {
                self.column(field);
                continue;
            }
            let (before, after) = self.sized(field);
            self.sql.push(before);
            self.assigned(assignment.value, field.ty)?;
            self.sql.push(&after);
        }
        // Every update sets these fields, unless it assigns them itself.
        let model = self.view().model;
        for field in model.fields.iter().filter(|it| !known.contains(&*it.name)) {
            let value = match field.on_update {
                Some(UpdateValue::Now) => Some(columns::now(self.dialect, field.ty.kind)),
                Some(UpdateValue::RandomUuid) => Some(columns::random_uuid(self.dialect)),
                None if field.version => None,
                None => continue,
            };
            self.view().set_by_update(&field.name)?;
            self.sql.push(", ");
            self.sql.name(&field.column);
            self.sql.push(" = ");
            match value {
                Some(value) => self.sql.push(value),
                None => {
                    self.column(field);
                    self.sql.push(" + 1");
                }
            }
        }
        Ok(())
    }

    /// Checks a value to assign. Subqueries in it may refer to the row, unless the update may
    /// already have changed the rows that they read.
    fn check_assigned(&mut self, value: NodeRef, field: &Field) -> Result<(), Error> {
        self.typing.check_assignable(value, field)?;
        let looks_at_row = self.fact(value)?.tables & (1 << self.typing.frame().row) != 0;
        let read = self.typing.selected(value);
        if read.is_empty() || !looks_at_row {
            return Ok(());
        }
        let may_be_own = |it: &&Table<'_>| {
            *it.name == self.view().model.table
                || it.view.as_ref().is_some_and(|it| it.common.is_some())
        };
        match !self.dialect.features().unchanged_meanwhile && read.iter().any(may_be_own) {
            true => {
                let fault = unsupported(
                    "SQLite would read rows that the update has changed already: a value to write \
                     that looks at its row has no select of the same table, and of no common table",
                );
                Err(self.typing.of_field(field, fault))
            }
            false => Ok(()),
        }
    }

    /// Writes the condition for the rows to change. If there is a limit or an offset, or relations
    /// are joined, the rows are chosen by their keys in a subquery.
    pub(super) fn chosen(&mut self, Chosen { rows, frame }: &Chosen<'a>) -> Result<(), Error> {
        let Some(frame) = *frame else {
            // Without a limit, an order has no effect.
            for term in &rows.order_by {
                if self.fact(term.expression)?.parameter {
                    let fault = invalid("an order without a limit takes no parameters here");
                    return Err(self.typing.at(term.expression, fault));
                }
            }
            return policy::conjuncts(self, rows.filter).map(drop);
        };
        let before = policy::conjuncts(self, None)?;
        self.sql.push(before);
        self.key()?;
        self.sql.push(" IN (");
        self.inside(frame, |it| it.chosen_keys(rows))?;
        self.sql.push(")");
        Ok(())
    }
}

/// The rows that a write changes, and the frame of the subquery if one is needed.
pub(super) struct Chosen<'a> {
    rows: &'a Select,
    frame: Option<usize>,
}

/// Whether a select reads other tables than its own.
fn reaches_out(query: &Query, select: &Select) -> bool {
    let mut seen = vec![false; query.nodes.len()];
    let mut open = select_nodes(select);
    while let Some(node) = open.pop() {
        if std::mem::replace(&mut seen[node as usize], true) {
            continue;
        }
        let node = &query.nodes[node as usize];
        let reaches = match node {
            Node::Field(path) => !path.relations.is_empty(),
            Node::Related(_) | Node::Subquery(_) | Node::Exists(_) | Node::InSelect(_) => true,
            _ => false,
        };
        if reaches {
            return true;
        }
        open.extend(children(node).0);
    }
    false
}
