//! What a call leaves behind when it ends badly: nothing.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ferro_build::Target;
use ferro_host::{Error, ErrorKind, Grant, Host, HostOptions, Limits, Tenant};
use ferro_wit::types::TransactionOptions;

use crate::support::{BACKENDS, Backend, bench, options, probe, tenant, tenant_with};

#[tokio::test]
async fn s2_p1_a_fault_in_a_transaction_rolls_it_back_and_gives_the_connection_back() {
    let endings = [
        ("trap", ErrorKind::Internal, "trapped"),
        ("spin", ErrorKind::Timeout, "`deadline` of 0.4 s"),
        ("hoard", ErrorKind::LimitExceeded, "`memory`: 16777216 bytes"),
    ];
    let limits =
        || Limits { deadline: Duration::from_millis(400), memory: 16 << 20, ..Limits::default() };
    for backend in BACKENDS {
        let bench = bench(backend).await;
        assert_eq!(bench.call(r#"notes#add("app", "kept", commit)"#).await, "ok(1)");
        for (ending, kind, message) in endings {
            let call = format!(r#"notes#add("app", "lost", {ending})"#);
            let error = bench.plugin.call_wave(&tenant_with(limits()), &call).await.unwrap_err();
            assert_eq!(error.kind, kind, "{backend:?}, {ending}: {error}");
            assert!(error.message.contains(message), "{backend:?}, {ending}: {error}");
            let code = (ending == "trap").then_some(Error::PLUGIN_TRAPPED);
            assert_eq!(error.code.as_deref(), code, "{backend:?}, {ending}");
            bench.at_rest().await;
            assert_eq!(bench.call(r#"notes#bodies("app")"#).await, r#"ok(["kept"])"#);
        }
    }
}

#[tokio::test]
async fn p1_a_forgotten_transaction_rolls_back() {
    for backend in BACKENDS {
        let bench = bench(backend).await;
        for ending in ["forget", "rollback"] {
            let call = format!(r#"notes#add("app", "lost", {ending})"#);
            assert_eq!(bench.call(&call).await, "ok(1)");
        }
        bench.at_rest().await;
        assert_eq!(bench.call(r#"notes#count("app")"#).await, "ok(0)");
    }
}

#[tokio::test]
async fn p1_a_cancelled_call_rolls_back() {
    for backend in BACKENDS {
        let bench = bench(backend).await;
        let tenant = tenant();
        let call = bench.plugin.call_wave(&tenant, r#"notes#add("app", "lost", spin)"#);
        assert!(tokio::time::timeout(Duration::from_millis(300), call).await.is_err());
        bench.at_rest().await;
        assert_eq!(bench.call(r#"notes#count("app")"#).await, "ok(0)");
    }
}

#[tokio::test]
async fn s2_the_deadline_covers_a_wait_for_the_database() {
    let component = ferro_build::component("ferro-test-raw", Target::Wasip2).unwrap();
    let limits = Limits { deadline: Duration::from_millis(500), ..Limits::default() };
    let grant = Grant::read_write().with_unfenced_raw_sql();
    let hasty = Arc::new(Tenant::new("hasty").grant("app", grant).limits(limits));
    for backend in BACKENDS {
        let bench = bench(backend).await;
        let raw = bench.host.load(&component).await.unwrap();
        let call = match backend {
            Backend::Sqlite => r#"execute("app", "INSERT INTO note (body) VALUES ('late')")"#,
            Backend::Postgres => r#"rows("app", "SELECT pg_sleep(20)::text")"#,
        };
        // On SQLite, the write waits for this one.
        let session = bench.host.session("app", bench.plugin.models()).unwrap();
        let options = TransactionOptions { immediate: true, ..TransactionOptions::default() };
        let writer = session.begin(options).await.unwrap();

        let started = Instant::now();
        let error = raw.call_wave(&hasty, call).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Timeout, "{backend:?}: {error}");
        assert!(error.message.contains("`deadline`"), "{backend:?}: {error}");
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        writer.rollback().await.unwrap();
        bench.at_rest().await;
        assert_eq!(bench.call(r#"notes#count("app")"#).await, "ok(0)");
    }
}

#[tokio::test]
async fn s2_a_spinning_guest_lets_other_tasks_run() {
    let bench = bench(Backend::Sqlite).await;
    let limits = Limits { deadline: Duration::from_millis(500), ..Limits::default() };
    let spinning = tenant_with(limits);
    let spin = bench.plugin.call_wave(&spinning, r#"notes#add("app", "lost", spin)"#);
    // Both share this thread.
    let neighbour = async {
        let started = Instant::now();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(bench.call(r#"greet("you")"#).await, r#""hello you""#);
        started.elapsed()
    };
    let (spun, waited) = tokio::join!(spin, neighbour);
    assert_eq!(spun.unwrap_err().kind, ErrorKind::Timeout);
    assert!(waited < Duration::from_millis(300), "the neighbour waited for {waited:?}");
}

#[tokio::test]
async fn s3_handles_and_bytes_are_bounded() {
    let bench = bench(Backend::Sqlite).await;
    let few = tenant_with(Limits { sessions: 1000, handles: 20, ..Limits::default() });
    let result = bench.plugin.call_wave(&few, r#"notes#open("app", 100)"#).await.unwrap();
    assert!(result.contains("limit-exceeded") && result.contains("`handles`"), "{result}");

    // Those of WASI, in which a guest prints, are of the same table.
    for handles in [0, 1] {
        let none = tenant_with(Limits { handles, ..Limits::default() });
        let error = bench.plugin.call_wave(&none, r#"print("a", "b")"#).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::LimitExceeded, "{error}");
        assert!(error.message.contains("`handles`"), "{error}");
    }

    let small = tenant_with(Limits { host_call_bytes: 10_000, ..Limits::default() });
    let call = format!(r#"notes#add("app", "{}", commit)"#, "x".repeat(20_000));
    let error = bench.plugin.call_wave(&small, &call).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::LimitExceeded, "{error}");
    assert!(error.message.contains("`host-call-bytes`"), "{error}");
    // What an export returns counts, too.
    let call = format!(r#"greet("{}")"#, "x".repeat(20_000));
    let error = bench.plugin.call_wave(&small, &call).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::LimitExceeded, "{error}");
    assert!(error.message.contains("or return less"), "{error}");
    bench.at_rest().await;
    assert_eq!(bench.call(r#"notes#count("app")"#).await, "ok(0)");
}

#[tokio::test]
async fn s3_a_plugin_of_more_instances_than_its_tenant_may_have_is_not_called() {
    let (_host, plugin) = crate::support::host_and_probe().await;
    for instances in [0, 1] {
        let few = tenant_with(Limits { instances, ..Limits::default() });
        let error = plugin.call_wave(&few, "calls()").await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::LimitExceeded, "{error}");
        assert!(error.message.contains("`instances`"), "{error}");
    }
}

#[tokio::test]
async fn s2_a_deadline_of_nothing_lets_nothing_run() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let bench = bench(backend).await;
        let late = tenant_with(Limits { deadline: Duration::ZERO, ..Limits::default() });
        for call in ["calls()", r#"notes#add("app", "late", commit)"#] {
            let error = bench.plugin.call_wave(&late, call).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Timeout, "{error}");
        }
        assert_eq!(bench.call(r#"notes#count("app")"#).await, "ok(0)");
    }
}

#[test]
fn a_host_without_instances_or_compilers_is_refused() {
    let none = [
        ("instances", HostOptions { instances: 0, ..options() }),
        ("compilers", HostOptions { compilers: 0, ..options() }),
    ];
    for (name, options) in none {
        let error = Host::new(options).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidConfiguration, "{error}");
        assert!(error.message.contains(&format!("`{name}` is 0")), "{error}");
    }
}

#[tokio::test]
async fn p4_a_call_without_a_permit_is_busy_and_others_go_on() {
    let host = Host::new(HostOptions { instances: 1, ..options() }).unwrap();
    let plugin = host.load(probe()).await.unwrap();
    let limits = Limits {
        deadline: Duration::from_millis(600),
        acquire_timeout: Duration::from_millis(100),
        ..Limits::default()
    };
    let tenant = tenant_with(limits);
    let (spun, refused) = tokio::join!(plugin.call_wave(&tenant, "spin()"), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        plugin.call_wave(&tenant, "calls()").await
    });
    assert_eq!(spun.unwrap_err().kind, ErrorKind::Timeout);
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Busy, "{refused}");
    assert!(refused.retryable);
    assert_eq!(plugin.call_wave(&tenant, "calls()").await.unwrap(), "1");
}

#[tokio::test]
async fn p4_a_tenant_with_too_many_calls_is_busy_and_others_go_on() {
    let (_host, plugin) = crate::support::host_and_probe().await;
    let neighbour = tenant();
    let limits = Limits {
        deadline: Duration::from_secs(60),
        acquire_timeout: Duration::from_millis(500),
        calls: 2,
        queued_calls: 1,
        ..Limits::default()
    };
    let greedy = Arc::new(Tenant::new("greedy").limits(limits));
    let call = || plugin.call_wave(&greedy, "spin()");
    let is_busy = |outcome: Result<String, Error>| {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Busy, "{error}");
        assert!(error.retryable && error.message.contains("`calls`: 2 at once"), "{error}");
    };
    let mut spinning = Box::pin(async { tokio::join!(call(), call()) });
    let mut waits = pin!(call());
    tokio::select! {
        biased;
        _ = &mut spinning => panic!("nobody has stopped it"),
        _ = &mut waits => panic!("it did not wait"),
        // The one past the queue is told at once, while one waits for as long as it may.
        refused = call() => is_busy(refused),
    }
    tokio::select! {
        biased;
        _ = &mut spinning => panic!("nobody has stopped it"),
        // The neighbour has not to wait for any of them.
        (waited, served) = async { tokio::join!(waits, plugin.call_wave(&neighbour, "calls()")) } => {
            is_busy(waited);
            assert_eq!(served.unwrap(), "1");
        }
    }
    drop(spinning);
    assert_eq!(plugin.call_wave(&greedy, "calls()").await.unwrap(), "1");
}
