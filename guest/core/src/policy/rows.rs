//! The rows that a statement can access: the forced conditions, and the caller's conditions, which
//! they guard.
//!
//! Databases evaluate the terms of an `AND` in any order, so `tenant = $1 AND price / size > 2` may
//! divide in a row of another tenant, and an error would reveal something about it. A term that can
//! fail is therefore written as `CASE WHEN tenant = $1 THEN price / size > 2 ELSE FALSE END`: on
//! both databases, a `CASE` is evaluated in order. Terms that cannot fail stay plain, so that they
//! can use indexes.

use ferro_wit::query::{Node, NodeRef};
use ferro_wit::schema::Comparison;
use ferro_wit::types::{Error, ScalarType};

use super::{Forced, View};
use crate::compile::Compiler;
use crate::dialect::{Spelling as _, lists};
use crate::sql::quoted;
use crate::typing::Fact;

/// Writes ` WHERE …` with the forced conditions of the current row and the caller's filter; nothing
/// if there is neither. Returns what to write before a further condition.
pub(crate) fn conjuncts(
    compiler: &mut Compiler<'_>,
    filter: Option<NodeRef>,
) -> Result<&'static str, Error> {
    let row = compiler.typing.frame().row;
    let mut before = " WHERE ";
    if !compiler.view().forced.is_empty() {
        compiler.sql.push(before);
        forced(compiler, row);
        before = " AND ";
    }
    if let Some(filter) = filter {
        terms(compiler, filter, before)?;
        before = " AND ";
    }
    Ok(before)
}

/// Writes ` AND …` with the forced conditions of a table; nothing if there are none.
pub(crate) fn forced_too(compiler: &mut Compiler<'_>, table: usize) {
    if !conditions(compiler, table).is_empty() {
        compiler.sql.push(" AND ");
        forced(compiler, table);
    }
}

/// Writes ` ON …` with the condition of a join.
pub(crate) fn joined(compiler: &mut Compiler<'_>, condition: NodeRef) -> Result<(), Error> {
    terms(compiler, condition, " ON ")
}

/// Writes ` AND …` with a condition on the current row.
pub(crate) fn holds(compiler: &mut Compiler<'_>, condition: NodeRef) -> Result<(), Error> {
    terms(compiler, condition, " AND ")
}

/// Writes ` AND …` with the condition that another one on the current row is false or null.
pub(crate) fn fails(compiler: &mut Compiler<'_>, condition: NodeRef) -> Result<(), Error> {
    compiler.sql.push(" AND ");
    guarded(compiler, condition, |it| {
        it.operand(condition)?;
        it.sql.push(" IS NOT ");
        it.sql.push(it.dialect.boolean(true));
        Ok(())
    })
}

/// Writes a value of a row; null if the row is not in scope.
pub(crate) fn value(compiler: &mut Compiler<'_>, node: NodeRef) -> Result<(), Error> {
    let fact = compiler.fact(node)?;
    // Aggregates and window functions are computed from rows that have been filtered before.
    if fact.aggregate || fact.window || !must_guard(compiler, fact) {
        return compiler.output(node);
    }
    compiler.sql.push("CASE WHEN ");
    guard(compiler, fact);
    compiler.sql.push(" THEN ");
    compiler.output(node)?;
    compiler.sql.push(" END");
    Ok(())
}

/// Whether an expression must not be evaluated before its rows are known to be in scope.
pub(crate) fn must_guard(compiler: &Compiler<'_>, fact: Fact) -> bool {
    fact.fallible && !scoped(compiler, fact).is_empty()
}

fn terms(compiler: &mut Compiler<'_>, filter: NodeRef, before: &str) -> Result<(), Error> {
    let mut terms = Vec::new();
    split(compiler, filter, &mut terms)?;
    compiler.sql.push(before);
    compiler.try_separated(" AND ", terms, |it, term| guarded(it, term, |it| it.term(term)))
}

/// Splits a conjunction into its terms, so that a term that can fail does not prevent the others
/// from using indexes.
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

/// Larger conjunctions are written as one term: SQLite limits how many there may be.
const SPLIT_TERMS: usize = 32;

/// Writes a condition, guarded if necessary.
fn guarded<'a>(
    compiler: &mut Compiler<'a>,
    term: NodeRef,
    write: impl FnOnce(&mut Compiler<'a>) -> Result<(), Error>,
) -> Result<(), Error> {
    let fact = compiler.fact(term)?;
    if !must_guard(compiler, fact) {
        return write(compiler);
    }
    compiler.sql.push("CASE WHEN ");
    guard(compiler, fact);
    compiler.sql.push(" THEN ");
    write(compiler)?;
    compiler.sql.push(" ELSE ");
    compiler.sql.push(compiler.dialect.boolean(false));
    compiler.sql.push(" END");
    Ok(())
}

