//! What texts can do.

use ferro_wit::query::BinaryOperator;

use super::{Condition, Expression, Like, Operand, binary, expr};
use crate::scalar::Field;
use crate::tree::Tree;

/// Expressions that are texts.
pub trait TextExpression: Expression {
    /// Matches a pattern of `%` and `_`, in which case matters.
    fn like<V: Operand<Self::Model, String>>(self, pattern: V) -> Condition<Self::Model>
    where
        Self::Type: Field<Base = String>,
    {
        binary(BinaryOperator::Like, self, pattern)
    }

    /// Matches a pattern of `%` and `_`, in which case does not matter.
    fn ilike<V: Operand<Self::Model, String>>(self, pattern: V) -> Condition<Self::Model>
    where
        Self::Type: Field<Base = String>,
    {
        binary(BinaryOperator::Ilike, self, pattern)
    }

    /// Contains a text; `%` and `_` in it are only letters.
    fn contains<V: Operand<Self::Model, String>>(self, text: V) -> Condition<Self::Model>
    where
        Self::Type: Field<Base = String>,
    {
        binary(BinaryOperator::Contains, self, text)
    }

    /// Starts with a text; `%` and `_` in it are only letters.
    fn starts_with<V: Operand<Self::Model, String>>(self, text: V) -> Condition<Self::Model>
    where
        Self::Type: Field<Base = String>,
    {
        binary(BinaryOperator::StartsWith, self, text)
    }

    /// Ends with a text; `%` and `_` in it are only letters.
    fn ends_with<V: Operand<Self::Model, String>>(self, text: V) -> Condition<Self::Model>
    where
        Self::Type: Field<Base = String>,
    {
        binary(BinaryOperator::EndsWith, self, text)
    }

    /// In lower case; on SQLite the letters of ASCII only.
    fn lower(self) -> Like<Self, String>
    where
        Self::Type: Field<Base = String>,
    {
        call("lower", self)
    }

    /// In upper case; on SQLite the letters of ASCII only.
    fn upper(self) -> Like<Self, String>
    where
        Self::Type: Field<Base = String>,
    {
        call("upper", self)
    }

    /// Without spaces at both ends.
    fn trim(self) -> Like<Self, String>
    where
        Self::Type: Field<Base = String>,
    {
        call("trim", self)
    }

    /// How many characters it has.
    fn length(self) -> Like<Self, i64>
    where
        Self::Type: Field<Base = String>,
    {
        call("length", self)
    }

    /// This text, and another one after it.
    fn concat<V: Operand<Self::Model, String>>(self, text: V) -> Like<Self, String>
    where
        Self::Type: Field<Base = String>,
    {
        expr(Tree::binary(BinaryOperator::Concat, self.into_tree(), text.into_tree()))
    }
}

impl<E: Expression> TextExpression for E {}

fn call<E: Expression, T: crate::Storable>(name: &'static str, argument: E) -> Like<E, T> {
    expr(Tree::Call(name, vec![argument.into_tree()]))
}
