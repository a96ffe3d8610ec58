//! Writes that name a field whose value is forced: what they give has to agree.

use ferro_wit::plan::{Agreement, Given};
use ferro_wit::query::{Assignment, Node, Query, RowSource, Statement};
use ferro_wit::types::Error;

use super::View;
use crate::error::{at, denied, shown};

/// What a host compares before it sends a write.
pub(crate) fn agreements(view: &View<'_>, query: &Query) -> Result<Vec<Agreement>, Error> {
    let mut found = Vec::new();
    match &query.statement {
        Statement::Insert(insert) => {
            for (position, name) in (0..).zip(&insert.fields) {
                let given = match insert.source {
                    RowSource::Batch => Given::Column(position),
                    _ => Given::Parameter(position),
                };
                found.extend(agreement(view, name, given));
            }
            if let Some(conflict) = &insert.conflict {
                assigned(view, query, &conflict.update, &mut found)?;
            }
        }
        Statement::Update(update) => assigned(view, query, &update.set, &mut found)?,
        _ => {}
    }
    Ok(found)
}

fn assigned(
    view: &View<'_>,
    query: &Query,
    set: &[Assignment],
    found: &mut Vec<Agreement>,
) -> Result<(), Error> {
    for Assignment { field, value } in set {
        match &query.nodes[*value as usize] {
            Node::Parameter(it) => found.extend(agreement(view, field, Given::Parameter(it.index))),
            // The row that could not be inserted has the forced value.
            Node::Excluded(name) if name == field => {}
            _ if agreement(view, field, Given::Parameter(0)).is_some() => {
                return Err(at(*value)(denied(format!(
                    "field {} of {} takes a parameter only: its value is forced",
                    shown(field),
                    shown(&view.model.name)
                ))));
            }
            _ => {}
        }
    }
    Ok(())
}

fn agreement(view: &View<'_>, name: &str, given: Given) -> Option<Agreement> {
    let forced = view.model.field(name).and_then(|field| view.agreed(field))?;
    Some(Agreement { given, forced, field: name.to_owned() })
}
