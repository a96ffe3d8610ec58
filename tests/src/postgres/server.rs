//! A cluster in a temporary folder, which is stopped and removed when the process that started it
//! ends.

use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rustix::fs::{StatVfsMountFlags, statvfs};
use tempfile::TempDir;

use super::binaries::Binaries;
use super::certificates::{CLIENT_ROLE, Certificates};
use super::owner::Owner;
use super::{CERTIFICATES, URL, execute};

const USER: &str = "ferro";
/// Percent-encoded in the URL, so that every test also tests decoding.
const PASSWORD: &str = "s3cret/p@ss";
const ENCODED_PASSWORD: &str = "s3cret%2Fp%40ss";

const PATIENCE: Duration = Duration::from_secs(60);

/// Creates a cluster and runs it until standard input is closed, which happens when the other
/// process ends, in whatever way. Then it stops the server at once and removes its folder. As long
/// as there is a file `down` in the folder, a stopped server is not started again.
const WATCHDOG: &str = r#"
folder=$1
initdb=$2
shift 2
exec 3<&0
(
    cat <&3
    while [ -d "$folder" ]; do
        rm -f "$folder/down"
        kill -QUIT "$(head -n 1 "$folder/data/postmaster.pid")"
        sleep 0.1
    done
) >/dev/null 2>&1 &
if "$initdb" --pgdata "$folder/data" --username ferro --pwfile "$folder/password" \
    --auth scram-sha-256 --encoding UTF8 --locale C --no-sync >"$folder/log" 2>&1 </dev/null
then
    while :; do
        "$@" >>"$folder/log" 2>&1 </dev/null &
        wait $!
        [ -e "$folder/down" ] || break
        touch "$folder/is-down"
        while [ -e "$folder/down" ]; do sleep 0.05; done
        rm "$folder/is-down"
    done
fi
tail -n 20 "$folder/log"
rm -rf "$folder"
"#;

/// A running server. It is stopped on drop, and at the end of the process.
#[derive(Debug)]
pub struct Server {
    watchdog: Child,
    folder: PathBuf,
    url: String,
    certificates: Certificates,
    tls: bool,
}

impl Server {
    /// Starts a server that offers TLS, if its programs support it, and waits until it answers.
    ///
    /// # Errors
    ///
    /// What to install if there is no server, or the message of the server.
    pub fn start() -> Result<Self> {
        Self::start_with(true)
    }

