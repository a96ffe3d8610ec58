//! Models that are not valid: all faults at once, each naming model and field.

use ferro_core::Catalog;
use ferro_wit::schema::{
    Check, CheckTerm, CheckTest, ColumnType, Comparison, DecimalSize, DefaultValue, EnumType,
    Field, ForeignKey, Index, ManyToMany, Model, ReferentialAction, Schema, UpdateValue,
};
use ferro_wit::types::{Dialect, ScalarType, Value};

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
model ``, field `a\u{0}b`: its name contains a control character
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
fn the_name_of_an_enum_is_refused_with_its_fields_and_the_ways_out() {
    let of = |name: &str| field("it", ColumnType::Enumeration(name.into()));
    let has = |model_name: &str, name: &str| model(model_name, vec![id(), of(name)]);
    let enumeration = |name: &str, values: &[&str]| EnumType {
        name: name.into(),
        values: values.iter().map(|it| (*it).to_owned()).collect(),
    };
    let schema = Schema {
        models: vec![has("Pet", "date"), has("Owner", "date"), has("Mood", "mood")],
        enums: vec![enumeration("date", &["a"]), enumeration("mood", &["a", "a"])],
    };
    insta::assert_snapshot!(faults(schema), @r"
enum `date`: the name belongs to the database: name the enum of `Pet.it`, `Owner.it` otherwise, or give the field the column type `text`, for which the database needs no type
enum `mood`: value `a` stands there twice
model `Mood`: an enum has the name of its table `mood`: name the enum of `Mood.it` otherwise, or give the field the column type `text`, for which the database needs no type
");
}

#[test]
fn an_enum_with_the_name_of_a_table_of_pairs_is_refused() {
    let pairs =
        ManyToMany { name: "tags".into(), target: "Tag".into(), through: None, reverse: None };
    let post = Model { many_to_manys: vec![pairs], ..model("Post", vec![id()]) };
    let enums = vec![EnumType { name: "Post_Tags".into(), values: vec!["a".into()] }];
    let schema = Schema { models: vec![post, model("Tag", vec![id()])], enums };
    insta::assert_snapshot!(faults(schema), @"model `Post`, relation `tags`: an enum has the name of its table `post_tags`: give the enum another one");
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
    let on_update = |field, value| Field { on_update: Some(value), ..field };
    let schema = models(vec![Model {
        primary_key: vec!["a".into(), "m".into()],
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
                on_update(nullable("k", ColumnType::Boolean), UpdateValue::Now),
                on_update(field("l", ColumnType::Array(ScalarType::Uuid)), UpdateValue::RandomUuid),
                on_update(field("m", ColumnType::Timestamptz), UpdateValue::Now),
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
model `M`, field `k`: its value on updates `now` fits dates and times only
model `M`, field `l`: its value on updates `random-uuid` fits uuids only
model `M`, field `a`: a field of the primary key cannot be nullable
model `M`, field `m`: updates may not set a field of the primary key by themselves
model `M`, field `i`: a generated key is an integer and the only field of the primary key
"##);
}

#[test]
fn relations_lead_to_keys_and_have_names_of_their_own() {
    let found_by =
        Field { on_update: Some(UpdateValue::RandomUuid), ..field("found_by", ColumnType::Uuid) };
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
            foreign_key("finder", "found_by", "Owner"),
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
        ..model("Pet", vec![id(), text("owner_name"), big("vet_id"), found_by])
    };
    let owner = model("Owner", vec![id(), text("name")]);
    insta::assert_snapshot!(faults(models(vec![pet, owner])), @r##"
model `Pet`, relation `owner`: model `Owner` has another field or relation `name`, the name of its reverse
model `Pet`, relation `nothing`: it has no fields
model `Pet`, relation `nothing`:  is no key of `Owner`: make it the primary key or unique
model `Pet`, relation `owner`: `name` is no key of `Owner`: make it the primary key or unique
model `Pet`, relation `vet`: set-null needs `vet_id` to be nullable
model `Pet`, relation `keeper`: `owner_name` and `id` of `Owner` have different types
model `Pet`, relation `finder`: `found_by` and `id` of `Owner` have different types
model `Pet`, relation `finder`: updates may not set `found_by`, which is part of it, by themselves
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

#[test]
fn enums_are_compared_as_equal_only() {
    let mood = || ColumnType::Enumeration("mood".into());
    let check = |comparison| {
        let by_value = CheckTest::Compare((comparison, Value::from("sad")));
        let by_field = CheckTest::CompareField((comparison, "other".into()));
        let one_of = CheckTest::OneOf(vec![Value::from("sad")]);
        let term = |test| vec![CheckTerm { field: "mood".into(), test }];
        Check { name: None, any_of: [by_value, by_field, one_of].map(term).into() }
    };
    let schema = |comparison| {
        let index = Index {
            name: None,
            fields: vec!["mood".into()],
            unique: false,
            condition: Some(check(comparison)),
        };
        let fields = vec![id(), field("mood", mood()), field("other", mood())];
        let (checks, indexes) = (vec![check(comparison)], vec![index]);
        let values = vec!["sad".into(), "glad".into()];
        Schema {
            models: vec![Model { checks, indexes, ..model("Pet", fields) }],
            enums: vec![EnumType { name: "mood".into(), values }],
        }
    };
    use Comparison as C;
    for comparison in [C::Equal, C::NotEqual] {
        Catalog::new(schema(comparison)).unwrap();
    }
    for comparison in [C::Less, C::LessOrEqual, C::Greater, C::GreaterOrEqual] {
        let found = faults(schema(comparison));
        assert_eq!(found.matches("the databases order enums differently").count(), 4, "{found}");
    }
}

#[test]
fn t10_former_names_are_names() {
    let of = |name: &str, renamed_from: &str| Model {
        renamed_from: Some(renamed_from.into()),
        ..model(name, vec![id()])
    };
    let from = |name: &str, former: &str| Field {
        renamed_from: Some(former.into()),
        ..nullable(name, ColumnType::Text(None))
    };
    let tags =
        ManyToMany { name: "sequence".into(), target: "A".into(), through: None, reverse: None };
    let schema = models(vec![
        of("A", "SqliteSequence"),
        of("B", "a\0b"),
        of("C", &"x".repeat(64)),
        Model { many_to_manys: vec![tags], ..of("D", "sqlite") },
        model("E", vec![id(), from("a", "a\u{1b}"), from("b", "ctid")]),
    ]);
    insta::assert_snapshot!(faults(schema), @r##"
model `A`: the former table `sqlite_sequence` belongs to the database
model `B`: its former name contains a control character
model `C`: its former name is longer than 63 bytes
model `E`, field `a`: its former name contains a control character
model `E`, field `b`: the former column `ctid` belongs to the database
model `D`, relation `sequence`: its table `sqlite_sequence` belongs to the database
"##);
}

#[test]
fn t10_who_reads_a_script_sees_all_of_it() {
    let hidden = "a\u{1b}[2K\u{1b}[1A";
    let named = EnumType { name: "mood".into(), values: vec![hidden.into(), "a\tb\nc".into()] };
    let default = Some(DefaultValue::Constant(Value::from(hidden)));
    let schema = Schema {
        models: vec![Model {
            comment: Some("a\rb".into()),
            ..model("A", vec![id(), Field { default, ..text("name") }])
        }],
        enums: vec![named],
    };
    insta::assert_snapshot!(faults(schema), @r##"
enum `mood`: value `a\u{1b}[2K\u{1b}[1A` contains a control character
model `A`, field `name`: its default contains a control character
model `A`: its comment contains a control character
"##);
}

#[test]
fn decimals_have_the_digits_of_their_column() {
    let kind = ColumnType::Decimal(Some(DecimalSize { precision: 8, scale: 2 }));
    let with = |name: &str, value: &str| Field {
        default: Some(DefaultValue::Constant(Value::Decimal(value.into()))),
        ..field(name, kind.clone())
    };
    let test = CheckTest::Compare((Comparison::Less, Value::Decimal("0.001".into())));
    let least = CheckTerm { field: "a".into(), test };
    let schema = models(vec![Model {
        checks: vec![Check { name: None, any_of: vec![vec![least]] }],
        ..model("M", vec![id(), with("a", "1.2300"), with("b", "1.239"), with("c", "-1234567.1")])
    }]);
    insta::assert_snapshot!(faults(schema), @r##"
model `M`, field `b`: its default has more digits than a decimal of (8, 2)
model `M`, field `c`: its default has more digits than a decimal of (8, 2)
model `M`, check, field `a`: its value has more digits than a decimal of (8, 2)
"##);
}

#[test]
fn indexes_and_checks_have_names_of_their_own() {
    let index = |name: &str| Index {
        name: Some(name.into()),
        fields: vec!["name".into()],
        unique: true,
        condition: None,
    };
    let known = |name: &str| Check {
        name: Some(name.into()),
        any_of: vec![vec![CheckTerm { field: "name".into(), test: CheckTest::IsNotNull }]],
    };
    let with = |name: &str, indexes| Model { indexes, ..model(name, vec![id(), text("name")]) };
    let pair = ManyToMany { name: "all".into(), target: "B".into(), through: None, reverse: None };
    let schema = models(vec![
        Model { checks: vec![known("x"), known("x")], ..with("A", vec![index("by_name")]) },
        Model { checks: vec![known("x")], ..with("B", vec![index("By_Name"), index("a")]) },
        Model { many_to_manys: vec![pair], ..with("C", vec![index("c_all"), index("own")]) },
        Model { namespace: Some("other".into()), ..with("D", vec![index("own")]) },
    ]);
    insta::assert_snapshot!(faults(schema), @r##"
model `A`, check `x`: there is another check of that name
model `B`, index `By_Name`: its name is that of an index of model `A` already
model `B`, index `a`: its name is that of the table `a` already
model `C`, index `c_all`: its name is that of the table `c_all` already
"##);
    let apart = |namespace: Option<&str>| Model {
        namespace: namespace.map(Into::into),
        ..with(namespace.unwrap_or("E"), vec![index("own")])
    };
    let catalog = Catalog::new(models(vec![apart(None), apart(Some("north"))])).unwrap();
    assert!(catalog.create_tables(Dialect::Postgres, &[]).is_ok());
    let error = catalog.create_tables(Dialect::Sqlite, &[]).unwrap_err();
    assert_eq!(
        error.message,
        "the index `own` of model `north` has the name of an index of model `E` on SQLite, which has \
         no schemas"
    );
}
