//! A host, the test plugin, and a database of each kind.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ferro_build::Target;
use ferro_host::{ConnectOptions, Database, Grant, Host, HostOptions, Limits, Plugin, Tenant};
use ferro_wit::query::{Insert, Query, RowSource, Statement};

/// The component of the test plugin.
pub(crate) fn probe() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| ferro_build::component("ferro-test-probe", Target::Wasip2).unwrap())
}

/// A host with few instances.
pub(crate) fn host() -> Host {
    Host::new(options()).unwrap()
}

/// Options with a cache that all tests share.
pub(crate) fn options() -> HostOptions {
    let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("ferro-host-cache");
    HostOptions { cache: Some(cache), instances: 8, ..HostOptions::default() }
}

pub(crate) async fn host_and_probe() -> (Host, Plugin) {
    let host = host();
    let plugin = host.load(probe()).await.unwrap();
    (host, plugin)
}

/// Which database a test runs on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

pub(crate) const BACKENDS: [Backend; 2] = [Backend::Sqlite, Backend::Postgres];

/// A host with the plugin and its table in a fresh database, `app`.
pub(crate) struct Bench {
    pub(crate) host: Host,
    pub(crate) plugin: Plugin,
    pub(crate) database: Database,
    _folder: tempfile::TempDir,
}

pub(crate) async fn bench(backend: Backend) -> Bench {
    let (host, plugin) = host_and_probe().await;
    let folder = tempfile::tempdir().unwrap();
    let url = match backend {
        Backend::Sqlite => format!("sqlite:{}?mode=rwc", folder.path().join("app.db").display()),
        Backend::Postgres => ferro_test_support::postgres::url(),
    };
    let database = host.databases().connect("app", &url, &ConnectOptions::default()).await.unwrap();
    host.create_tables(&plugin, "app").await.unwrap();
    Bench { host, plugin, database, _folder: folder }
}

/// A tenant that may do everything in `app`, within limits that a test can wait for.
/// Inserts a note of the probe's with the body that is passed.
pub(crate) fn insert_note() -> Query {
    let insert = Insert {
        model: "note".into(),
        fields: vec!["body".into()],
        source: RowSource::Parameters,
        conflict: None,
        returning: None,
    };
    Query { nodes: vec![], selects: vec![], common: vec![], statement: Statement::Insert(insert) }
}

pub(crate) fn tenant() -> Arc<Tenant> {
    tenant_with(Limits { deadline: Duration::from_secs(30), ..Limits::default() })
}

pub(crate) fn tenant_with(limits: Limits) -> Arc<Tenant> {
    Arc::new(Tenant::new("acme").grant("app", Grant::read_write()).limits(limits))
}

impl Bench {
    /// The result of a call that goes well.
    pub(crate) async fn call(&self, call: &str) -> String {
        self.plugin.call_wave(&tenant(), call).await.unwrap()
    }

    /// Waits until the pool has all of its connections back.
    pub(crate) async fn at_rest(&self) {
        for _ in 0..200 {
            if self.database.stats().acquired == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("a connection is still out: {:?}", self.database.stats());
    }
}
