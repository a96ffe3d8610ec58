//! Each limit ends in its own error, and what it held is free again.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ferro_driver::{ConnectOptions, PoolOptions};
use ferro_session::{Cursor, Gate, Grant, Limits, Session, Tenant, Tenants};
use ferro_wit::types::{Dialect, Error, ErrorKind, TransactionOptions, Value};

use crate::on_both_databases;
use crate::queries::{all, count, fields, insert, insert_batch, returning, update_all};
use crate::world::{World, assert_error, drain, notes, rows, tenant, texts};
use crate::written;

on_both_databases! {
    a_call_knows_what_it_used,
    a_trusted_gate_has_no_limits,
    a_write_that_returns_rows_is_kept_with_its_last_row,
    p1_a_transaction_past_its_time_is_rolled_back,
    p1_what_is_past_its_time_ends_though_its_holder_does_nothing,
    p4_a_tenant_holds_half_of_a_pool_at_most,
    p4_tenants_that_hold_all_they_get_leave_a_connection_to_who_has_none,
    p5_a_recursion_without_an_end_is_stopped,
    p5_a_statement_past_its_time_is_stopped,
    p5_reading_a_result_past_its_time_is_stopped,
    s3_cursors_are_counted_and_their_slots_freed,
    s3_parameters_are_counted,
    s3_result_bytes_are_counted_over_a_call,
    s3_rows_over_the_limit_are_an_error_and_never_cut,
    s3_rows_written_over_the_limit_are_undone,
    s3_sessions_are_counted_and_their_slots_freed,
    s3_statements_are_counted_over_a_call,
    s3_what_was_read_counts_before_anybody_asks_for_it,
}

fn limited(world: &World, limits: Limits) -> Gate {
    world.gate(tenant(1).limits(limits))
}

/// May send SQL text, within limits.
fn raw(world: &World, limits: Limits) -> Session {
    let mut tenant = tenant(1).limits(limits);
    let grant = Grant::read_write().table("note", notes(1)).with_unfenced_raw_sql();
    tenant = tenant.grant("app", grant);
    world.gate(tenant).open("app").unwrap()
}

async fn s3_rows_over_the_limit_are_an_error_and_never_cut(world: &World) {
    let gate = limited(world, Limits { rows: 3, ..Limits::default() });
    let session = gate.open("app").unwrap();
    assert_eq!(texts(&session, &fields("Note", &["title"])).await.len(), 3);
    let mut cursor = session.fetch(&all("Note"), vec![]).await.unwrap();
    let first = assert_error(cursor.next(100).await, ErrorKind::LimitExceeded, "`rows`: 3");
    assert_eq!(cursor.next(100).await.unwrap_err(), first);
    assert_eq!(cursor.columns().len(), 3);
    // The failed cursor holds no connection, though it is still there.
    world.assert_at_rest().await;
}

async fn s3_result_bytes_are_counted_over_a_call(world: &World) {
    let gate = limited(world, Limits { result_bytes: 60, ..Limits::default() });
    let session = gate.open("app").unwrap();
    // Three titles of one byte, each with an end of four.
    let titles = fields("Note", &["title"]);
    for _ in 0..4 {
        texts(&session, &titles).await;
    }
    assert_eq!(gate.usage().bytes, 60);
    let cursor = session.fetch(&titles, vec![]).await.unwrap();
    assert_error(drain(cursor).await, ErrorKind::LimitExceeded, "`result-bytes`: 60");
}

/// A number of eight bytes. PostgreSQL has it on its way. SQLite has it at hand if it came quickly,
/// which on a busy machine is not so each time.
async fn fetch_number(gate: &Gate, session: &Session) -> Result<Cursor, Error> {
    let before = gate.usage().bytes;
    for _ in 0..100 {
        let cursor = session.fetch(&count("Note"), vec![]).await?;
        if session.dialect() != Dialect::Sqlite || gate.usage().bytes > before {
            return Ok(cursor);
        }
    }
    panic!("it was not counted");
}

