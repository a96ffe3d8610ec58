//! What an expression is: its type, and what may be done with it. Checked before it is written, so
//! that a value of the wrong type never reaches a database.
//!
//! Nothing is coerced, with one exception: whole numbers go where floats or decimals are wanted.

use ferro_wit::query::{
    Aggregate, AggregateFunction, BinaryOperator, FunctionCall, Literal, Node, NodeRef, Query,
    UnaryOperator,
};
use ferro_wit::types::{Dialect, Error, ScalarType};

use crate::catalog::{Catalog, Type};
use crate::dialect::Spelling as _;
use crate::error::{at, denied, invalid, mismatch, shown, suggestion, unsupported};
use crate::functions;
use crate::policy::View;

/// What is known of a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fact {
    /// None: a bare null, which fits everywhere.
    pub(crate) ty: Option<Type>,
    pub(crate) nullable: bool,
    /// Evaluating it can fail, depending on the row.
    pub(crate) fallible: bool,
    /// An aggregate stands in it.
    pub(crate) aggregate: bool,
    /// Its value depends on the row.
    pub(crate) varies: bool,
    /// A parameter stands in it.
    pub(crate) parameter: bool,
}

impl Fact {
    const CONSTANT: Self = Self {
        ty: None,
        nullable: false,
        fallible: false,
        aggregate: false,
        varies: false,
        parameter: false,
    };

    fn constant(kind: ScalarType) -> Self {
        Self { ty: Some(Type::scalar(kind)), ..Self::CONSTANT }
    }

    /// What several operands have in common with the expression that they stand in.
    fn around(facts: impl IntoIterator<Item = Self>) -> Self {
        facts.into_iter().fold(Self::CONSTANT, |one, other| Self {
            ty: None,
            nullable: one.nullable || other.nullable,
            fallible: one.fallible || other.fallible,
            aggregate: one.aggregate || other.aggregate,
            varies: one.varies || other.varies,
            parameter: one.parameter || other.parameter,
        })
    }

    fn with(self, kind: ScalarType) -> Self {
        Self { ty: Some(Type::scalar(kind)), ..self }
    }

    fn is(&self, kind: ScalarType) -> bool {
        self.ty.is_none_or(|it| it.is(kind))
    }
}

/// Finds out what the nodes of a query are.
pub(crate) struct Typing<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) query: &'a Query,
    pub(crate) dialect: Dialect,
    pub(crate) view: View<'a>,
    /// The fields that the rows of an insert carry, while its conflict is compiled: only there may
    /// `excluded` stand.
    pub(crate) inserted: Option<Vec<&'a str>>,
    /// What is known so far.
    facts: Vec<Option<Fact>>,
}

impl<'a> Typing<'a> {
    pub(crate) fn new(
        catalog: &'a Catalog,
        query: &'a Query,
        dialect: Dialect,
        view: View<'a>,
    ) -> Self {
        let facts = vec![None; query.nodes.len()];
        Self { catalog, query, dialect, view, inserted: None, facts }
    }

    /// What a node is.
    pub(crate) fn fact(&mut self, node: NodeRef) -> Result<Fact, Error> {
        if let Some(known) = self.facts[node as usize] {
            return Ok(known);
        }
        let fact = self.find(node)?;
        self.facts[node as usize] = Some(fact);
        Ok(fact)
    }

    /// A condition: a boolean, on single rows.
    pub(crate) fn check_condition(&mut self, node: NodeRef) -> Result<Fact, Error> {
        let fact = self.fact(node)?;
        if !fact.is(ScalarType::Boolean) {
            return Err(at(node)(mismatch("a condition is a boolean")));
        }
        Ok(fact)
    }

    /// An expression on single rows.
    pub(crate) fn check_rowwise(&mut self, node: NodeRef) -> Result<Fact, Error> {
        let fact = self.fact(node)?;
        if fact.aggregate {
            return Err(at(node)(invalid("an aggregate cannot stand here")));
        }
        Ok(fact)
    }

