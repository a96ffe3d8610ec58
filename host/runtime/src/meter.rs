//! What calls use, told to the operator: fields of spans, and counters.
//!
//! Counters go to whatever recorder the application has set up for the `metrics` facade, by plugin
//! and tenant. Without one they go nowhere.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use ferro_session::Usage;
use metrics::{
    Label, SharedString, Unit, counter, describe_counter, describe_histogram, histogram,
};
use tracing::Span;
use tracing::field::Empty;

/// Who a call is made by: what logs, spans and metrics name it by.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) plugin: Arc<str>,
    pub(crate) tenant: Arc<str>,
}

/// What a call took, as far as it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallUsage {
    /// Wall-clock time, from the making of the instance on.
    pub elapsed: Duration,
    /// How long it kept a thread busy: its own code, and the host's for it.
    pub busy: Duration,
    /// Units of fuel; none where the host does not meter it.
    pub fuel: Option<u64>,
    /// Bytes of the guest's memories at their largest.
    pub memory: u64,
    /// What it did in its databases.
    pub database: Usage,
}

/// Says what each counter counts, to the recorder that is set up by now.
pub(crate) fn describe() {
    describe_counter!("ferro_calls", "Calls of plugins, by how they ended");
    let counters = [
        ("ferro_call_microseconds", Unit::Microseconds, "Wall-clock time of calls"),
        ("ferro_busy_microseconds", Unit::Microseconds, "Time that calls kept a thread busy"),
        ("ferro_fuel", Unit::Count, "Fuel that calls used, on a host that meters it"),
        ("ferro_statements", Unit::Count, "Statements of calls, beginnings of transactions too"),
        ("ferro_rows_read", Unit::Count, "Rows that calls read"),
        ("ferro_rows_written", Unit::Count, "Rows that calls inserted, updated and deleted"),
        ("ferro_result_bytes", Unit::Bytes, "Bytes of the values that calls read"),
    ];
    for (name, unit, description) in counters {
        describe_counter!(name, unit, description);
    }
    describe_histogram!("ferro_call_seconds", Unit::Seconds, "Wall-clock time of each call");
    describe_histogram!("ferro_memory_bytes", Unit::Bytes, "Memory of each call at its largest");
}

/// The span of one call.
pub(crate) fn span(caller: &Caller) -> Span {
    let Caller { plugin, tenant } = caller;
    tracing::info_span!(
        target: "ferro::call",
        "call",
        %plugin,
        %tenant,
        export = Empty,
        outcome = Empty,
        elapsed_us = Empty,
        busy_us = Empty,
        fuel = Empty,
        memory = Empty,
        statements = Empty,
        rows_read = Empty,
        rows_written = Empty,
        result_bytes = Empty,
    )
}

/// Tells what a call has used, when it is over.
pub(crate) fn tell(span: &Span, caller: &Caller, outcome: Cow<'static, str>, usage: &CallUsage) {
    let CallUsage { elapsed, busy, fuel, memory, database } = *usage;
    let Usage { statements, rows_read, rows_written, bytes } = database;
    let (elapsed_us, busy_us) = (microseconds(elapsed), microseconds(busy));
    span.record("outcome", &*outcome);
    span.record("elapsed_us", elapsed_us);
    span.record("busy_us", busy_us);
    span.record("fuel", fuel);
    span.record("memory", memory);
    span.record("statements", statements);
    span.record("rows_read", rows_read);
    span.record("rows_written", rows_written);
    span.record("result_bytes", bytes);

    count(caller, outcome);
    let labels = labels(caller);
    let add = |name: &'static str, value: u64| {
        if value > 0 {
            counter!(name, labels.clone()).increment(value);
        }
    };
    add("ferro_call_microseconds", elapsed_us);
    add("ferro_busy_microseconds", busy_us);
    add("ferro_fuel", fuel.unwrap_or_default());
    add("ferro_statements", statements);
    add("ferro_rows_read", rows_read);
    add("ferro_rows_written", rows_written);
    add("ferro_result_bytes", bytes);
    histogram!("ferro_call_seconds", labels.clone()).record(elapsed.as_secs_f64());
    #[expect(clippy::cast_precision_loss, reason = "a memory has fewer bytes than that")]
    histogram!("ferro_memory_bytes", labels.clone()).record(memory as f64);
}

/// Counts a call, one that was refused before it had an instance too.
pub(crate) fn count(caller: &Caller, outcome: impl Into<Cow<'static, str>>) {
    let mut labels = labels(caller);
    labels.push(Label::new("outcome", outcome.into()));
    counter!("ferro_calls", labels).increment(1);
}

fn labels(caller: &Caller) -> Vec<Label> {
    let label = |name, value: &Arc<str>| Label::new(name, SharedString::from(Arc::clone(value)));
    vec![label("plugin", &caller.plugin), label("tenant", &caller.tenant)]
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
