//! Values come back as they were sent, on both databases.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod rows;
mod support;

use std::sync::Arc;

use ferro_driver::{Database, Execution};
use ferro_test_support::postgres;
use ferro_wit::plan::{Bind, Binding, Effect, Origin, Plan, Step};
use ferro_wit::types::{
    Arrays, Batch, Column, ColumnInfo, Dialect, ErrorKind, Interval, ScalarType, Scalars, Value,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use rows::{both, execution, plan, raw};
use support::{connect, run};

const DAY: i64 = 86_400_000_000;
const FIRST_DAY: i32 = -719_162;
const LAST_DAY: i32 = 2_932_896;

const KINDS: [(ScalarType, &str, &str); 13] = [
    (ScalarType::Boolean, "BOOLEAN", "bool"),
    (ScalarType::Integer, "BIGINT", "int8"),
    (ScalarType::Float, "DOUBLE", "float8"),
    (ScalarType::Decimal, "DECIMAL_TEXT COLLATE ferro_decimal", "numeric"),
    (ScalarType::Text, "TEXT", "text"),
    (ScalarType::Blob, "BLOB", "bytea"),
    (ScalarType::Uuid, "UUID", "uuid"),
    (ScalarType::Date, "DATE_TEXT", "date"),
    (ScalarType::Time, "TIME_TEXT", "time"),
    (ScalarType::Timestamp, "TIMESTAMP_TEXT", "timestamp"),
    (ScalarType::Timestamptz, "TIMESTAMPTZ_TEXT", "timestamptz"),
    (ScalarType::Interval, "INTERVAL_TEXT", "interval"),
    (ScalarType::Json, "JSON_TEXT", "jsonb"),
];

/// What the two databases and WIT have in common, at its limits.
fn extremes(kind: ScalarType) -> Vec<Value> {
    let text = |it: &str| it.to_owned();
    match kind {
        ScalarType::Boolean => vec![Value::Boolean(true), Value::Boolean(false)],
        ScalarType::Integer => [i64::MIN, -1, 0, 1, i64::MAX].map(Value::Integer).into(),
        ScalarType::Float => [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MIN,
            f64::MAX,
            f64::MIN_POSITIVE,
            5e-324,
            0.1,
            0.0,
        ]
        .map(Value::Float)
        .into(),
        ScalarType::Decimal => [
            "0",
            "0.00",
            "-0.10",
            "12.50",
            "NaN",
            "100000000",
            "0.00000001",
            "9999.9999",
            &"1234567890".repeat(50),
            &format!("-{}.{}", "9".repeat(333), "1".repeat(777)),
            &format!("1{}", "0".repeat(131_071)),
            &format!("0.{}1", "0".repeat(16_382)),
        ]
        .map(|it| Value::Decimal(text(it)))
        .into(),
        ScalarType::Text => ["", " ", "é", "😀\u{10FFFF}", "'\"\\%_?$1", "\n\u{1}\u{7f}"]
            .map(|it| Value::Text(text(it)))
            .into(),
        ScalarType::Blob => vec![Value::Blob(vec![]), Value::Blob((0..=255).collect())],
        ScalarType::Uuid => {
            vec![Value::Uuid((0, 0)), Value::Uuid((u64::MAX, 1)), Value::Uuid((1, u64::MAX))]
        }
        ScalarType::Date => [FIRST_DAY, -1, 0, 10_957, 11_016, LAST_DAY].map(Value::Date).into(),
        ScalarType::Time => [0, 1, DAY - 1, DAY].map(Value::Time).into(),
        ScalarType::Timestamp => moments().map(Value::Timestamp).into(),
        ScalarType::Timestamptz => moments().map(Value::Timestamptz).into(),
        ScalarType::Interval => [
            (0, 0, 0),
            (14, -3, 1),
            (-1, 1, -1),
            (i32::MAX, i32::MAX - 1, i64::MAX - 1),
            (i32::MIN + 1, i32::MIN + 1, i64::MIN + 1),
        ]
        .map(|(months, days, microseconds)| {
            Value::Interval(Interval { months, days, microseconds })
        })
        .into(),
        ScalarType::Json => {
            ["null", "true", "0", "\"a\"", "[]", "{}", "{\"a\": [1, \"é\", null], \"b\": -1.5}"]
                .map(|it| Value::Json(text(it)))
                .into()
        }
    }
}

fn moments() -> [i64; 5] {
    [i64::from(FIRST_DAY) * DAY, -1, 0, 1, (i64::from(LAST_DAY) + 1) * DAY - 1]
}

fn any_value(kind: ScalarType) -> BoxedStrategy<Value> {
    let moment = moments()[0]..=moments()[4];
    let any = match kind {
        ScalarType::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        ScalarType::Integer => any::<i64>().prop_map(Value::Integer).boxed(),
        ScalarType::Float => any::<f64>().prop_map(Value::Float).boxed(),
        ScalarType::Decimal => "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,40})?"
            .prop_map(|it| Value::Decimal(unsigned_zero(it)))
            .boxed(),
        ScalarType::Text => "[^\0]{0,20}".prop_map(Value::Text).boxed(),
        ScalarType::Blob => vec(any::<u8>(), 0..40).prop_map(Value::Blob).boxed(),
        ScalarType::Uuid => any::<(u64, u64)>().prop_map(Value::Uuid).boxed(),
        ScalarType::Date => (FIRST_DAY..=LAST_DAY).prop_map(Value::Date).boxed(),
        ScalarType::Time => (0..=DAY).prop_map(Value::Time).boxed(),
        ScalarType::Timestamp => moment.prop_map(Value::Timestamp).boxed(),
        ScalarType::Timestamptz => moment.prop_map(Value::Timestamptz).boxed(),
        ScalarType::Interval => any::<(i32, i32, i64)>()
            .prop_filter("an infinity", |it| *it != (i32::MAX, i32::MAX, i64::MAX))
            .prop_map(|(months, days, microseconds)| {
                Value::Interval(Interval { months, days, microseconds })
            })
            .boxed(),
        ScalarType::Json => any_json().prop_map(|it| Value::Json(it.to_string())).boxed(),
    };
    prop_oneof![6 => any, 2 => proptest::sample::select(extremes(kind)), 1 => Just(Value::Null)]
        .boxed()
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i32>().prop_map(Into::into),
        "[^\0]{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::btree_map("[a-z]{1,3}", inner, 0..4)
                .prop_map(|it| serde_json::Value::Object(it.into_iter().collect())),
        ]
    })
}

