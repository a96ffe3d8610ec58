//! URLs of PostgreSQL, and the connections that they ask for.

mod refusal;
mod socket;

use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ferro_wit::types::Error;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, PgPool};

use self::refusal::Failure;
pub(crate) use self::socket::{Socket, find, opened_at_once, seen_address};
use super::failure;
use super::parameters::Parameters;
use super::parts::{FORM, Parts, parse_port, unreadable};
use super::secret::Secret;
use super::settings;
use super::tls::{Tls, TlsMode};
use crate::backend::Backend;
use crate::error::{caught, invalid_configuration};
use crate::options::PoolOptions;
use crate::run::statement_connection::is_at_rest;
use crate::vigil::Inquiry;

const PARAMETERS: [&str; 11] = [
    "host",
    "port",
    "user",
    "password",
    "dbname",
    "application_name",
    "options",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
];

/// The ports that PgBouncer and Supabase's pooler have by their own defaults. Statements that are kept
/// there may be run instead of others: <https://www.pgbouncer.org/features.html>.
const POOLERS: [u16; 2] = [6432, 6543];
/// How long a server has to answer a farewell.
pub(crate) const FAREWELL: Duration = Duration::from_millis(200);
/// How often a server looks whether its client is still there, while it runs a statement.
const WATCH: &str = "client_connection_check_interval";
/// How long it takes at most that it notices: the interval that it is told, and a little.
pub(crate) const NOTICED: Duration = Duration::from_millis(600);
/// The first version that can.
const WATCHES_SINCE: u32 = 140_000;

/// Has the server end what it runs soon after we close the connection, instead of at the next row it
/// sends. This needs no second connection as a cancel request does, stops nobody else's statement,
/// and holds if this process dies. `before` are statements to send first, in the same round trip,
/// or in one of their own where the server refuses the setting.
pub(crate) async fn watch(connection: &mut PgConnection, before: &str) -> Result<(), sqlx::Error> {
    let can_watch = connection.server_version_num().is_some_and(|it| it >= WATCHES_SINCE);
    let mut refused = None;
    if can_watch {
        // Not sent at the start, where older servers and poolers would refuse the connection for it.
        let set = format!("{before}SET {WATCH} = '500ms'");
        match sqlx::raw_sql(AssertSqlSafe(set)).execute(&mut *connection).await {
            // A server on a system that does not tell it of closed connections. It undid all of it.
            Err(error) if is_at_rest(&error) => refused = Some(error),
            outcome => return outcome.map(drop),
        }
    }
    if !before.is_empty() {
        sqlx::raw_sql(AssertSqlSafe(before)).execute(connection).await?;
    }
    // It was the setting that was refused, not what came before it.
    if let Some(error) = refused {
        tracing::debug!(%error, "abandoned statements may keep running");
    }
    Ok(())
}

/// A server and what to say to it: all that a URL holds, and nothing from the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    host: Host,
    port: u16,
    user: String,
    password: Option<Secret>,
    database: String,
    application_name: String,
    settings: Vec<(String, String)>,
    tls: Tls,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Name(String),
    /// The folder of a Unix socket.
    Socket(PathBuf),
}

impl Server {
    /// Reads what follows `postgresql:`.
    pub(super) fn parse(rest: &str) -> Result<Self, Error> {
        let rest = rest
            .strip_prefix("//")
            .ok_or_else(|| invalid_configuration(format!("the URL needs `//`: {FORM}")))?;
        let parts = Parts::split(rest)?;
        let parameters = Parameters::parse(parts.query, &PARAMETERS)?;
        let one_of = |name, given: Option<String>| match (given, parameters.get(name)) {
            (Some(_), Some(_)) => Err(invalid_configuration(format!(
                "the URL gives `{name}` twice, once before the `?` and once after it"
            ))),
            (given, parameter) => Ok(given.or_else(|| parameter.map(str::to_owned))),
        };
        let host = one_of("host", parts.host)?;
        let port = one_of("port", parts.port)?;
        let user = one_of("user", parts.user)?.map_or_else(account, Ok)?;
        let password = one_of("password", parts.password)?.map(Secret::new);
        let database = one_of("dbname", parts.database)?.unwrap_or_else(|| user.clone());
        let host = Host::parse(host.as_deref().unwrap_or("localhost"))?;
        let tls = Tls::parse(&parameters)?;
        if matches!(host, Host::Socket(_)) && tls.mode >= TlsMode::Require {
            return Err(invalid_configuration(
                "a Unix socket has no TLS: leave `sslmode` out, or name the host",
            ));
        }
        Ok(Self {
            host,
            port: port.as_deref().map_or(Ok(5432), parse_port)?,
            user,
            password,
            database,
            application_name: parameters.get("application_name").unwrap_or("ferro").to_owned(),
            settings: parameters.get("options").map_or(Ok(Vec::new()), settings::parse)?,
            tls,
        })
    }

