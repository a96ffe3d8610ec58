//! A connection to PostgreSQL.

use std::io;
use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgSslMode;
use sqlx::{Connection as _, PgConnection, PgPool, Postgres};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::connect::{FAREWELL, Socket, find, opened_at_once, seen_address};
use crate::error::caught;
use crate::sockets::watched;
use crate::vigil::{Inquiry, Vigil};

/// A connection to PostgreSQL. SQLx opens and counts it, but it is never returned to SQLx, which
/// would wait for a connection that has gone silent. Dropping it closes it.
pub(crate) struct Backend {
    /// `None` only while it is being closed.
    connection: Option<PoolConnection<Postgres>>,
    vigil: Vigil,
    /// `None` if it is not known which one it is.
    socket: Option<Socket>,
}

/// The result of a ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    Alive,
    Broken,
    Silent,
}

impl Backend {
    /// Opens a connection, which SQLx counts.
    pub(crate) async fn open(pool: &PgPool, inquiry: &Arc<Inquiry>) -> Result<Self, sqlx::Error> {
        let acquiring = async { watched(caught(pin!(pool.acquire()))).await };
        let new = |it| Self { connection: Some(it), vigil: Vigil::new(inquiry), socket: None };
        let options = pool.connect_options();
        if options.get_socket().is_some() {
            return acquiring.await.map(new);
        }
        let port = options.get_port();
        let opened = match options.get_ssl_mode() {
            PgSslMode::Disable => acquiring.await,
            _ => opened_at_once(port, acquiring).await,
        };
        let opened = new(opened?);
        let found = opened.find_socket(port, inquiry.has_session());
        let in_time = timeout(pool.options().get_acquire_timeout(), found).await;
        in_time.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    /// Finds the socket, unless a proxy is in between, whose address the server sees. The
    /// connection sends small packets at once from then on. A connection without a session needs
    /// no socket: its statements begin with a transaction, which can be begun again.
    async fn find_socket(mut self, port: u16, has_session: bool) -> Result<Self, sqlx::Error> {
        let own = match has_session {
            true => caught(pin!(seen_address(&mut self))).await?,
            false => None,
        };
        // It looks at all that the process has open, which may be much. The connection comes along,
        // since it must not be closed meanwhile.
        let found = spawn_blocking(move || {
            match find(port, own) {
                Ok(socket) => self.socket = socket,
                Err(error) => {
                    tracing::debug!(%error, "statements with large values may wait for 40 ms");
                }
            }
            self
        });
        found.await.map_err(|error| sqlx::Error::Io(io::Error::other(error)))
    }

    /// Whether it is known, without a ping, that the server has not closed the connection.
    pub(crate) fn is_quiet(&self) -> bool {
        self.socket.as_ref().is_some_and(Socket::is_quiet)
    }

    /// The connection, and the [`Vigil`] that waits for its answers.
    pub(crate) fn parts(&mut self) -> (&mut PgConnection, &Vigil) {
        match &mut self.connection {
            Some(connection) => (connection, &self.vigil),
            None => unreachable!("only `leave` and `drop` take the connection, and both end it"),
        }
    }

    /// Pings the server.
    pub(crate) async fn ask(&mut self, within: Duration) -> Sign {
        match timeout(within, caught(pin!(self.ping()))).await {
            Ok(Ok(())) => Sign::Alive,
            Ok(Err(_)) => Sign::Broken,
            Err(_) => Sign::Silent,
        }
    }

    /// Closes the connection with a termination message. The wait is limited: behind TLS, the
    /// server has to answer, and it may be silent.
    pub(crate) async fn leave(mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = timeout(FAREWELL, connection.close()).await;
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}

impl Deref for Backend {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match &self.connection {
            Some(connection) => connection,
            None => unreachable!("only `leave` and `drop` take the connection, and both end it"),
        }
    }
}

impl DerefMut for Backend {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.parts().0
    }
}
