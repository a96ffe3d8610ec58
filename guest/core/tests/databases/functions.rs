//! Functions and casts of the closed list: the same values on both databases.

use ferro_wit::query::{
    AggregateFunction as A, BinaryOperator as B, Node, NodeRef, Select, UnaryOperator,
};
use ferro_wit::schema::{ColumnType, IntegerWidth, Schema};
use ferro_wit::types::{ErrorKind, ScalarType as S, Value};

use crate::documents::users;
use crate::fixture::*;
use crate::world::{World, shown};

/// A timestamp of a day, and microseconds into it.
fn timestamp(days: i64, microseconds: i64) -> i64 {
    days * 86_400_000_000 + microseconds
}

/// What calls give for values, a line for each row of values.
async fn calls(
    rows: &[Vec<Value>],
    kinds: &[S],
    build: impl Fn(&mut Nodes, &[NodeRef]) -> Vec<NodeRef>,
) -> String {
    let world = users(&[("a", "", &[])]).await;
    let mut nodes = Nodes::default();
    let values: Vec<_> =
        (0..).zip(kinds).map(|(index, kind)| nodes.parameter(index, *kind)).collect();
    let listed = build(&mut nodes, &values);
    let query = nodes.select(Select { projection: outputs(&listed), ..all("User") });
    let mut lines = Vec::new();
    for row in rows {
        lines.push(shown(&world.rows(&query, row).await));
    }
    lines.join("\n")
}

fn texts(rows: &[[&str; 3]]) -> Vec<Vec<Value>> {
    rows.iter().map(|row| row.iter().map(|it| Value::from(*it)).collect()).collect()
}

