//! SQLite URLs, and the options of every connection.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};

use ferro_wit::types::{Dialect, Error, ErrorKind};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions as _, SqliteConnection};

use super::collation;
use super::parameters::{Parameters, decode};
use crate::error::{from_sqlx, invalid_configuration};
use crate::options::ConnectOptions;

const FORMS: &str = "`sqlite:path`, `sqlite://path` and `sqlite::memory:`";

/// Reads the file, and also works with an empty one.
pub(crate) const READ: &str = "SELECT count(*) FROM sqlite_schema";

/// Where a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    File { path: PathBuf, mode: Mode },
    Memory,
}

/// What may be done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Read, write, and create it if it is missing.
    Create,
    /// Read and write.
    Write,
    Read,
}

impl Location {
    /// Reads what follows `sqlite:`.
    pub(super) fn parse(rest: &str) -> Result<Self, Error> {
        if rest.contains('#') {
            return Err(invalid_configuration("the URL has a `#`: write it as `%23` in a path"));
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = path.strip_prefix("//").unwrap_or(path);
        let parameters = Parameters::parse(query, &["mode"])?;
        if path == ":memory:" {
            return match parameters.get("mode") {
                None | Some("memory") => Ok(Self::Memory),
                Some(mode) => Err(invalid_configuration(format!(
                    "`mode={mode}` contradicts `:memory:`: leave one of them out"
                ))),
            };
        }
        let mode = match parameters.get("mode") {
            // The path is then only a name, by which nothing else can open the database.
            Some("memory") => return Ok(Self::Memory),
            Some("rwc") => Mode::Create,
            None | Some("rw") => Mode::Write,
            Some("ro") => Mode::Read,
            Some(other) => {
                return Err(invalid_configuration(format!(
                    "`mode={other}` is unknown: use `rwc` (create if missing), `rw`, `ro` or \
                     `memory`"
                )));
            }
        };
        if path.is_empty() {
            return Err(invalid_configuration(format!("the URL has no path: use {FORMS}")));
        }
        let path = decode(path, "the path")?;
        Ok(Self::File { path: plain_path(&path), mode })
    }

    /// Checks the file first: SQLite would only report that it cannot open it.
    pub(super) async fn ensure(&self) -> Result<(), Error> {
        let Self::File { path, mode } = self else {
            return Ok(());
        };
        let shown = path.display();
        match tokio::fs::metadata(path).await {
            Ok(found) if found.is_dir() => {
                Err(invalid_configuration(format!("`{shown}` is a folder, not a database file")))
            }
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => match mode {
                Mode::Create => ensure_folder(path).await,
                Mode::Write | Mode::Read => Err(missing(format!(
                    "there is no file `{shown}`: check the path, or have it created with \
                     `?mode=rwc` at the end of the URL"
                ))),
            },
            Err(error) => Err(cannot_open(path, &error.to_string())),
        }
    }

    /// The options for every connection to the database.
    pub(super) fn connect_options(&self, options: &ConnectOptions) -> SqliteConnectOptions {
        let base = SqliteConnectOptions::new()
            .busy_timeout(options.sqlite.busy_timeout)
            .foreign_keys(options.sqlite.foreign_keys)
            // This makes `LIKE` the same on both databases; `ilike` lowercases both sides.
            .pragma("case_sensitive_like", "ON")
            // The schema of a file is not trusted with functions that have side effects.
            .pragma("trusted_schema", "OFF")
            .pragma("cell_size_check", "ON")
            .collation(collation::NAME, collation::compare)
            // The driver logs statements itself; SQLx would log them with what is not meant for a
            // log.
            .disable_statement_logging();
        match self {
            Self::File { path, mode } => {
                let base = base
                    .filename(path)
                    .create_if_missing(*mode == Mode::Create)
                    .read_only(*mode == Mode::Read);
                match options.sqlite.wal && *mode != Mode::Read {
                    true => base.journal_mode(SqliteJournalMode::Wal),
                    false => base,
                }
            }
            // This VFS keeps files in the memory of the process. A name with a slash is shared by
            // all connections that know it, with file locks, so that connections wait for each
            // other; a shared cache would return `SQLITE_LOCKED` at once.
            Self::Memory => base
                .filename(format!("/ferro-{:016x}{:016x}", random(), random()))
                .create_if_missing(true)
                .vfs("memdb"),
        }
    }

    /// Opens a connection and reads from the file, which may not be a database.
    pub(super) async fn open(
        &self,
        options: &SqliteConnectOptions,
    ) -> Result<SqliteConnection, Error> {
        self.ensure().await?;
        let attempt = async {
            let mut connection = options.connect().await?;
            sqlx::query(READ).execute(&mut connection).await?;
            Ok(connection)
        };
        attempt.await.map_err(|error: sqlx::Error| self.describe(&error))
    }

    /// The error of SQLite, with the path of the file.
    pub(super) fn describe(&self, error: &sqlx::Error) -> Error {
        let cause = from_sqlx(error, Dialect::Sqlite);
        let Self::File { path, .. } = self else {
            return cause;
        };
        let shown = path.display();
        match cause.kind {
            ErrorKind::InvalidConfiguration => {
                Error { message: format!("`{shown}` is not a database of SQLite"), ..cause }
            }
            ErrorKind::ConnectionFailed => {
                Error { code: cause.code, ..cannot_open(path, &cause.message) }
            }
            _ => Error { message: format!("cannot open `{shown}`: {}", cause.message), ..cause },
        }
    }
}

/// A path that SQLite can only read as a path: `:memory:` and `file:` have special meanings.
fn plain_path(path: &str) -> PathBuf {
    match path.starts_with(':') || path.starts_with("file:") {
        true => Path::new(".").join(path),
        false => PathBuf::from(path),
    }
}

async fn ensure_folder(path: &Path) -> Result<(), Error> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match tokio::fs::metadata(folder).await {
        Ok(found) if found.is_dir() => Ok(()),
        _ => Err(missing(format!(
            "there is no folder `{}` for the file `{}`: create the folder first",
            folder.display(),
            path.display()
        ))),
    }
}

