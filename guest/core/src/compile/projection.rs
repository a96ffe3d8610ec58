//! The results of a statement: the columns of a select or of `RETURNING`, and their types.

use ferro_wit::query::Projection;
use ferro_wit::types::Error;

use super::Compiler;
use crate::catalog::Field;
use crate::dialect::Spelling as _;
use crate::typing::Column;

/// The place of returned values, for messages.
pub(super) const RETURNED: &str = "what a write returns";

impl<'a> Compiler<'a> {
    /// Writes a projection that was checked by [`crate::typing::Typing::projected`]. If rows are
    /// compared with each other, the values have their collations.
    pub(super) fn projection(
        &mut self,
        projection: &'a Projection,
        compared: bool,
    ) -> Result<(), Error> {
        match projection {
            Projection::Model | Projection::Fields(_) => {
                let listed = self.typing.frame().listed.clone();
                self.separated(", ", listed, |it, field| {
                    it.as_text(field, |it| it.column(field));
                });
                Ok(())
            }
            Projection::Outputs(outputs) => self.try_separated(", ", outputs, |it, output| {
                it.output(output.expression)?;
                match compared {
                    true => it.collation(output.expression),
                    false => Ok(()),
                }
            }),
        }
    }

    /// Writes ` RETURNING …`, if there is a projection.
    pub(super) fn returning(
        &mut self,
        projection: Option<&'a Projection>,
    ) -> Result<Vec<Column<'a>>, Error> {
        let Some(projection) = projection else { return Ok(Vec::new()) };
        if let Projection::Outputs(outputs) = projection {
            for output in outputs {
                self.typing.check_rowwise(output.expression, RETURNED)?;
            }
        }
        let columns = self.typing.projected(projection)?;
        self.bare = true;
        self.sql.push(" RETURNING ");
        self.projection(projection, false)?;
        Ok(columns)
    }

    /// Writes a column to return. Enums are returned as texts, since the driver does not know the
    /// enums of the application.
    pub(super) fn as_text(&mut self, field: &Field, write: impl FnOnce(&mut Self)) {
        let is_enum = self.dialect.features().enums && field.ty.enumeration.is_some();
        self.sql.push(if is_enum { "CAST(" } else { "" });
        write(self);
        self.sql.push(if is_enum { " AS text)" } else { "" });
    }
}
