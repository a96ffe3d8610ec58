//! Which rows a statement reaches: the forced conditions, and the caller's under their guard.
//!
//! Databases evaluate the terms of an `AND` in any order, so `tenant = $1 AND price / size > 2` may
//! divide on a row of another tenant, and its error would tell. A term that can fail is therefore
//! written `CASE WHEN tenant = $1 THEN price / size > 2 ELSE FALSE END`: a `CASE` has an order, on
//! both databases. Terms that cannot fail stay plain, so that they can use indexes.

use ferro_wit::query::{Node, NodeRef};
use ferro_wit::schema::Comparison;
use ferro_wit::types::{Dialect, Error, ScalarType};

use super::Forced;
use crate::compile::Compiler;
use crate::dialect::{DECIMAL_COLLATION, Spelling as _};
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
    let Forced { field, test, many, .. } = &compiler.view().forced[index];
    let (test, many) = (*test, *many);
    let is_text = field.ty.kind == ScalarType::Text && field.ty.enumeration.is_none();
    let by_equality = matches!(test, Comparison::Equal | Comparison::NotEqual);
    let collation = match (compiler.dialect, field.ty.kind) {
        (Dialect::Sqlite, ScalarType::Decimal) => DECIMAL_COLLATION,
        (Dialect::Sqlite, ScalarType::Text) => " COLLATE BINARY",
        (Dialect::Postgres, ScalarType::Text) if is_text && by_equality => " COLLATE \"C\"",
        _ => "",
    };
    if compiler.dialect == Dialect::Postgres && test == Comparison::Equal && !collation.is_empty() {
        comparison(compiler, index, test, many, "");
        compiler.sql.push(" AND ");
    }
    comparison(compiler, index, test, many, collation);
}

fn comparison(
    compiler: &mut Compiler<'_>,
    index: usize,
    test: Comparison,
    many: bool,
    collation: &str,
) {
    let Forced { field, value, .. } = &compiler.view().forced[index];
    let (field, value) = (*field, *value);
    compiler.column(field);
    compiler.sql.push(collation);
    let enumeration = match (compiler.dialect, field.ty.enumeration) {
        (Dialect::Postgres, Some(it)) => Some(quoted(&compiler.catalog.enums[it].name)),
        _ => None,
    };
    let (before, after) = match (compiler.dialect, many, test) {
        (Dialect::Postgres, true, Comparison::Equal) => (" = ANY(", ")"),
        (Dialect::Postgres, true, _) => (" <> ALL(", ")"),
        (Dialect::Sqlite, true, Comparison::Equal) => (" IN ", ""),
        (Dialect::Sqlite, true, _) => (" NOT IN ", ""),
        (_, false, test) => (operator(test), ""),
    };
    compiler.sql.push(before);
    let list = (many && compiler.dialect == Dialect::Sqlite)
        .then(|| compiler.dialect.list_rows(field.ty.kind));
    compiler.sql.push(list.map_or("", |(open, _)| open));
    if enumeration.is_some() {
        compiler.sql.push("CAST(");
    }
    compiler.sql.forced(value, field.ty.kind, many);
    if let Some(name) = enumeration {
        let array = if many { "[]" } else { "" };
        compiler.sql.push(&format!(" AS {name}{array})"));
    }
    compiler.sql.push(list.map_or("", |(_, close)| close));
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
