//! What an application lends plugins besides databases.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ferro_build::Target;
use ferro_host::wasmtime::component::{HasSelf, Resource};
use ferro_host::wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use ferro_host::wasmtime_wasi::p2::bindings::clocks;
use ferro_host::{Error, ErrorKind, Guest, Host, HostBuilder, Limits, Plugin, Tenant};

use crate::support::{host, options};

mod world {
    ferro_host::wasmtime::component::bindgen!({
        path: ["../../wit", "../../tests/plugins/lent/wit"],
        world: "acme:crm/reminders",
        wasmtime_crate: ferro_host::wasmtime,
        imports: { "acme:crm/mail": async | trappable },
        exports: { default: async },
        with: {
            "ferro:orm/types": ferro_host::wit::types,
            "ferro:orm/schema": ferro_host::wit::schema,
            "ferro:orm/query": ferro_host::wit::query,
            "acme:crm/mail.bag": super::Bag,
        },
    });
}
use world::acme::crm::mail;

const MAIL: &str = "acme:crm/mail";
const CLOCKS: [&str; 2] = ["wasi:clocks/monotonic-clock", "wasi:clocks/wall-clock"];

#[expect(unreachable_pub, reason = "bindings export it again")]
pub struct Bag;

/// The data of the application.
#[derive(Default)]
struct Outbox {
    sent: AtomicU64,
}

impl mail::HostBag for Guest {
    async fn new(&mut self) -> wasmtime::Result<Resource<Bag>> {
        Ok(self.table().push(Bag)?)
    }

    async fn drop(&mut self, bag: Resource<Bag>) -> wasmtime::Result<()> {
        self.table().delete(bag)?;
        Ok(())
    }
}

impl mail::Host for Guest {
    async fn send(&mut self, to: String, _: String) -> wasmtime::Result<Result<u64, String>> {
        let Some(outbox) = self.data::<Outbox>() else { return Ok(Err("no outbox".into())) };
        if to == "nobody" {
            let message = format!("`{}` may write to nobody", self.tenant());
            return Err(wasmtime::Error::new(Error::new(ErrorKind::Denied, message)));
        }
        Ok(Ok(outbox.sent.fetch_add(1, Ordering::Relaxed) + 1))
    }

    async fn wait(&mut self) -> wasmtime::Result<()> {
        std::future::pending().await
    }

    async fn panic(&mut self) -> wasmtime::Result<()> {
        panic!("the application has a fault")
    }
}

fn lends_mail(builder: HostBuilder) -> HostBuilder {
    builder.lend([MAIL], |linker| mail::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest))
}

fn lends_all() -> HostBuilder {
    lends_mail(Host::builder(options())).lend(CLOCKS, |linker| {
        clocks::monotonic_clock::add_to_linker::<_, WasiClocks>(linker, Guest::clocks)?;
        clocks::wall_clock::add_to_linker::<_, WasiClocks>(linker, Guest::clocks)
    })
}

fn component() -> Vec<u8> {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let read = || {
        let path = ferro_build::component("ferro-test-lent", Target::Wasip2).unwrap();
        std::fs::read(path).unwrap()
    };
    BYTES.get_or_init(read).clone()
}

async fn plugin() -> Plugin {
    lends_all().build().unwrap().load_bytes("reminders", component()).await.unwrap()
}

fn tenant() -> Tenant {
    CLOCKS.into_iter().fold(Tenant::new("acme").import(MAIL), Tenant::import)
}

async fn failure(plugin: &Plugin, tenant: Tenant, call: &str) -> Error {
    plugin.call_wave(&Arc::new(tenant), call).await.unwrap_err()
}

