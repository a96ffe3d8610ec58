//! What others made in the tables of models, and waits until it may be lost.

use super::*;

/// The tables of models that others made, each in its own way.
async fn adopted(sqlite: &[&str], postgres: &[&str]) -> World {
    let world = World::new(models(vec![]), &[]).await;
    for (database, statements) in world.databases().iter().zip([sqlite, postgres]) {
        for sql in statements {
            let done = database.execute_raw(sql, vec![]).await;
            done.unwrap_or_else(|error| panic!("`{sql}`: {error}"));
        }
    }
    world
}

/// Migrates without loss, and makes sure that nothing else is left than what loses something.
async fn keep(database: &Database, schema: &Schema) {
    migrate(database, schema, Some(Risk::Blocking)).await;
    let again = migrate(database, schema, Some(Risk::Blocking)).await;
    let dialect = database.dialect();
    assert!(again.applied.is_empty(), "{dialect:?}: again\n{}", sql(&again.applied));
    assert!(!again.left.is_empty(), "{dialect:?}");
    assert!(again.left.iter().all(|it| it.risk == Risk::Destructive));
}

async fn lose(database: &Database, schema: &Schema) {
    migrate(database, schema, Some(Risk::Destructive)).await;
    assert_settled(database, schema).await;
}

#[tokio::test]
async fn a_trigger_stays_however_it_spells_its_table() {
    let world = World::new(models(vec![author()]), &[]).await;
    let [sqlite, _] = world.databases();
    takes(
        sqlite,
        "CREATE TRIGGER shout AFTER INSERT ON AUTHOR BEGIN
            UPDATE author SET name = upper(name) WHERE id = new.id; END",
    )
    .await;
    let stricter = Model {
        checks: vec![check("named", vec![compare("name", Comparison::NotEqual, "".into())])],
        ..author()
    };
    evolve(&world, &models(vec![stricter])).await;
    takes(sqlite, "INSERT INTO author (name) VALUES ('Ann')").await;
    assert_eq!(rows(sqlite, "SELECT name FROM author").await, [[Value::from("ANN")]]);
}

#[tokio::test]
async fn rules_of_others_wait_until_something_may_be_lost() {
    let rules = "age bigint CHECK (age >= 0), code bigint, boss bigint REFERENCES author (id), \
         UNIQUE (code), CONSTRAINT grown CHECK (age < 200)";
    let world = adopted(
        &[&format!("CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT, {rules})")],
        &[&format!("CREATE TABLE author (id bigint PRIMARY KEY, name text, {rules})")],
    )
    .await;
    // Names that nobody would take for those of Ferro.
    let [_, postgres] = world.databases();
    for (former, name) in
        [("author_age_check", "age"), ("author_code_key", "code"), ("author_boss_fkey", "boss")]
    {
        takes(postgres, &format!("ALTER TABLE author RENAME CONSTRAINT {former} TO {name}")).await;
    }
    let schema = models(vec![model(
        "Author",
        vec![
            id(),
            text("name"),
            nullable("age", big("x").kind),
            nullable("code", big("x").kind),
            nullable("boss", big("x").kind),
            Field { unique: true, ..nullable("email", ColumnType::Text(None)) },
        ],
    )]);
    for database in world.databases() {
        takes(database, "INSERT INTO author VALUES (1, 'Ann', 20, 1, NULL)").await;
        keep(database, &schema).await;
        let with =
            |columns, values| format!("INSERT INTO author (name, {columns}) VALUES {values}");
        refuses(database, &with("age", "('Bob', -1)"), ErrorKind::CheckViolation).await;
        refuses(database, &with("age", "('Bob', 200)"), ErrorKind::CheckViolation).await;
        refuses(database, &with("code", "('Bob', 1)"), ErrorKind::UniqueViolation).await;
        refuses(database, &with("boss", "('Bob', 99)"), ErrorKind::ForeignKeyViolation).await;
        takes(database, &with("email", "('Cid', 'c')")).await;
        lose(database, &schema).await;
        takes(database, &with("age, code, boss", "('Bob', -1, 1, 99)")).await;
    }
}

