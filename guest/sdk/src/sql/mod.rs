//! SQL text of the author's own.

mod arrange;
mod convert;

use std::borrow::Cow;

use ferro_wit::Cursor;
use ferro_wit::types::{Error, ErrorKind, Value};

use self::arrange::Arranged;
use crate::row::Row;
use crate::rows::{self, Rows};
use crate::scalar::Field;
use crate::session::Session;

/// A statement of SQL, for what queries cannot say. It takes the feature `raw-sql`, and in a plugin
/// a world that includes `ferro:orm/privileged-plugin` and a tenant that is granted SQL text.
///
/// Placeholders are `?` or `$1` on both databases, and a `?` in a literal, a comment or an operator
/// is left alone. The values of [`bind`](Sql::bind) never become a part of the text. The rest is the
/// database's own language, and **no forced filter of a tenant applies to it**.
///
/// Rows become what those of a query become: a struct with [`derive(Row)`](macro@crate::Row) by the
/// names of its fields, a model by the names of its columns, tuples and single values by position.
///
/// ```
/// #[derive(ferro::Row, Debug)]
/// struct Crowd {
///     country: String,
///     people: i64,
/// }
///
/// async fn crowds(db: &ferro::Session, least: i64) -> Result<Vec<Crowd>, ferro::Error> {
///     ferro::sql(
///         "SELECT country, CAST(sum(population) AS BIGINT) AS people FROM city \
///          GROUP BY country HAVING sum(population) >= ? ORDER BY people DESC",
///     )
///     .bind(least)
///     .all(db)
///     .await
/// }
/// # let _ = crowds;
/// ```
pub fn sql(text: impl Into<Cow<'static, str>>) -> Sql {
    Sql { text: text.into(), parameters: Ok(Vec::new()) }
}

/// A statement of SQL text and its values: see [`sql`].
#[derive(Debug, Clone)]
#[must_use = "a statement does nothing until it is run"]
pub struct Sql {
    text: Cow<'static, str>,
    parameters: Result<Vec<Value>, Error>,
}

/// What can be bound to a placeholder: whatever a field may be, and texts and bytes that are
/// borrowed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be bound to a placeholder",
    label = "expected a type that a field may have"
)]
pub trait Bind {
    /// The value that is sent.
    ///
    /// # Errors
    ///
    /// `value-out-of-range` for an array of more than 4 GiB.
    fn into_value(self) -> Result<Value, Error>;
}

impl<F: Field> Bind for F {
    fn into_value(self) -> Result<Value, Error> {
        self.value()
    }
}

impl Bind for &str {
    fn into_value(self) -> Result<Value, Error> {
        Ok(Value::Text(self.to_owned()))
    }
}

impl Bind for &String {
    fn into_value(self) -> Result<Value, Error> {
        Ok(Value::Text(self.clone()))
    }
}

impl Bind for &[u8] {
    fn into_value(self) -> Result<Value, Error> {
        Ok(Value::Blob(self.to_vec()))
    }
}

impl Sql {
    /// The value of the next placeholder: of the n-th `?`, or of `$n`.
    pub fn bind(mut self, value: impl Bind) -> Self {
        self.parameters = self.parameters.and_then(|mut parameters| {
            parameters.push(value.into_value()?);
            Ok(parameters)
        });
        self
    }

    /// All rows.
    ///
    /// # Errors
    ///
    /// `decode-failed` if the columns are not those of a `T`, or a value does not fit;
    /// `invalid-query` for several statements, and for too few or too many values; `denied` without
    /// the grant; what the database reports.
    pub async fn all<T: Row>(self, db: &Session) -> Result<Vec<T>, Error> {
        rows::read_all(self.fetch::<T>(db).await?, T::decode).await
    }

    /// The first row, if there is one. The statement runs to its end: `LIMIT 1` in it spares the database
    /// the others.
    ///
    /// # Errors
    ///
    /// As [`all`](Self::all).
    pub async fn first<T: Row>(self, db: &Session) -> Result<Option<T>, Error> {
        let rows = rows::read(&mut *self.fetch::<T>(db).await?, 1, T::decode).await?;
        Ok(rows.into_iter().next())
    }

    /// The only row.
    ///
    /// # Errors
    ///
    /// `not-found` if there is none; `invalid-query` if there are several; as [`all`](Self::all).
    pub async fn one<T: Row>(self, db: &Session) -> Result<T, Error> {
        let rows = rows::read(&mut *self.fetch::<T>(db).await?, 2, T::decode).await?;
        let mut rows = rows.into_iter();
        match (rows.next(), rows.next()) {
            (Some(row), None) => Ok(row),
            (None, _) => Err(Error::new(ErrorKind::NotFound, "the statement returned no row")),
            (Some(_), Some(_)) => {
                let message = "the statement returned more than one row";
                Err(Error::new(ErrorKind::InvalidQuery, message))
            }
        }
    }

    /// The rows one by one, fetched `batch` at a time: for more rows than memory should hold.
    ///
    /// # Errors
    ///
    /// As [`all`](Self::all).
    pub async fn stream<T: Row>(self, db: &Session, batch: u32) -> Result<Rows<'_, T>, Error> {
        Ok(Rows::over(self.fetch::<T>(db).await?, batch, T::decode))
    }

    /// Run it for its effect: how many rows an `INSERT`, `UPDATE`, `DELETE`, `REPLACE` or `MERGE`
    /// changed, 0 for other statements.
    ///
    /// # Errors
    ///
    /// As [`all`](Self::all), but for rows, which are not read.
    pub async fn execute(self, db: &Session) -> Result<u64, Error> {
        db.execute_raw(self.text.into_owned(), self.parameters?).await
    }

    async fn fetch<T: Row>(self, db: &Session) -> Result<Box<dyn Cursor>, Error> {
        let cursor = db.fetch_raw(self.text.into_owned(), self.parameters?).await?;
        Ok(Box::new(Arranged::new(cursor, &T::layout())?))
    }
}
