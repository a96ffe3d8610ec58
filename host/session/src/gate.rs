//! The gate: the only place where a session is opened and its grant is checked.

use std::sync::Arc;

use ferro_driver::{Databases, Fence};
use ferro_wit::types::{Error, ErrorKind};

use crate::call::{Call, Granted, Slot, SlotKind};
use crate::grant::Grant;
use crate::limits::Limits;
use crate::log::excerpt;
use crate::models::Models;
use crate::policy::Policy;
use crate::session::Session;
use crate::tenant::Tenant;
use crate::tenants::Admission;
use crate::usage::Usage;

/// The rights of one call: the databases that it may open, and the counters of its usage.
///
/// Create a new gate for each plugin call. Clones share rights and counters. An application's own
/// code uses one trusted gate for all of its work.
#[derive(Clone)]
pub struct Gate {
    call: Arc<Call>,
    models: Arc<Models>,
}

impl Gate {
    /// A gate for an application's own code: all databases, all rows, SQL text, no limits, and full
    /// errors.
    #[must_use]
    pub fn trusted(databases: Databases, models: Arc<Models>) -> Self {
        Self { call: Arc::new(Call::new(databases, None, true, None)), models }
    }

    /// A gate for an application's own code on behalf of a tenant: with the tenant's grants and
    /// forced filters, but without its limits, and with full errors. For applications that serve
    /// many tenants themselves.
    #[must_use]
    pub fn scoped(databases: Databases, models: Arc<Models>, tenant: Arc<Tenant>) -> Self {
        Self { call: Arc::new(Call::new(databases, Some(tenant), true, None)), models }
    }

    /// A gate for one call of a tenant, which shares no limits with the tenant's other calls.
    #[must_use]
    pub fn new(databases: Databases, models: Arc<Models>, tenant: Arc<Tenant>) -> Self {
        Self { call: Arc::new(Call::new(databases, Some(tenant), false, None)), models }
    }

    /// A gate for one call of a tenant, which shares connections with the tenant's other calls. Its
    /// admission is released when the gate and its sessions are dropped.
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

    /// Opens a session on the database with a label. It does not acquire a connection yet.
    ///
    /// # Errors
    ///
    /// `limit-exceeded` if too many sessions are open. For a tenant: `denied` if the label is
    /// unknown or not granted; `invalid-configuration` if the grant does not fit the models, which
    /// the operator's log explains. For a trusted gate: `not-found`.
    pub fn open(&self, label: &str) -> Result<Session, Error> {
        self.open_as(label, Some(label))
    }

    /// Opens a session on the database with a label. Errors name only the label that was asked for.
    fn open_as(&self, label: &str, asked: Option<&str>) -> Result<Session, Error> {
        let slot = Slot::take(&self.call, SlotKind::Session)?;
        let (database, policy, connections) = match &self.call.tenant {
            None => (self.call.databases.get(Some(label))?, Policy::trusted(), None),
            Some(tenant) => {
                let grant =
                    tenant.grants.get(label).ok_or_else(|| denied(&self.call, tenant, asked))?;
                let database = self.call.databases.get(Some(label)).map_err(|error| {
                    // The operator owns the grant, and the names in it.
                    let kind = ErrorKind::InvalidConfiguration;
                    self.call.log(label, &Error { kind, ..error });
                    denied(&self.call, tenant, asked)
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

    /// Opens a session on a database that its caller has not named: to a tenant, errors call it the
    /// default database.
    ///
    /// # Errors
    ///
    /// As [`Gate::open`].
    pub fn open_as_default(&self, label: &str) -> Result<Session, Error> {
        self.open_as(label, None)
    }

    /// Opens a session on the default database.
    ///
    /// # Errors
    ///
    /// As [`Gate::open`].
    pub fn open_default(&self) -> Result<Session, Error> {
        match (self.call.databases.default_label(), &self.call.tenant) {
            // The host chose its label: a tenant to which it is not granted must not learn it.
            (Some(label), _) => self.open_as_default(&label),
            (None, Some(tenant)) => Err(denied(&self.call, tenant, None)),
            (None, None) => {
                Err(Error::new(ErrorKind::NotFound, "no database is connected: connect one first"))
            }
        }
    }

    /// The usage of the call so far.
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

/// The rights of a session after its models have been replaced.
pub(crate) fn renewed(granted: &Granted, models: Arc<Models>) -> Result<Granted, Error> {
    let label = granted.label.clone();
    let policy = match &granted.call.tenant {
        None => Policy::trusted(),
        Some(tenant) => {
            let grant = tenant.grants.get(&label);
            let grant = grant.ok_or_else(|| denied(&granted.call, tenant, Some(&label)))?;
            fitted(&granted.call, grant, &label, &models)?
        }
    };
    let (call, connections) = (Arc::clone(&granted.call), granted.connections.clone());
    Ok(Granted { call, label, models, policy, connections })
}

/// The rights of a grant on some models.
fn fitted(call: &Call, grant: &Grant, label: &str, models: &Models) -> Result<Policy, Error> {
    Policy::new(grant, models.schema()).map_err(|error| {
        call.log(label, &error);
        unfit(&error)
    })
}

/// The fence, with the time limits of a transaction and its statements. They are sent to PostgreSQL
/// with the `BEGIN`, so that they apply even if the host or the network fails and nothing closes
/// the connection.
///
/// A statement has the time of the whole call, since on the server the time of a slow reader
/// counts, but not here.
fn timed(fence: Fence, limits: &Limits) -> Fence {
    Fence {
        statement_timeout: Some(limits.deadline.max(limits.statement_timeout)),
        transaction_timeout: Some(limits.transaction_timeout),
        ..fence
    }
}

/// The error for a label that the tenant cannot open, which says no more about it than the caller
/// did: it is identical for labels that exist and labels that do not. The others are the tenant's
/// own.
fn denied(call: &Call, tenant: &Tenant, asked: Option<&str>) -> Error {
    let asked = match asked {
        Some(label) => format!("the database `{}`", excerpt(label)),
        None => "the default database".to_owned(),
    };
    let can_open = |label: &&String| call.databases.get(Some(label)).is_ok();
    let open: Vec<_> = tenant.grants.keys().filter(can_open).map(|it| format!("`{it}`")).collect();
    let open = match open.is_empty() {
        true => "nothing".to_owned(),
        false => excerpt(&open.join(", ")),
    };
    let message =
        format!("{asked} is not granted to this tenant, or not connected: it can open {open}");
    Error::new(ErrorKind::Denied, message)
}

fn unfit(error: &Error) -> Error {
    Error::new(error.kind, "the grant of this database does not match the plugin's models")
}
