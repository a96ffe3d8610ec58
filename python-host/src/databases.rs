//! Connections by label.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ferro_driver::{ConnectOptions, PoolOptions, SqliteOptions};
use ferro_wit::plan::{MigrationStep, Risk};
use ferro_wit::types::{Error, ErrorKind};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::bridge::{on_a_thread, spawn, spawn_in};
use crate::errors::raise;
use crate::models::Models;
use crate::turns::Turns;

/// All connections of this process's Python code, and the shared state of each tenant's calls.
#[pyclass(frozen, module = "ferro._native")]
pub(crate) struct Databases {
    pub(crate) databases: ferro_driver::Databases,
    pub(crate) tenants: ferro_session::Tenants,
    /// Labels that are being opened, or whose cancelled opening may not have ended yet.
    openings: Arc<Mutex<HashMap<String, Turns>>>,
}

/// The fields of `ferro.PoolConfig`; None keeps the driver's default.
#[derive(FromPyObject)]
struct PoolArguments {
    max_connections: Option<u32>,
    min_connections: Option<u32>,
    acquire_timeout: Option<f64>,
    connect_timeout: Option<f64>,
    idle_timeout: Option<f64>,
    max_lifetime: Option<f64>,
    silence_timeout: Option<f64>,
    statement_cache_capacity: Option<usize>,
    test_before_acquire: Option<bool>,
    slow_statement: Option<f64>,
}

/// The fields of `ferro.SqliteConfig`.
#[derive(FromPyObject)]
struct SqliteArguments {
    foreign_keys: Option<bool>,
    wal: Option<bool>,
    busy_timeout: Option<f64>,
}

#[pymethods]
impl Databases {
    /// The number of threads for plugins, which tenants share.
    #[new]
    fn new(threads: u32) -> Self {
        // A plugin keeps its thread, so the permits of guests already limit what turns would.
        let tenants = ferro_session::Tenants::new(usize::MAX, threads);
        Self { databases: ferro_driver::Databases::new(), tenants, openings: Arc::default() }
    }

    /// Opens a pool under a label. Resolves to None.
    fn connect<'py>(
        &self,
        py: Python<'py>,
        label: String,
        url: String,
        pool: PoolArguments,
        sqlite: SqliteArguments,
    ) -> PyResult<Bound<'py, PyAny>> {
        let options = raise(py, options(&pool, &sqlite))?;
        let (databases, openings) = (self.databases.clone(), self.openings.clone());
        let turns = Turns::default().inside();
        openings.lock().insert(label.clone(), turns.clone());
        spawn_in(py, &turns, async move {
            let opened = databases.connect(&label, &url, &options).await;
            openings.lock().remove(&label);
            opened.map(drop)
        })
    }

    /// Waits until a cancelled opening has ended: only then is it known whether there is a pool.
    /// Resolves to None.
    fn settle<'py>(&self, py: Python<'py>, label: &str) -> PyResult<Bound<'py, PyAny>> {
        let turns = self.openings.lock().remove(label).unwrap_or_default();
        spawn_in(py, &turns, async { Ok(()) })
    }

    /// Waits for running operations, then closes the pool. Resolves to None.
    fn disconnect<'py>(&self, py: Python<'py>, label: String) -> PyResult<Bound<'py, PyAny>> {
        let databases = self.databases.clone();
        spawn(py, async move { databases.disconnect(&label).await })
    }

    /// Makes a round trip to the database. Resolves to its duration in seconds.
    fn check<'py>(&self, py: Python<'py>, label: String) -> PyResult<Bound<'py, PyAny>> {
        let databases = self.databases.clone();
        spawn(py, async move { Ok(databases.get(Some(&label))?.check().await?.as_secs_f64()) })
    }

    /// Creates the missing tables in a database. Resolves to None.
    fn create_tables<'py>(
        &self,
        py: Python<'py>,
        label: String,
        models: &Models,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (databases, models) = (self.databases.clone(), models.models.clone());
        let work = async move { models.create_tables(&databases.get(Some(&label))?).await };
        spawn(py, on_a_thread(work))
    }

    /// Migrates a database to the models, with the steps of at most this `risk`; without one,
    /// nothing is applied. With a reviewed script, nothing is applied if the script of all steps
    /// differs. Resolves to the applied and the remaining steps, as tuples of SQL, description,
    /// risk and its reason, and to the script of the remaining ones.
    #[pyo3(signature = (label, models, risk, reviewed))]
    fn migrate<'py>(
        &self,
        py: Python<'py>,
        label: String,
        models: &Models,
        risk: Option<&str>,
        reviewed: Option<String>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let risk = risk.map(|it| match it {
            "safe" => Risk::Safe,
            "blocking" => Risk::Blocking,
            _ => Risk::Destructive,
        });
        let (databases, models) = (self.databases.clone(), models.models.clone());
        let work = async move {
            let database = databases.get(Some(&label))?;
            let migration = match (risk, reviewed) {
                (Some(risk), Some(script)) => {
                    models.migrate_reviewed(&database, risk, &script).await?
                }
                _ => models.migrate(&database, risk).await?,
            };
            let script = migration.script();
            Ok((steps(migration.applied), steps(migration.left), script))
        };
        spawn(py, on_a_thread(work))
    }

    /// The current state of the pool's connections.
    fn stats<'py>(&self, py: Python<'py>, label: &str) -> PyResult<Bound<'py, PyDict>> {
        let stats = raise(py, self.databases.get(Some(label)))?.stats();
        let dict = PyDict::new(py);
        dict.set_item("size", stats.size)?;
        dict.set_item("idle", stats.idle)?;
        dict.set_item("acquired", stats.acquired)?;
        dict.set_item("waiting", stats.waiting)?;
        dict.set_item("max", stats.max)?;
        Ok(dict)
    }

    /// The labels of all connections.
    fn labels(&self) -> Vec<String> {
        self.databases.labels()
    }
}

