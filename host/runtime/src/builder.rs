//! Building a host, and lending application interfaces to its plugins.

use std::collections::BTreeSet;

use ferro_wit::types::{Error, ErrorKind};
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, Linker, ResourceType, Val};
use wasmtime::{Engine, StoreContextMut};

use crate::guest::Guest;
use crate::host::{Host, HostOptions};
use crate::{database, load, wasi};

/// Builds a [`Host`] that lends the application's own interfaces to its plugins.
#[must_use = "it makes no host until it is built"]
pub struct HostBuilder {
    options: HostOptions,
    lent: Vec<(Vec<String>, Link)>,
}

type Link = Box<dyn FnOnce(&mut Linker<Guest>) -> wasmtime::Result<()>>;

impl HostBuilder {
    pub(crate) fn new(options: HostOptions) -> Self {
        Self { options, lent: Vec::new() }
    }

    /// Lends interfaces to plugins: they call the functions that `link` defines. Names are those of
    /// the WIT without a version, such as `acme:crm/mail`. A tenant can call a plugin only if it is
    /// granted all of these interfaces that the plugin imports: see
    /// [`Tenant::import`](crate::Tenant::import).
    ///
    /// `bindgen!` generates a trait for an interface, to be implemented for [`Guest`], and a
    /// function `add_to_linker`. [`Guest::data`] returns the data that the application passed with
    /// the call, and [`Guest::tenant`] the name of its tenant. The interfaces of WASI are in
    /// [`wasmtime_wasi`]: `p2::bindings::clocks::wall_clock::add_to_linker::<_, WasiClocks>(linker,
    /// Guest::clocks)`.
    ///
    /// The deadline of a call cancels a waiting function, and the call's limits count the bytes
    /// passed to it and the handles in [`Guest::table`]. The rest is up to the application: treat
    /// arguments as hostile, limit the size of results, make waiting functions `async`, and never
    /// block the thread. While a plugin is loaded, all of these functions trap.
    ///
    /// ```
    /// # use std::sync::{Arc, Mutex};
    /// use ferro_host::wasmtime::component::HasSelf;
    /// use ferro_host::{Error, Guest, Host, HostOptions, Plugin, Tenant};
    ///
    /// mod world {
    ///     ferro_host::wasmtime::component::bindgen!({
    ///         inline: "
    ///             package acme:crm;
    ///             interface mail { send: func(to: string, text: string) -> result<_, string>; }
    ///             world lent { import mail; }
    ///         ",
    ///         imports: { default: async },
    ///         wasmtime_crate: ferro_host::wasmtime,
    ///     });
    /// }
    /// use world::acme::crm::mail;
    ///
    /// /// What the functions work with.
    /// struct Outbox {
    ///     sent: Mutex<Vec<String>>,
    /// }
    ///
    /// impl mail::Host for Guest {
    ///     async fn send(&mut self, to: String, text: String) -> Result<(), String> {
    ///         let outbox = self.data::<Outbox>().ok_or("there is no outbox")?;
    ///         let line = format!("{} to {to}: {text}", self.tenant());
    ///         outbox.sent.lock().map_err(|_| "the outbox is closed")?.push(line);
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # fn host() -> Result<Host, Error> {
    /// let host = Host::builder(HostOptions::default())
    ///     .lend(["acme:crm/mail"], |linker| {
    ///         mail::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)
    ///     })
    ///     .build()?;
    /// # Ok(host)
    /// # }
    ///
    /// # async fn remind(plugin: &Plugin, outbox: Arc<Outbox>) -> Result<(), Error> {
    /// let tenant = Arc::new(Tenant::new("acme").import("acme:crm/mail"));
    /// plugin.with_data(outbox).call_wave(&tenant, "remind(\"ann@example.org\")").await?;
    /// # Ok(())
    /// # }
    /// # let _ = (host, remind);
    /// ```
    pub fn lend(
        mut self,
        interfaces: impl IntoIterator<Item = impl Into<String>>,
        link: impl FnOnce(&mut Linker<Guest>) -> wasmtime::Result<()> + 'static,
    ) -> Self {
        let names = interfaces.into_iter().map(Into::into).collect();
        self.lent.push((names, Box::new(link)));
        self
    }

