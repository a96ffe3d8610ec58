//! The runtime of tokio, and which thread drives it.
//!
//! Some thread has to wait for the sockets and timers of a runtime. If it were always one of our own,
//! each answer of a database would wake that one, and it the event loop's: two wakes take longer
//! than many statements. So an event loop that waits drives the runtime itself. It watches the epoll
//! of the runtime like one of its own sockets, and takes a turn when something is ready. While no
//! loop does, because none runs or it is busy, a thread stands in for it.

use std::fs;
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::fs::MetadataExt as _;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::UnixStream;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::Notify;
use tokio::task::yield_now;

/// The thread stands in when no event loop has done anything for that long.
const PATIENCE: Duration = Duration::from_millis(10);

/// The runtime, and what its drivers agree by.
pub(crate) struct Reactor {
    runtime: Runtime,
    /// Readable while the runtime has something to do. None: the system does not tell which it is.
    epoll: Option<RawFd>,
    /// Held by the thread that drives.
    driving: Mutex<()>,
    /// How often event loops have driven, or said that they will.
    turns: AtomicU64,
    /// The thread stands in, until `claimed`.
    stands_in: AtomicBool,
    claimed: Notify,
}

/// Made by the first use, so that a process may fork before.
pub(crate) fn reactor() -> &'static Reactor {
    static REACTOR: LazyLock<Reactor> = LazyLock::new(|| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().thread_name("ferro");
        let runtime = builder.build().expect("no descriptors to run queries with");
        let thread = thread::Builder::new().name("ferro".into());
        thread.spawn(|| reactor().stand_in()).expect("no thread to run queries on");
        Reactor {
            epoll: epoll_of(&runtime),
            runtime,
            driving: Mutex::new(()),
            turns: AtomicU64::new(0),
            stands_in: AtomicBool::new(false),
            claimed: Notify::new(),
        }
    });
    &REACTOR
}

/// What runs everything that is awaited.
pub(crate) fn runtime() -> &'static Runtime {
    &reactor().runtime
}

impl Reactor {
    /// What an event loop on this thread has to watch to drive the runtime. None where it cannot:
    /// a thread of another runtime must not block on ours.
    pub(crate) fn watched(&self) -> Option<RawFd> {
        self.epoll.filter(|_| Handle::try_current().is_err())
    }

    /// An event loop is about to wait: it drives from here on.
    pub(crate) fn claim(&self) {
        self.turns.fetch_add(1, Ordering::SeqCst);
        if self.stands_in.load(Ordering::SeqCst) {
            self.claimed.notify_one();
        }
    }

    /// Does what is ready, without waiting for anything.
    pub(crate) fn turn(&self) {
        self.turns.fetch_add(1, Ordering::SeqCst);
        let Some(_driving) = self.driving.try_lock() else { return };
        self.runtime.block_on(async {
            // Each pass runs the tasks that can run, then looks for what is ready. The second one is
            // for the tasks that waited for what the first one has found.
            yield_now().await;
            yield_now().await;
        });
    }

    /// Drives while no event loop does.
    fn stand_in(&self) {
        let mut before = None;
        loop {
            let turns = Some(self.turns.load(Ordering::SeqCst));
            if turns == before {
                let _driving = self.driving.lock();
                self.stands_in.store(true, Ordering::SeqCst);
                self.runtime.block_on(self.claimed.notified());
                self.stands_in.store(false, Ordering::SeqCst);
            }
            before = turns;
            thread::sleep(PATIENCE);
        }
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
