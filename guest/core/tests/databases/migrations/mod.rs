//! Migrations: tables that were made of other models, on both databases.

mod adoption;
mod any;
mod apply;
mod checks;
mod interrupted;
mod keys;
mod names;
mod others;
mod own;
mod risks;
mod scripts;
mod types;
mod values;

use ferro_core::Catalog;
use ferro_driver::{Database, Migration};
use ferro_wit::plan::{MigrationStep, Risk};
use ferro_wit::schema::{
    Check, CheckTerm, CheckTest, ColumnType, Comparison, DefaultValue, EnumType, Field, ForeignKey,
    Index, IntegerWidth, ManyToMany, Model, ReferentialAction, Schema,
};
use ferro_wit::types::{Dialect, Error, ErrorKind, Interval, ScalarType, Value};

use crate::fixture::*;
use crate::random::Generator;
use crate::world::World;

/// Tries to migrate a database to other models.
async fn attempt(
    database: &Database,
    schema: &Schema,
    risk: impl Into<Option<Risk>>,
) -> Result<Migration, Error> {
    let catalog = Catalog::new(schema.clone()).unwrap();
    let dialect = database.dialect();
    let questions = catalog.introspection(dialect).unwrap();
    let plan = |found: &[String]| catalog.migrate(dialect, found);
    database.migrate(&questions, plan, risk.into()).await
}

/// Migrates a database to other models.
#[track_caller]
fn migrate<'a>(
    database: &'a Database,
    schema: &'a Schema,
    risk: Option<Risk>,
) -> impl Future<Output = Migration> + 'a {
    let caller = std::panic::Location::caller();
    async move {
        let done = attempt(database, schema, risk).await;
        done.unwrap_or_else(|error| panic!("{caller}: {:?}: {error}", database.dialect()))
    }
}

/// Migrates both databases, and makes sure that nothing is left to be done.
async fn evolve(world: &World, schema: &Schema) {
    for database in world.databases() {
        migrate(database, schema, Some(Risk::Destructive)).await;
        assert_settled(database, schema).await;
    }
}

#[track_caller]
fn assert_settled<'a>(database: &'a Database, schema: &'a Schema) -> impl Future<Output = ()> + 'a {
    let caller = std::panic::Location::caller();
    async move {
        let Migration { left, .. } = migrate(database, schema, None).await;
        let dialect = database.dialect();
        assert!(left.is_empty(), "{caller}: {dialect:?} still lacks\n{}", sql(&left));
    }
}

fn sql(steps: &[MigrationStep]) -> String {
    steps.iter().map(|it| it.sql.as_str()).collect::<Vec<_>>().join(";\n")
}

fn models(models: Vec<Model>) -> Schema {
    Schema { models, enums: vec![] }
}

fn constant(value: Value) -> Option<DefaultValue> {
    Some(DefaultValue::Constant(value))
}

fn texts(values: &[&str]) -> Value {
    let mut list = ferro_wit::types::Scalars::with_kind(ScalarType::Text);
    for value in values {
        list.push(Value::from(*value)).unwrap();
    }
    Value::Array(list)
}

fn number() -> ColumnType {
    ColumnType::Integer(IntegerWidth::Regular)
}

fn check(name: &str, terms: Vec<CheckTerm>) -> Check {
    Check { name: Some(name.into()), any_of: vec![terms] }
}

fn compare(field: &str, comparison: Comparison, value: Value) -> CheckTerm {
    CheckTerm { field: field.into(), test: CheckTest::Compare((comparison, value)) }
}

/// The rows of a table as one text a row.
async fn rows(database: &Database, sql: &str) -> Vec<Vec<Value>> {
    let mut cursor = database.fetch_raw(sql, vec![]).await.unwrap();
    let mut rows = Vec::new();
    while let Some(batch) = cursor.next(100).await.unwrap() {
        for row in 0..batch.rows as usize {
            rows.push(batch.columns.iter().map(|it| it.get(row).unwrap()).collect());
        }
    }
    rows
}

async fn refuses(database: &Database, sql: &str, kind: ErrorKind) {
    let error = database.execute_raw(sql, vec![]).await.unwrap_err();
    assert_eq!(error.kind, kind, "{:?}: `{sql}`: {error}", database.dialect());
}

