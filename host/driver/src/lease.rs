//! A connection on loan from a pool, which is returned only if it is known to be idle.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::backend::Backend;
use crate::connect::NOTICED;
use crate::deadlines::Deadlines;
use crate::parking::Parking;
use crate::reset::{Traces, reset};
use crate::sqlite::{self, Claim};
use crate::statement::Watch;

/// How long a connection that is returned may take to answer a ping before it is closed instead.
pub(crate) const RETURN_TIMEOUT: Duration = Duration::from_secs(2);
/// How long SQLite may take to finish a batch that was abandoned, before it is interrupted. An
/// interrupted write keeps what its cursor has done; it is not rolled back.
const PATIENCE: Duration = Duration::from_millis(200);

/// A connection to either database.
pub(crate) enum Connection {
    Sqlite(sqlite::Connection),
    Postgres(Backend),
}

/// A connection with its permits.
///
/// Call [`doubt`](Self::doubt) before an operation that may be cancelled halfway, and
/// [`clear`](Self::clear) after it ended well. If a lease is dropped in doubt, its connection is
/// closed, so that nobody reads another caller's answer or runs in another caller's transaction.
/// Whatever still runs on it ends at the database, too: SQLite is interrupted, PostgreSQL notices
/// the closed socket. If the backends of a caller are counted, its permits are kept until the
/// server has noticed: a caller that abandons statements cannot have more of them running than it
/// has permits.
pub(crate) struct Lease {
    /// `None` only while it is being returned.
    connection: Option<Connection>,
    standing: Standing,
    traces: Traces,
    persistence: Persistence,
    permits: Option<PoolPermits>,
    /// When it was acquired from SQLx's pool.
    checked_out: Instant,
    /// Whether it was opened, or answered a ping, for this caller.
    fresh: bool,
    parking: Arc<Parking>,
}

/// What is known about the state of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    AtRest,
    /// A statement may still run on it.
    Doubtful,
    /// It is broken, and the server knows it.
    Lost,
}

/// What persists on the connections of a pool after a statement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Persistence {
    /// Whether prepared statements and settings persist: there is a session.
    pub(crate) statements: bool,
    /// Whether [`watch`](crate::connect::watch) is run on each.
    pub(crate) watch: bool,
}

/// The right to use a connection of the pool. The fields are dropped in this order, the permit
/// last: whoever gets it then finds the connection idle, or room for another.
pub(crate) struct PoolPermits {
    /// Only connections to SQLite have one.
    pub(crate) claim: Option<Claim>,
    /// The permit for a backend of the server, if they are counted.
    pub(crate) worker: Option<OwnedSemaphorePermit>,
    pub(crate) permit: OwnedSemaphorePermit,
}

impl Lease {
    /// A connection that was acquired from SQLx at some time; a fresh one is known to be alive.
    pub(crate) fn new(
        connection: Connection,
        persistence: Persistence,
        permits: PoolPermits,
        (checked_out, fresh): (Instant, bool),
        parking: Arc<Parking>,
    ) -> Self {
        parking.begin_use();
        Self {
            connection: Some(connection),
            standing: Standing::AtRest,
            traces: Traces::None,
            persistence,
            permits: Some(permits),
            checked_out,
            fresh,
            parking,
        }
    }

    pub(crate) fn connection(&mut self) -> &mut Connection {
        match &mut self.connection {
            Some(connection) => connection,
            None => unreachable!("only `release` and `drop` take the connection, and both end it"),
        }
    }

    /// Starts logging a statement that is about to be sent.
    pub(crate) fn watch(&self, sql: &str) -> Watch {
        Watch::begin(self.parking.log(), sql)
    }

    /// Runs a command that takes no values and returns no rows.
    pub(crate) async fn command(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        self.command_told_as(sql, sql).await
    }

    /// Runs SQL that contains values, and logs a text without them.
    pub(crate) async fn command_told_as(
        &mut self,
        told: &str,
        sql: &str,
    ) -> Result<(), sqlx::Error> {
        let watch = self.watch(told);
        let ended = match self.connection() {
            Connection::Sqlite(connection) => connection.command(sql).await,
            Connection::Postgres(backend) => {
                let (connection, vigil) = backend.parts();
                let commands = sqlx::raw_sql(AssertSqlSafe(sql));
                vigil.over(sql, pin!(commands.execute(connection))).await.map(drop)
            }
        };
        watch.command(&ended);
        ended
    }

    /// Whether another caller may have the connection later, perhaps after it was reset.
    pub(crate) fn is_reusable(&self) -> bool {
        self.traces != Traces::Stranger
    }

