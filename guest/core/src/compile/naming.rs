//! Names for the values of a query in errors: result columns, and fields to which values are
//! assigned.

use ferro_wit::plan::{Given, Origin, Recipient};
use ferro_wit::query::{
    Assignment, BinaryOperator, KeyedBatch, Node, NodeRef, Path, Query, RowSource, Statement,
};

use super::Compiler;
use crate::typing::{Column, ColumnRef};

impl Compiler<'_> {
    /// The origins of the statement's result columns.
    pub(super) fn origins(&self, columns: &[Column<'_>]) -> Vec<Option<Origin>> {
        let row = self.typing.frame().row;
        let key = self.view().model.primary_key.iter().map(|it| &self.view().model.fields[*it]);
        let is_of = |source: &ColumnRef<'_>, field| {
            source.table == row && std::ptr::eq(source.field, field)
        };
        let sources = || columns.iter().filter_map(|it| it.source.as_ref());
        let is_told = key.clone().all(|part| sources().any(|it| is_of(it, part)));
        let origin = |source: &ColumnRef<'_>| {
            let table = &self.typing.tables[source.table];
            // A common table is not a table of the database.
            table.view.as_ref().filter(|it| it.common.is_none())?;
            Some(Origin {
                table: table.name.name.clone(),
                column: source.field.column.clone(),
                key: is_told && key.clone().any(|part| is_of(source, part)),
            })
        };
        columns.iter().map(|it| it.source.as_ref().and_then(origin)).collect()
    }
}

/// The fields to which values of a query are written, and then those with which they are compared.
pub(super) fn recipients(query: &Query) -> Vec<Recipient> {
    let mut found = Vec::new();
    match &query.statement {
        Statement::Insert(insert) => {
            match insert.source {
                RowSource::Parameters => found.extend(in_order(&insert.fields, Given::Parameter)),
                RowSource::Batch => found.extend(in_order(&insert.fields, Given::Column)),
                RowSource::Select(_) => {}
            }
            let update = insert.conflict.iter().flat_map(|it| &it.update);
            found.extend(update.filter_map(|it| assigned(query, it)));
        }
        Statement::Update(update) => {
            let fields = update.batch.iter().flat_map(|KeyedBatch { fields, .. }| fields);
            found.extend(in_order(fields, Given::Column));
            found.extend(update.set.iter().filter_map(|it| assigned(query, it)));
        }
        _ => {}
    }
    for node in &query.nodes {
        match *node {
            Node::Binary((operator, left, right)) if is_comparison(operator) => {
                found.extend(compared(query, left, right));
            }
            Node::Between((value, lower, upper)) => {
                found.extend([lower, upper].iter().filter_map(|it| compared(query, value, *it)));
            }
            _ => {}
        }
    }
    found
}

fn in_order<'a>(
    fields: impl IntoIterator<Item = &'a String>,
    given: fn(u32) -> Given,
) -> impl Iterator<Item = Recipient> {
    (0..).zip(fields).map(move |(number, field)| recipient(given(number), field.clone()))
}

fn assigned(query: &Query, Assignment { field, value }: &Assignment) -> Option<Recipient> {
    Some(recipient(parameter(query, *value)?, field.clone()))
}

/// A parameter compared with a field, on either side.
fn compared(query: &Query, one: NodeRef, other: NodeRef) -> Option<Recipient> {
    let field = |it: NodeRef| match &query.nodes[it as usize] {
        Node::Field(Path { relations, field, .. }) => {
            let names: Vec<_> = relations.iter().chain([field]).map(String::as_str).collect();
            Some(names.join("."))
        }
        _ => None,
    };
    let beside = |it, field_at| Some(recipient(parameter(query, it)?, field(field_at)?));
    beside(other, one).or_else(|| beside(one, other))
}

fn is_comparison(operator: BinaryOperator) -> bool {
    use BinaryOperator as B;
    !matches!(operator, B::Add | B::Subtract | B::Multiply | B::Divide | B::Modulo | B::Concat)
}

fn parameter(query: &Query, node: NodeRef) -> Option<Given> {
    match &query.nodes[node as usize] {
        Node::Parameter(it) => Some(Given::Parameter(it.index)),
        _ => None,
    }
}

fn recipient(given: Given, field: String) -> Recipient {
    Recipient { given, field }
}
