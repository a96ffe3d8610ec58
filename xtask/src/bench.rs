//! `cargo xtask bench NAME`: benchmarks, built with optimisations.

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::run::{cargo, root, run, step};

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
    /// Calls for tenants: what one costs, what a tenant at full load costs its neighbours, and a soak
    /// of a minute with hostile ones among a thousand
    Tenants,
    /// Rows from SQLite into a plugin: SQLx alone, columns, and a list of lists of values
    Transport,
}

/// Runs it; the benchmark prints its table and writes `target/bench/NAME.json`.
pub(crate) fn run_bench(options: &Options) -> Result<()> {
    let (package, bench) = match options.name {
        Name::Compile => ("ferro-host", "compile"),
        Name::Driver => ("ferro-driver", "driver"),
        Name::Tenants => ("ferro-host", "tenants"),
        Name::Transport => ("ferro-host", "transport"),
    };
    step(&format!("bench {bench}"));
    let mut command = cargo();
    command.args(["bench", "--package", package, "--bench", bench]);
    command.env("FERRO_BENCH_DIR", root().join("target/bench"));
    if options.quick {
        command.env("FERRO_BENCH_QUICK", "1");
    }
    if let Some(part) = &options.only {
        command.env("FERRO_BENCH_ONLY", part);
    }
    run(&mut command)
}
