//! How much a statement of a tenant makes the database hold at once.
//!
//! What functions make of a row is kept by PostgreSQL until the next row, and nothing stops it in
//! between. So under a scope there are only so many of them in a statement, and what they put together
//! is only so long. On SQLite the driver bounds the memory of a statement.

use ferro_wit::query::{Aggregate, AggregateFunction, BinaryOperator, Node, NodeRef};
use ferro_wit::types::{Error, ScalarType};

use super::Compiler;
use crate::dialect::Spelling as _;
use crate::error::limit;
use crate::functions::{self, Function};

/// The most texts that a statement of a tenant computes or looks into. PostgreSQL's `concat` takes a
/// hundred.
const MOST_TEXTS: usize = 96;
/// What a `replace` counts for, whose text may be longer, and a change of a document, which may put
/// anything into it.
const LONGER: usize = 8;
/// What an aggregate counts for that gathers values, which ends at a gigabyte.
const GATHERED: usize = 24;

impl Compiler<'_> {
    /// Counts what a node that is being written makes or unpacks.
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

    /// Writes texts one after another. If these have to be bounded, a chain of them is one function,
    /// which is called only if all of them together are short enough: one after another would hold
    /// each beginning of the chain, too, and constants would be joined before anything is asked.
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
