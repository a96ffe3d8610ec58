//! Selects, and what is asked about them: how many rows, and whether there are any.

use ferro_wit::plan::Step;
use ferro_wit::query::{Distinct, Literal, Node, NodeRef, Projection, Select, SelectRef};
use ferro_wit::types::{ColumnInfo, Error, ScalarType};

use super::{Compiler, check_supported};
use crate::dialect::Spelling as _;
use crate::error::{at, invalid, mismatch, unsupported};
use crate::policy;
use crate::validate::children;

impl<'a> Compiler<'a> {
    /// The rows of a select.
    pub(super) fn select(mut self, select: SelectRef) -> Result<Step, Error> {
        let select = self.select_at(select);
        let columns = self.check_select(select)?;
        self.rows(select, Listed::Projection, true)?;
        self.into_step(columns)
    }

    /// How many rows a select has, its limit and offset included.
    pub(super) fn count(mut self, select: SelectRef) -> Result<Step, Error> {
        let select = self.select_at(select);
        self.check_select(select)?;
        let listed = self.listed_for_count(select)?;
        let plain = listed == Listed::Nothing
            && select.limit.is_none()
            && select.offset.is_none()
            && select.group_by.is_empty()
            && select.having.is_none();
        if plain {
            self.rows(select, Listed::Count, false)?;
        } else {
            self.sql.push("SELECT count(*) FROM (");
            let ordered = self.order_has_parameters(select)?;
            self.rows(select, listed, ordered)?;
            self.sql.push(") AS \"rows\"");
        }
        self.into_step(vec![counted("count", ScalarType::Integer)])
    }

    /// Whether a select has a row.
    pub(super) fn exists(mut self, select: SelectRef) -> Result<Step, Error> {
        let select = self.select_at(select);
        self.check_select(select)?;
        let listed = self.listed_for_count(select)?;
        self.sql.push("SELECT EXISTS (");
        let ordered = self.order_has_parameters(select)?;
        self.rows(select, listed, ordered)?;
        self.sql.push(")");
        self.into_step(vec![counted("exists", ScalarType::Boolean)])
    }

    /// Writes the select that chooses rows to change, by their keys.
    pub(super) fn chosen_keys(&mut self, select: &'a Select) -> Result<(), Error> {
        self.rows(select, Listed::Keys, true)
    }

    /// The rows that an update or a delete is about: checked, with nothing that it cannot have.
    pub(super) fn check_rows(&mut self, select: &'a Select) -> Result<(), Error> {
        check_supported(select)?;
        let plain = matches!(select.distinct, Distinct::No)
            && select.group_by.is_empty()
            && select.having.is_none();
        if !plain {
            return Err(invalid(
                "the rows to change are chosen by a filter, an order, a limit and an offset only",
            ));
        }
        self.check_clauses(select)
    }

