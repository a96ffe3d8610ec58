//! Which runtime watches the sockets of PostgreSQL.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::OnceLock;

use tokio::runtime::Handle;

static WATCHER: OnceLock<Handle> = OnceLock::new();

/// Has a runtime of its own watch the sockets of all PostgreSQL connections that this process opens
/// from here on. Tasks and timers of pools stay in the runtime that uses them. Default: that one
/// watches sockets, too.
///
/// For those who drive that runtime from another event loop. Only the first call has an effect.
pub fn watch_sockets(runtime: Handle) {
    let _ = WATCHER.set(runtime);
}

/// Runs a future that opens a connection.
pub(crate) async fn watched<F: Future>(opening: F) -> F::Output {
    let mut opening = pin!(opening);
    poll_fn(|context| {
        let _inside = WATCHER.get().map(Handle::enter);
        opening.as_mut().poll(context)
    })
    .await
}