    /// A value for a column.
    pub(crate) fn check_assignable(&mut self, node: NodeRef, to: Type) -> Result<Fact, Error> {
        let fact = self.check_rowwise(node)?;
        let Some(ty) = fact.ty else { return Ok(fact) };
        let widens = !to.many
            && ty.is(ScalarType::Integer)
            && matches!(to.kind, ScalarType::Float | ScalarType::Decimal);
        if widens {
            return Ok(fact);
        }
        // A text may be a value of the enum; another enum's values are not.
        let enums_fit = ty.enumeration.is_none() || to.enumeration.is_none() || ty == to;
        let is_value = to.enumeration.is_none()
            || ty.enumeration.is_some()
            || matches!(self.query.nodes[node as usize], Node::Parameter(_));
        match ty.kind == to.kind && ty.many == to.many && enums_fit && is_value {
            true => Ok(fact),
            false => Err(at(node)(mismatch(format!(
                "{} where {} is wanted",
                self.describe(ty),
                self.describe(to)
            )))),
        }
    }

    fn find(&mut self, node: NodeRef) -> Result<Fact, Error> {
        let query = self.query;
        let named = |error| at(node)(error);
        match &query.nodes[node as usize] {
            Node::Literal(literal) => literal_fact(literal).map_err(named),
            Node::Parameter(parameter) => Ok(Fact {
                ty: Some(Type { kind: parameter.kind, many: parameter.many, enumeration: None }),
                nullable: true,
                parameter: true,
                ..Fact::CONSTANT
            }),
            Node::Field(path) => {
                if !path.relations.is_empty() {
                    return Err(named(unsupported(
                        "a path through relations is not supported yet",
                    )));
                }
                if path.outer != 0 {
                    return Err(named(invalid("there is no select around this one")));
                }
                let field = self.view.readable(&path.field).map_err(named)?;
                Ok(Fact {
                    ty: Some(field.ty),
                    nullable: field.nullable,
                    varies: true,
                    ..Fact::CONSTANT
                })
            }
            Node::Excluded(name) => self.excluded(name).map_err(named),
            Node::Unary((operator, operand)) => {
                let operand = self.fact(*operand)?;
                self.unary(*operator, operand).map_err(named)
            }
            Node::Binary((operator, left, right)) => {
                let facts = (self.fact(*left)?, self.fact(*right)?);
                let right = &query.nodes[*right as usize];
                self.binary(*operator, facts.0, facts.1, right).map_err(named)
            }
            Node::Between((value, lower, upper)) => {
                let value = self.fact(*value)?;
                let (lower, upper) = (self.fact(*lower)?, self.fact(*upper)?);
                for limit in [lower, upper] {
                    self.check_ordered(value, limit).map_err(named)?;
                }
                Ok(Fact::around([value, lower, upper]).with(ScalarType::Boolean))
            }
            Node::AllOf(terms) | Node::AnyOf(terms) => {
                let mut facts = Vec::with_capacity(terms.len());
                for term in terms {
                    facts.push(self.check_condition(*term)?);
                }
                Ok(Fact::around(facts).with(ScalarType::Boolean))
            }
            Node::Call(call) => {
                let facts = call.arguments.iter().map(|it| self.fact(*it));
                let facts: Vec<_> = facts.collect::<Result<_, _>>()?;
                self.call(call, &facts).map_err(named)
            }
            Node::Cast((operand, kind)) => {
                let operand = self.fact(*operand)?;
                self.cast(operand, *kind).map_err(named)
            }
            Node::Aggregate(aggregate) => self.aggregate(aggregate, node),
            Node::Case(_) => Err(named(not_yet("case"))),
            Node::Json(_) => Err(named(not_yet("json"))),
            Node::Window(_) => Err(named(not_yet("window"))),
            Node::Related(_) => Err(named(not_yet("related"))),
            Node::Subquery(_) => Err(named(not_yet("subquery"))),
            Node::Exists(_) => Err(named(not_yet("exists"))),
            Node::InSelect(_) => Err(named(not_yet("in-select"))),
        }
    }

    fn excluded(&self, name: &str) -> Result<Fact, Error> {
        let Some(inserted) = &self.inserted else {
            return Err(invalid("`excluded` stands only in the conflict of an insert"));
        };
        let field = match inserted.contains(&name) {
            true => self.view.nameable(name)?,
            false => self.view.readable(name)?,
        };
        Ok(Fact { ty: Some(field.ty), nullable: field.nullable, varies: true, ..Fact::CONSTANT })
    }

