//! SQL text written by the author.

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

/// An SQL statement, for what queries cannot express. It requires the feature `raw-sql` and, in a
/// plugin, a world that includes `ferro:orm/privileged-plugin` and a tenant with a grant for SQL
/// text.
///
/// Placeholders are `?` or `$1` on both databases; a `?` in a literal, a comment or an operator is
/// not one. The values of [`bind`](Sql::bind) never become part of the text. The rest is the
/// database's own language, and **no forced filter of a tenant applies to it**.
///
/// Rows have the types of query rows: a struct with [`derive(Row)`](macro@crate::Row) by the names
/// of its fields, a model by the names of its columns, tuples and single values by position.
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

/// An SQL statement and its values: see [`sql`].
#[derive(Debug, Clone)]
#[must_use = "a statement does nothing until it is run"]
pub struct Sql {
    text: Cow<'static, str>,
    parameters: Result<Vec<Value>, Error>,
}

/// What can be bound to a placeholder: all field types, and borrowed texts and bytes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be bound to a placeholder",
    label = "expected a type that a field may have"
)]
pub trait Bind {
    /// The value to send.
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
    /// Binds the value of the next placeholder: of the n-th `?`, or of `$n`.
    pub fn bind(mut self, value: impl Bind) -> Self {
        self.parameters = self.parameters.and_then(|mut parameters| {
            parameters.push(value.into_value()?);
            Ok(parameters)
        });
        self
    }

    /// Returns all rows.
    ///
    /// # Errors
    ///
    /// `decode-failed` if the columns are not those of `T`, or a value does not fit;
    /// `invalid-query` for several statements, and for too few or too many values; `denied` without
    /// the grant; what the database reports.
    pub async fn all<T: Row>(self, db: &Session) -> Result<Vec<T>, Error> {
        rows::read_all(self.fetch::<T>(db).await?, T::decode).await
    }

    /// Returns the first row, if there is one. The statement runs to completion; add `LIMIT 1` so
    /// that the database stops early.
    ///
    /// # Errors
    ///
    /// As [`all`](Self::all).
    pub async fn first<T: Row>(self, db: &Session) -> Result<Option<T>, Error> {
        let rows = rows::read(&mut *self.fetch::<T>(db).await?, 1, T::decode).await?;
        Ok(rows.into_iter().next())
    }

    /// Returns the only row.
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

    /// Streams the rows, fetching `batch` at a time, for results that should not be held in memory.
    ///
    /// # Errors
    ///
    /// As [`all`](Self::all).
    pub async fn stream<T: Row>(self, db: &Session, batch: u32) -> Result<Rows<'_, T>, Error> {
        Ok(Rows::over(self.fetch::<T>(db).await?, batch, T::decode))
    }

    /// Runs it for its effect; returns how many rows an `INSERT`, `UPDATE`, `DELETE`, `REPLACE` or
    /// `MERGE` changed, and 0 for other statements.
    ///
    /// # Errors
    ///
    /// As [`all`](Self::all), except those about rows, which are not read.
    pub async fn execute(self, db: &Session) -> Result<u64, Error> {
        db.execute_raw(self.text.into_owned(), self.parameters?).await
    }

    async fn fetch<T: Row>(self, db: &Session) -> Result<Box<dyn Cursor>, Error> {
        let cursor = db.fetch_raw(self.text.into_owned(), self.parameters?).await?;
        Ok(Box::new(Arranged::new(cursor, &T::layout())?))
    }
}
