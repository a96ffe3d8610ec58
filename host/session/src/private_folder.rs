//! Private folders for files that are executed: compiled components.

use std::fs;
use std::path::{Path, PathBuf};

use ferro_wit::types::{Error, ErrorKind};

/// The user's cache folder for this program; `None` if the environment does not define one.
#[must_use]
pub fn cache_folder() -> Option<PathBuf> {
    let from = |name| std::env::var_os(name).map(PathBuf::from);
    let caches = if cfg!(windows) {
        from("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        std::env::home_dir().map(|home| home.join("Library/Caches"))
    } else {
        let chosen = from("XDG_CACHE_HOME").filter(|path| path.is_absolute());
        chosen.or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
    };
    Some(caches.filter(|path| path.is_absolute())?.join("ferro"))
}

/// Creates a folder that nobody else may write to or replace, since its contents are executed.
/// Returns its path without links, which others could redirect.
///
/// # Errors
///
/// `invalid-configuration` if it cannot be created, or is not private to the user.
pub fn private_folder(folder: &Path) -> Result<PathBuf, Error> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| refused(folder, &error))?;
    let folder = folder.canonicalize().map_err(|error| refused(folder, &error))?;
    #[cfg(unix)]
    if let Some(fault) = fault(&folder).map_err(|error| refused(&folder, &error))? {
        return Err(refused(&folder, &format!("{fault}, and its contents are executed")));
    }
    Ok(folder)
}

/// The reason why a folder, whose path has no links, is not private to the user.
#[cfg(unix)]
fn fault(folder: &Path) -> std::io::Result<Option<&'static str>> {
    use std::os::unix::fs::MetadataExt as _;

    const OTHERS: u32 = 0o002;
    const GROUP_AND_OTHERS: u32 = 0o022;
    const STICKY: u32 = 0o1000;
    let user = rustix::process::geteuid().as_raw();
    let found = fs::metadata(folder)?;
    if found.uid() != user {
        return Ok(Some("it belongs to another user"));
    }
    if found.mode() & GROUP_AND_OTHERS != 0 {
        return Ok(Some("other users may write to it"));
    }
    for above in folder.ancestors().skip(1) {
        let found = fs::metadata(above)?;
        let is_open = found.mode() & OTHERS != 0 && found.mode() & STICKY == 0;
        if is_open || ![user, 0].contains(&found.uid()) {
            return Ok(Some("other users may put another folder in its place"));
        }
    }
    Ok(None)
}

fn refused(folder: &Path, fault: &dyn std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::InvalidConfiguration,
        format!("cannot use the cache folder `{}`: {fault}", folder.display()),
    )
}
