//! The types of functions, casts and aggregates.

use ferro_wit::query::{
    Aggregate, AggregateFunction, CaseExpression, FunctionCall, Literal, Node, NodeRef,
};
use ferro_wit::types::{Error, ScalarType};

use super::{Fact, Typing};
use crate::catalog::Type;
use crate::error::{denied, invalid, mismatch, out_of_range, shown, suggestion, unsupported};
use crate::functions;

impl Typing<'_> {
    pub(super) fn call(&self, call: &FunctionCall, facts: &[Fact]) -> Result<Fact, Error> {
        let Some(function) = functions::find(&call.name) else {
            let known = functions::FUNCTIONS.iter().map(|(name, _)| *name);
            let suggestion = suggestion(&call.name, known);
            return Err(denied(format!("there is no function {}{suggestion}", shown(&call.name))));
        };
        if !function.takes(call.arguments.len()) {
            return Err(invalid(format!("wrong number of arguments for {}", shown(&call.name))));
        }
        let mut facts = facts;
        if let Some(range) = function.literals() {
            for argument in &call.arguments[1..] {
                let fault = match self.node(*argument) {
                    Node::Literal(Literal::Integer(it)) if range.contains(it) => continue,
                    Node::Literal(Literal::Integer(_)) => out_of_range,
                    _ => mismatch,
                };
                return Err(fault(format!(
                    "the numbers of {} are literals from {} to {}",
                    shown(&call.name),
                    range.start(),
                    range.end()
                )));
            }
            facts = &facts[..1];
        }
        let mut types = facts.iter().filter_map(|it| it.ty);
        let Some(first) = types.next() else {
            return Err(mismatch(format!("{} takes no bare null", shown(&call.name))));
        };
        let digits = match (function, call.arguments.len()) {
            (functions::Function::Round, 2) => " and a number of digits",
            _ => "",
        };
        let wrong = |ty| {
            let taken = self.describe(ty);
            mismatch(format!("{} does not take {taken}{digits}", shown(&call.name)))
        };
        if let Some(other) = types.find(|it| it.kind != first.kind || it.many != first.many) {
            return Err(mismatch(format!(
                "{} takes values of one type: {} and {}",
                shown(&call.name),
                self.describe(first),
                self.describe(other)
            )));
        }
        let result = function
            .result(first.kind, call.arguments.len())
            .filter(|_| !first.many)
            .ok_or_else(|| wrong(first))?;
        let around = Fact::around(facts.iter().copied());
        let nullable = match function {
            functions::Function::Coalesce => facts.iter().all(|it| it.nullable),
            functions::Function::NullIf => true,
            _ => around.nullable,
        };
        let fallible = around.fallible || function.fallible();
        let lengthens = around.lengthens || function == functions::Function::Replace;
        let fact = Fact { nullable, fallible, lengthens, ..around }.with(result);
        match function {
            functions::Function::Coalesce | functions::Function::NullIf => Ok(fact.one_of(facts)),
            _ => Ok(fact),
        }
    }

    /// Allows only casts that mean the same on both databases.
    pub(super) fn cast(&self, operand: Fact, to: ScalarType) -> Result<Fact, Error> {
        use ScalarType as S;
        let around = Fact::around([operand]);
        let Some(from) = operand.ty else { return Ok(around.with(to)) };
        let known = !from.many
            && match (from.kind, to) {
                (from, to) if from == to => true,
                (S::Integer, S::Float | S::Decimal | S::Text) => true,
                (S::Boolean, S::Integer) => true,
                (S::Decimal, S::Float | S::Text) => true,
                (S::Float, S::Integer) => true,
                (S::Date, S::Timestamp | S::Timestamptz) => true,
                (S::Timestamp, S::Date | S::Time | S::Timestamptz) => true,
                (S::Timestamptz, S::Date | S::Time | S::Timestamp) => true,
                _ => false,
            };
        // A float may not fit 64 bits; the result is then null.
        let nullable = around.nullable || (from.kind, to) == (S::Float, S::Integer);
        match known {
            true => Ok(Fact { nullable, fallible: true, ..around }.with(to)),
            false => Err(unsupported(format!(
                "a cast from {} to {} is not supported",
                self.describe(from),
                self.describe(Type::scalar(to))
            ))),
        }
    }

    pub(super) fn case(&mut self, case: &CaseExpression, node: NodeRef) -> Result<Fact, Error> {
        if case.branches.is_empty() {
            return Err(invalid("`case` has at least one branch"));
        }
        let mut conditions = Vec::with_capacity(case.branches.len());
        for branch in &case.branches {
            let fact = self.check_condition(branch.when)?;
            conditions.push(Fact { nullable: false, ..fact });
        }
        let mut values = Vec::with_capacity(case.branches.len() + 1);
        let mut ty: Option<Type> = None;
        for value in case.branches.iter().map(|it| it.then).chain(case.otherwise) {
            let fact = self.fact(value)?;
            values.push(fact);
            let found = fact.ty.map(|it| Type { enumeration: None, ..it });
            match (ty, found) {
                (Some(ty), Some(found)) if ty != found => {
                    let (one, other) = (self.describe(ty), self.describe(found));
                    let fault = mismatch(format!(
                        "the branches of a `case` are of one type: {one} and {other}"
                    ));
                    return Err(self.at(node, fault));
                }
                (ty_so_far, found) => ty = ty_so_far.or(found),
            }
        }
        let around = Fact::around(conditions.into_iter().chain(values.iter().copied()));
        let nullable = around.nullable || case.otherwise.is_none();
        Ok(Fact { ty, nullable, ..around }.one_of(&values))
    }

    pub(super) fn aggregate(
        &mut self,
        aggregate: &Aggregate,
        node: NodeRef,
    ) -> Result<Fact, Error> {
        use AggregateFunction as A;
        let filter = match aggregate.filter {
            Some(filter) => self.check_condition(filter)?,
            None => Fact::CONSTANT,
        };
        let star = matches!(
            self.task.query.nodes[aggregate.argument as usize],
            Node::Literal(Literal::Star)
        );
        let argument = match star {
            true if aggregate.function != A::Count => {
                return Err(invalid("`star` is the argument of `count` only"));
            }
            true if aggregate.distinct => {
                return Err(invalid("a count of all rows takes no `distinct`"));
            }
            true => Fact::CONSTANT,
            false => self.fact(aggregate.argument)?,
        };
        let gathering = self.gathering(aggregate, node)?;
        let around = Fact::around([argument, filter, gathering]);
        if around.aggregate {
            return Err(self.at(node, invalid("an aggregate cannot stand in another one")));
        }
        if aggregate.distinct {
            self.check_comparable(argument, argument).map_err(|it| self.at(node, it))?;
            self.check_distinct_order(aggregate)?;
        }
        if around.window {
            return Err(self.at(node, invalid("a window function cannot stand in an aggregate")));
        }
        if self.beyond(self.current, around.tables) != 0 {
            return Err(self.at(
                node,
                unsupported("an aggregate of the fields of an outer select is not supported"),
            ));
        }
        let ty = match (aggregate.function, argument.ty) {
            (A::Count, _) => Type::scalar(ScalarType::Integer),
            (_, None) => return Err(mismatch("a bare null cannot be aggregated")),
            (function, Some(ty)) => {
                self.aggregate_type(function, ty).map_err(|it| self.at(node, it))?
            }
        };
        Ok(Fact {
            ty: Some(ty),
            nullable: aggregate.function != A::Count,
            fallible: true,
            aggregate: true,
            varies: true,
            lengthens: argument.lengthens || aggregate.function == A::StringAgg,
            ..around
        })
    }

    /// Checks the separator of concatenated texts, and the order of these or of the values of a
    /// list.
    fn gathering(&mut self, aggregate: &Aggregate, node: NodeRef) -> Result<Fact, Error> {
        let joins = aggregate.function == AggregateFunction::StringAgg;
        let mut around = Fact::CONSTANT;
        match aggregate.separator {
            Some(_) if !joins => {
                return Err(self.at(node, invalid("only `string-agg` takes a separator")));
            }
            Some(separator) => {
                let fact = self.fact(separator)?;
                let is_text = fact.ty.is_some_and(|it| it.is(ScalarType::Text));
                if !is_text || !matches!(self.node(separator), Node::Parameter(_)) {
                    let fault = mismatch("a separator is a parameter of type text");
                    return Err(self.at(node, fault));
                }
                around = fact;
            }
            None if joins => {
                return Err(self.at(node, invalid("`string-agg` needs a separator")));
            }
            None => {}
        }
        if joins && aggregate.distinct {
            return Err(self.at(
                node,
                unsupported(
                    "`string-agg` takes no `distinct`: take distinct rows of a common table",
                ),
            ));
        }
        let gathers = joins || aggregate.function == AggregateFunction::ArrayAgg;
        if !gathers && !aggregate.order_by.is_empty() {
            let fault = invalid("only `string-agg` and `array-agg` take an order");
            return Err(self.at(node, fault));
        }
        for term in &aggregate.order_by {
            self.check_sortable(term.expression)?;
            around = Fact::around([around, self.fact(term.expression)?]);
        }
        Ok(around)
    }

    /// If rows have the same value, nothing determines which of them decides its position.
    fn check_distinct_order(&self, aggregate: &Aggregate) -> Result<(), Error> {
        let other =
            aggregate.order_by.iter().find(|term| !self.same(term.expression, aggregate.argument));
        match other {
            Some(term) => Err(self.at(
                term.expression,
                invalid("distinct values are ordered by themselves only: by what is aggregated"),
            )),
            None => Ok(()),
        }
    }

    pub(super) fn aggregate_type(
        &self,
        function: AggregateFunction,
        ty: Type,
    ) -> Result<Type, Error> {
        use AggregateFunction as A;
        use ScalarType as S;
        let kind = match (function, ty.kind) {
            _ if ty.many => None,
            (A::ArrayAgg, kind) => return Ok(Type { many: true, ..Type::scalar(kind) }),
            (A::StringAgg, kind) => Some(kind).filter(|it| *it == S::Text),
            _ if ty.enumeration.is_some() => None,
            (A::Sum, S::Integer | S::Float) => Some(ty.kind),
            (A::Sum | A::Average, S::Decimal) => Some(S::Decimal),
            (A::Average, S::Integer | S::Float) => Some(S::Float),
            (A::Sum | A::Average, _) => None,
            (_, S::Boolean | S::Uuid | S::Blob | S::Json | S::Interval) => None,
            (_, kind) => Some(kind),
        };
        let kind = kind.ok_or_else(|| {
            let name = shown(&function.to_string());
            mismatch(format!("{name} does not take {}", self.describe(ty)))
        })?;
        Ok(Type::scalar(kind))
    }
}
