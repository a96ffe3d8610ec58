//! Functions over the rows around a row.

use std::fmt;
use std::marker::PhantomData;

use super::{Base, Expr, Expression, Order, Settable, expr, literal};
use crate::scalar::Field;
use crate::tree::{Term, Tree, WindowTree};

/// Which rows a window function sees, and in which order: made by [`window`] and
/// [`partition_by`].
///
/// ```
/// use ferro::prelude::*;
/// use ferro::{partition_by, row_number};
///
/// #[derive(Model, Debug, Clone)]
/// struct City {
///     #[ferro(key)]
///     id: i64,
///     name: String,
///     country: String,
///     population: i64,
/// }
///
/// let by_size = partition_by(City::country()).order_by(City::population().desc());
/// let share = City::population().sum().over(partition_by(City::country()));
/// let _ = City::query().select((City::name(), row_number().over(by_size), share));
/// ```
#[must_use = "a window does nothing until a function uses it"]
pub struct Window<M> {
    pub(crate) partition_by: Vec<Tree>,
    pub(crate) order_by: Vec<Term>,
    model: PhantomData<fn() -> M>,
}

/// A function of type `T` that needs a window: see [`over`](Self::over).
#[must_use = "a window function does nothing without `over`"]
pub struct WindowFunction<M, T> {
    name: &'static str,
    arguments: Vec<Tree>,
    types: PhantomData<fn() -> (M, T)>,
}

/// All rows.
pub fn window<M>() -> Window<M> {
    Window { partition_by: Vec::new(), order_by: Vec::new(), model: PhantomData }
}

/// The rows that agree with the row in this expression.
pub fn partition_by<E: Expression>(expression: E) -> Window<E::Model> {
    window().partition_by(expression)
}

/// The number of the row in the order of the window, from 1.
pub fn row_number<M>() -> WindowFunction<M, i64> {
    function("row-number", Vec::new())
}

/// As [`row_number`], but rows that tie have the number of the first of them.
pub fn rank<M>() -> WindowFunction<M, i64> {
    function("rank", Vec::new())
}

/// As [`rank`], but without gaps after rows that tie.
pub fn dense_rank<M>() -> WindowFunction<M, i64> {
    function("dense-rank", Vec::new())
}

/// The ranks below that of the row, as a part of the other rows: from 0 to 1.
pub fn percent_rank<M>() -> WindowFunction<M, f64> {
    function("percent-rank", Vec::new())
}

/// The rows up to the row and those that tie with it, as a part of all: above 0, up to 1.
pub fn cume_dist<M>() -> WindowFunction<M, f64> {
    function("cume-dist", Vec::new())
}

/// In which of so many groups of equal size the row is, from 1 on; the first ones have a row more
/// where they cannot be equal. With 0 the query is refused.
///
/// ```
/// use ferro::prelude::*;
/// use ferro::{ntile, window};
///
/// # #[derive(Model, Debug, Clone)]
/// # struct City { #[ferro(key)] id: i64, name: String, population: i64 }
/// let quarter = ntile(4).over(window().order_by(City::population().desc()));
/// let _ = City::query().select((City::name(), quarter));
/// ```
pub fn ntile<M>(groups: u32) -> WindowFunction<M, i64> {
    function("ntile", vec![literal(groups)])
}

impl<M> Window<M> {
    /// Only the rows that agree with the row in this expression too.
    pub fn partition_by<E: Expression<Model = M>>(mut self, expression: E) -> Self {
        self.partition_by.push(expression.into_tree());
        self
    }

    /// In this order, and where earlier terms are equal only. With an order, an aggregate is over
    /// the rows up to the row: a running sum.
    pub fn order_by(mut self, order: Order<M>) -> Self {
        self.order_by.push(order.term);
        self
    }
}

impl<M, T: Field> WindowFunction<M, T> {
    /// The function over the rows of a window.
    pub fn over(self, window: Window<M>) -> Expr<M, T> {
        let Self { name, arguments, .. } = self;
        let Window { partition_by, order_by, .. } = window;
        let tree = WindowTree { function: name, arguments, partition_by, order_by };
        expr(Tree::Window(Box::new(tree)))
    }
}

