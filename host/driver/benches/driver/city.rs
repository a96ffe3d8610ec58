//! The rows: 8 columns of integers, floats and texts, with some nulls.

use std::ops::Range;

use anyhow::{Context as _, Result};
use ferro_wit::types::{Batch, Column, Elements, ScalarType, Scalars, Texts, Value};

/// The rows below a key.
pub(crate) const SCAN: &str = "SELECT id, name, country, latitude, longitude, population, \
                               elevation, timezone FROM city WHERE id < $1";
/// The row of a key.
pub(crate) const GET: &str = "SELECT id, name, country, latitude, longitude, population, \
                              elevation, timezone FROM city WHERE id = $1";
/// The 20 rows after a key.
pub(crate) const PAGE: &str = "SELECT id, name, country, latitude, longitude, population, \
                               elevation, timezone FROM city WHERE id > $1 ORDER BY id LIMIT 20";
/// Counts one up.
pub(crate) const UPDATE: &str = "UPDATE counter SET n = n + 1 WHERE id = $1";

/// One row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct City<'a> {
    pub(crate) id: i64,
    pub(crate) name: &'a str,
    pub(crate) country: &'a str,
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
    pub(crate) population: i64,
    pub(crate) elevation: Option<i64>,
    pub(crate) timezone: &'a str,
}

impl City<'_> {
    /// Adds up what the row holds.
    pub(crate) fn sum(&self) -> i64 {
        let texts = self.name.len() + self.country.len() + self.timezone.len();
        let floats = whole(self.latitude) + whole(self.longitude);
        self.id + self.population + self.elevation.unwrap_or(1) + floats + texts as i64
    }
}

/// Many rows, column by column: what every subject fills.
#[derive(Debug, Default)]
pub(crate) struct Cities {
    pub(crate) ids: Vec<i64>,
    pub(crate) names: Strings,
    pub(crate) countries: Strings,
    pub(crate) latitudes: Vec<f64>,
    pub(crate) longitudes: Vec<f64>,
    pub(crate) populations: Vec<i64>,
    pub(crate) elevations: Vec<Option<i64>>,
    pub(crate) timezones: Strings,
}

/// Texts end to end.
#[derive(Debug, Default)]
pub(crate) struct Strings {
    data: String,
    ends: Vec<usize>,
}

impl Cities {
    pub(crate) fn numbered(numbers: Range<i64>) -> Self {
        let mut cities = Self::default();
        for id in numbers {
            let at = usize::try_from(id).unwrap_or_default();
            cities.push(City {
                id,
                name: &format!("City number {id}"),
                country: ["AD", "CH", "NZ", "PE"][at % 4],
                latitude: (id % 18_000) as f64 / 100.0 - 90.0,
                longitude: (id % 36_000) as f64 / 100.0 - 180.0,
                population: id * 37 % 1_000_000,
                elevation: (id % 5 > 0).then_some(id % 4_000),
                timezone: ["Europe/Andorra", "Europe/Zurich", "Pacific/Auckland"][at % 3],
            });
        }
        cities
    }

    pub(crate) fn push(&mut self, city: City<'_>) {
        self.ids.push(city.id);
        self.names.push(city.name);
        self.countries.push(city.country);
        self.latitudes.push(city.latitude);
        self.longitudes.push(city.longitude);
        self.populations.push(city.population);
        self.elevations.push(city.elevation);
        self.timezones.push(city.timezone);
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = City<'_>> {
        (0..self.len()).map(|at| self.row(at))
    }

