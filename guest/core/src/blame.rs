//! Adds the fields that an error is about, by their names in the models.
//!
//! Only names of the query itself are repeated, and nothing is looked up for them: so a name that
//! the scope hides looks like one that does not exist.

use std::iter;

use ferro_wit::query::{Node, NodeRef, Query};
use ferro_wit::types::Error;

use crate::error::{about, listed, path, shown};
use crate::validate::children;

/// An error about an expression, with the fields in it. `model` returns the model of an enclosing
/// select by its distance, if it is known.
pub(crate) fn blame<'a>(
    query: &'a Query,
    node: NodeRef,
    model: impl Fn(u8) -> Option<&'a str>,
    error: Error,
) -> Error {
    let mut seen = vec![false; query.nodes.len()];
    let mut open = vec![node];
    let names = iter::from_fn(|| {
        while let Some(node) = open.pop() {
            if std::mem::replace(&mut seen[node as usize], true) {
                continue;
            }
            let (outer, names) = match &query.nodes[node as usize] {
                Node::Field(it) => (it.outer, it.relations.iter().chain([&it.field]).collect()),
                Node::Excluded(field) => (0, vec![field]),
                Node::Related(it) => (0, it.relations.iter().collect()),
                Node::Subquery(select) | Node::Exists(select) => {
                    let model = shown(&query.selects[*select as usize].model);
                    return Some(format!("a query of {model}"));
                }
                other => {
                    open.extend(children(other).0.into_iter().rev());
                    continue;
                }
            };
            let names = names.into_iter().map(String::as_str);
            return Some(path(model(outer).into_iter().chain(names)));
        }
        None
    });
    about(&listed(names), error)
}
