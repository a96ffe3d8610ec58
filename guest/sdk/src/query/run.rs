//! Methods that run a query.

use std::future::Future;

use ferro_wit::query::Statement;
use ferro_wit::types::{Error, ErrorKind};

use super::{Query, projection};
use crate::expression::Assignment;
use crate::model::Model;
use crate::row::{Output, Streamed};
use crate::rows::{self, Rows};
use crate::session::Session;
use crate::tree::Term;

impl<M, O: Output<M>> Query<M, O> {
    /// Returns all rows.
    ///
    /// # Errors
    ///
    /// `decode-failed` if a row does not fit its type; what the database reports.
    pub async fn all(self, db: &Session) -> Result<Vec<O::Row>, Error> {
        let output = self.output.clone();
        let cursor = db.fetch(self.into_select()?).await?;
        output.read(cursor).await
    }

    /// Returns the first row, if there is one. Without an order, it is the one with the smallest
    /// key or, for groups and distinct rows, any.
    ///
    /// # Errors
    ///
    /// As [`all`](Self::all).
    pub async fn first(mut self, db: &Session) -> Result<Option<O::Row>, Error> {
        if self.select.order_by.is_empty() && self.select.has_key() {
            self.select.order_by = by_key(self.select.key).collect();
        }
        self.select.limit = Some(self.select.limit.map_or(1, |it| it.min(1)));
        Ok(self.all(db).await?.into_iter().next())
    }

    /// Returns the only row.
    ///
    /// # Errors
    ///
    /// `not-found` if there is none; `invalid-query` if there are several; as [`all`](Self::all).
    pub async fn one(mut self, db: &Session) -> Result<O::Row, Error> {
        self.select.limit = Some(self.select.limit.map_or(2, |it| it.min(2)));
        let name = self.select.model;
        let mut rows = self.all(db).await?.into_iter();
        match (rows.next(), rows.next()) {
            (Some(row), None) => Ok(row),
            (None, _) => {
                let message = format!("no `{name}` matches the query");
                Err(Error::new(ErrorKind::NotFound, message))
            }
            (Some(_), Some(_)) => {
                let message = format!("more than one `{name}` matches the query");
                Err(Error::new(ErrorKind::InvalidQuery, message))
            }
        }
    }

    /// Streams the rows, fetching `batch` at a time, for results that should not be held in memory.
    ///
    /// # Errors
    ///
    /// What the database reports.
    pub async fn stream(self, db: &Session, batch: u32) -> Result<Rows<'_, O::Row>, Error>
    where
        O: Streamed<M>,
    {
        Rows::open(db, self.into_select()?, batch, O::decode).await
    }
}

impl<M, O> Query<M, O> {
    /// Returns the number of rows that [`all`](Self::all) would return.
    ///
    /// # Errors
    ///
    /// What the database reports.
    pub fn count(self, db: &Session) -> impl Future<Output = Result<u64, Error>> + Send {
        let request = self.without_includes().into_statement(Statement::Count);
        async move { rows::count(db, request?).await }
    }

    /// Returns whether [`all`](Self::all) would return a row.
    ///
    /// # Errors
    ///
    /// What the database reports.
    pub fn exists(self, db: &Session) -> impl Future<Output = Result<bool, Error>> + Send {
        let request = self.without_includes().into_statement(Statement::Exists);
        async move { rows::exists(db, request?).await }
    }

    /// Removes includes, which add no rows.
    fn without_includes(mut self) -> Self {
        self.select.includes.clear();
        self
    }
}

impl<M: Model> Query<M> {
    /// Updates exactly the rows that [`all`](Self::all) would return; returns their number.
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
    /// Errors of the database, such as a violated constraint.
    pub fn update(
        self,
        db: &Session,
        set: impl IntoIterator<Item = Assignment<M>>,
    ) -> impl Future<Output = Result<u64, Error>> + Send {
        let request = self.into_update(set.into_iter().collect());
        async move { db.execute(request?).await }
    }

    /// Like [`update`](Self::update), but returns the rows as they are afterwards.
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update); `decode-failed` if a row does not fit the model.
    pub fn update_returning(
        self,
        db: &Session,
        set: impl IntoIterator<Item = Assignment<M>>,
    ) -> impl Future<Output = Result<Vec<M>, Error>> + Send {
        let request = self.changing(set.into_iter().collect(), Some(projection::<M>()));
        async move { rows::read_all(db.fetch(request?).await?, M::decode).await }
    }

    /// Deletes exactly the rows that [`all`](Self::all) would return; returns their number.
    ///
    /// # Errors
    ///
    /// Errors of the database, for example if other rows refer to a deleted one.
    pub async fn delete(self, db: &Session) -> Result<u64, Error> {
        db.execute(self.into_delete()?).await
    }

    /// Like [`delete`](Self::delete), but returns the rows as they were.
    ///
    /// # Errors
    ///
    /// As [`delete`](Self::delete); `decode-failed` if a row does not fit the model.
    pub async fn delete_returning(self, db: &Session) -> Result<Vec<M>, Error> {
        let request = self.deleting(Some(projection::<M>()))?;
        rows::read_all(db.fetch(request).await?, M::decode).await
    }
}

/// The order of the key.
pub(super) fn by_key(key: &'static [&'static str]) -> impl Iterator<Item = Term> {
    key.iter().map(|name| Term::of_key(name))
}
