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

async fn sql(models: &Models, query: &Query) -> String {
    models.plan(query, Dialect::Sqlite, None).await.unwrap().steps[0].sql.clone()
}

#[tokio::test]
async fn s7_hostile_queries_end_in_errors_and_the_compiler_goes_on() {
    let host = host();
    let models = host.models(models("things")).unwrap();
    let not = |node| Node::Unary((UnaryOperator::Not, node));
    let cycle = things(vec![not(1), not(0)], Some(0));
    let missing = things(vec![], Some(7));
    let deep = things((0..100_000_u32).map(|node| not(node.saturating_sub(1))).collect(), Some(9));
    for query in [cycle, missing, deep] {
        let error = models.plan(&query, Dialect::Sqlite, None).await.unwrap_err();
        let expected = [ErrorKind::InvalidQuery, ErrorKind::LimitExceeded];
        assert!(expected.contains(&error.kind), "{error:?}");
    }
    assert!(sql(&models, &things(vec![], None)).await.contains("things"));
}

#[test]
fn faults_of_models_are_all_named() {
    let mut schema = models("things");
    schema.models[0].primary_key = vec!["no".into(), "nor".into()];
    let error = host().models(schema).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidSchema);
    assert!(error.message.contains("`no`") && error.message.contains("`nor`"), "{error}");
}

/// All things for which something holds that is negated so many times.
fn negated(times: u32) -> Query {
    let nodes = (0..=times).map(|node| match node {
        0 => Node::Literal(Literal::Boolean(true)),
        _ => Node::Unary((UnaryOperator::Not, node - 1)),
    });
    things(nodes.collect(), Some(times))
}

/// More models than an instance remembers, compiled in no order, by several tasks.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn models_that_an_instance_has_forgotten_are_made_again() {
    let host = host();
    let all: Vec<Arc<Models>> =
        (0..40).map(|index| host.models(models(&format!("things_{index}"))).unwrap()).collect();
    let tasks = (0..4_u32).map(|task| {
        let all = all.clone();
        tokio::spawn(async move {
            for turn in 0..80 {
                let index = (turn * 7 + task as usize * 11) % all.len();
                // Each task has a shape of its own, so that the cache does not answer.
                let sql = sql(&all[index], &negated(task)).await;
                assert!(sql.contains(&format!("\"things_{index}\"")), "{sql}");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

/// The catalogs of large models fill the memory of an instance, whosever they are.
#[tokio::test]
async fn s7_large_models_do_not_fail_the_queries_of_others() {
    let host = host();
    let kept: Vec<Arc<Models>> = (0..16)
        .map(|_| {
            let mut large = models("large");
            large.models[0].comment = Some("?".repeat(10 << 20));
            host.models(large).unwrap()
        })
        .collect();
    let small = host.models(models("small")).unwrap();
    assert!(sql(&small, &things(vec![], None)).await.contains("small"));
    assert!(sql(&kept[0], &things(vec![], None)).await.contains("large"));
}
