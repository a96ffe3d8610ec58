//! Subqueries, and conditions on related rows.

use ferro_wit::query::{
    Literal, Node, NodeRef, Projection, Quantifier, Related, Select, SelectRef,
};
use ferro_wit::types::{Error, ScalarType};

use super::{Bounds, Column, Fact, Typing};
use crate::catalog::Type;
use crate::error::{invalid, mismatch};
use crate::validate::select_nodes;

impl<'a> Typing<'a> {
    /// A condition on the rows that relations lead to. Relations to one row are joined; the others,
    /// and the last one, open frames.
    pub(super) fn related(&mut self, node: NodeRef, related: &'a Related) -> Result<Fact, Error> {
        self.check_reach(self.current, Bounds::Selects).map_err(|error| self.at(node, error))?;
        if related.quantifier == Quantifier::All && related.condition.is_none() {
            return Err(self.at(node, invalid("`all` needs a condition")));
        }
        let (innermost, frames) = self.way(related).map_err(|error| {
            match related.relations.len() > 1 {
                true => self.at(node, error),
                // The error already names the relation.
                false => error,
            }
        })?;
        let mut fact = Fact::CONSTANT;
        if let Some(condition) = related.condition {
            fact = self.within(innermost, |it| {
                it.check_condition(condition)?;
                it.check_rowwise(condition, "a condition on related rows")
            })?;
        }
        for frame in frames.iter().rev() {
            let from = self.frames[*frame].reach.map_or(0, |it| 1 << it.from);
            fact.tables = self.beyond(*frame, fact.tables | from);
        }
        self.opened(node, frames);
        // Failures inside the condition are guarded there.
        let fact = Fact { nullable: false, fallible: false, varies: true, ..fact };
        Ok(fact.with(ScalarType::Boolean))
    }

    /// The frames that relations open, and the innermost of them.
    fn way(&mut self, related: &'a Related) -> Result<(usize, Vec<usize>), Error> {
        let here = self.current;
        let Some((last, way)) = related.relations.split_last() else {
            return Err(invalid("`related` crosses at least one relation"));
        };
        let mut table = self.frame().row;
        let mut frames = Vec::new();
        for name in way {
            if self.leads_to_many(table, name)? {
                let frame = self.open_related(table, name, Some(here))?;
                frames.push(frame);
                table = self.frames[frame].row;
            } else {
                table = self.step(frames.last().copied().unwrap_or(here), table, name)?;
            }
        }
        let innermost = self.open_related(table, last, Some(here))?;
        frames.push(innermost);
        Ok((innermost, frames))
    }

    /// The combined fact about the nodes of a subquery, and its columns.
    fn inner_select(
        &mut self,
        node: NodeRef,
        select: SelectRef,
    ) -> Result<(Fact, Vec<Column<'a>>), Error> {
        self.check_reach(self.current, Bounds::Selects).map_err(|error| self.at(node, error))?;
        let select = &self.task.query.selects[select as usize];
        let view = self.task.open(&select.model)?;
        let frame = self.open(view, Some(self.current))?;
        let (columns, fact) = self.within(frame, |it| {
            let columns = it.check_select(select)?;
            Ok((columns, it.whole(select)?))
        })?;
        self.opened(node, vec![frame]);
        let tables = self.beyond(frame, fact.tables);
        Ok((Fact { tables, aggregate: false, window: false, varies: true, ..fact }, columns))
    }

