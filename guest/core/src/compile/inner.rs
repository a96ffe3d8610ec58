//! Subqueries: as a value, in `EXISTS`, and as a list.

use ferro_wit::query::{Distinct, NodeRef, Output, Projection, Select, SelectRef};
use ferro_wit::types::Error;

use super::Compiler;
use super::select::{Listed, compares_rows};
use crate::dialect::Spelling as _;
use crate::policy;

impl<'a> Compiler<'a> {
    /// Writes a subquery in parentheses.
    pub(super) fn subquery(&mut self, node: NodeRef, select: SelectRef) -> Result<(), Error> {
        self.inner_rows(node, select, Listed::Value { guarded: false })
    }

    /// Writes `EXISTS (…)`.
    pub(super) fn exists_in(&mut self, node: NodeRef, select: SelectRef) -> Result<(), Error> {
        self.sql.push("EXISTS ");
        self.inner_rows(node, select, Listed::Nothing)
    }

    pub(super) fn in_select(
        &mut self,
        node: NodeRef,
        operand: NodeRef,
        select: SelectRef,
    ) -> Result<(), Error> {
        let decimal = self.compares_decimals(&[operand])?;
        self.comparand(operand, decimal, true)?;
        self.sql.push(" IN ");
        self.inner_rows(node, select, Listed::Value { guarded: true })
    }

    fn inner_rows(
        &mut self,
        node: NodeRef,
        select: SelectRef,
        listed: Listed,
    ) -> Result<(), Error> {
        let select = self.select_at(select);
        let Some(frame) = self.typing.inner(node).first().copied() else { return Ok(()) };
        self.sql.push("(");
        self.inside(frame, |it| {
            if listed == Listed::Nothing {
                it.any_rows(select)?;
                let bounded = select.limit.is_some() || select.offset.is_some();
                it.sql.push(if bounded { "" } else { it.dialect.end_of_exists() });
                return Ok(());
            }
            it.rows(select, listed, true)
        })?;
        self.sql.push(")");
        Ok(())
    }

    /// Writes the rows of a select inside `EXISTS`.
    pub(super) fn any_rows(&mut self, select: &'a Select) -> Result<(), Error> {
        let listed = self.listed_for_count(select)?;
        let ordered = self.order_has_parameters(select)?;
        // SQLite drops the `DISTINCT` inside an `EXISTS`, but an offset must count distinct rows.
        let inside = matches!(select.distinct, Distinct::Rows) && select.offset.is_some();
        self.sql.push(if inside { "SELECT 1 FROM (" } else { "" });
        self.rows(select, listed, ordered)?;
        self.sql.push(if inside { ") AS \"rows\"" } else { "" });
        Ok(())
    }

    /// Writes the only column of a select. Inside a list it is written like a returned value, an
    /// enum as its text. With `guarded`, it is only evaluated for rows in scope, since databases
    /// may compare it with the outer value before they check that.
    pub(super) fn only_value(&mut self, select: &'a Select, guarded: bool) -> Result<(), Error> {
        match &select.projection {
            Projection::Outputs(outputs) => {
                for Output { expression, .. } in outputs {
                    match guarded {
                        true => policy::value(self, *expression)?,
                        false => self.expression(*expression)?,
                    }
                    if compares_rows(select) {
                        self.collation(*expression)?;
                    }
                }
            }
            fields if guarded => self.projection(fields, false)?,
            _ => self.typing.frame().listed.clone().into_iter().for_each(|it| self.column(it)),
        }
        Ok(())
    }
}
