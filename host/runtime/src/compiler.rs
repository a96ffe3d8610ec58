//! The core component as a compiler: a pool of instances, each of which does one task at a time.
//!
//! Plans are compiled in the tasks of the callers. Callers wait for an instance in a queue, without
//! blocking a thread; a long compile yields to other tasks, as guests do. It keeps its instance
//! meanwhile, so the number of instances per tenant is limited.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ferro_session::{Catalog, Claimant, Compiler, FairPermit, FairSemaphore};
use ferro_wit::BoxFuture;
use ferro_wit::plan::{MigrationStep, Plan};
use ferro_wit::policy::Scope;
use ferro_wit::query::Query;
use ferro_wit::schema::Schema;
use ferro_wit::types::{Dialect, Error, ErrorKind};
use futures_util::FutureExt as _;
use parking_lot::Mutex;
use tokio::time::timeout_at;
use wasmtime::component::{Component, Linker, ResourceAny};
use wasmtime::{Engine, ResourceLimiter, Store, StoreLimits, StoreLimitsBuilder, UpdateDeadline};

use crate::bindings::core::{Core, CorePre};
use crate::cache::DiskCache;
use crate::engine::{self, TICK, Ticker};
use crate::error;

/// The component from the build script.
const CORE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/core.wasm"));

/// How long one compile may take, including the wait for an instance. An ordinary one takes far
/// less than a millisecond.
const DEADLINE: Duration = Duration::from_secs(2);
/// Ticks until a compile first yields. Most end before that, wherever in a tick they began.
const FIRST_TICKS: u64 = 2;
/// Memory limit of one instance: the largest query that the core accepts needs a tenth of it.
const MEMORY: usize = 128 * 1024 * 1024;
/// An instance with more memory is not kept for the next query, since memory never shrinks.
const KEPT: usize = 16 * 1024 * 1024;
/// Number of catalogs kept per instance. An evicted one is rebuilt from its models.
const CATALOGS: usize = 32;

/// Compiles queries in the sandbox, with the core component.
///
/// Clones share their instances. An instance that traps is discarded.
#[derive(Clone)]
pub struct WasmCompiler {
    pool: Arc<Pool>,
}

impl WasmCompiler {
    /// Creates a compiler with up to `most` instances.
    pub(crate) fn new(cache: Option<&DiskCache>, most: u32) -> Result<Self, Error> {
        let engine = engine::core(cache)?;
        let failed = |error: wasmtime::Error| explain(&error);
        let component = Component::from_binary(&engine, CORE).map_err(failed)?;
        // Nothing is linked: the core imports nothing.
        let linker = Linker::new(&engine);
        let pre =
            CorePre::new(linker.instantiate_pre(&component).map_err(failed)?).map_err(failed)?;
        let ticker = Ticker::start(&engine, TICK)?;
        let (permits, application) = (FairSemaphore::new(most), Claimant::default());
        let idle = Mutex::default();
        let pool = Pool { engine, pre, permits, application, idle, _ticker: ticker };
        Ok(Self { pool: Arc::new(pool) })
    }
}

impl Compiler for WasmCompiler {
    fn catalog(&self, schema: &Schema) -> Result<Arc<dyn Catalog>, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let catalog = WasmCatalog {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            schema: schema.clone(),
            pool: Arc::clone(&self.pool),
        };
        catalog.alone(async |_, _| Ok(Ok(())))?;
        Ok(Arc::new(catalog))
    }
}

/// Models that the core has accepted. They are loaded into each instance on first use.
struct WasmCatalog {
    id: u64,
    schema: Schema,
    pool: Arc<Pool>,
}

/// The result of a core function; the outer error is a failure that the core cannot report.
type Answer<T> = wasmtime::Result<Result<T, Error>>;

impl Catalog for WasmCatalog {
    fn compile<'a>(
        &'a self,
        query: &'a Query,
        dialect: Dialect,
        scope: Option<&'a Scope>,
        claimant: Option<&'a Claimant>,
    ) -> BoxFuture<'a, Result<Plan, Error>> {
        Box::pin(self.pool.compile(self, query, dialect, scope, claimant))
    }

    fn create_tables(
        &self,
        dialect: Dialect,
        found: &[String],
    ) -> Result<Vec<MigrationStep>, Error> {
        self.alone(async |instance, catalog| {
            let catalogs = instance.core.ferro_orm_compiler().catalog();
            catalogs.call_create_tables(&mut instance.store, catalog, dialect, found).await
        })
    }

    fn introspection(&self, dialect: Dialect) -> Result<Vec<String>, Error> {
        self.alone(async |instance, catalog| {
            let catalogs = instance.core.ferro_orm_compiler().catalog();
            catalogs.call_introspection(&mut instance.store, catalog, dialect).await
        })
    }

    fn migrate(&self, dialect: Dialect, found: &[String]) -> Result<Vec<MigrationStep>, Error> {
        self.alone(async |instance, catalog| {
            let catalogs = instance.core.ferro_orm_compiler().catalog();
            catalogs.call_migrate(&mut instance.store, catalog, dialect, found).await
        })
    }
}

