//! Values of enums: what is one of several is one too, in its order, and can be written where the enum
//! is wanted.

use ferro_wit::query::{
    Assignment, BinaryOperator as B, Insert, Node, RowSource, Select, SetOperator, Statement,
    UnaryOperator, Update,
};
use ferro_wit::schema::{ColumnType, EnumType, Schema};
use ferro_wit::types::{ScalarType as S, Value};

use crate::commons::{named, recursive};
use crate::fixture::*;
use crate::world::{World, integers, shown};

/// People who are glad, sad, neither or both, in this order.
fn moody() -> Schema {
    let values = ["sad", "glad", "fine"].map(String::from).into();
    let mood = EnumType { name: "mood".into(), values };
    let kind = || ColumnType::Enumeration("mood".into());
    let person = model("Person", vec![id(), nullable("mood", kind()), nullable("former", kind())]);
    Schema { models: vec![person], enums: vec![mood] }
}

const MOODY: &str = "INSERT INTO person (mood, former) VALUES ('glad', NULL), (NULL, 'sad'), \
    (NULL, NULL), ('sad', 'glad')";

#[tokio::test]
async fn one_of_several_values_of_an_enum_has_its_order() {
    let world = World::new(moody(), &[MOODY]).await;
    let mut nodes = Nodes::default();
    let (id, mood, former) = (nodes.field("id"), nodes.field("mood"), nodes.field("former"));
    let given = nodes.parameter(0, S::Text);
    let (one, none) = (nodes.integer(1), nodes.null());
    let any = nodes.call("coalesce", &[mood, former, given]);
    let by_id = [ascending(id)];
    let is_null = nodes.unary(UnaryOperator::IsNull, mood);
    for value in [
        any,
        nodes.call("null-if", &[any, given]),
        nodes.call("null-if", &[any, former]),
        nodes.case(&[(is_null, given)], Some(mood)),
        nodes.case(&[(is_null, none)], Some(any)),
        nodes.window("lag", &[any], &[], &by_id),
        nodes.window("lead", &[mood, one, given], &[], &by_id),
        nodes.window("first-value", &[any], &[former], &by_id),
        nodes.window("last-value", &[any], &[former], &by_id),
        nodes.window("nth-value", &[any, one], &[former], &by_id),
    ] {
        let select = Select {
            projection: outputs(&[value]),
            order_by: vec![ascending(value), ascending(id)],
            ..all("Person")
        };
        let query = nodes.clone().select(select);
        let found = world.rows(&query, &["fine".into()]).await;
        let rank = |it: &Vec<Value>| match &it[0] {
            Value::Text(it) => ["sad", "glad", "fine"].iter().position(|value| value == it),
            _ => Some(3),
        };
        let ranks: Vec<_> = found.iter().map(rank).collect();
        assert!(ranks.is_sorted() && ranks.len() == 4, "{found:?}");
        assert!(ranks.iter().any(|it| *it < Some(3)), "{found:?}");
    }
}

#[tokio::test]
async fn one_of_several_values_of_an_enum_is_written_to_its_fields() {
    let world = World::new(moody(), &[MOODY]).await;
    let mut nodes = Nodes::default();
    let (id, mood, former) = (nodes.field("id"), nodes.field("mood"), nodes.field("former"));
    let (given, null) = (nodes.parameter(0, S::Text), nodes.null());
    let any = nodes.call("coalesce", &[mood, former, given]);
    let set = vec![Assignment { field: "mood".into(), value: any }];
    let update = Statement::Update(Update { set, ..update("Person") });
    let query = nodes.clone().query(vec![all("Person")], update);
    assert_eq!(integers(world.rows(&query, &["fine".into()]).await), [4]);

    let (is_sad, limit) = (nodes.binary(mood, B::Equal, given), nodes.integer(1));
    let word = nodes.case(&[(is_sad, given)], Some(null));
    for (one, other) in [(given, null), (any, word), (null, mood)] {
        let rows = Select { projection: outputs(&[one, other]), ..all("Person") };
        let insert =
            Insert { source: RowSource::Select(0), ..insert("Person", &["mood", "former"]) };
        let select = Select { filter: Some(is_sad), limit: Some(limit), ..rows };
        let query = nodes.clone().query(vec![select], Statement::Insert(insert));
        assert_eq!(integers(world.rows(&query, &["sad".into()]).await), [1]);
    }
    let query = nodes.select(Select {
        projection: outputs(&[mood, former]),
        order_by: vec![ascending(id)],
        ..all("Person")
    });
    insta::assert_snapshot!(shown(&world.rows(&query, &[]).await), @r##"
glad | -
sad | sad
fine | -
sad | glad
sad | -
sad | sad
- | sad
"##);
}

#[tokio::test]
async fn a_recursive_table_holds_texts_where_its_step_adds_some_to_an_enum() {
    let world = World::new(moody(), &[MOODY]).await;
    let mut nodes = Nodes::default();
    let (id, mood, two) = (nodes.field("id"), nodes.field("mood"), nodes.integer(2));
    let is_first = nodes.binary(id, B::Less, two);
    let base = Select {
        projection: named(&[("id", id), ("word", mood)]),
        filter: Some(is_first),
        ..all("Person")
    };
    let number = nodes.field("id");
    let next = nodes.binary(number, B::Add, number);
    let number_as_text = nodes.add(Node::Cast((next, S::Text)));
    let ten = nodes.integer(10);
    let is_small = nodes.binary(number, B::Less, ten);
    let step = Select {
        projection: named(&[("id", next), ("word", number_as_text)]),
        filter: Some(is_small),
        ..all("words")
    };
    let word = nodes.field("word");
    let rows =
        Select { projection: outputs(&[word]), order_by: vec![ascending(word)], ..all("words") };
    let words = recursive("words", 0, SetOperator::UnionAll, 1);
    let query = nodes.with(vec![base, step, rows], vec![words]);
    insta::assert_snapshot!(shown(&world.rows(&query, &[]).await), @r##"
16
2
4
8
glad
"##);
}
