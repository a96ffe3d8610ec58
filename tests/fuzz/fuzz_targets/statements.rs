//! SQL text and values for SQLite's own interface: any of them must run or be rejected, and the
//! next statement must run. Build it with AddressSanitizer, as `cargo fuzz` does by default.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use ferro_driver::{ConnectOptions, Database, Fence, RawSql};
use ferro_wit::types::Value;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// How long a statement may take before it is abandoned, as any caller may do.
const PATIENCE: Duration = Duration::from_millis(50);

static WORLD: LazyLock<(Runtime, Database, Database)> = LazyLock::new(|| {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (database, stranger) = runtime.block_on(async {
        let database = Database::connect("sqlite::memory:", &ConnectOptions::default()).await;
        let database = database.unwrap();
        for sql in ["CREATE TABLE t (a INTEGER, b TEXT)", "INSERT INTO t VALUES (1, 'x')"] {
            database.execute_raw(sql, vec![]).await.unwrap();
        }
        let fence = Fence { raw_sql: RawSql::Fenced, ..Fence::default() };
        let stranger = database.fenced(fence).unwrap();
        (database, stranger)
    });
    (runtime, database, stranger)
});

fuzz_target!(|input: (String, Vec<Vec<u8>>, u8)| {
    let (sql, blobs, rows) = input;
    let (runtime, database, stranger) = &*WORLD;
    let values: Vec<_> = blobs
        .into_iter()
        .map(|it| match String::from_utf8(it) {
            Ok(text) => Value::Text(text),
            Err(blob) => Value::Blob(blob.into_bytes()),
        })
        .collect();
    runtime.block_on(async {
        let reading = async {
            let mut cursor = stranger.fetch_raw(&sql, values).await.ok()?;
            // Some of them are not read to the end.
            for _ in 0..rows {
                cursor.next(3).await.ok()??;
            }
            Some(())
        };
        let _ = timeout(PATIENCE, reading).await;
        let mut next = database.fetch_raw("SELECT 7", vec![]).await.unwrap();
        assert_eq!(next.next(1).await.unwrap().unwrap().rows, 1);
    });
});
