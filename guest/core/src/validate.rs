//! The first stage: checks that a query is a well-formed tree, and small enough to be processed.
//!
//! Queries come from plugins. After this stage, every index refers to an existing, earlier entry,
//! so there are no cycles, and the depth is limited.

use std::collections::BTreeMap;

use ferro_wit::query::{Node, NodeRef, Projection, Query, RowSource, Select, SelectRef, Statement};
use ferro_wit::types::{Error, ScalarType};
use smallvec::{SmallVec, smallvec};

use crate::blame::blame;
use crate::error::{about, invalid, limit, mismatch, shown, unsupported};

/// The maximum number of nodes in a query.
pub(crate) const MAX_NODES: usize = 4096;
/// The maximum number of selects in a query.
pub(crate) const MAX_SELECTS: usize = 256;
/// The maximum depth of an expression.
pub(crate) const MAX_DEPTH: u32 = 64;
/// The maximum number of references between nodes and selects: lists may repeat a node.
pub(crate) const MAX_REFERENCES: usize = 8 * MAX_NODES;
/// The maximum number of parameters.
pub(crate) const MAX_PARAMETERS: u32 = 32_000;

/// Checks the indices, the depth and the size of a query, and that a parameter has one type.
pub(crate) fn structure(query: &Query) -> Result<(), Error> {
    if query.nodes.len() > MAX_NODES {
        return Err(limit(format!("more than {MAX_NODES} nodes")));
    }
    if query.selects.len() > MAX_SELECTS {
        return Err(limit(format!("more than {MAX_SELECTS} selects")));
    }
    let mut check = Check { query, depths: Vec::with_capacity(query.nodes.len()), references: 0 };
    check.nodes()?;
    check.selects()?;
    check.common()?;
    check.statement()?;
    parameters(query)
}

struct Check<'a> {
    query: &'a Query,
    /// Of the nodes checked so far.
    depths: Vec<u32>,
    references: usize,
}

impl Check<'_> {
    fn nodes(&mut self) -> Result<(), Error> {
        for (index, node) in (0..).zip(&self.query.nodes) {
            let depth = self.node(index, node)?;
            self.depths.push(depth);
        }
        Ok(())
    }

    /// The depth of a node, whose children come before it.
    fn node(&mut self, index: NodeRef, node: &Node) -> Result<u32, Error> {
        let (children, select) = children(node);
        self.count(children.len() + 1)?;
        let mut depth = 0;
        for child in children {
            depth = depth.max(self.depth(index, child)?);
        }
        if let Some(select) = select {
            depth = depth.max(self.select_depth(select, index)?);
        }
        if depth == MAX_DEPTH {
            let fault = limit(format!("the expression is more than {MAX_DEPTH} nodes deep"));
            return Err(blame(self.query, index, |_| None, fault));
        }
        Ok(depth + 1)
    }

    fn depth(&self, node: NodeRef, child: NodeRef) -> Result<u32, Error> {
        self.depths.get(child as usize).copied().ok_or_else(|| {
            invalid(format!("node {node} refers to node {child}, which does not come before it"))
        })
    }

    /// The depth of a subquery of a node: all nodes in it come before that node.
    fn select_depth(&mut self, select: SelectRef, node: NodeRef) -> Result<u32, Error> {
        let mut depth = 0;
        let mut seen = vec![false; self.query.selects.len()];
        let mut open = vec![select];
        while let Some(select) = open.pop() {
            let Some(found) = self.query.selects.get(select as usize) else {
                return Err(invalid(format!(
                    "node {node} refers to select {select}, which does not exist"
                )));
            };
            if std::mem::replace(&mut seen[select as usize], true) {
                continue;
            }
            if !found.includes.is_empty() {
                let fault = unsupported("includes inside of a subquery are not supported");
                return Err(about(&shown(&found.model), fault));
            }
            let nodes = select_nodes(found);
            self.count(nodes.len() + found.combined.len() + 1)?;
            for child in nodes {
                if child >= node {
                    return Err(invalid(format!(
                        "select {select} refers to node {child}, which does not come before node \
                         {node} that it stands in"
                    )));
                }
                depth = depth.max(self.depth(node, child)?);
            }
            open.extend(found.combined.iter().map(|(_, other)| *other));
        }
        Ok(depth)
    }

    fn selects(&mut self) -> Result<(), Error> {
        for (index, select) in (0..).zip(&self.query.selects) {
            let named = |mut error: Error| {
                error.message = format!("select {index}: {}", error.message);
                error
            };
            let nodes = select_nodes(select);
            self.count(nodes.len() + 1).map_err(named)?;
            for node in nodes {
                self.exists(node).map_err(named)?;
            }
            let included = select.includes.iter().filter_map(|it| it.rows);
            for other in select.combined.iter().map(|(_, it)| *it).chain(included) {
                self.count(1).map_err(named)?;
                if other >= index {
                    return Err(named(invalid(format!(
                        "it refers to select {other}, which does not come before it"
                    ))));
                }
            }
        }
        Ok(())
    }

    fn common(&self) -> Result<(), Error> {
        for table in &self.query.common {
            for select in [table.rows].into_iter().chain(table.step.map(|(_, it)| it)) {
                self.select_exists(select)?;
            }
        }
        Ok(())
    }

    fn statement(&mut self) -> Result<(), Error> {
        let query = self.query;
        match &query.statement {
            Statement::Select(select) | Statement::Count(select) | Statement::Exists(select) => {
                self.select_exists(*select)
            }
            Statement::Insert(insert) => {
                if let RowSource::Select(select) = insert.source {
                    self.select_exists(select)?;
                }
                let conflict = insert.conflict.iter();
                for node in conflict.clone().flat_map(|it| &it.update).map(|it| it.value) {
                    self.exists(node)?;
                }
                for node in conflict.filter_map(|it| it.condition) {
                    self.exists(node)?;
                }
                self.returning(insert.returning.as_ref())
            }
            Statement::Update(update) => {
                self.select_exists(update.rows)?;
                for assignment in &update.set {
                    self.exists(assignment.value)?;
                }
                self.returning(update.returning.as_ref())
            }
            Statement::Delete(delete) => {
                self.select_exists(delete.rows)?;
                self.returning(delete.returning.as_ref())
            }
        }
    }

    fn returning(&mut self, projection: Option<&Projection>) -> Result<(), Error> {
        let Some(Projection::Outputs(outputs)) = projection else { return Ok(()) };
        outputs.iter().try_for_each(|output| self.exists(output.expression))
    }

    fn exists(&mut self, node: NodeRef) -> Result<(), Error> {
        self.count(1)?;
        match self.depths.len() > node as usize {
            true => Ok(()),
            false => Err(invalid(format!("there is no node {node}"))),
        }
    }

    fn select_exists(&self, select: SelectRef) -> Result<(), Error> {
        match self.query.selects.len() > select as usize {
            true => Ok(()),
            false => Err(invalid(format!("there is no select {select}"))),
        }
    }

    fn count(&mut self, references: usize) -> Result<(), Error> {
        self.references = self.references.saturating_add(references);
        match self.references > MAX_REFERENCES {
            true => Err(limit(format!("more than {MAX_REFERENCES} references between nodes"))),
            false => Ok(()),
        }
    }
}

