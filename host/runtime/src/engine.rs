//! The engine that plugins run in, and the clock that interrupts them.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use ferro_wit::types::{Error, ErrorKind};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::cache::DiskCache;

/// How often a guest is interrupted, to check its deadline and to yield to other tasks.
pub(crate) const TICK: Duration = Duration::from_millis(5);

/// The stack of a guest's own code.
pub(crate) const STACK: usize = 512 * 1024;

/// The maximum core instances, memories and tables of one guest. A component of one language has
/// one to four core instances, one memory and one table; a linked component may have some more.
const CORE_INSTANCES: u32 = 64;
const MEMORIES: u32 = 4;
const TABLES: u32 = 8;

/// The bytes of a memory, and of a table, that remain allocated to a guest's slot: they are zeroed
/// instead of being returned to the system. This avoids page faults in the next guest, and an
/// interruption of the other threads whenever a guest ends, which neighbours would notice most.
const KEPT: usize = 256 * 1024;

/// The number of free slots that may keep these bytes, and the initial memory image, for the next
/// guest of the same plugin. With more, memory would grow by a slot whenever more guests than
/// before are alive at once.
const WARM: u32 = 16;

/// The engine for plugins, whose code is compiled by one thread at a time. It has slots for
/// `instances` instances, each with memories of up to `memory` bytes. With `fuel`, code counts its
/// fuel.
pub(crate) fn plugins(
    instances: u32,
    memory: usize,
    fuel: bool,
    cache: Option<&DiskCache>,
) -> Result<Engine, Error> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES))
        .total_memories(instances.saturating_mul(MEMORIES))
        .total_tables(instances.saturating_mul(TABLES))
        .total_stacks(instances)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_unused_warm_slots(WARM)
        .max_memory_size(memory);
    // Without a scan for dirty pages, all of them would be zeroed.
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Yes).linear_memory_keep_resident(KEPT).table_keep_resident(KEPT);
    }
    let mut config = base(cache);
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .memory_reservation(memory as u64)
        .consume_fuel(fuel)
        // With all cores, compiling a plugin could delay unrelated calls.
        .parallel_compilation(false)
        .max_wasm_stack(STACK);
    engine(&config)
}

/// The engine for the core component.
pub(crate) fn core(cache: Option<&DiskCache>) -> Result<Engine, Error> {
    engine(&base(cache))
}

fn base(cache: Option<&DiskCache>) -> Config {
    let mut config = Config::new();
    config
        .cache(cache.map(|it| it.cache().clone()))
        // The worlds are synchronous, and calls into guests are three times as fast without it.
        .concurrency_support(false)
        .epoch_interruption(true);
    config
}

fn engine(config: &Config) -> Result<Engine, Error> {
    Engine::new(config).map_err(|error| {
        Error::new(
            ErrorKind::InvalidConfiguration,
            format!("cannot set up the engine, try fewer instances or less memory: {error:#}"),
        )
    })
}

/// Increments the epoch of an engine until it is dropped.
pub(crate) struct Ticker {
    /// Nothing is ever sent: the thread ends when the sender is dropped.
    _alive: Sender<()>,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine, period: Duration) -> Result<Self, Error> {
        let (alive, ended) = channel::<()>();
        let engine = engine.weak();
        thread::Builder::new()
            .name("ferro-ticker".into())
            .spawn(move || {
                while ended.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
                    let Some(engine) = engine.upgrade() else { return };
                    engine.increment_epoch();
                }
            })
            .map_err(|error| {
                Error::new(ErrorKind::Internal, format!("cannot start a thread: {error}"))
            })?;
        Ok(Self { _alive: alive })
    }
}
