//! Checks before a plugin's code may run: of its bytes, imports and exports.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use ferro_wit::VERSION;
use ferro_wit::types::{Error, ErrorKind};
use wasmtime::Engine;
use wasmtime::component::types::Component as ComponentType;

use crate::wasi;

/// The package that plugins are built against.
const PACKAGE: &str = "ferro:orm/";

const MODELS: &str = "ferro:orm/models";
pub(crate) const RAW_SQL: &str = "ferro:orm/raw-sql";

/// The interfaces of the package that a plugin may import; the rest are types.
const INTERFACES: [&str; 5] =
    ["ferro:orm/types", "ferro:orm/schema", "ferro:orm/query", "ferro:orm/database", RAW_SQL];

/// Reads a component file, up to one byte more than the limit.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let failed = |error: std::io::Error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::InvalidConfiguration,
        };
        Error::new(kind, format!("cannot read the plugin `{}`: {error}", path.display()))
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Whether every host provides an interface.
pub(crate) fn is_own(interface: &str) -> bool {
    interface.starts_with(PACKAGE) || wasi::INTERFACES.contains(&interface)
}

/// Rejects imports that no tenant can be granted, and exports of another version of the package.
pub(crate) fn check_interfaces(
    name: &str,
    ty: &ComponentType,
    engine: &Engine,
    lent: &BTreeSet<String>,
) -> Result<(), Error> {
    for (import, _) in ty.imports(engine) {
        check_version(name, import)?;
        let interface = without_version(import);
        let is_known = INTERFACES.contains(&interface) || wasi::INTERFACES.contains(&interface);
        if !is_known && !lent.contains(interface) {
            let message =
                format!("the plugin `{name}` imports `{import}`, which is not granted to plugins");
            return Err(Error::new(ErrorKind::Denied, message));
        }
    }
    for (export, _) in ty.exports(engine) {
        check_version(name, export)?;
    }
    if ty.exports(engine).any(|(export, _)| without_version(export) == MODELS) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidConfiguration,
        format!(
            "the component `{name}` is not a plugin: it does not export `{MODELS}`; include the \
             world `{PACKAGE}plugin` in its own"
        ),
    ))
}

/// Checks the version: before 1.0, only the last number may differ.
fn check_version(name: &str, interface: &str) -> Result<(), Error> {
    let track = |version: &str| version.rsplit_once('.').map(|(track, _)| track.to_owned());
    match interface.split_once('@') {
        Some((path, version)) if path.starts_with(PACKAGE) && track(version) != track(VERSION) => {
            Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "the plugin `{name}` was built against `{interface}`; this host has version \
                     {VERSION}: build it against that one"
                ),
            ))
        }
        _ => Ok(()),
    }
}

pub(crate) fn without_version(interface: &str) -> &str {
    interface.split('@').next().unwrap_or(interface)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_compatible_in_its_last_number_only() {
        assert_eq!(check_version("x", "ferro:orm/database@0.1.7"), Ok(()));
        assert_eq!(check_version("x", "wasi:cli/stdin@0.3.0"), Ok(()));
        let error = check_version("x", "ferro:orm/database@0.2.0").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unsupported);
        assert!(error.message.contains("`ferro:orm/database@0.2.0`"), "{error}");
    }
}
