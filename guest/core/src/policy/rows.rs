//! Which rows a statement reaches: the forced conditions, and the caller's under their guard.
//!
//! Databases evaluate the terms of an `AND` in any order, so `tenant = $1 AND price / size > 2` may
//! divide on a row of another tenant, and its error would tell. A term that can fail is therefore
//! written `CASE WHEN tenant = $1 THEN price / size > 2 ELSE FALSE END`: a `CASE` has an order, on
//! both databases. Terms that cannot fail stay plain, so that they can use indexes.

use ferro_wit::query::{Node, NodeRef};
use ferro_wit::schema::Comparison;
use ferro_wit::types::{Error, ScalarType};

use super::{Forced, View};
use crate::compile::Compiler;
use crate::dialect::{Spelling as _, lists};
use crate::sql::quoted;
use crate::typing::Fact;

/// Writes ` WHERE …` with the forced conditions of the row that is looked at and the caller's
/// filter; nothing where there is neither. Gives what stands before a further condition.
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

/// Writes ` AND …` with the forced conditions of a table; nothing where there are none.
pub(crate) fn forced_too(compiler: &mut Compiler<'_>, table: usize) {
    if !conditions(compiler, table).is_empty() {
        compiler.sql.push(" AND ");
        forced(compiler, table);
    }
}

/// Writes ` ON …` with the condition on rows that stand beside each other.
pub(crate) fn joined(compiler: &mut Compiler<'_>, condition: NodeRef) -> Result<(), Error> {
    terms(compiler, condition, " ON ")
}

/// Writes ` AND …` with a condition on the row that is looked at.
pub(crate) fn holds(compiler: &mut Compiler<'_>, condition: NodeRef) -> Result<(), Error> {
    terms(compiler, condition, " AND ")
}

/// Writes ` AND …`: a condition on the row that is looked at is false or null.
pub(crate) fn fails(compiler: &mut Compiler<'_>, condition: NodeRef) -> Result<(), Error> {
    compiler.sql.push(" AND ");
    guarded(compiler, condition, |it| {
        it.operand(condition)?;
        it.sql.push(" IS NOT ");
        it.sql.push(it.dialect.boolean(true));
        Ok(())
    })
}

/// Writes a value of a row; null where the row is not in scope.
pub(crate) fn value(compiler: &mut Compiler<'_>, node: NodeRef) -> Result<(), Error> {
    let fact = compiler.fact(node)?;
    // Aggregates and window functions are made of rows that were asked before.
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

/// Whether an expression must not be evaluated before it is known that its rows are in scope.
pub(crate) fn must_guard(compiler: &Compiler<'_>, fact: Fact) -> bool {
    fact.fallible && !scoped(compiler, fact).is_empty()
}

fn terms(compiler: &mut Compiler<'_>, filter: NodeRef, before: &str) -> Result<(), Error> {
    let mut terms = Vec::new();
    split(compiler, filter, &mut terms)?;
    compiler.sql.push(before);
    compiler.try_separated(" AND ", terms, |it, term| guarded(it, term, |it| it.term(term)))
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

/// Writes a condition, under its guard if it needs one.
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

/// The tables with forced conditions that an expression depends on. The row that is looked at
/// always counts: databases evaluate what depends on no row when they look at one.
fn scoped(compiler: &Compiler<'_>, fact: Fact) -> Vec<usize> {
    let tables = fact.tables | 1 << compiler.typing.frame().row;
    let all = 0..compiler.typing.tables.len();
    all.filter(|it| tables & (1 << it) != 0 && !conditions(compiler, *it).is_empty()).collect()
}

/// That the rows which an expression depends on are in scope, or do not exist.
fn guard(compiler: &mut Compiler<'_>, fact: Fact) {
    compiler.separated(" AND ", scoped(compiler, fact), |it, table| {
        if !it.typing.tables[table].optional {
            return forced(it, table);
        }
        // Databases may turn an outer join into an inner one, and then ask this before they join. What
        // a plugin calls the key may be null in any row. One in which all is null tells no more than
        // one that does not exist.
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

/// One forced condition. Texts compare byte by byte, whatever collation their column has. On
/// PostgreSQL the plain comparison stands beside the exact one, for the sake of indexes. A plugin says
/// what type the column has: where it holds values of another, all of them would be different, and
/// less or greater.
fn condition(compiler: &mut Compiler<'_>, table: usize, forced: Forced<'_>) {
    let Forced { field, test, .. } = forced;
    let is_ordered = !matches!(test, Comparison::Equal | Comparison::NotEqual);
    // An order is that of the column, but decimals are none without their collation.
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

/// Writes a comparison under a collation, or one as the type of the column has it. What a model calls
/// an enum may be any type, to which other texts are equal: under a collation it compares as a text.
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
