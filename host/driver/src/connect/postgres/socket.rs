//! The sockets of connections, which SQLx does not lend: they are searched for among all of this
//! process.
//!
//! A look at the socket shows that the server has closed a connection; otherwise only a ping would.
//! And SQLx 0.9.0 leaves Nagle's algorithm on (its pull request 4336, which is not in a release yet,
//! turns it off): if a message takes several packets, the last one waits until the server confirms
//! the others, which takes 40 ms, for each statement with more than about 16 KB of values, for each
//! stream of rows, and twice while a connection with TLS is opened.

#![allow(unsafe_code, reason = "a socket that SQLx owns is borrowed by its number")]

#[cfg(unix)]
use std::fs;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
#[cfg(unix)]
use std::os::fd::{BorrowedFd, RawFd};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

#[cfg(unix)]
use socket2::SockRef;
use sqlx::{PgConnection, Row as _};
use tokio::task::spawn_blocking;

use crate::run::statement_connection::is_at_rest;

/// Where a process sees the numbers of its open files.
#[cfg(unix)]
const OPEN: &str = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };

/// How often it is looked whether a connection that is being opened has a socket: it waits for the
/// server's address, then for the connection, then for the answer whether there is TLS.
const MOST_LOOKS: u32 = 4;

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

/// Opens a connection with TLS to a port, and turns off Nagle's algorithm as soon as there is a
/// socket.
pub(crate) async fn opened_at_once<F: Future>(port: u16, opening: F) -> F::Output {
    let mut opening = pin!(opening);
    let (mut looks, is_found) = (MOST_LOOKS, Arc::new(AtomicBool::new(false)));
    poll_fn(|context| {
        let polled = opening.as_mut().poll(context);
        if polled.is_pending() && looks > 0 && !is_found.load(Relaxed) {
            looks -= 1;
            let is_found = Arc::clone(&is_found);
            spawn_blocking(move || is_found.fetch_or(send_at_once(port).unwrap_or(true), Relaxed));
        }
        polled
    })
    .await
}

/// Turns off Nagle's algorithm for all connections of this process to a port; returns whether it was
/// on for one.
#[cfg(unix)]
fn send_at_once(port: u16) -> io::Result<bool> {
    let mut was_on = false;
    each_connection(port, |_, socket| was_on |= turn_off_delay(socket))?;
    Ok(was_on)
}

/// Elsewhere, the files of this process are not listed.
#[cfg(not(unix))]
fn send_at_once(_: u16) -> io::Result<bool> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Turns off Nagle's algorithm for all connections of this process to a port, and returns the one
/// whose own address is `own`, if that is a single one: connections to other servers may have the
/// same.
#[cfg(unix)]
pub(crate) fn find(port: u16, own: Option<SocketAddr>) -> io::Result<Option<Socket>> {
    let mut found = Vec::new();
    each_connection(port, |number, socket| {
        turn_off_delay(socket);
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

/// Turns off Nagle's algorithm if it is on; returns whether it was. Other clients' connections to a
/// port of PostgreSQL are changed too, which none of them minds.
#[cfg(unix)]
fn turn_off_delay(socket: &SockRef<'_>) -> bool {
    socket.tcp_nodelay().is_ok_and(|it| !it) && socket.set_tcp_nodelay(true).is_ok()
}

/// Visits the connections of this process to a port.
#[cfg(unix)]
fn each_connection(port: u16, mut visit: impl FnMut(RawFd, &SockRef<'_>)) -> io::Result<()> {
    for entry in fs::read_dir(OPEN)? {
        let name = entry?.file_name();
        let Some(number) = name.to_str().and_then(|it| it.parse::<RawFd>().ok()) else { continue };
        if number < 0 {
            continue;
        }
        with_socket(number, |socket| {
            let peer = socket.peer_addr().ok().and_then(|it| it.as_socket());
            if peer.is_some_and(|it| it.port() == port) {
                visit(number, socket);
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

    #[tokio::test]
    async fn a_connection_sends_at_once_while_it_is_opened() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let opening = async {
            let stream = tokio::net::TcpStream::connect(address).await.unwrap();
            for _ in 0..1_000 {
                if stream.nodelay().unwrap() {
                    return true;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            false
        };
        assert!(opened_at_once(address.port(), opening).await);
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
        let url = postgres::url();
        let database = Database::connect(&url, &ConnectOptions::default()).await.unwrap();
        let sql = "SELECT inet_client_port()";
        let mut cursor = database.fetch_raw(sql, vec![]).await.unwrap();
        let batch = cursor.next(1).await.unwrap().unwrap();
        let Some(Value::Integer(port)) = batch.columns[0].get(0) else { panic!("{batch:?}") };
        let mut found = None;
        let server = url.rsplit(':').next().and_then(|it| it.split('/').next()).unwrap();
        each_connection(server.parse().unwrap(), |_, socket| {
            let here = socket.local_addr().unwrap().as_socket().unwrap();
            if i64::from(here.port()) == port {
                found = Some(socket.tcp_nodelay().unwrap());
            }
        })
        .unwrap();
        assert_eq!(found, Some(true));
    }
}