/// A zero has no sign.
fn unsigned_zero(text: String) -> String {
    match text.strip_prefix('-') {
        Some(rest) if rest.bytes().all(|it| matches!(it, b'0' | b'.')) => rest.to_owned(),
        _ => text,
    }
}

/// Equal, but not-a-number is itself and JSON documents are compared as such.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Float(left), Value::Float(right)) => {
            left == right || left.is_nan() && right.is_nan()
        }
        (Value::Json(left), Value::Json(right)) => {
            let parse = |it| serde_json::from_str::<serde_json::Value>(it).unwrap();
            parse(left) == parse(right)
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && (0..left.len())
                    .all(|index| same(&left.get(index).unwrap(), &right.get(index).unwrap()))
        }
        _ => left == right,
    }
}

fn scalars(kind: ScalarType, values: &[Value]) -> Scalars {
    let mut scalars = Scalars::with_kind(kind);
    for value in values {
        scalars.push(value.clone()).unwrap();
    }
    scalars
}

/// Writes values as parameters and as a batch, reads them by plan and by SQL text, and compares.
async fn round_trip(database: &Database, kind: ScalarType, many: bool, values: &[Value]) {
    let table = format!("v_{kind:?}_{many}");
    run(database, &[&format!("DELETE FROM {table}")]).await;
    let dialect = database.dialect();
    let mark = if dialect == Dialect::Sqlite { "?1" } else { "$1" };
    let single = |source| Step {
        sql: format!("INSERT INTO {table} (v) VALUES ({mark})"),
        binds: vec![Bind { source, kind, many }],
        columns: vec![],
        origins: vec![],
        attachment: None,
        rows_per_statement: Some(1),
        bulk: None,
    };
    let written = |steps| {
        Arc::new(Plan {
            effect: Effect::Write,
            steps,
            atomic: true,
            agreements: vec![],
            recipients: vec![],
        })
    };

    let one = written(vec![single(Binding::Parameter(0))]);
    for value in values {
        let parameters = vec![value.clone()];
        let execution =
            Execution { plan: Arc::clone(&one), parameters, forced: vec![], rows: None };
        assert_eq!(database.execute(execution).await.unwrap_or_else(|it| panic!("{it}")), 1);
    }

    let steps = match (dialect, many) {
        (Dialect::Postgres, false) => vec![Step {
            sql: format!("INSERT INTO {table} (v) SELECT * FROM unnest($1)"),
            binds: vec![Bind { source: Binding::Column(0), kind, many: true }],
            rows_per_statement: None,
            ..single(Binding::Column(0))
        }],
        _ => vec![single(Binding::Column(0))],
    };
    let execution = Execution {
        plan: written(steps),
        parameters: vec![],
        forced: vec![],
        rows: Some(batch_of(kind, many, values)),
    };
    let count = database.execute(execution).await.unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(usize::try_from(count).unwrap(), values.len());

    let info = ColumnInfo { path: vec!["v".into()], kind, many, nullable: true };
    let sql = format!("SELECT v FROM {table} ORDER BY id");
    let read = plan(Effect::Read, &sql, vec![], vec![info]);
    let planned = rows::rows(database.fetch(rows::execution(read, vec![])).await.unwrap()).await;
    let mut found = vec![planned];
    // SQLite has one declaration for arrays of all kinds, so text cannot tell.
    if !many || dialect == Dialect::Postgres {
        found.push(raw(database, &sql, vec![]).await);
    }
    for found in found {
        assert_eq!(found.len(), 2 * values.len());
        for (found, expected) in found.iter().zip(values.iter().chain(values)) {
            assert!(same(&found[0], expected), "{dialect} {kind:?}: {found:?} for {expected:?}");
        }
    }
}

