//! How long answers of a server are waited for.
//!
//! A network may drop a connection without a word. What waits for an answer on it would wait for as
//! long as the system does: a quarter of an hour, or for ever. But a statement may take hours. So the
//! server is asked beside it, over another connection, whether it still works on the statement.
//!
//! A timer for each statement would wake a thread of the runtime for each. So all connections of a
//! pool have one, which looks now and then who has waited for long.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use futures_util::future::join;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use crate::connect::FAREWELL;
use crate::error::caught;
use crate::fence::literal;
use crate::options::PoolOptions;

/// Sees to it that waiting for the server of a pool has an end.
pub(crate) struct Vigil {
    /// How the server is reached for a question beside a statement.
    options: Arc<PgConnectOptions>,
    /// How long it may say nothing before it is asked; none: for ever.
    time: Option<Duration>,
    /// How long it has to answer the question.
    connect_timeout: Duration,
    watched: Mutex<Watched>,
    runtime: Handle,
}

#[derive(Default)]
struct Watched {
    connections: Vec<Weak<Mutex<Option<Wait>>>>,
    /// A task looks after them.
    looked_after: bool,
}

/// What waits for an answer.
struct Wait {
    since: Instant,
    waker: Waker,
}

impl Vigil {
    /// Must be called inside a runtime.
    pub(crate) fn new(reached_by: Arc<PgConnectOptions>, pool: &PoolOptions) -> Self {
        let PoolOptions { silence_timeout, connect_timeout, .. } = *pool;
        Self {
            options: reached_by,
            time: silence_timeout,
            connect_timeout,
            watched: Mutex::default(),
            runtime: Handle::current(),
        }
    }

    /// Watches another connection.
    pub(crate) fn watch(self: &Arc<Self>) -> Watch {
        let wait = Arc::default();
        if let Some(time) = self.time {
            let mut watched = lock(&self.watched);
            watched.connections.push(Arc::downgrade(&wait));
            if !std::mem::replace(&mut watched.looked_after, true) {
                self.runtime.spawn(Self::look_after(Arc::downgrade(self), time));
            }
        }
        Watch { vigil: Arc::clone(self), wait }
    }

    /// Wakes whoever has waited for half of the time, as long as there are connections: they set a
    /// timer of their own.
    async fn look_after(vigil: Weak<Self>, time: Duration) {
        loop {
            sleep(time / 4).await;
            let Some(vigil) = vigil.upgrade() else { return };
            let mut long = Vec::new();
            let mut watched = lock(&vigil.watched);
            watched.connections.retain(|it| {
                let Some(wait) = it.upgrade() else { return false };
                let wait = lock(&wait);
                long.extend(wait.as_ref().and_then(|it| it.is_long(time)).cloned());
                true
            });
            if watched.connections.is_empty() {
                watched.looked_after = false;
                return;
            }
            drop(watched);
            long.into_iter().for_each(Waker::wake);
        }
    }

    /// Whether some backend of ours has worked on a statement for most of some time. One that waits for
    /// us does not.
    async fn works_on(&self, sql: &str, time: Duration) -> Result<bool, sqlx::Error> {
        let question = question(sql, time);
        let mut beside = caught(pin!(self.options.connect())).await?;
        let asked = sqlx::raw_sql(AssertSqlSafe(question));
        let row = caught(pin!(asked.fetch_one(&mut beside))).await?;
        let _ = timeout(FAREWELL, beside.close()).await;
        row.try_get(0)
    }
}

/// Waits for the answers on one connection.
pub(crate) struct Watch {
    vigil: Arc<Vigil>,
    wait: Arc<Mutex<Option<Wait>>>,
}

