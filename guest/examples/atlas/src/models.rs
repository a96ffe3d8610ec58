//! The tables of the atlas.

use ferro::prelude::*;

use crate::bindings;

/// A country.
#[derive(Model, Debug, Clone, PartialEq)]
#[ferro(table = "country")]
pub struct Country {
    /// ISO 3166 code of two letters.
    #[ferro(key, length = 2)]
    pub iso: String,
    /// Its name in English.
    pub name: String,
    /// The code of its continent.
    #[ferro(length = 2, index)]
    pub continent: String,
    /// Its capital, if it has one.
    pub capital: Option<String>,
    /// How many people live there.
    pub population: i64,
    /// In square kilometres.
    pub area: f64,
}

/// A city.
#[derive(Model, Debug, Clone, PartialEq)]
#[ferro(table = "city", index(country, population))]
pub struct City {
    /// The number in GeoNames, or the next free one.
    #[ferro(key, generated)]
    pub id: i64,
    /// Its name.
    #[ferro(length = 200)]
    pub name: String,
    /// The ISO code of its country.
    #[ferro(length = 2, references = Country, reverse = "cities", on_delete = cascade)]
    pub country: String,
    /// That country's continent, so that a tenant can be granted the cities of one.
    #[ferro(length = 2)]
    pub continent: String,
    /// How many people live there.
    pub population: i64,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Its name in the time zone database.
    pub timezone: String,
    /// A name for links.
    #[ferro(unique)]
    pub slug: Option<String>,
}

/// The records of the world and the rows of the tables have the same fields.
macro_rules! same_fields {
    ($($name:ident { $($field:ident),* })*) => {$(
        impl From<bindings::$name> for $name {
            fn from(it: bindings::$name) -> Self {
                Self { $($field: it.$field),* }
            }
        }

        impl From<$name> for bindings::$name {
            fn from(it: $name) -> Self {
                Self { $($field: it.$field),* }
            }
        }
    )*};
}

same_fields! {
    Country { iso, name, continent, capital, population, area }
    City { id, name, country, continent, population, latitude, longitude, timezone, slug }
}
