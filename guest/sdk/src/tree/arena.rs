//! Lays out trees in the lists of a query, in which indices only point backwards.

use std::sync::Arc;

use ferro_wit::query::{
    Aggregate, CaseBranch, CaseExpression, CommonTable, Distinct, FunctionCall, Inclusion, Join,
    JsonChange, JsonPath, Literal, Node, NodeRef, OrderTerm, Output, Parameter, Path, Projection,
    Related, Select, SelectRef, Window,
};
use ferro_wit::types::{Error, ErrorKind, Value};

use super::{
    AggregateTree, ColumnsTree, CommonTree, DistinctTree, SelectTree, Term, Tree, WindowTree, owned,
};

/// The maximum depth of expressions that the core accepts.
const MAX_DEPTH: u8 = 64;

/// The lists of a query.
#[derive(Default)]
pub(crate) struct Arena {
    pub(crate) nodes: Vec<Node>,
    pub(crate) selects: Vec<Select>,
    pub(crate) common: Vec<CommonTable>,
    pub(crate) parameters: Vec<Value>,
    /// How many selects outwards the fields that are being added refer.
    outer: u8,
    /// The depth of the node that is being added.
    depth: u8,
    /// The group keys and distinct expressions of the selects that are being added. The same
    /// expression elsewhere must be the same node: with its own parameters it would be a different
    /// expression.
    shared: Vec<(u8, Tree, NodeRef)>,
    /// The common tables that have been added.
    known: Vec<Arc<CommonTree>>,
}

impl Arena {
    /// For a query whose parameters are known from the start.
    pub(crate) fn with_parameters(parameters: Vec<Value>) -> Self {
        Self { parameters, ..Self::default() }
    }

    /// Adds an expression, its operands first; values become parameters in the order of writing.
    pub(crate) fn add(&mut self, tree: Tree) -> Result<NodeRef, Error> {
        let same =
            |(outer, shared, _): &&(u8, Tree, NodeRef)| *outer == self.outer && *shared == tree;
        if let Some((_, _, node)) = self.shared.iter().find(same) {
            return Ok(*node);
        }
        // No host accepts a deeper one, and it might overflow the stack of this thread.
        if self.depth == MAX_DEPTH {
            let message = format!("an expression is more than {MAX_DEPTH} nodes deep");
            return Err(Error::new(ErrorKind::LimitExceeded, message));
        }
        self.depth += 1;
        let node = match tree {
            Tree::Field { relations, name } => {
                let relations = owned(&relations);
                Node::Field(Path { outer: self.outer, relations, field: name.to_owned() })
            }
            Tree::Outer(tree) => {
                // It is not a node, only a change of scope.
                self.depth -= 1;
                let here = self.outer;
                self.outer = here.saturating_add(1);
                let added = self.add(*tree);
                self.outer = here;
                return added;
            }
            Tree::Excluded(field) => Node::Excluded(field.to_owned()),
            Tree::Literal(literal) => Node::Literal(literal),
            Tree::Value { value, kind, many } => {
                let index = position(self.parameters.len());
                self.parameters.push(value?);
                Node::Parameter(Parameter { index, kind, many })
            }
            Tree::Unary(operator, tree) => Node::Unary((operator, self.add(*tree)?)),
            Tree::Binary(operator, sides) => {
                let (left, right) = *sides;
                Node::Binary((operator, self.add(left)?, self.add(right)?))
            }
            Tree::Between(parts) => {
                let [value, lower, upper] = *parts;
                Node::Between((self.add(value)?, self.add(lower)?, self.add(upper)?))
            }
            Tree::AllOf(terms) => Node::AllOf(self.add_all(terms)?),
            Tree::AnyOf(terms) => Node::AnyOf(self.add_all(terms)?),
            Tree::Call(name, arguments) => {
                let arguments = self.add_all(arguments)?;
                Node::Call(FunctionCall { name: name.to_owned(), arguments })
            }
            Tree::Cast(tree, kind) => Node::Cast((self.add(*tree)?, kind)),
            Tree::Case { branches, otherwise } => self.case(branches, otherwise)?,
            Tree::Json { document, steps, kind } => {
                Node::Json(JsonPath { document: self.add(*document)?, steps, kind })
            }
            Tree::JsonChange { document, steps, value } => Node::JsonChange(JsonChange {
                document: self.add(*document)?,
                steps,
                value: self.add_some(value.map(|it| *it))?,
            }),
            Tree::Aggregate(aggregate) => self.aggregate(*aggregate)?,
            Tree::Window(window) => self.window(*window)?,
            Tree::Related { quantifier, relations, condition } => {
                let condition = self.add_some(condition.map(|it| *it))?;
                Node::Related(Related { quantifier, relations: owned(&relations), condition })
            }
            Tree::Subquery(select) => Node::Subquery(self.add_first_row(*select)?),
            Tree::Exists(select) => Node::Exists(self.add_inner(*select)?),
            Tree::InSelect(sides) => {
                let (tree, select) = *sides;
                Node::InSelect((self.add(tree)?, self.add_inner(select)?))
            }
            Tree::Fault(error) => return Err(error),
        };
        self.depth -= 1;
        self.nodes.push(node);
        Ok(position(self.nodes.len() - 1))
    }

