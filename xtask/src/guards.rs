//! `cargo xtask guards`: removes one guard after another, to see that tests fail without it. By hand:
//! it changes sources in place, puts them back, and builds for each.

mod list;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use self::list::GUARDS;
use crate::run::{cargo, root, step};

/// Which guards; all unless a part of their names is given.
#[derive(Args)]
pub(crate) struct Options {
    /// Only the guards with this in their promise or their file
    #[arg(long, value_name = "PART")]
    only: Option<String>,
}

/// A line that keeps a promise, and the tests that have to notice when it is gone.
struct Guard {
    promise: &'static str,
    file: &'static str,
    /// Stands there once.
    line: &'static str,
    /// What stands there instead.
    without: &'static str,
    /// The test target, and what the names of its tests have in them.
    target: &'static str,
    tests: &'static str,
}

/// Fails if tests pass without a guard.
pub(crate) fn run_guards(options: &Options) -> Result<()> {
    let part = options.only.as_deref().unwrap_or_default();
    let chosen = GUARDS.iter().filter(|it| it.promise.contains(part) || it.file.contains(part));
    let chosen: Vec<_> = chosen.collect();
    ensure!(!chosen.is_empty(), "no guard has `{part}` in its promise or its file");
    let mut unnoticed = Vec::new();
    for guard in chosen {
        let Guard { promise, file, target, tests, .. } = guard;
        step(&format!("{promise}: {file} without `{}`", guard.line.trim()));
        ensure!(passes(guard)?, "`{tests}` of `{target}` fail with the guard, too");
        let removed = Removed::from(guard)?;
        ensure!(builds(guard)?, "{file} does not build without the guard");
        let passes = passes(guard)?;
        drop(removed);
        match passes {
            true => unnoticed.push(format!("{promise} in {file}")),
            false => println!("  noticed by {target}, {tests}"),
        }
    }
    match unnoticed.is_empty() {
        true => Ok(()),
        false => bail!("no test notices that these are gone: {}", unnoticed.join("; ")),
    }
}

fn builds(guard: &Guard) -> Result<bool> {
    succeeds(test(guard).arg("--no-run"))
}

fn passes(guard: &Guard) -> Result<bool> {
    succeeds(test(guard).arg(guard.tests))
}

/// With the features of the whole workspace, so that dependencies are those of `cargo xtask test`.
fn test(guard: &Guard) -> Command {
    let mut command = cargo();
    command.args(["test", "--quiet", "--workspace", "--test", guard.target]);
    command
}

fn succeeds(command: &mut Command) -> Result<bool> {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    Ok(status.context("cannot run cargo")?.success())
}

/// A source without a guard; put back when this is dropped.
struct Removed {
    path: PathBuf,
    source: String,
}

impl Removed {
    fn from(guard: &Guard) -> Result<Self> {
        let (path, source) = guard.read()?;
        fs::write(&path, source.replacen(guard.line, guard.without, 1))?;
        Ok(Self { path, source })
    }
}

impl Drop for Removed {
    fn drop(&mut self) {
        if let Err(error) = fs::write(&self.path, &self.source) {
            eprintln!("{} is changed: restore it by git: {error}", self.path.display());
        }
    }
}

impl Guard {
    fn read(&self) -> Result<(PathBuf, String)> {
        let path = root().join(self.file);
        let source = fs::read_to_string(&path).with_context(|| format!("no {}", self.file))?;
        let times = source.matches(self.line).count();
        ensure!(times == 1, "`{}` stands {times} times in {}", self.line, self.file);
        Ok((path, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guard_stands_where_the_list_says() {
        for guard in GUARDS {
            guard.read().unwrap();
            assert_ne!(guard.line, guard.without);
        }
    }
}
