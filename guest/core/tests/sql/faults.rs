//! Models that are not valid: all faults at once, each naming model and field.

use ferro_core::Catalog;
use ferro_wit::schema::{
    Check, CheckTerm, CheckTest, ColumnType, Comparison, DecimalSize, DefaultValue, EnumType,
    Field, ForeignKey, Index, ManyToMany, Model, ReferentialAction, Schema,
};
use ferro_wit::types::Value;

use crate::fixture::*;

fn faults(schema: Schema) -> String {
    Catalog::new(schema).unwrap_err().join("\n")
}

fn models(models: Vec<Model>) -> Schema {
    Schema { models, enums: vec![] }
}

#[test]
fn all_faults_are_found_at_once() {
    let user = Model {
        primary_key: vec!["id".into(), "kye".into()],
        foreign_keys: vec![
            ForeignKey { target: "Tean".into(), ..foreign_key("team", "team_id", "") },
            foreign_key("boss", "boss_id", "User"),
            foreign_key("name", "name", "Team"),
        ],
        indexes: vec![Index {
            name: None,
            fields: vec!["nmae".into()],
            unique: false,
            condition: None,
        }],
        ..model(
            "User",
            vec![
                id(),
                text("name"),
                text("name"),
                big("team_id"),
                nullable("note", ColumnType::Enumeration("moood".into())),
            ],
        )
    };
    let mood = EnumType { name: "mood".into(), values: vec!["a".into(), "a".into()] };
    let schema = Schema { models: vec![user, model("Team", vec![id()])], enums: vec![mood] };
    insta::assert_snapshot!(faults(schema), @r##"
enum `mood`: value `a` stands there twice
model `User`, field `name`: there is another field of that name
model `User`, field `note`: there is no enum `moood`; did you mean `mood`?
model `User`, primary key: there is no field `kye`
model `User`, field `id`: a generated key is an integer and the only field of the primary key
model `User`, index: there is no field `nmae`; did you mean `name`?
model `User`, relation `name`: the model has another field or relation of that name
model `User`, relation `team`: there is no model `Tean`; did you mean `Team`?
model `User`, relation `boss`: there is no field `boss_id`
model `User`, relation `boss`: `id` is no key of `User`: make it the primary key or unique
model `User`, relation `name`: `name` and `id` of `Team` have different types
"##);
}

#[test]
fn names_are_neither_empty_nor_long_nor_strange() {
    let long = "x".repeat(64);
    let schema = models(vec![
        Model { table: Some("t".into()), ..model("", vec![text("a\0b"), text(&long), text("")]) },
        Model {
            table: Some(String::new()),
            namespace: Some("n\n".into()),
            ..model("B", vec![id()])
        },
        Model {
            table: Some(long.clone()),
            ..model("C", vec![Field { column: Some(long), ..id() }])
        },
    ]);
    insta::assert_snapshot!(faults(schema), @r##"
model ``: its name is empty
model ``, field `a�b`: its name contains a control character
model ``, field `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…`: its name is longer than 63 bytes
model ``, field ``: its name is empty
model `B`: the name of its table is empty
model `B`: the name of its namespace contains a control character
model `C`: the name of its table is longer than 63 bytes
model `C`, field `id`: the name of its column is longer than 63 bytes
"##);
}

#[test]
fn names_that_a_database_takes_for_the_same_clash() {
    let schema = models(vec![
        model("User", vec![id(), Field { column: Some("ID".into()), ..text("code") }]),
        Model { table: Some("USER".into()), ..model("Person", vec![id()]) },
        model("User", vec![id()]),
    ]);
    insta::assert_snapshot!(faults(schema), @r##"
model `Person`: the table `USER` is that of model `User` already
model `User`: there is another model of that name
model `User`: the table `user` is that of model `Person` already
model `User`, field `code`: the column `ID` is that of field `id` already
"##);
    let mood = EnumType { name: "Mood".into(), values: vec!["a".into()] };
    let schema =
        Schema { models: vec![model("Mood", vec![id()])], enums: vec![mood.clone(), mood] };
    insta::assert_snapshot!(faults(schema), @r##"
enum `Mood`: there is another enum of that name
model `Mood`: an enum has the name of its table `mood`
"##);
}

#[test]
fn t10_models_do_not_name_what_belongs_to_the_database() {
    let table = |name: &str| Model { table: Some(name.into()), ..model(name, vec![id()]) };
    let schema = Schema {
        models: vec![
            table("sqlite_master"),
            table("PG_class"),
            table("json_each"),
            Model { namespace: Some("pg_catalog".into()), ..table("x") },
            model(
                "Y",
                vec![id(), text("ctid"), Field { column: Some("RowId".into()), ..text("z") }],
            ),
        ],
        enums: vec![EnumType { name: "text".into(), values: vec!["a".into()] }],
    };
    insta::assert_snapshot!(faults(schema), @r##"
enum `text`: the name belongs to the database
model `sqlite_master`: the table `sqlite_master` belongs to the database
model `PG_class`: the table `PG_class` belongs to the database
model `json_each`: the table `json_each` belongs to the database
model `x`: the namespace `pg_catalog` belongs to the database
model `Y`, field `ctid`: the column `ctid` belongs to the database
model `Y`, field `z`: the column `RowId` belongs to the database
"##);
}

#[test]
fn fields_fit_their_types_and_defaults() {
    let with = |name: &str, kind, default| Field { default: Some(default), ..field(name, kind) };
    let size = |precision, scale| ColumnType::Decimal(Some(DecimalSize { precision, scale }));
    let constant = |value| DefaultValue::Constant(value);
    let schema = models(vec![Model {
        primary_key: vec!["a".into()],
        ..model(
            "M",
            vec![
                nullable("a", ColumnType::Text(Some(0))),
                field("b", size(0, 0)),
                field("c", size(5, 6)),
                with("d", ColumnType::Boolean, DefaultValue::Now),
                with("e", ColumnType::Text(None), DefaultValue::RandomUuid),
                with("f", ColumnType::Text(None), constant(Value::from(1))),
                with("g", ColumnType::Text(None), constant(Value::Null)),
                with("h", ColumnType::Decimal(None), constant(Value::Decimal("1e9".into()))),
                Field { generated_key: true, ..text("i") },
                Field { version: true, ..text("j") },
            ],
        )
    }]);
    insta::assert_snapshot!(faults(schema), @r##"
model `M`, field `a`: a text is limited to 1 … 10485760 characters
model `M`, field `b`: a decimal has 1 … 1000 digits, of which its scale is a part
model `M`, field `c`: a decimal has 1 … 1000 digits, of which its scale is a part
model `M`, field `d`: its default `now` fits dates and times only
model `M`, field `e`: its default `random-uuid` fits uuids only
model `M`, field `f`: its default is not of the type text
model `M`, field `g`: its default is null, which the field cannot be
model `M`, field `h`: its default is no decimal in plain notation
model `M`, field `j`: a version is an integer that is never null
model `M`, field `a`: a field of the primary key cannot be nullable
model `M`, field `i`: a generated key is an integer and the only field of the primary key
"##);
}

#[test]
fn relations_lead_to_keys_and_have_names_of_their_own() {
    let pet = Model {
        foreign_keys: vec![
            ForeignKey { fields: vec![], ..foreign_key("nothing", "", "Owner") },
            ForeignKey {
                fields: vec![("owner_name".into(), "name".into())],
                reverse: Some("name".into()),
                ..foreign_key("owner", "", "Owner")
            },
            ForeignKey {
                on_delete: ReferentialAction::SetNull,
                ..foreign_key("vet", "vet_id", "Owner")
            },
            foreign_key("keeper", "owner_name", "Owner"),
        ],
        many_to_manys: vec![
            ManyToMany {
                name: "friends".into(),
                target: "Pet".into(),
                through: Some("Owner".into()),
                reverse: None,
            },
            ManyToMany { name: "toys".into(), target: "Toy".into(), through: None, reverse: None },
        ],
        ..model("Pet", vec![id(), text("owner_name"), big("vet_id")])
    };
    let owner = model("Owner", vec![id(), text("name")]);
    insta::assert_snapshot!(faults(models(vec![pet, owner])), @r##"
model `Pet`, relation `owner`: model `Owner` has another field or relation `name`, the name of its reverse
model `Pet`, relation `nothing`: it has no fields
model `Pet`, relation `nothing`:  is no key of `Owner`: make it the primary key or unique
model `Pet`, relation `owner`: `name` is no key of `Owner`: make it the primary key or unique
model `Pet`, relation `vet`: set-null needs `vet_id` to be nullable
model `Pet`, relation `keeper`: `owner_name` and `id` of `Owner` have different types
model `Pet`, relation `friends`: `Owner` needs a foreign key to `Pet` and one to `Pet`
model `Pet`, relation `toys`: there is no model `Toy`
"##);
}

#[test]
fn checks_compare_like_with_like() {
    let term = |field: &str, test| CheckTerm { field: field.into(), test };
    let compare = |value| CheckTest::Compare((Comparison::Less, value));
    let check = Check {
        name: None,
        any_of: vec![
            vec![],
            vec![
                term("size", compare(Value::from("a"))),
                term("size", compare(Value::Null)),
                term("size", CheckTest::CompareField((Comparison::Less, "name".into()))),
                term("size", CheckTest::CompareField((Comparison::Less, "nmae".into()))),
                term("size", CheckTest::OneOf(vec![])),
                term("sice", CheckTest::IsNull),
                term("data", compare(Value::Json("1".into()))),
                term("name", compare(Value::from("a\0"))),
            ],
        ],
    };
    let fields = vec![id(), big("size"), text("name"), field("data", ColumnType::Json)];
    let schema = models(vec![Model { checks: vec![check], ..model("Box", fields) }]);
    insta::assert_snapshot!(faults(schema), @r##"
model `Box`, check: it has an empty group
model `Box`, check, field `size`: its value is not of the type integer
model `Box`, check, field `size`: nothing compares with null: use is-null
model `Box`, check, field `size`: `name` has another type
model `Box`, check, field `size`: compare-field: there is no field `nmae`; did you mean `name`?
model `Box`, check, field `size`: the list has no values
model `Box`, check: there is no field `sice`; did you mean `size`?
model `Box`, check, field `data`: its type does not compare
model `Box`, check, field `name`: its value contains a NUL
"##);
}
