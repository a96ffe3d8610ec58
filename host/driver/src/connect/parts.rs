//! Splits the URL of a server into its parts, strictly, and without repeating any of it in errors.

use ferro_wit::types::Error;

use super::parameters::decode;
use crate::error::invalid_configuration;

/// The form of a URL, for messages.
pub(super) const FORM: &str = "`postgresql://user:password@host:5432/database`";

/// The parts of a URL before they are interpreted. All are decoded except the query.
pub(super) struct Parts<'a> {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) host: Option<String>,
    pub(super) port: Option<String>,
    pub(super) database: Option<String>,
    pub(super) query: &'a str,
}

impl<'a> Parts<'a> {
    /// No message repeats any part of the URL: until it is split, anything may be the password.
    pub(super) fn split(rest: &'a str) -> Result<Self, Error> {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        if rest.contains(['@', '#']) {
            return Err(invalid_configuration(
                "the URL has an `@` or a `#` after the host: percent-encode `@`, `:`, `/`, `?`, \
                 `#` and `%` in user, password and parameters (`@` is `%40`, `/` is `%2F`)",
            ));
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = path.strip_prefix('/').unwrap_or(path);
        if path.contains('/') {
            return Err(invalid_configuration(
                "the path of the URL has several parts: write `/` in a name as `%2F`",
            ));
        }
        let (userinfo, address) = match authority.rsplit_once('@') {
            Some((userinfo, address)) => (userinfo, address),
            None => ("", authority),
        };
        let (user, password) = match userinfo.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (userinfo, None),
        };
        let (host, port) = split_address(address)?;
        let part = |text: &str, subject| match text.is_empty() {
            true => Ok(None),
            false => decode(text, subject).map(Some),
        };
        Ok(Self {
            user: part(user, "the user")?,
            password: password.map(|it| decode(it, "the password")).transpose()?,
            host: part(host, "the host")?,
            port: part(port, "the port")?,
            database: part(path, "the database")?,
            query,
        })
    }
}

/// `host:port`, `[::1]:port`, or only one of them.
fn split_address(address: &str) -> Result<(&str, &str), Error> {
    if let Some(rest) = address.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or_else(|| unreadable("the host"))?;
        return match port.strip_prefix(':') {
            Some(port) => Ok((host, port)),
            None if port.is_empty() => Ok((host, "")),
            None => Err(unreadable("the port")),
        };
    }
    match address.split_once(':') {
        Some((host, port)) => Ok((host, port)),
        None => Ok((address, "")),
    }
}

pub(super) fn parse_port(port: &str) -> Result<u16, Error> {
    match port.parse() {
        Ok(0) | Err(_) => Err(unreadable("the port")),
        Ok(port) => Ok(port),
    }
}

pub(super) fn unreadable(part: &str) -> Error {
    invalid_configuration(format!(
        "{part} of the URL cannot be read: use the form {FORM}, with `@`, `:`, `/`, `?`, `#` and \
         `%` percent-encoded in user and password"
    ))
}
