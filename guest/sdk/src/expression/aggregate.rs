//! Functions over the rows of a group.

use std::fmt;
use std::marker::PhantomData;

use ferro_wit::query::{AggregateFunction, Literal};
use ferro_wit::types::{Error, ErrorKind};

use super::{Base, Expr, Expression, Numeric, Order, Window, expr};
use crate::scalar::{Field, Scalar};
use crate::tree::{AggregateTree, Tree};

/// An aggregate over the rows of a group, or of the whole query if there are no groups: of type
/// `T`, an `Option` if it is null for no rows. It is allowed in [`select`](crate::Query::select),
/// [`having`](crate::Query::having) and orders.
///
/// ```
/// use ferro::count;
/// use ferro::prelude::*;
///
/// #[derive(Model, Debug, Clone)]
/// struct Sale {
///     #[ferro(key)]
///     id: i64,
///     customer: String,
///     amount: i64,
///     refunded: bool,
/// }
///
/// async fn best(db: &ferro::Session) -> Result<Vec<(String, i64, Option<i64>)>, ferro::Error> {
///     Sale::query()
///         .group_by(Sale::customer())
///         .having(count().gt(1))
///         .select((Sale::customer(), count(), Sale::amount().sum().filter(!Sale::refunded())))
///         .order_by(Sale::amount().sum().desc())
///         .limit(10)
///         .all(db)
///         .await
/// }
/// # let _ = best;
/// ```
#[must_use = "an aggregate does nothing until a query uses it"]
pub struct Aggregate<M, T> {
    tree: AggregateTree,
    types: PhantomData<fn() -> (M, T)>,
}

/// The number of rows.
pub fn count<M>() -> Aggregate<M, i64> {
    aggregate(AggregateFunction::Count, Tree::Literal(Literal::Star))
}

/// Aggregates of an expression over many rows. Nulls are ignored.
pub trait AggregateExpression: Expression {
    /// The number of values that are not null.
    fn count(self) -> Aggregate<Self::Model, i64> {
        aggregate(AggregateFunction::Count, self.into_tree())
    }

    /// The sum; null for no rows. Decimals stay exact.
    fn sum(self) -> Aggregate<Self::Model, Option<<Base<Self> as Numeric>::Sum>>
    where
        Self::Type: Field<Base: Numeric>,
    {
        aggregate(AggregateFunction::Sum, self.into_tree())
    }

    /// The average; null for no rows. It is a float for integers, and a decimal for decimals.
    fn average(self) -> Aggregate<Self::Model, Option<<Base<Self> as Numeric>::Average>>
    where
        Self::Type: Field<Base: Numeric>,
    {
        aggregate(AggregateFunction::Average, self.into_tree())
    }

    /// The smallest value; null for no rows.
    fn min(self) -> Aggregate<Self::Model, Option<Base<Self>>> {
        aggregate(AggregateFunction::Minimum, self.into_tree())
    }

    /// The largest value; null for no rows.
    fn max(self) -> Aggregate<Self::Model, Option<Base<Self>>> {
        aggregate(AggregateFunction::Maximum, self.into_tree())
    }

    /// The texts joined with a separator; null for no rows.
    ///
    /// ```
    /// # use ferro::prelude::*;
    /// # #[derive(Model, Debug, Clone)]
    /// # struct City { #[ferro(key)] id: i64, name: String, country: String, population: i64 }
    /// let names = City::name().string_agg(", ").order_by(City::population().desc());
    /// let _ = City::query().group_by(City::country()).select((City::country(), names));
    /// ```
    fn string_agg(self, separator: &str) -> Collected<Self::Model, Option<String>>
    where
        Self::Type: Field<Base = String>,
    {
        let mut joined = aggregate(AggregateFunction::StringAgg, self.into_tree());
        joined.tree.separator = Some(Tree::value(Some(separator.to_owned())));
        Collected(joined)
    }

