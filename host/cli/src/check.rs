//! `ferro check`: tests whether databases answer, and how fast.

use std::process::ExitCode;

use clap::Args;
use ferro_driver::Databases;

use crate::connect::Connection;
use crate::failure::{Failure, Stage};
use crate::print;

/// Test connections: print the dialect and the time of a round trip for each.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The database, as LABEL=URL or LABEL=env:NAME with the URL in an environment variable.
    #[arg(required = true, value_name = "LABEL=URL")]
    databases: Vec<String>,
}

impl Check {
    pub(crate) async fn execute(&self) -> Result<ExitCode, Failure> {
        let connections = Connection::parse_all(&self.databases)?;
        let databases = Databases::new();
        for connection in connections {
            let database = connection.open(&databases).await?;
            let time = database.check().await.map_err(|it| Failure::new(Stage::Connect, it))?;
            let milliseconds = time.as_secs_f64() * 1000.0;
            let (label, dialect) = (&connection.label, database.dialect());
            print(&format!("{label}: {dialect} answers in {milliseconds:.2} ms\n"))?;
        }
        databases.disconnect_all().await;
        Ok(ExitCode::SUCCESS)
    }
}
