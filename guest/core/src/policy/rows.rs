//! Which rows a statement reaches: the forced conditions, and the caller's under their guard.
//!
//! Databases evaluate the terms of an `AND` in any order, so `tenant = $1 AND price / size > 2` may
//! divide on a row of another tenant, and its error would tell. A term that can fail is therefore
//! written `CASE WHEN tenant = $1 THEN price / size > 2 ELSE FALSE END`: a `CASE` has an order, on
//! both databases. Terms that cannot fail stay plain, so that they can use indexes.

use ferro_wit::query::{Node, NodeRef};
use ferro_wit::schema::Comparison;
use ferro_wit::types::{Error, ScalarType};

use super::Forced;
use crate::compile::Compiler;
use crate::dialect::Spelling as _;
use crate::sql::quoted;

/// Writes ` WHERE …` with the forced conditions of the compiler's view and the caller's filter;
/// nothing where there is neither.
pub(crate) fn conjuncts(compiler: &mut Compiler<'_>, filter: Option<NodeRef>) -> Result<(), Error> {
    let mut separator = " WHERE ";
    if !compiler.view().forced.is_empty() {
        compiler.sql.push(separator);
        forced(compiler);
        separator = " AND ";
    }
    let mut terms = Vec::new();
    if let Some(filter) = filter {
        split(compiler, filter, &mut terms)?;
    }
    for term in terms {
        compiler.sql.push(separator);
        separator = " AND ";
        guarded(compiler, term)?;
    }
    Ok(())
}

/// The terms of a conjunction, each on its own: one that can fail does not keep the others from
/// using indexes.
fn split(compiler: &Compiler<'_>, node: NodeRef, terms: &mut Vec<NodeRef>) -> Result<(), Error> {
    match &compiler.query.nodes[node as usize] {
        Node::AllOf(parts) if !parts.is_empty() && terms.len() + parts.len() <= SPLIT_TERMS => {
            parts.iter().try_for_each(|part| split(compiler, *part, terms))
        }
        _ => {
            terms.push(node);
            Ok(())
        }
    }
}

/// From here on a conjunction is written as one term: SQLite limits how many stand side by side.
const SPLIT_TERMS: usize = 32;

fn guarded(compiler: &mut Compiler<'_>, term: NodeRef) -> Result<(), Error> {
    if compiler.view().forced.is_empty() || !compiler.fact(term)?.fallible {
        return compiler.term(term);
    }
    compiler.sql.push("CASE WHEN ");
    forced(compiler);
    compiler.sql.push(" THEN ");
    compiler.expression(term)?;
    compiler.sql.push(" ELSE ");
    compiler.sql.push(compiler.dialect.boolean(false));
    compiler.sql.push(" END");
    Ok(())
}

/// The forced conditions, joined by `AND`.
fn forced(compiler: &mut Compiler<'_>) {
    for index in 0..compiler.view().forced.len() {
        if index > 0 {
            compiler.sql.push(" AND ");
        }
        condition(compiler, index);
    }
}

/// One forced condition. Texts compare byte by byte, whatever collation their column has. On
/// PostgreSQL the plain comparison stands beside the exact one, for the sake of indexes.
fn condition(compiler: &mut Compiler<'_>, index: usize) {
    let Forced { field, test, .. } = compiler.view().forced[index];
    let is_native_enum = field.ty.enumeration.is_some() && compiler.dialect.features().enums;
    let is_ordered = !matches!(test, Comparison::Equal | Comparison::NotEqual);
    // An order is that of the column, but decimals are none without their collation.
    let own = is_native_enum || (is_ordered && field.ty.kind == ScalarType::Text);
    let exact = if own { "" } else { compiler.dialect.exact(field.ty.kind) };
    let plain_too = compiler.dialect.features().exact_without_index && test == Comparison::Equal;
    if plain_too && !exact.is_empty() {
        comparison(compiler, index, "");
        compiler.sql.push(" AND ");
    }
    comparison(compiler, index, exact);
}

fn comparison(compiler: &mut Compiler<'_>, index: usize, collation: &str) {
    let Forced { field, value, test, many } = compiler.view().forced[index];
    compiler.column(field);
    compiler.sql.push(collation);
    let (before, after) = match many {
        true => compiler.dialect.in_list(field.ty.kind, test == Comparison::NotEqual),
        false => (operator(test), ""),
    };
    compiler.sql.push(before);
    let name = field.ty.enumeration.filter(|_| compiler.dialect.features().enums);
    let name = name.map(|it| quoted(&compiler.catalog.enums[it].name));
    compiler.sql.push(if name.is_some() { "CAST(" } else { "" });
    compiler.sql.forced(value, field.ty.kind, many);
    if let Some(name) = name {
        let array = if many { "[]" } else { "" };
        compiler.sql.push(&format!(" AS {name}{array})"));
    }
    compiler.sql.push(after);
}

/// How a comparison is written on both databases.
pub(crate) fn operator(test: Comparison) -> &'static str {
    match test {
        Comparison::Equal => " = ",
        Comparison::NotEqual => " <> ",
        Comparison::Less => " < ",
        Comparison::LessOrEqual => " <= ",
        Comparison::Greater => " > ",
        Comparison::GreaterOrEqual => " >= ",
    }
}