/// The value in the row before, in the order of a window; null in the first row.
pub fn lag<E: Expression>(expression: E) -> WindowFunction<E::Model, Option<Base<E>>> {
    function("lag", vec![expression.into_tree()])
}

/// The value so many rows before, in the order of a window; null where there is no such row.
pub fn lag_by<E: Expression>(
    expression: E,
    rows: u32,
) -> WindowFunction<E::Model, Option<Base<E>>> {
    function("lag", vec![expression.into_tree(), literal(rows)])
}

/// As [`lag_by`], with another value where there is no such row.
///
/// ```
/// use ferro::prelude::*;
/// use ferro::{lag_or, window};
///
/// # #[derive(Model, Debug, Clone)]
/// # struct Day { #[ferro(key)] id: i64, visits: i64 }
/// let week_before = lag_or(Day::visits(), 7, 0).over(window().order_by(Day::id().asc()));
/// let _ = Day::query().select((Day::id(), Day::visits() - week_before));
/// ```
pub fn lag_or<E: Expression>(
    expression: E,
    rows: u32,
    default: impl Settable<E::Model, E::Type>,
) -> WindowFunction<E::Model, E::Type> {
    function("lag", vec![expression.into_tree(), literal(rows), default.into_tree()])
}

/// The value in the row after, in the order of a window; null in the last row.
pub fn lead<E: Expression>(expression: E) -> WindowFunction<E::Model, Option<Base<E>>> {
    function("lead", vec![expression.into_tree()])
}

/// The value so many rows after, in the order of a window; null where there is no such row.
pub fn lead_by<E: Expression>(
    expression: E,
    rows: u32,
) -> WindowFunction<E::Model, Option<Base<E>>> {
    function("lead", vec![expression.into_tree(), literal(rows)])
}

/// As [`lead_by`], with another value where there is no such row, as for [`lag_or`].
pub fn lead_or<E: Expression>(
    expression: E,
    rows: u32,
    default: impl Settable<E::Model, E::Type>,
) -> WindowFunction<E::Model, E::Type> {
    function("lead", vec![expression.into_tree(), literal(rows), default.into_tree()])
}

/// The value in the first row of the partition, in the order of a window.
pub fn first_value<E: Expression>(expression: E) -> WindowFunction<E::Model, E::Type> {
    function("first-value", vec![expression.into_tree()])
}

/// The value in the last row of the partition, in the order of a window.
pub fn last_value<E: Expression>(expression: E) -> WindowFunction<E::Model, E::Type> {
    function("last-value", vec![expression.into_tree()])
}

/// The value in the row of the partition with this number, in the order of a window, the first being
/// 1; null where there is no such row. With 0 the query is refused.
pub fn nth_value<E: Expression>(
    expression: E,
    row: u32,
) -> WindowFunction<E::Model, Option<Base<E>>> {
    function("nth-value", vec![expression.into_tree(), literal(row)])
}

fn function<M, T>(name: &'static str, arguments: Vec<Tree>) -> WindowFunction<M, T> {
    WindowFunction { name, arguments, types: PhantomData }
}

impl<M> Clone for Window<M> {
    fn clone(&self) -> Self {
        let Self { partition_by, order_by, .. } = self;
        let (partition_by, order_by) = (partition_by.clone(), order_by.clone());
        Self { partition_by, order_by, model: PhantomData }
    }
}

impl<M> fmt::Debug for Window<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window")
            .field("partition_by", &self.partition_by)
            .field("order_by", &self.order_by)
            .finish()
    }
}

impl<M, T> Clone for WindowFunction<M, T> {
    fn clone(&self) -> Self {
        function(self.name, self.arguments.clone())
    }
}

impl<M, T> fmt::Debug for WindowFunction<M, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WindowFunction").field(&self.name).field(&self.arguments).finish()
    }
}
