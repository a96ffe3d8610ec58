//! Limits how long we wait for answers of a server.
//!
//! A network may drop a connection silently. Waiting for an answer on it would then take as long as
//! the operating system allows: a quarter of an hour, or forever. But a statement may run for
//! hours. So the driver asks the server over another connection whether it still works on the
//! statement.
//!
//! A timer of the runtime for each statement would wake a thread each time; deadlines of a pool do
//! not.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::join;
use futures_util::task::AtomicWaker;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout};

use crate::connect::FAREWELL;
use crate::deadlines::{Deadlines, Expire};
use crate::error::caught;
use crate::fence::literal;
use crate::options::PoolOptions;

/// How to ask the server of a pool about statements on which it has been silent.
pub(crate) struct Inquiry {
    /// The options for the other connection.
    options: Arc<PgConnectOptions>,
    /// How long the server may be silent before it is asked; `None`: forever.
    silence_timeout: Option<Duration>,
    /// How long the server may take to answer the question.
    connect_timeout: Duration,
    /// Whether the server keeps a session for each connection.
    has_session: bool,
    deadlines: Arc<Deadlines>,
}

impl Inquiry {
    /// Must be called inside a runtime.
    pub(crate) fn new(
        reached_by: Arc<PgConnectOptions>,
        pool: &PoolOptions,
        has_session: bool,
    ) -> Self {
        let PoolOptions { silence_timeout, connect_timeout, .. } = *pool;
        let deadlines = Arc::new(Deadlines::new(Handle::current()));
        Self { options: reached_by, silence_timeout, connect_timeout, has_session, deadlines }
    }

    /// Whether the server keeps a session for each connection.
    pub(crate) fn has_session(&self) -> bool {
        self.has_session
    }

    /// Whether some backend has been working on a statement for most of this time. A backend that
    /// waits for the client does not count.
    async fn works_on(&self, sql: &str, time: Duration) -> Result<bool, sqlx::Error> {
        let question = question(sql, time);
        let mut beside = caught(pin!(self.options.connect())).await?;
        let asked = sqlx::raw_sql(AssertSqlSafe(question));
        let row = caught(pin!(asked.fetch_one(&mut beside))).await?;
        let _ = timeout(FAREWELL, beside.close()).await;
        row.try_get(0)
    }
}

/// Waits for the answers on one connection, for a limited time if the server is gone.
pub(crate) struct Vigil {
    inquiry: Arc<Inquiry>,
    waiting: Arc<Waiting>,
}

/// The task that waits for an answer.
#[derive(Default)]
struct Waiting(AtomicWaker);

impl Expire for Waiting {
    fn expire(&self) {
        self.0.wake();
    }
}

impl Vigil {
    pub(crate) fn new(inquiry: &Arc<Inquiry>) -> Self {
        Self { inquiry: Arc::clone(inquiry), waiting: Arc::default() }
    }

    /// The next answer to a statement, as [`caught`] returns it. It is an error if the server has
    /// been silent, and neither works on the statement nor rejects the question.
    pub(crate) async fn over<T>(
        &self,
        sql: &str,
        answer: impl Future<Output = Result<T, sqlx::Error>> + Unpin,
    ) -> Result<T, sqlx::Error> {
        let mut answer = pin!(caught(answer));
        let Some(time) = self.inquiry.silence_timeout else { return answer.await };
        let mut deadline = None;
        let answered = poll_fn(|context| {
            // Most rows have already arrived.
            if let Poll::Ready(answered) = answer.as_mut().poll(context) {
                return Poll::Ready(Some(answered));
            }
            self.waiting.0.register(context.waker());
            let deadline = deadline.get_or_insert_with(|| {
                let waiting = Arc::downgrade(&self.waiting);
                self.inquiry.deadlines.add(Instant::now() + time, waiting)
            });
            match deadline.end() <= Instant::now() {
                true => Poll::Ready(None),
                false => Poll::Pending,
            }
        });
        match answered.await {
            Some(answered) => answered,
            None => Box::pin(self.doubt(sql, time, answer)).await,
        }
    }

    /// The answer of a server that has been silent for some time. If the server has finished by
    /// now, the answer may take the same time again to arrive.
    async fn doubt<T>(
        &self,
        sql: &str,
        time: Duration,
        mut answer: Pin<&mut impl Future<Output = Result<T, sqlx::Error>>>,
    ) -> Result<T, sqlx::Error> {
        let since = Instant::now();
        loop {
            let question = timeout(self.inquiry.connect_timeout, self.inquiry.works_on(sql, time));
            let question = async { join(question, sleep(time)).await.0 };
            let fault = tokio::select! {
                biased;
                answered = &mut answer => return answered,
                works = question => match works {
                    Ok(Ok(true)) => continue,
                    // The server is alive, but has no free connection, or rejects this one.
                    Ok(Err(sqlx::Error::Database(_))) => continue,
                    Ok(Ok(false)) => "and the server is no longer working on it".to_owned(),
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

/// How many characters of a statement are compared: servers keep about as many.
const LONGEST: usize = 1000;

/// The query for backends that work on a statement. It is recognized by its text, of which the
/// server keeps the beginning, and by its running time: behind a pooler the process is unknown. It
/// has no parameters, since a pooler may prepare the query in one session and run it in another.
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