#[tokio::test]
async fn texts_are_cut_searched_and_replaced() {
    let rows = texts(&[["  héllo ", "l", "L"], ["abc", "", "x"], ["", "a", "b"], ["aaa", "a", ""]]);
    let found = calls(&rows, &[S::Text; 3], |it, values| {
        let (text, part, other) = (values[0], values[1], values[2]);
        let (two, three, most) = (it.integer(2), it.integer(3), it.integer(0x7fff_ffff));
        vec![
            it.call("trim-start", &[text]),
            it.call("trim-end", &[text]),
            it.call("substring", &[text, two]),
            it.call("substring", &[text, two, three]),
            it.call("left", &[text, two]),
            it.call("right", &[text, three]),
            it.call("right", &[text, most]),
            it.call("position", &[text, part]),
            it.call("replace", &[text, part, other]),
            it.call("null-if", &[text, other]),
            it.call("length", &[text]),
        ]
    })
    .await;
    insta::assert_snapshot!(found, @r##"
héllo  |   héllo |  héllo  |  hé |    | lo  |   héllo  | 5 |   héLLo  |   héllo  | 8
abc | abc | bc | bc | ab | abc | abc | 1 | abc | abc | 3
 |  |  |  |  |  |  | 0 |  |  | 0
aaa | aaa | aa | aa | aa | aaa | aaa | 1 |  | aaa | 3
"##);
}

#[tokio::test]
async fn what_is_replaced_may_be_null_or_differ_from_row_to_row() {
    let world = users(&[("a", "", &[]), ("b", "", &[])]).await;
    let mut nodes = Nodes::default();
    let (text, part, null) =
        (nodes.parameter(0, S::Text), nodes.parameter(1, S::Text), nodes.null());
    let name = nodes.field("name");
    let listed = [
        nodes.call("replace", &[text, part, name]),
        nodes.call("replace", &[text, name, part]),
        nodes.call("replace", &[name, text, part]),
        nodes.call("replace", &[text, part, null]),
        nodes.call("replace", &[text, null, part]),
    ];
    let query = nodes.select(Select { projection: outputs(&listed), ..all("User") });
    for (part, expected) in [
        ("a", "ab | ab | a | - | -\nbb | aa | b | - | -"),
        ("", "ab | b | a | - | -\nab | a | b | - | -"),
    ] {
        let found = world.rows(&query, &["ab".into(), part.into()]).await;
        assert_eq!(shown(&found), expected);
    }
}

#[tokio::test]
async fn t9_a_text_does_not_grow_without_bound() {
    let world = users(&[("a", "", &[])]).await;
    let mut nodes = Nodes::default();
    let values = [0, 1, 2].map(|index| nodes.parameter(index, S::Text));
    let replaced = nodes.call("replace", &values);
    let query = nodes.select(Select { projection: outputs(&[replaced]), ..all("User") });
    let long = ["a".repeat(5_000).into(), "a".into(), "b".repeat(5_000).into()];
    for outcome in world.outcomes(&query, &long, None, &[]).await {
        assert_eq!(outcome.unwrap_err().kind, ErrorKind::ValueOutOfRange);
    }
}

#[tokio::test]
async fn floats_are_made_whole_in_the_same_direction() {
    let floats = [2.5, -2.5, 0.5, -0.4, 3.0, 1e20, -1e18, 9.3e18];
    let close = [2.499_999_999_999_999_6, 0.499_999_999_999_999_94];
    let large = [9_007_199_254_740_991.0, -4_503_599_627_370_495.5, f64::NEG_INFINITY];
    let floats = [floats.as_slice(), &close, &large].concat();
    let rows: Vec<_> = floats.iter().map(|it| vec![Value::Float(*it)]).collect();
    let found = calls(&rows, &[S::Float], |it, values| {
        let number = values[0];
        let cast = it.add(Node::Cast((number, S::Integer)));
        vec![
            it.call("floor", &[number]),
            it.call("ceiling", &[number]),
            it.call("round", &[number]),
            it.call("abs", &[number]),
            cast,
        ]
    })
    .await;
    insta::assert_snapshot!(found, @r##"
2 | 3 | 3 | 2.5 | 2
-3 | -2 | -3 | 2.5 | -2
0 | 1 | 1 | 0.5 | 0
-1 | 0 | 0 | 0.4 | 0
3 | 3 | 3 | 3 | 3
100000000000000000000 | 100000000000000000000 | 100000000000000000000 | 100000000000000000000 | -
-1000000000000000000 | -1000000000000000000 | -1000000000000000000 | 1000000000000000000 | -1000000000000000000
9300000000000000000 | 9300000000000000000 | 9300000000000000000 | 9300000000000000000 | -
2 | 3 | 2 | 2.4999999999999996 | 2
0 | 1 | 0 | 0.49999999999999994 | 0
9007199254740991 | 9007199254740991 | 9007199254740991 | 9007199254740991 | 9007199254740991
-4503599627370496 | -4503599627370495 | -4503599627370496 | 4503599627370495.5 | -4503599627370495
-inf | -inf | -inf | inf | -
"##);
}

#[tokio::test]
async fn numbers_and_truths_become_others() {
    let row = |integer: i64, decimal: &str, truth| {
        vec![integer.into(), Value::Decimal(decimal.into()), truth]
    };
    let rows = [
        row(-7, "-12.50", Value::Boolean(true)),
        row(i64::MAX, "Infinity", Value::Boolean(false)),
        row(0, "-Infinity", Value::Null),
    ];
    let found = calls(&rows, &[S::Integer, S::Decimal, S::Boolean], |it, values| {
        let (integer, decimal, truth) = (values[0], values[1], values[2]);
        let [two, opposite] = [it.integer(2), it.unary(UnaryOperator::Not, truth)];
        let mut cast = |value, kind| it.add(Node::Cast((value, kind)));
        let number = cast(opposite, S::Integer);
        let mut listed = vec![cast(truth, S::Integer), number];
        listed.extend([S::Float, S::Decimal, S::Text].map(|kind| cast(integer, kind)));
        listed.extend([S::Float, S::Text].map(|kind| cast(decimal, kind)));
        listed.push(it.binary(number, B::Subtract, two));
        listed
    })
    .await;
    insta::assert_snapshot!(found, @r##"
1 | 0 | -7 | -7 | -7 | -12.5 | -12.50 | -2
0 | 1 | 9223372036854776000 | 9223372036854775807 | 9223372036854775807 | inf | Infinity | -1
- | - | 0 | 0 | 0 | -inf | -Infinity | -
"##);
}

#[tokio::test]
async fn no_number_is_made_whole_of_what_is_none() {
    let world = users(&[("a", "", &[])]).await;
    let mut nodes = Nodes::default();
    let value = nodes.parameter(0, S::Float);
    let mut listed =
        ["floor", "ceiling", "round", "abs"].map(|it| nodes.call(it, &[value])).to_vec();
    let decimal = nodes.parameter(1, S::Decimal);
    listed.push(nodes.add(Node::Cast((decimal, S::Float))));
    let query = nodes.select(Select { projection: outputs(&listed), ..all("User") });
    let values = [Value::Float(f64::NAN), Value::Decimal("NaN".into())];
    for outcome in world.outcomes(&query, &values, None, &[]).await {
        assert_eq!(shown(&outcome.unwrap()), "NaN | NaN | NaN | NaN | NaN");
    }
}

#[tokio::test]
async fn dates_and_times_have_parts() {
    // 2024-02-29, a Thursday; 2023-01-01, a Sunday; a moment before 1970.
    let moments =
        [timestamp(19_782, 86_399_999_999), timestamp(19_358, 3_600_000_001), timestamp(-1, 1)];
    let rows: Vec<Vec<Value>> = moments
        .iter()
        .map(|it| {
            let day = i32::try_from(it.div_euclid(86_400_000_000)).unwrap();
            vec![
                Value::Timestamptz(*it),
                Value::Timestamp(*it),
                Value::Date(day),
                Value::Time(it.rem_euclid(86_400_000_000)),
            ]
        })
        .collect();
    let found = calls(&rows, &[S::Timestamptz, S::Timestamp, S::Date, S::Time], |it, values| {
        let mut listed = Vec::new();
        for part in ["year", "month", "day", "weekday", "day-of-year"] {
            listed.extend(values[..3].iter().map(|value| it.call(part, &[*value])));
        }
        for part in ["hour", "minute", "second"] {
            listed.extend([0, 1, 3].map(|index| it.call(part, &[values[index]])));
        }
        listed
    })
    .await;
    insta::assert_snapshot!(found, @r##"
2024 | 2024 | 2024 | 2 | 2 | 2 | 29 | 29 | 29 | 4 | 4 | 4 | 60 | 60 | 60 | 23 | 23 | 23 | 59 | 59 | 59 | 59 | 59 | 59
2023 | 2023 | 2023 | 1 | 1 | 1 | 1 | 1 | 1 | 7 | 7 | 7 | 1 | 1 | 1 | 1 | 1 | 1 | 0 | 0 | 0 | 0 | 0 | 0
1969 | 1969 | 1969 | 12 | 12 | 12 | 31 | 31 | 31 | 3 | 3 | 3 | 365 | 365 | 365 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0
"##);
    let found = calls(&rows, &[S::Timestamptz, S::Timestamp, S::Date, S::Time], |it, values| {
        let mut listed = Vec::new();
        for value in &values[..2] {
            for part in ["year", "month", "day", "hour", "minute", "second"] {
                listed.push(it.call(&format!("truncate-{part}"), &[*value]));
            }
        }
        listed.push(it.call("truncate-year", &[values[2]]));
        listed.push(it.call("truncate-month", &[values[2]]));
        listed.push(it.call("hour", &[values[3]]));
        listed
    })
    .await;
    insta::assert_snapshot!(found, @r##"
Timestamptz(1704067200000000) | Timestamptz(1706745600000000) | Timestamptz(1709164800000000) | Timestamptz(1709247600000000) | Timestamptz(1709251140000000) | Timestamptz(1709251199000000) | Timestamp(1704067200000000) | Timestamp(1706745600000000) | Timestamp(1709164800000000) | Timestamp(1709247600000000) | Timestamp(1709251140000000) | Timestamp(1709251199000000) | Date(19723) | Date(19754) | 23
Timestamptz(1672531200000000) | Timestamptz(1672531200000000) | Timestamptz(1672531200000000) | Timestamptz(1672534800000000) | Timestamptz(1672534800000000) | Timestamptz(1672534800000000) | Timestamp(1672531200000000) | Timestamp(1672531200000000) | Timestamp(1672531200000000) | Timestamp(1672534800000000) | Timestamp(1672534800000000) | Timestamp(1672534800000000) | Date(19358) | Date(19358) | 1
Timestamptz(-31536000000000) | Timestamptz(-2678400000000) | Timestamptz(-86400000000) | Timestamptz(-86400000000) | Timestamptz(-86400000000) | Timestamptz(-86400000000) | Timestamp(-31536000000000) | Timestamp(-2678400000000) | Timestamp(-86400000000) | Timestamp(-86400000000) | Timestamp(-86400000000) | Timestamp(-86400000000) | Date(-365) | Date(-31) | 0
"##);
    let found = calls(&rows, &[S::Timestamptz, S::Timestamp, S::Date, S::Time], |it, values| {
        let mut cast = |value: usize, kind| it.add(Node::Cast((values[value], kind)));
        let mut listed = vec![
            cast(0, S::Date),
            cast(0, S::Time),
            cast(0, S::Timestamp),
            cast(1, S::Date),
            cast(1, S::Time),
            cast(1, S::Timestamptz),
            cast(2, S::Timestamp),
            cast(2, S::Timestamptz),
        ];
        listed.push(it.call("second", &[values[3]]));
        listed
    })
    .await;
    insta::assert_snapshot!(found, @r##"
Date(19782) | Time(86399999999) | Timestamp(1709251199999999) | Date(19782) | Time(86399999999) | Timestamptz(1709251199999999) | Timestamp(1709164800000000) | Timestamptz(1709164800000000) | 59
Date(19358) | Time(3600000001) | Timestamp(1672534800000001) | Date(19358) | Time(3600000001) | Timestamptz(1672534800000001) | Timestamp(1672531200000000) | Timestamptz(1672531200000000) | 0
Date(-1) | Time(1) | Timestamp(-86399999999) | Date(-1) | Time(1) | Timestamptz(-86399999999) | Timestamp(-86400000000) | Timestamptz(-86400000000) | 0
"##);
}

#[tokio::test]
async fn moments_have_distances() {
    let rows = [
        vec![
            Value::Date(19_782),
            Value::Date(-3),
            Value::Timestamptz(1_709_251_199_999_999),
            Value::Timestamptz(-1),
        ],
        vec![
            Value::Date(1),
            Value::Date(1),
            Value::Timestamptz(0),
            Value::Timestamptz(86_400_000_000),
        ],
    ];
    let found = calls(&rows, &[S::Date, S::Date, S::Timestamptz, S::Timestamptz], |it, values| {
        let days = it.call("days-between", &values[..2]);
        let moments = it.call("microseconds-between", &values[2..]);
        let two = it.integer(2);
        let twice = it.binary(moments, B::Multiply, two);
        vec![days, moments, twice]
    })
    .await;
    insta::assert_snapshot!(found, @r##"
19785 | 1709251200000000 | 3418502400000000
0 | -86400000000 | -172800000000
"##);
}

/// The largest of each width, and what a float of 32 bits is exact up to.
const NARROW: &str = "INSERT INTO narrow (id, small, little) VALUES (1, 32767, 16777216), \
                      (2, -32768, 1), (3, NULL, 1), (4, NULL, 1)";

#[tokio::test]
async fn numbers_of_narrow_columns_are_calculated_in_64_bits() {
    let small = nullable("small", ColumnType::Integer(IntegerWidth::Small));
    let narrow = model("Narrow", vec![big("id"), small, nullable("little", ColumnType::Real)]);
    let schema = Schema { models: vec![narrow], enums: vec![] };
    let world = World::new(schema, &[NARROW]).await;
    let mut nodes = Nodes::default();
    let (id, small, little) = (nodes.field("id"), nodes.field("small"), nodes.field("little"));
    let either = nodes.call("coalesce", &[small, small]);
    let listed = [
        id,
        nodes.call("abs", &[small]),
        nodes.binary(either, B::Multiply, either),
        nodes.binary(either, B::Subtract, small),
        nodes.binary(little, B::Subtract, little),
        nodes.binary(little, B::Multiply, little),
        nodes.window("sum", &[little], &[], &[ascending(id)]),
    ];
    let query = nodes.clone().select(Select {
        projection: outputs(&listed),
        order_by: vec![ascending(id)],
        ..all("Narrow")
    });
    insta::assert_snapshot!(shown(&world.rows(&query, &[]).await), @r##"
1 | 32767 | 1073676289 | 0 | 0 | 281474976710656 | 16777216
2 | 32768 | 1073741824 | 0 | 0 | 1 | 16777217
3 | - | - | - | 0 | 1 | 16777218
4 | - | - | - | 0 | 1 | 16777219
"##);
    let (least, sum) = (nodes.aggregate(A::Minimum, small), nodes.aggregate(A::Sum, little));
    let listed = [nodes.binary(least, B::Multiply, least), sum];
    let query = nodes.select(Select { projection: outputs(&listed), ..all("Narrow") });
    insta::assert_snapshot!(shown(&world.rows(&query, &[]).await), @r##"
1073741824 | 16777219
"##);
}
