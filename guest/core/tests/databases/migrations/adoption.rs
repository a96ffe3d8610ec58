//! Tables that were made by hand or by other tools.

use super::*;

/// Migrates without loss, and makes sure that only some destructive steps are left.
async fn adopt(database: &Database, schema: &Schema, left: &[&str]) {
    migrate(database, schema, Some(Risk::Blocking)).await;
    let again = migrate(database, schema, Some(Risk::Blocking)).await;
    assert!(again.applied.is_empty(), "{:?}: again\n{}", database.dialect(), sql(&again.applied));
    let found: Vec<_> = again.left.iter().map(|it| it.sql.as_str()).collect();
    assert_eq!(found, left, "{:?}", database.dialect());
}

#[tokio::test]
async fn a_namespace_is_nothing_to_sqlite() {
    let schema = models(vec![Model { namespace: Some("shop".into()), ..author() }]);
    let world = World::new(schema.clone(), &[]).await;
    for database in world.databases() {
        assert_settled(database, &schema).await;
    }
}

#[tokio::test]
async fn a_view_is_no_table_to_be_changed() {
    let world =
        World::new(models(vec![author()]), &["CREATE VIEW writer AS SELECT * FROM author"]).await;
    let seen = Model {
        fields: vec![id(), Field { indexed: true, ..text("name") }, text("other")],
        ..model("Writer", vec![])
    };
    let seen = Model { primary_key: vec!["id".into()], ..seen };
    let schema = models(vec![author(), seen]);
    for database in world.databases() {
        assert_settled(database, &schema).await;
    }
}

