//! What the native side warns of and, if somebody listens, each of its statements, for Python's logging.
//!
//! Threads of tokio never ask for the interpreter. So records wait until something is awaited next, or
//! a plugin has asked something: a thread that has it hands them to the loggers `ferro.native` and
//! `ferro.statement`. The same threads look whether somebody listens to the latter.

use std::collections::VecDeque;
use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ferro_wit::escape_line;
use parking_lot::Mutex;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

use crate::errors::is_interrupt;

/// Where nothing is awaited for long, the oldest records make room for others: of statements, if
/// there are any, since they are many, and what else is told is of more weight.
const MOST_RECORDS: usize = 1_000;
/// Numbers of Python's `logging`.
const DEBUG: u8 = 10;
const INFO: u8 = 20;
const WARNING: u8 = 30;
const ERROR: u8 = 40;

/// The target of statements: `ferro_driver` says what is in their events.
const STATEMENTS: &str = "ferro::statement";

static RECORDS: Mutex<VecDeque<Record>> = Mutex::new(VecDeque::new());
/// Whether there are some, for those who look often.
static WAITING: AtomicBool = AtomicBool::new(false);
/// Whether the logger of statements takes all of them.
static LISTENING: AtomicBool = AtomicBool::new(false);

/// What is handed to a logger.
enum Record {
    Text { level: u8, text: String },
    Statement { level: u8, statement: Statement },
}

/// Collects what the native side tells from here on.
pub(crate) fn install() {
    // It fails where it was done before: by another interpreter of the process.
    let _ = tracing::subscriber::set_global_default(Collector);
}

/// Looks whether somebody listens to the statements that run from here on. The error is what ends
/// the program.
pub(crate) fn listen(py: Python<'_>) -> PyResult<()> {
    let is_enabled = |it: &Bound<'_, PyAny>| {
        it.call_method1(intern!(py, "isEnabledFor"), (DEBUG,))?.extract::<bool>()
    };
    let listens = or_unraisable(py, statements(py).and_then(is_enabled))?;
    LISTENING.store(listens, Ordering::Relaxed);
    Ok(())
}

/// Hands the records that wait to Python's logging. The error is what ends the program; what is left
/// waits on.
pub(crate) fn deliver(py: Python<'_>) -> PyResult<()> {
    if !WAITING.load(Ordering::Relaxed) || !WAITING.swap(false, Ordering::Acquire) {
        return Ok(());
    }
    let mut records = std::mem::take(&mut *RECORDS.lock());
    while let Some(record) = records.pop_front() {
        if let Err(interrupt) = or_unraisable(py, record.hand_over(py)) {
            let mut waiting = RECORDS.lock();
            records.append(&mut waiting);
            *waiting = records;
            WAITING.store(true, Ordering::Release);
            return Err(interrupt);
        }
    }
    Ok(())
}

/// No operation fails as a logger does; what ends the program is not of the logger.
fn or_unraisable<T: Default>(py: Python<'_>, result: PyResult<T>) -> PyResult<T> {
    result.or_else(|raised| match is_interrupt(py, &raised) {
        true => Err(raised),
        false => {
            raised.write_unraisable(py, None);
            Ok(T::default())
        }
    })
}

impl Record {
    fn hand_over(self, py: Python<'_>) -> PyResult<()> {
        match self {
            Self::Text { level, text } => native(py)?.call_method1("log", (level, "%s", text))?,
            Self::Statement { level, statement } => {
                let Statement { database, sql, rows, elapsed, outcome } = statement;
                let line = format!(
                    "{:.3} ms, {rows} rows, {outcome}: {}",
                    1e3 * elapsed,
                    escape_line(&sql)
                );
                let extra = PyDict::new(py);
                extra.set_item("database", database)?;
                extra.set_item("sql", sql)?;
                extra.set_item("rows", rows)?;
                extra.set_item("elapsed", elapsed)?;
                extra.set_item("outcome", outcome)?;
                let named = PyDict::new(py);
                named.set_item("extra", extra)?;
                statements(py)?.call_method("log", (level, "%s", line), Some(&named))?
            }
        };
        Ok(())
    }
}

fn keep(records: &mut VecDeque<Record>, record: Record) {
    records.push_back(record);
    if records.len() > MOST_RECORDS {
        let statement = records.iter().position(|it| matches!(it, Record::Statement { .. }));
        records.remove(statement.unwrap_or(0));
    }
}

fn native(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static LOGGER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    logger(py, &LOGGER, "ferro.native")
}

fn statements(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static LOGGER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    logger(py, &LOGGER, "ferro.statement")
}

fn logger<'py>(
    py: Python<'py>,
    found: &'static PyOnceLock<Py<PyAny>>,
    name: &str,
) -> PyResult<&'py Bound<'py, PyAny>> {
    let logger = found.get_or_try_init(py, || {
        PyResult::Ok(py.import("logging")?.call_method1("getLogger", (name,))?.unbind())
    })?;
    Ok(logger.bind(py))
}

struct Collector;

impl Subscriber for Collector {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match self.enabled(metadata) {
            _ if metadata.target() == STATEMENTS => Interest::sometimes(),
            true => Interest::always(),
            false => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let listens = metadata.target() == STATEMENTS && LISTENING.load(Ordering::Relaxed);
        metadata.is_event()
            && (*metadata.level() <= Level::WARN || listens)
            && metadata.target().starts_with("ferro")
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn event(&self, event: &Event<'_>) {
        let level = match (*event.metadata().level(), event.metadata().target()) {
            (Level::ERROR, _) => ERROR,
            // What fails for a tenant, who could fill the log with that.
            (_, "ferro_session::call") => INFO,
            (Level::WARN, _) => WARNING,
            _ => DEBUG,
        };
        let record = match event.metadata().target() {
            STATEMENTS => {
                let mut statement = Statement::default();
                event.record(&mut statement);
                Record::Statement { level, statement }
            }
            _ => {
                let mut line = Line::default();
                event.record(&mut line);
                Record::Text { level, text: line.message + &line.fields }
            }
        };
        keep(&mut RECORDS.lock(), record);
        WAITING.store(true, Ordering::Release);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The fields of a statement's event; the time in seconds.
#[derive(Default)]
struct Statement {
    database: String,
    sql: String,
    rows: u64,
    elapsed: f64,
    outcome: String,
}

impl Visit for Statement {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "database" => self.database = value.to_owned(),
            "sql" => self.sql = value.to_owned(),
            "outcome" => self.outcome = value.to_owned(),
            _ => {}
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "rows" => self.rows = value,
            "elapsed_us" => self.elapsed = Duration::from_micros(value).as_secs_f64(),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
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

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: usize) -> Record {
        Record::Text { level: ERROR, text: number.to_string() }
    }

    fn statement() -> Record {
        Record::Statement { level: DEBUG, statement: Statement::default() }
    }

    #[test]
    fn statements_make_room_before_others() {
        let mut records = VecDeque::new();
        for number in 0..MOST_RECORDS {
            keep(&mut records, text(number));
            keep(&mut records, statement());
        }
        keep(&mut records, statement());
        keep(&mut records, text(MOST_RECORDS));
        let texts = records.iter().filter_map(|it| match it {
            Record::Text { text, .. } => text.parse::<usize>().ok(),
            Record::Statement { .. } => None,
        });
        assert!(texts.eq(1..=MOST_RECORDS));
        assert_eq!(records.len(), MOST_RECORDS);
    }
}