    /// Adds a select, after its expressions and the selects that it refers to.
    pub(crate) fn add_select(&mut self, select: SelectTree) -> Result<SelectRef, Error> {
        let shared = self.shared.len();
        let added = self.add_parts(select);
        self.shared.truncate(shared);
        added
    }

    /// Adds a common table, after those that it reads.
    fn add_common(&mut self, table: &Arc<CommonTree>) -> Result<(), Error> {
        let Some(rows) = &table.rows else { return Ok(()) };
        if let Some(known) = self.known.iter().find(|it| it.name == table.name) {
            return match known == table {
                true => Ok(()),
                false => Err(Error::new(
                    ErrorKind::InvalidQuery,
                    format!("two common tables of a query are called `{}`", table.name),
                )),
            };
        }
        // Its fields are relative to itself, wherever it is read.
        let outer = std::mem::take(&mut self.outer);
        let depth = std::mem::take(&mut self.depth);
        let shared = std::mem::take(&mut self.shared);
        let rows = self.add_select(rows.clone())?;
        let step = match &table.step {
            Some((operator, step)) => Some((*operator, self.add_select(step.clone())?)),
            None => None,
        };
        (self.outer, self.depth, self.shared) = (outer, depth, shared);
        self.common.push(CommonTable { name: table.name.to_owned(), rows, step });
        self.known.push(table.clone());
        Ok(())
    }

    fn add_parts(&mut self, select: SelectTree) -> Result<SelectRef, Error> {
        let joined = select.joins.iter().map(|(table, _)| table);
        for table in select.common.iter().chain(joined) {
            self.add_common(table)?;
        }
        let joins = select
            .joins
            .into_iter()
            .map(|(table, on)| Ok(Join { table: table.name.to_owned(), on: self.add(on)? }))
            .collect::<Result<_, Error>>()?;
        let group_by = self.add_shared(select.group_by)?;
        let distinct_rows = select.distinct == DistinctTree::Rows;
        let projection = match select.columns {
            ColumnsTree::Fields(names) => Projection::Fields(owned(names)),
            ColumnsTree::Outputs(outputs) => Projection::Outputs(
                outputs
                    .into_iter()
                    .map(|(name, tree)| {
                        let expression = match distinct_rows {
                            true => self.share(tree)?,
                            false => self.add(tree)?,
                        };
                        Ok(Output { name: name.into_owned(), expression })
                    })
                    .collect::<Result<_, Error>>()?,
            ),
        };
        let distinct = match select.distinct {
            DistinctTree::No => Distinct::No,
            DistinctTree::Rows => Distinct::Rows,
            DistinctTree::On(trees) => Distinct::On(self.add_all(trees)?),
        };
        let filter = self.add_some(select.filter)?;
        let having = self.add_some(select.having)?;
        let order_by = self.add_terms(select.order_by)?;
        let limit = self.add_some(select.limit.map(number_of_rows))?;
        let offset = self.add_some(select.offset.map(number_of_rows))?;
        let includes = select
            .includes
            .into_iter()
            .map(|it| {
                let rows = Some(self.add_select(it.rows)?);
                Ok(Inclusion { relations: owned(&it.relations), rows })
            })
            .collect::<Result<_, Error>>()?;
        let combined = select
            .combined
            .into_iter()
            .map(|(operator, select)| Ok((operator, self.add_select(select)?)))
            .collect::<Result<_, Error>>()?;
        self.selects.push(Select {
            model: select.model.to_owned(),
            projection,
            distinct,
            filter,
            joins,
            group_by,
            having,
            order_by,
            limit,
            offset,
            lock: select.lock,
            includes,
            combined,
        });
        Ok(position(self.selects.len() - 1))
    }