#[tokio::test]
async fn what_others_made_with_names_like_ours_stays() {
    let world =
        World::new(models(vec![author()]), &["INSERT INTO author (name) VALUES ('Ann')"]).await;
    let [sqlite, postgres] = world.databases();
    for database in world.databases() {
        for sql in [
            "CREATE INDEX author_lower_idx ON author (lower(name))",
            "CREATE INDEX author_name_idx ON author (name DESC)",
            "CREATE UNIQUE INDEX author_lower_key ON author (lower(name))",
        ] {
            database.execute_raw(sql, vec![]).await.unwrap();
        }
    }
    let sql = "CREATE INDEX author_name_idx1 ON author USING hash (name)";
    postgres.execute_raw(sql, vec![]).await.unwrap();
    let sql = "CREATE INDEX author_id_name_idx ON author (id) INCLUDE (name)";
    postgres.execute_raw(sql, vec![]).await.unwrap();
    let schema = models(vec![author()]);
    adopt(sqlite, &schema, &[r#"DROP INDEX "author_lower_key""#]).await;
    adopt(postgres, &schema, &[r#"DROP INDEX "public"."author_lower_key""#]).await;
}

#[tokio::test]
async fn keys_of_serial_columns_number_on() {
    let world = World::new(models(vec![]), &[]).await;
    let [sqlite, postgres] = world.databases();
    let made = "CREATE TABLE author (id serial PRIMARY KEY, name varchar(50) NOT NULL)";
    postgres.execute_raw(made, vec![]).await.unwrap();
    let made = "CREATE TABLE author (id INTEGER PRIMARY KEY, name VARCHAR(50) NOT NULL)";
    sqlite.execute_raw(made, vec![]).await.unwrap();
    let given = models(vec![model("Author", vec![big("id"), text("name")])]);
    let generated = models(vec![author()]);
    for database in world.databases() {
        database
            .execute_raw("INSERT INTO author (name) VALUES ('a'), ('b')", vec![])
            .await
            .unwrap();
        adopt(database, &generated, &[]).await;
        database.execute_raw("INSERT INTO author (name) VALUES ('c')", vec![]).await.unwrap();
        adopt(database, &given, &[]).await;
        database.execute_raw("INSERT INTO author VALUES (7, 'c')", vec![]).await.unwrap();
        adopt(database, &generated, &[]).await;
        database.execute_raw("INSERT INTO author (name) VALUES ('d')", vec![]).await.unwrap();
        let found = rows(database, "SELECT max(id) FROM author").await;
        assert_eq!(found, [[Value::Integer(8)]]);
    }
    let sequence =
        "SELECT DISTINCT data_type::text FROM pg_sequences WHERE sequencename LIKE 'author%'";
    assert_eq!(rows(postgres, sequence).await, [[Value::Text("bigint".into())]]);
}

#[tokio::test]
async fn keys_below_zero_number_on_from_one() {
    let given = model("Author", vec![big("id"), text("name")]);
    let world = World::new(models(vec![given]), &["INSERT INTO author VALUES (-7, 'a')"]).await;
    for database in world.databases() {
        migrate(database, &models(vec![author()]), Some(Risk::Blocking)).await;
        database.execute_raw("INSERT INTO author (name) VALUES ('d')", vec![]).await.unwrap();
        let found = rows(database, "SELECT max(id) FROM author").await;
        assert_eq!(found, [[Value::Integer(1)]]);
    }
}

#[tokio::test]
async fn a_table_without_row_numbers_gets_some() {
    let world = World::new(models(vec![]), &[]).await;
    let [sqlite, _] = world.databases();
    let made =
        "CREATE TABLE author (id INTEGER PRIMARY KEY NOT NULL, name TEXT NOT NULL) WITHOUT ROWID";
    sqlite.execute_raw(made, vec![]).await.unwrap();
    adopt(sqlite, &models(vec![author()]), &[]).await;
    sqlite.execute_raw("INSERT INTO author (name) VALUES ('c')", vec![]).await.unwrap();
}

#[tokio::test]
async fn rows_of_other_tables_that_refer_to_none_are_no_concern() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}?mode=rwc", folder.path().join("app.db").display());
    let mut options = ferro_driver::ConnectOptions::default();
    options.sqlite.foreign_keys = false;
    let lax = Database::connect(&url, &options).await.unwrap();
    let tables = [
        "CREATE TABLE author (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, name TEXT NOT NULL)",
        "CREATE TABLE theirs (n INTEGER REFERENCES missing (id))",
        "INSERT INTO theirs VALUES (1)",
        "CREATE VIEW names AS SELECT name FROM author",
    ];
    for sql in tables {
        lax.execute_raw(sql, vec![]).await.unwrap();
    }
    let enforced = Database::connect(&url, &ferro_driver::ConnectOptions::default()).await.unwrap();
    let mut grown = author();
    for (database, name) in [(&lax, "note"), (&enforced, "other")] {
        grown.fields.push(Field { unique: true, ..nullable(name, number()) });
        adopt(database, &models(vec![grown.clone()]), &[]).await;
    }
    assert_eq!(rows(&lax, "PRAGMA foreign_keys").await, [[Value::Integer(0)]]);
    assert_eq!(rows(&enforced, "PRAGMA foreign_keys").await, [[Value::Integer(1)]]);
}

#[tokio::test]
async fn a_table_in_the_way_of_a_new_one_is_not_taken_for_it() {
    let world =
        World::new(models(vec![author()]), &["INSERT INTO author (name) VALUES ('Ann')"]).await;
    let [sqlite, _] = world.databases();
    let made = r#"CREATE TABLE "ferro new author" (id INTEGER, name TEXT)"#;
    sqlite.execute_raw(made, vec![]).await.unwrap();
    let stricter = Model {
        checks: vec![check("named", vec![compare("name", Comparison::NotEqual, "".into())])],
        ..author()
    };
    let error = attempt(sqlite, &models(vec![stricter]), Risk::Blocking).await.unwrap_err();
    assert!(error.message.contains("already exists"), "{error}");
    assert_eq!(rows(sqlite, "SELECT name FROM author").await.len(), 1);
}

#[tokio::test]
async fn a_unique_constraint_is_as_good_as_an_index() {
    let world = World::new(models(vec![]), &[]).await;
    let mut wanted = model("Author", vec![big("id"), text("name"), text("code")]);
    wanted.indexes = vec![Index {
        name: Some("uq_code".into()),
        fields: vec!["name".into(), "code".into()],
        unique: true,
        condition: None,
    }];
    for database in world.databases() {
        let made = "CREATE TABLE author (id bigint NOT NULL PRIMARY KEY, name text NOT NULL, code text NOT NULL, \
                    CONSTRAINT uq_code UNIQUE (name, code))";
        database.execute_raw(made, vec![]).await.unwrap();
        assert_settled(database, &models(vec![wanted.clone()])).await;
    }
}

#[tokio::test]
async fn an_index_of_others_goes_with_the_column_it_is_on() {
    let before = model("Author", vec![id(), text("name"), nullable("born", number())]);
    let world = World::new(
        models(vec![before]),
        &[
            "CREATE INDEX by_hand ON author (born)",
            "CREATE INDEX by_two ON author (name) WHERE born > 3",
        ],
    )
    .await;
    evolve(&world, &models(vec![author()])).await;
}

#[tokio::test]
async fn conditions_of_indexes_are_found_wherever_they_stand() {
    let condition = check("c", vec![compare("a WHERE b", Comparison::Greater, 3.into())]);
    let wanted = Model {
        indexes: vec![Index {
            name: Some("x WHERE y".into()),
            fields: vec!["a WHERE b".into()],
            unique: false,
            condition: Some(Check { name: None, ..condition }),
        }],
        ..model("Author", vec![id(), nullable("a WHERE b", number())])
    };
    let schema = models(vec![wanted]);
    let world = World::new(schema.clone(), &[]).await;
    for database in world.databases() {
        assert_settled(database, &schema).await;
    }
}

#[tokio::test]
async fn schemas_of_postgres_may_have_indexes_of_the_same_name() {
    let with_index = |name: &str, namespace: &str, least: i64| Model {
        namespace: Some(namespace.into()),
        indexes: vec![Index {
            name: Some("large".into()),
            fields: vec!["n".into()],
            unique: true,
            condition: Some(Check {
                name: None,
                ..check("c", vec![compare("n", Comparison::Greater, least.into())])
            }),
        }],
        ..model(name, vec![id(), field("n", number())])
    };
    let world = World::new(models(vec![author()]), &[]).await;
    let [_, postgres] = world.databases();
    let schema =
        |least| models(vec![with_index("Shop", "north", 1), with_index("Store", "south", least)]);
    for least in [2, 3] {
        let done = migrate(postgres, &schema(least), Some(Risk::Blocking)).await;
        assert!(!done.applied.is_empty());
        assert_settled(postgres, &schema(least)).await;
    }
    let again = migrate(postgres, &schema(2), None).await;
    assert_eq!(again.left.len(), 2, "{}", sql(&again.left));
    assert!(again.left.iter().all(|it| it.sql.contains("\"south\"")), "{}", sql(&again.left));
}

#[tokio::test]
async fn names_may_hold_anything() {
    let odd = [
        "ferro shadow 0",
        "ferro shadow %",
        "ferro partition",
        "a\"b",
        "it's",
        "a.b",
        "50%",
        "?",
        "$1",
        ":x",
        "a\\b",
        "Größe",
        "CHECK (",
        "-- x",
        "/* y",
        "ferro new x",
        "CaSe",
    ];
    let with = |change: i64| {
        let all = odd.iter().enumerate().map(|(index, name)| {
            let kind = ColumnType::Integer(IntegerWidth::Big);
            let column = Field {
                indexed: index % 2 == 0,
                unique: index % 3 == 0,
                default: constant(change.into()),
                ..field(name, kind)
            };
            Model {
                table: Some((*name).into()),
                checks: vec![Check {
                    name: None,
                    any_of: vec![vec![compare(name, Comparison::Greater, (change - 9).into())]],
                }],
                ..model(&format!("M{index}"), vec![id(), column])
            }
        });
        models(all.collect())
    };
    let world = World::new(with(1), &[]).await;
    for database in world.databases() {
        assert_settled(database, &with(1)).await;
    }
    evolve(&world, &with(2)).await;
}
