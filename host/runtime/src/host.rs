//! The host: one engine, one set of databases, and one query compiler.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ferro_driver::{Databases, Migration};
use ferro_session::{
    Gate, Models, PlanCache, Session, Tenant, Tenants, cache_folder, check_component,
};
use ferro_wit::plan::Risk;
use ferro_wit::schema::Schema;
use ferro_wit::types::{Error, ErrorKind};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use crate::bindings::plugin::PrivilegedPluginPre;
use crate::builder::{HostBuilder, Imports};
use crate::cache::{CacheStatistics, DiskCache};
use crate::compiler::WasmCompiler;
use crate::engine::{self, TICK, Ticker};
use crate::guest::Guest;
use crate::plugin::{Loaded, Plugin, describe};
use crate::{export, load, meter};

/// The options of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostOptions {
    /// The folder for compiled components; with `None`, each process compiles them again. By
    /// default `ferro` in the user's cache folder. Its contents are executed: nobody else may have
    /// write access.
    pub cache: Option<PathBuf>,
    /// Maximum number of concurrent plugin instances: 64. A tenant gets another one only while more
    /// are free than it has; a call waits for one up to its `acquire-timeout`. Each reserves
    /// address space for its memories, but no memory.
    pub instances: u32,
    /// Upper bound of the tenants' memory limits for an instance, in bytes: 64 MiB.
    pub memory: u64,
    /// Maximum size of a component, in bytes: 16 MiB.
    pub component_bytes: u64,
    /// How long compiling a component may take: 60 s, enough for a small machine under load; after
    /// that, loading fails with `timeout`. While two other loads are running, a load first waits
    /// for the same time; after that, it fails with `busy`.
    pub compile_timeout: Duration,
    /// Whether guests count fuel, so that it can be limited and billed: false. It makes their code
    /// slower by a tenth to a third.
    pub fuel: bool,
    /// How many threads the guests of one tenant may keep busy at once: half of those of the
    /// runtime in which the options are created, at least one. Use more for a host with one tenant.
    pub threads_per_tenant: usize,
    /// Maximum number of core instances that compile queries: two for each thread of guests. A
    /// tenant gets another one only while more are free than it has, so the application and each
    /// tenant have at most half of them. Each keeps up to 16 MiB with the models that it has
    /// loaded. If the models of an application or a plugin take more (about 3,000 models with 15
    /// fields each), every query without a cached plan checks them again, which takes a large part
    /// of a second.
    pub compilers: u32,
    /// Size of the plan cache of all tenants and the application, in bytes: 16 MiB, some thousands
    /// of plans. See [`PlanCache`].
    pub plan_cache_bytes: u64,
}

impl Default for HostOptions {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            cache: cache_folder(),
            instances: 64,
            memory: 64 * MIB,
            component_bytes: 16 * MIB,
            compile_timeout: Duration::from_secs(60),
            fuel: false,
            threads_per_tenant: (threads() / 2).max(1),
            compilers: u32::try_from(2 * threads()).unwrap_or(u32::MAX),
            plan_cache_bytes: PlanCache::DEFAULT_BYTES,
        }
    }
}

/// Runs plugins against databases. Clones share everything.
#[derive(Clone)]
pub struct Host {
    shared: Arc<Shared>,
}

struct Shared {
    options: HostOptions,
    databases: Databases,
    engine: Engine,
    imports: Imports,
    compiler: WasmCompiler,
    plans: Arc<PlanCache>,
    cache: Option<DiskCache>,
    /// The shared state of each tenant's calls, and the permits to run guests.
    tenants: Tenants,
    /// Permits for guests that compute for long.
    slow: Arc<Semaphore>,
    /// Permits for concurrent loads; a compile that takes too long keeps its permit until it ends.
    loading: Arc<Semaphore>,
    _ticker: Ticker,
}

/// Maximum number of concurrent loads, each of which keeps one thread busy.
const LOADING: usize = 2;

impl Host {
    /// Creates a host without databases and plugins, which lends plugins only databases.
    ///
    /// Blocks for some seconds while it compiles the core, unless that is cached.
    ///
    /// # Errors
    ///
    /// `invalid-configuration` if the cache folder is unusable, if `instances` or `compilers` is 0,
    /// or if `instances` is too large for the address space.
    pub fn new(options: HostOptions) -> Result<Self, Error> {
        Self::builder(options).build()
    }

    /// Builds a host that also lends the application's own interfaces to plugins.
    pub fn builder(options: HostOptions) -> HostBuilder {
        HostBuilder::new(options)
    }

