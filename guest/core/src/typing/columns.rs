//! The columns that a select or a `RETURNING` gives back: which there are, and their shape.

use ferro_wit::query::{Output, Projection};
use ferro_wit::types::{ColumnInfo, Error, ScalarType};

use super::Typing;
use crate::catalog::Field;
use crate::error::{denied, invalid, shown};

impl<'a> Typing<'a> {
    /// What a projection returns; fails for what the caller may not read.
    ///
    /// Columns are read by their place, so the names of outputs are not part of the SQL.
    pub(crate) fn projected(
        &mut self,
        projection: &'a Projection,
    ) -> Result<Vec<ColumnInfo>, Error> {
        match projection {
            Projection::Model => {
                let columns: Vec<_> = self.view().readable_fields().map(of_field).collect();
                match columns.is_empty() {
                    true => Err(denied(format!(
                        "no field of {} may be read",
                        shown(&self.view().model.name)
                    ))),
                    false => Ok(columns),
                }
            }
            Projection::Fields(names) => {
                distinct_names(names.iter().map(String::as_str), names.len())?;
                names.iter().map(|name| self.view().readable(name).map(of_field)).collect()
            }
            Projection::Outputs(outputs) => {
                distinct_names(outputs.iter().map(|it| it.name.as_str()), outputs.len())?;
                outputs.iter().map(|output| self.of_output(output)).collect()
            }
        }
    }

    fn of_output(&mut self, output: &Output) -> Result<ColumnInfo, Error> {
        let fact = self.fact(output.expression)?;
        Ok(ColumnInfo {
            path: vec![output.name.clone()],
            kind: fact.ty.map_or(ScalarType::Text, |it| it.kind),
            many: fact.ty.is_some_and(|it| it.many),
            nullable: fact.nullable,
        })
    }
}

fn of_field(field: &Field) -> ColumnInfo {
    ColumnInfo {
        path: vec![field.name.clone()],
        kind: field.ty.kind,
        many: field.ty.many,
        nullable: field.nullable,
    }
}

fn distinct_names<'a>(names: impl Iterator<Item = &'a str>, count: usize) -> Result<(), Error> {
    if count == 0 {
        return Err(invalid("a projection names at least one column"));
    }
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    if names.first().is_some_and(|it| it.is_empty()) {
        return Err(invalid("a column of a projection has no name"));
    }
    match names.windows(2).find(|it| it[0] == it[1]) {
        Some(twice) => Err(invalid(format!("a projection has two columns {}", shown(twice[0])))),
        None => Ok(()),
    }
}
