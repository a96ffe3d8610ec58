//! Loaded plugins, and calling them.

use std::any::Any;
use std::pin::pin;
use std::sync::Arc;

use ferro_session::{Deadline, Gate, Limits, Models, Tenant};
use ferro_wit::schema::Schema;
use ferro_wit::types::{Error, ErrorKind};
use tokio::sync::Semaphore;
use wasmtime::component::Val;

use crate::bindings::plugin::{PrivilegedPlugin, PrivilegedPluginPre};
use crate::export::{self, Export};
use crate::guest::{Data, Guest};
use crate::host::Host;
use crate::instance::{Call, PluginInstance};
use crate::load::RAW_SQL;
use crate::meter::{CallRecord, CallUsage, Caller};
use crate::turns::CpuTurns;

/// A component that a host has loaded. Clones share it.
///
/// Each call has its own instance, so nothing in a plugin's memory survives a call.
#[derive(Clone)]
pub struct Plugin {
    inner: Arc<Loaded>,
    data: Data,
}

pub(crate) struct Loaded {
    pub(crate) name: Arc<str>,
    pub(crate) host: Host,
    pub(crate) pre: PrivilegedPluginPre<Guest>,
    pub(crate) models: Arc<Models>,
    pub(crate) imports: Vec<String>,
    /// The imports that the application lends, without versions.
    pub(crate) lent: Vec<String>,
    pub(crate) needs_raw_sql: bool,
    pub(crate) exports: Vec<Export>,
}

/// The result of a call and its resource usage, also if it failed.
#[derive(Debug, Clone)]
#[must_use = "`results` may be an error"]
pub struct Outcome<T = Vec<Val>> {
    /// What the export returned: at most one value, or the typed result.
    pub results: Result<T, Error>,
    /// The resource usage.
    pub usage: CallUsage,
}

impl Outcome {
    /// Formats the result as WAVE; empty if there is none.
    ///
    /// # Errors
    ///
    /// The error of the call; `unsupported` if the result contains a resource, which ended with its
    /// instance.
    pub fn to_wave(&self) -> Result<String, Error> {
        let results = self.results.as_ref().map_err(Error::clone)?;
        let texts: Result<Vec<_>, _> = results.iter().map(Val::to_wave).collect();
        let texts = texts.map_err(|error| {
            Error::new(ErrorKind::Unsupported, format!("the result has no text form: {error}"))
        })?;
        Ok(texts.join(" "))
    }
}

impl Plugin {
    /// The name under which it was loaded.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Attaches application data for the [lent](crate::HostBuilder::lend) functions, which read it
    /// with [`Guest::data`]. All calls of the returned plugin share it; creating one for each call
    /// costs almost nothing.
    #[must_use]
    pub fn with_data<T: Any + Send + Sync>(&self, data: Arc<T>) -> Self {
        Self { inner: Arc::clone(&self.inner), data: Some(data) }
    }

    /// The models that it described when it was loaded.
    #[must_use]
    pub fn models(&self) -> &Arc<Models> {
        &self.inner.models
    }

