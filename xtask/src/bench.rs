//! `cargo xtask bench NAME`: benchmarks, built with optimisations.

use std::process::Command;

use anyhow::Result;
use clap::{Args, ValueEnum};
use ferro_build::{Target, workspace};

use crate::python::Python;
use crate::run::{cargo, run, step, with_postgres};
use crate::test::find_server;

/// Which benchmark.
#[derive(Args)]
pub(crate) struct Options {
    name: Name,
    /// A few rounds of each case: enough to see that it runs
    #[arg(long)]
    quick: bool,
    /// Only the cases and databases with this in their names
    #[arg(long, value_name = "PART")]
    only: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// Plans of queries: through the core component, natively, and from the cache
    Compile,
    /// The driver beside rusqlite, tokio-postgres and SQLx: reads, writes, memory
    Driver,
    /// Ferro in Python beside SQLAlchemy, Tortoise, Piccolo and the bare drivers; draws a plot, too
    Python,
    /// Calls for tenants: what one costs, what a tenant at full load costs its neighbours, and a soak
    /// of a minute with hostile ones among a thousand
    Tenants,
    /// Rows from SQLite into a plugin: SQLx alone, columns, and a list of lists of values; a get by a
    /// fresh instance
    Transport,
}

/// The settings that `docs/tenants.md` recommends to operators: glibc then returns large blocks to
/// the system, and spreads small ones over fewer arenas.
const GLIBC: [(&str, &str); 2] = [("MALLOC_MMAP_THRESHOLD_", "262144"), ("MALLOC_ARENA_MAX", "2")];

/// Runs a benchmark, which prints its table and writes `target/bench/NAME.json`.
pub(crate) fn run_bench(options: &Options) -> Result<()> {
    let mut command = match options.name {
        Name::Compile => rust("ferro-host", "compile"),
        Name::Driver => rust("ferro-driver", "driver"),
        Name::Python => python()?,
        Name::Tenants => {
            let mut command = rust("ferro-host", "tenants");
            command.envs(GLIBC);
            command
        }
        Name::Transport => rust("ferro-host", "transport"),
    };
    command.env("FERRO_BENCH_DIR", workspace().join("target/bench"));
    if options.quick {
        command.env("FERRO_BENCH_QUICK", "1");
    }
    if let Some(part) = &options.only {
        command.env("FERRO_BENCH_ONLY", part);
    }
    run(&mut command)
}

fn rust(package: &str, bench: &str) -> Command {
    step(&format!("bench {bench}"));
    let mut command = cargo();
    command.args(["bench", "--package", package, "--bench", bench]);
    command
}

/// The package as users get it, a wheel, in an environment that also has the other ORMs.
fn python() -> Result<Command> {
    step("component, and the program that lends a PostgreSQL server");
    let core = ferro_build::component("ferro-component", Target::Unknown)?;
    run(cargo().args(["build", "--package", "ferro-test-support", "--bin", "with-postgres"]))?;
    let python = Python::prepare_bench(&core)?;
    find_server(&python)?;
    let ferro_orm = Python::prepare_ferro_orm()?;
    step("bench python");
    let mut compare = python.command();
    compare.arg("bench/compare.py");
    if let Some(python) = ferro_orm {
        compare.env("FERRO_BENCH_FERRO_ORM", python.interpreter());
    }
    Ok(with_postgres(&compare))
}
