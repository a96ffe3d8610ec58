//! The Python environment: `.venv/` with the package `ferro` built from `python-host/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use ferro_build::workspace;

use crate::interpreter::{self, Version};
use crate::run::{output, run, step};

/// The oldest version that `ferro-orm` supports.
const FERRO_ORM: Version = (3, 13);
/// The folder of the package's sources.
const PACKAGE: &str = "python-host";

/// A Python environment in which `import ferro` works.
pub(crate) struct Python {
    venv: PathBuf,
}

impl Python {
    /// Creates the environment if there is none, and updates it.
    pub(crate) fn prepare(core: &Path) -> Result<Self> {
        step("Python environment in .venv/");
        let python = Self::of(".venv", "requirements-dev.txt", interpreter::usual)?;
        python.install_ferro(core)?;
        Ok(python)
    }

    /// An environment for benchmarks: the package as a wheel, built with optimizations, and the
    /// packages that it is compared with.
    pub(crate) fn prepare_bench(core: &Path) -> Result<Self> {
        step("Python environment in target/bench/venv/");
        let python = Self::of("target/bench/venv", "bench/requirements.txt", interpreter::usual)?;
        copy_core(core)?;
        let wheels = workspace().join("target/bench/wheels");
        if wheels.exists() {
            std::fs::remove_dir_all(&wheels)?;
        }
        run(python
            .module("maturin")
            .args(["build", "--quiet", "--release", "--out"])
            .arg(&wheels)
            .env("CARGO_TARGET_DIR", workspace().join("target")))?;
        let mut install = python.module("pip");
        install.args(["install", "--quiet"]);
        for wheel in std::fs::read_dir(&wheels)? {
            let wheel = wheel?.path();
            // The version never changes, so dependencies are installed first, and then the wheel
            // again.
            run(python.module("pip").args(["install", "--quiet"]).arg(&wheel))?;
            install.args(["--force-reinstall", "--no-deps"]).arg(&wheel);
        }
        run(&mut install)?;
        Ok(python)
    }

    /// An environment with the oldest installed Python, and the oldest packages that Ferro
    /// supports. The package itself is that of [`Python::prepare`], in its folder.
    pub(crate) fn prepare_oldest() -> Result<Self> {
        step("Python environment in target/oldest/venv/");
        Self::of("target/oldest/venv", "requirements-oldest.txt", interpreter::oldest)
    }

    /// An environment for the package `ferro-orm`, whose module has the same name as ours. `None`
    /// if there is no Python that it supports.
    pub(crate) fn prepare_ferro_orm() -> Result<Option<Self>> {
        step("Python environment in target/bench/ferro-orm/");
        let Some(newer) = interpreter::at_least(FERRO_ORM) else {
            println!("  left out: `ferro-orm` takes Python 3.13 or later");
            return Ok(None);
        };
        let list = "bench/requirements-ferro-orm.txt";
        Self::of("target/bench/ferro-orm", list, || Ok(newer)).map(Some)
    }

    fn of(
        venv: &str,
        requirements: &str,
        interpreter: impl FnOnce() -> Result<Command>,
    ) -> Result<Self> {
        let python = Self { venv: workspace().join(venv) };
        // pip is installed last: if it is missing, an earlier `venv` failed halfway.
        if !["bin/python", "bin/pip"].iter().all(|it| python.venv.join(it).exists()) {
            run(interpreter()?.args(["-m", "venv"]).arg(&python.venv))?;
        }
        python.install_tools(requirements)?;
        Ok(python)
    }

    /// The interpreter, run in the folder of the package, where its tools find their configuration.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(self.interpreter());
        command.current_dir(workspace().join(PACKAGE));
        command
    }

    /// A module run as a program: `python -m NAME`.
    pub(crate) fn module(&self, name: &str) -> Command {
        let mut command = self.command();
        command.args(["-m", name]);
        command
    }

    /// The folder of an installed package.
    pub(crate) fn package(&self, name: &str) -> Result<PathBuf> {
        let code = format!("import {name}, pathlib; print(pathlib.Path({name}.__file__).parent)");
        Ok(output(self.command().args(["-c", &code]))?.into())
    }

    /// The program itself.
    pub(crate) fn interpreter(&self) -> PathBuf {
        self.venv.join("bin/python")
    }

    /// Installs a list of requirements; pip only runs if the list has changed.
    fn install_tools(&self, requirements: &str) -> Result<()> {
        let list = workspace().join(PACKAGE).join(requirements);
        let stamp = self.venv.join("requirements.txt");
        let wanted = std::fs::read(&list)?;
        if std::fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(());
        }
        run(self.module("pip").args(["install", "--quiet", "-r"]).arg(&list))?;
        Ok(std::fs::write(stamp, wanted)?)
    }

    fn install_ferro(&self, core: &Path) -> Result<()> {
        copy_core(core)?;
        run(self
            .module("maturin")
            .args(["develop", "--profile", "dev"])
            .env("VIRTUAL_ENV", &self.venv)
            .env("CARGO_TARGET_DIR", workspace().join("target")))
    }
}

/// Copies the component into the package.
fn copy_core(core: &Path) -> Result<()> {
    std::fs::copy(core, workspace().join(PACKAGE).join("ferro/core.wasm"))
        .with_context(|| format!("cannot copy {}", core.display()))?;
    Ok(())
}
