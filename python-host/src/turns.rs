//! Waiting for cancelled operations: they end some time after that.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use tokio::sync::RwLock;

use crate::bridge::runtime;

/// The operations of one transaction. The state of the transaction is known only after cancelled
/// operations have ended, so the next operation waits for that. Outside a transaction, each
/// operation has its own connection, and there is nothing to wait for.
///
/// Operations share the lock while they run. A waiter for the exclusive lock blocks later ones.
#[derive(Clone, Default)]
pub(crate) struct Turns(Option<Arc<RwLock<()>>>);

impl Turns {
    /// The turns of a transaction, or of a savepoint inside one.
    pub(crate) fn inside(&self) -> Self {
        Self(Some(self.0.clone().unwrap_or_default()))
    }

    /// Runs an operation.
    pub(crate) async fn run<T>(self, operation: impl Future<Output = T>) -> T {
        let _turn = match self.0 {
            Some(lock) => Some(lock.read_owned().await),
            None => None,
        };
        operation.await
    }

    /// Notes that an operation was cancelled.
    pub(crate) fn cancelled(&self) {
        if self.0.is_some() {
            self.when_gone(async {});
        }
    }

    /// Runs work in the background, after the running operations have ended, and before later ones.
    pub(crate) fn when_gone(&self, work: impl Future<Output = ()> + Send + 'static) {
        let lock = self.0.clone();
        let mut work: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            let _turn = match lock {
                Some(lock) => Some(lock.write_owned().await),
                None => None,
            };
            work.await;
        });
        let _inside = runtime().enter();
        // It takes its place in the queue now; the task polls it again.
        if work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            runtime().spawn(work);
        }
    }
}