    /// What every connection is opened with.
    ///
    /// SQLx fills its options from `PG*` variables first. Each field is set here, so that none of
    /// them gets through; those that cannot be unset are refused.
    pub(super) async fn connect_options(&self, capacity: usize) -> Result<PgConnectOptions, Error> {
        refuse_from_environment("PGOPTIONS", "options")?;
        if self.tls.identity.is_none() && self.tls.mode != TlsMode::Disable {
            refuse_from_environment("PGSSLCERT", "sslcert")?;
            refuse_from_environment("PGSSLKEY", "sslkey")?;
        }
        let certificates = self.tls.read().await?;
        let mut options = PgConnectOptions::new_without_pgpass()
            .port(self.port)
            .username(&self.user)
            .password(self.password.as_ref().map_or("", Secret::expose))
            .database(&self.database)
            .application_name(&self.application_name)
            // Values travel in binary, and some poolers refuse the parameter.
            .extra_float_digits(None)
            .statement_cache_capacity(capacity)
            .ssl_mode(self.tls.mode.into())
            .ssl_root_cert_from_pem(certificates.root)
            // Statements are the caller's business, and may hold what is not meant for a log.
            .disable_statement_logging();
        if !self.settings.is_empty() {
            options = options.options(self.settings.iter().map(|(name, value)| (name, value)));
        }
        if let Some((certificate, key)) = certificates.identity {
            options = options.ssl_client_cert_from_pem(certificate).ssl_client_key_from_pem(key);
        }
        Ok(match &self.host {
            Host::Name(name) => options.host(name),
            // SQLx checks the host as a name for TLS even where it goes through a socket.
            Host::Socket(folder) => {
                options.host("localhost").socket(folder).ssl_mode(PgSslMode::Disable)
            }
        })
    }

    /// Whether a pooler listens at the port, of those that may hand out connections by transaction.
    pub(super) fn is_pooler(&self) -> bool {
        POOLERS.contains(&self.port)
    }

    /// Whether connections may be told to [`watch`]: behind a pooler that hands out connections by
    /// transaction the setting would be another's, and the URL may have it already.
    pub(super) fn can_watch(&self, capacity: usize) -> bool {
        capacity > 0 && !self.settings.iter().any(|(name, _)| name == WATCH)
    }

    /// Makes a pool and has it open its first connection, so that whatever is wrong is known at once,
    /// and settles what `prefer` comes to.
    pub(super) async fn settle(
        &self,
        options: PgConnectOptions,
        make: impl Fn(PgConnectOptions) -> PgPool,
        limits: &PoolOptions,
        has_session: bool,
    ) -> Result<(PgPool, Arc<Inquiry>, Backend), Error> {
        let timeout = limits.connect_timeout;
        let make = |options| {
            let pool = make(options);
            let inquiry = Arc::new(Inquiry::new(pool.connect_options(), limits, has_session));
            (pool, inquiry)
        };
        if self.tls.mode == TlsMode::Prefer && matches!(self.host, Host::Name(_)) {
            let (pool, inquiry) = make(options.clone().ssl_mode(PgSslMode::Require));
            // A server that has TLS now and not later is an attack or a mistake.
            if let Some(first) = self.first(&pool, &inquiry, timeout).await? {
                return Ok((pool, inquiry, first));
            }
            self.warn_if_remote("the server offers no TLS");
        } else if self.tls.mode == TlsMode::Disable {
            self.warn_if_remote("the URL says `sslmode=disable`");
        }
        let (pool, inquiry) = make(options);
        let first = self.first(&pool, &inquiry, timeout).await?;
        let first = first.ok_or_else(|| self.explain(Failure::NoTls, timeout))?;
        Ok((pool, inquiry, first))
    }

