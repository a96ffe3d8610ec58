//! Databases: a pool of connections, and the callers that wait for them.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use ferro_wit::types::{Dialect, Error, ErrorKind};
use parking_lot::RwLock;
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use crate::backend::{Backend, Sign};
use crate::connect::{self, Pool, Probe};
use crate::error::{closed, from_sqlx, invalid_configuration};
use crate::fence::Fence;
use crate::lease::{Connection, Lease, Persistence, PoolPermits, RETURN_TIMEOUT};
use crate::options::{ConnectOptions, PoolOptions};
use crate::parking::{MOMENT, Parked, Parking, Term};
use crate::statement::Log;

/// A pool of connections to one database. Clones share the pool.
///
/// # Examples
///
/// ```
/// use ferro_driver::{ConnectOptions, Database};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let database = Database::connect("sqlite::memory:", &ConnectOptions::default()).await?;
/// database.check().await?;
/// assert_eq!(database.stats().acquired, 0);
/// database.disconnect().await;
/// assert!(database.check().await.is_err());
/// # Ok::<(), ferro_wit::types::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Database {
    /// The current pool, which another of the same kind may replace.
    pool: Arc<RwLock<Arc<Inner>>>,
    dialect: Dialect,
    /// Whether a pooler may give the session to others between two transactions.
    is_pooled: bool,
    /// `None` if the caller is the application itself.
    fence: Option<Arc<Fence>>,
    /// `None` if the caller may keep as many workers busy as it has connections.
    workers: Option<Arc<Semaphore>>,
}

/// The current state of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Open connections, including those that are being returned or closed.
    pub size: u32,
    /// Idle connections.
    pub idle: u32,
    /// Connections in use: by a statement, a cursor or a transaction.
    pub acquired: u32,
    /// Callers that wait for a connection.
    pub waiting: u32,
    /// Maximum number of connections.
    pub max: u32,
}

struct Inner {
    /// Its name in messages.
    name: String,
    pool: Pool,
    probe: Probe,
    max: u32,
    acquire_timeout: Duration,
    persistence: Persistence,
    /// Whether a connection is tested before use if it was idle, or is used to write.
    tests: bool,
    parking: Arc<Parking>,
    keeper: Mutex<Option<SqliteConnection>>,
}

impl Database {
    /// Opens a pool, with a first connection to check that it works.
    ///
    /// URLs are `sqlite:path` and `sqlite://path` with `?mode=rwc` (create if missing), `rw` (the
    /// default), `ro` or `memory`; `sqlite::memory:`; and
    /// `postgresql://user:password@host:port/database` with `sslmode`, `sslrootcert`, `sslcert` and
    /// `sslkey`, `application_name`, `options`, and `host=/folder` for a Unix socket. The default
    /// user is the account of the process. The environment is not used.
    ///
    /// An in-memory database is shared by the whole pool, lives as long as the pool, and cannot be
    /// accessed from another pool. Readers share it, and a writer has exclusive access: a writer
    /// that waits for an open cursor fails with `busy` after the busy timeout. Its maximum size is
    /// 1 GiB.
    ///
    /// # Errors
    ///
    /// `invalid-configuration` for an invalid URL or option, `connection-failed` if nothing
    /// answers, `authentication-failed`, `database-missing`, `tls-failed`.
    pub async fn connect(url: &str, options: &ConnectOptions) -> Result<Self, Error> {
        Self::connect_as(None, url, options).await
    }

