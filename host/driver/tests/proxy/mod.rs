//! A way to a server that does what the network may do.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// They arrive.
    Pass,
    /// They are lost, and what waits for an answer waits.
    Lose,
    /// They arrive, and then the connection ends on both sides.
    Cut,
    /// They are lost with the connection.
    CutBefore,
}

/// Who sent them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    Client,
    Server,
}

/// A URL that leads to the server of another one, through a network with a will of its own. It is
/// not encrypted, so that bytes can be told apart.
pub async fn through(
    url: &str,
    fate: impl Fn(Sender, &[u8]) -> Fate + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (user, rest) = url.rsplit_once('@').unwrap();
    let (address, path) = rest.split_once('/').unwrap();
    let address = address.to_owned();
    let fate = Arc::new(fate);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (address, fate) = (address.clone(), Arc::clone(&fate));
            tokio::spawn(async move {
                let server = TcpStream::connect(address).await.unwrap();
                carry(client, server, &*fate).await;
            });
        }
    });
    format!("{user}@127.0.0.1:{port}/{path}?sslmode=disable")
}

/// Carries bytes both ways until one side ends, or fate ends both.
async fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    fate: &(impl Fn(Sender, &[u8]) -> Fate + Sync),
) {
    let (mut asked, mut answered) = ([0; 16 << 10], [0; 16 << 10]);
    loop {
        let (sender, bytes) = tokio::select! {
            read = client.read(&mut asked) => (Sender::Client, read.map(|it| &asked[..it])),
            read = server.read(&mut answered) => (Sender::Server, read.map(|it| &answered[..it])),
        };
        let Ok(bytes @ [_, ..]) = bytes else { return };
        let fate = fate(sender, bytes);
        if matches!(fate, Fate::Pass | Fate::Cut) {
            let to = if sender == Sender::Client { &mut server } else { &mut client };
            if to.write_all(bytes).await.is_err() {
                return;
            }
        }
        if fate == Fate::Cut && sender == Sender::Client {
            // The server has to get what it was sent before it sees the end.
            let _ = server.read(&mut answered).await;
        }
        if matches!(fate, Fate::Cut | Fate::CutBefore) {
            return;
        }
    }
}
