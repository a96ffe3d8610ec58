//! Documents in which a part is set or removed, on both databases.

use ferro_wit::query::{
    Assignment, BinaryOperator as B, NodeRef, Query, Select, Statement, Update,
};
use ferro_wit::types::{ErrorKind, ScalarType as S, Value};
use serde_json::{Map, Value as Json, json};

use crate::documents::users;
use crate::fixture::*;
use crate::world::{World, integers};

const DOCUMENTS: [&str; 16] = [
    "",
    "null",
    "5",
    r#""text""#,
    "{}",
    "[]",
    "[1, 2]",
    r#"[{"a": 1}, [2]]"#,
    r#"{"a": null}"#,
    r#"{"a": "text", "b": 2}"#,
    r#"{"a": {}}"#,
    r#"{"a": {"b": {"c": 1}, "0": 2}}"#,
    r#"{"a": [1, {"b": 2}, [3]]}"#,
    r#"{"0": 1, "-1": 2, "": {"": 3}}"#,
    r#"{"a.b": 1, "it's [$]": {"\u00e9": 2}, "{0}": 3, "NULL": [4]}"#,
    r#"{"big": 123456789012345678901234567890, "small": 1.50, "a": {"c": 1.25}}"#,
];

const PATHS: [&[&str]; 22] = [
    &["a"],
    &["0"],
    &["2"],
    &["7"],
    &["-1"],
    &[""],
    &["", ""],
    &["a", "b"],
    &["a", "0"],
    &["a", "1"],
    &["a", "01", "b"],
    &["a", "2", "1"],
    &["a", "3", "b"],
    &["a", "b", "c"],
    &["a", "0", "0", "b"],
    &["new", "0", "x"],
    &["new", "x", "1", "y"],
    &["0", "a"],
    &["1", "0"],
    &["2", "0", "a"],
    &["it's [$]", "\u{e9}"],
    &["{0}", "a.b"],
];

/// What a path means, told again.
fn set(document: &Json, steps: &[&str], value: &Json) -> Json {
    let Some((step, rest)) = steps.split_first() else { return value.clone() };
    let inner = |found: Option<&Json>| match found {
        Some(found) => Some(set(found, rest, value)),
        None => made(rest, value),
    };
    match (document, step.parse::<usize>()) {
        (Json::Object(members), _) if !is_position(step) => {
            let mut members = members.clone();
            members.extend(inner(members.get(*step)).map(|it| ((*step).to_owned(), it)));
            Json::Object(members)
        }
        (Json::Array(items), Ok(at)) if is_position(step) && at <= items.len() => {
            let mut items = items.clone();
            if let Some(inner) = inner(items.get(at)) {
                items.splice(at..items.len().min(at + 1), [inner]);
            }
            Json::Array(items)
        }
        _ => document.clone(),
    }
}

fn made(steps: &[&str], value: &Json) -> Option<Json> {
    let Some((step, rest)) = steps.split_first() else { return Some(value.clone()) };
    let inner = made(rest, value)?;
    match is_position(step) {
        false => Some(Json::Object(Map::from_iter([((*step).to_owned(), inner)]))),
        true => step.bytes().all(|it| it == b'0').then(|| Json::Array(vec![inner])),
    }
}

fn removed(document: &Json, steps: &[&str]) -> Json {
    let mut document = document.clone();
    let (last, around) = steps.split_last().unwrap();
    let mut here = Some(&mut document);
    for step in around {
        here = here.and_then(|it| match (it, step.parse::<usize>()) {
            (Json::Object(members), _) if !is_position(step) => members.get_mut(*step),
            (Json::Array(items), Ok(at)) if is_position(step) => items.get_mut(at),
            _ => None,
        });
    }
    match (here, last.parse::<usize>()) {
        (Some(Json::Object(members)), _) if !is_position(last) => {
            members.remove(*last);
        }
        (Some(Json::Array(items)), Ok(at)) if is_position(last) && at < items.len() => {
            items.remove(at);
        }
        _ => {}
    }
    document
}

fn is_position(step: &str) -> bool {
    !step.is_empty() && step.bytes().all(|it| it.is_ascii_digit())
}

