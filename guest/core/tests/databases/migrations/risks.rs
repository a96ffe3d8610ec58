//! What is applied works without what is left.

use super::*;

/// Applies what is safe, then what blocks, then the rest; each in vain if it needs what is left.
async fn step_by_step(world: &World, schema: &Schema) {
    for database in world.databases() {
        for risk in [Risk::Safe, Risk::Blocking, Risk::Destructive] {
            migrate(database, schema, Some(risk)).await;
            let again = migrate(database, schema, Some(risk)).await;
            let dialect = database.dialect();
            assert!(again.applied.is_empty(), "{dialect:?} {risk:?}\n{}", sql(&again.applied));
        }
        assert_settled(database, schema).await;
    }
}

#[tokio::test]
async fn what_depends_on_a_step_waits_for_it() {
    let before = models(vec![
        model("Author", vec![text("key"), field("n", number())]),
        model("Old", vec![id(), text("name")]),
    ]);
    let world = World::new(before, &["INSERT INTO author VALUES ('7', 1)"]).await;
    let new = Model {
        renamed_from: Some("Old".into()),
        ..model(
            "New",
            vec![
                id(),
                Field {
                    renamed_from: Some("name".into()),
                    default: constant("x".into()),
                    indexed: true,
                    ..nullable("title", ColumnType::Text(None))
                },
                Field { default: constant(1.into()), ..field("size", number()) },
            ],
        )
    };
    let book = Model {
        foreign_keys: vec![foreign_key("author", "author_id", "Author")],
        ..model("Book", vec![id(), big("author_id")])
    };
    let author = model(
        "Author",
        vec![
            Field { renamed_from: Some("key".into()), ..id() },
            Field { default: constant("a".into()), ..text("n") },
        ],
    );
    step_by_step(&world, &models(vec![author, new, book])).await;
    for database in world.databases() {
        database.execute_raw("INSERT INTO book (author_id) VALUES (7)", vec![]).await.unwrap();
        database.execute_raw("INSERT INTO author (n) VALUES ('y')", vec![]).await.unwrap();
    }
}

#[tokio::test]
async fn keys_stay_until_others_take_their_place() {
    let before = Model {
        primary_key: vec!["id".into()],
        checks: vec![check("positive", vec![compare("n", Comparison::Greater, 0.into())])],
        ..model("Author", vec![big("id"), field("n", number())])
    };
    let world =
        World::new(models(vec![before.clone()]), &["INSERT INTO author VALUES (1, 1)"]).await;
    let after = models(vec![Model {
        primary_key: vec!["id".into(), "n".into()],
        checks: vec![check("positive", vec![compare("n", Comparison::Greater, (-1).into())])],
        ..before
    }]);
    for database in world.databases() {
        migrate(database, &after, Some(Risk::Safe)).await;
        let twin = database.execute_raw("INSERT INTO author VALUES (1, 2)", vec![]).await;
        assert_eq!(twin.unwrap_err().kind, ErrorKind::UniqueViolation);
        let low = database.execute_raw("INSERT INTO author VALUES (2, -3)", vec![]).await;
        assert_eq!(low.unwrap_err().kind, ErrorKind::CheckViolation);
    }
    step_by_step(&world, &after).await;
}

#[tokio::test]
async fn values_that_would_change_wait() {
    let of = |kind: ColumnType| models(vec![model("Author", vec![id(), field("code", kind)])]);
    let text = of(ColumnType::Text(None));
    let world = World::new(text.clone(), &["INSERT INTO author (code) VALUES ('007')"]).await;
    for database in world.databases() {
        migrate(database, &of(number()), Some(Risk::Blocking)).await;
        let found = rows(database, "SELECT code FROM author").await;
        assert_eq!(found, [[Value::Text("007".into())]]);
    }
    step_by_step(&world, &of(number())).await;
    for database in world.databases() {
        assert_eq!(rows(database, "SELECT code FROM author").await, [[Value::Integer(7)]]);
    }
}

