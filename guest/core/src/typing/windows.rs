//! Window functions.

use ferro_wit::query::{AggregateFunction, Frame, FrameUnit, Literal, Node, NodeRef, Window};
use ferro_wit::types::Error;

use super::{Fact, Typing};
use crate::catalog::Type;
use crate::error::{denied, invalid, mismatch, out_of_range, shown, suggestion, unsupported};
use crate::functions::{self, WindowFunction as W};
use ferro_wit::types::ScalarType;

/// The place of the parts of a window function, for messages.
const PLACE: &str = "another window function";

impl Typing<'_> {
    pub(super) fn window(&mut self, window: &Window, node: NodeRef) -> Result<Fact, Error> {
        let name = shown(&window.function);
        let Some(function) = functions::find_window(&window.function) else {
            let known = functions::WINDOW_FUNCTIONS.iter().map(|(name, _)| *name);
            let suggestion = suggestion(&window.function, known);
            let fault = denied(format!("there is no window function {name}{suggestion}"));
            return Err(self.at(node, fault));
        };
        if !function.takes(window.arguments.len()) {
            return Err(self.at(node, invalid(format!("wrong number of arguments for {name}"))));
        }
        if function.needs_order() && window.order_by.is_empty() {
            return Err(self.at(node, invalid(format!("{name} needs an order"))));
        }
        if let Some(frame) = &window.frame {
            check_frame(frame, function, window).map_err(|error| self.at(node, error))?;
        }
        let star = matches!(function, W::Aggregate(AggregateFunction::Count))
            && matches!(self.node(window.arguments[0]), Node::Literal(Literal::Star));
        let mut facts = Vec::new();
        for argument in &window.arguments {
            facts.push(if star { Fact::CONSTANT } else { self.check_no_window(*argument, PLACE)? });
        }
        let ty = self.window_type(function, window, &facts);
        let ty = ty.map_err(|error| self.at(node, error))?;
        let mut around = Fact::around(facts.iter().copied());
        for part in &window.partition_by {
            self.check_sortable(*part)?;
            around = Fact::around([around, self.check_no_window(*part, PLACE)?]);
        }
        for term in &window.order_by {
            self.check_sortable(term.expression)?;
            around = Fact::around([around, self.check_no_window(term.expression, PLACE)?]);
        }
        if self.beyond(self.current, around.tables) != 0 {
            return Err(self.at(
                node,
                unsupported("a window function over fields of an outer select is not supported"),
            ));
        }
        let nullable = match function {
            W::RowNumber | W::Rank | W::DenseRank | W::Aggregate(AggregateFunction::Count) => false,
            W::PercentRank | W::CumeDist | W::Ntile => false,
            W::FirstValue | W::LastValue => {
                facts.iter().any(|it| it.nullable)
                    || window.frame.as_ref().is_some_and(may_be_empty)
            }
            W::NthValue | W::Lag | W::Lead | W::Aggregate(_) => true,
        };
        let fact = Fact { ty, nullable, fallible: true, window: true, varies: true, ..around };
        match function {
            W::Lag | W::Lead | W::FirstValue | W::LastValue | W::NthValue => {
                // The second argument is a number.
                facts.truncate(3);
                if facts.len() > 1 {
                    facts.remove(1);
                }
                Ok(fact.one_of(&facts))
            }
            _ => Ok(fact),
        }
    }

    fn window_type(
        &self,
        function: W,
        window: &Window,
        facts: &[Fact],
    ) -> Result<Option<Type>, Error> {
        let Some(first) = facts.first() else {
            return Ok(Some(Type::scalar(match function {
                W::PercentRank | W::CumeDist => ScalarType::Float,
                _ => ScalarType::Integer,
            })));
        };
        match function {
            W::Ntile => {
                self.check_number(window.arguments[0], 1, "number of groups")?;
                Ok(Some(Type::scalar(ScalarType::Integer)))
            }
            W::Aggregate(AggregateFunction::Count) => Ok(Some(Type::scalar(ScalarType::Integer))),
            W::Aggregate(function) => {
                let ty = first.ty.ok_or_else(|| mismatch("a bare null cannot be aggregated"))?;
                self.aggregate_type(function, ty).map(Some)
            }
            _ => {
                match window.arguments.get(1) {
                    Some(row) if function == W::NthValue => {
                        self.check_number(*row, 1, "number of the row")?;
                    }
                    Some(distance) => self.check_number(*distance, 0, "distance")?,
                    None => {}
                }
                match (first.ty, facts.get(2).and_then(|it| it.ty)) {
                    (Some(ty), Some(other)) if ty.kind != other.kind || ty.many != other.many => {
                        Err(mismatch(format!(
                            "the default has the type of the value: {} and {}",
                            self.describe(ty),
                            self.describe(other)
                        )))
                    }
                    (ty, _) => Ok(ty),
                }
            }
        }
    }

    /// Checks a number that is part of the shape: databases accept 32 bits.
    fn check_number(&self, node: NodeRef, least: i64, what: &str) -> Result<(), Error> {
        let fault = match self.node(node) {
            Node::Literal(Literal::Integer(it)) if (least..=MOST_ROWS).contains(it) => {
                return Ok(());
            }
            Node::Literal(Literal::Integer(_)) => out_of_range,
            _ => mismatch,
        };
        Err(fault(format!("the {what} is a whole number from {least} to {MOST_ROWS}")))
    }
}

/// The largest 32-bit number.
const MOST_ROWS: i64 = 0x7fff_ffff;

/// Checks that a frame means the same on both databases; each also accepts others.
fn check_frame(frame: &Frame, function: W, window: &Window) -> Result<(), Error> {
    let name = shown(&window.function);
    if !function.takes_frame() {
        return Err(invalid(format!(
            "{name} takes no frame: aggregates, `first-value`, `last-value` and `nth-value` do"
        )));
    }
    if frame.unit == FrameUnit::Groups {
        if function.tells_rows_apart() {
            return Err(invalid(format!(
                "{name} takes a frame of rows: which of the rows of a group is first, nothing says"
            )));
        }
        if window.order_by.is_empty() {
            return Err(invalid("a frame of groups needs an order, in which rows tie"));
        }
    }
    let bounds = [frame.start, frame.end];
    if bounds.iter().flatten().any(|it| !(-MOST_ROWS..=MOST_ROWS).contains(it)) {
        return Err(out_of_range(format!(
            "the bounds of a frame are from -{MOST_ROWS} to {MOST_ROWS}"
        )));
    }
    match (frame.start, frame.end) {
        (Some(start), Some(end)) if start > end => {
            Err(invalid(format!("the frame starts at {start}, which is after its end, {end}")))
        }
        _ => Ok(()),
    }
}

/// Whether the frame may be empty, as it need not include the current row.
fn may_be_empty(frame: &Frame) -> bool {
    frame.start.is_some_and(|it| it > 0) || frame.end.is_some_and(|it| it < 0)
}
