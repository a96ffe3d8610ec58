//! The counters of one call, and the state that its sessions and cursors share.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use ferro_driver::Databases;
use ferro_wit::types::{Error, ErrorKind};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::error::for_plugin;
use crate::fair_semaphore::Claimant;
use crate::limits::{Limits, Wait};
use crate::log::{RECORD, excerpt};
use crate::models::Models;
use crate::policy::Policy;
use crate::tenant::Tenant;
use crate::tenants::{Admission, ConnectionPermit, Connections, TenantState};
use crate::usage::Usage;

/// One call: its caller, its databases, and its usage so far.
pub(crate) struct Call {
    pub(crate) databases: Databases,
    /// `None`: there are no grants, and everything is allowed.
    pub(crate) tenant: Option<Arc<Tenant>>,
    /// Whether it is the application's own code, without limits and with full errors.
    trusted: bool,
    /// The state that it shares with other calls of its tenant; `None` for the application's own
    /// code.
    tenant_state: Option<Arc<TenantState>>,
    /// Its permit as one of those calls; released with the last of its sessions.
    _admission: Option<Admission>,
    /// By label.
    connections: Mutex<BTreeMap<String, Arc<Connections>>>,
    sessions: AtomicU32,
    cursors: AtomicU32,
    statements: AtomicU64,
    rows_read: AtomicU64,
    rows_written: AtomicU64,
    bytes: AtomicU64,
    /// Bytes of errors written to the operator's log.
    logged: AtomicU64,
}

impl Call {
    pub(crate) fn new(
        databases: Databases,
        tenant: Option<Arc<Tenant>>,
        trusted: bool,
        admission: Option<Admission>,
    ) -> Self {
        let tenant_state = match (&admission, &tenant) {
            (Some(admission), _) => Some(Arc::clone(admission.tenant_state())),
            (None, Some(_)) if !trusted => Some(Arc::new(TenantState::alone())),
            (None, _) => None,
        };
        Self {
            databases,
            tenant,
            trusted,
            tenant_state,
            _admission: admission,
            connections: Mutex::default(),
            sessions: AtomicU32::new(0),
            cursors: AtomicU32::new(0),
            statements: AtomicU64::new(0),
            rows_read: AtomicU64::new(0),
            rows_written: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            logged: AtomicU64::new(0),
        }
    }

