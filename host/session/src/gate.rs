//! The gate: the one place where a session is acquired, and where its grant is checked.

use std::sync::Arc;

use ferro_driver::Databases;
use ferro_wit::types::{Error, ErrorKind};

use crate::call::{Call, Granted};
use crate::models::Models;
use crate::policy::Policy;
use crate::session::Session;
use crate::tenant::Tenant;
use crate::usage::Usage;

/// What one call may do: the databases that it may open, and the counters of what it uses.
///
/// Make a new one for each call of a plugin. Clones share rights and counters. An application's own
/// code has one trusted gate for all of its work.
#[derive(Clone)]
pub struct Gate {
    call: Arc<Call>,
}

impl Gate {
    /// A gate for an application's own code: every database, every row, SQL text, no limits, and
    /// errors in full.
    #[must_use]
    pub fn trusted(databases: Databases, models: Arc<Models>) -> Self {
        Self { call: Arc::new(Call::new(databases, models, None, true)) }
    }

    /// A gate for an application's own code that works for a tenant: the grants and forced filters
    /// of the tenant, but none of its limits, and errors in full. For applications that serve many
    /// tenants themselves.
    #[must_use]
    pub fn scoped(databases: Databases, models: Arc<Models>, tenant: Arc<Tenant>) -> Self {
        Self { call: Arc::new(Call::new(databases, models, Some(tenant), true)) }
    }

    /// A gate for one call of a tenant.
    #[must_use]
    pub fn new(databases: Databases, models: Arc<Models>, tenant: Arc<Tenant>) -> Self {
        Self { call: Arc::new(Call::new(databases, models, Some(tenant), false)) }
    }

    /// A session with the database with a label. It takes no connection yet.
    ///
    /// # Errors
    ///
    /// `limit-exceeded`, if too many sessions are open. For a tenant: `denied`, whether the label is
    /// unknown or not granted; `invalid-configuration`, if the grant does not fit the models, which
    /// the operator's log explains. For a trusted gate: `not-found`.
    pub fn open(&self, label: &str) -> Result<Session, Error> {
        let (database, policy) = match &self.call.tenant {
            None => (self.call.databases.get(Some(label))?, Policy::trusted()),
            Some(tenant) => {
                let grant = tenant.grants.get(label).ok_or_else(denied)?;
                let database = self.call.databases.get(Some(label)).map_err(|error| {
                    tracing::warn!(tenant = tenant.name, database = label, "{error}");
                    denied()
                })?;
                let policy = Policy::new(grant, self.call.models.schema()).map_err(|error| {
                    tracing::error!(tenant = tenant.name, database = label, "{error}");
                    unfit(&error)
                })?;
                let fence = grant.check_text(database.dialect()).map(|()| grant.fence());
                let database = fence.and_then(|it| database.fenced(it)).map_err(|error| {
                    tracing::error!(tenant = tenant.name, database = label, "{error}");
                    unfit(&error)
                })?;
                (database, policy)
            }
        };
        Session::new(Granted { call: self.call.clone(), label: label.to_owned(), policy }, database)
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

/// The label is not repeated, so that two labels get the same answer to the letter.
fn denied() -> Error {
    Error::new(ErrorKind::Denied, "no database with this label is granted")
}

fn unfit(error: &Error) -> Error {
    Error::new(error.kind, "the grant of this database does not fit the plugin's models")
}
