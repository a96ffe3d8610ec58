//! Two tenants, one plugin, one database.

use std::sync::Arc;
use std::time::Duration;

use ferro_host::{ErrorKind, Grant, HostOptions, Limits, TableGrant, Tenant};

use crate::support::{BACKENDS, bench, host_and_probe, insert_note};

#[tokio::test]
async fn each_tenant_has_what_it_is_granted() {
    for backend in BACKENDS {
        let bench = bench(backend).await;
        for body in ["mine", "yours"] {
            bench.call(&format!(r#"notes#add("app", "{body}", commit)"#)).await;
        }
        let own = TableGrant::read_write().filter("body", "mine");
        let owner = Arc::new(Tenant::new("a").grant("app", Grant::read_write().table("note", own)));
        let reader = Arc::new(Tenant::new("b").grant("app", Grant::read_only()));
        let stranger = Arc::new(Tenant::new("c").grant("elsewhere", Grant::read_write()));
        let plugin = &bench.plugin;

        let bodies = r#"notes#bodies("app")"#;
        assert_eq!(plugin.call_wave(&owner, bodies).await.unwrap(), r#"ok(["mine"])"#);
        assert_eq!(plugin.call_wave(&reader, bodies).await.unwrap(), r#"ok(["mine", "yours"])"#);
        let denied = plugin.call_wave(&stranger, bodies).await.unwrap();
        assert!(denied.starts_with("err({kind: denied"), "{denied}");

        let add = r#"notes#add("app", "more", commit)"#;
        let refused = plugin.call_wave(&reader, add).await.unwrap();
        assert!(refused.starts_with("err({kind: read-only"), "{refused}");
        assert_eq!(bench.call(r#"notes#count("app")"#).await, "ok(2)");
        bench.at_rest().await;
    }
}

#[tokio::test]
async fn an_application_works_for_a_tenant_within_its_filters() {
    for backend in BACKENDS {
        let bench = bench(backend).await;
        let own = TableGrant::read_write().filter("body", "mine");
        let owner = Arc::new(Tenant::new("a").grant("app", Grant::read_write().table("note", own)));
        let models = bench.plugin.models();
        let session = bench.host.scoped_session(&owner, "app", models).unwrap();
        let session: Box<dyn ferro_wit::Session> = Box::new(session);
        let error = session.execute(insert_note(), vec!["yours".into()]).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied, "{error}");
        assert_eq!(session.execute(insert_note(), vec!["mine".into()]).await.unwrap(), 1);
        assert_eq!(bench.call(r#"notes#bodies("app")"#).await, r#"ok(["mine"])"#);
        let stranger = Arc::new(Tenant::new("b"));
        let denied = bench.host.scoped_session(&stranger, "app", models).map(drop).unwrap_err();
        assert_eq!(denied.kind, ErrorKind::Denied);
        drop(session);
        bench.at_rest().await;
    }
}

#[tokio::test]
async fn k2_a_label_that_is_not_granted_looks_like_one_that_is_not_there() {
    let bench = bench(crate::support::Backend::Sqlite).await;
    let stranger = Arc::new(Tenant::new("c"));
    let answer = async |label: &str| {
        let call = format!(r#"notes#count("{label}")"#);
        bench.plugin.call_wave(&stranger, &call).await.unwrap()
    };
    assert_eq!(answer("app").await, answer("nowhere").await.replace("nowhere", "app"));
}

/// Of eight instances, three tenants that ask for more than all leave one.
#[tokio::test]
async fn p4_tenants_that_have_all_instances_they_get_leave_one_to_who_has_none() {
    let (_host, plugin) = host_and_probe().await;
    let mut hoard = Vec::new();
    for name in ["a", "b", "c"] {
        let acquire_timeout = Duration::from_millis(50);
        let limits = Limits { acquire_timeout, ..Limits::default() };
        let greedy = Arc::new(Tenant::new(name).limits(limits));
        let error = loop {
            match plugin.instantiate(&greedy).await {
                Ok(guest) => hoard.push(guest),
                Err(error) => break error,
            }
        };
        assert_eq!((error.kind, error.retryable), (ErrorKind::Busy, true), "{error}");
        assert!(error.message.contains("of the 8 instances"), "{error}");
    }
    assert!(hoard.len() > 4, "{}", hoard.len());
    let modest = Arc::new(Tenant::new("modest"));
    assert_eq!(plugin.call_wave(&modest, "calls()").await.unwrap(), "1");
}

/// A machine has threads that the runtime does not use.
#[test]
fn p4_threads_are_those_of_the_runtime() {
    for workers in [1, 6] {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(workers).build().unwrap();
        let threads = runtime.block_on(async { HostOptions::default().threads_per_tenant });
        assert_eq!(threads, (workers / 2).max(1));
    }
    let (machine, host) =
        (std::thread::available_parallelism().unwrap().get(), HostOptions::default());
    assert_eq!(host.threads_per_tenant, (machine / 2).max(1));
}
