//! The result sets of a query with included relations: their rows, the columns that link them to
//! their parents, and the select that limits them.

use ferro_wit::query::{Inclusion, Node, Projection, Query, Select};
use ferro_wit::types::{Attachment, Error};

use crate::catalog::{Field, Link, Relation};
use crate::error::{invalid, limit, shown};
use crate::policy::View;
use crate::task::Task;
use crate::typing::Column;

/// The maximum number of included relations.
const MAX_INCLUDES: usize = 64;

/// The result sets of a select: its own rows first, and each relation after its parents.
pub(super) fn find<'a>(
    task: Task<'a>,
    view: View<'a>,
    select: &'a Select,
) -> Result<Vec<Load<'a>>, Error> {
    let own = Load {
        relations: &[],
        parents: 0,
        keys: Vec::new(),
        view,
        projection: &select.projection,
        rows: Some(select),
        extra: Vec::new(),
    };
    let mut loads = Loads { task, found: vec![own] };
    for inclusion in &select.includes {
        loads.include(inclusion)?;
    }
    Ok(loads.found)
}

/// The rows of one result set.
pub(super) struct Load<'a> {
    /// The path from the query's model to these rows; empty for its own rows.
    pub(super) relations: &'a [String],
    /// The index of the load with their parents.
    pub(super) parents: usize,
    /// The values by which they belong to their parents.
    pub(super) keys: Vec<Key<'a>>,
    pub(super) view: View<'a>,
    pub(super) projection: &'a Projection,
    pub(super) rows: Option<&'a Select>,
    /// The columns listed after the projection.
    pub(super) extra: Vec<Extra<'a>>,
}

/// A value by which a row belongs to its parent.
pub(super) struct Key<'a> {
    pub(super) parent: &'a Field,
    pub(super) parent_column: u32,
    pub(super) own: Extra<'a>,
    pub(super) column: u32,
}

/// A column that is listed to link rows to their parents.
#[derive(Debug, Clone, Copy)]
pub(super) enum Extra<'a> {
    /// Of the row itself.
    Field(&'a Field),
    /// Of the join table through which it is reached.
    Pair { column: &'a str, like: &'a Field },
}

/// The result sets found so far.
struct Loads<'a> {
    task: Task<'a>,
    found: Vec<Load<'a>>,
}

impl<'a> Loads<'a> {
    fn include(&mut self, inclusion: &'a Inclusion) -> Result<(), Error> {
        let relations = inclusion.relations.as_slice();
        let path = || shown(&relations.join("."));
        if self.found.len() > MAX_INCLUDES {
            return Err(limit(format!("more than {MAX_INCLUDES} relations are included")));
        }
        let Some((name, way)) = relations.split_last() else {
            return Err(invalid("an inclusion names at least one relation"));
        };
        if self.found.iter().any(|it| it.relations == relations) {
            return Err(invalid(format!("relation {} is included twice", path())));
        }
        let parents = self.found.iter().position(|it| it.relations == way).ok_or_else(|| {
            invalid(format!(
                "relation {} is loaded with the rows of {}: include these before it",
                path(),
                shown(&way.join("."))
            ))
        })?;
        let crossing = self.found[parents].view.cross(self.task.catalog, self.task.scope, name)?;
        let rows = inclusion.rows.map(|it| &self.task.query.selects[it as usize]);
        if let Some(rows) = rows.filter(|it| it.model != crossing.target.model.name) {
            return Err(invalid(format!(
                "the rows of relation {} are those of {}, not of {}",
                path(),
                shown(&crossing.target.model.name),
                shown(&rows.model)
            )));
        }
        let mut load = Load {
            relations,
            parents,
            keys: Vec::new(),
            projection: rows.map_or(&Projection::Model, |it| &it.projection),
            view: crossing.target,
            rows,
            extra: Vec::new(),
        };
        for (parent, own) in self.common(parents, crossing.relation, &load) {
            let parent_column = self.list(parents, Extra::Field(parent));
            let column = load.list(own, self.task.query);
            load.keys.push(Key { parent, parent_column, own, column });
        }
        self.found.push(load);
        Ok(())
    }

