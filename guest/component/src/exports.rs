//! The exports of the world `core`. The bindings use the types of `ferro-wit`, so nothing is copied
//! between them and the core.

use ferro_wit::plan::{MigrationStep, Plan};
use ferro_wit::policy::Scope;
use ferro_wit::query::Query;
use ferro_wit::schema::Schema;
use ferro_wit::types::{Dialect, Error};

use crate::text;
use bindings::exports::ferro::orm::{compiler, compiler_text};

mod bindings {
    #![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]

    wit_bindgen::generate!({
        world: "core",
        path: "../../wit",
        with: {
            "ferro:orm/types@0.1.0": ferro_wit::types,
            "ferro:orm/schema@0.1.0": ferro_wit::schema,
            "ferro:orm/query@0.1.0": ferro_wit::query,
            "ferro:orm/policy@0.1.0": ferro_wit::policy,
            "ferro:orm/plan@0.1.0": ferro_wit::plan,
        },
    });
}

struct Component;

bindings::export!(Component with_types_in bindings);

impl compiler::Guest for Component {
    type Catalog = Catalog;
}

impl compiler_text::Guest for Component {
    type Catalog = TextCatalog;
}

struct Catalog(ferro_core::Catalog);

impl compiler::GuestCatalog for Catalog {
    fn create(models: Schema) -> Result<compiler::Catalog, compiler::Faults> {
        ferro_core::Catalog::new(models).map(|it| compiler::Catalog::new(Self(it)))
    }

    fn compile(&self, query: Query, dialect: Dialect, scope: Option<Scope>) -> Result<Plan, Error> {
        self.0.compile(&query, dialect, scope.as_ref())
    }

    fn create_tables(
        &self,
        dialect: Dialect,
        found: Vec<String>,
    ) -> Result<Vec<MigrationStep>, Error> {
        self.0.create_tables(dialect, &found)
    }

    fn introspection(&self, dialect: Dialect) -> Result<Vec<String>, Error> {
        self.0.introspection(dialect)
    }

    fn migrate(&self, dialect: Dialect, found: Vec<String>) -> Result<Vec<MigrationStep>, Error> {
        self.0.migrate(dialect, &found)
    }
}

struct TextCatalog(ferro_core::Catalog);

impl compiler_text::GuestCatalog for TextCatalog {
    fn create(models: String) -> Result<compiler_text::Catalog, String> {
        text::create(&models).map(|it| compiler_text::Catalog::new(Self(it)))
    }

    fn compile(&self, request: String) -> Result<String, String> {
        text::compile(&self.0, &request)
    }

    fn create_tables(&self, request: String) -> Result<String, String> {
        text::create_tables(&self.0, &request)
    }

    fn introspection(&self, request: String) -> Result<String, String> {
        text::introspection(&self.0, &request)
    }

    fn migrate(&self, request: String) -> Result<String, String> {
        text::migrate(&self.0, &request)
    }
}