#[tokio::test]
async fn a_table_of_sqlite_that_would_lose_what_no_model_asks_for_waits() {
    for (made, extra) in [
        ("(id INTEGER PRIMARY KEY, name TEXT) STRICT", "STRICT"),
        ("(id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE)", "COLLATE NOCASE"),
        ("(id INTEGER PRIMARY KEY ON CONFLICT REPLACE, name TEXT)", "ON CONFLICT REPLACE"),
    ] {
        let world = adopted(&[&format!("CREATE TABLE author {made}")], &[]).await;
        let [sqlite, _] = world.databases();
        let schema = models(vec![author()]);
        keep(sqlite, &schema).await;
        let kept = format!("SELECT 1 FROM sqlite_schema WHERE sql LIKE '%{extra}%'");
        assert_eq!(rows(sqlite, &kept).await.len(), 1, "{extra}");
        let left = migrate(sqlite, &schema, Some(Risk::Blocking)).await.left;
        let told = left.iter().filter_map(|it| it.reason.as_ref()).any(|it| it.contains(extra));
        assert!(told, "{extra}: {left:#?}");
        lose(sqlite, &schema).await;
        assert!(rows(sqlite, &kept).await.is_empty(), "{extra}");
    }
}

#[tokio::test]
async fn a_check_stays_until_another_can_take_its_place() {
    let of = |kind: ColumnType, value: Value| {
        models(vec![Model {
            checks: vec![check("large", vec![compare("n", Comparison::Greater, value)])],
            ..model("Author", vec![id(), field("n", kind)])
        }])
    };
    let world = World::new(of(ColumnType::Text(None), "3".into()), &[]).await;
    let after = of(number(), 4.into());
    for database in world.databases() {
        keep(database, &after).await;
        refuses(database, "INSERT INTO author (n) VALUES ('2')", ErrorKind::CheckViolation).await;
        lose(database, &after).await;
        refuses(database, "INSERT INTO author (n) VALUES (4)", ErrorKind::CheckViolation).await;
    }
}

#[tokio::test]
async fn computed_columns_go_before_those_they_are_computed_of() {
    let made = |key| {
        format!(
            "CREATE TABLE author (id {key} NOT NULL, name text NOT NULL, b bigint, \
             c bigint GENERATED ALWAYS AS (b * 2) STORED)"
        )
    };
    let world = adopted(&[&made("INTEGER PRIMARY KEY")], &[&made("bigint PRIMARY KEY")]).await;
    let [sqlite, _] = world.databases();
    takes(sqlite, "ALTER TABLE author ADD COLUMN d bigint GENERATED ALWAYS AS (c + 1)").await;
    let schema = models(vec![author()]);
    for database in world.databases() {
        keep(database, &schema).await;
        lose(database, &schema).await;
        let gone = database.fetch_raw("SELECT b FROM author", vec![]).await;
        assert_eq!(gone.map(drop).unwrap_err().kind, ErrorKind::UndefinedObject);
    }
}

#[tokio::test]
async fn a_computed_column_that_a_field_reads_keeps_its_values() {
    let made = |key| {
        format!(
            "CREATE TABLE author (id {key} NOT NULL, name text NOT NULL, \
             loud text GENERATED ALWAYS AS (name || '!') STORED)"
        )
    };
    let world = adopted(&[&made("INTEGER PRIMARY KEY")], &[&made("bigint PRIMARY KEY")]).await;
    let name = Field { unique: true, ..text("name") };
    let schema = models(vec![model("Author", vec![id(), name, text("loud")])]);
    let [sqlite, _] = world.databases();
    keep(sqlite, &schema).await;
    for database in world.databases() {
        takes(database, "INSERT INTO author (id, name) VALUES (1, 'Ann')").await;
        for risk in [Risk::Blocking, Risk::Destructive] {
            migrate(database, &schema, Some(risk)).await;
            let loud = rows(database, "SELECT loud FROM author").await;
            assert_eq!(loud, [[Value::from("Ann!")]], "{:?}", database.dialect());
        }
        assert_settled(database, &schema).await;
    }
}

