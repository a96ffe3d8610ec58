//! Running other programs, with a line that says which.

use std::ffi::OsStr;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use ferro_build::workspace;

/// `cargo`, the one that runs this program. It builds into `target/`, where its programs are looked
/// for, even if the user has another folder for what is built.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace()).env("CARGO_TARGET_DIR", workspace().join("target"));
    command
}

/// The same command with a PostgreSQL server of its own, which its tests find in the environment.
///
/// The program that does so is built with the tests: built into this one, it would have every command
/// wait for the drivers of databases.
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

/// Says what comes next.
pub(crate) fn step(what: &str) {
    println!("\n\u{25b8} {what}");
}

/// Runs to the end; fails with the command line if the program does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    println!("  $ {line}");
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed: {status}");
    }
    Ok(())
}

/// Runs to the end and gives its standard output, without the final newline.
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