    pub(super) fn select_at(&self, select: SelectRef) -> &'a Select {
        &self.query.selects[select as usize]
    }

    /// Checks all parts of a select, those that are left out of a count included: what may not be
    /// named may not be named there either.
    fn check_select(&mut self, select: &'a Select) -> Result<Vec<ColumnInfo>, Error> {
        check_supported(select)?;
        let columns = self.projected(&select.projection)?;
        self.check_clauses(select)?;
        self.check_groups(select)?;
        self.check_distinct(select)?;
        Ok(columns)
    }

    fn check_clauses(&mut self, select: &'a Select) -> Result<(), Error> {
        if let Some(filter) = select.filter {
            self.typing.check_condition(filter)?;
            self.typing.check_rowwise(filter)?;
        }
        for node in &select.group_by {
            self.typing.check_rowwise(*node)?;
            self.check_sortable(*node)?;
        }
        if let Some(having) = select.having {
            self.typing.check_condition(having)?;
        }
        for term in &select.order_by {
            self.check_sortable(term.expression)?;
        }
        for bound in [select.limit, select.offset].into_iter().flatten() {
            self.check_bound(bound)?;
        }
        Ok(())
    }

    /// What rows are ordered or grouped by. A constant would be read as the place of a column.
    fn check_sortable(&mut self, node: NodeRef) -> Result<(), Error> {
        let fact = self.fact(node)?;
        if !fact.varies {
            return Err(at(node)(invalid("rows cannot be ordered or grouped by a constant")));
        }
        match fact.ty {
            Some(ty) if ty.many || matches!(ty.kind, ScalarType::Json | ScalarType::Interval) => {
                Err(at(node)(unsupported(format!(
                    "ordering or grouping by {} is not supported",
                    self.typing.describe(ty)
                ))))
            }
            _ => Ok(()),
        }
    }

    fn check_bound(&mut self, node: NodeRef) -> Result<(), Error> {
        let fault = match self.node(node) {
            Node::Literal(Literal::Integer(0..)) => return Ok(()),
            Node::Literal(Literal::Integer(_)) => invalid("a limit or an offset is not negative"),
            Node::Parameter(it) if it.kind == ScalarType::Integer && !it.many => {
                // It has no row that it could depend on, and is typed by nothing else.
                return self.fact(node).map(|_| ());
            }
            _ => mismatch("a limit or an offset is a whole number or a parameter of type integer"),
        };
        Err(at(node)(fault))
    }

    /// In a grouped select, what is listed, ordered by and asked of groups is made of what rows are
    /// grouped by and of aggregates. SQLite would pick some row instead of failing.
    fn check_groups(&mut self, select: &'a Select) -> Result<(), Error> {
        if !self.is_grouped(select)? {
            return match select.having {
                Some(having) => Err(at(having)(invalid("`having` needs `group-by`"))),
                None => Ok(()),
            };
        }
        let Projection::Outputs(outputs) = &select.projection else {
            return Err(invalid("a select with groups or aggregates lists its outputs"));
        };
        let mut seen = vec![false; self.query.nodes.len()];
        let outputs = outputs.iter().map(|it| it.expression);
        let order = select.order_by.iter().map(|it| it.expression);
        for node in outputs.chain(select.having).chain(order) {
            self.check_grouped(node, select, &mut seen)?;
        }
        Ok(())
    }

    fn check_grouped(
        &self,
        node: NodeRef,
        select: &Select,
        seen: &mut [bool],
    ) -> Result<(), Error> {
        let first = !std::mem::replace(&mut seen[node as usize], true);
        let grouped = || select.group_by.iter().any(|it| self.same(*it, node));
        match self.node(node) {
            _ if !first || grouped() => Ok(()),
            Node::Aggregate(_) => Ok(()),
            Node::Field(_) => {
                Err(at(node)(invalid("the field is neither grouped by nor aggregated")))
            }
            other => children(other)
                .0
                .into_iter()
                .try_for_each(|child| self.check_grouped(child, select, seen)),
        }
    }

    /// Whether two nodes are the same expression, as far as grouping goes.
    fn same(&self, one: NodeRef, other: NodeRef) -> bool {
        one == other
            || matches!(
                (self.node(one), self.node(other)),
                (Node::Field(one), Node::Field(other)) if one == other
            )
    }

    fn is_grouped(&mut self, select: &'a Select) -> Result<bool, Error> {
        let outputs = match &select.projection {
            Projection::Outputs(outputs) => outputs.as_slice(),
            Projection::Model | Projection::Fields(_) => &[],
        };
        let mut nodes: Vec<_> = outputs.iter().map(|it| it.expression).collect();
        nodes.extend(select.order_by.iter().map(|it| it.expression));
        nodes.extend(select.having);
        let mut grouped = !select.group_by.is_empty();
        for node in nodes {
            grouped |= self.fact(node)?.aggregate;
        }
        Ok(grouped)
    }

    /// Distinct rows can be ordered by what they list only. PostgreSQL says so; SQLite would not.
    fn check_distinct(&mut self, select: &'a Select) -> Result<(), Error> {
        if !matches!(select.distinct, Distinct::Rows) {
            return Ok(());
        }
        for term in &select.order_by {
            let node = term.expression;
            let listed = match (&select.projection, self.node(node)) {
                (Projection::Model, Node::Field(_)) => true,
                (Projection::Fields(names), Node::Field(path)) => names.contains(&path.field),
                (Projection::Outputs(outputs), _) => {
                    outputs.iter().any(|it| self.same(it.expression, node))
                }
                _ => false,
            };
            if !listed {
                return Err(at(node)(invalid("distinct rows are ordered by what they list only")));
            }
            if self.fact(node)?.ty.is_some_and(|it| it.enumeration.is_some()) {
                return Err(at(node)(unsupported(
                    "ordering distinct rows by an enum is not supported yet",
                )));
            }
        }
        Ok(())
    }

    /// A count needs no columns, unless they decide which rows there are. What has parameters stays
    /// too: a caller sends a value for each.
    fn listed_for_count(&mut self, select: &'a Select) -> Result<Listed, Error> {
        let mut needed = matches!(select.distinct, Distinct::Rows);
        if let Projection::Outputs(outputs) = &select.projection {
            for output in outputs {
                let fact = self.fact(output.expression)?;
                needed |= fact.aggregate || fact.parameter;
            }
        }
        Ok(if needed { Listed::Projection } else { Listed::Nothing })
    }

    fn order_has_parameters(&mut self, select: &'a Select) -> Result<bool, Error> {
        let mut found = false;
        for term in &select.order_by {
            let fact = self.fact(term.expression)?;
            found |= fact.parameter || fact.aggregate;
        }
        Ok(found)
    }

    fn rows(&mut self, select: &'a Select, listed: Listed, ordered: bool) -> Result<(), Error> {
        self.sql.push("SELECT ");
        match listed {
            Listed::Projection => {
                if matches!(select.distinct, Distinct::Rows) {
                    self.sql.push("DISTINCT ");
                }
                self.projection(&select.projection)?;
            }
            Listed::Keys => self.keys(),
            Listed::Nothing => self.sql.push("1"),
            Listed::Count => self.sql.push("count(*)"),
        }
        self.sql.push(" FROM ");
        self.source();
        policy::conjuncts(self, select.filter)?;
        self.groups(select)?;
        if ordered {
            self.order(select)?;
        }
        self.bounds(select)
    }

    /// Writes the columns of the primary key.
    pub(super) fn keys(&mut self) {
        let model = self.view().model;
        for (position, index) in model.primary_key.iter().enumerate() {
            if position > 0 {
                self.sql.push(", ");
            }
            self.column(&model.fields[*index]);
        }
    }

    fn groups(&mut self, select: &'a Select) -> Result<(), Error> {
        for (position, node) in select.group_by.iter().enumerate() {
            self.sql.push(if position > 0 { ", " } else { " GROUP BY " });
            match self.fact(*node)?.ty.and_then(|it| it.enumeration) {
                Some(_) => self.expression(*node)?,
                None => self.sort_key(*node)?,
            }
        }
        let Some(having) = select.having else { return Ok(()) };
        self.sql.push(" HAVING ");
        let fact = self.fact(having)?;
        if fact.aggregate || !fact.fallible || self.view().forced.is_empty() {
            return self.expression(having);
        }
        // Without an aggregate in it, a database may ask it of single rows, in scope or not.
        self.sql.push("CASE WHEN count(*) > 0 THEN ");
        self.expression(having)?;
        self.sql.push(" END");
        Ok(())
    }

    fn order(&mut self, select: &'a Select) -> Result<(), Error> {
        for (position, term) in select.order_by.iter().enumerate() {
            self.sql.push(if position > 0 { ", " } else { " ORDER BY " });
            self.sort_key(term.expression)?;
            if term.descending {
                self.sql.push(" DESC");
            }
            if self.fact(term.expression)?.nullable {
                self.sql.push(self.dialect.nulls(term.descending, term.nulls));
            }
        }
        Ok(())
    }

    fn bounds(&mut self, select: &'a Select) -> Result<(), Error> {
        match (select.limit, select.offset, self.dialect.no_limit()) {
            (Some(limit), ..) => {
                self.sql.push(" LIMIT ");
                self.expression(limit)?;
            }
            (None, Some(_), Some(no_limit)) => {
                self.sql.push(" LIMIT ");
                self.sql.push(no_limit);
            }
            _ => {}
        }
        if let Some(offset) = select.offset {
            self.sql.push(" OFFSET ");
            self.expression(offset)?;
        }
        Ok(())
    }
}

/// What a select lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listed {
    Projection,
    Keys,
    Nothing,
    Count,
}

fn counted(name: &str, kind: ScalarType) -> ColumnInfo {
    ColumnInfo { path: vec![name.to_owned()], kind, many: false, nullable: false }
}
