//! `+ - * / %` between numbers, `+ -` to shift dates and timestamps, and `& | !` between
//! conditions.

use std::ops;

use ferro_wit::query::{BinaryOperator, UnaryOperator};

use super::{Additive, Aggregate, Column, Condition, Expr, Expression, Numeric, Operand, expr};
use crate::scalar::Field;
use crate::tree::Tree;

macro_rules! arithmetic {
    ($type:ident: $($trait:ident, $method:ident, $operator:ident of $kind:ident with $other:ty;)*) => {$(
        impl<M, T, V> ops::$trait<V> for $type<M, T>
        where
            T: Field<Base: $kind>,
            V: Operand<M, $other>,
        {
            type Output = Expr<M, T>;

            fn $method(self, value: V) -> Expr<M, T> {
                let left = Expression::into_tree(self);
                expr(Tree::binary(BinaryOperator::$operator, left, value.into_tree()))
            }
        }
    )*};
}

macro_rules! operators {
    ($($type:ident),*) => {$(
        arithmetic! {
            $type:
            Add, add, Add of Additive with <T::Base as Additive>::Added;
            Sub, sub, Subtract of Additive with <T::Base as Additive>::Added;
            Mul, mul, Multiply of Numeric with T::Base;
            Div, div, Divide of Numeric with T::Base;
            Rem, rem, Modulo of Numeric with T::Base;
        }

        impl<M, T: Field<Base: Numeric>> ops::Neg for $type<M, T> {
            type Output = Expr<M, T>;

            fn neg(self) -> Expr<M, T> {
                expr(Tree::unary(UnaryOperator::Negate, Expression::into_tree(self)))
            }
        }
    )*};
}

operators!(Column, Expr, Aggregate);

macro_rules! logic {
    ($($type:ident),*) => {$(
        impl<M, T, E> ops::BitAnd<E> for $type<M, T>
        where
            T: Field<Base = bool>,
            E: Expression<Model = M, Type: Field<Base = bool>>,
        {
            type Output = Condition<M>;

            fn bitand(self, other: E) -> Condition<M> {
                expr(Expression::into_tree(self).and(other.into_tree()))
            }
        }

        impl<M, T, E> ops::BitOr<E> for $type<M, T>
        where
            T: Field<Base = bool>,
            E: Expression<Model = M, Type: Field<Base = bool>>,
        {
            type Output = Condition<M>;

            fn bitor(self, other: E) -> Condition<M> {
                expr(Expression::into_tree(self).or(other.into_tree()))
            }
        }

        impl<M, T: Field<Base = bool>> ops::Not for $type<M, T> {
            type Output = Condition<M>;

            fn not(self) -> Condition<M> {
                expr(Tree::unary(UnaryOperator::Not, Expression::into_tree(self)))
            }
        }
    )*};
}

logic!(Column, Expr);
