//! Errors of real failing statements, with the names that the database gives.

mod support;

use std::time::Duration;

use ferro_driver::{ConnectOptions, Database};
use ferro_test_support::postgres;
use ferro_wit::types::{Dialect, Error, ErrorKind, Value};

use support::{connect, no_options, options, run};

const TABLES: [&str; 2] = [
    "CREATE TABLE author (id INTEGER PRIMARY KEY, email TEXT NOT NULL CONSTRAINT author_email_key \
     UNIQUE, age INTEGER CONSTRAINT author_age_check CHECK (age > 0))",
    "CREATE TABLE book (id INTEGER PRIMARY KEY, author_id INTEGER NOT NULL CONSTRAINT \
     book_author_fkey REFERENCES author (id), title TEXT, part INTEGER, UNIQUE (title, part))",
];

async fn bookshops() -> [Database; 2] {
    let shops = [connect("sqlite::memory:").await, connect(&postgres::url()).await];
    for shop in &shops {
        run(shop, &TABLES).await;
        run(
            shop,
            &[
                "INSERT INTO author VALUES (1, 'ann@example.com', 40)",
                "INSERT INTO book VALUES (1, 1, 'Ferrous', 1)",
            ],
        )
        .await;
    }
    shops
}

async fn error_of(database: &Database, sql: &str) -> Error {
    match database.execute_raw(sql, Vec::new()).await {
        Ok(rows) => panic!("`{sql}` changed {rows} rows"),
        Err(error) => error,
    }
}

/// Kind, code, constraint, table, column.
type Found = (ErrorKind, &'static str, [Option<&'static str>; 3]);

#[track_caller]
fn assert_found(error: &Error, (kind, code, [constraint, table, column]): Found) {
    assert_eq!(error.kind, kind, "{error:?}");
    assert_eq!(error.code.as_deref(), Some(code), "{error:?}");
    assert_eq!(error.constraint.as_deref(), constraint, "{error:?}");
    assert_eq!(error.table.as_deref(), table, "{error:?}");
    assert_eq!(error.column.as_deref(), column, "{error:?}");
    assert!(!error.retryable, "{error:?}");
}

#[tokio::test]
async fn broken_constraints_are_told_with_their_names_on_both_databases() {
    let cases: [(&str, Found, Found); 7] = [
        (
            "INSERT INTO author VALUES (2, 'ann@example.com', 1)",
            (
                ErrorKind::UniqueViolation,
                "SQLITE_CONSTRAINT_UNIQUE",
                [None, Some("author"), Some("email")],
            ),
            (
                ErrorKind::UniqueViolation,
                "23505",
                [Some("author_email_key"), Some("author"), Some("email")],
            ),
        ),
        (
            "INSERT INTO author VALUES (1, 'bob@example.com', 1)",
            (
                ErrorKind::UniqueViolation,
                "SQLITE_CONSTRAINT_PRIMARYKEY",
                [None, Some("author"), Some("id")],
            ),
            (
                ErrorKind::UniqueViolation,
                "23505",
                [Some("author_pkey"), Some("author"), Some("id")],
            ),
        ),
        (
            "INSERT INTO book VALUES (2, 1, 'Ferrous', 1)",
            (
                ErrorKind::UniqueViolation,
                "SQLITE_CONSTRAINT_UNIQUE",
                [None, Some("book"), Some("title, part")],
            ),
            (
                ErrorKind::UniqueViolation,
                "23505",
                [Some("book_title_part_key"), Some("book"), Some("title, part")],
            ),
        ),
        (
            "INSERT INTO author VALUES (2, NULL, 1)",
            (
                ErrorKind::NotNullViolation,
                "SQLITE_CONSTRAINT_NOTNULL",
                [None, Some("author"), Some("email")],
            ),
            (ErrorKind::NotNullViolation, "23502", [None, Some("author"), Some("email")]),
        ),
        (
            "INSERT INTO author VALUES (2, 'bob@example.com', 0)",
            (
                ErrorKind::CheckViolation,
                "SQLITE_CONSTRAINT_CHECK",
                [Some("author_age_check"), None, None],
            ),
            (ErrorKind::CheckViolation, "23514", [Some("author_age_check"), Some("author"), None]),
        ),
        (
            "INSERT INTO book VALUES (2, 7, 'Rust', 1)",
            (ErrorKind::ForeignKeyViolation, "SQLITE_CONSTRAINT_FOREIGNKEY", [None, None, None]),
            (
                ErrorKind::ForeignKeyViolation,
                "23503",
                [Some("book_author_fkey"), Some("book"), Some("author_id")],
            ),
        ),
        (
            "DELETE FROM author",
            (ErrorKind::ForeignKeyViolation, "SQLITE_CONSTRAINT_FOREIGNKEY", [None, None, None]),
            (
                ErrorKind::ForeignKeyViolation,
                "23503",
                [Some("book_author_fkey"), Some("book"), None],
            ),
        ),
    ];
    let [sqlite, postgres] = bookshops().await;
    for (sql, on_sqlite, on_postgres) in cases {
        assert_found(&error_of(&sqlite, sql).await, on_sqlite);
        assert_found(&error_of(&postgres, sql).await, on_postgres);
    }
}

