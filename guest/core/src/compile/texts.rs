//! Limits the memory of a tenant's statement in the database.
//!
//! PostgreSQL keeps the results of functions of a row until the next row, and cannot be interrupted
//! in between. So under a scope, a statement may compute a limited number of texts, and concatenate
//! texts up to a limited length. On SQLite, the driver limits the memory of a statement.

use ferro_wit::query::{Aggregate, AggregateFunction, BinaryOperator, Node, NodeRef};
use ferro_wit::types::{Error, ScalarType};

use super::Compiler;
use crate::dialect::Spelling as _;
use crate::error::limit;
use crate::functions::{self, Function};

/// The maximum number of texts that a tenant's statement computes or inspects. PostgreSQL's
/// `concat` takes a hundred.
const MOST_TEXTS: usize = 96;
/// The weight of a `replace`, whose result may be longer, and of a change of a document, which may
/// put anything into it.
const LONGER: usize = 8;
/// The weight of an aggregate that collects values, up to a gigabyte.
const GATHERED: usize = 24;

impl Compiler<'_> {
    /// Counts the texts that a node computes or unpacks.
    pub(super) fn count_texts(&mut self, node: NodeRef) -> Result<(), Error> {
        use AggregateFunction as A;
        use BinaryOperator as B;
        let made = match self.node(node) {
            Node::Json(_) => 1,
            Node::Binary((
                B::Concat
                | B::Like
                | B::NotLike
                | B::Ilike
                | B::NotIlike
                | B::Contains
                | B::StartsWith
                | B::EndsWith
                | B::ArrayContains
                | B::ArrayOverlaps
                | B::JsonContains,
                _,
                _,
            )) => 1,
            Node::JsonChange(_) => LONGER,
            Node::Aggregate(Aggregate { function: A::StringAgg | A::ArrayAgg, .. }) => GATHERED,
            Node::Call(call) => match functions::find(&call.name) {
                Some(Function::Replace) => LONGER,
                Some(Function::Coalesce) => 0,
                _ => {
                    let first = call.arguments.first().map(|it| self.fact(*it)).transpose()?;
                    let of = first.and_then(|it| it.ty);
                    usize::from(of.is_some_and(|it| it.is(ScalarType::Text)))
                }
            },
            _ => 0,
        };
        self.count_made(made)
    }

    fn count_made(&mut self, made: usize) -> Result<(), Error> {
        self.texts += made;
        match self.bounded_concat().is_some() && self.texts > MOST_TEXTS {
            true => Err(limit(format!(
                "under a scope a statement computes or searches at most {MOST_TEXTS} texts and \
                 documents, where `replace` and a change of a document count for {LONGER}, and \
                 `string-agg` and `array-agg` for {GATHERED}"
            ))),
            false => Ok(()),
        }
    }

    fn bounded_concat(&self) -> Option<[&'static str; 3]> {
        self.typing.task.scope.and(self.dialect.bounded_concat())
    }

    /// Concatenates texts. If they must be limited, a chain of them becomes one function call,
    /// which is made only if their total length is within the limit. Concatenating them one by one
    /// would also keep each prefix of the chain, and constants would be joined before the check.
    pub(super) fn concat(&mut self, left: NodeRef, right: NodeRef) -> Result<(), Error> {
        let Some([before, between, after]) = self.bounded_concat() else {
            self.text_operand(left)?;
            self.sql.push(" || ");
            return self.text_operand(right);
        };
        let mut chain = Vec::new();
        self.unchain(left, &mut chain)?;
        self.unchain(right, &mut chain)?;
        self.sql.push(before);
        for text in &chain {
            self.sql.push(" + octet_length(");
            self.text_operand(*text)?;
            self.sql.push(")");
        }
        self.sql.push(between);
        self.try_separated(", ", &chain, |it, text| it.text_operand(*text))?;
        self.sql.push(after);
        Ok(())
    }

    fn unchain(&mut self, node: NodeRef, chain: &mut Vec<NodeRef>) -> Result<(), Error> {
        let Node::Binary((BinaryOperator::Concat, left, right)) = self.node(node) else {
            chain.push(node);
            return Ok(());
        };
        self.count_made(1)?;
        self.unchain(*left, chain)?;
        self.unchain(*right, chain)
    }
}
