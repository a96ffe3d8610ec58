//! The types of expressions, and what may be done with them. They are checked before anything is
//! written, so that a value of the wrong type never reaches a database.
//!
//! Nothing is converted implicitly, with one exception: integers are accepted in place of floats
//! and decimals.

mod calls;
mod columns;
mod documents;
mod faults;
mod frames;
mod inner;
mod operators;
mod selects;
mod windows;

use ferro_wit::query::{Literal, Node, NodeRef};
use ferro_wit::types::{Error, ScalarType};

use crate::catalog::{Field, Type};
use crate::error::{invalid, mismatch, shown};
use crate::policy::View;
use crate::task::Task;

pub(crate) use columns::Column;
pub(crate) use documents::is_position;
use frames::Frame;
pub(crate) use frames::{Bounds, ColumnRef, Join, Joined, MAX_TABLES, Reach, Table};
pub(crate) use selects::check_no_includes;

/// The facts about a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fact {
    /// `None`: a bare null, which fits everywhere.
    pub(crate) ty: Option<Type>,
    pub(crate) nullable: bool,
    /// Whether evaluating it can fail, depending on the row.
    pub(crate) fallible: bool,
    /// Whether it contains an aggregate.
    pub(crate) aggregate: bool,
    /// Whether it contains a window function.
    pub(crate) window: bool,
    /// Whether its value depends on the row.
    pub(crate) varies: bool,
    /// Whether it contains a parameter.
    pub(crate) parameter: bool,
    /// Whether it is given by the caller, a null, or a choice among such values: its texts can then
    /// become values of an enum.
    pub(crate) given: bool,
    /// Whether a text in it can be longer than those from which it is computed.
    pub(crate) lengthens: bool,
    /// The tables on which it depends, as bits.
    pub(crate) tables: u64,
}

impl Fact {
    const CONSTANT: Self = Self {
        ty: None,
        nullable: false,
        fallible: false,
        aggregate: false,
        window: false,
        varies: false,
        parameter: false,
        given: false,
        lengthens: false,
        tables: 0,
    };

    fn constant(kind: ScalarType) -> Self {
        Self { ty: Some(Type::scalar(kind)), ..Self::CONSTANT }
    }

    /// The fact about an expression of these operands, without its type.
    fn around(facts: impl IntoIterator<Item = Self>) -> Self {
        facts.into_iter().fold(Self::CONSTANT, |one, other| Self {
            ty: None,
            nullable: one.nullable || other.nullable,
            fallible: one.fallible || other.fallible,
            aggregate: one.aggregate || other.aggregate,
            window: one.window || other.window,
            varies: one.varies || other.varies,
            parameter: one.parameter || other.parameter,
            given: false,
            lengthens: one.lengthens || other.lengthens,
            tables: one.tables | other.tables,
        })
    }

    fn with(self, kind: ScalarType) -> Self {
        Self { ty: Some(Type::scalar(kind)), ..self }
    }

    /// The fact about an expression whose value is one of several.
    fn one_of(self, values: &[Self]) -> Self {
        let enumeration = common_enum(values.iter().map(|it| (it.ty, it.given)));
        let ty = self.ty.map(|it| Type { enumeration, ..it });
        Self { ty, given: values.iter().all(|it| it.given), ..self }
    }

    fn is(&self, kind: ScalarType) -> bool {
        self.ty.is_none_or(|it| it.is(kind))
    }
}

/// The enum of a value that is one of several: all must be of the same enum, except those that are
/// given by the caller.
fn common_enum(values: impl IntoIterator<Item = (Option<Type>, bool)>) -> Option<usize> {
    let values = values.into_iter().filter(|(_, given)| !given);
    let mut enums = values.map(|(ty, _)| ty.and_then(|it| it.enumeration));
    let first = enums.next()??;
    enums.all(|it| it == Some(first)).then_some(first)
}

