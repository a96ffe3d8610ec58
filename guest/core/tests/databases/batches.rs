//! Batches: all or none, in their order, and what happens where keys are taken.

use std::sync::Arc;

use ferro_driver::{Cursor, Database, Execution};
use ferro_wit::policy::{ForcedFilter, TableScope};
use ferro_wit::query::{Assignment, Conflict, Insert, Node, Query, RowSource, Statement};
use ferro_wit::schema::{ColumnType, Comparison, EnumType, Field, IntegerWidth, Schema};
use ferro_wit::types::{
    Arrays, Batch, Column, ErrorKind, ScalarType, Scalars, TransactionOptions, Value,
};

use crate::fixture::{
    Nodes, all, conflict, field, fields, id, insert, model, nullable, open_scope, scope, text,
};
use crate::world::World;

fn schema() -> Schema {
    let items = vec![
        id(),
        Field { unique: true, ..text("name") },
        nullable("stock", ColumnType::Integer(IntegerWidth::Small)),
        nullable("mood", ColumnType::Enumeration("mood".into())),
    ];
    let tagged = vec![id(), text("name"), field("tags", ColumnType::Array(ScalarType::Text))];
    Schema {
        models: vec![model("Item", items), model("Tagged", tagged)],
        enums: vec![EnumType { name: "mood".into(), values: vec!["sad".into(), "glad".into()] }],
    }
}

async fn world() -> World {
    World::new(schema(), &[]).await
}

fn scalars(kind: ScalarType, values: impl IntoIterator<Item = Value>) -> Column {
    let mut scalars = Scalars::with_kind(kind);
    for value in values {
        scalars.push(value).unwrap();
    }
    Column::Scalars(scalars)
}

/// Items `item 0` and on: their names, their numbers as stock with a null now and then, and moods.
fn items(numbers: &[i64]) -> Batch {
    let stock = |it: &i64| if it % 7 == 0 { Value::Null } else { Value::Integer(it % 1000) };
    let mood = |it: &i64| Value::from(["sad", "glad"][usize::from(it % 2 == 0)]);
    Batch::new(vec![
        scalars(ScalarType::Text, numbers.iter().map(|it| Value::from(format!("item {it}")))),
        scalars(ScalarType::Integer, numbers.iter().map(stock)),
        scalars(ScalarType::Text, numbers.iter().map(mood)),
    ])
    .unwrap()
}

fn insert_items() -> Insert {
    Insert { source: RowSource::Batch, ..insert("Item", &["name", "stock", "mood"]) }
}

fn returning(insert: Insert, names: &[&str]) -> Query {
    let insert = Insert { returning: Some(fields(names)), ..insert };
    Nodes::default().query(vec![], Statement::Insert(insert))
}

fn execution(world: &World, database: &Database, query: &Query, rows: Batch) -> Execution {
    let plan = world.catalog.compile(query, database.dialect(), None).unwrap();
    Execution { plan: Arc::new(plan), parameters: vec![], forced: vec![], rows: Some(rows) }
}

async fn read(mut cursor: Cursor, max_rows: u32) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    while let Some(batch) = cursor.next(max_rows).await.unwrap() {
        assert!((1..=max_rows).contains(&batch.rows));
        batch.validate().unwrap();
        for row in 0..batch.rows as usize {
            rows.push(batch.columns.iter().map(|it| it.get(row).unwrap()).collect());
        }
    }
    rows
}

/// Numbers in an order of their own.
fn shuffled(count: i64) -> Vec<i64> {
    (0..count).map(|it| it * 7919 % count.max(1)).collect()
}

