//! Functions and casts of the closed list: the same values on both databases.

use ferro_wit::query::{
    AggregateFunction as A, BinaryOperator as B, Node, NodeRef, Select, UnaryOperator,
};
use ferro_wit::schema::{ColumnType, IntegerWidth, Schema};
use ferro_wit::types::{ErrorKind, Interval, ScalarType as S, Value};

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

/// A tenant could make PostgreSQL hold all beginnings of a chain at once, and nothing would stop it.
#[tokio::test]
async fn s3_texts_that_a_tenant_joins_are_no_longer_than_a_bound() {
    let world = users(&[("a", "", &[]), ("é", "", &[])]).await;
    let open = scope(vec![open_scope("User")]);
    let chain = |hidden: bool, times: usize| {
        let mut nodes = Nodes::default();
        let name = nodes.field("name");
        let given = nodes.parameter(0, S::Text);
        let text = match hidden {
            true => nodes.call("coalesce", &[given, name]),
            false => given,
        };
        let joined = (0..times).fold(name, |it, _| nodes.binary(it, B::Concat, text));
        let length = nodes.call("length", &[joined]);
        let name = ascending(name);
        nodes.select(Select {
            projection: outputs(&[joined, length]),
            order_by: vec![name],
            ..all("User")
        })
    };
    for scope in [None, Some(&open)] {
        for hidden in [false, true] {
            let found = world.scoped(&chain(hidden, 3), &["xy".into()], scope, &[]).await;
            assert_eq!(shown(&found), "axyxyxy | 7\néxyxyxy | 7");
        }
    }
    let nulls = world.scoped(&chain(false, 3), &[Value::Null], Some(&open), &[]).await;
    assert_eq!(shown(&nulls), "- | -\n- | -");
    // Some hundred megabytes if it were done.
    let long = ["x".repeat(1 << 20).into()];
    for hidden in [false, true] {
        let [_, postgres] = world.outcomes(&chain(hidden, 40), &long, Some(&open), &[]).await;
        assert_eq!(postgres.unwrap_err().kind, ErrorKind::ValueOutOfRange);
        let [_, postgres] = world.outcomes(&chain(hidden, 3), &long, Some(&open), &[]).await;
        assert!(postgres.is_ok(), "{postgres:?}");
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

/// A timestamp of a day of the calendar, in both types, and an interval.
fn moved(date: (i64, i64, i64), time: i64, interval: (i32, i32, i64)) -> Vec<Value> {
    let day = ferro_wit::calendar::day(date.0, date.1, date.2).unwrap();
    let moment = timestamp(day, time);
    let (months, days, microseconds) = interval;
    let interval = Value::Interval(Interval { months, days, microseconds });
    vec![Value::Timestamp(moment), Value::Timestamptz(moment), interval]
}

#[tokio::test]
async fn timestamps_are_moved_by_intervals() {
    let hour = 3_600_000_000;
    let mut rows = vec![
        moved((2024, 1, 31), 1, (1, 0, 0)),
        moved((2024, 2, 29), 0, (-12, 0, -1)),
        moved((2023, 12, 31), 23 * hour, (2, -1, 2 * hour)),
        moved((1969, 12, 31), 5, (0, 1, -6)),
        moved((2024, 10, 27), 0, (0, 1, 25 * hour)),
    ];
    // Any of them, none of which leaves the years 1 to 9999 on its way.
    let mut seed = 7_i64;
    let mut below = |most: i64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33).rem_euclid(most)
    };
    for _ in 0..100 {
        let date = (2_000 + below(5_000), 1 + below(12), 1 + below(28));
        let [months, days] = [6_000, 100_000].map(|it| i32::try_from(below(it) - it / 2).unwrap());
        rows.push(moved(
            date,
            40 * below(1 << 31),
            (months, days, (below(1 << 31) - (1 << 30)) << 21),
        ));
    }
    let kinds = [S::Timestamp, S::Timestamptz, S::Interval];
    let found = calls(&rows, &kinds, |it, values| {
        let mut listed = Vec::new();
        for value in &values[..2] {
            for operator in [B::Add, B::Subtract] {
                let moved = it.binary(*value, operator, values[2]);
                listed.extend([moved, it.binary(moved, B::Subtract, *value)]);
            }
        }
        listed
    });
    let found = found.await.lines().take(5).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(found, @r##"
Timestamp(1709164800000001) | Interval(Interval { months: 0, days: 29, microseconds: 0 }) | Timestamp(1703980800000001) | Interval(Interval { months: 0, days: -31, microseconds: 0 }) | Timestamptz(1709164800000001) | Interval(Interval { months: 0, days: 29, microseconds: 0 }) | Timestamptz(1703980800000001) | Interval(Interval { months: 0, days: -31, microseconds: 0 })
Timestamp(1677542399999999) | Interval(Interval { months: 0, days: -366, microseconds: -1 }) | Timestamp(1740700800000001) | Interval(Interval { months: 0, days: 365, microseconds: 1 }) | Timestamptz(1677542399999999) | Interval(Interval { months: 0, days: -366, microseconds: -1 }) | Timestamptz(1740700800000001) | Interval(Interval { months: 0, days: 365, microseconds: 1 })
Timestamp(1709168400000000) | Interval(Interval { months: 0, days: 59, microseconds: 7200000000 }) | Timestamp(1698872400000000) | Interval(Interval { months: 0, days: -60, microseconds: -7200000000 }) | Timestamptz(1709168400000000) | Interval(Interval { months: 0, days: 59, microseconds: 7200000000 }) | Timestamptz(1698872400000000) | Interval(Interval { months: 0, days: -60, microseconds: -7200000000 })
Timestamp(-1) | Interval(Interval { months: 0, days: 0, microseconds: 86399999994 }) | Timestamp(-172799999989) | Interval(Interval { months: 0, days: 0, microseconds: -86399999994 }) | Timestamptz(-1) | Interval(Interval { months: 0, days: 0, microseconds: 86399999994 }) | Timestamptz(-172799999989) | Interval(Interval { months: 0, days: 0, microseconds: -86399999994 })
Timestamp(1730163600000000) | Interval(Interval { months: 0, days: 2, microseconds: 3600000000 }) | Timestamp(1729810800000000) | Interval(Interval { months: 0, days: -2, microseconds: -3600000000 }) | Timestamptz(1730163600000000) | Interval(Interval { months: 0, days: 2, microseconds: 3600000000 }) | Timestamptz(1729810800000000) | Interval(Interval { months: 0, days: -2, microseconds: -3600000000 })
"##);
    let rows = [
        moved((1, 1, 31), 0, (12 * 9_998 + 1, 2, -hour)),
        moved((9999, 12, 31), 86_399_999_999, (-12 * 9_998, -364, -86_399_999_999)),
        moved((9999, 12, 31), 0, (1, -31, 0)),
        moved((1, 1, 1), 0, (-1, 31, 0)),
    ];
    let found = calls(&rows, &kinds, |it, values| {
        vec![it.binary(values[0], B::Add, values[2]), it.binary(values[1], B::Add, values[2])]
    });
    insta::assert_snapshot!(found.await, @r##"
Timestamp(253375945200000000) | Timestamptz(253375945200000000)
Timestamp(-62135596800000000) | Timestamptz(-62135596800000000)
Timestamp(253402214400000000) | Timestamptz(253402214400000000)
Timestamp(-62135596800000000) | Timestamptz(-62135596800000000)
"##);
}

#[tokio::test]
async fn dates_are_moved_by_days() {
    let row = |date, days: i64| vec![Value::Date(date), days.into()];
    let rows = [
        row(19_782, 1),
        row(19_782, -60),
        row(-719_162, 3_652_058),
        row(2_932_896, -3_652_058),
        vec![Value::Null, 1.into()],
        vec![Value::Date(1), Value::Null],
    ];
    let found = calls(&rows, &[S::Date, S::Integer], |it, values| {
        let back = it.unary(UnaryOperator::Negate, values[1]);
        let moved = it.binary(values[0], B::Add, values[1]);
        vec![
            moved,
            it.binary(values[0], B::Subtract, back),
            it.call("days-between", &[moved, values[0]]),
        ]
    });
    insta::assert_snapshot!(found.await, @r##"
Date(19783) | Date(19783) | 1
Date(19722) | Date(19722) | -60
Date(2932896) | Date(2932896) | 3652058
Date(-719162) | Date(-719162) | -3652058
- | - | -
- | - | -
"##);
}

#[tokio::test]
async fn what_leaves_the_calendar_is_out_of_range() {
    let world = users(&[("a", "", &[])]).await;
    let interval = |months, days| Value::Interval(Interval { months, days, microseconds: 0 });
    // What no calendar has room for, and then what SQLite alone has no room for.
    let cases = [
        (Value::Timestamp(0), interval(i32::MAX, i32::MAX), true),
        (Value::Timestamp(0), interval(-i32::MAX, 0), true),
        (Value::Timestamp(0), interval(12 * 8_030, 0), false),
        (Value::Date(0), i64::MAX.into(), true),
        (Value::Date(0), i64::from(i32::MAX).into(), true),
        (Value::Date(0), 2_932_897.into(), false),
    ];
    for (start, by, both) in cases {
        let kinds = match start {
            Value::Date(_) => [S::Date, S::Integer],
            _ => [S::Timestamp, S::Interval],
        };
        // Before the year 1, its calendar ends sooner.
        for operator in [B::Add, B::Subtract].into_iter().take(if both { 2 } else { 1 }) {
            let mut nodes = Nodes::default();
            let (left, right) = (nodes.parameter(0, kinds[0]), nodes.parameter(1, kinds[1]));
            let listed = [nodes.binary(left, operator, right)];
            let query = nodes.select(Select { projection: outputs(&listed), ..all("User") });
            let outcomes = world.outcomes(&query, &[start.clone(), by.clone()], None, &[]).await;
            let kinds = outcomes.map(|it| it.err().map(|it| it.kind));
            let postgres = both.then_some(ErrorKind::ValueOutOfRange);
            assert_eq!(kinds, [Some(ErrorKind::ValueOutOfRange), postgres], "{operator:?} {by:?}");
        }
    }
}

#[tokio::test]
async fn weeks_and_quarters_begin_on_the_same_days() {
    // Around each New Year of a cycle of the calendar, at its ends, and in each month of a year.
    let day = |year, month, day| ferro_wit::calendar::day(year, month, day).unwrap();
    let mut days = vec![day(1, 1, 1), day(1, 1, 7), day(1, 1, 8), day(9999, 12, 31)];
    days.extend((1..=12).flat_map(|month| [day(2024, month, 1), day(2024, month, 28)]));
    days.extend((1899..=1927).flat_map(|it| [-2, -1, 0, 1, 2, 3].map(|by| day(it, 1, 1) + by)));
    let rows: Vec<_> = days
        .iter()
        .map(|day| {
            let moment = timestamp(*day, 86_399_999_999);
            let date = Value::Date(i32::try_from(*day).unwrap());
            vec![date, Value::Timestamp(moment), Value::Timestamptz(moment)]
        })
        .collect();
    let found = calls(&rows, &[S::Date, S::Timestamp, S::Timestamptz], |it, values| {
        let parts = ["week", "iso-year", "quarter", "truncate-week", "truncate-quarter"];
        parts
            .iter()
            .flat_map(|part| values.iter().map(move |value| (part, value)))
            .map(|(part, value)| it.call(part, &[*value]))
            .collect()
    });
    let found = found.await.lines().take(6).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(found, @r##"
1 | 1 | 1 | 1 | 1 | 1 | 1 | 1 | 1 | Date(-719162) | Timestamp(-62135596800000000) | Timestamptz(-62135596800000000) | Date(-719162) | Timestamp(-62135596800000000) | Timestamptz(-62135596800000000)
1 | 1 | 1 | 1 | 1 | 1 | 1 | 1 | 1 | Date(-719162) | Timestamp(-62135596800000000) | Timestamptz(-62135596800000000) | Date(-719162) | Timestamp(-62135596800000000) | Timestamptz(-62135596800000000)
2 | 2 | 2 | 1 | 1 | 1 | 1 | 1 | 1 | Date(-719155) | Timestamp(-62134992000000000) | Timestamptz(-62134992000000000) | Date(-719162) | Timestamp(-62135596800000000) | Timestamptz(-62135596800000000)
52 | 52 | 52 | 9999 | 9999 | 9999 | 4 | 4 | 4 | Date(2932892) | Timestamp(253401868800000000) | Timestamptz(253401868800000000) | Date(2932805) | Timestamp(253394352000000000) | Timestamptz(253394352000000000)
1 | 1 | 1 | 2024 | 2024 | 2024 | 1 | 1 | 1 | Date(19723) | Timestamp(1704067200000000) | Timestamptz(1704067200000000) | Date(19723) | Timestamp(1704067200000000) | Timestamptz(1704067200000000)
4 | 4 | 4 | 2024 | 2024 | 2024 | 1 | 1 | 1 | Date(19744) | Timestamp(1705881600000000) | Timestamptz(1705881600000000) | Date(19723) | Timestamp(1704067200000000) | Timestamptz(1704067200000000)
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
