//! The core component as a compiler: a pool of instances, each entered by one thread at a time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ferro_session::{Catalog, Compiler};
use ferro_wit::plan::{MigrationStep, Plan};
use ferro_wit::policy::Scope;
use ferro_wit::query::Query;
use ferro_wit::schema::Schema;
use ferro_wit::types::{Dialect, Error, ErrorKind};
use wasmtime::component::{Component, Linker, ResourceAny};
use wasmtime::{Engine, Store, StoreLimits, StoreLimitsBuilder, Trap};

use crate::bindings::core::{Core, CorePre};
use crate::cache::DiskCache;
use crate::engine::{self, Ticker};
use crate::error;

/// The component that the build script made.
const CORE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/core.wasm"));

/// How long one compile may take. An ordinary one takes far less than a millisecond.
const DEADLINE: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(50);
/// Memory of one instance: a query of the largest size that the core accepts needs a tenth of it.
const MEMORY: usize = 128 * 1024 * 1024;
/// Catalogs that one instance remembers. A forgotten one is made again from its models.
const CATALOGS: usize = 32;

/// Compiles queries in the sandbox, with the core component.
///
/// Clones share their instances. An instance that traps is thrown away.
#[derive(Clone)]
pub struct WasmCompiler {
    pool: Arc<Pool>,
}

impl WasmCompiler {
    pub(crate) fn new(cache: Option<&DiskCache>) -> Result<Self, Error> {
        let engine = engine::core(cache)?;
        let failed = |error: wasmtime::Error| broken(&error);
        let component = Component::from_binary(&engine, CORE).map_err(failed)?;
        // Nothing is linked: the core imports nothing.
        let linker = Linker::new(&engine);
        let pre =
            CorePre::new(linker.instantiate_pre(&component).map_err(failed)?).map_err(failed)?;
        let most = std::thread::available_parallelism().map_or(2, usize::from).max(2);
        let ticker = Ticker::start(&engine, TICK)?;
        let pool = Pool {
            engine,
            pre,
            most,
            instances: Mutex::default(),
            returned: Condvar::new(),
            _ticker: ticker,
        };
        Ok(Self { pool: Arc::new(pool) })
    }
}

impl Compiler for WasmCompiler {
    fn catalog(&self, schema: &Schema) -> Result<Arc<dyn Catalog>, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        self.pool.run(id, |instance| instance.catalog(id, schema).map(|found| found.map(drop)))?;
        Ok(Arc::new(WasmCatalog { id, schema: schema.clone(), pool: Arc::clone(&self.pool) }))
    }
}

/// Models that the core accepted. An instance that has not seen them gets them first.
struct WasmCatalog {
    id: u64,
    schema: Schema,
    pool: Arc<Pool>,
}

impl Catalog for WasmCatalog {
    fn compile(
        &self,
        query: &Query,
        dialect: Dialect,
        scope: Option<&Scope>,
    ) -> Result<Plan, Error> {
        self.with_catalog(|core, store, catalog| {
            let catalogs = core.ferro_orm_compiler().catalog();
            catalogs.call_compile(store, catalog, query, dialect, scope)
        })
    }

    fn create_tables(&self, dialect: Dialect) -> Result<Vec<MigrationStep>, Error> {
        self.with_catalog(|core, store, catalog| {
            core.ferro_orm_compiler().catalog().call_create_tables(store, catalog, dialect)
        })
    }

    fn introspection(&self, dialect: Dialect) -> Result<Vec<String>, Error> {
        self.with_catalog(|core, store, catalog| {
            core.ferro_orm_compiler().catalog().call_introspection(store, catalog, dialect)
        })
    }

    fn migrate(&self, dialect: Dialect, found: &[String]) -> Result<Vec<MigrationStep>, Error> {
        self.with_catalog(|core, store, catalog| {
            core.ferro_orm_compiler().catalog().call_migrate(store, catalog, dialect, found)
        })
    }
}

impl WasmCatalog {
    fn with_catalog<R>(
        &self,
        call: impl Fn(&Core, &mut Store<StoreLimits>, ResourceAny) -> wasmtime::Result<Result<R, Error>>,
    ) -> Result<R, Error> {
        self.pool.run(self.id, |instance| match instance.catalog(self.id, &self.schema)? {
            Ok(catalog) => call(&instance.core, &mut instance.store, catalog),
            Err(error) => Ok(Err(error)),
        })
    }
}

struct Pool {
    engine: Engine,
    pre: CorePre<StoreLimits>,
    /// How many instances there may be.
    most: usize,
    instances: Mutex<Instances>,
    returned: Condvar,
    _ticker: Ticker,
}

#[derive(Default)]
struct Instances {
    idle: Vec<CoreInstance>,
    /// All of them, the ones at work included.
    count: usize,
    /// How many callers wait for one. To wake nobody is a call of the system, too.
    waiting: usize,
}

