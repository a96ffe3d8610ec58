//! Queries: values that say which rows, and what is done with them.

use std::fmt;
use std::future::Future;

use ferro_wit::query::{
    self, Delete, Distinct, OrderTerm, Projection, Select, SelectRef, Statement, Update,
};
use ferro_wit::types::Error;

use crate::expression::{Assignment, Expression, Order};
use crate::model::Model;
use crate::rows::{self, Rows};
use crate::session::{Request, Session};
use crate::tree::{Arena, Tree};

/// Which rows of a model, in which order: made by [`Model::query`].
///
/// A query never changes: every method returns a new one, and a query can be cloned and run many
/// times. Nothing is sent before one of the asynchronous methods is awaited.
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
pub struct Query<M> {
    filter: Option<Tree>,
    order_by: Vec<Order<M>>,
    limit: Option<u64>,
    offset: Option<u64>,
}

impl<M: Model> Query<M> {
    /// Every row.
    pub(crate) fn new() -> Self {
        Self { filter: None, order_by: Vec::new(), limit: None, offset: None }
    }

    /// Only rows for which the condition holds, and those of earlier filters.
    pub fn filter<E: Expression<Model = M, Type = bool>>(mut self, condition: E) -> Self {
        let condition = condition.into_tree();
        self.filter = Some(match self.filter {
            Some(filter) => filter.and(condition),
            None => condition,
        });
        self
    }

    /// Order by a term, and where earlier terms are equal only.
    pub fn order_by(mut self, order: Order<M>) -> Self {
        self.order_by.push(order);
        self
    }

    /// At most this many rows. A second limit replaces the first.
    pub fn limit(mut self, rows: u64) -> Self {
        self.limit = Some(rows);
        self
    }

    /// Without the first rows. A second offset replaces the first.
    pub fn offset(mut self, rows: u64) -> Self {
        self.offset = Some(rows);
        self
    }

    /// All rows.
    ///
    /// # Errors
    ///
    /// `decode-failed` if a row does not fit the model; what the database reports.
    pub async fn all(self, db: &Session) -> Result<Vec<M>, Error> {
        rows::all(db, self.into_select()?).await
    }

    /// The first row, if there is one. Without an order, the one with the smallest key.
    ///
    /// # Errors
    ///
    /// As [`all`](Self::all).
    pub async fn first(mut self, db: &Session) -> Result<Option<M>, Error> {
        if self.order_by.is_empty() {
            self.order_by = M::KEY.iter().map(|name| Order::by_field(name)).collect();
        }
        self.limit = Some(self.limit.unwrap_or(1).min(1));
        rows::first(db, self.into_select()?).await
    }