    /// The runtime in which the connection is returned.
    pub(crate) fn runtime(&self) -> Handle {
        self.parking.runtime().clone()
    }

    /// The deadlines of the pool.
    pub(crate) fn deadlines(&self) -> &Arc<Deadlines> {
        self.parking.deadlines()
    }

    /// Whether the connection is known to be alive.
    pub(crate) fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Whether a prepared statement may be kept after its execution: SQLx's `persistent`. SQLx
    /// names persistent statements, and drops them when its cache is full.
    pub(crate) fn keeps_statements(&self) -> bool {
        self.persistence.statements
    }

    /// Marks the state of the connection as unknown: dropping the lease closes it.
    pub(crate) fn doubt(&mut self) {
        self.standing = Standing::Doubtful;
    }

    /// Marks the connection as broken: dropping the lease closes it.
    pub(crate) fn lose(&mut self) {
        self.standing = Standing::Lost;
    }

    /// Marks the connection as idle again: dropping the lease returns it.
    pub(crate) fn clear(&mut self) {
        self.standing = Standing::AtRest;
    }

    /// Notes that statements may have left traces, because of which the connection is reset or
    /// closed before it is used by another caller.
    pub(crate) fn leave(&mut self, traces: Traces) {
        self.traces = self.traces.max(traces);
    }

    /// Interrupts what runs on the connection, if the database allows that without losing the
    /// connection: on SQLite. The error is `cancelled`.
    pub(crate) fn stop(&self) {
        if let Some(Connection::Sqlite(connection)) = &self.connection {
            connection.stop();
        }
    }

    /// Allows statements on the connection again.
    pub(crate) fn resume(&self) {
        if let Some(Connection::Sqlite(connection)) = &self.connection {
            connection.resume();
        }
    }

    /// Returns the connection, and waits until the next caller can have it. Dropping the lease also
    /// returns it, but the pool may open another connection meanwhile.
    pub(crate) async fn release(mut self) {
        if let Some(returning) = self.end() {
            // It is returned in a separate task, so that it is not lost if the caller stops
            // waiting.
            let _ = returning.await;
        }
    }

    /// Ends the lease. A connection that is in doubt or cannot be reset is closed; a clean one is
    /// parked for the next caller. Returns a task to wait for if the connection is reset or
    /// returned to SQLx.
    fn end(&mut self) -> Option<JoinHandle<()>> {
        if self.standing != Standing::AtRest {
            self.stop();
        }
        let (mut connection, permits) = self.connection.take().zip(self.permits.take())?;
        let (parking, runtime) = (&self.parking, self.parking.runtime());
        if self.standing == Standing::Doubtful && permits.worker.is_some() {
            connection.close();
            runtime.spawn(unnoticed(permits, Arc::clone(parking)));
            return None;
        }
        parking.end_use();
        let Persistence { statements, watch } = self.persistence;
        let is_sqlite = matches!(connection, Connection::Sqlite(_));
        match self.traces {
            _ if self.standing != Standing::AtRest => connection.close(),
            Traces::Session if !is_sqlite && statements => {
                let renewed =
                    renew(connection, permits, watch, self.checked_out, Arc::clone(parking));
                return Some(runtime.spawn(renewed));
            }
            Traces::None if !connection.is_clean() => {
                return Some(runtime.spawn(give_back(connection, permits)));
            }
            Traces::Session if is_sqlite => connection.close(),
            Traces::Stranger => connection.close(),
            Traces::None | Traces::Session => {
                let (connection, permits) =
                    parking.park(connection, permits, self.checked_out).err()?;
                return Some(runtime.spawn(give_back(connection, permits)));
            }
        }
        None
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // The pool spawns tasks when connections leave it.
        let _inside = self.parking.runtime().enter();
        drop(self.end());
    }
}

impl Connection {
    /// Whether the next caller may have it without a reset.
    fn is_clean(&mut self) -> bool {
        match self {
            Self::Sqlite(connection) => {
                connection.close();
                connection.is_clean()
            }
            Self::Postgres(_) => true,
        }
    }

    /// Whether it is known to be open.
    pub(crate) fn is_quiet(&self) -> bool {
        match self {
            Self::Sqlite(_) => true,
            Self::Postgres(backend) => backend.is_quiet(),
        }
    }

    /// Closes it, at once or as soon as nothing runs on it.
    fn close(self) {
        match self {
            Self::Sqlite(connection) => drop(connection),
            Self::Postgres(backend) => drop(backend),
        }
    }

