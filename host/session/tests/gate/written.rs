//! No more rows are written than a call may write, whatever it does with what they return.

use std::sync::Arc;
use std::time::Duration;

use ferro_driver::{ConnectOptions, PoolOptions};
use ferro_session::{Gate, Limits, Session, Tenants};
use ferro_wit::query::Query;
use ferro_wit::types::{Batch, Column, ErrorKind, ScalarType, Scalars, TransactionOptions};
use serde_json::json;
use tokio::time::timeout;

use crate::on_both_databases;
use crate::queries::{all, count, fields, insert, insert_batch, returning, update_all};
use crate::world::{World, assert_error, drain, tenant, texts};

on_both_databases! {
    a_query_that_reads_takes_no_rows,
    p4_a_cursor_keeps_the_permit_of_its_transaction,
    p5_a_batch_without_columns_may_say_that_it_has_billions_of_rows,
    rows_that_are_locked_are_not_written,
    s3_a_write_that_returns_nothing_is_not_fetched,
    s3_rows_of_an_upsert_over_the_limit_are_undone,
    s3_rows_that_a_write_returns_count_though_nobody_reads_them,
    s3_what_an_insert_skips_does_not_count,
}

fn limited(world: &World) -> Gate {
    world.gate(tenant(1).limits(Limits { rows_written: 2, ..Limits::default() }))
}

async fn begin(session: &Session) -> Session {
    session.begin(TransactionOptions::default()).await.unwrap()
}

/// Inserts notes, or gives those that have the titles already the secrets.
fn upsert(fields: &[&str]) -> Query {
    let mut query = serde_json::to_value(insert_batch("Note", fields)).unwrap();
    query["nodes"] = json!([{ "excluded": "secret" }]);
    query["statement"]["insert"]["conflict"] = json!({
        "target": ["tenant_id", "title"],
        "update": fields.last().map(|it| json!([{ "field": it, "value": 0 }])).unwrap_or(json!([])),
    });
    serde_json::from_value(query).unwrap()
}

pub(crate) fn notes(number: usize) -> Batch {
    let column = |value: &dyn Fn(usize) -> String| {
        let mut column = Scalars::with_kind(ScalarType::Text);
        for row in 0..number {
            column.push(value(row).into()).unwrap();
        }
        Column::Scalars(column)
    };
    Batch::new(vec![column(&|row| format!("new {row}")), column(&|_| "s".into())]).unwrap()
}

/// How many rows have the secret.
async fn secrets(world: &World) -> usize {
    let secrets = texts(&world.trusted(), &fields("Note", &["secret"])).await;
    secrets.into_iter().filter(|it| it == "s").count()
}

async fn s3_rows_of_an_upsert_over_the_limit_are_undone(world: &World) {
    let upsert = upsert(&["title", "secret"]);
    let session = limited(world).open("app").unwrap();
    let outcome = session.write(&upsert, vec![], notes(3)).await;
    assert_error(outcome, ErrorKind::LimitExceeded, "`rows-written`: 2");
    assert_eq!(secrets(world).await, 0);

    let session = limited(world).open("app").unwrap();
    let rows = session.write_returning(&returning(upsert.clone(), "id"), vec![], notes(3)).await;
    assert_error(drain(rows.unwrap()).await, ErrorKind::LimitExceeded, "`rows-written`: 2");
    world.assert_at_rest().await;
    assert_eq!(secrets(world).await, 0);

    // As many as there may be, again and again, are no more.
    let gate = limited(world);
    let session = gate.open("app").unwrap();
    assert_eq!(session.write(&upsert, vec![], notes(2)).await, Ok(2));
    let outcome = session.write(&upsert, vec![], notes(1)).await;
    assert_error(outcome, ErrorKind::LimitExceeded, "`rows-written`: 2");
    assert_eq!(secrets(world).await, 2);
}

async fn s3_rows_that_a_write_returns_count_though_nobody_reads_them(world: &World) {
    let insert = returning(insert("Note", &["title", "secret"]), "id");
    let gate = limited(world);
    let session = gate.open("app").unwrap();
    for title in ["one", "two"] {
        drop(session.fetch(&insert, vec![title.into(), "s".into()]).await.unwrap());
    }
    assert_eq!(gate.usage().rows_written, 2);
    let third = session.fetch(&insert, vec!["three".into(), "s".into()]).await;
    assert_error(third, ErrorKind::LimitExceeded, "`rows-written`: 2");

    // How many these are is not known before: they are undone.
    let update = returning(update_all("Note", "secret", "text"), "id");
    let session = limited(world).open("app").unwrap();
    let transaction = begin(&session).await;
    drop(transaction.fetch(&update, vec!["x".into()]).await.unwrap());
    assert_error(transaction.commit().await, ErrorKind::LimitExceeded, "returns to the end");
    world.assert_at_rest().await;
    let texts = texts(&world.trusted(), &fields("Note", &["secret"])).await;
    assert!(!texts.contains(&"x".to_owned()));
}

async fn s3_a_write_that_returns_nothing_is_not_fetched(world: &World) {
    let gate = limited(world);
    let session = gate.open("app").unwrap();
    let insert = insert("Note", &["title", "secret"]);
    drain(session.fetch(&insert, vec!["one".into(), "x".into()]).await.unwrap()).await.unwrap();
    assert_eq!(gate.usage().rows_written, 1);
    let update = update_all("Note", "secret", "text");
    let rows = session.fetch(&update, vec!["s".into()]).await.unwrap();
    assert_error(drain(rows).await, ErrorKind::LimitExceeded, "instead of fetching it");
    let transaction = begin(&session).await;
    let rows = transaction.fetch(&update, vec!["s".into()]).await.unwrap();
    assert_error(drain(rows).await, ErrorKind::LimitExceeded, "instead of fetching it");
    assert_error(transaction.commit().await, ErrorKind::LimitExceeded, "not counted");
    world.assert_at_rest().await;
    assert_eq!(secrets(world).await, 0);
}

