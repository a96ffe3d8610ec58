//! Inserts of the rows of a select: the select precedes the statement, and its columns are
//! converted to the types of the fields.

use ferro_wit::query::{Insert, SelectRef};
use ferro_wit::types::{Error, ScalarType};

use super::Compiler;
use crate::catalog::Field;
use crate::dialect::Spelling as _;
use crate::error::{invalid, mismatch, shown};
use crate::sql::quoted;
use crate::typing::Column;

/// The name of the select in the statement.
pub(super) const SOURCE: &str = "source.rows";

impl<'a> Compiler<'a> {
    /// Writes the select before the statement, checked against the fields; returns what to select
    /// from it.
    pub(super) fn selected_rows(
        &mut self,
        fields: &[&'a Field],
        select: SelectRef,
    ) -> Result<Vec<String>, Error> {
        let select = self.select_at(select);
        let view = self.typing.task.open(&select.model)?;
        let frame = self.typing.open(view, None)?;
        let before = self.typing.enter(frame);
        let columns = self.typing.check_select(select)?;
        self.whole_select(select)?;
        self.typing.enter(before);
        if columns.len() != fields.len() {
            return Err(invalid(format!(
                "the select has {} columns for {} fields",
                columns.len(),
                fields.len()
            )));
        }
        let names: Vec<_> = (0..columns.len()).map(|it| quoted(&format!("c{it}"))).collect();
        self.sql.move_ahead(SOURCE, &names);
        let listed = fields.iter().zip(&columns).zip(&names);
        listed.map(|((field, column), name)| self.fitted(field, column, name)).collect()
    }

    /// Writes ` FROM` the select. Without a condition, SQLite would read `ON CONFLICT` as a join.
    pub(super) fn source_rows(&mut self, insert: &Insert) {
        self.sql.push(&format!(" FROM \"{SOURCE}\""));
        if insert.conflict.is_some() {
            self.sql.push(" WHERE ");
            self.sql.push(self.dialect.boolean(true));
        }
    }

    /// A column of the select, converted for a field.
    fn fitted(&self, field: &Field, column: &Column<'_>, name: &str) -> Result<String, Error> {
        let (to, features) = (field.ty, self.dialect.features());
        let enumeration = to.enumeration.filter(|_| features.enums);
        let fits = column.ty.is_none_or(|it| it.fits(to, column.given));
        if let Some(index) = enumeration.filter(|_| fits) {
            return Ok(format!("CAST({name} AS {})", quoted(&self.catalog.enums[index].name)));
        }
        let Some(ty) = column.ty else {
            let array = if to.many && features.arrays { "[]" } else { "" };
            return Ok(format!("CAST({name} AS {}{array})", self.dialect.cast_type(to.kind)));
        };
        let widens = ty.widens_to(to);
        if !fits {
            return Err(mismatch(format!(
                "field {} of {} wants {}, and the select has {}",
                shown(&field.name),
                shown(&self.view().model.name),
                self.typing.describe(to),
                self.typing.describe(ty)
            )));
        }
        // On SQLite, it may have overflowed and become a float.
        let value = match self.dialect.checked_integer() {
            Some(template) if column.fallible && ty.is(ScalarType::Integer) => {
                template.replace("{0}", name)
            }
            _ => name.to_owned(),
        };
        let (before, after) = self.sized(field);
        Ok(match widens && !features.decimals && to.kind == ScalarType::Decimal {
            true => format!("{before}CAST({value} AS {}){after}", self.dialect.cast_type(to.kind)),
            false => format!("{before}{value}{after}"),
        })
    }
}
