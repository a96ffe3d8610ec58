//! Renaming tables and columns.

use super::*;

fn renamed(field: Field, from: &str) -> Field {
    Field { renamed_from: Some(from.into()), ..field }
}

#[tokio::test]
async fn triggers_and_indexes_of_others_follow_a_table_that_is_made_anew() {
    let world = World::new(
        models(vec![author()]),
        &[
            "INSERT INTO author (name) VALUES ('Ann')",
            "CREATE INDEX by_hand ON author (name, id)",
            "CREATE VIEW names AS SELECT name FROM author",
        ],
    )
    .await;
    let [sqlite, _] = world.databases();
    shout(sqlite).await;
    let writer = Model {
        renamed_from: Some("Author".into()),
        checks: vec![check("named", vec![compare("full_name", Comparison::NotEqual, "".into())])],
        ..model("Writer", vec![id(), renamed(text("full_name"), "name")])
    };
    evolve(&world, &models(vec![writer])).await;
    for database in world.databases() {
        let sql = "INSERT INTO writer (full_name) VALUES ('Bob')";
        database.execute_raw(sql, vec![]).await.unwrap();
        assert_eq!(rows(database, "SELECT * FROM names").await.len(), 2);
    }
    let shouted = rows(sqlite, "SELECT full_name FROM writer WHERE full_name = 'BOB'").await;
    assert_eq!(shouted.len(), 1);
}

#[tokio::test]
async fn a_trigger_of_a_table_that_is_made_anew_follows_the_names_of_other_tables() {
    let word = |name: &str, fields: Vec<Field>| model(name, [vec![id()], fields].concat());
    let before = models(vec![word("Log", vec![text("line")]), word("Note", vec![text("body")])]);
    let column = models(vec![
        word("Log", vec![renamed(text("entry"), "line")]),
        word("Note", vec![Field { unique: true, ..text("body") }]),
    ]);
    let table = models(vec![
        Model { renamed_from: Some("Log".into()), ..word("Journal", vec![text("line")]) },
        word("Note", vec![Field { unique: true, ..text("body") }]),
    ]);
    for (after, count) in [
        (column, "SELECT count(*) FROM log WHERE entry = 'x'"),
        (table, "SELECT count(*) FROM journal WHERE line = 'x'"),
    ] {
        let world = World::new(before.clone(), &[]).await;
        let [sqlite, _] = world.databases();
        let trigger = "CREATE TRIGGER logs AFTER INSERT ON note BEGIN \
                       INSERT INTO log (line) VALUES (new.body); END";
        takes(sqlite, trigger).await;
        evolve(&world, &after).await;
        takes(sqlite, "INSERT INTO note (body) VALUES ('x')").await;
        assert_eq!(rows(sqlite, count).await, [[Value::Integer(1)]]);
    }
}

#[tokio::test]
async fn rows_are_numbered_on_though_the_table_is_spelt_otherwise() {
    let world = World::new(models(vec![]), &[]).await;
    let [sqlite, _] = world.databases();
    takes(
        sqlite,
        "CREATE TABLE Foo (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, n TEXT NOT NULL)",
    )
    .await;
    takes(sqlite, "INSERT INTO Foo (n) VALUES ('1'), ('2')").await;
    takes(sqlite, "DELETE FROM Foo WHERE n = '2'").await;
    let after =
        models(vec![model("Foo", vec![id(), Field { unique: true, ..field("n", number()) }])]);
    migrate(sqlite, &after, Some(Risk::Destructive)).await;
    assert_settled(sqlite, &after).await;
    takes(sqlite, "INSERT INTO foo (n) VALUES (7)").await;
    assert_eq!(rows(sqlite, "SELECT max(id) FROM foo").await, [[Value::Integer(3)]]);
}

#[tokio::test]
async fn indexes_settle_though_columns_and_tables_are_spelt_otherwise() {
    let world = World::new(models(vec![]), &[]).await;
    let [sqlite, _] = world.databases();
    takes(sqlite, "CREATE TABLE Foo (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, Name TEXT)")
        .await;
    takes(sqlite, "CREATE INDEX Foo_name_idx ON Foo (Name) WHERE Name IS NOT NULL").await;
    let name = Field { indexed: true, nullable: true, ..text("name") };
    let mut after = models(vec![model("Foo", vec![id(), name])]);
    migrate(sqlite, &after, Some(Risk::Destructive)).await;
    assert_settled(sqlite, &after).await;
    let name = &mut after.models[0].fields[1];
    *name = renamed(Field { name: "NAME".into(), ..name.clone() }, "name");
    migrate(sqlite, &after, Some(Risk::Destructive)).await;
    assert_settled(sqlite, &after).await;
}

#[tokio::test]
async fn a_table_gets_another_spelling() {
    let former = Model { table: Some("Foo".into()), ..model("Bar", vec![id()]) };
    let world =
        World::new(models(vec![former.clone()]), &["INSERT INTO \"Foo\" (id) VALUES (7)"]).await;
    let present =
        Model { table: Some("foo".into()), renamed_from: Some("Foo".into()), ..former.clone() };
    evolve(&world, &models(vec![present])).await;
    for database in world.databases() {
        assert_eq!(rows(database, "SELECT id FROM \"foo\"").await, [[Value::Integer(7)]]);
    }
}

