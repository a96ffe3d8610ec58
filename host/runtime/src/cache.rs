//! The cache of compiled components on disk.
//!
//! Wasmtime manages the entries, and rejects those of other versions or configurations. But it does
//! not detect a flipped bit in the machine code, so each entry has a seal, a checksum in a file of
//! its own: an entry whose seal is missing or does not match is removed before anything is loaded.
//! This protects against corruption, not against anyone with write access to the folder: its
//! contents are executed.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::Hasher as _;
use std::io::ErrorKind::NotFound;
use std::path::{Path, PathBuf};

use ferro_session::private_folder;
use ferro_wit::types::{Error, ErrorKind};
use wasmtime::{Cache, CacheConfig};

/// How often compiled code was loaded from disk, and how often it was compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheStatistics {
    /// Components that were loaded from disk.
    pub hits: usize,
    /// Components that were compiled.
    pub misses: usize,
}

/// The entries in one folder, and their seals in another.
pub(crate) struct DiskCache {
    cache: Cache,
    entries: PathBuf,
    seals: PathBuf,
}

impl DiskCache {
    /// Opens the cache in a folder, creating it if it is missing, and removes corrupt entries.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        let folder = private_folder(folder)?;
        let mut config = CacheConfig::new();
        // A recompressed entry would no longer match its seal.
        config.with_directory(&folder).with_optimized_compression_usage_counter_threshold(u64::MAX);
        let cache = Cache::new(config).map_err(|error| {
            let message = format!("cannot use the cache folder `{}`: {error}", folder.display());
            Error::new(ErrorKind::InvalidConfiguration, message)
        })?;
        let this = Self { cache, entries: folder.join("modules"), seals: folder.join("seals") };
        this.remove_unsealed();
        this.remove_orphans();
        Ok(this)
    }

    /// The cache to configure Wasmtime with.
    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    pub(crate) fn statistics(&self) -> CacheStatistics {
        CacheStatistics { hits: self.cache.cache_hits(), misses: self.cache.cache_misses() }
    }

    /// Seals new entries; called after compiling.
    pub(crate) fn seal(&self) {
        for entry in entries(&self.entries) {
            let seal = self.seal_of(&entry);
            if seal.exists() {
                continue;
            }
            let written = digest(&entry).and_then(|digest| write_seal(&seal, &digest));
            if let Err(error) = written {
                tracing::warn!(entry = %entry.display(), %error, "cannot seal a cache entry");
            }
        }
    }

    fn remove_unsealed(&self) {
        for entry in entries(&self.entries) {
            let seal = self.seal_of(&entry);
            let sealed = fs::read_to_string(&seal);
            if sealed.is_ok_and(|sealed| digest(&entry).is_ok_and(|found| found == sealed)) {
                continue;
            }
            tracing::debug!(entry = %entry.display(), "a cache entry is removed, as its seal does not match");
            remove(&entry);
            remove(&seal);
        }
    }

    /// Removes the seals of entries that Wasmtime has evicted.
    fn remove_orphans(&self) {
        for seal in entries(&self.seals) {
            let entry = self.entries.join(seal.strip_prefix(&self.seals).unwrap_or(&seal));
            if !entry.exists() {
                remove(&seal);
            }
        }
    }

    /// The path of an entry's seal, which includes its name and the folder of its compiler.
    fn seal_of(&self, entry: &Path) -> PathBuf {
        self.seals.join(entry.strip_prefix(&self.entries).unwrap_or(entry))
    }
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != NotFound
    {
        tracing::warn!(path = %path.display(), %error, "cannot remove a file of the cache");
    }
}

/// The files in the folders of all compilers. Wasmtime's own metadata has an extension.
fn entries(modules: &Path) -> Vec<PathBuf> {
    let list = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten();
        entries.flatten().map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let files = list(modules).into_iter().flat_map(|compiler| list(&compiler));
    files.filter(|path| path.extension().is_none() && path.is_file()).collect()
}

fn digest(path: &Path) -> std::io::Result<String> {
    let mut hasher = DefaultHasher::new();
    hasher.write(&fs::read(path)?);
    Ok(format!("{:016x}", hasher.finish()))
}

fn write_seal(seal: &Path, digest: &str) -> std::io::Result<()> {
    if let Some(folder) = seal.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(seal, digest)
}
