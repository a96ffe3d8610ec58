//! What numbers can do, beside the operators.

use super::{Expression, Like, expr};
use crate::scalar::{Field, Scalar, Storable};
use crate::tree::Tree;
use crate::values::Decimal;

/// Types that can be added, subtracted, multiplied and divided.
#[diagnostic::on_unimplemented(
    message = "there is no arithmetic with values of type `{Self}`",
    note = "numbers are `i16`, `i32`, `i64`, `f32`, `f64` and `Decimal`"
)]
pub trait Numeric: Storable {
    /// The type of a sum.
    type Sum: Scalar;
    /// The type of an average.
    type Average: Scalar;
}

macro_rules! numeric {
    ($($type:ty: $sum:ty, $average:ty;)*) => {$(
        impl Numeric for $type {
            type Sum = $sum;
            type Average = $average;
        }
    )*};
}

numeric! {
    i16: i64, f64;
    i32: i64, f64;
    i64: i64, f64;
    f32: f64, f64;
    f64: f64, f64;
    Decimal: Decimal, Decimal;
}

/// Expressions that are numbers.
pub trait NumberExpression: Expression {
    /// Without its sign.
    fn abs(self) -> Like<Self, super::Base<Self>>
    where
        Self::Type: Field<Base: Numeric>,
    {
        expr(Tree::Call("abs", vec![self.into_tree()]))
    }

    /// The nearest whole number as a float, halves away from zero.
    fn round(self) -> Like<Self, f64>
    where
        Self::Type: Field<Base = f64>,
    {
        expr(Tree::Call("round", vec![self.into_tree()]))
    }
}

impl<E: Expression> NumberExpression for E {}