/// What is in a document, for numbers of which JSON has two spellings too; a null is none.
fn read(value: &Value) -> Option<Json> {
    match value {
        Value::Json(text) => Some(serde_json::from_str(text).unwrap()),
        Value::Null => None,
        other => panic!("no document: {other:?}"),
    }
}

async fn with_documents(documents: &[&str]) -> World {
    let names: Vec<_> = (0..documents.len()).map(|it| format!("user{it}")).collect();
    let rows = names.iter().zip(documents).map(|(name, it)| (name.as_str(), *it, [].as_slice()));
    users(&rows.collect::<Vec<_>>()).await
}

/// What is computed for each user, by their number, on each database.
async fn computed(
    world: &World,
    mut nodes: Nodes,
    listed: &[NodeRef],
    values: &[Value],
) -> [Vec<Vec<Option<Json>>>; 2] {
    let id = nodes.field("id");
    let query = nodes.select(Select {
        projection: outputs(listed),
        order_by: vec![ascending(id)],
        ..all("User")
    });
    let outcomes = world.outcomes(&query, values, None, &[]).await;
    outcomes.map(|rows| rows.unwrap().iter().map(|row| row.iter().map(read).collect()).collect())
}

fn update_of(nodes: Nodes, value: NodeRef, filter: Option<NodeRef>) -> Query {
    let set = vec![Assignment { field: "profile".into(), value }];
    let rows = Select { filter, ..all("User") };
    nodes.query(vec![rows], Statement::Update(Update { set, ..update("User") }))
}

#[tokio::test]
async fn paths_lead_to_the_same_part_in_every_document() {
    let world = with_documents(&DOCUMENTS).await;
    let new = json!({"new": [1, "\u{e9}"]});
    for steps in PATHS {
        let mut nodes = Nodes::default();
        let (profile, value) = (nodes.field("profile"), nodes.parameter(0, S::Json));
        let listed =
            [nodes.changed(profile, steps, Some(value)), nodes.changed(profile, steps, None)];
        let parameters = [Value::Json(new.to_string())];
        let [sqlite, postgres] = computed(&world, nodes, &listed, &parameters).await;
        for ((text, sqlite), postgres) in DOCUMENTS.iter().zip(sqlite).zip(postgres) {
            let document = serde_json::from_str::<Json>(text).ok();
            let expected = [
                document.as_ref().map(|it| set(it, steps, &new)),
                document.as_ref().map(|it| removed(it, steps)),
            ];
            assert_eq!(sqlite, expected, "SQLite, {steps:?} of {text}");
            assert_eq!(postgres, expected, "PostgreSQL, {steps:?} of {text}");
        }
    }
}

#[tokio::test]
async fn changes_follow_one_another() {
    let world = with_documents(&DOCUMENTS).await;
    let mut nodes = Nodes::default();
    let mut changed = nodes.field("profile");
    for (index, steps) in PATHS.into_iter().enumerate() {
        let number = nodes.integer(i64::try_from(index).unwrap());
        changed = nodes.changed(changed, steps, (index % 5 > 0).then_some(number));
    }
    let [sqlite, postgres] = computed(&world, nodes, &[changed], &[]).await;
    for ((text, sqlite), postgres) in DOCUMENTS.iter().zip(sqlite).zip(postgres) {
        let document = serde_json::from_str::<Json>(text).ok();
        let expected = document.map(|it| {
            PATHS.into_iter().enumerate().fold(it, |it, (index, steps)| match index % 5 {
                0 => removed(&it, steps),
                _ => set(&it, steps, &json!(index)),
            })
        });
        assert_eq!(sqlite, std::slice::from_ref(&expected), "SQLite, {text}");
        assert_eq!(postgres, [expected], "PostgreSQL, {text}");
    }
}

#[tokio::test]
async fn numbers_of_other_parts_keep_their_spelling() {
    let world = with_documents(&[DOCUMENTS[15]]).await;
    let mut nodes = Nodes::default();
    let (profile, one) = (nodes.field("profile"), nodes.integer(1));
    let changed = nodes.changed(profile, &["a", "b"], Some(one));
    let query = nodes.select(Select { projection: outputs(&[changed]), ..all("User") });
    for outcome in world.outcomes(&query, &[], None, &[]).await {
        let rows = outcome.unwrap();
        let Value::Json(text) = &rows[0][0] else { panic!("{rows:?}") };
        for spelt in ["123456789012345678901234567890", "1.50"] {
            assert!(text.contains(spelt), "{text}");
        }
    }
}