    pub(crate) fn limits(&self) -> Option<&Limits> {
        self.tenant.as_deref().filter(|_| !self.trusted).map(|tenant| &tenant.limits)
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage {
            statements: self.statements.load(Ordering::Relaxed),
            rows_read: self.rows_read.load(Ordering::Relaxed),
            rows_written: self.rows_written.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn count_statement(&self, parameters: usize) -> Result<(), Error> {
        let Some(limits) = self.limits() else {
            self.statements.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        };
        if parameters > limits.parameters as usize {
            return Err(limits.parameters_exceeded());
        }
        let below = |sent: u64| (sent < limits.statements).then_some(sent + 1);
        self.statements
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, below)
            .map(drop)
            .map_err(|_| limits.statements_exceeded())
    }

    /// Counts written rows. After an error nothing is committed: the count stays over the limit.
    pub(crate) fn count_written(&self, rows: u64) -> Result<(), Error> {
        self.rows_written.fetch_add(rows, Ordering::Relaxed);
        self.admit_written(0)
    }

    /// Counts rows before they are written, unless that would be too many.
    pub(crate) fn reserve_written(&self, rows: u64) -> bool {
        self.count_written(rows).inspect_err(|_| self.release_written(rows)).is_ok()
    }

    /// Stops counting rows that are not written.
    pub(crate) fn release_written(&self, rows: u64) {
        self.rows_written.fetch_sub(rows, Ordering::Relaxed);
    }

    /// Checks that this many more rows may be written.
    pub(crate) fn admit_written(&self, rows: u64) -> Result<(), Error> {
        let written = self.rows_written.load(Ordering::Relaxed).saturating_add(rows);
        match self.limits() {
            Some(limits) if written > limits.rows_written => Err(limits.rows_written_exceeded()),
            _ => Ok(()),
        }
    }

    /// Logs an error that the plugin does not see, within the log's limit; at level error if the
    /// operator must fix it. Names and messages may come from the caller: they are truncated and
    /// escaped.
    pub(crate) fn log(&self, database: &str, error: &Error) {
        let names = [&error.constraint, &error.table, &error.column];
        let [constraint, table, column] = names.map(|it| it.as_deref().map(excerpt));
        let message = excerpt(&error.message);
        let parts = [&constraint, &table, &column].into_iter().flatten().chain([&message]);
        if !self.admit_logged(parts.map(String::len).sum()) {
            return;
        }
        let tenant = self.tenant.as_deref().map(|tenant| tenant.name.as_str());
        let (kind, code) = (error.kind, error.code.as_deref());
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(
                    tenant, database, %kind, code, constraint, table, column, "{message}"
                )
            };
        }
        match kind {
            ErrorKind::InvalidConfiguration => log!(error),
            _ => log!(warn),
        }
    }

    /// Whether a record of this size may be logged. After the first that may not, none may.
    fn admit_logged(&self, bytes: usize) -> bool {
        let Some(limits) = self.limits() else { return true };
        let bytes = RECORD.saturating_add(bytes.try_into().unwrap_or(u64::MAX));
        let before = self.logged.fetch_add(bytes, Ordering::Relaxed);
        let admitted = before.saturating_add(bytes) <= limits.log_bytes;
        if !admitted && before <= limits.log_bytes {
            tracing::warn!(
                tenant = self.tenant.as_deref().map(|tenant| tenant.name.as_str()),
                "the limit `log-bytes` is reached: further errors are dropped"
            );
        }
        admitted
    }

    /// The call's share of a pool; `None` for the application's own code.
    pub(crate) fn connections(&self, label: &str, max: u32) -> Option<Arc<Connections>> {
        let (state, limits) = (self.tenant_state.as_deref()?, self.limits()?);
        let mut known = self.connections.lock();
        let connections = known
            .entry(label.to_owned())
            .or_insert_with(|| Arc::new(Connections::new(state, label, max, limits)));
        Some(Arc::clone(connections))
    }

    /// The claimant of compilers for it; `None` for the application's own code.
    pub(crate) fn compiler_claimant(&self) -> Option<&Claimant> {
        self.tenant_state.as_deref().map(TenantState::compiler_claimant)
    }

    /// How many rows to fetch, so that one row over the limit is noticed without reading a second.
    pub(crate) fn rows_to_ask(&self, wanted: u32) -> u32 {
        let Some(limits) = self.limits() else { return wanted };
        let left = limits.rows.saturating_sub(self.rows_read.load(Ordering::Relaxed));
        wanted.min(u32::try_from(left.saturating_add(1)).unwrap_or(u32::MAX))
    }

    pub(crate) fn count_rows(&self, rows: u32) -> Result<(), Error> {
        let rows = u64::from(rows);
        let all = self.rows_read.fetch_add(rows, Ordering::Relaxed).saturating_add(rows);
        match self.limits() {
            Some(limits) if all > limits.rows => Err(limits.rows_exceeded()),
            _ => Ok(()),
        }
    }

    pub(crate) fn count_bytes(&self, bytes: u64) -> Result<(), Error> {
        let all = self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        match self.limits() {
            Some(limits) if all > limits.result_bytes => Err(limits.result_bytes_exceeded()),
            _ => Ok(()),
        }
    }
}

/// A slot for an open session or cursor, released on drop.
pub(crate) struct Slot {
    call: Arc<Call>,
    kind: SlotKind,
}

#[derive(Clone, Copy)]
pub(crate) enum SlotKind {
    Session,
    Cursor,
}

impl SlotKind {
    fn open(self, call: &Call) -> &AtomicU32 {
        match self {
            Self::Session => &call.sessions,
            Self::Cursor => &call.cursors,
        }
    }
}

