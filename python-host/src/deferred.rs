//! Work that becomes a task of tokio when it can go on, and not before.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use tokio::task::AbortHandle;

use crate::bridge::{lock, runtime};

/// What has no result of its own.
pub(crate) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Work that has to wait after its first poll. A task would wake a thread at once, only to wait there:
/// so it becomes one when what it waits for has come, on the very thread that notices. On PostgreSQL
/// that is the thread that reads the answer.
#[derive(Default)]
pub(crate) struct Deferred(Mutex<Stage>);

#[derive(Default)]
enum Stage {
    /// It is being polled by whoever begins it.
    #[default]
    Begins,
    /// What it waits for came while it was polled.
    Woken,
    Waits(Work),
    Runs(AbortHandle),
    Ended,
}

impl Deferred {
    /// The first poll, by the thread that is here. Work that is not ready then has to be passed to
    /// [`Self::wait`].
    pub(crate) fn begin(self: &Arc<Self>, work: &mut Work) -> Poll<()> {
        let _inside = runtime().enter();
        work.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(self))))
    }

    /// Leaves what has begun to whoever wakes it.
    pub(crate) fn wait(&self, work: Work) {
        let mut stage = lock(&self.0);
        *stage = match *stage {
            Stage::Woken => Stage::Runs(runtime().spawn(work).abort_handle()),
            _ => Stage::Waits(work),
        };
    }

    /// Drops the work where it stands, in the background.
    pub(crate) fn end(&self) {
        let stage = std::mem::replace(&mut *lock(&self.0), Stage::Ended);
        match stage {
            Stage::Waits(work) => drop(runtime().spawn(async { drop(work) })),
            Stage::Runs(task) => task.abort(),
            Stage::Begins | Stage::Woken | Stage::Ended => {}
        }
    }
}

impl Wake for Deferred {
    fn wake(self: Arc<Self>) {
        let mut stage = lock(&self.0);
        *stage = match std::mem::replace(&mut *stage, Stage::Ended) {
            Stage::Begins => Stage::Woken,
            Stage::Waits(work) => Stage::Runs(runtime().spawn(work).abort_handle()),
            other => other,
        };
    }
}
