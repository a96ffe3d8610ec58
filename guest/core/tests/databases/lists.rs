//! Lists that an aggregate makes of values: the same on both databases.

use ferro_wit::query::{
    Aggregate, AggregateFunction as A, BinaryOperator as B, CommonTable, Node, NodeRef, OrderTerm,
    Query, Select, Statement,
};
use ferro_wit::schema::{ColumnType as T, DecimalSize, EnumType, IntegerWidth, Schema};
use ferro_wit::types::{Elements, ErrorKind, Interval, ScalarType as S, Scalars, Value};

use crate::commons::named;
use crate::fixture::*;
use crate::world::{World, shown};

/// A model with a field of each type that can be an element, each named after it.
fn schema() -> Schema {
    let size = DecimalSize { precision: 12, scale: 2 };
    let kinds = [
        ("boolean", T::Boolean),
        ("small", T::Integer(IntegerWidth::Small)),
        ("big", T::Integer(IntegerWidth::Big)),
        ("real", T::Real),
        ("double", T::Double),
        ("decimal", T::Decimal(None)),
        ("sized", T::Decimal(Some(size))),
        ("text", T::Text(None)),
        ("limited", T::Text(Some(40))),
        ("mood", T::Enumeration("mood".into())),
        ("blob", T::Blob),
        ("uuid", T::Uuid),
        ("date", T::Date),
        ("time", T::Time),
        ("timestamp", T::Timestamp),
        ("timestamptz", T::Timestamptz),
        ("interval", T::Interval),
        ("json", T::Json),
    ];
    let fields = kinds.map(|(name, kind)| nullable(name, kind));
    let values = ["sad", "so-so", "glad"].map(str::to_owned).into();
    Schema {
        models: vec![model("All", [vec![big("id"), big("team")], fields.into()].concat())],
        enums: vec![EnumType { name: "mood".into(), values }],
    }
}

fn decimal(text: &str) -> Value {
    Value::Decimal(text.into())
}

