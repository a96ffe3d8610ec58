//! The tables of a statement: how they are named, joined, and reached through relations.

use ferro_wit::query::{NodeRef, Quantifier, Related};
use ferro_wit::types::Error;

use super::{Compiler, alias};
use crate::catalog::{Catalog, Link, Table};
use crate::dialect::Spelling as _;
use crate::policy::{self, View};
use crate::sql::{quoted, quoted_list};
use crate::typing::{Join, Joined, Reach};

impl<'a> Compiler<'a> {
    /// Writes ` FROM …` with all joins of the current frame.
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

    /// Writes the condition that links the rows of the current frame to the row from which they are
    /// reached.
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

    /// Writes that columns of two tables are equal.
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

    /// Writes a table under its alias.
    fn source(&mut self, table: usize) {
        if let Some(index) = self.typing.tables[table].view.as_ref().and_then(|it| it.common) {
            self.reads[index] = true;
        }
        self.sql.push(&self.table_name(table));
        self.sql.push(" AS ");
        self.sql.alias(table);
    }

    /// Writes the table that the statement changes, under its alias.
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

    /// Records a column named by an untrusted model. If the table lacks it, `"t0"."row_to_json"`
    /// would call a function with the row, including hidden columns; it may even be a function of
    /// the operator's own.
    pub(super) fn note(&mut self, table: usize, column: &str) {
        let is_common = |it: &View<'_>| it.common.is_some();
        let ours = self.typing.tables[table].view.as_ref().is_some_and(is_common);
        if self.dialect.features().row_functions && self.typing.task.scope.is_some() && !ours {
            self.named.entry(table).or_default().insert(column.to_owned());
        }
    }

    /// Selects the recorded columns before the statement, unqualified: there, a name can only be a
    /// column of its table, or an error. PostgreSQL does not execute a select that nothing reads.
    pub(super) fn prove_columns(&mut self) {
        for (table, columns) in std::mem::take(&mut self.named) {
            let (columns, name, alias) =
                (quoted_list(columns), self.table_name(table), alias(table));
            let select = format!("SELECT {columns} FROM {name} AS {}", quoted(&alias));
            self.sql.ahead(&alias, &select);
        }
    }
}

/// Equal columns of a model and the join table of a relation.
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

/// Equal columns of the join table of a relation and the model that it leads to.
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
