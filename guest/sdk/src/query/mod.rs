//! Queries: values that define rows, and what they become.

mod build;
mod page;
mod position;
mod run;

use std::fmt;
use std::marker::PhantomData;

use ferro_wit::query::{Delete, Projection, SelectRef, Statement, Update};
use ferro_wit::types::Error;

use crate::expression::Assignment;
use crate::model::Model;
use crate::row::{Selected, Whole};
use crate::session::Request;
use crate::tree::{Arena, SelectTree, owned};

pub use self::page::Page;
pub use self::position::Position;

/// A query of the rows of a model, created by [`Model::query`], or of a common table, by
/// [`Common::query`](crate::Common::query).
///
/// A query is immutable: every method returns a new one, and a query can be cloned and run many
/// times. Nothing is sent before one of the asynchronous methods is awaited.
///
/// Its rows are models at first, `Query<City>`; [`select`](Self::select) changes them to tuples or
/// structs.
///
/// ```
/// use ferro::prelude::*;
///
/// #[derive(Model, Debug, Clone, PartialEq)]
/// struct City {
///     #[ferro(key)]
///     id: i64,
///     name: String,
///     population: i64,
/// }
///
/// async fn largest(db: &ferro::Session) -> Result<Vec<City>, ferro::Error> {
///     let big = City::query().filter(City::population().gt(1_000_000));
///     big.order_by(City::population().desc()).limit(20).all(db).await
/// }
/// # let _ = largest;
/// ```
#[must_use = "a query does nothing until it is run with `all`, `first`, `count`, `update` …"]
pub struct Query<M, O = Whole> {
    select: SelectTree,
    output: O,
    model: PhantomData<fn() -> M>,
}

impl<M: Model> Query<M> {
    /// Every row.
    pub(crate) fn new() -> Self {
        let select = SelectTree::new(M::NAME, M::FIELDS, M::KEY);
        Self { select, output: Whole, model: PhantomData }
    }

    /// The request that [`update`](Self::update) sends.
    ///
    /// # Errors
    ///
    /// `value-out-of-range` if a list of values has more than 4 GiB.
    pub fn into_update(self, set: Vec<Assignment<M>>) -> Result<Request, Error> {
        self.changing(set, None)
    }

    fn changing(
        self,
        set: Vec<Assignment<M>>,
        returning: Option<Projection>,
    ) -> Result<Request, Error> {
        let mut arena = Arena::default();
        let set = assignments(&mut arena, set)?;
        let rows = arena.add_select(self.select)?;
        let update = Update { model: M::NAME.to_owned(), set, rows, batch: None, returning };
        Ok(Request::new(arena, Statement::Update(update)))
    }

    /// The request that [`delete`](Self::delete) sends.
    ///
    /// # Errors
    ///
    /// `value-out-of-range` if a list of values has more than 4 GiB.
    pub fn into_delete(self) -> Result<Request, Error> {
        self.deleting(None)
    }

    fn deleting(self, returning: Option<Projection>) -> Result<Request, Error> {
        self.into_statement(|rows| {
            Statement::Delete(Delete { model: M::NAME.to_owned(), rows, returning })
        })
    }
}

impl<M, T> Query<M, Selected<T>> {
    /// The rows of a select that lists the fields of a `T`.
    pub(crate) fn of(select: SelectTree) -> Self {
        Self { select, output: Selected::new(), model: PhantomData }
    }
}

impl<M, O> Query<M, O> {
    /// The request that [`all`](Self::all) sends: the query as data, and its values.
    ///
    /// # Errors
    ///
    /// `value-out-of-range` if a list of values has more than 4 GiB.
    pub fn into_select(self) -> Result<Request, Error> {
        self.into_statement(Statement::Select)
    }

    fn into_statement(
        self,
        statement: impl FnOnce(SelectRef) -> Statement,
    ) -> Result<Request, Error> {
        let mut arena = Arena::default();
        let select = arena.add_select(self.select)?;
        Ok(Request::new(arena, statement(select)))
    }

    pub(crate) fn into_tree(self) -> SelectTree {
        self.select
    }

    pub(crate) fn output(&self) -> &O {
        &self.output
    }

    /// The same query with another output.
    fn into_output<P>(self, output: P) -> Query<M, P> {
        Query { select: self.select, output, model: PhantomData }
    }
}

/// New values of fields, in an arena.
pub(crate) fn assignments<M>(
    arena: &mut Arena,
    set: Vec<Assignment<M>>,
) -> Result<Vec<ferro_wit::query::Assignment>, Error> {
    set.into_iter()
        .map(|it| {
            let value = arena.add(it.tree)?;
            Ok(ferro_wit::query::Assignment { field: it.field.to_owned(), value })
        })
        .collect()
}

/// All fields by name, in the order in which they are decoded. `Projection::Model` would omit
/// fields that the caller may not read; a model needs all of them, and an error names the missing
/// ones.
pub(crate) fn projection<M: Model>() -> Projection {
    Projection::Fields(owned(M::FIELDS))
}

impl<M, O: Clone> Clone for Query<M, O> {
    fn clone(&self) -> Self {
        let (select, output) = (self.select.clone(), self.output.clone());
        Self { select, output, model: PhantomData }
    }
}

impl<M, O> fmt::Debug for Query<M, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.select.fmt(f)
    }
}
