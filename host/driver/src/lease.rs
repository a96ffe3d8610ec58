//! A connection lent by a pool, which goes back only if it is known to be at rest.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Postgres, Sqlite};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::reset::{Traces, reset};
use crate::slots::Claim;

/// How long a returning connection has for its sign of life before it is closed instead.
const RETURN_TIMEOUT: Duration = Duration::from_secs(2);
/// How long SQLite has to find out by itself that nobody listens to a statement, which it does at
/// the next row, before it is told. A write then ends as its cursor left it, not rolled back.
const PATIENCE: Duration = Duration::from_millis(200);

/// A connection of one of the two databases.
pub(crate) enum Raw {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

/// A connection with its place in the pool.
///
/// Call [`doubt`](Self::doubt) before an operation that may be cancelled half-way and
/// [`clear`](Self::clear) after it ended well. A lease that is dropped in doubt closes its
/// connection, so that nobody reads another's answer or runs in another's transaction. What still
/// runs on it ends at the database, too: SQLite is told, PostgreSQL watches for the closed socket.
pub(crate) struct Lease {
    /// None only while it is given back.
    raw: Option<Raw>,
    doubtful: bool,
    traces: Traces,
    keeping: Keeping,
    hold: Option<Hold>,
    /// How many leases of the pool are in use.
    held: Arc<AtomicU32>,
    /// A lease may be dropped on a thread that no runtime knows, by a garbage collector for one.
    runtime: Handle,
}

/// What outlives a statement on the connections of a pool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keeping {
    /// Prepared statements, and settings: there is a session.
    pub(crate) statements: bool,
    /// That they are told to [`watch`](crate::connect::watch).
    pub(crate) watch: bool,
}

/// What keeps the place of a connection. The permit goes last: whoever gets it finds the connection
/// idle, or room for another.
pub(crate) struct Hold {
    /// Only connections to SQLite have one.
    pub(crate) claim: Option<Claim>,
    #[expect(dead_code, reason = "it is held")]
    pub(crate) permit: OwnedSemaphorePermit,
}

impl Lease {
    /// Must be called inside a runtime.
    pub(crate) fn new(raw: Raw, keeping: Keeping, hold: Hold, held: Arc<AtomicU32>) -> Self {
        held.fetch_add(1, Ordering::Relaxed);
        Self {
            raw: Some(raw),
            doubtful: false,
            traces: Traces::None,
            keeping,
            hold: Some(hold),
            held,
            runtime: Handle::current(),
        }
    }

    /// The connection.
    pub(crate) fn connection(&mut self) -> &mut Raw {
        match &mut self.raw {
            Some(raw) => raw,
            None => unreachable!("only `release` and `drop` take the connection, and both end it"),
        }
    }

    /// Whether a prepared statement may outlive its execution: `persistent` for SQLx, which gives
    /// names to persistent statements and forgets them where its cache has no room.
    pub(crate) fn keeps_statements(&self) -> bool {
        self.keeping.statements
    }

    /// From here on the connection is in an unknown state: dropping the lease closes it.
    pub(crate) fn doubt(&mut self) {
        self.doubtful = true;
    }

    /// The connection is at rest again: dropping the lease gives it back.
    pub(crate) fn clear(&mut self) {
        self.doubtful = false;
    }

    /// Statements may have left traces, for which the connection is reset or closed before another
    /// caller has it.
    pub(crate) fn leave(&mut self, traces: Traces) {
        self.traces = self.traces.max(traces);
    }

    /// What runs on the connection is to end now, where the database can be told so without losing
    /// the connection: on SQLite. The error is `cancelled`.
    pub(crate) fn stop(&self) {
        if let Some(claim) = self.claim() {
            claim.stop();
        }
    }

    /// The connection may run statements again.
    pub(crate) fn resume(&self) {
        if let Some(claim) = self.claim() {
            claim.resume();
        }
    }

    fn claim(&self) -> Option<&Claim> {
        self.hold.as_ref()?.claim.as_ref()
    }

