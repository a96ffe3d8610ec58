//! Logs statements for the operator: one `tracing` event per statement, with its SQL.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ferro_wit::types::{Dialect, Error, ErrorKind};
use tracing::Level;

use crate::cursor::Cursor;
use crate::error::from_sqlx;

/// The maximum length of the logged SQL in bytes: most statements of models are shorter, and SQL
/// text of callers may have any size, which no limit counts.
const LONGEST: usize = 4 << 10;

/// The settings for logging the statements of a pool.
#[derive(Debug)]
pub(crate) struct Log {
    /// The label of the database; empty if it has none.
    pub(crate) label: String,
    pub(crate) dialect: Dialect,
    /// The time from which on a statement is slow.
    pub(crate) slow: Option<Duration>,
}

/// A statement that is logged when it ends or is dropped. Empty if nobody listens and no statement
/// counts as slow.
#[derive(Default)]
pub(crate) struct Watch(Option<Box<Watched>>);

struct Watched {
    log: Arc<Log>,
    sql: String,
    began: Instant,
    rows: u64,
    /// `None` until it ends.
    outcome: Option<Outcome>,
}

enum Outcome {
    Complete,
    Failed(ErrorKind),
}

impl Watch {
    /// Starts watching a statement that is sent now.
    pub(crate) fn begin(log: &Arc<Log>, sql: &str) -> Self {
        let heard = tracing::event_enabled!(target: "ferro::statement", Level::DEBUG);
        if !heard && log.slow.is_none() {
            return Self(None);
        }
        let (log, sql) = (Arc::clone(log), beginning(sql));
        Self(Some(Box::new(Watched { log, sql, began: Instant::now(), rows: 0, outcome: None })))
    }

    /// Counts rows that were returned to the caller, or changed.
    pub(crate) fn count(&mut self, rows: u64) {
        if let Some(watched) = &mut self.0 {
            watched.rows += rows;
        }
    }

    /// Logs the end of the statement.
    pub(crate) fn end(&mut self, failure: Option<&Error>) {
        if let Some(mut watched) = self.0.take() {
            watched.outcome =
                Some(failure.map_or(Outcome::Complete, |it| Outcome::Failed(it.kind)));
        }
    }

    /// Logs the end of a command.
    pub(crate) fn command(mut self, ended: &Result<(), sqlx::Error>) {
        if let Some(watched) = &self.0 {
            let failure = ended.as_ref().err().map(|it| from_sqlx(it, watched.log.dialect));
            self.end(failure.as_ref());
        }
    }

    /// Logs the end of a statement that was run for its effect, with the number of rows that it
    /// changed.
    pub(crate) fn changed(mut self, ended: Result<u64, Error>) -> Result<u64, Error> {
        self.count(*ended.as_ref().unwrap_or(&0));
        self.end(ended.as_ref().err());
        ended
    }

    /// Passes the statement to its cursor once it has begun to answer: it ends with the cursor.
    pub(crate) fn opened(mut self, begun: Result<Cursor, Error>) -> Result<Cursor, Error> {
        match begun {
            Ok(cursor) => Ok(cursor.watched(self)),
            Err(error) => {
                self.end(Some(&error));
                Err(error)
            }
        }
    }
}

fn beginning(sql: &str) -> String {
    match sql.floor_char_boundary(LONGEST) {
        end if end < sql.len() => format!("{}…", &sql[..end]),
        _ => sql.to_owned(),
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let Self { log, sql, rows, .. } = self;
        let (database, sql) = (log.label.as_str(), sql.as_str());
        let outcome = match self.outcome {
            Some(Outcome::Complete) => "ok".to_owned(),
            Some(Outcome::Failed(kind)) => kind.to_string(),
            // It was dropped before its end, or before its last row was read.
            None => "dropped".to_owned(),
        };
        let elapsed = self.began.elapsed();
        let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        if log.slow.is_some_and(|slow| elapsed >= slow) {
            tracing::warn!(
                target: "ferro::statement", database, sql, rows, elapsed_us, outcome,
                "a slow statement"
            );
        } else {
            tracing::debug!(
                target: "ferro::statement", database, sql, rows, elapsed_us, outcome,
                "a statement"
            );
        }
    }
}