    /// The interfaces that it imports.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.inner.imports
    }

    /// The functions that it exports.
    #[must_use]
    pub fn exports(&self) -> &[Export] {
        &self.inner.exports
    }

    /// The named types of its exports, with their definitions in WIT syntax.
    #[must_use]
    pub fn types(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for export in self.exports() {
            export.definitions(&mut found);
        }
        found
    }

    /// Whether it imports `raw-sql`, so that only a tenant with a grant for SQL text can call it.
    #[must_use]
    pub fn needs_raw_sql(&self) -> bool {
        self.inner.needs_raw_sql
    }

    /// Calls an export with values, for a tenant.
    ///
    /// A function of an interface is named `interface#function`, or in full
    /// `package:name/interface@version#function`. If it returns an `err` of its own, the call still
    /// succeeds.
    ///
    /// # Errors
    ///
    /// The result is `not-found` if there is no such export; `type-mismatch` if the arguments do
    /// not fit; `denied` if the plugin has imports that the tenant is not granted; `busy` if no
    /// instance was free in time; `timeout` or `limit-exceeded` if the call reached a limit;
    /// `internal` if the plugin trapped. After any error, open transactions are rolled back.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the call, and rolls back its open transactions.
    pub async fn call(&self, tenant: &Arc<Tenant>, export: &str, arguments: &[Val]) -> Outcome {
        let checked = export::find(&self.inner.exports, export)
            .and_then(|export| export.check_arguments(arguments).map(|()| export));
        match checked {
            Ok(export) => self.call_export(tenant, export, arguments).await,
            Err(error) => Outcome { results: Err(error), usage: CallUsage::default() },
        }
    }

    /// Calls an export with a call in WAVE, `top(3, "a")`, and returns the result in WAVE.
    ///
    /// # Errors
    ///
    /// As [`Plugin::call`] and [`Plugin::parse_call`].
    pub async fn call_wave(&self, tenant: &Arc<Tenant>, call: &str) -> Result<String, Error> {
        let (export, arguments) = self.parse(call)?;
        self.call_export(tenant, export, &arguments).await.to_wave()
    }

    /// Parses the name and the arguments of a call in WAVE. Trailing options may be omitted.
    ///
    /// # Errors
    ///
    /// `not-found` if there is no such export; `type-mismatch` if the arguments do not fit.
    pub fn parse_call(&self, call: &str) -> Result<(&str, Vec<Val>), Error> {
        let (export, arguments) = self.parse(call)?;
        Ok((export.name(), arguments))
    }

    /// Creates a fresh instance for a tenant, for typed calls with your own bindings.
    ///
    /// # Errors
    ///
    /// As [`Plugin::call`].
    pub async fn instantiate(&self, tenant: &Arc<Tenant>) -> Result<PluginInstance, Error> {
        let record = self.record(tenant);
        let made = self.instantiate_for(tenant, &record).await;
        record.came_to(&made);
        made
    }

    fn record(&self, tenant: &Tenant) -> Arc<CallRecord> {
        let plugin = Arc::clone(&self.inner.name);
        CallRecord::begin(Caller { plugin, tenant: Some(Arc::from(tenant.name.as_str())) })
    }

    async fn instantiate_for(
        &self,
        tenant: &Arc<Tenant>,
        record: &Arc<CallRecord>,
    ) -> Result<PluginInstance, Error> {
        self.check_granted(tenant)?;
        let (host, limits) = (&self.inner.host, &tenant.limits);
        let deadline = Deadline::after(limits.deadline);
        let admission = deadline.bound(pin!(host.tenants().admit(tenant))).await??;
        let permit = deadline.bound(pin!(admission.guest_permit(limits))).await??;
        let turns = CpuTurns::new(Arc::clone(admission.threads()), Arc::clone(host.slow()));
        let (databases, models) = (host.databases().clone(), Arc::clone(&self.inner.models));
        let gate = Gate::admitted(databases, models, Arc::clone(tenant), admission);
        let (gate, data) = (Some(gate), self.data.clone());
        let call = Call { gate, limits, deadline, record, data };
        PluginInstance::new(host, &self.inner.pre, call, turns, permit).await
    }

    pub(crate) fn new(loaded: Loaded) -> Self {
        Self { inner: Arc::new(loaded), data: None }
    }

    fn parse(&self, call: &str) -> Result<(&Export, Vec<Val>), Error> {
        let call = call.trim();
        // The name of an interface's function is not valid in WAVE, so it is removed here.
        let (name, arguments) = call.split_at(call.find('(').unwrap_or(call.len()));
        let export = export::find(&self.inner.exports, name.trim())?;
        let arguments = if arguments.is_empty() { "()" } else { arguments };
        Ok((export, export.read_arguments(arguments)?))
    }

    async fn call_export(
        &self,
        tenant: &Arc<Tenant>,
        export: &Export,
        arguments: &[Val],
    ) -> Outcome {
        let record = self.record(tenant);
        record.name(export.name());
        let results = self.results(tenant, export, arguments, &record).await;
        record.came_to(&results);
        Outcome { results, usage: record.usage() }
    }

    async fn results(
        &self,
        tenant: &Arc<Tenant>,
        export: &Export,
        arguments: &[Val],
        record: &Arc<CallRecord>,
    ) -> Result<Vec<Val>, Error> {
        let mut guest = self.instantiate_for(tenant, record).await?;
        let function = guest.bind(|store, instance| {
            let function = instance.get_func(store, export.index);
            function.ok_or_else(|| wasmtime::format_err!("the export `{}` is gone", export.name()))
        })?;
        let called = guest.run(async |store| {
            let mut results = vec![Val::Bool(false); export.result_count()];
            function.call_async(store, arguments, &mut results).await?;
            Ok(results)
        });
        called.await.results
    }

    fn check_granted(&self, tenant: &Tenant) -> Result<(), Error> {
        if tenant.limits.fuel.is_some() && !self.inner.host.options().fuel {
            let message = format!(
                "tenant `{}` has a limit on `fuel`, which this host does not meter: set \
                 `HostOptions::fuel`",
                tenant.name
            );
            return Err(Error::new(ErrorKind::InvalidConfiguration, message));
        }
        let mut lent = self.inner.lent.iter();
        if let Some(import) = lent.find(|import| !tenant.imports.contains(*import)) {
            let message = format!(
                "the plugin `{}` imports `{import}`, which tenant `{}` is not granted: name it in \
                 `imports` of the tenant",
                self.inner.name, tenant.name
            );
            return Err(Error::new(ErrorKind::Denied, message));
        }
        if !self.needs_raw_sql() || tenant.grants.values().any(ferro_session::Grant::has_raw_sql) {
            return Ok(());
        }
        let message = format!(
            "the plugin `{}` imports `{RAW_SQL}`, and tenant `{}` is not granted `raw-sql`",
            self.inner.name, tenant.name
        );
        Err(Error::new(ErrorKind::Denied, message))
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin")
            .field("name", &self.inner.name)
            .field("models", &self.inner.models)
            .finish_non_exhaustive()
    }
}

/// Asks a plugin for its models, in an instance that cannot open databases.
pub(crate) async fn describe(
    host: &Host,
    pre: &PrivilegedPluginPre<Guest>,
    name: &Arc<str>,
) -> Result<Schema, Error> {
    let record = &CallRecord::begin(Caller { plugin: Arc::clone(name), tenant: None });
    let limits = &Limits::default();
    let deadline = Deadline::after(limits.deadline);
    let permit = deadline.bound(pin!(host.tenants().guest_permit(limits))).await??;
    let turns = CpuTurns::new(Arc::new(Semaphore::new(1)), Arc::clone(host.slow()));
    let (gate, data) = (None, None);
    let call = Call { gate, limits, deadline, record, data };
    let mut guest = PluginInstance::new(host, pre, call, turns, permit).await?;
    let plugin = guest.bind(PrivilegedPlugin::new)?;
    let models = plugin.ferro_orm_models();
    guest.run(async |store| models.call_describe(store).await).await.results
}
