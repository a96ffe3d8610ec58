//! The compiler with JSON text for its records, as serde writes the types of `ferro-wit`.

use ferro_core::Catalog;
use ferro_wit::policy::Scope;
use ferro_wit::query::Query;
use ferro_wit::types::{Dialect, Error, ErrorKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Checks a `schema`.
///
/// # Errors
///
/// A list of faults. Text that is no schema is one.
pub fn create(models: &str) -> Result<Catalog, String> {
    serde_json::from_str(models)
        .map_err(|fault| vec![format!("the models are not a schema: {fault}")])
        .and_then(Catalog::new)
        .map_err(|faults| write(&faults))
}

/// Takes `{query, dialect, scope}`, returns a `plan`.
///
/// # Errors
///
/// An `error`.
pub fn compile(catalog: &Catalog, request: &str) -> Result<String, String> {
    answer(request, |it: Compile| catalog.compile(&it.query, it.dialect, it.scope.as_ref()))
}

/// Takes `{dialect, found}`, returns a list of `migration-step`.
///
/// # Errors
///
/// An `error`.
pub fn create_tables(catalog: &Catalog, request: &str) -> Result<String, String> {
    answer(request, |it: Migrate| catalog.create_tables(it.dialect, &it.found))
}

/// Takes a `dialect`, returns a list of statements.
///
/// # Errors
///
/// An `error`.
pub fn introspection(catalog: &Catalog, request: &str) -> Result<String, String> {
    answer(request, |dialect: Dialect| catalog.introspection(dialect))
}

/// Takes `{dialect, found}`, returns a list of `migration-step`.
///
/// # Errors
///
/// An `error`.
pub fn migrate(catalog: &Catalog, request: &str) -> Result<String, String> {
    answer(request, |it: Migrate| catalog.migrate(it.dialect, &it.found))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Compile {
    query: Query,
    dialect: Dialect,
    #[serde(default)]
    scope: Option<Scope>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Migrate {
    dialect: Dialect,
    found: Vec<String>,
}

fn answer<I: DeserializeOwned, O: Serialize>(
    request: &str,
    answer: impl FnOnce(I) -> Result<O, Error>,
) -> Result<String, String> {
    serde_json::from_str(request)
        .map_err(|fault| {
            Error::new(ErrorKind::InvalidQuery, format!("the request cannot be read: {fault}"))
        })
        .and_then(answer)
        .map(|it| write(&it))
        .map_err(|it| write(&it))
}

/// The types of `ferro-wit` have text keys only, so they can always be written.
fn write(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|fault| {
        format!(r#"{{"kind":"internal","message":"{fault}","retryable":false}}"#)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{"models": [{
        "name": "City",
        "fields": [{
            "name": "name", "kind": {"text": null}, "nullable": false, "unique": false,
            "indexed": false, "generated-key": false, "version": false
        }],
        "primary-key": ["name"]
    }]}"#;

    const QUERY: &str = r#"{
        "nodes": [
            {"field": {"outer": 0, "field": "name"}},
            {"parameter": {"index": 0, "kind": "text", "many": false}},
            {"binary": ["equal", 0, 1]}
        ],
        "selects": [{"model": "City", "projection": "model", "distinct": "no", "filter": 2}],
        "statement": {"select": 0}
    }"#;

    #[test]
    fn a_query_in_json_is_a_plan_in_json() {
        let catalog = create(SCHEMA).unwrap();
        let request = format!(r#"{{"query": {QUERY}, "dialect": "sqlite", "scope": null}}"#);
        let plan: serde_json::Value =
            serde_json::from_str(&compile(&catalog, &request).unwrap()).unwrap();
        assert_eq!(
            plan["steps"][0]["sql"],
            r#"SELECT "t0"."name" FROM "city" AS "t0" WHERE "t0"."name" = ?1"#
        );
        assert_eq!(plan["steps"][0]["binds"][0]["source"]["parameter"], 0);
        let steps = create_tables(&catalog, r#"{"dialect": "postgres", "found": []}"#).unwrap();
        assert!(steps.contains("CREATE TABLE IF NOT EXISTS"), "{steps}");
        let questions = introspection(&catalog, r#""sqlite""#).unwrap();
        let questions: Vec<String> = serde_json::from_str(&questions).unwrap();
        assert!(questions[0].contains("sqlite_schema"), "{questions:?}");
        let steps = migrate(&catalog, r#"{"dialect": "sqlite", "found": []}"#).unwrap();
        assert!(steps.contains("create table `city`"), "{steps}");
    }

    #[test]
    fn errors_and_faults_are_json_too() {
        let faults = create(&SCHEMA.replace(r#"["name"]"#, r#"["nmae"]"#)).unwrap_err();
        let faults: Vec<String> = serde_json::from_str(&faults).unwrap();
        assert_eq!(
            faults,
            ["model `City`, primary key: there is no field `nmae`; did you mean `name`?"]
        );
        let faults: Vec<String> = serde_json::from_str(&create("{").unwrap_err()).unwrap();
        assert_eq!(faults.len(), 1);

        let catalog = create(SCHEMA).unwrap();
        for request in ["", "{}", r#"{"query": 1}"#, "\"oracle\""] {
            let error = compile(&catalog, request).unwrap_err();
            let error: Error = serde_json::from_str(&error).unwrap();
            assert_eq!(error.kind, ErrorKind::InvalidQuery);
        }
        for found in ["", "[]", r#"{"tables": [{}]}"#] {
            let request = serde_json::json!({"dialect": "sqlite", "found": [found]});
            let error = migrate(&catalog, &request.to_string()).unwrap_err();
            let error: Error = serde_json::from_str(&error).unwrap();
            assert_eq!(error.kind, ErrorKind::InvalidQuery);
            assert!(error.message.contains("cannot be read"), "{}", error.message);
        }
    }
}
