//! The columns that a caller of SQL text expects, whatever order the statement returns them in.

use std::sync::Arc;

use ferro_wit::plan::{Effect, Origin, Plan, Step};
use ferro_wit::types::{ColumnInfo, Error, ErrorKind};

use super::PlannedStep;

/// An expected column of the rows of SQL text.
#[derive(Debug, Clone)]
pub struct ExpectedColumn {
    /// Its type, and its name in the result.
    pub info: ColumnInfo,
    /// Its name in the statement, and its origin for errors.
    pub origin: Origin,
}

impl PlannedStep {
    /// The expected columns in the order of the statement, in the form of a plan.
    pub(crate) fn of_text(expected: &[ExpectedColumn], given: &[String]) -> Result<Self, Error> {
        if let Some(twice) = (1..given.len()).find(|at| given[..*at].contains(&given[*at])) {
            return Err(named_twice(&given[twice]));
        }
        let find = |name: &String| expected.iter().find(|it| it.origin.column == *name);
        let missing = expected.iter().map(|it| &it.origin.column).filter(|it| !given.contains(it));
        let unknown = quoted(given.iter().filter(|it| find(it).is_none()));
        let missing = quoted(missing);
        let found: Vec<_> = given.iter().filter_map(find).cloned().collect();
        let several = given.len() > found.len() + 1;
        let (are, them) = if several { ("are", "them") } else { ("is", "it") };
        let gives = match (missing.as_str(), unknown.as_str()) {
            ("", "") => return Ok(Self::of_columns(found)),
            (missing, "") => format!("no {missing}"),
            ("", unknown) => format!("{unknown}, which {are} not expected: leave {them} out"),
            (missing, unknown) => format!("no {missing}, but {unknown}"),
        };
        let table = expected.first().map(|it| &it.origin.table);
        let place = table.map_or_else(String::new, |it| format!(" of `{it}`"));
        let message = if given.is_empty() {
            "the statement returns no rows: add `returning *`, or run it with `execute`".to_owned()
        } else {
            format!(
                "the statement returns {gives}: its columns must be those{place}, like those of \
                 `select *` and `returning *`"
            )
        };
        Err(Error { table: table.cloned(), ..Error::new(ErrorKind::InvalidQuery, message) })
    }

    fn of_columns(found: Vec<ExpectedColumn>) -> Self {
        let (columns, origins) = found.into_iter().map(|it| (it.info, Some(it.origin))).unzip();
        let step = Step {
            sql: String::new(),
            binds: Vec::new(),
            columns,
            origins,
            attachment: None,
            rows_per_statement: None,
            bulk: None,
        };
        let plan = Plan {
            effect: Effect::Read,
            steps: vec![step],
            atomic: false,
            agreements: Vec::new(),
            recipients: Vec::new(),
        };
        Self { plan: Arc::new(plan), index: 0 }
    }
}

fn named_twice(name: &str) -> Error {
    let message = format!("two columns are called `{name}`: name one of them with `AS`");
    Error::new(ErrorKind::InvalidQuery, message)
}

fn quoted<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ")
}
