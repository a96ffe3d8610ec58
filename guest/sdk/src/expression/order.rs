//! Terms of an order.

use std::fmt;
use std::marker::PhantomData;

use ferro_wit::query::NullsOrder;

use crate::scalar::Field;
use crate::tree::{Term, Tree};

/// A term of an `order_by`: created by [`asc`](super::Expression::asc) and
/// [`desc`](super::Expression::desc).
#[must_use = "an order does nothing until a query uses it"]
pub struct Order<M> {
    pub(crate) term: Term,
    model: PhantomData<fn() -> M>,
}

impl<M> Order<M> {
    pub(crate) fn ascending<F: Field>(tree: Tree) -> Self {
        Self { term: Term::ascending::<F>(tree), model: PhantomData }
    }

    /// The reverse order; the place of nulls does not change.
    pub(crate) fn reversed(mut self) -> Self {
        self.term.descending = !self.term.descending;
        self
    }

    /// Puts nulls first.
    pub fn nulls_first(mut self) -> Self {
        self.term.nulls = NullsOrder::First;
        self
    }

    /// Puts nulls last, which is the default.
    ///
    /// ```
    /// # use ferro::prelude::*;
    /// # #[derive(Model, Debug, Clone)]
    /// # struct Task { #[ferro(key)] id: i64, due: Option<i64> }
    /// let latest = Task::query().order_by(Task::due().desc().nulls_last());
    /// # let _ = latest;
    /// ```
    pub fn nulls_last(mut self) -> Self {
        self.term.nulls = NullsOrder::Last;
        self
    }
}

impl<M> Clone for Order<M> {
    fn clone(&self) -> Self {
        Self { term: self.term.clone(), model: PhantomData }
    }
}

impl<M> fmt::Debug for Order<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.term.fmt(f)
    }
}
