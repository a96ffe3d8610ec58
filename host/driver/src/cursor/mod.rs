//! Cursors: reading rows in batches.

mod expected;
mod labels;
pub(crate) mod postgres;
pub(crate) mod sqlite;

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ferro_wit::plan::{Plan, Step};
use ferro_wit::types::{Attachment, Batch, ColumnInfo, Error, ErrorKind};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt, stream};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

pub use self::expected::ExpectedColumn;
use self::labels::Labels;
use crate::column::split_off;
use crate::deadlines::{Deadline, Deadlines, Expire};
use crate::run::statement_connection::{Ending, StatementConnection};
use crate::run::steps::Steps;
use crate::statement::Watch;
use crate::transaction::state::State;
use crate::value::Fault;

/// Maximum size of a batch, however many rows were requested, so that large values are read one by
/// one.
const MOST_BYTES: usize = 8 << 20;

/// A cursor over the rows of a statement.
///
/// It holds its connection, or that of its transaction, until the last row has been read or it is
/// dropped; on SQLite, a single row that is available quickly is read at once, and holds neither.
/// Dropping it ends its statement in the database. In a transaction that continues, ending it could
/// roll back the transaction, so the next statement waits for it instead. Memory is bounded: rows
/// are read from the database on demand.
///
/// A write that returns rows is certain to be complete only after its last row has been read.
///
/// # Examples
///
/// ```
/// use ferro_driver::{ConnectOptions, Database};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let database = Database::connect("sqlite::memory:", &ConnectOptions::default()).await?;
/// let mut cursor = database.fetch_raw("SELECT 1 AS one", vec![]).await?;
/// assert_eq!(cursor.columns()[0].path, ["one"]);
/// while let Some(batch) = cursor.next(1000).await? {
///     assert_eq!(batch.rows, 1);
/// }
/// # Ok::<(), ferro_wit::types::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Cursor {
    columns: Columns,
    /// Buffered rows, which come before those still to be read.
    ready: VecDeque<Batch>,
    /// `None` after the end.
    events: Option<Events>,
    /// The error to repeat after a failure, so that it does not look like the end.
    failure: Option<Error>,
    /// The further result sets of a plan of several steps.
    steps: Option<Box<Steps>>,
    watch: Watch,
}

/// How long, and for how many rows at a time, the rest of an abandoned answer is read. Opening
/// another connection takes some milliseconds on the same machine, and a few more with TLS.
const MOMENT: Duration = Duration::from_millis(10);
const SKIPPED: u32 = 500;

/// The remaining events of a statement. If this is dropped before the last one, the connection is
/// lost, unless little is left to read.
struct Events {
    rest: Arc<Rest>,
    /// When reading must end, outside of a transaction.
    deadline: Option<Deadline>,
    /// The maximum number of rows of the next batch.
    wanted: Wanted,
    /// Where to try to read the rest when this is dropped; `None` if nothing is left, or if it
    /// would not help.
    runtime: Option<Handle>,
}

type Wanted = Arc<AtomicU32>;

/// The rest of an answer. It is discarded when the time of its transaction is over, even if its
/// reader does nothing.
pub(crate) struct Rest(Mutex<RestState>);

struct RestState {
    stream: BoxStream<'static, Result<Event, Error>>,
    /// The task that waits for it.
    reader: Option<Waker>,
    is_expired: bool,
}

pub(crate) enum Event {
    /// The columns, once, before the rows; `None` if the plan has them.
    Columns(Option<Vec<ColumnInfo>>),
    Batch(Batch),
    /// The last batch: the connection has been returned.
    Last(Batch),
}

enum Columns {
    Planned(PlannedStep),
    Described(Vec<ColumnInfo>),
}

impl Columns {
    /// The columns of the plan if there is one, else those that the database reports.
    fn new(planned: Option<PlannedStep>, described: Vec<ColumnInfo>) -> Self {
        planned.map_or(Self::Described(described), Self::Planned)
    }
}

/// A step of a plan.
#[derive(Clone)]
pub(crate) struct PlannedStep {
    plan: Arc<Plan>,
    index: usize,
}

impl PlannedStep {
    pub(crate) fn new(plan: &Arc<Plan>, index: usize) -> Result<Self, Error> {
        match index < plan.steps.len() {
            true => Ok(Self { plan: Arc::clone(plan), index }),
            false => Err(Error::new(ErrorKind::Internal, "the plan has no statement to run")),
        }
    }

    pub(crate) fn step(&self) -> &Step {
        &self.plan.steps[self.index]
    }

    fn labels(&self) -> Labels<'_> {
        Labels::of_step(self.step())
    }
}

impl Events {
    fn new<S>(events: impl FnOnce(Wanted) -> S) -> Self
    where
        S: Stream<Item = Result<Event, Error>> + Send + 'static,
    {
        let wanted = Wanted::default();
        let rest = Arc::new(Rest::new(events(Arc::clone(&wanted)).boxed()));
        Self { rest, deadline: None, wanted, runtime: None }
    }