impl WasmCatalog {
    /// For rare requests, outside calls: runs at once, in its own instance, without a runtime.
    fn alone<R>(
        &self,
        call: impl AsyncFnOnce(&mut CoreInstance, ResourceAny) -> Answer<R>,
    ) -> Result<R, Error> {
        let asked = async {
            let mut instance = self.pool.instantiate(Turn::begin(false)).await?;
            match instance.catalog(self).await? {
                Ok(catalog) => call(&mut instance, catalog).await,
                Err(error) => Ok(Err(error)),
            }
        };
        // It never waits: the core imports nothing, and does not yield.
        let answer = asked.now_or_never().unwrap_or_else(|| Err(wasmtime::Error::msg("it waits")));
        answer.unwrap_or_else(|error| Err(explain(&error)))
    }
}

struct Pool {
    engine: Engine,
    pre: CorePre<State>,
    /// One permit for each possible instance, with a queue.
    permits: FairSemaphore,
    /// The application, as another claimant.
    application: Claimant,
    /// Idle instances. There are never more instances than permits, as only a caller with a permit
    /// that finds none here creates one.
    idle: Mutex<Vec<CoreInstance>>,
    _ticker: Ticker,
}

struct CoreInstance {
    store: Store<State>,
    core: Core,
    /// In the order of their last use, the latest at the end.
    catalogs: Vec<(u64, ResourceAny)>,
}

struct State {
    limits: StoreLimits,
    /// The size of the memory.
    memory: usize,
    turn: Turn,
}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let grows = self.limits.memory_growing(current, desired, maximum)?;
        self.memory = desired;
        Ok(grows)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.limits.memory_grow_failed(error)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.limits.table_growing(current, desired, maximum)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.limits.table_grow_failed(error)
    }
}

/// One task of an instance.
#[derive(Clone, Copy)]
struct Turn {
    end: Instant,
    /// Whether it yields to other tasks.
    yields: bool,
}

impl Turn {
    fn begin(yields: bool) -> Self {
        Self { end: Instant::now() + DEADLINE, yields }
    }

    /// Called on each tick.
    fn go_on(self) -> wasmtime::Result<UpdateDeadline> {
        match Instant::now() < self.end {
            true if self.yields => Ok(UpdateDeadline::Yield(1)),
            true => Ok(UpdateDeadline::Continue(1)),
            false => Err(wasmtime::Error::new(Error::new(
                ErrorKind::Timeout,
                format!("compiling took longer than {} s", DEADLINE.as_secs()),
            ))),
        }
    }
}