#[tokio::test]
async fn a_new_model_takes_the_name_that_another_had() {
    let with_key = |name: &str, renamed_from: Option<&str>| Model {
        renamed_from: renamed_from.map(Into::into),
        checks: vec![Check {
            name: None,
            any_of: vec![vec![compare("n", Comparison::Greater, 0.into())]],
        }],
        ..model(
            name,
            vec![
                id(),
                Field { unique: true, ..text("code") },
                Field { indexed: true, ..field("n", number()) },
            ],
        )
    };
    let world = World::new(
        models(vec![with_key("Author", None)]),
        &["INSERT INTO author (code, n) VALUES ('a', 1)"],
    )
    .await;
    let after = models(vec![with_key("Author", None), with_key("Writer", Some("Author"))]);
    evolve(&world, &after).await;
    for database in world.databases() {
        assert_eq!(rows(database, "SELECT id FROM writer").await.len(), 1);
        assert!(rows(database, "SELECT id FROM author").await.is_empty());
    }
}

#[tokio::test]
async fn a_new_field_takes_the_name_that_another_had() {
    let before = model(
        "Author",
        vec![
            id(),
            Field { unique: true, ..nullable("a", number()) },
            Field { indexed: true, ..nullable("b", number()) },
        ],
    );
    let world =
        World::new(models(vec![before]), &["INSERT INTO author (a, b) VALUES (1, 2)"]).await;
    let after = model(
        "Author",
        vec![
            id(),
            Field { unique: true, ..nullable("a", number()) },
            Field { indexed: true, ..nullable("b", number()) },
            renamed(Field { unique: true, ..nullable("c", number()) }, "a"),
            renamed(Field { indexed: true, ..nullable("d", number()) }, "b"),
        ],
    );
    evolve(&world, &models(vec![after])).await;
    for database in world.databases() {
        let found = rows(database, "SELECT a, b, c, d FROM author").await;
        assert_eq!(found, [[Value::Null, Value::Null, Value::Integer(1), Value::Integer(2)]]);
    }
}

#[tokio::test]
async fn names_move_on_in_a_chain() {
    let before = model("Author", vec![id(), field("a", number()), field("b", number())]);
    let other = model("Writer", vec![id(), text("name")]);
    let world = World::new(
        models(vec![before, other]),
        &["INSERT INTO author (a, b) VALUES (1, 2)", "INSERT INTO writer (name) VALUES ('w')"],
    )
    .await;
    let fields = vec![id(), renamed(field("b", number()), "a"), renamed(field("c", number()), "b")];
    let writer = Model { renamed_from: Some("Author".into()), ..model("Writer", fields) };
    let poet =
        Model { renamed_from: Some("Writer".into()), ..model("Poet", vec![id(), text("name")]) };
    evolve(&world, &models(vec![writer, poet])).await;
    for database in world.databases() {
        let found = rows(database, "SELECT b, c FROM writer").await;
        assert_eq!(found, [[Value::Integer(1), Value::Integer(2)]]);
        assert_eq!(rows(database, "SELECT name FROM poet").await, [[Value::from("w")]]);
    }
}

#[tokio::test]
async fn pairs_keep_the_rows_when_models_are_renamed() {
    let tags = |target: &str| ManyToMany {
        name: "tags".into(),
        target: target.into(),
        through: None,
        reverse: None,
    };
    let book = Model { many_to_manys: vec![tags("Tag")], ..model("Book", vec![id()]) };
    let world = World::new(
        models(vec![book, model("Tag", vec![id()])]),
        &[
            "INSERT INTO book (id) VALUES (1)",
            "INSERT INTO tag (id) VALUES (2)",
            "INSERT INTO book_tags (book_id, tag_id) VALUES (1, 2)",
        ],
    )
    .await;
    let volume = Model {
        renamed_from: Some("Book".into()),
        many_to_manys: vec![tags("Label")],
        ..model("Volume", vec![renamed(Field { generated_key: true, ..big("number") }, "id")])
    };
    let label = Model { renamed_from: Some("Tag".into()), ..model("Label", vec![id()]) };
    evolve(&world, &models(vec![volume, label])).await;
    for database in world.databases() {
        let found = rows(database, "SELECT volume_number, label_id FROM volume_tags").await;
        assert_eq!(found, [[Value::Integer(1), Value::Integer(2)]]);
    }
}

#[tokio::test]
async fn a_renamed_column_in_conditions_needs_no_new_table() {
    let of = |field: Field| {
        let name = field.name.clone();
        let condition =
            Check { name: None, any_of: vec![vec![compare(&name, Comparison::Greater, 3.into())]] };
        models(vec![Model {
            checks: vec![Check { name: Some("large".into()), ..condition.clone() }],
            indexes: vec![Index {
                name: Some("large_ones".into()),
                fields: vec!["id".into()],
                unique: false,
                condition: Some(condition),
            }],
            ..model("Author", vec![id(), field])
        }])
    };
    let world = World::new(of(field("size", number())), &[]).await;
    let after = of(renamed(field("length", number()), "size"));
    for database in world.databases() {
        let Migration { applied, .. } = migrate(database, &after, Some(Risk::Blocking)).await;
        assert_eq!(sql(&applied), r#"ALTER TABLE "author" RENAME COLUMN "size" TO "length""#);
        assert_settled(database, &after).await;
    }
}

#[tokio::test]
async fn a_column_that_has_the_name_of_a_type_is_renamed_without_its_checks() {
    let of = |field: Field| {
        let any_of = vec![vec![compare(&field.name, Comparison::NotEqual, "".into())]];
        let checks = vec![Check { name: Some("some".into()), any_of }];
        models(vec![Model { checks, ..model("Author", vec![id(), field]) }])
    };
    let kind = || ColumnType::Text(Some(9));
    let world = World::new(of(field("text", kind())), &[]).await;
    let after = of(renamed(field("body", kind()), "text"));
    let [_, postgres] = world.databases();
    let Migration { applied, .. } = migrate(postgres, &after, Some(Risk::Blocking)).await;
    assert_eq!(sql(&applied), r#"ALTER TABLE "author" RENAME COLUMN "text" TO "body""#);
    assert_settled(postgres, &after).await;
}
