//! rusqlite: SQLite's own interface, on the thread that asks.

use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use parking_lot::Mutex;
use rusqlite::{Connection, Row, TransactionBehavior};

use crate::city::{Cities, City, GET, PAGE, SCAN, UPDATE};
use crate::client::{BATCH, Client, Outcome, Pool, Pooled, at_once};
use crate::{CONNECTIONS, key};

pub(crate) const NAME: &str = "rusqlite";

const INSERT: &str = "INSERT INTO town (id, name, country, latitude, longitude, population, \
                      elevation, timezone) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

pub(crate) struct Rusqlite {
    pool: Pool<Connection>,
    rows: Mutex<Arc<Cities>>,
}

impl Rusqlite {
    pub(crate) fn connect(url: &str) -> Result<Self> {
        let path = url.strip_prefix("sqlite:").and_then(|it| it.split('?').next());
        let path = path.context("not a URL of SQLite")?;
        let open = |_| {
            let connection = Connection::open(path)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            Ok(connection)
        };
        let connections = (0..CONNECTIONS).map(open).collect::<Result<_>>()?;
        Ok(Self { pool: Pool::new(connections), rows: Mutex::default() })
    }

    async fn acquire(&self) -> Result<Pooled<Connection>> {
        self.pool.acquire().await
    }
}

impl Client for Rusqlite {
    fn name(&self) -> &'static str {
        NAME
    }

    fn scan(self: Arc<Self>, rows: i64) -> Outcome {
        Box::pin(async move {
            let connection = self.acquire().await?;
            let mut statement = connection.prepare_cached(SCAN)?;
            let mut rows = statement.query([rows])?;
            let (mut columns, mut sum) = (Cities::default(), 0);
            while let Some(row) = rows.next()? {
                columns.push(city(row)?);
                if columns.len() == BATCH as usize {
                    sum += columns.take_sum();
                }
            }
            Ok(sum + columns.take_sum())
        })
    }

    fn get(self: Arc<Self>, keys: Range<i64>, pooled: bool) -> Outcome {
        Box::pin(async move {
            let mut connection = self.acquire().await?;
            let mut sum = 0;
            for number in keys {
                if pooled {
                    drop(connection);
                    connection = self.acquire().await?;
                }
                sum += get(&connection, key(number))?;
            }
            Ok(sum)
        })
    }

    fn page(self: Arc<Self>, keys: Range<i64>) -> Outcome {
        Box::pin(async move {
            let mut sum = 0;
            for number in keys {
                let connection = self.acquire().await?;
                let mut statement = connection.prepare_cached(PAGE)?;
                let mut rows = statement.query([key(number)])?;
                while let Some(row) = rows.next()? {
                    sum += city(row)?.sum();
                }
            }
            Ok(sum)
        })
    }

    fn update(self: Arc<Self>, numbers: Range<i64>) -> Outcome {
        Box::pin(async move {
            let mut changed = 0;
            for number in numbers {
                let mut connection = self.acquire().await?;
                let transaction = connection.transaction()?;
                changed += transaction.prepare_cached(UPDATE)?.execute([number])?;
                transaction.commit()?;
            }
            Ok(i64::try_from(changed)?)
        })
    }

    fn prepare_insert(&self, rows: &Arc<Cities>) {
        *self.rows.lock() = Arc::clone(rows);
    }

    fn insert(self: Arc<Self>) -> Outcome {
        Box::pin(async move {
            let rows = Arc::clone(&self.rows.lock());
            let mut connection = self.acquire().await?;
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut written = 0;
            {
                let mut statement = transaction.prepare_cached(INSERT)?;
                for it in rows.rows() {
                    written += statement.execute((
                        it.id,
                        it.name,
                        it.country,
                        it.latitude,
                        it.longitude,
                        it.population,
                        it.elevation,
                        it.timezone,
                    ))?;
                }
            }
            transaction.commit()?;
            Ok(i64::try_from(written)?)
        })
    }

    fn get_at_once(self: Arc<Self>, keys: Range<i64>) -> Outcome {
        Box::pin(at_once(self, keys))
    }
}

fn get(connection: &Connection, key: i64) -> Result<i64> {
    let mut statement = connection.prepare_cached(GET)?;
    Ok(statement.query_row([key], |row| Ok(city(row)?.sum()))?)
}

fn city<'a>(row: &'a Row<'_>) -> rusqlite::Result<City<'a>> {
    Ok(City {
        id: row.get(0)?,
        name: row.get_ref(1)?.as_str()?,
        country: row.get_ref(2)?.as_str()?,
        latitude: row.get(3)?,
        longitude: row.get(4)?,
        population: row.get(5)?,
        elevation: row.get(6)?,
        timezone: row.get_ref(7)?.as_str()?,
    })
}
