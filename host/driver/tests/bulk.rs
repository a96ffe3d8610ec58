//! Large batches, which PostgreSQL takes as a stream where a table can take one: nobody can tell but
//! by the time it takes.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod proxy;
mod rows;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use ferro_driver::{Database, Execution, Fence, Transaction};
use ferro_test_support::postgres;
use ferro_wit::plan::Effect;
use ferro_wit::types::{Dialect, Error, ErrorKind, Interval, ScalarType, Value};
use tokio::time::timeout;

use rows::{batch, both, count, insert, raw};
use support::{connect, eventually, name_of, no_options, one, options, run, with_user};

/// Enough for a stream, and too few.
const MANY: u32 = 10_000;
const FEW: u32 = 50;

const COLUMNS: [(&str, &str, ScalarType); 2] =
    [("n", "int8", ScalarType::Integer), ("t", "text", ScalarType::Text)];

fn texts(count: u32) -> Vec<Value> {
    (0..count).map(|n| Value::Text(format!("row {n}"))).collect()
}

fn integers(count: u32) -> Vec<Value> {
    (0..count).map(|n| Value::Integer(n.into())).collect()
}

fn execution(dialect: Dialect, table: &str, integers: Vec<Value>) -> Execution {
    let texts = texts(integers.len().try_into().unwrap());
    Execution {
        plan: Arc::new(insert(dialect, table, &COLUMNS)),
        parameters: vec![],
        forced: vec![],
        rows: Some(batch(vec![(ScalarType::Integer, integers), (ScalarType::Text, texts)])),
    }
}

async fn write(database: &Database, table: &str, integers: Vec<Value>) -> Result<u64, Error> {
    database.execute(execution(database.dialect(), table, integers)).await
}

/// A table with a column that tells how its rows came there.
const TABLE: &str = "CREATE TABLE t (n bigint PRIMARY KEY CONSTRAINT small CHECK (n < 1000000), \
                     t text NOT NULL, how text DEFAULT substr(current_query(), 1, 4))";

async fn database(statements: &[&str]) -> Database {
    let database = connect(&postgres::url()).await;
    run(&database, statements).await;
    database
}

/// How the rows of the table came there.
async fn how(database: &Database) -> String {
    let ways = raw(database, "SELECT DISTINCT how FROM t", vec![]).await;
    assert_eq!(ways.len(), 1, "{ways:?}");
    format!("{:?}", ways[0][0])
}

const STREAM: &str = "Text(\"COPY\")";
const ARRAYS: &str = "Text(\"INSE\")";

#[tokio::test]
async fn a_large_batch_is_a_stream_and_a_small_one_arrays() {
    let database = database(&[TABLE]).await;
    assert_eq!(write(&database, "t", integers(FEW)).await.unwrap(), u64::from(FEW));
    assert_eq!(how(&database).await, ARRAYS);
    run(&database, &["TRUNCATE t"]).await;
    assert_eq!(write(&database, "t", integers(MANY)).await.unwrap(), u64::from(MANY));
    assert_eq!(how(&database).await, STREAM);
    let sum = "SELECT count(*) || ' ' || sum(n) || ' ' || sum(length(t)) FROM t";
    assert_eq!(format!("{:?}", one(&database, sum).await), "Text(\"10000 49995000 78890\")");
}

