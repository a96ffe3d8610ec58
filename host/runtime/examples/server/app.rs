//! The application: whose a request is, which plugin answers it, and what HTTP says of the answer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use ferro_host::{Error, ErrorKind, Host, Plugin, Tenant, TenantFile};
use parking_lot::RwLock;

/// What all requests share.
pub(crate) struct App {
    host: Host,
    /// The folder in which `acme.wasm` is the plugin of the tenant `acme`.
    plugins: PathBuf,
    tenants: BTreeMap<String, Served>,
}

/// A tenant, and what serves it.
struct Served {
    tenant: Arc<Tenant>,
    /// The version that new calls get. Those that run keep theirs.
    plugin: RwLock<Plugin>,
}

/// How a request ends that no plugin answered.
type Refusal = (StatusCode, String);

impl App {
    /// Loads the plugin of each tenant of a file.
    pub(crate) async fn new(host: Host, plugins: PathBuf, file: TenantFile) -> Result<Self, Error> {
        let mut tenants = BTreeMap::new();
        for (name, tenant) in file.tenants {
            let plugin = RwLock::new(load(&host, &plugins, &name, &tenant).await?);
            tenants.insert(name, Served { tenant: Arc::new(tenant), plugin });
        }
        Ok(Self { host, plugins, tenants })
    }

    /// `POST /call` takes a call in WAVE, `POST /reload` nothing; the header `x-tenant` says whose.
    ///
    /// A server that strangers reach lets nobody but the operator reload.
    pub(crate) fn routes(self) -> Router {
        let routes = Router::new().route("/call", post(call)).route("/reload", post(reload));
        routes.with_state(Arc::new(self))
    }

    /// Whose a request is. Here a name is taken for true: where strangers send it, it has to follow
    /// from what proves who they are.
    fn served(&self, headers: &HeaderMap) -> Result<(&str, &Served), Refusal> {
        let name = headers.get("x-tenant").and_then(|it| it.to_str().ok()).unwrap_or_default();
        match self.tenants.get_key_value(name) {
            Some((name, served)) => Ok((name.as_str(), served)),
            None => {
                Err((StatusCode::UNAUTHORIZED, "`x-tenant` does not name a tenant\n".to_owned()))
            }
        }
    }
}

/// Everything that a tenant may do and use is the host's affair: a hostile call ends in an error.
async fn call(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    call: String,
) -> Result<String, Refusal> {
    let (_, served) = app.served(&headers)?;
    let plugin = served.plugin.read().clone();
    let result = plugin.call_wave(&served.tenant, &call).await.map_err(refusal)?;
    Ok(format!("{result}\n"))
}

/// Takes the present version of a plugin's file. One that cannot be loaded replaces nothing.
async fn reload(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<String, Refusal> {
    let (name, served) = app.served(&headers)?;
    let plugin = load(&app.host, &app.plugins, name, &served.tenant).await.map_err(refusal)?;
    *served.plugin.write() = plugin;
    Ok("reloaded\n".to_owned())
}

/// A plugin whose models fit its tenant's grants: what does not is told now, not at the first call.
async fn load(host: &Host, folder: &Path, name: &str, tenant: &Tenant) -> Result<Plugin, Error> {
    let plugin = host.load(folder.join(format!("{name}.wasm"))).await?;
    tenant.check(plugin.models())?;
    Ok(plugin)
}

fn refusal(error: Error) -> Refusal {
    let status = match error.kind {
        ErrorKind::TypeMismatch => StatusCode::BAD_REQUEST,
        ErrorKind::Denied => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::LimitExceeded => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::Busy => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, format!("{}: {}\n", error.kind, error.message))
}
