//! The closed list of scalar functions. None of them runs SQL text, reads settings or files,
//! sleeps, or returns a value much larger than its arguments.
//!
//! | name | arguments | result |
//! | --- | --- | --- |
//! | `lower`, `upper` | text | text; on SQLite the letters of ASCII only |
//! | `trim`, `trim-start`, `trim-end` | text | text without spaces at both ends or at one |
//! | `length` | text or blob | its characters or bytes |
//! | `substring` | text, start, length | characters from a start on, the first being 1; start and length are literals, the length can be left out |
//! | `left`, `right` | text, length | its first or last characters; the length is a literal from 1 on |
//! | `position` | text, part | where the part begins, the first character being 1; 0 if it is not there |
//! | `replace` | text, part, other | text with the other in the place of each part; fails where that could be more than 16 million characters |
//! | `abs` | number | the same type |
//! | `round`, `floor`, `ceiling` | float or decimal | a whole number of the same type: the nearest, halves away from zero; the next below; the next above |
//! | `round` | decimal, digits | the nearest with so many digits after the point, which are a literal from 0 to 100 |
//! | `coalesce` | two or more of one type | the first that is not null |
//! | `null-if` | two of one type | the first, but null if they are equal |
//! | `year`, `quarter`, `month`, `day`, `weekday`, `day-of-year` | date or timestamp | integer; Monday is 1, Sunday 7 |
//! | `week`, `iso-year` | date or timestamp | integer: the week after ISO 8601, and the year that it is of |
//! | `hour`, `minute`, `second` | time or timestamp | integer, without fractions |
//! | `truncate-year`, `truncate-quarter`, `truncate-month`, `truncate-week` | date or timestamp | its first moment, of the same type |
//! | `truncate-day`, `truncate-hour`, `truncate-minute`, `truncate-second` | timestamp | its first moment |
//! | `days-between` | two dates | integer: the first less the second |
//! | `microseconds-between` | two timestamps of one type | integer: the first less the second |
//!
//! A timestamp stands for `timestamptz` too, whose parts are those in UTC.
//!
//! Window functions, in `window`:
//!
//! | name | arguments | result |
//! | --- | --- | --- |
//! | `row-number` | none | 1 for the first row, then 2 … |
//! | `rank`, `dense-rank` | none | the same number for rows that tie; `rank` leaves out numbers after them |
//! | `percent-rank`, `cume-dist` | none | float: the ranks below, as a part of the other rows; the rows up to this one and those that tie with it, as a part of all |
//! | `ntile` | number (a literal) | in which of so many groups of equal size the row is, from 1 on |
//! | `lag`, `lead` | value, distance (a literal, 1 if left out), default (null) | the value of an earlier or later row |
//! | `first-value`, `last-value` | value | that of the first or last row of the partition |
//! | `nth-value` | value, number (a literal) | that of the row with the number, the first being 1 |
//! | `count`, `sum`, `average`, `minimum`, `maximum` | as in `aggregate` | with an order: of the rows up to this one and those that tie with it |
//!
//! The last five and `first-value`, `last-value` and `nth-value` accept a frame, which replaces the
//! rows described here.

use std::ops::RangeInclusive;

use ferro_wit::query::AggregateFunction;
use ferro_wit::types::ScalarType;

/// The maximum start and length: the largest 32-bit integer.
const MOST_CHARACTERS: i64 = 0x7fff_ffff;
/// The maximum digits after the point to which a decimal is rounded.
const MOST_DIGITS: i64 = 100;

/// A function of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Lower,
    Upper,
    Trim,
    TrimStart,
    TrimEnd,
    Length,
    Substring,
    Left,
    Right,
    Position,
    Replace,
    Abs,
    Round,
    Floor,
    Ceiling,
    Coalesce,
    NullIf,
    Part(DatePart),
    Truncate(DatePart),
    DaysBetween,
    MicrosecondsBetween,
}

/// A part of a date or a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DatePart {
    Year,
    IsoYear,
    Quarter,
    Month,
    Week,
    Day,
    Weekday,
    DayOfYear,
    Hour,
    Minute,
    Second,
}