/// References to nodes; there are nearly always few.
pub(crate) type Nodes = SmallVec<[NodeRef; 8]>;

/// What a node refers to.
pub(crate) fn children(node: &Node) -> (Nodes, Option<SelectRef>) {
    let children = match node {
        Node::Literal(_) | Node::Parameter(_) | Node::Field(_) | Node::Excluded(_) => smallvec![],
        Node::Unary((_, operand)) | Node::Cast((operand, _)) => smallvec![*operand],
        Node::Binary((_, left, right)) => smallvec![*left, *right],
        Node::Between((value, lower, upper)) => smallvec![*value, *lower, *upper],
        Node::AllOf(terms) | Node::AnyOf(terms) => Nodes::from_slice(terms),
        Node::Call(call) => Nodes::from_slice(&call.arguments),
        Node::Case(case) => case
            .branches
            .iter()
            .flat_map(|branch| [branch.when, branch.then])
            .chain(case.otherwise)
            .collect(),
        Node::Json(path) => smallvec![path.document],
        Node::JsonChange(change) => [change.document].into_iter().chain(change.value).collect(),
        Node::Aggregate(aggregate) => [aggregate.argument]
            .into_iter()
            .chain(aggregate.filter)
            .chain(aggregate.separator)
            .chain(aggregate.order_by.iter().map(|term| term.expression))
            .collect(),
        Node::Window(window) => window
            .arguments
            .iter()
            .chain(&window.partition_by)
            .copied()
            .chain(window.order_by.iter().map(|term| term.expression))
            .collect(),
        Node::Related(related) => related.condition.into_iter().collect(),
        Node::Subquery(select) | Node::Exists(select) => return (smallvec![], Some(*select)),
        Node::InSelect((operand, select)) => return (smallvec![*operand], Some(*select)),
    };
    (children, None)
}

/// The nodes that a select refers to.
pub(crate) fn select_nodes(select: &Select) -> Nodes {
    let mut nodes = Nodes::new();
    if let Projection::Outputs(outputs) = &select.projection {
        nodes.extend(outputs.iter().map(|it| it.expression));
    }
    if let ferro_wit::query::Distinct::On(on) = &select.distinct {
        nodes.extend_from_slice(on);
    }
    nodes.extend(select.joins.iter().map(|it| it.on));
    nodes.extend(select.filter);
    nodes.extend_from_slice(&select.group_by);
    nodes.extend(select.having);
    nodes.extend(select.order_by.iter().map(|it| it.expression));
    nodes.extend(select.limit);
    nodes.extend(select.offset);
    nodes
}

/// Checks that each parameter has the same type wherever it is used.
fn parameters(query: &Query) -> Result<(), Error> {
    let mut known: BTreeMap<u32, (ScalarType, bool)> = BTreeMap::new();
    for node in &query.nodes {
        let Node::Parameter(parameter) = node else { continue };
        if parameter.index >= MAX_PARAMETERS {
            return Err(limit(format!("more than {MAX_PARAMETERS} parameters")));
        }
        let kind = (parameter.kind, parameter.many);
        let known = *known.entry(parameter.index).or_insert(kind);
        if known != kind {
            let shown = |(kind, many)| format!("{}{kind}", if many { "a list of " } else { "" });
            return Err(mismatch(format!(
                "parameter {} has two types in the query: {} and {}",
                parameter.index,
                shown(known),
                shown(kind)
            )));
        }
    }
    Ok(())
}
