//! Related rows that are loaded with the rows of a query: one additional statement per relation,
//! however many rows there are.

use std::fmt;

use ferro_wit::Cursor;
use ferro_wit::types::{Error, ErrorKind};

use super::result_sets::{Children, ResultSets};
use super::{Path, Presence, ToMany};
use crate::expression::{Expression, Order};
use crate::model::Model;
use crate::query::Query;
use crate::row::{Output, Whole};
use crate::scalar::Field;
use crate::tree::SelectTree;

/// A relation to load with the rows of a query: see [`include`](crate::Query::include).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a relation that can be included",
    label = "expected a relation such as `Post::author()` or `Author::posts()`"
)]
pub trait Include: Clone + Send + Sync + 'static {
    /// The model of the rows with which it is loaded.
    type Source: Model;
    /// What is loaded with each row.
    type Loaded: Clone + Send + 'static;

    /// Internal to this crate.
    #[doc(hidden)]
    fn add_to(&self, select: &mut SelectTree);

    /// What was loaded for each parent row, in their order.
    #[doc(hidden)]
    fn load(&self, sets: &mut ResultSets, parents: usize) -> Result<Vec<Self::Loaded>, Error>;
}

/// An [`Output`] that can be included: a model, alone or with its own includes.
pub trait Nested<M>: Output<M, Row: Clone> {
    /// The rows of a result set, with their included rows.
    #[doc(hidden)]
    fn rows(&self, sets: &mut ResultSets, set: usize) -> Result<Vec<Self::Row>, Error>;
}

/// An [`Output`] to which a relation can be added.
pub trait Append<I> {
    /// With the relation.
    type With;

    /// Internal to this crate.
    #[doc(hidden)]
    fn append(self, include: I) -> Self::With;
}

/// Rows become tuples of the model and what was [included](crate::Query::include).
#[derive(Debug, Clone)]
pub struct With<L>(L);

/// A relation and the rows to load from it: created by the methods of [`ToMany`], and by
/// [`Path::include`].
///
/// ```
/// use ferro::prelude::*;
///
/// # #[derive(Model, Debug, Clone)]
/// # struct Author { #[ferro(key)] id: i64, name: String }
/// # #[derive(Model, Debug, Clone)]
/// # struct Post {
/// #     #[ferro(key)] id: i64,
/// #     #[ferro(references = Author, reverse = "posts")] author_id: i64,
/// #     score: i64,
/// # }
/// async fn best(db: &ferro::Session) -> Result<Vec<(Author, Vec<Post>)>, ferro::Error> {
///     let best = Author::posts().order_by(Post::score().desc()).limit(3);
///     Author::query().include(best).all(db).await
/// }
/// # let _ = best;
/// ```
#[must_use = "a relation does nothing until a query includes it"]
pub struct Loading<P, T, O = Whole> {
    relation: P,
    rows: Query<T, O>,
}

impl<R: Model, T: Model> ToMany<R, T> {
    /// Loads only rows that satisfy a condition.
    pub fn filter<E>(self, condition: E) -> Loading<Self, T>
    where
        E: Expression<Model = T, Type: Field<Base = bool>>,
    {
        self.rows().filter(condition)
    }

    /// Loads the rows in an order.
    pub fn order_by(self, order: Order<T>) -> Loading<Self, T> {
        self.rows().order_by(order)
    }

    /// Limits the loaded rows for each row that they belong to.
    pub fn limit(self, rows: u64) -> Loading<Self, T> {
        self.rows().limit(rows)
    }

    /// Loads the rows with related rows of their own.
    pub fn include<I>(self, include: I) -> Loading<Self, T, With<(I,)>>
    where
        I: Include<Source = T>,
    {
        self.rows().include(include)
    }

    fn rows(self) -> Loading<Self, T> {
        Loading { relation: self, rows: T::query() }
    }
}

impl<R: Model, T: Model, O> Loading<ToMany<R, T>, T, O> {
    /// Loads only rows that satisfy this condition and those of earlier filters.
    pub fn filter<E>(self, condition: E) -> Self
    where
        E: Expression<Model = T, Type: Field<Base = bool>>,
    {
        Self { rows: self.rows.filter(condition), ..self }
    }

    /// Adds a term to the order; it orders ties of earlier terms.
    pub fn order_by(self, order: Order<T>) -> Self {
        Self { rows: self.rows.order_by(order), ..self }
    }

    /// Limits the rows for each row that they belong to.
    pub fn limit(self, rows: u64) -> Self {
        Self { rows: self.rows.limit(rows), ..self }
    }
}

impl<P, T: Model, O> Loading<P, T, O> {
    pub(super) fn new(relation: P, rows: Query<T, O>) -> Self {
        Self { relation, rows }
    }

    /// Loads the rows with related rows of their own.
    pub fn include<I>(self, include: I) -> Loading<P, T, O::With>
    where
        I: Include<Source = T>,
        O: Append<I>,
    {
        Loading { relation: self.relation, rows: self.rows.include(include) }
    }
}

impl<R: Model, T: Model> Include for ToMany<R, T> {
    type Source = R;
    type Loaded = Vec<T>;

    fn add_to(&self, select: &mut SelectTree) {
        select.include(self.steps.clone(), T::query().into_tree());
    }

    fn load(&self, sets: &mut ResultSets, parents: usize) -> Result<Vec<Vec<T>>, Error> {
        many::<T, _>(&Whole, sets, parents)
    }
}