#[tokio::test]
async fn an_index_stays_until_the_table_can_be_made_anew() {
    let with = |name: Option<&str>, least: i64| {
        models(vec![Model {
            indexes: vec![Index {
                name: name.map(Into::into),
                fields: vec!["name".into()],
                unique: true,
                condition: None,
            }],
            checks: vec![check("old", vec![compare("age", Comparison::Greater, least.into())])],
            ..model("Author", vec![id(), text("name"), field("age", number())])
        }])
    };
    let world =
        World::new(with(None, 1), &["INSERT INTO author (name, age) VALUES ('Ann', 20)"]).await;
    let [sqlite, _] = world.databases();
    takes(sqlite, "ALTER TABLE author ADD COLUMN twice bigint GENERATED ALWAYS AS (age * 2)").await;
    let after = with(Some("by_name"), 2);
    keep(sqlite, &after).await;
    let twin = "INSERT INTO author (name, age) VALUES ('Ann', 30)";
    refuses(sqlite, twin, ErrorKind::UniqueViolation).await;
    lose(sqlite, &after).await;
    refuses(sqlite, twin, ErrorKind::UniqueViolation).await;
}

#[tokio::test]
async fn keys_that_do_less_than_those_of_models_are_replaced() {
    let version = "SELECT current_setting('server_version_num')::bigint >= 150000";
    let world = World::new(models(vec![]), &[]).await;
    let [_, postgres] = world.databases();
    let is_new = rows(postgres, version).await == [[Value::Boolean(true)]];
    let nulls = if is_new { "NULLS NOT DISTINCT" } else { "" };
    for sql in [
        "CREATE TABLE author (id bigint GENERATED ALWAYS AS IDENTITY, name text NOT NULL, \
         email text, code text, nick text, PRIMARY KEY (id) DEFERRABLE, \
         UNIQUE (email) DEFERRABLE)",
        &format!("ALTER TABLE author ADD UNIQUE {nulls} (code)"),
        &format!("CREATE UNIQUE INDEX author_nick_key ON author (nick) {nulls}"),
    ] {
        takes(postgres, sql).await;
    }
    let unique = |name| Field { unique: true, ..nullable(name, ColumnType::Text(None)) };
    let schema = models(vec![model(
        "Author",
        vec![id(), text("name"), unique("email"), unique("code"), unique("nick")],
    )]);
    migrate(postgres, &schema, Some(Risk::Destructive)).await;
    assert_settled(postgres, &schema).await;
    for sql in [
        "INSERT INTO author (id, name, email) VALUES (7, 'Ann', 'a')",
        "INSERT INTO author (name, email) VALUES ('Bob', 'a') ON CONFLICT (email) DO NOTHING",
        "INSERT INTO author (id, name) VALUES (7, 'Cid') ON CONFLICT (id) DO NOTHING",
        "INSERT INTO author (name) VALUES ('Dan')",
    ] {
        takes(postgres, sql).await;
    }
    assert_eq!(rows(postgres, "SELECT id FROM author").await.len(), 2);
}

#[tokio::test]
async fn an_enum_without_labels_is_no_concern() {
    let world = adopted(&[], &["CREATE TYPE nothing AS ENUM ()"]).await;
    evolve(&world, &models(vec![author()])).await;
}

#[tokio::test]
async fn another_type_with_the_name_of_an_enum_is_in_the_way() {
    let mood = field("mood", ColumnType::Enumeration("mood".into()));
    let enums = vec![EnumType { name: "mood".into(), values: vec!["sad".into()] }];
    let schema = Schema { models: vec![model("Person", vec![id(), mood])], enums };
    for theirs in ["CREATE DOMAIN mood AS text", "CREATE TABLE mood (id bigint)"] {
        let world = adopted(&[], &[theirs]).await;
        let [_, postgres] = world.databases();
        let error = attempt(postgres, &schema, Risk::Destructive).await.unwrap_err();
        assert!(error.message.contains("already exists"), "{error}");
    }
}