    /// Called when the statement has begun to answer: in a transaction held by a caller, the events
    /// end with the transaction. Fails if it has already ended.
    fn within(self, transaction: Option<&State>) -> Result<Self, Error> {
        if let Some(transaction) = transaction {
            transaction.read_by(Arc::downgrade(&self.rest))?;
        }
        Ok(self)
    }

    /// The next event, with at most this many rows; `None` at the end.
    async fn next(&mut self, max_rows: u32) -> Option<Result<Event, Error>> {
        self.wanted.store(max_rows, Ordering::Relaxed);
        let event = poll_fn(|context| self.rest.poll(context)).await;
        if !matches!(event, Some(Ok(Event::Columns(_) | Event::Batch(_)))) {
            self.runtime = None;
        }
        event
    }

    /// Keeps reading for a moment, to save the connection.
    async fn skip(mut self) {
        let end = Instant::now() + MOMENT;
        let skipping = async {
            while self.next(SKIPPED).await.is_some() && Instant::now() < end {
                yield_now().await;
            }
        };
        // The rest is dropped, and the connection with it.
        let _ = timeout_at(end, skipping).await;
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            let (rest, wanted) = (Arc::clone(&self.rest), Arc::clone(&self.wanted));
            let deadline = self.deadline.take();
            runtime.spawn(Self { rest, deadline, wanted, runtime: None }.skip());
        }
    }
}

impl Rest {
    fn new(stream: BoxStream<'static, Result<Event, Error>>) -> Self {
        Self(Mutex::new(RestState { stream, reader: None, is_expired: false }))
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        let mut state = self.0.lock();
        if state.is_expired {
            let message =
                "the time limit for reading these rows has passed, and the remaining rows are lost";
            return Poll::Ready(Some(Err(Error::new(ErrorKind::Timeout, message))));
        }
        let polled = state.stream.poll_next_unpin(context);
        state.reader = polled.is_pending().then(|| context.waker().clone());
        polled
    }
}

impl Expire for Rest {
    /// Acts as if the reader had dropped it.
    fn expire(&self) {
        let mut state = self.0.lock();
        state.is_expired = true;
        let stream = std::mem::replace(&mut state.stream, stream::empty().boxed());
        let reader = state.reader.take();
        drop(state);
        drop(stream);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl Cursor {
    /// Reads events up to the columns, so that an error of the statement is reported here.
    /// Afterwards, unread rows may be skipped in the `runtime`, or are discarded with the
    /// `transaction`.
    pub(crate) async fn start<S>(
        planned: Option<PlannedStep>,
        runtime: Option<Handle>,
        transaction: Option<Arc<State>>,
        events: impl FnOnce(Wanted) -> S,
    ) -> Result<Self, Error>
    where
        S: Stream<Item = Result<Event, Error>> + Send + 'static,
    {
        let mut events = Events::new(events);
        let described = match events.next(0).await {
            Some(Ok(Event::Columns(described))) => described,
            Some(Err(error)) => return Err(error),
            Some(Ok(Event::Batch(_) | Event::Last(_))) | None => return Err(out_of_turn()),
        };
        let mut events = events.within(transaction.as_deref())?;
        events.runtime = runtime;
        let columns = Columns::new(planned, described.unwrap_or_default());
        Ok(Self { events: Some(events), ..Self::with_columns(columns) })
    }

    /// A cursor for a statement that is not sent, since it would return no rows.
    pub(crate) fn empty(planned: PlannedStep) -> Self {
        Self::with_columns(Columns::Planned(planned))
    }

    /// A cursor over rows that have already been read.
    pub(crate) fn of_batches(planned: PlannedStep, batches: Vec<Batch>) -> Self {
        Self { ready: batches.into(), ..Self::empty(planned) }
    }

    fn with_columns(columns: Columns) -> Self {
        Self {
            columns,
            ready: VecDeque::new(),
            events: None,
            failure: None,
            steps: None,
            watch: Watch::default(),
        }
    }

    /// Adds further result sets.
    pub(crate) fn followed_by(self, steps: Steps) -> Self {
        Self { steps: Some(Box::new(steps)), ..self }
    }

    /// Sets the time after which unread rows are discarded.
    pub(crate) fn ending(mut self, end: Option<(Instant, Arc<Deadlines>)>) -> Self {
        if let (Some(events), Some((end, deadlines))) = (&mut self.events, end) {
            let rest = Arc::downgrade(&events.rest);
            events.deadline = Some(deadlines.add(end, rest));
        }
        self
    }

    /// The deadline for reading the remaining rows, outside a transaction.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.events.as_ref()?.deadline.as_ref().map(Deadline::end)
    }

    /// Logs the statement once its rows have been read.
    pub(crate) fn watched(self, mut watch: Watch) -> Self {
        if self.events.is_none() {
            watch.count(self.ready.iter().map(|it| u64::from(it.rows)).sum());
            watch.end(None);
        }
        Self { watch, ..self }
    }

    /// The columns of the current result set, also if it has no rows.
    #[must_use]
    pub fn columns(&self) -> &[ColumnInfo] {
        match &self.columns {
            Columns::Planned(planned) => &planned.step().columns,
            Columns::Described(columns) => columns,
        }
    }

    /// How the rows of the current result set are linked to their parents; `None` for the query's
    /// own rows.
    #[must_use]
    pub fn attached(&self) -> Option<&Attachment> {
        match &self.columns {
            Columns::Planned(planned) => planned.step().attachment.as_ref(),
            Columns::Described(_) => None,
        }
    }

    /// Whether there is another result set.
    #[must_use]
    pub fn has_next_result(&self) -> bool {
        self.steps.as_ref().is_some_and(|it| !it.is_last())
    }

    /// The size of the rows that were buffered before they were requested, in bytes.
    #[must_use]
    pub fn bytes_at_hand(&self) -> u64 {
        self.ready.iter().map(Batch::bytes).sum()
    }

    /// Whether all rows of the current result set are known to be read.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.ready.is_empty() && self.events.is_none()
    }

