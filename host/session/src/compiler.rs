//! Traits for compiling plans. Hosts implement them with the core component; tests use the core
//! directly.

use std::sync::Arc;

use ferro_wit::BoxFuture;
use ferro_wit::plan::{MigrationStep, Plan};
use ferro_wit::policy::Scope;
use ferro_wit::query::Query;
use ferro_wit::schema::Schema;
use ferro_wit::types::{Dialect, Error};

use crate::fair_semaphore::Claimant;

/// Checks models.
pub trait Compiler: Send + Sync {
    /// Checks models, and returns the catalog to compile against.
    ///
    /// # Errors
    ///
    /// `invalid-schema`, with every fault of the models in the message.
    fn catalog(&self, schema: &Schema) -> Result<Arc<dyn Catalog>, Error>;
}

/// Checked models. Pure: the same input gives the same plan.
pub trait Catalog: Send + Sync {
    /// Compiles a query under a scope; with `None`, everything is allowed. Called for each new
    /// query of a guest, so it must not block the thread while it computes for long or waits. If
    /// compilers are shared, `claimant` is the tenant that gets one; `None` is the application
    /// itself.
    ///
    /// # Errors
    ///
    /// `invalid-query`, `type-mismatch`, `denied` or `read-only`; `limit-exceeded` for a query that
    /// is too large to compile; `busy` or `timeout` if that takes too long.
    fn compile<'a>(
        &'a self,
        query: &'a Query,
        dialect: Dialect,
        scope: Option<&'a Scope>,
        claimant: Option<&'a Claimant>,
    ) -> BoxFuture<'a, Result<Plan, Error>>;

    /// The statements that create missing tables, in order. `found` is what those statements of
    /// [`introspection`](Self::introspection) return that come before the first one that is not a
    /// `SELECT`.
    ///
    /// # Errors
    ///
    /// `invalid-schema`, if two models have the same table on that database; `invalid-query`, if
    /// `found` is not a result of these statements; `unsupported`, if the database cannot have a
    /// foreign key or an index of a new table.
    fn create_tables(
        &self,
        dialect: Dialect,
        found: &[String],
    ) -> Result<Vec<MigrationStep>, Error>;

    /// The statements that read the existing tables of the models from a database.
    ///
    /// # Errors
    ///
    /// `invalid-schema`, as [`create_tables`](Self::create_tables).
    fn introspection(&self, dialect: Dialect) -> Result<Vec<String>, Error>;

    /// The statements that migrate what [`introspection`](Self::introspection) found to the models,
    /// in order.
    ///
    /// # Errors
    ///
    /// As [`create_tables`](Self::create_tables).
    fn migrate(&self, dialect: Dialect, found: &[String]) -> Result<Vec<MigrationStep>, Error>;
}