fn batch_of(kind: ScalarType, many: bool, values: &[Value]) -> Batch {
    if !many {
        return Batch::new(vec![Column::Scalars(scalars(kind, values))]).unwrap();
    }
    let mut arrays = Arrays { items: Scalars::with_kind(kind), ends: vec![], nulls: None };
    let mut nulls = vec![0; values.len().div_ceil(8)];
    for (index, value) in values.iter().enumerate() {
        match value {
            Value::Array(items) => {
                for item in 0..items.len() {
                    arrays.items.push(items.get(item).unwrap()).unwrap();
                }
            }
            _ => nulls[index / 8] |= 1 << (index % 8),
        }
        arrays.ends.push(u32::try_from(arrays.items.len()).unwrap());
    }
    arrays.nulls = Some(nulls);
    Batch::new(vec![Column::Arrays(arrays)]).unwrap()
}

async fn with_tables() -> [Database; 2] {
    let both = both().await;
    for database in &both {
        for (kind, sqlite, postgres) in KINDS {
            let [scalar, array] = match database.dialect() {
                Dialect::Sqlite => [
                    format!("v_{kind:?}_false (id INTEGER PRIMARY KEY, v {sqlite})"),
                    format!("v_{kind:?}_true (id INTEGER PRIMARY KEY, v ARRAY_TEXT)"),
                ],
                Dialect::Postgres => [
                    format!("v_{kind:?}_false (id serial, v {postgres})"),
                    format!("v_{kind:?}_true (id serial, v {postgres}[])"),
                ],
            };
            let [scalar, array] = [scalar, array].map(|it| format!("CREATE TABLE {it}"));
            run(database, &[&scalar, &array]).await;
        }
    }
    both
}

#[tokio::test]
async fn every_type_comes_back_with_its_extremes() {
    for database in with_tables().await {
        for (kind, ..) in KINDS {
            let mut values = extremes(kind);
            values.push(Value::Null);
            round_trip(&database, kind, false, &values).await;
            let arrays = [
                Value::Null,
                Value::Array(Scalars::with_kind(kind)),
                Value::Array(scalars(kind, &values)),
                Value::Array(scalars(kind, &[Value::Null])),
            ];
            round_trip(&database, kind, true, &arrays).await;
        }
    }
}

