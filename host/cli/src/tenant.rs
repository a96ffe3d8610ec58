//! Who calls: a tenant of a file, or one that the command line describes.

use std::path::Path;

use ferro_session::{Grant, Tenant};
use serde::Deserialize;

use crate::failure::Failure;

/// A file of tenants: `[[tenant]]` in TOML, `{"tenant": [...]}` in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tenants {
    tenant: Vec<Tenant>,
}

/// Reads `FILE#NAME`; the name may be left out if the file has one tenant only.
pub(crate) fn from_file(argument: &str) -> Result<Tenant, Failure> {
    let (file, name) = match argument.rsplit_once('#') {
        Some((file, name)) => (file, Some(name)),
        None => (argument, None),
    };
    let refused = |fault: String| Failure::usage(format!("the file of tenants `{file}` {fault}"));
    let text =
        std::fs::read_to_string(file).map_err(|it| refused(format!("is not readable: {it}")))?;
    let is_json = Path::new(file).extension().is_some_and(|it| it == "json");
    let read = match is_json {
        true => serde_json::from_str::<Tenants>(&text).map_err(|error| error.to_string()),
        false => toml::from_str::<Tenants>(&text).map_err(|error| error.message().to_owned()),
    };
    let mut tenants = read.map_err(|fault| refused(format!("is not valid: {fault}")))?.tenant;
    let found = match name {
        Some(name) => tenants.iter().position(|tenant| tenant.name == name),
        None => (tenants.len() == 1).then_some(0),
    };
    match found {
        Some(position) => Ok(tenants.swap_remove(position)),
        None => {
            let names: Vec<_> = tenants.iter().map(|it| format!("`{}`", it.name)).collect();
            Err(refused(format!("has {}; choose one with `{file}#NAME`", names.join(", "))))
        }
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
            _ => {
                return Err(Failure::usage(format!(
                    "`{argument}` is no grant: write `LABEL=read-only`, `LABEL=read-write` or \
                     `LABEL=raw-sql`"
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