/// The tables with forced conditions on which an expression depends. The current row always counts:
/// databases evaluate expressions that depend on no row when they read one.
fn scoped(compiler: &Compiler<'_>, fact: Fact) -> Vec<usize> {
    let tables = fact.tables | 1 << compiler.typing.frame().row;
    let all = 0..compiler.typing.tables.len();
    all.filter(|it| tables & (1 << it) != 0 && !conditions(compiler, *it).is_empty()).collect()
}

/// Writes that the rows on which an expression depends are in scope, or do not exist.
fn guard(compiler: &mut Compiler<'_>, fact: Fact) {
    compiler.separated(" AND ", scoped(compiler, fact), |it, table| {
        if !it.typing.tables[table].optional {
            return forced(it, table);
        }
        // Databases may turn an outer join into an inner one, and then evaluate this before they
        // join. A key declared by a plugin may be null in any row, so all fields are tested: a row
        // with only nulls reveals no more than a missing row.
        let fields = it.typing.tables[table].view.as_ref().map(View::compared_fields);
        let fields = fields.unwrap_or_default();
        it.sql.push("(");
        it.separated(" AND ", fields, |it, field| {
            it.column_of(table, field);
            it.sql.push(" IS NULL");
        });
        it.sql.push(" OR ");
        forced(it, table);
        it.sql.push(")");
    });
}

/// The forced conditions of a table.
fn conditions<'c, 'a>(compiler: &'c Compiler<'a>, table: usize) -> &'c [Forced<'a>] {
    match &compiler.typing.tables[table].view {
        Some(view) => &view.forced,
        None => &[],
    }
}

/// The forced conditions of a table, joined by `AND`.
fn forced(compiler: &mut Compiler<'_>, table: usize) {
    let conditions = conditions(compiler, table).to_vec();
    compiler.separated(" AND ", conditions, |it, forced| condition(it, table, forced));
}

/// Writes one forced condition. Texts are compared byte by byte, whatever the collation of their
/// column. On PostgreSQL, the plain comparison is added to the exact one, so that indexes can be
/// used. The type of the column is that declared by a plugin: if the column has values of another
/// type, all of them would be unequal, and either less or greater.
fn condition(compiler: &mut Compiler<'_>, table: usize, forced: Forced<'_>) {
    let Forced { field, test, .. } = forced;
    let is_ordered = !matches!(test, Comparison::Equal | Comparison::NotEqual);
    // The order is that of the column, but decimals have none without their collation.
    let own = is_ordered && field.ty.kind == ScalarType::Text;
    let exact = if own { "" } else { compiler.dialect.exact(field.ty.kind) };
    let plain_too = compiler.dialect.features().exact_without_index && test == Comparison::Equal;
    if plain_too && !exact.is_empty() {
        comparison(compiler, table, forced, "");
        compiler.sql.push(" AND ");
    }
    comparison(compiler, table, forced, exact);
    let of_type = compiler.dialect.type_test(field.ty.kind).filter(|_| test != Comparison::Equal);
    if let Some((before, after)) = of_type {
        compiler.sql.push(" AND ");
        compiler.sql.push(before);
        compiler.column_of(table, field);
        compiler.sql.push(after);
    }
}

/// Writes a comparison, with a collation or with the type of the column. A model's enum may be any
/// type in the database, in which other texts may be equal: with a collation, it is compared as a
/// text.
fn comparison(compiler: &mut Compiler<'_>, table: usize, forced: Forced<'_>, collation: &str) {
    let Forced { field, value, test, many } = forced;
    let name = field.ty.enumeration.filter(|_| compiler.dialect.features().enums);
    let as_text = name.is_some() && !collation.is_empty();
    compiler.sql.push(if as_text { "CAST(" } else { "" });
    compiler.column_of(table, field);
    if as_text {
        compiler.sql.push(" AS ");
        compiler.sql.push(compiler.dialect.cast_type(field.ty.kind));
        compiler.sql.push(")");
    }
    compiler.sql.push(collation);
    let (before, after) = match many {
        true => lists::contains(compiler.dialect, field.ty.kind, test == Comparison::NotEqual),
        false => (operator(test), ""),
    };
    compiler.sql.push(before);
    let name = name.filter(|_| !as_text).map(|it| quoted(&compiler.catalog.enums[it].name));
    compiler.sql.push(if name.is_some() { "CAST(" } else { "" });
    compiler.sql.forced(value, field.ty.kind, many);
    if let Some(name) = name {
        let array = if many { "[]" } else { "" };
        compiler.sql.push(&format!(" AS {name}{array})"));
    }
    compiler.sql.push(after);
}

/// The comparison operator on both databases.
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