#[tokio::test]
async fn a_check_of_others_on_elements_of_an_array_waits() {
    let world = adopted(
        &[],
        &["CREATE TABLE author (id bigint PRIMARY KEY, a uuid NOT NULL, b uuid NOT NULL, \
           key uuid NOT NULL, CONSTRAINT theirs CHECK (key = ANY (ARRAY[a, b])))"],
    )
    .await;
    let [_, postgres] = world.databases();
    let uuid = |name| field(name, ColumnType::Uuid);
    let schema = models(vec![model("Author", vec![id(), text("a"), uuid("b"), uuid("key")])]);
    keep(postgres, &schema).await;
    lose(postgres, &schema).await;
}

#[tokio::test]
async fn an_enum_that_loses_values_waits_for_conditions_of_others_on_its_columns() {
    let of = |values: &[&str], fresh: &[&str]| {
        let mood = || ColumnType::Enumeration("mood".into());
        let fields = [vec![id(), field("mood", mood())]];
        let fresh = fresh.iter().map(|it| nullable(it, mood())).collect();
        let other = model("Pet", vec![id(), field("mood", mood())]);
        Schema {
            models: vec![model("Person", [fields.concat(), fresh].concat()), other],
            enums: vec![EnumType {
                name: "mood".into(),
                values: values.iter().map(|it| (*it).into()).collect(),
            }],
        }
    };
    let after = of(&["glad", "calm"], &["before"]);
    for condition in [
        "CREATE INDEX by_hand ON person (id) WHERE mood = 'glad'",
        "CREATE INDEX by_hand ON person ((mood > 'sad'))",
        "ALTER TABLE person ADD CONSTRAINT by_hand CHECK (mood <> 'sad')",
    ] {
        let world = World::new(
            of(&["sad", "glad"], &[]),
            &[
                "INSERT INTO person (mood) VALUES ('glad')",
                "INSERT INTO pet (mood) VALUES ('glad')",
            ],
        )
        .await;
        let [_, postgres] = world.databases();
        takes(postgres, condition).await;
        keep(postgres, &after).await;
        takes(postgres, "INSERT INTO pet (mood) VALUES ('glad')").await;
        lose(postgres, &after).await;
        takes(postgres, "INSERT INTO person (mood, before) VALUES ('calm', 'calm')").await;
        assert_eq!(rows(postgres, "SELECT id FROM pet WHERE mood = 'glad'").await.len(), 2);
    }
}

#[tokio::test]
async fn a_type_waits_for_computed_columns_of_others_that_read_it() {
    let of = |name: &str, former: Option<&str>, width: IntegerWidth| {
        let n = field(name, ColumnType::Integer(width));
        let n = Field { renamed_from: former.map(Into::into), ..n };
        models(vec![model("Author", vec![id(), n])])
    };
    let computed = "ALTER TABLE author ADD COLUMN twice bigint GENERATED ALWAYS AS (n * 2)";
    for (name, former) in [("n", None), ("m", Some("n"))] {
        let seed = ["INSERT INTO author (n) VALUES (7)"];
        let world = World::new(of("n", None, IntegerWidth::Regular), &seed).await;
        let after = of(name, former, IntegerWidth::Big);
        for database in world.databases() {
            let stored = if database.dialect() == Dialect::Postgres { "STORED" } else { "" };
            takes(database, &format!("{computed} {stored}")).await;
            keep(database, &after).await;
            assert_eq!(rows(database, "SELECT twice FROM author").await, [[Value::Integer(14)]]);
            let left = migrate(database, &after, None).await.left;
            assert!(!told(&left).contains("values may change"), "{}", told(&left));
            lose(database, &after).await;
            takes(database, &format!("INSERT INTO author ({name}) VALUES (1000000000000)")).await;
        }
    }
}
