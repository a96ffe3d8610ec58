//! What belongs to one call of a plugin: its handles, its grants, its limits.

use ferro_session::{Deadline, Gate, GuestLimit, Limits};
use ferro_wit::types::Error;
use wasmtime::component::{Resource, ResourceTable, ResourceTableError};
use wasmtime::{Engine, ResourceLimiter, Store, UpdateDeadline};
use wasmtime_wasi::WasiCtxView;

use crate::meter::Caller;
use crate::wasi::Wasi;

/// The host's side of an instance: the data of its store.
///
/// Dropped with the store, and with it every session, cursor and transaction of the call.
pub struct Guest {
    table: ResourceTable,
    wasi: Wasi,
    gate: Option<Gate>,
    deadline: Deadline,
    memory: MemoryLimit,
}

impl Guest {
    /// A store for one instance, bounded by the limits, and by `fuel` where the engine meters it.
    pub(crate) fn store(
        engine: &Engine,
        gate: Option<Gate>,
        limits: &Limits,
        most_memory: u64,
        fuel: Option<u64>,
        deadline: Deadline,
        caller: &Caller,
    ) -> wasmtime::Result<Store<Self>> {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles as usize);
        let memory = MemoryLimit {
            limit: limits.memory.min(most_memory),
            used: 0,
            instances: limits.instances as usize,
        };
        let wasi = Wasi::new(caller, limits.log_bytes);
        let mut store = Store::new(engine, Self { table, wasi, gate, deadline, memory });
        store.limiter(|guest| &mut guest.memory);
        store.set_hostcall_fuel(usize::try_from(limits.host_call_bytes).unwrap_or(usize::MAX));
        if let Some(fuel) = fuel {
            store.set_fuel(fuel)?;
        }
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|context| {
            context.data().deadline.check().map_err(wasmtime::Error::new)?;
            Ok(UpdateDeadline::Yield(1))
        });
        Ok(store)
    }

    pub(crate) fn gate(&self) -> Option<&Gate> {
        self.gate.as_ref()
    }

    /// Bytes of all memories; they never shrink.
    pub(crate) fn memory_used(&self) -> u64 {
        self.memory.used
    }

    pub(crate) fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    pub(crate) fn wasi(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: self.wasi.context(), table: &mut self.table }
    }

    /// What a wait of the host for the database is bounded by.
    pub(crate) fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Gives the guest a handle; a full table is an error that it can handle.
    pub(crate) fn lend<T: Send + 'static>(
        &mut self,
        made: Result<T, Error>,
    ) -> wasmtime::Result<Result<Resource<T>, Error>> {
        let most = self.table.max_capacity();
        match made.map(|value| self.table.push(value)) {
            Ok(Ok(handle)) => Ok(Ok(handle)),
            Ok(Err(ResourceTableError::Full)) => Ok(Err(GuestLimit::Handles(most).exceeded())),
            Ok(Err(error)) => Err(error.into()),
            Err(error) => Ok(Err(error)),
        }
    }
}

/// Bounds all memories of a guest together.
struct MemoryLimit {
    limit: u64,
    used: u64,
    instances: usize,
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let grown = desired.saturating_sub(current) as u64;
        let used = self.used.saturating_add(grown);
        if used > self.limit {
            // A guest that learns of it aborts without a reason: say it here.
            return Err(wasmtime::Error::new(GuestLimit::Memory(self.limit).exceeded()));
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(maximum.is_none_or(|maximum| desired <= maximum))
    }

    fn instances(&self) -> usize {
        self.instances
    }
}