    /// As [`connect`](Self::connect), with a label for messages.
    pub(crate) async fn connect_as(
        label: Option<&str>,
        url: &str,
        options: &ConnectOptions,
    ) -> Result<Self, Error> {
        let opened = connect::open(url, options).await?;
        let dialect = opened.probe.dialect();
        let max = options.pool.max_connections;
        let log = Log {
            label: label.unwrap_or_default().to_owned(),
            dialect,
            slow: options.pool.slow_statement,
        };
        let PoolOptions { idle_timeout, max_lifetime, min_connections, .. } = options.pool;
        let term = match dialect {
            Dialect::Sqlite => Term::SHORT,
            Dialect::Postgres => {
                Term { idle: idle_timeout, life: max_lifetime, least: min_connections }
            }
        };
        let inner = Arc::new(Inner {
            name: label.map_or("the database".to_owned(), |it| format!("`{it}`")),
            pool: opened.pool,
            probe: opened.probe,
            max,
            acquire_timeout: options.pool.acquire_timeout,
            persistence: Persistence { statements: opened.keeps, watch: opened.watches },
            // A file does not go away as a server does.
            tests: options.pool.test_before_acquire && dialect == Dialect::Postgres,
            parking: Arc::new(Parking::new(max, term, log)),
            keeper: Mutex::new(opened.keeper),
        });
        let database = Self {
            pool: Arc::new(RwLock::new(Arc::clone(&inner))),
            dialect,
            is_pooled: dialect == Dialect::Postgres && !inner.persistence.statements,
            fence: None,
            workers: None,
        };
        // The first statement need not wait for a connection.
        let first = match opened.first {
            Some(connection) => {
                let permit = inner.parking.permit().await?;
                let permits = PoolPermits { claim: None, worker: None, permit };
                let connection = Connection::Postgres(connection);
                let fresh = (Instant::now(), true);
                Lease::new(
                    connection,
                    inner.persistence,
                    permits,
                    fresh,
                    Arc::clone(&inner.parking),
                )
            }
            None => database.acquire().await?,
        };
        first.release().await;
        if let (Pool::Postgres(..), 1..) = (&inner.pool, min_connections) {
            tokio::spawn(keep_open(Arc::downgrade(&inner), min_connections));
        }
        Ok(database)
    }

    /// Opens a pool that replaces this one, in all clones, too. Callers that wait for a connection
    /// get one of the new pool; this waits until those that have one are done. The old pool stays
    /// until the new one is open, and if it cannot be opened.
    pub(crate) async fn replace(&self, url: &str, options: &ConnectOptions) -> Result<(), Error> {
        let old = self.inner();
        let (name, label) = (&old.name, old.parking.log().label.as_str());
        let new = Self::connect_as(Some(label).filter(|it| !it.is_empty()), url, options).await?;
        // Plans depend on the dialect, and fences on the kind of connection.
        if (new.dialect, new.is_pooled) != (self.dialect, self.is_pooled) {
            new.disconnect().await;
            return Err(invalid_configuration(format!(
                "{name} cannot be replaced by a database of another dialect, nor if only one of \
                 the two is behind a transaction-mode pooler: disconnect it, and connect the other"
            )));
        }
        let new = new.inner();
        let replaced = {
            let mut pool = self.pool.write();
            // What was closed meanwhile stays closed.
            (!pool.parking.is_closed()).then(|| std::mem::replace(&mut *pool, Arc::clone(&new)))
        };
        let is_replaced = replaced.is_some();
        replaced.unwrap_or(new).disconnect().await;
        if is_replaced { Ok(()) } else { Err(closed()) }
    }

    fn inner(&self) -> Arc<Inner> {
        Arc::clone(&self.pool.read())
    }

