//! Conditions of models, which are data, as SQL.

use ferro_wit::schema::{Check, CheckTest, Comparison};
use ferro_wit::types::{Dialect, Value};

use crate::catalog::Model;
use crate::dialect::{Spelling as _, constants};
use crate::sql::quoted;

/// A condition on a row: any of the groups holds, all terms of a group hold.
pub(super) fn sql(dialect: Dialect, model: &Model, check: &Check) -> String {
    let groups: Vec<_> = check
        .any_of
        .iter()
        .map(|group| {
            let terms = group.iter().filter_map(|term| {
                let field = model.field(&term.field)?;
                test(dialect, model, &field.column, &field.kind, &term.test)
            });
            terms.collect::<Vec<_>>().join(" AND ")
        })
        .collect();
    match groups.as_slice() {
        [group] => group.clone(),
        groups => format!("({})", groups.join(") OR (")),
    }
}

fn test(
    dialect: Dialect,
    model: &Model,
    column: &str,
    kind: &ferro_wit::schema::ColumnType,
    test: &CheckTest,
) -> Option<String> {
    let column = quoted(column);
    let constant = |value: &Value| constants::sql(dialect, value, kind);
    Some(match test {
        CheckTest::Compare((comparison, value)) => {
            format!("{column}{}{}", operator(*comparison), constant(value))
        }
        CheckTest::CompareField((comparison, other)) => {
            let other = quoted(&model.field(other)?.column);
            format!("{column}{}{other}", operator(*comparison))
        }
        CheckTest::OneOf(values) => {
            let values: Vec<_> = values.iter().map(constant).collect();
            format!("{column} IN ({})", values.join(", "))
        }
        CheckTest::IsNull => format!("{column} IS NULL"),
        CheckTest::IsNotNull => format!("{column} IS NOT NULL"),
    })
}

fn operator(comparison: Comparison) -> &'static str {
    crate::policy::operator(comparison)
}

/// The texts of an enum, where the database has no type for it, as a condition on its column.
pub(super) fn one_of(dialect: Dialect, column: &str, values: &[String]) -> String {
    let values: Vec<_> = values.iter().map(|it| dialect.text(it)).collect();
    format!("{} IN ({})", quoted(column), values.join(", "))
}
