//! Eager loading: the rows of each relation that is included are a step of their own, bound to the
//! keys that the step of their parents returned.
//!
//! So are those of a relation to one row: a row that many refer to comes once, and there is one way
//! to keep a scope. A path in a projection, `author.name`, joins instead.

use ferro_wit::plan::Step;
use ferro_wit::policy::Scope;
use ferro_wit::query::{Distinct, Inclusion, Node, Projection, Query, Select, SelectRef};
use ferro_wit::types::{Attachment, Error};

use super::Compiler;
use crate::catalog::{Catalog, Field, Link, Relation};
use crate::dialect::Spelling as _;
use crate::error::{invalid, limit, shown};
use crate::policy::{self, View};
use crate::sql::quoted;
use crate::typing::Column;

/// The name of the rows of a relation in the statement that limits them.
pub(super) const RELATED: &str = "related.rows";
/// The most relations that a query loads.
const MAX_INCLUDES: usize = 64;

impl<'a> Compiler<'a> {
    /// The rows of a select, and then those of the relations that it includes.
    pub(super) fn select_and_relations(mut self, select: SelectRef) -> Result<Vec<Step>, Error> {
        let select = self.select_at(select);
        if select.includes.is_empty() {
            let columns = self.typing.check_query(select)?;
            return Ok(vec![self.select(select, columns)?]);
        }
        let (catalog, query, dialect) = (self.catalog, self.query, self.dialect);
        let (scope, commons) = (self.typing.scope, self.typing.commons);
        let mut loads = Loads { catalog, query, scope, found: Vec::new() };
        loads.begin(self.view().clone(), select);
        for inclusion in &select.includes {
            loads.include(inclusion)?;
        }
        let loads = loads.found;
        self.extra = loads[0].extra.clone();
        let columns = self.typing.check_query(select)?;
        self.check_rows_with_relations(select)?;
        let mut steps = vec![self.select(select, columns)?];
        for load in &loads[1..] {
            let parents = loads[load.parents].view.clone();
            let compiler = Self::new(catalog, query, dialect, scope, commons, parents)?;
            steps.push(compiler.load(load)?);
        }
        Ok(steps)
    }

    /// The rows of a relation. The compiler's own rows are those of the parents, which are no part
    /// of the statement.
    fn load(mut self, load: &Load<'a>) -> Result<Step, Error> {
        let frame = self.typing.open_related(0, load.name(), None)?;
        self.typing.enter(frame);
        self.extra = load.extra.clone();
        if let Some(select) = load.rows {
            self.check_rows_of_relation(select)?;
        }
        let mut columns = self.typing.projected(load.projection)?;
        columns.extend(self.extra_columns());

        self.sql.push("SELECT ");
        self.projection(load.projection, false)?;
        self.extra();
        let limited = load.rows.filter(|it| it.limit.is_some() || it.offset.is_some());
        if let Some(select) = limited {
            self.place_among_siblings(load, select)?;
        }
        self.from()?;
        let filter = load.rows.and_then(|it| it.filter);
        policy::conjuncts(&mut self, filter)?;
        let filtered = !self.view().forced.is_empty() || filter.is_some();
        self.sql.push(if filtered { " AND " } else { " WHERE " });
        self.has_parents(load);
        match (limited, load.rows) {
            (Some(select), _) => self.limit_siblings(select, columns.len())?,
            (None, Some(select)) => self.order(select)?,
            (None, None) => {}
        }
        let mut step = self.into_step(&columns)?;
        step.attachment = Some(load.attachment());
        Ok(step)
    }

    /// What the query's own rows cannot have if relations are loaded with them.
    fn check_rows_with_relations(&mut self, select: &'a Select) -> Result<(), Error> {
        if !select.combined.is_empty() {
            return Err(invalid("combined selects load no relations"));
        }
        if self.typing.is_grouped(select)? {
            return Err(invalid("a select with groups or aggregates loads no relations"));
        }
        match (&select.distinct, self.extra.first()) {
            (Distinct::Rows, Some(extra)) => Err(invalid(format!(
                "distinct rows load relations only by what they list, and {} is not listed",
                shown(extra.name())
            ))),
            _ => Ok(()),
        }
    }

