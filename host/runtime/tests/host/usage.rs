//! What calls use: limited, given back, and told to the operator.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ferro_host::{CallUsage, ErrorKind, Host, HostOptions, Limits, Plugin, Tenant, Val};
use ferro_wit::types::TransactionOptions;
use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use parking_lot::Mutex;
use tracing::Event;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use crate::support::{Backend, bench, options, probe, tenant, tenant_with};

/// A host that meters fuel, and the test plugin.
async fn metering() -> (Host, Plugin) {
    let host = Host::new(HostOptions { fuel: true, ..options() }).unwrap();
    let plugin = host.load(probe()).await.unwrap();
    (host, plugin)
}

#[tokio::test]
async fn fuel_is_counted_exactly_where_the_host_meters_it() {
    let (_host, plugin) = metering().await;
    let used = async |name: &str| {
        let outcome = plugin.call(&tenant(), "greet", &[Val::String(name.into())]).await;
        outcome.usage.fuel.unwrap()
    };
    let (one, two, longer) = (used("you").await, used("you").await, used("everybody").await);
    assert!(one > 100 && one == two, "{one}, {two}");
    assert_ne!(one, longer);
}

#[tokio::test]
async fn s2_fuel_that_is_used_up_ends_the_call() {
    let (_host, plugin) = metering().await;
    let some = tenant_with(Limits { fuel: Some(1_000_000), ..Limits::default() });
    assert_eq!(plugin.call_wave(&some, r#"greet("you")"#).await.unwrap(), r#""hello you""#);
    let error = plugin.call_wave(&some, "spin()").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::LimitExceeded, "{error}");
    assert!(error.message.contains("`fuel`: 1000000 units"), "{error}");
    // Enough for no instance at all.
    let none = tenant_with(Limits { fuel: Some(1), ..Limits::default() });
    let error = plugin.call_wave(&none, "calls()").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::LimitExceeded, "{error}");
}

#[tokio::test]
async fn a_limit_on_fuel_takes_a_host_that_meters_it() {
    let bench = bench(Backend::Sqlite).await;
    let limited = tenant_with(Limits { fuel: Some(1_000_000), ..Limits::default() });
    let error = bench.plugin.call_wave(&limited, "calls()").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidConfiguration, "{error}");
    assert!(error.message.contains("`HostOptions::fuel`"), "{error}");
}

/// Adds up what goes to the facade, by name and labels.
#[derive(Debug, Clone, Default)]
struct Totals(Arc<Mutex<BTreeMap<String, u64>>>);

struct Total(Totals, String);

impl CounterFn for Total {
    fn increment(&self, value: u64) {
        *self.0.0.lock().entry(self.1.clone()).or_default() += value;
    }

    fn absolute(&self, _: u64) {}
}

impl HistogramFn for Total {
    fn record(&self, _: f64) {
        self.increment(1);
    }
}

impl Recorder for Totals {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.0.lock().entry(format!("{} is described", name.as_str())).or_default();
    }

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe_counter(name, unit, text);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(Total(self.clone(), name(key))))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Total(self.clone(), name(key))))
    }
}

fn name(key: &Key) -> String {
    let labels = key.labels().map(|label| format!("{}={}", label.key(), label.value()));
    format!("{}{{{}}}", key.name(), labels.collect::<Vec<_>>().join(","))
}

