//! The example server, over HTTP: two tenants at once, one of them hostile, and a plugin that is
//! replaced while it serves.

#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

#[path = "../examples/server/app.rs"]
mod app;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ferro_build::{Target, component};
use ferro_host::{ConnectOptions, Database, Host, HostOptions, TenantFile};
use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::app::App;

const TENANTS: &str = r#"
    [honest.grants.app]
    access = "read-write"
    tables.note = { insert = true, filters.body = "honest" }

    # Time enough for a machine that has other work.
    [honest.limits]
    deadline = 60
    statement-timeout = 60
    transaction-timeout = 60
    acquire-timeout = 60

    [hostile.grants.app]
    access = "read-write"
    tables.note = { insert = true, update = true, delete = true, filters.body = "hostile" }

    [hostile.limits]
    deadline = 1
    memory = 8_388_608
    calls = 2
    queued-calls = 2
"#;

struct Server {
    address: SocketAddr,
    database: Database,
    plugins: TempDir,
}

impl Server {
    /// On a database in a file, if there is no URL.
    async fn start(url: Option<String>) -> Self {
        let plugins = tempfile::tempdir().unwrap();
        let probe = component("ferro-test-probe", Target::Wasip2).unwrap();
        for tenant in ["honest", "hostile"] {
            fs::copy(&probe, plugin(plugins.path(), tenant)).unwrap();
        }
        let file = plugins.path().join("app.db");
        let url = url.unwrap_or_else(|| format!("sqlite:{}?mode=rwc", file.display()));
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ferro-host-cache");
        let host = Host::new(HostOptions { cache: Some(cache), ..HostOptions::default() }).unwrap();
        let mut options = ConnectOptions::default();
        options.pool.acquire_timeout = Duration::from_secs(60);
        let database = host.databases().connect("app", &url, &options).await.unwrap();
        host.create_tables(&host.load(&probe).await.unwrap(), "app").await.unwrap();
        let tenants: TenantFile = toml::from_str(TENANTS).unwrap();
        let app = App::new(host, plugins.path().to_owned(), tenants).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async { axum::serve(listener, app.routes()).await });
        Self { address, database, plugins }
    }

    /// The status and the body of the answer.
    async fn post(&self, path: &str, tenant: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: test\r\nx-tenant: {tenant}\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.trim_end().to_owned())
    }

    async fn call(&self, tenant: &str, call: &str) -> (u16, String) {
        self.post("/call", tenant, call).await
    }

    async fn reload(&self, tenant: &str) -> (u16, String) {
        self.post("/reload", tenant, "").await
    }

    fn plugin(&self, tenant: &str) -> PathBuf {
        plugin(self.plugins.path(), tenant)
    }

    /// No connection is lost.
    async fn at_rest(&self) {
        let started = Instant::now();
        while self.database.stats().acquired > 0 {
            assert!(started.elapsed() < Duration::from_secs(10), "{:?}", self.database.stats());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn plugin(folder: &Path, tenant: &str) -> PathBuf {
    folder.join(tenant).with_extension("wasm")
}

fn ok(result: &str) -> (u16, String) {
    (200, result.to_owned())
}

async fn an_honest_tenant_is_served_beside_a_hostile_one(url: Option<String>) {
    let server = Server::start(url).await;
    assert_eq!(server.call("hostile", r#"notes#add("app", "hostile", commit)"#).await, ok("ok(1)"));
    let attacks = async {
        let one_by_one = [
            ("spin()", 504),
            (r#"panic("told to")"#, 500),
            (r#"notes#add("app", "hostile", trap)"#, 500),
            (r#"notes#add("app", "hostile", hoard)"#, 422),
            (r#"notes#add("app", "hostile", spin)"#, 504),
        ];
        for (call, expected) in one_by_one {
            let (status, body) = server.call("hostile", call).await;
            assert_eq!(status, expected, "{call}: {body}");
        }
        // An error that its plugin returns is an answer. The row of another is none of its own.
        let (status, body) = server.call("hostile", r#"notes#add("app", "honest", commit)"#).await;
        assert!(status == 200 && body.starts_with("err("), "{body}");
        let flood = ["spin()"; 12].map(|call| server.call("hostile", call));
        let statuses = join_all(flood).await.into_iter().map(|(status, _)| status);
        assert!(statuses.filter(|it| *it == 503).count() >= 8, "nobody is told to come later");
    };
    let honest = async {
        for number in 1..=20 {
            let add = server.call("honest", r#"notes#add("app", "honest", commit)"#).await;
            assert_eq!(add, ok("ok(1)"));
            let count = server.call("honest", r#"notes#count("app")"#).await;
            assert_eq!(count, ok(&format!("ok({number})")));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::join!(attacks, honest);
    let seen = server.call("hostile", r#"notes#bodies("app")"#).await;
    assert_eq!(seen, ok(r#"ok(["hostile"])"#));
    server.at_rest().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_tenant_is_served_beside_a_hostile_one_on_sqlite() {
    an_honest_tenant_is_served_beside_a_hostile_one(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_tenant_is_served_beside_a_hostile_one_on_postgres() {
    let url = ferro_test_support::postgres::url();
    an_honest_tenant_is_served_beside_a_hostile_one(Some(url)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_is_replaced_while_calls_of_it_run() {
    let server = Server::start(None).await;
    let other = component("ferro-test-scan", Target::Unknown).unwrap();
    assert_eq!(server.call("hostile", "calls()").await, ok("1"));
    let (running, ()) = tokio::join!(server.call("hostile", "spin()"), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        // What is no plugin replaces none.
        fs::write(server.plugin("hostile"), "no component").unwrap();
        assert_eq!(server.reload("hostile").await.0, 500);
        assert_eq!(server.call("hostile", "calls()").await, ok("1"));
        fs::copy(other, server.plugin("hostile")).unwrap();
        assert_eq!(server.reload("hostile").await, ok("reloaded"));
        assert_eq!(server.call("hostile", "nothing()").await, ok("0"));
    });
    // It ended at its deadline, and not by the reload.
    assert_eq!(running.0, 504, "{running:?}");
    assert_eq!(server.call("hostile", "calls()").await.0, 404);
    // Another tenant's plugin is its own.
    assert_eq!(server.call("honest", "calls()").await, ok("1"));
}

#[tokio::test]
async fn who_is_no_tenant_is_not_served() {
    let server = Server::start(None).await;
    assert_eq!(server.call("stranger", "calls()").await.0, 401);
    assert_eq!(server.reload("stranger").await.0, 401);
    assert_eq!(server.call("honest", "no-such()").await.0, 404);
    assert_eq!(server.call("honest", "greet(1)").await.0, 400);
}
