//! A way to a server that does what the network may do.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

/// What becomes of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// They arrive.
    Pass,
    /// They arrive after a while.
    Late(Duration),
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
    let fate = Arc::new(fate);
    serve(url, move |client, server| {
        let fate = Arc::clone(&fate);
        async move { carry(client, server, &*fate).await }
    })
    .await
}

/// A network that may forget its connections: nothing of them arrives any more, and neither end is
/// told.
#[derive(Debug, Clone, Default)]
pub struct Network {
    forgotten: Arc<AtomicUsize>,
    gone: Arc<AtomicBool>,
}

impl Network {
    /// The connections of now fall silent.
    pub fn forget(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
    }

    /// So do those that are opened from now on.
    pub fn vanish(&self) {
        self.gone.store(true, Ordering::SeqCst);
        self.forget();
    }
}

/// A URL that leads to the server of another one through such a network.
pub async fn forgetful(url: &str) -> (String, Network) {
    let network = Network::default();
    let known = network.clone();
    let url = serve(url, move |client, server| {
        let Network { forgotten, gone } = known.clone();
        let born = forgotten.load(Ordering::SeqCst);
        async move {
            let fate = move |_, _: &[u8]| match gone.load(Ordering::SeqCst)
                || forgotten.load(Ordering::SeqCst) > born
            {
                true => Fate::Lose,
                false => Fate::Pass,
            };
            carry(client, server, &fate).await;
        }
    });
    (url.await, network)
}

/// A URL that leads to the server of another one through a pooler which lends its sessions by
/// transaction: between any two of them, others prepare statements of theirs in the session.
pub async fn pooled(url: &str) -> String {
    serve(url, |client, server| share(client, server, "")).await
}

/// The same, and the others use SQLx as we do: theirs has the name that our first statement has.
pub async fn pooled_with_names(url: &str) -> String {
    serve(url, |client, server| share(client, server, "sqlx_s_1")).await
}

/// Listens for clients and connects each to the server of a URL; the URL that leads there.
async fn serve<F>(
    url: &str,
    connect: impl Fn(TcpStream, TcpStream) -> F + Send + Sync + 'static,
) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (user, rest) = url.rsplit_once('@').unwrap();
    let (address, path) = rest.split_once('/').unwrap();
    let address = address.to_owned();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&address).await.unwrap();
            tokio::spawn(connect(client, server));
        }
    });
    format!("{user}@127.0.0.1:{port}/{path}?sslmode=disable")
}

/// Carries messages both ways. Before a client hears that its transaction has ended, others have
/// had the session.
async fn share(client: TcpStream, server: TcpStream, name: &str) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, to_server) = server.into_split();
    let to_server = Arc::new(Mutex::new(to_server));
    let asking = Arc::clone(&to_server);
    tokio::spawn(async move {
        let mut asked = [0; 16 << 10];
        while let Ok(length @ 1..) = from_client.read(&mut asked).await {
            if asking.lock().await.write_all(&asked[..length]).await.is_err() {
                return;
            }
        }
        let _ = asking.lock().await.shutdown().await;
    });
    let mut is_prepared = name.is_empty();
    while let Some(message) = message(&mut from_server).await {
        is_prepared |= message == PREPARED;
        if message == IDLE && is_prepared {
            let mut others = to_server.lock().await;
            others.write_all(&work_of_others(name)).await.unwrap();
            for _ in 0..2 {
                while self::message(&mut from_server).await.is_some_and(|it| it != IDLE) {}
            }
        }
        if to_client.write_all(&message).await.is_err() {
            return;
        }
    }
}

/// The server waits, outside any transaction.
const IDLE: &[u8] = b"Z\0\0\0\x05I";

/// It has prepared a statement.
const PREPARED: &[u8] = b"1\0\0\0\x04";

/// A message of the server, whole.
async fn message(server: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut message = vec![0; 5];
    server.read_exact(&mut message).await.ok()?;
    let length = u32::from_be_bytes(message[1..].try_into().unwrap()) as usize;
    message.resize(length + 1, 0);
    server.read_exact(&mut message[5..]).await.ok()?;
    Some(message)
}

/// They prepare a statement, with a name or without.
fn work_of_others(name: &str) -> Vec<u8> {
    let mut work = Vec::new();
    let mut send = |kind: u8, body: &[u8]| {
        work.push(kind);
        work.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
        work.extend_from_slice(body);
    };
    send(b'Q', b"DEALLOCATE ALL\0");
    send(b'P', format!("{name}\0SELECT 'of another' AS another\0\0\0").as_bytes());
    send(b'S', b"");
    work
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
        if let Fate::Late(after) = fate {
            tokio::time::sleep(after).await;
        }
        if matches!(fate, Fate::Pass | Fate::Late(_) | Fate::Cut) {
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
