//! `cargo xtask lint`: formatting, lints and types, in Rust and in Python.

use anyhow::Result;

use crate::run::{cargo, run, step};
use crate::setup;

/// Stops at the first failure.
pub(crate) fn run_lints() -> Result<()> {
    step("Rust: format, lints and documentation");
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    // Examples are included, since they have the dev-dependencies: clippy has checked the same
    // ones.
    let targets = ["--lib", "--bins", "--examples"];
    let docs = ["doc", "--workspace", "--no-deps", "--document-private-items"];
    run(cargo().args(docs).args(targets).env("RUSTDOCFLAGS", "-D warnings"))?;

    let python = setup::all()?.python;
    step("Python: format, lints and types");
    run(python.module("ruff").args(["check", "."]))?;
    run(python.module("ruff").args(["format", "--check", "."]))?;
    run(&mut python.module("mypy"))
}
