//! Named pools of connections to SQLite and PostgreSQL, which run plans and return columns.
//!
//! ```
//! use ferro_driver::{ConnectOptions, Databases};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let databases = Databases::new();
//! databases.connect("app", "sqlite::memory:", &ConnectOptions::default()).await?;
//! let round_trip = databases.get(None)?.check().await?;
//! assert!(round_trip.as_secs() < 1);
//! databases.disconnect("app").await?;
//! # Ok::<(), ferro_wit::types::Error>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Databases`] holds pools by label, [`Database`] is one of them. Use them inside a tokio runtime
//! with time and I/O enabled; cursors and transactions may be dropped anywhere.
//!
//! # Abandoned statements
//!
//! If the future or cursor of a statement is dropped, the statement ends in the database, too, and
//! its permit of the pool is released at once, for a cursor on PostgreSQL within some milliseconds,
//! which saves the connection if few rows are left. SQLite ends it within some thousand steps of
//! its virtual machine, one of which may be long, such as a sort; a statement that waits for a lock
//! does not get it. PostgreSQL since version 14, except on Windows, checks every 500 ms whether its
//! client is still connected; older servers notice when they send the next row. For poolers in
//! transaction mode see [`PoolOptions::statement_cache_capacity`].
//!
//! # Logged statements
//!
//! Each statement that ends emits a `tracing` event with the target `ferro::statement` at level
//! DEBUG. Its fields are `database`, the label; `sql`, at most the first 4 KiB, without bound
//! values; `rows`, the number of rows read or changed; `elapsed_us`, from sending to its end,
//! including the time of its reader; and `outcome`: `ok`, the kind of the error, or `dropped`. The
//! level is WARN if it took longer than [`PoolOptions::slow_statement`].

#![deny(unsafe_code)]

mod backend;
mod column;
mod connect;
mod cursor;
mod database;
mod databases;
mod deadlines;
mod error;
mod fence;
mod lease;
mod options;
mod parking;
mod raw;
mod reset;
mod run;
mod sockets;
mod sqlite;
mod statement;
mod transaction;
mod value;
mod vigil;

pub use cursor::{Cursor, ExpectedColumn};
pub use database::{Database, Stats};
pub use databases::Databases;
pub use fence::{Fence, RawSql, TableRights};
pub use options::{ConnectOptions, PoolOptions, SqliteOptions};
pub use raw::changes_rows;
pub use run::Execution;
pub use run::migration::Migration;
pub use sockets::watch_sockets;
pub use transaction::Transaction;