/// Finds the facts about the nodes of a query.
pub(crate) struct Typing<'a> {
    pub(crate) task: Task<'a>,
    /// The tables of the statement, by number.
    pub(crate) tables: Vec<Table<'a>>,
    frames: Vec<Frame<'a>>,
    /// The number of the current frame.
    current: usize,
    /// The fields of the rows of an insert, while its conflict is compiled: `excluded` is allowed
    /// only there.
    pub(crate) inserted: Option<Vec<&'a str>>,
    /// The fields of an update's batch, to which `excluded` refers.
    pub(crate) batch: Option<Vec<&'a str>>,
}

impl<'a> Typing<'a> {
    /// Starts with the rows of a model, or of a common table.
    pub(crate) fn new(task: Task<'a>, view: View<'a>) -> Result<Self, Error> {
        let (tables, frames) = (Vec::new(), Vec::new());
        let mut typing = Self { task, tables, frames, current: 0, inserted: None, batch: None };
        typing.open(view, None)?;
        Ok(typing)
    }

    /// The model of the current frame, as visible to the caller.
    pub(crate) fn view(&self) -> &View<'a> {
        &self.frame().view
    }

    /// The fact about a node, which is checked if it is new.
    pub(crate) fn fact(&mut self, node: NodeRef) -> Result<Fact, Error> {
        if let Some(known) = self.known(node) {
            return Ok(known);
        }
        let fact = self.find(node)?;
        self.learn(node, fact);
        Ok(fact)
    }

    /// Checks a condition: a boolean, without aggregates.
    pub(crate) fn check_condition(&mut self, node: NodeRef) -> Result<Fact, Error> {
        let fact = self.fact(node)?;
        if !fact.is(ScalarType::Boolean) {
            let fault = format!("expected a boolean as a condition, got {}", self.described(fact));
            return Err(self.at(node, mismatch(fault)));
        }
        Ok(fact)
    }

    /// Checks an expression on single rows; `place` is its place in messages.
    pub(crate) fn check_rowwise(&mut self, node: NodeRef, place: &str) -> Result<Fact, Error> {
        let fact = self.fact(node)?;
        if fact.aggregate {
            let aggregate = self.innermost(node, |it| it.aggregate);
            return Err(self.at(
                aggregate,
                invalid(format!(
                    "{} cannot be used in {place}: aggregates go into the outputs, the order and \
                     `having` of a select",
                    self.function(aggregate)
                )),
            ));
        }
        self.check_no_window(node, place)?;
        Ok(fact)
    }

    pub(super) fn check_no_window(&mut self, node: NodeRef, place: &str) -> Result<Fact, Error> {
        let fact = self.fact(node)?;
        if !fact.window {
            return Ok(fact);
        }
        let window = self.innermost(node, |it| it.window);
        let function = self.function(window);
        Err(self.at(
            window,
            invalid(format!(
                "{function} cannot be used in {place}: window functions go into the outputs and the \
                 order of a select"
            )),
        ))
    }

    /// Checks a value to assign to a field of the current row.
    pub(crate) fn check_assignable(&mut self, node: NodeRef, field: &Field) -> Result<Fact, Error> {
        let to = field.ty;
        let fact = self.check_rowwise(node, "a value to write")?;
        match fact.ty {
            Some(ty) if !ty.fits(to, fact.given) => {
                let (found, wanted) = (self.describe(ty), self.describe(to));
                Err(self.of_field(field, mismatch(format!("{found} where {wanted} is wanted"))))
            }
            _ => Ok(fact),
        }
    }

    fn find(&mut self, node: NodeRef) -> Result<Fact, Error> {
        let query = self.task.query;
        // Errors of operands already name them. Other errors are about the node itself.
        let fact = match &query.nodes[node as usize] {
            Node::Literal(literal) => literal_fact(literal),
            Node::Parameter(parameter) => Ok(Fact {
                ty: Some(Type { kind: parameter.kind, many: parameter.many, enumeration: None }),
                nullable: true,
                parameter: true,
                given: true,
                ..Fact::CONSTANT
            }),
            Node::Field(path) => {
                let place = self.locate(path).map_err(|error| match path.relations.is_empty() {
                    true => error,
                    false => self.at(node, error),
                })?;
                Ok(Fact {
                    ty: Some(place.field.ty),
                    nullable: place.nullable,
                    varies: true,
                    tables: 1 << place.table,
                    ..Fact::CONSTANT
                })
            }
            Node::Excluded(name) => return self.excluded(node, name),
            Node::Unary((operator, operand)) => {
                let operand = self.fact(*operand)?;
                self.unary(*operator, operand)
            }
            Node::Binary((operator, left, right)) => {
                let facts = (self.fact(*left)?, self.fact(*right)?);
                let right = &query.nodes[*right as usize];
                self.binary(*operator, facts.0, facts.1, right)
            }
            Node::Between((value, lower, upper)) => {
                let value = self.fact(*value)?;
                let (lower, upper) = (self.fact(*lower)?, self.fact(*upper)?);
                let ordered = self.check_ordered(value, lower);
                let ordered = ordered.and_then(|()| self.check_ordered(value, upper));
                let fact = Fact::around([value, lower, upper]);
                ordered.map(|()| fact.with(ScalarType::Boolean))
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
                self.call(call, &facts)
            }
            Node::Cast((operand, kind)) => {
                let operand = self.fact(*operand)?;
                self.cast(operand, *kind)
            }
            Node::Json(path) => {
                let document = self.fact(path.document)?;
                self.json(path, document)
            }
            Node::Aggregate(aggregate) => return self.aggregate(aggregate, node),
            Node::Case(case) => return self.case(case, node),
            Node::JsonChange(change) => return self.json_change(change, node),
            Node::Window(window) => return self.window(window, node),
            Node::Related(related) => return self.related(node, related),
            Node::Subquery(select) => return self.subquery(node, *select),
            Node::Exists(select) => return self.exists(node, *select),
            Node::InSelect((operand, select)) => return self.in_select(node, *operand, *select),
        };
        fact.map_err(|error| self.at(node, error))
    }

    fn excluded(&self, node: NodeRef, name: &str) -> Result<Fact, Error> {
        let field = match (&self.inserted, &self.batch) {
            (Some(inserted), _) if inserted.contains(&name) => self.view().nameable(name)?,
            (Some(_), _) => self.view().readable(name)?,
            (None, Some(batch)) if batch.contains(&name) => self.view().nameable(name)?,
            (None, Some(_)) => {
                return Err(invalid(format!("the batch has no field {}", shown(name))));
            }
            (None, None) => {
                let fault = invalid(
                    "`excluded` stands only in the conflict of an insert and in an update by a batch",
                );
                return Err(self.at(node, fault));
            }
        };
        Ok(Fact {
            ty: Some(field.ty),
            // A batch may contain nulls for any field.
            nullable: field.nullable || self.batch.is_some(),
            varies: true,
            tables: 1 << self.frame().row,
            ..Fact::CONSTANT
        })
    }

    /// A type in a message.
    pub(crate) fn describe(&self, ty: Type) -> String {
        let kind = match ty.enumeration {
            Some(index) => format!("enum {}", shown(&self.task.catalog.enums[index].name)),
            None => ty.kind.to_string(),
        };
        match ty.many {
            true => format!("a list of {kind}"),
            false => kind,
        }
    }
}

fn literal_fact(literal: &Literal) -> Result<Fact, Error> {
    match literal {
        Literal::Null => Ok(Fact { nullable: true, given: true, ..Fact::CONSTANT }),
        Literal::Boolean(_) => Ok(Fact::constant(ScalarType::Boolean)),
        Literal::Integer(_) => Ok(Fact::constant(ScalarType::Integer)),
        Literal::Star => Err(invalid("`star` stands only in `count`")),
    }
}