    /// A select of related rows has a projection, a filter, an order, a limit and an offset.
    fn check_rows_of_relation(&mut self, select: &'a Select) -> Result<(), Error> {
        let plain = matches!(select.distinct, Distinct::No)
            && select.group_by.is_empty()
            && select.having.is_none()
            && select.lock.is_none()
            && select.joins.is_empty()
            && select.combined.is_empty();
        if !plain {
            return Err(invalid(
                "the rows of a relation are chosen by a filter, an order, a limit and an offset only",
            ));
        }
        if !select.includes.is_empty() {
            return Err(invalid(
                "the relations of related rows are included by the query itself, as `comments.author`",
            ));
        }
        self.typing.check_clauses(select)?;
        let order = select.order_by.iter().map(|it| it.expression);
        let outputs = match &select.projection {
            Projection::Outputs(outputs) => outputs.as_slice(),
            Projection::Model | Projection::Fields(_) => &[],
        };
        for node in outputs.iter().map(|it| it.expression).chain(order) {
            self.typing.check_rowwise(node)?;
        }
        Ok(())
    }

    /// The columns that come after those of a projection.
    pub(super) fn extra_columns(&self) -> Vec<Column<'a>> {
        let row = self.typing.frame().row;
        self.extra.iter().map(|it| it.column(row)).collect()
    }

    /// Writes the columns that come after those of a projection.
    pub(super) fn extra(&mut self) {
        for extra in self.extra.clone() {
            self.sql.push(", ");
            self.as_text(extra.like(), |it| it.extra_column(&extra));
        }
    }

    fn extra_column(&mut self, extra: &Extra<'a>) {
        let frame = self.typing.frame();
        let pairs = frame.reach.and_then(|it| it.pairs);
        match (extra, pairs) {
            (Extra::Pair { column, .. }, Some(pairs)) => self.column_named(pairs, column),
            (extra, _) => self.column(extra.like()),
        }
    }

    /// Writes the number of a row among those of its parent.
    fn place_among_siblings(&mut self, load: &Load<'a>, select: &'a Select) -> Result<(), Error> {
        self.sql.push(", row_number() OVER (PARTITION BY ");
        for (position, key) in load.keys.iter().enumerate() {
            self.sql.push(if position > 0 { ", " } else { "" });
            self.extra_column(&key.own);
        }
        self.order(select)?;
        self.sql.push(")");
        Ok(())
    }

    /// Leaves out what is beyond the limit of each parent.
    fn limit_siblings(&mut self, select: &'a Select, columns: usize) -> Result<(), Error> {
        let mut names: Vec<_> = (0..columns).map(|it| quoted(&format!("c{it}"))).collect();
        let listed = names.join(", ");
        names.push(quoted("place"));
        self.sql.move_ahead(RELATED, &names);
        self.sql.push(&format!("SELECT {listed} FROM \"{RELATED}\" WHERE "));
        if let Some(offset) = select.offset {
            self.sql.push("\"place\" > ");
            self.expression(offset)?;
        }
        if let Some(limit) = select.limit {
            self.sql.push(if select.offset.is_some() { " AND \"place\"" } else { "\"place\"" });
            if let Some(offset) = select.offset {
                self.sql.push(" - ");
                self.expression(offset)?;
            }
            self.sql.push(" <= ");
            self.expression(limit)?;
        }
        self.sql.push(" ORDER BY \"place\"");
        Ok(())
    }

    /// Writes that a row has one of the parents that were returned.
    fn has_parents(&mut self, load: &Load<'a>) {
        if let [key] = load.keys.as_slice() {
            self.extra_column(&key.own);
            let (before, after) = self.dialect.in_list(key.parent.ty.kind, false);
            self.sql.push(before);
            self.returned(load, key);
            return self.sql.push(after);
        }
        for (position, key) in load.keys.iter().enumerate() {
            self.sql.push(if position > 0 { ", " } else { "(" });
            self.extra_column(&key.own);
        }
        self.sql.push(") IN (");
        if self.dialect.features().arrays {
            for (position, key) in load.keys.iter().enumerate() {
                self.sql.push(if position > 0 { ", " } else { "SELECT * FROM unnest(" });
                self.returned(load, key);
            }
            self.sql.push("))");
            return;
        }
        // Materialized, they are joined by an index: else in quadratic time.
        for (position, key) in load.keys.iter().enumerate() {
            self.sql.push(if position > 0 { ", " } else { "WITH " });
            self.sql.push(&format!("\"k{position}\" AS MATERIALIZED ("));
            self.sql.push("SELECT \"key\", \"value\" FROM json_each(");
            self.returned(load, key);
            self.sql.push("))");
        }
        for (position, key) in load.keys.iter().enumerate() {
            let (before, after) = self.dialect.element(key.parent.ty.kind);
            self.sql.push(if position > 0 { ", " } else { " SELECT " });
            self.sql.push(&format!("{before}\"k{position}\".\"value\"{after}"));
        }
        for position in 0..load.keys.len() {
            self.sql.push(&match position {
                0 => " FROM \"k0\"".to_owned(),
                _ => format!(" JOIN \"k{position}\" ON \"k{position}\".\"key\" = \"k0\".\"key\""),
            });
        }
        self.sql.push(")");
    }

    /// Writes the placeholder of what the parents have as a key.
    fn returned(&mut self, load: &Load<'a>, key: &Key<'a>) {
        let ty = key.parent.ty;
        let name = ty.enumeration.filter(|_| self.dialect.features().enums);
        let name = name.map(|it| quoted(&self.catalog.enums[it].name));
        self.sql.push(if name.is_some() { "CAST(" } else { "" });
        self.sql.keys(load.parents_step(), key.parent_column, ty.kind);
        if let Some(name) = name {
            self.sql.push(&format!(" AS {name}[])"));
        }
    }
}

