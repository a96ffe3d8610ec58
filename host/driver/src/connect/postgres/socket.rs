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
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::fd::{BorrowedFd, RawFd};

use socket2::SockRef;

/// Where a process sees the numbers of its open files.
#[cfg(unix)]
const OPEN: &str = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };

/// The socket of a connection, only for looking at it.
pub(crate) struct Socket(socket2::Socket);

impl Socket {
    /// Whether nothing has arrived that was not read. Before a server closes an idle connection, it
    /// says why, and its system says so if it crashed.
    pub(crate) fn is_quiet(&self) -> bool {
        let looked = self.0.peek(&mut [MaybeUninit::uninit()]);
        looked.is_err_and(|it| it.kind() == io::ErrorKind::WouldBlock)
    }
}

/// Turns off Nagle's algorithm for all connections of this process to a port, and returns the one
/// whose own address is `own`. Other clients' connections to that port are changed too, which no
/// client of PostgreSQL minds.
pub(super) fn find(port: u16, own: Option<SocketAddr>) -> io::Result<Option<Socket>> {
    let mut found = None;
    each_connection(|socket, peer| {
        if peer.port() != port {
            return;
        }
        let _ = socket.set_tcp_nodelay(true);
        if own.is_some() && address(socket) == own {
            found = socket.try_clone().ok().map(Socket);
        }
    })?;
    Ok(found)
}

fn address(socket: &SockRef<'_>) -> Option<SocketAddr> {
    let address = socket.local_addr().ok()?.as_socket()?;
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

#[cfg(not(unix))]
fn each_connection(_: impl FnMut(&SockRef<'_>, SocketAddr)) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn each_connection(mut visit: impl FnMut(&SockRef<'_>, SocketAddr)) -> io::Result<()> {
    for entry in fs::read_dir(OPEN)? {
        let name = entry?.file_name();
        let Some(number) = name.to_str().and_then(|it| it.parse::<RawFd>().ok()) else { continue };
        if number < 0 {
            continue;
        }
        // SAFETY: it is not -1, and not closed here. Whoever owns it may close it meanwhile, as it may
        // be no socket: then the system refuses the calls, or they are about another socket, of which
        // the first one asks where it is connected to. None of them reads or writes any data, and
        // the socket that is cloned is that of a connection which the caller holds.
        let file = unsafe { BorrowedFd::borrow_raw(number) };
        let socket = SockRef::from(&file);
        if let Some(peer) = socket.peer_addr().ok().and_then(|it| it.as_socket()) {
            visit(&socket, peer);
        }
    }
    Ok(())
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

    #[tokio::test]
    async fn those_of_a_pool_do() {
        let database =
            Database::connect(&postgres::url(), &ConnectOptions::default()).await.unwrap();
        let sql = "SELECT inet_client_port()";
        let mut cursor = database.fetch_raw(sql, vec![]).await.unwrap();
        let batch = cursor.next(1).await.unwrap().unwrap();
        let Some(Value::Integer(port)) = batch.columns[0].get(0) else { panic!("{batch:?}") };
        let mut found = None;
        each_connection(|socket, _| {
            let here = socket.local_addr().unwrap().as_socket().unwrap();
            if i64::from(here.port()) == port {
                found = Some(socket.tcp_nodelay().unwrap());
            }
        })
        .unwrap();
        assert_eq!(found, Some(true));
    }
}