/// All functions by name.
pub(crate) const FUNCTIONS: [(&str, Function); 38] = {
    use Function as F;
    [
        ("lower", F::Lower),
        ("upper", F::Upper),
        ("trim", F::Trim),
        ("trim-start", F::TrimStart),
        ("trim-end", F::TrimEnd),
        ("length", F::Length),
        ("substring", F::Substring),
        ("left", F::Left),
        ("right", F::Right),
        ("position", F::Position),
        ("replace", F::Replace),
        ("abs", F::Abs),
        ("round", F::Round),
        ("floor", F::Floor),
        ("ceiling", F::Ceiling),
        ("coalesce", F::Coalesce),
        ("null-if", F::NullIf),
        ("year", F::Part(DatePart::Year)),
        ("iso-year", F::Part(DatePart::IsoYear)),
        ("quarter", F::Part(DatePart::Quarter)),
        ("month", F::Part(DatePart::Month)),
        ("week", F::Part(DatePart::Week)),
        ("day", F::Part(DatePart::Day)),
        ("weekday", F::Part(DatePart::Weekday)),
        ("day-of-year", F::Part(DatePart::DayOfYear)),
        ("hour", F::Part(DatePart::Hour)),
        ("minute", F::Part(DatePart::Minute)),
        ("second", F::Part(DatePart::Second)),
        ("truncate-year", F::Truncate(DatePart::Year)),
        ("truncate-quarter", F::Truncate(DatePart::Quarter)),
        ("truncate-month", F::Truncate(DatePart::Month)),
        ("truncate-week", F::Truncate(DatePart::Week)),
        ("truncate-day", F::Truncate(DatePart::Day)),
        ("truncate-hour", F::Truncate(DatePart::Hour)),
        ("truncate-minute", F::Truncate(DatePart::Minute)),
        ("truncate-second", F::Truncate(DatePart::Second)),
        ("days-between", F::DaysBetween),
        ("microseconds-between", F::MicrosecondsBetween),
    ]
};

/// The function of a name.
pub(crate) fn find(name: &str) -> Option<Function> {
    FUNCTIONS.iter().find(|(it, _)| *it == name).map(|(_, function)| *function)
}

impl Function {
    /// Whether it accepts this number of arguments.
    pub(crate) fn takes(self, arguments: usize) -> bool {
        match self {
            Self::Coalesce => arguments >= 2,
            Self::Substring => (2..=3).contains(&arguments),
            Self::Round => (1..=2).contains(&arguments),
            Self::Replace => arguments == 3,
            Self::Left
            | Self::Right
            | Self::Position
            | Self::NullIf
            | Self::DaysBetween
            | Self::MicrosecondsBetween => arguments == 2,
            _ => arguments == 1,
        }
    }

    /// The range of the literal numbers that all arguments but the first are; `None` if all
    /// arguments have the same type.
    pub(crate) fn literals(self) -> Option<RangeInclusive<i64>> {
        match self {
            Self::Substring | Self::Left | Self::Right => Some(1..=MOST_CHARACTERS),
            Self::Round => Some(0..=MOST_DIGITS),
            _ => None,
        }
    }