#[tokio::test]
async fn every_kind_comes_back_as_it_was_given() {
    use ScalarType as S;
    let interval = Interval { months: -1, days: 2, microseconds: 3 };
    let kinds: [(&str, &str, S, Value); 15] = [
        ("a", "boolean", S::Boolean, Value::Boolean(true)),
        ("b", "bigint", S::Integer, Value::Integer(i64::MIN)),
        ("c", "integer", S::Integer, Value::Integer(-7)),
        ("d", "smallint", S::Integer, Value::Integer(-7)),
        ("e", "float8", S::Float, Value::Float(0.1)),
        ("f", "real", S::Float, Value::Float(0.5)),
        ("g", "numeric(10, 2)", S::Decimal, Value::Decimal("-12.50".into())),
        ("h", "varchar(9)", S::Text, Value::Text("é\"\\\n,".into())),
        ("i", "bytea", S::Blob, Value::Blob(vec![0, 255])),
        ("j", "uuid", S::Uuid, Value::Uuid((1, u64::MAX))),
        ("k", "date", S::Date, Value::Date(-700_000)),
        ("l", "time", S::Time, Value::Time(86_399_999_999)),
        ("m", "timestamp", S::Timestamp, Value::Timestamp(-1)),
        ("o", "timestamptz", S::Timestamptz, Value::Timestamptz(1_700_000_000_000_000)),
        ("p", "interval", S::Interval, Value::Interval(interval)),
    ];
    let columns: Vec<_> = kinds.iter().map(|it| format!("{} {}", it.0, it.1)).collect();
    let table = format!(
        "CREATE TABLE t (n bigint, {}, how text DEFAULT substr(current_query(), 1, 4))",
        columns.join(", ")
    );
    let database = database(&[&table]).await;
    // The arrays of a statement are of the type that values are sent as.
    let of_statement = |it: &(&'static str, &'static str, S, Value)| match it.1 {
        "integer" | "smallint" => "bigint",
        "real" => "float8",
        "numeric(10, 2)" => "numeric",
        "varchar(9)" => "text",
        other => other,
    };
    let mut given: Vec<_> = kinds.iter().map(|it| (it.0, of_statement(it), it.2)).collect();
    given.push(("n", "bigint", S::Integer));
    let plan = Arc::new(insert(Dialect::Postgres, "t", &given));
    for rows in [FEW, MANY] {
        let mut columns: Vec<_> = kinds
            .iter()
            .map(|(_, _, kind, value)| {
                let value = |n| if n % 3 == 0 { Value::Null } else { value.clone() };
                (*kind, (0..rows).map(value).collect())
            })
            .collect();
        columns.push((S::Integer, integers(rows)));
        let (parameters, forced) = (vec![], vec![]);
        let rows_of = Some(batch(columns));
        let execution = Execution { plan: Arc::clone(&plan), parameters, forced, rows: rows_of };
        assert_eq!(database.execute(execution).await.unwrap(), u64::from(rows));
        assert_eq!(how(&database).await, if rows == MANY { STREAM } else { ARRAYS });
        let names: Vec<_> = kinds.iter().map(|it| it.0).collect();
        let sql = format!("SELECT {} FROM t WHERE n IN (0, 1) ORDER BY n", names.join(", "));
        let found = raw(&database, &sql, vec![]).await;
        let expected: Vec<_> = kinds.iter().map(|it| it.3.clone()).collect();
        assert_eq!(found, [vec![Value::Null; kinds.len()], expected]);
        run(&database, &["TRUNCATE t"]).await;
    }
}

#[tokio::test]
async fn enums_domains_and_documents_are_written_as_text_is() {
    let database = database(&[
        "CREATE TYPE mood AS ENUM ('fine', 'low')",
        "CREATE DOMAIN short AS text CONSTRAINT is_short CHECK (length(VALUE) < 5)",
        "CREATE TABLE t (m mood, s short, j jsonb, how text DEFAULT substr(current_query(), 1, 4))",
    ])
    .await;
    let columns = [
        ("m", "mood", ScalarType::Text),
        ("s", "text", ScalarType::Text),
        ("j", "jsonb", ScalarType::Json),
    ];
    let mut plan = insert(Dialect::Postgres, "t", &columns);
    plan.steps[0].sql = "INSERT INTO t (m, s, j) SELECT r.m::mood, r.s, r.j FROM \
                         (SELECT unnest($1), unnest($2), unnest($3)) AS r (m, s, j)"
        .into();
    let plan = Arc::new(plan);
    let write = async |rows: u32, last: [&str; 2]| {
        let text = |given: &str, last: &str| {
            let value = |n| Value::Text(if n + 1 < rows { given.into() } else { last.into() });
            (ScalarType::Text, (0..rows).map(value).collect())
        };
        let documents = (0..rows).map(|n| Value::Json(format!("{{\"n\": {n}}}"))).collect();
        let columns =
            batch(vec![text("fine", last[0]), text("x", last[1]), (ScalarType::Json, documents)]);
        let (parameters, forced) = (vec![], vec![]);
        let rows = Some(columns);
        database.execute(Execution { plan: Arc::clone(&plan), parameters, forced, rows }).await
    };
    assert_eq!(write(MANY, ["low", "y"]).await.unwrap(), u64::from(MANY));
    assert_eq!(how(&database).await, STREAM);
    for rows in [FEW, MANY] {
        let error = write(rows, ["high", "y"]).await.unwrap_err();
        assert_eq!(error.code.as_deref(), Some("22P02"), "{error:?}");
        let error = write(rows, ["low", "too long"]).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::CheckViolation);
        assert_eq!(error.constraint.as_deref(), Some("is_short"), "{error:?}");
    }
}

