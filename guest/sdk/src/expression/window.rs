//! Window functions: functions over the rows around a row.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};

use ferro_wit::query::{Frame, FrameUnit};
use ferro_wit::types::{Error, ErrorKind};

use super::{Base, Expr, Expression, Order, Settable, expr, literal};
use crate::scalar::Field;
use crate::tree::{Term, Tree, WindowTree};

/// The rows of a window function, and their order: created by [`window`] and [`partition_by`].
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
    partition_by: Vec<Tree>,
    order_by: Vec<Term>,
    frame: Option<Frame>,
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
    Window { partition_by: Vec::new(), order_by: Vec::new(), frame: None, model: PhantomData }
}

/// The rows that agree with the row in this expression.
pub fn partition_by<E: Expression>(expression: E) -> Window<E::Model> {
    window().partition_by(expression)
}

/// The number of the row in the order of the window, from 1.
pub fn row_number<M>() -> WindowFunction<M, i64> {
    function("row-number", Vec::new())
}

/// Like [`row_number`], but rows that tie have the number of the first of them.
pub fn rank<M>() -> WindowFunction<M, i64> {
    function("rank", Vec::new())
}

/// Like [`rank`], but without gaps after rows that tie.
pub fn dense_rank<M>() -> WindowFunction<M, i64> {
    function("dense-rank", Vec::new())
}

/// The relative rank: `(rank - 1) / (rows - 1)`, from 0 to 1.
pub fn percent_rank<M>() -> WindowFunction<M, f64> {
    function("percent-rank", Vec::new())
}

/// The fraction of the rows that come before the row or tie with it, itself included: above 0, up
/// to 1.
pub fn cume_dist<M>() -> WindowFunction<M, f64> {
    function("cume-dist", Vec::new())
}

/// The number, from 1, of the row's group if the rows are divided into `groups` of equal size; if
/// they cannot be equal, the first ones have one row more. A query with 0 is rejected.
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
    /// Also requires that the rows agree with the row in this expression.
    pub fn partition_by<E: Expression<Model = M>>(mut self, expression: E) -> Self {
        self.partition_by.push(expression.into_tree());
        self
    }

    /// Orders the window; later terms order ties. With an order, an aggregate covers the rows up to
    /// the row, as in a running sum, unless [`rows`](Self::rows) or [`groups`](Self::groups) set a
    /// frame.
    pub fn order_by(mut self, order: Order<M>) -> Self {
        self.order_by.push(order.term);
        self
    }

    /// Limits the window by offsets from the row in its order: `-6..=0` are the six rows before it
    /// and itself, `..` the whole partition. Ties are ordered by key. Only for aggregates,
    /// [`first_value`], [`last_value`] and [`nth_value`]; other functions are rejected.
    ///
    /// ```
    /// use ferro::prelude::*;
    /// use ferro::window;
    ///
    /// # #[derive(Model, Debug, Clone)]
    /// # struct Day { #[ferro(key)] id: i64, visits: i64 }
    /// let week = window().order_by(Day::id().asc()).rows(-6..=0);
    /// let _ = Day::query().select((Day::id(), Day::visits().average().over(week)));
    /// ```
    pub fn rows(self, distances: impl RangeBounds<i64>) -> Self {
        self.framed(FrameUnit::Rows, &distances)
    }

    /// Like [`rows`](Self::rows), but counts groups of rows that tie in the order of the window,
    /// which is required: `0..=0` are the row and its ties. Only for aggregates.
    pub fn groups(self, distances: impl RangeBounds<i64>) -> Self {
        self.framed(FrameUnit::Groups, &distances)
    }

    fn framed(mut self, unit: FrameUnit, distances: &impl RangeBounds<i64>) -> Self {
        // The core rejects invalid offsets, including the extremes of 64 bits.
        let start = match distances.start_bound() {
            Bound::Included(it) => Some(*it),
            Bound::Excluded(it) => Some(it.saturating_add(1)),
            Bound::Unbounded => None,
        };
        let end = match distances.end_bound() {
            Bound::Included(it) => Some(*it),
            Bound::Excluded(it) => Some(it.saturating_sub(1)),
            Bound::Unbounded => None,
        };
        self.frame = Some(Frame { unit, start, end });
        self
    }

    /// Whether the frame always includes the row itself.
    fn has_own_row(&self) -> bool {
        self.frame.as_ref().is_none_or(|it| {
            it.start.is_none_or(|start| start <= 0) && it.end.is_none_or(|end| end >= 0)
        })
    }

    pub(super) fn seen_by(self, function: &'static str, arguments: Vec<Tree>) -> Tree {
        let Self { partition_by, order_by, frame, .. } = self;
        Tree::Window(Box::new(WindowTree { function, arguments, partition_by, order_by, frame }))
    }
}

