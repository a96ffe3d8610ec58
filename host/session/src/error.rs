//! Errors as reported to plugins: kind, code, and a message in Ferro's own words.

use ferro_wit::schema::{Model, Schema};
use ferro_wit::types::{Error, ErrorKind};

use crate::policy::Policy;

/// An error of the driver or the server, as reported to a plugin. A server's message may contain
/// values of rows, names outside the scope, hosts and roles, so its text is dropped; constraint,
/// table and column are kept if they are in the scope.
pub(crate) fn for_plugin(error: &Error, policy: &Policy, schema: &Schema) -> Error {
    let is_subject = |model: &&Model| match (&error.table, &error.constraint) {
        (Some(table), _) => is_table(model, table),
        (None, Some(constraint)) => has_check(model, constraint),
        (None, None) => false,
    };
    let model = schema.models.iter().find(|it| is_subject(it) && policy.sees_model(it));
    let visible = |columns: &&str| model.is_some_and(|model| sees_columns(policy, model, columns));
    let column = error.column.as_deref().filter(visible);
    let named = |name: &&str| model.is_some_and(|model| !names_hidden(policy, model, name));
    let constraint = error.constraint.as_deref().filter(named);
    let table = model.and(error.table.as_deref());
    Error {
        kind: error.kind,
        message: match is_about_the_call(error) || is_about_a_value(error, column) {
            true => error.message.clone(),
            false => message(error.kind, constraint, table, column),
        },
        code: error.code.clone(),
        constraint: constraint.map(str::to_owned),
        table: table.map(str::to_owned),
        column: column.map(str::to_owned),
        retryable: error.retryable,
    }
}

/// Whether the driver rejected the caller's input before sending anything: the message is Ferro's,
/// and only about the caller's own statement and parameters.
fn is_about_the_call(error: &Error) -> bool {
    let kinds = [
        ErrorKind::Denied,
        ErrorKind::InvalidQuery,
        ErrorKind::ReadOnly,
        ErrorKind::TypeMismatch,
        ErrorKind::ValueOutOfRange,
    ];
    !error.is_from_database() && error.table.is_none() && kinds.contains(&error.kind)
}

/// Whether the driver could not read a value of a column in the scope: the message is Ferro's, and
/// only about a row that the caller can read.
fn is_about_a_value(error: &Error, visible_column: Option<&str>) -> bool {
    error.kind == ErrorKind::DecodeFailed && !error.is_from_database() && visible_column.is_some()
}

fn is_table(model: &Model, table: &str) -> bool {
    let full = model.full_table_name();
    full == table || full.rsplit_once('.').is_some_and(|(_, name)| name == table)
}

/// Whether a check belongs to a model, by the name from the model or the core, which is all that
/// SQLite reports about a failed check.
fn has_check(model: &Model, constraint: &str) -> bool {
    let named = |parts: &[&str]| constraint == parts.join("_");
    let table = model.full_table_name();
    model.checks.iter().any(|check| check.name.as_deref() == Some(constraint))
        || named(&[&table, "check"])
        || model.fields.iter().any(|field| named(&[&table, field.column_name(), "check"]))
}

/// Whether all columns of a list, `a` or `a, b`, are in the scope.
fn sees_columns(policy: &Policy, model: &Model, columns: &str) -> bool {
    columns.split(", ").all(|column| {
        let mut fields = model.fields.iter();
        fields.any(|field| field.column_name() == column && policy.sees_field(model, field))
    })
}

/// Whether the name of a constraint may reveal a column outside the scope: such names usually
/// contain those of the columns.
fn names_hidden(policy: &Policy, model: &Model, constraint: &str) -> bool {
    let constraint = constraint.to_lowercase();
    let mut hidden = model.fields.iter().filter(|field| !policy.sees_field(model, field));
    hidden.any(|field| constraint.contains(&field.column_name().to_lowercase()))
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
        ErrorKind::NotFound => "a required row does not exist",
        ErrorKind::UniqueViolation => "a row with the same key already exists",
        ErrorKind::ForeignKeyViolation => {
            "a row refers to one that does not exist, or others still refer to a row being deleted"
        }
        ErrorKind::NotNullViolation => "a required value is missing",
        ErrorKind::CheckViolation => "a value violates a check",
        ErrorKind::ExclusionViolation => "a row conflicts with another one",
        ErrorKind::SerializationFailure => {
            "the transaction conflicted with another one: run it \
                                            again"
        }
        ErrorKind::Deadlock => "transactions waited for each other: run this one again",
        ErrorKind::Busy => {
            "a connection, a lock or this transaction is in use: end what is open, or try again"
        }
        ErrorKind::Timeout => "the statement took too long, and was stopped",
        ErrorKind::Cancelled => "the statement was cancelled",
        ErrorKind::LimitExceeded => "a limit of the database is reached",
        ErrorKind::Denied => "the database denied access",
        ErrorKind::ReadOnly => "the database or the transaction is read-only",
        ErrorKind::InvalidQuery => "the query does not match its values",
        ErrorKind::InvalidSchema => "the models do not match the database",
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
        ErrorKind::Unsupported => "the database does not support this",
        ErrorKind::Internal => "an internal error; the operator's log has the details",
    }
}

