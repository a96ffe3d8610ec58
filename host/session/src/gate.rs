//! The gate: the one place where a session is acquired, and where its grant is checked.

use std::sync::Arc;

use ferro_driver::{Databases, Fence};
use ferro_wit::types::{Error, ErrorKind};

use crate::call::{Call, Granted, Slot, SlotKind};
use crate::grant::Grant;
use crate::limits::Limits;
use crate::models::Models;
use crate::policy::Policy;
use crate::session::Session;
use crate::tenant::Tenant;
use crate::tenants::Admission;
use crate::usage::Usage;

/// What one call may do: the databases that it may open, and the counters of what it uses.
///
/// Make a new one for each call of a plugin. Clones share rights and counters. An application's own
/// code has one trusted gate for all of its work.
#[derive(Clone)]
pub struct Gate {
    call: Arc<Call>,
    models: Arc<Models>,
}

impl Gate {
    /// A gate for an application's own code: every database, every row, SQL text, no limits, and
    /// errors in full.
    #[must_use]
    pub fn trusted(databases: Databases, models: Arc<Models>) -> Self {
        Self { call: Arc::new(Call::new(databases, None, true, None)), models }
    }

    /// A gate for an application's own code that works for a tenant: the grants and forced filters
    /// of the tenant, but none of its limits, and errors in full. For applications that serve many
    /// tenants themselves.
    #[must_use]
    pub fn scoped(databases: Databases, models: Arc<Models>, tenant: Arc<Tenant>) -> Self {
        Self { call: Arc::new(Call::new(databases, Some(tenant), true, None)), models }
    }

    /// A gate for one call of a tenant, which shares nothing with its other calls.
    #[must_use]
    pub fn new(databases: Databases, models: Arc<Models>, tenant: Arc<Tenant>) -> Self {
        Self { call: Arc::new(Call::new(databases, Some(tenant), false, None)), models }
    }

    /// A gate for one call of a tenant, which shares connections with its other calls. Another call
    /// may have its admission when the gate and its sessions are gone.
    #[must_use]
    pub fn admitted(
        databases: Databases,
        models: Arc<Models>,
        tenant: Arc<Tenant>,
        admission: Admission,
    ) -> Self {
        let admission = Some(admission);
        Self { call: Arc::new(Call::new(databases, Some(tenant), false, admission)), models }
    }

    /// A session with the database with a label. It takes no connection yet.
    ///
    /// # Errors
    ///
    /// `limit-exceeded`, if too many sessions are open. For a tenant: `denied`, whether the label is
    /// unknown or not granted; `invalid-configuration`, if the grant does not fit the models, which
    /// the operator's log explains. For a trusted gate: `not-found`.
    pub fn open(&self, label: &str) -> Result<Session, Error> {
        let slot = Slot::take(&self.call, SlotKind::Session)?;
        let (database, policy, connections) = match &self.call.tenant {
            None => (self.call.databases.get(Some(label))?, Policy::trusted(), None),
            Some(tenant) => {
                let grant = tenant.grants.get(label).ok_or_else(denied)?;
                let database = self.call.databases.get(Some(label)).map_err(|error| {
                    // The grant is the operator's, and so is what it names.
                    let kind = ErrorKind::InvalidConfiguration;
                    self.call.log(label, &Error { kind, ..error });
                    denied()
                })?;
                let policy = fitted(&self.call, grant, label, &self.models)?;
                let connections = self.call.connections(label, database.stats().max);
                let database = match &connections {
                    Some(connections) => database.with_workers(Arc::clone(connections.workers())),
                    None => database,
                };
                let fence = grant.fence_on(database.dialect());
                let fenced = fence.and_then(|fence| match self.call.limits() {
                    Some(limits) => database.fenced(timed(fence, limits)),
                    None => database.fenced(fence),
                });
                let database = fenced.map_err(|error| {
                    self.call.log(label, &error);
                    unfit(&error)
                })?;
                (database, policy, connections)
            }
        };
        let (call, models) = (Arc::clone(&self.call), Arc::clone(&self.models));
        let granted = Granted { call, label: label.to_owned(), models, policy, connections };
        Ok(Session::new(granted, database, slot))
    }

    /// A session with the default database.
    ///
    /// # Errors
    ///
    /// Those of [`Gate::open`].
    pub fn open_default(&self) -> Result<Session, Error> {
        match (self.call.databases.default_label(), &self.call.tenant) {
            (Some(label), _) => self.open(&label),
            (None, Some(_)) => Err(denied()),
            (None, None) => {
                Err(Error::new(ErrorKind::NotFound, "no database is connected: connect one first"))
            }
        }
    }

    /// What the call has used so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.call.usage()
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tenant = self.call.tenant.as_deref().map(|tenant| tenant.name.as_str());
        f.debug_struct("Gate")
            .field("tenant", &tenant)
            .field("usage", &self.usage())
            .finish_non_exhaustive()
    }
}

/// What a session may do, where its models are other ones from here on.
pub(crate) fn renewed(granted: &Granted, models: Arc<Models>) -> Result<Granted, Error> {
    let label = granted.label.clone();
    let policy = match &granted.call.tenant {
        None => Policy::trusted(),
        Some(tenant) => {
            let grant = tenant.grants.get(&label).ok_or_else(denied)?;
            fitted(&granted.call, grant, &label, &models)?
        }
    };
    let (call, connections) = (Arc::clone(&granted.call), granted.connections.clone());
    Ok(Granted { call, label, models, policy, connections })
}

/// What a grant allows on some models.
fn fitted(call: &Call, grant: &Grant, label: &str, models: &Models) -> Result<Policy, Error> {
    Policy::new(grant, models.schema()).map_err(|error| {
        call.log(label, &error);
        unfit(&error)
    })
}

/// The fence, with the time that a transaction has, and a statement in it. PostgreSQL is told with the
/// `BEGIN`, so that it holds where nobody is left to close the connection: the host died, or the network.
///
/// A statement has as long as the whole call, since a reader that takes its time counts there, but
/// not here.
fn timed(fence: Fence, limits: &Limits) -> Fence {
    Fence {
        statement_timeout: Some(limits.deadline.max(limits.statement_timeout)),
        transaction_timeout: Some(limits.transaction_timeout),
        ..fence
    }
}

/// The label is not repeated, so that two labels get the same answer to the letter.
fn denied() -> Error {
    Error::new(ErrorKind::Denied, "no database with this label is granted")
}

fn unfit(error: &Error) -> Error {
    Error::new(error.kind, "the grant of this database does not match the plugin's models")
}