impl<M, T: Field> WindowFunction<M, T> {
    /// Computes the function over a window.
    ///
    /// # Errors
    ///
    /// When the query runs: `invalid-query` for a [`first_value`] or a [`last_value`] that is not
    /// an `Option`, over [`rows`](Window::rows) that may be empty.
    pub fn over(self, window: Window<M>) -> Expr<M, T> {
        let Self { name, arguments, .. } = self;
        if matches!(name, "first-value" | "last-value") && !T::NULLABLE && !window.has_own_row() {
            let message = format!(
                "`{name}` is null where its frame has no rows: make its value an `Option`, as \
                 `case(value(true), …).or_null()` does, or take `nth_value`"
            );
            return expr(Tree::Fault(Error::new(ErrorKind::InvalidQuery, message)));
        }
        expr(window.seen_by(name, arguments))
    }
}

/// The value in the row before, in the order of the window; null in the first row.
pub fn lag<E: Expression>(expression: E) -> WindowFunction<E::Model, Option<Base<E>>> {
    function("lag", vec![expression.into_tree()])
}

/// The value in the row `rows` rows before, in the order of the window; null if there is no such
/// row.
pub fn lag_by<E: Expression>(
    expression: E,
    rows: u32,
) -> WindowFunction<E::Model, Option<Base<E>>> {
    function("lag", vec![expression.into_tree(), literal(rows)])
}

/// Like [`lag_by`], with another value if there is no such row.
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

/// The value in the row after, in the order of the window; null in the last row.
pub fn lead<E: Expression>(expression: E) -> WindowFunction<E::Model, Option<Base<E>>> {
    function("lead", vec![expression.into_tree()])
}

/// The value in the row `rows` rows after, in the order of the window; null if there is no such
/// row.
pub fn lead_by<E: Expression>(
    expression: E,
    rows: u32,
) -> WindowFunction<E::Model, Option<Base<E>>> {
    function("lead", vec![expression.into_tree(), literal(rows)])
}

/// Like [`lead_by`], with another value if there is no such row, as in [`lag_or`].
pub fn lead_or<E: Expression>(
    expression: E,
    rows: u32,
    default: impl Settable<E::Model, E::Type>,
) -> WindowFunction<E::Model, E::Type> {
    function("lead", vec![expression.into_tree(), literal(rows), default.into_tree()])
}

/// The value in the first row of the partition, or of the [`rows`](Window::rows) of a window, in
/// its order.
pub fn first_value<E: Expression>(expression: E) -> WindowFunction<E::Model, E::Type> {
    function("first-value", vec![expression.into_tree()])
}

/// The value in the last row of the partition, or of the [`rows`](Window::rows) of a window, in its
/// order.
pub fn last_value<E: Expression>(expression: E) -> WindowFunction<E::Model, E::Type> {
    function("last-value", vec![expression.into_tree()])
}

/// The value in the `row`-th row of the partition, or of the [`rows`](Window::rows) of the window,
/// counted from 1 in its order; null if there is no such row. A query with 0 is rejected.
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
        let (partition_by, order_by) = (self.partition_by.clone(), self.order_by.clone());
        Self { partition_by, order_by, frame: self.frame.clone(), model: PhantomData }
    }
}

impl<M> fmt::Debug for Window<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window")
            .field("partition_by", &self.partition_by)
            .field("order_by", &self.order_by)
            .field("frame", &self.frame)
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
