//! `cargo xtask guards`: removes one guard after another, to check that tests fail without it. It
//! is run by hand, since it changes sources in place, restores them, and builds once for each.

mod list;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use ferro_build::workspace;
use serde_json::Value;

use self::list::GUARDS;
use crate::run::{cargo, step};

/// A test that runs longer than this has failed: a time limit is gone, or the host hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Which guards; all unless a part of their names is given.
#[derive(Args)]
pub(crate) struct Options {
    /// Only the guards with this in their promise or their file
    #[arg(long, value_name = "PART")]
    only: Option<String>,
}

/// A line that keeps a promise, and the tests that must fail without it.
struct Guard {
    promise: &'static str,
    file: &'static str,
    /// The line of code; it occurs exactly once in the file.
    line: &'static str,
    /// Its replacement.
    without: &'static str,
    /// The test target, and a part of the names of its tests.
    target: &'static str,
    tests: &'static str,
}

/// Fails if tests pass without a guard, or fail with all of them; reports after all were tried.
pub(crate) fn run_guards(options: &Options) -> Result<()> {
    let part = options.only.as_deref().unwrap_or_default();
    let chosen = GUARDS.iter().filter(|it| it.promise.contains(part) || it.file.contains(part));
    let chosen: Vec<_> = chosen.collect();
    ensure!(!chosen.is_empty(), "no guard has `{part}` in its promise or its file");
    let mut tests: Vec<_> = chosen.iter().map(|it| (it.target, it.tests)).collect();
    tests.sort_unstable();
    tests.dedup();
    step("with every guard");
    for (target, tests) in tests {
        let program = Program::build(target)?.context("the tests do not build")?;
        ensure!(program.has(tests)?, "`{target}` has no tests with `{tests}` in their names");
        ensure!(program.passes(tests)?, "`{tests}` of `{target}` fail with every guard, too");
        println!("  {target}, {tests}: pass");
    }
    let mut faults = Vec::new();
    for (number, guard) in chosen.iter().enumerate() {
        let Guard { promise, file, target, tests, .. } = guard;
        let line = guard.line.trim();
        step(&format!("{} of {}, {promise}: {file} without `{line}`", number + 1, chosen.len()));
        let started = Instant::now();
        let fault = match guard.unnoticed()? {
            None => {
                let seconds = started.elapsed().as_secs();
                println!("  noticed by {target}, {tests}, after {seconds} s");
                continue;
            }
            Some(fault) => format!("{promise}, {file}, `{line}`: {fault}"),
        };
        println!("  {fault}");
        faults.push(fault);
    }
    match faults.is_empty() {
        true => Ok(()),
        false => bail!("guards that no test misses:\n{}", faults.join("\n")),
    }
}

/// A test program, and the folder in which it runs.
struct Program {
    path: PathBuf,
    folder: PathBuf,
}

impl Program {
    /// Builds the program; `None` if it does not compile. It has the features of the whole
    /// workspace, so that dependencies are those of `cargo xtask test`.
    fn build(target: &str) -> Result<Option<Self>> {
        let mut command = cargo();
        command.args(["test", "--quiet", "--workspace", "--test", target, "--no-run"]);
        command.args(["--message-format", "json"]).stderr(Stdio::null());
        let output = command.output().context("cannot run cargo")?;
        if !output.status.success() {
            return Ok(None);
        }
        let messages = String::from_utf8(output.stdout)?;
        let mut messages = messages.lines().filter_map(|it| serde_json::from_str(it).ok());
        let program = messages.find_map(|message: Value| {
            let (of, path) = (&message["target"], message["executable"].as_str()?);
            (of["kind"][0] == "test" && of["name"] == target).then_some(())?;
            let manifest = PathBuf::from(message["manifest_path"].as_str()?);
            Some(Self { path: path.into(), folder: manifest.parent()?.to_owned() })
        });
        program.map(Some).with_context(|| format!("no tests are called `{target}`"))
    }

    /// Whether there are such tests: a run without any would pass.
    fn has(&self, tests: &str) -> Result<bool> {
        let listed = self.command(tests).args(["--list", "--format", "terse"]).output()?;
        Ok(String::from_utf8_lossy(&listed.stdout).lines().any(|it| it.ends_with(": test")))
    }

    fn command(&self, tests: &str) -> Command {
        let mut command = Command::new(&self.path);
        // New versions of snapshots are of no interest.
        command.arg(tests).current_dir(&self.folder).env("INSTA_UPDATE", "no");
        command
    }

    fn passes(&self, tests: &str) -> Result<bool> {
        let mut command = self.command(tests);
        let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let started = Instant::now();
        loop {
            match run.try_wait()? {
                Some(status) => return Ok(status.success()),
                None if started.elapsed() > PATIENCE => break,
                None => sleep(Duration::from_millis(50)),
            }
        }
        run.kill()?;
        run.wait()?;
        Ok(false)
    }
}

/// A source file without a guard; restored on drop.
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
    /// Why its removal was not noticed; `None` if tests fail without it.
    fn unnoticed(&self) -> Result<Option<&'static str>> {
        let _removed = Removed::from(self)?;
        let Some(program) = Program::build(self.target)? else {
            return Ok(Some("what is left does not build"));
        };
        Ok(program.passes(self.tests)?.then_some("the tests pass without it"))
    }

    fn read(&self) -> Result<(PathBuf, String)> {
        let path = workspace().join(self.file);
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
