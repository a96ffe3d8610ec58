//! Writes to a field whose value is forced: the given value must agree.

use ferro_wit::plan::{Agreement, Given};
use ferro_wit::query::{Assignment, KeyedBatch, Node, Query, RowSource, Statement};
use ferro_wit::types::Error;

use super::View;
use crate::error::{denied, shown};

/// What a host must compare before it sends a write.
pub(crate) fn agreements(view: &View<'_>, query: &Query) -> Result<Vec<Agreement>, Error> {
    let mut found = Vec::new();
    match &query.statement {
        Statement::Insert(insert) => {
            for (position, name) in (0..).zip(&insert.fields) {
                let given = match insert.source {
                    RowSource::Batch => Given::Column(position),
                    RowSource::Parameters | RowSource::Select(_) => Given::Parameter(position),
                };
                let agreement = agreement(view, name, given);
                if agreement.is_some() && matches!(insert.source, RowSource::Select(_)) {
                    return Err(denied(format!(
                        "field {} of {} gets its forced value: leave it out of the select",
                        shown(name),
                        shown(&view.model.name)
                    )));
                }
                found.extend(agreement);
            }
            if let Some(conflict) = &insert.conflict {
                assigned(view, query, &conflict.update, None, &mut found)?;
            }
        }
        Statement::Update(update) => {
            assigned(view, query, &update.set, update.batch.as_ref(), &mut found)?;
        }
        _ => {}
    }
    Ok(found)
}

fn assigned(
    view: &View<'_>,
    query: &Query,
    set: &[Assignment],
    batch: Option<&KeyedBatch>,
    found: &mut Vec<Agreement>,
) -> Result<(), Error> {
    for Assignment { field, value } in set {
        match &query.nodes[*value as usize] {
            Node::Parameter(it) => found.extend(agreement(view, field, Given::Parameter(it.index))),
            // The row that could not be inserted has the forced value; the value of a batch is
            // compared.
            Node::Excluded(name) if name == field => {
                let mut fields = (0..).zip(batch.map_or(&[][..], |it| &it.fields));
                let given = fields.find(|(_, it)| *it == name).map(|(it, _)| Given::Column(it));
                found.extend(given.and_then(|it| agreement(view, field, it)));
            }
            _ if agreement(view, field, Given::Parameter(0)).is_some() => {
                return Err(denied(format!(
                    "field {} of {} takes a parameter only: its value is forced",
                    shown(field),
                    shown(&view.model.name)
                )));
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
