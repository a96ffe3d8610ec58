//! One instance of a plugin, and the supervision of its calls.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use ferro_session::{Deadline, FairPermit, Gate, GuestLimit, Limits};
use ferro_wit::types::{Error, ErrorKind};
use futures_util::FutureExt as _;
use tracing::Instrument as _;
use tracing::instrument::Instrumented;
use wasmtime::component::{Instance, ResourceTableError};
use wasmtime::{Store, Trap};

use crate::bindings::plugin::PrivilegedPluginPre;
use crate::error;
use crate::guest::{Data, Guest};
use crate::host::Host;
use crate::meter::{CallRecord, CallUsage};
use crate::plugin::Outcome;
use crate::turns::CpuTurns;

/// One instance of a plugin, for typed calls of one tenant within one deadline.
///
/// [`bind`](Self::bind) takes bindings that `bindgen!` generated from the plugin's world with
/// `exports: { default: async }`; [`run`](Self::run) makes calls with them. [`wit`](crate::wit)
/// explains how bindings find Ferro's interfaces.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use ferro_host::{Error, Plugin, Tenant};
/// mod world {
///     ferro_host::wasmtime::component::bindgen!({
///         inline: "
///             package example:greeter;
///             world greeter { export greet: func(name: string) -> string; }
///         ",
///         exports: { default: async },
///         wasmtime_crate: ferro_host::wasmtime,
///     });
/// }
///
/// # async fn greet(plugin: &Plugin, tenant: &Arc<Tenant>) -> Result<String, Error> {
/// let mut guest = plugin.instantiate(tenant).await?;
/// let greeter = guest.bind(world::Greeter::new)?;
/// guest.run(async |store| greeter.call_greet(store, "world").await).await.results
/// # }
/// ```
pub struct PluginInstance {
    /// In the span of its call, so that what happens on drop is logged there.
    store: Instrumented<Store<Guest>>,
    instance: Instance,
    watch: Watch,
}

/// The call that a new instance is for.
pub(crate) struct Call<'a> {
    /// `None` if it cannot open databases.
    pub(crate) gate: Option<Gate>,
    pub(crate) limits: &'a Limits,
    pub(crate) deadline: Deadline,
    pub(crate) record: &'a Arc<CallRecord>,
    pub(crate) data: Data,
}

impl PluginInstance {
    pub(crate) async fn new(
        host: &Host,
        pre: &PrivilegedPluginPre<Guest>,
        call: Call<'_>,
        turns: CpuTurns,
        permit: FairPermit,
    ) -> Result<Self, Error> {
        let Call { limits, deadline, record, .. } = call;
        let fuel = host.options().fuel.then(|| limits.fuel.unwrap_or(u64::MAX));
        let (handles, record) = (limits.handles as usize, Arc::clone(record));
        let watch = Watch { deadline, turns, fuel, handles, record, _permit: permit };
        let store = Guest::store(host.engine(), call, host.options().memory, fuel);
        let store = store.map_err(|error| watch.explain(&error))?;
        let mut store = store.instrument(watch.record.span().clone());
        let making = Making { store: store.inner_mut(), watch: &watch };
        let instance = watch.run(pre.instance_pre().instantiate_async(&mut *making.store)).await?;
        drop(making);
        Ok(Self { store, instance, watch })
    }

    /// Binds a world to this instance: pass the `new` function of its bindings. No code of the
    /// plugin runs.
    ///
    /// # Errors
    ///
    /// `invalid-configuration` if the plugin lacks an export of the world.
    pub fn bind<'a, T>(
        &'a mut self,
        new: impl FnOnce(&'a mut Store<Guest>, &Instance) -> wasmtime::Result<T>,
    ) -> Result<T, Error> {
        new(self.store.inner_mut(), &self.instance).map_err(|error| {
            let name = &self.watch.record.caller().plugin;
            let message = format!("the plugin `{name}` does not match the world: {error:#}");
            Error::new(ErrorKind::InvalidConfiguration, message)
        })
    }

