//! The set-up that every command needs.

use std::path::PathBuf;

use anyhow::Result;
use ferro_build::Target;

use crate::python::Python;
use crate::run::step;

/// The components and the Python environment.
pub(crate) struct Ready {
    /// The example plugin.
    pub(crate) atlas: PathBuf,
    pub(crate) python: Python,
}

/// Prepares everything.
pub(crate) fn all() -> Result<Ready> {
    step("components: the core, and the example plugins of the guide");
    let core = ferro_build::component("ferro-component", Target::Unknown)?;
    let atlas = ferro_build::component("ferro-example-atlas", Target::Unknown)?;
    let jobs = ferro_build::component("ferro-example-jobs", Target::Unknown)?;
    for component in [&core, &atlas, &jobs] {
        let size = std::fs::metadata(component)?.len();
        println!("  {} ({} KiB)", component.display(), size / 1024);
    }
    let python = Python::prepare(&core)?;
    Ok(Ready { atlas, python })
}