/// Rows that come in a result set of their own.
struct Load<'a> {
    /// From the query's model to these rows; none for its own.
    relations: &'a [String],
    /// The load that has their parents.
    parents: usize,
    /// What they have in common with their parents.
    keys: Vec<Key<'a>>,
    view: View<'a>,
    projection: &'a Projection,
    rows: Option<&'a Select>,
    /// What is listed after the projection.
    extra: Vec<Extra<'a>>,
}

/// A value that a row has in common with its parent.
struct Key<'a> {
    parent: &'a Field,
    parent_column: u32,
    own: Extra<'a>,
    column: u32,
}

/// A column that is listed so that rows find each other.
#[derive(Debug, Clone, Copy)]
pub(super) enum Extra<'a> {
    /// Of the rows themselves.
    Field(&'a Field),
    /// Of the table of pairs that leads to them.
    Pair { column: &'a str, like: &'a Field },
}

/// The result sets of a query, each after that of its parents.
struct Loads<'a> {
    catalog: &'a Catalog,
    query: &'a Query,
    scope: Option<&'a Scope>,
    found: Vec<Load<'a>>,
}

impl<'a> Loads<'a> {
    /// The query's own rows.
    fn begin(&mut self, view: View<'a>, select: &'a Select) {
        self.found.push(Load {
            relations: &[],
            parents: 0,
            keys: Vec::new(),
            view,
            projection: &select.projection,
            rows: Some(select),
            extra: Vec::new(),
        });
    }

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
        let crossing = self.found[parents].view.cross(self.catalog, self.scope, name)?;
        let rows = inclusion.rows.map(|it| &self.query.selects[it as usize]);
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
            let column = load.list(own, self.query);
            load.keys.push(Key { parent, parent_column, own, column });
        }
        self.found.push(load);
        Ok(())
    }

    fn list(&mut self, load: usize, extra: Extra<'a>) -> u32 {
        self.found[load].list(extra, self.query)
    }

    /// The fields of the parents, each with what is equal to it on the side of the related rows.
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
                let through = &self.catalog.models[*model];
                let pair = |(own, its): &(usize, usize)| {
                    let like = &near.fields[*own];
                    (like, Extra::Pair { column: &through.fields[*its].column, like })
                };
                source.iter().map(pair).collect()
            }
            Link::JoinTable { index, reversed } => {
                let table = &self.catalog.join_tables[*index];
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
    /// The last relation.
    fn name(&self) -> &'a str {
        self.relations.last().map_or("", String::as_str)
    }

    fn parents_step(&self) -> u32 {
        u32::try_from(self.parents).unwrap_or(u32::MAX)
    }

    /// Where a column is, which is added if it is not listed anyway.
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

    fn attachment(&self) -> Attachment {
        Attachment {
            relations: self.relations.to_vec(),
            parents: self.parents_step(),
            parent_columns: self.keys.iter().map(|it| it.parent_column).collect(),
            columns: self.keys.iter().map(|it| it.column).collect(),
        }
    }
}

impl<'a> Extra<'a> {
    /// The field whose type it has.
    fn like(&self) -> &'a Field {
        match self {
            Self::Field(field) | Self::Pair { like: field, .. } => field,
        }
    }

    fn name(&self) -> &'a str {
        match self {
            Self::Field(field) => &field.name,
            Self::Pair { column, .. } => column,
        }
    }

    fn column(&self, row: usize) -> Column<'a> {
        match self {
            Self::Field(field) => Column::of_field(row, field),
            Self::Pair { column: name, like } => {
                let ty = Some(like.ty);
                Column { name, ty, nullable: false, fallible: false, place: None }
            }
        }
    }
}
