//! Checks of limits and offsets, which must be numbers of rows: SQLite treats a negative limit as
//! none, PostgreSQL a null.

use ferro_wit::query::{Node, Query};
use ferro_wit::types::{Error, ErrorKind, Value};

/// Fails if a value for a limit or an offset is not a number of rows.
pub(crate) fn check(query: &Query, parameters: &[Value]) -> Result<(), Error> {
    let bounds = query.selects.iter().flat_map(|it| [it.limit, it.offset]).flatten();
    for bound in bounds {
        let Some(Node::Parameter(it)) = query.nodes.get(bound as usize) else { continue };
        if let Some(Value::Null | Value::Integer(..0)) = parameters.get(it.index as usize) {
            let message = "`limit` and `offset` must be non-negative integers";
            return Err(Error::new(ErrorKind::InvalidQuery, message));
        }
    }
    Ok(())
}
