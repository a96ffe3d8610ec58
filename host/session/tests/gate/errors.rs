//! What a plugin learns of a failure, and what the operator does.

use ferro_session::{Grant, Limits, TableGrant, Tenant};
use ferro_test_support::Log;
use ferro_wit::types::{Dialect, Error, ErrorKind, Value};

use crate::on_both_databases;
use crate::queries::{all, bounded, fields, insert, update_all};
use crate::world::{SECRET, World, assert_error, drain};

on_both_databases! {
    a_trusted_caller_gets_the_whole_error,
    k2_a_plugin_gets_no_text_of_the_server,
    k2_a_plugin_learns_nothing_of_a_database_that_is_gone,
    s3_errors_in_the_log_are_lines_of_a_bounded_size,
    s3_sessions_that_are_not_opened_leave_no_more_in_the_log_than_errors_may,
    a_fault_of_the_callers_values_is_explained,
    a_limit_that_is_no_number_of_rows_is_refused,
}

/// A title that is taken, with a secret beside it.
async fn collide(session: &ferro_session::Session) -> Error {
    let values = vec!["a".into(), SECRET.into()];
    let outcome = session.execute(&insert("Note", &["title", "secret"]), values).await;
    assert_error(outcome, ErrorKind::UniqueViolation, "")
}

async fn k2_a_plugin_gets_no_text_of_the_server(world: &World) {
    let error = collide(&world.tenant(1)).await;
    assert!(error.message.starts_with("a row with the same key already exists"), "{error}");
    assert!(!format!("{error:?}").contains(SECRET), "{error:?}");
    assert_eq!(error.table.as_deref(), Some("note"));
    assert!(error.code.is_some());
    let update = update_all("Note", "title", "text");
    let outcome = world.tenant(2).execute(&update, vec!["same".into()]).await;
    let error = assert_error(outcome, ErrorKind::UniqueViolation, "table `note`");
    assert!(!format!("{error:?}").contains("same)"), "{error:?}");
}

async fn a_trusted_caller_gets_the_whole_error(world: &World) {
    let values = vec![1.into(), "a".into(), SECRET.into()];
    let insert = insert("Note", &["tenant_id", "title", "secret"]);
    let outcome = world.trusted().execute(&insert, values).await;
    let error = assert_error(outcome, ErrorKind::UniqueViolation, "");
    assert!(!error.message.starts_with("a row with the same key"), "{error}");
    assert_eq!(error.table.as_deref(), Some("note"));
}

async fn k2_a_plugin_learns_nothing_of_a_database_that_is_gone(world: &World) {
    let session = world.tenant(1);
    world.databases.get(Some("app")).unwrap().disconnect().await;
    let error = session.fetch(&all("Note"), vec![]).await;
    let error = assert_error(error, ErrorKind::ConnectionFailed, "the database cannot be reached");
    assert_eq!((error.code, error.table), (None, None));
}

async fn s3_sessions_that_are_not_opened_leave_no_more_in_the_log_than_errors_may(world: &World) {
    let limits = Limits { log_bytes: 2_000, ..Limits::default() };
    let unfit = TableGrant::read_only().filter("no_such_column", 1);
    let tenant = Tenant::new("loud").limits(limits).grant("gone", Grant::read_only());
    let tenant = tenant.grant("app", Grant::read_only().table("note", unfit));
    for (label, kind) in [("gone", ErrorKind::Denied), ("app", ErrorKind::InvalidConfiguration)] {
        let gate = world.gate(tenant.clone());
        let work = async {
            for _ in 0..1_000 {
                assert_error(gate.open(label).map(drop), kind, "");
            }
        };
        let ((), logged) = logged(work).await;
        assert!(logged.contains("loud") && logged.contains(label), "{logged}");
        assert!(logged.lines().last().unwrap().contains("`log-bytes`"), "{logged}");
        assert!(logged.lines().count() < 40, "{label}: {}", logged.lines().count());
    }
}

