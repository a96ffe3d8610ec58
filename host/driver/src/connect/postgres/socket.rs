//! The sockets of connections, which SQLx does not lend: they are searched for among all of this
//! process.
//!
//! A look at the socket shows that the server has closed a connection; otherwise only a ping would.
//! And SQLx 0.9.0 leaves Nagle's algorithm on (its pull request 4336, which is not in a release yet,
//! turns it off): if a message takes several packets, the last one waits until the server confirms
//! the others, which takes 40 ms, for each statement with more than about 16 KB of values, and for
//! each stream of rows.

#![allow(unsafe_code, reason = "a socket that SQLx owns is borrowed by its number")]

#[cfg(unix)]
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
#[cfg(unix)]
use std::os::fd::{BorrowedFd, RawFd};

#[cfg(unix)]
use socket2::SockRef;
use sqlx::{PgConnection, Row as _};

use crate::run::statement_connection::is_at_rest;

/// Where a process sees the numbers of its open files.
#[cfg(unix)]
const OPEN: &str = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };

/// Reading without taking anything, and without waiting.
#[cfg(unix)]
const LOOK: i32 = libc::MSG_PEEK | libc::MSG_DONTWAIT;
#[cfg(not(unix))]
const LOOK: i32 = 0;

/// The socket of a connection, only for looking at it.
pub(crate) struct Socket(socket2::Socket);

impl Socket {
    /// Whether nothing has arrived that was not read. Before a server closes an idle connection, it
    /// says why, and its system says so if it crashed.
    pub(crate) fn is_quiet(&self) -> bool {
        let looked = self.0.recv_with_flags(&mut [MaybeUninit::uninit()], LOOK);
        looked.is_err_and(|it| it.kind() == io::ErrorKind::WouldBlock)
    }
}

/// The address from which a server sees a connection come, if it says so.
pub(crate) async fn seen_address(
    connection: &mut PgConnection,
) -> Result<Option<SocketAddr>, sqlx::Error> {
    if connection.server_version_num().is_none() {
        // It is not known to be PostgreSQL.
        return Ok(None);
    }
    let asked = sqlx::raw_sql(
        "SELECT pg_catalog.host(pg_catalog.inet_client_addr()), pg_catalog.inet_client_port()",
    );
    let row = match asked.fetch_optional(connection).await {
        Ok(row) => row,
        // The functions may be revoked.
        Err(error) if is_at_rest(&error) => None,
        Err(error) => return Err(error),
    };
    let seen = row.and_then(|row| {
        let address: Option<String> = row.try_get(0).ok()?;
        let port: Option<i32> = row.try_get(1).ok()?;
        let address: IpAddr = address?.parse().ok()?;
        Some(SocketAddr::new(address.to_canonical(), port?.try_into().ok()?))
    });
    Ok(seen)
}

/// Turns off Nagle's algorithm for all connections of this process to a port, and returns the one
/// whose own address is `own`, if that is a single one: connections to other servers may have the
/// same. Other clients' connections to that port are changed too, which no client of PostgreSQL
/// minds.
#[cfg(unix)]
pub(crate) fn find(port: u16, own: Option<SocketAddr>) -> io::Result<Option<Socket>> {
    let mut found = Vec::new();
    each_connection(|number, socket, peer| {
        if peer.port() != port {
            return;
        }
        let _ = socket.set_tcp_nodelay(true);
        if own.is_some() && address(socket) == own {
            found.push(number);
        }
    })?;
    // Not before: a clone is listed, too.
    let clone = |socket: &SockRef<'_>| socket.try_clone().map(Socket);
    match found.as_slice() {
        [only] => with_socket(*only, clone).map(Some),
        _ => Ok(None),
    }
}

/// Elsewhere, the files of this process are not listed.
#[cfg(not(unix))]
pub(crate) fn find(_: u16, _: Option<SocketAddr>) -> io::Result<Option<Socket>> {
    Ok(None)
}

