//! The `ferro` command: runs a plugin, inspects one, tests a connection, migrates a database.

#![forbid(unsafe_code)]

mod check;
mod connect;
mod failure;
mod inspect;
mod migrate;
mod run;
mod tenant;

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ferro_host::{Host, HostOptions, Plugin};
use ferro_wit::types::{Error, ErrorKind};
use tracing_subscriber::EnvFilter;

use crate::failure::{Failure, Stage};

/// Run WebAssembly plugins against databases.
#[derive(Debug, Parser)]
#[command(name = "ferro", version, after_help = failure::EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The folder for compiled plugins; by default `ferro` in the user's cache folder.
    #[arg(long, global = true, value_name = "FOLDER")]
    cache: Option<PathBuf>,
    /// What to log to standard error, in the syntax of `RUST_LOG`. With `warn`, the log includes
    /// details of errors that plugins do not see.
    #[arg(long, global = true, value_name = "FILTER", default_value = "error,ferro::guest=info")]
    log: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Inspect(inspect::Inspect),
    Check(check::Check),
    Migrate(migrate::Migrate),
}

fn main() -> ExitCode {
    let outcome = match Arguments::try_parse() {
        Ok(arguments) => execute(arguments),
        // Clap treats help and version as errors.
        Err(error) if asks_for_help(error.kind()) => error.exit(),
        Err(error) => Err(Failure::command_line(&error)),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            tell(&format!("error: {}", failure.line()));
            failure.code()
        }
    }
}

fn asks_for_help(kind: clap::error::ErrorKind) -> bool {
    use clap::error::ErrorKind::{
        DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion,
    };
    matches!(kind, DisplayHelp | DisplayHelpOnMissingArgumentOrSubcommand | DisplayVersion)
}

fn execute(arguments: Arguments) -> Result<ExitCode, Failure> {
    log_to_stderr(&arguments.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::other(format!("cannot start the runtime: {error}")))?;
    let cache = arguments.cache.as_deref();
    runtime.block_on(async {
        match arguments.command {
            Command::Run(run) => run.execute(cache).await,
            Command::Inspect(inspect) => inspect.execute(cache).await,
            Command::Check(check) => check.execute().await,
            Command::Migrate(migrate) => migrate.execute(cache).await,
        }
    })
}

fn log_to_stderr(filter: &str) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Failure::usage(format!("`{filter}` is not a valid log filter: {error}"))
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // They would be written to standard error, which is what has failed.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .compact()
        .init();
    Ok(())
}

/// A host with the requested cache, which meters fuel if required.
fn host(cache: Option<&Path>, fuel: bool) -> Result<Host, Failure> {
    let mut options = HostOptions { fuel, ..HostOptions::default() };
    if let Some(folder) = cache {
        options.cache = Some(folder.to_owned());
    }
    Host::new(options).map_err(|error| Failure::new(Stage::Other, error))
}

async fn load(host: &Host, path: &Path) -> Result<Plugin, Failure> {
    host.load(path).await.map_err(|error| Failure::new(Stage::Load, error))
}

/// Prints to standard output, ignoring that its reader may have gone.
fn print(text: &str) -> Result<(), Failure> {
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::other(format!("cannot write the result: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints a line to standard error, ignoring failures.
fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfiguration, message)
}