#[tokio::test]
async fn keys_change_their_type_with_all_that_refer_to_them() {
    let of = |kind: ColumnType| {
        let book = Model {
            foreign_keys: vec![foreign_key("author", "author_id", "Author")],
            many_to_manys: vec![ManyToMany {
                name: "others".into(),
                target: "Author".into(),
                through: None,
                reverse: None,
            }],
            ..model("Book", vec![id(), field("author_id", kind.clone())])
        };
        models(vec![model("Author", vec![field("id", kind)]), book])
    };
    let world = World::new(
        of(ColumnType::Text(None)),
        &[
            "INSERT INTO author VALUES ('7')",
            "INSERT INTO book (author_id) VALUES ('7')",
            "INSERT INTO book_others VALUES (1, '7')",
        ],
    )
    .await;
    for kind in [number(), ColumnType::Integer(IntegerWidth::Big), ColumnType::Text(Some(9))] {
        step_by_step(&world, &of(kind)).await;
    }
    for database in world.databases() {
        database.execute_raw("DELETE FROM author", vec![]).await.unwrap();
        assert!(rows(database, "SELECT id FROM book").await.is_empty());
        assert!(rows(database, "SELECT book_id FROM book_others").await.is_empty());
    }
}

#[tokio::test]
async fn a_primary_key_grows_that_others_refer_to() {
    let author = model("Author", vec![big("id"), field("n", number())]);
    let book = Model {
        foreign_keys: vec![foreign_key("author", "author_id", "Author")],
        ..model("Book", vec![id(), big("author_id")])
    };
    let world = World::new(
        models(vec![author.clone(), book.clone()]),
        &["INSERT INTO author VALUES (1, 2)", "INSERT INTO book (author_id) VALUES (1)"],
    )
    .await;
    let mut grown = Model { primary_key: vec!["id".into(), "n".into()], ..author };
    grown.fields[0].unique = true;
    step_by_step(&world, &models(vec![grown, book])).await;
    for database in world.databases() {
        let none = database.execute_raw("INSERT INTO book (author_id) VALUES (9)", vec![]).await;
        assert_eq!(none.unwrap_err().kind, ErrorKind::ForeignKeyViolation);
    }
}

#[tokio::test]
async fn any_type_becomes_any_other_where_there_are_no_rows() {
    let kinds = [
        ColumnType::Boolean,
        ColumnType::Integer(IntegerWidth::Small),
        ColumnType::Integer(IntegerWidth::Big),
        ColumnType::Double,
        ColumnType::Decimal(None),
        ColumnType::Text(None),
        ColumnType::Blob,
        ColumnType::Uuid,
        ColumnType::Date,
        ColumnType::Time,
        ColumnType::Timestamp,
        ColumnType::Timestamptz,
        ColumnType::Interval,
        ColumnType::Json,
        ColumnType::Enumeration("mood".into()),
        ColumnType::Enumeration("other".into()),
        ColumnType::Array(ScalarType::Text),
    ];
    let of = |shift: usize| {
        let fields = (0..kinds.len()).map(|index| {
            let kind = kinds[(index + shift) % kinds.len()].clone();
            nullable(&format!("f{index}"), kind)
        });
        let enumeration =
            |name: &str| EnumType { name: name.into(), values: vec!["a".into(), "b".into()] };
        Schema {
            models: vec![model("Every", [id()].into_iter().chain(fields).collect())],
            enums: vec![enumeration("mood"), enumeration("other")],
        }
    };
    let world = World::new(of(0), &[]).await;
    for shift in 1..kinds.len() {
        evolve(&world, &of(shift)).await;
    }
}

#[tokio::test]
async fn enums_change_with_all_that_uses_their_values() {
    let of = |values: &[&str], default: &str, allowed: &str| {
        let mood = ColumnType::Enumeration("mood".into());
        let person = Model {
            checks: vec![check(
                "known",
                vec![compare("mood", Comparison::NotEqual, allowed.into())],
            )],
            indexes: vec![Index {
                name: Some("some".into()),
                fields: vec!["id".into()],
                unique: false,
                condition: Some(Check {
                    name: None,
                    any_of: vec![vec![compare("mood", Comparison::Equal, default.into())]],
                }),
            }],
            ..model(
                "Person",
                vec![
                    id(),
                    Field {
                        unique: true,
                        default: constant(default.into()),
                        ..field("mood", mood)
                    },
                ],
            )
        };
        Schema {
            models: vec![
                person.clone(),
                Model { name: "Twin".into(), checks: vec![], indexes: vec![], ..person },
            ],
            enums: vec![EnumType {
                name: "mood".into(),
                values: values.iter().map(|it| (*it).into()).collect(),
            }],
        }
    };
    let world = World::new(of(&["sad", "glad"], "sad", "sad"), &[]).await;
    for (values, default, allowed) in [
        (&["sad", "glad", "new"][..], "new", "sad"),
        (&["glad", "fresh"], "fresh", "glad"),
        (&["glad", "sad", "it's"], "it's", "it's"),
        (&["sad"], "sad", "sad"),
    ] {
        step_by_step(&world, &of(values, default, allowed)).await;
    }
}

