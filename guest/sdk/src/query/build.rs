//! What can be said about the rows of a query.

use std::marker::PhantomData;

use ferro_wit::query::{Lock, LockStrength, LockWait, SetOperator};

use super::Query;
use crate::common::{Common, Record};
use crate::expression::{Expression, Order};
use crate::model::Model;
use crate::relation::{Append, Include};
use crate::row::{Output, Selected, Selection, Streamed};
use crate::scalar::Field;
use crate::tree::{ColumnsTree, DistinctTree, Tree};

impl<M, O> Query<M, O> {
    /// Only rows for which the condition holds, and those of earlier filters.
    pub fn filter<E>(mut self, condition: E) -> Self
    where
        E: Expression<Model = M, Type: Field<Base = bool>>,
    {
        let former = self.select.filter.take();
        self.select.filter = Some(condition.into_tree().and_former(former));
        self
    }

    /// The rows of a common table beside these: a row comes once for each that fits it. What is
    /// selected reads it with [`get`](Common::get); see [`common`](crate::common).
    ///
    /// # Errors
    ///
    /// When it is run: `invalid-query` if the table is joined twice, or rows are to be changed.
    pub fn join<R: Record, E>(mut self, table: &Common<R>, on: E) -> Self
    where
        E: Expression<Model = M, Type: Field<Base = bool>>,
    {
        self.select.joins.push((table.tree(), on.into_tree()));
        self
    }

    /// Order by a term, and where earlier terms are equal only.
    pub fn order_by(mut self, order: Order<M>) -> Self {
        self.select.order_by.push(order.term);
        self
    }

    /// At most this many rows. A second limit replaces the first.
    pub fn limit(mut self, rows: u64) -> Self {
        self.select.limit = Some(rows);
        self
    }

    /// Without the first rows. A second offset replaces the first.
    pub fn offset(mut self, rows: u64) -> Self {
        self.select.offset = Some(rows);
        self
    }

    /// Rows become an expression, a tuple of expressions, or the struct of a
    /// [`derive(Row)`](macro@crate::Row).
    ///
    /// ```
    /// use ferro::prelude::*;
    ///
    /// # #[derive(Model, Debug, Clone)]
    /// # struct City { #[ferro(key)] id: i64, name: String, population: i64 }
    /// async fn names(db: &ferro::Session) -> Result<Vec<(String, i64)>, ferro::Error> {
    ///     City::query().select((City::name(), City::population() / 1000)).all(db).await
    /// }
    /// # let _ = names;
    /// ```
    ///
    /// It loads no relations, so there is no `select` after an [`include`](Self::include).
    pub fn select<S: Selection<M>>(mut self, columns: S) -> Query<M, Selected<S::Row>>
    where
        O: Streamed<M>,
    {
        self.select.columns = ColumnsTree::Outputs(columns.outputs());
        self.into_output(Selected::new())
    }

    /// Load a relation with the rows, which become tuples of the model and what was included. One
    /// further statement loads all of them, however many rows there are.
    ///
    /// A relation to one row is a model, or an `Option` where there may be none; a relation to many
    /// is a `Vec`, and may be filtered, ordered and limited. What is included may include others.
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
    /// #     title: String,
    /// # }
    /// # #[derive(Model, Debug, Clone)]
    /// # struct Comment {
    /// #     #[ferro(key)] id: i64,
    /// #     #[ferro(references = Post, reverse = "comments")] post_id: i64,
    /// #     text: String,
    /// # }
    /// async fn print(db: &ferro::Session) -> Result<(), ferro::Error> {
    ///     let posts = Post::query().include(Post::author()).include(Post::comments());
    ///     for (post, author, comments) in posts.all(db).await? {
    ///         println!("{} by {}: {} comments", post.title, author.name, comments.len());
    ///     }
    ///     let latest = Author::posts().order_by(Post::id().desc()).limit(3);
    ///     for (author, posts) in Author::query().include(latest.include(Post::comments())).all(db).await? {
    ///         for (post, comments) in posts {
    ///             println!("{} wrote {}: {} comments", author.name, post.title, comments.len());
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// # let _ = print;
    /// ```
    ///
    /// # Errors
    ///
    /// When it is run: `not-found` if a row refers to one that the caller may not see.
    pub fn include<I>(mut self, include: I) -> Query<M, O::With>
    where
        I: Include<Source = M>,
        O: Append<I>,
    {
        include.add_to(&mut self.select);
        let Self { select, output, .. } = self;
        Query { select, output: output.append(include), model: PhantomData }
    }

    /// Make one row of the rows that agree in an expression, or in all of a tuple of them. What
    /// is selected then are these expressions and aggregates.
    pub fn group_by<S: Selection<M>>(mut self, expressions: S) -> Self {
        self.select.group_by.extend(trees(expressions));
        self
    }

    /// Only groups for which the condition holds, and those of earlier ones.
    pub fn having<E>(mut self, condition: E) -> Self
    where
        E: Expression<Model = M, Type: Field<Base = bool>>,
    {
        let former = self.select.having.take();
        self.select.having = Some(condition.into_tree().and_former(former));
        self
    }

