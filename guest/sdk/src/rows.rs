//! Reading rows from a cursor.

use std::marker::PhantomData;
use std::vec::IntoIter;

use ferro_wit::Cursor;
use ferro_wit::types::{Batch, Error, ErrorKind, Value};

use crate::model::Model;
use crate::session::{Request, Session};

/// How many rows [`Query::all`](crate::Query::all) fetches at a time: enough to make the cost of
/// calls negligible, but few enough that a batch and its models fit in a small guest's memory.
pub(crate) const BATCH_ROWS: u32 = 4096;

/// The rows of a query, fetched in batches: created by [`Query::stream`](crate::Query::stream) and
/// `Sql::stream`.
///
/// ```
/// # use ferro::prelude::*;
/// # #[derive(Model, Debug, Clone)]
/// # struct City { #[ferro(key)] id: i64, population: i64 }
/// async fn inhabitants(db: &ferro::Session) -> Result<i64, ferro::Error> {
///     let mut sum = 0;
///     let mut cities = City::query().stream(db, 1000).await?;
///     while let Some(city) = cities.next().await? {
///         sum += city.population;
///     }
///     Ok(sum)
/// }
/// # let _ = inhabitants;
/// ```
///
/// Inside a transaction, nothing else can run until the last row has been read or this is dropped.
pub struct Rows<'s, T> {
    cursor: Box<dyn Cursor>,
    batch: u32,
    decode: Decode<T>,
    read: IntoIter<T>,
    session: PhantomData<&'s Session>,
}

/// How a batch becomes rows.
type Decode<T> = fn(&Batch) -> Result<Vec<T>, Error>;

impl<'s, T> Rows<'s, T> {
    pub(crate) async fn open(
        db: &'s Session,
        request: Request,
        batch: u32,
        decode: Decode<T>,
    ) -> Result<Self, Error> {
        Ok(Self::over(db.fetch(request).await?, batch, decode))
    }

    pub(crate) fn over(cursor: Box<dyn Cursor>, batch: u32, decode: Decode<T>) -> Self {
        let (batch, read) = (batch.max(1), Vec::new().into_iter());
        Self { cursor, batch, decode, read, session: PhantomData }
    }

    /// Returns the next row; `None` after the last.
    ///
    /// # Errors
    ///
    /// `decode-failed` if a row of the batch does not fit the model; what the database reports.
    pub async fn next(&mut self) -> Result<Option<T>, Error> {
        while self.read.len() == 0 {
            match self.next_batch().await? {
                Some(rows) => self.read = rows.into_iter(),
                None => return Ok(None),
            }
        }
        Ok(self.read.next())
    }

    /// Returns the rows of the next batch, or those that [`next`](Self::next) has left of it;
    /// `None` after the last.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub async fn next_batch(&mut self) -> Result<Option<Vec<T>>, Error> {
        if self.read.len() > 0 {
            return Ok(Some(std::mem::take(&mut self.read).collect()));
        }
        match self.cursor.next(self.batch).await? {
            Some(batch) => Ok(Some((self.decode)(&batch)?)),
            None => Ok(None),
        }
    }
}

impl<T> std::fmt::Debug for Rows<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("batch", &self.batch).finish_non_exhaustive()
    }
}

/// The rows of a result set to its end.
pub(crate) async fn read_all<T>(
    mut cursor: Box<dyn Cursor>,
    decode: Decode<T>,
) -> Result<Vec<T>, Error> {
    let mut rows = Vec::new();
    while let Some(batch) = cursor.next(BATCH_ROWS).await? {
        rows.append(&mut decode(&batch)?);
    }
    Ok(rows)
}

pub(crate) async fn first<M: Model>(db: &Session, request: Request) -> Result<Option<M>, Error> {
    let rows = read(&mut *db.fetch(request).await?, 1, M::decode).await?;
    Ok(rows.into_iter().next())
}

/// Reads at most this many rows of a result set. The others are read, too, and dropped: a write is
/// complete only when its result has been read.
pub(crate) async fn read<T>(
    cursor: &mut dyn Cursor,
    rows: u32,
    decode: Decode<T>,
) -> Result<Vec<T>, Error> {
    let Some(batch) = cursor.next(rows).await? else { return Ok(Vec::new()) };
    while cursor.next(BATCH_ROWS).await?.is_some() {}
    decode(&batch)
}

pub(crate) async fn count(db: &Session, request: Request) -> Result<u64, Error> {
    match single(db, request).await? {
        Some(Value::Integer(count)) => {
            u64::try_from(count).map_err(|_| unexpected("a count", "a negative number"))
        }
        other => Err(unexpected("a count", other)),
    }
}

pub(crate) async fn exists(db: &Session, request: Request) -> Result<bool, Error> {
    match single(db, request).await? {
        Some(Value::Boolean(exists)) => Ok(exists),
        other => Err(unexpected("an exists", other)),
    }
}

/// The only value of the only row.
async fn single(db: &Session, request: Request) -> Result<Option<Value>, Error> {
    let mut cursor = db.fetch(request).await?;
    let batch: Option<Batch> = cursor.next(1).await?;
    Ok(batch.and_then(|batch| batch.columns.first()?.get(0)))
}

fn unexpected(what: &str, got: impl std::fmt::Debug) -> Error {
    Error::new(ErrorKind::Internal, format!("{what} returned {got:?}"))
}