#[tokio::test]
async fn statements_that_make_no_sense_are_told_apart_on_both_databases() {
    for database in bookshops().await {
        let dialect = database.dialect();
        for (sql, kind) in [
            ("SELEC 1", ErrorKind::Syntax),
            ("SELECT * FROM no_such_table", ErrorKind::UndefinedObject),
            ("SELECT no_such_column FROM author", ErrorKind::UndefinedObject),
            ("SELECT no_such_function(1)", ErrorKind::UndefinedObject),
            ("INSERT INTO author (no_such_column) VALUES (1)", ErrorKind::UndefinedObject),
        ] {
            let error = error_of(&database, sql).await;
            assert_eq!(error.kind, kind, "{dialect}: `{sql}`: {error:?}");
            assert!(error.code.is_some(), "{dialect}: `{sql}`: {error:?}");
        }
        // The pool is as good as before.
        assert!(database.check().await.is_ok());
    }
}

#[tokio::test]
async fn values_that_do_not_fit_are_told_apart() {
    let [_, postgres] = bookshops().await;
    for (sql, kind) in [
        ("SELECT 'abc'::integer", ErrorKind::TypeMismatch),
        ("SELECT 99999999999::integer", ErrorKind::ValueOutOfRange),
        ("SELECT 1 / 0", ErrorKind::ValueOutOfRange),
        ("SELECT 'long'::varchar || repeat('x', 2000000000)", ErrorKind::LimitExceeded),
    ] {
        assert_eq!(error_of(&postgres, sql).await.kind, kind, "`{sql}`");
    }
}

#[tokio::test]
async fn what_is_in_the_way_of_a_change_is_named() {
    let database = connect(&postgres::url()).await;
    let others =
        ["CREATE VIEW readers AS SELECT age FROM author", "CREATE VIEW ages AS TABLE readers"];
    run(&database, &TABLES).await;
    run(&database, &others).await;
    for (sql, names) in [
        ("ALTER TABLE author ALTER age TYPE bigint", &["view readers"][..]),
        ("ALTER TABLE author DROP age", &["view readers", "view ages"]),
        ("ALTER TABLE author DROP CONSTRAINT author_pkey", &["constraint book_author_fkey"]),
    ] {
        let error = error_of(&database, sql).await;
        assert_eq!(error.kind, ErrorKind::Unsupported, "{error:?}");
        assert!(names.iter().all(|it| error.message.contains(it)), "{error:?}");
        assert!(!error.message.contains('\n'), "{error:?}");
    }
}

#[tokio::test]
async fn a_read_only_file_refuses_writes_as_read_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let path = path.display();
    let writer = connect(&format!("sqlite:{path}?mode=rwc")).await;
    run(&writer, &TABLES).await;
    let reader = connect(&format!("sqlite:{path}?mode=ro")).await;
    let error = error_of(&reader, "INSERT INTO author VALUES (1, 'a', 1)").await;
    assert_eq!(error.kind, ErrorKind::ReadOnly, "{error:?}");
    let transaction = connect(&postgres::url()).await;
    run(&transaction, &TABLES).await;
    let options = ferro_wit::types::TransactionOptions { read_only: true, ..no_options() };
    let transaction = transaction.begin(options).await.unwrap();
    let sql = "INSERT INTO author VALUES (1, 'a', 1)";
    let error = transaction.execute_raw(sql, Vec::new()).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_deref()), (ErrorKind::ReadOnly, Some("25006")));
}