async fn a_fault_of_the_callers_values_is_explained(world: &World) {
    let insert = insert("Note", &["title", "secret"]);
    let outcome = world.tenant(1).execute(&insert, vec![1.into(), "s".into()]).await;
    assert_error(outcome, ErrorKind::TypeMismatch, "integer");
    let outcome = world.tenant(1).execute(&insert, vec!["t".into()]).await;
    assert_error(outcome, ErrorKind::InvalidQuery, "");
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_named_to_its_reader() {
    let world = World::sqlite().await;
    let sql = "UPDATE note SET title = x'00' WHERE title = 'b'";
    let database = world.databases.get(Some("app")).unwrap();
    assert_eq!(database.execute_raw(sql, vec![]).await.unwrap(), 1);
    let session = world.tenant(1);
    let read = async |query| drain(session.fetch(&query, vec![]).await.unwrap()).await;
    let whole = "the value of column `title` in row 2, whose `id` is 2, is stored as `blob`";
    assert_error(read(all("Note")).await, ErrorKind::DecodeFailed, whole);
    // It does not read the key.
    let nameless = "the value of column `title` in row 2 is stored as `blob`";
    assert_error(read(fields("Note", &["title"])).await, ErrorKind::DecodeFailed, nameless);
}

async fn a_limit_that_is_no_number_of_rows_is_refused(world: &World) {
    let session = world.tenant(1);
    for bound in ["limit", "offset"] {
        let query = bounded("Note", bound);
        assert!(session.fetch(&query, vec![1.into()]).await.is_ok());
        for value in [Value::Integer(-1), Value::Null] {
            let outcome = session.fetch(&query, vec![value]).await;
            assert_error(outcome, ErrorKind::InvalidQuery, "must be non-negative integers");
        }
    }
}

/// What is logged meanwhile.
async fn logged<T>(work: impl Future<Output = T>) -> (T, String) {
    let (log, _guard) = Log::of_thread();
    let done = work.await;
    (done, log.text())
}

#[tokio::test]
async fn k2_the_operators_log_has_what_the_plugin_is_not_told() {
    let world = World::sqlite().await;
    let (told, logged) = logged(collide(&world.tenant(1))).await;
    assert!(logged.contains("UNIQUE constraint failed"), "{logged}");
    assert!(logged.contains("tenant-1") && logged.contains("app"), "{logged}");
    assert!(!told.message.contains("UNIQUE constraint failed"), "{told}");
    assert!(!logged.contains(SECRET), "{logged}");
}

/// A stranger's text may have any name and any value in the message of its error.
async fn s3_errors_in_the_log_are_lines_of_a_bounded_size(world: &World) {
    let limits = Limits { log_bytes: 5_000, ..Limits::default() };
    let grant = Grant::read_only().with_unfenced_raw_sql();
    let tenant = Tenant::new("loud").grant("app", grant).limits(limits);
    let session = world.gate(tenant).open("app").unwrap();
    let forged = format!("x\n2026-01-01 ERROR forged \u{1b}[2J{}", "A".repeat(100_000));
    let (sql, values) = match session.dialect() {
        Dialect::Sqlite => (format!("SELECT \"{forged}\""), vec![]),
        Dialect::Postgres => ("SELECT CAST($1::text AS int)".into(), vec![forged.into()]),
    };
    let work = async {
        for _ in 0..20 {
            let found = match session.fetch_raw(&sql, values.clone()).await {
                Ok(mut cursor) => cursor.next(1).await.map(drop),
                Err(error) => Err(error),
            };
            found.unwrap_err();
        }
    };
    let ((), logged) = logged(work).await;
    let mut lines: Vec<_> = logged.lines().collect();
    assert!(lines.pop().unwrap().contains("`log-bytes`"), "{logged}");
    // SQLite's message names the column, too.
    assert!((2..=4).contains(&lines.len()), "{logged}");
    for line in lines {
        let escaped = "\\n2026-01-01 ERROR forged \\u{1b}[2JAAA";
        assert!(line.contains(escaped) && line.contains("loud") && line.len() < 2_500, "{logged}");
    }
}
