//! Methods that build a query.

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
    /// Keeps only rows that satisfy this condition and those of earlier filters.
    pub fn filter<E>(mut self, condition: E) -> Self
    where
        E: Expression<Model = M, Type: Field<Base = bool>>,
    {
        let former = self.select.filter.take();
        self.select.filter = Some(condition.into_tree().and_former(former));
        self
    }

    /// Joins a common table: each row is returned once for every matching row of the table.
    /// Selected expressions read it with [`get`](Common::get); see [`common`](crate::common()).
    ///
    /// # Errors
    ///
    /// When the query runs: `invalid-query` if the table is joined twice, or for an update or
    /// delete.
    pub fn join<R: Record, E>(mut self, table: &Common<R>, on: E) -> Self
    where
        E: Expression<Model = M, Type: Field<Base = bool>>,
    {
        self.select.joins.push((table.tree(), on.into_tree()));
        self
    }

    /// Adds a term to the order; it orders ties of earlier terms.
    pub fn order_by(mut self, order: Order<M>) -> Self {
        self.select.order_by.push(order.term);
        self
    }

    /// Limits the number of rows. A second limit replaces the first.
    pub fn limit(mut self, rows: u64) -> Self {
        self.select.limit = Some(rows);
        self
    }

    /// Skips the first rows. A second offset replaces the first.
    pub fn offset(mut self, rows: u64) -> Self {
        self.select.offset = Some(rows);
        self
    }

    /// Selects an expression, a tuple of expressions, or the struct of a
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
    /// Such rows have no relations, so there is no `select` after an [`include`](Self::include).
    pub fn select<S: Selection<M>>(mut self, columns: S) -> Query<M, Selected<S::Row>>
    where
        O: Streamed<M>,
    {
        self.select.columns = ColumnsTree::Outputs(columns.outputs());
        self.into_output(Selected::new())
    }

    /// Loads a relation with the rows, which become tuples of the model and what was included. One
    /// additional statement loads all related rows.
    ///
    /// A relation to one row is a model, or an `Option` if there may be none; a relation to many is
    /// a `Vec`, and can be filtered, ordered and limited. Included rows can include others.
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
    /// When the query runs: `not-found` if a row refers to one that is not visible to the caller.
    pub fn include<I>(mut self, include: I) -> Query<M, O::With>
    where
        I: Include<Source = M>,
        O: Append<I>,
    {
        include.add_to(&mut self.select);
        let Self { select, output, .. } = self;
        Query { select, output: output.append(include), model: PhantomData }
    }

    /// Groups the rows that agree in an expression, or in all of a tuple. Select these expressions
    /// and aggregates.
    pub fn group_by<S: Selection<M>>(mut self, expressions: S) -> Self {
        self.select.group_by.extend(trees(expressions));
        self
    }

    /// Keeps only groups that satisfy this condition and earlier ones.
    pub fn having<E>(mut self, condition: E) -> Self
    where
        E: Expression<Model = M, Type: Field<Base = bool>>,
    {
        let former = self.select.having.take();
        self.select.having = Some(condition.into_tree().and_former(former));
        self
    }

    /// Drops rows that are equal in everything that is selected.
    pub fn distinct(mut self) -> Self {
        self.select.distinct = DistinctTree::Rows;
        self
    }

    /// Keeps the first row, in the order of the query, of those that agree in an expression, or in
    /// all of a tuple.
    pub fn distinct_on<S: Selection<M>>(mut self, expressions: S) -> Self
    where
        M: Model,
    {
        self.select.distinct = DistinctTree::On(trees(expressions));
        self
    }

    /// Returns the rows of this query and of another one, without duplicates.
    ///
    /// Filters, groups and `distinct` apply to the query on which they are called, in any order of
    /// calls; so do the order and the limit of the other query. The order, the limit and the offset
    /// of this query apply to the combined rows:
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

    /// Returns the rows of this query and of another one, with duplicates; see
    /// [`union`](Self::union).
    pub fn union_all<N, P>(self, other: Query<N, P>) -> Self
    where
        O: Output<M>,
        P: Output<N, Row = O::Row>,
    {
        self.combined(SetOperator::UnionAll, other)
    }

    /// Returns the rows that both queries have in common, without duplicates; see
    /// [`union`](Self::union).
    pub fn intersect<N, P>(self, other: Query<N, P>) -> Self
    where
        O: Output<M>,
        P: Output<N, Row = O::Row>,
    {
        self.combined(SetOperator::Intersect, other)
    }

    /// Returns the rows of this query that another one lacks, without duplicates; see
    /// [`union`](Self::union).
    pub fn except<N, P>(self, other: Query<N, P>) -> Self
    where
        O: Output<M>,
        P: Output<N, Row = O::Row>,
    {
        self.combined(SetOperator::Except, other)
    }

    /// Locks the rows until the transaction ends: others cannot change, delete or lock them. It has
    /// no effect on SQLite, where only one transaction writes at a time.
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

    /// Locks the rows until the transaction ends: others cannot change or delete them, but can also
    /// use `for_share`.
    pub fn for_share(self) -> Self
    where
        M: Model,
    {
        self.lock(LockStrength::Share)
    }

    /// Locks the rows until the transaction ends, with one of PostgreSQL's lock strengths.
    pub fn lock(mut self, strength: LockStrength) -> Self
    where
        M: Model,
    {
        let wait = self.select.lock.map_or(LockWait::Wait, |it| it.wait);
        self.select.lock = Some(Lock { strength, wait });
        self
    }

    /// Skips rows that another transaction has locked, as workers of a queue do. Locks rows as
    /// [`for_update`](Self::for_update) unless another lock was set.
    pub fn skip_locked(self) -> Self
    where
        M: Model,
    {
        self.lock_wait(LockWait::SkipLocked)
    }

    /// Fails with `busy` at once if another transaction has locked a row. Locks rows as
    /// [`for_update`](Self::for_update) unless another lock was set.
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
