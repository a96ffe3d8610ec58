//! Queries on the models of [`crate::blog`], whose SQL one test shows and whose rows another.

use ferro_wit::query::{
    AggregateFunction, BinaryOperator as B, CaseBranch, CaseExpression, Distinct, Frame, FrameUnit,
    Lock, LockStrength, LockWait, Node, NodeRef, OrderTerm, Query, Select, SetOperator, Statement,
    UnaryOperator, Window,
};
use ferro_wit::types::ScalarType as S;

use crate::fixture::*;

impl Nodes {
    pub(crate) fn window(
        &mut self,
        function: &str,
        arguments: &[NodeRef],
        partition_by: &[NodeRef],
        order_by: &[OrderTerm],
    ) -> NodeRef {
        self.add(Node::Window(Window {
            function: function.into(),
            arguments: arguments.into(),
            partition_by: partition_by.into(),
            order_by: order_by.into(),
            frame: None,
        }))
    }

    /// Takes another frame for a window.
    pub(crate) fn framed(&mut self, window: NodeRef, frame: Frame) -> NodeRef {
        let Node::Window(window) = self.0[window as usize].clone() else { panic!("no window") };
        self.add(Node::Window(Window { frame: Some(frame), ..window }))
    }

    pub(crate) fn case(
        &mut self,
        branches: &[(NodeRef, NodeRef)],
        otherwise: Option<NodeRef>,
    ) -> NodeRef {
        let branches =
            branches.iter().map(|(when, then)| CaseBranch { when: *when, then: *then }).collect();
        self.add(Node::Case(CaseExpression { branches, otherwise }))
    }
}

/// `many` for posts with three stars or more, `none` for those without any said, else the title.
pub(crate) fn cases() -> Query {
    let mut nodes = Nodes::default();
    let many = nodes.test("stars", B::GreaterOrEqual, 0, S::Integer);
    let stars = nodes.field("stars");
    let null = nodes.unary(UnaryOperator::IsNull, stars);
    let (one, two) = (nodes.parameter(1, S::Text), nodes.parameter(2, S::Text));
    let title = nodes.field("title");
    let (id, zero) = (nodes.field("id"), nodes.integer(0));
    let word = nodes.case(&[(many, one), (null, two)], Some(title));
    let number = nodes.case(&[(many, zero)], None);
    nodes.select(Select {
        projection: outputs(&[id, word, number]),
        order_by: vec![ascending(id)],
        ..all("Post")
    })
}

/// Places of posts among those of their authors, by stars.
pub(crate) fn places() -> Query {
    let mut nodes = Nodes::default();
    let (id, author, stars) = (nodes.field("id"), nodes.field("author_id"), nodes.field("stars"));
    let by_stars = [descending(stars)];
    let row = nodes.window("row-number", &[], &[author], &by_stars);
    let everywhere = nodes.window("row-number", &[], &[], &[]);
    let by_author = [ascending(author)];
    let rank = nodes.window("rank", &[], &[], &by_author);
    let dense = nodes.window("dense-rank", &[], &[], &by_author);
    nodes.select(Select {
        projection: outputs(&[id, row, everywhere, rank, dense]),
        order_by: vec![ascending(id)],
        ..all("Post")
    })
}

/// Titles before and after, first and last, and sums so far.
pub(crate) fn neighbours() -> Query {
    let mut nodes = Nodes::default();
    let (id, title, stars) = (nodes.field("id"), nodes.field("title"), nodes.field("stars"));
    let by_id = [ascending(id)];
    let two = nodes.integer(2);
    let none = nodes.parameter(0, S::Text);
    let lag = nodes.window("lag", &[title], &[], &by_id);
    let lead = nodes.window("lead", &[title, two, none], &[], &by_id);
    let first = nodes.window("first-value", &[title], &[], &by_id);
    let last = nodes.window("last-value", &[title], &[], &by_id);
    let sum = nodes.window("sum", &[stars], &[], &by_id);
    let author = nodes.field("author_id");
    let star = nodes.star();
    let count = nodes.window("count", &[star], &[author], &[]);
    let average = nodes.window("average", &[stars], &[author], &[]);
    nodes.select(Select {
        projection: outputs(&[id, lag, lead, first, last, sum, count, average]),
        order_by: vec![ascending(id)],
        ..all("Post")
    })
}

