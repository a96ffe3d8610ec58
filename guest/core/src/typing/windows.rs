//! Functions over the rows around a row.

use ferro_wit::query::{AggregateFunction, Literal, Node, NodeRef, Window};
use ferro_wit::types::Error;

use super::{Fact, Typing};
use crate::catalog::Type;
use crate::error::{at, denied, invalid, mismatch, shown, suggestion};
use crate::functions::{self, WindowFunction as W};
use ferro_wit::types::ScalarType;

impl Typing<'_> {
    pub(super) fn window(&mut self, window: &Window, node: NodeRef) -> Result<Fact, Error> {
        let named = |error| at(node)(error);
        let name = shown(&window.function);
        let Some(function) = functions::find_window(&window.function) else {
            let known = functions::WINDOW_FUNCTIONS.iter().map(|(name, _)| *name);
            let suggestion = suggestion(&window.function, known);
            return Err(named(denied(format!("there is no window function {name}{suggestion}"))));
        };
        if !function.takes(window.arguments.len()) {
            return Err(named(invalid(format!("wrong number of arguments for {name}"))));
        }
        if function.needs_order() && window.order_by.is_empty() {
            return Err(named(invalid(format!("{name} needs an order"))));
        }
        let star = matches!(function, W::Aggregate(AggregateFunction::Count))
            && matches!(self.node(window.arguments[0]), Node::Literal(Literal::Star));
        let mut facts = Vec::new();
        for argument in &window.arguments {
            facts.push(if star { Fact::CONSTANT } else { self.check_no_window(*argument)? });
        }
        let ty = self.window_type(function, window, &facts).map_err(named)?;
        let mut around = Fact::around(facts.iter().copied());
        for part in &window.partition_by {
            self.check_sortable(*part)?;
            around = Fact::around([around, self.check_no_window(*part)?]);
        }
        for term in &window.order_by {
            self.check_sortable(term.expression)?;
            around = Fact::around([around, self.check_no_window(term.expression)?]);
        }
        if self.beyond(self.current, around.tables) != 0 {
            return Err(named(crate::error::unsupported(
                "a window function over fields of an outer select is not supported",
            )));
        }
        let nullable = match function {
            W::RowNumber | W::Rank | W::DenseRank | W::Aggregate(AggregateFunction::Count) => false,
            W::PercentRank | W::CumeDist | W::Ntile => false,
            W::FirstValue | W::LastValue => facts.iter().any(|it| it.nullable),
            W::NthValue | W::Lag | W::Lead | W::Aggregate(_) => true,
        };
        Ok(Fact { ty, nullable, fallible: true, window: true, varies: true, ..around })
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
                Ok(Some(Type::scalar(self.aggregate_kind(function, ty)?)))
            }
            _ => {
                match window.arguments.get(1) {
                    Some(row) if function == W::NthValue => {
                        self.check_number(*row, 1, "number of the row")?;
                    }
                    Some(distance) => self.check_number(*distance, 0, "distance")?,
                    None => {}
                }
                let ty = first.ty.map(|it| Type { enumeration: None, ..it });
                match facts.get(2).and_then(|it| it.ty) {
                    Some(other)
                        if ty.is_some_and(|it| it != Type { enumeration: None, ..other }) =>
                    {
                        Err(mismatch("the default has the type of the value"))
                    }
                    _ => Ok(ty),
                }
            }
        }
    }

    /// A number that is part of the shape, as the databases have it: of 32 bits.
    fn check_number(&self, node: NodeRef, least: i64, what: &str) -> Result<(), Error> {
        match self.node(node) {
            Node::Literal(Literal::Integer(it)) if (least..=0x7fff_ffff).contains(it) => Ok(()),
            _ => Err(mismatch(format!("the {what} is a whole number from {least} to 2147483647"))),
        }
    }
}
