//! What comes after operations that were cancelled: a task ends some time after it was told to.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use tokio::sync::RwLock;

use crate::reactor::runtime;

/// The operations of one transaction. Only when those that were cancelled are gone is it known what
/// became of the transaction: so whoever comes next waits for that. Outside a transaction, where
/// each operation has a connection of its own, there is nothing to wait for.
///
/// Operations share the lock while they run. Whoever waits to have it alone lets nobody pass.
#[derive(Clone, Default)]
pub(crate) struct Turns(Option<Arc<RwLock<()>>>);

impl Turns {
    /// Those of a transaction, or of the savepoint inside one.
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

    /// Does something in the background, once what runs now is gone, and before anything else.
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
        // It takes its place in the line now; the task polls it again.
        if work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            runtime().spawn(work);
        }
    }
}
