//! Decimals are calculated with exactly, and to the same digits, on both databases.

use ferro_wit::query::{
    Aggregate, AggregateFunction as A, BinaryOperator as B, Frame, FrameUnit, Literal, Node,
    RowSource, Select, Statement, UnaryOperator, Window,
};
use ferro_wit::schema::{ColumnType, DecimalSize, DefaultValue, Field, IntegerWidth, Schema};
use ferro_wit::types::{Batch, ErrorKind, ScalarType as S, Scalars, Value};

use crate::fixture::*;
use crate::random::Generator;
use crate::world::World;

const SPECIAL: [&str; 12] = [
    "0",
    "0.00",
    "1",
    "-1",
    "3",
    "0.1",
    "-0.0001",
    "9999",
    "10000",
    "99999999.99999999",
    "123456789012345678901234567890.5",
    "0.00000000000000000001",
];

fn decimal(text: &str) -> Value {
    Value::Decimal(text.into())
}

/// Digits on both sides of the point.
fn any(random: &mut Generator) -> String {
    let mut digits = |most: usize| -> String {
        let count = random.below(most);
        (0..count).map(|_| char::from(b'0' + u8::try_from(random.below(10)).unwrap())).collect()
    };
    let (whole, fraction) = (digits(24), digits(24));
    let whole = whole.trim_start_matches('0');
    let sign = if random.below(2) == 0 || whole.is_empty() { "" } else { "-" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{fraction}", if whole.is_empty() { "0" } else { whole })
}

#[tokio::test]
async fn operators_give_the_digits_that_postgres_gives() {
    let seed = "INSERT INTO one VALUES (1)";
    let world =
        World::new(Schema { models: vec![model("One", vec![big("id")])], enums: vec![] }, &[seed])
            .await;
    let mut nodes = Nodes::default();
    let [left, right] = [0, 1].map(|it| nodes.parameter(it, S::Decimal));
    let mut listed: Vec<_> = [B::Add, B::Subtract, B::Multiply, B::Divide]
        .map(|it| nodes.binary(left, it, right))
        .into();
    let negated = nodes.unary(UnaryOperator::Negate, left);
    listed.extend([negated, nodes.call("abs", &[negated])]);
    listed.push(nodes.binary(listed[2], B::Less, listed[0]));
    listed.extend(["round", "floor", "ceiling"].map(|it| nodes.call(it, &[left])));
    for digits in [0, 2, 100] {
        let digits = nodes.add(Node::Literal(Literal::Integer(digits)));
        listed.push(nodes.call("round", &[left, digits]));
    }
    let query = nodes.select(Select { projection: outputs(&listed), ..all("One") });
    let mut random = Generator::new(7);
    let mut pairs: Vec<[String; 2]> = Vec::new();
    for one in SPECIAL {
        pairs.extend(SPECIAL.map(|two| [one.to_owned(), two.to_owned()]));
    }
    for special in ["NaN", "Infinity", "-Infinity"] {
        for other in ["NaN", "Infinity", "-Infinity", "0", "-2.5"] {
            pairs.push([special.into(), other.into()]);
            pairs.push([other.into(), special.into()]);
        }
    }
    pairs.extend((0..300).map(|_| [any(&mut random), any(&mut random)]));
    for pair in pairs {
        // `rows` fails where the databases differ.
        world.rows(&query, &pair.map(|it| decimal(&it))).await;
    }
}

fn sales() -> Schema {
    let amount = field("amount", ColumnType::Decimal(None));
    let amount = Field { nullable: true, ..amount };
    Schema { models: vec![model("Sale", vec![big("id"), text("shop"), amount])], enums: vec![] }
}

const SALES: &str = "INSERT INTO sale (id, shop, amount) VALUES (1, 'a', '0.1'), (2, 'a', '0.20'), \
                     (3, 'b', '12345678901234567.89'), (4, 'b', NULL), (5, 'b', '-0.001'), \
                     (6, 'c', NULL), (7, 'a', '0.1'), (8, 'd', 'NaN'), (9, 'd', '1'), (10, 'b', '3')";

#[tokio::test]
async fn integers_and_what_is_calculated_compare_with_decimals_as_numbers() {
    let world = World::new(sales(), &[SALES]).await;
    let mut nodes = Nodes::default();
    let (id, amount) = (nodes.field("id"), nodes.field("amount"));
    let (two, list) = (nodes.parameter(0, S::Decimal), nodes.list(1, S::Decimal));
    let more = nodes.binary(amount, B::Add, two);
    let mut listed = vec![id];
    for (left, operator, right) in [
        (id, B::Less, two),
        (id, B::Equal, two),
        (id, B::Less, amount),
        (amount, B::Greater, id),
        (amount, B::InList, list),
        (more, B::InList, list),
    ] {
        listed.push(nodes.binary(left, operator, right));
    }
    let query = nodes.select(Select {
        projection: outputs(&listed),
        order_by: vec![ascending(id)],
        ..all("Sale")
    });
    let mut list = Scalars::with_kind(S::Decimal);
    for item in ["2.0", "0.10", "2.10", "10", "3.00"] {
        list.push(decimal(item)).unwrap();
    }
    let values = [decimal("2.0"), Value::Array(list)];
    let found = world.rows(&query, &values).await;
    insta::assert_snapshot!(crate::world::shown(&found), @r"
1 | true | false | false | false | true | true
2 | false | true | false | false | false | false
3 | false | false | true | true | false | false
4 | false | false | - | - | - | -
5 | false | false | false | false | false | false
6 | false | false | - | - | - | -
7 | false | false | false | false | true | true
8 | false | false | true | true | false | false
9 | false | false | false | false | false | true
10 | false | false | false | false | true | false
");
}

#[tokio::test]
async fn the_text_of_a_decimal_compares_and_sorts_as_a_text() {
    let world = World::new(sales(), &[SALES]).await;
    let mut nodes = Nodes::default();
    let (id, amount) = (nodes.field("id"), nodes.field("amount"));
    let words = nodes.add(Node::Cast((amount, S::Text)));
    let wanted = nodes.parameter(0, S::Text);
    let listed = [id, words, nodes.binary(words, B::Equal, wanted)];
    let query = nodes.clone().select(Select {
        projection: outputs(&listed),
        order_by: vec![ascending(words), ascending(id)],
        ..all("Sale")
    });
    let found = world.rows(&query, &["0.2".into()]).await;
    insta::assert_snapshot!(crate::world::shown(&found), @r"
5 | -0.001 | false
1 | 0.1 | false
7 | 0.1 | false
2 | 0.20 | false
9 | 1 | false
3 | 12345678901234567.89 | false
10 | 3 | false
8 | NaN | false
4 | - | -
6 | - | -
");
    let most = nodes.aggregate(A::Maximum, words);
    let query = nodes.select(Select { projection: outputs(&[most]), ..all("Sale") });
    assert_eq!(world.rows(&query, &[]).await, [["NaN".into()]]);
}

#[tokio::test]
async fn sums_and_averages_are_exact_in_groups_in_windows_and_of_distinct_values() {
    let world = World::new(sales(), &[SALES]).await;
    let mut nodes = Nodes::default();
    let (shop, amount) = (nodes.field("shop"), nodes.field("amount"));
    let mut listed = vec![shop];
    for function in [A::Sum, A::Average] {
        listed.push(nodes.aggregate(function, amount));
        listed.push(nodes.add(Node::Aggregate(Aggregate {
            distinct: true,
            ..Aggregate::new(function, amount)
        })));
    }
    let total = nodes.binary(listed[1], B::Multiply, listed[3]);
    listed.push(total);
    let query = nodes.clone().select(Select {
        projection: outputs(&listed),
        group_by: vec![shop],
        order_by: vec![ascending(shop)],
        ..all("Sale")
    });
    let found = world.rows(&query, &[]).await;
    let row = |group: usize| crate::world::shown(&found[group..=group]);
    assert_eq!(
        row(0),
        "a | 0.40 | 0.30 | 0.13333333333333333333 | 0.15000000000000000000 | \
         0.0533333333333333333320"
    );
    assert_eq!(row(2), "c | - | - | - | - | -");
    let none = nodes.integer(0);
    let sum = nodes.aggregate(A::Sum, amount);
    let id = nodes.field("id");
    let nobody = nodes.binary(id, B::Less, none);
    let query = nodes.clone().select(Select {
        projection: outputs(&[sum]),
        filter: Some(nobody),
        ..all("Sale")
    });
    assert_eq!(world.rows(&query, &[]).await, [[Value::Null]]);
    let windows = ["sum", "average"].map(|function| {
        nodes.add(Node::Window(Window {
            function: function.into(),
            arguments: vec![amount],
            partition_by: vec![shop],
            order_by: vec![ascending(id)],
            frame: None,
        }))
    });
    let query = nodes.select(Select {
        projection: outputs(&[id, windows[0], windows[1]]),
        order_by: vec![ascending(id)],
        ..all("Sale")
    });
    let found = world.rows(&query, &[]).await;
    assert_eq!(crate::world::shown(&found[6..7]), "7 | 0.40 | 0.13333333333333333333");
}

#[tokio::test]
async fn what_has_left_a_frame_has_no_effect_on_its_sum() {
    let world = World::new(sales(), &[SALES]).await;
    let mut nodes = Nodes::default();
    let (id, amount) = (nodes.field("id"), nodes.field("amount"));
    let mut listed = vec![id, amount];
    for function in ["sum", "average", "minimum", "maximum"] {
        let window = nodes.window(function, &[amount], &[], &[ascending(id)]);
        let two = Frame { unit: FrameUnit::Rows, start: Some(-1), end: Some(0) };
        listed.push(nodes.framed(window, two));
    }
    let query = nodes.select(Select {
        projection: outputs(&listed),
        order_by: vec![ascending(id)],
        ..all("Sale")
    });
    insta::assert_snapshot!(crate::world::shown(&world.rows(&query, &[]).await), @r"
1 | 0.1 | 0.1 | 0.10000000000000000000 | 0.1 | 0.1
2 | 0.20 | 0.30 | 0.15000000000000000000 | 0.1 | 0.20
3 | 12345678901234567.89 | 12345678901234568.09 | 6172839450617284.0450 | 0.20 | 12345678901234567.89
4 | - | 12345678901234567.89 | 12345678901234567.8900 | 12345678901234567.89 | 12345678901234567.89
5 | -0.001 | -0.001 | -0.00100000000000000000 | -0.001 | -0.001
6 | - | -0.001 | -0.00100000000000000000 | -0.001 | -0.001
7 | 0.1 | 0.1 | 0.10000000000000000000 | 0.1 | 0.1
8 | NaN | NaN | NaN | 0.1 | NaN
9 | 1 | NaN | NaN | 1 | NaN
10 | 3 | 4 | 2.0000000000000000 | 1 | 3
");
}

/// A price of eight digits, two of them after the point.
fn priced() -> Schema {
    let size = Some(DecimalSize { precision: 8, scale: 2 });
    let price = field("price", ColumnType::Decimal(size.clone()));
    let other = Field {
        default: Some(DefaultValue::Constant(decimal("0.5"))),
        ..field("other", ColumnType::Decimal(size))
    };
    let count = field("count", ColumnType::Integer(IntegerWidth::Regular));
    Schema { models: vec![model("Item", vec![big("id"), price, other, count])], enums: vec![] }
}

#[tokio::test]
async fn a_decimal_of_a_size_has_its_digits_however_it_is_written() {
    let world = World::new(priced(), &[]).await;
    let insert = |fields: &[&str]| {
        let insert =
            ferro_wit::query::Insert { source: RowSource::Batch, ..insert("Item", fields) };
        Nodes::default().query(vec![], Statement::Insert(insert))
    };
    let mut columns = [S::Integer, S::Decimal, S::Integer].map(Scalars::with_kind);
    for (id, price) in [(1, "5"), (2, "1.005"), (3, "-0.004"), (4, "999999.994")] {
        for (column, value) in columns.iter_mut().zip([id.into(), decimal(price), 3.into()]) {
            column.push(value).unwrap();
        }
    }
    let rows = Batch::new(columns.map(ferro_wit::types::Column::Scalars).into()).unwrap();
    world.write(&insert(&["id", "price", "count"]), &rows).await;
    let read = || Nodes::default().select(Select { order_by: vec![], ..all("Item") });
    let found = world.rows(&read(), &[]).await;
    let prices: Vec<_> = found.iter().map(|it| it[1].clone()).collect();
    assert_eq!(prices, ["5.00", "1.01", "0.00", "999999.99"].map(decimal));
    assert!(found.iter().all(|it| it[2] == decimal("0.50")));
    // An update rounds what it calculates, and a field of another type fits.
    let mut nodes = Nodes::default();
    let (price, third) = (nodes.field("price"), nodes.parameter(0, S::Decimal));
    let value = nodes.binary(price, B::Divide, third);
    let count = nodes.field("count");
    let set = [("price", value), ("other", count)]
        .map(|(field, value)| ferro_wit::query::Assignment { field: field.into(), value });
    let change = ferro_wit::query::Update { set: set.into(), ..update("Item") };
    let change = nodes.query(vec![all("Item")], Statement::Update(change));
    world.rows(&change, &[decimal("3")]).await;
    let found = world.rows(&read(), &[]).await;
    let row = |index: usize| found[index][1..3].to_vec();
    assert_eq!(row(0), ["1.67", "3.00"].map(decimal));
    assert_eq!(row(3), ["333333.33", "3.00"].map(decimal));
    // What has too many digits is refused, and nothing is changed.
    for outcome in world.outcomes(&change, &[decimal("0.001")], None, &[]).await {
        assert_eq!(outcome.unwrap_err().kind, ErrorKind::ValueOutOfRange);
    }
    assert_eq!(world.rows(&read(), &[]).await, found);
}
