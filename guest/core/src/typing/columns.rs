//! The columns that a select or a `RETURNING` returns.

use ferro_wit::query::{Node, Output, Projection};
use ferro_wit::types::{ColumnInfo, Error, ScalarType};

use super::{ColumnRef, Fact, Typing, common_enum};
use crate::catalog::{Field, Type};
use crate::error::{denied, invalid, shown};

/// A column of a select, or of a `RETURNING`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column<'a> {
    pub(crate) name: &'a str,
    /// `None`: a bare null, which fits everywhere.
    pub(crate) ty: Option<Type>,
    pub(crate) nullable: bool,
    /// Whether evaluating it can fail, depending on the row.
    pub(crate) fallible: bool,
    /// Whether it is given by the caller, and so can become a value of an enum.
    pub(crate) given: bool,
    /// The field, if it is a field of a single table.
    pub(crate) source: Option<ColumnRef<'a>>,
}

impl<'a> Column<'a> {
    /// A field of the rows of a table.
    pub(crate) fn of_field(table: usize, field: &'a Field) -> Self {
        let source = Some(ColumnRef { table, field, nullable: field.nullable });
        let (name, ty) = (&field.name, Some(field.ty));
        Self { name, ty, nullable: field.nullable, fallible: false, given: false, source }
    }

    /// The type as which it is read.
    pub(crate) fn shape(&self) -> Type {
        self.ty.unwrap_or(Type::scalar(ScalarType::Text))
    }

    /// Its description for callers.
    pub(crate) fn info(&self) -> ColumnInfo {
        let Type { kind, many, .. } = self.shape();
        ColumnInfo { path: vec![self.name.to_owned()], kind, many, nullable: self.nullable }
    }

    /// Combines it with a column of another select.
    pub(super) fn add(&mut self, other: &Self) {
        self.nullable |= other.nullable;
        self.fallible |= other.fallible;
        self.source = None;
        if self.ty.is_some() || other.ty.is_some() {
            // Values of different enums only have in common that they are texts.
            let enumeration = common_enum([&*self, other].map(|it| (it.ty, it.given)));
            self.ty = Some(Type { enumeration, ..self.shape() });
        }
        self.given &= other.given;
    }
}

impl<'a> Typing<'a> {
    /// The columns of a projection; fails for those that the caller may not read.
    ///
    /// Columns are read by position, so the names of outputs are not part of the SQL. The frame
    /// keeps the fields among them, for the writer.
    pub(crate) fn projected(
        &mut self,
        projection: &'a Projection,
    ) -> Result<Vec<Column<'a>>, Error> {
        match projection {
            Projection::Model => {
                let fields: Vec<_> = self.view().readable_fields().collect();
                match fields.is_empty() {
                    true => Err(denied(format!(
                        "no field of {} may be read",
                        shown(&self.view().model.name)
                    ))),
                    false => Ok(self.listed(fields)),
                }
            }
            Projection::Fields(names) => {
                let fields = self.distinct_fields(names)?;
                Ok(self.listed(fields))
            }
            Projection::Outputs(outputs) => {
                distinct_names(outputs).map_err(|error| self.of_rows(error))?;
                let columns: Vec<_> =
                    outputs.iter().map(|it| self.of_output(it)).collect::<Result<_, _>>()?;
                let row = self.frame().row;
                let own = |it: &Column<'a>| it.source.filter(|it| it.table == row);
                let fields = columns.iter().map(|it| own(it).map(|it| it.field));
                self.frame_mut().listed = fields.collect::<Option<_>>().unwrap_or_default();
                Ok(columns)
            }
        }
    }

    fn listed(&mut self, fields: Vec<&'a Field>) -> Vec<Column<'a>> {
        let row = self.frame().row;
        let columns = fields.iter().map(|it| Column::of_field(row, it)).collect();
        self.frame_mut().listed = fields;
        columns
    }

    fn distinct_fields(&self, names: &[String]) -> Result<Vec<&'a Field>, Error> {
        if names.is_empty() {
            return Err(self.of_rows(no_columns()));
        }
        let mut fields: Vec<&Field> =
            Vec::with_capacity(names.len().min(self.view().model.fields.len()));
        for name in names {
            let field = self.view().readable(name)?;
            if fields.iter().any(|it| std::ptr::eq(*it, field)) {
                return Err(self.of_rows(twice(name)));
            }
            fields.push(field);
        }
        Ok(fields)
    }

    fn of_output(&mut self, output: &'a Output) -> Result<Column<'a>, Error> {
        let Fact { ty, nullable, fallible, given, .. } = self.fact(output.expression)?;
        let source = match self.node(output.expression) {
            Node::Field(path) => Some(self.locate(path)?),
            _ => None,
        };
        Ok(Column { name: &output.name, ty, nullable, fallible, given, source })
    }
}

fn distinct_names(outputs: &[Output]) -> Result<(), Error> {
    if outputs.is_empty() {
        return Err(no_columns());
    }
    let mut names: Vec<_> = outputs.iter().map(|it| it.name.as_str()).collect();
    names.sort_unstable();
    if names.first().is_some_and(|it| it.is_empty()) {
        return Err(invalid("a column of a projection has no name"));
    }
    match names.windows(2).find(|it| it[0] == it[1]) {
        Some(names) => Err(twice(names[0])),
        None => Ok(()),
    }
}

fn no_columns() -> Error {
    invalid("a projection names at least one column")
}

fn twice(name: &str) -> Error {
    invalid(format!("a projection has two columns {}", shown(name)))
}
