//! The tenant of a call: from a file, or from the command line.

use std::path::Path;

use ferro_session::{Grant, Tenant, TenantFile};

use crate::failure::Failure;

/// Reads `FILE#NAME`: a file of tenants by name, in TOML or JSON. The name may be omitted if there
/// is only one.
pub(crate) fn from_file(argument: &str) -> Result<Tenant, Failure> {
    let (file, name) = match argument.rsplit_once('#') {
        Some((file, name)) => (file, Some(name)),
        None => (argument, None),
    };
    let refused = |fault: String| Failure::usage(format!("the tenant file `{file}` {fault}"));
    let text = std::fs::read_to_string(file)
        .map_err(|error| refused(format!("is unreadable: {error}")))?;
    let TenantFile { mut tenants } =
        read(file, &text).map_err(|fault| refused(format!("is invalid: {fault}")))?;
    let found = match (name, tenants.len()) {
        (Some(name), _) => tenants.remove(name),
        (None, 1) => tenants.pop_first().map(|(_, tenant)| tenant),
        (None, _) => None,
    };
    found.ok_or_else(|| {
        let names: Vec<_> = tenants.keys().map(|name| format!("`{name}`")).collect();
        match names.is_empty() {
            true => refused("has no tenant".to_owned()),
            false => refused(format!("has {}: choose one with `{file}#NAME`", names.join(", "))),
        }
    })
}

fn read(file: &str, text: &str) -> Result<TenantFile, String> {
    match Path::new(file).extension().is_some_and(|extension| extension == "json") {
        true => serde_json::from_str(text).map_err(|error| error.to_string()),
        false => toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|it| text.get(..it.start)).unwrap_or_default();
            format!("{} at line {}", error.message(), before.matches('\n').count() + 1)
        }),
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
                    "`{argument}` is not a grant: write `LABEL=read-only`, `LABEL=read-write`, \
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

#[cfg(test)]
mod tests {
    use super::*;

    const ATLAS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest/examples/atlas");
    const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");

    #[test]
    fn the_tenants_of_the_example_are_the_same_in_both_formats() {
        for name in ["europe", "peru", "nobody"] {
            let read = |format| from_file(&format!("{ATLAS}/tenants.{format}#{name}"));
            let (toml, json) = (read("toml"), read("json"));
            assert!(toml.is_ok(), "{name}: {:?}", toml.map_err(|it| it.line()));
            assert!(toml.ok() == json.ok(), "{name} differs");
        }
    }

    #[test]
    fn the_first_page_shows_the_tenants_of_the_example() {
        let shown = std::fs::read_to_string(format!("{ATLAS}/tenants.toml"));
        let shown = shown.as_deref().unwrap_or_default().split_once("\n\n");
        let readme = std::fs::read_to_string(README).unwrap_or_default();
        assert!(shown.is_some_and(|(_, tenants)| readme.contains(tenants)));
    }
}
