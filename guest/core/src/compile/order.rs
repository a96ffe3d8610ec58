//! The order of rows, and the limit and offset.

use ferro_wit::query::{NodeRef, OrderTerm, Select};
use ferro_wit::types::{Error, ScalarType};

use super::Compiler;
use crate::catalog::Field;
use crate::dialect::{DECIMAL_COLLATION, Spelling as _};

impl<'a> Compiler<'a> {
    pub(super) fn order(&mut self, select: &'a Select) -> Result<(), Error> {
        if select.combined.is_empty() {
            for term in &select.order_by {
                self.typing.check_sorts_own(term.expression)?;
            }
            let keys = self.typing.last_keys(select);
            return self.sorted_by(&select.order_by, keys, " ORDER BY ");
        }
        // For combined selects, columns are identified by position, as there is no table.
        self.sql.push(if select.order_by.is_empty() { "" } else { " ORDER BY " });
        self.try_separated(", ", &select.order_by, |it, term| {
            let place = it.typing.listed_at(select, term)?;
            it.sql.push(&place.to_string());
            if it.compares_decimals(&[term.expression])? {
                it.sql.push(DECIMAL_COLLATION);
            }
            it.sql.push(if term.descending { " DESC" } else { "" });
            it.sql.push(it.dialect.nulls(term.descending, term.nulls));
            Ok(())
        })
    }

    /// Writes the terms of an order and then keys, so that the order of ties is determined, too.
    pub(super) fn sorted_by(
        &mut self,
        terms: &[OrderTerm],
        keys: Vec<&'a Field>,
        before: &str,
    ) -> Result<(), Error> {
        let mut separator = before;
        for term in terms {
            self.sql.push(separator);
            separator = ", ";
            self.sort_key(term.expression)?;
            if term.descending {
                self.sql.push(" DESC");
            }
            if self.fact(term.expression)?.nullable {
                self.sql.push(self.dialect.nulls(term.descending, term.nulls));
            }
        }
        for key in keys {
            self.sql.push(separator);
            separator = ", ";
            self.column(key);
        }
        Ok(())
    }

    /// Writes an expression by which rows are ordered or grouped.
    pub(crate) fn sort_key(&mut self, node: NodeRef) -> Result<(), Error> {
        let ty = self.fact(node)?.ty;
        let is_decimal = ty.is_some_and(|it| it.is(ScalarType::Decimal));
        let features = self.dialect.features();
        match ty.and_then(|it| it.enumeration) {
            // In the order of declaration, like the native types of enums.
            Some(index) if !features.enums => {
                let catalog = self.catalog;
                self.sql.push("CASE ");
                self.operand(node)?;
                for (rank, value) in (0_i64..).zip(&catalog.enums[index].values) {
                    let text = self.dialect.text(value);
                    self.sql.push(&format!(" WHEN {text} THEN {rank}"));
                }
                self.sql.push(" END");
                Ok(())
            }
            None if is_decimal && !features.decimals => self.comparand(node, true, true),
            _ => self.expression(node),
        }
    }

    pub(super) fn bounds(&mut self, select: &'a Select) -> Result<(), Error> {
        match (select.limit, select.offset, self.dialect.no_limit()) {
            (Some(limit), ..) => {
                self.sql.push(" LIMIT ");
                self.expression(limit)?;
            }
            (None, Some(_), Some(no_limit)) => {
                self.sql.push(" LIMIT ");
                self.sql.push(no_limit);
            }
            _ => {}
        }
        if let Some(offset) = select.offset {
            self.sql.push(" OFFSET ");
            self.expression(offset)?;
        }
        Ok(())
    }

    /// Whether the order has parameters. Callers send a value for each, even if the order has no
    /// effect.
    pub(super) fn order_has_parameters(&mut self, select: &'a Select) -> Result<bool, Error> {
        let mut found = false;
        for term in &select.order_by {
            let fact = self.fact(term.expression)?;
            found |= fact.parameter || fact.aggregate;
        }
        Ok(found)
    }
}
