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

#![forbid(unsafe_code)]

mod column;
mod connect;
mod cursor;
mod database;
mod databases;
mod error;
mod lease;
mod options;
mod raw;
mod run;
mod slots;
mod transaction;
mod value;

pub use cursor::Cursor;
pub use database::{Database, Stats};
pub use databases::Databases;
pub use options::{ConnectOptions, PoolOptions, SqliteOptions};
pub use run::Execution;
pub use transaction::Transaction;
