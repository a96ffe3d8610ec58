//! Calls by value, in text and typed.

use std::sync::Arc;

use ferro_host::{ErrorKind, Grant, Tenant, Val};

use crate::support::{BACKENDS, Backend, bench, host_and_probe, insert_note, tenant};

mod world {
    wasmtime::component::bindgen!({
        path: ["../../wit", "../../tests/plugins/probe/wit"],
        world: "ferro:test/probe",
        exports: { default: async },
        with: {
            "ferro:orm/types": ferro_host::wit::types,
            "ferro:orm/schema": ferro_host::wit::schema,
            "ferro:orm/query": ferro_host::wit::query,
        },
    });
}

#[tokio::test]
async fn a_call_by_value_gives_values_and_what_it_took() {
    let bench = bench(Backend::Sqlite).await;
    let text = |text: &str| Val::String(text.into());
    let arguments = [text("app"), text("hello"), Val::Enum("commit".into())];
    let added = bench.plugin.call(&tenant(), "ferro:test/notes#add", &arguments).await;
    assert_eq!(added.results.unwrap(), [Val::Result(Ok(Some(Box::new(Val::U64(1)))))]);
    assert_eq!(added.usage.database.rows_written, 1);
    assert!(added.usage.memory > 0 && !added.usage.elapsed.is_zero(), "{:?}", added.usage);

    let found = bench.plugin.call(&tenant(), "notes#bodies", &[text("app")]).await;
    assert_eq!(found.to_wave().unwrap(), r#"ok(["hello"])"#);
    assert_eq!(found.usage.database.rows_read, 1);
}

#[tokio::test]
async fn a_call_in_text_takes_and_gives_records_options_and_results() {
    let (_host, plugin) = host_and_probe().await;
    let cases = [
        (r#"greet("é\n")"#, r#""hello é\n""#),
        ("mirror({x: 1, y: -2}, some(10))", "{x: -20, y: 10}"),
        ("mirror({x: 1, y: -2})", "{x: -2, y: 1}"),
        (r#"distinct(["a", "b", "a"])"#, "2"),
        (r#" fail ("why")"#, r#"err("why")"#),
        (r#"print("", "")"#, ""),
    ];
    for (call, result) in cases {
        assert_eq!(plugin.call_wave(&tenant(), call).await.unwrap(), result, "{call}");
    }
}

#[tokio::test]
async fn a_typed_call_uses_the_bindings_of_the_plugins_world() {
    let bench = bench(Backend::Sqlite).await;
    let mut guest = bench.plugin.instantiate(&tenant()).await.unwrap();
    let probe = guest.bind(world::Probe::new).unwrap();
    let notes = probe.ferro_test_notes();
    let commit = world::exports::ferro::test::notes::Ending::Commit;
    let calls = guest.run(async |store| {
        assert_eq!(notes.call_add(&mut *store, "app", "typed", commit).await?, Ok(1));
        let bodies = notes.call_bodies(&mut *store, "app").await?;
        assert_eq!(bodies, Ok(vec!["typed".to_owned()]));
        notes.call_count(store, "other").await
    });
    let outcome = calls.await;
    let error = outcome.results.unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied, "{error}");
    assert_eq!(outcome.usage.database.rows_read, 1);
}

#[tokio::test]
async fn s5_a_call_sees_nothing_of_the_last_one() {
    let (_host, plugin) = host_and_probe().await;
    for _ in 0..3 {
        assert_eq!(plugin.call_wave(&tenant(), "calls()").await.unwrap(), "1");
    }
    let mut guest = plugin.instantiate(&tenant()).await.unwrap();
    let probe = guest.bind(world::Probe::new).unwrap();
    let calls = guest.run(async |store| {
        for expected in 1..=3 {
            let calls = probe.call_calls(&mut *store).await?;
            assert_eq!(calls, expected, "one instance keeps its state");
        }
        Ok(())
    });
    calls.await.results.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_at_once_wait_for_their_turn() {
    for backend in BACKENDS {
        let bench = bench(backend).await;
        let calls: Vec<_> = (0..40)
            .map(|index| {
                let plugin = bench.plugin.clone();
                let call = format!(r#"notes#add("app", "{index}", commit)"#);
                tokio::spawn(async move { plugin.call_wave(&tenant(), &call).await })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap(), "ok(1)", "{backend:?}");
        }
        assert_eq!(bench.call(r#"notes#count("app")"#).await, "ok(40)");
        bench.at_rest().await;
    }
}

#[tokio::test]
async fn many_rows_that_a_plugin_inserts_give_back_their_keys() {
    for backend in BACKENDS {
        let bench = bench(backend).await;
        let add = r#"notes#add-all("app", ["b", "a", "c"])"#;
        assert_eq!(bench.call(add).await, "ok([1, 2, 3])", "{backend:?}");
        assert_eq!(bench.call(r#"notes#bodies("app")"#).await, r#"ok(["b", "a", "c"])"#);
        let grant = Arc::new(Tenant::new("reader").grant("app", Grant::read_only()));
        let refused = bench.plugin.call_wave(&grant, add).await.unwrap();
        assert!(refused.starts_with("err({kind: read-only"), "{refused}");
        bench.at_rest().await;
    }
}

#[tokio::test]
async fn a_call_that_does_not_fit_names_what_would() {
    let (_host, plugin) = host_and_probe().await;
    let cases = [
        ("grete(\"x\")", ErrorKind::NotFound, "`grete`; the exports are"),
        ("greet(3)", ErrorKind::TypeMismatch, "`greet(name: string)`"),
        ("greet(\"a\", \"b\")", ErrorKind::TypeMismatch, "`greet(name: string)`"),
        ("greet(\"a", ErrorKind::TypeMismatch, "`greet(name: string)`"),
        ("greet", ErrorKind::TypeMismatch, "no params provided, but 1 required"),
    ];
    for (call, kind, message) in cases {
        let error = plugin.call_wave(&tenant(), call).await.unwrap_err();
        assert_eq!(error.kind, kind, "{call}: {error}");
        assert!(error.message.contains(message), "{call}: {error}");
        assert!(!error.message.contains("at `f"), "{call}: {error}");
    }
    for arguments in [vec![], vec![Val::U32(1)]] {
        let error = plugin.call(&tenant(), "greet", &arguments).await.results.unwrap_err();
        assert_eq!(error.kind, ErrorKind::TypeMismatch, "{error}");
    }
}

#[tokio::test]
async fn an_application_runs_a_plugins_models_natively() {
    let bench = bench(Backend::Sqlite).await;
    let session = bench.host.session("app", bench.plugin.models()).unwrap();
    let session: Box<dyn ferro_wit::Session> = Box::new(session);
    assert_eq!(session.execute(insert_note(), vec!["native".into()]).await.unwrap(), 1);
    assert_eq!(bench.call(r#"notes#bodies("app")"#).await, r#"ok(["native"])"#);
}
