//! A cluster in a temporary folder, which stops and goes when whoever started it does.

use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::binaries::Binaries;
use super::certificates::{CLIENT_ROLE, Certificates};
use super::owner::Owner;
use super::{CERTIFICATES, URL, execute};

const USER: &str = "ferro";
/// Percent-encoded in the URL, so that every test of a URL decodes it.
const PASSWORD: &str = "s3cret/p@ss";
const ENCODED_PASSWORD: &str = "s3cret%2Fp%40ss";

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the server until standard input ends, which it does whenever the process at its other end
/// dies, however it dies. Then the server is stopped at once and its folder removed.
const WATCHDOG: &str = r#"
folder=$1
shift
exec 3<&0
"$@" >"$folder/log" 2>&1 </dev/null &
server=$!
( cat <&3 >/dev/null; kill -QUIT "$server" ) >/dev/null 2>&1 &
wait "$server"
tail -n 20 "$folder/log"
rm -rf "$folder"
"#;

/// A running server. Dropping it stops it, and so does the end of the process.
#[derive(Debug)]
pub struct Server {
    watchdog: Child,
    folder: PathBuf,
    url: String,
    certificates: Certificates,
    tls: bool,
}

impl Server {
    /// Starts a server that offers TLS, if its programs can, and waits until it answers.
    ///
    /// # Errors
    ///
    /// Says what to install if there is no server to start, or what the server said.
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

    /// What the tests of TLS need; none if the server has no TLS.
    #[must_use]
    pub fn certificates(&self) -> Option<&Certificates> {
        self.tls.then_some(&self.certificates)
    }

    /// The folder of its Unix socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.folder
    }

    /// Variables that let other processes use this server, in Rust and in Python.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let certificates = self.certificates().map(|it| it.folder().display().to_string());
        let certificates = certificates.map(|it| (CERTIFICATES, it));
        [(URL, self.url.clone())].into_iter().chain(certificates).collect()
    }

    fn start_with(tls: bool) -> Result<Self> {
        // Someone else may take the port between our look and the server's.
        for _ in 0..3 {
            match Self::try_start(tls) {
                Err(error) if error.to_string().contains("Address already in use") => {}
                other => return other,
            }
        }
        bail!("no free port was found for the PostgreSQL server")
    }

    fn try_start(tls: bool) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("ferro-postgres-").tempdir()?;
        let owner = Owner::of_files_in(folder.path())?;
        owner.take(folder.path())?;
        let binaries = Binaries::find(owner, folder.path())?;
        let certificates = Certificates::create(folder.path().join("certificates"))?;
        let data = create_cluster(owner, &binaries, folder.path())?;
        let tls = tls && has_tls(owner, &binaries, &data);
        write_access(&data, tls)?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut command = owner.command("sh");
        command
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(folder.path())
            .arg(binaries.program("postgres"))
            .arg("-D")
            .arg(&data)
            .args(settings(port, folder.path()));
        if tls {
            command.args(tls_settings(&certificates));
        }
        let watchdog = command
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Not in our group: the terminal's interrupt is for us, and the watchdog outlives us.
            .process_group(0)
            .spawn()?;
        let mut server = Self {
            watchdog,
            // From here on the watchdog removes it.
            folder: folder.keep(),
            url: format!("postgresql://{USER}:{ENCODED_PASSWORD}@127.0.0.1:{port}/postgres"),
            certificates,
            tls,
        };
        server.wait_until_ready(&data)?;
        execute(&server.url, &format!("CREATE ROLE {CLIENT_ROLE} LOGIN"));
        Ok(server)
    }

    /// The last line of its lock file says `ready` once it takes connections.
    fn wait_until_ready(&mut self, data: &Path) -> Result<()> {
        let start = Instant::now();
        loop {
            if self.watchdog.try_wait()?.is_some() {
                let mut log = String::new();
                if let Some(mut stdout) = self.watchdog.stdout.take() {
                    stdout.read_to_string(&mut log)?;
                }
                bail!("the PostgreSQL server did not start:\n{log}");
            }
            let lock = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
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

fn create_cluster(owner: Owner, binaries: &Binaries, folder: &Path) -> Result<PathBuf> {
    let data = folder.join("data");
    let password = folder.join("password");
    fs::write(&password, PASSWORD)?;
    owner.take(folder)?;
    let output = owner
        .command(binaries.program("initdb"))
        .args(["--username", USER, "--auth", "scram-sha-256", "--encoding", "UTF8"])
        .args(["--locale", "C", "--no-sync"])
        .arg("--pwfile")
        .arg(&password)
        .arg("--pgdata")
        .arg(&data)
        .current_dir(folder)
        .output()
        .context("cannot run `initdb`")?;
    let log = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "`initdb` failed:\n{log}");
    Ok(data)
}

/// Who may log in, and how.
fn write_access(data: &Path, tls: bool) -> Result<()> {
    let mut access = String::new();
    // A build without TLS does not know the words.
    if tls {
        access += &format!("hostssl all {CLIENT_ROLE} 127.0.0.1/32 cert\n");
    }
    access += "host all all 127.0.0.1/32 scram-sha-256\nlocal all all scram-sha-256\n";
    Ok(fs::write(data.join("pg_hba.conf"), access)?)
}

/// Some builds leave TLS out, those in wheels for one.
fn has_tls(owner: Owner, binaries: &Binaries, data: &Path) -> bool {
    let asked = owner
        .command(binaries.program("postgres"))
        .args(["-C", "ssl", "-c", "ssl=on", "-D"])
        .arg(data)
        .current_dir(data)
        .output();
    asked.is_ok_and(|it| it.status.success())
}

/// Made to be thrown away: nothing of it has to survive a crash.
fn settings(port: u16, folder: &Path) -> Vec<String> {
    let settings = [
        format!("port={port}"),
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
    fn a_server_stops_and_leaves_nothing_behind() {
        let server = Server::start_without_tls().unwrap();
        let folder = server.socket().to_owned();
        execute(server.url(), "SELECT 1");
        assert!(folder.join("data").is_dir());
        let port = server.url().rsplit([':', '/']).nth(1).unwrap().parse::<u16>().unwrap();
        drop(server);
        assert!(!folder.exists());
        assert!(TcpListener::bind(("127.0.0.1", port)).is_ok());
    }
}