async fn takes(database: &Database, sql: &str) {
    let done = database.execute_raw(sql, vec![]).await;
    done.unwrap_or_else(|error| panic!("{:?}: `{sql}`: {error}", database.dialect()));
}

/// The types that compare, each with a value.
fn all_kinds() -> [(ColumnType, Value); 18] {
    let time = 45_296_000_001;
    let instant = 1_700_000_000_123_456;
    [
        (ColumnType::Boolean, Value::Boolean(true)),
        (ColumnType::Integer(IntegerWidth::Small), Value::Integer(-3)),
        (number(), Value::Integer(7)),
        (ColumnType::Integer(IntegerWidth::Big), Value::Integer(i64::MIN)),
        (ColumnType::Real, Value::Float(0.5)),
        (ColumnType::Double, Value::Float(-1e100)),
        (ColumnType::Double, Value::Float(f64::NEG_INFINITY)),
        (ColumnType::Decimal(None), Value::Decimal("-1.50".into())),
        (
            ColumnType::Decimal(Some(ferro_wit::schema::DecimalSize { precision: 8, scale: 3 })),
            Value::Decimal("2.125".into()),
        ),
        (ColumnType::Text(None), Value::Text("it's \\ a \"test\" (1)".into())),
        (ColumnType::Text(Some(20)), Value::Text("draft".into())),
        (ColumnType::Blob, Value::Blob(vec![0, 255, 39])),
        (ColumnType::Uuid, Value::Uuid((1, 2))),
        (ColumnType::Date, Value::Date(19_000)),
        (ColumnType::Time, Value::Time(time)),
        (ColumnType::Timestamp, Value::Timestamp(instant)),
        (ColumnType::Timestamptz, Value::Timestamptz(instant)),
        (ColumnType::Enumeration("mood".into()), Value::Text("so-so".into())),
    ]
}

