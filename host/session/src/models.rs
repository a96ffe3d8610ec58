//! An application's models, and the plans of queries on them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ferro_driver::{Database, Migration};
use ferro_wit::plan::{Plan, Risk};
use ferro_wit::policy::Scope;
use ferro_wit::query::Query;
use ferro_wit::schema::Schema;
use ferro_wit::types::{Dialect, Error};

use crate::cache::{PlanCache, PlanKey, bytes_of};
use crate::compiler::{Catalog, Compiler};
use crate::fair_semaphore::Claimant;
use crate::guest::GuestLimit;

/// Maximum size of a query to compile, measured like cached plans: several times that of a query
/// with as many nodes as the core accepts. Names may have any length, and copying them to the core
/// takes time.
pub const QUERY_BYTES: u64 = 4 * 1024 * 1024;

/// Checked models, their catalog, and the cache of their plans.
pub struct Models {
    id: u64,
    schema: Schema,
    catalog: Arc<dyn Catalog>,
    cache: Arc<PlanCache>,
}

impl Models {
    /// Checks models.
    ///
    /// # Errors
    ///
    /// `invalid-schema`, with every fault in the message.
    pub fn new(
        compiler: &dyn Compiler,
        schema: Schema,
        cache: Arc<PlanCache>,
    ) -> Result<Self, Error> {
        let catalog = compiler.catalog(&schema)?;
        Ok(Self { id: next_id(), schema, catalog, cache })
    }

    /// The models as passed.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The cache of plans.
    #[must_use]
    pub fn cache(&self) -> &Arc<PlanCache> {
        &self.cache
    }

    /// The plan of a query under a scope; compiled if it is new, on behalf of the application
    /// itself.
    ///
    /// # Errors
    ///
    /// `limit-exceeded` if the query has more than 4 MiB without its values; errors of
    /// [`Catalog::compile`].
    pub async fn plan(
        &self,
        query: &Query,
        dialect: Dialect,
        scope: Option<&Arc<Scope>>,
    ) -> Result<Arc<Plan>, Error> {
        self.plan_for(None, query, dialect, scope).await
    }

    /// The same, on behalf of a claimant of compilers.
    pub(crate) async fn plan_for(
        &self,
        claimant: Option<&Claimant>,
        query: &Query,
        dialect: Dialect,
        scope: Option<&Arc<Scope>>,
    ) -> Result<Arc<Plan>, Error> {
        let key = PlanKey { catalog: self.id, dialect, policy: scope, query };
        if let Some(plan) = self.cache.get(&key) {
            return Ok(plan);
        }
        if bytes_of(query) > QUERY_BYTES {
            return Err(GuestLimit::Query(QUERY_BYTES).exceeded());
        }
        let compiled = self.catalog.compile(query, dialect, scope.map(AsRef::as_ref), claimant);
        let plan = Arc::new(compiled.await?);
        self.cache.insert(&key, &plan);
        Ok(plan)
    }

    /// Creates the missing tables in a database, with their indexes. Existing tables do not change.
    /// If none are missing, no right to create is needed.
    ///
    /// # Errors
    ///
    /// Errors of [`Catalog::create_tables`], and of the database.
    pub async fn create_tables(&self, database: &Database) -> Result<(), Error> {
        let dialect = database.dialect();
        let questions = self.catalog.introspection(dialect)?;
        // The other statements create temporary tables, which a role may not be allowed to do.
        let reading = questions.iter().take_while(|it| it.starts_with("SELECT")).count();
        let plan = |found: &[String]| self.catalog.create_tables(dialect, found);
        database.migrate(&questions[..reading], plan, Some(Risk::Safe)).await.map(drop)
    }

    /// Migrates a database to the models, with the steps of at most this `risk`; with `None`, only
    /// returns the steps. See [`Database::migrate`].
    ///
    /// A database that matches the models does not change, nor do tables without a model.
    ///
    /// # Errors
    ///
    /// Errors of [`Catalog::migrate`], and of the database.
    pub async fn migrate(
        &self,
        database: &Database,
        risk: Option<Risk>,
    ) -> Result<Migration, Error> {
        let dialect = database.dialect();
        let questions = self.catalog.introspection(dialect)?;
        database.migrate(&questions, |found| self.catalog.migrate(dialect, found), risk).await
    }

    /// The same, if the script of all steps is still the reviewed one; otherwise nothing is
    /// applied. See [`Database::migrate_reviewed`].
    ///
    /// # Errors
    ///
    /// As [`migrate`](Self::migrate).
    pub async fn migrate_reviewed(
        &self,
        database: &Database,
        risk: Risk,
        script: &str,
    ) -> Result<Migration, Error> {
        let dialect = database.dialect();
        let questions = self.catalog.introspection(dialect)?;
        let plan = |found: &[String]| self.catalog.migrate(dialect, found);
        database.migrate_reviewed(&questions, plan, risk, script).await
    }
}

impl std::fmt::Debug for Models {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let models = self.schema.models.iter().map(|model| &model.name);
        f.debug_struct("Models")
            .field("id", &self.id)
            .field("models", &models.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Each `Models` of a process has its own id, so that no two share a plan.
fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
