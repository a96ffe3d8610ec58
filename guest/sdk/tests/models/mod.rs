//! The models of these tests.

#![allow(dead_code, unreachable_pub, reason = "each test uses some of them")]

use ferro::prelude::*;
use ferro::values::{Date, Decimal, Interval, Json, Time, Timestamp, Timestamptz, Uuid};

#[derive(Model, Debug, Clone, PartialEq)]
#[ferro(table = "country")]
pub struct Country {
    #[ferro(key, length = 2)]
    pub iso: String,
    pub name: String,
    pub population: Option<i64>,
}

#[derive(Model, Debug, Clone, PartialEq)]
#[ferro(table = "city", unique(country, name))]
pub struct City {
    #[ferro(key, generated)]
    pub id: i64,
    #[ferro(length = 200, index)]
    pub name: String,
    #[ferro(references = Country, reverse = "cities", on_delete = cascade)]
    pub country: String,
    #[ferro(default = 0)]
    pub population: i64,
    #[ferro(unique)]
    pub slug: Option<String>,
    pub capital: bool,
}

#[derive(ferro::Enum, Debug, Clone, Copy, PartialEq)]
pub enum Mood {
    Happy,
    #[ferro(value = "so-so")]
    SoSo,
    VerySad,
}

/// A field of every type.
#[derive(Model, Debug, Clone, PartialEq)]
pub struct Everything {
    #[ferro(key)]
    pub id: Uuid,
    pub boolean: bool,
    pub small: i16,
    pub regular: i32,
    pub big: i64,
    pub real: f32,
    pub double: f64,
    #[ferro(precision = 20, scale = 4)]
    pub decimal: Decimal,
    pub text: String,
    pub blob: Vec<u8>,
    pub date: Date,
    pub time: Time,
    pub timestamp: Timestamp,
    #[ferro(default = now)]
    pub timestamptz: Timestamptz,
    pub interval: Interval,
    pub json: Json,
    pub mood: Mood,
    pub numbers: Vec<i64>,
    pub maybe_texts: Option<Vec<String>>,
    pub maybe_mood: Option<Mood>,
    pub r#type: Option<Decimal>,
}

/// A key of two fields, and nothing else.
#[derive(Model, Debug, Clone, PartialEq)]
pub struct Membership {
    #[ferro(key)]
    pub person: i64,
    #[ferro(key)]
    pub club: String,
}

/// Nothing to give when a row is made.
#[derive(Model, Debug, Clone, PartialEq)]
pub struct Ticket {
    #[ferro(key, generated)]
    pub r#type: i32,
}
