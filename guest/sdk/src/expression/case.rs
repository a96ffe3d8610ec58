//! Values that depend on conditions.

use std::fmt;
use std::marker::PhantomData;

use super::{Expr, Expression, IntoExpr, Settable, expr};
use crate::scalar::Field;
use crate::tree::Tree;

/// The value of the first condition that holds: created by [`case`].
#[must_use = "a case does nothing without `otherwise` or `or_null`"]
pub struct Case<M, T> {
    branches: Vec<(Tree, Tree)>,
    types: PhantomData<fn() -> (M, T)>,
}

/// Starts a case: a value for a condition.
///
/// ```
/// use ferro::case;
/// use ferro::prelude::*;
///
/// #[derive(Model, Debug, Clone)]
/// struct City {
///     #[ferro(key)]
///     id: i64,
///     population: i64,
/// }
///
/// let size = case(City::population().gt(1_000_000), "large")
///     .when(City::population().gt(50_000), "middling")
///     .otherwise("small");
/// let _ = City::query().select((City::id(), size));
/// ```
pub fn case<C, V>(condition: C, value: V) -> Case<C::Model, V::Type>
where
    C: Expression<Type: Field<Base = bool>>,
    V: IntoExpr<C::Model>,
{
    let branches = vec![(condition.into_tree(), value.into_tree())];
    Case { branches, types: PhantomData }
}

impl<M, T: Field> Case<M, T> {
    /// Adds a value for a condition, if no earlier one holds.
    pub fn when<C, V>(mut self, condition: C, value: V) -> Self
    where
        C: Expression<Model = M, Type: Field<Base = bool>>,
        V: Settable<M, T>,
    {
        self.branches.push((condition.into_tree(), value.into_tree()));
        self
    }

    /// Ends the case with the value if no condition holds.
    pub fn otherwise<V: Settable<M, T>>(self, value: V) -> Expr<M, T> {
        let otherwise = Some(Box::new(value.into_tree()));
        expr(Tree::Case { branches: self.branches, otherwise })
    }

    /// Ends the case with null if no condition holds.
    pub fn or_null(self) -> Expr<M, Option<T::Base>> {
        expr(Tree::Case { branches: self.branches, otherwise: None })
    }
}

impl<M, T> Clone for Case<M, T> {
    fn clone(&self) -> Self {
        Self { branches: self.branches.clone(), types: PhantomData }
    }
}

impl<M, T> fmt::Debug for Case<M, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Case").field(&self.branches).finish()
    }
}