/// Of posts by their authors, of which some tie: what frames of rows and of groups have.
pub(crate) fn moving() -> Query {
    let mut nodes = Nodes::default();
    let (id, author, stars, title) =
        (nodes.field("id"), nodes.field("author_id"), nodes.field("stars"), nodes.field("title"));
    let (star, two) = (nodes.star(), nodes.integer(2));
    let by = [ascending(author)];
    let listed = [
        ("sum", vec![stars], FrameUnit::Rows, Some(-1), Some(0)),
        ("sum", vec![stars], FrameUnit::Groups, Some(-1), Some(0)),
        ("count", vec![star], FrameUnit::Rows, Some(1), Some(2)),
        ("count", vec![star], FrameUnit::Groups, Some(1), None),
        ("maximum", vec![stars], FrameUnit::Rows, None, Some(-1)),
        ("average", vec![stars], FrameUnit::Groups, Some(0), Some(0)),
        ("first-value", vec![title], FrameUnit::Rows, Some(1), None),
        ("last-value", vec![title], FrameUnit::Rows, Some(-2), Some(1)),
        ("nth-value", vec![title, two], FrameUnit::Rows, Some(-1), Some(1)),
    ]
    .map(|(function, arguments, unit, start, end)| {
        let window = nodes.window(function, &arguments, &[], &by);
        nodes.framed(window, Frame { unit, start, end })
    });
    nodes.select(Select {
        projection: outputs(&[vec![id], listed.to_vec()].concat()),
        order_by: vec![ascending(author), ascending(id)],
        ..all("Post")
    })
}

/// Authors by their number of posts, and the place that it gives them.
pub(crate) fn ranked_groups() -> Query {
    let mut nodes = Nodes::default();
    let (author, star) = (nodes.field("author_id"), nodes.star());
    let count = nodes.aggregate(AggregateFunction::Count, star);
    let rank = nodes.window("rank", &[], &[], &[descending(count)]);
    nodes.select(Select {
        projection: outputs(&[author, count, rank]),
        group_by: vec![author],
        order_by: vec![ascending(rank), ascending(author)],
        ..all("Post")
    })
}

/// The titles of posts and the bodies of comments, combined, the longest word of each first.
pub(crate) fn combined(operators: &[SetOperator]) -> Query {
    let mut nodes = Nodes::default();
    let (body, id) = (nodes.field("body"), nodes.field("id"));
    let two = nodes.integer(2);
    let tenant = nodes.test("tenant_id", B::Equal, 0, S::Integer);
    let own = |model: &str, field: &str| Select {
        projection: fields(&[field]),
        filter: Some(tenant),
        ..all(model)
    };
    let few = Select { order_by: vec![descending(id)], limit: Some(two), ..own("Comment", "body") };
    let others = [own("Post", "title"), own("Tag", "name"), few];
    let combined = operators.iter().zip(0..).map(|(operator, index)| (*operator, index % 3));
    let select = Select {
        combined: combined.collect(),
        order_by: vec![descending(body)],
        ..own("Comment", "body")
    };
    let [one, two, three] = others;
    nodes.query(vec![one, two, three, select], Statement::Select(3))
}

/// The post with the most stars of each author.
pub(crate) fn best() -> Query {
    let mut nodes = Nodes::default();
    let (author, stars, title) =
        (nodes.field("author_id"), nodes.field("stars"), nodes.field("title"));
    let filter = nodes.test("tenant_id", B::LessOrEqual, 0, S::Integer);
    nodes.select(Select {
        projection: outputs(&[author, title, stars]),
        distinct: Distinct::On(vec![author]),
        filter: Some(filter),
        order_by: vec![descending(stars)],
        ..all("Post")
    })
}

pub(crate) fn locked(strength: LockStrength, wait: LockWait) -> Query {
    let mut nodes = Nodes::default();
    let (name, one) = (nodes.path("editor.name"), nodes.integer(1));
    let select = Select {
        projection: fields(&["id"]),
        order_by: vec![ascending(name)],
        limit: Some(one),
        lock: Some(Lock { strength, wait }),
        ..all("Post")
    };
    nodes.select(select)
}

/// A page of posts: after a post with some stars and some id, by stars.
pub(crate) fn page_after() -> Query {
    let mut nodes = Nodes::default();
    let (stars, id) = (nodes.field("stars"), nodes.field("id"));
    let (last, last_id) = (nodes.parameter(0, S::Integer), nodes.parameter(1, S::Integer));
    let further = nodes.binary(stars, B::Less, last);
    let null = nodes.unary(UnaryOperator::IsNull, stars);
    let same = nodes.binary(stars, B::Equal, last);
    let later = nodes.binary(id, B::Greater, last_id);
    let tied = nodes.add(Node::AllOf(vec![same, later]));
    let filter = nodes.add(Node::AnyOf(vec![further, null, tied]));
    let two = nodes.integer(2);
    nodes.select(Select {
        projection: outputs(&[id, stars]),
        filter: Some(filter),
        order_by: vec![descending(stars)],
        limit: Some(two),
        ..all("Post")
    })
}
