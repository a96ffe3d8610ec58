//! What `#[derive(Model)]` implements, and the operations of every model.

use std::future::Future;

use ferro_wit::schema::{self, EnumType};
use ferro_wit::types::{Batch, Error, ErrorKind};

use crate::expression::{Assignment, Condition, expr};
use crate::insert::{self, Fields, FieldsOf, Insertable, OnConflict};
use crate::query::{Query, projection};
use crate::relation::{Path, Presence};
use crate::row::{Output, Row};
use crate::rows;
use crate::session::{Request, Session};
use crate::update;

/// A struct whose values are the rows of a table. Derive it: see [`ferro::Model`](derive@crate::Model).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a model",
    note = "add `#[derive(Model)]` to it, and `#[ferro(key)]` to its key"
)]
pub trait Model: Row + Insertable<Model = Self> + Clone + Sync {
    /// The type of its key; a tuple if the key has several fields.
    type Key: Clone + Send + Sync + 'static;

    /// The model's name.
    const NAME: &'static str;
    /// The names of its fields, in order.
    const FIELDS: &'static [&'static str];
    /// The names of the fields of its key, in order.
    const KEY: &'static [&'static str];
    /// The name of the field that counts a row's changes, if there is one.
    const VERSION: Option<&'static str>;
    /// The names of the fields that every update sets by itself, with `on_update = now`.
    const SET_BY_UPDATES: &'static [&'static str];

    /// The model as data, from which tables are created.
    fn schema() -> schema::Model;

    /// The enum types that its fields use.
    fn enums() -> Vec<EnumType>;

    /// The row's key.
    fn key(&self) -> Self::Key;

    /// The condition that a row has this key.
    #[doc(hidden)]
    fn key_is(key: Self::Key) -> Condition<Self>;

    /// The fields that differ in another state of the row, set to their values there.
    #[doc(hidden)]
    fn changes(&self, to: &Self) -> Result<Vec<Assignment<Self>>, Error>;

    /// A path to one row of this model, with its fields and relations.
    type Path<R: Model, N: Presence>: Path<Source = R, Target = Self, Presence = N>;

    /// Queries all rows; narrow the query with its methods.
    fn query() -> Query<Self> {
        Query::new()
    }

    /// Returns the row with this key.
    ///
    /// # Errors
    ///
    /// `not-found` if there is none; errors of the database.
    fn get(
        db: &Session,
        key: impl Into<Self::Key>,
    ) -> impl Future<Output = Result<Self, Error>> + Send {
        let row = Self::find(db, key);
        async move { row.await?.ok_or_else(|| not_found::<Self>("this key")) }
    }

    /// Returns the row with this key, if there is one.
    ///
    /// # Errors
    ///
    /// Errors of the database.
    fn find(
        db: &Session,
        key: impl Into<Self::Key>,
    ) -> impl Future<Output = Result<Option<Self>, Error>> + Send {
        let rows = Self::query().filter(Self::key_is(key.into()));
        async move { rows.first(db).await }
    }

    /// Inserts a row. A key that is taken is an error: nothing is overwritten.
    ///
    /// # Errors
    ///
    /// `unique-violation` and the other violations; errors of the database.
    fn insert<R: Insertable<Model = Self>>(
        db: &Session,
        row: &R,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let request = insert::one(row, None, None);
        async move { db.execute(request?).await.map(|_| ()) }
    }

    /// Inserts a row, and returns it as stored: with its generated key and defaults.
    ///
    /// ```
    /// use ferro::prelude::*;
    ///
    /// #[derive(Model, Debug, Clone)]
    /// pub struct Post {
    ///     #[ferro(key, generated)]
    ///     pub id: i64,
    ///     pub title: String,
    /// }
    ///
    /// async fn publish(db: &ferro::Session) -> Result<i64, ferro::Error> {
    ///     let post = Post::create(db, NewPost { title: "Hello".into() }).await?;
    ///     Ok(post.id)
    /// }
    /// # let _ = publish;
    /// ```
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    fn create<R: Insertable<Model = Self>>(
        db: &Session,
        row: R,
    ) -> impl Future<Output = Result<Self, Error>> + Send {
        let request = insert::one(&row, None, Some(projection::<Self>()));
        async move { rows::first(db, request?).await?.ok_or_else(no_row) }
    }

    /// Inserts many rows, all or none, as columns, and returns their number.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert); `invalid-query` if a field with a default is set in only some
    /// of the rows.
    fn bulk_create<R: Insertable<Model = Self>>(
        db: &Session,
        rows: &[R],
    ) -> impl Future<Output = Result<u64, Error>> + Send {
        let batch = insert::many(rows, None, None);
        async move { write(db, batch?).await }
    }

    /// Like [`bulk_create`](Self::bulk_create), but returns the rows as stored, in the same order:
    /// with their generated keys and defaults.
    ///
    /// ```
    /// use ferro::prelude::*;
    ///
    /// #[derive(Model, Debug, Clone)]
    /// pub struct Post {
    ///     #[ferro(key, generated)]
    ///     pub id: i64,
    ///     pub title: String,
    /// }
    ///
    /// async fn publish(db: &ferro::Session, titles: &[&str]) -> Result<Vec<i64>, ferro::Error> {
    ///     let posts: Vec<_> = titles.iter().map(|it| NewPost { title: (*it).into() }).collect();
    ///     let posts = Post::bulk_create_returning(db, &posts).await?;
    ///     Ok(posts.into_iter().map(|post| post.id).collect())
    /// }
    /// # let _ = publish;
    /// ```
    ///
    /// # Errors
    ///
    /// As [`bulk_create`](Self::bulk_create); `decode-failed` if a row does not fit the model.
    fn bulk_create_returning<R: Insertable<Model = Self>>(
        db: &Session,
        rows: &[R],
    ) -> impl Future<Output = Result<Vec<Self>, Error>> + Send {
        let batch = insert::many(rows, None, Some(projection::<Self>()));
        async move {
            let Some((request, batch)) = batch? else { return Ok(Vec::new()) };
            rows::read_all(db.write_returning(request, batch).await?, Self::decode).await
        }
    }

    /// Inserts the rows of a query, which are values of these fields in order, and returns their
    /// number.
    ///
    /// ```
    /// use ferro::prelude::*;
    ///
    /// # #[derive(Model, Debug, Clone)]
    /// # struct Order { #[ferro(key)] id: i64, customer: String, done: bool }
    /// #[derive(Model, Debug, Clone)]
    /// struct Archived {
    ///     #[ferro(key)]
    ///     id: i64,
    ///     customer: Option<String>,
    /// }
    ///
    /// async fn archive(db: &ferro::Session) -> Result<u64, ferro::Error> {
    ///     let done = Order::query().filter(Order::done()).select((Order::id(), Order::customer()));
    ///     Archived::insert_from(db, (Archived::id(), Archived::customer()), done).await
    /// }
    /// # let _ = archive;
    /// ```
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    fn insert_from<N, O: Output<N>>(
        db: &Session,
        fields: impl FieldsOf<Self, O::Row>,
        rows: Query<N, O>,
    ) -> impl Future<Output = Result<u64, Error>> + Send {
        let request = insert::of_select::<Self>(fields.names(), rows.into_tree());
        async move { db.execute(request?).await }
    }

    /// Inserts a row, or updates the one that has its key. Returns the stored row; `None` if it was
    /// not changed. An update increments the version and sets fields with `on_update = now`, unless
    /// the [`OnConflict`] names them.
    ///
    /// ```
    /// use ferro::prelude::*;
    /// use ferro::OnConflict;
    ///
    /// #[derive(Model, Debug, Clone)]
    /// struct Visit {
    ///     #[ferro(key)]
    ///     page: String,
    ///     times: i64,
    ///     last_visitor: String,
    /// }
    ///
    /// async fn visit(db: &ferro::Session, page: &str, who: &str) -> Result<(), ferro::Error> {
    ///     let first = Visit { page: page.into(), times: 1, last_visitor: who.into() };
    ///     let again = OnConflict::on(Visit::page())
    ///         .update(Visit::last_visitor())
    ///         .set(Visit::times().set(Visit::times() + 1));
    ///     Visit::upsert(db, first, again).await?;
    ///     Ok(())
    /// }
    /// # let _ = visit;
    /// ```
    ///
    /// # Errors
    ///
    /// `invalid-query` if the fields that it names are not a key; the violations of other
    /// constraints.
    fn upsert<R: Insertable<Model = Self>>(
        db: &Session,
        row: R,
        conflict: OnConflict<Self>,
    ) -> impl Future<Output = Result<Option<Self>, Error>> + Send {
        let request = insert::one(&row, Some(conflict), Some(projection::<Self>()));
        async move { rows::first(db, request?).await }
    }

    /// Like [`upsert`](Self::upsert) for many rows, all or none, as columns; returns how many were
    /// inserted or updated. No two of them may have the same key.
    ///
    /// # Errors
    ///
    /// As [`bulk_create`](Self::bulk_create) and [`upsert`](Self::upsert).
    fn bulk_upsert<R: Insertable<Model = Self>>(
        db: &Session,
        rows: &[R],
        conflict: OnConflict<Self>,
    ) -> impl Future<Output = Result<u64, Error>> + Send {
        let batch = insert::many(rows, Some(conflict), None);
        async move { write(db, batch?).await }
    }

    /// Returns the row that has the same key as this one, inserting this one if there is none, and
    /// whether it was inserted. Concurrent calls create only one row.
    ///
    /// ```
    /// use ferro::prelude::*;
    ///
    /// #[derive(Model, Debug, Clone)]
    /// struct Tag {
    ///     #[ferro(key, generated)]
    ///     id: i64,
    ///     #[ferro(unique)]
    ///     name: String,
    /// }
    ///
    /// async fn tag(db: &ferro::Session, name: &str) -> Result<Tag, ferro::Error> {
    ///     let (tag, _created) =
    ///         Tag::get_or_create(db, NewTag { name: name.into() }, Tag::name()).await?;
    ///     Ok(tag)
    /// }
    /// # let _ = tag;
    /// ```
    ///
    /// # Errors
    ///
    /// `invalid-query` if the fields are not a key, or if the row has no value for it; the
    /// violations of other constraints; `serialization-failure` in a transaction that cannot see
    /// the row that another one has inserted.
    fn get_or_create<R: Insertable<Model = Self>>(
        db: &Session,
        row: R,
        key: impl Fields<Self>,
    ) -> impl Future<Output = Result<(Self, bool), Error>> + Send {
        let names = key.names();
        let same = insert::same_key(&row, &names);
        let insert = insert::unless_taken(&row, names, Some(projection::<Self>()));
        async move {
            let same = Self::query().filter(expr::<Self, bool>(same?));
            let insert = insert?;
            for _ in 0..GET_OR_CREATE_ATTEMPTS {
                if let Some(row) = same.clone().first(db).await? {
                    return Ok((row, false));
                }
                if let Some(row) = rows::first(db, insert.clone()).await? {
                    return Ok((row, true));
                }
            }
            let message = format!("a `{}` with this key exists, but is not visible", Self::NAME);
            Err(Error::new(ErrorKind::SerializationFailure, message).retryable())
        }
    }

    /// Inserts a row or, if its key is taken, updates the row that has it with all other values of
    /// this one, except the version, which is incremented, and fields with `on_update`. Returns the
    /// stored row. Concurrent calls create only one row.
    ///
    /// # Errors
    ///
    /// `invalid-query` if the fields are not a key, or if the row has no other values; the
    /// violations of other constraints.
    fn update_or_create<R: Insertable<Model = Self>>(
        db: &Session,
        row: R,
        key: impl Fields<Self>,
    ) -> impl Future<Output = Result<Self, Error>> + Send {
        let request = insert::or_replace(&row, key.names(), Some(projection::<Self>()));
        async move { rows::first(db, request?).await?.ok_or_else(no_row) }
    }

    /// Updates a row that was read before: in the database the fields that the closure changes, and
    /// in this value all fields, to those of the stored row. If it fails, this value does not
    /// change.
    ///
    /// Other fields in the database keep concurrent changes. With a `#[ferro(version)]` field, the
    /// update is rejected if the row has changed since it was read.
    ///
    /// ```
    /// # use ferro::prelude::*;
    /// # #[derive(Model, Debug, Clone)]
    /// # struct City { #[ferro(key)] id: i64, name: String, population: i64 }
    /// async fn grow(db: &ferro::Session, id: i64) -> Result<City, ferro::Error> {
    ///     let mut city = City::get(db, id).await?;
    ///     city.update(db, |city| city.population += 1_000).await?;
    ///     Ok(city)
    /// }
    /// # let _ = grow;
    /// ```
    ///
    /// # Errors
    ///
    /// `not-found` if the row no longer exists (it is never inserted again);
    /// `serialization-failure` if it has a version and has changed; errors of the database.
    fn update(
        &mut self,
        db: &Session,
        change: impl FnOnce(&mut Self),
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let mut changed = self.clone();
        change(&mut changed);
        let set = self.changes(&changed);
        async move {
            let set = set?;
            if set.is_empty() {
                return Ok(());
            }
            let row = Self::query().filter(self.unchanged());
            match row.update_returning(db, set).await?.pop() {
                Some(row) => *self = row,
                None => return Err(self.missing(db).await?),
            }
            Ok(())
        }
    }

    /// Updates some fields of many rows that were read before, all or none. No two of the rows may
    /// have the same key.
    ///
    /// The version is incremented in the database, but not in these values; nor do they get what
    /// `on_update = now` sets.
    ///
    /// ```
    /// # use ferro::prelude::*;
    /// # #[derive(Model, Debug, Clone)]
    /// # struct City { #[ferro(key)] id: i64, name: String, population: i64 }
    /// async fn grow(db: &ferro::Session) -> Result<(), ferro::Error> {
    ///     let mut cities = City::query().limit(1_000).all(db).await?;
    ///     for city in &mut cities {
    ///         city.population += city.name.len() as i64;
    ///     }
    ///     City::bulk_update(db, &cities, City::population()).await
    /// }
    /// # let _ = grow;
    /// ```
    ///
    /// # Errors
    ///
    /// `not-found` if a row no longer exists; `serialization-failure` if it has a version, and has
    /// changed or no longer exists; `invalid-query` for a field of the key; errors of the database.
    fn bulk_update(
        db: &Session,
        rows: &[Self],
        fields: impl Fields<Self>,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let batch = update::by_key(rows, &fields.names());
        async move {
            let Some((request, batch)) = batch? else { return Ok(()) };
            let rows = u64::from(batch.rows);
            db.transaction(async |tx| match tx.write(request, batch).await? == rows {
                true => Ok(()),
                false if Self::VERSION.is_some() => Err(stale::<Self>("one of these")),
                false => Err(not_found::<Self>("the key of one of these")),
            })
            .await
        }
    }

    /// Deletes the row with this row's key.
    ///
    /// # Errors
    ///
    /// `not-found` if the row no longer exists; errors of the database.
    fn delete(&self, db: &Session) -> impl Future<Output = Result<(), Error>> + Send {
        let row = Self::query().filter(self.unchanged());
        async move {
            match row.delete(db).await? {
                0 => Err(self.missing(db).await?),
                _ => Ok(()),
            }
        }
    }

    /// The condition that a row is this one, with the same version.
    #[doc(hidden)]
    fn unchanged(&self) -> Condition<Self> {
        Self::key_is(self.key())
    }

    /// The error for a row that was not found.
    #[doc(hidden)]
    fn missing(&self, db: &Session) -> impl Future<Output = Result<Error, Error>> + Send {
        let same_key = Self::query().filter(Self::key_is(self.key()));
        async move {
            Ok(match same_key.exists(db).await? {
                true => stale::<Self>("the"),
                false => not_found::<Self>("this key"),
            })
        }
    }
}

/// How often to look for a row that exists, but can be neither inserted nor read: a transaction
/// that sees new commits finds it at the second attempt, unless it is deleted and inserted again in
/// between.
const GET_OR_CREATE_ATTEMPTS: u8 = 3;

/// Writes the rows of a batch, if there are any.
async fn write(db: &Session, batch: Option<(Request, Batch)>) -> Result<u64, Error> {
    match batch {
        Some((request, batch)) => db.write(request, batch).await,
        None => Ok(0),
    }
}

fn not_found<M: Model>(key: &str) -> Error {
    Error {
        table: Some(M::schema().table_name().into_owned()),
        ..Error::new(ErrorKind::NotFound, format!("there is no `{}` with {key}", M::NAME))
    }
}

fn stale<M: Model>(which: &str) -> Error {
    let name = M::NAME;
    let message = format!("{which} `{name}` has changed since it was read: read it again");
    Error {
        table: Some(M::schema().table_name().into_owned()),
        ..Error::new(ErrorKind::SerializationFailure, message).retryable()
    }
}

fn no_row() -> Error {
    Error::new(ErrorKind::Internal, "an insert returned no row")
}
