//! What a statement returns: the columns of a select or of `RETURNING`, and their shape.

use std::collections::HashSet;

use ferro_wit::query::{Output, Projection};
use ferro_wit::types::{ColumnInfo, Error, ScalarType};

use super::Compiler;
use crate::catalog::Field;
use crate::dialect::Spelling as _;
use crate::error::{denied, invalid, shown};

impl<'a> Compiler<'a> {
    /// What a projection returns; fails for what the caller may not read.
    ///
    /// Columns are read by their place, so the names of outputs are not part of the SQL.
    pub(super) fn projected(
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

    /// Writes a projection that was checked by [`Self::projected`].
    pub(super) fn projection(&mut self, projection: &'a Projection) -> Result<(), Error> {
        match projection {
            Projection::Model => {
                let fields: Vec<_> = self.view().readable_fields().collect();
                self.fields(&fields);
            }
            Projection::Fields(names) => {
                let fields: Result<Vec<_>, _> =
                    names.iter().map(|name| self.view().readable(name)).collect();
                self.fields(&fields?);
            }
            Projection::Outputs(outputs) => {
                for (position, output) in outputs.iter().enumerate() {
                    if position > 0 {
                        self.sql.push(", ");
                    }
                    self.output(output.expression)?;
                }
            }
        }
        Ok(())
    }

    /// Writes ` RETURNING …`, if something is to be returned.
    pub(super) fn returning(
        &mut self,
        projection: Option<&'a Projection>,
    ) -> Result<Vec<ColumnInfo>, Error> {
        let Some(projection) = projection else { return Ok(Vec::new()) };
        if let Projection::Outputs(outputs) = projection {
            for output in outputs {
                self.typing.check_rowwise(output.expression)?;
            }
        }
        let columns = self.projected(projection)?;
        self.alias = None;
        self.sql.push(" RETURNING ");
        self.projection(projection)?;
        Ok(columns)
    }

    fn fields(&mut self, fields: &[&Field]) {
        for (position, field) in fields.iter().enumerate() {
            if position > 0 {
                self.sql.push(", ");
            }
            // The driver knows no enums of the application: it reads their texts.
            let is_enum = self.dialect.features().enums && field.ty.enumeration.is_some();
            self.sql.push(if is_enum { "CAST(" } else { "" });
            self.column(field);
            self.sql.push(if is_enum { " AS text)" } else { "" });
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
    let mut known = HashSet::with_capacity(count);
    for name in names {
        if name.is_empty() {
            return Err(invalid("a column of a projection has no name"));
        }
        if !known.insert(name) {
            return Err(invalid(format!("a projection has two columns {}", shown(name))));
        }
    }
    Ok(())
}
