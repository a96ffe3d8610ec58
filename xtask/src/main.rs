//! The commands of the project: `cargo xtask demo | test | lint | bench | guards | memory | setup`.
//!
//! Each does its own set-up: rustup targets, components, the Python environment in `.venv/`.

mod bench;
mod demo;
mod guards;
mod interpreter;
mod lint;
mod memory;
mod python;
mod run;
mod setup;
mod test;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Commands of the Ferro project
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Import the world's countries and cities into SQLite and query them for two tenants, from
    /// Rust and from Python
    Demo,
    /// Run every test, in Rust and in Python
    Test(test::Options),
    /// Check formatting, lints and types
    Lint,
    /// Measure; prints a table of medians and writes target/bench/NAME.json
    Bench(bench::Options),
    /// Remove one guard after another, and see that tests fail without it; changes sources meanwhile
    Guards(guards::Options),
    /// Run the driver's unsafe code under valgrind, and under AddressSanitizer with any statements
    Memory(memory::Options),
    /// Only prepare: components and the Python environment
    Setup,
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Demo => demo::run_demo(),
        Command::Test(options) => test::run_tests(&options),
        Command::Lint => lint::run_lints(),
        Command::Bench(options) => bench::run_bench(&options),
        Command::Guards(options) => guards::run_guards(&options),
        Command::Memory(options) => memory::run_checks(&options),
        Command::Setup => setup::all().map(|_| ()),
    }
}
