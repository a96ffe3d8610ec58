//! The types of operators.

use ferro_wit::query::{BinaryOperator, Node, UnaryOperator};
use ferro_wit::types::{Error, ScalarType};

use super::{Fact, Typing};
use crate::catalog::Type;
use crate::dialect::Spelling as _;
use crate::error::{mismatch, unsupported};

impl Typing<'_> {
    pub(super) fn unary(&self, operator: UnaryOperator, operand: Fact) -> Result<Fact, Error> {
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
            U::Not | U::IsTrue | U::IsFalse => {
                Err(mismatch(format!("expected a boolean, got {}", self.described(operand))))
            }
            U::Negate => {
                let kind = self.number(operand)?;
                Ok(Fact { fallible: true, ..around }.with(kind))
            }
        }
    }

    pub(super) fn binary(
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
            B::Add | B::Subtract if let Some(kind) = moved(operator, left, right) => {
                Ok(Fact { fallible: true, ..around }.with(kind))
            }
            B::Add | B::Subtract | B::Multiply | B::Divide | B::Modulo => {
                let kind = self.arithmetic(operator, left, right)?;
                let nullable = around.nullable || matches!(operator, B::Divide | B::Modulo);
                Ok(Fact { nullable, fallible: true, ..around }.with(kind))
            }
            B::Concat if both(ScalarType::Text, left, right) => {
                let fact = Fact { fallible: true, lengthens: true, ..around };
                Ok(fact.with(ScalarType::Text))
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
            | B::EndsWith => Err(self.expected_both("text", left, right)),
            B::InList | B::NotInList => {
                self.check_list(left, right)?;
                // On SQLite, a stored text may not be an array.
                let fallible = around.fallible || !matches!(right_node, Node::Parameter(_));
                // A list may contain nulls, even if its field is not nullable.
                Ok(Fact { nullable: true, fallible, ..around }.with(ScalarType::Boolean))
            }
            B::ArrayContains | B::ArrayOverlaps => self.arrays(left, right),
            B::JsonContains => self.json_contains(left, right),
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
                Err(self.expected_both("whole numbers", left, right))
            }
            (S::Float | S::Integer, S::Float | S::Integer) => Ok(S::Float),
            (S::Decimal | S::Integer, S::Decimal | S::Integer) => Ok(S::Decimal),
            _ => Err(mismatch("a float and a decimal do not mix: cast one of them")),
        }
    }

    /// The type of a number in arithmetic.
    fn number(&self, fact: Fact) -> Result<ScalarType, Error> {
        use ScalarType as S;
        let Some(ty) = fact.ty else {
            return Err(mismatch("expected a number, got a bare null: use a parameter"));
        };
        match ty.kind {
            kind @ (S::Integer | S::Float | S::Decimal) if !ty.many => Ok(kind),
            _ => Err(mismatch(format!("expected a number, got {}", self.describe(ty)))),
        }
    }

    /// The error that one of two operands, or both, are not what they should be.
    pub(super) fn expected_both(&self, what: &str, left: Fact, right: Fact) -> Error {
        let (left, right) = (self.described(left), self.described(right));
        mismatch(format!("expected {what} on both sides, got {left} and {right}"))
    }

    /// What an operand is, in a message.
    pub(super) fn described(&self, fact: Fact) -> String {
        fact.ty.map_or_else(|| "a bare null".to_owned(), |ty| self.describe(ty))
    }

    pub(super) fn check_comparable(&self, left: Fact, right: Fact) -> Result<(), Error> {
        use ScalarType as S;
        let (Some(left), Some(right)) = (left.ty, right.ty) else { return Ok(()) };
        if left.many && right.many && left.kind == right.kind {
            return self.check_elements(left.kind);
        }
        if left.many || right.many {
            return Err(mismatch(format!(
                "{} cannot be compared with {}",
                self.describe(left),
                self.describe(right)
            )));
        }
        let enums_differ = left.enumeration.is_some()
            && right.enumeration.is_some()
            && left.enumeration != right.enumeration;
        let comparable = match (left.kind, right.kind) {
            (S::Json, S::Json) if !self.task.dialect.features().documents => {
                return Err(unsupported(
                    "SQLite does not compare documents: compare their parts, by paths",
                ));
            }
            (S::Interval, S::Interval) => self.task.dialect.features().intervals,
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

    pub(super) fn check_ordered(&self, left: Fact, right: Fact) -> Result<(), Error> {
        self.check_comparable(left, right)?;
        let unordered =
            |it: &Type| it.enumeration.is_some() || it.many || it.kind == ScalarType::Json;
        match [left.ty, right.ty].into_iter().flatten().find(unordered) {
            Some(ty) => Err(unsupported(format!(
                "comparing {} by its order is not supported",
                self.describe(ty)
            ))),
            None => Ok(()),
        }
    }

    fn check_list(&self, left: Fact, right: Fact) -> Result<(), Error> {
        let Some(list) = right.ty.filter(|it| it.many) else {
            return Err(mismatch(format!(
                "expected a list on the right side, a parameter with `many` or an array, got {}",
                self.described(right)
            )));
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
}

/// The type of a date or timestamp after an addition or subtraction.
fn moved(operator: BinaryOperator, left: Fact, right: Fact) -> Option<ScalarType> {
    use ScalarType as S;
    let (left, right) = (left.ty?, right.ty?);
    match (left.kind, right.kind) {
        _ if left.many || right.many => None,
        (S::Date, S::Integer) | (S::Timestamp | S::Timestamptz, S::Interval) => Some(left.kind),
        (S::Timestamp, S::Timestamp) | (S::Timestamptz, S::Timestamptz)
            if operator == BinaryOperator::Subtract =>
        {
            Some(S::Interval)
        }
        _ => None,
    }
}

fn both(kind: ScalarType, left: Fact, right: Fact) -> bool {
    left.is(kind) && right.is(kind)
}