    /// Returns a SQLite connection to SQLx, which limits its age; closes a PostgreSQL connection.
    /// Returns whether it answered.
    pub(crate) async fn give_back(self) -> bool {
        match self {
            Self::Sqlite(connection) => return_sqlite(connection).await,
            Self::Postgres(backend) => {
                backend.leave().await;
                true
            }
        }
    }
}

/// Returns a connection, waiting for its answer. If a server stalls, the connection is lost, but
/// not the permit.
pub(crate) async fn give_back(connection: Connection, permits: PoolPermits) {
    if !connection.give_back().await {
        tracing::warn!("closed a connection that did not respond when it was returned");
    }
    drop(permits);
}

/// Resets a connection, after which other callers may use it.
async fn renew(
    mut connection: Connection,
    permits: PoolPermits,
    watch: bool,
    checked_out: Instant,
    parking: Arc<Parking>,
) {
    if let Connection::Postgres(postgres) = &mut connection {
        let renewed = timeout(RETURN_TIMEOUT, reset(postgres, watch)).await;
        if let Err(error) = renewed.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            tracing::warn!(%error, "closed a connection that could not be reset");
            connection.close();
            return drop(permits);
        }
    }
    if let Err((connection, permits)) = parking.park(connection, permits, checked_out) {
        give_back(connection, permits).await;
    }
}

/// Keeps the permits of a closed connection until the server has noticed that.
async fn unnoticed(permits: PoolPermits, parking: Arc<Parking>) {
    sleep(NOTICED).await;
    parking.end_use();
    drop(permits);
}

/// Interrupts a statement that was abandoned; the connection can be used again.
async fn return_sqlite(mut connection: sqlite::Connection) -> bool {
    let finished = timeout(PATIENCE, connection.finish()).await.is_ok();
    if !finished {
        connection.stop();
        if timeout(RETURN_TIMEOUT, connection.finish()).await.is_err() {
            // It is closed when its statement ends.
            return false;
        }
        connection.resume();
    }
    if !connection.is_clean() {
        tracing::warn!("closed a connection that was returned inside a transaction");
        return true;
    }
    let Some(mut inner) = connection.give_back().await else { return false };
    let mut returning = pin!(inner.return_to_pool());
    timeout(RETURN_TIMEOUT, &mut returning).await.is_ok()
}

#[cfg(test)]
mod tests {
    use crate::{ConnectOptions, Database};

    use super::*;

    async fn single(url: &str) -> Database {
        let mut options = ConnectOptions::default();
        options.pool.max_connections = 1;
        options.pool.acquire_timeout = Duration::from_secs(20);
        Database::connect(url, &options).await.unwrap()
    }

    async fn execute(lease: &mut Lease, sql: &'static str) -> Result<(), sqlx::Error> {
        match lease.connection() {
            Connection::Sqlite(it) => it.command(sql).await,
            Connection::Postgres(it) => sqlx::query(sql).execute(&mut **it).await.map(drop),
        }
    }

    /// Whether the next caller gets the connection that made a temporary table.
    async fn is_same(database: &Database) -> bool {
        let mut lease = database.acquire().await.unwrap();
        execute(&mut lease, "SELECT * FROM mark").await.is_ok()
    }

    #[tokio::test]
    async fn c3_only_a_connection_that_is_known_to_be_at_rest_goes_back() {
        for url in ["sqlite::memory:".to_owned(), ferro_test_support::postgres::url()] {
            let database = single(&url).await;
            let mut lease = database.acquire().await.unwrap();
            lease.doubt();
            execute(&mut lease, "CREATE TEMPORARY TABLE mark (id INTEGER)").await.unwrap();
            lease.clear();
            assert_eq!(database.stats().acquired, 1);
            drop(lease);
            assert_eq!(database.stats().acquired, 0);
            assert!(is_same(&database).await);
            let lease = database.acquire().await.unwrap();
            lease.release().await;
            assert_eq!(database.stats().idle, 1);
            assert!(is_same(&database).await);

            let mut lease = database.acquire().await.unwrap();
            lease.doubt();
            drop(lease);
            assert!(!is_same(&database).await);
        }
    }

    #[tokio::test]
    async fn c3_a_connection_in_doubt_frees_its_permit_while_its_statement_still_runs() {
        let database = single(&ferro_test_support::postgres::url()).await;
        let mut lease = database.acquire().await.unwrap();
        lease.doubt();
        let slow = execute(&mut lease, "SELECT pg_sleep(60)");
        assert!(tokio::time::timeout(Duration::from_millis(100), slow).await.is_err());
        drop(lease);
        assert!(database.check().await.is_ok());
    }
}
