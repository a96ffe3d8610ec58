//! Eager loading through the gate: every result set is in scope, and every one is counted.

use std::sync::Arc;

use ferro_driver::{ConnectOptions, Databases};
use ferro_session::{Gate, Grant, Limits, Models, TableGrant, Tenant};
use ferro_test_support::Core;
use ferro_wit::query::Query;
use ferro_wit::types::{ErrorKind, Value};
use serde_json::json;

use crate::world::{assert_error, drain};

/// Books of two tenants with their pages; one page lies in a book of the other tenant.
async fn libraries() -> Vec<(Databases, Arc<Models>)> {
    let field = |name: &str| {
        json!({
            "name": name, "kind": { "integer": "big" }, "nullable": false, "unique": false,
            "indexed": false, "generated-key": name == "id", "version": false,
        })
    };
    let model = |name: &str, fields: &[&str], keys: serde_json::Value| {
        let fields: Vec<_> = fields.iter().map(|it| field(it)).collect();
        json!({
            "name": name, "fields": fields, "primary-key": ["id"], "foreign-keys": keys,
            "many-to-manys": [], "indexes": [], "checks": [],
        })
    };
    let of_book = json!([{
        "name": "book", "target": "Book", "fields": [["book_id", "id"]], "reverse": "pages",
        "unique": false, "on-delete": "cascade", "on-update": "no-action",
    }]);
    let models = [
        model("Book", &["id", "tenant_id"], json!([])),
        model("Page", &["id", "tenant_id", "book_id"], of_book),
    ];
    let schema = serde_json::from_value(json!({ "models": models, "enums": [] })).unwrap();
    let models = Models::new(&Core::default(), schema, Arc::default());
    let models = Arc::new(models.unwrap());
    let mut found = Vec::new();
    for url in ["sqlite::memory:".to_owned(), ferro_test_support::postgres::url()] {
        let databases = Databases::new();
        let database = databases.connect("app", &url, &ConnectOptions::default()).await.unwrap();
        models.create_tables(&database).await.unwrap();
        for sql in [
            "INSERT INTO book (id, tenant_id) VALUES (1, 1), (2, 1), (3, 2)",
            "INSERT INTO page (id, tenant_id, book_id) VALUES (10, 1, 1), (11, 1, 1), (20, 1, 2), \
             (21, 2, 2), (30, 2, 3)",
        ] {
            database.execute_raw(sql, vec![]).await.unwrap();
        }
        found.push((databases, Arc::clone(&models)));
    }
    found
}

fn books_with_pages() -> Query {
    let by_id = json!([{ "expression": 0, "descending": false, "nulls": "last" }]);
    let select = |model: &str, fields: &[&str], includes: serde_json::Value| {
        json!({
            "model": model, "projection": { "fields": fields }, "distinct": "no", "group-by": [],
            "order-by": by_id, "includes": includes, "combined": [],
        })
    };
    let pages = select("Page", &["id"], json!([]));
    let books = select("Book", &["id"], json!([{ "relations": ["pages"], "rows": 0 }]));
    serde_json::from_value(json!({
        "nodes": [{ "field": { "outer": 0, "relations": [], "field": "id" } }],
        "selects": [pages, books],
        "statement": { "select": 1 },
    }))
    .unwrap()
}

fn tenant(limits: Limits) -> Arc<Tenant> {
    let own = || TableGrant::read_write().filter("tenant_id", 1);
    let grant = Grant::read_write().table("book", own()).table("page", own());
    Arc::new(Tenant::new("acme").grant("app", grant).limits(limits))
}

fn integers(rows: &[Vec<Value>]) -> Vec<Vec<i64>> {
    let integer = |value: &Value| match value {
        Value::Integer(it) => *it,
        other => panic!("{other:?}"),
    };
    rows.iter().map(|row| row.iter().map(integer).collect()).collect()
}

/// All rows of the present result set.
async fn read(cursor: &mut ferro_session::Cursor) -> Vec<Vec<i64>> {
    let mut rows = Vec::new();
    while let Some(batch) = cursor.next(2).await.unwrap() {
        for row in 0..batch.rows as usize {
            rows.push(batch.columns.iter().map(|column| column.get(row).unwrap()).collect());
        }
    }
    integers(&rows)
}

#[tokio::test]
async fn t2_a_tenant_loads_related_rows_of_its_own() {
    for (databases, models) in libraries().await {
        let gate = Gate::new(databases, models, tenant(Limits::default()));
        let session = gate.open("app").unwrap();
        let mut cursor = session.fetch(&books_with_pages(), vec![]).await.unwrap();
        assert_eq!(cursor.attached(), None);
        assert_eq!(read(&mut cursor).await, [[1], [2]]);
        assert!(cursor.next_result().await.unwrap());
        let attached = cursor.attached().unwrap();
        assert_eq!((&attached.parent_columns, &attached.columns), (&vec![0], &vec![1]));
        assert_eq!(read(&mut cursor).await, [[10, 1], [11, 1], [20, 2]]);
        assert!(!cursor.next_result().await.unwrap());
        let usage = gate.usage();
        assert_eq!((usage.statements, usage.rows_read, usage.bytes), (2, 5, 2 * 8 + 3 * 2 * 8));
    }
}

#[tokio::test]
async fn s3_every_result_set_counts_against_the_limits() {
    for (databases, models) in libraries().await {
        let open =
            |limits| Gate::new(databases.clone(), models.clone(), tenant(limits)).open("app");
        let session = open(Limits { statements: 1, ..Limits::default() }).unwrap();
        let mut cursor = session.fetch(&books_with_pages(), vec![]).await.unwrap();
        read(&mut cursor).await;
        let second = cursor.next_result().await;
        let error = assert_error(second, ErrorKind::LimitExceeded, "`statements`: 1");
        assert_eq!(cursor.next(1).await.unwrap_err(), error);

        let session = open(Limits { rows: 4, ..Limits::default() }).unwrap();
        let mut cursor = session.fetch(&books_with_pages(), vec![]).await.unwrap();
        read(&mut cursor).await;
        assert!(cursor.next_result().await.unwrap());
        assert_error(drain(cursor).await, ErrorKind::LimitExceeded, "`rows`: 4");
    }
}