async fn a_query_that_reads_takes_no_rows(world: &World) {
    let rows = Batch { rows: 1, columns: vec![] };
    let outcome = world.tenant(1).write(&count("Note"), vec![], rows).await;
    assert_error(outcome, ErrorKind::InvalidQuery, "does not accept rows");
}

async fn s3_what_an_insert_skips_does_not_count(world: &World) {
    let mut skip = serde_json::to_value(insert("Note", &["title", "secret"])).unwrap();
    skip["statement"]["insert"]["conflict"] =
        json!({ "target": ["tenant_id", "title"], "update": [] });
    let skip: Query = serde_json::from_value(skip).unwrap();
    let gate = limited(world);
    let session = gate.open("app").unwrap();
    for _ in 0..5 {
        session.execute(&skip, vec!["one".into(), "s".into()]).await.unwrap();
        let skip = returning(skip.clone(), "id");
        let rows = session.fetch(&skip, vec!["one".into(), "s".into()]).await.unwrap();
        drain(rows).await.unwrap();
    }
    assert_eq!(gate.usage().rows_written, 1);
}

async fn rows_that_are_locked_are_not_written(world: &World) {
    let mut query = serde_json::to_value(all("Note")).unwrap();
    query["selects"][0]["lock"] = json!({ "strength": "update", "wait": "wait" });
    let query: Query = serde_json::from_value(query).unwrap();
    let gate = limited(world);
    let session = gate.open("app").unwrap();
    let transaction = begin(&session).await;
    assert_eq!(drain(transaction.fetch(&query, vec![]).await.unwrap()).await.unwrap().len(), 3);
    transaction.commit().await.unwrap();
    assert_eq!(gate.usage().rows_written, 0);
}

/// What SQLite tells is of the last statement that changed anything, perhaps another tenant's.
#[tokio::test]
async fn t5_how_many_rows_another_tenant_has_changed_is_not_told() {
    let pool = PoolOptions { max_connections: 1, ..PoolOptions::default() };
    let world = World::sqlite_with(&ConnectOptions { pool, ..ConnectOptions::default() }).await;
    let update = update_all("Note", "secret", "text");
    assert_eq!(world.tenant(1).execute(&update, vec!["s".into()]).await, Ok(3));
    let mut query = serde_json::to_value(all("Note")).unwrap();
    query["selects"][0]["lock"] = json!({ "strength": "update", "wait": "wait" });
    let query: Query = serde_json::from_value(query).unwrap();
    assert_eq!(world.tenant(2).execute(&query, vec![]).await, Ok(0));
}

/// A list of all that was to be executed took 64 GiB, and ended the process.
async fn p5_a_batch_without_columns_may_say_that_it_has_billions_of_rows(world: &World) {
    let limits = Limits { statement_timeout: Duration::from_millis(200), ..Limits::default() };
    let session = world.gate(tenant(1).limits(limits)).open("app").unwrap();
    let batch = Batch { rows: u32::MAX, columns: vec![] };
    let outcome = session.write(&upsert(&[]), vec![], batch).await;
    assert!(outcome.is_err(), "{outcome:?}");
    world.assert_at_rest().await;
}

async fn p4_a_cursor_keeps_the_permit_of_its_transaction(world: &World) {
    let tenants = Tenants::default();
    let acme = Arc::new(tenant(1));
    let admission = tenants.admit(&acme).await.unwrap();
    let (databases, models) = (world.databases.clone(), world.models.clone());
    let session = Gate::admitted(databases, models, acme, admission).open("app").unwrap();
    let half = world.databases.get(Some("app")).unwrap().stats().max.div_ceil(2);
    let mut cursors = Vec::new();
    for number in 0..half {
        let transaction = begin(&session).await;
        // A savepoint has the permit of its transaction.
        let inner = if number % 2 == 0 { None } else { Some(begin(&transaction).await) };
        let at = inner.as_ref().unwrap_or(&transaction);
        cursors.push(at.fetch(&all("Note"), vec![]).await.unwrap());
    }
    let more = session.begin(TransactionOptions::default()).await;
    assert_error(more, ErrorKind::Busy, "`connections`: this call holds");
    drop(cursors);
    world.assert_at_rest().await;
    begin(&session).await.rollback().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p2_a_commit_that_was_not_waited_for_is_not_the_end_of_the_rows() {
    let world = World::postgres().await;
    let trusted = world.trusted();
    for sql in [
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
         'BEGIN PERFORM pg_sleep(0.1); RETURN NULL; END'",
        "CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON note DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW EXECUTE FUNCTION slow()",
    ] {
        trusted.execute_raw(sql, vec![]).await.unwrap();
    }
    let limits = Limits { rows_written: 5, ..Limits::default() };
    let session = world.gate(tenant(1).limits(limits)).open("app").unwrap();
    let update = returning(update_all("Note", "secret", "text"), "id");
    let mut cursor = session.fetch(&update, vec!["new".into()]).await.unwrap();
    while let Ok(batch) = timeout(Duration::from_millis(150), cursor.next(2)).await {
        assert!(batch.unwrap().is_some(), "the three rows took 300 ms to commit");
    }
    for _ in 0..2 {
        assert_error(cursor.next(2).await, ErrorKind::OutcomeUnknown, "was not waited for");
    }
    drop(cursor);
    world.assert_at_rest().await;
}
