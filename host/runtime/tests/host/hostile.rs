//! A plugin that breaks what it can: its call ends in an error, and nobody else notices.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use ferro_build::Target;
use ferro_host::{Error, ErrorKind, Grant, Limits, Plugin, Tenant};

use crate::support::{BACKENDS, Backend, Bench, bench, host};

fn hostile() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| ferro_build::component("ferro-test-hostile", Target::Wasip2).unwrap())
}

/// A plugin with all that a grant can give, so that its limits alone hold it.
struct Attack {
    bench: Bench,
    plugin: Plugin,
}

impl Attack {
    async fn on(backend: Backend) -> Self {
        let bench = bench(backend).await;
        let plugin = bench.host.load(hostile()).await.unwrap();
        Self { bench, plugin }
    }

    async fn call(&self, limits: Limits, call: &str) -> Result<String, Error> {
        let grant = Grant::read_write().with_unfenced_raw_sql();
        let tenant = Tenant::new("hostile").grant("app", grant).limits(limits);
        self.plugin.call_wave(&Arc::new(tenant), call).await
    }

    /// The connections are back, and a neighbour is served in time.
    async fn leaves_no_trace(&self) {
        self.bench.at_rest().await;
        let started = Instant::now();
        assert_eq!(self.bench.call(r#"notes#count("app")"#).await, "ok(0)");
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    }
}

fn limits() -> Limits {
    Limits { deadline: Duration::from_secs(20), ..Limits::default() }
}

#[tokio::test]
async fn s2_a_start_function_without_end_is_ended_where_a_plugin_is_loaded() {
    let start = ferro_build::component("ferro-test-start", Target::Wasip2).unwrap();
    let started = Instant::now();
    let error = host().load(&start).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Timeout, "{error}");
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

#[tokio::test]
async fn s4_recursion_without_end_is_an_error_of_the_call() {
    let attack = Attack::on(Backend::Sqlite).await;
    assert_eq!(attack.call(limits(), "recurse(100)").await.unwrap(), "100");
    let error = attack.call(limits(), "recurse(4000000)").await.unwrap_err();
    assert!(error.message.contains("trapped"), "{error}");
    attack.leaves_no_trace().await;
}

#[tokio::test]
async fn s4_a_handle_that_nobody_lent_ends_the_call_and_nothing_else() {
    for backend in BACKENDS {
        let attack = Attack::on(backend).await;
        for what in ["session", "cursor", "kind", "dropped", "consumed"] {
            let call = format!(r#"forge("app", "SELECT body FROM note", {what})"#);
            let error = attack.call(limits(), &call).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Internal, "{what}: {error}");
            assert!(error.message.contains("handle"), "{what}: {error}");
            attack.leaves_no_trace().await;
        }
    }
}

#[tokio::test]
async fn s3_what_is_held_is_counted_and_freed_with_the_call() {
    for backend in BACKENDS {
        let attack = Attack::on(backend).await;
        for (call, limit) in [
            (r#"hold-cursors("app", "SELECT body FROM note", 100)"#, "cursors"),
            (r#"hold-transactions("app", 100)"#, "sessions"),
        ] {
            let outcome = attack.call(limits(), call).await.unwrap();
            let is_limit = outcome.contains("limit-exceeded") && outcome.contains(limit);
            // A pool may be smaller than the limit on cursors that hold its connections.
            assert!(is_limit || outcome.contains("busy"), "{call}: {outcome}");
            attack.leaves_no_trace().await;
        }
        let call = r#"hold-cursors("app", "SELECT body FROM note", 3)"#;
        assert_eq!(attack.call(limits(), call).await.unwrap(), "ok(3)");
        assert_eq!(attack.call(limits(), r#"hold-transactions("app", 3)"#).await.unwrap(), "ok(3)");
        attack.leaves_no_trace().await;
    }
}

#[tokio::test]
async fn s3_nothing_huge_comes_through_any_import() {
    for backend in BACKENDS {
        let attack = Attack::on(backend).await;
        for door in ["label", "name", "nodes", "text", "parameters", "rows", "sql", "output"] {
            for (bytes, limits) in [
                // More than a call of the host takes, then as much as it takes.
                (20 << 20, Limits { memory: 256 << 20, ..limits() }),
                (3 << 20, limits()),
            ] {
                let call = format!(r#"send("app", {door}, {bytes})"#);
                let outcome = attack.call(limits, &call).await;
                let said = match &outcome {
                    Ok(outcome) => outcome.clone(),
                    Err(error) => error.to_string(),
                };
                let too_much =
                    outcome.as_ref().is_err_and(|it| it.kind == ErrorKind::LimitExceeded);
                let refused = said.starts_with("err(");
                // What is logged is cut, and a text of some megabytes is one to a database.
                let harmless = said == format!("ok({bytes})")
                    && (door == "output" || (bytes < 8 << 20 && ["text", "sql"].contains(&door)));
                let ended = too_much || refused || harmless;
                assert!(ended, "{backend:?}, {door}, {bytes}: {}", &said[..said.len().min(300)]);
            }
            attack.leaves_no_trace().await;
        }
    }
}

#[tokio::test]
async fn r3_no_text_ends_the_transaction_of_the_host_or_changes_who_it_runs_as() {
    for backend in BACKENDS {
        let attack = Attack::on(backend).await;
        let texts = [
            "COMMIT",
            "ROLLBACK",
            "END",
            "BEGIN",
            "RELEASE ferro_1",
            "SAVEPOINT ferro_1",
            "ROLLBACK TO SAVEPOINT ferro_1",
            "/* */ COMMIT -- ",
            "SELECT 1; COMMIT",
            "RESET ROLE",
            "RESET ALL",
            "SET ROLE postgres",
            "SET SESSION AUTHORIZATION DEFAULT",
            "SET search_path = pg_temp",
            "DISCARD ALL",
            "COPY note TO PROGRAM 'cat > /tmp/x'",
            "COPY note FROM '/etc/passwd'",
            "COPY note TO STDOUT",
            "PREPARE x AS SELECT 1",
            "LISTEN x",
            "LOAD 'x'",
        ];
        let list: Vec<_> = texts.iter().map(|it| format!("{it:?}")).collect();
        let call = format!(r#"run("app", [{}])"#, list.join(", "));
        assert_eq!(attack.call(limits(), &call).await.unwrap(), "ok(0)", "{backend:?}");
        attack.leaves_no_trace().await;
    }
}
