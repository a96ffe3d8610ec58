//! A database with the rows of two tenants, and a compiler that counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ferro_driver::{ConnectOptions, Databases};
use ferro_session::{Gate, Grant, Models, PlanCache, Session, TableGrant, Tenant};
use ferro_test_support::Core;
use ferro_wit::query::Query;
use ferro_wit::schema::Schema;
use ferro_wit::types::{Error, ErrorKind, Value};
use serde_json::json;
use tempfile::TempDir;

use crate::queries;

/// What no tenant may ever see, in rows of both tenants.
pub(crate) const SECRET: &str = "hunter2";

pub(crate) struct World {
    pub(crate) databases: Databases,
    pub(crate) models: Arc<Models>,
    pub(crate) compiles: Arc<AtomicUsize>,
    _folder: TempDir,
}

impl World {
    pub(crate) async fn sqlite() -> Self {
        Self::sqlite_with(&ConnectOptions::default()).await
    }

    pub(crate) async fn sqlite_with(options: &ConnectOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("app.db").display());
        Self::connect(&url, folder, options).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::postgres_with(&ConnectOptions::default()).await
    }

    pub(crate) async fn postgres_with(options: &ConnectOptions) -> Self {
        let url = ferro_test_support::postgres::url();
        Self::connect(&url, tempfile::tempdir().unwrap(), options).await
    }

    async fn connect(url: &str, folder: TempDir, options: &ConnectOptions) -> Self {
        let databases = Databases::new();
        let database = databases.connect("app", url, options).await.unwrap();
        let core = Core::default();
        let models = Arc::new(Models::new(&core, schema(), Arc::default()).unwrap());
        models.create_tables(&database).await.unwrap();
        let world = Self { databases, models, compiles: core.compiles, _folder: folder };
        world.seed().await;
        world
    }

    /// Three notes of tenant 1 and two of tenant 2.
    async fn seed(&self) {
        let insert = queries::insert("Note", &["tenant_id", "title", "secret"]);
        let session = self.trusted();
        for (tenant, title) in [(1, "a"), (1, "b"), (1, "c"), (2, "x"), (2, "y")] {
            let values = vec![Value::from(tenant), title.into(), SECRET.into()];
            session.execute(&insert, values).await.unwrap();
        }
        let labels = queries::insert("Label", &["name"]);
        session.execute(&labels, vec!["urgent".into()]).await.unwrap();
        self.compiles.store(0, Ordering::Relaxed);
    }

    pub(crate) fn trusted(&self) -> Session {
        Gate::trusted(self.databases.clone(), self.models.clone()).open("app").unwrap()
    }

    pub(crate) fn gate(&self, tenant: Tenant) -> Gate {
        gate(&self.databases, &self.models, tenant)
    }

    /// A session of a tenant that may read and change its own notes, without their secrets.
    pub(crate) fn tenant(&self, id: i64) -> Session {
        self.gate(tenant(id)).open("app").unwrap()
    }

    /// The titles of all notes with their tenants, whatever the scopes say.
    pub(crate) async fn all_notes(&self) -> Vec<(i64, String)> {
        let rows = rows(&self.trusted(), &queries::fields("Note", &["tenant_id", "title"])).await;
        let row = |row: Vec<Value>| match <[Value; 2]>::try_from(row) {
            Ok([Value::Integer(tenant), Value::Text(title)]) => (tenant, title),
            other => panic!("not a note: {other:?}"),
        };
        rows.into_iter().map(row).collect()
    }

    /// Every connection is back in the pool, soon after the last handle was dropped.
    pub(crate) async fn assert_at_rest(&self) {
        let database = self.databases.get(Some("app")).unwrap();
        for _ in 0..200 {
            if database.stats().acquired == 0 && database.stats().waiting == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("connections are still in use: {:?}", database.stats());
    }
}

/// A gate for one call of a tenant.
pub(crate) fn gate(databases: &Databases, models: &Arc<Models>, tenant: Tenant) -> Gate {
    Gate::new(databases.clone(), models.clone(), Arc::new(tenant))
}

/// A tenant that may read and change its own notes, without their secrets.
pub(crate) fn tenant(id: i64) -> Tenant {
    Tenant::new(format!("tenant-{id}")).grant("app", Grant::read_write().table("note", notes(id)))
}

pub(crate) fn notes(tenant: i64) -> TableGrant {
    TableGrant::read_write()
        .read(ferro_wit::policy::FieldSet::Except(vec!["secret".into()]))
        .filter("tenant_id", tenant)
}

/// All rows of a query, through batches of two.
pub(crate) async fn rows(session: &Session, query: &Query) -> Vec<Vec<Value>> {
    let cursor = session.fetch(query, vec![]).await.unwrap();
    drain(cursor).await.unwrap()
}

pub(crate) async fn drain(mut cursor: ferro_session::Cursor) -> Result<Vec<Vec<Value>>, Error> {
    let mut rows = Vec::new();
    while let Some(batch) = cursor.next(2).await? {
        assert!((1..=2).contains(&batch.rows), "{} rows", batch.rows);
        for row in 0..batch.rows as usize {
            rows.push(batch.columns.iter().map(|column| column.get(row).unwrap()).collect());
        }
    }
    Ok(rows)
}

/// The texts of a query of one column.
pub(crate) async fn texts(session: &Session, query: &Query) -> Vec<String> {
    let text = |row: Vec<Value>| match <[Value; 1]>::try_from(row) {
        Ok([Value::Text(text)]) => text,
        other => panic!("not one text: {other:?}"),
    };
    rows(session, query).await.into_iter().map(text).collect()
}

#[track_caller]
pub(crate) fn assert_error<T>(outcome: Result<T, Error>, kind: ErrorKind, says: &str) -> Error {
    match outcome {
        Ok(_) => panic!("expected {kind}"),
        Err(error) => {
            assert_eq!(error.kind, kind, "{error:?}");
            assert!(error.message.contains(says), "`{}` does not say `{says}`", error.message);
            error
        }
    }
}

pub(crate) fn models(cache: &Arc<PlanCache>) -> (Models, Arc<AtomicUsize>) {
    let core = Core::default();
    (Models::new(&core, schema(), cache.clone()).unwrap(), core.compiles)
}

pub(crate) fn schema() -> Schema {
    let field = |name: &str, kind: serde_json::Value| {
        json!({
            "name": name, "kind": kind, "nullable": false, "unique": false, "indexed": false,
            "generated-key": name == "id", "version": false,
        })
    };
    let integer = || json!({ "integer": "big" });
    let text = || json!({ "text": null });
    let model = |name: &str, fields: serde_json::Value, indexes: serde_json::Value| {
        json!({
            "name": name, "fields": fields, "primary-key": ["id"], "foreign-keys": [],
            "many-to-manys": [], "indexes": indexes, "checks": [],
        })
    };
    let unique =
        |name: &str, fields: &[&str]| json!([{ "name": name, "fields": fields, "unique": true }]);
    let note = json!([
        field("id", integer()),
        field("tenant_id", integer()),
        field("title", text()),
        field("secret", text()),
    ]);
    let label = json!([field("id", integer()), field("name", text())]);
    let schema = json!({
        "models": [
            model("Note", note, unique("note_title", &["tenant_id", "title"])),
            model("Label", label, unique("label_name", &["name"])),
        ],
        "enums": [],
    });
    serde_json::from_value(schema).unwrap()
}
