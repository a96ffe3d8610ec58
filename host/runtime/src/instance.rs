//! One instance of a plugin, and what watches over its calls.

use std::borrow::Cow;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};

use ferro_session::{Deadline, Gate, GuestLimit, Limits, Place};
use ferro_wit::types::{Error, ErrorKind};
use futures_util::FutureExt as _;
use tokio::time::Instant;
use tracing::{Instrument as _, Span};
use wasmtime::component::{Instance, ResourceTableError};
use wasmtime::{Store, Trap};

use crate::bindings::plugin::PrivilegedPluginPre;
use crate::error;
use crate::guest::{Data, Guest};
use crate::host::Host;
use crate::meter::{self, CallUsage, Caller};
use crate::pace::Pace;
use crate::plugin::Outcome;

/// One instance of a plugin, for typed calls of one tenant within one deadline.
///
/// [`bind`](Self::bind) takes bindings that `bindgen!` made of the plugin's world, with `exports: {
/// default: async }`; [`run`](Self::run) makes calls with them. [`wit`](crate::wit) says how bindings
/// find the interfaces of Ferro.
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
/// Ok(guest.run(async |store| greeter.call_greet(store, "world").await).await?.results)
/// # }
/// ```
pub struct PluginInstance {
    pub(crate) store: Store<Guest>,
    instance: Instance,
    pub(crate) watch: Watch,
    started: Instant,
    /// The fuel that it began with, where that is metered.
    fuel: Option<u64>,
}

/// What a new instance is for.
pub(crate) struct Call<'a> {
    /// None: it can open no database.
    pub(crate) gate: Option<Gate>,
    pub(crate) limits: &'a Limits,
    pub(crate) deadline: Deadline,
    pub(crate) caller: &'a Caller,
    pub(crate) data: Data,
}

impl PluginInstance {
    pub(crate) async fn new(
        host: &Host,
        pre: &PrivilegedPluginPre<Guest>,
        call: Call<'_>,
        pace: Pace,
        place: Place,
    ) -> Result<Self, Error> {
        let Call { limits, deadline, caller, .. } = call;
        let started = Instant::now();
        let fuel = host.options().fuel.then(|| limits.fuel.unwrap_or(u64::MAX));
        let watch = Watch::new(deadline, pace, limits, caller.clone(), place);
        let memory = host.options().memory;
        let store = Guest::store(host.engine(), call, memory, fuel);
        let mut store = store.map_err(|error| watch.explain(&error))?;
        let instance = watch.run(pre.instance_pre().instantiate_async(&mut store)).await?;
        Ok(Self { store, instance, watch, started, fuel })
    }

    /// The bindings of a world over this instance: pass their function `new`. None of the plugin's
    /// code runs.
    ///
    /// # Errors
    ///
    /// `invalid-configuration`, if the plugin does not export what the world does.
    pub fn bind<'a, T>(
        &'a mut self,
        new: impl FnOnce(&'a mut Store<Guest>, &Instance) -> wasmtime::Result<T>,
    ) -> Result<T, Error> {
        new(&mut self.store, &self.instance).map_err(|error| {
            let name = &self.watch.caller.plugin;
            let message = format!("the plugin `{name}` does not fit the world: {error:#}");
            Error::new(ErrorKind::InvalidConfiguration, message)
        })
    }

    /// Runs calls: all of them within the deadline of the instance, and in turns with other guests.
    /// The instance ends with them, and nothing of it is used again after an error.
    ///
    /// # Errors
    ///
    /// `timeout` and `limit-exceeded`, if a call reached a limit; `internal`, if the plugin trapped,
    /// with the code [`Error::PLUGIN_TRAPPED`], or if the host panicked while it served it; an
    /// [`Error`] that `calls` passes on as a `wasmtime::Error`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the calls, and rolls back what they had open.
    pub async fn run<T>(
        mut self,
        calls: impl AsyncFnOnce(&mut Store<Guest>) -> wasmtime::Result<T>,
    ) -> Result<Outcome<T>, Error> {
        let results = self.watch.run(calls(&mut self.store)).await?;
        Ok(Outcome { results, usage: self.usage() })
    }

