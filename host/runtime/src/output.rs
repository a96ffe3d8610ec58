//! The standard output and error of guests, as lines in the operator's log.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use ferro_session::RECORD;
use ferro_wit::escape_line;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::meter::Caller;

/// Longer lines are split.
const LINE: usize = 4 * 1024;
/// How many bytes a guest may write at once.
const PERMIT: usize = 64 * 1024;

/// The standard output and error of a call, which share a budget of bytes. Output past it is
/// dropped, and the log says so once.
pub(crate) fn streams(caller: &Caller, budget: u64) -> (GuestOutput, GuestOutput) {
    let budget = Arc::new(Budget { left: AtomicU64::new(budget), is_told: AtomicBool::new(false) });
    let stream = |name| {
        let (caller, budget) = (caller.clone(), Arc::clone(&budget));
        GuestOutput(Arc::new(Mutex::new(Lines { name, caller, budget, pending: Vec::new() })))
    };
    (stream("stdout"), stream("stderr"))
}

/// One of the two streams.
#[derive(Clone)]
pub(crate) struct GuestOutput(Arc<Mutex<Lines>>);

/// The bytes that a call may still write.
struct Budget {
    left: AtomicU64,
    /// Whether it was logged that output was dropped.
    is_told: AtomicBool,
}

impl Budget {
    /// How many of these bytes may be written. After the first byte past the limit, none may.
    fn take(&self, bytes: &[u8]) -> usize {
        // A guest has one thread.
        let mut left = self.left.load(Ordering::Relaxed);
        let fits = |byte: &&u8| {
            let rest = left.checked_sub(if **byte == b'\n' { RECORD } else { 1 });
            left = rest.unwrap_or_default();
            rest.is_some()
        };
        let taken = bytes.iter().take_while(fits).count();
        self.left.store(left, Ordering::Relaxed);
        taken
    }
}

/// The part of a stream that is not logged yet.
struct Lines {
    name: &'static str,
    caller: Caller,
    budget: Arc<Budget>,
    pending: Vec<u8>,
}

impl Lines {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in self.within_budget(bytes) {
            if byte == b'\n' {
                self.log();
            } else {
                self.pending.push(byte);
                if self.pending.len() == LINE {
                    self.log();
                }
            }
        }
    }

    fn within_budget<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let within = &bytes[..self.budget.take(bytes)];
        if within.len() < bytes.len() && !self.budget.is_told.swap(true, Ordering::Relaxed) {
            let (plugin, tenant) = self.caller.names();
            tracing::warn!(target: "ferro::guest", plugin, tenant, "the limit `log-bytes` is reached: further output is dropped");
        }
        within
    }

    fn log(&mut self) {
        let line = escape_line(&String::from_utf8_lossy(&self.pending));
        self.pending.clear();
        let ((plugin, tenant), stream) = (self.caller.names(), self.name);
        tracing::info!(target: "ferro::guest", plugin, tenant, stream, "{line}");
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.pending.is_empty() {
            self.log();
        }
    }
}

impl IsTerminal for GuestOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestOutput {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for GuestOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.lock().write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for GuestOutput {
    async fn ready(&mut self) {}
}

impl AsyncWrite for GuestOutput {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
