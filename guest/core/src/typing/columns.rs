//! The columns that a select or a `RETURNING` gives back: which there are, and their shape.

use ferro_wit::query::{Output, Projection, Select};
use ferro_wit::types::{ColumnInfo, Error, ScalarType};

use super::Typing;
use crate::catalog::{Field, Type};
use crate::error::{denied, invalid, shown};

/// A column of a common table.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) nullable: bool,
}

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

    /// The columns of a select as those of a table that others read.
    pub(crate) fn listed(&mut self, select: &'a Select) -> Result<Vec<Column>, Error> {
        let of_field =
            |it: &Field| Column { name: it.name.clone(), ty: it.ty, nullable: it.nullable };
        let mut columns: Vec<_> = match &select.projection {
            Projection::Model => self.view().readable_fields().map(of_field).collect(),
            Projection::Fields(names) => names
                .iter()
                .map(|name| self.view().readable(name).map(of_field))
                .collect::<Result<_, _>>()?,
            Projection::Outputs(outputs) => outputs
                .iter()
                .map(|output| {
                    let fact = self.fact(output.expression)?;
                    let ty = fact.ty.unwrap_or(Type::scalar(ScalarType::Text));
                    Ok(Column { name: output.name.clone(), ty, nullable: fact.nullable })
                })
                .collect::<Result<_, Error>>()?,
        };
        let combined = self.frame().combined.clone();
        for (frame, (_, other)) in combined.into_iter().zip(&select.combined) {
            let other = &self.query.selects[*other as usize];
            let others = self.within(frame, |it| it.listed(other))?;
            for (column, other) in columns.iter_mut().zip(others) {
                column.nullable |= other.nullable;
                // Values of different enums have nothing in common but being texts.
                if column.ty != other.ty {
                    column.ty.enumeration = None;
                }
            }
        }
        Ok(columns)
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