    pub(crate) fn make(
        options: HostOptions,
        imports: impl FnOnce(&Engine) -> Result<Imports, Error>,
    ) -> Result<Self, Error> {
        for (name, number, what) in [
            ("instances", options.instances, "no plugin could run"),
            ("compilers", options.compilers, "no query could be compiled"),
        ] {
            if number == 0 {
                let message = format!("`{name}` is 0, and {what}: set it to 1 or more");
                return Err(Error::new(ErrorKind::InvalidConfiguration, message));
            }
        }
        meter::describe();
        let cache = options.cache.as_deref().map(DiskCache::open).transpose()?;
        let memory = usize::try_from(options.memory).unwrap_or(usize::MAX);
        let engine = engine::plugins(options.instances, memory, options.fuel, cache.as_ref())?;
        let imports = imports(&engine)?;
        let compiler = WasmCompiler::new(cache.as_ref(), options.compilers)?;
        if let Some(cache) = &cache {
            cache.seal();
        }
        let ticker = Ticker::start(&engine, TICK)?;
        let shared = Shared {
            tenants: Tenants::new(options.threads_per_tenant, options.instances),
            slow: Arc::new(Semaphore::new((threads() - 1).max(1))),
            loading: Arc::new(Semaphore::new(LOADING)),
            databases: Databases::new(),
            plans: Arc::new(PlanCache::new(options.plan_cache_bytes)),
            options,
            engine,
            imports,
            compiler,
            cache,
            _ticker: ticker,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The databases of the host, for connecting them.
    #[must_use]
    pub fn databases(&self) -> &Databases {
        &self.shared.databases
    }

    /// The query compiler: the core component.
    #[must_use]
    pub fn compiler(&self) -> &WasmCompiler {
        &self.shared.compiler
    }

    /// How often compiled code came from the disk cache; `None` without a cache.
    #[must_use]
    pub fn cache_statistics(&self) -> Option<CacheStatistics> {
        self.shared.cache.as_ref().map(DiskCache::statistics)
    }

    /// Loads a plugin from a component file, under the file's name.
    ///
    /// # Errors
    ///
    /// `not-found` if there is no such file; otherwise as [`Host::load_bytes`].
    pub async fn load(&self, path: impl AsRef<Path>) -> Result<Plugin, Error> {
        let path = path.as_ref().to_owned();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let limit = self.shared.options.component_bytes;
        let bytes = blocking(move || load::read(&path, limit)).await??;
        self.load_bytes(&name, bytes).await
    }

    /// Loads a plugin from the bytes of a component. Only the code that describes its models runs,
    /// which cannot open databases or call lent functions.
    ///
    /// # Errors
    ///
    /// `invalid-configuration` if this is not a plugin in binary component format; `unsupported` if
    /// it was built against another version of `ferro:orm`; `denied` if it has imports that the
    /// host does not provide; `busy` if other loads took all the time; `timeout` if compiling takes
    /// too long; `invalid-schema` if its models are invalid.
    pub async fn load_bytes(&self, name: &str, bytes: impl Into<Vec<u8>>) -> Result<Plugin, Error> {
        let bytes = bytes.into();
        let permit = Arc::new(self.loading(name).await?);
        let component = self.compile(name, bytes, Arc::clone(&permit)).await?;
        let ty = component.component_type();
        let engine = self.engine();
        let linked = &self.shared.imports;
        load::check_interfaces(name, &ty, engine, &linked.lent)?;
        let pre = link(name, &linked.all, &component)?;
        let name: Arc<str> = Arc::from(name);
        let mute = linked.mute(&component).map_err(|error| unfit(&name, &error))?;
        let schema = describe(self, &link(&name, &mute, &component)?, &name).await;
        let schema = schema.map_err(|error| of_models(&name, error))?;
        let host = self.clone();
        let models = blocking(move || host.models(schema)).await?;
        let models = models.map_err(|error| of_models(&name, error))?;
        drop(permit);
        let imports: Vec<_> = ty.imports(engine).map(|(import, _)| import.to_owned()).collect();
        let paths = imports.iter().map(|it| load::without_version(it));
        let lent = paths.clone().filter(|it| linked.lent.contains(*it)).map(str::to_owned);
        let lent = lent.collect();
        let needs_raw_sql = paths.clone().any(|it| it == load::RAW_SQL);
        let exports = export::list(&component, engine);
        let host = self.clone();
        Ok(Plugin::new(Loaded { name, host, pre, models, imports, lent, needs_raw_sql, exports }))
    }

    /// Checks an application's own models.
    ///
    /// # Errors
    ///
    /// `invalid-schema`, with every fault in the message.
    pub fn models(&self, schema: Schema) -> Result<Arc<Models>, Error> {
        let plans = Arc::clone(&self.shared.plans);
        Models::new(&self.shared.compiler, schema, plans).map(Arc::new)
    }

    /// A session for an application's own, trusted code: all rows, without limits.
    ///
    /// # Errors
    ///
    /// `not-found` if no database has the label.
    pub fn session(&self, label: &str, models: &Arc<Models>) -> Result<Session, Error> {
        Gate::trusted(self.databases().clone(), Arc::clone(models)).open(label)
    }

    /// A session for an application's own code on behalf of a tenant: with the tenant's grants and
    /// forced filters, but without its limits.
    ///
    /// # Errors
    ///
    /// `denied` if the tenant has no grant for the label; `invalid-configuration` if its grant does
    /// not fit the models.
    pub fn scoped_session(
        &self,
        tenant: &Arc<Tenant>,
        label: &str,
        models: &Arc<Models>,
    ) -> Result<Session, Error> {
        let (databases, models) = (self.databases().clone(), Arc::clone(models));
        Gate::scoped(databases, models, Arc::clone(tenant)).open(label)
    }

    /// Creates the missing tables of a plugin's models, with their indexes. Existing tables do not
    /// change. Only the operator can do so: a plugin owns its models, but not the tables.
    ///
    /// # Errors
    ///
    /// `not-found` if no database has the label; and errors of the database.
    pub async fn create_tables(&self, plugin: &Plugin, label: &str) -> Result<(), Error> {
        let database = self.databases().get(Some(label))?;
        plugin.models().create_tables(&database).await
    }

    /// Migrates a database to a plugin's models with the steps of at most this `risk`; with `None`,
    /// only returns the steps. See [`Models::migrate`].
    ///
    /// The models define the tables and their former names. If untrusted plugins share a database,
    /// review the steps before you apply them.
    ///
    /// # Errors
    ///
    /// `not-found` if no database has the label; and errors of the database.
    pub async fn migrate(
        &self,
        plugin: &Plugin,
        label: &str,
        risk: Option<Risk>,
    ) -> Result<Migration, Error> {
        let database = self.databases().get(Some(label))?;
        plugin.models().migrate(&database, risk).await
    }

    pub(crate) fn options(&self) -> &HostOptions {
        &self.shared.options
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    pub(crate) fn tenants(&self) -> &Tenants {
        &self.shared.tenants
    }

    pub(crate) fn plans(&self) -> &PlanCache {
        &self.shared.plans
    }

    /// How many instances of plugins are in use.
    pub(crate) fn instances(&self) -> usize {
        self.tenants().guests() as usize
    }

    /// The number of loads in progress.
    pub(crate) fn loads(&self) -> usize {
        LOADING - self.shared.loading.available_permits()
    }

    pub(crate) fn slow(&self) -> &Arc<Semaphore> {
        &self.shared.slow
    }

    /// Acquires a permit to load a plugin.
    async fn loading(&self, name: &str) -> Result<OwnedSemaphorePermit, Error> {
        let (limit, permits) = (self.shared.options.compile_timeout, &self.shared.loading);
        match timeout(limit, Arc::clone(permits).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => {
                let message = format!(
                    "the plugin `{name}` was not compiled: {LOADING} other plugins were loading \
                     for {} s; try again later",
                    limit.as_secs_f64()
                );
                Err(Error::new(ErrorKind::Busy, message).retryable())
            }
        }
    }

    async fn compile(
        &self,
        name: &str,
        bytes: Vec<u8>,
        permit: Arc<OwnedSemaphorePermit>,
    ) -> Result<Component, Error> {
        let limit = self.shared.options.compile_timeout;
        let (shared, plugin) = (Arc::clone(&self.shared), name.to_owned());
        let compiled = blocking(move || {
            let _permit = permit;
            check_component(&plugin, &bytes, shared.options.component_bytes)?;
            let component = Component::from_binary(&shared.engine, &bytes);
            if let Some(cache) = &shared.cache {
                cache.seal();
            }
            component.map_err(|error| invalid(&plugin, &error))
        });
        match timeout(limit, compiled).await {
            Ok(component) => component?,
            Err(_) => Err(Error::new(
                ErrorKind::Timeout,
                format!("compiling the plugin `{name}` took longer than {} s", limit.as_secs_f64()),
            )),
        }
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host")
            .field("options", &self.shared.options)
            .field("databases", &self.shared.databases)
            .finish_non_exhaustive()
    }
}

/// The number of threads for guests: those of the runtime in which the host is created, otherwise
/// the machine's.
pub(crate) fn threads() -> usize {
    match Handle::try_current() {
        Ok(runtime) => runtime.metrics().num_workers(),
        Err(_) => std::thread::available_parallelism().map_or(1, usize::from),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| match error.try_into_panic() {
        Ok(panic) => crate::error::from_panic(panic.as_ref()),
        Err(_) => Error::new(ErrorKind::Cancelled, "the runtime is shutting down"),
    })
}

fn link(
    name: &str,
    linker: &Linker<Guest>,
    component: &Component,
) -> Result<PrivilegedPluginPre<Guest>, Error> {
    let pre = linker.instantiate_pre(component).and_then(PrivilegedPluginPre::new);
    pre.map_err(|error| unfit(name, &error))
}

fn invalid(name: &str, error: &wasmtime::Error) -> Error {
    Error::new(
        ErrorKind::InvalidConfiguration,
        format!("the plugin `{name}` is not a valid component: {}", error.root_cause()),
    )
}

fn unfit(name: &str, error: &wasmtime::Error) -> Error {
    let causes: Vec<_> = error.chain().map(ToString::to_string).collect();
    Error::new(
        ErrorKind::Unsupported,
        format!("the plugin `{name}` is not compatible with this host: {}", causes.join(": ")),
    )
}

fn of_models(name: &str, error: Error) -> Error {
    let message = format!("the models of the plugin `{name}`: {}", error.message);
    Error { message, ..error }
}
