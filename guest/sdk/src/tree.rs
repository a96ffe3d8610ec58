//! Expressions as trees, and how they are laid out in the arena of a query.

use ferro_wit::query::{
    BinaryOperator, Node, NodeRef, Parameter, Path, Select, SelectRef, UnaryOperator,
};
use ferro_wit::types::{Error, ScalarType, Value};

use crate::scalar::Storable;

/// An expression, while it is being put together.
#[derive(Debug, Clone)]
pub enum Tree {
    Field(&'static str),
    /// A value that becomes a parameter, or why it cannot be one.
    Value {
        value: Result<Value, Error>,
        kind: ScalarType,
        many: bool,
    },
    Unary(UnaryOperator, Box<Tree>),
    Binary(BinaryOperator, Box<(Tree, Tree)>),
    /// Value, lower, upper.
    Between(Box<[Tree; 3]>),
    AllOf(Vec<Tree>),
    AnyOf(Vec<Tree>),
}

impl Tree {
    pub(crate) fn value<T: Storable>(value: Option<T>) -> Self {
        let value = value.map_or(Ok(Value::Null), T::into_value);
        Self::Value { value, kind: T::KIND, many: T::MANY }
    }

    pub(crate) fn unary(operator: UnaryOperator, tree: Self) -> Self {
        Self::Unary(operator, Box::new(tree))
    }

    pub(crate) fn binary(operator: BinaryOperator, left: Self, right: Self) -> Self {
        Self::Binary(operator, Box::new((left, right)))
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Value { value: Ok(Value::Null), .. })
    }

    /// Both hold. Long chains stay flat, so that their depth is no concern.
    pub(crate) fn and(self, other: Self) -> Self {
        match self {
            Self::AllOf(mut terms) => {
                terms.push(other);
                Self::AllOf(terms)
            }
            first => Self::AllOf(vec![first, other]),
        }
    }

    /// Either holds. Long chains stay flat, so that their depth is no concern.
    pub(crate) fn or(self, other: Self) -> Self {
        match self {
            Self::AnyOf(mut terms) => {
                terms.push(other);
                Self::AnyOf(terms)
            }
            first => Self::AnyOf(vec![first, other]),
        }
    }
}

/// The lists of a query: an index only ever points to an earlier entry.
#[derive(Default)]
pub(crate) struct Arena {
    pub(crate) nodes: Vec<Node>,
    pub(crate) selects: Vec<Select>,
    pub(crate) parameters: Vec<Value>,
}

impl Arena {
    /// Adds an expression, its operands first; values become parameters in the order in which
    /// they were written.
    pub(crate) fn add(&mut self, tree: Tree) -> Result<NodeRef, Error> {
        let node = match tree {
            Tree::Field(name) => {
                Node::Field(Path { outer: 0, relations: vec![], field: name.to_owned() })
            }
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
        };
        self.nodes.push(node);
        Ok(position(self.nodes.len() - 1))
    }

    /// Adds a select, whose expressions have been added.
    pub(crate) fn add_select(&mut self, select: Select) -> SelectRef {
        self.selects.push(select);
        position(self.selects.len() - 1)
    }

    fn add_all(&mut self, trees: Vec<Tree>) -> Result<Vec<NodeRef>, Error> {
        trees.into_iter().map(|tree| self.add(tree)).collect()
    }
}

/// An index as the AST has it. No memory holds 2^32 nodes of a tree.
fn position(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