    /// The first connection of a pool; none if it needs TLS, which the server does not offer.
    async fn first(
        &self,
        pool: &PgPool,
        inquiry: &Arc<Inquiry>,
        timeout: Duration,
    ) -> Result<Option<Backend>, Error> {
        let options = pool.connect_options();
        let look = || async {
            match in_time(timeout, open(&options)).await {
                // The pool hears the same, and then it depends on the mode what that means.
                Err(Failure::NoTls) => Ok(()),
                opened => opened.map_err(|it| self.explain(it, timeout)),
            }
        };
        tokio::select! {
            biased;
            opened = async { Backend::open(pool, inquiry).await.map_err(Failure::from) } => {
                match opened {
                    Ok(first) => Ok(Some(first)),
                    Err(Failure::NoTls) => Ok(None),
                    Err(failure) => Err(self.explain(failure, timeout)),
                }
            }
            error = failure(Instant::now() + timeout, look) => {
                Err(error.unwrap_or_else(|| self.explain(Failure::Late, timeout)))
            }
        }
    }

    /// Opens and closes one connection, within a time.
    pub(super) async fn probe(
        &self,
        options: &PgConnectOptions,
        timeout: Duration,
    ) -> Result<(), Error> {
        let opened = in_time(timeout, open(options)).await;
        opened.map_err(|failure| self.explain(failure, timeout))
    }

    fn warn_if_remote(&self, reason: &str) {
        if self.is_remote() {
            tracing::warn!(
                server = %self.address(),
                "the connection is not encrypted: {reason}; use `sslmode=verify-full`, or \
                 `require` at least"
            );
        }
    }

    fn is_remote(&self) -> bool {
        match &self.host {
            Host::Socket(_) => false,
            Host::Name(name) => {
                name != "localhost" && !name.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
            }
        }
    }

    /// Where the server is, for messages.
    pub(crate) fn address(&self) -> String {
        match &self.host {
            Host::Name(name) if name.contains(':') => format!("[{name}]:{}", self.port),
            Host::Name(name) => format!("{name}:{}", self.port),
            Host::Socket(folder) => format!("{}/.s.PGSQL.{}", folder.display(), self.port),
        }
    }
}

/// Opens and closes one connection.
async fn open(options: &PgConnectOptions) -> Result<(), Failure> {
    let connection = caught(pin!(options.connect())).await?;
    // The answer to a farewell changes nothing.
    let _ = tokio::time::timeout(FAREWELL, connection.close()).await;
    Ok(())
}

async fn in_time<T>(
    timeout: Duration,
    opening: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(timeout, opening).await.unwrap_or(Err(Failure::Late))
}

impl Host {
    fn parse(host: &str) -> Result<Self, Error> {
        if host.starts_with('/') {
            return Ok(Self::Socket(host.into()));
        }
        if host.contains(',') {
            return Err(invalid_configuration(
                "the URL names several hosts: give each its own connection",
            ));
        }
        let known = |it: char| it.is_alphanumeric() || "-._:".contains(it);
        match !host.is_empty() && host.chars().all(known) {
            true => Ok(Self::Name(host.to_owned())),
            false => Err(unreadable("the host")),
        }
    }
}

/// The account that this process runs as, which is the user where a URL names none, as for libpq. It
/// is asked of the system, not of the environment.
fn account() -> Result<String, Error> {
    whoami::username().map_err(|_| {
        invalid_configuration(format!(
            "the URL names no user, and the account of this process has no name: use the form \
             {FORM}"
        ))
    })
}

fn refuse_from_environment(variable: &str, parameter: &str) -> Result<(), Error> {
    match std::env::var_os(variable) {
        Some(value) if !value.is_empty() => Err(invalid_configuration(format!(
            "`{variable}` is set in the environment, which is not read: unset it, and write `\
             {parameter}` in the URL if you need it"
        ))),
        _ => Ok(()),
    }
}
