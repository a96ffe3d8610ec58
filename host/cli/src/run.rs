//! `ferro run`: calls an export of a plugin.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use ferro_host::{Host, Val};
use ferro_session::Tenant;

use crate::connect::Connection;
use crate::failure::{Failure, Stage};
use crate::{host, load, print, tell, tenant};

/// Call an export of a plugin and print its result.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The component.
    plugin: PathBuf,
    /// The call, with arguments in WAVE: 'top-cities("DE", 3)'. A function of an interface is called
    /// 'interface#function(…)'.
    #[arg(required_unless_present = "create_tables")]
    call: Option<String>,
    /// A database that the plugin may be granted, as LABEL=URL or LABEL=env:NAME with the URL in an
    /// environment variable. May be repeated.
    #[arg(long, value_name = "LABEL=URL")]
    connect: Vec<String>,
    /// The rights of the plugin in a database: read-only, read-write, raw-sql for fenced SQL text,
    /// or unfenced-raw-sql for everything. May be repeated. By default, it may read every database.
    #[arg(long, value_name = "LABEL=ACCESS", conflicts_with = "tenant")]
    grant: Vec<String>,
    /// Grants and limits from a file of tenants, in TOML or JSON.
    #[arg(long, value_name = "FILE#NAME")]
    tenant: Option<String>,
    /// First create the tables of the plugin's models that this database lacks.
    #[arg(long, value_name = "LABEL")]
    create_tables: Option<String>,
    /// Print the resource usage of the call to standard error.
    #[arg(long)]
    usage: bool,
}

impl Run {
    pub(crate) async fn execute(&self, cache: Option<&Path>) -> Result<ExitCode, Failure> {
        let connections = Connection::parse_all(&self.connect)?;
        self.check_create_tables(&connections)?;
        let tenant = Arc::new(self.tenant(&connections)?);
        let host = host(cache, tenant.limits.fuel.is_some())?;
        let code = self.run(&host, &connections, &tenant).await;
        host.databases().disconnect_all().await;
        code
    }

    fn check_create_tables(&self, connections: &[Connection]) -> Result<(), Failure> {
        match &self.create_tables {
            Some(label) if connections.iter().all(|it| it.label != *label) => {
                Err(Failure::usage(format!(
                    "tables are to be created in `{label}`, which is not connected: add `--connect \
                     {label}=URL`"
                )))
            }
            _ => Ok(()),
        }
    }

    fn tenant(&self, connections: &[Connection]) -> Result<Tenant, Failure> {
        let labels: Vec<_> = connections.iter().map(|it| it.label.clone()).collect();
        match &self.tenant {
            Some(argument) => tenant::from_file(argument),
            None => tenant::from_grants(&self.grant, &labels),
        }
    }

    async fn run(
        &self,
        host: &Host,
        connections: &[Connection],
        tenant: &Arc<Tenant>,
    ) -> Result<ExitCode, Failure> {
        let plugin = load(host, &self.plugin).await?;
        let call = self.call.as_deref().map(|call| plugin.parse_call(call)).transpose();
        let call = call.map_err(|error| Failure::new(Stage::Usage, error))?;
        tenant.fits(plugin.models()).map_err(|error| Failure::new(Stage::Usage, error))?;
        if let Err(error) = tenant.check(plugin.models()) {
            // A plugin may omit a column that is hidden from it.
            tell(&format!("warning: {}", error.message));
        }
        for connection in connections {
            connection.open(host.databases()).await?;
        }
        if let Some(label) = &self.create_tables {
            let created = host.create_tables(&plugin, label).await;
            created.map_err(|error| Failure::new(Stage::Tables, error))?;
        }
        let Some((export, arguments)) = call else { return Ok(ExitCode::SUCCESS) };
        let outcome = plugin.call(tenant, export, &arguments).await;
        let result = outcome.to_wave().map_err(|error| Failure::new(Stage::Call, error));
        if let Ok(result) = &result
            && !result.is_empty()
        {
            print(&format!("{result}\n"))?;
        }
        if self.usage {
            let usage = outcome.usage;
            let fuel = usage.fuel.map(|fuel| format!("{fuel} units of fuel, ")).unwrap_or_default();
            tell(&format!(
                "{:.2} ms, {:.2} ms of them busy, {fuel}{} KiB of memory, {} statements, {} rows \
                 read, {} rows written",
                usage.elapsed.as_secs_f64() * 1000.0,
                usage.busy.as_secs_f64() * 1000.0,
                usage.memory / 1024,
                usage.database.statements,
                usage.database.rows_read,
                usage.database.rows_written,
            ));
        }
        result?;
        match outcome.results.as_deref() {
            Ok([Val::Result(Err(_))]) => {
                Err(Failure::returned_err(format!("`{export}` returned an `err`")))
            }
            _ => Ok(ExitCode::SUCCESS),
        }
    }
}