    /// Whether this is a clone of the other.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pool, &other.pool)
    }

    /// The SQL dialect of the database.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Makes a round trip to the database; returns its duration, without the wait for a connection.
    ///
    /// # Errors
    ///
    /// `busy` if no connection is free in time, `timeout` if there is no answer within
    /// `acquire_timeout`, otherwise the cause of the failure.
    pub async fn check(&self) -> Result<Duration, Error> {
        let mut lease = self.acquire_live().await?;
        lease.doubt();
        let start = Instant::now();
        let question = match self.dialect() {
            Dialect::Sqlite => connect::READ,
            Dialect::Postgres => "SELECT 1",
        };
        // A paused pooler accepts connections, and holds their requests.
        let inner = self.inner();
        match timeout(inner.acquire_timeout, lease.command(question)).await {
            Ok(answer) => answer.map_err(|error| from_sqlx(&error, self.dialect()))?,
            Err(_) => return Err(inner.silent()),
        }
        let elapsed = start.elapsed();
        lease.clear();
        lease.release().await;
        Ok(elapsed)
    }

    /// The same pool, for a caller that the database itself restricts by a fence.
    ///
    /// A single statement that needs it runs in a transaction of its own.
    ///
    /// # Errors
    ///
    /// `invalid-configuration` if the database does not support the fence.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferro_driver::{ConnectOptions, Database, Fence, RawSql};
    /// use ferro_wit::types::ErrorKind;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let database = Database::connect("sqlite::memory:", &ConnectOptions::default()).await?;
    /// let fence = Fence { read_only: true, raw_sql: RawSql::Fenced, ..Fence::default() };
    /// let stranger = database.fenced(fence)?;
    /// let refused = stranger.execute_raw("CREATE TABLE t (n INTEGER)", vec![]).await;
    /// assert_eq!(refused.unwrap_err().kind, ErrorKind::ReadOnly);
    /// # Ok::<(), ferro_wit::types::Error>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fenced(&self, fence: Fence) -> Result<Self, Error> {
        fence.validate(self.dialect(), self.is_pooled())?;
        Ok(Self { fence: Some(Arc::new(fence)), ..self.clone() })
    }

    /// The same pool, for callers that together keep no more workers busy than there are permits:
    /// threads of this process on SQLite, backends of the server on PostgreSQL. An abandoned
    /// statement counts until it ends. Its permit of the pool is released at once on SQLite, and on
    /// PostgreSQL after the server has had time to notice.
    #[must_use]
    pub fn with_workers(&self, workers: Arc<Semaphore>) -> Self {
        Self { workers: Some(workers), ..self.clone() }
    }

    pub(crate) fn is_pooled(&self) -> bool {
        self.is_pooled
    }

    /// The fence of the caller; `None` for the application.
    pub(crate) fn fence(&self) -> Option<&Arc<Fence>> {
        self.fence.as_ref()
    }

    /// How long a transaction of the caller may be open.
    pub(crate) fn transaction_timeout(&self) -> Option<Duration> {
        self.fence.as_ref()?.transaction_timeout
    }

    /// The current state of the pool.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let inner = self.inner();
        let (size, idle) = match &inner.pool {
            Pool::Sqlite(it) => it.count(),
            Pool::Postgres(it, _) => (it.size(), it.num_idle()),
        };
        let (at_hand, acquired, waiting) = inner.parking.count();
        let idle = u32::try_from(idle).unwrap_or(u32::MAX);
        Stats { size, idle: idle.saturating_add(at_hand), acquired, waiting, max: inner.max }
    }

    /// Closes the pool: callers that wait for a connection get an error, those that have one can
    /// finish, and then all connections are closed. Later operations fail with `connection-failed`.
    /// It waits at most a few seconds for a server that does not confirm the close.
    pub async fn disconnect(&self) {
        self.inner().disconnect().await;
    }

    /// Acquires a connection within `acquire_timeout`. If it was used moments ago, it is not
    /// tested.
    pub(crate) async fn acquire(&self) -> Result<Lease, Error> {
        self.acquire_as(false).await
    }

    /// The same, but tests a connection to a server first, for statements that cannot be resent.
    pub(crate) async fn acquire_live(&self) -> Result<Lease, Error> {
        self.acquire_as(true).await
    }

    async fn acquire_as(&self, live: bool) -> Result<Lease, Error> {
        loop {
            let inner = self.inner();
            match self.acquire_from(&inner, live).await {
                // Another pool has replaced it meanwhile.
                Err(_) if !Arc::ptr_eq(&inner, &self.inner()) => {}
                acquired => return acquired,
            }
        }
    }

    async fn acquire_from(&self, inner: &Inner, live: bool) -> Result<Lease, Error> {
        let deadline = Instant::now() + inner.acquire_timeout;
        let permits = async { Ok((self.worker(inner).await, inner.parking.permit().await?)) };
        let (worker, permit) = match timeout(inner.acquire_timeout, permits).await {
            Ok(permits) => permits?,
            Err(_) => return Err(inner.busy()),
        };
        let (Parked { mut connection, claim, checked_out, .. }, fresh) = match inner.parking.take()
        {
            Some(parked) if !inner.asks(&parked, live) => (parked, false),
            // Large, and seldom needed.
            parked => Box::pin(inner.check_out(parked, live, deadline)).await?,
        };
        if let Connection::Sqlite(connection) = &mut connection {
            connection.serve(self.fence.is_some(), self.workers.as_ref());
        }
        let permits = PoolPermits { claim, worker, permit };
        let parking = Arc::clone(&inner.parking);
        Ok(Lease::new(connection, inner.persistence, permits, (checked_out, fresh), parking))
    }

    /// Acquires a server backend for callers that share a number of them, before a permit of the
    /// pool.
    async fn worker(&self, inner: &Inner) -> Option<OwnedSemaphorePermit> {
        match (&inner.pool, &self.workers) {
            (Pool::Postgres(..), Some(workers)) => Arc::clone(workers).acquire_owned().await.ok(),
            // A statement takes a thread when it needs one.
            _ => None,
        }
    }
}