    /// As [`start`](Self::start), without TLS.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_without_tls() -> Result<Self> {
        Self::start_with(false)
    }

    /// The URL of its superuser.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificates for the TLS tests; `None` if the server has no TLS.
    #[must_use]
    pub fn certificates(&self) -> Option<&Certificates> {
        self.tls.then_some(&self.certificates)
    }

    /// The folder of its Unix socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.folder
    }

    /// Stops the server, as an operator would, and keeps its data.
    ///
    /// # Errors
    ///
    /// If it does not stop.
    pub fn stop(&self) -> Result<()> {
        fs::write(self.folder.join("down"), "")?;
        let pid = fs::read_to_string(self.lock())?.lines().next().unwrap_or_default().to_owned();
        let killed = Command::new("kill").args(["-INT", &pid]).status()?;
        anyhow::ensure!(killed.success(), "cannot stop the server with the process id {pid}");
        let start = Instant::now();
        // The lock file is removed a moment before the server ends, so wait until the watchdog has
        // seen the end.
        while !self.folder.join("is-down").exists() {
            anyhow::ensure!(start.elapsed() < PATIENCE, "the PostgreSQL server does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Starts the server again after [`stop`](Self::stop), at the same address.
    ///
    /// # Errors
    ///
    /// The message of the server.
    pub fn resume(&mut self) -> Result<()> {
        fs::remove_file(self.folder.join("down"))?;
        self.wait_until_ready()
    }

    /// Variables that let other processes use this server, in Rust and in Python.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let certificates = self.certificates().map(|it| it.folder().display().to_string());
        let certificates = certificates.map(|it| (CERTIFICATES, it));
        [(URL, self.url.clone())].into_iter().chain(certificates).collect()
    }

    fn start_with(tls: bool) -> Result<Self> {
        // Another process may take the port before the server does.
        for _ in 0..3 {
            match Self::try_start(tls) {
                Err(error) if error.to_string().contains("Address already in use") => {}
                other => return other,
            }
        }
        bail!("no free port was found for the PostgreSQL server")
    }

    fn try_start(tls: bool) -> Result<Self> {
        let folder = temporary_folder()?;
        let owner = Owner::of_files_in(folder.path())?;
        owner.take(folder.path())?;
        let binaries = Binaries::find(owner, folder.path())?;
        let certificates = Certificates::create(folder.path().join("certificates"))?;
        let tls = tls && has_tls(owner, &binaries, folder.path());
        fs::write(folder.path().join("password"), PASSWORD)?;
        fs::write(folder.path().join("access"), access(tls))?;
        owner.take(folder.path())?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut command = owner.command("sh");
        command
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(folder.path())
            .arg(binaries.program("initdb"))
            .arg(binaries.program("postgres"))
            .arg("-D")
            .arg(folder.path().join("data"))
            .args(settings(port, folder.path()));
        if tls {
            command.args(tls_settings(&certificates));
        }
        let watchdog = command
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A separate process group: an interrupt from the terminal is for us, and the watchdog
            // outlives us.
            .process_group(0)
            .spawn()?;
        let mut server = Self {
            watchdog,
            // From here on, the watchdog removes the folder.
            folder: folder.keep(),
            url: format!("postgresql://{USER}:{ENCODED_PASSWORD}@127.0.0.1:{port}/postgres"),
            certificates,
            tls,
        };
        server.wait_until_ready()?;
        execute(&server.url, &format!("CREATE ROLE {CLIENT_ROLE} LOGIN"));
        Ok(server)
    }

    /// The lock file: its first line is the process id; its last line is `ready` once it accepts
    /// connections.
    fn lock(&self) -> PathBuf {
        self.folder.join("data/postmaster.pid")
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let start = Instant::now();
        loop {
            if self.watchdog.try_wait()?.is_some() {
                let mut log = String::new();
                if let Some(mut stdout) = self.watchdog.stdout.take() {
                    stdout.read_to_string(&mut log)?;
                }
                bail!("the PostgreSQL server did not start:\n{log}");
            }
            let lock = fs::read_to_string(self.lock()).unwrap_or_default();
            if lock.lines().last().is_some_and(|it| it.trim() == "ready") {
                return Ok(());
            }
            anyhow::ensure!(start.elapsed() < PATIENCE, "the PostgreSQL server does not get ready");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// In memory, if there is enough: creating a database creates a thousand files, which takes five
/// times as long on a disk.
fn temporary_folder() -> Result<TempDir> {
    const MEMORY: &str = "/dev/shm";
    const PLENTY: u64 = 8 << 30;
    let is_roomy = statvfs(MEMORY).is_ok_and(|it| {
        it.f_bavail.saturating_mul(it.f_frsize) >= PLENTY
            && !it.f_flag.contains(StatVfsMountFlags::NOEXEC)
    });
    let mut folder = tempfile::Builder::new();
    folder.prefix("ferro-postgres-");
    if is_roomy && let Ok(folder) = folder.tempdir_in(MEMORY) {
        return Ok(folder);
    }
    Ok(folder.tempdir()?)
}

/// The rules for logging in.
fn access(tls: bool) -> String {
    // A build without TLS rejects these words.
    let certified = match tls {
        true => format!("hostssl all {CLIENT_ROLE} 127.0.0.1/32 cert\n"),
        false => String::new(),
    };
    certified + "host all all 127.0.0.1/32 scram-sha-256\nlocal all all scram-sha-256\n"
}

/// Whether the programs support TLS; some builds, such as those in wheels, do not.
fn has_tls(owner: Owner, binaries: &Binaries, folder: &Path) -> bool {
    let asked = owner
        .command(binaries.program("postgres"))
        .args(["-C", "ssl", "-c", "ssl=on", "-c", "config_file=/dev/null", "-D"])
        .arg(folder)
        .current_dir(folder)
        .output();
    asked.is_ok_and(|it| it.status.success())
}

/// The settings of a temporary cluster: none of its data has to survive a crash.
fn settings(port: u16, folder: &Path) -> Vec<String> {
    let settings = [
        format!("port={port}"),
        format!("hba_file={}", folder.join("access").display()),
        format!("unix_socket_directories={}", folder.display()),
        "listen_addresses=127.0.0.1".into(),
        "max_connections=200".into(),
        "shared_buffers=32MB".into(),
        "fsync=off".into(),
        "synchronous_commit=off".into(),
        "full_page_writes=off".into(),
        "wal_level=minimal".into(),
        "max_wal_senders=0".into(),
    ];
    settings.into_iter().flat_map(|it| ["-c".into(), it]).collect()
}

fn tls_settings(certificates: &Certificates) -> Vec<String> {
    let (certificate, key) = certificates.server();
    let settings = [
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", certificate.display()),
        format!("ssl_key_file={}", key.display()),
        format!("ssl_ca_file={}", certificates.authority().display()),
    ];
    settings.into_iter().flat_map(|it| ["-c".into(), it]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_stops_resumes_and_leaves_nothing_behind() {
        let mut server = Server::start_without_tls().unwrap();
        let folder = server.socket().to_owned();
        execute(server.url(), "SELECT 1");
        assert!(folder.join("data").is_dir());
        let port = server.url().rsplit([':', '/']).nth(1).unwrap().parse::<u16>().unwrap();
        server.stop().unwrap();
        assert!(TcpListener::bind(("127.0.0.1", port)).is_ok());
        server.resume().unwrap();
        execute(server.url(), "SELECT 1");
        drop(server);
        assert!(!folder.exists());
        assert!(TcpListener::bind(("127.0.0.1", port)).is_ok());
    }
}
