//! Sessions on real databases, with the core linked as it is.

use std::sync::Arc;

use ferro::Session;
use ferro_driver::{ConnectOptions, Databases};
use ferro_session::{Catalog, Compiler, Gate, Models};
use ferro_wit::plan::{MigrationStep, Plan};
use ferro_wit::policy::Scope;
use ferro_wit::query::Query;
use ferro_wit::schema::Schema;
use ferro_wit::types::{Dialect, Error, ErrorKind};

struct Core;
struct CoreCatalog(ferro_core::Catalog);

impl Compiler for Core {
    fn catalog(&self, schema: &Schema) -> Result<Arc<dyn Catalog>, Error> {
        match ferro_core::Catalog::new(schema.clone()) {
            Ok(catalog) => Ok(Arc::new(CoreCatalog(catalog))),
            Err(faults) => Err(Error::new(ErrorKind::InvalidSchema, faults.join("; "))),
        }
    }
}

impl Catalog for CoreCatalog {
    fn compile(
        &self,
        query: &Query,
        dialect: Dialect,
        scope: Option<&Scope>,
    ) -> Result<Plan, Error> {
        self.0.compile(query, dialect, scope)
    }

    fn create_tables(&self, dialect: Dialect) -> Result<Vec<MigrationStep>, Error> {
        self.0.create_tables(dialect)
    }
}

/// A fresh database that has the tables of a schema.
pub(crate) struct Database(Gate);

impl Database {
    pub(crate) async fn new(url: &str, schema: Schema) -> Result<Self, Error> {
        let databases = Databases::new();
        let database = databases.connect("app", url, &ConnectOptions::default()).await?;
        let models = Arc::new(Models::new(&Core, schema, Arc::default())?);
        models.create_tables(&database).await?;
        Ok(Self(Gate::trusted(databases, models)))
    }

    /// A session, in which one transaction can be open at a time.
    pub(crate) fn session(&self) -> Result<Session, Error> {
        Ok(Session::new(self.0.open("app")?))
    }
}

/// What a scenario works on: one session, or the database for several.
pub(crate) trait Subject: Sized {
    fn of(database: Database) -> Result<Self, Error>;
}

impl Subject for Database {
    fn of(database: Database) -> Result<Self, Error> {
        Ok(database)
    }
}

impl Subject for Session {
    fn of(database: Database) -> Result<Self, Error> {
        database.session()
    }
}

/// Runs a scenario on each database, as a test of its own.
#[macro_export]
macro_rules! on_each_database {
    ($schema:expr => $($scenario:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $scenario() -> Result<(), ferro::Error> {
                let database = $crate::database::Database::new("sqlite::memory:", $schema).await?;
                super::$scenario($crate::database::Subject::of(database)?).await
            })*
        }

        mod postgres {
            $(#[tokio::test]
            async fn $scenario() -> Result<(), ferro::Error> {
                let url = ferro_test_support::postgres::url();
                let database = $crate::database::Database::new(&url, $schema).await?;
                super::$scenario($crate::database::Subject::of(database)?).await
            })*
        }
    };
}