impl Inner {
    async fn disconnect(&self) {
        self.parking.close();
        match &self.pool {
            Pool::Sqlite(it) => it.close().await,
            // With TLS, closing waits until a silent server answers.
            Pool::Postgres(it, _) => tokio::select! {
                () = it.close() => {}
                () = async {
                    self.parking.at_rest().await;
                    sleep(RETURN_TIMEOUT).await;
                } => {}
            },
        }
        if let Some(keeper) = self.keeper.lock().await.take() {
            let _ = keeper.close().await;
        }
    }

    /// Whether to test a connection before use: if it may have died meanwhile; or if it must be
    /// alive, and the server may have closed it.
    fn asks(&self, parked: &Parked, live: bool) -> bool {
        let is_closed = || !parked.connection.is_quiet();
        self.tests && (parked.since.elapsed() >= MOMENT || live && is_closed())
    }

    /// An idle connection that passes the test, otherwise a new one; and whether it was just
    /// tested. Failures here do not mean that the pool is exhausted.
    async fn check_out(
        &self,
        mut parked: Option<Parked>,
        live: bool,
        deadline: Instant,
    ) -> Result<(Parked, bool), Error> {
        let start = Instant::now();
        loop {
            while let Some(found) = parked {
                parked = match self.revive(found, deadline).await {
                    Ok(found) => return Ok((found, true)),
                    Err(Sign::Silent) => None,
                    // Testing the next one takes no time.
                    Err(_) => self.parking.take(),
                };
            }
            let returned = tokio::select! {
                biased;
                opened = self.open() => return opened.map(|it| (it, true)),
                returned = self.parking.returned() => returned,
                error = self.failure(start, deadline) => return Err(error),
            };
            if !self.asks(&returned, live) {
                return Ok((returned, false));
            }
            parked = Some(returned);
        }
    }

    /// Tests a connection. A silent one gets half of the time: the other half is for opening
    /// another. Other idle connections that have been silent as long are closed too, since they
    /// would delay the next callers as much.
    async fn revive(&self, mut parked: Parked, deadline: Instant) -> Result<Parked, Sign> {
        let Connection::Postgres(backend) = &mut parked.connection else { return Ok(parked) };
        let (asked, half) = (Instant::now(), self.acquire_timeout / 2);
        let left = deadline.saturating_duration_since(asked);
        match backend.ask(half.min(left)).await {
            Sign::Alive => Ok(parked),
            sign => {
                if sign == Sign::Silent && left >= half {
                    self.parking.forget(asked);
                }
                Err(sign)
            }
        }
    }