    /// Adds a subquery, whose fields are relative to itself.
    fn add_inner(&mut self, select: SelectTree) -> Result<SelectRef, Error> {
        let outer = std::mem::take(&mut self.outer);
        let added = self.add_select(select);
        self.outer = outer;
        added
    }

    /// Adds a subquery that has at most one row, with the limit as a literal in its shape.
    fn add_first_row(&mut self, mut select: SelectTree) -> Result<SelectRef, Error> {
        let rows = i64::from(select.limit.take() != Some(0));
        let limit = self.add(Tree::Literal(Literal::Integer(rows)))?;
        let added = self.add_inner(select)?;
        if let Some(select) = self.selects.last_mut() {
            select.limit = Some(limit);
        }
        Ok(added)
    }

    fn case(
        &mut self,
        branches: Vec<(Tree, Tree)>,
        otherwise: Option<Box<Tree>>,
    ) -> Result<Node, Error> {
        let branches = branches
            .into_iter()
            .map(|(when, then)| Ok(CaseBranch { when: self.add(when)?, then: self.add(then)? }))
            .collect::<Result<_, Error>>()?;
        let otherwise = self.add_some(otherwise.map(|it| *it))?;
        Ok(Node::Case(CaseExpression { branches, otherwise }))
    }

    fn aggregate(&mut self, aggregate: AggregateTree) -> Result<Node, Error> {
        let AggregateTree { function, argument, distinct, filter, separator, order_by } = aggregate;
        let shared = self.shared.len();
        // Distinct values can only be ordered by themselves, that is, by the same node.
        let argument = match distinct && !order_by.is_empty() {
            true => self.share(argument)?,
            false => self.add(argument)?,
        };
        let filter = self.add_some(filter)?;
        let separator = self.add_some(separator)?;
        let order_by = self.add_terms(order_by)?;
        self.shared.truncate(shared);
        Ok(Node::Aggregate(Aggregate { function, argument, distinct, filter, separator, order_by }))
    }

    fn window(&mut self, window: WindowTree) -> Result<Node, Error> {
        Ok(Node::Window(Window {
            function: window.function.to_owned(),
            arguments: self.add_all(window.arguments)?,
            partition_by: self.add_all(window.partition_by)?,
            order_by: self.add_terms(window.order_by)?,
            frame: window.frame,
        }))
    }

    fn add_shared(&mut self, trees: Vec<Tree>) -> Result<Vec<NodeRef>, Error> {
        trees.into_iter().map(|tree| self.share(tree)).collect()
    }

    fn share(&mut self, tree: Tree) -> Result<NodeRef, Error> {
        let node = self.add(tree.clone())?;
        self.shared.push((self.outer, tree, node));
        Ok(node)
    }

    fn add_all(&mut self, trees: Vec<Tree>) -> Result<Vec<NodeRef>, Error> {
        trees.into_iter().map(|tree| self.add(tree)).collect()
    }

    fn add_some(&mut self, tree: Option<Tree>) -> Result<Option<NodeRef>, Error> {
        tree.map(|tree| self.add(tree)).transpose()
    }

    fn add_terms(&mut self, terms: Vec<Term>) -> Result<Vec<OrderTerm>, Error> {
        terms
            .into_iter()
            .map(|Term { tree, descending, nulls, .. }| {
                Ok(OrderTerm { expression: self.add(tree)?, descending, nulls })
            })
            .collect()
    }
}

/// No table has 2^63 rows, so larger numbers mean the same.
fn number_of_rows(rows: u64) -> Tree {
    Tree::value(Some(i64::try_from(rows).unwrap_or(i64::MAX)))
}

/// An index in the lists of a query. No memory can hold 2^32 nodes of a tree.
fn position(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
