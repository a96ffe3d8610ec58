//! Common tables in a `WITH`: selects before the statement, under generated names.

use ferro_wit::query::{
    AggregateFunction, CommonTable, Distinct, Node, NodeRef, Projection, Select, SelectRef,
    SetOperator,
};
use ferro_wit::types::{Error, ScalarType};

use super::Compiler;
use crate::catalog::{Field, Type};
use crate::common_tables::{Common, table_name};
use crate::dialect::{DECIMAL_COLLATION, Spelling as _};
use crate::sql::{quoted, quoted_list};

/// The columns of the common table for which a select is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filled<'a> {
    fields: &'a [Field],
    /// Whether values must have exactly the types of the columns, since a step adds rows.
    exactly: bool,
}

impl<'a> Compiler<'a> {
    /// Writes the common tables that the statement reads, starting with the last: each reads only
    /// earlier ones.
    pub(super) fn common_tables(&mut self) -> Result<(), Error> {
        for (index, table) in self.query.common.iter().enumerate().rev() {
            let common = self.typing.task.commons.get(index).filter(|_| self.reads[index]);
            if let Some(common) = common {
                self.common_table(index, table, common)?;
            }
        }
        Ok(())
    }

    fn common_table(
        &mut self,
        index: usize,
        table: &'a CommonTable,
        common: &'a Common,
    ) -> Result<(), Error> {
        let fields = common.model.fields.as_slice();
        let recursive = table.step.is_some();
        self.sql.begin_common();
        self.rows_of(table.rows, Filled { fields, exactly: recursive })?;
        if let Some((operator, step)) = table.step {
            self.sql.push(match operator {
                SetOperator::Union => " UNION ",
                _ => " UNION ALL ",
            });
            self.rows_of(step, Filled { fields, exactly: true })?;
        }
        // Databases would inline it: evaluate conditions on rows outside of its scope, and repeat
        // the expression of a column wherever it is read, so that a few tables become a statement
        // of unlimited size.
        let fenced = self.typing.task.scope.is_some();
        let fence = if fenced || common.derived { "AS MATERIALIZED" } else { "AS" };
        let name = quoted(&table_name(index));
        self.sql
            .end_common(&format!("{name} ({}) {fence}", quoted_list(columns(fields))), recursive);
        Ok(())
    }

    /// Writes a select for a common table.
    fn rows_of(&mut self, select: SelectRef, filled: Filled<'a>) -> Result<(), Error> {
        let select = self.select_at(select);
        let view = self.typing.task.open(&select.model)?;
        let frame = self.typing.open(view, None)?;
        let before = self.typing.enter(frame);
        self.typing.check_select(select)?;
        match filled.exactly && is_compound(select) {
            true => self.compound_rows(select, filled)?,
            false => self.filling(select, filled)?,
        }
        self.typing.enter(before);
        Ok(())
    }

    /// Writes rows in a nested select, so that others can be combined with them.
    fn compound_rows(&mut self, select: &'a Select, filled: Filled<'a>) -> Result<(), Error> {
        let named = self.dialect.features().exact_recursion;
        self.sql.push("SELECT ");
        if named {
            self.try_separated(", ", filled.fields, |it, field| {
                it.exactly(field.ty, |it| {
                    it.sql.qualified("rows", &field.column);
                    Ok(())
                })
            })?;
        } else {
            self.sql.push("*");
        }
        self.sql.push(" FROM (");
        self.filling(select, Filled { exactly: false, ..filled })?;
        self.sql.push(") AS \"rows\"");
        if named {
            self.sql.push(&format!(" ({})", quoted_list(columns(filled.fields))));
        }
        Ok(())
    }

    fn filling(&mut self, select: &'a Select, filled: Filled<'a>) -> Result<(), Error> {
        self.filled = Some(filled);
        self.common_rows(select)
    }

    /// Writes the values of a select as the columns of its common table.
    pub(super) fn common_columns(&mut self, projection: &'a Projection) -> Result<(), Error> {
        let Some(Filled { fields, exactly }) = self.filled else { return Ok(()) };
        let listed = self.listed_values(projection);
        self.try_separated(", ", listed.into_iter().zip(fields), |it, (value, field)| match exactly
        {
            true => it.exactly(field.ty, |it| it.common_column(&value, field.ty)),
            false => it.common_column(&value, field.ty),
        })
    }

    fn listed_values(&self, projection: &Projection) -> Vec<Listed<'a>> {
        match projection {
            Projection::Outputs(outputs) => {
                outputs.iter().map(|it| Listed::Node(it.expression)).collect()
            }
            _ => self.typing.frame().listed.iter().copied().map(Listed::Field).collect(),
        }
    }

    fn common_column(&mut self, value: &Listed<'a>, to: Type) -> Result<(), Error> {
        match (value, to.enumeration) {
            (Listed::Field(field), Some(_)) => self.column(field),
            (Listed::Field(field), None) => self.as_text(field, |it| it.column(field)),
            (Listed::Node(node), Some(_)) if self.dialect.features().enums => {
                self.assigned(*node, to)?;
            }
            (Listed::Node(node), _) => self.common_value(*node, to)?,
        }
        Ok(())
    }

    /// Writes a value of a column: with its collation, checked if it is an integer, and limited if
    /// it is a text or a document, so that it cannot grow from table to table.
    fn common_value(&mut self, node: NodeRef, to: Type) -> Result<(), Error> {
        if let Some(template) = self.dialect.checked_integer()
            && to.is(ScalarType::Integer)
            && self.may_overflow(node)?
        {
            return self.filled(template, |it, _| it.output(node));
        }
        if let Some(template) = self.dialect.bounded(to.kind)
            && !to.many
            && self.fact(node)?.lengthens
        {
            return self.filled(template, |it, _| it.output(node));
        }
        if !self.dialect.features().decimals && to.is(ScalarType::Decimal) {
            self.operand(node)?;
            self.sql.push(DECIMAL_COLLATION);
            return Ok(());
        }
        self.output(node)
    }

    /// Whether an integer may have overflowed and become a float. Counts and sums cannot, but their
    /// arguments may.
    fn may_overflow(&mut self, node: NodeRef) -> Result<bool, Error> {
        match self.node(node) {
            Node::Aggregate(it) if it.function == AggregateFunction::Count => Ok(false),
            Node::Aggregate(it) => Ok(self.fact(it.argument)?.fallible),
            _ => Ok(self.fact(node)?.fallible),
        }
    }

    /// Writes a value, cast to exactly this type if that is required.
    fn exactly(
        &mut self,
        ty: Type,
        write: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // An enum has only one type.
        if !self.dialect.features().exact_recursion || ty.enumeration.is_some() {
            return write(self);
        }
        self.sql.push("CAST(");
        write(self)?;
        let array = if ty.many { "[]" } else { "" };
        self.sql.push(&format!(" AS {}{array})", self.dialect.cast_type(ty.kind)));
        Ok(())
    }
}

/// A value of a column.
enum Listed<'a> {
    Field(&'a Field),
    Node(NodeRef),
}

/// Whether a select has more than a filter and a projection.
fn is_compound(select: &Select) -> bool {
    !select.order_by.is_empty()
        || select.limit.is_some()
        || select.offset.is_some()
        || !select.combined.is_empty()
        || !matches!(select.distinct, Distinct::No)
}

fn columns(fields: &[Field]) -> impl Iterator<Item = &String> {
    fields.iter().map(|it| &it.column)
}
