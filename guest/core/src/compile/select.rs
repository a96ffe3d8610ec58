//! Selects, and what is asked about them: how many rows, and whether there are any.

use ferro_wit::plan::Step;
use ferro_wit::query::{Distinct, NodeRef, Output, Projection, Select, SelectRef};
use ferro_wit::types::{ColumnInfo, Error, ScalarType};

use super::Compiler;
use crate::dialect::Spelling as _;
use crate::policy;

impl<'a> Compiler<'a> {
    /// The rows of a select.
    pub(super) fn select(mut self, select: SelectRef) -> Result<Step, Error> {
        let select = self.select_at(select);
        self.typing.check_select(select)?;
        let columns = self.typing.projected(&select.projection)?;
        self.rows(select, Listed::Projection, true)?;
        self.into_step(columns)
    }

    /// How many rows a select has, its limit and offset included.
    pub(super) fn count(mut self, select: SelectRef) -> Result<Step, Error> {
        let select = self.select_at(select);
        self.typing.check_select(select)?;
        let listed = self.listed_for_count(select)?;
        let plain = listed == Listed::Nothing
            && select.limit.is_none()
            && select.offset.is_none()
            && select.group_by.is_empty()
            && select.having.is_none();
        if plain {
            self.rows(select, Listed::Count, false)?;
        } else {
            self.sql.push("SELECT count(*) FROM (");
            let ordered = self.order_has_parameters(select)?;
            self.rows(select, listed, ordered)?;
            self.sql.push(") AS \"rows\"");
        }
        self.into_step(vec![counted("count", ScalarType::Integer)])
    }

    /// Whether a select has a row.
    pub(super) fn exists(mut self, select: SelectRef) -> Result<Step, Error> {
        let select = self.select_at(select);
        self.typing.check_select(select)?;
        let listed = self.listed_for_count(select)?;
        self.sql.push("SELECT EXISTS (");
        let ordered = self.order_has_parameters(select)?;
        self.rows(select, listed, ordered)?;
        self.sql.push(")");
        self.into_step(vec![counted("exists", ScalarType::Boolean)])
    }

    /// Writes the select that chooses rows to change, by their keys.
    pub(super) fn chosen_keys(&mut self, select: &'a Select) -> Result<(), Error> {
        self.rows(select, Listed::Keys, true)
    }

    pub(super) fn select_at(&self, select: SelectRef) -> &'a Select {
        &self.query.selects[select as usize]
    }

    /// A count needs no columns, unless they decide which rows there are. What has parameters stays
    /// too: a caller sends a value for each.
    fn listed_for_count(&mut self, select: &'a Select) -> Result<Listed, Error> {
        let mut needed = matches!(select.distinct, Distinct::Rows);
        if let Projection::Outputs(outputs) = &select.projection {
            for output in outputs {
                let fact = self.fact(output.expression)?;
                needed |= fact.aggregate || fact.parameter;
            }
        }
        Ok(if needed { Listed::Projection } else { Listed::Nothing })
    }

    fn order_has_parameters(&mut self, select: &'a Select) -> Result<bool, Error> {
        let mut found = false;
        for term in &select.order_by {
            let fact = self.fact(term.expression)?;
            found |= fact.parameter || fact.aggregate;
        }
        Ok(found)
    }

    fn rows(&mut self, select: &'a Select, listed: Listed, ordered: bool) -> Result<(), Error> {
        self.sql.push("SELECT ");
        match listed {
            Listed::Projection => {
                if matches!(select.distinct, Distinct::Rows) {
                    self.sql.push("DISTINCT ");
                }
                self.projection(&select.projection)?;
            }
            Listed::Keys => self.keys(),
            Listed::Value { guarded } => self.only_value(&select.projection, guarded)?,
            Listed::Nothing => self.sql.push("1"),
            Listed::Count => self.sql.push("count(*)"),
        }
        self.from()?;
        policy::conjuncts(self, select.filter)?;
        self.groups(select)?;
        if ordered {
            self.order(select)?;
        }
        self.bounds(select)
    }

    /// Writes the columns of the primary key.
    pub(super) fn keys(&mut self) {
        let model = self.view().model;
        for (position, index) in model.primary_key.iter().enumerate() {
            if position > 0 {
                self.sql.push(", ");
            }
            self.column(&model.fields[*index]);
        }
    }

    /// Writes a select that stands in an expression, in parentheses.
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
                let listed = it.listed_for_count(select)?;
                let ordered = it.order_has_parameters(select)?;
                return it.rows(select, listed, ordered);
            }
            it.rows(select, listed, true)
        })?;
        self.sql.push(")");
        Ok(())
    }

    /// Writes the only column of a select. Databases may compare it with the outer value before
    /// they ask whether the row is in scope.
    fn only_value(&mut self, projection: &'a Projection, guarded: bool) -> Result<(), Error> {
        match projection {
            Projection::Outputs(outputs) => {
                for Output { expression, .. } in outputs {
                    match guarded {
                        true => policy::value(self, *expression)?,
                        false => self.expression(*expression)?,
                    }
                }
                Ok(())
            }
            other => self.projection(other),
        }
    }

    fn groups(&mut self, select: &'a Select) -> Result<(), Error> {
        for (position, node) in select.group_by.iter().enumerate() {
            self.sql.push(if position > 0 { ", " } else { " GROUP BY " });
            match self.fact(*node)?.ty.and_then(|it| it.enumeration) {
                Some(_) => self.expression(*node)?,
                None => self.sort_key(*node)?,
            }
        }
        let Some(having) = select.having else { return Ok(()) };
        self.sql.push(" HAVING ");
        let fact = self.fact(having)?;
        if fact.aggregate || !policy::must_guard(self, fact) {
            return self.expression(having);
        }
        // Without an aggregate in it, a database may ask it of single rows, in scope or not.
        self.sql.push("CASE WHEN count(*) > 0 THEN ");
        self.expression(having)?;
        self.sql.push(" END");
        Ok(())
    }

    fn order(&mut self, select: &'a Select) -> Result<(), Error> {
        for (position, term) in select.order_by.iter().enumerate() {
            self.sql.push(if position > 0 { ", " } else { " ORDER BY " });
            self.sort_key(term.expression)?;
            if term.descending {
                self.sql.push(" DESC");
            }
            if self.fact(term.expression)?.nullable {
                self.sql.push(self.dialect.nulls(term.descending, term.nulls));
            }
        }
        Ok(())
    }

    fn bounds(&mut self, select: &'a Select) -> Result<(), Error> {
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
}

/// What a select lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listed {
    Projection,
    Keys,
    /// The only column, as a value to compare with; guarded where it can be asked of any row.
    Value {
        guarded: bool,
    },
    Nothing,
    Count,
}

fn counted(name: &str, kind: ScalarType) -> ColumnInfo {
    ColumnInfo { path: vec![name.to_owned()], kind, many: false, nullable: false }
}