    /// What was used so far.
    #[must_use]
    pub fn usage(&self) -> CallUsage {
        let guest = self.store.data();
        CallUsage {
            elapsed: self.started.elapsed(),
            busy: self.watch.pace.busy(),
            fuel: self.fuel.and_then(|it| Some(it.saturating_sub(self.store.get_fuel().ok()?))),
            memory: guest.memory_used(),
            database: guest.gate().map(Gate::usage).unwrap_or_default(),
        }
    }
}

impl Drop for PluginInstance {
    fn drop(&mut self) {
        let usage = self.usage();
        let Watch { span, caller, .. } = &self.watch;
        meter::tell(span, caller, self.watch.outcome(), &usage);
    }
}

/// Runs calls of an instance in turns and within its deadline, and turns what goes wrong into
/// errors.
pub(crate) struct Watch {
    deadline: Deadline,
    pace: Pace,
    /// The limits on fuel and on handles, for messages.
    fuel: Option<u64>,
    handles: usize,
    caller: Caller,
    span: Span,
    state: Mutex<State>,
    /// Its place among the instances of the host; given back after the store is gone.
    _place: Place,
}

/// How the calls of an instance went.
#[derive(Clone, Copy)]
enum State {
    WentWell,
    /// One that never goes on was cancelled.
    Running,
    Trapped,
    Failed(ErrorKind),
}

impl Watch {
    fn new(
        deadline: Deadline,
        pace: Pace,
        limits: &Limits,
        caller: Caller,
        place: Place,
    ) -> Self {
        let (span, state) = (meter::span(&caller), Mutex::new(State::WentWell));
        let (fuel, handles) = (limits.fuel, limits.handles as usize);
        Self { deadline, pace, fuel, handles, caller, span, state, _place: place }
    }

    pub(crate) async fn run<T>(
        &self,
        call: impl Future<Output = wasmtime::Result<T>>,
    ) -> Result<T, Error> {
        self.set(State::Running);
        let outcome = self.watched(pin!(call)).instrument(self.span.clone()).await;
        self.set(match &outcome {
            Ok(_) => State::WentWell,
            Err(error) if error.code.as_deref() == Some(Error::PLUGIN_TRAPPED) => State::Trapped,
            Err(error) => State::Failed(error.kind),
        });
        outcome
    }

    async fn watched<T>(
        &self,
        call: impl Future<Output = wasmtime::Result<T>> + Unpin,
    ) -> Result<T, Error> {
        // The store is not used again after a panic, so nothing sees what it left behind.
        let caught = pin!(AssertUnwindSafe(self.pace.run(call)).catch_unwind());
        match self.deadline.bound(caught).await? {
            Ok(outcome) => outcome.map_err(|error| self.explain(&error)),
            Err(panic) => Err(error::from_panic(panic.as_ref())),
        }
    }

    /// The name of the export that is called, for the span.
    pub(crate) fn name(&self, export: &str) {
        self.span.record("export", export);
    }

    fn explain(&self, error: &wasmtime::Error) -> Error {
        // A handle of WASI, which has no error that the guest could handle.
        if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
            return GuestLimit::Handles(self.handles).exceeded();
        }
        match (error.downcast_ref::<Trap>(), self.fuel) {
            (Some(Trap::OutOfFuel), Some(fuel)) => GuestLimit::Fuel(fuel).exceeded(),
            _ => error::from_guest(&format!("the plugin `{}`", self.caller.plugin), error),
        }
    }

    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn outcome(&self) -> Cow<'static, str> {
        match *self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::WentWell => "ok".into(),
            State::Running => ErrorKind::Cancelled.to_string().into(),
            State::Trapped => "plugin-trap".into(),
            State::Failed(kind) => kind.to_string().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use ferro_session::Tenants;
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn s4_a_panic_of_the_host_is_an_error() {
        let place = Tenants::default().place().await;
        let deadline = Deadline::after(Duration::from_secs(5));
        let turns = || Arc::new(Semaphore::new(1));
        let caller = Caller { plugin: Arc::from("x"), tenant: Arc::from("y") };
        let watch =
            Watch::new(deadline, Pace::new(turns(), turns()), &Limits::default(), caller, place);
        let index = std::hint::black_box(3);
        let error = watch.run(async { Ok([1, 2][index]) }).await.unwrap_err();
        assert_eq!((error.kind, &*watch.outcome()), (ErrorKind::Internal, "internal"));
    }
}
