//! The Python interpreters of this machine.

use std::process::Command;

use anyhow::{Context as _, Result};

use crate::run::output;

/// A version of Python: major and minor.
pub(crate) type Version = (u32, u32);

/// The oldest version that the package supports.
pub(crate) const OLDEST: Version = (3, 10);

/// The user's default first, then the newest.
const NAMES: [&str; 6] =
    ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10"];

/// The default interpreter.
pub(crate) fn usual() -> Result<Command> {
    first(NAMES.into_iter(), OLDEST).with_context(|| {
        format!("Python 3.10 or later is needed: none of {} is one", NAMES.join(", "))
    })
}

/// The oldest installed interpreter that the package supports.
pub(crate) fn oldest() -> Result<Command> {
    first(NAMES.into_iter().rev(), OLDEST).map_or_else(usual, Ok)
}

/// An interpreter of at least this version, if there is one.
pub(crate) fn at_least(version: Version) -> Option<Command> {
    first(NAMES.into_iter(), version)
}

fn first(mut names: impl Iterator<Item = &'static str>, least: Version) -> Option<Command> {
    let name = names.find(|name| version(name).is_some_and(|found| found >= least))?;
    Some(interpreter(name))
}

fn interpreter(name: &str) -> Command {
    let mut command = Command::new(name);
    if let Some(version) = name.strip_prefix("python").filter(|it| it.contains('.')) {
        // Without this variable, pyenv has commands for all of its versions, but only runs the
        // selected ones.
        command.env("PYENV_VERSION", version);
    }
    command
}

fn version(name: &str) -> Option<Version> {
    let code = "import sys; print(sys.version_info[0], sys.version_info[1])";
    let text = output(interpreter(name).args(["-c", code])).ok()?;
    let (major, minor) = text.split_once(' ')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
