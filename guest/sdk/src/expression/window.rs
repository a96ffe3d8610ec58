//! Functions over the rows around a row.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};

use ferro_wit::query::{Frame, FrameUnit};
use ferro_wit::types::{Error, ErrorKind};

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
    /// the rows up to the row, a running sum, unless [`rows`](Self::rows) or
    /// [`groups`](Self::groups) say which rows it takes.
    pub fn order_by(mut self, order: Order<M>) -> Self {
        self.order_by.push(order.term);
        self
    }

    /// Only these rows, by their distance from the row in the order of the window: `-6..=0` are the
    /// six before it and itself, `..` all of the partition. Rows that tie go by their key. This is
    /// for aggregates, [`first_value`], [`last_value`] and [`nth_value`]; others are refused.
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

    /// As [`rows`](Self::rows), but counted in groups of rows that tie in the order of the window,
    /// which it needs: `0..=0` are the row and those that tie with it. For aggregates only.
    pub fn groups(self, distances: impl RangeBounds<i64>) -> Self {
        self.framed(FrameUnit::Groups, &distances)
    }

    fn framed(mut self, unit: FrameUnit, distances: &impl RangeBounds<i64>) -> Self {
        // The core refuses what is no distance, the ends of 64 bits too.
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

    /// Whether a row is always among those that are seen from it.
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
    /// The function over the rows of a window.
    ///
    /// # Errors
    ///
    /// When it is run: `invalid-query` for a [`first_value`] or a [`last_value`] that is no
    /// `Option`, over [`rows`](Window::rows) of which there may be none.
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

/// The value in the row with this number of the partition, or of the [`rows`](Window::rows) of a
/// window, in its order, the first being 1; null where there is no such row. With 0 the query is
/// refused.
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
