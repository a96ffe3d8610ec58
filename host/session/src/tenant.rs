//! Tenants: callers, with their grants and limits.

use std::collections::{BTreeMap, BTreeSet};

use ferro_wit::types::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::grant::{Grant, is_default};
use crate::limits::Limits;
use crate::models::Models;
use crate::policy::{Policy, check_columns};
use crate::strict_map::{self, StrictMap};

/// A caller of plugins: its grants, by database label, and its limits.
///
/// Created in code, or read from a tenant file and written to one, without defaults. Dates, times,
/// bytes, decimals with fractions, and two filters with the same comparison on a column cannot be
/// written to a file.
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Tenant {
    /// The tenant's name, which logs, spans and counters contain. All calls with the same name
    /// share one tenant's limits and shares, whatever their other settings.
    pub name: String,
    /// Its grants, by database label. Other labels do not exist for the tenant.
    #[serde(
        default,
        deserialize_with = "strict_map::deserialize",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub grants: BTreeMap<String, Grant>,
    /// The interfaces lent by the application that its plugins may import, without versions:
    /// `acme:crm/mail`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub imports: BTreeSet<String>,
    /// The limits of each of its calls.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: Limits,
}

impl Tenant {
    /// A tenant without grants and with the default limits.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let (grants, imports) = (BTreeMap::new(), BTreeSet::new());
        Self { name: name.into(), grants, imports, limits: Limits::default() }
    }

    /// Sets the grant for the database with a label, replacing an earlier one.
    #[must_use]
    pub fn grant(mut self, label: impl Into<String>, grant: Grant) -> Self {
        self.grants.insert(label.into(), grant);
        self
    }

    /// Allows its plugins to import an interface that the application lends.
    #[must_use]
    pub fn import(mut self, interface: impl Into<String>) -> Self {
        self.imports.insert(interface.into());
        self
    }

    /// Sets the limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Checks that every grant fits the models of a plugin. Faults also make a call fail to open a
    /// session, but then only the operator's log explains them.
    ///
    /// # Errors
    ///
    /// `invalid-configuration` if a filter has no value, or one that does not fit its column; if a
    /// model lacks the column of a filter; if a grant names a table twice.
    pub fn fits(&self, models: &Models) -> Result<(), Error> {
        self.for_each_grant(|grant| Policy::new(grant, models.schema()).map(drop))
    }

    /// Also checks that the models have all columns to read and to write: a misspelt one in
    /// `except` hides nothing. For operators; a plugin may omit a column that is hidden from it.
    ///
    /// # Errors
    ///
    /// As [`Tenant::fits`], and `invalid-configuration` for such a column.
    pub fn check(&self, models: &Models) -> Result<(), Error> {
        self.fits(models)?;
        self.for_each_grant(|grant| check_columns(grant, models.schema()))
    }

    fn for_each_grant(&self, look: impl Fn(&Grant) -> Result<(), Error>) -> Result<(), Error> {
        for (label, grant) in &self.grants {
            look(grant).map_err(|error| Error {
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

/// A tenant file: tenants by name, in any format that serde reads.
///
/// ```
/// use ferro_session::TenantFile;
///
/// let file: TenantFile = toml::from_str(
///     r#"
///     [acme.grants.app]
///     access = "read-write"
///
///     [acme.grants.app.tables.notes]
///     insert = true
///     update = true
///     filters = { tenant_id = 42 }
///
///     [acme.limits]
///     rows = 500
///     "#,
/// )?;
/// let acme = &file.tenants["acme"];
/// assert_eq!((acme.name.as_str(), acme.limits.rows), ("acme", 500));
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(transparent)]
pub struct TenantFile {
    /// The tenants by name.
    pub tenants: BTreeMap<String, Tenant>,
}

impl<'de> Deserialize<'de> for TenantFile {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        /// A tenant without its name, which is its key in the file.
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        struct Entry {
            name: Option<String>,
            #[serde(default, deserialize_with = "strict_map::deserialize")]
            grants: BTreeMap<String, Grant>,
            #[serde(default)]
            imports: BTreeSet<String>,
            #[serde(default)]
            limits: Limits,
        }
        let StrictMap(entries) = StrictMap::<Entry>::deserialize(from)?;
        let tenant = |(key, entry): (String, Entry)| {
            let Entry { name, grants, imports, limits } = entry;
            let name = name.unwrap_or_else(|| key.clone());
            (key, Tenant { name, grants, imports, limits })
        };
        Ok(Self { tenants: entries.into_iter().map(tenant).collect() })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ferro_wit::policy::FieldSet;
    use ferro_wit::schema::Comparison;
    use ferro_wit::types::{ScalarType, Scalars, Value};

    use super::*;
    use crate::grant::TableGrant;

    fn texts(values: &[&str]) -> Value {
        let mut items = Scalars::with_kind(ScalarType::Text);
        for value in values {
            items.push(Value::from(*value)).unwrap();
        }
        Value::Array(items)
    }

    #[test]
    fn a_file_says_everything_that_code_can_say() {
        let file = r#"{
            "name": "acme",
            "grants": {
                "app": {
                    "access": "read-write",
                    "raw-sql": true,
                    "role": "acme",
                    "search-path": ["acme", "public"],
                    "settings": { "app.tenant": "42" },
                    "tables": {
                        "notes": {
                            "read": ["id", "text"],
                            "write": { "except": ["id"] },
                            "insert": true,
                            "filters": { "tenant_id": 42, "level": { "less": 3 } }
                        },
                        "tags": {}
                    }
                },
                "archive": {},
                "own": { "raw-sql": "unfenced" }
            },
            "imports": ["acme:crm/mail"],
            "limits": { "rows": 10, "statement-timeout": 0.25 }
        }"#;
        let notes = TableGrant { insert: true, ..TableGrant::read_only() }
            .read(FieldSet::Only(vec!["id".into(), "text".into()]))
            .write(FieldSet::Except(vec!["id".into()]))
            .filter_by("level", Comparison::Less, 3)
            .filter("tenant_id", 42);
        let app = Grant::read_write()
            .table("notes", notes)
            .table("tags", TableGrant::read_only())
            .with_raw_sql()
            .role("acme")
            .schema("acme")
            .schema("public")
            .setting("app.tenant", "42");
        let limits =
            Limits { rows: 10, statement_timeout: Duration::from_millis(250), ..Limits::default() };
        let tenant = Tenant::new("acme")
            .grant("app", app)
            .grant("archive", Grant::read_only())
            .grant("own", Grant::read_only().with_unfenced_raw_sql())
            .import("acme:crm/mail")
            .limits(limits);
        assert_eq!(serde_json::from_str::<Tenant>(file).unwrap(), tenant);
    }

    #[test]
    fn k1_a_tenant_is_shown_without_the_values_of_its_settings() {
        let tenant = Tenant::new("acme").grant("app", Grant::default().setting("a.key", "hunter2"));
        let shown = format!("{tenant:?}");
        assert!(shown.contains("a.key") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn what_is_written_to_a_file_is_read_again() {
        let uuid = uuid::uuid!("00112233-4455-6677-8899-aabbccddeeff");
        let table = TableGrant { delete: true, ..TableGrant::read_only() }
            .read(FieldSet::Only(vec!["id".into()]))
            .write(FieldSet::Except(vec!["id".into(), "a b".into()]))
            .filter("area", 1.5)
            .filter("code", "A\"1\"")
            .filter_by("level", Comparison::Equal, 3)
            .filter_by("level", Comparison::Less, i64::MAX)
            .filter("many", texts(&["x", "y"]))
            .filter_by("open", Comparison::NotEqual, false);
        let grant = Grant::read_write()
            .table("notes", table)
            .table("odd.\"name", TableGrant::read_write())
            .role("acme")
            .schema("acme")
            .setting("app.tenant", "42");
        let acme = Tenant::new("acme")
            .grant("app", grant)
            .grant("all", Grant::read_only())
            .grant("fenced", Grant::read_only().with_raw_sql())
            .grant("own", Grant::read_write().with_unfenced_raw_sql())
            .import("acme:crm/mail")
            .limits(Limits {
                deadline: Duration::from_millis(1),
                fuel: Some(7),
                ..Limits::default()
            });
        let json = serde_json::to_string(&acme).unwrap();
        assert_eq!(serde_json::from_str::<Tenant>(&json).unwrap(), acme);
        let tenants = [("acme", acme), ("key", Tenant::new("name"))];
        let tenants = tenants.map(|(key, tenant)| (key.to_owned(), tenant)).into();
        let file = TenantFile { tenants };
        let text = toml::to_string(&file).unwrap();
        assert_eq!(toml::from_str::<TenantFile>(&text).unwrap(), file, "{text}");
        let text = serde_json::to_string(&file).unwrap();
        assert_eq!(serde_json::from_str::<TenantFile>(&text).unwrap(), file, "{text}");

        // Values that its column converts to the same.
        let table =
            TableGrant::read_only().filter("id", uuid).filter("price", Value::Decimal("42".into()));
        let text = serde_json::to_string(&table).unwrap();
        assert_eq!(text, r#"{"filters":{"id":"00112233-4455-6677-8899-aabbccddeeff","price":42}}"#);
    }

    #[test]
    fn what_a_file_cannot_say_is_an_error_and_never_left_out() {
        for value in [
            Value::Date(1),
            Value::Blob(vec![1]),
            Value::Decimal("1.5".into()),
            Value::Float(f64::INFINITY),
            Value::Null,
        ] {
            let table = TableGrant::read_only().filter("c", value);
            let error = serde_json::to_string(&table).unwrap_err().to_string();
            assert!(error.contains("column `c`"), "{error}");
        }
        let twice = TableGrant::read_only().filter("c", 1).filter("c", 2);
        let error = serde_json::to_string(&twice).unwrap_err().to_string();
        assert!(error.contains("column `c`") && error.contains("twice"), "{error}");
    }

    #[test]
    fn a_misspelt_name_in_a_file_is_an_error_and_never_a_wider_grant() {
        let files = [
            r#"{"name": "a", "grant": {}}"#,
            r#"{"name": "a", "import": []}"#,
            r#"{"name": "a", "grants": {"app": {"table": {}}}}"#,
            r#"{"name": "a", "grants": {"app": {"access": "all"}}}"#,
            r#"{"name": "a", "grants": {"app": {"tables": {"t": {"filter": {"x": 1}}}}}}"#,
            r#"{"name": "a", "grants": {"app": {"tables": {"t": {"read": {"only-not": []}}}}}}"#,
            r#"{"name": "a", "grants": {"app": {"raw-sql": "trusted"}}}"#,
            r#"{"name": "a", "limits": {"row": 1}}"#,
            r#"{"name": "a", "limits": {"deadline": -1}}"#,
            r#"{"name": "a", "limits": {"deadline": "5s"}}"#,
            r#"{"grants": {}}"#,
        ];
        for file in files {
            assert!(serde_json::from_str::<Tenant>(file).is_err(), "{file}");
        }
    }

    #[test]
    fn a_name_that_stands_twice_in_a_file_is_an_error_and_never_a_wider_grant() {
        for tenant in [
            r#"{"grants": {"app": {}, "app": {}}}"#,
            r#"{"grants": {"app": {"tables": {"t": {"filters": {"x": 1}}, "t": {}}}}}"#,
            r#"{"grants": {"app": {"tables": {"t": {"filters": {"x": 1, "x": [1, 2]}}}}}}"#,
            r#"{"grants": {"app": {"settings": {"a.b": "1", "a.b": "2"}}}}"#,
        ] {
            let file = format!(r#"{{"acme": {tenant}}}"#);
            let error = serde_json::from_str::<TenantFile>(&file).unwrap_err();
            assert!(error.to_string().contains("duplicate key"), "{error}");
        }
        let twice = r#"{"acme": {}, "acme": {"grants": {"app": {}}}}"#;
        assert!(serde_json::from_str::<TenantFile>(twice).is_err());
    }

    #[test]
    fn a_file_of_tenants_is_the_same_in_both_formats() {
        let toml = r#"
            [acme.grants.app]
            access = "read-write"
            tables.notes = { insert = true, filters = { tenant_id = [1, 2], level.less = 3 } }

            [acme.limits]
            calls = 4
            queued-calls = 0
            connections = 2
            fuel = 1_000_000
            rows-written = 10
            deadline = 1.5

            [other]
            name = "another"
        "#;
        let json = r#"{
            "acme": {
                "grants": {
                    "app": {
                        "access": "read-write",
                        "tables": {
                            "notes": {
                                "insert": true,
                                "filters": { "tenant_id": [1, 2], "level": { "less": 3 } }
                            }
                        }
                    }
                },
                "limits": {
                    "calls": 4, "queued-calls": 0, "connections": 2, "fuel": 1000000,
                    "rows-written": 10, "deadline": 1.5
                }
            },
            "other": { "name": "another" }
        }"#;
        let read: TenantFile = toml::from_str(toml).unwrap();
        assert_eq!(read, serde_json::from_str(json).unwrap());
        assert_eq!(read.tenants["acme"].name, "acme");
        assert_eq!(read.tenants["acme"].limits.fuel, Some(1_000_000));
        assert_eq!(read.tenants["other"], Tenant::new("another"));
        for misspelt in ["[acme.grant.app]", "[acme]\nlimits.call = 1", "acme = 3"] {
            assert!(toml::from_str::<TenantFile>(misspelt).is_err(), "{misspelt}");
        }
    }
}
