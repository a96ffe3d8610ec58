//! How the command ends after an error: with one line and an exit code.

use std::process::ExitCode;

use ferro_wit::escape_line;
use ferro_wit::types::{Error, ErrorKind};

/// The section on exit codes in `--help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  any other error on this machine
  2  the command line is not valid
  3  the plugin was refused: it is missing, is not a plugin, or imports something that is not granted
  4  a database cannot be reached, or the connection was lost
  5  the call failed: the plugin trapped, returned an `err`, or a query failed
  6  the call reached a limit: time, memory, rows, an instance or a connection

Errors are one line on standard error; results go to standard output. A URL with a password is
better kept in the environment: `--connect app=env:APP_URL`.";

/// The stage in which something failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Parsing the command line.
    Usage,
    /// Loading the plugin.
    Load,
    /// Connecting a database.
    Connect,
    /// Creating its tables.
    Tables,
    /// Calling the plugin.
    Call,
    /// The plugin has returned an error of its own.
    Answer,
    /// Everything else.
    Other,
}

/// An error, and the stage in which it occurred.
#[derive(Debug)]
pub(crate) struct Failure {
    stage: Stage,
    error: Error,
}

impl Failure {
    pub(crate) fn new(stage: Stage, error: Error) -> Self {
        Self { stage, error }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Stage::Usage, crate::invalid(message))
    }

    /// Clap's message about a command line, in one line.
    pub(crate) fn command_line(error: &clap::Error) -> Self {
        let text = error.to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        let fault = text.split("\nUsage:").next().unwrap_or(text);
        let one_line = |it: &str| it.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_said = |it: &String| !it.is_empty() && !it.starts_with("For more information");
        let parts: Vec<_> = fault.split("\n\n").map(one_line).filter(is_said).collect();
        Self::usage(format!("{}; see `--help`", parts.join("; ")))
    }

    pub(crate) fn other(message: impl Into<String>) -> Self {
        Self::new(Stage::Other, Error::new(ErrorKind::Internal, message))
    }

    /// The plugin itself returned an error.
    pub(crate) fn returned_err(message: impl Into<String>) -> Self {
        Self::new(Stage::Answer, Error::new(ErrorKind::Internal, message))
    }

    /// The error with its kind, in one line.
    pub(crate) fn line(&self) -> String {
        let Error { kind, message, .. } = &self.error;
        let message = escape_line(message);
        match (self.stage, kind) {
            (Stage::Usage | Stage::Answer, _) => message,
            _ => format!("{message} ({kind})"),
        }
    }

    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self.stage {
            Stage::Other => 1,
            Stage::Usage => 2,
            Stage::Load => 3,
            Stage::Connect => 4,
            Stage::Answer => 5,
            Stage::Call | Stage::Tables => match self.error.kind {
                ErrorKind::ConnectionFailed
                | ErrorKind::AuthenticationFailed
                | ErrorKind::DatabaseMissing
                | ErrorKind::TlsFailed => 4,
                // The call itself was denied; if a query in it is denied, the plugin handles that.
                ErrorKind::Denied if self.stage == Stage::Call => 3,
                ErrorKind::LimitExceeded | ErrorKind::Timeout | ErrorKind::Busy => 6,
                _ => 5,
            },
        })
    }
}
