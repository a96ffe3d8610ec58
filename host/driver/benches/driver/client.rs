//! What every subject can do, and who they are.

use std::ops::{Deref, DerefMut, Range};
use std::sync::Arc;

use anyhow::{Result, bail};
use ferro_wit::BoxFuture;
use ferro_wit::types::Dialect;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::city::Cities;
use crate::{ferro, rusqlite, sqlx, tokio_postgres};

/// A checksum, later.
pub(crate) type Outcome = BoxFuture<'static, Result<i64>>;

/// A way to the database. Keys are numbers of [`key`](crate::key).
pub(crate) trait Client: Send + Sync + 'static {
    fn name(&self) -> &'static str;
    /// Whether it is there for another way of writing.
    fn only_writes(&self) -> bool {
        false
    }
    /// Reads rows into columns, [`BATCH`] at a time, and adds them up.
    fn scan(self: Arc<Self>, rows: i64) -> Outcome;
    /// Gets rows one after another, on one connection or with one of the pool for each.
    fn get(self: Arc<Self>, keys: Range<i64>, pooled: bool) -> Outcome;
    /// Gets the 20 rows after each key, with a connection of the pool for each.
    fn page(self: Arc<Self>, keys: Range<i64>) -> Outcome;
    /// Changes one row for each number, in a transaction of its own.
    fn update(self: Arc<Self>, numbers: Range<i64>) -> Outcome;
    /// Keeps rows in the form that is written best.
    fn prepare_insert(&self, rows: &Arc<Cities>);
    /// Writes them, all or none.
    fn insert(self: Arc<Self>) -> Outcome;
    /// Gets rows with a task for each.
    fn get_at_once(self: Arc<Self>, keys: Range<i64>) -> Outcome;
}

/// The rows that a scan has in its hands at a time.
pub(crate) const BATCH: u32 = 10_000;

/// The names of the subjects on a database, the baseline first.
pub(crate) fn subjects(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::Sqlite => &[rusqlite::NAME, sqlx::NAME, ferro::NAME],
        Dialect::Postgres => {
            &[tokio_postgres::COPY, sqlx::NAME, ferro::NAME, tokio_postgres::ARRAYS]
        }
    }
}

/// The one of a name.
pub(crate) async fn connect(name: &str, dialect: Dialect, url: &str) -> Result<Arc<dyn Client>> {
    Ok(match (name, dialect) {
        (rusqlite::NAME, _) => Arc::new(rusqlite::Rusqlite::connect(url)?),
        (tokio_postgres::COPY, _) => {
            Arc::new(tokio_postgres::TokioPostgres::connect(url, tokio_postgres::COPY).await?)
        }
        (tokio_postgres::ARRAYS, _) => {
            Arc::new(tokio_postgres::TokioPostgres::connect(url, tokio_postgres::ARRAYS).await?)
        }
        (sqlx::NAME, Dialect::Sqlite) => Arc::new(sqlx::OnSqlite::connect(url).await?),
        (sqlx::NAME, Dialect::Postgres) => Arc::new(sqlx::OnPostgres::connect(url).await?),
        (ferro::NAME, _) => Arc::new(ferro::Ferro::connect(url).await?),
        _ => bail!("there is no subject `{name}`"),
    })
}

/// The least that a pool is, for libraries without one.
pub(crate) struct Pool<T> {
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<T>>>,
}

/// A connection of it.
pub(crate) struct Pooled<T> {
    connection: Option<T>,
    idle: Arc<Mutex<Vec<T>>>,
    _permit: OwnedSemaphorePermit,
}

impl<T> Pool<T> {
    pub(crate) fn new(connections: Vec<T>) -> Self {
        let permits = Arc::new(Semaphore::new(connections.len()));
        Self { permits, idle: Arc::new(Mutex::new(connections)) }
    }

    pub(crate) async fn acquire(&self) -> Result<Pooled<T>> {
        let permit = Arc::clone(&self.permits).acquire_owned().await?;
        let connection = self.idle.lock().pop();
        Ok(Pooled { connection, idle: Arc::clone(&self.idle), _permit: permit })
    }
}

impl<T> Deref for Pooled<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.connection.as_ref().expect("a permit stands for a connection")
    }
}

impl<T> DerefMut for Pooled<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.connection.as_mut().expect("a permit stands for a connection")
    }
}

impl<T> Drop for Pooled<T> {
    fn drop(&mut self) {
        let mut idle = self.idle.lock();
        idle.extend(self.connection.take());
    }
}

/// Runs a get of one key for each key, at once.
pub(crate) async fn at_once(client: Arc<dyn Client>, keys: Range<i64>) -> Result<i64> {
    let tasks: Vec<_> =
        keys.map(|it| tokio::spawn(Arc::clone(&client).get(it..it + 1, true))).collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await??;
    }
    Ok(sum)
}