#[tokio::test]
async fn p7_a_writer_that_waited_in_vain_is_told_busy_and_may_try_again() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}?mode=rwc", folder.path().join("app.db").display());
    let options = options(|it| it.sqlite.busy_timeout = Duration::from_millis(50));
    let database = Database::connect(&url, &options).await.unwrap();
    run(&database, &TABLES).await;
    let immediate = ferro_wit::types::TransactionOptions { immediate: true, ..no_options() };
    let writer = database.begin(immediate).await.unwrap();
    let sql = "INSERT INTO author VALUES (1, 'a', 1)";
    writer.execute_raw(sql, Vec::new()).await.unwrap();
    let error = error_of(&database, sql).await;
    assert_eq!((error.kind, error.retryable), (ErrorKind::Busy, true), "{error:?}");
    assert_eq!(error.code.as_deref(), Some("SQLITE_BUSY"));
    writer.rollback().await.unwrap();
    run(&database, &[sql]).await;
}

#[tokio::test]
async fn a_stale_snapshot_is_told_as_a_lost_race() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}?mode=rwc", folder.path().join("app.db").display());
    let database = connect(&url).await;
    run(&database, &TABLES).await;
    let reader = database.begin(no_options()).await.unwrap();
    reader.execute_raw("SELECT count(*) FROM author", Vec::new()).await.unwrap();
    run(&database, &["INSERT INTO author VALUES (1, 'a', 1)"]).await;
    let sql = "INSERT INTO author VALUES (2, 'b', 1)";
    let error = reader.execute_raw(sql, Vec::new()).await.unwrap_err();
    assert_eq!((error.kind, error.retryable), (ErrorKind::SerializationFailure, true), "{error:?}");
    assert_eq!(error.code.as_deref(), Some("SQLITE_BUSY_SNAPSHOT"));
}

#[tokio::test]
async fn postgres_tells_timeouts_locks_and_lost_races_apart() {
    let url = postgres::url();
    let limited = format!("{url}?options=-c%20statement_timeout%3D50ms");
    let error = error_of(&connect(&limited).await, "SELECT pg_sleep(5)").await;
    assert_eq!(error.kind, ErrorKind::Timeout, "{error:?}");

    let database = connect(&url).await;
    assert_eq!(database.dialect(), Dialect::Postgres);
    run(&database, &TABLES).await;
    run(&database, &["INSERT INTO author VALUES (1, 'a', 1)"]).await;
    let holder = database.begin(no_options()).await.unwrap();
    holder.execute_raw("UPDATE author SET age = 2", Vec::new()).await.unwrap();
    let impatient = connect(&format!("{url}?options=-c%20lock_timeout%3D50ms")).await;
    let error = error_of(&impatient, "UPDATE author SET age = 3").await;
    assert_eq!((error.kind, error.retryable), (ErrorKind::Busy, true), "{error:?}");
    drop(holder);

    let repeatable = ferro_wit::types::TransactionOptions {
        isolation: Some(ferro_wit::types::Isolation::RepeatableRead),
        ..no_options()
    };
    let loser = database.begin(repeatable).await.unwrap();
    loser.execute_raw("SELECT count(*) FROM author", Vec::new()).await.unwrap();
    run(&database, &["UPDATE author SET age = 4"]).await;
    let error = loser.execute_raw("UPDATE author SET age = 5", Vec::new()).await.unwrap_err();
    assert_eq!((error.kind, error.retryable), (ErrorKind::SerializationFailure, true), "{error:?}");
}

#[tokio::test]
async fn a_server_that_ends_the_session_is_told_as_a_lost_connection() {
    let url = postgres::url();
    let options = ConnectOptions::default();
    let (victim, killer) = (connect(&url).await, connect(&url).await);
    let pid = support::one(&victim, "SELECT pg_backend_pid()").await;
    let Value::Integer(pid) = pid else { panic!("not a number") };
    let running = tokio::spawn(async move {
        (victim.execute_raw("SELECT pg_sleep(30)", Vec::new()).await, victim)
    });
    // The pool may have taken another connection: end all that sleep.
    let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = \
               current_database() AND query = 'SELECT pg_sleep(30)'";
    while support::one(&killer, sql).await == Value::Integer(0) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (result, victim) = running.await.unwrap();
    assert_eq!(result.unwrap_err().kind, ErrorKind::ConnectionFailed);
    assert_ne!(pid, 0);
    // And the pool opens another.
    assert!(victim.check().await.is_ok());
    assert!(options.pool.test_before_acquire);
}
