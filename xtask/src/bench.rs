//! `cargo xtask bench NAME`: benchmarks, built with optimisations.

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::run::{cargo, root, run, step};

/// Which benchmark.
#[derive(Args)]
pub(crate) struct Options {
    name: Name,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// Rows from SQLite into a plugin: SQLx alone, columns, and a list of lists of values
    Transport,
}

/// Runs it; the benchmark prints its table and writes `target/bench/NAME.json`.
pub(crate) fn run_bench(options: &Options) -> Result<()> {
    let (package, bench) = match options.name {
        Name::Transport => ("ferro-host", "transport"),
    };
    step(&format!("bench {bench}"));
    run(cargo()
        .args(["bench", "--package", package, "--bench", bench])
        .env("FERRO_BENCH_DIR", root().join("target/bench")))
}
