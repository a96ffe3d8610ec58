//! What the native side warns of, for Python's logging.
//!
//! Threads of tokio never ask for the interpreter. So records wait until something is awaited next, or
//! a plugin has asked something: a thread that has it hands them to the logger `ferro.native`.

use std::collections::VecDeque;
use std::fmt::{Debug, Write as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::bridge::lock;

/// Where nothing is awaited for long, the oldest records make room for others.
const MOST_RECORDS: usize = 1_000;
/// Numbers of Python's `logging`.
const INFO: u8 = 20;
const WARNING: u8 = 30;
const ERROR: u8 = 40;

static RECORDS: Mutex<VecDeque<(u8, String)>> = Mutex::new(VecDeque::new());
/// Whether there are some, for those who look often.
static WAITING: AtomicBool = AtomicBool::new(false);

/// Collects what the native side warns of from here on.
pub(crate) fn install() {
    // It fails where it was done before: by another interpreter of the process.
    let _ = tracing::subscriber::set_global_default(Collector);
}

/// Hands the records that wait to Python's logging.
pub(crate) fn deliver(py: Python<'_>) {
    if !WAITING.swap(false, Ordering::Acquire) {
        return;
    }
    let records = std::mem::take(&mut *lock(&RECORDS));
    for (level, message) in records {
        if let Err(error) = logger(py).and_then(|it| it.call_method1("log", (level, "%s", message)))
        {
            error.write_unraisable(py, None);
        }
    }
}

fn logger(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static LOGGER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let logger = LOGGER.get_or_try_init(py, || {
        PyResult::Ok(py.import("logging")?.call_method1("getLogger", ("ferro.native",))?.unbind())
    })?;
    Ok(logger.bind(py))
}

struct Collector;

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && *metadata.level() <= Level::WARN
            && metadata.target().starts_with("ferro")
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let level = match (*event.metadata().level(), event.metadata().target()) {
            (Level::ERROR, _) => ERROR,
            // What fails for a tenant, who could fill the log with that.
            (_, "ferro_session::call") => INFO,
            _ => WARNING,
        };
        let mut records = lock(&RECORDS);
        if records.len() == MOST_RECORDS {
            records.pop_front();
        }
        records.push_back((level, line.message + &line.fields));
        WAITING.store(true, Ordering::Release);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// A record as a line: its message, and then its fields.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
