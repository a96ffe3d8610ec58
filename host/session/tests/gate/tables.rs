//! Creating tables, where a plugin's models and the tables of a database are not the same.

use ferro_driver::Database;
use ferro_session::Models;
use ferro_test_support::Core;
use ferro_wit::plan::Risk;
use ferro_wit::schema::{
    ColumnType, Field, ForeignKey, Index, IntegerWidth, Model, ReferentialAction, Schema,
};
use ferro_wit::types::{Dialect, ErrorKind, Value};

use crate::on_both_databases;
use crate::world::{World, assert_error, schema};

on_both_databases! {
    a_table_is_not_created_that_refers_to_a_column_of_another_type,
    a_table_is_not_created_that_refers_to_no_key,
    a_table_is_created_that_refers_to_a_key_of_any_kind,
    a_table_is_not_created_whose_index_has_a_name_that_is_taken,
    t10_creating_tables_changes_no_table_that_is_there,
}

fn database(world: &World) -> Database {
    world.databases.get(Some("app")).unwrap()
}

fn models(schema: Schema) -> Models {
    Models::new(&Core::default(), schema, std::sync::Arc::default()).unwrap()
}

/// A model that refers to the labels of the world, whose keys are integers.
fn sticker(label: ColumnType) -> Model {
    let id = Field { generated_key: true, ..Field::new("id", integer()) };
    let key = ForeignKey {
        name: "label".into(),
        target: "Label".into(),
        fields: vec![("label_id".into(), "id".into())],
        reverse: None,
        unique: false,
        on_delete: ReferentialAction::Cascade,
        on_update: ReferentialAction::NoAction,
    };
    let label = Field { indexed: true, ..Field::new("label_id", label) };
    Model { foreign_keys: vec![key], ..Model::new("Sticker", vec![id, label], &["id"]) }
}

fn integer() -> ColumnType {
    ColumnType::Integer(IntegerWidth::Big)
}

async fn indexes(database: &Database, table: &str) -> Vec<String> {
    let (list, named) = match database.dialect() {
        Dialect::Sqlite => ("sqlite_schema WHERE type = 'index' AND name", "tbl_name"),
        Dialect::Postgres => (
            "(SELECT indexname::text AS name, tablename FROM pg_indexes) AS i WHERE name",
            "tablename",
        ),
    };
    let sql =
        format!("SELECT name FROM {list} NOT LIKE '%pkey' AND {named} = '{table}' ORDER BY name");
    let mut found = Vec::new();
    let mut cursor = database.fetch_raw(&sql, vec![]).await.unwrap();
    while let Some(batch) = cursor.next(1).await.unwrap() {
        if let Some(Value::Text(name)) = batch.columns[0].get(0) {
            found.push(name);
        }
    }
    found
}

async fn t10_creating_tables_changes_no_table_that_is_there(world: &World) {
    let database = database(world);
    let mut hungry = schema();
    let note = hungry.models.iter_mut().find(|it| it.name == "Note").unwrap();
    note.comment = Some("taken over".into());
    note.fields.push(Field { nullable: true, ..Field::new("sticker_id", integer()) });
    note.fields[2].indexed = true;
    note.indexes.push(Index {
        name: Some("note_by_secret".into()),
        fields: vec!["secret".into()],
        unique: false,
        condition: None,
    });
    // The two refer to each other, so that on PostgreSQL one key comes later.
    let label = hungry.models.iter_mut().find(|it| it.name == "Label").unwrap();
    label.fields.push(Field { nullable: true, ..Field::new("sticker_id", integer()) });
    label.foreign_keys.push(ForeignKey {
        name: "sticker".into(),
        target: "Sticker".into(),
        fields: vec![("sticker_id".into(), "id".into())],
        ..sticker(integer()).foreign_keys[0].clone()
    });
    hungry.models.push(sticker(integer()));
    let hungry = models(hungry);
    for _ in 0..2 {
        hungry.create_tables(&database).await.unwrap();
        assert_eq!(indexes(&database, "note").await, ["note_title"]);
        assert_eq!(indexes(&database, "label").await, ["label_name"]);
        assert_eq!(indexes(&database, "sticker").await, ["sticker_label_id_idx"]);
        // What is left is for a migration.
        let left = hungry.migrate(&database, None).await.unwrap().left;
        assert!(left.iter().any(|it| it.sql.contains("\"note_by_secret\"")));
        assert!(!left.iter().any(|it| it.sql.contains("sticker_label_id_idx")));
    }
    assert_eq!(world.all_notes().await.len(), 5);
}