    pub(crate) fn row(&self, at: usize) -> City<'_> {
        City {
            id: self.ids[at],
            name: self.names.get(at),
            country: self.countries.get(at),
            latitude: self.latitudes[at],
            longitude: self.longitudes[at],
            population: self.populations[at],
            elevation: self.elevations[at],
            timezone: self.timezones.get(at),
        }
    }

    /// Adds up all rows, and forgets them.
    pub(crate) fn take_sum(&mut self) -> i64 {
        let sum = self.rows().map(|it| it.sum()).sum();
        let kept = std::mem::take(self);
        *self = Self {
            ids: emptied(kept.ids),
            names: kept.names.emptied(),
            countries: kept.countries.emptied(),
            latitudes: emptied(kept.latitudes),
            longitudes: emptied(kept.longitudes),
            populations: emptied(kept.populations),
            elevations: emptied(kept.elevations),
            timezones: kept.timezones.emptied(),
        };
        sum
    }

    pub(crate) fn to_batch(&self) -> Result<Batch> {
        let mut elevations = Scalars::with_kind(ScalarType::Integer);
        for it in &self.elevations {
            let value = it.map_or(Value::Null, Value::Integer);
            elevations.push(value).ok().context("an integer")?;
        }
        let scalars = |elements| Column::Scalars(Scalars { elements, nulls: None });
        let columns = vec![
            scalars(Elements::Integer(self.ids.clone())),
            scalars(Elements::Text(self.names.to_texts()?)),
            scalars(Elements::Text(self.countries.to_texts()?)),
            scalars(Elements::Float(self.latitudes.clone())),
            scalars(Elements::Float(self.longitudes.clone())),
            scalars(Elements::Integer(self.populations.clone())),
            Column::Scalars(elevations),
            scalars(Elements::Text(self.timezones.to_texts()?)),
        ];
        Batch::new(columns).map_err(anyhow::Error::msg)
    }
}

fn emptied<T>(mut full: Vec<T>) -> Vec<T> {
    full.clear();
    full
}

impl Strings {
    fn push(&mut self, text: &str) {
        self.data.push_str(text);
        self.ends.push(self.data.len());
    }

    pub(crate) fn get(&self, at: usize) -> &str {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.data[start..self.ends[at]]
    }

    pub(crate) fn to_vec(&self) -> Vec<&str> {
        (0..self.ends.len()).map(|at| self.get(at)).collect()
    }

    fn to_texts(&self) -> Result<Texts> {
        let ends = self.ends.iter().map(|it| u32::try_from(*it)).collect::<Result<_, _>>()?;
        Ok(Texts { data: self.data.clone(), ends })
    }

    fn emptied(mut self) -> Self {
        self.data.clear();
        self.ends.clear();
        self
    }
}

/// Adds up a batch in the same way.
pub(crate) fn sum(batch: &Batch) -> Result<i64> {
    let [
        Column::Scalars(id),
        Column::Scalars(name),
        Column::Scalars(country),
        Column::Scalars(latitude),
        Column::Scalars(longitude),
        Column::Scalars(population),
        Column::Scalars(elevation),
        Column::Scalars(timezone),
    ] = batch.columns.as_slice()
    else {
        anyhow::bail!("other columns than 8 of scalars");
    };
    let mut sum = 0;
    for at in 0..batch.rows as usize {
        let city = City {
            id: integer(id, at).context("a null")?,
            name: text(name, at)?,
            country: text(country, at)?,
            latitude: float(latitude, at)?,
            longitude: float(longitude, at)?,
            population: integer(population, at).context("a null")?,
            elevation: integer(elevation, at),
            timezone: text(timezone, at)?,
        };
        sum += city.sum();
    }
    Ok(sum)
}

fn integer(column: &Scalars, at: usize) -> Option<i64> {
    match &column.elements {
        Elements::Integer(it) if !column.is_null(at) => it.get(at).copied(),
        _ => None,
    }
}

fn float(column: &Scalars, at: usize) -> Result<f64> {
    match &column.elements {
        Elements::Float(it) => it.get(at).copied().context("a short column"),
        _ => anyhow::bail!("no column of floats"),
    }
}

fn text(column: &Scalars, at: usize) -> Result<&str> {
    match &column.elements {
        Elements::Text(it) => it.get(at).context("a short column"),
        _ => anyhow::bail!("no column of texts"),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a checksum")]
fn whole(float: f64) -> i64 {
    float as i64
}
