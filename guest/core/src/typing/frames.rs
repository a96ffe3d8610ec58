//! Frames: the rows that expressions refer to, and the tables of a statement.
//!
//! Each select has a frame, and so does the condition of a `related`, which is evaluated for rows
//! of another model. The same node may be used in several frames with a different meaning in each,
//! so facts about nodes are kept by frame.
//!
//! Tables are numbered across the whole statement, in the order in which they are first used. The
//! number is the table's alias in SQL, and its bit in [`Fact::tables`].

use ferro_wit::query::{self, NodeRef, Path};
use ferro_wit::types::Error;

use super::{Fact, Typing};
use crate::catalog::{self, Field, Link, Relation};
use crate::error::{invalid, limit, shown, unsupported};
use crate::policy::View;
use crate::validate::children;

/// The maximum number of tables in a statement, each counted as often as it is read. SQLite cannot
/// join more.
pub(crate) const MAX_TABLES: usize = 64;

/// A table that a statement reads.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    pub(crate) name: &'a catalog::Table,
    /// `None` for a join table, which has no model.
    pub(crate) view: Option<View<'a>>,
    /// Whether there may be no row, so that all its columns are null.
    pub(crate) optional: bool,
}

/// The row that expressions refer to, and the rows that are joined to it.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) view: View<'a>,
    /// The number of the row's table.
    pub(crate) row: usize,
    /// The rows that it refers to, each after the one from which it is reached.
    pub(crate) joins: Vec<Join<'a>>,
    /// The joined common tables, in order.
    pub(crate) joined: Vec<Joined>,
    /// The fields that its projection lists as plain fields.
    pub(crate) listed: Vec<&'a Field>,
    /// How its rows are found from a row of an outer frame.
    pub(crate) reach: Option<Reach<'a>>,
    /// The frames of the selects combined with it, in order.
    pub(crate) combined: Vec<usize>,
    /// The frame of the subquery that finds the first of the rows with equal values.
    pub(crate) first: Option<usize>,
    /// Whether its rows are groups.
    pub(crate) grouped: bool,
    /// The frame to which `outer` refers.
    around: Option<usize>,
    /// What its expressions may access.
    bounds: Bounds,
    /// All its tables, as bits.
    tables: u64,
    /// The facts about its nodes that are known so far.
    facts: Vec<Option<Fact>>,
    /// The frames that its nodes have opened.
    inner: Vec<(NodeRef, Vec<usize>)>,
}

/// What the expressions of a frame may access besides its own row, which may be a row that is
/// written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bounds {
    /// Related rows and subqueries.
    None,
    /// Only subqueries, as nothing can be joined to the row.
    Selects,
    /// Nothing.
    Row,
}

/// From a row to the single row that it refers to, if any.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Join<'a> {
    pub(crate) from: usize,
    pub(crate) relation: &'a Relation,
    pub(crate) to: usize,
}

/// A common table that is joined to a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Joined {
    pub(crate) table: usize,
    /// The join condition.
    pub(crate) on: NodeRef,
}

/// From a row to the rows that are related to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach<'a> {
    pub(crate) from: usize,
    pub(crate) relation: &'a Relation,
    /// The join table between them.
    pub(crate) pairs: Option<usize>,
}

/// The location of a field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ColumnRef<'a> {
    pub(crate) table: usize,
    pub(crate) field: &'a Field,
    /// Whether it can be null, or its row may not exist.
    pub(crate) nullable: bool,
}

impl<'a> Typing<'a> {
    /// Opens a frame for the rows of a model; returns its number.
    pub(crate) fn open(&mut self, view: View<'a>, around: Option<usize>) -> Result<usize, Error> {
        let table = Table { name: &view.model.table, view: Some(view.clone()), optional: false };
        let row = self.add_table(table)?;
        self.frames.push(Frame {
            view,
            row,
            joins: Vec::new(),
            joined: Vec::new(),
            listed: Vec::new(),
            reach: None,
            combined: Vec::new(),
            first: None,
            grouped: false,
            around,
            bounds: Bounds::None,
            tables: 1 << row,
            facts: vec![None; self.task.query.nodes.len()],
            inner: Vec::new(),
        });
        Ok(self.frames.len() - 1)
    }

