//! A connection to PostgreSQL, and how long its answers are waited for.
//!
//! A network may drop a connection without a word. What waits for an answer on it would wait for as
//! long as the system does: a quarter of an hour, or for ever. But a statement may take hours. So the
//! server is asked beside it, over another connection, whether it still works on the statement.

use std::future::poll_fn;
use std::io;
use std::ops::{Deref, DerefMut};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::future::join;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Postgres, Row as _};
use tokio::time::{sleep, timeout};

use crate::connect::FAREWELL;
use crate::error::caught;
use crate::fence::literal;
use crate::options::PoolOptions;

/// A connection to PostgreSQL. SQLx opens it and counts it, and never gets it back: there, one that
/// has fallen silent would be waited for. Dropping it closes it.
pub(crate) struct Backend {
    /// None only while it is closed.
    connection: Option<PoolConnection<Postgres>>,
    vigil: Arc<Vigil>,
}

/// What a connection did when it was asked for a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    Alive,
    Broken,
    Silent,
}

impl Backend {
    pub(crate) fn new(connection: PoolConnection<Postgres>, vigil: &Arc<Vigil>) -> Self {
        Self { connection: Some(connection), vigil: Arc::clone(vigil) }
    }

    /// The connection, and what waits for its answers.
    pub(crate) fn parts(&mut self) -> (&mut PgConnection, &Vigil) {
        match &mut self.connection {
            Some(connection) => (connection, &self.vigil),
            None => unreachable!("only `leave` and `drop` take the connection, and both end it"),
        }
    }

    /// Asks for a sign of life.
    pub(crate) async fn ask(&mut self, within: Duration) -> Sign {
        match timeout(within, caught(pin!(self.ping()))).await {
            Ok(Ok(())) => Sign::Alive,
            Ok(Err(_)) => Sign::Broken,
            Err(_) => Sign::Silent,
        }
    }

    /// Closes the connection with a farewell, which is not waited for where there is silence: behind
    /// TLS, the server has to answer it.
    pub(crate) async fn leave(mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = timeout(FAREWELL, connection.close()).await;
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}

impl Deref for Backend {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match &self.connection {
            Some(connection) => connection,
            None => unreachable!("only `leave` and `drop` take the connection, and both end it"),
        }
    }
}

impl DerefMut for Backend {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.parts().0
    }
}

/// Waits for the answers of a server, and sees to it that there is an end.
pub(crate) struct Vigil {
    /// How the server is reached for a question beside a statement.
    options: Arc<PgConnectOptions>,
    /// How long it may say nothing before it is asked; none: for ever.
    time: Option<Duration>,
    /// How long it has to answer the question.
    connect_timeout: Duration,
}

impl Vigil {
    pub(crate) fn new(reached_by: Arc<PgConnectOptions>, pool: &PoolOptions) -> Self {
        let PoolOptions { silence_timeout, connect_timeout, .. } = *pool;
        Self { options: reached_by, time: silence_timeout, connect_timeout }
    }

    /// The next answer to a statement, as [`caught`] has it. An error, if the server has been silent
    /// and neither works on the statement nor says that it cannot be asked.
    pub(crate) async fn over<T>(
        &self,
        sql: &str,
        answer: impl Future<Output = Result<T, sqlx::Error>> + Unpin,
    ) -> Result<T, sqlx::Error> {
        let mut answer = pin!(caught(answer));
        let Some(time) = self.time else { return answer.await };
        // Most rows are there already. A timer would cost each of them more than its reading.
        let mut silence = pin!(None);
        let answered = poll_fn(|context| {
            if let Poll::Ready(answered) = answer.as_mut().poll(context) {
                return Poll::Ready(Some(answered));
            }
            if silence.is_none() {
                silence.set(Some(sleep(time)));
            }
            match silence.as_mut().as_pin_mut() {
                Some(silence) => silence.poll(context).map(|()| None),
                None => Poll::Pending,
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
            let question = timeout(self.connect_timeout, self.works_on(sql, time));
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
