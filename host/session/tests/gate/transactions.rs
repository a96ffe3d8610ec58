//! Transactions, savepoints, and the SDK's view of them.

use std::sync::Arc;

use ferro_session::Models;
use ferro_test_support::Core;
use ferro_wit::types::{ErrorKind, TransactionOptions, Value};

use crate::on_both_databases;
use crate::queries::{all, delete_all, fields, insert};
use crate::world::{World, assert_error, gate, rows, tenant, texts};

on_both_databases! {
    a_session_waits_for_the_transaction_that_it_began,
    p1_a_commit_under_an_open_savepoint_or_cursor_is_an_error_and_undone,
    a_transaction_sees_its_own_rows_and_commits_them,
    only_a_transaction_ends,
    p1_a_dropped_transaction_rolls_back,
    p1_an_inner_failure_leaves_the_outer_transaction_usable,
    sessions_and_cursors_are_those_of_the_sdk,
    t2_models_that_a_transaction_gets_are_in_the_scope_of_its_grant,
}

fn note(title: &str) -> Vec<Value> {
    vec![title.into(), "s".into()]
}

async fn a_transaction_sees_its_own_rows_and_commits_them(world: &World) {
    let session = world.tenant(1);
    let transaction = session.begin(TransactionOptions::default()).await.unwrap();
    assert_eq!(transaction.dialect(), session.dialect());
    transaction.execute(&insert("Note", &["title", "secret"]), note("d")).await.unwrap();
    let titles = texts(&transaction, &fields("Note", &["title"])).await;
    assert_eq!(titles, ["a", "b", "c", "d"]);
    transaction.commit().await.unwrap();
    assert_eq!(world.all_notes().await.len(), 6);
}

async fn t2_models_that_a_transaction_gets_are_in_the_scope_of_its_grant(world: &World) {
    let mut schema = world.models.schema().clone();
    schema.models.retain(|model| model.name != "Note");
    let core = Core { compiles: world.compiles.clone() };
    let few = Arc::new(Models::new(&core, schema, world.models.cache().clone()).unwrap());
    let session = gate(&world.databases, &few, tenant(1)).open("app").unwrap();
    let mut transaction = session.begin(TransactionOptions::default()).await.unwrap();
    let titles = fields("Note", &["title"]);
    let before = transaction.fetch(&titles, vec![]).await;
    assert_error(before, ErrorKind::Denied, "no model `Note`");
    transaction.renew(world.models.clone()).unwrap();
    assert_eq!(texts(&transaction, &titles).await, ["a", "b", "c"]);
    let secrets = transaction.fetch(&fields("Note", &["secret"]), vec![]).await;
    assert_error(secrets, ErrorKind::Denied, "no field `secret`");
    transaction.commit().await.unwrap();
}

async fn p1_a_dropped_transaction_rolls_back(world: &World) {
    let session = world.tenant(1);
    let transaction = session.begin(TransactionOptions::default()).await.unwrap();
    transaction.execute(&delete_all("Note"), vec![]).await.unwrap();
    drop(transaction);
    assert_eq!(texts(&session, &fields("Note", &["title"])).await, ["a", "b", "c"]);
    let transaction = session.begin(TransactionOptions::default()).await.unwrap();
    transaction.execute(&delete_all("Note"), vec![]).await.unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(world.all_notes().await.len(), 5);
}

async fn p1_an_inner_failure_leaves_the_outer_transaction_usable(world: &World) {
    let outer = world.tenant(1).begin(TransactionOptions::default()).await.unwrap();
    let insert = insert("Note", &["title", "secret"]);
    outer.execute(&insert, note("d")).await.unwrap();
    let inner = outer.begin(TransactionOptions::default()).await.unwrap();
    inner.execute(&insert, note("e")).await.unwrap();
    let again = inner.execute(&insert, note("a")).await;
    assert_error(again, ErrorKind::UniqueViolation, "same key");
    inner.rollback().await.unwrap();
    let kept = outer.begin(TransactionOptions::default()).await.unwrap();
    kept.execute(&insert, note("f")).await.unwrap();
    kept.commit().await.unwrap();
    outer.commit().await.unwrap();
    let titles = texts(&world.tenant(1), &fields("Note", &["title"])).await;
    assert_eq!(titles, ["a", "b", "c", "d", "f"]);
}

async fn a_session_waits_for_the_transaction_that_it_began(world: &World) {
    let session = world.tenant(1);
    let transaction = session.begin(TransactionOptions::default()).await.unwrap();
    let savepoint = transaction.begin(TransactionOptions::default()).await.unwrap();
    for occupied in [&session, &transaction] {
        let query = all("Note");
        assert_error(occupied.fetch(&query, vec![]).await, ErrorKind::Busy, "end it first");
        assert_error(occupied.execute(&query, vec![]).await, ErrorKind::Busy, "end it first");
        let begin = occupied.begin(TransactionOptions::default()).await;
        assert_error(begin, ErrorKind::Busy, "end it first");
    }
    assert_error(transaction.rollback().await, ErrorKind::Busy, "end it first");
    drop(savepoint);
    assert_eq!(rows(&session, &all("Note")).await.len(), 3);
}

async fn p1_a_commit_under_an_open_savepoint_or_cursor_is_an_error_and_undone(world: &World) {
    let session = world.tenant(1);
    let insert = insert("Note", &["title", "secret"]);
    let transaction = session.begin(TransactionOptions::default()).await.unwrap();
    transaction.execute(&insert, note("d")).await.unwrap();
    let savepoint = transaction.begin(TransactionOptions::default()).await.unwrap();
    savepoint.execute(&insert, note("e")).await.unwrap();
    let error = transaction.commit().await.unwrap_err();
    assert_eq!((error.kind, error.retryable), (ErrorKind::Busy, false), "{error}");
    savepoint.commit().await.unwrap_err();
    assert_eq!(rows(&session, &all("Note")).await.len(), 3);

    let transaction = session.begin(TransactionOptions::default()).await.unwrap();
    transaction.execute(&insert, note("d")).await.unwrap();
    let mut cursor = transaction.fetch(&all("Note"), vec![]).await.unwrap();
    cursor.next(1).await.unwrap();
    let error = transaction.commit().await.unwrap_err();
    assert_eq!((error.kind, error.retryable), (ErrorKind::Busy, false), "{error}");
    drop(cursor);
    assert_eq!(rows(&session, &all("Note")).await.len(), 3);
}

async fn only_a_transaction_ends(world: &World) {
    assert_error(world.tenant(1).commit().await, ErrorKind::InvalidQuery, "begin one");
    assert_error(world.tenant(1).rollback().await, ErrorKind::InvalidQuery, "begin one");
}

async fn sessions_and_cursors_are_those_of_the_sdk(world: &World) {
    let session: Box<dyn ferro_wit::Session> = Box::new(world.tenant(1));
    let transaction = session.begin(TransactionOptions::default()).await.unwrap();
    let insert = insert("Note", &["title", "secret"]);
    assert_eq!(transaction.execute(insert, note("d")).await.unwrap(), 1);
    let mut cursor = transaction.fetch(fields("Note", &["title"]), vec![]).await.unwrap();
    assert_eq!(cursor.columns()[0].path, ["title"]);
    let batch = cursor.next(10).await.unwrap().unwrap();
    assert_eq!((batch.rows, batch.columns[0].get(3)), (4, Some("d".into())));
    assert!(cursor.next(10).await.unwrap().is_none());
    assert!(!cursor.next_result().await.unwrap());
    drop(cursor);
    transaction.commit().await.unwrap();
    assert_eq!(world.all_notes().await.len(), 6);
}
