//! The cache of compiled components: used again, and rebuilt where it has decayed.

use std::path::{Path, PathBuf};

use ferro_host::{CacheStatistics, ErrorKind, Host, HostOptions};

use crate::support::{probe, tenant};

/// Loads the plugin in a new host, calls it, and tells what the cache did.
async fn load(folder: &Path) -> CacheStatistics {
    let cache = Some(folder.to_owned());
    let host = Host::new(HostOptions { cache, instances: 2, ..HostOptions::default() }).unwrap();
    let plugin = host.load(probe()).await.unwrap();
    assert_eq!(plugin.call_wave(&tenant(), "calls()").await.unwrap(), "1");
    host.cache_statistics().unwrap()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let compilers = list(&folder.join("modules"));
    let files = compilers.iter().flat_map(|compiler| list(compiler));
    files.filter(|path| path.extension().is_none()).collect()
}

/// The core and the plugin.
const COMPILED: CacheStatistics = CacheStatistics { hits: 0, misses: 2 };
const CACHED: CacheStatistics = CacheStatistics { hits: 2, misses: 0 };

#[tokio::test]
async fn a_component_is_compiled_once_and_decayed_entries_are_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert_eq!(load(folder).await, COMPILED);
    assert_eq!(load(folder).await, CACHED);

    let decays: [fn(&mut Vec<u8>); 3] = [
        |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        },
        |bytes| bytes.truncate(bytes.len() / 2),
        |bytes| *bytes = b"something else".to_vec(),
    ];
    for decay in decays {
        for entry in entries(folder) {
            let mut bytes = std::fs::read(&entry).unwrap();
            decay(&mut bytes);
            std::fs::write(&entry, bytes).unwrap();
        }
        assert_eq!(load(folder).await, COMPILED, "nothing decayed is run");
        assert_eq!(load(folder).await, CACHED);
    }

    std::fs::remove_dir_all(folder.join("seals")).unwrap();
    assert_eq!(load(folder).await, COMPILED, "what nobody vouches for is not run");
}

#[cfg(unix)]
#[tokio::test]
async fn s6_a_cache_that_is_not_the_users_alone_is_refused() {
    use std::fs::{Permissions, create_dir, set_permissions};
    use std::os::unix::fs::{PermissionsExt as _, chown};

    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("cache");
    create_dir(&folder).unwrap();
    let refused = |expected: &str| {
        let cache = Some(folder.clone());
        let error = Host::new(HostOptions { cache, ..HostOptions::default() }).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidConfiguration);
        assert!(error.message.contains(expected), "{error}");
    };
    for mode in [0o777, 0o775, 0o1777] {
        set_permissions(&folder, Permissions::from_mode(mode)).unwrap();
        refused("other users may write to it");
    }
    set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    set_permissions(parent.path(), Permissions::from_mode(0o777)).unwrap();
    refused("put another folder in its place");
    set_permissions(parent.path(), Permissions::from_mode(0o755)).unwrap();
    // Only root can try the rest.
    if chown(&folder, Some(65_534), None).is_ok() {
        refused("belongs to another user");
        chown(&folder, Some(0), None).unwrap();
        chown(parent.path(), Some(65_534), None).unwrap();
        refused("put another folder in its place");
    }
}
