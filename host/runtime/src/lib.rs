//! Runs plugins: WebAssembly components that query an application's databases.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use ferro_host::{ConnectOptions, Grant, Host, HostOptions, Tenant};
//!
//! # async fn run() -> Result<(), ferro_host::Error> {
//! let host = Host::new(HostOptions::default())?;
//! host.databases().connect("app", "sqlite:app.db", &ConnectOptions::default()).await?;
//! let plugin = host.load("atlas.wasm").await?;
//! host.create_tables(&plugin, "app").await?;
//!
//! let tenant = Arc::new(Tenant::new("acme").grant("app", Grant::read_only()));
//! println!("{}", plugin.call_wave(&tenant, "largest-cities(3)").await?);
//! # Ok(())
//! # }
//! ```
//!
//! A [`Host`] has the databases and one engine. [`Host::load`] checks and compiles a component
//! once, and a [`Plugin`] creates a fresh instance for each call: by name and value with
//! [`Plugin::call`], as text with [`Plugin::call_wave`], or typed with bindings over a
//! [`PluginInstance`]. The [`Tenant`] of a call defines its rights, and the tenant's [`Limits`] its
//! resources.

#![forbid(unsafe_code)]

mod bindings;
mod builder;
mod cache;
mod compiler;
mod database;
mod engine;
mod error;
mod export;
mod guest;
mod host;
mod instance;
mod load;
mod meter;
mod output;
mod plugin;
mod stats;
mod turns;
mod types;
mod wasi;
mod wave;

pub use ferro_driver::{
    ConnectOptions, Database, Databases, Migration, PoolOptions, SqliteOptions, Stats,
};
pub use ferro_session::{
    Access, Cursor, Filter, Grant, Limits, Models, RawSql, Session, TableGrant, Tenant, TenantFile,
    Usage,
};
pub use ferro_wit::plan::{MigrationStep, Risk};
pub use ferro_wit::policy::FieldSet;
pub use ferro_wit::types::{Error, ErrorKind, Value};
pub use wasmtime::component::Val;
/// The versions that this crate is built with, for bindings and for lent interfaces.
pub use {wasmtime, wasmtime_wasi};

pub use bindings::wit;
pub use builder::HostBuilder;
pub use cache::CacheStatistics;
pub use compiler::WasmCompiler;
pub use export::Export;
pub use guest::Guest;
pub use host::{Host, HostOptions};
pub use instance::PluginInstance;
pub use meter::CallUsage;
pub use plugin::{Outcome, Plugin};
pub use stats::HostStats;
