//! How long answers of a server are waited for.
//!
//! A network may drop a connection without a word. What waits for an answer on it would wait for as
//! long as the system does: a quarter of an hour, or for ever. But a statement may take hours. So the
//! server is asked beside it, over another connection, whether it still works on the statement.
//!
//! A timer of the runtime for each statement would wake a thread for each: deadlines of a pool do not.

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

/// How the server of a pool is asked about statements that it says nothing of.
pub(crate) struct Inquiry {
    /// How it is reached for a question, over another connection.
    options: Arc<PgConnectOptions>,
    /// How long it may say nothing before it is asked; none: for ever.
    silence_timeout: Option<Duration>,
    /// How long it has to answer the question.
    connect_timeout: Duration,
    deadlines: Arc<Deadlines>,
}

impl Inquiry {
    /// Must be called inside a runtime.
    pub(crate) fn new(reached_by: Arc<PgConnectOptions>, pool: &PoolOptions) -> Self {
        let PoolOptions { silence_timeout, connect_timeout, .. } = *pool;
        let deadlines = Arc::new(Deadlines::new(Handle::current()));
        Self { options: reached_by, silence_timeout, connect_timeout, deadlines }
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

/// Waits for the answers on one connection, and sees to it that there is an end.
pub(crate) struct Vigil {
    inquiry: Arc<Inquiry>,
    waiting: Arc<Waiting>,
}

/// Who waits for an answer.
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

    /// The next answer to a statement, as [`caught`] has it. An error, if the server has been silent
    /// and neither works on the statement nor says that it cannot be asked.
    pub(crate) async fn over<T>(
        &self,
        sql: &str,
        answer: impl Future<Output = Result<T, sqlx::Error>> + Unpin,
    ) -> Result<T, sqlx::Error> {
        let mut answer = pin!(caught(answer));
        let Some(time) = self.inquiry.silence_timeout else { return answer.await };
        let mut deadline = None;
        let answered = poll_fn(|context| {
            // Most rows are there already.
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
            let question = timeout(self.inquiry.connect_timeout, self.inquiry.works_on(sql, time));
            let question = async { join(question, sleep(time)).await.0 };
            let fault = tokio::select! {
                biased;
                answered = &mut answer => return answered,
                works = question => match works {
                    Ok(Ok(true)) => continue,
                    // It is there, and has no room for the question, or does not let it in.
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
