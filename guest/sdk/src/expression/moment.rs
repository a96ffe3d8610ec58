//! Operations on dates, times and timestamps.

use ferro_wit::query::BinaryOperator;

use super::{Base, Expression, Like, Operand, call, expr};
use crate::scalar::{Field, Storable};
use crate::tree::Tree;
use crate::values::{Date, Interval, Time, Timestamp, Timestamptz};

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

/// Expressions that are dates, times or timestamps. Parts of a [`Timestamptz`] are in UTC.
///
/// `+` and `-` shift a timestamp by an [`Interval`], and a date by a number of days. Months are
/// added first, clamped to the last day of a shorter month; days are in UTC.
///
/// ```
/// use ferro::count;
/// use ferro::prelude::*;
/// use ferro::values::{Interval, Timestamptz};
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
/// let month = Interval { months: 1, ..Interval::default() };
/// let _ = Visit::query().filter((Visit::at() + month).gt(Timestamptz::from_micros(0)));
/// ```
pub trait MomentExpression: Expression {
    parts! {
        /// The year.
        year = "year" of Dated;
        /// The ISO 8601 year of its [`week`](Self::week), which can differ from `year` around New
        /// Year.
        iso_year = "iso-year" of Dated;
        /// The quarter of the year, from 1.
        quarter = "quarter" of Dated;
        /// The month, from 1.
        month = "month" of Dated;
        /// The ISO 8601 week: weeks begin on Monday, and the first one of a year contains its first
        /// Thursday.
        week = "week" of Dated;
        /// The day of the month.
        day = "day" of Dated;
        /// The day of the week: 1 is Monday, 7 is Sunday.
        weekday = "weekday" of Dated;
        /// The day of the year, from 1.
        day_of_year = "day-of-year" of Dated;
        /// The hour.
        hour = "hour" of Timed;
        /// The minute.
        minute = "minute" of Timed;
        /// The second, without fractions.
        second = "second" of Timed;
    }

    truncations! {
        /// The start of its year.
        truncate_year = "truncate-year" of Dated;
        /// The start of its quarter.
        truncate_quarter = "truncate-quarter" of Dated;
        /// The start of its month.
        truncate_month = "truncate-month" of Dated;
        /// The start of its week, which begins on Monday.
        truncate_week = "truncate-week" of Dated;
        /// The start of its day.
        truncate_day = "truncate-day" of Dated, Timed;
        /// The start of its hour.
        truncate_hour = "truncate-hour" of Dated, Timed;
        /// The start of its minute.
        truncate_minute = "truncate-minute" of Dated, Timed;
        /// The start of its second.
        truncate_second = "truncate-second" of Dated, Timed;
    }

    /// The number of days from another date to this one; negative if this one is earlier.
    fn days_between<V: Operand<Self::Model, Date>>(self, other: V) -> Like<Self, i64>
    where
        Self::Type: Field<Base = Date>,
    {
        call("days-between", self, [other.into_tree()])
    }

    /// The interval from another timestamp to this one, in days of 24 hours and the rest; negative
    /// if this one is earlier.
    fn interval_between<V: Operand<Self::Model, Base<Self>>>(self, other: V) -> Like<Self, Interval>
    where
        Self::Type: Field<Base: Dated + Timed>,
    {
        expr(Tree::binary(BinaryOperator::Subtract, self.into_tree(), other.into_tree()))
    }

    /// The number of microseconds from another timestamp to this one; negative if this one is
    /// earlier.
    fn microseconds_between<V: Operand<Self::Model, Base<Self>>>(self, other: V) -> Like<Self, i64>
    where
        Self::Type: Field<Base: Dated + Timed>,
    {
        call("microseconds-between", self, [other.into_tree()])
    }
}

impl<E: Expression> MomentExpression for E {}
