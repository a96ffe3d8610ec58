//! `with-postgres COMMAND…`: runs a command with its own PostgreSQL server, which its tests find in
//! the environment. If `FERRO_TEST_POSTGRES_URL` is set, it uses that server instead.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};
use ferro_test_support::postgres::{Server, URL};

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments.next().context("usage: with-postgres COMMAND ARGUMENTS…")?;
    let mut command = Command::new(&program);
    command.args(arguments);
    let server = match std::env::var(URL) {
        Ok(url) if !url.is_empty() => None,
        _ => Some(Server::start()?),
    };
    if let Some(server) = &server {
        command.envs(server.environment());
    }
    let status = command.status().with_context(|| format!("cannot start {}", program.display()))?;
    drop(server);
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