impl<R: Model, T: Model, O: Nested<T>> Include for Loading<ToMany<R, T>, T, O> {
    type Source = R;
    type Loaded = Vec<O::Row>;

    fn add_to(&self, select: &mut SelectTree) {
        select.include(self.relation.steps.clone(), self.rows.clone().into_tree());
    }

    fn load(&self, sets: &mut ResultSets, parents: usize) -> Result<Vec<Vec<O::Row>>, Error> {
        many(self.rows.output(), sets, parents)
    }
}

impl<P: Path> Include for P {
    type Source = P::Source;
    type Loaded = Present<P, P::Target>;

    fn add_to(&self, select: &mut SelectTree) {
        select.include(self.clone().into_steps(), P::Target::query().into_tree());
    }

    fn load(&self, sets: &mut ResultSets, parents: usize) -> Result<Vec<Self::Loaded>, Error> {
        single::<P, _>(&Whole, sets, parents)
    }
}

impl<P: Path, O: Nested<P::Target>> Include for Loading<P, P::Target, O> {
    type Source = P::Source;
    type Loaded = Present<P, O::Row>;

    fn add_to(&self, select: &mut SelectTree) {
        select.include(self.relation.clone().into_steps(), self.rows.clone().into_tree());
    }

    fn load(&self, sets: &mut ResultSets, parents: usize) -> Result<Vec<Self::Loaded>, Error> {
        single::<P, _>(self.rows.output(), sets, parents)
    }
}

/// The related rows of each parent row, for a relation to many.
fn many<T: Model, O: Nested<T>>(
    output: &O,
    sets: &mut ResultSets,
    parents: usize,
) -> Result<Vec<Vec<O::Row>>, Error> {
    let Children { rows, owned } = sets.next(output, parents)?;
    let row = |position: usize| rows.get(position).cloned();
    Ok(owned.into_iter().map(|it| it.into_iter().filter_map(row).collect()).collect())
}

/// A row at the end of a path.
type Present<P, T> = <<P as Path>::Presence as Presence>::Row<T>;

/// The related row of each parent row, for a path.
fn single<P: Path, O: Nested<P::Target>>(
    output: &O,
    sets: &mut ResultSets,
    parents: usize,
) -> Result<Vec<Present<P, O::Row>>, Error> {
    let Children { rows, owned } = sets.next(output, parents)?;
    owned
        .into_iter()
        .map(|it| {
            let row = it.first().and_then(|it| rows.get(*it).cloned());
            P::Presence::row(row).ok_or_else(|| {
                let (source, target) = (P::Source::NAME, P::Target::NAME);
                let message =
                    format!("a row of `{source}` refers to one of `{target}` that is not visible");
                Error::new(ErrorKind::NotFound, message)
            })
        })
        .collect()
}

impl<M: Model> Nested<M> for Whole {
    fn rows(&self, sets: &mut ResultSets, set: usize) -> Result<Vec<M>, Error> {
        sets.models(set)
    }
}

impl<I> Append<I> for Whole {
    type With = With<(I,)>;

    fn append(self, include: I) -> With<(I,)> {
        With((include,))
    }
}

macro_rules! included {
    ($(($($include:ident $position:tt),*);)*) => {$(
        impl<M: Model, $($include: Include<Source = M>),*> Output<M> for With<($($include,)*)> {
            type Row = (M, $($include::Loaded),*);

            async fn read(self, cursor: Box<dyn Cursor>) -> Result<Vec<Self::Row>, Error> {
                let mut sets = ResultSets::read(cursor).await?;
                Nested::<M>::rows(&self, &mut sets, 0)
            }
        }

        impl<M: Model, $($include: Include<Source = M>),*> Nested<M> for With<($($include,)*)> {
            fn rows(&self, sets: &mut ResultSets, set: usize) -> Result<Vec<Self::Row>, Error> {
                let rows = sets.models::<M>(set)?;
                let mut loaded = ($(self.0.$position.load(sets, set)?.into_iter(),)*);
                let with = |row| Some((row, $(loaded.$position.next()?),*));
                Ok(rows.into_iter().filter_map(with).collect())
            }
        }
    )*};
}

included! {
    (A 0);
    (A 0, B 1);
    (A 0, B 1, C 2);
    (A 0, B 1, C 2, D 3);
    (A 0, B 1, C 2, D 3, E 4);
    (A 0, B 1, C 2, D 3, E 4, F 5);
}

macro_rules! appended {
    ($(($($include:ident $position:tt),*);)*) => {$(
        impl<$($include,)* I> Append<I> for With<($($include,)*)> {
            type With = With<($($include,)* I,)>;

            fn append(self, include: I) -> Self::With {
                With(($(self.0.$position,)* include,))
            }
        }
    )*};
}

appended! {
    (A 0);
    (A 0, B 1);
    (A 0, B 1, C 2);
    (A 0, B 1, C 2, D 3);
    (A 0, B 1, C 2, D 3, E 4);
}

impl<P: Clone, T, O: Clone> Clone for Loading<P, T, O> {
    fn clone(&self) -> Self {
        Self { relation: self.relation.clone(), rows: self.rows.clone() }
    }
}

impl<P, T, O> fmt::Debug for Loading<P, T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Loading").field(&self.rows).finish()
    }
}
