//! Loaded plugins, and calls of them.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use ferro_session::{Gate, Limits, Models, Tenant, Usage};
use ferro_wit::schema::Schema;
use ferro_wit::types::{Error, ErrorKind};
use futures_util::FutureExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use wasmtime::Store;
use wasmtime::component::{Instance, Val};

use crate::bindings::plugin::{PrivilegedPlugin, PrivilegedPluginPre};
use crate::error;
use crate::export::{self, Export};
use crate::guest::{Deadline, Guest};
use crate::host::Host;
use crate::load::{RAW_SQL, without_version};
use crate::output::Writer;

/// A component that a host has loaded. Clones share it.
///
/// Each call has an instance of its own, so nothing that a plugin keeps in memory survives a call.
#[derive(Clone)]
pub struct Plugin {
    inner: Arc<Loaded>,
}

pub(crate) struct Loaded {
    pub(crate) name: Arc<str>,
    pub(crate) host: Host,
    pub(crate) pre: PrivilegedPluginPre<Guest>,
    pub(crate) models: Arc<Models>,
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<Export>,
}

/// What a call came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What the export returned: one value, or none.
    pub results: Vec<Val>,
    /// What the call took.
    pub usage: CallUsage,
}

impl Outcome {
    /// The result in WAVE; empty if there is none.
    ///
    /// # Errors
    ///
    /// `unsupported`, if the result holds a resource: it ended with its instance.
    pub fn to_wave(&self) -> Result<String, Error> {
        let texts: Result<Vec<_>, _> = self.results.iter().map(Val::to_wave).collect();
        let texts = texts.map_err(|error| {
            Error::new(ErrorKind::Unsupported, format!("the result has no text form: {error}"))
        })?;
        Ok(texts.join(" "))
    }
}

/// What a call took, as far as it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallUsage {
    /// Wall-clock time, from the making of the instance on.
    pub elapsed: Duration,
    /// Bytes of the guest's memories.
    pub memory: u64,
    /// What it did in its databases.
    pub database: Usage,
}

impl Plugin {
    /// The name that it was loaded under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Its models, as it described them when it was loaded.
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

    /// The types that its exports take from interfaces, by name, and their definitions in the text
    /// form of WIT.
    #[must_use]
    pub fn types(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for export in self.exports() {
            export.definitions(&mut found);
        }
        found
    }

    /// Whether it imports `raw-sql`: only a tenant that is granted SQL text can call it.
    #[must_use]
    pub fn needs_raw_sql(&self) -> bool {
        self.inner.imports.iter().any(|import| without_version(import) == RAW_SQL)
    }

    /// Calls an export with values, for a tenant.
    ///
    /// A function of an interface is called `interface#function`, or in full
    /// `package:name/interface@version#function`. A result that is an `err` of the plugin's own is an
    /// outcome like any other.
    ///
    /// # Errors
    ///
    /// `not-found`, if there is no such export; `type-mismatch`, if the arguments do not fit;
    /// `denied`, if the plugin imports what the tenant is not granted; `busy`, if no instance was
    /// free in time; `timeout` and `limit-exceeded`, if the call reached a limit; `internal`, if the
    /// plugin trapped. Whatever the error, open transactions are rolled back.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the call, and rolls back what it had open.
    pub async fn call(
        &self,
        tenant: &Arc<Tenant>,
        export: &str,
        arguments: &[Val],
    ) -> Result<Outcome, Error> {
        let export = export::find(&self.inner.exports, export)?;
        export.check_arguments(arguments)?;
        self.call_export(tenant, export, arguments).await
    }

    /// Calls an export with a call in WAVE, `top(3, "a")`, and gives the result in WAVE.
    ///
    /// # Errors
    ///
    /// As [`Plugin::call`] and [`Plugin::parse_call`].
    pub async fn call_wave(&self, tenant: &Arc<Tenant>, call: &str) -> Result<String, Error> {
        let (export, arguments) = self.parse(call)?;
        self.call_export(tenant, export, &arguments).await?.to_wave()
    }

    /// The name and the arguments of a call in WAVE. Options at the end may be left out.
    ///
    /// # Errors
    ///
    /// `not-found`, if there is no such export; `type-mismatch`, if the arguments do not fit it.
    pub fn parse_call(&self, call: &str) -> Result<(&str, Vec<Val>), Error> {
        let (export, arguments) = self.parse(call)?;
        Ok((export.name(), arguments))
    }

    /// A fresh instance for a tenant, for typed calls by bindings of one's own.
    ///
    /// # Errors
    ///
    /// As [`Plugin::call`].
    pub async fn instantiate(&self, tenant: &Arc<Tenant>) -> Result<PluginInstance, Error> {
        self.check_granted(tenant)?;
        let databases = self.inner.host.databases().clone();
        let gate = Gate::new(databases, Arc::clone(&self.inner.models), Arc::clone(tenant));
        let writer = Writer {
            plugin: Arc::clone(&self.inner.name),
            tenant: Arc::from(tenant.name.as_str()),
        };
        let host = &self.inner.host;
        PluginInstance::new(host, &self.inner.pre, Some(gate), &tenant.limits, &writer).await
    }

    pub(crate) fn new(loaded: Loaded) -> Self {
        Self { inner: Arc::new(loaded) }
    }

