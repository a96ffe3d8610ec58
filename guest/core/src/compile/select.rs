//! Selects, counts and existence checks.

use ferro_wit::plan::Step;
use ferro_wit::query::{
    Distinct, LockStrength, LockWait, NodeRef, Projection, Select, SelectRef, SetOperator,
};
use ferro_wit::types::{Error, ScalarType};

use super::Compiler;
use crate::catalog::Type;
use crate::dialect::Spelling as _;
use crate::policy;
use crate::sql::quoted;
use crate::typing::Column;

impl<'a> Compiler<'a> {
    /// Compiles a select that was checked, and returns these columns.
    pub(super) fn select(
        mut self,
        select: &'a Select,
        mut columns: Vec<Column<'a>>,
    ) -> Result<Step, Error> {
        columns.extend(self.extra_columns());
        self.rows(select, Listed::Projection, true)?;
        self.into_step(&columns)
    }

    /// Counts the rows of a select, within its limit and offset.
    pub(super) fn count(mut self, select: SelectRef) -> Result<Step, Error> {
        let select = self.select_at(select);
        self.typing.check_select(select)?;
        let listed = self.listed_for_count(select)?;
        let plain = listed == Listed::Nothing
            && select.combined.is_empty()
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
        self.into_step(&[counted("count", ScalarType::Integer)])
    }

    /// Whether a select has a row.
    pub(super) fn exists(mut self, select: SelectRef) -> Result<Step, Error> {
        let select = self.select_at(select);
        self.typing.check_select(select)?;
        self.sql.push("SELECT EXISTS (");
        self.any_rows(select)?;
        self.sql.push(")");
        self.into_step(&[counted("exists", ScalarType::Boolean)])
    }

    /// Writes a select with all its columns, whose rows are inserted into a table.
    pub(super) fn whole_select(&mut self, select: &'a Select) -> Result<(), Error> {
        self.rows(select, Listed::Projection, true)
    }

    /// Writes the rows of a common table.
    pub(super) fn common_rows(&mut self, select: &'a Select) -> Result<(), Error> {
        self.rows(select, Listed::Columns, true)
    }

    /// Writes the select that chooses the rows to change, by their keys.
    pub(super) fn chosen_keys(&mut self, select: &'a Select) -> Result<(), Error> {
        self.rows(select, Listed::Keys, true)
    }

