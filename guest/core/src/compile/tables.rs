//! The tables that a statement reads: how they are written, joined, and reached through relations.

use ferro_wit::query::{NodeRef, Quantifier, Related};
use ferro_wit::types::Error;

use super::{Compiler, alias};
use crate::catalog::{Catalog, Link, Table};
use crate::dialect::Spelling as _;
use crate::policy::{self, View};
use crate::sql::{quoted, quoted_list};
use crate::typing::{Join, Joined, Reach};

impl<'a> Compiler<'a> {
    /// Writes ` FROM …` with all that the current frame joins.
    pub(super) fn from(&mut self) -> Result<(), Error> {
        let frame = self.typing.frame();
        let (row, joins, reach) = (frame.row, frame.joins.clone(), frame.reach);
        let joined = frame.joined.clone();
        self.sql.push(" FROM ");
        self.source(row);
        if let Some(Reach { relation, pairs: Some(pairs), .. }) = reach {
            self.sql.push(" JOIN ");
            self.source(pairs);
            self.sql.push(" ON ");
            self.equal(&far_side(self.catalog, &relation.link, self.view()), pairs, row);
            policy::forced_too(self, pairs);
        }
        for join in joins {
            self.join(&join);
        }
        for Joined { table, on } in joined {
            self.sql.push(" JOIN ");
            self.source(table);
            policy::joined(self, on)?;
        }
        Ok(())
    }

    fn join(&mut self, Join { from, relation, to }: &Join<'a>) {
        let optional = self.typing.tables[*to].optional;
        self.sql.push(if optional { " LEFT JOIN " } else { " JOIN " });
        self.source(*to);
        self.sql.push(" ON ");
        if let Link::Fields(pairs) = &relation.link {
            let columns = self.field_columns(*from, pairs, *to);
            self.equal(&columns, *from, *to);
        }
        policy::forced_too(self, *to);
    }

    /// Writes what the rows of the current frame have in common with the row that they are reached
    /// from.
    pub(super) fn reached(&mut self) {
        let frame = self.typing.frame();
        let Some(Reach { from, relation, pairs }) = frame.reach else { return };
        let row = frame.row;
        let near = match (&relation.link, &self.typing.tables[from].view) {
            (Link::Fields(pairs), _) => self.field_columns(from, pairs, row),
            (link, Some(view)) => near_side(self.catalog, link, view),
            (_, None) => Vec::new(),
        };
        self.equal(&near, from, pairs.unwrap_or(row));
    }

    /// Writes that columns of two tables have the same values.
    fn equal(&mut self, columns: &[(&str, &str)], one: usize, other: usize) {
        self.separated(" AND ", columns, |it, (left, right)| {
            it.column_named(other, right);
            it.sql.push(" = ");
            it.column_named(one, left);
        });
    }

    fn field_columns(
        &self,
        from: usize,
        pairs: &[(usize, usize)],
        to: usize,
    ) -> Vec<(&'a str, &'a str)> {
        let model = |table: usize| self.typing.tables[table].view.as_ref().map(|it| it.model);
        let (Some(from), Some(to)) = (model(from), model(to)) else { return Vec::new() };
        let columns = pairs.iter();
        columns
            .map(|(own, its)| (from.fields[*own].column.as_str(), to.fields[*its].column.as_str()))
            .collect()
    }

    /// Writes a condition on related rows.
    pub(super) fn related(&mut self, node: NodeRef, related: &'a Related) -> Result<(), Error> {
        if related.quantifier != Quantifier::Any {
            self.sql.push("NOT ");
        }
        let frames = self.typing.inner(node);
        self.any_related(&frames, related)
    }

    fn any_related(&mut self, frames: &[usize], related: &'a Related) -> Result<(), Error> {
        let Some((frame, further)) = frames.split_first() else { return Ok(()) };
        self.sql.push("EXISTS (SELECT 1");
        self.inside(*frame, |it| {
            it.from()?;
            it.sql.push(" WHERE ");
            it.reached();
            policy::forced_too(it, it.typing.frame().row);
            match related.condition {
                _ if !further.is_empty() => {
                    it.sql.push(" AND ");
                    it.any_related(further, related)
                }
                Some(condition) if related.quantifier == Quantifier::All => {
                    policy::fails(it, condition)
                }
                Some(condition) => policy::holds(it, condition),
                None => Ok(()),
            }
        })?;
        self.sql.push(self.dialect.end_of_exists());
        self.sql.push(")");
        Ok(())
    }

