//! A host, its plugins, and a database in which each tenant has some rows.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use ferro_build::{Target, component};
use ferro_driver::ConnectOptions;
use ferro_host::{Database, Host, HostOptions, Plugin, Val};
use ferro_session::Tenant;
use sqlx::{Row as _, SqlitePool};
use tempfile::TempDir;

/// How many tenants have rows, and how many rows each has.
pub(crate) const TENANTS: i64 = 1_000;
pub(crate) const ROWS: i64 = 20;

const POINT: &str =
    "SELECT id, name, country, latitude, population, timezone FROM city WHERE id = ?";

pub(crate) struct World {
    pub(crate) database: Database,
    /// An honest one.
    pub(crate) plugin: Plugin,
    /// Two that break what they can.
    pub(crate) probe: Plugin,
    pub(crate) hostile: Plugin,
    pool: SqlitePool,
    _folder: TempDir,
}

impl World {
    pub(crate) async fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let url = format!("sqlite:{}?mode=rwc", folder.path().join("bench.db").display());
        let host = Host::new(HostOptions::default())?;
        let options = ConnectOptions::default();
        let database = host.databases().connect("bench", &url, &options).await?;
        let plugin = host.load(component("ferro-test-scan", Target::Unknown)?).await?;
        let probe = host.load(component("ferro-test-probe", Target::Wasip2)?).await?;
        let hostile = host.load(component("ferro-test-hostile", Target::Wasip2)?).await?;
        host.create_tables(&plugin, "bench").await?;
        host.create_tables(&probe, "bench").await?;
        let pool = SqlitePool::connect(&url).await?;
        fill(&pool).await?;
        Ok(Self { database, plugin, probe, hostile, pool, _folder: folder })
    }

    /// What an iteration gives, the last of some.
    pub(crate) async fn repeat(
        &self,
        times: u32,
        mut work: impl AsyncFnMut() -> Result<i64>,
    ) -> Result<i64> {
        let mut last = 0;
        for _ in 0..times {
            last = work().await?;
        }
        Ok(last)
    }

    pub(crate) async fn nothing(&self, tenant: &Arc<Tenant>) -> Result<i64> {
        match self.plugin.call(tenant, "nothing", &[]).await.results?.first() {
            Some(Val::U32(0)) => Ok(0),
            other => bail!("a call that does nothing gave {other:?}"),
        }
    }

    /// The sum of the cells of a row, 0 if the tenant has none with this key.
    pub(crate) async fn point(&self, tenant: &Arc<Tenant>, id: i64) -> Result<i64> {
        let results = self.plugin.call(tenant, "point", &[Val::S64(id)]).await.results?;
        match results.first() {
            Some(Val::Result(Ok(Some(sum)))) => match **sum {
                Val::S64(sum) => Ok(sum),
                _ => bail!("no sum in {results:?}"),
            },
            other => bail!("the plugin failed: {other:?}"),
        }
    }

    pub(crate) async fn sqlx_point(&self, id: i64) -> Result<i64> {
        let row = sqlx::query(POINT).bind(id).fetch_one(&self.pool).await?;
        let latitude: f64 = row.try_get(3)?;
        let mut sum = row.try_get::<i64, _>(0)? + row.try_get::<i64, _>(4)? + whole(latitude);
        for text in [1, 2, 5] {
            sum += i64::try_from(row.try_get::<&str, _>(text)?.len())?;
        }
        Ok(sum)
    }
}

/// The name by which rows say whose they are.
pub(crate) fn owner(tenant: i64) -> String {
    format!("T{tenant}")
}

#[expect(clippy::cast_possible_truncation, reason = "a checksum")]
fn whole(float: f64) -> i64 {
    float as i64
}

async fn fill(pool: &SqlitePool) -> Result<()> {
    let mut transaction = pool.begin().await?;
    for id in 0..TENANTS * ROWS {
        sqlx::query("INSERT INTO city (id, name, country, latitude, population, timezone) VALUES (?, ?, ?, ?, ?, ?)")
            .bind(id)
            .bind(format!("City number {id}"))
            .bind(owner(id / ROWS))
            .bind(f64::from(i32::try_from(id)?) / 300.0)
            .bind(id * 37 % 1_000_000)
            .bind("Europe/Zurich")
            .execute(&mut *transaction)
            .await
            .context("a city")?;
    }
    Ok(transaction.commit().await?)
}