    /// The combined fact about the nodes of a select.
    pub(crate) fn whole(&mut self, select: &'a Select) -> Result<Fact, Error> {
        let mut fact = Fact::CONSTANT;
        for node in select_nodes(select) {
            let mut part = self.fact(node)?;
            // Conditions are guarded where they are written. A negative limit or offset fails.
            let is_bound = [select.limit, select.offset].contains(&Some(node));
            part.fallible &= Some(node) != select.filter;
            part.fallible &= select.joins.iter().all(|it| it.on != node);
            part.fallible |= is_bound && part.parameter;
            fact = Fact::around([fact, part]);
        }
        let combined = self.frame().combined.clone();
        for (frame, (_, other)) in combined.into_iter().zip(&select.combined) {
            let other = &self.task.query.selects[*other as usize];
            let part = self.within(frame, |it| it.whole(other))?;
            let tables = self.beyond(frame, part.tables);
            fact = Fact::around([fact, Fact { tables, ..part }]);
        }
        fact.parameter |= self.reads_parameters();
        Ok(fact)
    }

    /// Whether the common tables that the current frame reads contain parameters.
    fn reads_parameters(&self) -> bool {
        let frame = self.frame();
        let tables = frame.joined.iter().map(|it| it.table).chain([frame.row]);
        let mut commons = tables
            .filter_map(|it| self.tables[it].view.as_ref()?.common)
            .filter_map(|it| self.task.commons.get(it));
        commons.any(|it| it.parameter)
    }

    /// Rejects aggregates in the step of a recursive table: it has one row per joined pair.
    pub(crate) fn check_step(&mut self, select: &'a Select) -> Result<(), Error> {
        let Projection::Outputs(outputs) = &select.projection else { return Ok(()) };
        let place = "the step of a recursive table";
        outputs.iter().try_for_each(|it| self.check_rowwise(it.expression, place).map(|_| ()))
    }

    pub(super) fn subquery(&mut self, node: NodeRef, select: SelectRef) -> Result<Fact, Error> {
        let (fact, columns) = self.inner_select(node, select)?;
        let ty = only_type(&columns).map_err(|error| self.at(node, error))?;
        let select = &self.task.query.selects[select as usize];
        let limited = select
            .limit
            .is_some_and(|it| matches!(self.node(it), Node::Literal(Literal::Integer(0..=1))));
        let frame = self.inner(node).first().copied().unwrap_or(self.current);
        let aggregated = self.within(frame, |it| it.is_grouped(select))?;
        let alone = select.group_by.is_empty() && select.combined.is_empty();
        let one_row = limited || (aggregated && alone);
        if !one_row {
            return Err(self.at(
                node,
                invalid(
                    "a select that stands for a value has one row: give it a limit of 1, or an \
                     aggregate without groups",
                ),
            ));
        }
        Ok(Fact { ty, nullable: true, ..fact })
    }

    pub(super) fn exists(&mut self, node: NodeRef, select: SelectRef) -> Result<Fact, Error> {
        let (fact, _) = self.inner_select(node, select)?;
        Ok(Fact { nullable: false, ..fact }.with(ScalarType::Boolean))
    }

    pub(super) fn in_select(
        &mut self,
        node: NodeRef,
        operand: NodeRef,
        select: SelectRef,
    ) -> Result<Fact, Error> {
        let value = self.fact(operand)?;
        let (fact, columns) = self.inner_select(node, select)?;
        let ty = only_type(&columns).map_err(|error| self.at(node, error))?;
        let comparable = self.check_comparable(value, Fact { ty, ..fact });
        comparable.map_err(|error| self.at(node, error))?;
        match (value.ty, ty) {
            (Some(one), Some(other)) if one.kind != other.kind => Err(self.at(
                node,
                mismatch(format!(
                    "{} is looked for among values of {}: cast one of them",
                    self.describe(one),
                    self.describe(other)
                )),
            )),
            _ => {
                let nullable = value.nullable || columns.iter().any(|it| it.nullable);
                let fact = Fact { nullable, ..Fact::around([value, fact]) };
                Ok(fact.with(ScalarType::Boolean))
            }
        }
    }
}

fn only_type(columns: &[Column<'_>]) -> Result<Option<Type>, Error> {
    match columns {
        [column] => Ok(column.ty),
        _ => Err(invalid("a select that stands for a value has one column")),
    }
}
