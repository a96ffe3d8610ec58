//! What an expression is: its type, and what may be done with it. Checked before it is written, so
//! that a value of the wrong type never reaches a database.
//!
//! Nothing is coerced, with one exception: whole numbers go where floats or decimals are wanted.

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
    /// A function over the rows around stands in it.
    pub(crate) window: bool,
    /// Its value depends on the row.
    pub(crate) varies: bool,
    /// A parameter stands in it.
    pub(crate) parameter: bool,
    /// It is what the caller gives, a null, or one of several such: where values of an enum are
    /// wanted, its texts become such.
    pub(crate) given: bool,
    /// A text in it can be longer than those that it is made of.
    pub(crate) lengthens: bool,
    /// The tables that it depends on, as bits.
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

    /// What several operands have in common with the expression that they stand in.
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

    /// What is one of several values of its type.
    fn one_of(self, values: &[Self]) -> Self {
        let enumeration = common_enum(values.iter().map(|it| (it.ty, it.given)));
        let ty = self.ty.map(|it| Type { enumeration, ..it });
        Self { ty, given: values.iter().all(|it| it.given), ..self }
    }

    fn is(&self, kind: ScalarType) -> bool {
        self.ty.is_none_or(|it| it.is(kind))
    }
}

/// The enum that one of several values is of: each is, but for what is given.
fn common_enum(values: impl IntoIterator<Item = (Option<Type>, bool)>) -> Option<usize> {
    let values = values.into_iter().filter(|(_, given)| !given);
    let mut enums = values.map(|(ty, _)| ty.and_then(|it| it.enumeration));
    let first = enums.next()??;
    enums.all(|it| it == Some(first)).then_some(first)
}

/// Finds out what the nodes of a query are.
pub(crate) struct Typing<'a> {
    pub(crate) task: Task<'a>,
    /// The tables of the statement, by their numbers.
    pub(crate) tables: Vec<Table<'a>>,
    frames: Vec<Frame<'a>>,
    /// The frame that is looked at.
    current: usize,
    /// The fields that the rows of an insert carry, while its conflict is compiled: only there may
    /// `excluded` stand.
    pub(crate) inserted: Option<Vec<&'a str>>,
    /// The fields that the rows of an update's batch carry: `excluded` is one of them.
    pub(crate) batch: Option<Vec<&'a str>>,
}

impl<'a> Typing<'a> {
    /// Looks at the rows of a model, or of a common table, first.
    pub(crate) fn new(task: Task<'a>, view: View<'a>) -> Result<Self, Error> {
        let (tables, frames) = (Vec::new(), Vec::new());
        let mut typing = Self { task, tables, frames, current: 0, inserted: None, batch: None };
        typing.open(view, None)?;
        Ok(typing)
    }

    /// The model whose rows are looked at, as the caller sees it.
    pub(crate) fn view(&self) -> &View<'a> {
        &self.frame().view
    }

    /// What a node is.
    pub(crate) fn fact(&mut self, node: NodeRef) -> Result<Fact, Error> {
        if let Some(known) = self.known(node) {
            return Ok(known);
        }
        let fact = self.find(node)?;
        self.learn(node, fact);
        Ok(fact)
    }

    /// A condition: a boolean, on single rows.
    pub(crate) fn check_condition(&mut self, node: NodeRef) -> Result<Fact, Error> {
        let fact = self.fact(node)?;
        if !fact.is(ScalarType::Boolean) {
            return Err(self.at(node, mismatch("a condition is a boolean")));
        }
        Ok(fact)
    }

    /// An expression on single rows, whose place messages name.
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

    /// A value for a field of the rows that are looked at.
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
        // A fault of a part names that already. What is left is one of the node itself.
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
            // A batch may hold nulls for any field.
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
