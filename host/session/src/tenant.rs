//! Tenants: who calls, what they are granted, how much they may use.

use std::collections::BTreeMap;

use ferro_wit::types::Error;
use serde::Deserialize;

use crate::grant::Grant;
use crate::limits::Limits;
use crate::models::Models;
use crate::policy::Policy;

/// A party that calls plugins: the databases that it is granted, by label, and its limits.
///
/// Made in code, or read from an operator's file:
///
/// ```
/// use ferro_session::{Grant, TableGrant, Tenant};
///
/// let built = Tenant::new("acme").grant(
///     "app",
///     Grant::read_write().table("notes", TableGrant::read_write().filter("tenant_id", 42)),
/// );
/// let read: Tenant = serde_json::from_str(
///     r#"{
///         "name": "acme",
///         "grants": {
///             "app": {
///                 "access": "read-write",
///                 "tables": {
///                     "notes": {
///                         "insert": true, "update": true, "delete": true,
///                         "filters": { "tenant_id": 42 }
///                     }
///                 }
///             }
///         }
///     }"#,
/// )?;
/// assert_eq!(read, built);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Tenant {
    /// The tenant's name, for logs.
    pub name: String,
    /// What it may do, by the database's label. A label that is not named here does not exist for
    /// the tenant.
    #[serde(default)]
    pub grants: BTreeMap<String, Grant>,
    /// How much each of its calls may use.
    #[serde(default)]
    pub limits: Limits,
}

impl Tenant {
    /// A tenant without grants and with the default limits.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), grants: BTreeMap::new(), limits: Limits::default() }
    }

    /// The same, with a grant for the database with a label; it replaces a former one.
    #[must_use]
    pub fn grant(mut self, label: impl Into<String>, grant: Grant) -> Self {
        self.grants.insert(label.into(), grant);
        self
    }

    /// The same, with other limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Checks that every grant fits the models of a plugin. What fails here fails again when a call
    /// opens a session, but there only the operator's log says why.
    ///
    /// # Errors
    ///
    /// `invalid-configuration`, if a filter has no value, or one that its column cannot have; if a
    /// table lacks the column of a filter; if a grant names a column that its table lacks.
    pub fn check(&self, models: &Models) -> Result<(), Error> {
        for (label, grant) in &self.grants {
            Policy::new(grant, models.schema()).map_err(|error| Error {
                message: format!(
                    "the grant of `{}` for `{label}` is not valid: {error}",
                    self.name
                ),
                ..error
            })?;
        }
        Ok(())
    }
}
