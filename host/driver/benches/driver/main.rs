//! The driver beside the databases' own libraries: `cargo xtask bench driver`.
//!
//! On SQLite rusqlite, SQLx alone and Ferro's driver; on PostgreSQL tokio-postgres, SQLx alone and
//! Ferro's driver. Each fills columns with the same rows, writes the same rows, and adds up what it
//! read. Peak memory is that of a process of its own. Where it matters, tokio-postgres sends one
//! request at a time, as SQLx and Ferro do.

mod city;
mod client;
mod ferro;
mod memory;
mod rusqlite;
mod sqlx;
mod tokio_postgres;

use std::ops::Range;
use std::sync::Arc;

use anyhow::Result;
use ferro_test_support::bench::{Bench, Case, Goal, Measured, Subject};
use ferro_test_support::postgres;
use ferro_wit::types::Dialect;
use tokio::runtime::Runtime;

use crate::city::Cities;
use crate::client::{Client, Outcome, connect, subjects};

/// Rows that are stored, and those that are read where fewer are.
const STORED: i64 = 1_000_000;
const FEWER: i64 = 10_000;
/// Connections of every pool.
const CONNECTIONS: u32 = 10;

fn main() -> Result<()> {
    if let Some(order) = memory::order() {
        return memory::obey(&order);
    }
    let folder = tempfile::tempdir()?;
    let sqlite = format!("sqlite:{}?mode=rwc", folder.path().join("bench.db").display());
    // TLS would be a difference between libraries that is not meant here.
    let postgres = format!("{}?sslmode=disable", postgres::url());
    let mut bench = Bench::new("driver");
    for (dialect, url) in [(Dialect::Sqlite, &sqlite), (Dialect::Postgres, &postgres)] {
        World::new(dialect, url)?.measure(&mut bench)?;
    }
    bench.report()
}

/// A database with rows, and who reads and writes them.
struct World {
    dialect: Dialect,
    url: String,
    runtime: Runtime,
    clients: Vec<Arc<dyn Client>>,
    rows: Arc<Cities>,
}

impl World {
    fn new(dialect: Dialect, url: &str) -> Result<Self> {
        let runtime = Runtime::new()?;
        let rows = Arc::new(Cities::numbered(0..STORED));
        runtime.block_on(ferro::fill(url, &rows))?;
        let clients =
            subjects(dialect).iter().map(|it| runtime.block_on(connect(it, dialect, url)));
        let clients = clients.collect::<Result<_>>()?;
        Ok(Self { dialect, url: url.to_owned(), runtime, clients, rows })
    }

    fn measure(&self, bench: &mut Bench) -> Result<()> {
        let near = self.goals(Goal::Ratio(1.5));
        let held = self.goals(Goal::Median(5.0));
        let pooled = self.goals(Goal::Median(20.0));
        let level = self.goals(None);

        self.compare(bench, "scan of 10,000 × 8", 60, 1, near, |it| it.scan(FEWER))?;
        self.compare(bench, "scan of 1,000,000 × 8", 5, 1, near, |it| it.scan(STORED))?;
        self.compare_memory(bench, "scan of 1,000,000 × 8, peak memory")?;
        self.compare(bench, "get by key, held session", 60, 200, held, |it| {
            it.get(keys(200), false)
        })?;
        self.compare(bench, "get by key, pool", 60, 200, pooled, |it| it.get(keys(200), true))?;
        self.compare(bench, "page of 20, pool", 60, 100, level, |it| it.page(keys(100)))?;
        self.compare(bench, "update in a transaction", 40, 20, level, |it| it.update(0..20))?;
        self.compare(bench, "1,000 concurrent gets, pool of 10", 20, 1, level, |it| {
            it.get_at_once(keys(1_000))
        })?;
        let fewer = Arc::new(Cities::numbered(0..FEWER));
        self.compare_inserts(bench, "bulk insert of 100", 60, &Arc::new(Cities::numbered(0..100)))?;
        self.compare_inserts(bench, "bulk insert of 10,000", 20, &fewer)?;
        self.compare_inserts(bench, "bulk insert of 1,000,000", 3, &self.rows)
    }

    /// What Ferro is to reach on this database; on PostgreSQL always what tokio-postgres does.
    fn goals(&self, sqlite: impl Into<Option<Goal>>) -> Option<Goal> {
        match self.dialect {
            Dialect::Sqlite => sqlite.into(),
            Dialect::Postgres => Some(Goal::Ratio(1.0)),
        }
    }

    fn backend(&self) -> &'static str {
        match self.dialect {
            Dialect::Sqlite => "sqlite",
            Dialect::Postgres => "postgres",
        }
    }

    fn compare(
        &self,
        bench: &mut Bench,
        name: &str,
        rounds: usize,
        times: u32,
        goal: Option<Goal>,
        operation: impl Fn(Arc<dyn Client>) -> Outcome,
    ) -> Result<()> {
        let operation = &operation;
        let readers = self.clients.iter().filter(|it| !it.only_writes());
        let subjects = readers.map(|client| {
            let run = || self.run(operation(Arc::clone(client)));
            Subject::new(client.name(), run).goal(goal.filter(|_| client.name() == ferro::NAME))
        });
        let case = Case { name, backend: self.backend(), rounds, times };
        bench.compare(&case, subjects.collect())
    }

    fn compare_inserts(
        &self,
        bench: &mut Bench,
        name: &str,
        rounds: usize,
        rows: &Arc<Cities>,
    ) -> Result<()> {
        let goal = self.goals(Goal::Ratio(1.5));
        let subjects = self.clients.iter().map(|client| {
            let run = || self.run(Arc::clone(client).insert());
            Subject::new(client.name(), run)
                .around(
                    || {
                        client.prepare_insert(rows);
                        self.runtime.block_on(ferro::empty(&self.url))
                    },
                    || self.runtime.block_on(ferro::sum_written(&self.url)),
                )
                .goal(goal.filter(|_| client.name() == ferro::NAME))
        });
        let case = Case { name, backend: self.backend(), rounds, times: 1 };
        bench.compare(&case, subjects.collect())
    }

    fn compare_memory(&self, bench: &mut Bench, name: &str) -> Result<()> {
        if !bench.wants(name, self.backend()) {
            return Ok(());
        }
        let (mut measured, mut expected) = (Vec::new(), None);
        for client in self.clients.iter().filter(|it| !it.only_writes()) {
            let (sum, peak) = memory::peak(client.name(), self.dialect, &self.url)?;
            anyhow::ensure!(*expected.get_or_insert(sum) == sum, "`{}` gave {sum}", client.name());
            measured.push(Measured { subject: client.name(), values: vec![peak], goal: None });
        }
        let case = Case { name, backend: self.backend(), rounds: 1, times: 1 };
        bench.record(&case, "MiB", measured);
        Ok(())
    }

    /// On a thread of the runtime, where an application's tasks run.
    fn run(&self, operation: Outcome) -> Result<i64> {
        self.runtime.block_on(self.runtime.spawn(operation))?
    }
}

/// Keys all over the table, the same for everybody.
fn keys(count: i64) -> Range<i64> {
    0..count
}

/// The n-th of them.
fn key(number: i64) -> i64 {
    number * 7919 % STORED
}