    /// Runs calls, all within the deadline of the instance, taking turns with other guests. The
    /// instance ends with them, and is not used again after an error.
    ///
    /// # Errors
    ///
    /// The result is `timeout` or `limit-exceeded` if a call reached a limit; `internal` if the
    /// plugin trapped, with the code [`Error::PLUGIN_TRAPPED`], or if the host panicked in a host
    /// function; or an [`Error`] that `calls` returns as a `wasmtime::Error`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the calls, and rolls back their open transactions.
    pub async fn run<T>(
        mut self,
        calls: impl AsyncFnOnce(&mut Store<Guest>) -> wasmtime::Result<T>,
    ) -> Outcome<T> {
        let results = self.watch.run(calls(self.store.inner_mut())).await;
        Outcome { results, usage: self.usage() }
    }

    /// The usage so far.
    #[must_use]
    pub fn usage(&self) -> CallUsage {
        self.watch.note(self.store.inner());
        self.watch.record.usage()
    }
}

impl Drop for PluginInstance {
    fn drop(&mut self) {
        self.watch.note(self.store.inner());
    }
}

/// An instance that is being created. Its usage counts, even if that fails.
struct Making<'a> {
    store: &'a mut Store<Guest>,
    watch: &'a Watch,
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        self.watch.note(self.store);
    }
}

/// Runs calls of an instance in turns and within its deadline, and converts failures into errors.
struct Watch {
    deadline: Deadline,
    turns: CpuTurns,
    /// The initial fuel of the store, if it is metered.
    fuel: Option<u64>,
    /// The limit on handles, for messages.
    handles: usize,
    record: Arc<CallRecord>,
    /// The permit to run as a guest; released after the store is dropped.
    _permit: FairPermit,
}

impl Watch {
    async fn run<T>(&self, call: impl Future<Output = wasmtime::Result<T>>) -> Result<T, Error> {
        self.record.goes_on();
        // The span is left, and entered again for the end of the call, also if it is dropped.
        let span = self.record.span();
        let call = pin!(call.instrument(span.clone()));
        let outcome = self.watched(call).instrument(span.clone()).await;
        self.record.came_to(&outcome);
        outcome
    }

    async fn watched<T>(
        &self,
        call: impl Future<Output = wasmtime::Result<T>> + Unpin,
    ) -> Result<T, Error> {
        // The store is not used again after a panic, so no code sees its inconsistent state.
        let caught = pin!(AssertUnwindSafe(self.turns.run(call)).catch_unwind());
        match self.deadline.bound(caught).await? {
            Ok(outcome) => outcome.map_err(|error| self.explain(&error)),
            Err(panic) => Err(error::from_panic(panic.as_ref())),
        }
    }

    /// Records the usage of the store so far.
    fn note(&self, store: &Store<Guest>) {
        let guest = store.data();
        self.record.has_used(CallUsage {
            busy: self.turns.busy(),
            fuel: self.fuel.and_then(|it| Some(it.saturating_sub(store.get_fuel().ok()?))),
            memory: guest.memory_used(),
            database: guest.gate().map(Gate::usage).unwrap_or_default(),
            ..CallUsage::default()
        });
    }

    fn explain(&self, error: &wasmtime::Error) -> Error {
        // A handle of WASI, which has no error for this that the guest could handle.
        if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
            return GuestLimit::Handles(self.handles).exceeded();
        }
        match (error.downcast_ref::<Trap>(), self.fuel) {
            (Some(Trap::OutOfFuel), Some(fuel)) => GuestLimit::Fuel(fuel).exceeded(),
            _ => {
                let who = format!("the plugin `{}`", self.record.caller().plugin);
                error::from_guest(&who, error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ferro_session::Tenants;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::meter::Caller;

    #[tokio::test]
    async fn s4_a_panic_of_the_host_is_an_error() {
        let permits = || Arc::new(Semaphore::new(1));
        let caller = Caller { plugin: Arc::from("x"), tenant: Some(Arc::from("y")) };
        let watch = Watch {
            deadline: Deadline::after(Duration::from_secs(5)),
            turns: CpuTurns::new(permits(), permits()),
            fuel: None,
            handles: 1,
            record: CallRecord::begin(caller),
            _permit: Tenants::default().guest_permit(&Limits::default()).await.unwrap(),
        };
        let index = std::hint::black_box(3);
        let error = watch.run(async { Ok([1, 2][index]) }).await.unwrap_err();
        assert_eq!((error.kind, &*watch.record.outcome()), (ErrorKind::Internal, "internal"));
    }
}
