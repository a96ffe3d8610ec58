//! The rights and limits of a caller on the databases of a host: which rows and columns, how many,
//! and for how long.
//!
//! A host gives each call of a tenant a [`Gate`]. It opens [`Session`]s on the databases that the
//! tenant was granted. Their queries cannot exceed the tables, rows and columns of the [`Grant`],
//! nor the [`Limits`]. Both hosts, in Rust and in Python, lend these sessions to guests, so that
//! tenant isolation is implemented in one place. An application uses a gate without a tenant for
//! its own code.
//!
//! ```
//! use std::sync::Arc;
//!
//! use ferro_driver::{ConnectOptions, Databases};
//! use ferro_session::{Gate, Grant, Models, TableGrant, Tenant};
//! use ferro_wit::query::Query;
//! use ferro_wit::schema::{ColumnType, Field, IntegerWidth, Model, Schema};
//! use ferro_wit::types::Value;
//! use serde_json::json;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let field = |name: &str| Field::new(name, ColumnType::Integer(IntegerWidth::Big));
//! let id = Field { generated_key: true, ..field("id") };
//! let invoice = Model::new("Invoice", vec![id, field("tenant_id"), field("cents")], &["id"]);
//! let schema = Schema { models: vec![invoice], enums: vec![] };
//!
//! // Hosts compile queries in a component, and tests by the core that is linked into them.
//! let compiler = ferro_test_support::Core::default();
//! let models = Arc::new(Models::new(&compiler, schema, Arc::default())?);
//! let databases = Databases::new();
//! let database = databases.connect("app", "sqlite::memory:", &ConnectOptions::default()).await?;
//! models.create_tables(&database).await?;
//!
//! // Tenant 42 adds an invoice: its number is forced on the row.
//! let invoices = TableGrant::read_write().filter("tenant_id", 42);
//! let tenant = Tenant::new("acme").grant("app", Grant::read_write().table("invoice", invoices));
//! let session = Gate::new(databases.clone(), models.clone(), Arc::new(tenant)).open("app")?;
//! let insert: Query = serde_json::from_value(json!({
//!     "nodes": [], "selects": [],
//!     "statement": {
//!         "insert": { "model": "Invoice", "fields": ["cents"], "source": "parameters" }
//!     },
//! }))?;
//! assert_eq!(session.execute(&insert, vec![Value::Integer(1_999)]).await?, 1);
//!
//! // The application sees it, and sees whose it is.
//! let application = Gate::trusted(databases, models).open_default()?;
//! let mut rows = application.fetch_raw("SELECT tenant_id FROM invoice", vec![]).await?;
//! let batch = rows.next(10).await?.ok_or("no rows")?;
//! assert_eq!(batch.columns[0].get(0), Some(Value::Integer(42)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A gate checks the grant when a session is opened. The [`Models`] provide the plans of queries
//! under its scope, which a [`Compiler`] compiles and a [`PlanCache`] stores. The driver gets the
//! values that the grant forces on a query, and everything that passes through a session and its
//! [`Cursor`]s is counted.

#![forbid(unsafe_code)]

mod agreements;
mod cache;
mod call;
mod compiler;
mod component;
mod cursor;
mod error;
mod fair_semaphore;
mod filter;
mod gate;
mod grant;
mod guest;
mod limit_offset;
mod limits;
mod log;
mod models;
mod names;
mod packed_hash;
mod policy;
mod private_folder;
mod row_reservation;
mod session;
mod strict_map;
mod tenant;
mod tenants;
mod usage;

pub use cache::PlanCache;
pub use compiler::{Catalog, Compiler};
pub use component::check_component;
pub use cursor::Cursor;
pub use fair_semaphore::{Claimant, FairPermit, FairSemaphore};
pub use filter::Filter;
pub use gate::Gate;
pub use grant::{Access, Grant, TableGrant};
pub use guest::{Deadline, GuestLimit};
pub use limits::Limits;
pub use log::RECORD;
pub use models::{Models, QUERY_BYTES};
pub use private_folder::{cache_folder, private_folder};
pub use session::Session;
pub use tenant::{Tenant, TenantFile};
pub use tenants::{Admission, Tenants};
pub use usage::Usage;

pub use ferro_driver::RawSql;