impl Slot {
    pub(crate) fn take(call: &Arc<Call>, kind: SlotKind) -> Result<Self, Error> {
        let Some(limits) = call.limits() else {
            kind.open(call).fetch_add(1, Ordering::Relaxed);
            return Ok(Self { call: call.clone(), kind });
        };
        let most = match kind {
            SlotKind::Session => limits.sessions,
            SlotKind::Cursor => limits.cursors,
        };
        let below = |open: u32| (open < most).then(|| open + 1);
        match kind.open(call).fetch_update(Ordering::Relaxed, Ordering::Relaxed, below) {
            Ok(_) => Ok(Self { call: call.clone(), kind }),
            Err(_) => Err(match kind {
                SlotKind::Session => limits.sessions_exceeded(),
                SlotKind::Cursor => limits.cursors_exceeded(),
            }),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.kind.open(&self.call).fetch_sub(1, Ordering::Relaxed);
    }
}

/// One database with the rights of a call; shared by a session, its transactions and their cursors.
pub(crate) struct Granted {
    pub(crate) call: Arc<Call>,
    pub(crate) label: String,
    pub(crate) models: Arc<Models>,
    pub(crate) policy: Policy,
    pub(crate) connections: Option<Arc<Connections>>,
}

impl Granted {
    /// Acquires a permit for one more connection, if they are counted.
    pub(crate) async fn connection_permit(&self) -> Result<Option<ConnectionPermit>, Error> {
        match (&self.connections, self.call.limits()) {
            (Some(connections), Some(limits)) => connections.permit(limits).await.map(Some),
            _ => Ok(None),
        }
    }

    /// Waits for the database: for the time limit of `wait`, minus `elapsed`, and at most until the
    /// transaction must end.
    ///
    /// The future is passed pinned. Moved, it would be stored again in each enclosing future, and
    /// copied with them: tens of kilobytes per statement.
    pub(crate) async fn wait<T>(
        &self,
        wait: Wait,
        elapsed: Duration,
        transaction_end: Option<Instant>,
        work: impl Future<Output = Result<T, Error>> + Unpin,
    ) -> Result<T, Error> {
        let Some(limits) = self.call.limits() else { return work.await };
        let now = Instant::now();
        let own_end = now.checked_add(wait.limit(limits).saturating_sub(elapsed));
        let Some(end) = [own_end, transaction_end].into_iter().flatten().min() else {
            return work.await.map_err(|error| self.report(&error));
        };
        // With a timer alone, work could begin, and even end, after the deadline.
        let outcome = match end > now {
            true => tokio::time::timeout_at(end, work).await.ok(),
            false => None,
        };
        match outcome {
            Some(outcome) => outcome.map_err(|error| self.report(&error)),
            None => {
                let error = match transaction_end {
                    Some(it) if it == end => limits.transaction_expired(),
                    _ => wait.expired(limits),
                };
                self.call.log(&self.label, &error);
                Err(error)
            }
        }
    }

    /// A compiler error, as reported to the caller. Its messages refer to the query, with names in
    /// the scope; only faults of the grant or the compiler are hidden from a tenant.
    pub(crate) fn explain(&self, error: Error) -> Error {
        let at_fault = matches!(error.kind, ErrorKind::InvalidConfiguration | ErrorKind::Internal);
        match at_fault && !self.call.trusted {
            true => self.report(&error),
            false => error,
        }
    }

    /// The error as reported to a tenant; the operator's log gets all of it.
    fn report(&self, error: &Error) -> Error {
        self.call.log(&self.label, error);
        for_plugin(error, &self.policy, self.models.schema())
    }
}

#[cfg(test)]
mod tests {
    fn send<T: Send + Sync + 'static>() {}

    #[test]
    fn what_a_host_keeps_can_move_between_threads() {
        send::<crate::Gate>();
        send::<crate::Session>();
        send::<crate::Models>();
        send::<crate::PlanCache>();
        send::<Box<dyn ferro_wit::Session>>();
    }
}
