//! Plans of several steps: one result set after another, bound to what was read before.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod rows;
mod support;

use ferro_driver::{Cursor, Database, Execution};
use ferro_wit::plan::{Bind, Binding, Effect, Plan, Step};
use ferro_wit::types::{Attachment, ColumnInfo, Dialect, ErrorKind, ScalarType, Value};

use rows::{both, column, count, execution};
use support::{connect, eventually, no_options, run};

const INTEGER: ScalarType = ScalarType::Integer;
const TEXT: ScalarType = ScalarType::Text;

/// Parents 1 to 4, one of them without a group, and two children of each of the first three.
const SETUP: [&str; 4] = [
    "CREATE TABLE parent (id BIGINT PRIMARY KEY, kind TEXT, name TEXT)",
    "CREATE TABLE child (id BIGINT PRIMARY KEY, parent BIGINT, kind TEXT)",
    "INSERT INTO parent VALUES (1, 'a', 'one'), (2, 'b', 'two'), (3, 'a', 'three'), (4, NULL, '')",
    "INSERT INTO child VALUES (10, 1, 'a'), (11, 1, 'b'), (20, 2, 'b'), (21, 2, 'a'), (30, 3, 'a'), \
     (31, 3, 'c')",
];

async fn both_with_families() -> [Database; 2] {
    let both = both().await;
    for database in &both {
        run(database, &SETUP).await;
    }
    both
}

fn keys(step: u32, column: u32, kind: ScalarType) -> Bind {
    Bind { source: Binding::Keys((step, column)), kind, many: true }
}

fn attached(parents: u32, parent_columns: &[u32], columns: &[u32]) -> Option<Attachment> {
    Some(Attachment {
        relations: vec!["children".into()],
        parents,
        parent_columns: parent_columns.into(),
        columns: columns.into(),
    })
}

fn step(
    sql: &str,
    binds: Vec<Bind>,
    columns: &[(&str, ScalarType)],
    attachment: Option<Attachment>,
) -> Step {
    let columns: Vec<ColumnInfo> = columns.iter().map(|it| column(it.0, it.1)).collect();
    Step {
        sql: sql.into(),
        binds,
        columns,
        origins: Vec::new(),
        attachment,
        rows_per_statement: None,
        bulk: None,
    }
}

fn parents(filter: &str) -> Step {
    let sql = format!("SELECT id, kind FROM parent {filter} ORDER BY id");
    step(&sql, vec![], &[("id", INTEGER), ("kind", TEXT)], None)
}

fn children(dialect: Dialect) -> Step {
    let condition = match dialect {
        Dialect::Sqlite => "IN (SELECT value FROM json_each(?1))",
        Dialect::Postgres => "= ANY($1)",
    };
    let sql = format!("SELECT id, parent FROM child WHERE parent {condition} ORDER BY id");
    let columns = [("id", INTEGER), ("parent", INTEGER)];
    step(&sql, vec![keys(0, 0, INTEGER)], &columns, attached(0, &[0], &[1]))
}

fn plan(steps: Vec<Step>) -> Execution {
    let plan =
        Plan { effect: Effect::Read, steps, atomic: true, agreements: vec![], recipients: vec![] };
    execution(plan, vec![])
}

fn families(dialect: Dialect, filter: &str) -> Execution {
    plan(vec![parents(filter), children(dialect)])
}

/// The rows of the present result set, two at a time.
async fn read(cursor: &mut Cursor) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    while let Some(batch) = cursor.next(2).await.unwrap() {
        for row in 0..batch.rows as usize {
            rows.push(batch.columns.iter().map(|it| it.get(row).unwrap()).collect());
        }
    }
    rows
}

fn firsts(rows: &[Vec<Value>]) -> Vec<i64> {
    let first = |row: &Vec<Value>| match row[0] {
        Value::Integer(it) => it,
        ref other => panic!("{other:?}"),
    };
    rows.iter().map(first).collect()
}

