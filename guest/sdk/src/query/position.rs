//! Places in the order of a query, as values and as text.

use std::fmt;
use std::str::FromStr;

use ferro_wit::position;
use ferro_wit::types::{Error, ErrorKind, Value};

/// The place of a row in the order of a query: what [`page_after`](crate::Query::page_after) goes
/// on from.
///
/// As text it is made of digits and the letters `a` to `f`, so that it can stand in a URL. It holds
/// the values that the row is ordered by: whoever sees it can read them.
///
/// ```
/// use ferro::Position;
///
/// let position: Position = "6930".parse()?;
/// assert_eq!(position.to_string(), "6930");
/// assert!("no position".parse::<Position>().is_err());
/// # Ok::<(), ferro::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    values: Vec<Value>,
}

impl Position {
    pub(super) fn new(values: Vec<Value>) -> Self {
        Self { values }
    }

    /// The values, one for each term of an order.
    pub(super) fn values_for(&self, terms: usize) -> Result<&[Value], Error> {
        if self.values.len() == terms {
            return Ok(&self.values);
        }
        let given = self.values.len();
        let message = format!(
            "the position has {given} values, and the query is ordered by {terms}, its key \
             included: a position is for the query that it comes from"
        );
        Err(Error::new(ErrorKind::InvalidQuery, message))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&position::write(&self.values))
    }
}

impl FromStr for Position {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        position::read(text).map(Self::new).ok_or_else(|| {
            Error::new(ErrorKind::InvalidQuery, "the text is not a position in a query")
        })
    }
}