#[tokio::test]
async fn counters_tell_what_each_tenant_used() {
    let totals = Totals::default();
    let guard = metrics::set_default_local_recorder(&totals);
    let bench = bench(Backend::Sqlite).await;
    bench.call(r#"notes#add("app", "one", commit)"#).await;
    bench.call(r#"notes#bodies("app")"#).await;
    let nobody = Arc::new(Tenant::new("nobody"));
    assert!(bench.plugin.call_wave(&nobody, r#"panic("x")"#).await.is_err());
    let hasty = Limits { deadline: Duration::from_millis(30), ..Limits::default() };
    let hasty = Arc::new(Tenant::new("hasty").limits(hasty));
    assert!(bench.plugin.call_wave(&hasty, "spin()").await.is_err());
    drop(guard);

    let totals = totals.0.lock();
    let of = |name: &str, tenant: &str, more: &str| {
        let key = format!("{name}{{plugin=ferro-test-probe,tenant={tenant}{more}}}");
        *totals.get(&key).unwrap_or(&0)
    };
    assert_eq!(of("ferro_calls", "acme", ",outcome=ok"), 2, "{totals:?}");
    assert_eq!(of("ferro_calls", "nobody", ",outcome=plugin-trap"), 1, "{totals:?}");
    assert_eq!(of("ferro_calls", "hasty", ",outcome=timeout"), 1, "{totals:?}");
    assert_eq!(of("ferro_rows_written", "acme", ""), 1);
    assert_eq!(of("ferro_rows_read", "acme", ""), 1);
    // Begin, insert, select.
    assert_eq!(of("ferro_statements", "acme", ""), 3);
    assert!(of("ferro_result_bytes", "acme", "") > 0);
    assert_eq!(of("ferro_memory_bytes", "acme", ""), 2);
    assert!(of("ferro_busy_microseconds", "hasty", "") > 10_000, "{totals:?}");
    assert!(of("ferro_call_microseconds", "acme", "") > 0);
    assert_eq!(of("ferro_statements", "nobody", ""), 0);
    assert_eq!(of("ferro_call_seconds", "acme", ""), 2);
    // Whatever was counted has a description.
    let names = totals.keys().filter_map(|key| Some(key.split_once('{')?.0));
    for name in names {
        assert!(totals.contains_key(&format!("{name} is described")), "{name}");
    }
}

#[tokio::test]
async fn a_host_tells_what_it_is_doing() {
    let bench = bench(Backend::Sqlite).await;
    bench.call(r#"notes#add("app", "one", commit)"#).await;
    let before = bench.host.stats();
    bench.call(r#"notes#add("app", "two", commit)"#).await;
    let after = bench.host.stats();
    assert_eq!(after.plan_hits, before.plan_hits + 1, "{after:?}");
    assert_eq!((after.plan_misses, after.plans), (before.plan_misses, before.plans), "{after:?}");
    assert_eq!((after.calls, after.instances, after.loading), (0, 0, 0), "{after:?}");
    assert_eq!(after.pools["app"], bench.database.stats());

    let one = tenant_with(Limits { calls: 1, ..Limits::default() });
    let running = bench.plugin.instantiate(&one).await.unwrap();
    let (_, during) = tokio::join!(
        tokio::time::timeout(Duration::from_millis(50), bench.plugin.instantiate(&one)),
        async { bench.host.stats() }
    );
    let of_calls =
        |it: &ferro_host::HostStats| (it.tenants, it.calls, it.waiting_calls, it.instances);
    assert_eq!(of_calls(&during), (1, 1, 1, 1), "{during:?}");
    drop(running);
    assert_eq!(of_calls(&bench.host.stats()), (0, 0, 0, 0));
}

#[tokio::test]
async fn a_call_that_fails_says_what_it_used() {
    let (_host, plugin) = metering().await;
    let hasty = tenant_with(Limits { fuel: Some(1_000_000), ..Limits::default() });
    let spun = plugin.call(&hasty, "spin", &[]).await;
    assert_eq!(spun.results.unwrap_err().kind, ErrorKind::LimitExceeded);
    assert_eq!(spun.usage.fuel, Some(1_000_000));
    assert!(spun.usage.memory > 0 && !spun.usage.busy.is_zero(), "{:?}", spun.usage);
    // What never ran used nothing.
    let unknown = plugin.call(&hasty, "no-such", &[]).await;
    assert_eq!(unknown.results.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(unknown.usage, CallUsage::default());
}

#[tokio::test]
async fn calls_without_an_instance_are_told_and_charged_for_what_they_used() {
    let totals = Totals::default();
    let guard = metrics::set_default_local_recorder(&totals);
    let spans = Spans::default();
    let subscriber = tracing_subscriber::registry().with(spans.clone());
    let subscribed = tracing::subscriber::set_default(subscriber);
    let (_host, plugin) = metering().await;
    // To load it is nobody's call: what there is was described, and not counted.
    assert!(totals.0.lock().values().all(|it| *it == 0), "{totals:?}");
    assert!(spans.0.lock().is_empty());

    // Its start takes more than it may use.
    let poor = Limits { fuel: Some(1), ..Limits::default() };
    let poor = Arc::new(Tenant::new("poor").limits(poor));
    assert!(plugin.call_wave(&poor, "calls()").await.is_err());
    assert!(plugin.instantiate(&poor).await.is_err());
    // One waits for the other to end, and is given up, as the other is.
    let single = Arc::new(Tenant::new("single").limits(Limits { calls: 1, ..Limits::default() }));
    let calls = async { tokio::join!(plugin.instantiate(&single), plugin.instantiate(&single)) };
    assert!(tokio::time::timeout(Duration::from_millis(50), calls).await.is_err());
    drop((guard, subscribed));

    let totals = totals.0.lock();
    let of = |name: &str, tenant: &str, more: &str| {
        let key = format!("{name}{{plugin=ferro-test-probe,tenant={tenant}{more}}}");
        *totals.get(&key).unwrap_or(&0)
    };
    assert_eq!(of("ferro_calls", "poor", ",outcome=limit-exceeded"), 2, "{totals:?}");
    assert_eq!(of("ferro_fuel", "poor", ""), 2, "{totals:?}");
    assert_eq!(of("ferro_memory_bytes", "poor", ""), 2, "{totals:?}");
    assert_eq!(of("ferro_calls", "single", ",outcome=ok"), 1, "{totals:?}");
    assert_eq!(of("ferro_calls", "single", ",outcome=cancelled"), 1, "{totals:?}");
    let spans = spans.0.lock();
    let mut outcomes: Vec<_> = spans.values().map(|it| it["outcome"].as_str()).collect();
    outcomes.sort_unstable();
    assert_eq!(outcomes, ["cancelled", "limit-exceeded", "limit-exceeded", "ok"]);
}

/// The fields of the spans of calls, as the last record of each left them.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<BTreeMap<u64, BTreeMap<&'static str, String>>>>);

struct Fields<'a>(&'a mut BTreeMap<&'static str, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl<S: tracing::Subscriber> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        if attributes.metadata().target() == "ferro::call" {
            let mut fields = BTreeMap::new();
            attributes.record(&mut Fields(&mut fields));
            self.0.lock().insert(id.into_u64(), fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        if let Some(fields) = self.0.lock().get_mut(&id.into_u64()) {
            values.record(&mut Fields(fields));
        }
    }
}

#[tokio::test]
async fn each_call_has_a_span_with_what_it_used() {
    let bench = bench(Backend::Sqlite).await;
    let spans = Spans::default();
    let guard =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(spans.clone()));
    bench.call(r#"notes#add("app", "one", commit)"#).await;
    let cancelled = tenant();
    let call = bench.plugin.call_wave(&cancelled, "spin()");
    assert!(tokio::time::timeout(Duration::from_millis(50), call).await.is_err());
    drop(guard);
    let spans: Vec<_> = spans.0.lock().values().cloned().collect();
    let [added, spun] = &spans[..] else { panic!("{spans:?}") };
    for (field, value) in [
        ("plugin", "ferro-test-probe"),
        ("tenant", "acme"),
        ("export", "ferro:test/notes#add"),
        ("outcome", "ok"),
        ("statements", "2"),
        ("rows_written", "1"),
    ] {
        assert_eq!(added.get(field).map(String::as_str), Some(value), "{field}: {added:?}");
    }
    let number = |field: &str| added.get(field).and_then(|it| it.parse::<u64>().ok());
    assert!(number("memory") > Some(0) && number("elapsed_us") > Some(0), "{added:?}");
    assert_eq!(spun.get("outcome").map(String::as_str), Some("cancelled"), "{spun:?}");
}

/// The database and the outcome of each statement, and whether it was told in the span of a call.
#[derive(Clone, Default)]
struct Statements(Arc<Mutex<Vec<(String, bool)>>>);

impl<S> Layer<S> for Statements
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() == "ferro::statement" {
            let mut fields = BTreeMap::new();
            event.record(&mut Fields(&mut fields));
            let span = context.event_span(event);
            let is_of_call = span.is_some_and(|it| it.metadata().target() == "ferro::call");
            self.0.lock().push((fields["outcome"].clone(), is_of_call));
        }
    }
}

#[tokio::test]
async fn what_a_call_leaves_open_is_told_in_its_span() {
    let bench = bench(Backend::Postgres).await;
    bench.call(r#"notes#count("app")"#).await;
    let lock = bench.database.begin(TransactionOptions::default()).await.unwrap();
    lock.execute_raw("LOCK TABLE note", vec![]).await.unwrap();
    let statements = Statements::default();
    let guard =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(statements.clone()));
    let impatient = Limits { deadline: Duration::from_millis(200), ..Limits::default() };
    let late = bench.plugin.call_wave(&tenant_with(impatient), r#"notes#count("app")"#).await;
    assert_eq!(late.unwrap_err().kind, ErrorKind::Timeout);
    let cancelled = tenant();
    let call = bench.plugin.call_wave(&cancelled, r#"notes#add("app", "one", commit)"#);
    assert!(tokio::time::timeout(Duration::from_millis(200), call).await.is_err());
    drop(guard);
    lock.rollback().await.unwrap();
    let statements = statements.0.lock();
    let dropped = statements.iter().filter(|(outcome, _)| outcome == "dropped").count();
    assert_eq!(dropped, 2, "{statements:?}");
    assert!(statements.iter().all(|(_, is_of_call)| *is_of_call), "{statements:?}");
}
