//! Aggregates and window functions.

use ferro_wit::query::{
    Aggregate, AggregateFunction, Frame, FrameUnit, Literal, Node, NodeRef, Window,
};
use ferro_wit::types::{Error, ScalarType};

use super::Compiler;
use crate::catalog::Type;
use crate::dialect::{DECIMAL_AVERAGE, DECIMAL_SUM, Spelling as _};
use crate::error::unsupported;
use crate::functions::{self, WindowFunction as W};

impl<'a> Compiler<'a> {
    pub(super) fn aggregate(
        &mut self,
        aggregate: &Aggregate,
        ty: Option<Type>,
    ) -> Result<(), Error> {
        self.aggregated(
            aggregate.function,
            aggregate.argument,
            ty,
            |it| {
                it.sql.push(if aggregate.distinct { "DISTINCT " } else { "" });
            },
            |it| {
                if let Some(separator) = aggregate.separator {
                    it.sql.push(", ");
                    it.expression(separator)?;
                }
                if aggregate.order_by.is_empty() {
                    return Ok(());
                }
                let keys = match aggregate.distinct {
                    true => Vec::new(),
                    false => it.typing.keys_after(&aggregate.order_by),
                };
                it.sorted_by(&aggregate.order_by, keys, " ORDER BY ")
            },
            |it| it.filtered(aggregate),
        )
    }

    /// Writes the filter of an aggregate. Arrays would otherwise include nulls.
    fn filtered(&mut self, aggregate: &Aggregate) -> Result<(), Error> {
        let Aggregate { function, argument, filter, .. } = *aggregate;
        let takes_nulls = function == AggregateFunction::ArrayAgg
            && self.dialect.features().arrays
            && self.fact(argument)?.nullable;
        if filter.is_none() && !takes_nulls {
            return Ok(());
        }
        self.sql.push(" FILTER (WHERE ");
        if let Some(filter) = filter {
            match takes_nulls {
                true => self.term(filter)?,
                false => self.expression(filter)?,
            }
        }
        if takes_nulls {
            self.sql.push(if filter.is_some() { " AND " } else { "" });
            self.operand(argument)?;
            self.sql.push(" IS NOT NULL");
        }
        self.sql.push(")");
        Ok(())
    }

    /// Writes an aggregate, with what precedes and follows its argument, and its window.
    fn aggregated(
        &mut self,
        function: AggregateFunction,
        argument: NodeRef,
        ty: Option<Type>,
        before: impl FnOnce(&mut Self),
        behind: impl FnOnce(&mut Self) -> Result<(), Error>,
        over: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        use AggregateFunction as A;
        let star = matches!(self.node(argument), Node::Literal(Literal::Star));
        let of = if star { None } else { self.fact(argument)?.ty };
        let is_integer = of.is_some_and(|it| it.is(ScalarType::Integer));
        let widened = self.dialect.features().decimal_aggregates && is_integer;
        let around = match (function, ty) {
            (A::Sum | A::Average, Some(ty)) if widened => {
                Some(("CAST(", format!(" AS {})", self.dialect.cast_type(ty.kind))))
            }
            // Columns may have fewer bits than lists of their type, or be of an enum.
            (A::ArrayAgg, Some(ty)) if self.dialect.features().arrays => {
                Some(("CAST(", format!(" AS {}[])", self.dialect.cast_type(ty.kind))))
            }
            _ => None,
        };
        self.sql.push(around.as_ref().map_or("", |(start, _)| start));
        let decimal = !star && self.compares_decimals(&[argument])?;
        self.sql.push(match function {
            A::Count => "count(",
            A::Sum if decimal => DECIMAL_SUM,
            A::Sum => "sum(",
            A::Average if decimal => DECIMAL_AVERAGE,
            A::Average => "avg(",
            A::Minimum => "min(",
            A::Maximum => "max(",
            A::StringAgg => self.dialect.string_agg(),
            A::ArrayAgg => self.dialect.array_agg(of.map_or(ScalarType::Text, |it| it.kind)),
        });
        before(self);
        if star {
            self.sql.push("*");
        } else if function == A::ArrayAgg && is_integer {
            self.checked_integer(argument)?;
        } else if function == A::ArrayAgg && !decimal {
            self.expression(argument)?;
        } else if function == A::Sum && of.is_some_and(|it| it.is(ScalarType::Float)) {
            self.number(argument)?;
        } else {
            self.comparand(argument, decimal, true)?;
        }
        behind(self)?;
        self.sql.push(")");
        over(self)?;
        self.sql.push(around.as_ref().map_or("", |(_, end)| end));
        Ok(())
    }

    pub(super) fn window(&mut self, window: &'a Window, ty: Option<Type>) -> Result<(), Error> {
        let function = functions::find_window(&window.function)
            .ok_or_else(|| unsupported("a window function that is not of the list"))?;
        if let W::Aggregate(function) = function {
            return self.aggregated(
                function,
                window.arguments[0],
                ty,
                |_| {},
                |_| Ok(()),
                |it| it.over(window, W::Aggregate(function)),
            );
        }
        self.sql.push(match function {
            W::RowNumber => "row_number(",
            W::Rank => "rank(",
            W::DenseRank => "dense_rank(",
            W::PercentRank => "percent_rank(",
            W::CumeDist => "cume_dist(",
            W::Ntile => "ntile(",
            W::Lag => "lag(",
            W::Lead => "lead(",
            W::FirstValue => "first_value(",
            W::NthValue => "nth_value(",
            W::LastValue | W::Aggregate(_) => "last_value(",
        });
        self.try_separated(", ", &window.arguments, |it, argument| it.one_of(ty, *argument))?;
        self.sql.push(")");
        self.over(window, function)
    }

    fn over(&mut self, window: &'a Window, function: W) -> Result<(), Error> {
        self.sql.push(" OVER (");
        let (partition, before) = match window.partition_by.is_empty() {
            true => ("", ""),
            false => ("PARTITION BY ", " "),
        };
        self.sql.push(partition);
        self.try_separated(", ", &window.partition_by, |it, part| it.group_key(*part))?;
        let of_rows = window.frame.as_ref().is_some_and(|it| it.unit == FrameUnit::Rows);
        let by_key = function.tells_rows_apart() || of_rows;
        let keys = match by_key && !self.typing.frame().grouped {
            true => self.typing.keys_after(&window.order_by),
            false => Vec::new(),
        };
        if !window.order_by.is_empty() || !keys.is_empty() {
            self.sql.push(before);
            self.sorted_by(&window.order_by, keys, "ORDER BY ")?;
        }
        match &window.frame {
            Some(frame) => self.frame(frame),
            // By default, the frame would end at the current row.
            None if matches!(function, W::LastValue | W::NthValue) => {
                self.frame(&Frame { unit: FrameUnit::Rows, start: None, end: None });
            }
            None => {}
        }
        self.sql.push(")");
        Ok(())
    }

    fn frame(&mut self, frame: &Frame) {
        let bound = |bound: Option<i64>, unbounded: &str| match bound {
            None => unbounded.to_owned(),
            Some(0) => "CURRENT ROW".to_owned(),
            Some(it) if it < 0 => format!("{} PRECEDING", it.unsigned_abs()),
            Some(it) => format!("{it} FOLLOWING"),
        };
        let unit = match frame.unit {
            FrameUnit::Rows => "ROWS",
            FrameUnit::Groups => "GROUPS",
        };
        let start = bound(frame.start, "UNBOUNDED PRECEDING");
        let end = bound(frame.end, "UNBOUNDED FOLLOWING");
        self.sql.push(&format!(" {unit} BETWEEN {start} AND {end}"));
    }
}
