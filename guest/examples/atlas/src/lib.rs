//! An example plugin: questions about the countries and cities of the world.

use bindings::Place;
use ferro::prelude::*;

ferro::plugin! {
    world: "atlas",
    models: [City],
}

/// A city with more than 15,000 inhabitants.
#[derive(Model, Debug, Clone, PartialEq)]
pub struct City {
    /// Its number in GeoNames.
    #[ferro(key)]
    pub id: i64,
    /// Its name.
    #[ferro(length = 200)]
    pub name: String,
    /// The ISO code of its country.
    #[ferro(length = 2, index)]
    pub country: String,
    /// How many people live there.
    pub population: i64,
}

#[ferro::exports]
impl bindings::Guest for Plugin {
    async fn top_cities(country: String, limit: u32) -> Result<Vec<Place>, ferro::Error> {
        let db = Session::open("atlas")?;
        let cities = City::query()
            .filter(City::country().eq(country))
            .order_by(City::population().desc())
            .limit(limit.into())
            .all(&db)
            .await?;
        Ok(cities.into_iter().map(Place::from).collect())
    }
}

impl From<City> for Place {
    fn from(city: City) -> Self {
        Self { name: city.name, country: city.country, population: city.population }
    }
}