    /// The rows one by one, fetched `batch` at a time: for more rows than memory should hold.
    ///
    /// # Errors
    ///
    /// What the database reports.
    pub async fn stream(self, db: &Session, batch: u32) -> Result<Rows<'_, M>, Error> {
        Rows::open(db, self.into_select()?, batch).await
    }

    /// How many rows [`all`](Self::all) would return.
    ///
    /// # Errors
    ///
    /// What the database reports.
    pub async fn count(self, db: &Session) -> Result<u64, Error> {
        rows::count(db, self.into_statement(Statement::Count)?).await
    }

    /// Whether [`all`](Self::all) would return a row.
    ///
    /// # Errors
    ///
    /// What the database reports.
    pub async fn exists(self, db: &Session) -> Result<bool, Error> {
        rows::exists(db, self.into_statement(Statement::Exists)?).await
    }

    /// Change the rows; how many there were. Exactly the rows that [`all`](Self::all) would return.
    ///
    /// ```
    /// # use ferro::prelude::*;
    /// # #[derive(Model, Debug, Clone)]
    /// # struct City { #[ferro(key)] id: i64, name: String, population: i64 }
    /// async fn grow(db: &ferro::Session) -> Result<u64, ferro::Error> {
    ///     let paris = City::query().filter(City::name().eq("Paris"));
    ///     paris.update(db, [City::population().set(City::population() + 1)]).await
    /// }
    /// # let _ = grow;
    /// ```
    ///
    /// # Errors
    ///
    /// What the database reports: a violated constraint, say.
    pub fn update(
        self,
        db: &Session,
        set: impl IntoIterator<Item = Assignment<M>>,
    ) -> impl Future<Output = Result<u64, Error>> + Send {
        let request = self.into_update(set.into_iter().collect());
        async move { db.execute(request?).await }
    }

    /// Delete the rows; how many there were. Exactly the rows that [`all`](Self::all) would return.
    ///
    /// # Errors
    ///
    /// What the database reports: a row that others refer to, say.
    pub async fn delete(self, db: &Session) -> Result<u64, Error> {
        db.execute(self.into_delete()?).await
    }

    /// What [`all`](Self::all) sends: the query as data, and its values.
    ///
    /// # Errors
    ///
    /// `value-out-of-range` if a list of values has more than 4 GiB.
    pub fn into_select(self) -> Result<Request, Error> {
        self.into_statement(Statement::Select)
    }

    /// What [`update`](Self::update) sends.
    ///
    /// # Errors
    ///
    /// `value-out-of-range` if a list of values has more than 4 GiB.
    pub fn into_update(self, set: Vec<Assignment<M>>) -> Result<Request, Error> {
        let mut arena = Arena::default();
        let set = set
            .into_iter()
            .map(|it| {
                let value = arena.add(it.tree)?;
                Ok(query::Assignment { field: it.field.to_owned(), value })
            })
            .collect::<Result<_, Error>>()?;
        let rows = self.add_to(&mut arena)?;
        let update = Update { model: M::NAME.to_owned(), set, rows, returning: None };
        Ok(Request::new(arena, Statement::Update(update)))
    }

    /// What [`delete`](Self::delete) sends.
    ///
    /// # Errors
    ///
    /// `value-out-of-range` if a list of values has more than 4 GiB.
    pub fn into_delete(self) -> Result<Request, Error> {
        self.into_statement(|rows| {
            Statement::Delete(Delete { model: M::NAME.to_owned(), rows, returning: None })
        })
    }

    fn into_statement(
        self,
        statement: impl FnOnce(SelectRef) -> Statement,
    ) -> Result<Request, Error> {
        let mut arena = Arena::default();
        let select = self.add_to(&mut arena)?;
        Ok(Request::new(arena, statement(select)))
    }

    fn add_to(self, arena: &mut Arena) -> Result<SelectRef, Error> {
        let filter = self.filter.map(|it| arena.add(it)).transpose()?;
        let order_by = self
            .order_by
            .into_iter()
            .map(|it| {
                let expression = arena.add(it.tree)?;
                Ok(OrderTerm { expression, descending: it.descending, nulls: it.nulls })
            })
            .collect::<Result<_, Error>>()?;
        let limit = self.limit.map(|it| arena.add(rows_as_tree(it))).transpose()?;
        let offset = self.offset.map(|it| arena.add(rows_as_tree(it))).transpose()?;
        Ok(arena.add_select(Select {
            model: M::NAME.to_owned(),
            projection: projection::<M>(),
            distinct: Distinct::No,
            filter,
            group_by: vec![],
            having: None,
            order_by,
            limit,
            offset,
            lock: None,
            includes: vec![],
            combined: vec![],
        }))
    }
}

/// All fields by name, in the order in which they are decoded. `Projection::Model` would leave
/// out what the caller may not read; a model needs all of them, and an error names the others.
pub(crate) fn projection<M: Model>() -> Projection {
    Projection::Fields(M::FIELDS.iter().map(|&name| name.to_owned()).collect())
}

/// No table has 2^63 rows, so that a larger number means the same.
fn rows_as_tree(rows: u64) -> Tree {
    Tree::value(Some(i64::try_from(rows).unwrap_or(i64::MAX)))
}

impl<M> Clone for Query<M> {
    fn clone(&self) -> Self {
        let Self { filter, order_by, limit, offset } = self;
        Self { filter: filter.clone(), order_by: order_by.clone(), limit: *limit, offset: *offset }
    }
}

impl<M: Model> fmt::Debug for Query<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query")
            .field("model", &M::NAME)
            .field("filter", &self.filter)
            .field("order_by", &self.order_by)
            .field("limit", &self.limit)
            .field("offset", &self.offset)
            .finish()
    }
}
