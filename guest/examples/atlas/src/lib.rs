//! An example plugin: questions about the countries and cities of the world.
//!
//! The world in `wit/world.wit` says what it exports, `models.rs` which tables it works with, and
//! this file what it does. The database is the one that the host lends as `app`.

#![deny(unsafe_code)]

pub mod models;

use ferro::prelude::*;
use ferro::{Error, ErrorKind};

use bindings::Summary;
use models::{City, Country, NewCity};

ferro::plugin! {
    world: "atlas",
    models: [Country, City],
}

#[ferro::exports]
impl bindings::Guest for Plugin {
    async fn import_countries(countries: Vec<bindings::Country>) -> Result<u64, Error> {
        let db = Session::open("app")?;
        let rows: Vec<_> = countries.into_iter().map(Country::from).collect();
        Country::bulk_create(&db, &rows).await
    }

    async fn import_cities(cities: Vec<bindings::City>) -> Result<u64, Error> {
        let db = Session::open("app")?;
        let rows: Vec<_> = cities.into_iter().map(City::from).collect();
        City::bulk_create(&db, &rows).await
    }

    async fn top_cities(country: String, limit: u32) -> Result<Vec<bindings::City>, Error> {
        let db = Session::open("app")?;
        let cities = City::query()
            .filter(City::country().eq(country))
            .order_by(City::population().desc())
            .limit(limit.into())
            .all(&db)
            .await?;
        Ok(cities.into_iter().map(Into::into).collect())
    }

    async fn largest_countries(
        continent: String,
        limit: u32,
    ) -> Result<Vec<bindings::Country>, Error> {
        let db = Session::open("app")?;
        let countries = Country::query()
            .filter(Country::continent().eq(continent))
            .order_by(Country::population().desc())
            .limit(limit.into())
            .all(&db)
            .await?;
        Ok(countries.into_iter().map(Into::into).collect())
    }

    async fn summary() -> Result<Summary, Error> {
        let db = Session::open("app")?;
        let largest = City::query().order_by(City::population().desc()).first(&db).await?;
        Ok(Summary {
            countries: Country::query().count(&db).await?,
            cities: City::query().count(&db).await?,
            largest_city: largest.map(Into::into),
        })
    }

    async fn found_city(
        country: String,
        name: String,
        population: i64,
    ) -> Result<bindings::City, Error> {
        let db = Session::open("app")?;
        // All of it or nothing: an error on the way undoes what was written before.
        let city = db
            .transaction(async |tx| {
                let country = Country::get(tx, country).await?;
                let city = beside_capital(tx, &country, name, population).await?;
                let city = City::create(tx, city).await?;
                let city = with_slug(tx, city).await?;
                Country::query()
                    .filter(Country::iso().eq(&country.iso))
                    .update(tx, [Country::population().set(Country::population() + population)])
                    .await?;
                Ok::<_, Error>(city)
            })
            .await?;
        Ok(city.into())
    }
}

/// A new city where the capital is.
async fn beside_capital(
    db: &Session,
    country: &Country,
    name: String,
    population: i64,
) -> Result<NewCity, Error> {
    let capital = City::query()
        .filter(City::country().eq(&country.iso) & City::name().eq(country.capital.clone()))
        .first(db)
        .await?
        .ok_or_else(|| {
            let message = format!("the capital of `{}` is not in the atlas", country.name);
            Error::new(ErrorKind::NotFound, message)
        })?;
    Ok(NewCity {
        name,
        country: capital.country,
        continent: capital.continent,
        population,
        latitude: capital.latitude,
        longitude: capital.longitude,
        timezone: capital.timezone,
        slug: None,
    })
}

/// Gives the city a slug, if no other one has it. That is tried inside a savepoint, so that the
/// transaction around it goes on if it fails.
async fn with_slug(tx: &Session, mut city: City) -> Result<City, Error> {
    let slug = city.name.to_lowercase().replace(' ', "-");
    let named =
        tx.transaction(async |savepoint| city.update(savepoint, |it| it.slug = Some(slug)).await);
    match named.await {
        Err(error) if error.kind != ErrorKind::UniqueViolation => Err(error),
        _ => Ok(city),
    }
}
