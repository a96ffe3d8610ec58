//! `ferro migrate`: from the tables of a database to what a plugin's models say.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use ferro_driver::Migration;
use ferro_wit::plan::{MigrationStep, Risk};

use crate::connect::Connection;
use crate::failure::{Failure, Stage};
use crate::{host, load, print};

/// Print the statements that give a database what the models of a plugin say, or apply them.
#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// The component.
    plugin: PathBuf,
    /// The database, as LABEL=URL or LABEL=env:NAME with the URL in an environment variable.
    #[arg(value_name = "LABEL=URL")]
    database: String,
    /// Apply the steps that put no more at risk: safe ones lose nothing and hold no lock for long,
    /// blocking ones may lock a table while they read or write all of it, destructive ones lose data.
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
        let migration = migration.map_err(|error| Failure::new(Stage::Connect, error))?;
        print(&script(&migration, risk.is_some()))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A script of SQL, in which what was `applied` is a comment.
fn script(migration: &Migration, applied: bool) -> String {
    let Migration { applied: done, left } = migration;
    if done.is_empty() && left.is_empty() {
        return "-- nothing to do: the database has what the models say\n".to_owned();
    }
    let mut text = String::new();
    for step in done {
        let _ = writeln!(text, "-- applied: {}", step.description);
    }
    for step in left {
        let state = if applied { "left: " } else { "" };
        let _ = writeln!(text, "-- {state}{}{}", step.description, cost(step));
        let _ = writeln!(text, "{};", step.sql);
    }
    text
}

fn cost(step: &MigrationStep) -> String {
    let risk = match step.risk {
        Risk::Safe => return String::new(),
        Risk::Blocking => "blocking",
        Risk::Destructive => "destructive",
    };
    let reason = step.reason.as_deref().unwrap_or_default();
    format!("\n--   {risk}: {reason}")
}
