//! Who calls: a tenant of a file, or one that the command line describes.

use std::collections::BTreeMap;
use std::path::Path;

use ferro_session::{Grant, Tenant};

use crate::failure::Failure;

/// Reads `FILE#NAME`: a file of tenants by name, in TOML or JSON. The name may be left out if there
/// is one only.
pub(crate) fn from_file(argument: &str) -> Result<Tenant, Failure> {
    let (file, name) = match argument.rsplit_once('#') {
        Some((file, name)) => (file, Some(name)),
        None => (argument, None),
    };
    let refused = |fault: String| Failure::usage(format!("the file of tenants `{file}` {fault}"));
    let text = std::fs::read_to_string(file)
        .map_err(|error| refused(format!("is unreadable: {error}")))?;
    let mut tenants = read(file, &text).map_err(|fault| refused(format!("is invalid: {fault}")))?;
    let found = match (name, tenants.len()) {
        (Some(name), _) => tenants.remove(name),
        (None, 1) => tenants.pop_first().map(|(_, tenant)| tenant),
        (None, _) => None,
    };
    found.ok_or_else(|| {
        let names: Vec<_> = tenants.keys().map(|name| format!("`{name}`")).collect();
        refused(format!("has {}: choose one with `{file}#NAME`", names.join(", ")))
    })
}

fn read(file: &str, text: &str) -> Result<BTreeMap<String, Tenant>, String> {
    match Path::new(file).extension().is_some_and(|extension| extension == "json") {
        true => serde_json::from_str(text).map_err(|error| error.to_string()),
        false => toml::from_str(text).map_err(|error| error.message().to_owned()),
    }
}

/// A tenant with the grants `LABEL=ACCESS`; without any, it may read every database.
pub(crate) fn from_grants(grants: &[String], labels: &[String]) -> Result<Tenant, Failure> {
    let mut tenant = Tenant::new("command-line");
    if grants.is_empty() {
        for label in labels {
            tenant = tenant.grant(label, Grant::read_only());
        }
    }
    for argument in grants {
        let (label, access) = argument.split_once('=').unwrap_or((argument, ""));
        let grant = match access {
            "read-only" => Grant::read_only(),
            "read-write" => Grant::read_write(),
            "raw-sql" => Grant::read_write().with_raw_sql(),
            "unfenced-raw-sql" => Grant::read_write().with_unfenced_raw_sql(),
            _ => {
                return Err(Failure::usage(format!(
                    "`{argument}` is no grant: write `LABEL=read-only`, `LABEL=read-write`, \
                     `LABEL=raw-sql` or `LABEL=unfenced-raw-sql`"
                )));
            }
        };
        tenant = tenant.grant(label, grant);
    }
    match tenant.grants.keys().find(|label| !labels.contains(label)) {
        Some(label) => Err(Failure::usage(format!(
            "`{label}` is granted but not connected: add `--connect {label}=URL`"
        ))),
        None => Ok(tenant),
    }
}