async fn a_table_is_not_created_that_refers_to_a_column_of_another_type(world: &World) {
    let database = database(world);
    let mut other = schema();
    let label = other.models.iter_mut().find(|it| it.name == "Label").unwrap();
    let id = label.fields.iter_mut().find(|it| it.name == "id").unwrap();
    (id.kind, id.generated_key) = (ColumnType::Text(Some(20)), false);
    other.models.push(sticker(ColumnType::Text(Some(20))));
    let mut first = Model::new("Aaa", vec![Field::new("id", integer())], &["id"]);
    first.table = Some("comes_first".into());
    other.models.insert(0, first);
    let error = assert_error(
        models(other).create_tables(&database).await,
        ErrorKind::Unsupported,
        "table `sticker` cannot refer to table `label`: column `label_id` would be",
    );
    assert!(error.message.contains("column `id` is"), "{error}");
    let none = database.fetch_raw("SELECT id FROM comes_first", vec![]).await;
    assert_error(none, ErrorKind::UndefinedObject, "");
}

async fn run(database: &Database, statements: &[&str]) {
    for sql in statements {
        let done = database.execute_raw(sql, vec![]).await;
        done.unwrap_or_else(|error| panic!("`{sql}`: {error}"));
    }
}

/// Models whose labels are in a table of their own, and the stickers on them.
fn stickers(table: &str) -> Schema {
    let key = Field { column: Some("Id".into()), ..Field::new("id", integer()) };
    let mut label = Model::new("Label", vec![key], &["id"]);
    label.table = Some(table.into());
    Schema { models: vec![label, sticker(integer())], enums: vec![] }
}

async fn a_table_is_not_created_that_refers_to_no_key(world: &World) {
    let database = database(world);
    let tables = [
        ("bare", "CREATE TABLE bare (\"Id\" bigint)"),
        ("wide", "CREATE TABLE wide (\"Id\" bigint, part bigint, PRIMARY KEY (\"Id\", part))"),
        ("other", "CREATE TABLE other (id2 bigint PRIMARY KEY)"),
        ("partial", "CREATE TABLE partial (\"Id\" bigint)"),
    ];
    run(&database, &tables.map(|(_, sql)| sql)).await;
    let index = "CREATE UNIQUE INDEX some_partial ON partial (\"Id\") WHERE \"Id\" > 3";
    run(&database, &[index, "CREATE VIEW seen AS SELECT \"Id\" FROM bare"]).await;
    for (table, _) in tables {
        assert_error(
            models(stickers(table)).create_tables(&database).await,
            ErrorKind::Unsupported,
            &format!(
                "table `sticker` cannot refer to table `{table}`: in the database, `Id` is neither \
                 its primary key nor unique: migrate that first"
            ),
        );
    }
    assert_error(
        models(stickers("seen")).create_tables(&database).await,
        ErrorKind::Unsupported,
        "table `sticker` cannot refer to table `seen`: in the database, that is no table",
    );
    let none = database.fetch_raw("SELECT id FROM sticker", vec![]).await;
    assert_error(none, ErrorKind::UndefinedObject, "");
    // The advice helps.
    let bare = models(stickers("bare"));
    bare.migrate(&database, Some(Risk::Blocking)).await.unwrap();
    run(&database, &["INSERT INTO bare VALUES (7)"]).await;
    run(&database, &["INSERT INTO sticker (label_id) VALUES (7)"]).await;
}

