//! The slots of a pool of SQLite connections.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use sqlx::pool::PoolOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Sqlite, SqlitePool};

use super::connection::{Connection, Queue};
use super::interrupter::Interrupter;

/// The connections of a pool. Clones share them.
///
/// SQLx cannot store anything of ours along with a connection, and its pools do not tell which
/// connection they lend. So each connection has its own SQLx pool, which opens, ages and replaces
/// it, and its own interrupter.
#[derive(Clone)]
pub(crate) struct Slots {
    inner: Arc<Inner>,
}

struct Inner {
    all: Vec<Arc<Slot>>,
    /// The free slots. The most recently used one is last, and is used next.
    free: Mutex<Vec<Arc<Slot>>>,
    queue: Queue,
    /// The number of prepared statements kept per connection.
    statements: usize,
}

/// A slot for one connection.
struct Slot {
    pool: SqlitePool,
    /// The interrupter of its current connection.
    interrupter: Arc<Mutex<Interrupter>>,
}

/// A slot in use. Dropping it frees the slot.
pub(crate) struct Claim {
    slot: Arc<Slot>,
    slots: Slots,
}

impl Slots {
    /// Slots for `max` connections, of which `min` are opened at once and kept open.
    pub(crate) fn new(
        options: &PoolOptions<Sqlite>,
        (max, min): (u32, u32),
        connect: &SqliteConnectOptions,
        busy_timeout: Duration,
        statements: usize,
    ) -> Self {
        let slot = |it| Arc::new(Slot::new(options.clone(), u32::from(it < min), connect.clone()));
        // The last slot is used first.
        let all: Vec<_> = (0..max).rev().map(slot).collect();
        let free = Mutex::new(all.clone());
        let queue = Queue::new(busy_timeout);
        Self { inner: Arc::new(Inner { all, free, queue, statements }) }
    }

    /// An idle connection, else a new one. Each caller needs a permit for one of `max` connections.
    pub(crate) async fn acquire(&self) -> Result<(Connection, Claim), sqlx::Error> {
        let claim = self.claim().ok_or(sqlx::Error::PoolTimedOut)?;
        let inner = claim.slot.pool.acquire().await?;
        let interrupter = claim.slot.interrupter.lock().clone();
        let Inner { queue, statements, .. } = &*self.inner;
        let connection = Connection::new(inner, interrupter, queue.clone(), *statements).await?;
        Ok((connection, claim))
    }

    fn claim(&self) -> Option<Claim> {
        let mut free = self.inner.free.lock();
        let last = free.len().checked_sub(1)?;
        // A connection that is neither idle nor closed still runs an abandoned statement.
        let idle = free.iter().rposition(|it| it.pool.num_idle() > 0);
        let closed = || free.iter().rposition(|it| it.pool.size() == 0);
        let at = idle.or_else(closed).unwrap_or(last);
        let slot = free.remove(at);
        Some(Claim { slot, slots: self.clone() })
    }

    /// The number of open connections, and of those that were returned to SQLx.
    pub(crate) fn count(&self) -> (u32, usize) {
        let pools = || self.inner.all.iter().map(|it| &it.pool);
        (pools().map(SqlitePool::size).sum(), pools().map(SqlitePool::num_idle).sum())
    }

    /// Waits until all connections have been returned, and closes them.
    pub(crate) async fn close(&self) {
        join_all(self.inner.all.iter().map(|it| it.pool.close())).await;
    }
}

impl Slot {
    fn new(options: PoolOptions<Sqlite>, min: u32, connect: SqliteConnectOptions) -> Self {
        let interrupter = Arc::new(Mutex::new(Interrupter::new()));
        let pool = options.max_connections(1).min_connections(min).after_connect({
            let interrupter = Arc::clone(&interrupter);
            move |connection, _| {
                let interrupter = Arc::clone(&interrupter);
                Box::pin(async move {
                    let new = Interrupter::new();
                    new.install(connection).await?;
                    *interrupter.lock() = new;
                    Ok(())
                })
            }
        });
        Self { pool: pool.connect_lazy_with(connect), interrupter }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.slots.inner.free.lock().push(Arc::clone(&self.slot));
    }
}