    pub(super) fn select_at(&self, select: SelectRef) -> &'a Select {
        &self.query.selects[select as usize]
    }

    /// What to list for a count: no columns, unless they determine which rows there are. Columns
    /// with parameters are kept, too, as callers send a value for each.
    pub(super) fn listed_for_count(&mut self, select: &'a Select) -> Result<Listed, Error> {
        let mut needed = compares_rows(select);
        if let Projection::Outputs(outputs) = &select.projection {
            for output in outputs {
                let fact = self.fact(output.expression)?;
                needed |= fact.aggregate || fact.parameter;
            }
        }
        Ok(if needed { Listed::Projection } else { Listed::Nothing })
    }

    /// Writes a select with all selects that are combined with it.
    pub(super) fn rows(
        &mut self,
        select: &'a Select,
        listed: Listed,
        ordered: bool,
    ) -> Result<(), Error> {
        let combined = self.typing.frame().combined.clone();
        // Without parentheses, `INTERSECT` precedes `UNION` on PostgreSQL. SQLite evaluates from
        // left to right, and accepts no parentheses here.
        let open = match self.dialect.features().nested_sets {
            true => combined.len().saturating_sub(1),
            false => 0,
        };
        self.sql.push(&"(".repeat(open));
        self.plain_rows(select, listed)?;
        for (position, (frame, (operator, other))) in
            combined.into_iter().zip(&select.combined).enumerate()
        {
            self.sql.push(if position > 0 && position <= open { ")" } else { "" });
            self.sql.push(match operator {
                SetOperator::Union => " UNION ",
                SetOperator::UnionAll => " UNION ALL ",
                SetOperator::Intersect => " INTERSECT ",
                SetOperator::Except => " EXCEPT ",
            });
            let other = self.select_at(*other);
            let before = self.typing.enter(frame);
            self.combined_rows(other, listed)?;
            self.typing.enter(before);
        }
        if ordered {
            self.order(select)?;
        }
        self.bounds(select)?;
        self.lock(select);
        Ok(())
    }

    /// Writes a select that is combined with another one: nested in a further select if it has an
    /// order or a limit, or combines others itself.
    fn combined_rows(&mut self, select: &'a Select, listed: Listed) -> Result<(), Error> {
        let simple = select.order_by.is_empty()
            && select.limit.is_none()
            && select.offset.is_none()
            && select.combined.is_empty();
        if simple {
            return self.plain_rows(select, listed);
        }
        self.sql.push("SELECT * FROM (");
        self.rows(select, listed, true)?;
        self.sql.push(") AS \"rows\"");
        Ok(())
    }

    fn lock(&mut self, select: &Select) {
        let Some(lock) = &select.lock else { return };
        if !self.dialect.features().row_locks {
            return;
        }
        self.sql.push(match lock.strength {
            LockStrength::Update => " FOR UPDATE OF ",
            LockStrength::NoKeyUpdate => " FOR NO KEY UPDATE OF ",
            LockStrength::Share => " FOR SHARE OF ",
            LockStrength::KeyShare => " FOR KEY SHARE OF ",
        });
        self.sql.alias(self.typing.frame().row);
        self.sql.push(match lock.wait {
            LockWait::Wait => "",
            LockWait::SkipLocked => " SKIP LOCKED",
            LockWait::NoWait => " NOWAIT",
        });
    }

    /// Writes a select up to its `GROUP BY`.
    fn plain_rows(&mut self, select: &'a Select, listed: Listed) -> Result<(), Error> {
        self.sql.push("SELECT ");
        match listed {
            Listed::Projection | Listed::Columns => {
                if matches!(select.distinct, Distinct::Rows) {
                    self.sql.push("DISTINCT ");
                }
                match listed {
                    Listed::Columns => self.common_columns(&select.projection)?,
                    _ => {
                        self.projection(&select.projection, compares_rows(select))?;
                        self.extra();
                    }
                }
            }
            Listed::Keys => self.keys()?,
            Listed::Value { guarded } => self.only_value(select, guarded)?,
            Listed::Nothing => self.sql.push("1"),
            Listed::Count => self.sql.push("count(*)"),
        }
        self.from()?;
        match (&select.distinct, self.typing.frame().first) {
            (Distinct::On(on), Some(first)) => self.first_rows(select, on, first),
            _ => {
                policy::conjuncts(self, select.filter)?;
                self.groups(select)
            }
        }
    }

    /// Writes the condition that a row is the first of those with equal values of some expressions.
    fn first_rows(
        &mut self,
        select: &'a Select,
        on: &[NodeRef],
        frame: usize,
    ) -> Result<(), Error> {
        let before = policy::conjuncts(self, None)?;
        self.sql.push(before);
        self.key()?;
        self.sql.push(" IN (SELECT ");
        let keys = self.view().model.primary_key.len();
        let names: Vec<_> = (0..keys).map(|it| quoted(&format!("k{it}"))).collect();
        self.sql.push(&names.join(", "));
        self.sql.push(" FROM (SELECT ");
        self.inside(frame, |it| {
            let model = it.view().model;
            for (index, name) in model.primary_key.iter().zip(&names) {
                it.column(&model.fields[*index]);
                it.sql.push(&format!(" AS {name}, "));
            }
            it.sql.push("row_number() OVER (PARTITION BY ");
            it.try_separated(", ", on, |it, node| it.group_key(*node))?;
            let keys = it.typing.keys_after(&select.order_by);
            it.sorted_by(&select.order_by, keys, " ORDER BY ")?;
            it.sql.push(") AS \"place\"");
            it.from()?;
            policy::conjuncts(it, select.filter).map(drop)
        })?;
        self.sql.push(") AS \"first\" WHERE \"place\" = 1)");
        Ok(())
    }

    /// Writes the primary key as one operand.
    pub(super) fn key(&mut self) -> Result<(), Error> {
        let composite = self.view().model.primary_key.len() > 1;
        self.sql.push(if composite { "(" } else { "" });
        self.keys()?;
        self.sql.push(if composite { ")" } else { "" });
        Ok(())
    }

    /// Writes the columns of the primary key, which must be readable: plugins declare it, and the
    /// number of rows found by it reveals which rows have equal values.
    fn keys(&mut self) -> Result<(), Error> {
        let model = self.view().model;
        self.try_separated(", ", &model.primary_key, |it, index| {
            let field = it.view().readable(&model.fields[*index].name)?;
            it.column(field);
            Ok(())
        })
    }

    fn groups(&mut self, select: &'a Select) -> Result<(), Error> {
        self.sql.push(if select.group_by.is_empty() { "" } else { " GROUP BY " });
        self.try_separated(", ", &select.group_by, |it, node| {
            it.typing.check_sorts_own(*node)?;
            it.group_key(*node)
        })?;
        let Some(having) = select.having else { return Ok(()) };
        self.sql.push(" HAVING ");
        let fact = self.fact(having)?;
        if fact.aggregate || !policy::must_guard(self, fact) {
            return self.expression(having);
        }
        // Without an aggregate in it, a database may evaluate the condition for single rows, even
        // those outside the scope.
        self.sql.push("CASE WHEN count(*) > 0 THEN ");
        self.expression(having)?;
        self.sql.push(" END");
        Ok(())
    }

    /// Writes an expression by which rows are grouped.
    pub(super) fn group_key(&mut self, node: NodeRef) -> Result<(), Error> {
        match self.fact(node)?.ty.and_then(|it| it.enumeration) {
            Some(_) => self.expression(node),
            None => self.sort_key(node),
        }
    }
}

/// What a select lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listed {
    Projection,
    /// The columns of a common table.
    Columns,
    Keys,
    /// The only column, as a value to compare with; `guarded` if it may be evaluated for any row.
    Value {
        guarded: bool,
    },
    Nothing,
    Count,
}

/// Whether rows of a select are compared with each other.
pub(super) fn compares_rows(select: &Select) -> bool {
    matches!(select.distinct, Distinct::Rows) || !select.combined.is_empty()
}

fn counted(name: &str, kind: ScalarType) -> Column<'_> {
    let ty = Some(Type::scalar(kind));
    Column { name, ty, nullable: false, fallible: false, given: false, source: None }
}