async fn a_table_is_created_that_refers_to_a_key_of_any_kind(world: &World) {
    let database = database(world);
    let descending = "CREATE UNIQUE INDEX some_descending ON descending (\"Id\" DESC)";
    for (table, made) in [
        ("first", &["CREATE TABLE first (\"Id\" bigint PRIMARY KEY)"][..]),
        ("second", &["CREATE TABLE second (\"Id\" bigint UNIQUE)"]),
        (
            "third",
            &["CREATE TABLE third (\"Id\" bigint)", "CREATE UNIQUE INDEX i3 ON third (\"Id\")"],
        ),
        ("descending", &["CREATE TABLE descending (\"Id\" bigint)", descending]),
    ] {
        run(&database, made).await;
        models(stickers(table)).create_tables(&database).await.unwrap();
        run(&database, &[&*format!("INSERT INTO {table} VALUES (7)")]).await;
        run(&database, &["INSERT INTO sticker (label_id) VALUES (7)", "DROP TABLE sticker"]).await;
    }
    if database.dialect() == Dialect::Sqlite {
        // Here the case of names is nothing.
        run(&database, &["CREATE TABLE Fifth (iD INTEGER PRIMARY KEY)"]).await;
        models(stickers("fifth")).create_tables(&database).await.unwrap();
    } else {
        let key = "CREATE UNIQUE INDEX some_wider ON wider (\"Id\") INCLUDE (part)";
        run(&database, &["CREATE TABLE wider (\"Id\" bigint, part bigint)", key]).await;
        models(stickers("wider")).create_tables(&database).await.unwrap();
    }
}

async fn a_table_is_not_created_whose_index_has_a_name_that_is_taken(world: &World) {
    let database = database(world);
    let mut more = schema();
    more.models.push(sticker(integer()));
    let more = models(more);
    let says = |fault: &str| {
        format!(
            "table `sticker` cannot have the index `sticker_label_id_idx`: in the database, \
             {fault}: drop or rename that, or name this one otherwise"
        )
    };
    run(&database, &["CREATE TABLE stranger (n int)"]).await;
    for (made, dropped, fault) in [
        (
            "CREATE INDEX sticker_label_id_idx ON stranger (n)",
            "DROP INDEX sticker_label_id_idx",
            "table `stranger` has an index of that name",
        ),
        (
            "CREATE VIEW sticker_label_id_idx AS SELECT id FROM note",
            "DROP VIEW sticker_label_id_idx",
            "there is a view of that name",
        ),
        (
            "CREATE TABLE sticker_label_id_idx (id int)",
            "DROP TABLE sticker_label_id_idx",
            "there is a table of that name",
        ),
    ] {
        run(&database, &[made]).await;
        let created = more.create_tables(&database).await;
        assert_error(created, ErrorKind::Unsupported, &says(fault));
        let migrated = more.migrate(&database, Some(Risk::Safe)).await;
        assert_error(migrated, ErrorKind::Unsupported, &says(fault));
        let none = database.fetch_raw("SELECT id FROM sticker", vec![]).await;
        assert_error(none, ErrorKind::UndefinedObject, "");
        run(&database, &[dropped]).await;
        more.create_tables(&database).await.unwrap();
        assert_eq!(indexes(&database, "sticker").await, ["sticker_label_id_idx"]);
        run(&database, &["DROP TABLE sticker"]).await;
    }
    // A migration renames the index with its table, and then has the name for the new one.
    more.create_tables(&database).await.unwrap();
    let mut renamed = schema();
    let badge = Model { name: "Badge".into(), ..sticker(integer()) };
    let badge = Model { renamed_from: Some("Sticker".into()), ..badge };
    renamed.models.extend([badge, sticker(integer())]);
    models(renamed).migrate(&database, Some(Risk::Blocking)).await.unwrap();
    assert_eq!(indexes(&database, "badge").await, ["badge_label_id_idx"]);
    assert_eq!(indexes(&database, "sticker").await, ["sticker_label_id_idx"]);
    // The index of a table of the models is in the way as well.
    run(&database, &["DROP TABLE sticker"]).await;
    run(&database, &["CREATE INDEX sticker_label_id_idx ON note (tenant_id)"]).await;
    let created = more.create_tables(&database).await;
    let fault = "table `note` has an index of that name";
    assert_error(created, ErrorKind::Unsupported, &says(fault));
}