impl Watch {
    /// The next answer to a statement, as [`caught`] has it. An error, if the server has been silent
    /// and neither works on the statement nor says that it cannot be asked.
    pub(crate) async fn over<T>(
        &self,
        sql: &str,
        answer: impl Future<Output = Result<T, sqlx::Error>> + Unpin,
    ) -> Result<T, sqlx::Error> {
        let mut answer = pin!(caught(answer));
        let Some(time) = self.vigil.time else { return answer.await };
        let mut waiting = Waiting { wait: &self.wait, begun: false };
        let mut silence = pin!(None);
        let answered = poll_fn(|context| {
            // Most rows are there already.
            if let Poll::Ready(answered) = answer.as_mut().poll(context) {
                return Poll::Ready(Some(answered));
            }
            let left = time.saturating_sub(waiting.go_on(context.waker()));
            if left <= time / 2 && silence.is_none() {
                silence.set(Some(sleep(left)));
            }
            match silence.as_mut().as_pin_mut() {
                Some(silence) => silence.poll(context).map(|()| None),
                None => Poll::Pending,
            }
        });
        let answered = answered.await;
        drop(waiting);
        match answered {
            Some(answered) => answered,
            None => Box::pin(self.doubt(sql, time, answer)).await,
        }
    }

    /// The answer of a server that has been silent for some time. What it has done by now has as long
    /// again to arrive.
    async fn doubt<T>(
        &self,
        sql: &str,
        time: Duration,
        mut answer: Pin<&mut impl Future<Output = Result<T, sqlx::Error>>>,
    ) -> Result<T, sqlx::Error> {
        let since = Instant::now();
        loop {
            let question = timeout(self.vigil.connect_timeout, self.vigil.works_on(sql, time));
            let question = async { join(question, sleep(time)).await.0 };
            let fault = tokio::select! {
                biased;
                answered = &mut answer => return answered,
                works = question => match works {
                    Ok(Ok(true)) => continue,
                    // It is there, and has no room for the question, or does not let it in.
                    Ok(Err(sqlx::Error::Database(_))) => continue,
                    Ok(Ok(false)) => "and the server does not work on it any more".to_owned(),
                    Ok(Err(error)) => format!("and the server cannot be reached: {error}"),
                    Err(_) => "and the server does not answer a new connection either".to_owned(),
                },
            };
            let silence = time + since.elapsed();
            let message = format!("a statement got no answer for {silence:.0?}, {fault}");
            return Err(io::Error::new(io::ErrorKind::TimedOut, message).into());
        }
    }
}

/// One wait of a connection, until it goes out of scope, also where a future is dropped half-way.
struct Waiting<'a> {
    wait: &'a Mutex<Option<Wait>>,
    begun: bool,
}

impl Waiting<'_> {
    /// Waits, or waits on, and says for how long by now.
    fn go_on(&mut self, waker: &Waker) -> Duration {
        self.begun = true;
        let mut wait = lock(self.wait);
        match &mut *wait {
            Some(wait) => {
                wait.waker.clone_from(waker);
                wait.since.elapsed()
            }
            none => {
                *none = Some(Wait { since: Instant::now(), waker: waker.clone() });
                Duration::ZERO
            }
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.begun {
            *lock(self.wait) = None;
        }
    }
}

impl Wait {
    /// Who waits, if half of the time is over.
    fn is_long(&self, time: Duration) -> Option<&Waker> {
        (self.since.elapsed() >= time / 2).then_some(&self.waker)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How much of a statement is compared, in characters: servers keep about as much.
const LONGEST: usize = 1000;

/// Asks who works on a statement. It is told from others by its text, of which the server keeps the
/// beginning, and by its time: behind a pooler nobody knows the process. Without values: a pooler may
/// prepare the question in one session and run it in another.
fn question(sql: &str, time: Duration) -> String {
    let sql: String = sql.chars().take(LONGEST).collect();
    let sql = literal(&sql);
    let half = time.as_millis() / 2;
    format!(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a \
         WHERE a.datname = current_database() AND a.usename = session_user \
         AND a.pid <> pg_backend_pid() AND (a.state = 'disabled' OR a.state = 'active' \
         AND a.wait_event IS DISTINCT FROM 'ClientRead' \
         AND a.query_start <= clock_timestamp() - interval '{half} milliseconds' \
         AND left(a.query, length({sql})) = left({sql}, length(a.query))))"
    )
}
