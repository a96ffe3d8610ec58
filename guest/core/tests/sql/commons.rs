//! Queries with common tables on the models of [`crate::blog`], whose SQL one test shows and whose
//! rows another.

use ferro_wit::query::{
    AggregateFunction as A, BinaryOperator as B, CommonTable, Join, Node, NodeRef, Output,
    Projection, Query, Select, SetOperator, Statement, UnaryOperator as U,
};
use ferro_wit::types::ScalarType as S;

use crate::fixture::*;

/// Expressions under names.
pub(crate) fn named(outputs: &[(&str, NodeRef)]) -> Projection {
    let output = |(name, expression): &(&str, NodeRef)| Output {
        name: (*name).to_owned(),
        expression: *expression,
    };
    Projection::Outputs(outputs.iter().map(output).collect())
}

pub(crate) fn table(name: &str, rows: u32) -> CommonTable {
    CommonTable { name: name.into(), rows, step: None }
}

pub(crate) fn recursive(name: &str, rows: u32, operator: SetOperator, step: u32) -> CommonTable {
    CommonTable { step: Some((operator, step)), ..table(name, rows) }
}

pub(crate) fn join(table: &str, on: NodeRef) -> Vec<Join> {
    vec![Join { table: table.into(), on }]
}

impl Nodes {
    /// The rows of the last select.
    pub(crate) fn with(self, selects: Vec<Select>, common: Vec<CommonTable>) -> Query {
        let last = u32::try_from(selects.len() - 1).unwrap();
        Query { common, ..self.query(selects, Statement::Select(last)) }
    }

    /// `totals`: how many posts and stars each author has.
    pub(crate) fn totals(&mut self) -> Select {
        let (author, stars, star) = (self.field("author_id"), self.field("stars"), self.star());
        let posts = self.aggregate(A::Count, star);
        let stars = self.aggregate(A::Sum, stars);
        Select {
            projection: named(&[("author", author), ("posts", posts), ("stars", stars)]),
            group_by: vec![author],
            ..all("Post")
        }
    }

    /// `chart`: those without a boss, at level 0.
    fn heads(&mut self) -> Select {
        let (id, name, boss) = (self.field("id"), self.field("name"), self.field("boss_id"));
        let (filter, zero) = (self.unary(U::IsNull, boss), self.integer(0));
        Select {
            projection: named(&[("id", id), ("name", name), ("level", zero)]),
            filter: Some(filter),
            ..all("Author")
        }
    }
}

/// Authors with some stars in all, those with the most first.
pub(crate) fn best() -> Query {
    let mut nodes = Nodes::default();
    let totals = nodes.totals();
    let filter = Some(nodes.test("stars", B::GreaterOrEqual, 0, S::Integer));
    let stars = nodes.field("stars");
    let rows = Select { filter, order_by: vec![descending(stars)], ..all("totals") };
    nodes.with(vec![totals, rows], vec![table("totals", 0)])
}

/// The names of authors beside their totals.
pub(crate) fn beside() -> Query {
    let mut nodes = Nodes::default();
    let totals = nodes.totals();
    let (id, author, name) = (nodes.field("id"), nodes.path("totals.author"), nodes.field("name"));
    let on = nodes.binary(author, B::Equal, id);
    let (posts, boss) = (nodes.path("totals.posts"), nodes.path("boss.name"));
    let authors = Select {
        projection: outputs(&[name, posts, boss]),
        joins: join("totals", on),
        order_by: vec![ascending(id)],
        ..all("Author")
    };
    nodes.with(vec![totals, authors], vec![table("totals", 0)])
}

/// Authors who are among those with several posts, by a table that reads another one, and what is
/// the most that any of them has.
pub(crate) fn inside() -> Query {
    let mut nodes = Nodes::default();
    let totals = nodes.totals();
    let filter = Some(nodes.test("posts", B::Greater, 0, S::Integer));
    let busy = Select { projection: fields(&["author", "stars"]), filter, ..all("totals") };
    let listed = Select { projection: fields(&["author"]), ..all("busy") };
    let id = nodes.field("id");
    let filter = Some(nodes.add(Node::InSelect((id, 2))));
    let stars = nodes.field("stars");
    let most = nodes.aggregate(A::Maximum, stars);
    let most = Select { projection: outputs(&[most]), ..all("busy") };
    let most_of_all = nodes.add(Node::Subquery(3));
    let authors = Select {
        projection: outputs(&[id, most_of_all]),
        filter,
        order_by: vec![ascending(id)],
        ..all("Author")
    };
    let common = vec![table("totals", 0), table("busy", 1)];
    nodes.with(vec![totals, busy, listed, most, authors], common)
}

/// The authors below those without a boss, level by level.
pub(crate) fn chart() -> Query {
    let mut nodes = Nodes::default();
    let heads = nodes.heads();
    let (boss, above) = (nodes.field("boss_id"), nodes.path("chart.id"));
    let on = nodes.binary(boss, B::Equal, above);
    let (level, one) = (nodes.path("chart.level"), nodes.integer(1));
    let below = nodes.binary(level, B::Add, one);
    let (id, name) = (nodes.field("id"), nodes.field("name"));
    let step = Select {
        projection: named(&[("id", id), ("name", name), ("level", below)]),
        joins: join("chart", on),
        ..all("Author")
    };
    let level = nodes.field("level");
    let order_by = vec![ascending(level), ascending(id)];
    let rows = Select { order_by, ..all("chart") };
    let common = vec![recursive("chart", 0, SetOperator::UnionAll, 1)];
    nodes.with(vec![heads, step, rows], common)
}

/// An author, and everybody above: once each, even if they are above each other.
pub(crate) fn bosses() -> Query {
    let mut nodes = Nodes::default();
    let filter = Some(nodes.test("id", B::Equal, 0, S::Integer));
    let first = Select { projection: fields(&["id", "boss_id"]), filter, ..all("Author") };
    let (id, above) = (nodes.field("id"), nodes.path("above.boss_id"));
    let on = nodes.binary(above, B::Equal, id);
    let step = Select {
        projection: fields(&["id", "boss_id"]),
        joins: join("above", on),
        ..all("Author")
    };
    let rows =
        Select { projection: fields(&["id"]), order_by: vec![ascending(id)], ..all("above") };
    nodes.with(vec![first, step, rows], vec![recursive("above", 0, SetOperator::Union, 1)])
}

/// The whole numbers up to a number, beginning with those of some posts' stars, the fewest first.
pub(crate) fn numbers() -> Query {
    let mut nodes = Nodes::default();
    let (stars, one) = (nodes.field("stars"), nodes.integer(1));
    let filter = Some(nodes.unary(U::IsNotNull, stars));
    let first = Select {
        projection: named(&[("n", stars)]),
        filter,
        order_by: vec![ascending(stars)],
        limit: Some(one),
        ..all("Post")
    };
    let n = nodes.field("n");
    let (filter, next) = (nodes.test("n", B::Less, 0, S::Integer), nodes.binary(n, B::Add, one));
    let step = Select { projection: named(&[("n", next)]), filter: Some(filter), ..all("numbers") };
    let rows = Select { order_by: vec![descending(n)], ..all("numbers") };
    nodes.with(vec![first, step, rows], vec![recursive("numbers", 0, SetOperator::UnionAll, 1)])
}
