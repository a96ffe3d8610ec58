//! What statements do, told to the operator: an event of `tracing` for each, with its SQL.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ferro_wit::types::{Dialect, Error, ErrorKind};
use tracing::Level;

use crate::cursor::Cursor;
use crate::error::from_sqlx;

/// How much of the SQL is told, in bytes: most of what models ask is shorter, and a text of a
/// caller's may have any size, which no budget counts.
const LONGEST: usize = 4 << 10;

/// What all statements of a pool are told with.
#[derive(Debug)]
pub(crate) struct Log {
    /// The label of the database; empty where it has none.
    pub(crate) label: String,
    pub(crate) dialect: Dialect,
    /// From when on a statement is slow.
    pub(crate) slow: Option<Duration>,
}

/// A statement that is told of when it ends, or when it is given up. Nothing is kept of it where
/// nobody listens and none can be slow.
#[derive(Default)]
pub(crate) struct Watch(Option<Box<Watched>>);

struct Watched {
    log: Arc<Log>,
    sql: String,
    began: Instant,
    rows: u64,
    /// None until it ends.
    outcome: Option<Outcome>,
}

enum Outcome {
    Complete,
    Failed(ErrorKind),
}

impl Watch {
    /// A statement that is sent now.
    pub(crate) fn begin(log: &Arc<Log>, sql: &str) -> Self {
        let heard = tracing::event_enabled!(target: "ferro::statement", Level::DEBUG);
        if !heard && log.slow.is_none() {
            return Self(None);
        }
        let (log, sql) = (Arc::clone(log), beginning(sql));
        Self(Some(Box::new(Watched { log, sql, began: Instant::now(), rows: 0, outcome: None })))
    }

    /// So many rows were given to the caller, or changed.
    pub(crate) fn count(&mut self, rows: u64) {
        if let Some(watched) = &mut self.0 {
            watched.rows += rows;
        }
    }

    /// The statement has ended.
    pub(crate) fn end(&mut self, failure: Option<&Error>) {
        if let Some(mut watched) = self.0.take() {
            watched.outcome =
                Some(failure.map_or(Outcome::Complete, |it| Outcome::Failed(it.kind)));
        }
    }

    /// A command has ended.
    pub(crate) fn command(mut self, ended: &Result<(), sqlx::Error>) {
        if let Some(watched) = &self.0 {
            let failure = ended.as_ref().err().map(|it| from_sqlx(it, watched.log.dialect));
            self.end(failure.as_ref());
        }
    }

    /// What was sent for its effect has ended; with how many rows it has changed.
    pub(crate) fn changed(mut self, ended: Result<u64, Error>) -> Result<u64, Error> {
        self.count(*ended.as_ref().unwrap_or(&0));
        self.end(ended.as_ref().err());
        ended
    }

    /// What was sent for its rows has begun to answer: it ends with its cursor.
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
            // Nobody waited for its end, or for its last row.
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
