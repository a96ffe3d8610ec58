//! What it costs to hand rows to a plugin: `cargo xtask bench transport`.
//!
//! Every subject sums all cells of the same rows. On SQLite: SQLx alone in this process, the same
//! rows fetched by a plugin through the host as columns, and the same rows handed to a plugin as a
//! `list<list<variant>>`. Without a database: ready rows, as columns and as lists. And one row got by
//! its key, each time by a fresh instance of the plugin.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use ferro_build::{Target, component};
use ferro_driver::ConnectOptions;
use ferro_host::{Host, HostOptions, Plugin, Val};
use ferro_session::{Grant, Tenant};
use ferro_test_support::bench::{Bench, Case, Goal, Subject};
use ferro_wit::types::{Batch, Column, ScalarType, Scalars, Value};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqlitePool};
use tokio::runtime::Runtime;
use wasmtime::component::{Component, Linker, TypedFunc};
use wasmtime::{Engine, Store};

const STORED: i64 = 20_000;
const SIZES: [Size; 2] = [
    Size { rows: 20, rounds: 400, fetched: None, ready: None },
    Size { rows: 10_000, rounds: 40, fetched: Some(1.15), ready: Some(0.1) },
];
const QUERY: &str = "SELECT id, name, country, latitude, population, timezone FROM city LIMIT ?";
const POINT: &str =
    "SELECT id, name, country, latitude, population, timezone FROM city WHERE id = ?";
/// How many gets are measured together, and what one by a plugin may take, its instance included.
const GETS: u32 = 100;
const GET_MICROSECONDS: f64 = 50.0;

/// One part of the benchmark, and what columns may cost at most.
struct Size {
    rows: u32,
    rounds: usize,
    /// Fetched by a plugin: by SQLx alone.
    fetched: Option<f64>,
    /// Handed over ready: by lists of lists of values.
    ready: Option<f64>,
}

fn main() -> Result<()> {
    let runtime = Runtime::new()?;
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite:{}?mode=rwc", folder.path().join("bench.db").display());
    let world = runtime.block_on(World::new(&url))?;
    let path = component("ferro-test-transport", Target::Unknown)?;
    let mut lent = Lent::new(&path).map_err(told)?;

    let mut bench = Bench::new("transport");
    bench.compare(
        &Case { name: "get by key", backend: "sqlite", rounds: 100, times: GETS },
        vec![
            Subject::new("sqlx alone", || runtime.block_on(each_key(|it| world.sqlx_point(it)))),
            Subject::new("ferro, a fresh instance each", || {
                runtime.block_on(each_key(|it| world.ferro_point(it)))
            })
            .goal(Goal::Median(GET_MICROSECONDS)),
        ],
    )?;
    for Size { rows, rounds, fetched, ready: handed } in SIZES {
        let case = format!("{rows} rows × 6 columns");
        let lists = std::cell::RefCell::new(&mut lent);
        bench.compare(
            &Case { name: &case, backend: "sqlite", rounds, times: 1 },
            vec![
                Subject::new("sqlx alone", || runtime.block_on(world.sqlx(rows))),
                Subject::new("ferro, columns in a plugin", || runtime.block_on(world.ferro(rows)))
                    .goal(fetched.map(Goal::Ratio)),
                Subject::new("list<list<variant>>", || {
                    let variants = runtime.block_on(world.variants(rows))?;
                    lists.borrow_mut().sum_variants(&Arc::new(variants)).map_err(told)
                }),
            ],
        )?;
        let ready = runtime.block_on(world.variants(rows))?;
        let columns = Arc::new(to_columns(&ready)?);
        let variants = Arc::new(ready);
        bench.compare(
            &Case { name: &format!("{case}, ready"), backend: "none", rounds, times: 1 },
            vec![
                Subject::new("list<list<variant>>", || {
                    lists.borrow_mut().sum_variants(&variants).map_err(told)
                }),
                Subject::new("columns", || lists.borrow_mut().sum_columns(&columns).map_err(told))
                    .goal(handed.map(Goal::Ratio)),
            ],
        )?;
    }
    bench.report()
}

/// The same rows for SQLx and for a plugin of a host.
struct World {
    pool: SqlitePool,
    plugin: Plugin,
    tenant: Arc<Tenant>,
}

impl World {
    async fn new(url: &str) -> Result<Self> {
        let host = Host::new(HostOptions::default())?;
        host.databases().connect("bench", url, &ConnectOptions::default()).await?;
        let plugin = host.load(component("ferro-test-scan", Target::Unknown)?).await?;
        host.create_tables(&plugin, "bench").await?;
        let pool = SqlitePool::connect(url).await?;
        fill(&pool).await?;
        let tenant = Arc::new(Tenant::new("bench").grant("bench", Grant::read_only()));
        Ok(Self { pool, plugin, tenant })
    }

    async fn ferro(&self, rows: u32) -> Result<i64> {
        self.call("sum", Val::U32(rows)).await
    }

    async fn ferro_point(&self, id: i64) -> Result<i64> {
        self.call("point", Val::S64(id)).await
    }

    async fn call(&self, name: &str, argument: Val) -> Result<i64> {
        let results = self.plugin.call(&self.tenant, name, &[argument]).await.results?;
        match results.first() {
            Some(Val::Result(Ok(Some(sum)))) => match **sum {
                Val::S64(sum) => Ok(sum),
                _ => anyhow::bail!("no sum in {results:?}"),
            },
            other => anyhow::bail!("the plugin failed: {other:?}"),
        }
    }

