//! Converts errors of the databases to Ferro's: kind, code, and the constraint, table and column if
//! the database reports them.

mod postgres;
mod sqlite;

use std::future::Future;
use std::panic::AssertUnwindSafe;

use ferro_wit::types::{Dialect, Error, ErrorKind};
use futures_util::FutureExt as _;
use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;

pub(crate) fn invalid_configuration(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfiguration, message)
}

/// Catches panics of SQLx while it reads an answer of PostgreSQL: it trusts the sizes that the
/// server sends, and panics if they are wrong. The connection is then in doubt, and is not used
/// again.
///
/// The future is passed pinned: moved, it would be stored again in each enclosing future.
pub(crate) async fn caught<T>(
    answer: impl Future<Output = Result<T, sqlx::Error>> + Unpin,
) -> Result<T, sqlx::Error> {
    let answer = AssertUnwindSafe(answer).catch_unwind().await;
    answer.unwrap_or_else(|_| Err(sqlx::Error::Protocol("a message is not what it says".into())))
}

/// Converts the error of a statement, a pool or a connection.
pub(crate) fn from_sqlx(error: &sqlx::Error, dialect: Dialect) -> Error {
    use sqlx::Error as E;
    match error {
        E::Database(error) => from_database(&**error, dialect),
        E::Configuration(source) => Error::new(ErrorKind::InvalidConfiguration, source.to_string()),
        E::InvalidArgument(message) => Error::new(ErrorKind::InvalidQuery, message.as_str()),
        E::Io(source) => Error::new(
            ErrorKind::ConnectionFailed,
            format!("the connection to the database broke: {source}"),
        ),
        E::Tls(source) => Error::new(ErrorKind::TlsFailed, source.to_string()),
        E::Protocol(message) => Error::new(
            ErrorKind::Internal,
            format!("the answer of the database cannot be understood: {message}"),
        ),
        E::RowNotFound => Error::new(ErrorKind::NotFound, "an expected row is missing"),
        E::TypeNotFound { type_name } => Error::new(
            ErrorKind::UndefinedObject,
            format!("the database has no type `{type_name}`"),
        ),
        // SQLx looks up the types of a statement, and found a category of types that it does not
        // know.
        E::ColumnDecode { index, .. } if index.trim_matches('"') == "typtype" => Error::new(
            ErrorKind::Unsupported,
            "the statement has a column or a parameter of a type that cannot be read, such as a \
             multirange: cast it to text",
        ),
        E::ColumnDecode { index, source } => Error {
            column: Some(index.trim_matches('"').to_owned()),
            ..Error::new(
                ErrorKind::DecodeFailed,
                format!("a value of column {index} cannot be decoded: {source}"),
            )
        },
        E::Decode(source) => {
            Error::new(ErrorKind::DecodeFailed, format!("a value cannot be decoded: {source}"))
        }
        E::Encode(source) => {
            Error::new(ErrorKind::TypeMismatch, format!("a value cannot be sent: {source}"))
        }
        E::PoolTimedOut => {
            Error::new(ErrorKind::Busy, "no connection of the pool was free in time")
                .with_code(Error::POOL_TIMEOUT)
                .retryable()
        }
        E::PoolClosed => closed(),
        E::WorkerCrashed => {
            Error::new(ErrorKind::ConnectionFailed, "the connection's thread has ended")
        }
        E::BeginFailed => {
            Error::new(ErrorKind::Internal, "the database did not begin the transaction")
        }
        other => Error::new(ErrorKind::Internal, other.to_string()),
    }
}

/// The error of a pool that was disconnected.
pub(crate) fn closed() -> Error {
    Error::new(
        ErrorKind::ConnectionFailed,
        "the database was disconnected: connect it again before using it",
    )
}

fn from_database(error: &dyn DatabaseError, dialect: Dialect) -> Error {
    match (dialect, error.try_downcast_ref::<PgDatabaseError>()) {
        (Dialect::Postgres, Some(error)) => postgres::describe(error),
        _ => sqlite::describe(error.code().and_then(|it| it.parse().ok()), error.message()),
    }
}
