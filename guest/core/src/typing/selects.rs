//! Selects: what their clauses may contain, and what they return.

use std::collections::BTreeSet;

use ferro_wit::query::{
    Distinct, Literal, Node, NodeRef, OrderTerm, Projection, Select, SetOperator, Statement,
};
use ferro_wit::types::{Error, ScalarType};

use super::{Column, Fact, Typing};
use crate::catalog::Field;
use crate::dialect::Spelling as _;
use crate::error::{about, invalid, mismatch, out_of_range, path, shown, unsupported};
use crate::policy::Write;
use crate::validate::{children, select_nodes};

impl<'a> Typing<'a> {
    /// Checks all parts of a select in the frame of its rows, even those that a count leaves out,
    /// since forbidden names are forbidden there, too.
    pub(crate) fn check_select(&mut self, select: &'a Select) -> Result<Vec<Column<'a>>, Error> {
        check_no_includes(select)?;
        self.check_query(select)
    }

    /// The same for the select of a query, which may include relations.
    pub(crate) fn check_query(&mut self, select: &'a Select) -> Result<Vec<Column<'a>>, Error> {
        select.joins.iter().try_for_each(|join| self.join(join))?;
        let mut columns = self.projected(&select.projection)?;
        self.check_clauses(select)?;
        self.check_groups(select)?;
        self.check_distinct(select, &columns)?;
        self.check_lock(select)?;
        self.check_combined(select, &mut columns)?;
        Ok(columns)
    }

    /// Checks combined selects: they must have columns of the same types, and be ordered by these.
    /// A column is nullable if it is in one of them.
    fn check_combined(
        &mut self,
        select: &'a Select,
        columns: &mut [Column<'a>],
    ) -> Result<(), Error> {
        let mut told_apart = true;
        for (operator, other) in &select.combined {
            let other = &self.task.query.selects[*other as usize];
            let view = self.task.open(&other.model)?;
            let frame = self.open_beside(view)?;
            let found = self.within(frame, |it| it.check_select(other))?;
            let kinds = |it: &Column<'_>| (it.shape().kind, it.shape().many);
            if !columns.iter().map(kinds).eq(found.iter().map(kinds)) {
                return Err(self.of_rows(mismatch(format!(
                    "it is combined with a select of {} whose columns have other types",
                    shown(&other.model)
                ))));
            }
            told_apart &= other.combined.is_empty() && self.lists_rows_of(frame);
            if *operator != SetOperator::UnionAll && !told_apart {
                self.check_equality(&found)?;
            }
            columns.iter_mut().zip(&found).for_each(|(column, other)| column.add(other));
            self.frame_mut().combined.push(frame);
        }
        if select.combined.is_empty() {
            return Ok(());
        }
        select.order_by.iter().try_for_each(|term| self.listed_at(select, term).map(|_| ()))
    }

    /// The position of the column by which a term orders, from 1.
    pub(crate) fn listed_at(
        &mut self,
        select: &'a Select,
        term: &OrderTerm,
    ) -> Result<usize, Error> {
        let node = term.expression;
        let own = match self.node(node) {
            Node::Field(path) if path.outer == 0 && path.relations.is_empty() => Some(&path.field),
            _ => None,
        };
        let place = match &select.projection {
            Projection::Model => self.view().readable_fields().position(|it| Some(&it.name) == own),
            Projection::Fields(names) => names.iter().position(|it| Some(it) == own),
            Projection::Outputs(outputs) => {
                outputs.iter().position(|it| self.same(it.expression, node))
            }
        };
        let Some(place) = place else {
            let fault = invalid("distinct and combined rows are ordered by what they list only");
            return Err(self.at(node, fault));
        };
        if self.fact(node)?.ty.is_some_and(|it| it.enumeration.is_some()) {
            let fault =
                unsupported("ordering distinct or combined rows by an enum is not supported");
            return Err(self.at(node, fault));
        }
        Ok(place + 1)
    }

    /// Checks that the rows can be locked: they must be rows of a table.
    fn check_lock(&mut self, select: &'a Select) -> Result<(), Error> {
        if select.lock.is_none() {
            return Ok(());
        }
        self.view().allow(Write::Update)?;
        let mut windows = false;
        if let Projection::Outputs(outputs) = &select.projection {
            for output in outputs {
                windows |= self.fact(output.expression)?.window;
            }
        }
        let plain = matches!(select.distinct, Distinct::No)
            && select.combined.is_empty()
            && self.view().common.is_none()
            && !self.frame().grouped
            && !windows;
        let is_read = matches!(self.task.query.statement, Statement::Select(_));
        match plain && is_read && self.current == 0 {
            true => Ok(()),
            false => Err(self.of_rows(invalid(
                "`lock` is for the rows of a model: not with groups, `distinct`, `combined` or \
                 window functions, not for a count or a common table, and not inside of another \
                 select",
            ))),
        }
    }

    /// Checks the clauses that filter and order the rows of a select.
    pub(crate) fn check_clauses(&mut self, select: &'a Select) -> Result<(), Error> {
        if let Some(filter) = select.filter {
            self.check_condition(filter)?;
            self.check_rowwise(filter, "a filter")?;
        }
        for node in &select.group_by {
            self.check_rowwise(*node, "`group-by`")?;
            self.check_sortable(*node)?;
        }
        if let Some(having) = select.having {
            self.check_condition(having)?;
            self.check_no_window(having, "`having`")?;
        }
        for term in &select.order_by {
            match select.combined.is_empty() {
                true => self.check_sortable(term.expression)?,
                // Ordered by the position of a column, which may be any expression.
                false => self.check_has_order(term.expression)?,
            }
        }
        for bound in [select.limit, select.offset].into_iter().flatten() {
            self.check_bound(bound)?;
        }
        Ok(())
    }

    /// Fails if rows are ordered or grouped by fields of an enclosing select, unless the database
    /// supports this.
    pub(crate) fn check_sorts_own(&mut self, node: NodeRef) -> Result<(), Error> {
        let tables = self.fact(node)?.tables;
        match self.beyond(self.current, tables) == 0 || self.task.dialect.features().outer_sorting {
            true => Ok(()),
            false => Err(self.at(
                node,
                unsupported("SQLite does not order or group rows by the fields of an outer select"),
            )),
        }
    }

    /// Checks an expression to order or group by. A constant would be read as the position of a
    /// column.
    pub(super) fn check_sortable(&mut self, node: NodeRef) -> Result<(), Error> {
        if !self.fact(node)?.varies {
            return Err(invalid("rows cannot be ordered or grouped by a constant"));
        }
        self.check_has_order(node)
    }

    /// Checks that values have an order.
    fn check_has_order(&mut self, node: NodeRef) -> Result<(), Error> {
        match self.fact(node)?.ty {
            Some(ty) if ty.many || matches!(ty.kind, ScalarType::Json | ScalarType::Interval) => {
                let ty = self.describe(ty);
                let fault = format!("ordering or grouping by {ty} is not supported");
                Err(self.at(node, unsupported(fault)))
            }
            _ => Ok(()),
        }
    }

    fn check_bound(&mut self, node: NodeRef) -> Result<(), Error> {
        let fault = match self.node(node) {
            Node::Literal(Literal::Integer(0..)) => return Ok(()),
            Node::Literal(Literal::Integer(_)) => {
                out_of_range("a limit or an offset is not negative")
            }
            Node::Parameter(it) if it.kind == ScalarType::Integer && !it.many => {
                // It cannot depend on a row, and its type is not checked elsewhere.
                return self.fact(node).map(|_| ());
            }
            _ => mismatch("a limit or an offset is a whole number or a parameter of type integer"),
        };
        Err(self.at(node, fault))
    }

    /// Checks that a grouped select lists, orders by and filters only expressions made of the group
    /// keys and aggregates. SQLite would use some row instead of failing.
    fn check_groups(&mut self, select: &'a Select) -> Result<(), Error> {
        let grouped = self.is_grouped(select)?;
        self.frame_mut().grouped = grouped;
        if !grouped {
            return match select.having {
                Some(having) => Err(self.at(having, invalid("`having` needs `group-by`"))),
                None => Ok(()),
            };
        }
        let Projection::Outputs(outputs) = &select.projection else {
            let fault = invalid("a select with groups or aggregates lists its outputs");
            return Err(self.of_rows(fault));
        };
        let mut lists_aggregate = false;
        for output in outputs {
            lists_aggregate |= self.fact(output.expression)?.aggregate;
        }
        // SQLite requires it; a count of the select would not know that it has one row.
        if select.group_by.is_empty() && !lists_aggregate {
            let fault = invalid("a select with aggregates and without groups lists an aggregate");
            return Err(self.of_rows(fault));
        }
        let mut seen = BTreeSet::new();
        let outputs = outputs.iter().map(|it| it.expression);
        let order = select.order_by.iter().map(|it| it.expression);
        for node in outputs.chain(select.having).chain(order) {
            self.check_grouped(node, select, 0, &mut seen)?;
        }
        Ok(())
    }

    /// `inside` counts the selects between the node and the grouped one.
    fn check_grouped(
        &self,
        node: NodeRef,
        select: &Select,
        inside: u8,
        seen: &mut BTreeSet<(u8, NodeRef)>,
    ) -> Result<(), Error> {
        let grouped = |it: &NodeRef| match inside {
            0 => self.same(*it, node),
            _ => matches!(
                (self.node(*it), self.node(node)),
                (Node::Field(one), Node::Field(other))
                    if one.outer == 0 && other.outer == inside
                        && one.relations == other.relations && one.field == other.field
            ),
        };
        if !seen.insert((inside, node)) || select.group_by.iter().any(grouped) {
            return Ok(());
        }
        match self.node(node) {
            Node::Field(path) if path.outer == inside => {
                let fault = invalid("the field is neither grouped by nor aggregated");
                Err(self.of_path(path, fault))
            }
            Node::Aggregate(_) if inside == 0 => Ok(()),
            // It depends on the keys of a row, and a group has many rows.
            Node::Related(_) if inside == 0 => Err(self.at(
                node,
                invalid("`related` asks about a row: group by it, or put it into the filter"),
            )),
            other => {
                let (nodes, inner) = children(other);
                let deeper = inside.saturating_add(1);
                if matches!(other, Node::Related(_)) {
                    return nodes
                        .into_iter()
                        .try_for_each(|child| self.check_grouped(child, select, deeper, seen));
                }
                for child in nodes {
                    self.check_grouped(child, select, inside, seen)?;
                }
                let mut open = Vec::from_iter(inner);
                while let Some(inner) = open.pop() {
                    let inner = &self.task.query.selects[inner as usize];
                    open.extend(inner.combined.iter().map(|(_, it)| *it));
                    for child in select_nodes(inner) {
                        self.check_grouped(child, select, deeper, seen)?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Whether two nodes are the same expression for the purpose of grouping.
    pub(super) fn same(&self, one: NodeRef, other: NodeRef) -> bool {
        one == other
            || matches!(
                (self.node(one), self.node(other)),
                (Node::Field(one), Node::Field(other)) if one == other
            )
    }

    pub(crate) fn is_grouped(&mut self, select: &'a Select) -> Result<bool, Error> {
        let outputs = match &select.projection {
            Projection::Outputs(outputs) => outputs.as_slice(),
            Projection::Model | Projection::Fields(_) => &[],
        };
        let outputs = outputs.iter().map(|it| it.expression);
        let order = select.order_by.iter().map(|it| it.expression);
        let mut grouped = !select.group_by.is_empty();
        for node in outputs.chain(order).chain(select.having) {
            grouped |= self.fact(node)?.aggregate;
        }
        Ok(grouped)
    }

    /// The fields of the primary key that are added to the order of a select, so that its pages are
    /// deterministic: none if there is no order, if it is already unique, or if result rows are not
    /// rows of the model.
    pub(crate) fn last_keys(&self, select: &Select) -> Vec<&'a Field> {
        let paged = select.limit.is_some() || select.offset.is_some();
        let plain = !matches!(select.distinct, Distinct::Rows) && select.combined.is_empty();
        let ordered = paged || !select.order_by.is_empty();
        match plain && ordered && !self.frame().grouped {
            true => self.keys_after(&select.order_by),
            false => Vec::new(),
        }
    }

    /// The fields of the primary key that the terms lack; none if the terms identify a row.
    pub(crate) fn keys_after(&self, terms: &[OrderTerm]) -> Vec<&'a Field> {
        let named = |it: &OrderTerm| match self.node(it.expression) {
            Node::Field(path) if path.outer == 0 && path.relations.is_empty() => {
                Some(path.field.as_str())
            }
            _ => None,
        };
        let named: Vec<_> = terms.iter().filter_map(named).collect();
        let model = self.view().model;
        let is_ordered = |it: &usize| named.contains(&model.fields[*it].name.as_str());
        let never_null = |it: &usize| !model.fields[*it].nullable;
        if model.keys.iter().any(|key| key.iter().all(|it| is_ordered(it) && never_null(it))) {
            return Vec::new();
        }
        let keys = model.primary_key.iter().filter(|it| !is_ordered(it));
        // An order by a field that may not be read would reveal something about its values.
        keys.map(|it| &model.fields[*it]).filter(|it| self.view().may_read(it)).collect()
    }

    /// Whether a select lists rows by their key, like the select of a frame: then no other value
    /// decides which of them are equal.
    fn lists_rows_of(&self, frame: usize) -> bool {
        let (own, other) = (self.frame(), &self.frames[frame]);
        let is_same = |(one, other): (&&Field, &&Field)| std::ptr::eq(*one, *other);
        let keys = &own.view.model.primary_key;
        let is_listed = |key: &usize| {
            own.listed.iter().any(|it| std::ptr::eq(*it, &own.view.model.fields[*key]))
        };
        own.listed.len() == other.listed.len()
            && own.listed.iter().zip(&other.listed).all(is_same)
            && !keys.is_empty()
            && keys.iter().all(is_listed)
    }

    /// Fails for columns whose values the database cannot compare.
    pub(crate) fn check_equality(&self, columns: &[Column<'_>]) -> Result<(), Error> {
        let mut facts = columns.iter().map(|it| Fact { ty: it.ty, ..Fact::CONSTANT });
        facts.try_for_each(|it| self.check_comparable(it, it))
    }

    /// Checks the order of distinct rows, which may only use listed columns: PostgreSQL requires
    /// it, SQLite does not. The first of the rows with equal values are found in a separate frame.
    fn check_distinct(&mut self, select: &'a Select, columns: &[Column<'_>]) -> Result<(), Error> {
        match &select.distinct {
            Distinct::No => Ok(()),
            Distinct::Rows => {
                if !self.lists_rows_of(self.current) {
                    self.check_equality(columns)?;
                }
                let mut terms = select.order_by.iter();
                terms.try_for_each(|term| self.listed_at(select, term).map(|_| ()))
            }
            Distinct::On(on) => {
                if on.is_empty() || self.frame().grouped || !select.combined.is_empty() {
                    return Err(self.of_rows(invalid(
                        "`distinct on` names what rows agree in, and takes no groups and no \
                         `combined`",
                    )));
                }
                if self.view().common.is_some() || !select.joins.is_empty() {
                    return Err(self.of_rows(unsupported(
                        "`distinct on` is for the rows of a model, without `joins`",
                    )));
                }
                let frame = self.open_beside(self.view().clone())?;
                self.frame_mut().first = Some(frame);
                self.within(frame, |it| {
                    for node in on {
                        it.check_rowwise(*node, "`distinct on`")?;
                        it.check_sortable(*node)?;
                    }
                    it.check_clauses(select)
                })
            }
        }
    }

    pub(crate) fn node(&self, node: NodeRef) -> &'a Node {
        &self.task.query.nodes[node as usize]
    }
}

/// Fails if a select includes relations, but does not return its own rows.
pub(crate) fn check_no_includes(select: &Select) -> Result<(), Error> {
    let Some(inclusion) = select.includes.first() else { return Ok(()) };
    let relations = inclusion.relations.iter().map(String::as_str);
    let names = path([select.model.as_str()].into_iter().chain(relations));
    Err(about(&names, invalid("relations are loaded with the rows of a query only")))
}