    fn list(&mut self, load: usize, extra: Extra<'a>) -> u32 {
        self.found[load].list(extra, self.task.query)
    }

    /// The fields of the parents, each with its equal on the side of the related rows.
    fn common(
        &self,
        parents: usize,
        relation: &'a Relation,
        load: &Load<'a>,
    ) -> Vec<(&'a Field, Extra<'a>)> {
        let (near, far) = (self.found[parents].view.model, load.view.model);
        match &relation.link {
            Link::Fields(pairs) => {
                let pairs = pairs.iter();
                pairs
                    .map(|(own, its)| (&near.fields[*own], Extra::Field(&far.fields[*its])))
                    .collect()
            }
            Link::Through { model, source, .. } => {
                let through = &self.task.catalog.models[*model];
                let pair = |(own, its): &(usize, usize)| {
                    let like = &near.fields[*own];
                    (like, Extra::Pair { column: &through.fields[*its].column, like })
                };
                source.iter().map(pair).collect()
            }
            Link::JoinTable { index, reversed } => {
                let table = &self.task.catalog.join_tables[*index];
                let end = if *reversed { &table.target } else { &table.source };
                let fields = near.primary_key.iter().map(|it| &near.fields[*it]);
                let pair =
                    |(like, column): (&'a Field, &'a String)| (like, Extra::Pair { column, like });
                fields.zip(&end.columns).map(pair).collect()
            }
        }
    }
}

impl<'a> Load<'a> {
    /// The name of the last relation of the path.
    pub(super) fn name(&self) -> &'a str {
        self.relations.last().map_or("", String::as_str)
    }

    pub(super) fn parents_step(&self) -> u32 {
        u32::try_from(self.parents).unwrap_or(u32::MAX)
    }

    /// The position of a column, which is added unless it is listed already.
    fn list(&mut self, extra: Extra<'a>, query: &Query) -> u32 {
        let listed = match extra {
            Extra::Field(field) => self.projected_at(field, query),
            Extra::Pair { .. } => None,
        };
        let position = listed.unwrap_or_else(|| {
            let projected = match self.projection {
                Projection::Model => self.view.readable_fields().count(),
                Projection::Fields(names) => names.len(),
                Projection::Outputs(outputs) => outputs.len(),
            };
            let known = self.extra.iter().position(|it| match (it, &extra) {
                (Extra::Field(one), Extra::Field(other)) => one.name == other.name,
                _ => false,
            });
            let at = known.unwrap_or_else(|| {
                self.extra.push(extra);
                self.extra.len() - 1
            });
            projected + at
        });
        u32::try_from(position).unwrap_or(u32::MAX)
    }

    fn projected_at(&self, field: &Field, query: &Query) -> Option<usize> {
        match self.projection {
            Projection::Model => self.view.readable_fields().position(|it| it.name == field.name),
            Projection::Fields(names) => names.iter().position(|it| *it == field.name),
            Projection::Outputs(outputs) => outputs.iter().position(|output| {
                matches!(
                    &query.nodes[output.expression as usize],
                    Node::Field(path)
                        if path.outer == 0 && path.relations.is_empty() && path.field == field.name
                )
            }),
        }
    }

    pub(super) fn attachment(&self) -> Attachment {
        Attachment {
            relations: self.relations.to_vec(),
            parents: self.parents_step(),
            parent_columns: self.keys.iter().map(|it| it.parent_column).collect(),
            columns: self.keys.iter().map(|it| it.column).collect(),
        }
    }
}

impl<'a> Extra<'a> {
    /// The field that has its type.
    pub(super) fn like(&self) -> &'a Field {
        match self {
            Self::Field(field) | Self::Pair { like: field, .. } => field,
        }
    }

    pub(super) fn name(&self) -> &'a str {
        match self {
            Self::Field(field) => &field.name,
            Self::Pair { column, .. } => column,
        }
    }

    pub(super) fn column(&self, row: usize) -> Column<'a> {
        match self {
            Self::Field(field) => Column::of_field(row, field),
            Self::Pair { column: name, like } => {
                let ty = Some(like.ty);
                Column { name, ty, nullable: false, fallible: false, given: false, source: None }
            }
        }
    }
}
