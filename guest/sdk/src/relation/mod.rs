//! Relations between models, as values: paths to one row, and the rows of the other direction.

mod include;
mod result_sets;

use std::fmt;
use std::marker::PhantomData;

use ferro_wit::query::Quantifier;

use crate::expression::{Condition, Expression, expr};
use crate::model::Model;
use crate::scalar::Field;
use crate::tree::{Steps, Tree};

pub use self::include::{Append, Include, Loading, Nested, With};

/// A way from the model `Source` to one row of `Target`, across relations that lead to one row.
///
/// `#[derive(Model)]` makes a function for each foreign key that returns its path, and the paths
/// have the fields and relations of the model that they lead to: `Post::author().name()`.
pub trait Path: Clone + Send + Sync + Sized + 'static {
    /// Where it begins.
    type Source: Model;
    /// Where it leads.
    type Target: Model;
    /// Whether there is a row at its end in any case.
    type Presence: Presence;

    /// For the code that `#[derive(Model)]` writes.
    #[doc(hidden)]
    fn new(steps: Steps) -> Self;

    /// For this crate.
    #[doc(hidden)]
    fn into_steps(self) -> Steps;

    /// Further, across a relation of the model at the end that is not declared there: the way back
    /// of another one.
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
    /// #     draft: bool,
    /// # }
    /// let others = Post::author().then(Author::posts());
    /// let _ = Post::query().filter(others.any(Post::draft()));
    /// ```
    fn then<L: Link<Source = Self::Target>>(
        self,
        next: L,
    ) -> L::Behind<Self::Source, Self::Presence> {
        next.behind(self.into_steps())
    }

    /// Load the row with others that belong to it: see [`Query::include`](crate::Query::include).
    fn include<I>(self, include: I) -> Loading<Self, Self::Target, With<(I,)>>
    where
        I: Include<Source = Self::Target>,
    {
        Loading::new(self, Self::Target::query().include(include))
    }
}

/// The rows of `T` that belong to a row of `R`: the way back of a foreign key, or a many-to-many
/// relation.
///
/// ```
/// use ferro::prelude::*;
///
/// #[derive(Model, Debug, Clone)]
/// struct Author {
///     #[ferro(key)]
///     id: i64,
///     name: String,
/// }
///
/// #[derive(Model, Debug, Clone)]
/// struct Post {
///     #[ferro(key)]
///     id: i64,
///     #[ferro(references = Author, reverse = "posts")]
///     author_id: i64,
///     published: bool,
/// }
///
/// let _ = Author::query().filter(Author::posts().any(Post::published()));
/// let _ = Author::query().filter(Author::posts().is_empty() | Author::name().eq("Ada"));
/// let _ = Post::query().filter(Post::author().name().eq("Ada"));
/// ```
#[must_use = "a relation does nothing until a query uses it"]
pub struct ToMany<R, T> {
    steps: Steps,
    types: PhantomData<fn() -> (R, T)>,
}

impl<R: Model, T: Model> ToMany<R, T> {
    /// For the code that `#[derive(Model)]` writes.
    #[doc(hidden)]
    pub fn new(steps: Steps) -> Self {
        Self { steps, types: PhantomData }
    }

    /// At least one of the rows satisfies a condition. Never repeats the row that they belong to.
    pub fn any<E>(self, condition: E) -> Condition<R>
    where
        E: Expression<Model = T, Type: Field<Base = bool>>,
    {
        self.related(Quantifier::Any, Some(condition.into_tree()))
    }

    /// No row satisfies a condition: true where there are no rows.
    pub fn none<E>(self, condition: E) -> Condition<R>
    where
        E: Expression<Model = T, Type: Field<Base = bool>>,
    {
        self.related(Quantifier::None, Some(condition.into_tree()))
    }

    /// Every row satisfies a condition: true where there are no rows.
    pub fn all<E>(self, condition: E) -> Condition<R>
    where
        E: Expression<Model = T, Type: Field<Base = bool>>,
    {
        self.related(Quantifier::All, Some(condition.into_tree()))
    }

    /// There is a row.
    pub fn is_not_empty(self) -> Condition<R> {
        self.related(Quantifier::Any, None)
    }

    /// There is no row.
    pub fn is_empty(self) -> Condition<R> {
        self.related(Quantifier::None, None)
    }

    fn related(self, quantifier: Quantifier, condition: Option<Tree>) -> Condition<R> {
        let condition = condition.map(Box::new);
        expr(Tree::Related { quantifier, relations: self.steps, condition })
    }
}

/// A relation that a [`Path`] can go on with.
pub trait Link {
    /// Where it begins.
    type Source: Model;
    /// The same relation, reached from `R`.
    type Behind<R: Model, N: Presence>;

    /// For this crate.
    #[doc(hidden)]
    fn behind<R: Model, N: Presence>(self, steps: Steps) -> Self::Behind<R, N>;
}

impl<P: Path> Link for P {
    type Source = P::Source;
    type Behind<R: Model, N: Presence> = <P::Target as Model>::Path<R, N::Then<P::Presence>>;

    fn behind<R: Model, N: Presence>(self, steps: Steps) -> Self::Behind<R, N> {
        Path::new(further(steps, self.into_steps()))
    }
}

impl<S: Model, T: Model> Link for ToMany<S, T> {
    type Source = S;
    type Behind<R: Model, N: Presence> = ToMany<R, T>;

    fn behind<R: Model, N: Presence>(self, steps: Steps) -> ToMany<R, T> {
        ToMany::new(further(steps, self.steps))
    }
}

fn further(mut steps: Steps, more: Steps) -> Steps {
    steps.extend(more);
    steps
}

/// Whether there is a row at the end of a path: [`Required`] or [`Optional`].
pub trait Presence: Clone + Copy + fmt::Debug + Send + Sync + 'static {
    /// The type of a field of that row, whose own type is `T`.
    type Of<T: Field>: Field<Base = T::Base>;
    /// The presence of a row behind that row.
    type Then<N: Presence>: Presence;
    /// What a row becomes: itself, or an `Option`.
    type Row<T: Clone + Send + 'static>: Clone + Send + 'static;

    /// For this crate: none if there is no row, and there has to be one.
    #[doc(hidden)]
    fn row<T: Clone + Send + 'static>(found: Option<T>) -> Option<Self::Row<T>>;
}

/// There is a row: none of the foreign keys on the way can be null.
#[derive(Debug, Clone, Copy)]
pub struct Required;

/// There may be no row: a foreign key on the way can be null, or the way goes back over a unique
/// one. All fields of the row are null then.
#[derive(Debug, Clone, Copy)]
pub struct Optional;

impl Presence for Required {
    type Of<T: Field> = T;
    type Then<N: Presence> = N;
    type Row<T: Clone + Send + 'static> = T;

    fn row<T: Clone + Send + 'static>(found: Option<T>) -> Option<T> {
        found
    }
}

impl Presence for Optional {
    type Of<T: Field> = Option<T::Base>;
    type Then<N: Presence> = Self;
    type Row<T: Clone + Send + 'static> = Option<T>;

    fn row<T: Clone + Send + 'static>(found: Option<T>) -> Option<Option<T>> {
        Some(found)
    }
}

impl<R, T> Clone for ToMany<R, T> {
    fn clone(&self) -> Self {
        Self { steps: self.steps.clone(), types: PhantomData }
    }
}

impl<R, T> fmt::Debug for ToMany<R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ToMany").field(&self.steps).finish()
    }
}
