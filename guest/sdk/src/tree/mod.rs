//! Expressions and selects as trees, while they are built. [`Arena`] lays them out.

mod arena;

use std::borrow::Cow;
use std::sync::Arc;

use ferro_wit::query::{
    AggregateFunction, BinaryOperator, Frame, Literal, Lock, NullsOrder, Quantifier, SetOperator,
    UnaryOperator,
};
use ferro_wit::types::{Error, ScalarType, Value};

use crate::scalar::{Field, Storable};

pub(crate) use self::arena::Arena;

/// The relations to cross, by name.
pub type Steps = Vec<&'static str>;

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    Field {
        relations: Steps,
        name: &'static str,
    },
    /// An expression over the enclosing select.
    Outer(Box<Tree>),
    /// In the conflict of an insert: a field of the row that could not be inserted, since its key
    /// is taken.
    Excluded(&'static str),
    Literal(Literal),
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
    Call(&'static str, Vec<Tree>),
    Cast(Box<Tree>, ScalarType),
    Case {
        branches: Vec<(Tree, Tree)>,
        otherwise: Option<Box<Tree>>,
    },
    Json {
        document: Box<Tree>,
        steps: Vec<String>,
        kind: ScalarType,
    },
    /// A document in which a part is set or removed.
    JsonChange {
        document: Box<Tree>,
        steps: Vec<String>,
        value: Option<Box<Tree>>,
    },
    Aggregate(Box<AggregateTree>),
    Window(Box<WindowTree>),
    Related {
        quantifier: Quantifier,
        relations: Steps,
        condition: Option<Box<Tree>>,
    },
    Subquery(Box<SelectTree>),
    Exists(Box<SelectTree>),
    InSelect(Box<(Tree, SelectTree)>),
    /// An invalid expression: the error of the query that contains it.
    Fault(Error),
}

/// An aggregate function.
#[derive(Debug, Clone, PartialEq)]
pub struct AggregateTree {
    pub(crate) function: AggregateFunction,
    pub(crate) argument: Tree,
    pub(crate) distinct: bool,
    pub(crate) filter: Option<Tree>,
    pub(crate) separator: Option<Tree>,
    pub(crate) order_by: Vec<Term>,
}

/// A window function.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowTree {
    pub(crate) function: &'static str,
    pub(crate) arguments: Vec<Tree>,
    pub(crate) partition_by: Vec<Tree>,
    pub(crate) order_by: Vec<Term>,
    pub(crate) frame: Option<Frame>,
}

/// A term of an order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Term {
    pub(crate) tree: Tree,
    /// Whether it may be null.
    pub(crate) nullable: bool,
    /// What conditions cannot compare by order, by its Rust type.
    pub(crate) unordered: Option<Unordered>,
    pub(crate) descending: bool,
    pub(crate) nulls: NullsOrder,
}

/// A value that conditions cannot compare by order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Unordered {
    /// Unless it is stored as a text.
    Enum,
    List,
    Document,
}

impl Unordered {
    fn of<T: Storable>() -> Option<Self> {
        match T::KIND {
            _ if T::MANY => Some(Self::List),
            ScalarType::Json => Some(Self::Document),
            _ => T::enum_type().map(|_| Self::Enum),
        }
    }
}

/// A query over one model, or over a common table.
#[derive(Debug, Clone, PartialEq)]
pub struct SelectTree {
    /// The model's name, or the table's.
    pub(crate) model: &'static str,
    /// The names of the fields of its key; empty for a common table.
    pub(crate) key: &'static [&'static str],
    pub(crate) common: Option<Arc<CommonTree>>,
    pub(crate) columns: ColumnsTree,
    pub(crate) distinct: DistinctTree,
    pub(crate) filter: Option<Tree>,
    /// The joined common tables, with their join conditions.
    pub(crate) joins: Vec<(Arc<CommonTree>, Tree)>,
    pub(crate) group_by: Vec<Tree>,
    pub(crate) having: Option<Tree>,
    pub(crate) order_by: Vec<Term>,
    pub(crate) limit: Option<u64>,
    pub(crate) offset: Option<u64>,
    pub(crate) lock: Option<Lock>,
    pub(crate) includes: Vec<IncludeTree>,
    pub(crate) combined: Vec<(SetOperator, SelectTree)>,
}

/// A common table.
#[derive(Debug, PartialEq)]
pub(crate) struct CommonTree {
    pub(crate) name: &'static str,
    /// `None` for a reference to the table itself, in its own step.
    pub(crate) rows: Option<SelectTree>,
    pub(crate) step: Option<(SetOperator, SelectTree)>,
}

/// What a select returns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ColumnsTree {
    /// Fields by name: all fields of the model, even if some may not be read, so that an error
    /// names them.
    Fields(&'static [&'static str]),
    /// Named expressions.
    Outputs(Vec<(Cow<'static, str>, Tree)>),
}

/// Which repeated rows are dropped.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum DistinctTree {
    No,
    Rows,
    On(Vec<Tree>),
}

/// A relation to load, and which of its rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct IncludeTree {
    pub(crate) relations: Steps,
    pub(crate) rows: SelectTree,
}

/// Names as a query has them.
pub(crate) fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

