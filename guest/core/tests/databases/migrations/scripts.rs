//! Migrations as scripts that others run as they are, and stop at an error.

use super::*;
use ferro_driver::ConnectOptions;

/// A database, and how its scripts are run.
struct Place {
    url: String,
    database: Database,
    _folder: tempfile::TempDir,
}

impl Place {
    async fn both(schema: &Schema, seed: &[&str]) -> [Self; 2] {
        let folder = || tempfile::tempdir().unwrap();
        let (file, other) = (folder(), folder());
        let url = format!("sqlite:{}?mode=rwc", file.path().join("app.db").display());
        let sqlite = Self::new(url, file, schema, seed).await;
        let url = ferro_test_support::postgres::url();
        [sqlite, Self::new(url, other, schema, seed).await]
    }

    async fn new(url: String, folder: tempfile::TempDir, schema: &Schema, seed: &[&str]) -> Self {
        let mut options = ConnectOptions::default();
        options.pool.acquire_timeout = std::time::Duration::from_secs(20);
        let database = Database::connect(&url, &options).await.unwrap();
        migrate(&database, schema, Some(Risk::Safe)).await;
        for sql in seed {
            database.execute_raw(sql, vec![]).await.unwrap();
        }
        Self { url, database, _folder: folder }
    }

    /// Runs a script on a connection of its own, on which foreign keys are enforced.
    async fn run(&self, script: &str) -> Result<(), String> {
        match self.database.dialect() {
            Dialect::Sqlite => {
                let script = script.replacen(".bail on\n", "", 1);
                let file = self.url.trim_start_matches("sqlite:").trim_end_matches("?mode=rwc");
                let connection = rusqlite::Connection::open(file).unwrap();
                connection.execute_batch("PRAGMA foreign_keys = ON").unwrap();
                connection.execute_batch(&script).map_err(|error| error.to_string())
            }
            Dialect::Postgres => {
                let connected = tokio_postgres::connect(&self.url, tokio_postgres::NoTls).await;
                let (client, connection) = connected.unwrap();
                let connection = tokio::spawn(connection);
                // The shell sends one statement at a time, and this all that it is given.
                let (alone, rest) = script.split_at(script.find("BEGIN;").unwrap());
                let mut done = Ok(());
                for part in [alone, rest].into_iter().filter(|it| !it.is_empty()) {
                    done = done.and(client.batch_execute(part).await);
                }
                drop(client);
                connection.await.unwrap().unwrap();
                done.map_err(|error| format!("{error:?}"))
            }
        }
    }

    async fn script(&self, schema: &Schema) -> String {
        migrate(&self.database, schema, None).await.script()
    }
}

fn book() -> Model {
    Model {
        foreign_keys: vec![foreign_key("author", "author_id", "Author")],
        ..model("Book", vec![id(), big("author_id")])
    }
}

fn with_mood(mut models: Vec<Model>, moods: &[&str], default: &str) -> Schema {
    let mood = Field {
        default: constant(default.into()),
        ..field("mood", ColumnType::Enumeration("mood".into()))
    };
    models[0].fields.push(mood);
    let values = moods.iter().map(|it| (*it).into()).collect();
    Schema { models, enums: vec![EnumType { name: "mood".into(), values }] }
}

fn named(model: Model) -> Model {
    let checks = vec![check("named", vec![compare("name", Comparison::NotEqual, "".into())])];
    Model { checks, ..model }
}

#[tokio::test]
async fn a_script_does_what_the_migration_would_do() {
    let before = with_mood(vec![author(), book()], &["sad"], "sad");
    let seed = [
        "INSERT INTO author (name) VALUES ('Ann')",
        "INSERT INTO book (author_id) VALUES (1)",
        "CREATE VIEW names AS SELECT name FROM author",
    ];
    let mut volume = Model { renamed_from: Some("Book".into()), ..book() };
    volume.name = "Volume".into();
    let after = with_mood(vec![named(author()), volume], &["sad", "it's; glad"], "it's; glad");
    for place in Place::both(&before, &seed).await {
        let script = place.script(&after).await;
        place.run(&script).await.unwrap_or_else(|error| panic!("{error}\n{script}"));
        let database = &place.database;
        assert_settled(database, &after).await;
        let found = rows(database, "SELECT author_id FROM volume").await;
        assert_eq!(found, [[Value::Integer(1)]], "{script}");
        assert_eq!(rows(database, "SELECT name FROM names").await, [[Value::from("Ann")]]);
        database.execute_raw("INSERT INTO author (name) VALUES ('Bob')", vec![]).await.unwrap();
        assert!(place.script(&after).await.starts_with("-- nothing to do"));
    }
}

/// Migrates a database if the script of what is to be done is this one.
async fn reviewed(place: &Place, schema: &Schema, risk: Risk, script: &str) -> Migration {
    let catalog = Catalog::new(schema.clone()).unwrap();
    let dialect = place.database.dialect();
    let questions = catalog.introspection(dialect).unwrap();
    let plan = |found: &[String]| catalog.migrate(dialect, found);
    place.database.migrate_reviewed(&questions, plan, risk, script).await.unwrap()
}

