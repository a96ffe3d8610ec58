//! What a host is made of, and what an application lends its plugins besides databases.

use std::collections::BTreeSet;

use ferro_wit::types::{Error, ErrorKind};
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, Linker, ResourceType, Val};
use wasmtime::{Engine, StoreContextMut};

use crate::guest::Guest;
use crate::host::{Host, HostOptions};
use crate::{database, load, wasi};

/// Makes a [`Host`] that lends its plugins interfaces of the application's own.
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

    /// Lends interfaces, named as the WIT has them but without a version, `acme:crm/mail`: what
    /// `link` defines is what a plugin calls. Only a tenant that is granted all that a plugin
    /// imports of them can call it: see [`Tenant::import`](crate::Tenant::import).
    ///
    /// `bindgen!` makes a trait of an interface, which is implemented for [`Guest`], and a function
    /// `add_to_linker`. [`Guest::data`] has what the application passed with the call, and
    /// [`Guest::tenant`] whom it is for. Those of WASI are in [`wasmtime_wasi`]:
    /// `p2::bindings::clocks::wall_clock::add_to_linker::<_, WasiClocks>(linker, Guest::clocks)`.
    ///
    /// The deadline of a call ends what such a function waits for, and its limits count the bytes
    /// that it is passed and the handles in [`Guest::table`]. What the function does beyond that is
    /// the application's: treat arguments as hostile, bound what you give back, make those functions
    /// `async` that wait, and let none block its thread. While a plugin is loaded, all of them trap.
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

    /// The host.
    ///
    /// Blocks while it compiles the core, some seconds, unless the cache has it.
    ///
    /// # Errors
    ///
    /// Those of [`Host::new`]; `invalid-configuration`, if an interface cannot be lent under its name,
    /// or if what is lent cannot be linked.
    pub fn build(self) -> Result<Host, Error> {
        let Self { options, lent } = self;
        Host::make(options, |engine| Imports::new(engine, lent))
    }
}

/// What plugins may import.
pub(crate) struct Imports {
    /// What every plugin has.
    own: Linker<Guest>,
    /// The same, and what is lent.
    pub(crate) all: Linker<Guest>,
    /// The interfaces that are lent.
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
            // What is there already cannot be defined again.
            link(&mut imports.all)
                .map_err(|error| refused(format!("cannot lend `{shown}`: {error:#}")))?;
        }
        Ok(imports)
    }

    /// The linker for a component that describes itself: it is nobody's yet, so what is lent traps.
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
                    // One that an interface only uses is there already.
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
