//! The core component as a compiler: hostile queries, many models, many threads.

use std::sync::Arc;

use ferro_host::{ErrorKind, Models};
use ferro_wit::query::{Literal, Node, Projection, Query, Select, UnaryOperator};
use ferro_wit::schema::{ColumnType, Field, IntegerWidth, Model, Schema};
use ferro_wit::types::Dialect;

use crate::support::host;

fn models(table: &str) -> Schema {
    let key =
        Field { generated_key: true, ..Field::new("id", ColumnType::Integer(IntegerWidth::Big)) };
    let model = Model { table: Some(table.into()), ..Model::new("thing", vec![key], &["id"]) };
    Schema { models: vec![model], enums: vec![] }
}

/// All things for which a node holds.
fn things(nodes: Vec<Node>, filter: Option<u32>) -> Query {
    let projection = Projection::Fields(vec!["id".into()]);
    Query::select(nodes, Select { projection, filter, ..Select::new("thing") })
}

fn sql(models: &Models, query: &Query) -> String {
    models.plan(query, Dialect::Sqlite, None).unwrap().steps[0].sql.clone()
}

#[test]
fn s7_hostile_queries_end_in_errors_and_the_compiler_goes_on() {
    let host = host();
    let models = host.models(models("things")).unwrap();
    let not = |node| Node::Unary((UnaryOperator::Not, node));
    let cycle = things(vec![not(1), not(0)], Some(0));
    let missing = things(vec![], Some(7));
    let deep = things((0..100_000_u32).map(|node| not(node.saturating_sub(1))).collect(), Some(9));
    for query in [cycle, missing, deep] {
        let error = models.plan(&query, Dialect::Sqlite, None).unwrap_err();
        let expected = [ErrorKind::InvalidQuery, ErrorKind::LimitExceeded];
        assert!(expected.contains(&error.kind), "{error:?}");
    }
    assert!(sql(&models, &things(vec![], None)).contains("things"));
}

#[test]
fn faults_of_models_are_all_named() {
    let mut schema = models("things");
    schema.models[0].primary_key = vec!["no".into(), "nor".into()];
    let error = host().models(schema).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidSchema);
    assert!(error.message.contains("`no`") && error.message.contains("`nor`"), "{error}");
}

/// More models than an instance remembers, compiled in no order, on several threads.
#[test]
fn models_that_an_instance_has_forgotten_are_made_again() {
    let host = host();
    let all: Vec<Arc<Models>> =
        (0..40).map(|index| host.models(models(&format!("things_{index}"))).unwrap()).collect();
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let all = &all;
            scope.spawn(move || {
                for turn in 0..80 {
                    let index = (turn * 7 + thread * 11) % all.len();
                    // Each thread has a shape of its own, so that the cache does not answer.
                    let negations = u32::try_from(thread).unwrap();
                    let nodes = (0..=negations).map(|node| match node {
                        0 => Node::Literal(Literal::Boolean(true)),
                        _ => Node::Unary((UnaryOperator::Not, node - 1)),
                    });
                    let sql = sql(&all[index], &things(nodes.collect(), Some(negations)));
                    assert!(sql.contains(&format!("\"things_{index}\"")), "{sql}");
                }
            });
        }
    });
}

/// The catalogs of large models fill the memory of an instance, whosever they are.
#[test]
fn s7_large_models_do_not_fail_the_queries_of_others() {
    let host = host();
    let kept: Vec<Arc<Models>> = (0..16)
        .map(|_| {
            let mut large = models("large");
            large.models[0].comment = Some("?".repeat(10 << 20));
            host.models(large).unwrap()
        })
        .collect();
    let small = host.models(models("small")).unwrap();
    assert!(sql(&small, &things(vec![], None)).contains("small"));
    assert!(sql(&kept[0], &things(vec![], None)).contains("large"));
}