    /// Gives the connection back and waits until the next caller can have it. Dropping does the
    /// same, but the pool may open another connection meanwhile.
    pub(crate) async fn release(mut self) {
        if let Some((raw, hold, renewal)) = self.take() {
            // In a task of its own, so that a caller who stops waiting does not lose it.
            let _ = self.runtime.spawn(give_back(raw, hold, renewal)).await;
        }
    }

    /// The connection, if it goes back to the pool, and whether it is reset before; closes it if it
    /// is in doubt or cannot be reset.
    fn take(&mut self) -> Option<(Raw, Hold, Option<Keeping>)> {
        if self.doubtful {
            self.stop();
        }
        let (raw, hold) = self.raw.take().zip(self.hold.take())?;
        self.held.fetch_sub(1, Ordering::Relaxed);
        let renewal = match (&raw, self.traces) {
            _ if self.doubtful => Err(()),
            (_, Traces::None) => Ok(None),
            (Raw::Postgres(_), Traces::Session) => {
                Ok(self.keeping.statements.then_some(self.keeping))
            }
            (Raw::Sqlite(_), Traces::Session) | (_, Traces::Stranger) => Err(()),
        };
        if let Ok(renewal) = renewal {
            return Some((raw, hold, renewal));
        }
        match raw {
            Raw::Sqlite(connection) => drop(connection.detach()),
            Raw::Postgres(connection) => drop(connection.detach()),
        }
        None
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // The pool spawns tasks of its own when connections leave it.
        let _inside = self.runtime.enter();
        if let Some((raw, hold, renewal)) = self.take() {
            self.runtime.spawn(give_back(raw, hold, renewal));
        }
    }
}

/// Returning asks for a sign of life. A server that stalls costs the connection, not the place.
async fn give_back(raw: Raw, hold: Hold, renewal: Option<Keeping>) {
    let returned = match raw {
        Raw::Sqlite(mut it) => return_sqlite(it.return_to_pool(), hold.claim.as_ref()).await,
        Raw::Postgres(it) => return_postgres(it, renewal).await,
    };
    if !returned {
        tracing::warn!("closed a connection that gave no sign of life when it was returned");
    }
    drop(hold);
}

async fn return_postgres(
    mut connection: PoolConnection<Postgres>,
    renewal: Option<Keeping>,
) -> bool {
    if let Some(Keeping { watch, .. }) = renewal {
        let renewed = timeout(RETURN_TIMEOUT, reset(&mut connection, watch)).await;
        if let Err(error) = renewed.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            tracing::warn!(%error, "closed a connection that could not be reset");
            drop(connection.detach());
            return true;
        }
    }
    timeout(RETURN_TIMEOUT, connection.return_to_pool()).await.is_ok()
}

/// A statement that nobody listens to any more is stopped; the connection is good for others.
async fn return_sqlite(returning: impl Future<Output = ()>, claim: Option<&Claim>) -> bool {
    let mut returning = pin!(returning);
    if timeout(PATIENCE, &mut returning).await.is_ok() {
        return true;
    }
    if let Some(claim) = claim {
        claim.stop();
    }
    let returned = timeout(RETURN_TIMEOUT, returning).await.is_ok();
    // One that did not come back is closed, and ends what it runs.
    if let Some(claim) = claim.filter(|_| returned) {
        claim.resume();
    }
    returned
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
            Raw::Sqlite(it) => sqlx::query(sql).execute(&mut **it).await.map(drop),
            Raw::Postgres(it) => sqlx::query(sql).execute(&mut **it).await.map(drop),
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
    async fn c3_a_connection_in_doubt_frees_its_place_while_its_statement_still_runs() {
        let database = single(&ferro_test_support::postgres::url()).await;
        let mut lease = database.acquire().await.unwrap();
        lease.doubt();
        let slow = execute(&mut lease, "SELECT pg_sleep(60)");
        assert!(tokio::time::timeout(Duration::from_millis(100), slow).await.is_err());
        drop(lease);
        assert!(database.check().await.is_ok());
    }
}
