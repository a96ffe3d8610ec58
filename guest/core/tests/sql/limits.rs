//! S7: any query has an answer, and soon.

use ferro_wit::query::{
    Assignment, BinaryOperator, Literal, Node, Query, Select, Statement, UnaryOperator, Update,
};
use ferro_wit::types::{Dialect, ErrorKind, ScalarType};

use crate::fixture::*;

fn filtered(nodes: Vec<Node>, filter: u32) -> Query {
    Nodes(nodes).select(Select { filter: Some(filter), ..ids() })
}

#[test]
fn s7_indices_point_backwards_only() {
    let not = |operand| Node::Unary((UnaryOperator::Not, operand));
    insta::assert_snapshot!(line(&error(&filtered(vec![not(0)], 0))), @"invalid-query: node 0 refers to node 0, which does not come before it");
    insta::assert_snapshot!(line(&error(&filtered(vec![not(1), not(0)], 1))), @"invalid-query: node 0 refers to node 1, which does not come before it");
    insta::assert_snapshot!(line(&error(&filtered(vec![], 7))), @"invalid-query: select 0: there is no node 7");
    let query = Nodes::default().query(vec![], Statement::Count(0));
    insta::assert_snapshot!(line(&error(&query)), @"invalid-query: there is no select 0");
    let query = filtered(vec![Node::Exists(3)], 0);
    insta::assert_snapshot!(line(&error(&query)), @"invalid-query: node 0 refers to select 3, which does not exist");
    let query = filtered(vec![Node::Exists(0)], 0);
    insta::assert_snapshot!(line(&error(&query)), @"invalid-query: select 0 refers to node 0, which does not come before node 0 that it stands in");
}

#[test]
fn s7_depth_and_size_are_bounded() {
    let mut nodes = Nodes::default();
    let mut node = nodes.field("active");
    for _ in 0..63 {
        node = nodes.unary(UnaryOperator::Not, node);
    }
    let deepest = nodes.clone().select(Select { filter: Some(node), ..ids() });
    assert!(catalog().compile(&deepest, Dialect::Sqlite, None).is_ok());
    let node = nodes.unary(UnaryOperator::Not, node);
    let too_deep = nodes.select(Select { filter: Some(node), ..ids() });
    insta::assert_snapshot!(line(&error(&too_deep)), @"limit-exceeded: `active`: the expression is more than 64 nodes deep");

    let true_ = Node::Literal(Literal::Boolean(true));
    assert_eq!(error(&filtered(vec![true_.clone(); 4097], 0)).kind, ErrorKind::LimitExceeded);
    let many = vec![true_, Node::AnyOf(vec![0; 1_000_000])];
    assert_eq!(error(&filtered(many, 1)).kind, ErrorKind::LimitExceeded);
    let parameter = |index| {
        let mut nodes = Nodes::default();
        let filter = nodes.test("age", BinaryOperator::Equal, index, ScalarType::Integer);
        error(&nodes.select(Select { filter: Some(filter), ..ids() })).kind
    };
    assert_eq!(parameter(32_000), ErrorKind::LimitExceeded);
    assert_eq!(parameter(u32::MAX), ErrorKind::LimitExceeded);
}

#[test]
fn s7_a_small_query_that_unfolds_into_a_large_statement_is_stopped() {
    let mut nodes = Nodes::default();
    let mut node = nodes.field("active");
    for _ in 0..60 {
        node = nodes.add(Node::AnyOf(vec![node, node]));
    }
    let started = std::time::Instant::now();
    let fault = error(&nodes.select(Select { filter: Some(node), ..ids() }));
    assert_eq!(fault.kind, ErrorKind::LimitExceeded);
    let mut nodes = Nodes::default();
    let (active, mut value) = (nodes.field("active"), nodes.field("age"));
    for _ in 0..60 {
        value = nodes.case(&[(active, value)], Some(value));
    }
    let set = vec![Assignment { field: "age".into(), value }];
    let update = Statement::Update(Update { set, ..update("User") });
    assert_eq!(error(&nodes.query(vec![all("User")], update)).kind, ErrorKind::LimitExceeded);
    assert!(started.elapsed().as_secs() < 5);
}

#[test]
fn s7_grouping_walks_shared_nodes_once() {
    let mut nodes = Nodes::default();
    let field = nodes.field("age");
    let mut node = field;
    for _ in 0..60 {
        node = nodes.binary(node, BinaryOperator::Add, node);
    }
    let query =
        nodes.select(Select { projection: outputs(&[node]), group_by: vec![field], ..all("User") });
    assert_eq!(error(&query).kind, ErrorKind::LimitExceeded);
}
