//! The operands of expressions: for comparisons, assignments and lists.

use std::marker::PhantomData;

use super::{Aggregate, Collected, Column, Expr, Expression, expr};
use crate::scalar::{Field, Scalar, Storable};
use crate::tree::Tree;

/// What an expression of type `T` can be compared or computed with: a `T`, an `Option<T>`, or an
/// expression over the same model.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be compared or computed with a field of type `{T}`",
    label = "expected a `{T}`, or an expression of that type over the same model",
    note = "nothing is converted implicitly: convert the value to `{T}` first"
)]
pub trait Operand<M, T> {
    /// Internal to this crate.
    #[doc(hidden)]
    fn into_tree(self) -> Tree;
}

impl<M, T: Storable> Operand<M, T> for T {
    fn into_tree(self) -> Tree {
        Tree::value::<T>(Some(self))
    }
}

impl<M, T: Storable> Operand<M, T> for Option<T> {
    fn into_tree(self) -> Tree {
        Tree::value::<T>(self)
    }
}

impl<M> Operand<M, String> for &str {
    fn into_tree(self) -> Tree {
        Tree::value::<String>(Some(self.to_owned()))
    }
}

impl<M> Operand<M, String> for &String {
    fn into_tree(self) -> Tree {
        Tree::value::<String>(Some(self.clone()))
    }
}

impl<M> Operand<M, Vec<u8>> for &[u8] {
    fn into_tree(self) -> Tree {
        Tree::value::<Vec<u8>>(Some(self.to_vec()))
    }
}

macro_rules! operands {
    ($($type:ident),*) => {$(
        impl<M, F: Field> Operand<M, F::Base> for $type<M, F> {
            fn into_tree(self) -> Tree {
                Expression::into_tree(self)
            }
        }

        impl<M, F: Field> Settable<M, F> for $type<M, F> {
            fn into_tree(self) -> Tree {
                Expression::into_tree(self)
            }
        }

        impl<M, T: Storable> Settable<M, Option<T>> for $type<M, T> {
            fn into_tree(self) -> Tree {
                Expression::into_tree(self)
            }
        }

        impl<M, F: Field> IntoExpr<M> for $type<M, F> {
            type Type = F;

            fn into_tree(self) -> Tree {
                Expression::into_tree(self)
            }
        }
    )*};
}

operands!(Column, Expr, Aggregate, Collected);

/// What a field of type `F` can be set to: an `F`, an expression of that type, and for an `Option`
/// also its inner value.
#[diagnostic::on_unimplemented(
    message = "a field of type `{F}` cannot be set to `{Self}`",
    label = "expected a `{F}`, or an expression of that type over the same model",
    note = "nothing is converted implicitly; only an `Option` field can be set to null"
)]
pub trait Settable<M, F> {
    /// Internal to this crate.
    #[doc(hidden)]
    fn into_tree(self) -> Tree;
}

impl<M, F: Field> Settable<M, F> for F {
    fn into_tree(self) -> Tree {
        Tree::value::<F::Base>(self.base().cloned())
    }
}

impl<M, T: Storable> Settable<M, Option<T>> for T {
    fn into_tree(self) -> Tree {
        Tree::value::<T>(Some(self))
    }
}

impl<M> Settable<M, String> for &str {
    fn into_tree(self) -> Tree {
        Operand::<M, String>::into_tree(self)
    }
}

impl<M> Settable<M, Option<String>> for &str {
    fn into_tree(self) -> Tree {
        Operand::<M, String>::into_tree(self)
    }
}

/// A value or an expression whose type does not follow from its use.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a value nor an expression over this model",
    label = "expected a value that a field can have, or an expression over the same model"
)]
pub trait IntoExpr<M> {
    /// The type of its values.
    type Type: Field;

    /// Internal to this crate.
    #[doc(hidden)]
    fn into_tree(self) -> Tree;
}

impl<M, F: Field> IntoExpr<M> for F {
    type Type = F;

    fn into_tree(self) -> Tree {
        Tree::value::<F::Base>(self.base().cloned())
    }
}

impl<M> IntoExpr<M> for &str {
    type Type = String;

    fn into_tree(self) -> Tree {
        Operand::<M, String>::into_tree(self)
    }
}

/// A value as an expression, for example in a [`select`](crate::Query::select).
pub fn value<M, V: IntoExpr<M>>(value: V) -> Expr<M, V::Type> {
    expr(value.into_tree())
}

/// An expression over the query around a subquery: created by [`outer`].
#[derive(Debug, Clone)]
#[must_use = "an expression does nothing until a query uses it"]
pub struct Outer<T> {
    tree: Tree,
    types: PhantomData<fn() -> T>,
}

/// In a subquery, an expression over the enclosing row. See [`exists`](crate::exists).
pub fn outer<E: Expression>(expression: E) -> Outer<E::Type> {
    Outer { tree: Tree::Outer(Box::new(expression.into_tree())), types: PhantomData }
}

impl<M, F: Field> Operand<M, F::Base> for Outer<F> {
    fn into_tree(self) -> Tree {
        self.tree
    }
}

/// An element of a list for [`in_`](Expression::in_): a `T`, or an `Option<T>`.
#[diagnostic::on_unimplemented(
    message = "a list of `{Self}` cannot be searched for a field of type `{T}`",
    label = "expected values of type `{T}` or `Option<{T}>`"
)]
pub trait Listed<T> {
    /// Internal to this crate.
    #[doc(hidden)]
    fn into_option(self) -> Option<T>;
}

impl<T: Scalar> Listed<T> for T {
    fn into_option(self) -> Option<T> {
        Some(self)
    }
}

impl<T: Scalar> Listed<T> for Option<T> {
    fn into_option(self) -> Self {
        self
    }
}

impl Listed<String> for &str {
    fn into_option(self) -> Option<String> {
        Some(self.to_owned())
    }
}

impl Listed<String> for &String {
    fn into_option(self) -> Option<String> {
        Some(self.clone())
    }
}
