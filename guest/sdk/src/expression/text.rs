//! Operations on texts.

use ferro_wit::query::BinaryOperator;

use super::{Condition, Expression, Like, Operand, binary, call, expr, literal};
use crate::scalar::Field;
use crate::tree::Tree;

/// Expressions that are texts.
pub trait TextExpression: Expression {
    /// Matches a pattern of `%` and `_`; case-sensitive.
    fn like<V: Operand<Self::Model, String>>(self, pattern: V) -> Condition<Self::Model>
    where
        Self::Type: Field<Base = String>,
    {
        binary(BinaryOperator::Like, self, pattern)
    }

    /// Matches a pattern of `%` and `_`, ignoring case.
    fn ilike<V: Operand<Self::Model, String>>(self, pattern: V) -> Condition<Self::Model>
    where
        Self::Type: Field<Base = String>,
    {
        binary(BinaryOperator::Ilike, self, pattern)
    }

    /// Contains a text, in which `%` and `_` have no special meaning.
    fn contains<V: Operand<Self::Model, String>>(self, text: V) -> Condition<Self::Model>
    where
        Self::Type: Field<Base = String>,
    {
        binary(BinaryOperator::Contains, self, text)
    }

    /// Starts with a text, in which `%` and `_` have no special meaning.
    fn starts_with<V: Operand<Self::Model, String>>(self, text: V) -> Condition<Self::Model>
    where
        Self::Type: Field<Base = String>,
    {
        binary(BinaryOperator::StartsWith, self, text)
    }

    /// Ends with a text, in which `%` and `_` have no special meaning.
    fn ends_with<V: Operand<Self::Model, String>>(self, text: V) -> Condition<Self::Model>
    where
        Self::Type: Field<Base = String>,
    {
        binary(BinaryOperator::EndsWith, self, text)
    }

    /// In lower case; on SQLite, only ASCII letters change.
    fn lower(self) -> Like<Self, String>
    where
        Self::Type: Field<Base = String>,
    {
        call("lower", self, [])
    }

    /// In upper case; on SQLite, only ASCII letters change.
    fn upper(self) -> Like<Self, String>
    where
        Self::Type: Field<Base = String>,
    {
        call("upper", self, [])
    }

    /// Without leading and trailing spaces.
    fn trim(self) -> Like<Self, String>
    where
        Self::Type: Field<Base = String>,
    {
        call("trim", self, [])
    }

    /// Without leading spaces.
    fn trim_start(self) -> Like<Self, String>
    where
        Self::Type: Field<Base = String>,
    {
        call("trim-start", self, [])
    }

    /// Without trailing spaces.
    fn trim_end(self) -> Like<Self, String>
    where
        Self::Type: Field<Base = String>,
    {
        call("trim-end", self, [])
    }

    /// The characters from `start`, counted from 1. A query with a start of 0 is rejected.
    fn substring_from(self, start: u32) -> Like<Self, String>
    where
        Self::Type: Field<Base = String>,
    {
        call("substring", self, [literal(start)])
    }

    /// At most `length` characters from `start`, counted from 1. A query with 0 for either is
    /// rejected.
    fn substring(self, start: u32, length: u32) -> Like<Self, String>
    where
        Self::Type: Field<Base = String>,
    {
        call("substring", self, [literal(start), literal(length)])
    }

    /// The first characters, at most `length`, which must be at least 1.
    fn left(self, length: u32) -> Like<Self, String>
    where
        Self::Type: Field<Base = String>,
    {
        call("left", self, [literal(length)])
    }

    /// The last characters, at most `length`, which must be at least 1.
    fn right(self, length: u32) -> Like<Self, String>
    where
        Self::Type: Field<Base = String>,
    {
        call("right", self, [literal(length)])
    }

    /// The position of a part, counted from 1; 0 if it does not occur.
    fn position<V: Operand<Self::Model, String>>(self, part: V) -> Like<Self, i64>
    where
        Self::Type: Field<Base = String>,
    {
        call("position", self, [part.into_tree()])
    }

    /// The text with every `part` replaced by `other`. Fails if the result could exceed 16 million
    /// characters.
    fn replace<V, W>(self, part: V, other: W) -> Like<Self, String>
    where
        V: Operand<Self::Model, String>,
        W: Operand<Self::Model, String>,
        Self::Type: Field<Base = String>,
    {
        call("replace", self, [part.into_tree(), other.into_tree()])
    }

    /// The number of characters.
    fn length(self) -> Like<Self, i64>
    where
        Self::Type: Field<Base = String>,
    {
        call("length", self, [])
    }

    /// This text followed by another one.
    fn concat<V: Operand<Self::Model, String>>(self, text: V) -> Like<Self, String>
    where
        Self::Type: Field<Base = String>,
    {
        expr(Tree::binary(BinaryOperator::Concat, self.into_tree(), text.into_tree()))
    }
}

impl<E: Expression> TextExpression for E {}
