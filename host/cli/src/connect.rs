//! Databases from the command line: `LABEL=URL` and `LABEL=env:NAME`.

use ferro_driver::{ConnectOptions, Database, Databases};

use crate::failure::{Failure, Stage};

/// A label and a URL. The argument is never shown, since it may contain a password.
pub(crate) struct Connection {
    pub(crate) label: String,
    url: String,
}

impl Connection {
    pub(crate) fn parse(argument: &str) -> Result<Self, Failure> {
        let (label, url) = argument.split_once('=').unwrap_or_default();
        let is_name = |it: char| it.is_alphanumeric() || it == '-' || it == '_';
        if label.is_empty() || !label.chars().all(is_name) || url.is_empty() {
            return Err(Failure::usage(
                "a database is given as `LABEL=URL` or `LABEL=env:NAME`, as in \
                 `app=sqlite:app.db`",
            ));
        }
        let url = match url.strip_prefix("env:") {
            None => url.to_owned(),
            // The name is not quoted, since it may be the URL itself.
            Some(name) if !name.chars().all(|it| it.is_alphanumeric() || it == '_') => {
                return Err(Failure::usage(
                    "put the name of a variable after `env:`, as in `app=env:APP_URL`",
                ));
            }
            Some(name) => {
                std::env::var(name).ok().filter(|url| !url.is_empty()).ok_or_else(|| {
                    Failure::usage(format!("there is no URL in the environment variable `{name}`"))
                })?
            }
        };
        Ok(Self { label: label.to_owned(), url })
    }

    /// Parses the connections of one command, each of which must have its own label.
    pub(crate) fn parse_all(arguments: &[String]) -> Result<Vec<Self>, Failure> {
        let mut connections = Vec::<Self>::new();
        for argument in arguments {
            let connection = Self::parse(argument)?;
            if connections.iter().any(|it| it.label == connection.label) {
                let label = connection.label;
                return Err(Failure::usage(format!("`{label}` is given twice: rename one")));
            }
            connections.push(connection);
        }
        Ok(connections)
    }

    pub(crate) async fn open(&self, databases: &Databases) -> Result<Database, Failure> {
        databases.connect(&self.label, &self.url, &ConnectOptions::default()).await.map_err(
            |mut error| {
                error.message = format!("`{}`: {}", self.label, error.message);
                Failure::new(Stage::Connect, error)
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_of_a_variable_is_not_quoted() {
        for argument in ["app=env:postgres://app:hunter2@db/shop", "app=env:hunter2@db"] {
            let line = Connection::parse(argument).map_or_else(|it| it.line(), |it| it.label);
            assert!(line.contains("the name of a variable"), "{line}");
            assert!(!line.contains("hunter2"), "{line}");
        }
    }
}
