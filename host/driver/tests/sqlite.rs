//! What runs on SQLite's own handle: nobody else waits for it, and writers take turns.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod rows;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ferro_driver::{Database, Fence, RawSql};
use ferro_wit::plan::{Binding, Effect};
use ferro_wit::types::{ErrorKind, ScalarType, TransactionOptions, Value};
use parking_lot::Mutex;
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use support::{no_options, one, options, run};

/// A file, and a pool of four connections to it.
async fn file(busy_timeout: Duration) -> (Database, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}?mode=rwc", folder.path().join("app.db").display());
    let options = options(|it| {
        it.pool.max_connections = 4;
        it.sqlite.busy_timeout = busy_timeout;
    });
    (Database::connect(&url, &options).await.unwrap(), folder)
}

/// As many rows as asked for.
fn numbers(count: u64) -> String {
    format!(
        "WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c LIMIT {count}) \
         SELECT n FROM c"
    )
}

/// How often another task of the only thread gets its turn meanwhile.
async fn turns_of_others(work: impl Future) -> u32 {
    let turns = Arc::new(AtomicU32::new(0));
    let other = tokio::spawn({
        let turns = Arc::clone(&turns);
        async move {
            loop {
                sleep(Duration::from_millis(1)).await;
                turns.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    work.await;
    other.abort();
    turns.load(Ordering::Relaxed)
}

/// How long another task of the only thread waits for its turn, as a part of the time that it takes.
/// What is tried on that thread and then done elsewhere lets others have turns in the end.
async fn longest_wait_of_others(work: impl Future) -> f64 {
    let longest = Arc::new(Mutex::new(Duration::ZERO));
    let other = tokio::spawn({
        let longest = Arc::clone(&longest);
        async move {
            loop {
                let start = Instant::now();
                sleep(Duration::from_millis(1)).await;
                let mut longest = longest.lock();
                *longest = start.elapsed().max(*longest);
            }
        }
    });
    tokio::task::yield_now().await;
    let start = Instant::now();
    work.await;
    let time = start.elapsed();
    sleep(Duration::from_millis(2)).await;
    other.abort();
    longest.lock().as_secs_f64() / time.as_secs_f64()
}

#[tokio::test]
async fn p7_no_statement_keeps_the_thread_of_its_caller() {
    let (database, folder) = file(Duration::from_secs(10)).await;
    run(&database, &["CREATE TABLE t (n INTEGER)"]).await;
    let slow_count = format!("SELECT count(*) FROM ({})", numbers(3_000_000));
    let slow_insert = format!("INSERT INTO t {}", numbers(1_000_000));

    assert!(turns_of_others(one(&database, &slow_count)).await > 10);
    assert!(turns_of_others(run(&database, &[&slow_insert])).await > 10);
    assert!(turns_of_a_list(&database).await > 10);
    let rows = turns_of_others(async {
        let mut cursor = database.fetch_raw("SELECT n FROM t", vec![]).await.unwrap();
        let mut rows = 0;
        while let Some(batch) = cursor.next(u32::MAX).await.unwrap() {
            rows += batch.rows;
        }
        assert_eq!(rows, 1_300_005);
    });
    assert!(rows.await > 10);

    // Another process has the lock.
    let path = folder.path().join("app.db");
    let other = support::connect(&format!("sqlite:{}", path.display())).await;
    let immediate = TransactionOptions { immediate: true, ..no_options() };
    let transaction = other.begin(immediate).await.unwrap();
    let waiting = turns_of_others(async {
        tokio::join!(run(&database, &["DELETE FROM t WHERE n < 0"]), async {
            sleep(Duration::from_millis(300)).await;
            transaction.commit().await.unwrap();
        })
    });
    assert!(waiting.await > 50);
}

#[tokio::test]
async fn p7_no_end_of_a_large_transaction_keeps_the_thread_of_its_caller() {
    let (database, _folder) = file(Duration::from_secs(10)).await;
    run(&database, &["CREATE TABLE t (n INTEGER, b BLOB)"]).await;
    let many = numbers(100_000);
    for _ in 0..2 {
        // A small one before tells nothing of a large one.
        let small = database.begin(no_options()).await.unwrap();
        small.execute_raw("INSERT INTO t VALUES (1, x'00')", vec![]).await.unwrap();
        small.commit().await.unwrap();
    }
    let large = database.begin(no_options()).await.unwrap();
    let insert = format!("INSERT INTO t SELECT n, randomblob(1000) FROM ({many})");
    large.execute_raw(&insert, vec![]).await.unwrap();
    let start = Instant::now();
    let turns = turns_of_others(async { large.commit().await.unwrap() }).await;
    // Where it keeps the thread, others have none at all.
    assert!(turns > 0 || start.elapsed() < Duration::from_millis(20), "{:?}", start.elapsed());
}

#[tokio::test]
async fn p7_no_write_that_is_dropped_half_read_keeps_the_thread_of_who_drops_it() {
    let (database, _folder) = file(Duration::from_secs(10)).await;
    run(&database, &["CREATE TABLE t (n INTEGER, b BLOB)"]).await;
    let insert =
        format!("INSERT INTO t SELECT n, randomblob(1000) FROM ({}) RETURNING n", numbers(200_000));
    for is_reading in [false, true] {
        let mut cursor = database.fetch_raw(&insert, vec![]).await.unwrap();
        assert_eq!(cursor.next(1).await.unwrap().unwrap().rows, 1);
        if is_reading {
            // A thread has it, and gives it back to nobody.
            assert!(timeout(Duration::ZERO, cursor.next(100_000)).await.is_err());
        }
        let wait = longest_wait_of_others(async {
            drop(cursor);
            // The next one to write waits for what was written to be in the file.
            run(&database, &["DELETE FROM t WHERE n < 0"]).await;
        });
        let wait = wait.await;
        assert!(wait < 0.5, "{is_reading}: {wait}");
    }
    let rows = one(&database, "SELECT count(*) FROM t").await;
    assert_eq!(rows, Value::Integer(400_000), "what was written stays");
}

#[tokio::test]
async fn p7_no_pattern_of_a_stranger_keeps_the_thread_of_its_caller() {
    let (database, _folder) = file(Duration::from_secs(10)).await;
    run(&database, &["CREATE TABLE t (n INTEGER, b TEXT)"]).await;
    let stranger = database.fenced(Fence::default()).unwrap();
    let find_by = |condition: &str, length| {
        let binds = vec![rows::bind(Binding::Parameter(0), ScalarType::Text)];
        let sql = &format!("SELECT n FROM t WHERE {condition}");
        let plan =
            rows::plan(Effect::Read, sql, binds, vec![rows::column("n", ScalarType::Integer)]);
        let pattern = format!("%{}b", "a".repeat(length));
        rows::execution(plan, vec![Value::Text(pattern)])
    };
    let find = |length| find_by("b LIKE ?1", length);
    assert_eq!(rows::rows(stranger.fetch(find(10)).await.unwrap()).await.len(), 0);
    // Nor do many of them, on a text that is not long.
    run(&database, &["INSERT INTO t VALUES (1, replace(hex(zeroblob(8000)), '0', 'a'))"]).await;
    let many = vec!["(b LIKE ?1)"; 200].join(" + ");
    let wait = longest_wait_of_others(async {
        assert_eq!(rows::rows(stranger.fetch(find_by(&many, 200)).await.unwrap()).await.len(), 0);
    });
    assert!(wait.await < 0.25);
    let fill = "INSERT INTO t VALUES (1, replace(hex(zeroblob(2000000)), '0', 'a'))";
    run(&database, &[fill]).await;
    let turns = turns_of_others(async {
        assert_eq!(rows::rows(stranger.fetch(find(200)).await.unwrap()).await.len(), 0);
    });
    assert!(turns.await > 0);
    let error = stranger.fetch(find(300)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::LimitExceeded, "{error}");
}

#[tokio::test]
async fn p7_no_row_of_a_stranger_keeps_the_thread_of_its_caller() {
    let (database, _folder) = file(Duration::from_secs(10)).await;
    run(&database, &["CREATE TABLE t (b TEXT)", "INSERT INTO t VALUES ('a')"]).await;
    let stranger = database.fenced(Fence::default()).unwrap();
    let sum = async |count| {
        let sql = format!("SELECT {} FROM t", vec!["length(upper(b))"; count].join(" + "));
        let columns = vec![rows::column("n", ScalarType::Integer)];
        let plan = rows::plan(Effect::Read, &sql, vec![], columns);
        rows::rows(stranger.fetch(rows::execution(plan, vec![])).await.unwrap()).await
    };
    // Short rows tell nothing of long ones.
    assert_eq!(sum(200).await, [[Value::Integer(200)]]);
    run(&database, &["UPDATE t SET b = replace(hex(zeroblob(500000)), '0', 'a')"]).await;
    let sum = async { assert_eq!(sum(200).await, [[Value::Integer(200_000_000)]]) };
    assert!(longest_wait_of_others(sum).await < 0.25);
}

/// Tables that read each the one before twice. SQLite unfolds them before it finds them to be too
/// many.
fn unfolding(count: u32) -> String {
    let table = |it| format!("x{it} AS (SELECT a.n FROM x{0} AS a, x{0} AS b)", it - 1);
    let tables: Vec<_> = (1..=count).map(table).collect();
    format!("WITH x0 AS (SELECT 1 AS n), {} SELECT n FROM x{count}", tables.join(", "))
}

#[tokio::test]
async fn p5_a_statement_of_a_stranger_ends_before_and_within_its_first_row() {
    let (database, _folder) = file(Duration::from_secs(10)).await;
    let text = Fence { raw_sql: RawSql::Fenced, ..Fence::default() };
    let stranger = database.fenced(text).unwrap();
    let long = "WITH t(b) AS MATERIALIZED (SELECT hex(zeroblob(5000000)))";
    let within = format!("{long} SELECT {} FROM t", vec!["length(hex(b))"; 900].join(" + "));
    for sql in [unfolding(17), within] {
        let given_up = timeout(Duration::from_millis(300), stranger.fetch_raw(&sql, vec![])).await;
        assert!(given_up.is_err(), "{given_up:?}");
        support::eventually("its end", || database.stats().size == 0).await;
    }
}

#[tokio::test]
async fn p5_a_pattern_of_a_stranger_ends_within_a_call_and_between_calls() {
    let (database, _folder) = file(Duration::from_secs(10)).await;
    let text = Fence { raw_sql: RawSql::Fenced, ..Fence::default() };
    let stranger = database.fenced(text).unwrap();
    let pattern = format!("'%{}b'", "a".repeat(200));
    let once = format!("SELECT replace(hex(zeroblob(8000000)), '0', 'a') LIKE {pattern}");
    // Constants, which take no memory.
    let calls = vec!["(t LIKE p)"; 400].join(" + ");
    let texts = format!("SELECT '{}' AS t, {pattern} AS p", "a".repeat(200_000));
    let in_a_row = format!("SELECT {calls} FROM ({texts})");
    for sql in [&once, &once.replace("LIKE", "GLOB").replace('%', "*"), &in_a_row] {
        let given_up = timeout(Duration::from_millis(300), stranger.fetch_raw(sql, vec![])).await;
        assert!(given_up.is_err(), "{given_up:?}");
        support::eventually("its end", || database.stats().size == 0).await;
    }
}

#[tokio::test]
async fn patterns_of_a_stranger_match_what_those_of_sqlite_match() {
    let (database, _folder) = file(Duration::from_secs(10)).await;
    let text = Fence { raw_sql: RawSql::Fenced, ..Fence::default() };
    let stranger = database.fenced(text).unwrap();
    let sqlite = rusqlite::Connection::open_in_memory().unwrap();
    sqlite.execute_batch("PRAGMA case_sensitive_like = ON").unwrap();
    let texts = [
        "NULL",
        "''",
        "'a'",
        "'A'",
        "'ab'",
        "'aab'",
        "'a%b'",
        "'a_b'",
        "'äöü'",
        "'a\\b'",
        "']'",
        "'-'",
        "'b-c'",
        "'^'",
        "'aXbXc'",
        "'😀é'",
        "12",
        "1.5",
        "x'61'",
        "x'610062'",
    ];
    let patterns = [
        "NULL",
        "''",
        "'a'",
        "'%'",
        "'_'",
        "'%_'",
        "'a%'",
        "'%b'",
        "'%a%b%'",
        "'a\\%b'",
        "'a\\_b'",
        "'\\'",
        "'a\\'",
        "'__'",
        "'ä%'",
        "'_ö_'",
        "'%é'",
        "'1%'",
        "'*'",
        "'?'",
        "'a*'",
        "'*b'",
        "'a?b'",
        "'[a-c]*'",
        "'[^a-c]*'",
        "'[]]'",
        "'[^]]'",
        "'[-a]'",
        "'[a-]'",
        "'[a'",
        "'[ä-ü]*'",
        "'[^^]'",
        "'a[*]b'",
        "'*X*c'",
        "'%X%c'",
        "'%%'",
        "'**?'",
    ];
    let mut calls = Vec::new();
    for text in texts {
        for pattern in patterns {
            calls.push(format!("{text} LIKE {pattern}"));
            calls.push(format!("{text} LIKE {pattern} ESCAPE '\\'"));
            calls.push(format!("{text} LIKE {pattern} ESCAPE '%'"));
            calls.push(format!("{text} GLOB {pattern}"));
        }
    }
    let list = |call: &String| format!("coalesce({call}, 'null')");
    for calls in calls.chunks(50) {
        let sql = calls.iter().map(list).collect::<Vec<_>>().join(" || ',' || ");
        let sql = format!("SELECT {sql} AS x");
        let expected: String = sqlite.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(one(&stranger, &sql).await, Value::Text(expected), "{calls:?}");
    }
    for sql in ["SELECT 'a' LIKE 'a' ESCAPE 'bc'", "SELECT 'a' LIKE 'a' ESCAPE ''"] {
        let error = stranger.fetch_raw(sql, vec![]).await.unwrap_err();
        assert!(error.message.contains("ESCAPE expression"), "{error}");
    }
    let long = format!("SELECT 'a' LIKE '{}'", "a".repeat(300));
    let error = stranger.fetch_raw(&long, vec![]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::LimitExceeded, "{error}");
}

#[tokio::test]
async fn p7_no_text_of_a_stranger_keeps_the_thread_of_its_caller_before_it_runs() {
    let (database, _folder) = file(Duration::from_secs(10)).await;
    let text = Fence { raw_sql: RawSql::Fenced, ..Fence::default() };
    let stranger = database.fenced(text).unwrap();
    let sql = unfolding(13);
    let turns = turns_of_others(async {
        let error = stranger.fetch_raw(&sql, vec![]).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::LimitExceeded, "{error}");
    });
    assert!(turns.await > 10);
}

#[tokio::test]
async fn p5_no_function_holds_each_place_of_a_text_against_all_of_another() {
    let database = support::connect("sqlite::memory:").await;
    let text = "replace(hex(zeroblob(2000000)), '0', 'a')";
    let part = "replace(hex(zeroblob(1000000)), '0', 'a') || 'b'";
    for sql in [
        format!("SELECT instr({text}, {part})"),
        format!("SELECT length(replace({text}, {part}, '')) = 4000000"),
        format!("SELECT length(trim({text}, {part}))"),
        format!("SELECT unhex(replace({text}, 'a', '€'), {part} || '€') = x''"),
    ] {
        // With SQLite's own functions each of them takes an hour.
        let found = timeout(Duration::from_secs(60), one(&database, &sql)).await;
        assert!(matches!(found, Ok(Value::Integer(0 | 1))), "{sql}: {found:?}");
    }
}

#[tokio::test]
async fn a_text_is_as_long_as_its_characters_are_many_behind_a_nul_too() {
    let database = support::connect("sqlite::memory:").await;
    for (text, expected) in [("a\0bc", 4), ("\0", 1), ("ä\0€", 3)] {
        let mut cursor = database.fetch_raw("SELECT length(?)", vec![text.into()]).await.unwrap();
        let batch = cursor.next(1).await.unwrap().unwrap();
        assert_eq!(batch.columns[0].get(0), Some(Value::Integer(expected)), "{text:?}");
    }
}

#[tokio::test]
async fn functions_in_the_place_of_sqlites_own_give_the_same_answers() {
    // First, since SQLite is told before its first use whom to ask for memory.
    let ours = support::connect("sqlite::memory:").await;
    let database = rusqlite::Connection::open_in_memory().unwrap();
    let values = [
        "NULL",
        "''",
        "'a'",
        "'aa'",
        "'aba'",
        "'ä'",
        "'aäa€a'",
        "'6a 4B'",
        "'€ä'",
        "' a '",
        "x''",
        "x'61'",
        "x'6100'",
        "12",
        "1.5",
        "-0.0",
        "'12'",
        "'é😀é'",
        "'😀'",
    ];
    let mut calls = Vec::new();
    for one in values {
        for other in values {
            for name in ["instr", "trim", "ltrim", "rtrim", "unhex"] {
                calls.push(format!("{name}({one}, {other})"));
            }
            for third in ["NULL", "''", "'xy'", "x'62'", "7"] {
                calls.push(format!("replace({one}, {other}, {third})"));
            }
        }
    }
    calls.extend(values.map(|it| format!("length({it})")));
    let list = |call: &String| format!("typeof({call}) || ':' || hex({call})");
    for calls in calls.chunks(50) {
        let sql = calls.iter().map(list).collect::<Vec<_>>().join(" || ';' || ");
        let sql = format!("SELECT {sql} AS x");
        let expected: String = database.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(one(&ours, &sql).await, Value::Text(expected), "{calls:?}");
    }
}

#[tokio::test]
async fn p7_a_cursor_that_is_dropped_while_it_reads_leaves_the_turn_with_its_transaction() {
    let (database, _folder) = file(Duration::from_secs(10)).await;
    run(&database, &["CREATE TABLE t (n INTEGER)"]).await;
    let transaction = database.begin(no_options()).await.unwrap();
    transaction.execute_raw("INSERT INTO t VALUES (1)", vec![]).await.unwrap();
    let last = format!("SELECT n FROM ({}) WHERE n = 1 OR n > 2999999", numbers(3_000_000));
    let mut cursor = transaction.fetch_raw(&last, vec![]).await.unwrap();
    assert_eq!(cursor.next(1).await.unwrap().unwrap().rows, 1);
    assert!(timeout(Duration::from_millis(50), cursor.next(1)).await.is_err());
    drop(cursor);
    let other = tokio::spawn({
        let database = database.clone();
        async move { database.execute_raw("INSERT INTO t VALUES (2)", vec![]).await }
    });
    sleep(Duration::from_millis(50)).await;
    let start = Instant::now();
    transaction.execute_raw("INSERT INTO t VALUES (3)", vec![]).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    transaction.commit().await.unwrap();
    assert_eq!(other.await.unwrap(), Ok(1));
}

#[tokio::test]
async fn p7_no_write_with_many_values_keeps_the_thread_of_its_caller() {
    // No disk that makes few values take long, too.
    let database = support::connect("sqlite::memory:").await;
    run(&database, &["CREATE TABLE t (n INTEGER)"]).await;
    assert!(turns_of_a_list(&database).await > 10);
}

/// The turns of others while a list is inserted whose statement was short before.
async fn turns_of_a_list(database: &Database) -> u32 {
    let insert = "INSERT INTO t SELECT value FROM json_each(?)";
    let insert_json =
        async |list: &str| database.execute_raw(insert, vec![Value::Text(list.into())]).await;
    for _ in 0..5 {
        insert_json("[1]").await.unwrap();
    }
    let many: Vec<_> = (0..300_000).map(|it| it.to_string()).collect();
    let many = format!("[{}]", many.join(","));
    turns_of_others(async { insert_json(&many).await.unwrap() }).await
}

#[tokio::test]
async fn p7_a_statement_that_was_started_again_gives_each_row_once() {
    let (database, _folder) = file(Duration::from_secs(5)).await;
    // Each row takes longer than the one before, so that the caller's time ends within one.
    let sql = "SELECT n, (SELECT count(*) FROM (WITH RECURSIVE d(m) AS (VALUES (1) UNION ALL \
               SELECT m + 1 FROM d WHERE m < n * n * 20) SELECT m FROM d)) FROM \
               (WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c LIMIT 60) \
               SELECT n FROM c)";
    for size in [1, 7, 64, 1000] {
        let mut cursor = database.fetch_raw(sql, vec![]).await.unwrap();
        let mut found = Vec::new();
        while let Some(batch) = cursor.next(size).await.unwrap() {
            for row in 0..batch.rows as usize {
                found
                    .push((batch.columns[0].get(row).unwrap(), batch.columns[1].get(row).unwrap()));
            }
        }
        let expected: Vec<_> =
            (1..=60).map(|n| (Value::Integer(n), Value::Integer(n * n * 20))).collect();
        assert_eq!(found, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p7_writers_take_turns_in_the_order_in_which_they_came() {
    let (database, _folder) = file(Duration::from_secs(20)).await;
    run(&database, &["CREATE TABLE t (n INTEGER)"]).await;
    let first = database.begin(TransactionOptions { immediate: true, ..no_options() });
    let first = first.await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut writers = Vec::new();
    for n in 0..3_i64 {
        let (database, order) = (database.clone(), Arc::clone(&order));
        writers.push(tokio::spawn(async move {
            let insert = "INSERT INTO t VALUES (?)";
            database.execute_raw(insert, vec![Value::Integer(n)]).await.unwrap();
            order.lock().push(n);
        }));
        sleep(Duration::from_millis(100)).await;
    }
    assert!(order.lock().is_empty());
    // Readers do not stand in line.
    drop(first);
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(*order.lock(), [0, 1, 2]);
    let sql = "SELECT group_concat(n) FROM (SELECT n FROM t ORDER BY rowid)";
    assert_eq!(one(&database, sql).await, Value::Text("0,1,2".into()));
}

#[tokio::test]
async fn p7_a_writer_who_waits_too_long_is_busy_and_one_who_stops_waiting_is_forgotten() {
    let (database, _folder) = file(Duration::from_millis(200)).await;
    run(&database, &["CREATE TABLE t (n INTEGER)"]).await;
    let immediate = TransactionOptions { immediate: true, ..no_options() };
    let first = database.begin(immediate).await.unwrap();
    let error = database.execute_raw("DELETE FROM t", vec![]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Busy, "{error}");
    let waiting = database.execute_raw("DELETE FROM t", vec![]);
    assert!(tokio::time::timeout(Duration::from_millis(50), waiting).await.is_err());
    first.commit().await.unwrap();
    run(&database, &["DELETE FROM t"]).await;
    assert_eq!(database.stats().acquired, 0);
}

#[tokio::test]
async fn p7_transactions_that_read_and_then_write_do_not_wait_for_each_other() {
    let (file, _folder) = file(Duration::from_secs(20)).await;
    for database in [support::connect("sqlite::memory:").await, file] {
        run(&database, &["CREATE TABLE t (n INTEGER)", "INSERT INTO t VALUES (0)"]).await;
        let start = Instant::now();
        let transactions = [(); 3].map(|()| database.begin(no_options()));
        let transactions = futures_util::future::join_all(transactions).await;
        let writing = transactions.into_iter().map(async |transaction| {
            let transaction = transaction?;
            let mut rows = transaction.fetch_raw("SELECT n FROM t", vec![]).await?;
            while rows.next(10).await?.is_some() {}
            drop(rows);
            sleep(Duration::from_millis(50)).await;
            transaction.execute_raw("UPDATE t SET n = n + 1", vec![]).await?;
            transaction.commit().await
        });
        let ended = futures_util::future::join_all(writing).await;
        let kept = ended.iter().filter(|it| it.is_ok()).count();
        assert_eq!(kept, 1, "{ended:?}");
        assert!(ended.iter().flat_map(|it| it.as_ref().err()).all(|it| it.retryable), "{ended:?}");
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        assert_eq!(one(&database, "SELECT n FROM t").await, Value::Integer(1));
    }
}

#[tokio::test]
async fn a_statement_that_is_kept_learns_of_another_schema() {
    let (database, _folder) = file(Duration::from_secs(5)).await;
    run(&database, &["CREATE TABLE t (a INTEGER)", "INSERT INTO t VALUES (1)"]).await;
    for columns in [1, 2, 3] {
        let mut cursor = database.fetch_raw("SELECT * FROM t", vec![]).await.unwrap();
        assert_eq!(cursor.columns().len(), columns);
        assert_eq!(cursor.next(10).await.unwrap().unwrap().columns.len(), columns);
        run(&database, &[&format!("ALTER TABLE t ADD COLUMN b{columns} TEXT")]).await;
    }
}

#[tokio::test]
async fn rows_have_the_columns_that_were_told_though_the_schema_is_changed_meanwhile() {
    for change in ["DROP COLUMN b", "ADD COLUMN c", "RENAME COLUMN b TO c"] {
        let (database, _folder) = file(Duration::from_secs(5)).await;
        // The first has no type, so that rows are looked at for it.
        run(&database, &["CREATE TABLE t (a, b INTEGER)"]).await;
        let insert = format!("INSERT INTO t SELECT n, n FROM ({})", numbers(300_000));
        run(&database, &[&insert]).await;
        // It is started again for its last row, which is long in coming.
        let sql = "SELECT * FROM t WHERE b % 299999 = 1";
        let sql = if change.starts_with("ADD") { sql } else { &sql.replace('b', "a") };
        let mut cursor = database.fetch_raw(sql, vec![]).await.unwrap();
        assert_eq!(cursor.columns().len(), 2);
        run(&database, &[&format!("ALTER TABLE t {change}")]).await;
        let error = cursor.next(10).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::SerializationFailure, "{change}: {error}");
        assert!(error.retryable && error.message.contains("run the statement again"), "{error}");
        let mut cursor = database.fetch_raw(sql, vec![]).await.unwrap();
        assert_eq!(cursor.next(10).await.unwrap().unwrap().rows, 2);
    }
}

#[tokio::test]
async fn values_of_every_class_come_back_and_cursors_may_be_dropped_anywhere() {
    let (database, _folder) = file(Duration::from_secs(10)).await;
    run(&database, &["CREATE TABLE v (n INTEGER, r REAL, t TEXT, b BLOB)"]).await;
    let texts = ["", "a\0b", "é", &"x".repeat(100_000)];
    let mut expected = Vec::new();
    for (n, text) in (0..).zip(texts) {
        let row = vec![
            Value::Integer(i64::MIN + n),
            Value::Float(0.1),
            Value::Text(text.into()),
            Value::Blob(text.as_bytes().into()),
        ];
        let sql = "INSERT INTO v VALUES (?, ?, ?, ?)";
        database.execute_raw(sql, row.clone()).await.unwrap();
        expected.push(row);
    }
    run(&database, &["INSERT INTO v VALUES (NULL, NULL, NULL, NULL)"]).await;
    expected.push(vec![Value::Null; 4]);
    for most in 1..=6 {
        for batches in 0..=6 {
            let mut cursor = database.fetch_raw("SELECT * FROM v", vec![]).await.unwrap();
            let mut found: Vec<Vec<Value>> = Vec::new();
            for _ in 0..batches {
                let Some(batch) = cursor.next(most).await.unwrap() else { break };
                for row in 0..batch.rows as usize {
                    found.push(batch.columns.iter().map(|it| it.get(row).unwrap()).collect());
                }
            }
            let count = expected.len().min((most * batches) as usize);
            assert_eq!(found, expected[..count]);
        }
    }
}

#[tokio::test]
async fn sums_of_decimals_end_with_their_statement_however_that_ends() {
    let (database, _folder) = file(Duration::from_secs(10)).await;
    let amounts = "VALUES (1, '0.10'), (1, '2'), (2, NULL), (3, '-7.25'), (3, 'NaN')";
    run(&database, &["CREATE TABLE v (n INTEGER, d TEXT)", &format!("INSERT INTO v {amounts}")])
        .await;
    let sums = "SELECT ferro_sum(d), ferro_average(d) FROM v GROUP BY n ORDER BY n";
    let moving = "SELECT ferro_sum(d) OVER (ORDER BY n ROWS 1 PRECEDING) FROM v ORDER BY n";
    for (sql, first) in [(sums, "2.10"), (moving, "0.10")] {
        for batches in 0..=3 {
            let mut cursor = database.fetch_raw(sql, vec![]).await.unwrap();
            for batch in 0..batches {
                let found = cursor.next(1).await.unwrap().map(|it| it.columns[0].get(0).unwrap());
                assert!(batch > 0 || found == Some(Value::Text(first.into())), "{found:?}");
            }
        }
    }
    // One that fails half-way, and one that begins with nothing.
    run(&database, &["INSERT INTO v VALUES (3, 'seven')"]).await;
    for sql in [sums, moving] {
        let mut cursor = database.fetch_raw(sql, vec![]).await.unwrap();
        let failed = loop {
            match cursor.next(1).await {
                Ok(Some(_)) => {}
                outcome => break outcome,
            }
        };
        assert_eq!(failed.unwrap_err().kind, ErrorKind::DecodeFailed);
    }
    let mut nothing =
        database.fetch_raw("SELECT ferro_sum(d) FROM v WHERE n = 9", vec![]).await.unwrap();
    assert_eq!(nothing.next(1).await.unwrap().unwrap().columns[0].get(0), Some(Value::Null));
    let huge = "SELECT ferro_multiply(ferro_sized('1', 1000, 999), ferro_divide('1', '3')), \
                ferro_sized('1', 1001, 0)";
    let refused = database.fetch_raw(huge, vec![]).await;
    let refused = match refused {
        Ok(mut cursor) => cursor.next(1).await.map(drop),
        Err(error) => Err(error),
    };
    assert!(refused.unwrap_err().message.contains("ferro_sized"));
}

#[tokio::test]
async fn lists_end_with_their_statement_however_that_ends() {
    let (database, _folder) = file(Duration::from_secs(10)).await;
    let rows =
        "INSERT INTO v VALUES (1, 'a\"\\'), (1, 'b'), (2, NULL), (3, 0.5), (3, 9e999), (3, 7)";
    run(&database, &["CREATE TABLE v (n INTEGER, d)", rows]).await;
    let lists = "SELECT ferro_list(d), ferro_list(DISTINCT d ORDER BY d DESC) FROM v GROUP BY n";
    for batches in 0..=3 {
        let mut cursor = database.fetch_raw(lists, vec![]).await.unwrap();
        let mut found = Vec::new();
        for _ in 0..batches {
            found.push(cursor.next(1).await.unwrap().unwrap().columns[0].get(0).unwrap());
        }
        let expected = [r#"["a\"\\","b"]"#.into(), Value::Null, "[0.5,9e999,7]".into()];
        assert_eq!(found, expected[..batches]);
    }
    let ordered = "SELECT ferro_list(DISTINCT n ORDER BY n DESC) FROM v";
    assert_eq!(one(&database, ordered).await, "[3,2,1]".into());
    let blobs = "SELECT ferro_blobs(x'00ff' || '')";
    let texts = "SELECT ferro_list(x'00ff')";
    for sql in [blobs, texts, "SELECT ferro_list(CAST(x'ff' AS TEXT))"] {
        let failed = match database.fetch_raw(sql, vec![]).await {
            Ok(mut cursor) => cursor.next(1).await.map(drop),
            Err(error) => Err(error),
        };
        assert_eq!(failed.unwrap_err().kind, ErrorKind::DecodeFailed, "{sql}");
    }
    assert_eq!(one(&database, "SELECT ferro_blobs(x'00ff')").await, "[\"00ff\"]".into());
}

/// SQLite looks at its progress when a statement has been committed, too, and tells that it was
/// stopped if its time is over by then.
#[tokio::test]
async fn p3_a_write_that_takes_its_time_is_done_once() {
    let (database, _folder) = file(Duration::from_secs(5)).await;
    run(&database, &["CREATE TABLE t (n INTEGER)"]).await;
    // The longer the blob, the more time it takes in a single step.
    let sql = "INSERT INTO t VALUES (length(randomblob(?)))";
    for _ in 0..150 {
        for length in [0_i64, 0, 1_000_000] {
            database.execute_raw(sql, vec![length.into()]).await.unwrap();
        }
    }
    assert_eq!(one(&database, "SELECT count(*) FROM t").await, Value::Integer(450));
}

#[tokio::test]
async fn deletes_cascade_as_deep_as_sqlite_lets_them() {
    let (database, _folder) = file(Duration::from_secs(5)).await;
    let node = "CREATE TABLE node (id INTEGER PRIMARY KEY, \
                parent INTEGER REFERENCES node (id) ON DELETE CASCADE)";
    run(&database, &[node, "CREATE INDEX node_parent ON node (parent)"]).await;
    let chain =
        |length| format!("INSERT INTO node SELECT n, nullif(n - 1, 0) FROM ({})", numbers(length));
    let stranger = database.fenced(Fence::default()).unwrap();
    for deleting in [&database, &stranger] {
        run(&database, &[&chain(900)]).await;
        let delete = rows::plan(Effect::Write, "DELETE FROM node WHERE id = 1", vec![], vec![]);
        deleting.execute(rows::execution(delete, vec![])).await.unwrap();
        assert_eq!(one(&database, "SELECT count(*) FROM node").await, Value::Integer(0));
    }
    run(&database, &[&chain(1100)]).await;
    let refused = database.execute_raw("DELETE FROM node WHERE id = 1", vec![]).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::LimitExceeded, "{refused}");
    assert_eq!(one(&database, "SELECT count(*) FROM node").await, Value::Integer(1100));
}

/// Words of SQL and what may stand between them.
fn words() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        4 => prop::sample::select(vec![
            "SELECT", "FROM", "t", "a", "b", "WHERE", "*", ",", "(", ")", "=", "?", "$1", "1", "'x'",
            "x'00ff'", "NULL", "UNION ALL", "VALUES", "INSERT INTO t", "UPDATE t SET a =",
            "DELETE FROM t", "RETURNING *", "ORDER BY", "LIMIT 3", "GROUP BY", "count(*)", "json(",
            "zeroblob(9)", "CREATE TABLE u (a)", "DROP TABLE u", "PRAGMA table_info(t)", "EXPLAIN",
            "WITH c AS (SELECT 1)", "COLLATE nocase", "CAST(a AS TEXT)", "randomblob(3)",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,6}",
    ];
    prop::collection::vec(word, 1..12).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn s4_any_text_is_run_or_refused_and_leaves_a_connection_that_works(
        texts in prop::collection::vec(words(), 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let database = support::connect("sqlite::memory:").await;
            run(&database, &["CREATE TABLE t (a INTEGER, b TEXT)", "INSERT INTO t VALUES (1, 'x')"])
                .await;
            for text in &texts {
                let values = vec![Value::Integer(1); text.matches('?').count()];
                if let Ok(mut cursor) = database.fetch_raw(text, values.clone()).await {
                    for _ in 0..3 {
                        if !matches!(cursor.next(2).await, Ok(Some(_))) {
                            break;
                        }
                    }
                }
                let _ = database.execute_raw(text, values).await;
            }
            assert_eq!(one(&database, "SELECT 7").await, Value::Integer(7));
            assert_eq!(database.stats().acquired, 0);
        });
    }
}
