//! What dates, times and timestamps can do.

use super::{Base, Expression, Like, Operand, call};
use crate::scalar::{Field, Storable};
use crate::values::{Date, Time, Timestamp, Timestamptz};

/// Types with a day.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no day",
    note = "`Date`, `Timestamp` and `Timestamptz` have one"
)]
pub trait Dated: Storable {}

/// Types with a time of day.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no time of day",
    note = "`Time`, `Timestamp` and `Timestamptz` have one"
)]
pub trait Timed: Storable {}

impl Dated for Date {}
impl Dated for Timestamp {}
impl Dated for Timestamptz {}
impl Timed for Time {}
impl Timed for Timestamp {}
impl Timed for Timestamptz {}

macro_rules! parts {
    ($($(#[$doc:meta])* $method:ident = $name:literal of $kind:ident;)*) => {$(
        $(#[$doc])*
        fn $method(self) -> Like<Self, i64>
        where
            Self::Type: Field<Base: $kind>,
        {
            call($name, self, [])
        }
    )*};
}

macro_rules! truncations {
    ($($(#[$doc:meta])* $method:ident = $name:literal of $($kind:ident),+;)*) => {$(
        $(#[$doc])*
        fn $method(self) -> Like<Self, Base<Self>>
        where
            Self::Type: Field<Base: $($kind +)+>,
        {
            call($name, self, [])
        }
    )*};
}

/// Expressions that are dates, times or timestamps. Parts of a [`Timestamptz`] are those in UTC.
///
/// ```
/// use ferro::count;
/// use ferro::prelude::*;
/// use ferro::values::Timestamptz;
///
/// #[derive(Model, Debug, Clone)]
/// struct Visit {
///     #[ferro(key)]
///     id: i64,
///     at: Timestamptz,
/// }
///
/// let month = Visit::at().truncate_month();
/// let _ = Visit::query().group_by(month.clone()).select((month, count()));
/// ```
pub trait MomentExpression: Expression {
    parts! {
        /// The year.
        year = "year" of Dated;
        /// The month, from 1 on.
        month = "month" of Dated;
        /// The day of the month.
        day = "day" of Dated;
        /// The day of the week: 1 is Monday, 7 Sunday.
        weekday = "weekday" of Dated;
        /// The day of the year, from 1 on.
        day_of_year = "day-of-year" of Dated;
        /// The hour.
        hour = "hour" of Timed;
        /// The minute.
        minute = "minute" of Timed;
        /// The second, without fractions.
        second = "second" of Timed;
    }

    truncations! {
        /// The first moment of its year.
        truncate_year = "truncate-year" of Dated;
        /// The first moment of its month.
        truncate_month = "truncate-month" of Dated;
        /// The first moment of its day.
        truncate_day = "truncate-day" of Dated, Timed;
        /// The first moment of its hour.
        truncate_hour = "truncate-hour" of Dated, Timed;
        /// The first moment of its minute.
        truncate_minute = "truncate-minute" of Dated, Timed;
        /// The first moment of its second.
        truncate_second = "truncate-second" of Dated, Timed;
    }

    /// How many days it is after another date; negative where it is before it.
    fn days_between<V: Operand<Self::Model, Date>>(self, other: V) -> Like<Self, i64>
    where
        Self::Type: Field<Base = Date>,
    {
        call("days-between", self, [other.into_tree()])
    }

    /// How many microseconds it is after another timestamp; negative where it is before it.
    fn microseconds_between<V: Operand<Self::Model, Base<Self>>>(self, other: V) -> Like<Self, i64>
    where
        Self::Type: Field<Base: Dated + Timed>,
    {
        call("microseconds-between", self, [other.into_tree()])
    }
}

impl<E: Expression> MomentExpression for E {}
