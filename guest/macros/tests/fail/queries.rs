//! Queries and writes that do not fit their model.

use ferro::prelude::*;
use ferro::{Error, count};

#[derive(Model, Clone)]
struct Country {
    #[ferro(key, length = 2)]
    iso: String,
}

#[derive(Model, Clone)]
struct City {
    #[ferro(key, generated)]
    id: i64,
    name: String,
    #[ferro(references = Country, reverse = "cities")]
    country: String,
    population: i64,
    slug: Option<String>,
}

fn wrong_type() {
    City::query().filter(City::population().gt("many"));
}

fn narrower_type() {
    City::query().filter(City::population().gt(1_i32));
}

fn unknown_field() {
    City::query().order_by(City::nmae().asc());
}

fn field_of_another_model() {
    City::query().filter(Country::iso().eq("FR"));
}

fn no_condition() {
    City::query().filter(City::name());
}

fn pattern_of_a_number() {
    City::query().filter(City::population().like("1%"));
}

fn sum_of_texts() {
    City::query().select((count(), City::name().sum()));
}

fn null_into_what_cannot_be_null() {
    City::name().set(None::<String>);
}

fn number_into_a_text() {
    City::name().set(5);
}

fn missing_field() -> NewCity {
    NewCity { name: "Paris".into(), country: "FR".into(), slug: None }
}

fn generated_field() -> NewCity {
    NewCity { id: 1, name: "Paris".into(), country: "FR".into(), population: 1, slug: None }
}

async fn row_of_another_model(db: &Session) -> Result<City, Error> {
    City::create(db, Country { iso: "FR".into() }).await
}

async fn no_row(db: &Session) -> Result<City, Error> {
    City::create(db, "Paris").await
}

async fn key_of_another_type(db: &Session) -> Result<City, Error> {
    City::get(db, "Paris").await
}

async fn relation_of_another_model(db: &Session) -> Result<(), Error> {
    Country::query().include(City::country_ref()).all(db).await?;
    Ok(())
}

fn table_of_tuples() {
    ferro::common("pairs", City::query().select((City::id(), City::name())));
}

fn step_of_another_row() {
    ferro::recursive("cities", City::query(), |_| Country::query());
}

fn main() {}
