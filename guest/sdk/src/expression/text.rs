//! What texts can do.

use ferro_wit::query::BinaryOperator;

use super::{Condition, Expression, Like, Operand, binary, call, expr, literal};
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
        call("lower", self, [])
    }

    /// In upper case; on SQLite the letters of ASCII only.
    fn upper(self) -> Like<Self, String>
    where
        Self::Type: Field<Base = String>,
    {
        call("upper", self, [])
    }

    /// Without spaces at both ends.
    fn trim(self) -> Like<Self, String>
    where
        Self::Type: Field<Base = String>,
    {
        call("trim", self, [])
    }

    /// Without spaces at its start.
    fn trim_start(self) -> Like<Self, String>
    where
        Self::Type: Field<Base = String>,
    {
        call("trim-start", self, [])
    }

    /// Without spaces at its end.
    fn trim_end(self) -> Like<Self, String>
    where
        Self::Type: Field<Base = String>,
    {
        call("trim-end", self, [])
    }

    /// The characters from `start` on, the first being 1. With a start of 0 the query is refused.
    fn substring_from(self, start: u32) -> Like<Self, String>
    where
        Self::Type: Field<Base = String>,
    {
        call("substring", self, [literal(start)])
    }

    /// At most `length` characters from `start` on, the first being 1. With a 0 for one of them the
    /// query is refused.
    fn substring(self, start: u32, length: u32) -> Like<Self, String>
    where
        Self::Type: Field<Base = String>,
    {
        call("substring", self, [literal(start), literal(length)])
    }

    /// At most so many of its first characters, and at least 1.
    fn left(self, length: u32) -> Like<Self, String>
    where
        Self::Type: Field<Base = String>,
    {
        call("left", self, [literal(length)])
    }

    /// At most so many of its last characters, and at least 1.
    fn right(self, length: u32) -> Like<Self, String>
    where
        Self::Type: Field<Base = String>,
    {
        call("right", self, [literal(length)])
    }

    /// Where a part begins, the first character being 1; 0 if it is not there.
    fn position<V: Operand<Self::Model, String>>(self, part: V) -> Like<Self, i64>
    where
        Self::Type: Field<Base = String>,
    {
        call("position", self, [part.into_tree()])
    }

    /// With another text instead of each part. Fails where that could be more than 16 million
    /// characters.
    fn replace<V, W>(self, part: V, other: W) -> Like<Self, String>
    where
        V: Operand<Self::Model, String>,
        W: Operand<Self::Model, String>,
        Self::Type: Field<Base = String>,
    {
        call("replace", self, [part.into_tree(), other.into_tree()])
    }

    /// How many characters it has.
    fn length(self) -> Like<Self, i64>
    where
        Self::Type: Field<Base = String>,
    {
        call("length", self, [])
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
