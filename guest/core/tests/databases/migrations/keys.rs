//! Foreign keys stay until those come that take their place.

use super::*;
use ferro_wit::schema::ForeignKey;

fn book(kind: ColumnType) -> Model {
    Model {
        foreign_keys: vec![foreign_key("author", "author_id", "Author")],
        ..model("Book", vec![id(), field("author_id", kind)])
    }
}

fn with_books(kind: ColumnType) -> Schema {
    models(vec![model("Author", vec![field("id", kind.clone())]), book(kind)])
}

/// Applies what loses nothing, twice, and then the rest; the key refuses a row all along.
async fn keeps_refusing(database: &Database, schema: &Schema, row: &str) {
    for risk in [Risk::Safe, Risk::Blocking, Risk::Blocking, Risk::Destructive] {
        migrate(database, schema, Some(risk)).await;
        let again = migrate(database, schema, Some(risk)).await;
        let dialect = database.dialect();
        assert!(again.applied.is_empty(), "{dialect:?} {risk:?}\n{}", sql(&again.applied));
        refuses(database, row, ErrorKind::ForeignKeyViolation).await;
    }
    assert_settled(database, schema).await;
}

#[tokio::test]
async fn a_foreign_key_stays_until_its_columns_have_their_types() {
    let seed = ["INSERT INTO author VALUES ('7')", "INSERT INTO book (author_id) VALUES ('7')"];
    let world = World::new(with_books(ColumnType::Text(None)), &seed).await;
    let orphan = "INSERT INTO book (author_id) VALUES ('9')";
    for database in world.databases() {
        keeps_refusing(database, &with_books(number()), orphan).await;
    }
}

#[tokio::test]
async fn a_foreign_key_stays_with_columns_that_wait_for_what_others_made() {
    let seed = ["INSERT INTO author VALUES (7)", "INSERT INTO book (author_id) VALUES (7)"];
    let world = World::new(with_books(number()), &seed).await;
    let [_, postgres] = world.databases();
    takes(postgres, "ALTER TABLE author ADD CONSTRAINT by_hand CHECK (id > 0)").await;
    let after = with_books(ColumnType::Text(None));
    keeps_refusing(postgres, &after, "INSERT INTO book (author_id) VALUES ('9')").await;
    let joined = "SELECT b.author_id FROM book AS b JOIN author AS a ON a.id = b.author_id";
    assert_eq!(rows(postgres, joined).await, [[Value::from("7")]]);
}

#[tokio::test]
async fn columns_wait_for_a_foreign_key_of_others() {
    let of = |kind: ColumnType| {
        let book = Model { foreign_keys: vec![], ..book(kind.clone()) };
        models(vec![model("Author", vec![field("id", kind)]), book])
    };
    let world = World::new(of(number()), &["INSERT INTO author VALUES (7)"]).await;
    let [_, postgres] = world.databases();
    let theirs = "ALTER TABLE book ADD CONSTRAINT theirs FOREIGN KEY (author_id) \
                  REFERENCES author (id)";
    takes(postgres, theirs).await;
    let after = of(ColumnType::Text(None));
    let left = migrate(postgres, &after, Some(Risk::Blocking)).await.left;
    assert!(left.iter().all(|it| it.risk == Risk::Destructive), "{}", told(&left));
    let orphan = "INSERT INTO book (author_id) VALUES ('9')";
    refuses(postgres, orphan, ErrorKind::ForeignKeyViolation).await;
    migrate(postgres, &after, Some(Risk::Destructive)).await;
    assert_settled(postgres, &after).await;
    takes(postgres, orphan).await;
}

#[tokio::test]
async fn keys_wait_for_a_foreign_key_that_stays() {
    let of = |width: IntegerWidth, key: &[&str]| {
        let mut author = Model {
            primary_key: key.iter().map(|it| (*it).into()).collect(),
            ..model("Author", vec![big("id"), field("n", number())])
        };
        author.fields[0].unique = key.len() > 1;
        models(vec![author, book(ColumnType::Integer(width))])
    };
    let before = of(IntegerWidth::Big, &["id"]);
    let world = World::new(before, &["INSERT INTO author VALUES (7, 1)"]).await;
    for database in world.databases() {
        let after = of(IntegerWidth::Regular, &["id", "n"]);
        keeps_refusing(database, &after, "INSERT INTO book (author_id) VALUES (9)").await;
    }
}

#[tokio::test]
async fn an_enum_waits_for_a_foreign_key_that_stays() {
    let of = |kind: ColumnType, values: &[&str]| {
        let mood = || field("mood", ColumnType::Enumeration("mood".into()));
        let key = ForeignKey {
            fields: vec![("author_id".into(), "id".into()), ("mood".into(), "mood".into())],
            ..foreign_key("author", "author_id", "Author")
        };
        let author = Model {
            primary_key: vec!["id".into(), "mood".into()],
            ..model("Author", vec![field("id", kind.clone()), mood()])
        };
        let book = Model {
            foreign_keys: vec![key],
            ..model("Book", vec![id(), field("author_id", kind), mood()])
        };
        let values = values.iter().map(|it| (*it).into()).collect();
        Schema { models: vec![author, book], enums: vec![EnumType { name: "mood".into(), values }] }
    };
    let before = of(ColumnType::Text(None), &["sad", "glad"]);
    let world = World::new(before, &["INSERT INTO author VALUES ('7', 'glad')"]).await;
    let orphan = "INSERT INTO book (author_id, mood) VALUES ('9', 'glad')";
    for database in world.databases() {
        keeps_refusing(database, &of(number(), &["glad"]), orphan).await;
    }
}

#[tokio::test]
async fn a_foreign_key_waits_for_a_table_that_waits() {
    let world = World::new(models(vec![]), &[]).await;
    let [sqlite, _] = world.databases();
    for made in [
        "CREATE TABLE author (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, \
         code TEXT NOT NULL) STRICT",
        "CREATE TABLE book (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, \
         author_id BIGINT NOT NULL REFERENCES author (id), author_code TEXT NOT NULL)",
        "INSERT INTO author VALUES (1, 'a')",
    ] {
        takes(sqlite, made).await;
    }
    let key = ForeignKey {
        fields: vec![("author_code".into(), "code".into())],
        ..foreign_key("writer", "author_code", "Author")
    };
    let mut book = book(big("x").kind);
    book.fields.push(text("author_code"));
    book.foreign_keys.push(key);
    let author = model("Author", vec![id(), Field { unique: true, ..text("code") }]);
    let schema = models(vec![author, book]);
    migrate(sqlite, &schema, Some(Risk::Blocking)).await;
    takes(sqlite, "INSERT INTO book (author_id, author_code) VALUES (1, 'x')").await;
    takes(sqlite, "DELETE FROM book").await;
    let left = migrate(sqlite, &schema, Some(Risk::Blocking)).await.left;
    assert!(left.iter().all(|it| it.risk == Risk::Destructive), "{}", told(&left));
    migrate(sqlite, &schema, Some(Risk::Destructive)).await;
    assert_settled(sqlite, &schema).await;
    let orphan = "INSERT INTO book (author_id, author_code) VALUES (1, 'x')";
    refuses(sqlite, orphan, ErrorKind::ForeignKeyViolation).await;
}