#[cfg(unix)]
fn address(socket: &SockRef<'_>) -> Option<SocketAddr> {
    let address = socket.local_addr().ok()?.as_socket()?;
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

#[cfg(unix)]
fn each_connection(mut visit: impl FnMut(RawFd, &SockRef<'_>, SocketAddr)) -> io::Result<()> {
    for entry in fs::read_dir(OPEN)? {
        let name = entry?.file_name();
        let Some(number) = name.to_str().and_then(|it| it.parse::<RawFd>().ok()) else { continue };
        if number < 0 {
            continue;
        }
        with_socket(number, |socket| {
            if let Some(peer) = socket.peer_addr().ok().and_then(|it| it.as_socket()) {
                visit(number, socket, peer);
            }
        });
    }
    Ok(())
}

#[cfg(unix)]
fn with_socket<T>(number: RawFd, call: impl FnOnce(&SockRef<'_>) -> T) -> T {
    // SAFETY: it is the number of a file, and not closed here. Whoever owns it may close it
    // meanwhile, as it may be no socket: then the system refuses the calls, or they are about
    // another socket, of which the first one asks where it is connected to. None of them reads or
    // writes any data. The socket that is cloned is that of a connection which the caller holds.
    let file = unsafe { BorrowedFd::borrow_raw(number) };
    call(&SockRef::from(&file))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "these are tests")]

    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};
    use std::thread::sleep;
    use std::time::Duration;

    use ferro_test_support::postgres;
    use ferro_wit::types::Value;
    #[cfg(target_os = "linux")]
    use socket2::{Domain, Type};

    use super::*;
    use crate::{ConnectOptions, Database};

    #[test]
    fn connections_to_a_port_send_at_once_and_no_others() {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [one, other] = listeners.each_ref().map(|it| it.local_addr().unwrap());
        let streams = [one, one, other].map(|it| TcpStream::connect(it).unwrap());
        assert!(find(one.port(), None).unwrap().is_none());
        assert_eq!(streams.each_ref().map(|it| it.nodelay().unwrap()), [true, true, false]);
    }

    #[test]
    fn a_socket_is_quiet_until_something_arrives_or_the_other_end_closes() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for closes in [false, true] {
            let stream = TcpStream::connect(address).unwrap();
            stream.set_nonblocking(true).unwrap();
            let (mut other_end, _) = listener.accept().unwrap();
            let own = stream.local_addr().unwrap();
            let socket = find(address.port(), Some(own)).unwrap().unwrap();
            assert!(socket.is_quiet());
            match closes {
                false => other_end.write_all(b"!").unwrap(),
                true => drop(other_end),
            }
            let arrived = (0..1_000).any(|_| {
                sleep(Duration::from_millis(1));
                !socket.is_quiet()
            });
            assert!(arrived);
        }
        let elsewhere = find(address.port(), listener.local_addr().ok()).unwrap();
        assert!(elsewhere.is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn of_several_sockets_with_one_address_none_is_taken() {
        let near = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = near.local_addr().unwrap();
        let far = TcpListener::bind(("127.0.0.2", target.port())).unwrap();
        let mut own: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let mut found = Vec::new();
        let sockets = [target, far.local_addr().unwrap()].map(|target| {
            let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_reuse_address(true).unwrap();
            socket.bind(&own.into()).unwrap();
            own = socket.local_addr().unwrap().as_socket().unwrap();
            socket.connect(&target.into()).unwrap();
            found.push(find(target.port(), Some(own)).unwrap().is_some());
            socket
        });
        assert_eq!((found, sockets.len()), (vec![true, false], 2));
    }

    #[tokio::test]
    async fn those_of_a_pool_do() {
        let database =
            Database::connect(&postgres::url(), &ConnectOptions::default()).await.unwrap();
        let sql = "SELECT inet_client_port()";
        let mut cursor = database.fetch_raw(sql, vec![]).await.unwrap();
        let batch = cursor.next(1).await.unwrap().unwrap();
        let Some(Value::Integer(port)) = batch.columns[0].get(0) else { panic!("{batch:?}") };
        let mut found = None;
        each_connection(|_, socket, _| {
            let here = socket.local_addr().unwrap().as_socket().unwrap();
            if i64::from(here.port()) == port {
                found = Some(socket.tcp_nodelay().unwrap());
            }
        })
        .unwrap();
        assert_eq!(found, Some(true));
    }
}
