//! Certificates for the TLS tests, created for each server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// The role that can log in only with the client certificate.
pub(super) const CLIENT_ROLE: &str = "certified";

/// Files in PEM format. The server certificate is issued to `localhost` only: `127.0.0.1` does not
/// match.
#[derive(Debug, Clone)]
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    pub(super) fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Creates all of them in a new folder.
    pub(super) fn create(folder: PathBuf) -> Result<Self> {
        fs::create_dir(&folder)?;
        let it = Self { folder };
        let authority = authority("Ferro test authority", &it.authority())?;
        authority_of_others(&it.other_authority())?;
        leaf(&authority, "localhost", ExtendedKeyUsagePurpose::ServerAuth, &it.server())?;
        leaf(&authority, CLIENT_ROLE, ExtendedKeyUsagePurpose::ClientAuth, &it.client())?;
        Ok(it)
    }

    /// The folder of all files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The authority that signed the server's certificate and the client's.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// An authority that signed nothing.
    #[must_use]
    pub fn other_authority(&self) -> PathBuf {
        self.folder.join("other-authority.pem")
    }

    /// The certificate and the key with which the role `certified` logs in, without a password.
    #[must_use]
    pub fn client(&self) -> (PathBuf, PathBuf) {
        self.pair("client")
    }

    /// The certificate and the key of the server.
    pub(super) fn server(&self) -> (PathBuf, PathBuf) {
        self.pair("server")
    }

    fn pair(&self, name: &str) -> (PathBuf, PathBuf) {
        (self.folder.join(format!("{name}.pem")), self.folder.join(format!("{name}.key")))
    }
}

fn authority(name: &str, path: &Path) -> Result<Issuer<'static, KeyPair>> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate()?;
    fs::write(path, params.self_signed(&key)?.pem())?;
    Ok(Issuer::new(params, key))
}

fn authority_of_others(path: &Path) -> Result<()> {
    authority("Another authority", path).map(drop)
}

fn leaf(
    authority: &Issuer<'_, KeyPair>,
    name: &str,
    usage: ExtendedKeyUsagePurpose,
    (certificate, key_path): &(PathBuf, PathBuf),
) -> Result<()> {
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate()?;
    fs::write(certificate, params.signed_by(&key, authority)?.pem())?;
    fs::write(key_path, key.serialize_pem())?;
    // The server rejects a key that others may read.
    fs::set_permissions(key_path, fs::Permissions::from_mode(0o600))?;
    Ok(())
}
