//! What `#[derive(Model)]` implements, and what every model can do.

use std::future::Future;

use ferro_wit::query::{Insert, RowSource, Statement};
use ferro_wit::schema::{self, EnumType};
use ferro_wit::types::{Batch, Column as Cells, Error, ErrorKind, Value};

use crate::expression::{Assignment, Condition};
use crate::query::{Query, projection};
use crate::session::{Request, Session};
use crate::tree::Arena;

/// A struct whose values are the rows of a table. Derive it: see [`ferro::Model`](derive@crate::Model).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a model",
    note = "add `#[derive(Model)]` to it, and `#[ferro(key)]` to its key"
)]
pub trait Model: Insertable<Model = Self> + Clone + Send + Sync + Sized + 'static {
    /// The type of its key; a tuple if several fields make the key.
    type Key: Clone + Send + Sync + 'static;

    /// The model's name.
    const NAME: &'static str;
    /// The names of its fields, in order.
    const FIELDS: &'static [&'static str];
    /// The names of the fields of its key, in order.
    const KEY: &'static [&'static str];

    /// The model as data: what tables are made from.
    fn schema() -> schema::Model;

    /// The enum types that its fields use.
    fn enums() -> Vec<EnumType>;

    /// The row's key.
    fn key(&self) -> Self::Key;

    /// The condition that a key stands for.
    #[doc(hidden)]
    fn key_is(key: Self::Key) -> Condition<Self>;

    /// The fields outside of the key, each set to this row's value.
    #[doc(hidden)]
    fn assignments(&self) -> Vec<Assignment<Self>>;

    /// The rows of a batch whose columns are the fields in order.
    ///
    /// # Errors
    ///
    /// `decode-failed`, naming model, field and key, if a value does not fit its field.
    fn decode(batch: &Batch) -> Result<Vec<Self>, Error>;

    /// A query for all rows, to be narrowed.
    fn query() -> Query<Self> {
        Query::new()
    }

    /// The row with this key.
    ///
    /// # Errors
    ///
    /// `not-found` if there is none; what the database reports.
    fn get(
        db: &Session,
        key: impl Into<Self::Key>,
    ) -> impl Future<Output = Result<Self, Error>> + Send {
        let row = Self::find(db, key);
        async move { row.await?.ok_or_else(not_found::<Self>) }
    }

    /// The row with this key, if there is one.
    ///
    /// # Errors
    ///
    /// What the database reports.
    fn find(
        db: &Session,
        key: impl Into<Self::Key>,
    ) -> impl Future<Output = Result<Option<Self>, Error>> + Send {
        let rows = Self::query().filter(Self::key_is(key.into()));
        async move { crate::rows::first(db, rows.into_select()?).await }
    }

    /// Insert a row as it is. A key that is taken is an error: nothing is overwritten.
    ///
    /// # Errors
    ///
    /// `unique-violation` and the other violations; what the database reports.
    fn insert<R: Insertable<Model = Self>>(
        db: &Session,
        row: &R,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let request = insert(row, false);
        async move { db.execute(request?).await.map(|_| ()) }
    }

    /// Insert a row, and return it as the database has it: with its generated key and defaults.
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
        let request = insert(&row, true);
        async move {
            let created = crate::rows::first(db, request?).await?;
            created.ok_or_else(|| Error::new(ErrorKind::Internal, "an insert returned no row"))
        }
    }

    /// Insert many rows, all or none, as columns: how many.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert); `invalid-query` if a field with a default is given in some of
    /// the rows only.
    fn bulk_create<R: Insertable<Model = Self>>(
        db: &Session,
        rows: &[R],
    ) -> impl Future<Output = Result<u64, Error>> + Send {
        let batch = insert_batch(rows);
        async move {
            match batch? {
                Some((request, batch)) => db.write(request, batch).await,
                None => Ok(0),
            }
        }
    }

    /// Write all fields of a row that was read before to where its key is.
    ///
    /// # Errors
    ///
    /// `not-found` if the row has gone: it is never inserted again; what the database reports.
    fn save(&self, db: &Session) -> impl Future<Output = Result<(), Error>> + Send {
        let row = Self::query().filter(Self::key_is(self.key()));
        let set = self.assignments();
        async move {
            let found = match set.is_empty() {
                true => row.exists(db).await?,
                false => row.update(db, set).await? > 0,
            };
            if found { Ok(()) } else { Err(not_found::<Self>()) }
        }
    }

    /// Delete the row with this row's key.
    ///
    /// # Errors
    ///
    /// `not-found` if the row has gone already; what the database reports.
    fn delete(&self, db: &Session) -> impl Future<Output = Result<(), Error>> + Send {
        let row = Self::query().filter(Self::key_is(self.key()));
        async move {
            match row.delete(db).await? {
                0 => Err(not_found::<Self>()),
                _ => Ok(()),
            }
        }
    }
}

/// A row to insert: a model, or the `New…` struct that `#[derive(Model)]` makes for a model with
/// a generated key or defaults.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be inserted",
    note = "insert a model, or its `New…` struct if it has a generated key or defaults"
)]
pub trait Insertable: Send + Sync + Sized {
    /// Whose table it goes to.
    type Model: Model;

    /// The fields that it gives values to, and these values.
    ///
    /// # Errors
    ///
    /// `value-out-of-range` for an array of more than 4 GiB.
    fn values(&self) -> Result<Vec<(&'static str, Value)>, Error>;

    /// The same for many rows, as columns.
    ///
    /// # Errors
    ///
    /// `invalid-query` if a field with a default is given in some of the rows only;
    /// `value-out-of-range` for a column of more than 4 GiB.
    fn columns(rows: &[Self]) -> Result<Vec<(&'static str, Cells)>, Error>;
}

/// What inserts one row.
fn insert<R: Insertable>(row: &R, returning: bool) -> Result<Request, Error> {
    let (fields, parameters) =
        row.values()?.into_iter().map(|(name, value)| (name.to_owned(), value)).unzip();
    let arena = Arena { parameters, ..Arena::default() };
    let insert = Insert {
        model: R::Model::NAME.to_owned(),
        fields,
        source: RowSource::Parameters,
        conflict: None,
        returning: returning.then(projection::<R::Model>),
    };
    Ok(Request::new(arena, Statement::Insert(insert)))
}

/// What inserts many rows; none if there are none.
fn insert_batch<R: Insertable>(rows: &[R]) -> Result<Option<(Request, Batch)>, Error> {
    if rows.is_empty() {
        return Ok(None);
    }
    let (fields, columns): (Vec<_>, Vec<_>) =
        R::columns(rows)?.into_iter().map(|(name, cells)| (name.to_owned(), cells)).unzip();
    let rows = u32::try_from(rows.len()).map_err(|_| {
        Error::new(ErrorKind::ValueOutOfRange, "more than 2^32 rows: insert them in several calls")
    })?;
    let insert = Insert {
        model: R::Model::NAME.to_owned(),
        fields,
        source: RowSource::Batch,
        conflict: None,
        returning: None,
    };
    let request = Request::new(Arena::default(), Statement::Insert(insert));
    Ok(Some((request, Batch { rows, columns })))
}

fn not_found<M: Model>() -> Error {
    Error {
        table: Some(M::schema().table_name().into_owned()),
        ..Error::new(ErrorKind::NotFound, format!("there is no `{}` with this key", M::NAME))
    }
}
