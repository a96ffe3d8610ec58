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