impl Tree {
    pub(crate) fn field(name: &'static str) -> Self {
        Self::Field { relations: Steps::new(), name }
    }

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

    /// Whether it contains a window function; subqueries do not count.
    pub(crate) fn has_window(&self) -> bool {
        self.any(&|it| matches!(it, Self::Window(_)))
    }

    /// Whether it or an expression in it is such a one. Subqueries do not count, nor does what is in
    /// aggregates and window functions.
    pub(crate) fn any(&self, is: &dyn Fn(&Self) -> bool) -> bool {
        let any_of = |trees: &[Self]| trees.iter().any(|it| it.any(is));
        if is(self) {
            return true;
        }
        match self {
            Self::Unary(_, tree) | Self::Cast(tree, _) | Self::Json { document: tree, .. } => {
                tree.any(is)
            }
            Self::Binary(_, sides) => sides.0.any(is) || sides.1.any(is),
            Self::Between(parts) => any_of(&**parts),
            Self::AllOf(trees) | Self::AnyOf(trees) | Self::Call(_, trees) => any_of(trees),
            Self::Case { branches, otherwise } => {
                branches.iter().any(|(when, then)| when.any(is) || then.any(is))
                    || otherwise.as_ref().is_some_and(|it| it.any(is))
            }
            Self::JsonChange { document, value, .. } => {
                document.any(is) || value.as_ref().is_some_and(|it| it.any(is))
            }
            Self::InSelect(sides) => sides.0.any(is),
            Self::Field { .. }
            | Self::Outer(_)
            | Self::Excluded(_)
            | Self::Literal(_)
            | Self::Value { .. }
            | Self::Aggregate(_)
            | Self::Window(_)
            | Self::Related { .. }
            | Self::Subquery(_)
            | Self::Exists(_)
            | Self::Fault(_) => false,
        }
    }

    /// Combines two conditions with `AND`. A long chain stays flat: the depth of a query is limited.
    pub(crate) fn and(self, other: Self) -> Self {
        match self {
            Self::AllOf(mut terms) => {
                terms.push(other);
                Self::AllOf(terms)
            }
            first => Self::AllOf(vec![first, other]),
        }
    }

    /// Combines two conditions with `OR`. A long chain stays flat: the depth of a query is limited.
    pub(crate) fn or(self, other: Self) -> Self {
        match self {
            Self::AnyOf(mut terms) => {
                terms.push(other);
                Self::AnyOf(terms)
            }
            first => Self::AnyOf(vec![first, other]),
        }
    }

    /// Combines this with an earlier condition, if there is one.
    pub(crate) fn and_former(self, former: Option<Self>) -> Self {
        match former {
            Some(former) => former.and(self),
            None => self,
        }
    }
}

impl Term {
    /// A field reached through a relation is null if a scope hides the row: only fields of the row
    /// itself are known not to be null.
    pub(crate) fn ascending<F: Field>(tree: Tree) -> Self {
        let own = matches!(&tree, Tree::Field { relations, .. } if relations.is_empty());
        let nullable = F::NULLABLE || !own;
        let unordered = Unordered::of::<F::Base>();
        Self { tree, nullable, unordered, descending: false, nulls: NullsOrder::Last }
    }

    /// A field of the key.
    pub(crate) fn of_key(name: &'static str) -> Self {
        let (tree, nulls) = (Tree::field(name), NullsOrder::Last);
        Self { tree, nullable: false, unordered: None, descending: false, nulls }
    }
}

impl SelectTree {
    /// Every row of a model.
    pub(crate) fn new(
        model: &'static str,
        fields: &'static [&'static str],
        key: &'static [&'static str],
    ) -> Self {
        Self {
            model,
            key,
            common: None,
            columns: ColumnsTree::Fields(fields),
            distinct: DistinctTree::No,
            filter: None,
            joins: Vec::new(),
            group_by: Vec::new(),
            having: None,
            order_by: Vec::new(),
            limit: None,
            offset: None,
            lock: None,
            includes: Vec::new(),
            combined: Vec::new(),
        }
    }

    /// Every row of a common table.
    pub(crate) fn of_common(table: Arc<CommonTree>, fields: &'static [&'static str]) -> Self {
        Self { common: Some(table.clone()), ..Self::new(table.name, fields, &[]) }
    }

    /// Whether each row is a row of the model, and so can be ordered by its key.
    pub(crate) fn has_key(&self) -> bool {
        matches!(self.distinct, DistinctTree::No)
            && self.group_by.is_empty()
            && self.combined.is_empty()
            && !matches!(&self.columns, ColumnsTree::Outputs(outputs)
                if outputs.iter().any(|(_, tree)| matches!(tree, Tree::Aggregate(_))))
    }

    /// Includes a relation, and the relations that its own rows include: includes are a flat list,
    /// in which the path of each relation starts at this model.
    pub(crate) fn include(&mut self, relations: Steps, mut rows: SelectTree) {
        let nested = std::mem::take(&mut rows.includes);
        self.includes.push(IncludeTree { relations: relations.clone(), rows });
        self.includes.extend(nested.into_iter().map(|it| IncludeTree {
            relations: relations.iter().copied().chain(it.relations).collect(),
            ..it
        }));
    }
}
