//! A connection lent by a pool, which goes back only if it is known to be at rest.

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

/// How long a returning connection has for its sign of life before it is closed instead.
pub(crate) const RETURN_TIMEOUT: Duration = Duration::from_secs(2);
/// How long SQLite has to come to the end of a batch that nobody waits for, before it is told to
/// stop. A write then ends as its cursor left it, not rolled back.
const PATIENCE: Duration = Duration::from_millis(200);

/// A connection of one of the two databases.
pub(crate) enum Connection {
    Sqlite(sqlite::Connection),
    Postgres(Backend),
}

/// A connection with its permits.
///
/// Call [`doubt`](Self::doubt) before an operation that may be cancelled halfway and
/// [`clear`](Self::clear) after it ended well. A lease that is dropped in doubt closes its
/// connection, so that nobody reads another's answer or runs in another's transaction. What still
/// runs on it ends at the database, too: SQLite is told, PostgreSQL watches for the closed socket.
/// Of callers whose backends are counted, the permits count until the server has noticed: who gives
/// up one statement after another does not have more of them run than there are permits.
pub(crate) struct Lease {
    /// None only while it is given back.
    connection: Option<Connection>,
    standing: Standing,
    traces: Traces,
    persistence: Persistence,
    permits: Option<PoolPermits>,
    /// When it was checked out of the pool of SQLx.
    checked_out: Instant,
    /// It was opened for this caller, or gave him a sign of life.
    fresh: bool,
    parking: Arc<Parking>,
}

/// What is known of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    AtRest,
    /// Something may run on it.
    Doubtful,
    /// It is broken, and the other end knows.
    Lost,
}

/// What outlives a statement on the connections of a pool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Persistence {
    /// Prepared statements, and settings: there is a session.
    pub(crate) statements: bool,
    /// That they are told to [`watch`](crate::connect::watch).
    pub(crate) watch: bool,
}

/// The right to use a connection of the pool. The permit goes last: whoever gets it finds the
/// connection idle, or room for another.
pub(crate) struct PoolPermits {
    /// Only connections to SQLite have one.
    pub(crate) claim: Option<Claim>,
    /// That of a backend of the server, where they are counted.
    pub(crate) worker: Option<OwnedSemaphorePermit>,
    pub(crate) permit: OwnedSemaphorePermit,
}

impl Lease {
    /// A connection that SQLx lent at some time; a fresh one has just shown that it lives.
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

    /// The connection.
    pub(crate) fn connection(&mut self) -> &mut Connection {
        match &mut self.connection {
            Some(connection) => connection,
            None => unreachable!("only `release` and `drop` take the connection, and both end it"),
        }
    }

    /// A statement is sent on the connection.
    pub(crate) fn watch(&self, sql: &str) -> Watch {
        Watch::begin(self.parking.log(), sql)
    }

    /// Runs what takes no values and returns no rows.
    pub(crate) async fn command(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        self.command_told_as(sql, sql).await
    }

    /// Runs SQL with values in it, and tells a text without them.
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

    /// The runtime that gives the connection back.
    pub(crate) fn runtime(&self) -> Handle {
        self.parking.runtime().clone()
    }

    /// Those of the pool.
    pub(crate) fn deadlines(&self) -> &Arc<Deadlines> {
        self.parking.deadlines()
    }

    /// Whether the connection has just shown that it lives.
    pub(crate) fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Whether a prepared statement may outlive its execution: `persistent` for SQLx, which gives
    /// names to persistent statements and forgets them where its cache has no room.
    pub(crate) fn keeps_statements(&self) -> bool {
        self.persistence.statements
    }

    /// From here on the connection is in an unknown state: dropping the lease closes it.
    pub(crate) fn doubt(&mut self) {
        self.standing = Standing::Doubtful;
    }

    /// The connection is broken: dropping the lease closes it.
    pub(crate) fn lose(&mut self) {
        self.standing = Standing::Lost;
    }

    /// The connection is at rest again: dropping the lease gives it back.
    pub(crate) fn clear(&mut self) {
        self.standing = Standing::AtRest;
    }

    /// Statements may have left traces, for which the connection is reset or closed before another
    /// caller has it.
    pub(crate) fn leave(&mut self, traces: Traces) {
        self.traces = self.traces.max(traces);
    }

    /// What runs on the connection is to end now, where the database can be told so without losing
    /// the connection: on SQLite. The error is `cancelled`.
    pub(crate) fn stop(&self) {
        if let Some(Connection::Sqlite(connection)) = &self.connection {
            connection.stop();
        }
    }

    /// The connection may run statements again.
    pub(crate) fn resume(&self) {
        if let Some(Connection::Sqlite(connection)) = &self.connection {
            connection.resume();
        }
    }

    /// Gives the connection back and waits until the next caller can have it. Dropping does the
    /// same, but the pool may open another connection meanwhile.
    pub(crate) async fn release(mut self) {
        if let Some(returning) = self.end() {
            // In a task of its own, so that a caller who stops waiting does not lose it.
            let _ = returning.await;
        }
    }

    /// Ends the lease. A connection that is in doubt or cannot be reset is closed, one that is as good
    /// as new is kept at hand; what is to be waited for, where it is reset or goes back to SQLx.
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
        // The pool spawns tasks of its own when connections leave it.
        let _inside = self.parking.runtime().enter();
        drop(self.end());
    }
}

impl Connection {
    /// Whether the next caller may have it as it is.
    fn is_clean(&mut self) -> bool {
        match self {
            Self::Sqlite(connection) => {
                connection.close();
                connection.is_clean()
            }
            Self::Postgres(_) => true,
        }
    }

    /// Closes it, or has it closed as soon as nothing runs on it.
    fn close(self) {
        match self {
            Self::Sqlite(connection) => drop(connection),
            Self::Postgres(backend) => drop(backend),
        }
    }

    /// Gives one to SQLite back to SQLx, which ages it, and closes one to PostgreSQL; whether it gave a
    /// sign of life.
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

/// Returning asks for a sign of life. A server that stalls costs the connection, not the permit.
pub(crate) async fn give_back(connection: Connection, permits: PoolPermits) {
    if !connection.give_back().await {
        tracing::warn!("closed a connection that did not respond when it was returned");
    }
    drop(permits);
}

/// Resets a connection, for whom it is as good as new then.
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

/// Keeps the permits of a connection that was closed until the server has noticed.
async fn unnoticed(permits: PoolPermits, parking: Arc<Parking>) {
    sleep(NOTICED).await;
    parking.end_use();
    drop(permits);
}

/// What nobody listens to any more is stopped; the connection is good for others.
async fn return_sqlite(mut connection: sqlite::Connection) -> bool {
    let finished = timeout(PATIENCE, connection.finish()).await.is_ok();
    if !finished {
        connection.stop();
        if timeout(RETURN_TIMEOUT, connection.finish()).await.is_err() {
            // It is closed when it ends what it runs.
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
