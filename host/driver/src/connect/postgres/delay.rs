//! Connections that send small packets at once.
//!
//! SQLx 0.9.0 leaves Nagle's algorithm on, and lends nobody its socket (its pull request 4336, which
//! no version has yet, turns the algorithm off: then this file can go). Of what takes several packets,
//! the last one then waits for a sign that the others have arrived, which a server gives after 40 ms:
//! of each statement with more than about 16 KB of values, and of each stream of rows. So the sockets
//! of this process are looked through for those that are connected to the server.

#![allow(unsafe_code, reason = "a socket that SQLx owns is borrowed by its number")]

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, RawFd};

use socket2::SockRef;

/// Where a process sees the numbers of its open files.
const OPEN: &str = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };

/// Has all TCP connections of this process to some port send at once. Those of others to that port do,
/// too, as all clients of PostgreSQL want it.
pub(super) fn send_at_once(port: u16) -> io::Result<()> {
    each_connection(|socket, peer| {
        if peer.port() == port {
            let _ = socket.set_tcp_nodelay(true);
        }
    })
}

fn each_connection(mut visit: impl FnMut(&SockRef<'_>, SocketAddr)) -> io::Result<()> {
    for entry in fs::read_dir(OPEN)? {
        let name = entry?.file_name();
        let Some(number) = name.to_str().and_then(|it| it.parse::<RawFd>().ok()) else { continue };
        if number < 0 {
            continue;
        }
        // SAFETY: it is not -1, and not closed here. Whoever owns it may close it meanwhile, as it may
        // be no socket: then the system refuses the calls, or they are about another socket, of which
        // the first one asks where it is connected to. None of them reads or writes any data.
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

    use std::net::{TcpListener, TcpStream};

    use ferro_test_support::postgres;
    use ferro_wit::types::Value;

    use super::*;
    use crate::{ConnectOptions, Database};

    #[test]
    fn connections_to_a_port_send_at_once_and_no_others() {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [one, other] = listeners.each_ref().map(|it| it.local_addr().unwrap());
        let streams = [one, one, other].map(|it| TcpStream::connect(it).unwrap());
        send_at_once(one.port()).unwrap();
        assert_eq!(streams.each_ref().map(|it| it.nodelay().unwrap()), [true, true, false]);
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