    /// Advances to the next result set; false after the last. It has the related rows of the rows
    /// that were read: unread rows of the current result set are skipped.
    ///
    /// # Errors
    ///
    /// As [`Database::fetch`](crate::Database::fetch). After an error, further calls return the
    /// same error.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it ends, the cursor has no further rows, and returns
    /// `cancelled`.
    pub async fn next_result(&mut self) -> Result<bool, Error> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        // The next statement needs the connection back.
        self.events = None;
        let Some(steps) = self.steps.take() else {
            return Ok(false);
        };
        if steps.is_last() {
            return steps.end().await.map(|()| false);
        }
        self.failure = Some(Error::new(
            ErrorKind::Cancelled,
            "the call for the next result set was cancelled halfway",
        ));
        match steps.next().await {
            Ok(cursor) => {
                *self = cursor;
                Ok(true)
            }
            Err(error) => {
                self.failure = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Reads up to `max_rows` further rows, or fewer if they are large; `None` at the end.
    ///
    /// # Errors
    ///
    /// Failures of the running statement; `decode-failed` for a stored value that cannot be read,
    /// with its column, its table if plan or database report it, and the number of its row in the
    /// message, with its key if the plan reads it. After an error, further calls return the same
    /// error.
    ///
    /// # Cancel safety
    ///
    /// No row is lost if the future is dropped: the next call continues from there, and may return
    /// as many rows as the larger of both requests.
    pub async fn next(&mut self, max_rows: u32) -> Result<Option<Batch>, Error> {
        if max_rows == 0 {
            let message = "`max_rows` is 0: request at least one row";
            return Err(Error::new(ErrorKind::ValueOutOfRange, message));
        }
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let failure = match self.read(max_rows).await {
            Some(Ok(batch)) => {
                self.watch.count(u64::from(batch.rows));
                if self.events.is_none() {
                    self.watch.end(None);
                }
                if let Some(steps) = &mut self.steps {
                    steps.pass(&batch);
                }
                return Ok(Some(batch));
            }
            Some(Err(error)) => Some(error),
            None => None,
        };
        self.events = None;
        self.watch.end(failure.as_ref());
        self.failure.clone_from(&failure);
        if let Some(error) = failure {
            self.steps = None;
            return Err(error);
        }
        if let Some(steps) = self.steps.take_if(|it| it.is_last()) {
            steps.end().await?;
        }
        Ok(None)
    }

    /// The next batch: buffered rows, or else the next event.
    async fn read(&mut self, max_rows: u32) -> Option<Result<Batch, Error>> {
        if let Some(mut batch) = self.ready.pop_front() {
            if let Some(rest) = split_off(&mut batch, max_rows) {
                self.ready.push_front(rest);
            }
            return Some(Ok(batch));
        }
        let events = self.events.as_mut()?;
        Some(match events.next(max_rows).await? {
            Ok(Event::Batch(batch)) => Ok(batch),
            Ok(Event::Last(batch)) => {
                self.events = None;
                Ok(batch)
            }
            Ok(Event::Columns(_)) => Err(out_of_turn()),
            Err(error) => Err(error),
        })
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").field("columns", &self.columns()).finish_non_exhaustive()
    }
}

/// The last event of a statement. The connection is returned before the last rows are handed out,
/// since the caller may never ask for more.
async fn end(
    connection: StatementConnection,
    ending: Ending,
    last: Option<Batch>,
) -> impl Iterator<Item = Result<Event, Error>> {
    let failure = connection.end(ending).await.err();
    let event = if failure.is_some() { Event::Batch } else { Event::Last };
    last.map(|batch| Ok(event(batch))).into_iter().chain(failure.map(Err))
}

/// A value of a row that cannot be read: its column, and the reason.
pub(crate) type Unreadable = (usize, Fault);

/// Checks the size of a row before it is copied.
fn admit(size: usize, most: usize) -> Result<(), Fault> {
    match size <= most {
        true => Ok(()),
        false => Err(Fault::new(ErrorKind::LimitExceeded, "belongs to a row that is too large")),
    }
}

pub(crate) fn out_of_turn() -> Error {
    Error::new(ErrorKind::Internal, "the server sent an unexpected message")
}
