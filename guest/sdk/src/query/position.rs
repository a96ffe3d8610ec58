//! Positions in the order of a query, as values and as text.

use std::fmt;
use std::str::FromStr;

use ferro_wit::position;
use ferro_wit::types::{Error, ErrorKind, Value};

/// The position of a row in the order of a query, from which
/// [`page_after`](crate::Query::page_after) continues.
///
/// As text it consists of digits and the letters `a` to `f`, so that it fits in a URL. It contains
/// the order and the row's values in it, in readable form.
///
/// ```
/// use ferro::Position;
///
/// let position: Position = "6964006930".parse()?;
/// assert_eq!(position.to_string(), "6964006930");
/// assert!("no position".parse::<Position>().is_err());
/// # Ok::<(), ferro::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    order: String,
    values: Vec<Value>,
}

impl Position {
    pub(super) fn new(order: &str, values: Vec<Value>) -> Self {
        Self { order: order.to_owned(), values }
    }

    /// The values, one for each term of the order, if the orders are the same.
    pub(super) fn values_in(&self, order: &str, terms: usize) -> Result<&[Value], Error> {
        if self.order == order && self.values.len() == terms {
            return Ok(&self.values);
        }
        let message = format!(
            "the position is for the order `{}`, but the query has the order `{order}`, including \
             its key: use a position only with its own query",
            self.order
        );
        Err(Error::new(ErrorKind::InvalidQuery, message))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&position::write(&self.order, &self.values))
    }
}

impl FromStr for Position {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (order, values) = position::read(text).ok_or_else(|| {
            Error::new(ErrorKind::InvalidQuery, "the text is not a position in a query")
        })?;
        Ok(Self { order, values })
    }
}
