//! Cases, windows, combined selects, first rows, locks and pages, on both databases.

use ferro_wit::query::{
    BinaryOperator as B, Distinct, Frame, FrameUnit, LockStrength, LockWait, Node, Select,
    SetOperator as O, Statement,
};
use ferro_wit::schema::{ColumnType, EnumType, Schema};
use ferro_wit::types::{ScalarType as S, Value};

use crate::blog::tenant;
use crate::fixture::*;
use crate::queries;
use crate::relations::{first, world};
use crate::world::{World, integers, shown};

#[tokio::test]
async fn a_case_is_the_value_of_its_first_branch_that_holds() {
    let values = [Value::Integer(3), "many".into(), "none".into()];
    let rows = world().await.rows(&queries::cases(), &values).await;
    insta::assert_snapshot!(shown(&rows), @r##"
1 | many | 0
2 | none | -
3 | three | -
4 | many | 0
5 | five | -
6 | many | 0
"##);
}

#[tokio::test]
async fn window_functions_number_and_compare_rows() {
    let world = world().await;
    insta::assert_snapshot!(shown(&world.rows(&queries::places(), &[]).await), @r##"
1 | 2 | 1 | 1 | 1
2 | 3 | 2 | 1 | 1
3 | 1 | 3 | 4 | 2
4 | 1 | 4 | 5 | 3
5 | 2 | 5 | 5 | 3
6 | 1 | 6 | 1 | 1
"##);
    let rows = world.rows(&queries::neighbours(), &["end".into()]).await;
    insta::assert_snapshot!(shown(&rows), @r##"
1 | - | three | one | six | 5 | 3 | 7
2 | one | four | one | six | 5 | 3 | 7
3 | two | five | one | six | 6 | 1 | 1
4 | three | six | one | six | 9 | 2 | 1.5
5 | four | end | one | six | 9 | 2 | 1.5
6 | five | end | one | six | 18 | 3 | 7
"##);
    insta::assert_snapshot!(shown(&world.rows(&queries::ranked_groups(), &[]).await), @r##"
1 | 3 | 1
4 | 2 | 2
2 | 1 | 3
"##);
}

#[tokio::test]
async fn frames_have_the_same_rows() {
    let world = world().await;
    insta::assert_snapshot!(shown(&world.rows(&queries::moving(), &[]).await), @r"
1 | 5 | 14 | 2 | 3 | - | 7 | two | two | two
2 | 5 | 14 | 2 | 3 | 5 | 7 | six | six | two
6 | 9 | 14 | 2 | 3 | 5 | 7 | three | three | six
3 | 10 | 15 | 2 | 2 | 9 | 1 | four | four | three
4 | 4 | 4 | 1 | 0 | 9 | 1.5 | five | five | four
5 | 3 | 4 | 0 | 0 | 9 | 1.5 | - | five | five
");
}

#[tokio::test]
async fn what_has_left_a_frame_has_no_effect_on_its_sum() {
    let fields = vec![big("id"), field("amount", ColumnType::Double), big("number")];
    let schema = Schema { models: vec![model("Sale", fields)], enums: vec![] };
    let rows = "INSERT INTO sale VALUES (1, 0.1, 9223372036854775807), (2, 1e18, -1), \
                (3, 0.2, 0), (4, -1e18, 5), (5, 0.3, -9223372036854775807), (6, 0.5, 1), (7, 0.25, 2)";
    let world = World::new(schema, &[rows]).await;
    let mut nodes = Nodes::default();
    let (id, amount, number) = (nodes.field("id"), nodes.field("amount"), nodes.field("number"));
    let two = |nodes: &mut Nodes, function, value| {
        let window = nodes.window(function, &[value], &[], &[ascending(id)]);
        nodes.framed(window, Frame { unit: FrameUnit::Rows, start: Some(-1), end: Some(0) })
    };
    let listed = [
        id,
        two(&mut nodes, "sum", amount),
        two(&mut nodes, "average", amount),
        two(&mut nodes, "sum", number),
    ];
    let query = nodes.select(Select {
        projection: outputs(&listed),
        order_by: vec![ascending(id)],
        ..all("Sale")
    });
    insta::assert_snapshot!(shown(&world.rows(&query, &[]).await), @r"
1 | 0.1 | 0.1 | 9223372036854775807
2 | 1000000000000000000 | 500000000000000000 | 9223372036854775806
3 | 1000000000000000000 | 500000000000000000 | -1
4 | -1000000000000000000 | -500000000000000000 | 5
5 | -1000000000000000000 | -500000000000000000 | -9223372036854775802
6 | 0.8 | 0.4 | -9223372036854775806
7 | 0.75 | 0.375 | 3
");
}

#[tokio::test]
async fn an_infinity_that_has_left_a_frame_leaves_a_null_on_sqlite() {
    let fields = vec![big("id"), field("amount", ColumnType::Double)];
    let schema = Schema { models: vec![model("Sale", fields)], enums: vec![] };
    let rows = ["9e999", "'Infinity'"]
        .map(|it| format!("INSERT INTO sale VALUES (1, {it}), (2, 0.5), (3, 0.25)"));
    let world = World::new(schema, &[]).await;
    world.run(rows).await;
    let mut nodes = Nodes::default();
    let (id, amount) = (nodes.field("id"), nodes.field("amount"));
    let sum = nodes.window("sum", &[amount], &[], &[ascending(id)]);
    let two = Frame { unit: FrameUnit::Rows, start: Some(-1), end: Some(0) };
    let listed = [nodes.framed(sum, two)];
    let query = nodes.select(Select {
        projection: outputs(&listed),
        order_by: vec![ascending(id)],
        ..all("Sale")
    });
    let outcomes = world.outcomes(&query, &[], None, &[]).await;
    let found = outcomes.map(|it| shown(&it.unwrap()));
    assert_eq!(found, ["inf\ninf\n-", "inf\ninf\n0.75"]);
}

#[tokio::test]
async fn t2_window_functions_see_rows_of_the_scope_only() {
    let world = world().await;
    let rows = world.scoped(&queries::moving(), &[], Some(&tenant()), &first()).await;
    insta::assert_snapshot!(shown(&rows), @r"
1 | 5 | 5 | 2 | 2 | - | 5 | two | two | two
2 | 5 | 5 | 2 | 2 | 5 | 5 | three | three | two
3 | 1 | 6 | 1 | 1 | 5 | 1 | four | four | three
4 | 4 | 4 | 0 | 0 | 5 | 3 | - | four | four
");
    let rows = world.scoped(&queries::places(), &[], Some(&tenant()), &first()).await;
    insta::assert_snapshot!(shown(&rows), @r##"
1 | 1 | 1 | 1 | 1
2 | 2 | 2 | 1 | 1
3 | 1 | 3 | 3 | 2
4 | 1 | 4 | 4 | 3
"##);
}

#[tokio::test]
async fn selects_are_combined_from_left_to_right() {
    let world = world().await;
    let one = [Value::Integer(1)];
    let union = queries::combined(&[O::Union]);
    insta::assert_snapshot!(shown(&world.rows(&union, &one).await), @r##"
two
three
one
good
four
cross
by Ada
bad
"##);
    let several = queries::combined(&[O::Union, O::Except, O::UnionAll]);
    insta::assert_snapshot!(shown(&world.rows(&several, &one).await), @r##"
two
three
one
good
good
four
cross
cross
by Ada
bad
"##);
    let intersect = queries::combined(&[O::UnionAll, O::UnionAll, O::Intersect]);
    insta::assert_snapshot!(shown(&world.rows(&intersect, &one).await), @r##"
good
cross
"##);
    let mut count = union;
    count.statement = Statement::Count(3);
    assert_eq!(integers(world.rows(&count, &one).await), [8]);
}

#[tokio::test]
async fn t2_every_select_of_a_combination_is_in_scope() {
    let world = world().await;
    let two = [Value::Integer(2)];
    let rows = world.scoped(&queries::combined(&[O::Union]), &two, Some(&tenant()), &first()).await;
    assert!(rows.is_empty(), "{rows:?}");
}

#[tokio::test]
async fn the_first_rows_of_those_that_agree_are_chosen() {
    let world = world().await;
    let two = [Value::Integer(2)];
    insta::assert_snapshot!(shown(&world.rows(&queries::best(), &two).await), @r##"
1 | six | 9
4 | four | 3
2 | three | 1
"##);
    let own = world.scoped(&queries::best(), &two, Some(&tenant()), &first()).await;
    insta::assert_snapshot!(shown(&own), @r##"
1 | one | 5
4 | four | 3
2 | three | 1
"##);
}

#[tokio::test]
async fn rows_are_locked_where_the_database_locks_rows() {
    use LockStrength as L;
    let world = world().await;
    for strength in [L::Update, L::NoKeyUpdate, L::Share, L::KeyShare] {
        for wait in [LockWait::Wait, LockWait::SkipLocked, LockWait::NoWait] {
            let query = queries::locked(strength, wait);
            assert_eq!(integers(world.rows(&query, &[]).await), [4]);
            let own = world.scoped(&query, &[], Some(&tenant()), &first()).await;
            assert_eq!(integers(own), [4]);
        }
    }
}

#[tokio::test]
async fn pages_by_key_are_right_with_nulls_and_ties() {
    let world = world().await;
    let rows = world.rows(&queries::page_after(), &[Value::Integer(3), Value::Integer(4)]).await;
    insta::assert_snapshot!(shown(&rows), @r##"
3 | 1
5 | 0
"##);
    let rows = world.rows(&queries::page_after(), &[Value::Integer(1), Value::Integer(1)]).await;
    insta::assert_snapshot!(shown(&rows), @r##"
3 | 1
5 | 0
"##);
}

/// SQLite 3.51 counts an offset by the rows of an `EXISTS` too, if nothing keeps it from it.
#[tokio::test]
async fn an_offset_counts_rows_and_not_what_is_related_to_them() {
    use ferro_wit::query::{Quantifier, Select};

    use crate::fixture::*;
    let world = world().await;
    let mut nodes = Nodes::default();
    let filter = Some(nodes.related(Quantifier::Any, &["comments"], None));
    let one = nodes.integer(1);
    let select = Select { projection: fields(&["id"]), filter, offset: Some(one), ..all("Post") };
    let mut query = nodes.query(vec![select], Statement::Select(0));
    assert_eq!(integers(world.rows(&query, &[]).await), [2, 3, 5, 6]);
    query.statement = Statement::Count(0);
    assert_eq!(integers(world.rows(&query, &[]).await), [4]);
}

#[tokio::test]
async fn enums_of_another_select_compare_as_enums() {
    let mood = EnumType { name: "mood".into(), values: vec!["sad".into(), "glad".into()] };
    let person =
        model("Person", vec![id(), nullable("mood", ColumnType::Enumeration("mood".into()))]);
    let schema = Schema { models: vec![person], enums: vec![mood] };
    let people = "INSERT INTO person (mood) VALUES ('sad'), ('glad'), ('glad'), (NULL)";
    let world = World::new(schema, &[people]).await;

    let mut nodes = Nodes::default();
    let key = nodes.test("id", B::Equal, 0, S::Integer);
    let one = nodes.integer(1);
    let theirs = Select {
        projection: fields(&["mood"]),
        filter: Some(key),
        limit: Some(one),
        ..all("Person")
    };
    let own = nodes.field("mood");
    let (same, among) = (nodes.add(Node::Subquery(1)), nodes.add(Node::InSelect((own, 1))));
    let same_as_own = nodes.binary(own, B::Equal, same);
    let text = nodes.parameter(1, S::Text);
    let same_as_text = nodes.binary(same, B::Equal, text);
    let filter = nodes.add(Node::AllOf(vec![among, same_as_own, same_as_text]));
    let order = nodes.field("id");
    let query = nodes.query(
        vec![
            Select {
                projection: outputs(&[order, same]),
                filter: Some(filter),
                order_by: vec![ascending(order)],
                ..all("Person")
            },
            theirs,
        ],
        Statement::Select(0),
    );
    let glad = world.rows(&query, &[Value::Integer(2), "glad".into()]).await;
    insta::assert_snapshot!(shown(&glad), @r##"
2 | glad
3 | glad
"##);
    assert_eq!(world.rows(&query, &[Value::Integer(2), "sad".into()]).await, [[]; 0]);
}

/// Prices of which those with an odd number are given, and those with an even one are not.
const PRICES: &str = "INSERT INTO price (given) VALUES ('1.0'), (NULL), ('1.00'), (NULL), ('2')";

#[tokio::test]
async fn decimals_that_are_equal_are_one_however_they_came_about() {
    let price = model("Price", vec![id(), nullable("given", ColumnType::Decimal(None))]);
    let schema = Schema { models: vec![price], enums: vec![] };
    let world = World::new(schema, &[PRICES]).await;
    let mut nodes = Nodes::default();
    let (given, other, id) =
        (nodes.field("given"), nodes.parameter(0, S::Decimal), nodes.field("id"));
    let value = nodes.call("coalesce", &[given, other]);
    let one = nodes.integer(1);
    let (first, others) = (nodes.binary(id, B::Equal, one), nodes.binary(id, B::Greater, one));
    let select = |filter| Select { projection: outputs(&[value]), filter, ..all("Price") };
    let among = nodes.add(Node::InSelect((other, 1)));
    let query = |select, statement| {
        let first = Select { filter: Some(first), ..all("Price") };
        let first = Select { projection: outputs(&[value]), ..first };
        nodes.clone().query(vec![first, select], statement)
    };
    let count = async |select| {
        let query = query(select, Statement::Count(1));
        integers(world.rows(&query, &[Value::Decimal("1.000".into())]).await)
    };
    assert_eq!(count(Select { distinct: Distinct::Rows, ..select(None) }).await, [2]);
    for (operator, rows) in [(O::Union, 2), (O::Intersect, 1), (O::Except, 1), (O::UnionAll, 5)] {
        let combined = Select { combined: vec![(operator, 0)], ..select(Some(others)) };
        assert_eq!(count(combined).await, [rows], "{operator:?}");
    }
    // What is left of the second select by the first: 2.
    let mut query = query(
        Select { combined: vec![(O::Except, 0)], ..select(Some(others)) },
        Statement::Select(2),
    );
    query.selects.push(Select {
        projection: outputs(&[id, among]),
        limit: Some(one),
        ..all("Price")
    });
    for (value, found) in [("1.000", "1 | false"), ("2.00", "1 | true")] {
        let rows = world.rows(&query, &[Value::Decimal(value.into())]).await;
        assert_eq!(shown(&rows), found);
    }
}
