//! The core as a compiler for sessions.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ferro_session::{Catalog, Claimant, Compiler};
use ferro_wit::BoxFuture;
use ferro_wit::plan::{MigrationStep, Plan};
use ferro_wit::policy::Scope;
use ferro_wit::query::Query;
use ferro_wit::schema::Schema;
use ferro_wit::types::{Dialect, Error, ErrorKind};

/// The core, linked directly: hosts run it as a component.
#[derive(Debug, Default, Clone)]
pub struct Core {
    /// The number of compiled queries.
    pub compiles: Arc<AtomicUsize>,
}

struct Linked {
    catalog: ferro_core::Catalog,
    compiles: Arc<AtomicUsize>,
}

impl Compiler for Core {
    fn catalog(&self, schema: &Schema) -> Result<Arc<dyn Catalog>, Error> {
        match ferro_core::Catalog::new(schema.clone()) {
            Ok(catalog) => Ok(Arc::new(Linked { catalog, compiles: self.compiles.clone() })),
            Err(faults) => Err(Error::new(ErrorKind::InvalidSchema, faults.join("; "))),
        }
    }
}

impl Catalog for Linked {
    fn compile<'a>(
        &'a self,
        query: &'a Query,
        dialect: Dialect,
        scope: Option<&'a Scope>,
        _: Option<&'a Claimant>,
    ) -> BoxFuture<'a, Result<Plan, Error>> {
        self.compiles.fetch_add(1, Ordering::Relaxed);
        Box::pin(ready(self.catalog.compile(query, dialect, scope)))
    }

    fn create_tables(
        &self,
        dialect: Dialect,
        found: &[String],
    ) -> Result<Vec<MigrationStep>, Error> {
        self.catalog.create_tables(dialect, found)
    }

    fn introspection(&self, dialect: Dialect) -> Result<Vec<String>, Error> {
        self.catalog.introspection(dialect)
    }

    fn migrate(&self, dialect: Dialect, found: &[String]) -> Result<Vec<MigrationStep>, Error> {
        self.catalog.migrate(dialect, found)
    }
}