/// Three rows with values of each type; a fourth whose values are null.
fn rows() -> Vec<Vec<Value>> {
    let interval = |months, days| Value::Interval(Interval { months, days, microseconds: 5 });
    let mut rows = vec![
        vec![
            true.into(),
            Value::Integer(i64::from(i16::MIN)),
            Value::Integer(i64::MAX),
            Value::Float(0.5),
            Value::Float(0.1 + 0.2),
            decimal("10.50"),
            decimal("0.10"),
            "it's \"a\" \\ [1,null]\n".into(),
            "é😀".into(),
            "so-so".into(),
            Value::Blob(vec![0, 255, 34, 92]),
            Value::Uuid((1, u64::MAX)),
            Value::Date(-719_162),
            Value::Time(86_399_999_999),
            Value::Timestamp(-1),
            Value::Timestamptz(1_715_000_000_000_001),
            interval(-1, 40),
            Value::Json(r#"{"a": [1, null, "]"]}"#.into()),
        ],
        vec![
            false.into(),
            Value::Integer(7),
            Value::Integer(i64::MIN),
            Value::Float(-1.0),
            Value::Float(1e300),
            decimal("NaN"),
            decimal("-3.00"),
            "null".into(),
            "".into(),
            "glad".into(),
            Value::Blob(vec![]),
            Value::Uuid((0, 0)),
            Value::Date(2_932_896),
            Value::Time(0),
            Value::Timestamp(0),
            Value::Timestamptz(0),
            interval(0, 0),
            Value::Json("null".into()),
        ],
        vec![
            true.into(),
            Value::Integer(0),
            Value::Integer(0),
            Value::Float(16_777_216.0),
            Value::Float(f64::NEG_INFINITY),
            decimal("123456789012345678901234567890.123456789"),
            decimal("9999999999.99"),
            "1".into(),
            "x".into(),
            "sad".into(),
            Value::Blob(b"text".to_vec()),
            Value::Uuid((u64::MAX, 1)),
            Value::Date(19_782),
            Value::Time(1),
            Value::Timestamp(1),
            Value::Timestamptz(-1),
            interval(14, -3),
            Value::Json(r#""text""#.into()),
        ],
    ];
    rows.push(vec![Value::Null; rows[0].len()]);
    rows
}

/// The rows, of the teams 1, 1, 2 and 3.
async fn world() -> World {
    let world = World::new(schema(), &[]).await;
    let names: Vec<_> = schema().models[0].fields.iter().map(|it| it.name.clone()).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let query = Nodes::default().query(vec![], Statement::Insert(insert("All", &names)));
    for ((id, team), row) in [(1, 1), (2, 1), (3, 2), (4, 3)].into_iter().zip(rows()) {
        let key = [Value::Integer(id), Value::Integer(team)];
        world.rows(&query, &[key.as_slice(), &row].concat()).await;
    }
    world
}

fn list(argument: NodeRef, order_by: Vec<OrderTerm>) -> Node {
    Node::Aggregate(Aggregate { order_by, ..Aggregate::new(A::ArrayAgg, argument) })
}

/// The only row of a query.
async fn row(world: &World, query: &Query) -> Vec<Value> {
    let rows = world.rows(query, &[]).await;
    assert_eq!(rows.len(), 1);
    rows.into_iter().next().unwrap()
}

#[tokio::test]
async fn a_list_has_the_values_of_each_type_as_they_are_and_no_nulls() {
    let world = world().await;
    let names: Vec<_> =
        schema().models[0].fields.iter().skip(2).map(|it| it.name.clone()).collect();
    let mut nodes = Nodes::default();
    let id = nodes.field("id");
    let listed: Vec<_> = names
        .iter()
        .map(|name| {
            let value = nodes.field(name);
            nodes.add(list(value, vec![descending(id)]))
        })
        .collect();
    let query = nodes.select(Select { projection: outputs(&listed), ..all("All") });
    let found = row(&world, &query).await;
    for (column, name) in names.iter().enumerate() {
        let Value::Array(items) = &found[column] else { panic!("{name}: no list") };
        let values: Vec<_> = (0..items.len()).map(|it| items.get(it).unwrap()).collect();
        let given: Vec<_> = rows().iter().rev().skip(1).map(|row| row[column].clone()).collect();
        assert_eq!(values, given, "{name}");
    }
}

#[tokio::test]
async fn a_list_of_no_values_is_null() {
    let world = world().await;
    let mut nodes = Nodes::default();
    let (team, id, text) = (nodes.field("team"), nodes.field("id"), nodes.field("text"));
    let one = nodes.integer(1);
    let first = nodes.binary(id, B::Equal, one);
    let listed = [
        team,
        nodes.add(list(text, vec![ascending(id)])),
        nodes.add(list(id, vec![ascending(id)])),
        nodes.add(Node::Aggregate(Aggregate {
            filter: Some(first),
            ..Aggregate::new(A::ArrayAgg, id)
        })),
    ];
    let query = nodes.clone().select(Select {
        projection: outputs(&listed),
        group_by: vec![team],
        order_by: vec![ascending(team)],
        ..all("All")
    });
    let found = world.rows(&query, &[]).await;
    let has_list = |row: &[Value]| row[1..].iter().map(|it| *it != Value::Null).collect();
    let found: Vec<Vec<bool>> = found.iter().map(|row| has_list(row)).collect();
    assert_eq!(found, [[true, true, true], [true, true, false], [false, true, false]]);
    let nobody = nodes.binary(one, B::Less, id);
    let nobody = nodes.add(Node::AllOf(vec![first, nobody]));
    let query = nodes.select(Select {
        projection: outputs(&listed[1..]),
        filter: Some(nobody),
        ..all("All")
    });
    assert_eq!(row(&world, &query).await, [Value::Null, Value::Null, Value::Null]);
}

fn integers(value: &Value) -> Vec<i64> {
    let Value::Array(Scalars { elements: Elements::Integer(items), nulls: None }) = value else {
        panic!("no list of integers: {value:?}")
    };
    items.clone()
}

#[tokio::test]
async fn distinct_values_are_compared_as_elsewhere_and_ordered_by_themselves() {
    let fields = vec![
        big("id"),
        nullable("number", T::Integer(IntegerWidth::Small)),
        nullable("price", T::Decimal(None)),
        nullable("size", T::Double),
        nullable("mood", T::Enumeration("mood".into())),
        nullable("blob", T::Blob),
    ];
    let schema = Schema { models: vec![model("Item", fields)], ..schema() };
    let world = World::new(schema, &[]).await;
    let names = ["id", "number", "price", "size", "mood", "blob"];
    let query = Nodes::default().query(vec![], Statement::Insert(insert("Item", &names)));
    for (id, number, price, size, mood) in [
        (1, 3, "10.5", 0.5, "sad"),
        (2, 1, "9", 1e9, "glad"),
        (3, 3, "10.5", 0.5, "so-so"),
        (4, 2, "9", -0.25, "glad"),
    ] {
        let blob = Value::Blob(vec![u8::try_from(number).unwrap()]);
        let row = [id.into(), number.into(), decimal(price), Value::Float(size), mood.into(), blob];
        world.rows(&query, &row).await;
    }
    let nulls = [vec![Value::Integer(5)], vec![Value::Null; 5]].concat();
    world.rows(&query, &nulls).await;
    let mut nodes = Nodes::default();
    let mut listed = Vec::new();
    for name in &names[1..] {
        let value = nodes.field(name);
        for term in [ascending(value), descending(value)] {
            listed.push(nodes.add(Node::Aggregate(Aggregate {
                distinct: true,
                order_by: vec![term],
                ..Aggregate::new(A::ArrayAgg, value)
            })));
        }
    }
    // The same expression, by its number.
    let (number, two) = (nodes.field("number"), nodes.parameter(0, S::Integer));
    let rest = nodes.binary(number, B::Modulo, two);
    listed.push(nodes.add(Node::Aggregate(Aggregate {
        distinct: true,
        order_by: vec![descending(rest)],
        ..Aggregate::new(A::ArrayAgg, rest)
    })));
    let query = nodes.select(Select { projection: outputs(&listed), ..all("Item") });
    let found = world.rows(&query, &[2.into()]).await;
    let cell = |value: &Value| {
        let Value::Array(items) = value else { panic!("no list: {value:?}") };
        let items: Vec<_> = (0..items.len()).map(|it| vec![items.get(it).unwrap()]).collect();
        shown(&items).replace('\n', " ")
    };
    let lists: Vec<_> = found[0].iter().map(cell).collect();
    insta::assert_snapshot!(lists.join("\n"), @r"
1 2 3
3 2 1
9 10.5
10.5 9
-0.25 0.5 1000000000
1000000000 0.5 -0.25
sad so-so glad
glad so-so sad
Blob([1]) Blob([2]) Blob([3])
Blob([3]) Blob([2]) Blob([1])
1 0
");
}

#[tokio::test]
async fn lists_are_searched_and_come_from_common_tables() {
    let world = world().await;
    let mut nodes = Nodes::default();
    let (team, small, text) = (nodes.field("team"), nodes.field("small"), nodes.field("limited"));
    let id = nodes.field("id");
    let numbers = nodes.add(list(small, vec![ascending(id)]));
    let texts = nodes.add(list(text, vec![ascending(id)]));
    let (wanted, searched) = (nodes.list(0, S::Integer), nodes.list(1, S::Text));
    let amount = nodes.field("decimal");
    let amounts = nodes.add(list(amount, vec![]));
    let (price, word, seven) = (
        nodes.parameter(3, S::Decimal),
        nodes.parameter(4, S::Text),
        nodes.parameter(2, S::Integer),
    );
    let having = [
        nodes.binary(numbers, B::ArrayContains, wanted),
        nodes.binary(texts, B::ArrayOverlaps, searched),
        nodes.binary(seven, B::InList, numbers),
        nodes.binary(price, B::InList, amounts),
        nodes.binary(word, B::NotInList, texts),
    ];
    let having = nodes.add(Node::AllOf(having.into()));
    let grouped = Select { group_by: vec![team], having: Some(having), ..all("All") };
    let projection = named(&[("team", team), ("numbers", numbers)]);
    let rows = Select { projection, ..grouped };
    let found = nodes.field("numbers");
    let among = nodes.binary(seven, B::InList, found);
    let select =
        Select { projection: outputs(&[found, among]), filter: Some(among), ..all("teams") };
    let query = Query {
        common: vec![CommonTable { name: "teams".into(), rows: 0, step: None }],
        ..nodes.query(vec![rows, select], Statement::Select(1))
    };
    let array = |kind, items: &[Value]| {
        let mut list = Scalars::with_kind(kind);
        items.iter().for_each(|it| list.push(it.clone()).unwrap());
        Value::Array(list)
    };
    let numbers = array(S::Integer, &[Value::Integer(7)]);
    let texts = array(S::Text, &["no".into(), "é😀".into()]);
    let parameters = [numbers, texts, 7.into(), decimal("10.5"), "no".into()];
    let found = world.rows(&query, &parameters).await;
    assert_eq!(found.len(), 1);
    assert_eq!(integers(&found[0][0]), [i64::from(i16::MIN), 7]);
}

#[tokio::test]
async fn an_element_that_does_not_fit_is_an_error() {
    let world = world().await;
    let mut nodes = Nodes::default();
    let (value, two) = (nodes.field("big"), nodes.integer(2));
    let double = nodes.binary(value, B::Multiply, two);
    let listed = [nodes.add(list(double, vec![]))];
    let query = nodes.select(Select { projection: outputs(&listed), ..all("All") });
    for outcome in world.outcomes(&query, &[], None, &[]).await {
        assert_eq!(outcome.unwrap_err().kind, ErrorKind::ValueOutOfRange);
    }
}

#[tokio::test]
async fn a_blob_in_another_column_is_no_element() {
    let fields = vec![
        big("id"),
        nullable("text", T::Text(None)),
        nullable("number", T::Integer(IntegerWidth::Big)),
        nullable("size", T::Double),
    ];
    let schema = Schema { models: vec![model("Item", fields)], enums: vec![] };
    let world = World::new(schema, &[]).await;
    // JSONB of SQLite: `[1,1]`.
    let seed = "INSERT INTO item VALUES (1, x'4b13311331', x'4b13311331', x'4b13311331')";
    let [sqlite, _] = world.databases();
    sqlite.execute_raw(seed, vec![]).await.unwrap();
    for name in ["text", "number", "size"] {
        let mut nodes = Nodes::default();
        let value = nodes.field(name);
        let listed = [nodes.add(list(value, vec![]))];
        let query = nodes.select(Select { projection: outputs(&listed), ..all("Item") });
        let [outcome, _] = world.outcomes(&query, &[], None, &[]).await;
        assert_eq!(outcome.unwrap_err().kind, ErrorKind::DecodeFailed, "{name}");
    }
}

#[tokio::test]
async fn what_is_not_a_number_is_in_a_list_too() {
    let schema = Schema {
        models: vec![model("Item", vec![big("id"), field("size", T::Double)])],
        enums: vec![],
    };
    let seed = ["'NaN'", "5e-324", "-0.25", "1.7976931348623157e308"]
        .iter()
        .zip(1..)
        .map(|(size, id)| format!("({id}, {size})"));
    let seed = format!("INSERT INTO item VALUES {}", seed.collect::<Vec<_>>().join(", "));
    let world = World::new(schema, &[&seed]).await;
    let mut nodes = Nodes::default();
    let (id, size) = (nodes.field("id"), nodes.field("size"));
    let listed = [nodes.add(list(size, vec![ascending(id)]))];
    let query = nodes.select(Select { projection: outputs(&listed), ..all("Item") });
    for outcome in world.outcomes(&query, &[], None, &[]).await {
        let rows = outcome.unwrap();
        let Value::Array(Scalars { elements: Elements::Float(items), nulls: None }) = &rows[0][0]
        else {
            panic!("{rows:?}")
        };
        assert!(items[0].is_nan());
        assert_eq!(items[1..], [5e-324, -0.25, f64::MAX]);
    }
}