#[tokio::test]
async fn only_what_was_read_is_applied() {
    let before = with_mood(vec![author(), book()], &["sad"], "sad");
    let mut volume = Model { renamed_from: Some("Book".into()), ..book() };
    volume.name = "Volume".into();
    let after = with_mood(vec![named(author()), volume], &["sad", "glad"], "glad");
    for place in Place::both(&before, &[]).await {
        let script = place.script(&after).await;
        // Somebody else adds a table of the models, or what no model has.
        takes(&place.database, "ALTER TABLE author ADD COLUMN other integer").await;
        let now = reviewed(&place, &after, Risk::Destructive, &script).await;
        assert_eq!((now.applied.len(), now.script()), (0, place.script(&after).await));
        assert_ne!(now.script(), script);

        let safe = reviewed(&place, &after, Risk::Safe, &now.script()).await;
        assert!(safe.applied.iter().all(|it| it.risk == Risk::Safe) && !safe.left.is_empty());
        let script = place.script(&after).await;
        let done = reviewed(&place, &after, Risk::Destructive, &script).await;
        let read = Migration { dialect: done.dialect, applied: vec![], left: done.applied.clone() };
        assert!(!done.applied.is_empty() && script == read.script(), "{script}");
        migrate(&place.database, &after, Some(Risk::Destructive)).await;
        assert_settled(&place.database, &after).await;
    }
}

#[tokio::test]
async fn what_comes_up_on_the_way_is_left() {
    let before = models(vec![model("Old", vec![id(), big("x"), big("y")])]);
    let seed = ["CREATE TABLE log (n integer)", "INSERT INTO old (x, y) VALUES (1, 2)"];
    let [sqlite, _] = Place::both(&before, &seed).await;
    let trigger = "CREATE TRIGGER logged AFTER INSERT ON old BEGIN \
                   INSERT INTO log VALUES (new.y); END";
    takes(&sqlite.database, trigger).await;
    let new = model("New", vec![id(), text("x"), nullable("z", ColumnType::Text(None))]);
    let after = models(vec![Model { renamed_from: Some("Old".into()), ..new }]);
    let script = sqlite.script(&after).await;
    assert!(script.contains("RENAME TO") && !script.contains("DROP"), "{script}");
    let done = reviewed(&sqlite, &after, Risk::Destructive, &script).await;
    let read = Migration { dialect: done.dialect, applied: vec![], left: done.applied.clone() };
    assert_eq!(read.script(), script);
    let left = Migration { dialect: done.dialect, applied: vec![], left: done.left };
    assert!(left.script().contains("DROP"), "{left:?}");
    assert_eq!(left.script(), sqlite.script(&after).await);
    let found = rows(&sqlite.database, "SELECT x, y FROM new").await;
    assert_eq!(found, [[Value::Integer(1), Value::Integer(2)]]);
}

#[tokio::test]
async fn a_script_that_fails_changes_nothing() {
    let before = models(vec![author(), book()]);
    let seed = ["INSERT INTO author (name) VALUES ('')", "INSERT INTO book (author_id) VALUES (1)"];
    let after = models(vec![named(author()), book(), model("Other", vec![id()])]);
    for place in Place::both(&before, &seed).await {
        let script = place.script(&after).await;
        let error = place.run(&script).await.unwrap_err();
        assert!(error.contains("named"), "{error}");
        assert_eq!(place.script(&after).await, script);
        assert_eq!(rows(&place.database, "SELECT name FROM author").await, [[Value::from("")]]);
        assert_eq!(rows(&place.database, "SELECT id FROM book").await.len(), 1);
    }
}

#[tokio::test]
async fn a_script_fails_if_more_rows_refer_to_none() {
    let loose = || model("Book", vec![id(), big("author_id")]);
    let before = models(vec![author(), loose()]);
    let seed = ["INSERT INTO book (author_id) VALUES (7)"];
    let bound = models(vec![author(), book()]);
    let [sqlite, postgres] = Place::both(&before, &seed).await;
    for place in [&sqlite, &postgres] {
        let script = place.script(&bound).await;
        let error = place.run(&script).await.unwrap_err();
        let said =
            error.contains("a row refers to none") || error.contains("foreign_key_violation");
        assert!(said || error.contains("23503"), "{error}");
        assert_eq!(place.script(&bound).await, script);
    }
    // Rows that did so before are no concern, whatever their tables are called.
    let mut options = ConnectOptions::default();
    options.sqlite.foreign_keys = false;
    let lax = Database::connect(&sqlite.url, &options).await.unwrap();
    migrate(&lax, &bound, Some(Risk::Blocking)).await;
    let mut volume = Model { name: "Volume".into(), renamed_from: Some("Book".into()), ..book() };
    volume.fields.push(Field { unique: true, ..nullable("code", number()) });
    let after = models(vec![author(), volume]);
    sqlite.run(&sqlite.script(&after).await).await.unwrap();
    assert_settled(&sqlite.database, &after).await;
    assert_eq!(rows(&sqlite.database, "SELECT id FROM volume").await.len(), 1);
}

#[tokio::test]
async fn what_only_ferro_can_run_is_said() {
    let before = models(vec![author()]);
    let price = field("price", ColumnType::Decimal(None));
    let after = models(vec![author(), model("Item", vec![id(), price])]);
    let [sqlite, postgres] = Place::both(&before, &[]).await;
    let said = "needs functions and collations that only Ferro's own connections have";
    assert!(sqlite.script(&after).await.contains(said));
    assert!(!postgres.script(&after).await.contains(said));
    let error = sqlite.run(&sqlite.script(&after).await).await.unwrap_err();
    assert!(error.contains("ferro_decimal"), "{error}");
    postgres.run(&postgres.script(&after).await).await.unwrap();
}