#[tokio::test]
async fn errors_are_the_same_for_batches_of_any_size() {
    let database = database(&[TABLE, "CREATE TABLE narrow (n smallint, t varchar(8))"]).await;
    let broken = async |table: &str, bad: Value| {
        let mut found = Vec::new();
        for rows in [FEW, MANY] {
            let mut values = integers(rows);
            values[rows as usize - 1] = bad.clone();
            let error = write(&database, table, values).await.unwrap_err();
            found.push((error.kind, error.code, error.constraint, error.table, error.column));
            assert_eq!(count(&database, table).await, 0);
        }
        assert_eq!(found[0], found[1]);
        found.remove(0)
    };
    let unique = broken("t", Value::Integer(3)).await;
    assert_eq!(unique.0, ErrorKind::UniqueViolation);
    assert_eq!(unique.2.as_deref(), Some("t_pkey"));
    let check = broken("t", Value::Integer(1_000_000)).await;
    assert_eq!((check.0, check.2.as_deref()), (ErrorKind::CheckViolation, Some("small")));
    let null = broken("t", Value::Null).await;
    assert_eq!((null.0, null.4.as_deref()), (ErrorKind::NotNullViolation, Some("n")));
    let range = broken("narrow", Value::Integer(70_000)).await;
    assert_eq!((range.0, range.1.as_deref()), (ErrorKind::ValueOutOfRange, Some("22003")));
    let missing = broken_table(&database).await;
    assert_eq!(missing.kind, ErrorKind::UndefinedObject);
}

async fn broken_table(database: &Database) -> Error {
    write(database, "nowhere", integers(MANY)).await.unwrap_err()
}

#[tokio::test]
async fn what_cannot_be_sent_is_told_before_anything_is_and_a_transaction_goes_on() {
    for database in both().await {
        run(&database, &["CREATE TABLE t (n bigint PRIMARY KEY, t text NOT NULL)"]).await;
        let dialect = database.dialect();
        let transaction = database.begin(no_options()).await.unwrap();
        let mut given = execution(dialect, "t", integers(MANY));
        let mut others = texts(MANY);
        others[MANY as usize - 1] = Value::Text("a\0b".into());
        let columns = vec![(ScalarType::Integer, integers(MANY)), (ScalarType::Text, others)];
        given.rows = Some(batch(columns));
        let written = transaction.execute(given).await;
        if dialect == Dialect::Postgres {
            let error = written.unwrap_err();
            assert_eq!(error.kind, ErrorKind::ValueOutOfRange, "{error:?}");
            assert!(error.message.contains("NUL"), "{error:?}");
            let more = transaction.execute(execution(dialect, "t", integers(MANY))).await;
            assert_eq!(more.unwrap(), u64::from(MANY));
        }
        transaction.commit().await.unwrap();
        assert_eq!(count(&database, "t").await, i64::from(MANY));
    }
}