#[tokio::test]
async fn a_plugin_calls_what_the_application_lends_with_the_data_of_the_call() {
    let (plugin, tenant) = (plugin().await, Arc::new(tenant()));
    let (first, second) = (Arc::new(Outbox::default()), Arc::new(Outbox::default()));
    let remind = r#"remind("ann@example.org", "pay")"#;
    let sends = plugin.with_data(Arc::clone(&first));
    assert_eq!(sends.call_wave(&tenant, remind).await.unwrap(), "ok(1)");
    assert_eq!(sends.call_wave(&tenant, remind).await.unwrap(), "ok(2)");
    let others = plugin.with_data(Arc::clone(&second));
    assert_eq!(others.call_wave(&tenant, remind).await.unwrap(), "ok(1)");
    assert_eq!((first.sent.load(Ordering::Relaxed), second.sent.load(Ordering::Relaxed)), (2, 1));
    let without = plugin.call_wave(&tenant, remind).await.unwrap();
    assert_eq!(without, r#"err("no outbox")"#);
    assert_eq!(plugin.with_data(tenant.clone()).call_wave(&tenant, remind).await.unwrap(), without);

    let now: u64 = plugin.call_wave(&tenant, "now()").await.unwrap().parse().unwrap();
    assert!(now > 1_700_000_000, "{now}");
}

#[tokio::test]
async fn typed_calls_have_the_data_too_and_may_run_in_a_task() {
    let plugin = plugin().await.with_data(Arc::new(Outbox::default()));
    let calls = tokio::spawn(async move {
        let mut guest = plugin.instantiate(&Arc::new(tenant())).await?;
        let reminders = guest.bind(world::Reminders::new)?;
        let calls = guest.run(async |store| {
            reminders.call_remind(&mut *store, "ann@example.org", "pay").await?.unwrap();
            reminders.call_remind(store, "ann@example.org", "now").await
        });
        calls.await.results
    });
    assert_eq!(calls.await.unwrap().unwrap(), Ok(2));
}

#[tokio::test]
async fn s1_a_tenant_imports_only_what_it_is_granted_of_what_is_lent() {
    let plugin = plugin().await.with_data(Arc::new(Outbox::default()));
    let remind = r#"remind("ann@example.org", "pay")"#;
    for (tenant, missing) in [
        (Tenant::new("acme"), MAIL),
        (Tenant::new("acme").import(CLOCKS[0]).import(CLOCKS[1]), MAIL),
        (Tenant::new("acme").import(MAIL).import(CLOCKS[0]), CLOCKS[1]),
        (Tenant::new("acme").import(MAIL).import("wasi:clocks").import(CLOCKS[1]), CLOCKS[0]),
    ] {
        let error = failure(&plugin, tenant, remind).await;
        assert_eq!(error.kind, ErrorKind::Denied, "{error}");
        assert!(error.message.contains(&format!("`{missing}`, which tenant `acme`")), "{error}");
    }
}

#[tokio::test]
async fn s1_what_the_host_does_not_lend_is_refused_by_its_name() {
    for (host, missing) in [
        (host(), "`acme:crm/mail@1.2.0`"),
        (lends_mail(Host::builder(options())).build().unwrap(), "`wasi:clocks/monotonic-clock@"),
    ] {
        let error = host.load_bytes("reminders", component()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied, "{error}");
        assert!(error.message.contains(missing), "{error}");
    }
}

#[tokio::test]
async fn s1_a_plugin_that_is_loaded_calls_nothing_that_is_lent() {
    let mut bytes = component();
    let quiet = b"describe: quiet";
    let at = bytes.windows(quiet.len()).position(|it| it == quiet).unwrap();
    bytes[at..at + quiet.len()].copy_from_slice(b"describe: sends");
    let error = lends_all().build().unwrap().load_bytes("reminders", bytes).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Internal, "{error}");
    assert!(error.message.contains("`acme:crm/mail@1.2.0#send`"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_lent_is_an_error_where_the_host_is_built() {
    let nothing = |name: &str| Host::builder(options()).lend([name], |_| Ok(()));
    let twice = lends_mail(lends_all());
    let shadows = Host::builder(options()).lend(["acme:crm/sql"], |linker| {
        linker.instance("ferro:orm/raw-sql@0.1.0")?.func_wrap("fetch", |_, (): ()| Ok(()))
    });
    for (builder, fault) in [
        (nothing("ferro:orm/database"), "plugins have it already"),
        (nothing("wasi:cli/stdout"), "plugins have it already"),
        (nothing("acme:crm/mail@1.2.0"), "name it without its version"),
        (twice, "`acme:crm/mail`: plugins have it already"),
        (shadows, "cannot lend `acme:crm/sql`: "),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidConfiguration, "{error}");
        assert!(error.message.contains(fault), "{error}");
    }
    // A name that nothing stands for is noticed where a plugin needs it.
    let host = nothing(MAIL).lend(CLOCKS, |_| Ok(())).build().unwrap();
    let error = host.load_bytes("reminders", component()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported, "{error}");
    assert!(error.message.contains("`acme:crm/mail@1.2.0`"), "{error}");
}

#[tokio::test]
async fn s2_the_deadline_covers_a_wait_for_what_is_lent() {
    let limits = Limits { deadline: Duration::from_millis(200), ..Limits::default() };
    let error = failure(&plugin().await, tenant().limits(limits), "wait()").await;
    assert_eq!(error.kind, ErrorKind::Timeout, "{error}");
}

#[tokio::test]
async fn s3_what_is_passed_to_what_is_lent_is_bounded() {
    let plugin = plugin().await.with_data(Arc::new(Outbox::default()));
    let limits = Limits { host_call_bytes: 1024 * 1024, handles: 64, ..Limits::default() };
    let limited = || tenant().limits(limits.clone());
    assert_eq!(plugin.call_wave(&Arc::new(limited()), "fill(1000)").await.unwrap(), "ok(1)");
    let error = failure(&plugin, limited(), "fill(2000000)").await;
    assert!(error.message.contains("`host-call-bytes`"), "{error}");
    assert_eq!(plugin.call_wave(&Arc::new(limited()), "hoard(40)").await.unwrap(), "");
    let error = failure(&plugin, limited(), "hoard(100)").await;
    assert!(error.message.contains("`handles`"), "{error}");
}

#[tokio::test]
async fn s4_a_fault_in_what_is_lent_ends_the_call_and_nothing_else() {
    let plugin = plugin().await.with_data(Arc::new(Outbox::default()));
    let error = failure(&plugin, tenant(), "panic()").await;
    assert_eq!(error.kind, ErrorKind::Internal, "{error}");
    let error = failure(&plugin, tenant(), r#"remind("nobody", "pay")"#).await;
    assert_eq!(error.kind, ErrorKind::Denied, "{error}");
    assert_eq!(error.message, "`acme` may write to nobody");
    assert_eq!(plugin.call_wave(&Arc::new(tenant()), "fill(3)").await.unwrap(), "ok(1)");
}