impl Pool {
    /// Compiles a query in an instance, preferably one that has the catalog.
    ///
    /// If the future is dropped before it ends, so is the instance.
    async fn compile(
        &self,
        catalog: &WasmCatalog,
        query: &Query,
        dialect: Dialect,
        scope: Option<&Scope>,
        claimant: Option<&Claimant>,
    ) -> Result<Plan, Error> {
        let turn = Turn::begin(true);
        // Released after the instance.
        let _permit = self.permit(claimant, turn.end).await?;
        let mut idle = self.take(catalog.id);
        loop {
            let used = idle.is_some();
            let mut instance = match idle.take() {
                Some(instance) => instance,
                None => self.instantiate(turn).await.map_err(|error| explain(&error))?,
            };
            instance.begin(turn);
            match instance.compile(catalog, query, dialect, scope).await {
                Ok(answer) => {
                    if instance.store.data().memory <= KEPT {
                        self.idle.lock().push(instance);
                    }
                    return answer;
                }
                Err(error) if error.is::<Error>() => return Err(explain(&error)),
                // Its memory may be full of other catalogs: a new instance has none.
                Err(error) if used => {
                    tracing::warn!(error = format!("{error:#}"), "the core component is restarted");
                }
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), "the core component failed");
                    return Err(explain(&error));
                }
            }
        }
    }

    /// Acquires a permit for an instance.
    async fn permit(&self, claimant: Option<&Claimant>, end: Instant) -> Result<FairPermit, Error> {
        let claimant = claimant.unwrap_or(&self.application);
        timeout_at(end.into(), self.permits.acquire(claimant, u32::MAX)).await.map_err(|_| {
            Error::new(ErrorKind::Busy, "no compiler of queries was free in time").retryable()
        })
    }

    /// An idle instance, if there is one.
    fn take(&self, catalog: u64) -> Option<CoreInstance> {
        let mut idle = self.idle.lock();
        let known = idle.iter().position(|it| it.knows(catalog));
        let position = known.or(idle.len().checked_sub(1))?;
        Some(idle.swap_remove(position))
    }

    async fn instantiate(&self, turn: Turn) -> wasmtime::Result<CoreInstance> {
        let limits =
            StoreLimitsBuilder::new().memory_size(MEMORY).trap_on_grow_failure(true).build();
        let mut store = Store::new(&self.engine, State { limits, memory: 0, turn });
        store.limiter(|state| state);
        store.epoch_deadline_callback(|state| state.data().turn.go_on());
        store.set_epoch_deadline(FIRST_TICKS);
        let core = self.pre.instantiate_async(&mut store).await?;
        Ok(CoreInstance { store, core, catalogs: Vec::new() })
    }
}

impl CoreInstance {
    fn begin(&mut self, turn: Turn) {
        self.store.data_mut().turn = turn;
        self.store.set_epoch_deadline(FIRST_TICKS);
    }

    async fn compile(
        &mut self,
        catalog: &WasmCatalog,
        query: &Query,
        dialect: Dialect,
        scope: Option<&Scope>,
    ) -> Answer<Plan> {
        match self.catalog(catalog).await? {
            Ok(catalog) => {
                let catalogs = self.core.ferro_orm_compiler().catalog();
                catalogs.call_compile(&mut self.store, catalog, query, dialect, scope).await
            }
            Err(error) => Ok(Err(error)),
        }
    }

    fn knows(&self, catalog: u64) -> bool {
        self.catalogs.iter().any(|(id, _)| *id == catalog)
    }

    /// The handle of a catalog in this instance, which is created if it is missing.
    async fn catalog(
        &mut self,
        WasmCatalog { id, schema, .. }: &WasmCatalog,
    ) -> Answer<ResourceAny> {
        if let Some(position) = self.catalogs.iter().position(|(known, _)| known == id) {
            let entry = self.catalogs.remove(position);
            self.catalogs.push(entry);
            return Ok(Ok(entry.1));
        }
        if self.catalogs.len() == CATALOGS {
            let (_, oldest) = self.catalogs.remove(0);
            oldest.resource_drop_async(&mut self.store).await?;
        }
        let catalogs = self.core.ferro_orm_compiler().catalog();
        match catalogs.call_create(&mut self.store, schema).await? {
            Ok(catalog) => {
                self.catalogs.push((*id, catalog));
                Ok(Ok(catalog))
            }
            Err(faults) => Ok(Err(Error::new(ErrorKind::InvalidSchema, faults.join("; ")))),
        }
    }
}