#[test]
fn any_value_of_every_type_comes_back() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build().unwrap();
    let databases = runtime.block_on(with_tables());
    for (kind, ..) in KINDS {
        let config = Config { cases: 12, failure_persistence: None, ..Config::default() };
        let values = vec(any_value(kind), 1..12);
        let arrays = vec(
            prop_oneof![
                6 => vec(any_value(kind), 0..5).prop_map(move |it| Value::Array(scalars(kind, &it))),
                1 => Just(Value::Null)
            ],
            1..6,
        );
        TestRunner::new(config)
            .run(&(values, arrays), |(values, arrays)| {
                runtime.block_on(async {
                    for database in &databases {
                        round_trip(database, kind, false, &values).await;
                        round_trip(database, kind, true, &arrays).await;
                    }
                });
                Ok(())
            })
            .unwrap();
    }
    runtime.block_on(async {
        for database in databases {
            database.disconnect().await;
        }
    });
}

/// One statement that writes a parameter of a kind and is not to reach the database.
fn bound(database: &Database, kind: ScalarType, value: Value) -> Execution {
    let mark = if database.dialect() == Dialect::Sqlite { "?1" } else { "$1" };
    let bind = rows::bind(Binding::Parameter(0), kind);
    let sql = format!("INSERT INTO nowhere VALUES ({mark})");
    execution(plan(Effect::Write, &sql, vec![bind], vec![]), vec![value])
}