async fn assert_at_rest(database: &Database) {
    eventually("giving back the connection", || database.stats().acquired == 0).await;
}

#[tokio::test]
async fn result_sets_come_one_after_another_with_what_belongs_to_the_rows_before() {
    for database in both_with_families().await {
        let mut cursor =
            database.fetch(families(database.dialect(), "WHERE id <> 2")).await.unwrap();
        assert_eq!(cursor.attached(), None);
        assert!(cursor.has_next_result());
        assert_eq!(firsts(&read(&mut cursor).await), [1, 3, 4]);
        assert!(cursor.next_result().await.unwrap());
        assert_eq!(cursor.columns()[1].path, ["parent"]);
        assert_eq!(cursor.attached(), attached(0, &[0], &[1]).as_ref());
        assert!(!cursor.has_next_result());
        assert_eq!(firsts(&read(&mut cursor).await), [10, 11, 30, 31]);
        // The connection is back before the cursor is dropped.
        assert_eq!(database.stats().acquired, 0);
        assert!(!cursor.next_result().await.unwrap());
        assert!(cursor.next(1).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn keys_are_distinct_and_never_null_and_those_of_several_columns_belong_together() {
    for database in both_with_families().await {
        let count = |sql| step(sql, vec![keys(0, 1, TEXT)], &[("count", INTEGER)], None);
        let (counted, pairs) = match database.dialect() {
            Dialect::Sqlite => (
                count("SELECT json_array_length(?1)"),
                "SELECT id FROM child WHERE (parent, kind) IN (SELECT value, \
                 json_extract(?2, '$[' || key || ']') FROM json_each(?1)) ORDER BY id",
            ),
            Dialect::Postgres => (
                count("SELECT cardinality($1::text[])::bigint"),
                "SELECT id FROM child WHERE (parent, kind) IN (SELECT * FROM unnest($1, $2)) \
                 ORDER BY id",
            ),
        };
        let binds = vec![keys(0, 0, INTEGER), keys(0, 1, TEXT)];
        let pairs = step(pairs, binds, &[("id", INTEGER)], None);
        let mut cursor = database.fetch(plan(vec![parents(""), counted, pairs])).await.unwrap();
        assert_eq!(read(&mut cursor).await.len(), 4);
        assert!(cursor.next_result().await.unwrap());
        assert_eq!(firsts(&read(&mut cursor).await), [2], "`a` and `b`");
        assert!(cursor.next_result().await.unwrap());
        assert_eq!(firsts(&read(&mut cursor).await), [10, 20, 30]);
    }
}

#[tokio::test]
async fn a_step_without_keys_is_not_sent_and_has_columns_all_the_same() {
    for database in both_with_families().await {
        let broken = Step { sql: "no SQL".into(), ..children(database.dialect()) };
        let mut cursor = database.fetch(plan(vec![parents("WHERE id > 9"), broken])).await.unwrap();
        assert!(read(&mut cursor).await.is_empty());
        assert!(cursor.next_result().await.unwrap());
        assert_eq!(cursor.columns().len(), 2);
        assert!(cursor.next(1).await.unwrap().is_none());
        assert_eq!(database.stats().acquired, 0);
    }
}

#[tokio::test]
async fn rows_that_were_not_read_are_left_out() {
    for database in both_with_families().await {
        let mut cursor = database.fetch(families(database.dialect(), "")).await.unwrap();
        assert_eq!(cursor.next(1).await.unwrap().unwrap().rows, 1);
        assert!(cursor.next_result().await.unwrap());
        assert_eq!(firsts(&read(&mut cursor).await), [10, 11]);
        assert_at_rest(&database).await;
    }
}

#[tokio::test]
async fn all_steps_see_the_same_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}?mode=rwc", folder.path().join("db").display());
    for url in [file, ferro_test_support::postgres::url()] {
        let database = connect(&url).await;
        run(&database, &SETUP).await;
        let mut cursor = database.fetch(families(database.dialect(), "")).await.unwrap();
        assert_eq!(read(&mut cursor).await.len(), 4);
        run(&database, &["DELETE FROM child WHERE id = 10"]).await;
        assert!(cursor.next_result().await.unwrap());
        assert_eq!(firsts(&read(&mut cursor).await), [10, 11, 20, 21, 30, 31]);
        drop(cursor);
        assert_eq!(count(&database, "child").await, 5);
    }
}

#[tokio::test]
async fn steps_run_in_the_transaction_of_the_caller_and_leave_it_open() {
    for database in both_with_families().await {
        let transaction = database.begin(no_options()).await.unwrap();
        let insert = "INSERT INTO child VALUES (40, 4, 'a'), (41, 4, 'a')";
        transaction.execute_raw(insert, vec![]).await.unwrap();
        let mut cursor =
            transaction.fetch(families(database.dialect(), "WHERE id = 4")).await.unwrap();
        assert_eq!(read(&mut cursor).await.len(), 1);
        assert!(cursor.next_result().await.unwrap());
        let busy = transaction.execute_raw("SELECT 1", vec![]).await.unwrap_err();
        assert_eq!(busy.kind, ErrorKind::Busy);
        assert_eq!(firsts(&read(&mut cursor).await), [40, 41]);
        assert!(!cursor.next_result().await.unwrap());
        transaction.execute_raw("INSERT INTO child VALUES (42, 4, 'a')", vec![]).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(count(&database, "child").await, 9);

        let transaction = database.begin(no_options()).await.unwrap();
        let mut cursor = transaction.fetch(families(database.dialect(), "")).await.unwrap();
        read(&mut cursor).await;
        transaction.commit().await.unwrap();
        let error = cursor.next_result().await.unwrap_err();
        assert!(error.message.contains("has ended"), "{error}");
    }
}

#[tokio::test]
async fn c3_a_step_that_fails_ends_the_cursor_and_gives_back_the_connection() {
    for database in both_with_families().await {
        let broken = Step { sql: "SELECT missing FROM nowhere".into(), ..parents("") };
        let mut cursor = database.fetch(plan(vec![parents(""), broken])).await.unwrap();
        read(&mut cursor).await;
        let error = cursor.next_result().await.unwrap_err();
        assert!(error.message.contains("nowhere"), "{error}");
        assert_eq!(cursor.next_result().await.unwrap_err(), error);
        assert_eq!(cursor.next(1).await.unwrap_err(), error);
        assert_at_rest(&database).await;
    }
}

#[tokio::test]
async fn c3_a_cursor_that_is_dropped_between_or_in_result_sets_gives_back_its_connection() {
    for database in both_with_families().await {
        for read_first in [false, true] {
            let mut cursor = database.fetch(families(database.dialect(), "")).await.unwrap();
            if read_first {
                read(&mut cursor).await;
                cursor.next_result().await.unwrap();
            }
            cursor.next(1).await.unwrap();
            drop(cursor);
            assert_at_rest(&database).await;
            assert_eq!(count(&database, "child").await, 6);
        }
    }
}

#[tokio::test]
async fn a_call_for_the_next_result_set_that_is_cancelled_ends_the_cursor() {
    let database = connect(&ferro_test_support::postgres::url()).await;
    run(&database, &SETUP).await;
    let slow = step("SELECT 1::bigint FROM pg_sleep(60)", vec![], &[("n", INTEGER)], None);
    let mut cursor = database.fetch(plan(vec![parents(""), slow])).await.unwrap();
    read(&mut cursor).await;
    let soon = std::time::Duration::from_millis(100);
    assert!(tokio::time::timeout(soon, cursor.next_result()).await.is_err());
    assert_eq!(cursor.next_result().await.unwrap_err().kind, ErrorKind::Cancelled);
    assert_at_rest(&database).await;
}

#[tokio::test]
async fn result_sets_cannot_be_executed_for_their_effect() {
    for database in both_with_families().await {
        let error = database.execute(families(database.dialect(), "")).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidQuery);
        assert!(error.message.contains("`fetch`"), "{error}");
    }
}
