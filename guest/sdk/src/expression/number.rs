//! Operations on numbers, besides the operators.

use super::{Base, Expression, Like, call, literal};
use crate::scalar::{Field, Scalar, Storable};
use crate::values::{Date, Decimal, Interval, Timestamp, Timestamptz};

/// Types with addition and subtraction.
#[diagnostic::on_unimplemented(
    message = "nothing can be added to or subtracted from a value of type `{Self}`",
    note = "numbers are `i16`, `i32`, `i64`, `f32`, `f64` and `Decimal`",
    note = "an `Interval` shifts a `Timestamp` or a `Timestamptz`, and an `i64`, in days, a `Date`"
)]
pub trait Additive: Storable {
    /// The type that is added: a number, or the amount by which a date or a timestamp is shifted.
    type Added: Storable;
}

impl Additive for Date {
    type Added = i64;
}

impl Additive for Timestamp {
    type Added = Interval;
}

impl Additive for Timestamptz {
    type Added = Interval;
}

/// Types that can be added, subtracted, multiplied and divided.
#[diagnostic::on_unimplemented(
    message = "there is no arithmetic with values of type `{Self}`",
    note = "numbers are `i16`, `i32`, `i64`, `f32`, `f64` and `Decimal`"
)]
pub trait Numeric: Additive<Added = Self> {
    /// The type of a sum.
    type Sum: Scalar;
    /// The type of an average.
    type Average: Scalar;
}

macro_rules! numeric {
    ($($type:ty: $sum:ty, $average:ty;)*) => {$(
        impl Additive for $type {
            type Added = Self;
        }

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

/// Numbers with a fractional part.
#[diagnostic::on_unimplemented(
    message = "a value of type `{Self}` has no fractional part",
    note = "`f32`, `f64` and `Decimal` can be rounded"
)]
pub trait Fractional: Numeric {
    /// The type of their whole numbers.
    type Whole: Storable;
}

impl Fractional for f32 {
    type Whole = f64;
}

impl Fractional for f64 {
    type Whole = f64;
}

impl Fractional for Decimal {
    type Whole = Decimal;
}

/// Expressions that are numbers.
pub trait NumberExpression: Expression {
    /// The absolute value.
    fn abs(self) -> Like<Self, Base<Self>>
    where
        Self::Type: Field<Base: Numeric>,
    {
        call("abs", self, [])
    }

    /// The nearest whole number, halves away from zero.
    fn round(self) -> Like<Self, <Base<Self> as Fractional>::Whole>
    where
        Self::Type: Field<Base: Fractional>,
    {
        call("round", self, [])
    }

    /// The nearest number with `digits` digits after the point, halves away from zero. A query with
    /// more than 100 is rejected.
    fn round_to(self, digits: u32) -> Like<Self, Decimal>
    where
        Self::Type: Field<Base = Decimal>,
    {
        call("round", self, [literal(digits)])
    }

    /// The largest whole number that is not above it.
    fn floor(self) -> Like<Self, <Base<Self> as Fractional>::Whole>
    where
        Self::Type: Field<Base: Fractional>,
    {
        call("floor", self, [])
    }

    /// The smallest whole number that is not below it.
    fn ceiling(self) -> Like<Self, <Base<Self> as Fractional>::Whole>
    where
        Self::Type: Field<Base: Fractional>,
    {
        call("ceiling", self, [])
    }
}

impl<E: Expression> NumberExpression for E {}