struct CoreInstance {
    store: Store<StoreLimits>,
    core: Core,
    /// By the time of their last use, the latest at the end.
    catalogs: Vec<(u64, ResourceAny)>,
}

impl Pool {
    /// Runs a call in an instance, one that knows the catalog if there is one.
    fn run<R>(
        &self,
        catalog: u64,
        call: impl Fn(&mut CoreInstance) -> wasmtime::Result<Result<R, Error>>,
    ) -> Result<R, Error> {
        let mut lease = self.take(catalog)?;
        loop {
            let idle = lease.instance.take();
            let used = idle.is_some();
            let mut instance = match idle {
                Some(instance) => instance,
                None => self.instantiate().map_err(|error| broken(&error))?,
            };
            instance.store.set_epoch_deadline(ticks());
            match call(&mut instance) {
                Ok(result) => {
                    lease.instance = Some(instance);
                    return result;
                }
                Err(error) if error.downcast_ref::<Trap>() == Some(&Trap::Interrupt) => {
                    return Err(Error::new(
                        ErrorKind::Timeout,
                        format!("compiling the query took longer than {} s", DEADLINE.as_secs()),
                    ));
                }
                // Its memory may be full of the catalogs of others: a new instance has none.
                Err(error) if used => {
                    tracing::warn!(error = format!("{error:#}"), "the core component is restarted");
                }
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), "the core component failed");
                    return Err(broken(&error));
                }
            }
        }
    }

    /// An idle instance, or the right to make one. Waits while all are at work.
    fn take(&self, catalog: u64) -> Result<Lease<'_>, Error> {
        let mut instances = self.lock();
        loop {
            let known = instances.idle.iter().position(|it| it.knows(catalog));
            let any = instances.idle.len().checked_sub(1);
            if let Some(position) = known.or(any) {
                let instance = instances.idle.swap_remove(position);
                return Ok(Lease { pool: self, instance: Some(instance) });
            }
            if instances.count < self.most {
                instances.count += 1;
                return Ok(Lease { pool: self, instance: None });
            }
            instances.waiting += 1;
            let waited = self.returned.wait_timeout(instances, DEADLINE);
            let (mut guard, result) = waited.unwrap_or_else(PoisonError::into_inner);
            guard.waiting -= 1;
            if result.timed_out() {
                let busy = Error::new(ErrorKind::Busy, "no compiler of queries was free in time");
                return Err(busy.retryable());
            }
            instances = guard;
        }
    }

    fn instantiate(&self) -> wasmtime::Result<CoreInstance> {
        let limits =
            StoreLimitsBuilder::new().memory_size(MEMORY).trap_on_grow_failure(true).build();
        let mut store = Store::new(&self.engine, limits);
        store.limiter(|limits| limits);
        store.set_epoch_deadline(ticks());
        let core = self.pre.instantiate(&mut store)?;
        Ok(CoreInstance { store, core, catalogs: Vec::new() })
    }

    fn lock(&self) -> MutexGuard<'_, Instances> {
        // Every change under the lock is whole, so what a panic left behind is sound.
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An instance that is lent, or the right to make one. Without an instance when it is given up, the
/// next caller makes one.
struct Lease<'a> {
    pool: &'a Pool,
    instance: Option<CoreInstance>,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut instances = self.pool.lock();
        match self.instance.take() {
            Some(instance) => instances.idle.push(instance),
            None => instances.count -= 1,
        }
        let is_awaited = instances.waiting > 0;
        drop(instances);
        if is_awaited {
            self.pool.returned.notify_one();
        }
    }
}

impl CoreInstance {
    fn knows(&self, catalog: u64) -> bool {
        self.catalogs.iter().any(|(id, _)| *id == catalog)
    }

    /// The handle of a catalog in this instance; made if the instance does not know it.
    fn catalog(
        &mut self,
        id: u64,
        schema: &Schema,
    ) -> wasmtime::Result<Result<ResourceAny, Error>> {
        if let Some(position) = self.catalogs.iter().position(|(known, _)| *known == id) {
            let entry = self.catalogs.remove(position);
            self.catalogs.push(entry);
            return Ok(Ok(entry.1));
        }
        if self.catalogs.len() == CATALOGS {
            let (_, oldest) = self.catalogs.remove(0);
            oldest.resource_drop(&mut self.store)?;
        }
        let catalogs = self.core.ferro_orm_compiler().catalog();
        match catalogs.call_create(&mut self.store, schema)? {
            Ok(catalog) => {
                self.catalogs.push((id, catalog));
                Ok(Ok(catalog))
            }
            Err(faults) => Ok(Err(Error::new(ErrorKind::InvalidSchema, faults.join("; ")))),
        }
    }
}

fn broken(error: &wasmtime::Error) -> Error {
    error::from_guest("the compiler of queries", error)
}

fn ticks() -> u64 {
    DEADLINE.as_millis().div_ceil(TICK.as_millis()).try_into().unwrap_or(u64::MAX)
}
