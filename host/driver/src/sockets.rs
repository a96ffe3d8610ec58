//! Which runtime watches the sockets of PostgreSQL connections.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::OnceLock;

use tokio::runtime::Handle;

static WATCHER: OnceLock<Handle> = OnceLock::new();

/// Makes a separate runtime watch the sockets of all PostgreSQL connections that this process opens
/// from now on. Tasks and most timers stay in the runtime that uses the pool, which by default
/// watches the sockets, too.
///
/// This is for hosts that drive the separate runtime from an event loop of their own. It needs I/O
/// and time enabled, and must be driven at least every few milliseconds while a connection is being
/// opened. Only the first call has an effect.
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
