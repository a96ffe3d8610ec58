//! Named pools of connections to SQLite and PostgreSQL that run plans and give back columns.
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
//! [`Databases`] holds pools by label, [`Database`] is one of them. All of it runs inside a tokio
//! runtime with time and I/O enabled; what it lends may be dropped anywhere.
//!
//! # Statements that nobody waits for
//!
//! A statement whose future or cursor is dropped ends at the database, too, and its permit of
//! the pool is free at once; that of a cursor of PostgreSQL is free within some milliseconds, in
//! which the connection is kept if few of its rows are left. SQLite ends it within some thousand steps of
//! its machine, of which one may be a long one, such as sorting what was collected; what waits for
//! a lock does not get it. PostgreSQL from version 14 on, on any system but Windows, looks every
//! 500 ms whether its client is still there; older servers find out when they next send a row.
//! Behind a pooler in transaction mode see [`PoolOptions::statement_cache_capacity`].
//!
//! # What statements do
//!
//! Each statement that ends is a `tracing` event of the target `ferro::statement`, at the level
//! DEBUG: with `database`, its label; `sql`, at most its first 4 KiB, without the values that are
//! bound; `rows`, which were read or changed; `elapsed_us`, from when it was sent until it ended,
//! with the time that its reader took; and `outcome`: `ok`, the kind of the error, or `dropped`. It
//! is at the level WARN where it took longer than [`PoolOptions::slow_statement`].

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
pub use transaction::Transaction;
