//! Builds the core component, which the crate carries with it.

use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Context as _, Result};
use ferro_build::Target;

const CORE: &str = "ferro-component";

fn main() -> Result<()> {
    let component = ferro_build::component(CORE, Target::Unknown)?;
    println!("cargo::rerun-if-changed=build.rs");
    for source in ferro_build::sources(CORE, Target::Unknown)? {
        println!("cargo::rerun-if-changed={}", source.display());
    }
    let copy = PathBuf::from(env::var("OUT_DIR")?).join("core.wasm");
    fs::copy(&component, &copy)
        .with_context(|| format!("cannot copy `{}`", component.display()))?;
    Ok(())
}
