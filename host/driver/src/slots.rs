//! The connections of a pool to SQLite, each of which can be told to stop what it runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use sqlx::pool::{PoolConnection, PoolOptions};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Sqlite, SqliteConnection, SqlitePool};

/// How many steps of its virtual machine SQLite takes between two looks at the switch: some tens
/// of microseconds, which no scan can be measured to lose.
const STEPS: i32 = 1_000;

/// The connections of a pool. Clones share them.
///
/// SQLx keeps nothing of ours beside a connection, and its pools do not say which one they lend. So
/// each connection has a pool of its own, which opens, ages and replaces it, and with it a switch.
#[derive(Clone)]
pub(crate) struct Slots {
    inner: Arc<Inner>,
}

struct Inner {
    all: Vec<Arc<Slot>>,
    /// Those that nobody has; the one that was used last comes last, and is used next.
    free: Mutex<Vec<Arc<Slot>>>,
}

/// A place for one connection.
struct Slot {
    pool: SqlitePool,
    /// That of the connection it has now.
    switch: Arc<Mutex<Switch>>,
}

/// Ends what a connection runs, and whatever it is given to run, while it is on.
#[derive(Clone, Default)]
struct Switch(Arc<AtomicBool>);

/// A slot in use. Dropping it frees the slot.
pub(crate) struct Claim {
    slot: Arc<Slot>,
    switch: Switch,
    slots: Slots,
}

impl Slots {
    /// Places for `max` connections, of which `min` are opened at once and kept.
    pub(crate) fn new(
        options: &PoolOptions<Sqlite>,
        max: u32,
        min: u32,
        connect: &SqliteConnectOptions,
    ) -> Self {
        let slot = |it| Arc::new(Slot::new(options.clone(), u32::from(it < min), connect.clone()));
        // The last one is used first.
        let all: Vec<_> = (0..max).rev().map(slot).collect();
        let free = Mutex::new(all.clone());
        Self { inner: Arc::new(Inner { all, free }) }
    }

    /// A connection that is idle, else a new one. Each caller needs a permit to have one of `max`.
    pub(crate) async fn acquire(&self) -> Result<(PoolConnection<Sqlite>, Claim), sqlx::Error> {
        let mut claim = self.claim().ok_or(sqlx::Error::PoolTimedOut)?;
        let connection = claim.slot.pool.acquire().await?;
        claim.switch = lock(&claim.slot.switch).clone();
        Ok((connection, claim))
    }

    fn claim(&self) -> Option<Claim> {
        let mut free = lock(&self.inner.free);
        let last = free.len().checked_sub(1)?;
        let at = free.iter().rposition(|it| it.pool.num_idle() > 0).unwrap_or(last);
        let slot = free.remove(at);
        Some(Claim { slot, switch: Switch::default(), slots: self.clone() })
    }

    /// How many connections are open, and how many of them nobody has.
    pub(crate) fn count(&self) -> (u32, usize) {
        let pools = || self.inner.all.iter().map(|it| &it.pool);
        (pools().map(SqlitePool::size).sum(), pools().map(SqlitePool::num_idle).sum())
    }

    /// Waits for the connections to come back, and closes them.
    pub(crate) async fn close(&self) {
        join_all(self.inner.all.iter().map(|it| it.pool.close())).await;
    }
}

impl Slot {
    fn new(options: PoolOptions<Sqlite>, min: u32, connect: SqliteConnectOptions) -> Self {
        let switch = Arc::new(Mutex::new(Switch::default()));
        let pool = options.max_connections(1).min_connections(min).after_connect({
            let switch = Arc::clone(&switch);
            move |connection, _| {
                let switch = Arc::clone(&switch);
                Box::pin(async move {
                    let own = Switch::default();
                    own.install(connection).await?;
                    *lock(&switch) = own;
                    Ok(())
                })
            }
        });
        Self { pool: pool.connect_lazy_with(connect), switch }
    }
}

impl Switch {
    async fn install(&self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let on = Arc::clone(&self.0);
        let mut handle = connection.lock_handle().await?;
        handle.set_progress_handler(STEPS, move || !on.load(Ordering::Relaxed));
        Ok(())
    }
}

impl Claim {
    /// What runs on the connection ends now, with `SQLITE_INTERRUPT`.
    pub(crate) fn stop(&self) {
        self.switch.0.store(true, Ordering::Relaxed);
    }

    /// The connection runs again what it is given.
    pub(crate) fn resume(&self) {
        self.switch.0.store(false, Ordering::Relaxed);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.slots.inner.free).push(Arc::clone(&self.slot));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