    fn unary(&self, operator: UnaryOperator, operand: Fact) -> Result<Fact, Error> {
        use UnaryOperator as U;
        let around = Fact::around([operand]);
        match operator {
            U::IsNull | U::IsNotNull => {
                Ok(Fact { nullable: false, ..around }.with(ScalarType::Boolean))
            }
            U::Not if operand.is(ScalarType::Boolean) => Ok(around.with(ScalarType::Boolean)),
            U::IsTrue | U::IsFalse if operand.is(ScalarType::Boolean) => {
                Ok(Fact { nullable: false, ..around }.with(ScalarType::Boolean))
            }
            U::Not | U::IsTrue | U::IsFalse => Err(mismatch("the operand is a boolean")),
            U::Negate => {
                let kind = self.number(operand)?;
                Ok(Fact { fallible: true, ..around }.with(kind))
            }
        }
    }

    fn binary(
        &self,
        operator: BinaryOperator,
        left: Fact,
        right: Fact,
        right_node: &Node,
    ) -> Result<Fact, Error> {
        use BinaryOperator as B;
        let around = Fact::around([left, right]);
        match operator {
            B::Equal | B::NotEqual => {
                self.check_comparable(left, right)?;
                Ok(around.with(ScalarType::Boolean))
            }
            B::IsDistinct | B::IsNotDistinct => {
                self.check_comparable(left, right)?;
                Ok(Fact { nullable: false, ..around }.with(ScalarType::Boolean))
            }
            B::Less | B::LessOrEqual | B::Greater | B::GreaterOrEqual => {
                self.check_ordered(left, right)?;
                Ok(around.with(ScalarType::Boolean))
            }
            B::Add | B::Subtract | B::Multiply | B::Divide | B::Modulo => {
                let kind = self.arithmetic(operator, left, right)?;
                let nullable = around.nullable || matches!(operator, B::Divide | B::Modulo);
                Ok(Fact { nullable, fallible: true, ..around }.with(kind))
            }
            B::Concat if both(ScalarType::Text, left, right) => {
                Ok(Fact { fallible: true, ..around }.with(ScalarType::Text))
            }
            B::Like | B::Ilike | B::NotLike | B::NotIlike
                if both(ScalarType::Text, left, right) =>
            {
                Ok(Fact { fallible: true, ..around }.with(ScalarType::Boolean))
            }
            B::Contains | B::StartsWith | B::EndsWith if both(ScalarType::Text, left, right) => {
                Ok(around.with(ScalarType::Boolean))
            }
            B::Concat
            | B::Like
            | B::Ilike
            | B::NotLike
            | B::NotIlike
            | B::Contains
            | B::StartsWith
            | B::EndsWith => Err(mismatch("both operands are texts")),
            B::InList | B::NotInList => {
                self.check_list(left, right)?;
                // A stored array may turn out not to be one, on SQLite.
                let fallible = around.fallible || !matches!(right_node, Node::Parameter(_));
                Ok(Fact { fallible, ..around }.with(ScalarType::Boolean))
            }
            B::ArrayContains => Err(not_yet("array-contains")),
            B::ArrayOverlaps => Err(not_yet("array-overlaps")),
            B::JsonContains => Err(not_yet("json-contains")),
        }
    }

    fn arithmetic(
        &self,
        operator: BinaryOperator,
        left: Fact,
        right: Fact,
    ) -> Result<ScalarType, Error> {
        use ScalarType as S;
        let kinds = (self.number(left)?, self.number(right)?);
        match kinds {
            (S::Integer, S::Integer) => Ok(S::Integer),
            _ if operator == BinaryOperator::Modulo => {
                Err(mismatch("`modulo` takes whole numbers"))
            }
            (S::Float | S::Integer, S::Float | S::Integer) => Ok(S::Float),
            (S::Decimal | S::Integer, S::Decimal | S::Integer) => Ok(S::Decimal),
            _ => Err(mismatch("a float and a decimal do not mix: cast one of them")),
        }
    }

    /// The type of a number that can be calculated with.
    fn number(&self, fact: Fact) -> Result<ScalarType, Error> {
        let ty = fact.ty.ok_or_else(|| mismatch("a bare null is no number: use a parameter"))?;
        if ty.many
            || !matches!(ty.kind, ScalarType::Integer | ScalarType::Float | ScalarType::Decimal)
        {
            return Err(mismatch(format!("{} is no number", self.describe(ty))));
        }
        self.check_exact(ty.kind, "calculations with decimals are")?;
        Ok(ty.kind)
    }