async fn stored(world: &World) -> i64 {
    let mut nodes = Nodes::default();
    nodes.star();
    let rows = world.rows(&nodes.query(vec![all("Item")], Statement::Count(0)), &[]).await;
    match rows[0][0] {
        Value::Integer(count) => count,
        ref other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_batch_returns_its_rows_in_their_order() {
    let query = returning(insert_items(), &["name", "stock", "mood", "id"]);
    for (count, max_rows) in [(0, 10), (1, 1), (99, 100), (100, 7), (250, 7), (251, 1000)] {
        let world = world().await;
        let numbers = shuffled(count);
        let rows = items(&numbers);
        for database in world.databases() {
            let run = execution(&world, database, &query, rows.clone());
            let cursor = database.fetch(run).await.unwrap();
            assert_eq!(cursor.columns().len(), 4);
            let mut found = read(cursor, max_rows).await;
            let ids: Vec<_> = found.iter_mut().map(|it| it.pop().unwrap()).collect();
            let ascending = (1..=count).map(Value::Integer).collect::<Vec<_>>();
            assert_eq!(ids, ascending, "{count} rows on {:?}", database.dialect());
            for (row, found) in found.iter().enumerate() {
                let given: Vec<_> = rows.columns.iter().map(|it| it.get(row).unwrap()).collect();
                assert_eq!(found, &given, "row {row} on {:?}", database.dialect());
            }
        }
        assert_eq!(stored(&world).await, count);
    }
}

#[tokio::test]
async fn a_batch_that_returns_rows_is_written_whole_or_not_at_all() {
    let world = world().await;
    let query = returning(insert_items(), &["id"]);
    let mut numbers: Vec<_> = (0..250).collect();
    numbers[240] = 3;
    for database in world.databases() {
        let run = || execution(&world, database, &query, items(&numbers));
        let error = match database.fetch(run()).await {
            Ok(mut cursor) => cursor.next(1000).await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.kind, ErrorKind::UniqueViolation);

        // In a transaction that goes on, one that succeeds and one that does not.
        let options = TransactionOptions::default;
        let transaction = database.begin(options()).await.unwrap();
        let more = execution(&world, database, &query, items(&(500..650).collect::<Vec<_>>()));
        assert_eq!(read(transaction.fetch(more).await.unwrap(), 64).await.len(), 150);
        let savepoint = transaction.begin(options()).await.unwrap();
        let failed = match savepoint.fetch(run()).await {
            Ok(mut cursor) => cursor.next(1000).await.is_err(),
            Err(_) => true,
        };
        assert!(failed);
        savepoint.rollback().await.unwrap();
        transaction.commit().await.unwrap();
    }
    assert_eq!(stored(&world).await, 150);
}

#[tokio::test]
async fn a_batch_leaves_taken_keys_alone_and_says_which_rows_are_new() {
    let world = world().await;
    let plain = Nodes::default().query(vec![], Statement::Insert(insert_items()));
    let insert = Insert { conflict: Some(conflict(&["name"])), ..insert_items() };
    let query = returning(insert, &["name"]);
    for database in world.databases() {
        let odd: Vec<_> = (0..250).filter(|it| it % 2 == 1).collect();
        let first = execution(&world, database, &plain, items(&odd));
        assert_eq!(database.execute(first).await.unwrap(), 125);
        let every: Vec<_> = (0..250).collect();
        let run = || execution(&world, database, &query, items(&every));
        let found = read(database.fetch(run()).await.unwrap(), 100).await;
        let even = (0..250).filter(|it| it % 2 == 0);
        let even: Vec<_> = even.map(|it| vec![Value::from(format!("item {it}"))]).collect();
        assert_eq!(found, even);
        assert_eq!(database.execute(run()).await.unwrap(), 0);
    }
    assert_eq!(stored(&world).await, 250);
}

#[tokio::test]
async fn a_batch_updates_taken_keys_with_what_it_holds() {
    let world = world().await;
    let plain = Nodes::default().query(vec![], Statement::Insert(insert_items()));
    let mut nodes = Nodes::default();
    let value = nodes.add(Node::Excluded("stock".into()));
    let update = vec![Assignment { field: "stock".into(), value }];
    let insert = Insert {
        conflict: Some(Conflict { update, ..conflict(&["name"]) }),
        returning: Some(fields(&["id", "stock"])),
        ..insert_items()
    };
    let query = nodes.query(vec![], Statement::Insert(insert));
    let numbers: Vec<_> = (0..230).collect();
    for database in world.databases() {
        let first = execution(&world, database, &plain, items(&numbers[..120]));
        assert_eq!(database.execute(first).await.unwrap(), 120);
        let mut rows = items(&numbers);
        let doubled = numbers.iter().map(|it| Value::Integer(it * 2));
        rows.columns[1] = scalars(ScalarType::Integer, doubled);
        let run = || execution(&world, database, &query, rows.clone());
        let found = read(database.fetch(run()).await.unwrap(), 1000).await;
        let stocks: Vec<_> = found.iter().map(|row| row[1].clone()).collect();
        assert_eq!(stocks, numbers.iter().map(|it| Value::Integer(it * 2)).collect::<Vec<_>>());
        // Rows that were there keep their keys.
        assert_eq!(
            found[..120],
            (1..=120)
                .map(|it| vec![Value::Integer(it), Value::Integer((it - 1) * 2)])
                .collect::<Vec<_>>()
        );
        assert_eq!(database.execute(run()).await.unwrap(), 230);
    }
    assert_eq!(stored(&world).await, 230);
}

#[tokio::test]
async fn a_batch_with_arrays_in_it_returns_them() {
    let world = world().await;
    let insert = Insert { source: RowSource::Batch, ..insert("Tagged", &["name", "tags"]) };
    let query = returning(insert, &["name", "tags"]);
    let count = 201_u32;
    let mut items = Scalars::with_kind(ScalarType::Text);
    let mut ends = Vec::new();
    for row in 0..count {
        for tag in 0..row % 3 {
            items.push(Value::from(format!("tag {tag} of {row}"))).unwrap();
        }
        ends.push(u32::try_from(items.len()).unwrap());
    }
    let names = (0..count).map(|it| Value::from(format!("row {it}")));
    let tags = Column::Arrays(Arrays { items, ends, nulls: None });
    let rows = Batch::new(vec![scalars(ScalarType::Text, names), tags]).unwrap();
    for database in world.databases() {
        let run = execution(&world, database, &query, rows.clone());
        let found = read(database.fetch(run).await.unwrap(), 30).await;
        assert_eq!(found.len(), count as usize);
        for (row, found) in found.iter().enumerate() {
            let given: Vec<_> = rows.columns.iter().map(|it| it.get(row).unwrap()).collect();
            assert_eq!(found, &given, "row {row} on {:?}", database.dialect());
        }
    }
}

#[tokio::test]
async fn t4_a_batch_that_returns_rows_has_the_forced_values() {
    let world = world().await;
    let stock = ForcedFilter { field: "stock".into(), test: Comparison::Equal, many: false };
    let scope = scope(vec![TableScope { filters: vec![stock], ..open_scope("Item") }]);
    let insert = Insert { source: RowSource::Batch, ..insert("Item", &["name"]) };
    let query = returning(insert, &["name", "stock"]);
    let names = (0..130).map(|it| Value::from(format!("item {it}")));
    let rows = Batch::new(vec![scalars(ScalarType::Text, names)]).unwrap();
    for database in world.databases() {
        let plan = world.catalog.compile(&query, database.dialect(), Some(&scope)).unwrap();
        let run = Execution {
            plan: Arc::new(plan),
            parameters: vec![],
            forced: vec![Value::Integer(42)],
            rows: Some(rows.clone()),
        };
        let found = read(database.fetch(run).await.unwrap(), 1000).await;
        assert_eq!(found.len(), 130);
        assert!(found.iter().all(|row| row[1] == Value::Integer(42)));
    }
}

#[tokio::test]
async fn t4_a_batch_of_any_size_has_the_forced_values() {
    let stock = ForcedFilter { field: "stock".into(), test: Comparison::Equal, many: false };
    let scope = scope(vec![TableScope { filters: vec![stock], ..open_scope("Item") }]);
    for (fields, size) in
        [(["name"].as_slice(), 130), (&["name"], 10_000), (&["stock", "name"], 10_000)]
    {
        let world = world().await;
        let insert = Insert { source: RowSource::Batch, ..insert("Item", fields) };
        let query = Nodes::default().query(vec![], Statement::Insert(insert));
        let names = scalars(ScalarType::Text, (0..size).map(|it| format!("item {it}").into()));
        // What is named is left to the scope, too.
        let nulls = (fields.len() > 1)
            .then(|| scalars(ScalarType::Integer, (0..size).map(|_| Value::Null)));
        let rows = Batch::new(nulls.into_iter().chain([names]).collect()).unwrap();
        for database in world.databases() {
            let plan = world.catalog.compile(&query, database.dialect(), Some(&scope)).unwrap();
            let run = Execution {
                plan: Arc::new(plan),
                parameters: vec![],
                forced: vec![Value::Integer(42)],
                rows: Some(rows.clone()),
            };
            assert_eq!(database.execute(run).await.unwrap(), u64::from(rows.rows));
            let sql = "SELECT count(*) FROM item WHERE stock = 42";
            let found = read(database.fetch_raw(sql, vec![]).await.unwrap(), 10).await;
            assert_eq!(found, [[Value::Integer(size)]]);
        }
    }
}
