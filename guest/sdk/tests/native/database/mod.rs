//! Sessions on real databases, with the core linked as it is.

use std::sync::Arc;

use ferro::Session;
use ferro_driver::{ConnectOptions, Databases, Migration};
use ferro_session::{Gate, Grant, Models, Tenant};
use ferro_test_support::Core;
use ferro_wit::plan::Risk;
use ferro_wit::schema::Schema;
use ferro_wit::types::Error;

/// A fresh database that has the tables of a schema.
pub(crate) struct Database {
    databases: Databases,
    models: Arc<Models>,
    gate: Gate,
}

impl Database {
    pub(crate) async fn new(url: &str, schema: Schema) -> Result<Self, Error> {
        let databases = Databases::new();
        let database = databases.connect("app", url, &ConnectOptions::default()).await?;
        let models = Arc::new(Models::new(&Core::default(), schema, Arc::default())?);
        models.create_tables(&database).await?;
        Ok(Self::trusted(databases, models))
    }

    fn trusted(databases: Databases, models: Arc<Models>) -> Self {
        Self { gate: Gate::trusted(databases.clone(), models.clone()), databases, models }
    }

    /// A session of a tenant, who is limited and may send SQL text.
    pub(crate) fn session_of_tenant(&self) -> Result<Session, Error> {
        let grant = Grant::read_write().with_unfenced_raw_sql();
        let tenant = Arc::new(Tenant::new("acme").grant("app", grant));
        let gate = Gate::new(self.databases.clone(), self.models.clone(), tenant);
        Ok(Session::new(gate.open("app")?))
    }

    /// The same database with the tables of another schema, and what that put at risk.
    pub(crate) async fn migrate(self, schema: Schema) -> Result<(Self, Migration), Error> {
        let Self { databases, .. } = self;
        let models = Arc::new(Models::new(&Core::default(), schema, Arc::default())?);
        let database = databases.get(Some("app"))?;
        let migration = models.migrate(&database, Some(Risk::Blocking)).await?;
        Ok((Self::trusted(databases, models), migration))
    }

    /// A session, in which one transaction can be open at a time.
    pub(crate) fn session(&self) -> Result<Session, Error> {
        Ok(Session::new(self.gate.open("app")?))
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