    /// Where decimals are kept as texts, calculations would be those of floats.
    fn check_exact(&self, kind: ScalarType, what: &str) -> Result<(), Error> {
        match kind == ScalarType::Decimal && !self.dialect.features().decimals {
            true => Err(unsupported(format!("{what} not supported on SQLite yet"))),
            false => Ok(()),
        }
    }

    fn check_comparable(&self, left: Fact, right: Fact) -> Result<(), Error> {
        use ScalarType as S;
        let (Some(left), Some(right)) = (left.ty, right.ty) else { return Ok(()) };
        if left.many || right.many {
            return Err(unsupported("comparing arrays is not supported yet"));
        }
        let enums_differ = left.enumeration.is_some()
            && right.enumeration.is_some()
            && left.enumeration != right.enumeration;
        let comparable = match (left.kind, right.kind) {
            (S::Json, S::Json) => return Err(unsupported("comparing json is not supported yet")),
            (S::Interval, S::Interval) => self.dialect.features().intervals,
            (one, other) if one == other => !enums_differ,
            (S::Integer, S::Float | S::Decimal) | (S::Float | S::Decimal, S::Integer) => true,
            _ => false,
        };
        match comparable {
            true => Ok(()),
            false if left.kind == S::Interval && right.kind == S::Interval => {
                Err(unsupported("comparing intervals is not supported on SQLite"))
            }
            false => Err(mismatch(format!(
                "{} cannot be compared with {}",
                self.describe(left),
                self.describe(right)
            ))),
        }
    }

    fn check_ordered(&self, left: Fact, right: Fact) -> Result<(), Error> {
        self.check_comparable(left, right)?;
        match [left.ty, right.ty].into_iter().flatten().any(|it| it.enumeration.is_some()) {
            true => Err(unsupported("comparing enums by their order is not supported yet")),
            false => Ok(()),
        }
    }

    fn check_list(&self, left: Fact, right: Fact) -> Result<(), Error> {
        let Some(list) = right.ty.filter(|it| it.many) else {
            return Err(mismatch("the right side is a list: a parameter with `many`, or an array"));
        };
        let Some(value) = left.ty else { return Ok(()) };
        if matches!(list.kind, ScalarType::Json | ScalarType::Interval) {
            return Err(unsupported("a list of json or intervals is not supported yet"));
        }
        match value.is(list.kind) {
            true => Ok(()),
            false => Err(mismatch(format!(
                "{} cannot be in {}",
                self.describe(value),
                self.describe(list)
            ))),
        }
    }

    fn call(&self, call: &FunctionCall, facts: &[Fact]) -> Result<Fact, Error> {
        let Some(function) = functions::find(&call.name) else {
            let known = functions::FUNCTIONS.iter().map(|(name, _)| *name);
            let suggestion = suggestion(&call.name, known);
            return Err(denied(format!("there is no function {}{suggestion}", shown(&call.name))));
        };
        if !function.takes(call.arguments.len()) {
            return Err(invalid(format!("wrong number of arguments for {}", shown(&call.name))));
        }
        let mut types = facts.iter().filter_map(|it| it.ty);
        let Some(first) = types.next() else {
            return Err(mismatch(format!("{} takes no bare null", shown(&call.name))));
        };
        let wrong =
            |ty| mismatch(format!("{} does not take {}", shown(&call.name), self.describe(ty)));
        if let Some(other) = types.find(|it| it.kind != first.kind || it.many != first.many) {
            return Err(wrong(other));
        }
        let result =
            function.result(first.kind).filter(|_| !first.many).ok_or_else(|| wrong(first))?;
        let around = Fact::around(facts.iter().copied());
        let nullable = match function {
            functions::Function::Coalesce => facts.iter().all(|it| it.nullable),
            _ => around.nullable,
        };
        if function == functions::Function::Abs {
            self.check_exact(first.kind, "calculations with decimals are")?;
        }
        let fallible = around.fallible || function.fallible();
        Ok(Fact { nullable, fallible, ..around }.with(result))
    }

    /// Casts that mean the same on both databases.
    fn cast(&self, operand: Fact, to: ScalarType) -> Result<Fact, Error> {
        use ScalarType as S;
        let around = Fact::around([operand]);
        let Some(from) = operand.ty else { return Ok(around.with(to)) };
        let known = !from.many
            && match (from.kind, to) {
                (from, to) if from == to => true,
                (S::Integer, S::Float | S::Decimal | S::Text) => true,
                (S::Boolean, S::Integer) => true,
                (S::Decimal, S::Float | S::Text) => true,
                _ => false,
            };
        match known {
            true => Ok(Fact { fallible: true, ..around }.with(to)),
            false => Err(unsupported(format!(
                "a cast from {} to {} is not supported",
                self.describe(from),
                self.describe(Type::scalar(to))
            ))),
        }
    }

