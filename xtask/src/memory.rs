//! `cargo xtask memory`: runs the driver's unsafe code under valgrind and AddressSanitizer.
//!
//! Miri does not support C, so it cannot run SQLite. Valgrind runs the tests as they are;
//! AddressSanitizer is built into the fuzz target, which passes arbitrary texts and values to
//! SQLite.

use std::process::Command;

use anyhow::Result;
use clap::Args;
use ferro_build::workspace;

use crate::run::{cargo, run, step};

/// What is watched.
#[derive(Args)]
pub(crate) struct Options {
    /// Feed statements to SQLite for so long, too; takes a nightly compiler and `cargo-fuzz`
    #[arg(long, value_name = "SECONDS")]
    fuzz: Option<u32>,
}

/// Fails at the first access to invalid or uninitialized memory, and at the first leak.
pub(crate) fn run_checks(options: &Options) -> Result<()> {
    step("tests of SQLite's own interface under valgrind");
    let runner = "target.'cfg(all())'.runner = ['valgrind', '--quiet', '--fair-sched=yes', \
                  '--error-exitcode=9', '--leak-check=full', '--show-leak-kinds=definite', \
                  '--errors-for-leak-kinds=definite']";
    let mut tests = cargo();
    tests.args(["--config", runner, "test", "--workspace", "--test", "sqlite", "--"]);
    // Valgrind runs one thread at a time, and twenty times slower, so tests that measure time fail.
    tests.args(["--test-threads", "1", "--skip", "p7_"]);
    run(tests.env("PROPTEST_CASES", "24"))?;
    let Some(seconds) = options.fuzz else { return Ok(()) };
    step("any statement under AddressSanitizer");
    let mut fuzz = Command::new("cargo");
    fuzz.current_dir(workspace()).args(["+nightly", "fuzz", "run", "--fuzz-dir", "tests/fuzz"]);
    run(fuzz.args(["statements", "--", &format!("-max_total_time={seconds}")]))
}
