//! The one gate to the databases: what a caller may do, on which rows, within which limits.
//!
//! Both hosts lend what is here to their guests, so a promise about tenants is kept in one place:
//! a [`Gate`] stands for one call, checks the [`Grant`] where a [`Session`] is opened, takes plans
//! from [`Models`] under the scope of the grant, gives the driver the forced values, and counts
//! what goes through [`Session`] and [`Cursor`] against the [`Limits`].
//!
//! Plans come from a [`Compiler`], which the hosts implement, and are kept in a [`PlanCache`]. This
//! one links the core as it is:
//!
//! ```
//! use std::future::ready;
//! use std::sync::Arc;
//!
//! use ferro_driver::{ConnectOptions, Databases};
//! use ferro_session::{Catalog, Claimant, Compiler, Gate, Grant, Models, TableGrant, Tenant};
//! use ferro_wit::BoxFuture;
//! use ferro_wit::plan::{MigrationStep, Plan};
//! use ferro_wit::policy::Scope;
//! use ferro_wit::query::Query;
//! use ferro_wit::schema::Schema;
//! use ferro_wit::types::{Dialect, Error, ErrorKind, Value};
//! use serde_json::json;
//!
//! struct Core;
//! struct CoreCatalog(ferro_core::Catalog);
//!
//! impl Compiler for Core {
//!     fn catalog(&self, schema: &Schema) -> Result<Arc<dyn Catalog>, Error> {
//!         match ferro_core::Catalog::new(schema.clone()) {
//!             Ok(catalog) => Ok(Arc::new(CoreCatalog(catalog))),
//!             Err(faults) => Err(Error::new(ErrorKind::InvalidSchema, faults.join("; "))),
//!         }
//!     }
//! }
//!
//! impl Catalog for CoreCatalog {
//!     fn compile<'a>(
//!         &'a self,
//!         query: &'a Query,
//!         dialect: Dialect,
//!         scope: Option<&'a Scope>,
//!         _: Option<&'a Claimant>,
//!     ) -> BoxFuture<'a, Result<Plan, Error>> {
//!         Box::pin(ready(self.0.compile(query, dialect, scope)))
//!     }
//!
//!     fn create_tables(&self, dialect: Dialect) -> Result<Vec<MigrationStep>, Error> {
//!         self.0.create_tables(dialect)
//!     }
//!
//!     fn introspection(&self, dialect: Dialect) -> Result<Vec<String>, Error> {
//!         self.0.introspection(dialect)
//!     }
//!
//!     fn migrate(&self, dialect: Dialect, found: &[String]) -> Result<Vec<MigrationStep>, Error> {
//!         self.0.migrate(dialect, found)
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let field = |name: &str| json!({
//!     "name": name, "kind": { "integer": "big" }, "nullable": false, "unique": false,
//!     "indexed": false, "generated-key": name == "id", "version": false,
//! });
//! let schema = serde_json::from_value(json!({
//!     "models": [{
//!         "name": "Invoice", "fields": [field("id"), field("tenant_id"), field("cents")],
//!         "primary-key": ["id"], "foreign-keys": [], "many-to-manys": [], "indexes": [],
//!         "checks": [],
//!     }],
//!     "enums": [],
//! }))?;
//! let models = Arc::new(Models::new(&Core, schema, Arc::default())?);
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

#![forbid(unsafe_code)]

mod agreements;
mod cache;
mod call;
mod compiler;
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
mod row_reservation;
mod session;
mod strict_map;
mod tenant;
mod tenants;
mod usage;

pub use cache::PlanCache;
pub use compiler::{Catalog, Compiler};
pub use cursor::Cursor;
pub use fair_semaphore::{Claimant, FairPermit, FairSemaphore};
pub use filter::Filter;
pub use gate::Gate;
pub use grant::{Access, Grant, TableGrant};
pub use guest::{Deadline, GuestLimit};
pub use limits::Limits;
pub use log::RECORD;
pub use models::Models;
pub use session::Session;
pub use tenant::{Tenant, TenantFile};
pub use tenants::{Admission, Tenants};
pub use usage::Usage;

pub use ferro_driver::RawSql;
