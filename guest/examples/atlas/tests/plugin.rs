//! The plugin at work: in a host, for a tenant, on both databases.

use std::sync::Arc;

use anyhow::Result;
use ferro_build::Target;
use ferro_host::{ConnectOptions, Grant, Host, HostOptions, Plugin, Tenant};

const COUNTRIES: &str = r#"import-countries([
    {iso: "FR", name: "France", continent: "EU", capital: some("Paris"), population: 68, area: 547.0},
    {iso: "MC", name: "Monaco", continent: "EU", capital: some("Monaco"), population: 39, area: 2.0},
    {iso: "PE", name: "Peru", continent: "SA", capital: none, population: 32, area: 1285.0},
])"#;

const CITIES: &str = r#"import-cities([
    {id: 2988507, name: "Paris", country: "FR", continent: "EU", population: 21,
     latitude: 48.85, longitude: 2.35, timezone: "Europe/Paris", slug: some("paris")},
    {id: 2996944, name: "Lyon", country: "FR", continent: "EU", population: 5,
     latitude: 45.75, longitude: 4.85, timezone: "Europe/Paris", slug: none},
    {id: 3936456, name: "Lima", country: "PE", continent: "SA", population: 77,
     latitude: -12.04, longitude: -77.03, timezone: "America/Lima", slug: none},
])"#;

struct Atlas {
    plugin: Plugin,
    tenant: Arc<Tenant>,
}

impl Atlas {
    /// The plugin on a database that has its tables and some rows.
    async fn on(url: &str) -> Result<Self> {
        let host = Host::new(HostOptions { instances: 8, ..HostOptions::default() })?;
        host.databases().connect("app", url, &ConnectOptions::default()).await?;
        let component = ferro_build::component("ferro-example-atlas", Target::Unknown)?;
        let plugin = host.load(component).await?;
        host.create_tables(&plugin, "app").await?;
        let tenant = Arc::new(Tenant::new("acme").grant("app", Grant::read_write()));
        let atlas = Self { plugin, tenant };
        assert_eq!(atlas.call(COUNTRIES).await?, "ok(3)");
        assert_eq!(atlas.call(CITIES).await?, "ok(3)");
        Ok(atlas)
    }

    async fn call(&self, call: &str) -> Result<String> {
        Ok(self.plugin.call_wave(&self.tenant, call).await?)
    }
}

async fn questions_are_answered_largest_first(url: &str) -> Result<()> {
    let atlas = Atlas::on(url).await?;
    let cities = atlas.call(r#"top-cities("FR", 5)"#).await?;
    assert!(cities.find("Paris") < cities.find("Lyon") && !cities.contains("Lima"), "{cities}");
    assert!(!atlas.call(r#"top-cities("FR", 1)"#).await?.contains("Lyon"));
    let countries = atlas.call(r#"largest-countries("EU", 1)"#).await?;
    assert!(countries.contains("France") && !countries.contains("Monaco"), "{countries}");
    let summary = atlas.call("summary()").await?;
    assert!(summary.starts_with("ok({countries: 3, cities: 3, largest-city: some("), "{summary}");
    assert!(summary.contains("Lima"), "{summary}");
    Ok(())
}

async fn a_city_is_founded_whole_and_only_once_with_its_slug(url: &str) -> Result<()> {
    let atlas = Atlas::on(url).await?;
    let first = atlas.call(r#"found-city("FR", "New Town", 7)"#).await?;
    assert!(first.contains(r#"timezone: "Europe/Paris", slug: some("new-town")"#), "{first}");
    let second = atlas.call(r#"found-city("FR", "New Town", 7)"#).await?;
    assert!(second.starts_with("ok(") && !second.contains("slug"), "{second}");
    let countries = atlas.call(r#"largest-countries("EU", 1)"#).await?;
    assert!(countries.contains("population: 82"), "{countries}");
    Ok(())
}

async fn a_failure_on_the_way_reaches_the_caller_and_leaves_nothing(url: &str) -> Result<()> {
    let atlas = Atlas::on(url).await?;
    for (call, expected) in [
        (r#"found-city("PE", "New Town", 7)"#, "the capital of `Peru` is not in the atlas"),
        (r#"found-city("XX", "New Town", 7)"#, "there is no `Country` with this key"),
    ] {
        let failed = atlas.call(call).await?;
        assert!(
            failed.starts_with("err({kind: not-found") && failed.contains(expected),
            "{failed}"
        );
    }
    let twice = atlas.call(CITIES).await?;
    assert!(twice.starts_with("err({kind: unique-violation"), "{twice}");
    assert!(atlas.call("summary()").await?.contains("cities: 3"));
    Ok(())
}

/// Growing it would have all threads of the host wait for one another.
async fn a_query_needs_no_more_memory_than_the_plugin_begins_with(url: &str) -> Result<()> {
    let atlas = Atlas::on(url).await?;
    let before = atlas.plugin.instantiate(&atlas.tenant).await?.usage().memory;
    let (export, arguments) = atlas.plugin.parse_call(r#"top-cities("FR", 5)"#)?;
    let after = atlas.plugin.call(&atlas.tenant, export, &arguments).await.usage.memory;
    assert_eq!(after, before);
    Ok(())
}

ferro_test_support::on_each_database! {
    questions_are_answered_largest_first,
    a_city_is_founded_whole_and_only_once_with_its_slug,
    a_failure_on_the_way_reaches_the_caller_and_leaves_nothing,
    a_query_needs_no_more_memory_than_the_plugin_begins_with,
}