#[tokio::test]
async fn new_tables_that_refer_to_each_other_wait_for_each_other() {
    let mood = || field("mood", ColumnType::Enumeration("mood".into()));
    let of = |values: &[&str], new: Vec<Model>| Schema {
        models: [vec![model("Person", vec![id(), mood()])], new].concat(),
        enums: vec![EnumType {
            name: "mood".into(),
            values: values.iter().map(|it| (*it).into()).collect(),
        }],
    };
    let nested = |name: &str, other: &str, fields: Vec<Field>| Model {
        foreign_keys: vec![foreign_key("other", "other_id", other)],
        ..model(name, [vec![id(), nullable("other_id", big("x").kind)], fields].concat())
    };
    let world = World::new(of(&["sad", "glad"], vec![]), &[]).await;
    let new = vec![nested("Cat", "Dog", vec![]), nested("Dog", "Cat", vec![mood()])];
    step_by_step(&world, &of(&["glad"], new)).await;
    for database in world.databases() {
        refuses(database, "INSERT INTO cat (other_id) VALUES (9)", ErrorKind::ForeignKeyViolation)
            .await;
    }
}

#[tokio::test]
async fn an_enum_gets_another_name_with_its_values() {
    let of = |name: &str| Schema {
        models: vec![model(
            "Person",
            vec![id(), field("mood", ColumnType::Enumeration(name.into()))],
        )],
        enums: vec![EnumType { name: name.into(), values: vec!["sad".into(), "glad".into()] }],
    };
    let world = World::new(of("mood"), &["INSERT INTO person (mood) VALUES ('glad')"]).await;
    step_by_step(&world, &of("feeling")).await;
    for database in world.databases() {
        let found = rows(database, "SELECT CAST(mood AS text) FROM person").await;
        assert_eq!(found, [[Value::Text("glad".into())]]);
    }
}

/// A model with a key beside its primary key that is an index.
fn coded() -> Model {
    Model {
        indexes: vec![Index {
            name: None,
            fields: vec!["code".into(), "part".into()],
            unique: true,
            condition: None,
        }],
        ..model("Coded", vec![id(), big("part"), big("code")])
    }
}

/// A model that refers to that key, whose columns it names in another order.
fn refers_to_code(name: &str, own: [&str; 2]) -> Model {
    let fields = own.iter().zip(["part", "code"]).map(|(own, to)| ((*own).into(), to.into()));
    let key = ForeignKey { fields: fields.collect(), ..foreign_key("coded", "", "Coded") };
    let columns = own.map(|it| nullable(it, ColumnType::Integer(IntegerWidth::Big)));
    let fields = std::iter::once(id()).chain(columns).collect();
    Model { foreign_keys: vec![key], ..model(name, fields) }
}

async fn refers(database: &Database) {
    takes(database, "INSERT INTO coded (code, part) VALUES (7, 1)").await;
    takes(database, "INSERT INTO refers (own_part, own_code) VALUES (1, 7)").await;
    let wrong = "INSERT INTO refers (own_part, own_code) VALUES (7, 1)";
    refuses(database, wrong, ErrorKind::ForeignKeyViolation).await;
}

#[tokio::test]
async fn a_unique_index_is_there_before_what_refers_to_it() {
    // One table of the two refers to itself as well.
    let mut itself = coded();
    let other = refers_to_code("Coded", ["next_part", "next_code"]);
    itself.fields.extend_from_slice(&other.fields[1..]);
    itself.foreign_keys = other.foreign_keys;
    let schema = models(vec![itself, refers_to_code("Refers", ["own_part", "own_code"])]);
    let world = World::new(schema.clone(), &[]).await;
    for database in world.databases() {
        assert_settled(database, &schema).await;
        refers(database).await;
    }
}

#[tokio::test]
async fn what_refers_to_a_new_unique_index_waits_for_it() {
    let before = Model { indexes: vec![], ..coded() };
    let world = World::new(models(vec![before]), &[]).await;
    let after = models(vec![coded(), refers_to_code("Refers", ["own_part", "own_code"])]);
    step_by_step(&world, &after).await;
    for database in world.databases() {
        refers(database).await;
    }
}
