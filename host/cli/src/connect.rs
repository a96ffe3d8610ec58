//! Databases from the command line: `LABEL=URL` and `LABEL=env:NAME`.

use ferro_driver::{ConnectOptions, Database, Databases};

use crate::failure::{Failure, Stage};

/// A label and a URL. The text that it was read from is never shown: it may hold a password.
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
            Some(name) => {
                std::env::var(name).ok().filter(|url| !url.is_empty()).ok_or_else(|| {
                    Failure::usage(format!("there is no URL in the environment variable `{name}`"))
                })?
            }
        };
        Ok(Self { label: label.to_owned(), url })
    }

    /// Those of one command, each under a label of its own.
    pub(crate) fn parse_all(arguments: &[String]) -> Result<Vec<Self>, Failure> {
        let mut connections = Vec::<Self>::new();
        for argument in arguments {
            let connection = Self::parse(argument)?;
            if connections.iter().any(|it| it.label == connection.label) {
                let label = connection.label;
                return Err(Failure::usage(format!(
                    "`{label}` is given twice: name one otherwise"
                )));
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
