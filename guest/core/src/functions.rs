//! The closed list of scalar functions. None takes SQL as text, reads settings or files, sleeps, or
//! makes a value much larger than its arguments.
//!
//! | name | arguments | result |
//! | --- | --- | --- |
//! | `lower`, `upper` | text | text; on SQLite the letters of ASCII only |
//! | `trim` | text | text without spaces at both ends |
//! | `length` | text or blob | its characters or bytes |
//! | `abs` | number | the same type |
//! | `round` | float | the nearest whole number as a float, halves away from zero |
//! | `coalesce` | two or more of one type | the first that is not null |
//!
//! Functions over the rows around a row, in `window`:
//!
//! | name | arguments | result |
//! | --- | --- | --- |
//! | `row-number` | none | 1 for the first row, then 2 … |
//! | `rank`, `dense-rank` | none | the same number for rows that tie; `rank` leaves out numbers after them |
//! | `lag`, `lead` | value, distance (a literal, 1 if left out), default (null) | the value of an earlier or later row |
//! | `first-value`, `last-value` | value | that of the first or last row of the partition |
//! | `count`, `sum`, `average`, `minimum`, `maximum` | as in `aggregate` | with an order: of the rows up to this one and those that tie with it |

use ferro_wit::query::AggregateFunction;
use ferro_wit::types::ScalarType;

/// A function of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Lower,
    Upper,
    Trim,
    Length,
    Abs,
    Round,
    Coalesce,
}

/// Every function by its name.
pub(crate) const FUNCTIONS: [(&str, Function); 7] = [
    ("lower", Function::Lower),
    ("upper", Function::Upper),
    ("trim", Function::Trim),
    ("length", Function::Length),
    ("abs", Function::Abs),
    ("round", Function::Round),
    ("coalesce", Function::Coalesce),
];

/// The function of a name.
pub(crate) fn find(name: &str) -> Option<Function> {
    FUNCTIONS.iter().find(|(it, _)| *it == name).map(|(_, function)| *function)
}

impl Function {
    /// Whether a number of arguments is right.
    pub(crate) fn takes(self, arguments: usize) -> bool {
        match self {
            Self::Coalesce => arguments >= 2,
            _ => arguments == 1,
        }
    }

    /// The result for an argument of a type; none if it takes no such argument. All arguments of
    /// `coalesce` have one type, which is the result's.
    pub(crate) fn result(self, argument: ScalarType) -> Option<ScalarType> {
        use ScalarType as S;
        match (self, argument) {
            (Self::Lower | Self::Upper | Self::Trim, S::Text) => Some(S::Text),
            (Self::Length, S::Text | S::Blob) => Some(S::Integer),
            (Self::Abs, S::Integer | S::Float | S::Decimal) => Some(argument),
            (Self::Round, S::Float) => Some(S::Float),
            (Self::Coalesce, _) => Some(argument),
            _ => None,
        }
    }

    /// Whether a value can make it fail.
    pub(crate) fn fallible(self) -> bool {
        !matches!(self, Self::Length | Self::Coalesce)
    }
}

/// A function over the rows around a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WindowFunction {
    RowNumber,
    Rank,
    DenseRank,
    Lag,
    Lead,
    FirstValue,
    LastValue,
    Aggregate(AggregateFunction),
}

/// Every window function by its name.
pub(crate) const WINDOW_FUNCTIONS: [(&str, WindowFunction); 12] = {
    use WindowFunction as W;
    [
        ("row-number", W::RowNumber),
        ("rank", W::Rank),
        ("dense-rank", W::DenseRank),
        ("lag", W::Lag),
        ("lead", W::Lead),
        ("first-value", W::FirstValue),
        ("last-value", W::LastValue),
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
    /// Whether a number of arguments is right.
    pub(crate) fn takes(self, arguments: usize) -> bool {
        match self {
            Self::RowNumber | Self::Rank | Self::DenseRank => arguments == 0,
            Self::Lag | Self::Lead => (1..=3).contains(&arguments),
            Self::FirstValue | Self::LastValue | Self::Aggregate(_) => arguments == 1,
        }
    }

    /// Whether it means nothing without an order.
    pub(crate) fn needs_order(self) -> bool {
        !matches!(self, Self::RowNumber | Self::Aggregate(_))
    }

    /// Whether rows that tie have to have an order, for the same result each time.
    pub(crate) fn tells_rows_apart(self) -> bool {
        matches!(
            self,
            Self::RowNumber | Self::Lag | Self::Lead | Self::FirstValue | Self::LastValue
        )
    }
}
