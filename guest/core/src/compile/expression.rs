//! Writes expressions as SQL. Their types have been checked before.

use ferro_wit::query::{
    BinaryOperator, CaseExpression, FunctionCall, JsonChange, JsonPath, Literal, Node, NodeRef,
    UnaryOperator,
};
use ferro_wit::types::{Error, ScalarType};

use super::Compiler;
use crate::catalog::Type;
use crate::dialect::{self, DECIMAL_NEGATE, Spelling as _, documents, moments};
use crate::error::unsupported;
use crate::functions::{self, Function};

/// From this number on, terms are grouped: SQLite nests terms, and limits the depth.
const GROUP_TERMS: usize = 16;

impl<'a> Compiler<'a> {
    /// Writes a node. Operators are not put in parentheses.
    pub(crate) fn expression(&mut self, node: NodeRef) -> Result<(), Error> {
        self.sql.check_size()?;
        self.count_texts(node)?;
        let fact = self.fact(node)?;
        match self.node(node) {
            Node::Literal(literal) => self.literal(literal),
            Node::Parameter(it) => self.sql.parameter(it.index, it.kind, it.many),
            Node::Field(path) => {
                let place = self.typing.locate(path)?;
                self.column_of(place.table, place.field);
            }
            Node::Excluded(name) => {
                let field = self.view().nameable(name)?;
                match self.typing.batch {
                    Some(_) => self.of_batch(field),
                    None => {
                        self.note(self.typing.frame().row, &field.column);
                        self.sql.push("excluded.");
                        self.sql.name(&field.column);
                    }
                }
            }
            Node::Unary((operator, operand)) => self.unary(*operator, *operand)?,
            Node::Binary((operator, left, right)) => self.binary(*operator, *left, *right)?,
            Node::Between((value, lower, upper)) => {
                let decimal = self.compares_decimals(&[*value, *lower, *upper])?;
                self.comparand(*value, decimal, true)?;
                self.sql.push(" BETWEEN ");
                self.comparand(*lower, decimal, false)?;
                self.sql.push(" AND ");
                self.comparand(*upper, decimal, false)?;
            }
            Node::AllOf(terms) => self.terms(terms, " AND ", true)?,
            Node::AnyOf(terms) => self.terms(terms, " OR ", false)?,
            Node::Call(call) => self.call(call, fact.ty)?,
            Node::Cast((operand, kind)) => self.cast(*operand, *kind)?,
            Node::Aggregate(aggregate) => self.aggregate(aggregate, fact.ty)?,
            Node::Related(related) => self.related(node, related)?,
            Node::Subquery(select) => self.subquery(node, *select)?,
            Node::Exists(select) => self.exists_in(node, *select)?,
            Node::InSelect((operand, select)) => self.in_select(node, *operand, *select)?,
            Node::Case(case) => self.case(case, fact.ty)?,
            Node::Window(window) => self.window(window, fact.ty)?,
            Node::Json(path) => self.json(path)?,
            Node::JsonChange(change) => self.json_change(change)?,
        }
        Ok(())
    }

    /// Writes a node as the operand of an operator.
    pub(crate) fn operand(&mut self, node: NodeRef) -> Result<(), Error> {
        let compound = matches!(
            self.node(node),
            Node::Unary(_)
                | Node::Binary(_)
                | Node::Between(_)
                | Node::AllOf(_)
                | Node::AnyOf(_)
                | Node::Json(_)
                | Node::Related(_)
                | Node::InSelect(_)
        );
        if !compound {
            return self.expression(node);
        }
        self.sql.push("(");
        self.expression(node)?;
        self.sql.push(")");
        Ok(())
    }

    /// Writes a condition as one of several: all but `AND` and `OR` themselves bind more tightly
    /// than these.
    pub(crate) fn term(&mut self, node: NodeRef) -> Result<(), Error> {
        match self.node(node) {
            Node::AllOf(_) | Node::AnyOf(_) => self.operand(node),
            _ => self.expression(node),
        }
    }

    fn literal(&mut self, literal: &Literal) {
        match literal {
            Literal::Null => self.sql.push("NULL"),
            Literal::Boolean(value) => self.sql.push(self.dialect.boolean(*value)),
            Literal::Integer(value) => self.sql.integer(*value),
            Literal::Star => self.sql.push("*"),
        }
    }