async fn s3_what_was_read_counts_before_anybody_asks_for_it(world: &World) {
    let gate = limited(world, Limits { result_bytes: 20, ..Limits::default() });
    let session = gate.open("app").unwrap();
    let mut cursors = Vec::new();
    for _ in 0..2 {
        cursors.push(fetch_number(&gate, &session).await.unwrap());
    }
    assert_eq!(gate.usage().bytes, if session.dialect() == Dialect::Sqlite { 16 } else { 0 });
    // They are not counted a second time.
    for cursor in cursors {
        drain(cursor).await.unwrap();
    }
    assert_eq!(gate.usage().bytes, 16);
    let third = match fetch_number(&gate, &session).await {
        Ok(_) if session.dialect() == Dialect::Sqlite => panic!("it was counted, and not refused"),
        Ok(cursor) => drain(cursor).await,
        Err(error) => Err(error),
    };
    assert_error(third, ErrorKind::LimitExceeded, "`result-bytes`: 20");
}

async fn s3_statements_are_counted_over_a_call(world: &World) {
    let gate = limited(world, Limits { statements: 3, ..Limits::default() });
    let one = gate.open("app").unwrap();
    rows(&one, &count("Note")).await;
    one.execute(&update_all("Note", "secret", "text"), vec!["s".into()]).await.unwrap();
    let transaction = gate.open("app").unwrap().begin(TransactionOptions::default()).await.unwrap();
    let fourth = one.fetch(&count("Note"), vec![]).await;
    assert_error(fourth, ErrorKind::LimitExceeded, "`statements`: 3");
    // The end of a transaction is never refused.
    transaction.commit().await.unwrap();
}

async fn s3_parameters_are_counted(world: &World) {
    let gate = limited(world, Limits { parameters: 1, ..Limits::default() });
    let values = vec!["d".into(), "s".into()];
    let insert = insert("Note", &["title", "secret"]);
    let outcome = gate.open("app").unwrap().execute(&insert, values).await;
    assert_error(outcome, ErrorKind::LimitExceeded, "`parameters`: 1");
}

async fn s3_sessions_are_counted_and_their_slots_freed(world: &World) {
    let gate = limited(world, Limits { sessions: 2, ..Limits::default() });
    let one = gate.open("app").unwrap();
    let transaction = one.begin(TransactionOptions::default()).await.unwrap();
    assert_error(gate.open("app"), ErrorKind::LimitExceeded, "`sessions`: 2");
    let savepoint = transaction.begin(TransactionOptions::default()).await;
    assert_error(savepoint, ErrorKind::LimitExceeded, "`sessions`: 2");
    // What was refused left nothing behind: the transaction works on.
    assert_eq!(rows(&transaction, &all("Note")).await.len(), 3);
    transaction.commit().await.unwrap();
    drop(gate.open("app").unwrap());
    gate.open("app").unwrap();
}

async fn s3_cursors_are_counted_and_their_slots_freed(world: &World) {
    let gate = limited(world, Limits { cursors: 2, ..Limits::default() });
    let session = gate.open("app").unwrap();
    let query = all("Note");
    let one = session.fetch(&query, vec![]).await.unwrap();
    let _two = session.fetch(&query, vec![]).await.unwrap();
    let three = session.fetch(&query, vec![]).await;
    assert_error(three, ErrorKind::LimitExceeded, "`cursors`: 2");
    drop(one);
    session.fetch(&query, vec![]).await.unwrap();
}

/// A statement that runs until it is stopped.
fn endless(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => "SELECT 1 AS n FROM pg_sleep(60)",
        Dialect::Sqlite => {
            "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) \
             DELETE FROM note WHERE id IN (SELECT n FROM t WHERE n < 0) RETURNING 1 AS n"
        }
    }
}

