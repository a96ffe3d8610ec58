//! Work that begins on its caller's thread, and goes on in tokio once it had to wait.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use parking_lot::Mutex;
use tokio::task::AbortHandle;

use crate::bridge::runtime;

/// What is done, in pieces.
pub(crate) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Work of which the first piece was done by its caller. What wakes it makes it a task of tokio: one
/// that was there from the beginning would wake another thread only to wait there.
#[derive(Default)]
pub(crate) struct Task(Mutex<State>);

#[derive(Default)]
enum State {
    /// With its caller.
    #[default]
    Begun,
    /// With its caller, and woken meanwhile.
    Woken,
    /// Nothing has woken it.
    Waiting(Work),
    Spawned(AbortHandle),
}

impl Task {
    /// Does what needs no wait; the rest, if there is one, is to be [left](Self::leave).
    pub(crate) fn begin(self: &Arc<Self>, mut work: Work) -> Option<Work> {
        let _inside = runtime().enter();
        let waker = Waker::from(Arc::clone(self));
        let is_done = work.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        (!is_done).then_some(work)
    }

    /// Leaves the rest to whatever it waits for.
    pub(crate) fn leave(&self, work: Work) {
        let mut state = self.0.lock();
        *state = match &*state {
            State::Begun => State::Waiting(work),
            _ => spawn(work),
        };
    }

    /// Lets the rest go, in tokio, as it may have to wait for something in its turn.
    pub(crate) fn abort(&self) {
        self.wake_by_ref();
        if let State::Spawned(task) = &*self.0.lock() {
            task.abort();
        }
    }

    fn wake_by_ref(&self) {
        let mut state = self.0.lock();
        *state = match std::mem::take(&mut *state) {
            State::Begun | State::Woken => State::Woken,
            State::Waiting(work) => spawn(work),
            spawned => spawned,
        };
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        Task::wake_by_ref(&self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        Task::wake_by_ref(self);
    }
}

fn spawn(work: Work) -> State {
    State::Spawned(runtime().spawn(work).abort_handle())
}
