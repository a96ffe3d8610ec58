//! The state of one plugin call: its handles, grants and limits.

use std::any::Any;
use std::sync::Arc;

use ferro_session::{Deadline, Gate, GuestLimit};
use ferro_wit::types::Error;
use wasmtime::component::{Resource, ResourceTable, ResourceTableError};
use wasmtime::{Engine, ResourceLimiter, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtxView, WasiView};

use crate::instance::Call;
use crate::meter::Caller;
use crate::wasi::Wasi;

/// Data that an application passes with a call, for the functions that it lends.
pub(crate) type Data = Option<Arc<dyn Any + Send + Sync>>;

/// The host side of an instance: the data of its store.
///
/// Dropped with the store, and with it every session, cursor and transaction of the call.
pub struct Guest {
    caller: Caller,
    data: Data,
    table: ResourceTable,
    wasi: Wasi,
    gate: Option<Gate>,
    deadline: Deadline,
    memory: MemoryLimit,
}

impl Guest {
    /// A store for one instance, with its limits, and with `fuel` if the engine meters it.
    pub(crate) fn store(
        engine: &Engine,
        call: Call<'_>,
        most_memory: u64,
        fuel: Option<u64>,
    ) -> wasmtime::Result<Store<Self>> {
        let Call { gate, limits, deadline, record, data } = call;
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles as usize);
        let memory = MemoryLimit {
            limit: limits.memory.min(most_memory),
            used: 0,
            instances: limits.instances as usize,
        };
        let caller = record.caller().clone();
        let wasi = Wasi::new(&caller, limits.log_bytes);
        let guest = Self { caller, data, table, wasi, gate, deadline, memory };
        let mut store = Store::new(engine, guest);
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

    /// The data that the application passed with the call
    /// ([`Plugin::with_data`](crate::Plugin::with_data)); `None` if there is none, or if it has
    /// another type.
    #[must_use]
    pub fn data<T: Any>(&self) -> Option<&T> {
        self.data.as_ref()?.downcast_ref()
    }

    /// The name of the call's tenant; empty while the plugin describes its models.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.caller.tenant.as_deref().unwrap_or_default()
    }

    /// The name of the called plugin.
    #[must_use]
    pub fn plugin(&self) -> &str {
        &self.caller.plugin
    }

    /// The handles of the guest, for resources that the application lends. They count towards the
    /// tenant's limit; exceeding it is an error that ends the call.
    pub fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    pub(crate) fn gate(&self) -> Option<&Gate> {
        self.gate.as_ref()
    }

    /// The size of all memories in bytes; it never shrinks.
    pub(crate) fn memory_used(&self) -> u64 {
        self.memory.used
    }

    /// Gives the guest a handle; a full table is an error that the guest can handle.
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

/// For interfaces of WASI that an application lends.
impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: self.wasi.context(), table: &mut self.table }
    }
}

/// Limits the total of all memories of a guest.
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
            // A guest that sees the failure aborts without a reason, so report it here.
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