    async fn open(&self) -> Result<Parked, Error> {
        let connection = match &self.pool {
            Pool::Sqlite(it) => it
                .acquire()
                .await
                .map(|(connection, claim)| (Connection::Sqlite(connection), Some(claim))),
            Pool::Postgres(it, inquiry) => {
                Backend::open(it, inquiry).await.map(|it| (Connection::Postgres(it), None))
            }
        };
        match connection {
            Ok((connection, claim)) => {
                let now = Instant::now();
                Ok(Parked { connection, claim, checked_out: now, since: now })
            }
            // `failure`, which has the same deadline, reports the cause.
            Err(sqlx::Error::PoolTimedOut) => std::future::pending().await,
            Err(sqlx::Error::PoolClosed) => Err(closed()),
            // Opening failed, and this error does not say why.
            Err(error) => Err(self.probe.describe(error, self.acquire_timeout)),
        }
    }

    /// Why the pool does not open a connection in time; ready once that is known, or at the
    /// deadline.
    async fn failure(&self, start: Instant, deadline: Instant) -> Error {
        let known = self.probe.failure(deadline, self.acquire_timeout).await;
        // Most of the time may have been spent in the queue.
        let was_busy = deadline.saturating_duration_since(start) < self.acquire_timeout / 2;
        known.unwrap_or_else(|| if was_busy { self.busy() } else { self.slow() })
    }

    fn busy(&self) -> Error {
        let message = format!(
            "no connection of {} was free within {:?}: all {} are in use",
            self.name, self.acquire_timeout, self.max
        );
        Error::new(ErrorKind::Busy, message).with_code(Error::POOL_TIMEOUT).retryable()
    }

    fn silent(&self) -> Error {
        let message = format!("{} gave no answer within {:?}", self.name, self.acquire_timeout);
        Error::new(ErrorKind::Timeout, message).retryable()
    }

    fn slow(&self) -> Error {
        let message =
            format!("{} opened no connection within {:?}", self.name, self.acquire_timeout);
        Error::new(ErrorKind::ConnectionFailed, message).retryable()
    }
}

/// Keeps a minimum of connections open, as long as the pool exists.
async fn keep_open(inner: Weak<Inner>, least: u32) {
    while let Some(inner) = inner.upgrade() {
        let Pool::Postgres(pool, inquiry) = &inner.pool else { return };
        while pool.size() < least {
            // A caller that needs one gets the error.
            let Ok(backend) = Backend::open(pool, inquiry).await else { break };
            if let Err(unwanted) = inner.parking.add(Connection::Postgres(backend)) {
                unwanted.give_back().await;
                break;
            }
        }
        if inner.parking.is_closed() {
            return;
        }
        drop(inner);
        sleep(MOMENT).await;
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("name", &self.inner().name)
            .field("dialect", &self.dialect())
            .field("stats", &self.stats())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "these are tests")]

    use ferro_test_support::postgres;

    use super::*;

    async fn first_connection(url: &str) -> (Arc<Inner>, Parked) {
        let inner = Database::connect(url, &ConnectOptions::default()).await.unwrap().inner();
        let first = inner.parking.take().unwrap();
        (inner, first)
    }

    #[tokio::test]
    async fn p6_a_write_needs_a_test_of_a_connection_only_after_the_server_has_closed_it() {
        let url = postgres::url();
        let (pool, first) = first_connection(&url).await;
        let tests = |live| pool.asks(&first, live);
        assert_eq!([false, true].map(tests), [false, false]);
        postgres::execute(
            &url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
        let end = Instant::now() + Duration::from_secs(10);
        while !tests(true) && Instant::now() < end {
            sleep(Duration::from_millis(1)).await;
        }
        assert!(tests(true));
    }

    #[tokio::test]
    async fn p6_a_write_needs_a_test_if_the_server_does_not_say_which_connection_it_is() {
        let url = postgres::url();
        let role = format!("{}_unseen", url.rsplit('/').next().unwrap());
        postgres::execute(
            &url,
            &format!(
                "CREATE ROLE {role} LOGIN PASSWORD 'pw'; \
                 REVOKE EXECUTE ON FUNCTION inet_client_port() FROM public"
            ),
        );
        let rest = url.split_once('@').unwrap().1;
        let (pool, first) = first_connection(&format!("postgres://{role}:pw@{rest}")).await;
        assert_eq!([false, true].map(|live| pool.asks(&first, live)), [false, true]);
    }
}