/// A model with a column of each type, with constants of all kinds as defaults and in checks.
fn all_types(random: &mut Generator) -> Schema {
    let kinds = all_kinds();
    let others = [
        (ColumnType::Interval, Value::Interval(Interval { months: 1, days: -2, microseconds: -3 })),
        (ColumnType::Json, Value::Json(r#"{"b": [1, 2.50], "a": "it's"}"#.into())),
        (ColumnType::Array(ScalarType::Text), texts(&["a,\"b", "it's"])),
    ];
    let mut fields = vec![id()];
    let mut checks = Vec::new();
    for (index, (kind, value)) in kinds.iter().enumerate() {
        let name = format!("field {index}");
        let default = (random.below(2) == 0).then(|| DefaultValue::Constant(value.clone()));
        if random.below(2) == 0 {
            let comparison = match kind {
                ColumnType::Enumeration(_) => Comparison::NotEqual,
                _ => random.pick(&[
                    Comparison::NotEqual,
                    Comparison::LessOrEqual,
                    Comparison::Greater,
                ]),
            };
            checks.push(CheckTerm {
                field: name.clone(),
                test: match random.below(4) {
                    0 => CheckTest::OneOf(vec![value.clone(), value.clone()]),
                    1 => CheckTest::IsNotNull,
                    _ => CheckTest::Compare((comparison, value.clone())),
                },
            });
        }
        fields.push(Field {
            nullable: random.below(2) == 0,
            unique: random.below(5) == 0,
            indexed: random.below(3) == 0,
            default,
            ..field(&name, kind.clone())
        });
    }
    for (index, (kind, value)) in others.into_iter().enumerate() {
        let default = (random.below(2) == 0).then_some(DefaultValue::Constant(value));
        fields.push(Field { default, ..nullable(&format!("other {index}"), kind) });
    }
    for (index, kind) in
        [ColumnType::Date, ColumnType::Time, ColumnType::Timestamp, ColumnType::Timestamptz]
            .into_iter()
            .enumerate()
    {
        let default = Some(DefaultValue::Now);
        fields.push(Field { default, ..field(&format!("now {index}"), kind) });
    }
    let uuid = Some(DefaultValue::RandomUuid);
    fields.push(Field { default: uuid, ..field("uuid", ColumnType::Uuid) });
    let half = checks.len() / 2;
    let named = |name: &str, any_of: Vec<Vec<CheckTerm>>| Check { name: Some(name.into()), any_of };
    let mut all = Vec::new();
    if half > 0 {
        all.push(named("one", vec![checks[..half].to_vec(), checks[half..].to_vec()]));
        all.push(Check { name: None, any_of: vec![checks[half..].to_vec()] });
    }
    let condition = checks.first().map(|it| Check { name: None, any_of: vec![vec![it.clone()]] });
    let index = Index {
        name: None,
        fields: vec!["field 1".into(), "field 9".into()],
        unique: random.below(2) == 0,
        condition,
    };
    let model = Model {
        checks: all,
        indexes: vec![index],
        comment: Some("it's a test".into()),
        ..model("Every Type", fields)
    };
    let mood = EnumType { name: "mood".into(), values: vec!["sad".into(), "so-so".into()] };
    Schema { models: vec![model], enums: vec![mood] }
}

#[tokio::test]
async fn tables_that_were_just_created_need_no_migration() {
    let mut random = Generator::new(41);
    for _ in 0..12 {
        let schema = all_types(&mut random);
        let world = World::new(schema.clone(), &[]).await;
        for database in world.databases() {
            assert_settled(database, &schema).await;
        }
    }
    let mut schema = schema();
    let world = World::new(schema.clone(), &[]).await;
    evolve(&world, &schema).await;
    // PostgreSQL keeps none, and has none afterwards.
    for comment in ["", "a comment", ""] {
        schema.models[0].comment = Some(comment.into());
        evolve(&world, &schema).await;
    }
}

#[tokio::test]
async fn models_of_any_kind_become_any_others() {
    let mut random = Generator::new(97);
    let mut before = all_types(&mut random);
    let world = World::new(before.clone(), &[]).await;
    for _ in 0..12 {
        let mut after = all_types(&mut random);
        // Some columns are gone, and others are in their place.
        let fields = &mut after.models[0].fields;
        let renamed = 1 + random.below(3);
        fields[renamed].renamed_from = Some(before.models[0].fields[renamed].name.clone());
        evolve(&world, &after).await;
        before = after;
    }
}

fn author() -> Model {
    model("Author", vec![id(), text("name")])
}

#[tokio::test]
async fn columns_come_with_their_defaults_and_keep_the_rows() {
    let world =
        World::new(models(vec![author()]), &["INSERT INTO author (name) VALUES ('Ann'), ('Bob')"])
            .await;
    let mut grown = author();
    grown.fields.extend([
        nullable("born", ColumnType::Date),
        Field { default: constant(Value::Integer(3)), ..field("stars", number()) },
        Field { default: Some(DefaultValue::Now), ..field("at", ColumnType::Timestamptz) },
        Field { unique: true, ..nullable("email", ColumnType::Text(Some(50))) },
    ]);
    evolve(&world, &models(vec![grown.clone()])).await;
    for database in world.databases() {
        let found = rows(
            database,
            "SELECT name, stars, email FROM author WHERE at IS NOT NULL ORDER BY id",
        )
        .await;
        let row = |name: &str| vec![Value::Text(name.into()), Value::Integer(3), Value::Null];
        assert_eq!(found, [row("Ann"), row("Bob")]);
        let twice = "INSERT INTO author (name, email) VALUES ('Cid', 'c'), ('Dan', 'c')";
        let error = database.execute_raw(twice, vec![]).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::UniqueViolation);
        database.execute_raw("INSERT INTO author (name) VALUES ('Eve')", vec![]).await.unwrap();
    }
}

#[tokio::test]
async fn a_column_without_a_value_for_the_rows_fails_and_changes_nothing() {
    let world =
        World::new(models(vec![author()]), &["INSERT INTO author (name) VALUES ('Ann')"]).await;
    let mut grown = author();
    grown.fields.push(text("country"));
    let other = model("Other", vec![id()]);
    let catalog = Catalog::new(models(vec![grown, other])).unwrap();
    for database in world.databases() {
        let dialect = database.dialect();
        let questions = catalog.introspection(dialect).unwrap();
        let plan = |found: &[String]| catalog.migrate(dialect, found);
        let error = database.migrate(&questions, plan, Some(Risk::Blocking)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotNullViolation, "{error}");
        assert!(error.message.contains("author"), "{error}");
        assert!(rows(database, "SELECT name FROM author").await.len() == 1);
        let other = database.fetch_raw("SELECT * FROM other", vec![]).await;
        assert_eq!(other.map(drop).unwrap_err().kind, ErrorKind::UndefinedObject);
    }
}

#[tokio::test]
async fn what_loses_data_waits_and_the_rest_works_without_it() {
    let before = Model {
        checks: vec![check("old_enough", vec![compare("age", Comparison::Greater, 17.into())])],
        ..model(
            "Person",
            vec![
                id(),
                text("name"),
                field("age", number()),
                Field { unique: true, ..field("code", number()) },
            ],
        )
    };
    let world = World::new(
        models(vec![before]),
        &["INSERT INTO person (name, age, code) VALUES ('Ann', 20, 1)"],
    )
    .await;
    let after = models(vec![model("Person", vec![id(), text("name"), nullable("note", number())])]);
    for database in world.databases() {
        let Migration { left, .. } = migrate(database, &after, Some(Risk::Blocking)).await;
        assert!(left.iter().all(|it| it.risk == Risk::Destructive && it.reason.is_some()));
        assert!(sql(&left).contains(r#"DROP COLUMN "age""#), "{}", sql(&left));
        // What no field has does not keep rows from being inserted, and what it holds is there.
        let insert = "INSERT INTO person (name, note) VALUES ('Bob', 1)";
        let inserted = database.execute_raw(insert, vec![]).await;
        inserted.unwrap_or_else(|error| panic!("{error}"));
        let found = rows(database, "SELECT age FROM person ORDER BY id").await;
        assert_eq!(found, [[Value::Integer(20)], [Value::Null]]);
        migrate(database, &after, Some(Risk::Destructive)).await;
        assert_settled(database, &after).await;
        let gone = database.fetch_raw("SELECT age FROM person", vec![]).await;
        assert_eq!(gone.map(drop).unwrap_err().kind, ErrorKind::UndefinedObject);
    }
}

#[tokio::test]
async fn tables_and_columns_are_renamed_with_their_rows() {
    let book = Model {
        foreign_keys: vec![foreign_key("author", "author_id", "Author")],
        many_to_manys: vec![ManyToMany {
            name: "tags".into(),
            target: "Tag".into(),
            through: None,
            reverse: None,
        }],
        ..model("Book", vec![id(), text("title"), nullable("author_id", big("x").kind)])
    };
    let tag = model("Tag", vec![id()]);
    let world = World::new(
        models(vec![author(), book.clone(), tag.clone()]),
        &[
            "INSERT INTO author (name) VALUES ('Ann')",
            "INSERT INTO book (title, author_id) VALUES ('One', 1)",
        ],
    )
    .await;
    let writer = Model {
        renamed_from: Some("Author".into()),
        ..model(
            "Writer",
            vec![id(), Field { renamed_from: Some("name".into()), ..text("full_name") }],
        )
    };
    let book = Model {
        foreign_keys: vec![foreign_key("writer", "writer_id", "Writer")],
        fields: vec![
            id(),
            text("title"),
            Field {
                renamed_from: Some("author_id".into()),
                ..nullable("writer_id", big("x").kind)
            },
        ],
        ..book
    };
    let after = models(vec![writer, book, tag]);
    for database in world.databases() {
        migrate(database, &after, Some(Risk::Blocking)).await;
        assert_settled(database, &after).await;
        let joined = "SELECT w.full_name, b.title FROM book b JOIN writer w ON w.id = b.writer_id";
        let row = ["Ann", "One"].map(|it| Value::Text(it.into()));
        assert_eq!(rows(database, joined).await, [row]);
        database.execute_raw("DELETE FROM writer", vec![]).await.unwrap();
        assert!(rows(database, "SELECT id FROM book").await.is_empty(), "the key still cascades");
    }
}

/// Somebody else's trigger: names of authors are written in capitals.
async fn shout(sqlite: &Database) {
    let trigger = "CREATE TRIGGER shout AFTER INSERT ON author BEGIN
        UPDATE author SET name = upper(name) WHERE id = new.id; END";
    sqlite.execute_raw(trigger, vec![]).await.unwrap();
}

#[tokio::test]
async fn a_table_that_others_refer_to_is_changed_without_touching_them() {
    let book = Model {
        foreign_keys: vec![foreign_key("author", "author_id", "Author")],
        ..model("Book", vec![id(), big("author_id")])
    };
    let world = World::new(
        models(vec![author(), book.clone()]),
        &[
            "INSERT INTO author (name) VALUES ('Ann'), ('Bob'), ('Cid')",
            "INSERT INTO book (author_id) VALUES (1), (2)",
            "DELETE FROM author WHERE name = 'Cid'",
            "CREATE INDEX by_hand ON author (name, id)",
            "CREATE VIEW names AS SELECT name FROM author",
        ],
    )
    .await;
    let [sqlite, _] = world.databases();
    shout(sqlite).await;
    let stricter = Model {
        checks: vec![check("named", vec![compare("name", Comparison::NotEqual, "".into())])],
        ..author()
    };
    evolve(&world, &models(vec![stricter, book])).await;
    for database in world.databases() {
        assert_eq!(rows(database, "SELECT author_id FROM book").await.len(), 2);
        let orphan = database.execute_raw("INSERT INTO book (author_id) VALUES (9)", vec![]).await;
        assert_eq!(orphan.unwrap_err().kind, ErrorKind::ForeignKeyViolation);
        let unnamed = database.execute_raw("INSERT INTO author (name) VALUES ('')", vec![]).await;
        assert_eq!(unnamed.unwrap_err().kind, ErrorKind::CheckViolation);
        database.execute_raw("INSERT INTO author (name) VALUES ('Dan')", vec![]).await.unwrap();
        let found = rows(database, "SELECT name FROM names WHERE name LIKE 'D%'").await;
        assert_eq!(found.len(), 1, "the view is there");
        let keys = rows(database, "SELECT max(id) FROM author").await;
        // A failed insert takes a number on PostgreSQL.
        assert!(keys == [[Value::Integer(4)]] || keys == [[Value::Integer(5)]], "{keys:?}");
    }
    let shouted = rows(sqlite, "SELECT name FROM author WHERE name = 'DAN'").await;
    assert_eq!(shouted.len(), 1, "the trigger is there");
    let index = "SELECT 1 FROM sqlite_schema WHERE name = 'by_hand'";
    assert_eq!(rows(sqlite, index).await.len(), 1, "the index is there");
}

#[tokio::test]
async fn rows_that_refer_to_none_undo_a_migration_of_sqlite() {
    let loose = model("Book", vec![id(), big("author_id")]);
    let world = World::new(
        models(vec![author(), loose.clone()]),
        &["INSERT INTO book (author_id) VALUES (7)"],
    )
    .await;
    let bound = Model { foreign_keys: vec![foreign_key("author", "author_id", "Author")], ..loose };
    let catalog = Catalog::new(models(vec![author(), bound])).unwrap();
    for database in world.databases() {
        let dialect = database.dialect();
        let questions = catalog.introspection(dialect).unwrap();
        let plan = |found: &[String]| catalog.migrate(dialect, found);
        let error = database.migrate(&questions, plan, Some(Risk::Blocking)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::ForeignKeyViolation, "{error}");
        // Foreign keys are enforced again, and the key is not there.
        database.execute_raw("INSERT INTO book (author_id) VALUES (8)", vec![]).await.unwrap();
        assert_eq!(rows(database, "SELECT id FROM book").await.len(), 2);
    }
}

#[tokio::test]
async fn enums_gain_lose_and_reorder_values() {
    let person = model(
        "Person",
        vec![
            id(),
            Field {
                default: constant(Value::Text("sad".into())),
                ..field("mood", ColumnType::Enumeration("mood".into()))
            },
        ],
    );
    let with = |values: &[&str]| Schema {
        models: vec![person.clone()],
        enums: vec![EnumType {
            name: "mood".into(),
            values: values.iter().map(|it| (*it).into()).collect(),
        }],
    };
    let world =
        World::new(with(&["sad", "glad"]), &["INSERT INTO person (mood) VALUES ('glad')"]).await;
    for values in [
        &["low", "sad", "so-so", "glad", "high"][..],
        &["glad", "sad"],
        &["sad", "it's", "glad"],
        &["sad", "glad"],
    ] {
        evolve(&world, &with(values)).await;
    }
    for database in world.databases() {
        let gone = database.execute_raw("INSERT INTO person (mood) VALUES ('low')", vec![]).await;
        assert!(gone.is_err());
        database.execute_raw("INSERT INTO person (id) VALUES (77)", vec![]).await.unwrap();
        let last = rows(database, "SELECT CAST(mood AS text) FROM person WHERE id = 77").await;
        assert_eq!(last, [[Value::Text("sad".into())]]);
    }
}

#[tokio::test]
async fn types_keys_and_actions_change() {
    let before = model(
        "Item",
        vec![
            big("id"),
            field("size", ColumnType::Integer(IntegerWidth::Small)),
            Field { unique: true, ..field("code", ColumnType::Text(Some(10))) },
            field("price", ColumnType::Double),
            nullable("parent", big("x").kind),
        ],
    );
    let world = World::new(
        models(vec![before]),
        &["INSERT INTO item VALUES (5, 1, 'a', 1.5, NULL), (6, 2, 'b', 2.25, 5)"],
    )
    .await;
    let key = ferro_wit::schema::ForeignKey {
        on_delete: ReferentialAction::SetNull,
        ..foreign_key("above", "parent", "Item")
    };
    let after = Model {
        foreign_keys: vec![key.clone()],
        ..model(
            "Item",
            vec![
                id(),
                Field { default: constant(9.into()), ..big("size") },
                text("code"),
                field("price", ColumnType::Decimal(None)),
                nullable("parent", big("x").kind),
            ],
        )
    };
    evolve(&world, &models(vec![after.clone()])).await;
    for database in world.databases() {
        let insert = "INSERT INTO item (code, price) VALUES ('a', 3)";
        database.execute_raw(insert, vec![]).await.unwrap();
        let found = rows(database, "SELECT id, size FROM item ORDER BY id").await;
        let expected: Vec<Vec<Value>> = [(5, 1), (6, 2), (7, 9)]
            .map(|(id, size)| vec![Value::Integer(id), Value::Integer(size)])
            .into();
        assert_eq!(found, expected);
    }
    let key = ferro_wit::schema::ForeignKey { on_delete: ReferentialAction::Cascade, ..key };
    let after = Model {
        foreign_keys: vec![key],
        primary_key: vec!["id".into(), "code".into()],
        fields: vec![
            Field { unique: true, ..big("id") },
            after.fields[1].clone(),
            after.fields[2].clone(),
            after.fields[4].clone(),
        ],
        ..after
    };
    evolve(&world, &models(vec![after])).await;
    for database in world.databases() {
        database.execute_raw("DELETE FROM item WHERE id = 5", vec![]).await.unwrap();
        assert_eq!(rows(database, "SELECT id FROM item").await, [[Value::Integer(7)]]);
    }
}

#[tokio::test]
async fn programs_that_migrate_at_once_do_it_once() {
    let world = World::new(models(vec![author()]), &[]).await;
    let mut grown = author();
    grown.fields.push(Field {
        default: constant(1.into()),
        indexed: true,
        ..field("stars", number())
    });
    let schema = models(vec![grown, model("Other", vec![id()])]);
    for database in world.databases() {
        let run = || migrate(database, &schema, Some(Risk::Blocking));
        let (one, two, three) = tokio::join!(run(), run(), run());
        let done = [one, two, three];
        assert_eq!(done.iter().filter(|it| !it.applied.is_empty()).count(), 1);
        assert_settled(database, &schema).await;
    }
}

fn told(steps: &[MigrationStep]) -> String {
    let told = steps.iter().map(|it| {
        let reason = it.reason.as_ref().map(|it| format!(", {it}")).unwrap_or_default();
        format!("-- {}: {:?}{reason}\n{}", it.description, it.risk, it.sql)
    });
    told.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_migration_says_what_it_does_and_what_that_may_cost() {
    let before = Model {
        checks: vec![check("adult", vec![compare("age", Comparison::Greater, 17.into())])],
        ..model(
            "Person",
            vec![
                id(),
                Field { unique: true, ..text("name") },
                field("age", number()),
                nullable("note", ColumnType::Text(None)),
            ],
        )
    };
    let world = World::new(models(vec![before]), &[]).await;
    let after = Model {
        comment: Some("Who is who".into()),
        ..model(
            "Person",
            vec![
                id(),
                text("name"),
                Field {
                    renamed_from: Some("age".into()),
                    ..field("years", ColumnType::Integer(IntegerWidth::Big))
                },
                Field { indexed: true, ..text("email") },
            ],
        )
    };
    let after = models(vec![after, model("Pet", vec![id()])]);
    let [sqlite, postgres] = world.databases();
    insta::assert_snapshot!(told(&migrate(sqlite, &after, None).await.left), @r##"
-- rename column `age` of table `person` to `years`: Blocking, programs that know the former name fail
ALTER TABLE "person" RENAME COLUMN "age" TO "years"
-- table `person`: make it anew for column `years`, column `email`, unique and foreign keys: Blocking, the table is written anew
CREATE TABLE "ferro new person" (
  "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  "name" TEXT NOT NULL,
  "years" BIGINT NOT NULL,
  "email" TEXT NOT NULL,
  "note" TEXT,
  CONSTRAINT "adult" CHECK ("years" > 17)
)
-- table `person`: number on: Blocking, the table is written anew
INSERT INTO sqlite_sequence (name, seq) SELECT 'ferro new person', seq FROM sqlite_sequence WHERE name = 'person' COLLATE NOCASE
-- table `person`: copy the rows, which fails if there are any: a field without a default is new: Blocking, the table is written anew
INSERT INTO "ferro new person" ("id", "name", "years", "note") SELECT "id", "name", "years", "note" FROM "person"
-- table `person`: drop the former one: Blocking, the table is written anew
DROP TABLE "person"
-- table `person`: take its name: Blocking, the table is written anew
ALTER TABLE "ferro new person" RENAME TO "person"
-- table `person`: create index `person_email_idx`: Blocking, the table is written anew
CREATE INDEX "person_email_idx" ON "person" ("email")
-- create table `pet`: Safe
CREATE TABLE "pet" (
  "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL
)
-- table `person`: make it anew for check `adult`: Destructive, no model has it, and it may be somebody else's
CREATE TABLE "ferro new person" (
  "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  "name" TEXT NOT NULL,
  "years" BIGINT NOT NULL,
  "email" TEXT NOT NULL,
  "note" TEXT
)
-- table `person`: number on: Destructive, no model has it, and it may be somebody else's
INSERT INTO sqlite_sequence (name, seq) SELECT 'ferro new person', seq FROM sqlite_sequence WHERE name = 'person' COLLATE NOCASE
-- table `person`: copy the rows, which fails if one breaks a rule: Destructive, no model has it, and it may be somebody else's
INSERT INTO "ferro new person" ("id", "name", "years", "email", "note") SELECT "id", "name", "years", "email", "note" FROM "person"
-- table `person`: drop the former one: Destructive, no model has it, and it may be somebody else's
DROP TABLE "person"
-- table `person`: take its name: Destructive, no model has it, and it may be somebody else's
ALTER TABLE "ferro new person" RENAME TO "person"
-- table `person`: create index `person_email_idx`: Destructive, no model has it, and it may be somebody else's
CREATE INDEX "person_email_idx" ON "person" ("email")
-- drop column `note` of table `person`, which no field has: Destructive, its values are lost
ALTER TABLE "person" DROP COLUMN "note"
"##);
    insta::assert_snapshot!(told(&migrate(postgres, &after, None).await.left), @r##"
-- rename column `age` of table `person` to `years`: Blocking, programs that know the former name fail
ALTER TABLE "person" RENAME COLUMN "age" TO "years"
-- drop `adult` of table `person`: Destructive, no model has it, and it may be somebody else's
ALTER TABLE "person" DROP CONSTRAINT "adult"
-- drop `person_name_key` of table `person`: Safe
ALTER TABLE "person" DROP CONSTRAINT "person_name_key"
-- change column `years` of table `person` from integer to bigint: Blocking, the table may be written anew
ALTER TABLE "person" ALTER COLUMN "years" TYPE bigint USING CAST("years" AS bigint)
-- add column `email` to table `person`: Blocking, it fails if there are rows, which get no value: give the field a default
ALTER TABLE "person" ADD COLUMN "email" text NOT NULL
-- create index `person_email_idx`: Blocking, nothing is written meanwhile
CREATE INDEX "person_email_idx" ON "person" ("email")
-- create table `pet`: Safe
CREATE TABLE "pet" (
  "id" bigint GENERATED BY DEFAULT AS IDENTITY,
  CONSTRAINT "pet_pkey" PRIMARY KEY ("id")
)
-- comment on table `person`: Safe
COMMENT ON TABLE "person" IS 'Who is who'
-- drop column `note` of table `person`, which no field has: Destructive, its values are lost
ALTER TABLE "person" DROP COLUMN "note"
"##);
}