#[cfg(test)]
mod tests {
    use ferro_wit::policy::FieldSet;

    use super::*;
    use crate::grant::{Grant, TableGrant};

    fn schema() -> Schema {
        let field = |name: &str| {
            format!(
                r#"{{
            "name": "{name}", "kind": {{"text": null}}, "nullable": false, "unique": false,
            "indexed": false, "generated-key": false, "version": false
        }}"#
            )
        };
        let model = |name: &str| {
            format!(
                r#"{{
            "name": "{name}", "fields": [{}, {}], "primary-key": ["id"], "foreign-keys": [],
            "many-to-manys": [], "indexes": [], "checks": []
        }}"#,
                field("id"),
                field("secret")
            )
        };
        let json =
            format!(r#"{{"models": [{}, {}], "enums": []}}"#, model("Note"), model("Hidden"));
        serde_json::from_str(&json).unwrap()
    }

    fn seen(error: Error) -> Error {
        let table = TableGrant::read_only().read(FieldSet::Only(vec!["id".into()]));
        let grant = Grant::read_only().table("note", table);
        let schema = schema();
        for_plugin(&error, &Policy::new(&grant, &schema).unwrap(), &schema)
    }

    fn violation(table: &str, column: &str, constraint: &str) -> Error {
        Error {
            code: Some("23505".into()),
            table: Some(table.into()),
            column: Some(column.into()),
            constraint: Some(constraint.into()),
            ..Error::new(ErrorKind::UniqueViolation, "Key (id)=(hunter2) on db.internal")
        }
    }

    #[test]
    fn k2_a_message_of_the_server_is_replaced_by_ferros_words() {
        let error = seen(violation("note", "id", "note_id_key"));
        assert_eq!(
            error.message,
            "a row with the same key already exists: constraint `note_id_key`, table `note`, \
             column `id`"
        );
        assert_eq!(error.code.as_deref(), Some("23505"));
        assert_eq!(error.column.as_deref(), Some("id"));
    }

    #[test]
    fn k2_names_outside_the_scope_are_left_out() {
        let named = |error: Error| (error.table, error.column, error.constraint);
        assert_eq!(named(seen(violation("hidden", "id", "hidden_id_key"))), (None, None, None));
        assert_eq!(named(seen(violation("pg_class", "id", "x"))), (None, None, None));
        let note = || Some("note".to_owned());
        let column = seen(violation("note", "secret", "note_Secret_key"));
        assert_eq!(named(column), (note(), None, None));
        let columns = seen(violation("note", "id, secret", "by_owner"));
        assert_eq!(named(columns), (note(), None, Some("by_owner".into())));
        let no_table = |name: &str| named(seen(Error { table: None, ..violation("", "id", name) }));
        for name in ["note_id_key", "hidden_id_check", "note_other_check", "note_secret_check"] {
            assert_eq!(no_table(name).2, None, "{name}");
        }
    }

    #[test]
    fn a_failed_check_of_sqlite_is_named_though_its_table_is_not() {
        let failed = Error {
            constraint: Some("note_id_check".into()),
            ..Error::new(ErrorKind::CheckViolation, "CHECK constraint failed: note_id_check")
        };
        assert_eq!(seen(failed.clone()).constraint, failed.constraint);
    }

    #[test]
    fn k2_a_value_that_cannot_be_read_is_explained_if_its_column_is_in_the_scope() {
        let unreadable =
            |column: &str| Error { code: None, constraint: None, ..violation("note", column, "") };
        let unreadable = |column| Error { kind: ErrorKind::DecodeFailed, ..unreadable(column) };
        assert_eq!(seen(unreadable("id")), unreadable("id"));
        let hidden = seen(unreadable("secret"));
        assert_eq!(hidden.message, "a stored value cannot be decoded: table `note`");
        let of_server = seen(Error { code: Some("22P02".into()), ..unreadable("id") });
        assert!(!of_server.message.contains("hunter2"), "{of_server}");
    }

    #[test]
    fn k2_hosts_and_roles_stay_with_the_operator() {
        for kind in [ErrorKind::ConnectionFailed, ErrorKind::AuthenticationFailed, ErrorKind::Busy]
        {
            let error = seen(Error::new(kind, "role `app` at db.internal:5432"));
            assert!(!error.message.contains("app") && !error.message.contains("5432"), "{error}");
        }
    }

    #[test]
    fn a_fault_of_the_callers_own_values_keeps_its_explanation() {
        let fault = Error::new(ErrorKind::TypeMismatch, "parameter 1 is text, not an integer");
        assert_eq!(seen(fault.clone()), fault);
        let from_server = Error { code: Some("22P02".into()), ..fault };
        assert_eq!(seen(from_server).message, "a value has the wrong type");
    }
}