    /// Opens a frame for the rows that a relation, to one or to many, leads to from a row.
    pub(crate) fn open_related(
        &mut self,
        from: usize,
        name: &str,
        around: Option<usize>,
    ) -> Result<usize, Error> {
        let crossing = self.view_of(from)?.cross(self.task.catalog, self.task.scope, name)?;
        let frame = self.open(crossing.target, around)?;
        let catalog = self.task.catalog;
        let pairs = match (&crossing.relation.link, crossing.through) {
            (Link::JoinTable { index, .. }, _) => {
                let name = &catalog.join_tables[*index].table;
                Some(self.add_table(Table { name, view: None, optional: false })?)
            }
            (_, Some(view)) => {
                let name = &view.model.table;
                Some(self.add_table(Table { name, view: Some(view), optional: false })?)
            }
            (_, None) => None,
        };
        let opened = &mut self.frames[frame];
        opened.tables |= pairs.map_or(0, |it| 1 << it);
        opened.reach = Some(Reach { from, relation: crossing.relation, pairs });
        Ok(frame)
    }

    /// Opens a frame with the same enclosing frame as the current one.
    pub(super) fn open_beside(&mut self, view: View<'a>) -> Result<usize, Error> {
        let around = self.frame().around;
        self.open(view, around)
    }

