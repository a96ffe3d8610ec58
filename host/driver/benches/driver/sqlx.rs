//! SQLx alone, with its pool.

use std::ops::Range;
use std::sync::Arc;

use anyhow::Result;
use futures_util::TryStreamExt as _;
use parking_lot::Mutex;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, PgPool, Row, SqlitePool};

use crate::city::{Cities, City, GET, PAGE, SCAN, UPDATE};
use crate::client::{BATCH, Client, Outcome, at_once};
use crate::{CONNECTIONS, key};

pub(crate) const NAME: &str = "sqlx alone";

const INSERT_ARRAYS: &str = "INSERT INTO town (id, name, country, latitude, longitude, population, elevation, timezone) \
     SELECT * FROM unnest($1::int8[], $2::text[], $3::text[], $4::float8[], $5::float8[], \
     $6::int8[], $7::int8[], $8::text[])";

pub(crate) struct OnSqlite {
    pool: SqlitePool,
    rows: Mutex<Arc<Cities>>,
}

pub(crate) struct OnPostgres {
    pool: PgPool,
    rows: Mutex<Arc<Cities>>,
}

impl OnSqlite {
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let options = url.parse::<SqliteConnectOptions>()?.journal_mode(SqliteJournalMode::Wal);
        let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS).connect_with(options);
        Ok(Self { pool: pool.await?, rows: Mutex::default() })
    }

    /// Many rows a statement, in a transaction.
    async fn write(&self, rows: &Cities) -> Result<u64> {
        const MANY: usize = 100;
        let mut transaction = self.pool.begin().await?;
        let mut written = 0;
        for start in (0..rows.len()).step_by(MANY) {
            let count = MANY.min(rows.len() - start);
            let values = vec!["(?, ?, ?, ?, ?, ?, ?, ?)"; count].join(", ");
            let sql = format!(
                "INSERT INTO town (id, name, country, latitude, longitude, population, elevation, \
                 timezone) VALUES {values}"
            );
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for at in start..start + count {
                let row = rows.row(at);
                query = query
                    .bind(row.id)
                    .bind(row.name.to_owned())
                    .bind(row.country.to_owned())
                    .bind(row.latitude)
                    .bind(row.longitude)
                    .bind(row.population)
                    .bind(row.elevation)
                    .bind(row.timezone.to_owned());
            }
            written += query.execute(&mut *transaction).await?.rows_affected();
        }
        transaction.commit().await?;
        Ok(written)
    }
}

impl OnPostgres {
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect(url).await?;
        Ok(Self { pool, rows: Mutex::default() })
    }

    async fn write(&self, rows: &Cities) -> Result<u64> {
        let written = sqlx::query(INSERT_ARRAYS)
            .bind(&rows.ids)
            .bind(rows.names.to_vec())
            .bind(rows.countries.to_vec())
            .bind(&rows.latitudes)
            .bind(&rows.longitudes)
            .bind(&rows.populations)
            .bind(&rows.elevations)
            .bind(rows.timezones.to_vec())
            .execute(&self.pool)
            .await?;
        Ok(written.rows_affected())
    }
}

/// Queries look alike, but their types are those of one database.
macro_rules! client {
    ($client:ty, $row:ty) => {
        impl Client for $client {
            fn name(&self) -> &'static str {
                NAME
            }

            fn scan(self: Arc<Self>, rows: i64) -> Outcome {
                Box::pin(async move {
                    let mut rows = sqlx::query(SCAN).bind(rows).fetch(&self.pool);
                    let (mut columns, mut sum) = (Cities::default(), 0);
                    while let Some(row) = rows.try_next().await? {
                        columns.push(<$client>::city(&row)?);
                        if columns.len() == BATCH as usize {
                            sum += columns.take_sum();
                        }
                    }
                    Ok(sum + columns.take_sum())
                })
            }

            fn get(self: Arc<Self>, keys: Range<i64>, pooled: bool) -> Outcome {
                Box::pin(async move {
                    let mut connection = None;
                    if !pooled {
                        connection = Some(self.pool.acquire().await?);
                    }
                    let mut sum = 0;
                    for number in keys {
                        let query = sqlx::query(GET).bind(key(number));
                        let row = match &mut connection {
                            Some(connection) => query.fetch_one(&mut **connection).await?,
                            None => query.fetch_one(&self.pool).await?,
                        };
                        sum += <$client>::city(&row)?.sum();
                    }
                    Ok(sum)
                })
            }

            fn page(self: Arc<Self>, keys: Range<i64>) -> Outcome {
                Box::pin(async move {
                    let mut sum = 0;
                    for number in keys {
                        let query = sqlx::query(PAGE).bind(key(number));
                        for row in query.fetch_all(&self.pool).await? {
                            sum += <$client>::city(&row)?.sum();
                        }
                    }
                    Ok(sum)
                })
            }

            fn update(self: Arc<Self>, numbers: Range<i64>) -> Outcome {
                Box::pin(async move {
                    let mut changed = 0;
                    for number in numbers {
                        let mut transaction = self.pool.begin().await?;
                        let query = sqlx::query(UPDATE).bind(number);
                        changed += query.execute(&mut *transaction).await?.rows_affected();
                        transaction.commit().await?;
                    }
                    Ok(i64::try_from(changed)?)
                })
            }

            fn prepare_insert(&self, rows: &Arc<Cities>) {
                *self.rows.lock() = Arc::clone(rows);
            }

            fn insert(self: Arc<Self>) -> Outcome {
                Box::pin(async move {
                    let rows = self.rows.lock().clone();
                    Ok(i64::try_from(self.write(&rows).await?)?)
                })
            }

            fn get_at_once(self: Arc<Self>, keys: Range<i64>) -> Outcome {
                Box::pin(at_once(self, keys))
            }
        }

        impl $client {
            fn city(row: &$row) -> Result<City<'_>> {
                Ok(City {
                    id: row.try_get(0)?,
                    name: row.try_get(1)?,
                    country: row.try_get(2)?,
                    latitude: row.try_get(3)?,
                    longitude: row.try_get(4)?,
                    population: row.try_get(5)?,
                    elevation: row.try_get(6)?,
                    timezone: row.try_get(7)?,
                })
            }
        }
    };
}

client!(OnSqlite, sqlx::sqlite::SqliteRow);
client!(OnPostgres, sqlx::postgres::PgRow);
