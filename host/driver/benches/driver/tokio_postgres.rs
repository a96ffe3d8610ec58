//! tokio-postgres, one request at a time on each connection.

use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;

use anyhow::Result;
use futures_util::TryStreamExt as _;
use parking_lot::Mutex;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;
use tokio_postgres::{NoTls, Row, Statement};

use crate::city::{Cities, City, GET, PAGE, SCAN, UPDATE};
use crate::client::{BATCH, Client, Outcome, Pool, at_once};
use crate::{CONNECTIONS, key};

/// Bulk inserts as binary `COPY`.
pub(crate) const COPY: &str = "tokio-postgres";
/// Bulk inserts as arrays.
pub(crate) const ARRAYS: &str = "tokio-postgres, arrays";

const INSERT_COPY: &str = "COPY town (id, name, country, latitude, longitude, population, \
                           elevation, timezone) FROM STDIN BINARY";
const INSERT_ARRAYS: &str = "INSERT INTO town (id, name, country, latitude, longitude, population, elevation, timezone) \
     SELECT * FROM unnest($1::int8[], $2::text[], $3::text[], $4::float8[], $5::float8[], \
     $6::int8[], $7::int8[], $8::text[])";
const TYPES: [Type; 8] = [
    Type::INT8,
    Type::TEXT,
    Type::TEXT,
    Type::FLOAT8,
    Type::FLOAT8,
    Type::INT8,
    Type::INT8,
    Type::TEXT,
];

pub(crate) struct TokioPostgres {
    name: &'static str,
    pool: Pool<Connection>,
    rows: Mutex<Arc<Cities>>,
}

/// A connection and what is prepared on it.
struct Connection {
    client: tokio_postgres::Client,
    scan: Statement,
    get: Statement,
    page: Statement,
    update: Statement,
    insert: Statement,
}

impl TokioPostgres {
    pub(crate) async fn connect(url: &str, name: &'static str) -> Result<Self> {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
            tokio::spawn(connection);
            connections.push(Connection {
                scan: client.prepare(SCAN).await?,
                get: client.prepare(GET).await?,
                page: client.prepare(PAGE).await?,
                update: client.prepare(UPDATE).await?,
                insert: client.prepare(INSERT_ARRAYS).await?,
                client,
            });
        }
        Ok(Self { name, pool: Pool::new(connections), rows: Mutex::default() })
    }
}

impl Client for TokioPostgres {
    fn name(&self) -> &'static str {
        self.name
    }

    fn only_writes(&self) -> bool {
        self.name == ARRAYS
    }

    fn scan(self: Arc<Self>, rows: i64) -> Outcome {
        Box::pin(async move {
            let it = self.pool.acquire().await?;
            let mut rows = pin!(it.client.query_raw(&it.scan, [rows]).await?);
            let (mut columns, mut sum) = (Cities::default(), 0);
            while let Some(row) = rows.try_next().await? {
                columns.push(city(&row)?);
                if columns.len() == BATCH as usize {
                    sum += columns.take_sum();
                }
            }
            Ok(sum + columns.take_sum())
        })
    }

    fn get(self: Arc<Self>, keys: Range<i64>, pooled: bool) -> Outcome {
        Box::pin(async move {
            let mut it = self.pool.acquire().await?;
            let mut sum = 0;
            for number in keys {
                if pooled {
                    drop(it);
                    it = self.pool.acquire().await?;
                }
                let row = it.client.query_one(&it.get, &[&key(number)]).await?;
                sum += city(&row)?.sum();
            }
            Ok(sum)
        })
    }

    fn page(self: Arc<Self>, keys: Range<i64>) -> Outcome {
        Box::pin(async move {
            let mut sum = 0;
            for number in keys {
                let it = self.pool.acquire().await?;
                for row in it.client.query(&it.page, &[&key(number)]).await? {
                    sum += city(&row)?.sum();
                }
            }
            Ok(sum)
        })
    }

    fn update(self: Arc<Self>, numbers: Range<i64>) -> Outcome {
        Box::pin(async move {
            let mut changed = 0;
            for number in numbers {
                let mut it = self.pool.acquire().await?;
                let Connection { client, update, .. } = &mut *it;
                let transaction = client.transaction().await?;
                changed += transaction.execute(update, &[&number]).await?;
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
            let rows = Arc::clone(&self.rows.lock());
            let it = self.pool.acquire().await?;
            let written = match self.name {
                ARRAYS => insert_arrays(&it, &rows).await?,
                _ => insert_copy(&it, &rows).await?,
            };
            Ok(i64::try_from(written)?)
        })
    }

    fn get_at_once(self: Arc<Self>, keys: Range<i64>) -> Outcome {
        Box::pin(at_once(self, keys))
    }
}

async fn insert_copy(it: &Connection, rows: &Cities) -> Result<u64> {
    let sink = it.client.copy_in(INSERT_COPY).await?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &TYPES));
    for row in rows.rows() {
        let City { id, name, country, latitude, longitude, population, elevation, timezone } = row;
        writer
            .as_mut()
            .write(&[
                &id,
                &name,
                &country,
                &latitude,
                &longitude,
                &population,
                &elevation,
                &timezone,
            ])
            .await?;
    }
    Ok(writer.finish().await?)
}

async fn insert_arrays(it: &Connection, rows: &Cities) -> Result<u64> {
    let written = it
        .client
        .execute(
            &it.insert,
            &[
                &rows.ids,
                &rows.names.to_vec(),
                &rows.countries.to_vec(),
                &rows.latitudes,
                &rows.longitudes,
                &rows.populations,
                &rows.elevations,
                &rows.timezones.to_vec(),
            ],
        )
        .await?;
    Ok(written)
}

fn city(row: &Row) -> Result<City<'_>> {
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