    /// Builds the host.
    ///
    /// Blocks for some seconds while it compiles the core, unless that is cached.
    ///
    /// # Errors
    ///
    /// As [`Host::new`]; `invalid-configuration` if an interface cannot be lent under its name, or
    /// cannot be linked.
    pub fn build(self) -> Result<Host, Error> {
        let Self { options, lent } = self;
        Host::make(options, |engine| Imports::new(engine, lent))
    }
}

/// The interfaces that plugins may import.
pub(crate) struct Imports {
    /// The imports of every plugin.
    own: Linker<Guest>,
    /// The same, with the lent interfaces.
    pub(crate) all: Linker<Guest>,
    /// The lent interfaces.
    pub(crate) lent: BTreeSet<String>,
}

impl Imports {
    fn new(engine: &Engine, lent: Vec<(Vec<String>, Link)>) -> Result<Self, Error> {
        let mut own = Linker::new(engine);
        database::link(&mut own).and_then(|()| wasi::link(&mut own)).map_err(|error| {
            Error::new(ErrorKind::Internal, format!("cannot link the host: {error:#}"))
        })?;
        let mut imports = Self { all: own.clone(), own, lent: BTreeSet::new() };
        for (names, link) in lent {
            let shown = names.join("`, `");
            for name in names {
                imports.name(name)?;
            }
            // Existing definitions cannot be replaced.
            link(&mut imports.all)
                .map_err(|error| refused(format!("cannot lend `{shown}`: {error:#}")))?;
        }
        Ok(imports)
    }

    /// The linker for a component that describes its models: it has no tenant yet, so lent
    /// functions trap.
    pub(crate) fn mute(&self, component: &Component) -> wasmtime::Result<Linker<Guest>> {
        let (engine, mut linker) = (component.engine(), self.own.clone());
        let mut resources = Vec::new();
        for (import, item) in component.component_type().imports(engine) {
            let is_lent = self.lent.contains(load::without_version(import));
            let ComponentItem::ComponentInstance(interface) = item.ty else {
                if is_lent {
                    linker.root().func_new(import, trap(import.to_owned()))?;
                }
                continue;
            };
            for (name, item) in interface.exports(engine) {
                match item.ty {
                    ComponentItem::ComponentFunc(_) if is_lent => {
                        let function = trap(format!("{import}#{name}"));
                        linker.instance(import)?.func_new(name, function)?;
                    }
                    // A resource that an interface only uses is defined already.
                    ComponentItem::Resource(resource) if !resources.contains(&resource) => {
                        resources.push(resource);
                        if is_lent {
                            let kind = ResourceType::host::<()>();
                            linker.instance(import)?.resource(name, kind, |_, _| Ok(()))?;
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(linker)
    }

    fn name(&mut self, name: String) -> Result<(), Error> {
        if load::without_version(&name) != name {
            return Err(refused(format!("cannot lend `{name}`: name it without its version")));
        }
        if load::is_own(&name) || !self.lent.insert(name.clone()) {
            return Err(refused(format!("cannot lend `{name}`: plugins have it already")));
        }
        Ok(())
    }
}

type Stub = Box<
    dyn Fn(StoreContextMut<'_, Guest>, ComponentFunc, &[Val], &mut [Val]) -> wasmtime::Result<()>
        + Send
        + Sync,
>;

fn trap(function: String) -> Stub {
    Box::new(move |_, _, _, _| {
        wasmtime::bail!("`{function}` was called before any tenant was granted it")
    })
}

fn refused(message: String) -> Error {
    Error::new(ErrorKind::InvalidConfiguration, message)
}
