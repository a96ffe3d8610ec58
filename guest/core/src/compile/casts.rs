//! Conversions of values: those that a query asks for, and those that their context requires.

use ferro_wit::query::{Node, NodeRef};
use ferro_wit::types::{Error, ScalarType};

use super::Compiler;
use crate::catalog::Type;
use crate::dialect::{self, Spelling as _};
use crate::sql::quoted;

impl Compiler<'_> {
    /// Writes a node as an operand; values of enums as texts.
    pub(super) fn text_operand(&mut self, node: NodeRef) -> Result<(), Error> {
        match self.native_enum(node)? {
            Some(_) => self.cast_as(node, self.dialect.cast_type(ScalarType::Text)),
            None => self.operand(node),
        }
    }

    /// Writes a node as a value that can be returned or compared with texts.
    pub(crate) fn output(&mut self, node: NodeRef) -> Result<(), Error> {
        match self.native_enum(node)? {
            Some(_) => self.cast_as(node, self.dialect.cast_type(ScalarType::Text)),
            None => self.expression(node),
        }
    }

    /// Writes a value to assign to a column of this type.
    pub(crate) fn assigned(&mut self, node: NodeRef, to: Type) -> Result<(), Error> {
        let fact = self.fact(node)?;
        let is_integer = fact.ty.is_some_and(|it| it.is(ScalarType::Integer));
        let features = self.dialect.features();
        match to.enumeration {
            Some(index) if features.enums && self.native_enum(node)?.is_none() => {
                self.cast_as(node, &quoted(&self.catalog.enums[index].name))
            }
            _ if !features.decimals && to.is(ScalarType::Decimal) && is_integer => {
                self.cast_number(node, to.kind)
            }
            _ if is_integer => self.checked_integer(node),
            _ => self.expression(node),
        }
    }

    /// Writes a number for arithmetic, with 64 bits, even if its column has fewer.
    pub(super) fn number(&mut self, node: NodeRef) -> Result<(), Error> {
        let kind = self.fact(node)?.ty.map(|it| it.kind);
        let has_bits = kind.filter(|it| matches!(it, ScalarType::Integer | ScalarType::Float));
        // Computed, cast and bound values have 64 bits already.
        let may_be_narrow = !matches!(
            self.node(node),
            Node::Parameter(_) | Node::Unary(_) | Node::Binary(_) | Node::Cast(_) | Node::Json(_)
        );
        match has_bits {
            Some(kind) if self.dialect.features().narrow_numbers && may_be_narrow => {
                self.cast_as(node, self.dialect.cast_type(kind))
            }
            _ => self.operand(node),
        }
    }

    /// Writes a template for a subquery, which is evaluated only once although the template may
    /// mention it several times.
    fn checked_once(&mut self, template: &str, select: NodeRef) -> Result<(), Error> {
        self.sql.push("(SELECT ");
        self.filled(template, |it, _| {
            it.sql.push("\"found\"");
            Ok(())
        })?;
        self.sql.push(" FROM (SELECT ");
        self.expression(select)?;
        self.sql.push(" AS \"found\"))");
        Ok(())
    }

    /// Writes an integer, or an error if it overflowed and became a float.
    pub(super) fn checked_integer(&mut self, node: NodeRef) -> Result<(), Error> {
        match self.dialect.checked_integer() {
            Some(template) if self.fact(node)?.fallible => match self.node(node) {
                Node::Subquery(_) => self.checked_once(template, node),
                _ => self.filled(template, |it, _| it.expression(node)),
            },
            _ => self.expression(node),
        }
    }

    /// Writes a cast of a number; an integer that overflowed and became a float is an error.
    fn cast_number(&mut self, node: NodeRef, to: ScalarType) -> Result<(), Error> {
        self.sql.push("CAST(");
        match self.fact(node)?.ty.is_some_and(|it| it.is(ScalarType::Integer)) {
            true => self.checked_integer(node)?,
            false => self.expression(node)?,
        }
        self.sql.push(&format!(" AS {})", self.dialect.cast_type(to)));
        Ok(())
    }

    pub(super) fn cast(&mut self, operand: NodeRef, kind: ScalarType) -> Result<(), Error> {
        let from = match self.fact(operand)?.ty {
            Some(ty) if ty.is(kind) => return self.output(operand),
            Some(ty) => ty.kind,
            None => return self.cast_as(operand, self.dialect.cast_type(kind)),
        };
        match dialect::functions::cast(self.dialect, from, kind) {
            Some(template) => self.filled(template, |it, _| {
                it.sql.check_size()?;
                it.operand(operand)
            }),
            None => self.cast_number(operand, kind),
        }
    }

    pub(super) fn cast_as(&mut self, node: NodeRef, name: &str) -> Result<(), Error> {
        self.sql.push("CAST(");
        self.expression(node)?;
        self.sql.push(" AS ");
        self.sql.push(name);
        self.sql.push(")");
        Ok(())
    }
}