    /// The result type for this many arguments, whose type, except for literals, is given; `None`
    /// if it does not accept them.
    pub(crate) fn result(self, argument: ScalarType, arguments: usize) -> Option<ScalarType> {
        use ScalarType as S;
        let dated = matches!(argument, S::Date | S::Timestamp | S::Timestamptz);
        let timed = matches!(argument, S::Time | S::Timestamp | S::Timestamptz);
        match (self, argument) {
            (
                Self::Lower
                | Self::Upper
                | Self::Trim
                | Self::TrimStart
                | Self::TrimEnd
                | Self::Substring
                | Self::Left
                | Self::Right
                | Self::Replace,
                S::Text,
            ) => Some(S::Text),
            (Self::Length, S::Text | S::Blob) => Some(S::Integer),
            (Self::Position, S::Text) => Some(S::Integer),
            (Self::Abs, S::Integer | S::Float | S::Decimal) => Some(argument),
            (Self::Round, S::Float) if arguments > 1 => None,
            (Self::Round | Self::Floor | Self::Ceiling, S::Float | S::Decimal) => Some(argument),
            (Self::NullIf, S::Json | S::Interval) => None,
            (Self::Coalesce | Self::NullIf, _) => Some(argument),
            (Self::Part(DatePart::Hour | DatePart::Minute | DatePart::Second), _) if timed => {
                Some(S::Integer)
            }
            (Self::Part(DatePart::Hour | DatePart::Minute | DatePart::Second), _) => None,
            (Self::Part(_), _) if dated => Some(S::Integer),
            (
                Self::Truncate(
                    DatePart::Year | DatePart::Quarter | DatePart::Month | DatePart::Week,
                ),
                _,
            ) if dated => Some(argument),
            (Self::Truncate(_), S::Timestamp | S::Timestamptz) => Some(argument),
            (Self::DaysBetween, S::Date) => Some(S::Integer),
            (Self::MicrosecondsBetween, S::Timestamp | S::Timestamptz) => Some(S::Integer),
            _ => None,
        }
    }

    /// Whether it can fail for some values.
    pub(crate) fn fallible(self) -> bool {
        !matches!(self, Self::Length | Self::Coalesce | Self::NullIf)
    }
}

/// A window function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WindowFunction {
    RowNumber,
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
    Ntile,
    Lag,
    Lead,
    FirstValue,
    LastValue,
    NthValue,
    Aggregate(AggregateFunction),
}

/// All window functions by name.
pub(crate) const WINDOW_FUNCTIONS: [(&str, WindowFunction); 16] = {
    use WindowFunction as W;
    [
        ("row-number", W::RowNumber),
        ("rank", W::Rank),
        ("dense-rank", W::DenseRank),
        ("percent-rank", W::PercentRank),
        ("cume-dist", W::CumeDist),
        ("ntile", W::Ntile),
        ("lag", W::Lag),
        ("lead", W::Lead),
        ("first-value", W::FirstValue),
        ("last-value", W::LastValue),
        ("nth-value", W::NthValue),
        ("count", W::Aggregate(AggregateFunction::Count)),
        ("sum", W::Aggregate(AggregateFunction::Sum)),
        ("average", W::Aggregate(AggregateFunction::Average)),
        ("minimum", W::Aggregate(AggregateFunction::Minimum)),
        ("maximum", W::Aggregate(AggregateFunction::Maximum)),
    ]
};

/// The window function of a name.
pub(crate) fn find_window(name: &str) -> Option<WindowFunction> {
    WINDOW_FUNCTIONS.iter().find(|(it, _)| *it == name).map(|(_, function)| *function)
}

impl WindowFunction {
    /// Whether it accepts this number of arguments.
    pub(crate) fn takes(self, arguments: usize) -> bool {
        match self {
            Self::RowNumber | Self::Rank | Self::DenseRank | Self::PercentRank | Self::CumeDist => {
                arguments == 0
            }
            Self::Lag | Self::Lead => (1..=3).contains(&arguments),
            Self::NthValue => arguments == 2,
            Self::Ntile | Self::FirstValue | Self::LastValue | Self::Aggregate(_) => arguments == 1,
        }
    }

    /// Whether it needs an order.
    pub(crate) fn needs_order(self) -> bool {
        !matches!(self, Self::RowNumber | Self::Aggregate(_))
    }

    /// Whether it accepts a frame.
    pub(crate) fn takes_frame(self) -> bool {
        matches!(self, Self::FirstValue | Self::LastValue | Self::NthValue | Self::Aggregate(_))
    }

    /// Whether its result depends on the order of rows that tie, so that these need an order, too.
    pub(crate) fn tells_rows_apart(self) -> bool {
        matches!(
            self,
            Self::RowNumber
                | Self::Ntile
                | Self::Lag
                | Self::Lead
                | Self::FirstValue
                | Self::LastValue
                | Self::NthValue
        )
    }
}
