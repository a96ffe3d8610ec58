//! Turns guest crates of this workspace into components: for build scripts, tests and `xtask`.
//!
//! A guest is a `cdylib` whose library has the package's name. The inner cargo has a target folder
//! of its own, `target/guest`, so that it can run inside a build script of the outer one.
//!
//! ```no_run
//! let path = ferro_build::component("ferro-component", ferro_build::Target::Unknown)?;
//! for source in ferro_build::sources("ferro-component", ferro_build::Target::Unknown)? {
//!     println!("cargo::rerun-if-changed={}", source.display());
//! }
//! # anyhow::Ok(())
//! ```

#![forbid(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, bail, ensure};
use wit_component::ComponentEncoder;

/// What a guest is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// `wasm32-unknown-unknown`, componentised without an adapter: no import that the crate's world
    /// does not name.
    Unknown,
    /// `wasm32-wasip2`: std works, and imports interfaces of WASI.
    Wasip2,
}

impl Target {
    /// The name that rustc knows the target by.
    #[must_use]
    pub fn triple(self) -> &'static str {
        match self {
            Self::Unknown => "wasm32-unknown-unknown",
            Self::Wasip2 => "wasm32-wasip2",
        }
    }
}

/// Builds a guest crate of this workspace into `target/components/PACKAGE.wasm`, and gives that path.
///
/// The file is replaced in one step, and only if it changes. Any number of processes may call this
/// at the same time.
///
/// # Errors
///
/// The target is not installed and rustup cannot add it, the crate does not compile, or its module
/// cannot become a component. What cargo has to say goes to standard error.
pub fn component(package: &str, target: Target) -> Result<PathBuf> {
    let _lock = lock()?;
    ensure_installed(target)?;
    compile(package, target)?;
    let module = artifact(package, target, "wasm");
    let bytes = fs::read(&module).with_context(|| {
        format!("cannot read `{}`: is `{package}` a cdylib of that name?", module.display())
    })?;
    let component = match target {
        Target::Unknown => ComponentEncoder::default()
            .validate(true)
            .module(&bytes)
            .and_then(|encoder| encoder.encode())
            .with_context(|| format!("cannot make a component of `{package}`"))?,
        Target::Wasip2 => bytes,
    };
    let path = workspace().join("target/components").join(package).with_extension("wasm");
    replace(&path, &component)?;
    Ok(path)
}

/// The files that a component is made from, as its last build found them, for a build script to
/// watch.
///
/// # Errors
///
/// The component was not built yet.
pub fn sources(package: &str, target: Target) -> Result<Vec<PathBuf>> {
    let list = artifact(package, target, "d");
    let text = fs::read_to_string(&list)
        .with_context(|| format!("cannot read `{}`: build the component first", list.display()))?;
    let (_, files) = text.split_once(": ").unwrap_or_default();
    // A space inside a name is escaped.
    let mut sources: Vec<PathBuf> = files
        .replace("\\ ", "\0")
        .split_whitespace()
        .map(|file| PathBuf::from(file.replace('\0', " ")))
        .collect();
    sources.extend(["Cargo.toml", "Cargo.lock"].map(|name| workspace().join(name)));
    Ok(sources)
}

/// The root of this workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

fn artifact(package: &str, target: Target, extension: &str) -> PathBuf {
    let name = package.replace('-', "_");
    let folder = workspace().join("target/guest").join(target.triple()).join("component");
    folder.join(name).with_extension(extension)
}

/// Cargo removes an artifact before it writes it anew: nobody may read in between.
fn lock() -> Result<File> {
    let folder = workspace().join("target/guest");
    fs::create_dir_all(&folder)?;
    let file = File::create(folder.join(".ferro-build.lock"))?;
    file.lock().context("cannot lock the folder of components")?;
    Ok(file)
}

fn ensure_installed(target: Target) -> Result<()> {
    let triple = target.triple();
    let add = || format!("run `rustup target add {triple}`");
    if is_installed(triple)? {
        return Ok(());
    }
    let added = command("rustup").args(["target", "add", triple]).status();
    match added {
        Ok(status) if status.success() && is_installed(triple)? => Ok(()),
        Ok(_) => bail!("rustup could not add the target `{triple}`: {}", add()),
        Err(_) => bail!("the target `{triple}` is not installed: {}", add()),
    }
}

fn is_installed(triple: &str) -> Result<bool> {
    let output = command("rustc")
        .args(["--print", "target-libdir", "--target", triple])
        .output()
        .context("cannot run rustc")?;
    let folder = String::from_utf8_lossy(&output.stdout);
    Ok(output.status.success() && Path::new(folder.trim()).is_dir())
}

fn compile(package: &str, target: Target) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = command(&cargo)
        .args(["build", "--package", package, "--target", target.triple()])
        .args(["--profile", "component", "--target-dir"])
        .arg(workspace().join("target/guest"))
        .stdout(Stdio::null())
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "cannot build `{package}` for {}", target.triple());
    Ok(())
}

/// A command in the workspace that knows nothing of the cargo that runs this process: flags and
/// wrappers of the host's build would break the guest's, or build it again and again.
fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(workspace());
    for (name, _) in std::env::vars_os() {
        if is_of_outer_build(&name) {
            command.env_remove(&name);
        }
    }
    command
}

fn is_of_outer_build(name: &OsString) -> bool {
    const KEPT: [&str; 7] = [
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_MAKEFLAGS",
        "CARGO_NET_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
        "CARGO_TERM_",
    ];
    const DROPPED: [&str; 9] = [
        "DEBUG",
        "HOST",
        "NUM_JOBS",
        "OPT_LEVEL",
        "OUT_DIR",
        "PROFILE",
        "RUSTC",
        "RUSTDOC",
        "TARGET",
    ];
    const DROPPED_PREFIXES: [&str; 9] = [
        "CARGO",
        "CLIPPY_",
        "DEP_",
        "RUSTC_LINKER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTDOCFLAGS",
        "RUSTFLAGS",
        "__CARGO",
        "MIRI",
    ];
    let Some(name) = name.to_str() else { return false };
    let starts_with = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    !starts_with(&KEPT) && (DROPPED.contains(&name) || starts_with(&DROPPED_PREFIXES))
}

fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let unique = format!("{}-{}.tmp", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let temporary = path.with_extension(unique);
    fs::write(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        .with_context(|| format!("cannot write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outer_build_does_not_reach_the_inner_one() {
        let dropped = [
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_TARGET_DIR",
            "CARGO_FEATURE_X",
            "RUSTFLAGS",
            "TARGET",
            "RUSTC_WORKSPACE_WRAPPER",
            "CLIPPY_ARGS",
            "OUT_DIR",
            "DEP_SQLITE3_INCLUDE",
        ];
        let kept = ["CARGO_HOME", "CARGO_NET_OFFLINE", "PATH", "RUSTC_WRAPPER", "RUSTUP_TOOLCHAIN"];
        for name in dropped {
            assert!(is_of_outer_build(&name.into()), "{name} is dropped");
        }
        for name in kept {
            assert!(!is_of_outer_build(&name.into()), "{name} is kept");
        }
    }

    #[test]
    fn a_file_is_replaced_only_when_it_changes() {
        let folder = workspace().join("target/tmp/ferro-build");
        let path = folder.join("x.wasm");
        replace(&path, b"one").unwrap();
        let written = fs::metadata(&path).unwrap().modified().unwrap();
        replace(&path, b"one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), written);
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no temporary file is left");
        fs::remove_dir_all(&folder).unwrap();
    }
}
