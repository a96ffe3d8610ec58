//! Captures the log of a test.

use std::io::{self, Write};
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::{DefaultGuard, set_default, set_global_default};

/// The log so far. Clones share it.
///
/// ```
/// let (log, guard) = ferro_test_support::Log::of_thread();
/// tracing::info!("two apples");
/// drop(guard);
/// tracing::info!("a pear");
/// assert!(log.text().contains("two apples"));
/// assert!(!log.text().contains("a pear"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Captures what this thread logs, at level INFO and above, until the guard is dropped.
    #[must_use]
    pub fn of_thread() -> (Self, DefaultGuard) {
        let log = Self::default();
        let guard = set_default(log.subscriber(LevelFilter::INFO));
        (log, guard)
    }

    /// Captures everything that this process logs from now on, for a test that is alone in its
    /// process.
    ///
    /// # Panics
    ///
    /// If the process has a log already.
    #[must_use]
    pub fn of_process() -> Self {
        let log = Self::default();
        set_global_default(log.subscriber(LevelFilter::TRACE)).expect("a log of its own");
        log
    }

    /// The text, one line per record.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock()).into_owned()
    }

    fn subscriber(&self, level: LevelFilter) -> impl Subscriber + Send + Sync + use<> {
        let log = self.clone();
        let lines = tracing_subscriber::fmt().with_ansi(false).without_time();
        lines.with_max_level(level).with_writer(move || log.clone()).finish()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
