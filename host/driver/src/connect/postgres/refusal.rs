//! Why a connection was not opened, in words that hold no password.

use std::time::Duration;

use ferro_wit::types::{Dialect, Error, ErrorKind};

use super::Server;
use crate::connect::tls::TlsMode;
use crate::error::from_sqlx;

/// Why a connection was not opened.
pub(super) enum Failure {
    Late,
    NoTls,
    Other(sqlx::Error),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Tls(cause) if cause.to_string() == "server does not support TLS" => {
                Self::NoTls
            }
            _ => Self::Other(error),
        }
    }
}

impl Server {
    /// Why a connection was not opened, as the caller may see it.
    pub(in crate::connect) fn describe(&self, error: sqlx::Error, timeout: Duration) -> Error {
        self.explain(Failure::from(error), timeout)
    }

    pub(super) fn explain(&self, failure: Failure, timeout: Duration) -> Error {
        match failure {
            Failure::Late => {
                let message = format!(
                    "the server at `{}` did not accept the connection within {timeout:?}: check \
                     the address and firewalls, or raise `connect_timeout`",
                    self.address()
                );
                Error::new(ErrorKind::ConnectionFailed, message).retryable()
            }
            Failure::NoTls => Error::new(
                ErrorKind::TlsFailed,
                format!(
                    "the server at `{}` does not offer TLS, which `sslmode={}` requires: enable \
                     TLS there, or use `sslmode=prefer` if others may read the traffic",
                    self.address(),
                    self.tls.mode
                ),
            ),
            Failure::Other(error) => self.describe_refusal(&error),
        }
    }

    fn describe_refusal(&self, error: &sqlx::Error) -> Error {
        let address = self.address();
        let cause = from_sqlx(error, Dialect::Postgres);
        let text = self.scrub(&cause.message);
        let (kind, message) = match (error, cause.kind) {
            // Only the handshake reports its faults as bad data.
            (sqlx::Error::Io(io), _) if io.kind() == std::io::ErrorKind::InvalidData => {
                (ErrorKind::TlsFailed, self.describe_handshake(&self.scrub(&io.to_string())))
            }
            (sqlx::Error::Tls(_), _) => {
                (ErrorKind::TlsFailed, format!("no TLS with the server at `{address}`: {text}"))
            }
            (sqlx::Error::Io(io), _) => {
                let cause = self.scrub(&io.to_string());
                let message = format!(
                    "cannot reach a server at `{address}`: {cause}; check that it runs and \
                     that host and port are right"
                );
                (ErrorKind::ConnectionFailed, message)
            }
            (sqlx::Error::Protocol(_), _) => (
                ErrorKind::ConnectionFailed,
                format!("the server at `{address}` does not speak the PostgreSQL protocol: {text}"),
            ),
            (_, ErrorKind::AuthenticationFailed) => (
                ErrorKind::AuthenticationFailed,
                format!(
                    "the server at `{address}` refused user `{}`: {text}; check user and password",
                    self.user
                ),
            ),
            (_, ErrorKind::DatabaseMissing) => (
                ErrorKind::DatabaseMissing,
                format!(
                    "the server at `{address}` has no database `{}`: create it, or correct the \
                     end of the URL",
                    self.database
                ),
            ),
            // The setting that is refused is in quotes, in any language.
            _ if self.settings.iter().any(|(name, _)| text.contains(&format!("\"{name}\""))) => (
                ErrorKind::InvalidConfiguration,
                format!(
                    "the server at `{address}` refused what `options` sets: {text}; correct it, \
                     or grant user `{}` the right to set it",
                    self.user
                ),
            ),
            (_, ErrorKind::Denied) => (
                ErrorKind::AuthenticationFailed,
                format!(
                    "the server at `{address}` does not let user `{}` into database `{}`: {text}; \
                     grant it `CONNECT`, or use another user",
                    self.user, self.database
                ),
            ),
            (_, kind) => {
                (kind, format!("the server at `{address}` refused the connection: {text}"))
            }
        };
        let retryable = cause.retryable || kind == ErrorKind::ConnectionFailed;
        Error { kind, message, retryable, ..cause }
    }

    fn describe_handshake(&self, cause: &str) -> String {
        let hint = match self.tls.mode {
            TlsMode::VerifyCa | TlsMode::VerifyFull => {
                "; check `sslrootcert` and that the certificate is made out to the host"
            }
            TlsMode::Require if self.tls.root.is_some() => "; check `sslrootcert`",
            _ => "",
        };
        format!("no TLS with the server at `{}`: {cause}{hint}", self.address())
    }

    fn scrub(&self, text: &str) -> String {
        match &self.password {
            Some(password) => password.scrub(text, &[&self.user, &self.database]),
            None => text.to_owned(),
        }
    }
}