#[tokio::test]
async fn tables_that_take_no_stream_get_arrays() {
    let ways = [
        "CREATE RULE away AS ON INSERT TO t WHERE NEW.n < 0 DO INSTEAD NOTHING",
        "CREATE TRIGGER loud BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION loud()",
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE t ALTER t TYPE name USING t::name",
        "ALTER TABLE t ALTER n TYPE numeric",
        "ALTER TABLE t DROP CONSTRAINT t_pkey, ALTER n ADD GENERATED ALWAYS AS IDENTITY",
    ];
    // More notices than fit into what the kernel keeps for a connection.
    let loud = "CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql AS \
                $$ BEGIN RAISE NOTICE '%', repeat('x', 1000); RETURN NEW; END $$";
    for way in ways {
        let database = database(&[TABLE, loud, way]).await;
        let written = timeout(Duration::from_secs(60), write(&database, "t", integers(MANY)));
        match written.await.unwrap() {
            Ok(written) => {
                assert_eq!(written, u64::from(MANY), "{way}");
                assert_eq!(how(&database).await, ARRAYS, "{way}");
            }
            Err(error) => {
                assert!(way.contains("ALWAYS"), "{way}: {error}");
                assert_eq!(error.code.as_deref(), Some("428C9"), "{error:?}");
            }
        }
    }
    let partitioned = format!("{} PARTITION BY RANGE (n)", TABLE);
    let partition = "CREATE TABLE part PARTITION OF t DEFAULT";
    let trigger = "CREATE TRIGGER loud BEFORE INSERT ON part FOR EACH ROW EXECUTE FUNCTION loud()";
    for (ways, expected) in
        [(&[loud, partition][..], STREAM), (&[loud, partition, trigger], ARRAYS)]
    {
        let database = database(&[&[partitioned.as_str()], ways].concat()).await;
        let written = timeout(Duration::from_secs(60), write(&database, "t", integers(MANY)));
        assert_eq!(written.await.unwrap().unwrap(), u64::from(MANY));
        assert_eq!(how(&database).await, expected);
    }
    let view = [TABLE, "ALTER TABLE t RENAME TO base", "CREATE VIEW t AS SELECT * FROM base"];
    let database = database(&view).await;
    assert_eq!(write(&database, "t", integers(MANY)).await.unwrap(), u64::from(MANY));
    assert_eq!(count(&database, "base").await, i64::from(MANY));
}

#[tokio::test]
async fn r2_a_large_batch_of_a_tenant_keeps_to_the_policies_of_its_role() {
    let url = postgres::url();
    let owner = connect(&url).await;
    let role = format!("{}_writer", name_of(&url));
    run(
        &owner,
        &[
            &format!("CREATE ROLE {role} LOGIN PASSWORD 'pw'"),
            TABLE,
            &format!("GRANT SELECT, INSERT ON t TO {role}"),
            "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
            "CREATE POLICY below ON t USING (n < 20000) WITH CHECK (n < 20000)",
        ],
    )
    .await;
    let fence = || Fence { role: Some(role.clone()), ..Fence::default() };
    let stranger = connect(&with_user(&url, &format!("{role}:pw"))).await;
    for tenant in [owner.fenced(fence()).unwrap(), stranger] {
        let mut values = integers(MANY);
        values[MANY as usize - 1] = Value::Integer(20_000);
        let error = write(&tenant, "t", values).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied, "{error:?}");
        assert_eq!(write(&tenant, "t", integers(MANY)).await.unwrap(), u64::from(MANY));
        run(&owner, &["TRUNCATE t"]).await;
    }
    // Where the role is held to nothing by the table, it may stream, and still is the role.
    run(
        &owner,
        &[
            "ALTER TABLE t DISABLE ROW LEVEL SECURITY",
            "ALTER TABLE t ADD who text DEFAULT current_user",
        ],
    )
    .await;
    let tenant = owner.fenced(fence()).unwrap();
    assert_eq!(write(&tenant, "t", integers(MANY)).await.unwrap(), u64::from(MANY));
    assert_eq!(how(&owner).await, STREAM);
    assert_eq!(one(&owner, "SELECT DISTINCT who FROM t").await, Value::Text(role.clone()));
    run(&owner, &[&format!("REVOKE INSERT ON t FROM {role}")]).await;
    let error = write(&tenant, "t", integers(MANY)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied, "{error:?}");
    let read_only = Fence { read_only: true, ..Fence::default() };
    let reader = owner.fenced(read_only).unwrap();
    let error = write(&reader, "t", integers(MANY)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::ReadOnly, "{error:?}");
}

