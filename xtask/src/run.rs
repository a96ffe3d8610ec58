//! Runs other programs, and prints their command lines.

use std::ffi::OsStr;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use ferro_build::workspace;

/// The `cargo` that runs this program. It builds into `target/`, where its programs are expected,
/// even if the user has configured another folder.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace()).env("CARGO_TARGET_DIR", workspace().join("target"));
    command
}

/// The same command with its own PostgreSQL server, which its tests find in the environment.
///
/// The program for this is built with the tests: if it were a part of this one, every command would
/// have to wait for the database drivers to be built.
pub(crate) fn with_postgres(command: &Command) -> Command {
    let mut wrapped = Command::new(workspace().join("target/debug/with-postgres"));
    wrapped.arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped
}

/// Prints the next step.
pub(crate) fn step(what: &str) {
    println!("\n\u{25b8} {what}");
}

/// Runs a command to its end; the error contains the command line.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    println!("  $ {line}");
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed: {status}");
    }
    Ok(())
}

/// Runs a command to its end, and returns its standard output without the final newline.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = line(command);
    let output = command.output().with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        bail!("`{line}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

fn line(command: &Command) -> String {
    let root = workspace();
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|part: &OsStr| {
            let part = part.to_string_lossy();
            part.replace(&format!("{}/", root.display()), "")
        })
        .collect::<Vec<_>>()
        .join(" ")
}