    /// Rows that are alike in everything that is selected come once.
    pub fn distinct(mut self) -> Self {
        self.select.distinct = DistinctTree::Rows;
        self
    }

    /// Of the rows that agree in an expression, or in all of a tuple of them, only the first in
    /// the order of the query.
    pub fn distinct_on<S: Selection<M>>(mut self, expressions: S) -> Self
    where
        M: Model,
    {
        self.select.distinct = DistinctTree::On(trees(expressions));
        self
    }

    /// The rows of this query and of another one, each once.
    ///
    /// Filters, groups and `distinct` are those of each query's own rows, wherever they are written; so
    /// are the order and the limit of the other one. The order, the limit and the offset of this one
    /// are of all rows together:
    ///
    /// ```
    /// # use ferro::prelude::*;
    /// # #[derive(Model, Debug, Clone)]
    /// # struct City { #[ferro(key)] id: i64, name: String, capital: bool, population: i64 }
    /// async fn first_names(db: &ferro::Session) -> Result<Vec<String>, ferro::Error> {
    ///     let large = City::query().filter(City::population().gt(1_000_000)).select(City::name());
    ///     let capitals = City::query().filter(City::capital()).select(City::name());
    ///     large.union(capitals).order_by(City::name().asc()).limit(10).all(db).await
    /// }
    /// # let _ = first_names;
    /// ```
    pub fn union<N, P>(self, other: Query<N, P>) -> Self
    where
        O: Output<M>,
        P: Output<N, Row = O::Row>,
    {
        self.combined(SetOperator::Union, other)
    }

    /// The rows of this query and of another one, repeated ones too: as [`union`](Self::union).
    pub fn union_all<N, P>(self, other: Query<N, P>) -> Self
    where
        O: Output<M>,
        P: Output<N, Row = O::Row>,
    {
        self.combined(SetOperator::UnionAll, other)
    }

    /// The rows that this query and another one have in common, each once: as [`union`](Self::union).
    pub fn intersect<N, P>(self, other: Query<N, P>) -> Self
    where
        O: Output<M>,
        P: Output<N, Row = O::Row>,
    {
        self.combined(SetOperator::Intersect, other)
    }

    /// The rows of this query that another one lacks, each once: as [`union`](Self::union).
    pub fn except<N, P>(self, other: Query<N, P>) -> Self
    where
        O: Output<M>,
        P: Output<N, Row = O::Row>,
    {
        self.combined(SetOperator::Except, other)
    }

    /// Lock the rows until the transaction ends: nobody else changes, deletes or locks them. On
    /// SQLite it does nothing: one transaction writes at a time there.
    ///
    /// ```
    /// # use ferro::prelude::*;
    /// # #[derive(Model, Debug, Clone)]
    /// # struct Job { #[ferro(key)] id: i64, done: bool }
    /// async fn next(tx: &ferro::Session) -> Result<Option<Job>, ferro::Error> {
    ///     let waiting = Job::query().filter(!Job::done()).order_by(Job::id().asc());
    ///     waiting.for_update().skip_locked().first(tx).await
    /// }
    /// # let _ = next;
    /// ```
    pub fn for_update(self) -> Self
    where
        M: Model,
    {
        self.lock(LockStrength::Update)
    }

    /// Lock the rows until the transaction ends: nobody changes or deletes them, but others may
    /// lock them so too.
    pub fn for_share(self) -> Self
    where
        M: Model,
    {
        self.lock(LockStrength::Share)
    }

    /// Lock the rows until the transaction ends, in one of the strengths of PostgreSQL.
    pub fn lock(mut self, strength: LockStrength) -> Self
    where
        M: Model,
    {
        let wait = self.select.lock.map_or(LockWait::Wait, |it| it.wait);
        self.select.lock = Some(Lock { strength, wait });
        self
    }

    /// Leave out rows that another transaction has locked, as a queue does. Locks rows as
    /// [`for_update`](Self::for_update), if no other lock was asked for.
    pub fn skip_locked(self) -> Self
    where
        M: Model,
    {
        self.lock_wait(LockWait::SkipLocked)
    }

    /// Fail with `busy` at once if another transaction has locked a row. Locks rows as
    /// [`for_update`](Self::for_update), if no other lock was asked for.
    pub fn no_wait(self) -> Self
    where
        M: Model,
    {
        self.lock_wait(LockWait::NoWait)
    }

    fn lock_wait(mut self, wait: LockWait) -> Self {
        let strength = self.select.lock.map_or(LockStrength::Update, |it| it.strength);
        self.select.lock = Some(Lock { strength, wait });
        self
    }

    fn combined<N, P>(mut self, operator: SetOperator, other: Query<N, P>) -> Self {
        self.select.combined.push((operator, other.into_tree()));
        self
    }
}

fn trees<M, S: Selection<M>>(expressions: S) -> Vec<Tree> {
    expressions.outputs().into_iter().map(|(_, tree)| tree).collect()
}
