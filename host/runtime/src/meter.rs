//! The usage of calls, for the operator: as fields of spans, and as counters.
//!
//! Counters go to the recorder that the application has installed for the `metrics` facade, by
//! plugin and tenant. Without one they are dropped.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ferro_session::Usage;
use ferro_wit::types::{Error, ErrorKind};
use metrics::{
    Label, SharedString, Unit, counter, describe_counter, describe_histogram, histogram,
};
use parking_lot::Mutex;
use tracing::Span;
use tracing::field::{Empty, Value, display};

/// The caller, as named in logs, spans and metrics.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) plugin: Arc<str>,
    /// `None` while the plugin describes its models, which is not a tenant's call.
    pub(crate) tenant: Option<Arc<str>>,
}

impl Caller {
    /// The names of the plugin and the tenant, as fields of a log.
    pub(crate) fn names(&self) -> (impl Value, Option<impl Value>) {
        (display(&self.plugin), self.tenant.as_ref().map(display))
    }
}

/// The resource usage of a call, so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallUsage {
    /// Wall-clock time, including waits before it runs.
    pub elapsed: Duration,
    /// Thread time: of its own code, and of host code for it.
    pub busy: Duration,
    /// Units of fuel; `None` if the host does not meter it.
    pub fuel: Option<u64>,
    /// Peak size of the guest's memories, in bytes.
    pub memory: u64,
    /// Its usage of databases.
    pub database: Usage,
}

/// Describes the counters to the installed recorder.
pub(crate) fn describe() {
    describe_counter!("ferro_calls", "Calls of plugins, by outcome");
    let counters = [
        ("ferro_call_microseconds", Unit::Microseconds, "Wall-clock time of calls"),
        ("ferro_busy_microseconds", Unit::Microseconds, "Time that calls kept a thread busy"),
        ("ferro_fuel", Unit::Count, "Fuel that calls used, on a host that meters it"),
        (
            "ferro_statements",
            Unit::Count,
            "Statements of calls, including beginnings of \
                                           transactions",
        ),
        ("ferro_rows_read", Unit::Count, "Rows that calls read"),
        ("ferro_rows_written", Unit::Count, "Rows that calls inserted, updated and deleted"),
        ("ferro_result_bytes", Unit::Bytes, "Bytes of the values that calls read"),
    ];
    for (name, unit, description) in counters {
        describe_counter!(name, unit, description);
    }
    describe_histogram!("ferro_call_seconds", Unit::Seconds, "Wall-clock time of each call");
    describe_histogram!("ferro_memory_bytes", Unit::Bytes, "Peak memory of each call");
}

/// One call, from before its admission. Reports the outcome on drop, however the call ends.
pub(crate) struct CallRecord {
    caller: Caller,
    span: Span,
    started: Instant,
    state: Mutex<State>,
    /// Without the elapsed time.
    usage: Mutex<CallUsage>,
}

/// The state of a call.
#[derive(Clone, Copy)]
enum State {
    WentWell,
    /// A call that is dropped in this state was cancelled.
    Running,
    Trapped,
    Failed(ErrorKind),
}

impl CallRecord {
    pub(crate) fn begin(caller: Caller) -> Arc<Self> {
        let span = caller.tenant.as_ref().map_or_else(Span::none, |it| span(&caller.plugin, it));
        let (state, usage) = (Mutex::new(State::Running), Mutex::default());
        Arc::new(Self { caller, span, started: Instant::now(), state, usage })
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// Sets the name of the called export.
    pub(crate) fn name(&self, export: &str) {
        self.span.record("export", export);
    }

    pub(crate) fn goes_on(&self) {
        *self.state.lock() = State::Running;
    }

    pub(crate) fn came_to<T>(&self, outcome: &Result<T, Error>) {
        *self.state.lock() = match outcome {
            Ok(_) => State::WentWell,
            Err(error) if error.code.as_deref() == Some(Error::PLUGIN_TRAPPED) => State::Trapped,
            Err(error) => State::Failed(error.kind),
        };
    }

    /// Sets the usage of the call so far, except time.
    pub(crate) fn has_used(&self, usage: CallUsage) {
        *self.usage.lock() = usage;
    }

    pub(crate) fn usage(&self) -> CallUsage {
        CallUsage { elapsed: self.started.elapsed(), ..*self.usage.lock() }
    }

    pub(crate) fn outcome(&self) -> Cow<'static, str> {
        match *self.state.lock() {
            State::WentWell => "ok".into(),
            State::Running => ErrorKind::Cancelled.to_string().into(),
            State::Trapped => "plugin-trap".into(),
            State::Failed(kind) => kind.to_string().into(),
        }
    }
}

impl Drop for CallRecord {
    fn drop(&mut self) {
        let Caller { plugin, tenant: Some(tenant) } = &self.caller else { return };
        tell(&self.span, plugin, tenant, self.outcome(), &self.usage());
    }
}

fn span(plugin: &str, tenant: &str) -> Span {
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

fn tell(
    span: &Span,
    plugin: &Arc<str>,
    tenant: &Arc<str>,
    outcome: Cow<'static, str>,
    usage: &CallUsage,
) {
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

    let label = |name, value: &Arc<str>| Label::new(name, SharedString::from(Arc::clone(value)));
    let labels = vec![label("plugin", plugin), label("tenant", tenant)];
    let mut with_outcome = labels.clone();
    with_outcome.push(Label::new("outcome", outcome));
    counter!("ferro_calls", with_outcome).increment(1);
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
    // Without an instance, there was no memory.
    if memory > 0 {
        #[expect(clippy::cast_precision_loss, reason = "a memory has fewer bytes than that")]
        histogram!("ferro_memory_bytes", labels).record(memory as f64);
    }
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
