//! Futures of Rust that an event loop waits for, and who polls them.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Wake, Waker};
use std::time::Instant;

use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::bridge::{check_process, runtime};
use crate::mailbox::{Mailbox, Token};

/// A future, until it is done or dropped.
type Slot = Option<Pin<Box<dyn Future<Output = ()> + Send>>>;

/// A future and the event loop that waits for it. The loop's thread polls it when it was woken by a
/// turn of the loop itself. Otherwise, or if the loop does not come, it may be busy or closed, and a
/// task polls it: what it holds, such as a connection, must not wait for the loop.
pub(crate) struct Work {
    future: Mutex<Slot>,
    mailbox: Arc<Mailbox>,
    token: Token,
    /// How often it was woken, or ended by a task.
    wakes: AtomicU64,
    /// The loop waits until it is told to go on. While it does not, it polls the future anyway.
    is_awaited: AtomicBool,
    /// The loop was told by its own turn, and has not polled it since.
    is_told: AtomicBool,
    /// The loop has not come for long: only tasks poll it until it does.
    is_left: AtomicBool,
    /// A task will poll it.
    is_queued: AtomicBool,
}

/// What loops were told by their own turns, and when.
static TOLD: Mutex<Vec<(Instant, Weak<Work>)>> = Mutex::new(Vec::new());

/// Has tasks poll what loops were told of before some time and have not come for.
pub(crate) fn take_over(before: Instant) {
    let mut told = TOLD.lock();
    let late = told.partition_point(|(when, _)| *when < before);
    let late: Vec<_> = told.drain(..late).collect();
    drop(told);
    for work in late.into_iter().filter_map(|(_, work)| work.upgrade()) {
        if work.is_told.load(Ordering::SeqCst) {
            work.is_left.store(true, Ordering::SeqCst);
            work.queue();
        }
    }
}

impl Wake for Work {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::SeqCst);
        if self.is_left.load(Ordering::SeqCst) {
            self.queue();
        } else if self.is_awaited.load(Ordering::SeqCst) {
            match self.mailbox.is_driving() {
                true => {
                    self.is_told.store(true, Ordering::SeqCst);
                    TOLD.lock().push((Instant::now(), Arc::downgrade(self)));
                    self.tell();
                }
                false => self.queue(),
            }
        }
    }
}

impl Work {
    fn tell(&self) {
        if self.is_awaited.swap(false, Ordering::SeqCst) {
            self.mailbox.post(self.token);
        }
    }

    /// Has a task poll the future in place of the loop.
    fn queue(self: &Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::SeqCst) {
            let work = self.clone();
            runtime().spawn(async move { work.go_on() });
        }
    }

    fn go_on(self: Arc<Self>) {
        /// The loop has to know when the future is done, or has panicked.
        struct Told<'a>(&'a Work);
        impl Drop for Told<'_> {
            fn drop(&mut self) {
                if self.0.future.lock().is_none() {
                    self.0.wakes.fetch_add(1, Ordering::SeqCst);
                    self.0.tell();
                }
            }
        }
        self.is_queued.store(false, Ordering::SeqCst);
        let _told = Told(&self);
        poll(&mut self.future.lock(), &Waker::from(self.clone()));
    }
}

/// Polls a future, which is gone when it is done or has panicked.
fn poll(slot: &mut Slot, waker: &Waker) {
    if let Some(mut future) = slot.take()
        && future.as_mut().poll(&mut Context::from_waker(waker)).is_pending()
    {
        *slot = Some(future);
    }
}

/// Work that somebody awaits: it ends when this is dropped.
pub(crate) struct Running {
    work: Arc<Work>,
    waker: Waker,
}

impl Running {
    pub(crate) fn new(
        mailbox: Arc<Mailbox>,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let work = Arc::new(Work {
            future: Mutex::new(Some(Box::pin(future))),
            token: mailbox.token(),
            mailbox,
            wakes: AtomicU64::new(0),
            is_awaited: AtomicBool::new(false),
            is_told: AtomicBool::new(false),
            is_left: AtomicBool::new(false),
            is_queued: AtomicBool::new(false),
        });
        Self { waker: Waker::from(work.clone()), work }
    }

    pub(crate) fn mailbox(&self) -> &Mailbox {
        &self.work.mailbox
    }

    /// How often it was woken.
    pub(crate) fn wakes(&self) -> u64 {
        self.work.wakes.load(Ordering::SeqCst)
    }

    /// Goes on with the work, unless a task does so now; whether it is done.
    pub(crate) fn poll(&self, py: Python<'_>) -> bool {
        self.work.is_told.store(false, Ordering::SeqCst);
        self.work.is_left.store(false, Ordering::SeqCst);
        py.detach(|| {
            let Some(mut slot) = self.work.future.try_lock() else { return false };
            let _inside = runtime().enter();
            poll(&mut slot, &self.waker);
            slot.is_none()
        })
    }

    /// What the loop waits for until it is told; none, if the work was woken more than so often.
    pub(crate) fn wait(&self, py: Python<'_>, wakes: u64) -> PyResult<Option<Py<PyAny>>> {
        if self.wakes() != wakes {
            return Ok(None);
        }
        let Work { mailbox, token, is_awaited, .. } = &*self.work;
        let future = mailbox.expect(py, *token)?;
        is_awaited.store(true, Ordering::SeqCst);
        if self.wakes() == wakes {
            return Ok(Some(future));
        }
        is_awaited.store(false, Ordering::SeqCst);
        mailbox.forget(*token);
        Ok(None)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.work.mailbox.forget(self.work.token);
        if check_process().is_err() {
            // Its sockets and files are the parent's.
            std::mem::forget(self.work.clone());
            return;
        }
        // A task that polls it now may need the interpreter for that.
        Python::attach(|py| {
            py.detach(|| {
                let _inside = runtime().enter();
                let future = self.work.future.lock().take();
                drop(future);
            });
        });
    }
}
