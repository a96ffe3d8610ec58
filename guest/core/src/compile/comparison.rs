//! Comparisons: of decimals stored as texts, of values of enums, and with lists.

use ferro_wit::query::{Node, NodeRef};
use ferro_wit::types::{Error, ScalarType};

use super::Compiler;
use crate::catalog::Type;
use crate::dialect::{DECIMAL_COLLATION, Spelling as _, lists};
use crate::sql::quoted;

impl Compiler<'_> {
    pub(super) fn comparison(
        &mut self,
        left: NodeRef,
        operator: &str,
        right: NodeRef,
    ) -> Result<(), Error> {
        if let Some(name) = self.compared_enum(left, right)? {
            self.enum_comparand(left, &name)?;
            self.sql.push(operator);
            return self.enum_comparand(right, &name);
        }
        let decimal = self.compares_decimals(&[left, right])?;
        self.comparand(left, decimal, true)?;
        self.sql.push(operator);
        self.comparand(right, decimal, false)
    }

    /// Whether texts must compare as numbers.
    pub(super) fn compares_decimals(&mut self, nodes: &[NodeRef]) -> Result<bool, Error> {
        let mut found = false;
        for node in nodes {
            found |= self.fact(*node)?.ty.is_some_and(|it| it.is(ScalarType::Decimal));
        }
        Ok(found && !self.dialect.features().decimals)
    }

    /// Writes one side of a comparison. The collation of the left side decides; columns have one,
    /// even if they are cast.
    pub(super) fn comparand(
        &mut self,
        node: NodeRef,
        decimal: bool,
        first: bool,
    ) -> Result<(), Error> {
        if !decimal {
            return self.text_operand(node);
        }
        let is_decimal = self.fact(node)?.ty.is_none_or(|it| it.is(ScalarType::Decimal));
        match is_decimal {
            true => self.operand(node)?,
            false => self.cast_as(node, self.dialect.cast_type(ScalarType::Decimal))?,
        }
        if first && !(is_decimal && matches!(self.node(node), Node::Field(_))) {
            self.sql.push(DECIMAL_COLLATION);
        }
        Ok(())
    }

    /// Writes the collation of a decimal that needs one and does not have it.
    pub(super) fn collation(&mut self, node: NodeRef) -> Result<(), Error> {
        if self.compares_decimals(&[node])? && !matches!(self.node(node), Node::Field(_)) {
            self.sql.push(DECIMAL_COLLATION);
        }
        Ok(())
    }

    /// The native type in which both sides are compared, if one is a value of an enum and the other
    /// can be converted to it.
    fn compared_enum(&mut self, left: NodeRef, right: NodeRef) -> Result<Option<String>, Error> {
        let enums = (self.native_enum(left)?, self.native_enum(right)?);
        Ok(match enums {
            (Some(name), Some(_)) => Some(name),
            (Some(name), None) if self.fact(right)?.given => Some(name),
            (None, Some(name)) if self.fact(left)?.given => Some(name),
            _ => None,
        })
    }

    fn enum_comparand(&mut self, node: NodeRef, name: &str) -> Result<(), Error> {
        match self.node(node) {
            Node::Literal(_) => self.operand(node),
            _ if self.fact(node)?.given => self.cast_as(node, name),
            _ => self.operand(node),
        }
    }

    /// Writes a value that is compared with an expression of type `ty`.
    pub(super) fn one_of(&mut self, ty: Option<Type>, node: NodeRef) -> Result<(), Error> {
        match self.native_type(ty) {
            Some(name) => self.enum_comparand(node, &name),
            None => self.output(node),
        }
    }

    /// The quoted name of the database's type for the enum of a node.
    pub(super) fn native_enum(&mut self, node: NodeRef) -> Result<Option<String>, Error> {
        let ty = self.fact(node)?.ty;
        Ok(self.native_type(ty))
    }

    fn native_type(&self, ty: Option<Type>) -> Option<String> {
        let index = ty?.enumeration.filter(|_| self.dialect.features().enums)?;
        Some(quoted(&self.catalog.enums[index].name))
    }

    /// Whether lists are searched that are aggregated over a group, on a database without arrays: a
    /// subquery does that, which cannot contain aggregates of the enclosing select.
    pub(super) fn is_list_of_group(&mut self, nodes: &[NodeRef]) -> Result<bool, Error> {
        let mut found = false;
        for node in nodes {
            found |= self.fact(*node)?.aggregate;
        }
        Ok(found && !self.dialect.features().arrays)
    }

    /// Writes an expression of two nodes, which are first selected under names.
    pub(super) fn beside(
        &mut self,
        nodes: [NodeRef; 2],
        mut write: impl FnMut(&mut Self, NodeRef) -> Result<(), Error>,
        made: impl FnOnce(&mut Self, [&'static str; 2]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        const NAMES: [&str; 2] = ["\"one\"", "\"other\""];
        self.sql.push("(SELECT ");
        made(self, NAMES)?;
        self.sql.push(" FROM (SELECT ");
        self.try_separated(", ", nodes.into_iter().zip(NAMES), |it, (node, name)| {
            write(it, node)?;
            it.sql.push(" AS ");
            it.sql.push(name);
            Ok(())
        })?;
        self.sql.push("))");
        Ok(())
    }

    pub(super) fn in_list(
        &mut self,
        value: NodeRef,
        list: NodeRef,
        negated: bool,
    ) -> Result<(), Error> {
        let kind = self.fact(list)?.ty.map_or(ScalarType::Text, |it| it.kind);
        if self.is_list_of_group(&[list])? {
            let decimal = self.compares_decimals(&[value])?;
            return self.beside(
                [value, list],
                |it, node| it.comparand(node, decimal, false),
                |it, [value, list]| {
                    let (before, after) = lists::contains(it.dialect, kind, negated);
                    let (if_null, no_list) = lists::or_null(it.dialect);
                    let collation = if decimal { DECIMAL_COLLATION } else { "" };
                    it.sql
                        .push(&[value, collation, before, if_null, list, no_list, after].concat());
                    Ok(())
                },
            );
        }
        let name = match self.node(list) {
            Node::Parameter(_) => self.native_enum(value)?,
            _ => None,
        };
        if name.is_some() {
            self.operand(value)?;
        } else {
            // Its elements are of the same type.
            let decimal = self.compares_decimals(&[value])?;
            self.comparand(value, decimal, true)?;
        }
        let (before, after) = lists::contains(self.dialect, kind, negated);
        let (if_null, no_list) = match self.fact(list)?.nullable {
            true => lists::or_null(self.dialect),
            false => ("", ""),
        };
        self.sql.push(before);
        self.sql.push(if_null);
        match name {
            Some(name) => self.cast_as(list, &format!("{name}[]"))?,
            // A column may hold a blob, which must not be read as JSON.
            None if !self.dialect.features().arrays
                && !matches!(self.node(list), Node::Parameter(_)) =>
            {
                self.cast_as(list, self.dialect.cast_type(ScalarType::Text))?;
            }
            None => self.expression(list)?,
        }
        self.sql.push(no_list);
        self.sql.push(after);
        Ok(())
    }
}
