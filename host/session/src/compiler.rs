//! What makes plans. The hosts implement these traits with the core component; tests use the core
//! as it is.

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
    /// Models, checked and ready to compile against.
    ///
    /// # Errors
    ///
    /// `invalid-schema`, with every fault of the models in the message.
    fn catalog(&self, schema: &Schema) -> Result<Arc<dyn Catalog>, Error>;
}

/// Checked models. Pure: the same input gives the same plan.
pub trait Catalog: Send + Sync {
    /// The plan for a query, under a scope; none: everything is allowed. Each new query of a guest
    /// asks for one: what takes long, or waits for others, must not keep the thread meanwhile. Where
    /// compilers are shared, `claimant` gets one, the tenant; none: the application itself.
    ///
    /// # Errors
    ///
    /// `invalid-query`, `type-mismatch`, `denied` or `read-only`; `limit-exceeded` for a query that
    /// is too large to compile; `busy` and `timeout` where that takes too long.
    fn compile<'a>(
        &'a self,
        query: &'a Query,
        dialect: Dialect,
        scope: Option<&'a Scope>,
        claimant: Option<&'a Claimant>,
    ) -> BoxFuture<'a, Result<Plan, Error>>;

    /// The statements that create the tables that a database lacks, in order. `found` is what those
    /// statements of [`introspection`](Self::introspection) return that come before the first that
    /// is not a `SELECT`.
    ///
    /// # Errors
    ///
    /// `invalid-schema`, if two models have the same table on that database; `invalid-query`, if
    /// `found` is not what these statements return.
    fn create_tables(
        &self,
        dialect: Dialect,
        found: &[String],
    ) -> Result<Vec<MigrationStep>, Error>;

    /// The statements that ask a database what it has where the models have their tables.
    ///
    /// # Errors
    ///
    /// `invalid-schema`, as [`create_tables`](Self::create_tables).
    fn introspection(&self, dialect: Dialect) -> Result<Vec<String>, Error>;

    /// The statements that make of what those of [`introspection`](Self::introspection) found what
    /// the models say, in order.
    ///
    /// # Errors
    ///
    /// As [`create_tables`](Self::create_tables).
    fn migrate(&self, dialect: Dialect, found: &[String]) -> Result<Vec<MigrationStep>, Error>;
}