    fn unary(&mut self, operator: UnaryOperator, operand: NodeRef) -> Result<(), Error> {
        use UnaryOperator as U;
        let (before, after) = match operator {
            U::Not => ("NOT ", ""),
            U::Negate if self.compares_decimals(&[operand])? => (DECIMAL_NEGATE, ")"),
            U::Negate => ("-", ""),
            U::IsNull => ("", " IS NULL"),
            U::IsNotNull => ("", " IS NOT NULL"),
            U::IsTrue => ("", " IS "),
            U::IsFalse => ("", " IS "),
        };
        self.sql.push(before);
        match operator {
            U::Negate => self.number(operand)?,
            _ => self.operand(operand)?,
        }
        self.sql.push(after);
        if matches!(operator, U::IsTrue | U::IsFalse) {
            self.sql.push(self.dialect.boolean(operator == U::IsTrue));
        }
        Ok(())
    }

    fn binary(
        &mut self,
        operator: BinaryOperator,
        left: NodeRef,
        right: NodeRef,
    ) -> Result<(), Error> {
        use BinaryOperator as B;
        if let Some(template) = self.dialect.decimals(operator)
            && self.compares_decimals(&[left, right])?
        {
            return self.placed(template, left, right, Self::text_operand);
        }
        if let (Some(one), Some(other)) = (self.fact(left)?.ty, self.fact(right)?.ty)
            && let Some(template) = moments::template(self.dialect, operator, one.kind, other.kind)
        {
            return self.placed(template, left, right, Self::operand);
        }
        match operator {
            B::Equal => self.comparison(left, " = ", right),
            B::NotEqual => self.comparison(left, " <> ", right),
            B::Less => self.comparison(left, " < ", right),
            B::LessOrEqual => self.comparison(left, " <= ", right),
            B::Greater => self.comparison(left, " > ", right),
            B::GreaterOrEqual => self.comparison(left, " >= ", right),
            B::IsDistinct => self.comparison(left, " IS DISTINCT FROM ", right),
            B::IsNotDistinct => self.comparison(left, " IS NOT DISTINCT FROM ", right),
            B::Add => self.infix(left, " + ", right, Self::number),
            B::Subtract => self.infix(left, " - ", right, Self::number),
            B::Multiply => self.infix(left, " * ", right, Self::number),
            B::Divide | B::Modulo => self.template(operator, left, right, Self::number),
            B::Concat => self.concat(left, right),
            B::InList => self.in_list(left, right, false),
            B::NotInList => self.in_list(left, right, true),
            B::ArrayContains | B::ArrayOverlaps if self.is_list_of_group(&[left, right])? => {
                let template = self.spelt(operator)?;
                self.beside([left, right], Self::expression, |it, names| {
                    it.filled(template, |it, place| {
                        it.sql.push(names[usize::from(place > 0)]);
                        Ok(())
                    })
                })
            }
            _ => self.template(operator, left, right, Self::text_operand),
        }
    }

    fn infix(
        &mut self,
        left: NodeRef,
        operator: &str,
        right: NodeRef,
        write: fn(&mut Self, NodeRef) -> Result<(), Error>,
    ) -> Result<(), Error> {
        write(self, left)?;
        self.sql.push(operator);
        write(self, right)
    }

    /// Writes an operator that is spelled differently by the databases.
    fn template(
        &mut self,
        operator: BinaryOperator,
        left: NodeRef,
        right: NodeRef,
        write: fn(&mut Self, NodeRef) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let template = self.spelt(operator)?;
        self.placed(template, left, right, write)
    }

