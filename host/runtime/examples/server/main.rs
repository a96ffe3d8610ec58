//! A server that runs a plugin for each of its tenants, and takes a new version without a restart.
//!
//! After `cargo xtask demo`, with the tenants of `atlas`:
//!
//! ```sh
//! mkdir -p target/plugins
//! cp target/components/ferro-example-atlas.wasm target/plugins/europe.wasm
//! cp target/components/ferro-example-atlas.wasm target/plugins/peru.wasm
//! cp target/components/ferro-example-atlas.wasm target/plugins/nobody.wasm
//! cargo run -p ferro-host --example server -- \
//!     target/plugins app=sqlite:target/demo/rust.db guest/examples/atlas/tenants.toml
//!
//! curl -H 'x-tenant: europe' --data 'top-cities("DE", 3)' http://127.0.0.1:8080/call
//! curl -H 'x-tenant: europe' -X POST http://127.0.0.1:8080/reload
//! ```

mod app;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use ferro_host::{ConnectOptions, Host, HostOptions, TenantFile};
use tokio::net::TcpListener;

use crate::app::App;

const ADDRESS: &str = "127.0.0.1:8080";

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().init();
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().context("usage: server PLUGINS LABEL=URL TENANTS.toml");
    let (plugins, database, tenants) = (PathBuf::from(next()?), next()?, next()?);
    let (label, url) = database.split_once('=').context("a database is LABEL=URL")?;
    let tenants = std::fs::read_to_string(&tenants).with_context(|| format!("no `{tenants}`"))?;
    let tenants: TenantFile = toml::from_str(&tenants)?;

    let host = Host::new(HostOptions::default())?;
    host.databases().connect(label, url, &ConnectOptions::default()).await?;
    let app = App::new(host, plugins, tenants).await?;
    let listener = TcpListener::bind(ADDRESS).await?;
    println!("listening on http://{ADDRESS}");
    axum::serve(listener, app.routes()).await?;
    Ok(())
}