    fn aggregate(&mut self, aggregate: &Aggregate, node: NodeRef) -> Result<Fact, Error> {
        use AggregateFunction as A;
        let named = |error| at(node)(error);
        let filter = match aggregate.filter {
            Some(filter) => self.check_condition(filter)?,
            None => Fact::CONSTANT,
        };
        let star =
            matches!(self.query.nodes[aggregate.argument as usize], Node::Literal(Literal::Star));
        let argument = match star {
            true if aggregate.function != A::Count || aggregate.distinct => {
                return Err(named(invalid("`star` is the argument of `count` only")));
            }
            true => Fact::CONSTANT,
            false => self.fact(aggregate.argument)?,
        };
        if argument.aggregate || filter.aggregate {
            return Err(named(invalid("an aggregate cannot stand in another one")));
        }
        let kind = match (aggregate.function, argument.ty) {
            (A::Count, _) => ScalarType::Integer,
            (_, None) => return Err(named(mismatch("a bare null cannot be aggregated"))),
            (function, Some(ty)) => self.aggregate_kind(function, ty).map_err(named)?,
        };
        Ok(Fact {
            ty: Some(Type::scalar(kind)),
            nullable: aggregate.function != A::Count,
            fallible: true,
            aggregate: true,
            varies: true,
            parameter: argument.parameter || filter.parameter,
        })
    }

    fn aggregate_kind(&self, function: AggregateFunction, ty: Type) -> Result<ScalarType, Error> {
        use AggregateFunction as A;
        use ScalarType as S;
        let wrong = || mismatch(format!("it does not take {}", self.describe(ty)));
        if ty.many || ty.enumeration.is_some() {
            return Err(wrong());
        }
        match (function, ty.kind) {
            (A::Sum | A::Average, S::Decimal) => {
                self.check_exact(ty.kind, "sums and averages of decimals are")?;
                Ok(S::Decimal)
            }
            (A::Sum, S::Integer | S::Float) => Ok(ty.kind),
            (A::Average, S::Integer | S::Float) => Ok(S::Float),
            (A::Sum | A::Average, _) => Err(wrong()),
            (_, S::Boolean | S::Uuid | S::Blob | S::Json | S::Interval) => Err(wrong()),
            (_, kind) => Ok(kind),
        }
    }

    /// A type in a message.
    pub(crate) fn describe(&self, ty: Type) -> String {
        let kind = match ty.enumeration {
            Some(index) => format!("enum {}", shown(&self.catalog.enums[index].name)),
            None => name_of(ty.kind).to_owned(),
        };
        match ty.many {
            true => format!("a list of {kind}"),
            false => kind,
        }
    }
}

fn literal_fact(literal: &Literal) -> Result<Fact, Error> {
    match literal {
        Literal::Null => Ok(Fact { nullable: true, ..Fact::CONSTANT }),
        Literal::Boolean(_) => Ok(Fact::constant(ScalarType::Boolean)),
        Literal::Integer(_) => Ok(Fact::constant(ScalarType::Integer)),
        Literal::Star => Err(invalid("`star` stands only in `count`")),
    }
}

fn both(kind: ScalarType, left: Fact, right: Fact) -> bool {
    left.is(kind) && right.is(kind)
}

fn not_yet(construct: &str) -> Error {
    unsupported(format!("`{construct}` is not supported yet"))
}

/// A scalar type in a message, as in the WIT.
pub(crate) fn name_of(kind: ScalarType) -> &'static str {
    match kind {
        ScalarType::Boolean => "boolean",
        ScalarType::Integer => "integer",
        ScalarType::Float => "float",
        ScalarType::Decimal => "decimal",
        ScalarType::Text => "text",
        ScalarType::Blob => "blob",
        ScalarType::Uuid => "uuid",
        ScalarType::Date => "date",
        ScalarType::Time => "time",
        ScalarType::Timestamp => "timestamp",
        ScalarType::Timestamptz => "timestamptz",
        ScalarType::Interval => "interval",
        ScalarType::Json => "json",
    }
}