#[tokio::test]
async fn values_that_do_not_fit_are_refused_before_the_database_sees_them() {
    let text = |it: &str| Value::Text(it.into());
    let decimal = |it: &str| Value::Decimal(it.into());
    let json = |it: &str| Value::Json(it.into());
    use ErrorKind::{TypeMismatch, ValueOutOfRange};
    let cases = [
        (ScalarType::Integer, text("1"), TypeMismatch, "`text`, where `integer`"),
        (ScalarType::Float, Value::Integer(1), TypeMismatch, "`integer`, where `float`"),
        (ScalarType::Timestamptz, Value::Timestamp(0), TypeMismatch, "`timestamp`, where"),
        (
            ScalarType::Integer,
            Value::Array(scalars(ScalarType::Integer, &[Value::Integer(1)])),
            TypeMismatch,
            "`array of integer`, where `integer`",
        ),
        (ScalarType::Decimal, decimal("1e5"), TypeMismatch, "plain notation"),
        (ScalarType::Decimal, decimal(&"9".repeat(131_073)), ValueOutOfRange, "131073 digits"),
        (ScalarType::Json, json("{a: 1}"), TypeMismatch, "not valid JSON"),
        (ScalarType::Json, json(r#"{"a": "\ud83d"}"#), TypeMismatch, "half of a surrogate pair"),
        (ScalarType::Time, Value::Time(-1), ValueOutOfRange, "within a day"),
        (ScalarType::Time, Value::Time(DAY + 1), ValueOutOfRange, "within a day"),
    ];
    for database in both().await {
        for (kind, value, expected, part) in cases.clone() {
            let error = database.execute(bound(&database, kind, value)).await.unwrap_err();
            assert_eq!(error.kind, expected, "{error}");
            assert!(error.message.starts_with("parameter 1 "), "{error}");
            assert!(error.message.contains(part), "{error}");
            assert_eq!(error.code, None, "the database was asked: {error}");
        }
    }
}

#[tokio::test]
async fn what_only_one_database_cannot_store_is_refused_by_that_one() {
    let [sqlite, postgres] = both().await;
    let nul = || Value::Text("a\0b".into());
    let error = postgres.execute(bound(&postgres, ScalarType::Text, nul())).await.unwrap_err();
    assert_eq!((error.kind, &error.code), (ErrorKind::ValueOutOfRange, &None));
    assert!(error.message.starts_with("parameter 1 contains the character NUL"), "{error}");
    let error = postgres.execute_raw("SELECT ?", vec![nul()]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::ValueOutOfRange);
    assert!(error.message.starts_with("parameter 1 contains the character NUL"), "{error}");
    let back = raw(&sqlite, "SELECT ?", vec![nul()]).await;
    assert_eq!(back, [[nul()]]);

    let document = || Value::Json(r#"{"a": ["\u0000"]}"#.into());
    let documents = || Value::Array(scalars(ScalarType::Json, &[document()]));
    for error in [
        postgres.execute(bound(&postgres, ScalarType::Json, document())).await.unwrap_err(),
        postgres.execute_raw("SELECT ?", vec![document()]).await.unwrap_err(),
        postgres.execute_raw("SELECT ?", vec![documents()]).await.unwrap_err(),
    ] {
        assert_eq!((error.kind, &error.code), (ErrorKind::ValueOutOfRange, &None));
        let start = "parameter 1 contains the character NUL (`\\u0000`)";
        assert!(error.message.starts_with(start), "{error}");
    }
    run(&sqlite, &["CREATE TABLE documents (document JSON_TEXT)"]).await;
    sqlite.execute_raw("INSERT INTO documents VALUES (?)", vec![document()]).await.unwrap();
    assert_eq!(raw(&sqlite, "SELECT document FROM documents", vec![]).await, [[document()]]);
    let backslash = || Value::Json(r#"["\\u0000"]"#.into());
    assert_eq!(raw(&postgres, "SELECT ?", vec![backslash()]).await, [[backslash()]]);

    // Nobody could ask for a part of any document in the column.
    let nested = |depth| Value::Json("[".repeat(depth) + &"]".repeat(depth));
    let error = sqlite.execute(bound(&sqlite, ScalarType::Json, nested(1_001))).await.unwrap_err();
    assert_eq!((error.kind, &error.code), (ErrorKind::ValueOutOfRange, &None));
    assert!(error.message.starts_with("parameter 1 is nested more than 1000 deep"), "{error}");
    let read = raw(&sqlite, "SELECT json_array_length(?)", vec![nested(1_000)]).await;
    assert_eq!(read, [[Value::Integer(1)]]);
    assert_eq!(raw(&postgres, "SELECT ?", vec![nested(1_001)]).await, [[nested(1_001)]]);

    for (kind, value) in [
        (ScalarType::Date, Value::Date(LAST_DAY + 1)),
        (ScalarType::Date, Value::Date(i32::MIN)),
        (ScalarType::Timestamp, Value::Timestamp(moments()[0] - 1)),
        (ScalarType::Timestamptz, Value::Timestamptz(i64::MAX)),
    ] {
        let error = sqlite.execute(bound(&sqlite, kind, value)).await.unwrap_err();
        assert_eq!((error.kind, error.code), (ErrorKind::ValueOutOfRange, None));
        assert!(error.message.contains("years 1 to 9999"), "{}", error.message);
    }
}

#[tokio::test]
async fn infinities_of_postgres_are_the_ends_of_their_numbers() {
    let database = connect(&postgres::url()).await;
    let found = raw(
        &database,
        "SELECT 'infinity'::date, '-infinity'::date, 'infinity'::timestamp, \
         '-infinity'::timestamptz, 'infinity'::numeric, '5874897-12-31'::date",
        vec![],
    )
    .await;
    let expected = [
        Value::Date(i32::MAX),
        Value::Date(i32::MIN),
        Value::Timestamp(i64::MAX),
        Value::Timestamptz(i64::MIN),
        Value::Decimal("Infinity".into()),
    ];
    assert_eq!(found[0][..5], expected);
    assert!(matches!(found[0][5], Value::Date(2_100_000_000..)));
    let back = raw(&database, "SELECT $1::text, $2::text", expected[1..3].to_vec()).await;
    assert_eq!(back, [["-infinity", "infinity"].map(Value::from)]);

    // A timestamp that microseconds since 1970 have no room for.
    let mut cursor =
        database.fetch_raw("SELECT '294276-12-31'::timestamp AS t", vec![]).await.unwrap();
    let error = cursor.next(1).await.unwrap_err();
    assert_eq!((error.kind, error.column.as_deref()), (ErrorKind::DecodeFailed, Some("t")));
    assert_eq!(cursor.next(1).await.unwrap_err(), error, "a failure is not the end");
}

#[tokio::test]
async fn texts_of_ten_megabytes_pass_one_by_one() {
    for database in rows::both_with_table().await {
        let large = "é".repeat(5 << 20);
        for n in 1..=3 {
            let parameters = vec![Value::Integer(n), Value::Text(large.clone())];
            database.execute_raw("INSERT INTO t VALUES (?, ?)", parameters).await.unwrap();
        }
        let mut cursor = database.fetch_raw("SELECT t FROM t", vec![]).await.unwrap();
        for _ in 0..3 {
            let batch = cursor.next(1000).await.unwrap().unwrap();
            assert_eq!(batch.rows, 1, "a batch of more than 8 MiB");
            assert_eq!(batch.columns[0].get(0), Some(Value::Text(large.clone())));
        }
        assert!(cursor.next(1000).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn decimals_on_sqlite_sort_and_compare_as_numbers() {
    let database = connect("sqlite::memory:").await;
    run(&database, &["CREATE TABLE d (v DECIMAL_TEXT COLLATE ferro_decimal)"]).await;
    for text in ["10", "9", "-1.5", "NaN", "1.50", "1.5"] {
        let value = Value::Decimal(text.into());
        database.execute_raw("INSERT INTO d VALUES (?)", vec![value]).await.unwrap();
    }
    let found = raw(&database, "SELECT v FROM d ORDER BY v", vec![]).await;
    let texts: Vec<_> = found.into_iter().flatten().collect();
    let expected = ["-1.5", "1.50", "1.5", "9", "10", "NaN"].map(|it| Value::Decimal(it.into()));
    assert_eq!(texts, expected);
    let equal = raw(&database, "SELECT v FROM d WHERE v = ?", vec![Value::Decimal("1.500".into())]);
    assert_eq!(equal.await.len(), 2);
}

#[tokio::test]
async fn stored_values_that_cannot_be_read_name_their_column() {
    let database = connect("sqlite::memory:").await;
    run(
        &database,
        &[
            "CREATE TABLE w (n BIGINT, b BOOLEAN, d DATE_TEXT, u UUID, j JSON_TEXT, x DECIMAL_TEXT)",
            "INSERT INTO w VALUES ('one', 7, '2024-02-30', x'01', '{', '1e5')",
        ],
    )
    .await;
    for (name, part) in [
        ("n", "stored as `text`, where `integer`"),
        ("b", "the integer 7"),
        ("d", "not a date"),
        ("u", "1 bytes"),
        ("j", "not valid JSON"),
        ("x", "plain notation"),
    ] {
        let mut cursor =
            database.fetch_raw(&format!("SELECT {name} FROM w"), vec![]).await.unwrap();
        let error = cursor.next(1).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::DecodeFailed, "{error}");
        assert_eq!(error.column.as_deref(), Some(name));
        assert!(error.message.contains(part), "{error}");
        drop(cursor);
    }
    assert_eq!(rows::count(&database, "w").await, 1, "the connection is at rest");
}

/// A table on both databases whose second day cannot be read, and what kind of days it has.
async fn unreadable_days() -> [(Database, ScalarType); 2] {
    let [sqlite, postgres] = both().await;
    run(
        &sqlite,
        &["CREATE TABLE w (day DATE_TEXT)", "INSERT INTO w VALUES ('2024-01-01'), ('2024-02-30')"],
    )
    .await;
    run(
        &postgres,
        &[
            "CREATE TABLE w (day timestamp)",
            "INSERT INTO w VALUES ('2024-01-01'), ('294276-12-31')",
        ],
    )
    .await;
    [(sqlite, ScalarType::Date), (postgres, ScalarType::Timestamp)]
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_named_by_its_number_with_table_and_column() {
    for (database, kind) in unreadable_days().await {
        let planned = || {
            let columns = vec![rows::column("d", kind)];
            execution(plan(Effect::Read, "SELECT day AS d FROM w", vec![], columns), vec![])
        };
        // Of planned queries, PostgreSQL does not tell the table.
        let knows = database.dialect() == Dialect::Sqlite;
        // The row keeps its number where others came in a batch before it.
        for rows in [1, 10] {
            let raw = database.fetch_raw("SELECT day AS d FROM w", vec![]).await.unwrap();
            let planned = database.fetch(planned()).await.unwrap();
            for (mut cursor, knows) in [(raw, true), (planned, knows)] {
                if rows == 1 {
                    assert_eq!(cursor.next(rows).await.unwrap().unwrap().rows, 1);
                }
                let error = cursor.next(rows).await.unwrap_err();
                assert_eq!(error.kind, ErrorKind::DecodeFailed, "{error}");
                let start = "the value of column `d` in row 2 ";
                assert!(error.message.starts_with(start), "{error}");
                let place = (error.table.as_deref(), error.column.as_deref());
                assert_eq!(place, if knows { (Some("w"), Some("day")) } else { (None, Some("d")) });
            }
        }
        // An expression is of no table.
        let sql = "SELECT max(day) AS latest FROM w";
        let columns = vec![rows::column("latest", kind)];
        let latest = execution(plan(Effect::Read, sql, vec![], columns), vec![]);
        let error = database.fetch(latest).await.unwrap().next(1).await.unwrap_err();
        assert_eq!((error.table, error.column.as_deref()), (None, Some("latest")));
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_named_by_its_key_where_the_plan_tells_that() {
    let text = |length| format!("CAST('{}' AS text)", "x".repeat(length));
    let long = format!(", whose `key` is \"{}\",", "x".repeat(256));
    for (database, kind) in unreadable_days().await {
        for (key, key_kind, known) in [
            ("CAST(7 AS bigint)", ScalarType::Integer, ", whose `key` is 7,"),
            (&text(256), ScalarType::Text, &long),
            // One that is too long, one that is null, and one that cannot be read either.
            (&text(257), ScalarType::Text, ""),
            ("CAST(NULL AS bigint)", ScalarType::Integer, ""),
            ("day", kind, ""),
        ] {
            let columns = vec![rows::column("d", kind), rows::column("key", key_kind)];
            let mut plan =
                plan(Effect::Read, &format!("SELECT day, {key} FROM w"), vec![], columns);
            plan.steps[0].origins = [("day", false), ("key", true)]
                .map(|(column, key)| Some(Origin { table: "w".into(), column: column.into(), key }))
                .into();
            let mut cursor = database.fetch(execution(plan, vec![])).await.unwrap();
            let error = cursor.next(9).await.unwrap_err();
            let start = format!("the value of column `d` in row 2{known} ");
            assert!(error.message.starts_with(&start), "{error}");
            let place = (error.table.as_deref(), error.column.as_deref());
            assert_eq!(place, (Some("w"), Some("day")));
        }
    }
}

#[tokio::test]
async fn narrow_types_of_postgres_are_read_and_types_without_a_kind_are_refused_by_name() {
    let database = connect(&postgres::url()).await;
    run(&database, &["CREATE TYPE mood AS ENUM ('sad', 'ok')", "CREATE DOMAIN age AS int2"]).await;
    let found = raw(
        &database,
        "SELECT 1::int2, 2::int4, 3::oid, 0.5::float4, 'ok'::mood, 4::age, 'x'::bpchar, \
         'y'::varchar, 'z'::name, '[1]'::json, '{sad,NULL}'::mood[], '{}'::int2[], 'r'::\"char\", ''::\"char\"",
        vec![],
    )
    .await;
    assert_eq!(
        found[0],
        [
            Value::Integer(1),
            Value::Integer(2),
            Value::Integer(3),
            Value::Float(0.5),
            "ok".into(),
            Value::Integer(4),
            "x".into(),
            "y".into(),
            "z".into(),
            Value::Json("[1]".into()),
            Value::Array(scalars(ScalarType::Text, &["sad".into(), Value::Null])),
            Value::Array(Scalars::with_kind(ScalarType::Integer)),
            "r".into(),
            "".into(),
        ]
    );
    let error = database.fetch_raw("SELECT '{}'::int4multirange", vec![]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert!(error.message.contains("multirange") && error.message.contains("cast"), "{error}");
    let error = database.fetch_raw("SELECT '::1'::inet AS address", vec![]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert!(error.message.contains("`address`") && error.message.contains("cast"), "{error}");
    let mut cursor = database.fetch_raw("SELECT '{{1},{2}}'::int[] AS grid", vec![]).await.unwrap();
    let error = cursor.next(1).await.unwrap_err();
    assert!(error.message.contains("2 dimensions"), "{error}");
}