#[tokio::test]
async fn a_stream_belongs_to_its_transaction() {
    let database = database(&[TABLE]).await;
    let write = async |transaction: &Transaction, values| {
        transaction.execute(execution(Dialect::Postgres, "t", values)).await
    };
    let transaction = database.begin(no_options()).await.unwrap();
    assert_eq!(write(&transaction, integers(MANY)).await.unwrap(), u64::from(MANY));
    transaction.rollback().await.unwrap();
    assert_eq!(count(&database, "t").await, 0);

    let transaction = database.begin(no_options()).await.unwrap();
    let savepoint = transaction.begin(no_options()).await.unwrap();
    let error = write(&savepoint, vec![Value::Integer(1); MANY as usize]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::UniqueViolation);
    savepoint.rollback().await.unwrap();
    assert_eq!(write(&transaction, integers(MANY)).await.unwrap(), u64::from(MANY));
    transaction.commit().await.unwrap();
    assert_eq!(count(&database, "t").await, i64::from(MANY));
    assert_eq!(how(&database).await, STREAM);
}

/// What is sent to ask for a sign of life alone.
const SYNC: &[u8] = b"S\0\0\0\x04";

#[tokio::test]
async fn a_large_batch_needs_no_sign_of_life_but_what_is_asked_of_the_catalog() {
    let lost = Arc::new(AtomicBool::new(false));
    let signs = Arc::new(AtomicU32::new(0));
    let (loses, counts) = (Arc::clone(&lost), Arc::clone(&signs));
    let url = postgres::url();
    let network = proxy::through(&url, move |sender, bytes| {
        let asked = sender == proxy::Sender::Client;
        counts.fetch_add(u32::from(asked && bytes == SYNC), Ordering::Relaxed);
        match asked && loses.swap(false, Ordering::Relaxed) {
            true => proxy::Fate::CutBefore,
            false => proxy::Fate::Pass,
        }
    });
    let single = options(|it| it.pool.max_connections = 1);
    let database = Database::connect(&network.await, &single).await.unwrap();
    run(&database, &[TABLE]).await;
    // After SQL text the connection is reset; after a plan it is at hand, for a second.
    let emptied = async || {
        run(&database, &["TRUNCATE t"]).await;
        let columns = vec![rows::column("n", ScalarType::Integer)];
        let plan = rows::plan(Effect::Read, "SELECT n FROM t", vec![], columns);
        let cursor = database.fetch(rows::execution(plan, vec![])).await.unwrap();
        assert_eq!(rows::rows(cursor).await.len(), 0);
    };
    for attempt in 1.. {
        emptied().await;
        let before = signs.load(Ordering::Relaxed);
        assert_eq!(write(&database, "t", integers(MANY)).await.unwrap(), u64::from(MANY));
        match signs.load(Ordering::Relaxed) == before {
            true => break,
            false => assert!(attempt < 20, "it is asked for a sign of life each time"),
        }
    }
    assert_eq!(how(&database).await, STREAM);
    // Where it has died at hand, it is replaced in silence.
    emptied().await;
    lost.store(true, Ordering::Relaxed);
    assert_eq!(write(&database, "t", integers(MANY)).await.unwrap(), u64::from(MANY));
    assert!(!lost.load(Ordering::Relaxed));
    assert_eq!(how(&database).await, STREAM);
}

#[tokio::test]
async fn nothing_is_left_of_a_stream_that_nobody_waits_for() {
    let url = postgres::url();
    let single = options(|it| it.pool.max_connections = 1);
    let database = Database::connect(&url, &single).await.unwrap();
    run(&database, &[TABLE]).await;
    let other = connect(&url).await;
    let transaction = other.begin(no_options()).await.unwrap();
    let lock = "LOCK TABLE t IN SHARE MODE";
    transaction.execute_raw(lock, vec![]).await.unwrap();
    let patience = Duration::from_millis(300);
    let alone = timeout(patience, write(&database, "t", integers(MANY))).await;
    assert!(alone.is_err(), "{alone:?}");
    let inside = database.begin(no_options()).await.unwrap();
    let stream = inside.execute(execution(Dialect::Postgres, "t", integers(MANY)));
    assert!(timeout(patience, stream).await.is_err());
    let error = inside.execute(execution(Dialect::Postgres, "t", integers(1))).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled, "{error:?}");
    drop(inside);
    transaction.rollback().await.unwrap();
    eventually("an idle pool", || database.stats().acquired == 0).await;
    assert_eq!(write(&database, "t", integers(MANY)).await.unwrap(), u64::from(MANY));
    assert_eq!(count(&database, "t").await, i64::from(MANY));
}
