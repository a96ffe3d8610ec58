//! `cargo xtask test`: every test, against one PostgreSQL server that this run starts.

use std::process::Command;

use anyhow::Result;
use clap::Args;
use ferro_test_support::postgres::Server;

use crate::run::{cargo, run, step};
use crate::setup;

const POSTGRES_URL: &str = "FERRO_TEST_POSTGRES_URL";

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

/// Fails if a test does, or if there is no PostgreSQL server to be had.
pub(crate) fn run_tests(options: &Options) -> Result<()> {
    let ready = setup::all()?;
    let server = Postgres::start()?;
    if !options.python {
        step("Rust tests");
        run(server.lend(cargo().args(["test", "--workspace"])))?;
    }
    if !options.rust {
        step("Python tests");
        run(server.lend(&mut ready.python.module("pytest")))?;
    }
    Ok(())
}

/// The server of this run, or the one that the environment names.
struct Postgres(Option<Server>);

impl Postgres {
    fn start() -> Result<Self> {
        if std::env::var(POSTGRES_URL).is_ok_and(|url| !url.is_empty()) {
            step(&format!("PostgreSQL: the server that {POSTGRES_URL} names"));
            return Ok(Self(None));
        }
        step("PostgreSQL: a private cluster in a temporary folder");
        Ok(Self(Some(Server::start()?)))
    }

    fn lend<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        match &self.0 {
            Some(server) => command.envs(server.environment()),
            None => command,
        }
    }
}