fn options(pool: &PoolArguments, sqlite: &SqliteArguments) -> Result<ConnectOptions, Error> {
    let mut options = ConnectOptions::default();
    let PoolOptions {
        max_connections,
        min_connections,
        acquire_timeout,
        connect_timeout,
        idle_timeout,
        max_lifetime,
        silence_timeout,
        statement_cache_capacity,
        test_before_acquire,
        slow_statement,
    } = &mut options.pool;
    let SqliteOptions { foreign_keys, wal, busy_timeout } = &mut options.sqlite;
    replace(max_connections, pool.max_connections);
    replace(min_connections, pool.min_connections);
    replace(acquire_timeout, seconds("acquire_timeout", pool.acquire_timeout)?);
    replace(connect_timeout, seconds("connect_timeout", pool.connect_timeout)?);
    replace(idle_timeout, seconds_or_never("idle_timeout", pool.idle_timeout)?);
    replace(max_lifetime, seconds_or_never("max_lifetime", pool.max_lifetime)?);
    replace(silence_timeout, seconds_or_never("silence_timeout", pool.silence_timeout)?);
    *statement_cache_capacity = pool.statement_cache_capacity;
    replace(test_before_acquire, pool.test_before_acquire);
    *slow_statement = seconds("slow_statement", pool.slow_statement)?;
    replace(foreign_keys, sqlite.foreign_keys);
    replace(wal, sqlite.wal);
    replace(busy_timeout, seconds("busy_timeout", sqlite.busy_timeout)?);
    Ok(options)
}

fn replace<T>(option: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *option = value;
    }
}

fn seconds(name: &str, value: Option<f64>) -> Result<Option<Duration>, Error> {
    value.map(Duration::try_from_secs_f64).transpose().map_err(|_| {
        Error::new(
            ErrorKind::InvalidConfiguration,
            format!("`{name}` takes a non-negative number of seconds"),
        )
    })
}

/// As [`seconds`]; infinity is never.
fn seconds_or_never(name: &str, value: Option<f64>) -> Result<Option<Option<Duration>>, Error> {
    match value {
        Some(value) if value == f64::INFINITY => Ok(Some(None)),
        value => Ok(seconds(name, value)?.map(Some)),
    }
}

/// SQL, description, risk, and its reason.
type Step = (String, String, &'static str, Option<String>);

fn steps(steps: Vec<MigrationStep>) -> Vec<Step> {
    let risk = |it| match it {
        Risk::Safe => "safe",
        Risk::Blocking => "blocking",
        Risk::Destructive => "destructive",
    };
    steps.into_iter().map(|it| (it.sql, it.description, risk(it.risk), it.reason)).collect()
}
