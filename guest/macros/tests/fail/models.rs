//! Models that say what cannot be.

use ferro::prelude::*;

#[derive(Model, Clone)]
struct NoKey {
    name: String,
}

#[derive(Model, Clone)]
#[ferro(index(name, tittle))]
struct IndexOfNoField {
    #[ferro(key)]
    id: i64,
    name: String,
}

#[derive(Model, Clone)]
#[ferro(check(positive: amount > 0))]
struct CheckOfNoField {
    #[ferro(key)]
    id: i64,
}

#[derive(Model, Clone)]
#[ferro(check(id + 1 > 0))]
struct CheckThatIsNone {
    #[ferro(key)]
    id: i64,
}

#[derive(Model, Clone)]
#[ferro(check(id.is_even()))]
struct CheckByAnotherMethod {
    #[ferro(key)]
    id: i64,
}

#[derive(Model, Clone)]
struct UnknownAttribute {
    #[ferro(key, primary)]
    id: i64,
}

#[derive(Model, Clone)]
struct HalfASize {
    #[ferro(key)]
    id: i64,
    #[ferro(precision = 10)]
    price: ferro::values::Decimal,
}

#[derive(Model, Clone)]
struct TextAsAType {
    #[ferro(key)]
    id: i64,
    #[ferro(sql_type = "money; DROP TABLE account")]
    price: ferro::values::Decimal,
}

#[derive(Model, Clone)]
struct TwoDefaults {
    #[ferro(key, default = 1, default_with = || 2)]
    id: i64,
}

#[derive(Model, Clone)]
struct TwoDefaultsTheOtherWay {
    #[ferro(key, default_with = || 2, default = 1)]
    id: i64,
}

#[derive(Model, Clone)]
#[ferro(table = "towns", unique(id), unique(name))]
#[ferro(table = "cities")]
struct TwoTables {
    #[ferro(key)]
    id: i64,
    name: String,
}

#[derive(Model, Clone)]
struct ActionWithoutRelation {
    #[ferro(key)]
    id: i64,
    #[ferro(on_delete = cascade)]
    other: i64,
}

#[derive(Model, Clone)]
struct HidesAFunction {
    #[ferro(key)]
    id: i64,
    query: String,
}

#[derive(Model, Clone)]
struct RelationCalledLikeAPath {
    #[ferro(key)]
    id: i64,
    #[ferro(references = NoKey)]
    crate_id: i64,
}

#[derive(Model, Clone)]
struct RelationOfSeveralWords {
    #[ferro(key)]
    id: i64,
    #[ferro(references = NoKey, relation = "best of all")]
    best_id: i64,
}

#[derive(Model, Clone)]
struct TwoVersions {
    #[ferro(key)]
    id: i64,
    #[ferro(version)]
    one: i64,
    #[ferro(version)]
    two: i64,
}

#[derive(Model, Clone)]
enum NoStruct {
    One,
}

#[derive(ferro::Enum, Clone)]
enum NotOnlyNames {
    One(i64),
}

#[derive(ferro::Enum, Clone)]
enum TwoOfOneValue {
    Closed,
    #[ferro(value = "closed")]
    Done,
}

#[derive(ferro::Enum, Clone)]
enum Generic<T> {
    One,
}

#[derive(Model, Clone)]
struct UpdatedKey {
    #[ferro(key, on_update = random_uuid)]
    id: Uuid,
}

fn main() {}
