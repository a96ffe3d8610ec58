//! Strict parsing of percent-encoding and of the part of a URL after the `?`.

use ferro_wit::types::Error;
use percent_encoding::percent_decode_str;

use crate::error::invalid_configuration;

/// The parameter whose value may contain an unescaped `&`, and so continue in what looks like the
/// next parameter.
const PASSWORD: &str = "password";

/// Pairs `name=value`, each of them known and given only once.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn parse(query: &str, known: &[&str]) -> Result<Self, Error> {
        let mut parameters = Self(Vec::new());
        for pair in query.split('&').filter(|it| !it.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !known.contains(&name) {
                let after_password = parameters.get(PASSWORD).is_some();
                return Err(unknown(pair, after_password, known));
            }
            if parameters.get(name).is_some() {
                return Err(invalid_configuration(format!(
                    "the URL has the parameter `{name}` more than once"
                )));
            }
            if value.is_empty() {
                return Err(invalid_configuration(format!(
                    "the parameter `{name}` of the URL has no value"
                )));
            }
            let value = decode(value, &format!("the parameter `{name}`"))?;
            parameters.0.push((name.to_owned(), value));
        }
        Ok(parameters)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }
}

fn unknown(pair: &str, after_password: bool, known: &[&str]) -> Error {
    // A name that does not look like one may be a part of a password; after a password, any may.
    let name = pair.split_once('=').map(|(name, _)| name);
    let name = name.filter(|it| it.bytes().all(|it| it.is_ascii_lowercase() || it == b'_'));
    let (shown, hint) = match name {
        _ if after_password => ("one after the password".to_owned(), "; write `&` itself as `%26`"),
        Some("pgbouncer") => (
            "`pgbouncer`".to_owned(),
            "; for a pooler set the option `statement_cache_capacity` to 0",
        ),
        Some(name) => (format!("`{name}`"), ""),
        None => ("one that is not a name".to_owned(), ""),
    };
    invalid_configuration(format!(
        "the URL has an unknown parameter, {shown}: known are {}{hint}",
        list(known)
    ))
}

/// Lists names as "`a`, `b` and `c`".
pub(super) fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => format!("`{one}`"),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(|it| format!("`{it}`")).collect();
            format!("{} and `{last}`", first.join(", "))
        }
    }
}

/// Decodes percent-encoding. `subject` names the part of the URL, whose text may be secret.
pub(super) fn decode(text: &str, subject: &str) -> Result<String, Error> {
    let bad = |what: &str| invalid_configuration(format!("{subject} of the URL {what}"));
    for rest in text.split('%').skip(1) {
        if !rest.as_bytes().get(..2).is_some_and(|it| it.iter().all(u8::is_ascii_hexdigit)) {
            return Err(bad("has a `%` without two hexadecimal digits: write `%` itself as `%25`"));
        }
    }
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| bad("is not UTF-8"))?;
    match decoded.contains('\0') {
        true => Err(bad("has a NUL character")),
        false => Ok(decoded.into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(query: &str) -> String {
        Parameters::parse(query, &["mode", "host"]).unwrap_err().message
    }

    #[test]
    fn parameters_are_known_unique_and_not_empty() {
        let parameters = Parameters::parse("mode=a%20b+c&host=x", &["mode", "host"]).unwrap();
        assert_eq!(parameters.get("mode"), Some("a b+c"));
        assert_eq!(parameters.get("host"), Some("x"));
        assert!(fault("mod=x").contains("`mod`: known are `mode` and `host`"));
        assert!(fault("mode=x&mode=x").contains("`mode` more than once"));
        assert!(fault("mode").contains("`mode` of the URL has no value"));
        assert!(fault("mode=%2").contains("write `%` itself as `%25`"));
        assert!(fault("mode=%ff").contains("not UTF-8"));
        assert!(fault("mode=%00").contains("NUL"));
        assert!(fault("pgbouncer=true").contains("statement_cache_capacity"));
    }

    #[test]
    fn k1_what_may_be_a_piece_of_a_password_is_not_repeated() {
        for query in ["hunter2%21=x", "hunter", "hunter2=x", "Hunter=x", "mode=a&hunter"] {
            let fault = fault(query).to_ascii_lowercase();
            assert!(fault.contains("not a name") && !fault.contains("hunter"), "{query}: {fault}");
        }
        for query in ["password=first&hunter", "password=first&hunter=x&mode=a"] {
            let fault = Parameters::parse(query, &["mode", "password"]).unwrap_err().message;
            assert!(fault.contains("`%26`") && !fault.contains("hunter"), "{query}: {fault}");
        }
    }
}
