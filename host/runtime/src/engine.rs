//! The engine that plugins run in, and the clock that interrupts them.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use ferro_wit::types::{Error, ErrorKind};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::cache::DiskCache;

/// How often a guest is interrupted, to look at its deadline and to let other tasks run.
pub(crate) const TICK: Duration = Duration::from_millis(5);

/// The stack of a guest's own code.
pub(crate) const STACK: usize = 512 * 1024;

/// The core instances, memories and tables of one guest. A component of one language has one to
/// four of the first and one of each of the others; a linked one may have some more.
const CORE_INSTANCES: u32 = 64;
const MEMORIES: u32 = 4;
const TABLES: u32 = 8;

/// So many bytes of a memory, and of a table, stay with the slot of a guest: they are cleaned there,
/// and not given back to the system. That spares the next guest its page faults, and the other
/// threads an interruption for each guest that ends, which is what neighbours would notice most.
const KEPT: usize = 256 * 1024;

/// So many slots that are free may keep such bytes, and the code's first memory, for the next guest
/// of the same plugin. With more, memory keeps growing by a slot for each rare moment in which more
/// guests are alive at once than before.
const WARM: u32 = 16;

/// The engine that plugins run in, whose code is compiled by one thread at a time: slots for
/// `instances` of them at once, each with memories of up to `memory` bytes. With `fuel`, their code
/// counts what it uses.
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
    // Without a way to ask which pages are dirty, all of them would be cleaned.
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Yes).linear_memory_keep_resident(KEPT).table_keep_resident(KEPT);
    }
    let mut config = base(cache);
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .memory_reservation(memory as u64)
        .consume_fuel(fuel)
        // Of all cores, a plugin could keep calls waiting that have nothing to do with it.
        .parallel_compilation(false)
        .max_wasm_stack(STACK);
    engine(&config)
}

/// The engine that the core runs in.
pub(crate) fn core(cache: Option<&DiskCache>) -> Result<Engine, Error> {
    engine(&base(cache))
}

fn base(cache: Option<&DiskCache>) -> Config {
    let mut config = Config::new();
    config
        .cache(cache.map(|it| it.cache().clone()))
        // The worlds are synchronous, and calls into guests three times as fast without.
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

/// Advances the epoch of an engine for as long as it lives.
pub(crate) struct Ticker {
    /// Nothing is ever sent: the thread ends when the sender is gone.
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