fn explain(error: &wasmtime::Error) -> Error {
    error::from_guest("the compiler of queries", error)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::task::{Context, Waker};

    use ferro_driver::{ConnectOptions, Databases};
    use ferro_session::{Gate, Grant, Models, PlanCache, Tenant, Tenants};
    use ferro_wit::query::{Projection, Query, Select};
    use ferro_wit::schema::{ColumnType, Field, IntegerWidth, Model, Schema};

    use super::*;

    const MOST: u32 = 4;

    fn compiler() -> (WasmCompiler, Arc<dyn Catalog>) {
        let compiler = WasmCompiler::new(None, MOST).unwrap();
        let catalog = compiler.catalog(&schema()).unwrap();
        (compiler, catalog)
    }

    fn schema() -> Schema {
        let id = Field::new("id", ColumnType::Integer(IntegerWidth::Big));
        Schema { models: vec![Model::new("thing", vec![id], &["id"])], enums: vec![] }
    }

    fn things() -> Query {
        let projection = Projection::Fields(vec!["id".into()]);
        Query::select(vec![], Select { projection, ..Select::new("thing") })
    }

    /// A compile that has yielded and not ended. With fast ticks, any compile is long.
    fn long<F: Future + Unpin>(compiler: &WasmCompiler, begin: impl Fn() -> F) -> F {
        let working = AtomicBool::new(true);
        let long = std::thread::scope(|scope| {
            scope.spawn(|| {
                while working.load(Ordering::Relaxed) {
                    compiler.pool.engine.increment_epoch();
                }
            });
            let mut context = Context::from_waker(Waker::noop());
            let mut begun = (0..10_000).map(|_| begin());
            let long =
                begun.find_map(|mut it| it.poll_unpin(&mut context).is_pending().then_some(it));
            working.store(false, Ordering::Relaxed);
            long
        });
        long.unwrap()
    }

    #[tokio::test]
    async fn who_waits_for_a_compiler_keeps_no_thread_and_has_its_turn() {
        let (compiler, catalog) = compiler();
        let permits = &compiler.pool.permits;
        let acquire = async || permits.acquire(&Claimant::default(), u32::MAX).await;
        let mut all: Vec<_> = std::iter::from_fn(|| acquire().now_or_never()).collect();
        let query = things();
        let claimants: [Claimant; 3] = Default::default();
        let compile = |it| catalog.compile(&query, Dialect::Sqlite, None, Some(&claimants[it]));
        let (mut first, mut second) = (compile(0), compile(1));
        let mut context = Context::from_waker(Waker::noop());
        // This is the only thread: if it blocked, no compiler could be released.
        assert!(first.as_mut().poll(&mut context).is_pending());
        assert!(second.as_mut().poll(&mut context).is_pending());
        all.truncate(all.len() - 2);
        let mut newcomer = compile(2);
        assert!(newcomer.as_mut().poll(&mut context).is_pending(), "it was not last in line");
        assert!(first.await.is_ok() && second.await.is_ok());
        assert!(newcomer.await.is_ok());
        all.clear();
        assert_eq!(permits.held(), 0);
        // The wait is bounded.
        let _all: Vec<_> = std::iter::from_fn(|| acquire().now_or_never()).collect();
        let end = Instant::now() + Duration::from_millis(20);
        let error = compiler.pool.permit(None, end).await.unwrap_err();
        assert_eq!((error.kind, error.retryable), (ErrorKind::Busy, true), "{error}");
    }

    /// Long compiles of a tenant that cannot continue them.
    #[tokio::test]
    async fn p4_a_tenant_holds_half_of_the_compilers_at_most() {
        let (compiler, _) = compiler();
        let models =
            Arc::new(Models::new(&compiler, schema(), Arc::new(PlanCache::new(0))).unwrap());
        let databases = Databases::new();
        databases.connect("app", "sqlite::memory:", &ConnectOptions::default()).await.unwrap();
        let tenants = Tenants::default();
        let open = async |name: &str| {
            let tenant = Arc::new(Tenant::new(name).grant("app", Grant::read_only()));
            let admission = tenants.admit(&tenant).await.unwrap();
            let gate = Gate::admitted(databases.clone(), Arc::clone(&models), tenant, admission);
            gate.open("app").unwrap()
        };
        let permits = &compiler.pool.permits;
        let (greedy, half) = (open("greedy").await, MOST / 2);
        let query = things();
        let begin = || Box::pin(greedy.plan(&query));
        let _hoard: Vec<_> = (0..half).map(|_| long(&compiler, begin)).collect();
        let mut more = begin();
        assert!(more.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(permits.held(), half);
        assert!(open("modest").await.plan(&query).await.is_ok());
    }

    #[tokio::test]
    async fn an_instance_whose_memory_has_grown_is_not_kept() {
        let (compiler, small) = compiler();
        let mut large = schema();
        large.models[0].comment = Some("?".repeat(KEPT));
        let large = compiler.catalog(&large).unwrap();
        let query = things();
        for (catalog, kept) in [(&small, 1), (&large, 0), (&small, 1)] {
            catalog.compile(&query, Dialect::Sqlite, None, None).await.unwrap();
            assert_eq!(compiler.pool.idle.lock().len(), kept);
        }
    }

    #[tokio::test]
    async fn a_compile_that_takes_long_lets_others_run_and_ends_in_time() {
        let (compiler, catalog) = compiler();
        let query = things();
        let compile = long(&compiler, || catalog.compile(&query, Dialect::Sqlite, None, None));
        assert!(compile.await.is_ok());
        let over = Turn { end: Instant::now(), yields: true }.go_on().map(drop);
        assert_eq!(explain(&over.unwrap_err()).kind, ErrorKind::Timeout);
    }
}