    fn parse(&self, call: &str) -> Result<(&Export, Vec<Val>), Error> {
        let call = call.trim();
        // The name of a function of an interface is none in WAVE, so it is taken off here.
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
    ) -> Result<Outcome, Error> {
        let mut guest = self.instantiate(tenant).await?;
        let function =
            guest.instance.get_func(&mut guest.store, export.index).ok_or_else(|| {
                Error::new(ErrorKind::Internal, format!("the export `{}` is gone", export.name()))
            })?;
        let mut results = vec![Val::Bool(false); export.result_count()];
        guest.watch.run(function.call_async(&mut guest.store, arguments, &mut results)).await?;
        Ok(Outcome { results, usage: guest.usage() })
    }

    fn check_granted(&self, tenant: &Tenant) -> Result<(), Error> {
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

/// One instance of a plugin, for the calls of one tenant within one deadline.
///
/// Bindings that `wasmtime::component::bindgen!` made of the plugin's world, with `exports: {
/// default: async }`, take the store and the instance. Let [`Watch::run`] run each call. After an
/// error, drop the instance.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use ferro_host::{Error, Plugin, Tenant};
/// mod world {
///     wasmtime::component::bindgen!({
///         inline: "
///             package example:greeter;
///             world greeter { export greet: func(name: string) -> string; }
///         ",
///         exports: { default: async },
///     });
/// }
///
/// # async fn greet(plugin: &Plugin, tenant: &Arc<Tenant>) -> Result<String, Error> {
/// let mut guest = plugin.instantiate(tenant).await?;
/// let greeter = guest.bind(world::Greeter::new)?;
/// guest.watch.run(greeter.call_greet(&mut guest.store, "world")).await
/// # }
/// ```
pub struct PluginInstance {
    /// What bindings call the plugin in.
    pub store: Store<Guest>,
    /// What bindings look exports up in.
    pub instance: Instance,
    /// What runs the calls.
    pub watch: Watch,
    started: Instant,
}

impl PluginInstance {
    pub(crate) async fn new(
        host: &Host,
        pre: &PrivilegedPluginPre<Guest>,
        gate: Option<Gate>,
        limits: &Limits,
        writer: &Writer,
    ) -> Result<Self, Error> {
        let started = Instant::now();
        let deadline = Deadline::after(limits.deadline);
        let place = deadline.bound(host.place(limits.acquire_timeout)).await??;
        let watch = Watch { deadline, plugin: Arc::clone(&writer.plugin), _place: place };
        let most_memory = host.options().memory;
        let mut store = Guest::store(host.engine(), gate, limits, most_memory, deadline, writer);
        let pre = pre.instance_pre();
        let instance = watch.run(pre.instantiate_async(&mut store)).await?;
        Ok(Self { store, instance, watch, started })
    }

    /// The bindings of a world over this instance: pass their function `new`.
    ///
    /// # Errors
    ///
    /// `invalid-configuration`, if the plugin does not export what the world does.
    pub fn bind<'a, T>(
        &'a mut self,
        new: impl FnOnce(&'a mut Store<Guest>, &Instance) -> wasmtime::Result<T>,
    ) -> Result<T, Error> {
        new(&mut self.store, &self.instance).map_err(|error| {
            let name = &self.watch.plugin;
            let message = format!("the plugin `{name}` does not fit the world: {error:#}");
            Error::new(ErrorKind::InvalidConfiguration, message)
        })
    }

    /// What was used so far.
    #[must_use]
    pub fn usage(&self) -> CallUsage {
        let guest = self.store.data();
        CallUsage {
            elapsed: self.started.elapsed(),
            memory: guest.memory_used(),
            database: guest.gate().map(Gate::usage).unwrap_or_default(),
        }
    }
}

/// Runs calls of an instance within its deadline, and turns what goes wrong into errors.
pub struct Watch {
    deadline: Deadline,
    plugin: Arc<str>,
    /// Its place among the instances of the host; given back after the store is gone.
    _place: OwnedSemaphorePermit,
}

impl Watch {
    /// Runs one call.
    ///
    /// # Errors
    ///
    /// `timeout` and `limit-exceeded`, if the call reached a limit; `internal`, if the plugin
    /// trapped, or if the host panicked while it served it.
    pub async fn run<T>(
        &self,
        call: impl Future<Output = wasmtime::Result<T>>,
    ) -> Result<T, Error> {
        // The store is not used again after a panic, so nothing sees what it left behind.
        let caught = AssertUnwindSafe(call).catch_unwind();
        match self.deadline.bound(caught).await? {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                Err(error::from_guest(&format!("the plugin `{}`", self.plugin), &error))
            }
            Err(panic) => Err(error::from_panic(panic.as_ref())),
        }
    }
}

/// Asks a plugin for its models, in an instance that can open nothing.
pub(crate) async fn describe(
    host: &Host,
    pre: &PrivilegedPluginPre<Guest>,
    name: &Arc<str>,
) -> Result<Schema, Error> {
    let writer = Writer { plugin: Arc::clone(name), tenant: Arc::from("") };
    let mut guest = PluginInstance::new(host, pre, None, &Limits::default(), &writer).await?;
    let plugin = guest.bind(PrivilegedPlugin::new)?;
    let models = plugin.ferro_orm_models();
    guest.watch.run(models.call_describe(&mut guest.store)).await
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn s4_a_panic_of_the_host_is_an_error() {
        let place = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        let deadline = Deadline::after(Duration::from_secs(5));
        let watch = Watch { deadline, plugin: Arc::from("x"), _place: place };
        let index = std::hint::black_box(3);
        let error = watch.run(async { Ok([1, 2][index]) }).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Internal);
    }
}
