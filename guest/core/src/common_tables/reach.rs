//! Finds the common tables that a statement reads.

use ferro_wit::query::{CommonTable, NodeRef, Projection, Query, RowSource, SelectRef, Statement};
use ferro_wit::types::Error;

use super::of_table;
use crate::error::{invalid, shown};
use crate::validate::{children, select_nodes};

/// The common tables that a statement reads, each with those that it reads itself. They can only be
/// earlier ones, so none reads itself, except in the step of a recursive table.
pub(super) fn reached(query: &Query) -> Result<Vec<Option<Vec<usize>>>, Error> {
    let mut reached = vec![None; query.common.len()];
    for (_, table) in of_statement(query).mentions {
        reached[table] = Some(Vec::new());
    }
    for index in (0..query.common.len()).rev() {
        if reached[index].is_none() {
            continue;
        }
        let read = reads(query, index).map_err(of_table(&query.common[index]))?;
        for &earlier in &read {
            reached[earlier] = Some(Vec::new());
        }
        reached[index] = Some(read);
    }
    Ok(reached)
}

/// The earlier tables that a table reads.
fn reads(query: &Query, index: usize) -> Result<Vec<usize>, Error> {
    let CommonTable { rows, step, .. } = &query.common[index];
    let mut mentions = Walk::from(query, [*rows], []).mentions;
    if mentions.iter().any(|(_, table)| *table == index) {
        return Err(invalid(
            "its rows read the table itself: only the step of a recursive one may",
        ));
    }
    if let Some((_, step)) = step {
        let of_step = Walk::from(query, [*step], []).mentions;
        let own: Vec<_> = of_step.iter().filter(|(_, table)| *table == index).collect();
        match own.as_slice() {
            [(select, _)] if select == step => {}
            _ => {
                return Err(invalid(
                    "its step reads the table once, as its `model` or as one of its `joins`",
                ));
            }
        }
        mentions.extend(of_step.into_iter().filter(|(_, table)| *table != index));
    }
    match mentions.iter().find(|(_, table)| *table > index) {
        Some((_, later)) => Err(invalid(format!(
            "it reads {}, which does not come before it",
            shown(&query.common[*later].name)
        ))),
        None => Ok(mentions.into_iter().map(|(_, table)| table).collect()),
    }
}

fn of_statement(query: &Query) -> Walk<'_> {
    let outputs = |projection: &Option<Projection>| match projection {
        Some(Projection::Outputs(outputs)) => outputs.iter().map(|it| it.expression).collect(),
        _ => Vec::new(),
    };
    match &query.statement {
        Statement::Select(select) | Statement::Count(select) | Statement::Exists(select) => {
            Walk::from(query, [*select], [])
        }
        Statement::Insert(insert) => {
            let select = match insert.source {
                RowSource::Select(select) => Some(select),
                RowSource::Parameters | RowSource::Batch => None,
            };
            let conflict = insert.conflict.iter();
            let set = conflict.clone().flat_map(|it| &it.update).map(|it| it.value);
            let nodes = set.chain(conflict.filter_map(|it| it.condition));
            Walk::from(query, select, nodes.chain(outputs(&insert.returning)))
        }
        Statement::Update(update) => {
            let set = update.set.iter().map(|it| it.value);
            Walk::from(query, [update.rows], set.chain(outputs(&update.returning)))
        }
        Statement::Delete(delete) => Walk::from(query, [delete.rows], outputs(&delete.returning)),
    }
}

/// Everything that is reachable from some selects and nodes.
struct Walk<'a> {
    query: &'a Query,
    selects: Vec<bool>,
    nodes: Vec<bool>,
    /// The selects that read common tables, with the tables.
    mentions: Vec<(SelectRef, usize)>,
}

impl<'a> Walk<'a> {
    fn from(
        query: &'a Query,
        selects: impl IntoIterator<Item = SelectRef>,
        nodes: impl IntoIterator<Item = NodeRef>,
    ) -> Self {
        let mut walk = Self {
            query,
            selects: vec![false; query.selects.len()],
            nodes: vec![false; query.nodes.len()],
            mentions: Vec::new(),
        };
        let mut selects: Vec<_> = selects.into_iter().collect();
        let mut nodes: Vec<_> = nodes.into_iter().collect();
        loop {
            if let Some(node) = nodes.pop() {
                walk.node(node, &mut selects, &mut nodes);
            } else if let Some(select) = selects.pop() {
                walk.select(select, &mut selects, &mut nodes);
            } else {
                return walk;
            }
        }
    }

    fn node(&mut self, node: NodeRef, selects: &mut Vec<SelectRef>, nodes: &mut Vec<NodeRef>) {
        if std::mem::replace(&mut self.nodes[node as usize], true) {
            return;
        }
        let (children, select) = children(&self.query.nodes[node as usize]);
        nodes.extend(children);
        selects.extend(select);
    }

    fn select(&mut self, index: SelectRef, selects: &mut Vec<SelectRef>, nodes: &mut Vec<NodeRef>) {
        if std::mem::replace(&mut self.selects[index as usize], true) {
            return;
        }
        let select = &self.query.selects[index as usize];
        let joined = select.joins.iter().map(|it| &it.table);
        for name in joined.chain([&select.model]) {
            let table = self.query.common.iter().position(|it| it.name == *name);
            self.mentions.extend(table.map(|it| (index, it)));
        }
        nodes.extend(select_nodes(select));
        selects.extend(select.combined.iter().map(|(_, it)| *it));
        selects.extend(select.includes.iter().filter_map(|it| it.rows));
    }
}
