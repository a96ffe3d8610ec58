//! Models as data.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod models;

use ferro::Model;
use models::{City, Country, Everything, Membership};

#[test]
fn a_model_describes_its_table() {
    let schema = ferro::schema![City];
    insta::assert_snapshot!(serde_json::to_string_pretty(&schema).unwrap());
}

#[test]
fn every_type_has_a_column_type_and_enums_are_listed_once() {
    let schema = ferro::schema![Everything, Country, Membership];
    let types: Vec<_> = schema.models[0]
        .fields
        .iter()
        .map(|it| {
            format!(
                "{} {}{}",
                it.name,
                serde_json::to_string(&it.kind).unwrap(),
                if it.nullable { "?" } else { "" }
            )
        })
        .collect();
    insta::assert_snapshot!(types.join("\n"));
    assert_eq!(schema.enums.len(), 1);
    assert_eq!(schema.enums[0].values, ["happy", "so-so", "very_sad"]);
    assert_eq!(schema.models[2].primary_key, ["person", "club"]);
}

#[test]
fn a_foreign_key_is_named_after_its_field() {
    let key = &City::schema().foreign_keys[0];
    assert_eq!((key.name.as_str(), key.target.as_str()), ("country_ref", Country::NAME));
    assert_eq!(key.fields, [("country".to_owned(), "iso".to_owned())]);
}

#[derive(ferro::Enum, Debug, Clone, Copy, PartialEq)]
#[allow(non_camel_case_types, reason = "only such a variant has to be written with `r#`")]
enum Kind {
    r#type,
    Other,
}

#[derive(Model, Debug, Clone)]
#[ferro(index(r#id, r#type), check(r#type == r#in), many_to_many(r#use: Membership))]
struct Raw {
    #[ferro(key)]
    id: i64,
    r#type: i64,
    r#in: i64,
    kind: Kind,
}

#[test]
fn what_is_written_with_a_prefix_is_named_without() {
    let schema = ferro::schema![Raw];
    assert_eq!(schema.enums[0].values, ["type", "other"]);
    let model = &schema.models[0];
    assert_eq!(model.many_to_manys[0].name, "use");
    assert_eq!(model.indexes[0].fields, ["id", "type"]);
    assert_eq!(model.checks[0].any_of[0][0].field, "type");
}

macro_rules! named {
    ($($name:ident)*) => {
        fn tables() -> Vec<String> {
            vec![$({
                #[derive(Model, Debug, Clone)]
                struct $name {
                    #[ferro(key)]
                    id: i64,
                }
                $name::schema().table_name().into_owned()
            }),*]
        }

        fn enums() -> Vec<String> {
            vec![$({
                #[derive(ferro::Enum, Debug, Clone, Copy, PartialEq)]
                enum $name {
                    Only,
                }
                $name::enum_type().unwrap().name
            }),*]
        }

        #[derive(ferro::Enum, Debug, Clone, Copy, PartialEq)]
        enum Values {
            $($name,)*
        }

        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

#[allow(non_camel_case_types, reason = "any name has one form in a database")]
mod named {
    use ferro::{Model, Scalar as _};

    named! { BlogPost HTTPServer OAuth2Token Old_Name User2 UserID ÉtéChaud }

    #[test]
    fn models_and_enums_and_their_values_are_called_as_in_python() {
        let expected = include_str!("../../../tests/names.json");
        let expected: std::collections::BTreeMap<&str, String> =
            serde_json::from_str(expected).unwrap();
        assert!(expected.keys().eq(NAMES));
        let expected: Vec<_> = expected.into_values().collect();
        assert_eq!(tables(), expected);
        assert_eq!(enums(), expected);
        assert_eq!(Values::enum_type().unwrap().values, expected);
    }
}
