//! What watches the sockets of PostgreSQL connections.
//!
//! If that were a thread of tokio, each answer of the server would wake it, and it the event loop's
//! thread: two wakes take longer than many statements. So the sockets have a runtime of their own,
//! without a thread, that the event loops drive: each watches the epoll of that runtime like a
//! socket of its own, and takes a turn when something is ready. While no loop takes turns, because
//! none runs or all are busy, a thread stands in for them.

use std::fs;
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::fs::MetadataExt as _;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Notify;
use tokio::task::yield_now;

use crate::work::take_over;

/// The thread stands in when no event loop has taken a turn for that long.
const PATIENCE: Duration = Duration::from_millis(10);

/// The runtime of the sockets, and what its drivers agree by. Tasks and timers of pools run in the
/// other one: a turn may leave tasks behind, and knows nothing of time.
pub(crate) struct Reactor {
    runtime: Runtime,
    /// Readable while a socket is ready that nobody has looked at.
    epoll: RawFd,
    /// Held by the thread that drives.
    driving: Mutex<()>,
    /// How many turns event loops have taken.
    turns: AtomicU64,
    /// The thread stands in, until `claimed`.
    stands_in: AtomicBool,
    claimed: Notify,
}

/// None where the system does not tell which epoll a runtime has: then tokio watches the sockets.
/// Made by the first use, so that a process may fork before.
pub(crate) fn reactor() -> Option<&'static Reactor> {
    static REACTOR: LazyLock<Option<Reactor>> = LazyLock::new(|| {
        let runtime = Builder::new_current_thread().enable_all().thread_name("ferro").build();
        let runtime = runtime.expect("no descriptors to watch sockets with");
        let epoll = epoll_of(&runtime)?;
        ferro_driver::watch_sockets(runtime.handle().clone());
        let thread = thread::Builder::new().name("ferro sockets".into());
        thread.spawn(stand_in).expect("no thread to watch sockets with");
        Some(Reactor {
            runtime,
            epoll,
            driving: Mutex::new(()),
            turns: AtomicU64::new(0),
            stands_in: AtomicBool::new(false),
            claimed: Notify::new(),
        })
    });
    REACTOR.as_ref()
}

impl Reactor {
    pub(crate) fn epoll(&self) -> RawFd {
        self.epoll
    }

    /// An event loop is about to wait, and takes turns from here on.
    pub(crate) fn claim(&self) {
        if self.stands_in.load(Ordering::SeqCst) {
            self.claimed.notify_one();
        }
    }

    /// Looks which sockets are ready, without waiting, and wakes those who wait for them.
    pub(crate) fn turn(&self) {
        // A thread of another runtime must not block on this one: the thread stands in.
        if Handle::try_current().is_ok() {
            return;
        }
        let Some(_driving) = self.driving.try_lock() else { return };
        self.turns.fetch_add(1, Ordering::SeqCst);
        self.runtime.block_on(yield_now());
    }

    fn stand_in(&self) {
        let mut before = 0;
        loop {
            thread::sleep(PATIENCE);
            if let Some(before) = Instant::now().checked_sub(PATIENCE) {
                take_over(before);
            }
            let turns = self.turns.load(Ordering::SeqCst);
            if turns != before {
                before = turns;
                continue;
            }
            let _driving = self.driving.lock();
            self.stands_in.store(true, Ordering::SeqCst);
            self.runtime.block_on(async {
                // At least one look: loops may claim to take turns, and be busy.
                yield_now().await;
                self.claimed.notified().await;
            });
            self.stands_in.store(false, Ordering::SeqCst);
        }
    }
}

fn stand_in() {
    if let Some(reactor) = reactor() {
        reactor.stand_in();
    }
}

/// The descriptor of a runtime's epoll, found by a socket that it watches: proc(5) says for each epoll
/// which descriptors it watches, and of which files.
fn epoll_of(runtime: &Runtime) -> Option<RawFd> {
    let _inside = runtime.enter();
    let (probe, _other_end) = UnixStream::pair().ok()?;
    let descriptor = probe.as_raw_fd();
    let file = format!("ino:{:x}", fs::metadata(format!("/proc/self/fd/{descriptor}")).ok()?.ino());
    let watches_probe = |line: &str| {
        let mut words = line.strip_prefix("tfd:").unwrap_or_default().split_whitespace();
        words.next().and_then(|it| it.parse().ok()) == Some(descriptor)
            && words.any(|word| word == file)
    };
    fs::read_dir("/proc/self/fdinfo").ok()?.flatten().find_map(|entry| {
        let about = fs::read_to_string(entry.path()).ok()?;
        let found = about.lines().any(watches_probe);
        entry.file_name().to_str()?.parse().ok().filter(|_| found)
    })
}
