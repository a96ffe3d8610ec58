//! Types of fields that attributes, relations and checks do not go with.

use ferro::prelude::*;

#[derive(Model, Clone)]
struct Defaults {
    #[ferro(key, length = 8)]
    id: i64,
    #[ferro(default = "many")]
    count: i64,
    #[ferro(default = now)]
    name: String,
}

#[derive(Model, Clone)]
#[ferro(check(count > "many"), check(name), check(count.in_(["one"])))]
struct Checked {
    #[ferro(key)]
    id: i64,
    count: i64,
    name: String,
}

#[derive(Model, Clone)]
struct NullKey {
    #[ferro(key)]
    id: Option<i64>,
}

#[derive(Model, Clone)]
struct Refers {
    #[ferro(key)]
    id: i64,
    #[ferro(references = Checked)]
    checked_id: String,
    #[ferro(references = Checked, relation = "other", on_delete = set_null)]
    other_id: i64,
}

#[derive(Model, Clone)]
struct OfAnotherType {
    #[ferro(key, sql_type = "text")]
    id: i64,
    #[ferro(sql_type = "smallint")]
    name: String,
    #[ferro(default_with = || 7)]
    code: String,
}

#[derive(Model, Clone)]
struct Updated {
    #[ferro(key)]
    id: i64,
    #[ferro(on_update = now)]
    name: Option<String>,
}

fn main() {}