    /// Writes a table under its alias; or a select of the columns of it that the caller may name,
    /// which fails if one of them does not exist. PostgreSQL plans both alike.
    fn source(&mut self, table: usize) {
        let name = self.table_name(table);
        let found = &self.typing.tables[table];
        if let Some(index) = found.view.as_ref().and_then(|it| it.common) {
            self.reads[index] = true;
        }
        match &found.view {
            Some(view) if self.must_prove_columns(view) => {
                let select = proof(view, &name, table);
                if self.depth == 0 {
                    self.sql.push(&format!("({select})"));
                } else {
                    // Inside of a subquery, a name that is no column of the table could turn out to
                    // be one of a table around it. Ahead of the statement there is none.
                    self.sql.ahead(&alias(table), &select);
                    self.sql.alias(table);
                }
            }
            _ => self.sql.push(&name),
        }
        self.sql.push(" AS ");
        self.sql.alias(table);
    }

    /// Writes the table that a write changes, under its alias.
    pub(super) fn table(&mut self) {
        let row = self.typing.frame().row;
        let name = self.table_name(row);
        self.sql.push(&name);
        self.sql.push(" AS ");
        self.sql.alias(row);
    }

    pub(super) fn table_name(&self, table: usize) -> String {
        let Table { namespace, name } = self.typing.tables[table].name;
        match namespace {
            Some(namespace) if self.dialect.features().schemas => {
                format!("{}.{}", quoted(namespace), quoted(name))
            }
            _ => quoted(name),
        }
    }

    /// Whether a qualified name could be a function of the whole row, hidden columns included:
    /// `"t0"."row_to_json"`. An unqualified one cannot, unless it is that of the table's alias.
    pub(super) fn must_prove_columns(&self, view: &View<'_>) -> bool {
        self.dialect.features().row_functions && view.hides_columns()
    }
}

/// A select of the columns that may be named, unqualified.
fn proof(view: &View<'_>, name: &str, table: usize) -> String {
    let forced = view.forced.iter().map(|it| it.field);
    let keys = view.model.primary_key.iter().map(|it| &view.model.fields[*it]);
    let mut columns: Vec<_> =
        view.readable_fields().chain(forced).chain(keys).map(|it| &it.column).collect();
    columns.sort();
    columns.dedup();
    let columns = quoted_list(columns);
    format!("SELECT {columns} FROM {name} AS {}", quoted(&alias(table)))
}

/// Columns of a model and of the table of pairs that a relation leads through.
fn near_side<'a>(
    catalog: &'a Catalog,
    link: &'a Link,
    model: &View<'a>,
) -> Vec<(&'a str, &'a str)> {
    match link {
        Link::Fields(_) => Vec::new(),
        Link::Through { model: through, source, .. } => {
            let through = &catalog.models[*through];
            let column = |(own, its): &(usize, usize)| {
                (model.model.fields[*own].column.as_str(), through.fields[*its].column.as_str())
            };
            source.iter().map(column).collect()
        }
        Link::JoinTable { index, reversed } => {
            let table = &catalog.join_tables[*index];
            let end = if *reversed { &table.target } else { &table.source };
            key_columns(model).zip(end.columns.iter().map(String::as_str)).collect()
        }
    }
}

/// Columns of the table of pairs that a relation leads through, and of the model that it leads to.
fn far_side<'a>(catalog: &'a Catalog, link: &'a Link, model: &View<'a>) -> Vec<(&'a str, &'a str)> {
    match link {
        Link::Fields(_) => Vec::new(),
        Link::Through { model: through, target, .. } => {
            let through = &catalog.models[*through];
            let column = |(own, its): &(usize, usize)| {
                (through.fields[*own].column.as_str(), model.model.fields[*its].column.as_str())
            };
            target.iter().map(column).collect()
        }
        Link::JoinTable { index, reversed } => {
            let table = &catalog.join_tables[*index];
            let end = if *reversed { &table.source } else { &table.target };
            end.columns.iter().map(String::as_str).zip(key_columns(model)).collect()
        }
    }
}

fn key_columns<'a>(view: &View<'a>) -> impl Iterator<Item = &'a str> {
    let model = view.model;
    model.primary_key.iter().map(|it| model.fields[*it].column.as_str())
}