#[tokio::test]
async fn a_part_is_set_to_values_of_every_type() {
    let world = with_documents(&[r#"{"visits": 41, "inner": {"deep": [true]}}"#]).await;
    let mut nodes = Nodes::default();
    let profile = nodes.field("profile");
    let mut values = Vec::new();
    let mut expected = Vec::new();
    let mut listed = Vec::new();
    let mut put = |nodes: &mut Nodes, node, expect: Json| {
        listed.push(nodes.changed(profile, &["to"], Some(node)));
        expected.push(expect);
    };
    let parameters = [
        (S::Text, Value::Text(r#"{"a": "text"} \ "#.into()), json!(r#"{"a": "text"} \ "#)),
        (S::Text, Value::Null, Json::Null),
        (S::Boolean, Value::Boolean(true), json!(true)),
        (S::Boolean, Value::Boolean(false), json!(false)),
        (S::Boolean, Value::Null, Json::Null),
        (S::Integer, Value::Integer(i64::MIN), json!(i64::MIN)),
        (S::Integer, Value::Null, Json::Null),
        (S::Float, Value::Float(0.1 + 0.2), json!(0.1 + 0.2)),
        (S::Float, Value::Float(-5e-324), json!(-5e-324)),
        (S::Float, Value::Float(1e300), json!(1e300)),
        (S::Float, Value::Float(f64::NAN), Json::Null),
        (S::Float, Value::Float(f64::NEG_INFINITY), Json::Null),
        (S::Float, Value::Null, Json::Null),
        (S::Json, Value::Json("[1, {}]".into()), json!([1, {}])),
        (S::Json, Value::Json("null".into()), Json::Null),
        (S::Json, Value::Null, Json::Null),
    ];
    for (index, (kind, value, expect)) in (0..).zip(parameters) {
        let node = nodes.parameter(index, kind);
        put(&mut nodes, node, expect);
        values.push(value);
    }
    let null = nodes.null();
    put(&mut nodes, null, Json::Null);
    for (name, expect) in
        [("name", json!("user0")), ("mood", Json::Null), ("active", json!(true)), ("id", json!(1))]
    {
        let field = nodes.field(name);
        put(&mut nodes, field, expect);
    }
    let (one, half) = (nodes.integer(1), nodes.parameter(16, S::Float));
    values.push(Value::Float(0.5));
    let visits = nodes.part(profile, &["visits"], S::Integer);
    let more = nodes.binary(visits, B::Add, one);
    put(&mut nodes, more, json!(42));
    let halved = nodes.binary(visits, B::Multiply, half);
    put(&mut nodes, halved, json!(20.5));
    let many = nodes.binary(visits, B::Greater, one);
    put(&mut nodes, many, json!(true));
    let deep = nodes.part(profile, &["inner", "deep"], S::Json);
    put(&mut nodes, deep, json!([true]));
    let missing = nodes.part(profile, &["nowhere"], S::Json);
    put(&mut nodes, missing, Json::Null);
    put(&mut nodes, profile, json!({"visits": 41, "inner": {"deep": [true]}}));
    let both = computed(&world, nodes, &listed, &values).await;
    for (database, rows) in ["SQLite", "PostgreSQL"].into_iter().zip(both) {
        for (index, (found, expected)) in rows[0].iter().zip(&expected).enumerate() {
            let found = &found.as_ref().unwrap()["to"];
            // PostgreSQL writes the digits of floats that have none behind the point.
            let same = found == expected || (found.is_f64() && found.as_f64() == expected.as_f64());
            assert!(same, "{database}, {index}: {found} for {expected}");
        }
    }
}

#[tokio::test]
async fn an_update_leaves_other_parts_and_other_rows_alone() {
    let world = with_documents(&[r#"{"a": 1, "b": 1}"#, r#"{"a": 2}"#, ""]).await;
    // As two writers would that have read the same row.
    for (steps, value) in [(["a"], Some(5)), (["b"], Some(6)), (["c"], Some(7)), (["c"], None)] {
        let mut nodes = Nodes::default();
        let profile = nodes.field("profile");
        let value = value.map(|it| nodes.integer(it));
        let changed = nodes.changed(profile, &steps, value);
        let filter = nodes.test("id", B::NotEqual, 0, S::Integer);
        let query = update_of(nodes, changed, Some(filter));
        assert_eq!(integers(world.rows(&query, &[2.into()]).await), [2]);
    }
    let mut nodes = Nodes::default();
    let profile = nodes.field("profile");
    for rows in computed(&world, nodes, &[profile], &[]).await {
        let expected = [Some(json!({"a": 5, "b": 6})), Some(json!({"a": 2})), None];
        assert_eq!(rows, expected.map(|it| vec![it]));
    }
}

#[tokio::test]
async fn an_integer_that_is_out_of_range_is_no_part() {
    let world = with_documents(&["{}"]).await;
    let mut nodes = Nodes::default();
    let (profile, id) = (nodes.field("profile"), nodes.field("id"));
    let most = nodes.parameter(0, S::Integer);
    let sum = nodes.binary(id, B::Add, most);
    let changed = nodes.changed(profile, &["a"], Some(sum));
    let query = update_of(nodes, changed, None);
    for outcome in world.outcomes(&query, &[i64::MAX.into()], None, &[]).await {
        assert_eq!(outcome.unwrap_err().kind, ErrorKind::ValueOutOfRange);
    }
}

#[tokio::test]
async fn no_document_becomes_deeper_than_it_can_be_read() {
    let world = with_documents(&[r#"{"a": {}}"#]).await;
    let mut nodes = Nodes::default();
    let (profile, value) = (nodes.field("profile"), nodes.parameter(0, S::Json));
    let changed = nodes.changed(profile, &["a", "b"], Some(value));
    let query = update_of(nodes, changed, None);
    let deep = |depth| [Value::Json(format!("{}{}", "[".repeat(depth), "]".repeat(depth)))];
    assert_eq!(integers(world.rows(&query, &deep(998)).await), [1]);
    let [sqlite, postgres] = world.outcomes(&query, &deep(999), None, &[]).await;
    let error = sqlite.unwrap_err();
    assert_eq!(error.kind, ErrorKind::ValueOutOfRange);
    assert!(error.message.contains("nested more than 1000 deep"), "{error:?}");
    assert!(postgres.is_ok());
    let mut nodes = Nodes::default();
    let profile = nodes.field("profile");
    let part = nodes.part(profile, &["a", "b", "0", "0"], S::Text);
    let query = nodes.select(Select { projection: outputs(&[part]), ..all("User") });
    assert_eq!(world.rows(&query, &[]).await, [[Value::Null]], "it can be read");
}

#[tokio::test]
async fn t3_documents_of_others_are_not_changed_to_see_whether_they_can_be() {
    let world = with_documents(&[r#"{"a": 1}"#, r#"{"a": 1}"#]).await;
    let [sqlite, _] = world.databases();
    for sql in ["UPDATE user SET profile = 'none' WHERE id = 2", "UPDATE user SET tenant_id = id"] {
        sqlite.execute_raw(sql, vec![]).await.unwrap();
    }
    let scope = scope(vec![tenant_scope()]);
    let mut nodes = Nodes::default();
    let (profile, one) = (nodes.field("profile"), nodes.integer(1));
    let changed = nodes.changed(profile, &["b"], Some(one));
    let part = nodes.part(changed, &["b"], S::Integer);
    let filter = nodes.binary(part, B::Equal, one);
    let counted = nodes
        .clone()
        .query(vec![Select { filter: Some(filter), ..all("User") }], Statement::Count(0));
    for query in [counted, update_of(nodes, changed, Some(filter))] {
        let [own, _] = world.outcomes(&query, &[], Some(&scope), &[1.into()]).await;
        assert_eq!(integers(own.unwrap()), [1]);
        let [theirs, _] = world.outcomes(&query, &[], Some(&scope), &[2.into()]).await;
        assert!(theirs.is_err(), "else the test would show nothing");
    }
}
