//! Creating tables, where a plugin's models and the tables of a database are not the same.

use ferro_driver::Database;
use ferro_session::Models;
use ferro_test_support::Core;
use ferro_wit::schema::{
    ColumnType, Field, ForeignKey, Index, IntegerWidth, Model, ReferentialAction, Schema,
};
use ferro_wit::types::{ErrorKind, Value};

use crate::on_both_databases;
use crate::world::{World, assert_error, schema};

on_both_databases! {
    a_table_is_not_created_that_refers_to_a_column_of_another_type,
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
        ferro_wit::types::Dialect::Sqlite => {
            ("sqlite_schema WHERE type = 'index' AND name", "tbl_name")
        }
        ferro_wit::types::Dialect::Postgres => (
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
