//! What a plugin may learn of a failure: its kind and code, and a message in Ferro's own words.

use ferro_wit::schema::{Model, Schema};
use ferro_wit::types::{Error, ErrorKind};

use crate::names::{column_of, may_be_same, table_of};
use crate::policy::Policy;

/// The error as a plugin gets it. A server's message may carry values of rows, names outside the
/// scope, hosts and roles, so none of its text is kept; constraint, table and column are, if they
/// are in the scope.
pub(crate) fn for_plugin(error: &Error, policy: &Policy, schema: &Schema) -> Error {
    let model = error.table.as_deref().and_then(|table| {
        let models = schema.models.iter().filter(|model| policy.sees_model(model));
        models.into_iter().find(|model| is_table(model, table))
    });
    let column = model.and_then(|model| {
        let column = error.column.as_deref()?;
        let field = model.fields.iter().find(|field| column_of(field) == column)?;
        policy.sees_field(model, field).then(|| column.to_owned())
    });
    let constraint = model.and_then(|model| {
        let constraint = error.constraint.as_deref()?;
        (!names_hidden_column(constraint, model, policy)).then(|| constraint.to_owned())
    });
    let table = model.and(error.table.clone());
    Error {
        message: message(error.kind, constraint.as_deref(), table.as_deref(), column.as_deref()),
        kind: error.kind,
        code: error.code.clone(),
        constraint,
        table,
        column,
        retryable: error.retryable,
    }
}

fn is_table(model: &Model, table: &str) -> bool {
    let full = table_of(model);
    full == table || full.rsplit_once('.').is_some_and(|(_, name)| name == table)
}

/// Names of constraints are usually made of the names of their columns.
fn names_hidden_column(constraint: &str, model: &Model, policy: &Policy) -> bool {
    let hidden = model.fields.iter().filter(|field| !policy.sees_field(model, field));
    hidden.map(column_of).any(|column| {
        constraint.to_ascii_lowercase().contains(&column.to_ascii_lowercase())
            || may_be_same(constraint, column)
    })
}

fn message(
    kind: ErrorKind,
    constraint: Option<&str>,
    table: Option<&str>,
    column: Option<&str>,
) -> String {
    let places = [("constraint", constraint), ("table", table), ("column", column)];
    let places: Vec<_> =
        places.into_iter().filter_map(|(what, name)| Some(format!("{what} `{}`", name?))).collect();
    match places.is_empty() {
        true => words(kind).to_owned(),
        false => format!("{}: {}", words(kind), places.join(", ")),
    }
}

fn words(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "a row that had to exist does not",
        ErrorKind::UniqueViolation => "a row with the same key exists already",
        ErrorKind::ForeignKeyViolation => {
            "a row refers to one that does not exist, or one that is referred to would go"
        }
        ErrorKind::NotNullViolation => "a value is missing that has to be there",
        ErrorKind::CheckViolation => "a value does not pass a check",
        ErrorKind::ExclusionViolation => "a row conflicts with another one",
        ErrorKind::SerializationFailure => "the transaction lost against another one: run it again",
        ErrorKind::Deadlock => "transactions waited for each other: run this one again",
        ErrorKind::Busy => "no connection or lock was free in time: try again later",
        ErrorKind::Timeout => "the database took too long, and was told to stop",
        ErrorKind::Cancelled => "the statement was cancelled",
        ErrorKind::LimitExceeded => "a limit of the database is reached",
        ErrorKind::Denied => "the database denied access",
        ErrorKind::ReadOnly => "the database or the transaction is read-only",
        ErrorKind::InvalidQuery => "the query does not fit its values",
        ErrorKind::InvalidSchema => "the models do not fit the database",
        ErrorKind::TypeMismatch => "a value has the wrong type",
        ErrorKind::ValueOutOfRange => "a value is out of the range of its type",
        ErrorKind::Syntax => "the database does not understand the statement",
        ErrorKind::UndefinedObject => "a table, column or function does not exist",
        ErrorKind::DecodeFailed => "a stored value cannot be decoded",
        ErrorKind::InvalidConfiguration => "the database is not set up correctly",
        ErrorKind::ConnectionFailed
        | ErrorKind::AuthenticationFailed
        | ErrorKind::DatabaseMissing
        | ErrorKind::TlsFailed => "the database cannot be reached",
        ErrorKind::OutcomeUnknown => {
            "the connection broke during the commit: it may or may not have happened"
        }
        ErrorKind::Unsupported => "the database has no such feature",
        ErrorKind::Internal => "an internal error; the operator's log has the details",
    }
}