fn missing(message: String) -> Error {
    Error::new(ErrorKind::DatabaseMissing, message)
}

fn cannot_open(path: &Path, cause: &str) -> Error {
    let message = format!(
        "cannot open `{}`: {cause}; check the permissions of the file and of its folder",
        path.display()
    );
    Error::new(ErrorKind::ConnectionFailed, message)
}

/// A random name, from the random keys of the standard library, so that nobody else can open the
/// database.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, mode: Mode) -> Location {
        Location::File { path: path.into(), mode }
    }

    #[test]
    fn every_documented_form_of_url_is_read() {
        for (rest, expected) in [
            ("app.db", file("app.db", Mode::Write)),
            ("//app.db", file("app.db", Mode::Write)),
            ("/var/app.db?mode=rwc", file("/var/app.db", Mode::Create)),
            ("///var/app.db?mode=ro", file("/var/app.db", Mode::Read)),
            ("//folder/a%23b%3F.db?mode=rw", file("folder/a#b?.db", Mode::Write)),
            (":memory:", Location::Memory),
            ("//:memory:", Location::Memory),
            (":memory:?mode=memory", Location::Memory),
            ("//?mode=memory", Location::Memory),
            ("name?mode=memory", Location::Memory),
        ] {
            assert_eq!(Location::parse(rest), Ok(expected), "{rest}");
        }
    }

    #[test]
    fn n2_what_is_not_understood_is_refused_by_name() {
        for (rest, expected) in [
            ("app.db?mode=rwx", "`mode=rwx` is unknown: use `rwc`"),
            ("app.db?cache=shared", "`cache`: known are `mode`"),
            ("app.db?vfs=memdb", "`vfs`"),
            ("app.db?mode=ro&mode=rw", "`mode` more than once"),
            (":memory:?mode=ro", "`mode=ro` contradicts `:memory:`"),
            ("", "no path"),
            ("//?mode=rw", "no path"),
            ("a#b.db", "write it as `%23`"),
            ("a%zz.db", "`%25`"),
        ] {
            let error = Location::parse(rest).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidConfiguration);
            assert!(error.message.contains(expected), "{rest}: {error}");
        }
    }

    #[test]
    fn an_encoded_path_cannot_turn_into_a_uri_or_into_memory() {
        for (rest, path) in [
            ("file%3Ax%3Fmode%3Dmemory", "./file:x?mode=memory"),
            ("%3Amemory%3A", "./:memory:"),
            ("file:x", "./file:x"),
        ] {
            assert_eq!(Location::parse(rest), Ok(file(path, Mode::Write)), "{rest}");
        }
    }
}