    pub(super) fn frame_mut(&mut self) -> &mut Frame<'a> {
        &mut self.frames[self.current]
    }

    /// Makes another frame current during a call.
    pub(crate) fn within<T>(&mut self, frame: usize, look: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.enter(frame);
        let found = look(self);
        self.enter(before);
        found
    }

    /// Makes another frame current; returns the one before.
    pub(crate) fn enter(&mut self, frame: usize) -> usize {
        std::mem::replace(&mut self.current, frame)
    }

    pub(crate) fn frame(&self) -> &Frame<'a> {
        &self.frames[self.current]
    }

    /// Restricts what the frame's expressions may access from here on.
    pub(crate) fn confine(&mut self, bounds: Bounds) {
        self.frame_mut().bounds = bounds;
    }

    /// The tables of the subqueries in an expression of the current frame.
    pub(crate) fn selected(&self, node: NodeRef) -> Vec<&Table<'a>> {
        let mut seen = vec![false; self.task.query.nodes.len()];
        let (mut nodes, mut frames) = (vec![node], Vec::new());
        while let Some(node) = nodes.pop() {
            if !std::mem::replace(&mut seen[node as usize], true) {
                nodes.extend(children(self.node(node)).0);
                frames.extend(self.inner(node));
            }
        }
        let mut tables = 0;
        while let Some(frame) = frames.pop() {
            let frame = &self.frames[frame];
            tables |= frame.tables;
            frames.extend(frame.inner.iter().flat_map(|(_, frames)| frames));
            frames.extend(frame.combined.iter().chain(&frame.first));
        }
        let numbered = self.tables.iter().enumerate();
        numbered.filter(|(number, _)| tables & (1 << number) != 0).map(|(_, it)| it).collect()
    }

    /// The known fact about a node in this frame.
    pub(super) fn known(&self, node: NodeRef) -> Option<Fact> {
        self.frame().facts[node as usize]
    }

    pub(super) fn learn(&mut self, node: NodeRef, fact: Fact) {
        self.frames[self.current].facts[node as usize] = Some(fact);
    }

    /// The tables of a fact that do not belong to a frame.
    pub(super) fn beyond(&self, frame: usize, tables: u64) -> u64 {
        tables & !self.frames[frame].tables
    }

    /// The frames that a node of the current frame has opened.
    pub(crate) fn inner(&self, node: NodeRef) -> Vec<usize> {
        let mut inner = self.frame().inner.iter();
        inner.find(|(it, _)| *it == node).map(|(_, frames)| frames.clone()).unwrap_or_default()
    }

    pub(super) fn opened(&mut self, node: NodeRef, frames: Vec<usize>) {
        self.frames[self.current].inner.push((node, frames));
    }

    /// Locates a field by its path. The relations on the path are joined, each once.
    pub(crate) fn locate(&mut self, path: &Path) -> Result<ColumnRef<'a>, Error> {
        let frame = self.outwards(path.outer);
        let frame = frame.ok_or_else(|| invalid("there is no select around this one"))?;
        let table = self.walk(frame, &path.relations)?;
        let field = self.view_of(table)?.readable(&path.field)?;
        let nullable = field.nullable || self.tables[table].optional;
        Ok(ColumnRef { table, field, nullable })
    }

    /// The number of the frame this many selects outwards.
    pub(super) fn outwards(&self, outer: u8) -> Option<usize> {
        (0..outer).try_fold(self.current, |frame, _| self.frames[frame].around)
    }

    fn walk(&mut self, frame: usize, relations: &[String]) -> Result<usize, Error> {
        let mut table = self.frames[frame].row;
        for name in relations {
            table = self.step(frame, table, name)?;
        }
        Ok(table)
    }

    /// Crosses a relation to one row; returns the number of its table.
    pub(super) fn step(&mut self, frame: usize, from: usize, name: &str) -> Result<usize, Error> {
        self.check_reach(frame, Bounds::None)?;
        if from == self.frames[frame].row
            && let Some(table) = self.joined(frame, name)
        {
            return Ok(table);
        }
        let mut joins = self.frames[frame].joins.iter();
        if let Some(join) = joins.find(|it| it.from == from && it.relation.name == name) {
            return Ok(join.to);
        }
        let view = self.view_of(from)?;
        let crossing = view.cross(self.task.catalog, self.task.scope, name)?;
        if crossing.relation.many {
            return Err(invalid(format!(
                "relation {} of {} leads to many rows: ask about them with `related`",
                shown(name),
                shown(&view.model.name)
            )));
        }
        let target = crossing.target;
        // A row outside of the scope is treated like a missing one.
        let optional =
            self.tables[from].optional || crossing.relation.optional || !target.forced.is_empty();
        let to =
            self.add_table(Table { name: &target.model.table, view: Some(target), optional })?;
        let frame = &mut self.frames[frame];
        frame.tables |= 1 << to;
        frame.joins.push(Join { from, relation: crossing.relation, to });
        Ok(to)
    }

    /// The number of the joined common table with this name.
    pub(super) fn joined(&self, frame: usize, name: &str) -> Option<usize> {
        let is_it =
            |it: &usize| self.tables[*it].view.as_ref().is_some_and(|view| view.model.name == name);
        self.frames[frame].joined.iter().map(|it| it.table).find(is_it)
    }

    /// Joins a common table to the rows of the current frame.
    pub(super) fn join(&mut self, join: &query::Join) -> Result<(), Error> {
        let name = shown(&join.table);
        if self.joined(self.current, &join.table).is_some() {
            return Err(invalid(format!("common table {name} is joined twice")));
        }
        let view = self.task.commons.view(&join.table);
        let view = view.ok_or_else(|| invalid(format!("there is no common table {name}")))?;
        let name = &view.model.table;
        let table = self.add_table(Table { name, view: Some(view), optional: false })?;
        let frame = self.frame_mut();
        frame.tables |= 1 << table;
        frame.joined.push(Joined { table, on: join.on });
        self.check_condition(join.on)?;
        self.check_rowwise(join.on, "the condition of a join").map(|_| ())
    }

    /// Whether a relation of a table's model leads to many rows.
    pub(super) fn leads_to_many(&self, table: usize, name: &str) -> Result<bool, Error> {
        let crossing = self.view_of(table)?.cross(self.task.catalog, self.task.scope, name)?;
        Ok(crossing.relation.many)
    }

    /// Fails if expressions of a frame may not access this.
    pub(super) fn check_reach(&self, frame: usize, needed: Bounds) -> Result<(), Error> {
        match self.frames[frame].bounds {
            bounds if bounds <= needed => Ok(()),
            Bounds::Selects => Err(unsupported(
                "values to write are made of the fields of their own row and of selects: ask for \
                 what a relation leads to with `subquery`",
            )),
            _ => Err(unsupported(
                "values to write and what a write returns are made of the fields of its own row: \
                 no relations and selects",
            )),
        }
    }

    fn view_of(&self, table: usize) -> Result<&View<'a>, Error> {
        // Join tables have no model: no path leads to one.
        self.tables[table].view.as_ref().ok_or_else(|| invalid("a table of pairs has no fields"))
    }

    fn add_table(&mut self, table: Table<'a>) -> Result<usize, Error> {
        if self.tables.len() == MAX_TABLES {
            return Err(limit(format!("more than {MAX_TABLES} tables in one statement")));
        }
        self.tables.push(table);
        Ok(self.tables.len() - 1)
    }
}