    fn spelt(&self, operator: BinaryOperator) -> Result<&'static str, Error> {
        let template = self.dialect.template(operator);
        template.ok_or_else(|| unsupported(format!("{operator:?} is not supported")))
    }

    fn placed(
        &mut self,
        template: &str,
        left: NodeRef,
        right: NodeRef,
        write: fn(&mut Self, NodeRef) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.filled(template, |it, place| match place {
            0 => write(it, left),
            _ => write(it, right),
        })
    }

    /// Writes a template, in which `{0}`, `{1}` and `{2}` are replaced by what `write` writes for
    /// them.
    pub(super) fn filled(
        &mut self,
        template: &str,
        mut write: impl FnMut(&mut Self, usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut rest = template;
        while let Some(at) = rest.find(['{']) {
            let (text, after) = rest.split_at(at);
            self.sql.push(text);
            let places = [("{0}", 0), ("{1}", 1), ("{2}", 2)];
            let place = places.into_iter().find(|(it, _)| after.starts_with(it));
            rest = match place {
                Some((it, place)) => {
                    write(self, place)?;
                    &after[it.len()..]
                }
                None => {
                    self.sql.push("{");
                    &after[1..]
                }
            };
        }
        self.sql.push(rest);
        Ok(())
    }

    /// Writes a part of a document as the requested type.
    fn json(&mut self, path: &JsonPath) -> Result<(), Error> {
        let template = documents::template(self.dialect, path.kind)
            .ok_or_else(|| unsupported(format!("json as {}", path.kind)))?;
        // Keys have been checked not to contain quotes.
        let (before, after) = documents::steps(self.dialect, &path.steps);
        self.filled(template, |it, _| {
            it.sql.check_size()?;
            it.sql.push(before);
            it.operand(path.document)?;
            it.sql.push(&after);
            Ok(())
        })
    }

    /// Writes a document in which a part is set or removed.
    fn json_change(&mut self, change: &JsonChange) -> Result<(), Error> {
        let Some(value) = change.value else {
            let (before, after) = documents::removing(self.dialect, &change.steps);
            self.sql.push(&before);
            self.expression(change.document)?;
            self.sql.push(&after);
            return Ok(());
        };
        let kind = self.fact(value)?.ty.map(|it| it.kind);
        let template = documents::part(self.dialect, kind)
            .ok_or_else(|| unsupported("a value that cannot be in a document"))?;
        let (before, between, after) = documents::setting(self.dialect, &change.steps, kind);
        for part in before {
            self.sql.push(&part);
            self.sql.check_size()?;
        }
        self.expression(change.document)?;
        self.sql.push(&between);
        self.filled(template, |it, _| {
            it.sql.check_size()?;
            it.text_operand(value)
        })?;
        self.sql.push(&after);
        Ok(())
    }

    /// Writes the terms of a conjunction or disjunction, in groups if there are many.
    fn terms(&mut self, terms: &[NodeRef], operator: &str, empty: bool) -> Result<(), Error> {
        if terms.is_empty() {
            self.sql.push(self.dialect.boolean(empty));
            return Ok(());
        }
        if let [term] = terms {
            return self.term(*term);
        }
        if terms.len() <= GROUP_TERMS {
            return self.try_separated(operator, terms, |it, term| it.term(*term));
        }
        let size = terms.len().div_ceil(GROUP_TERMS).max(GROUP_TERMS);
        self.try_separated(operator, terms.chunks(size), |it, group| {
            it.sql.push("(");
            it.terms(group, operator, empty)?;
            it.sql.push(")");
            Ok(())
        })
    }

    fn call(&mut self, call: &FunctionCall, ty: Option<Type>) -> Result<(), Error> {
        let function = functions::find(&call.name)
            .ok_or_else(|| unsupported("a function that is not of the list"))?;
        if function == Function::Coalesce {
            self.sql.push("coalesce(");
            self.try_separated(", ", &call.arguments, |it, argument| it.one_of(ty, *argument))?;
            self.sql.push(")");
            return Ok(());
        }
        let kind = self.fact(call.arguments[0])?.ty.map_or(ScalarType::Text, |it| it.kind);
        let template = dialect::functions::template(self.dialect, function, kind, &call.arguments);
        self.filled(template, |it, place| {
            it.sql.check_size()?;
            let argument = call.arguments[place];
            match function {
                Function::NullIf if ty.is_some_and(|it| it.enumeration.is_some()) => {
                    it.one_of(ty, argument)
                }
                Function::NullIf => {
                    let decimal = it.compares_decimals(&call.arguments)?;
                    it.comparand(argument, decimal, place == 0)
                }
                Function::Abs => it.number(argument),
                _ => it.text_operand(argument),
            }
        })
    }

    fn case(&mut self, case: &CaseExpression, ty: Option<Type>) -> Result<(), Error> {
        self.sql.push("CASE");
        for branch in &case.branches {
            self.sql.push(" WHEN ");
            self.expression(branch.when)?;
            self.sql.push(" THEN ");
            self.one_of(ty, branch.then)?;
        }
        if let Some(otherwise) = case.otherwise {
            self.sql.push(" ELSE ");
            self.one_of(ty, otherwise)?;
        }
        self.sql.push(" END");
        Ok(())
    }
}
