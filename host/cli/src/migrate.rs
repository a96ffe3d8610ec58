//! `ferro migrate`: migrates the tables of a database to the models of a plugin.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use ferro_wit::plan::Risk;

use crate::connect::Connection;
use crate::failure::{Failure, Stage};
use crate::{host, load, print};

/// Print the statements that migrate a database to the models of a plugin, or apply them.
#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// The component.
    plugin: PathBuf,
    /// The database, as LABEL=URL or LABEL=env:NAME with the URL in an environment variable.
    #[arg(value_name = "LABEL=URL")]
    database: String,
    /// Apply the steps up to this risk: safe ones lose nothing and hold no lock for long, blocking
    /// ones may lock a table while they read or write all of it, destructive ones lose data.
    #[arg(long, value_name = "RISK")]
    apply: Option<AtRisk>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum AtRisk {
    Safe,
    Blocking,
    Destructive,
}

impl Migrate {
    pub(crate) async fn execute(&self, cache: Option<&Path>) -> Result<ExitCode, Failure> {
        let connection = Connection::parse(&self.database)?;
        let host = host(cache, false)?;
        let plugin = load(&host, &self.plugin).await?;
        connection.open(host.databases()).await?;
        let risk = self.apply.map(|it| match it {
            AtRisk::Safe => Risk::Safe,
            AtRisk::Blocking => Risk::Blocking,
            AtRisk::Destructive => Risk::Destructive,
        });
        let migration = host.migrate(&plugin, &connection.label, risk).await;
        host.databases().disconnect_all().await;
        let migration = migration.map_err(|error| Failure::new(Stage::Tables, error))?;
        print(&migration.script())?;
        Ok(ExitCode::SUCCESS)
    }
}