    async fn sqlx(&self, rows: u32) -> Result<i64> {
        let rows = sqlx::query(QUERY).bind(rows).fetch_all(&self.pool).await?;
        rows.iter().map(sum_of).sum()
    }

    async fn sqlx_point(&self, id: i64) -> Result<i64> {
        sum_of(&sqlx::query(POINT).bind(id).fetch_one(&self.pool).await?)
    }

    async fn variants(&self, rows: u32) -> Result<Vec<Vec<Value>>> {
        let rows = sqlx::query(QUERY).bind(rows).fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                Ok(vec![
                    Value::Integer(row.try_get(0)?),
                    Value::Text(row.try_get(1)?),
                    Value::Text(row.try_get(2)?),
                    Value::Float(row.try_get(3)?),
                    Value::Integer(row.try_get(4)?),
                    Value::Text(row.try_get(5)?),
                ])
            })
            .collect()
    }
}

/// Gets rows from all over the table, one after another.
async fn each_key<F: Future<Output = Result<i64>>>(get: impl Fn(i64) -> F) -> Result<i64> {
    let mut sum = 0;
    for number in 0..i64::from(GETS) {
        sum += get(number * 7919 % STORED).await?;
    }
    Ok(sum)
}

fn sum_of(row: &SqliteRow) -> Result<i64> {
    let latitude: f64 = row.try_get(3)?;
    let mut sum = row.try_get::<i64, _>(0)? + row.try_get::<i64, _>(4)? + whole(latitude);
    for text in [1, 2, 5] {
        sum += i64::try_from(row.try_get::<&str, _>(text)?.len())?;
    }
    Ok(sum)
}

#[expect(clippy::cast_possible_truncation, reason = "a checksum")]
fn whole(float: f64) -> i64 {
    float as i64
}

async fn fill(pool: &SqlitePool) -> Result<()> {
    let mut transaction = pool.begin().await?;
    for id in 0..STORED {
        sqlx::query("INSERT INTO city (id, name, country, latitude, population, timezone) VALUES (?, ?, ?, ?, ?, ?)")
            .bind(id)
            .bind(format!("City number {id}"))
            .bind(["AD", "CH", "NZ", "PE"][usize::try_from(id)? % 4])
            .bind(f64::from(i32::try_from(id)?) / 300.0)
            .bind(id * 37 % 1_000_000)
            .bind(["Europe/Andorra", "Europe/Zurich", "Pacific/Auckland"][usize::try_from(id)? % 3])
            .execute(&mut *transaction)
            .await?;
    }
    Ok(transaction.commit().await?)
}

fn to_columns(rows: &[Vec<Value>]) -> Result<Batch> {
    let kinds = [
        ScalarType::Integer,
        ScalarType::Text,
        ScalarType::Text,
        ScalarType::Float,
        ScalarType::Integer,
        ScalarType::Text,
    ];
    let mut columns: Vec<_> = kinds.into_iter().map(Scalars::with_kind).collect();
    for row in rows {
        for (column, value) in columns.iter_mut().zip(row) {
            column.push(value.clone()).ok().context("a value of another kind")?;
        }
    }
    Batch::new(columns.into_iter().map(Column::Scalars).collect()).map_err(anyhow::Error::msg)
}

/// A plugin that is lent rows by this program, in wasmtime without a host of Ferro.
struct Lent {
    store: Store<Rows>,
    sum_variants: TypedFunc<(u32,), (i64,)>,
    sum_columns: TypedFunc<(u32,), (i64,)>,
}

#[derive(Default)]
struct Rows {
    variants: Arc<Vec<Vec<Value>>>,
    columns: Option<Arc<Batch>>,
}

impl Lent {
    fn new(path: &Path) -> wasmtime::Result<Self> {
        let engine = Engine::default();
        let component = Component::from_file(&engine, path)?;
        let mut linker = Linker::<Rows>::new(&engine);
        let mut rows = linker.instance("ferro:bench/rows")?;
        rows.func_wrap("variants", |store, (_limit,): (u32,)| {
            Ok((Arc::clone(&store.data().variants),))
        })?;
        rows.func_wrap("columns", |store, (_limit,): (u32,)| {
            let columns = store.data().columns.clone();
            Ok((columns.ok_or_else(|| wasmtime::Error::msg("no columns to lend"))?,))
        })?;
        let mut store = Store::new(&engine, Rows::default());
        let instance = linker.instantiate(&mut store, &component)?;
        Ok(Self {
            sum_variants: instance.get_typed_func(&mut store, "sum-variants")?,
            sum_columns: instance.get_typed_func(&mut store, "sum-columns")?,
            store,
        })
    }

    fn sum_variants(&mut self, rows: &Arc<Vec<Vec<Value>>>) -> wasmtime::Result<i64> {
        self.store.data_mut().variants = Arc::clone(rows);
        Ok(self.sum_variants.call(&mut self.store, (u32::MAX,))?.0)
    }

    fn sum_columns(&mut self, columns: &Arc<Batch>) -> wasmtime::Result<i64> {
        self.store.data_mut().columns = Some(Arc::clone(columns));
        Ok(self.sum_columns.call(&mut self.store, (u32::MAX,))?.0)
    }
}

fn told(error: wasmtime::Error) -> anyhow::Error {
    anyhow::Error::msg(format!("{error:?}"))
}
