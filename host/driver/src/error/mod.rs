//! Errors of the databases as Ferro's: kind, code, and the constraint, table and column where the
//! database names them.

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

/// What SQLx makes of an answer of PostgreSQL. It takes servers at their word about sizes, and panics
/// where that is a lie. The connection is in doubt then, and nobody uses it again.
///
/// The answer comes pinned: moved, it would take its place anew in each future around it.
pub(crate) async fn caught<T>(
    answer: impl Future<Output = Result<T, sqlx::Error>> + Unpin,
) -> Result<T, sqlx::Error> {
    let answer = AssertUnwindSafe(answer).catch_unwind().await;
    answer.unwrap_or_else(|_| Err(sqlx::Error::Protocol("a message is not what it says".into())))
}

/// The error of a statement, of a pool or of a connection.
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
        // A kind of type that SQLx does not know, where it asks for those of a statement.
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

/// What a pool answers after it was disconnected.
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
