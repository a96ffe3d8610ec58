//! TLS as a PostgreSQL URL requests it, never weaker.

use std::fmt;
use std::path::{Path, PathBuf};

use ferro_wit::types::Error;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sqlx::postgres::PgSslMode;

use super::parameters::Parameters;
use crate::error::invalid_configuration;

/// From weak to strong; the order is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TlsMode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// The files are only named here; they are read when the pool is created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tls {
    pub(super) mode: TlsMode,
    pub(super) root: Option<PathBuf>,
    /// The certificate of the client and its key.
    pub(super) identity: Option<(PathBuf, PathBuf)>,
}

/// The contents of the files, in PEM format.
pub(super) struct Certificates {
    /// Empty: only the public certificate authorities.
    pub(super) root: Vec<u8>,
    pub(super) identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl Tls {
    pub(super) fn parse(parameters: &Parameters) -> Result<Self, Error> {
        let mode = match parameters.get("sslmode") {
            None => TlsMode::Prefer,
            Some(name) => TlsMode::parse(name)?,
        };
        let path = |name| parameters.get(name).map(PathBuf::from);
        let root = path("sslrootcert");
        let identity = match (path("sslcert"), path("sslkey")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(invalid_configuration("`sslcert` and `sslkey` need each other")),
        };
        if mode < TlsMode::Require && (root.is_some() || identity.is_some()) {
            return Err(invalid_configuration(format!(
                "certificates contradict `sslmode={mode}`, under which nothing is verified: use \
                 `sslmode=verify-full`, `verify-ca` or `require`"
            )));
        }
        match (mode, &root) {
            (TlsMode::VerifyCa, None) => Err(invalid_configuration(
                "`sslmode=verify-ca` needs `sslrootcert`, the file of the authority to trust; \
                 with a certificate of a public authority use `sslmode=verify-full`",
            )),
            // A root certificate is given in order to verify the server against it.
            (TlsMode::Require, Some(_)) => Ok(Self { mode: TlsMode::VerifyCa, root, identity }),
            _ => Ok(Self { mode, root, identity }),
        }
    }

    pub(super) async fn read(&self) -> Result<Certificates, Error> {
        let root = match &self.root {
            Some(path) => read_certificates("sslrootcert", path).await?,
            None => Vec::new(),
        };
        let identity = match &self.identity {
            Some((certificate, key)) => Some((
                read_certificates("sslcert", certificate).await?,
                read_key("sslkey", key).await?,
            )),
            None => None,
        };
        Ok(Certificates { root, identity })
    }
}

impl TlsMode {
    fn parse(name: &str) -> Result<Self, Error> {
        Ok(match name {
            "disable" => Self::Disable,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            "allow" => {
                return Err(invalid_configuration(
                    "`sslmode=allow` encrypts only where it must: use `prefer` or a stronger one",
                ));
            }
            other => {
                return Err(invalid_configuration(format!(
                    "`sslmode={other}` is unknown: use `disable`, `prefer`, `require`, \
                     `verify-ca` or `verify-full`"
                )));
            }
        })
    }
}

impl From<TlsMode> for PgSslMode {
    fn from(mode: TlsMode) -> Self {
        match mode {
            TlsMode::Disable => Self::Disable,
            TlsMode::Prefer => Self::Prefer,
            TlsMode::Require => Self::Require,
            TlsMode::VerifyCa => Self::VerifyCa,
            TlsMode::VerifyFull => Self::VerifyFull,
        }
    }
}

impl fmt::Display for TlsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        })
    }
}

async fn read_certificates(parameter: &str, path: &Path) -> Result<Vec<u8>, Error> {
    let pem = read(parameter, path).await?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(pem),
        _ => Err(invalid_configuration(format!(
            "`{parameter}`: the file `{}` contains no PEM certificate",
            path.display()
        ))),
    }
}

async fn read_key(parameter: &str, path: &Path) -> Result<Vec<u8>, Error> {
    let pem = read(parameter, path).await?;
    match PrivateKeyDer::from_pem_slice(&pem) {
        Ok(_) => Ok(pem),
        Err(_) => Err(invalid_configuration(format!(
            "`{parameter}`: the file `{}` contains no unencrypted PEM private key",
            path.display()
        ))),
    }
}

async fn read(parameter: &str, path: &Path) -> Result<Vec<u8>, Error> {
    tokio::fs::read(path).await.map_err(|cause| {
        invalid_configuration(format!("`{parameter}`: cannot read `{}`: {cause}", path.display()))
    })
}