    /// A list of the values; null for no rows, or if all values are null.
    ///
    /// ```
    /// # use ferro::prelude::*;
    /// # #[derive(Model, Debug, Clone)]
    /// # struct City { #[ferro(key)] id: i64, name: String, country: String, population: i64 }
    /// let largest = City::name().array_agg().order_by(City::population().desc());
    /// let letters = City::name().left(1).array_agg().distinct();
    /// let _ = City::query().group_by(City::country()).select((City::country(), largest, letters));
    /// ```
    fn array_agg(self) -> Collected<Self::Model, Option<Vec<Base<Self>>>>
    where
        Self::Type: Field<Base: Scalar>,
    {
        Collected(aggregate(AggregateFunction::ArrayAgg, self.into_tree()))
    }
}

impl<E: Expression> AggregateExpression for E {}

impl<M, T: Field> Aggregate<M, T> {
    /// Uses each distinct value once.
    pub fn distinct(mut self) -> Self {
        self.tree.distinct = true;
        self
    }

    /// Uses only rows that satisfy this condition and those of earlier filters.
    pub fn filter<E>(mut self, condition: E) -> Self
    where
        E: Expression<Model = M, Type: Field<Base = bool>>,
    {
        self.tree.filter = Some(condition.into_tree().and_former(self.tree.filter.take()));
        self
    }

    /// Computes the aggregate over a window around each row, instead of once per group.
    ///
    /// # Errors
    ///
    /// When the query runs: `unsupported` with [`distinct`](Self::distinct) or
    /// [`filter`](Self::filter). Instead of the latter, use the aggregate of a
    /// [`case`](crate::case).
    pub fn over(self, window: Window<M>) -> Expr<M, T> {
        if self.tree.distinct || self.tree.filter.is_some() {
            let message = "an aggregate over a window does not support `distinct` or `filter`";
            return expr(Tree::Fault(Error::new(ErrorKind::Unsupported, message)));
        }
        let function = match self.tree.function {
            AggregateFunction::Count => "count",
            AggregateFunction::Sum => "sum",
            AggregateFunction::Average => "average",
            AggregateFunction::Minimum => "minimum",
            AggregateFunction::Maximum => "maximum",
            AggregateFunction::StringAgg => "string-agg",
            AggregateFunction::ArrayAgg => "array-agg",
        };
        expr(window.seen_by(function, vec![self.tree.argument]))
    }
}

/// The values of a group, collected into a text or a list: see
/// [`string_agg`](AggregateExpression::string_agg) and
/// [`array_agg`](AggregateExpression::array_agg).
#[must_use = "an aggregate does nothing until a query uses it"]
pub struct Collected<M, T>(Aggregate<M, T>);

impl<M, T: Field> Collected<M, T> {
    /// Orders the values; later terms order ties, and then the key. Without an order, the order is
    /// undefined.
    pub fn order_by(mut self, order: Order<M>) -> Self {
        self.0.tree.order_by.push(order.term);
        self
    }

    /// Uses only rows that satisfy this condition and those of earlier filters.
    pub fn filter<E>(self, condition: E) -> Self
    where
        E: Expression<Model = M, Type: Field<Base = bool>>,
    {
        Self(self.0.filter(condition))
    }
}

impl<M, T: Scalar> Collected<M, Option<Vec<T>>> {
    /// Uses each distinct value once. An order must then be by the value itself; otherwise the
    /// query is rejected.
    pub fn distinct(self) -> Self {
        Self(self.0.distinct())
    }
}

impl<M, T: Field> Expression for Collected<M, T> {
    type Model = M;
    type Type = T;

    fn into_tree(self) -> Tree {
        Expression::into_tree(self.0)
    }
}

impl<M, T> Clone for Collected<M, T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M, T> fmt::Debug for Collected<M, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<M, T: Field> Expression for Aggregate<M, T> {
    type Model = M;
    type Type = T;

    fn into_tree(self) -> Tree {
        Tree::Aggregate(Box::new(self.tree))
    }
}

impl<M, T> Clone for Aggregate<M, T> {
    fn clone(&self) -> Self {
        Self { tree: self.tree.clone(), types: PhantomData }
    }
}

impl<M, T> fmt::Debug for Aggregate<M, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tree.fmt(f)
    }
}

fn aggregate<M, T>(function: AggregateFunction, argument: Tree) -> Aggregate<M, T> {
    let (filter, separator, order_by) = (None, None, Vec::new());
    let tree = AggregateTree { function, argument, distinct: false, filter, separator, order_by };
    Aggregate { tree, types: PhantomData }
}