async fn p5_a_statement_past_its_time_is_stopped(world: &World) {
    let limits = Limits {
        statement_timeout: Duration::from_millis(150),
        acquire_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let session = raw(world, limits);
    let started = Instant::now();
    let outcome = match session.fetch_raw(endless(session.dialect()), vec![]).await {
        Ok(cursor) => drain(cursor).await,
        Err(error) => Err(error),
    };
    assert_error(outcome, ErrorKind::Timeout, "`statement-timeout` of 0.15 s");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_stopped(world).await;
}

async fn p5_a_recursion_without_an_end_is_stopped(world: &World) {
    let limits = Limits { statement_timeout: Duration::from_millis(150), ..Limits::default() };
    let session = limited(world, limits).open("app").unwrap();
    let started = Instant::now();
    let outcome = match session.fetch(&crate::queries::endless("Note"), vec![]).await {
        Ok(cursor) => drain(cursor).await,
        Err(error) => Err(error),
    };
    assert_error(outcome, ErrorKind::Timeout, "`statement-timeout` of 0.15 s");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_stopped(world).await;
}

/// Nothing runs at the database any more, on PostgreSQL, and nobody holds the lock of SQLite.
async fn assert_stopped(world: &World) {
    let database = world.databases.get(Some("app")).unwrap();
    let started = Instant::now();
    let sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
                   AND state = 'active' AND pid <> pg_backend_pid()";
    match database.dialect() {
        Dialect::Postgres => {
            let session = world.trusted();
            let running = || session.fetch_raw(sql, vec![]);
            while !drain(running().await.unwrap()).await.unwrap().is_empty() {
                assert!(started.elapsed() < Duration::from_secs(2), "it still runs");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Dialect::Sqlite => drop(database.execute_raw("DELETE FROM note", vec![]).await.unwrap()),
    }
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

async fn p5_reading_a_result_past_its_time_is_stopped(world: &World) {
    let sql = match world.trusted().dialect() {
        // Rows large enough for the server to send each at once.
        Dialect::Postgres => {
            "SELECT repeat('x', 9000), pg_sleep(0.02)::text FROM generate_series(1, 1000)"
        }
        Dialect::Sqlite => {
            "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) \
             SELECT n FROM t WHERE n % 100000 = 0"
        }
    };
    let limits = Limits { statement_timeout: Duration::from_millis(200), ..Limits::default() };
    let session = raw(world, limits);
    let cursor = session.fetch_raw(sql, vec![]).await.unwrap();
    assert_error(drain(cursor).await, ErrorKind::Timeout, "`statement-timeout`");
    assert_stopped(world).await;
}

async fn p1_a_transaction_past_its_time_is_rolled_back(world: &World) {
    let limits = Limits { transaction_timeout: Duration::from_millis(100), ..Limits::default() };
    let session = limited(world, limits).open("app").unwrap();
    let transaction = session.begin(TransactionOptions::default()).await.unwrap();
    let update = update_all("Note", "title", "text");
    assert_eq!(
        transaction.execute(&update_all("Note", "secret", "text"), vec!["s".into()]).await,
        Ok(3)
    );
    tokio::time::sleep(Duration::from_millis(120)).await;
    let late = transaction.execute(&update, vec!["t".into()]).await;
    assert_error(late, ErrorKind::Timeout, "`transaction-timeout` of 0.1 s");
    assert_error(transaction.commit().await, ErrorKind::Timeout, "`transaction-timeout`");
    let secrets = texts(&world.trusted(), &fields("Note", &["secret"])).await;
    assert!(!secrets.contains(&"s".to_owned()), "{secrets:?}");
}

/// Others write, though nobody has let go of anything, and nothing was kept.
async fn assert_free(world: &World) {
    let session = world.trusted();
    let update = update_all("Note", "secret", "text");
    let write = pin!(session.execute(&update, vec!["free".into()]));
    let written = tokio::time::timeout(Duration::from_secs(3), write).await;
    assert_eq!(written.expect("somebody keeps others from writing"), Ok(5));
    world.assert_at_rest().await;
}

async fn p1_what_is_past_its_time_ends_though_its_holder_does_nothing(world: &World) {
    let limits = Limits { transaction_timeout: Duration::from_millis(500), ..Limits::default() };
    let session = limited(world, limits).open("app").unwrap();
    let late = "`transaction-timeout` of 0.5 s";
    let (update, new) =
        (update_all("Note", "secret", "text"), insert("Note", &["title", "secret"]));
    let begin = async || {
        let transaction = session.begin(TransactionOptions::default()).await.unwrap();
        assert_eq!(transaction.execute(&new, vec!["d".into(), "s".into()]).await, Ok(1));
        assert_eq!(transaction.execute(&update, vec!["s".into()]).await, Ok(4));
        transaction
    };
    let read_one = async |cursor: &mut Cursor| {
        assert_eq!(cursor.next(1).await.unwrap().unwrap().rows, 1);
    };

    let transaction = begin().await;
    assert_free(world).await;
    assert_error(transaction.commit().await, ErrorKind::Timeout, late);

    // A savepoint, and a cursor that is not read to its end.
    let transaction = begin().await;
    let savepoint = transaction.begin(TransactionOptions::default()).await.unwrap();
    let mut rows = savepoint.fetch(&all("Note"), vec![]).await.unwrap();
    read_one(&mut rows).await;
    assert_free(world).await;
    assert_error(rows.next(1).await, ErrorKind::Timeout, late);
    assert_error(savepoint.commit().await, ErrorKind::Timeout, late);
    assert_eq!(transaction.rollback().await, Ok(()));

    // The transaction of a single statement, which may write any number of rows.
    let update = returning(update, "title");
    let mut rows = session.fetch(&update, vec!["s".into()]).await.unwrap();
    read_one(&mut rows).await;
    assert_free(world).await;
    assert_error(rows.next(1).await, ErrorKind::Timeout, late);
    let titles: Vec<_> = world.all_notes().await.into_iter().map(|(_, title)| title).collect();
    assert_eq!(titles, ["a", "b", "c", "x", "y"]);

    // A statement that has none, since its rows were counted before: SQLite keeps them.
    let batch = returning(insert_batch("Note", &["title", "secret"]), "title");
    let mut rows = session.write_returning(&batch, vec![], written::notes(3)).await.unwrap();
    read_one(&mut rows).await;
    let trusted = world.trusted();
    let immediate = TransactionOptions { immediate: true, ..TransactionOptions::default() };
    let other = tokio::time::timeout(Duration::from_secs(3), trusted.begin(immediate)).await;
    other.expect("somebody keeps others from writing").unwrap().rollback().await.unwrap();
    world.assert_at_rest().await;
    assert_error(rows.next(1).await, ErrorKind::Timeout, late);
}

async fn a_trusted_gate_has_no_limits(world: &World) {
    let gate = Gate::trusted(world.databases.clone(), world.models.clone());
    let session = gate.open("app").unwrap();
    let sessions: Vec<_> = (0..10).map(|_| gate.open("app").unwrap()).collect();
    for _ in 0..1_100 {
        session.execute(&update_all("Note", "secret", "text"), vec!["s".into()]).await.unwrap();
    }
    assert_eq!((sessions.len(), gate.usage().statements), (10, 1_100));
}

async fn a_call_knows_what_it_used(world: &World) {
    let gate = limited(world, Limits::default());
    assert_eq!(gate.usage(), ferro_session::Usage::default());
    let session = gate.open("app").unwrap();
    rows(&session, &fields("Note", &["id"])).await;
    session.execute(&update_all("Note", "secret", "text"), vec!["s".into()]).await.unwrap();
    let transaction = session.begin(TransactionOptions::default()).await.unwrap();
    let values: Vec<Value> = vec!["d".into(), "s".into()];
    transaction.execute(&insert("Note", &["title", "secret"]), values).await.unwrap();
    transaction.rollback().await.unwrap();
    let usage = gate.usage();
    assert_eq!((usage.statements, usage.rows_read, usage.rows_written), (4, 3, 4));
    assert_eq!(usage.bytes, 3 * 8);
}

/// One connection, so that whoever comes second waits.
fn narrow() -> ConnectOptions {
    let pool = PoolOptions { max_connections: 1, ..PoolOptions::default() };
    ConnectOptions { pool, ..ConnectOptions::default() }
}

async fn p4_a_call_that_waits_too_long_is_told_busy(world: &World) {
    let limits = Limits { acquire_timeout: Duration::from_millis(100), ..Limits::default() };
    let holder = world.tenant(2).begin(TransactionOptions::default()).await.unwrap();
    let session = limited(world, limits).open("app").unwrap();
    let started = Instant::now();
    let begin = session.begin(TransactionOptions::default()).await;
    let error = assert_error(begin, ErrorKind::Busy, "`acquire-timeout` of 0.1 s");
    assert!(error.retryable && started.elapsed() < Duration::from_secs(1));
    holder.rollback().await.unwrap();
    session.begin(TransactionOptions::default()).await.unwrap().rollback().await.unwrap();
}

#[tokio::test]
async fn p4_a_call_that_waits_too_long_for_sqlite_is_told_busy() {
    let world = World::sqlite_with(&narrow()).await;
    p4_a_call_that_waits_too_long_is_told_busy(&world).await;
    world.assert_at_rest().await;
}

#[tokio::test]
async fn p4_a_call_that_waits_too_long_for_postgres_is_told_busy() {
    let world = World::postgres_with(&narrow()).await;
    p4_a_call_that_waits_too_long_is_told_busy(&world).await;
    world.assert_at_rest().await;
}

/// How many rows have a title.
async fn titled(world: &World, title: &str) -> usize {
    world.all_notes().await.into_iter().filter(|(_, it)| it == title).count()
}

async fn s3_rows_written_over_the_limit_are_undone(world: &World) {
    let limits = || Limits { rows_written: 2, ..Limits::default() };
    let update = update_all("Note", "secret", "text");
    let secrets = async || {
        let secrets = texts(&world.trusted(), &fields("Note", &["secret"])).await;
        secrets.into_iter().filter(|it| it == "s").count()
    };

    // Three rows in one statement, whatever it runs in and whether it gives them back.
    let session = limited(world, limits()).open("app").unwrap();
    let outcome = session.execute(&update, vec!["s".into()]).await;
    assert_error(outcome, ErrorKind::LimitExceeded, "`rows-written`: 2");
    assert_eq!(secrets().await, 0);

    let session = limited(world, limits()).open("app").unwrap();
    let give_back = returning(update.clone(), "id");
    let rows = session.fetch(&give_back, vec!["s".into()]).await.unwrap();
    assert_error(drain(rows).await, ErrorKind::LimitExceeded, "`rows-written`: 2");
    world.assert_at_rest().await;
    assert_eq!(secrets().await, 0);

    let text = "UPDATE note SET secret = 's' RETURNING id";
    let rows = raw(world, limits()).fetch_raw(text, vec![]).await.unwrap();
    assert_error(drain(rows).await, ErrorKind::LimitExceeded, "`rows-written`: 2");
    world.assert_at_rest().await;
    assert_eq!(secrets().await, 0);

    let session = limited(world, limits()).open("app").unwrap();
    let transaction = session.begin(TransactionOptions::default()).await.unwrap();
    let outcome = transaction.execute(&update, vec!["s".into()]).await;
    assert_error(outcome, ErrorKind::LimitExceeded, "`rows-written`: 2");
    assert_error(transaction.commit().await, ErrorKind::LimitExceeded, "`rows-written`");
    world.assert_at_rest().await;
    assert_eq!(secrets().await, 0);

    // One by one, until it is enough.
    let gate = limited(world, limits());
    let session = gate.open("app").unwrap();
    let insert = insert("Note", &["title", "secret"]);
    for title in ["new", "newer"] {
        session.execute(&insert, vec![title.into(), "x".into()]).await.unwrap();
    }
    let third = session.execute(&insert, vec!["newest".into(), "x".into()]).await;
    assert_error(third, ErrorKind::LimitExceeded, "`rows-written`: 2");
    assert_eq!((titled(world, "newer").await, titled(world, "newest").await), (1, 0));
    assert_eq!(gate.usage().rows_written, 2);
}

async fn a_write_that_returns_rows_is_kept_with_its_last_row(world: &World) {
    let give_back = returning(update_all("Note", "secret", "text"), "id");
    let secrets = async || {
        let secrets = texts(&world.trusted(), &fields("Note", &["secret"])).await;
        secrets.into_iter().filter(|it| it == "s").count()
    };
    let session = world.tenant(1);
    let mut rows = session.fetch(&give_back, vec!["s".into()]).await.unwrap();
    assert_eq!(rows.next(2).await.unwrap().map(|it| it.rows), Some(2));
    drop(rows);
    world.assert_at_rest().await;
    assert_eq!(secrets().await, 0);
    let rows = session.fetch(&give_back, vec!["s".into()]).await.unwrap();
    assert_eq!(drain(rows).await.unwrap().len(), 3);
    assert_eq!(secrets().await, 3);
}

/// No deadline ends a step of SQLite.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p4_what_a_tenant_left_running_keeps_its_own_threads_only() {
    let world = World::sqlite().await;
    let limits = Limits {
        connections: Some(1),
        acquire_timeout: Duration::from_millis(100),
        statement_timeout: Duration::from_secs(1),
        ..Limits::default()
    };
    let tenants = Tenants::default();
    let grant = Grant::read_only().table("note", notes(1)).with_unfenced_raw_sql();
    let acme = Arc::new(tenant(1).limits(limits).grant("app", grant));
    let find = async |text: &str, pattern: &str| {
        let admission = tenants.admit(&acme).await.unwrap();
        let (databases, models) = (world.databases.clone(), world.models.clone());
        let gate = Gate::admitted(databases, models, acme.clone(), admission);
        let sql = format!("SELECT {text} LIKE '%{pattern}b' AS found");
        let session = gate.open("app").unwrap();
        drain(session.fetch_raw(&sql, vec![]).await?).await
    };
    let long = vec![Value::from(1), "a".repeat(30_000_000).into(), "s".into()];
    let insert = insert("Note", &["tenant_id", "title", "secret"]);
    world.trusted().execute(&insert, long).await.unwrap();
    let timeout = find("(SELECT title FROM note ORDER BY id DESC LIMIT 1)", &"a".repeat(240)).await;
    assert_error(timeout, ErrorKind::Timeout, "`statement-timeout`");
    // The connection is free, but no thread is, whichever call of the tenant asks.
    assert_error(find("'ab'", "a").await, ErrorKind::Timeout, "`statement-timeout`");
    world.tenant(2).begin(TransactionOptions::default()).await.unwrap().commit().await.unwrap();
    let started = Instant::now();
    while find("'ab'", "a").await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(60));
    }
}

async fn p4_a_tenant_holds_half_of_a_pool_at_most(world: &World) {
    let limits = || Limits { acquire_timeout: Duration::from_millis(50), ..Limits::default() };
    let tenants = Tenants::default();
    let acme = Arc::new(tenant(1).limits(limits()));
    let open = async || {
        let admission = tenants.admit(&acme).await.unwrap();
        let (databases, models) = (world.databases.clone(), world.models.clone());
        Gate::admitted(databases, models, acme.clone(), admission).open("app").unwrap()
    };
    let half = world.databases.get(Some("app")).unwrap().stats().max.div_ceil(2);
    let query = all("Note");
    let mut cursors = Vec::new();
    let greedy = open().await;
    for _ in 0..half {
        cursors.push(greedy.fetch(&query, vec![]).await.unwrap());
    }
    // The call itself would wait for itself; another call of the tenant waits in vain.
    let started = Instant::now();
    let more = greedy.fetch(&query, vec![]).await;
    assert_error(more, ErrorKind::Busy, "`connections`: this call holds");
    assert!(started.elapsed() < Duration::from_millis(50), "{:?}", started.elapsed());
    let other = open().await;
    let begin = other.begin(TransactionOptions::default()).await;
    assert_error(begin, ErrorKind::Busy, "`acquire-timeout`");
    // Other tenants have the rest.
    world.tenant(2).begin(TransactionOptions::default()).await.unwrap().commit().await.unwrap();

    // What is read to its end counts no more, though it is still there.
    let mut last = cursors.pop().unwrap();
    while last.next(10).await.unwrap().is_some() {}
    other.begin(TransactionOptions::default()).await.unwrap().rollback().await.unwrap();
    drop((last, cursors));
    rows(&greedy, &query).await;

    // To wait would not help.
    let none = world.gate(tenant(1).limits(Limits { connections: Some(0), ..limits() }));
    let refused = none.open("app").unwrap().fetch(&query, vec![]).await;
    assert_error(refused, ErrorKind::LimitExceeded, "`connections`: none may be used");
}

async fn p4_tenants_that_hold_all_they_get_leave_a_connection_to_who_has_none(world: &World) {
    let tenants = Tenants::default();
    let open = async |name: &str| {
        // Time enough to open a connection.
        let limits = Limits { acquire_timeout: Duration::from_secs(1), ..Limits::default() };
        let tenant = Arc::new(Tenant { name: name.to_owned(), ..tenant(1).limits(limits) });
        let admission = tenants.admit(&tenant).await.unwrap();
        let (databases, models) = (world.databases.clone(), world.models.clone());
        Gate::admitted(databases, models, tenant, admission).open("app").unwrap()
    };
    let begin = async |name: &str| {
        let session = open(name).await;
        session.begin(TransactionOptions::default()).await.map(|it| (session, it))
    };
    let connections = world.databases.get(Some("app")).unwrap().stats().max;
    let mut hoard = Vec::new();
    for greedy in 0..connections.ilog2() {
        while let Ok(held) = begin(&format!("greedy-{greedy}")).await {
            hoard.push(held);
        }
    }
    // Together they hold more than half of it, and whoever has none finds a connection at once.
    assert!(hoard.len() > connections.div_ceil(2) as usize, "{}", hoard.len());
    let last = begin("modest").await.unwrap();
    assert_error(begin("modest").await, ErrorKind::Busy, "`acquire-timeout`");
    drop((last, hoard));
    begin("modest").await.unwrap();
}

#[tokio::test]
async fn p5_postgres_is_told_how_long_a_transaction_may_take() {
    let world = World::postgres().await;
    let sql = "SELECT current_setting('statement_timeout'), \
               current_setting('idle_in_transaction_session_timeout')";
    let told = async |session: &Session| {
        drain(session.fetch_raw(sql, vec![]).await.unwrap()).await.unwrap().remove(0)
    };
    let limits = Limits {
        deadline: Duration::from_secs(4),
        transaction_timeout: Duration::from_millis(1_500),
        ..Limits::default()
    };
    let session = raw(&world, limits);
    let transaction = session.begin(TransactionOptions::default()).await.unwrap();
    assert_eq!(told(&transaction).await, ["4s".into(), "1500ms".into()]);
    transaction.rollback().await.unwrap();
    // So are texts that run for themselves.
    assert_eq!(told(&session).await, ["4s".into(), "1500ms".into()]);
    // It ends with the transaction, and an application's own is as its URL says.
    assert_eq!(told(&world.trusted()).await, ["0".into(), "0".into()]);

    // What the operator's grant says goes first.
    let grant = Grant::read_write().with_unfenced_raw_sql().setting("statement_timeout", "7s");
    let session = world.gate(tenant(1).grant("app", grant)).open("app").unwrap();
    let transaction = session.begin(TransactionOptions::default()).await.unwrap();
    assert_eq!(told(&transaction).await, ["7s".into(), "10s".into()]);
    transaction.rollback().await.unwrap();
    world.assert_at_rest().await;
}
