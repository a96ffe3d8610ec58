//! Parts of JSON documents, and arrays, on both databases.

use ferro_wit::query::{
    Aggregate, AggregateFunction, BinaryOperator as B, CommonTable, Distinct, JsonPath, Node,
    OrderTerm, Projection, Select, SetOperator as O, Statement, UnaryOperator as U,
};
use ferro_wit::schema::{ColumnType, Schema};
use ferro_wit::types::{ErrorKind, ScalarType as S, Scalars, Value};

use crate::fixture::{self, *};
use crate::relations;
use crate::world::{World, integers, shown};

fn list(items: &[Option<&str>]) -> Value {
    let mut list = Scalars::with_kind(S::Text);
    for item in items {
        list.push(item.map_or(Value::Null, Value::from)).unwrap();
    }
    Value::Array(list)
}

pub(crate) const FIELDS: [&str; 9] =
    ["email", "name", "balance", "tags", "profile", "token", "created_at", "active", "tenant_id"];

/// Users with a document and tags each, numbered from 1 on.
pub(crate) async fn users(rows: &[(&str, &str, &[Option<&str>])]) -> World {
    let world = World::new(fixture::schema(), &[]).await;
    let query = Nodes::default().query(vec![], Statement::Insert(insert("User", &FIELDS)));
    for (name, profile, tags) in rows {
        let values = [
            format!("{name}@example.org").into(),
            (*name).into(),
            Value::Decimal("1.50".into()),
            list(tags),
            if profile.is_empty() { Value::Null } else { Value::Json((*profile).into()) },
            Value::Uuid((0, 1)),
            Value::Timestamptz(0),
            Value::Boolean(true),
            Value::Integer(1),
        ];
        world.rows(&query, &values).await;
    }
    world
}

const DOCUMENTS: [&str; 13] = [
    r#"{"a": "text", "b": [10, {"c": true}]}"#,
    r#"{"a": 7, "b": [20, {"c": false}]}"#,
    r#"{"a": 7.0, "b": {"0": 30}}"#,
    r#"{"a": 1.5}"#,
    r#"{"a": true, "it's": 1}"#,
    r#"{"a": null}"#,
    r#"{"a": 12345678901234567890, "b": []}"#,
    r#"[1, 2]"#,
    r#"{"a": 1e400, "b": 40, "": [{"é'": 50}]}"#,
    "60",
    "",
    r#"{"a": -1e400}"#,
    r#"{"a": -9223372036854775808, "small": 1e-400}"#,
];

#[tokio::test]
async fn parts_of_documents_are_what_is_asked_for_or_null() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m"];
    let rows = DOCUMENTS.iter().zip(names);
    let rows: Vec<_> = rows.map(|(it, name)| (name, *it, [].as_slice())).collect();
    let world = users(&rows).await;
    let mut nodes = Nodes::default();
    let (id, profile) = (nodes.field("id"), nodes.field("profile"));
    let mut part = |steps: &[&str], kind| {
        let steps = steps.iter().map(|it| (*it).to_owned()).collect();
        nodes.add(Node::Json(JsonPath { document: profile, steps, kind }))
    };
    let mut listed = vec![id];
    listed.extend([S::Text, S::Integer, S::Float, S::Boolean].map(|kind| part(&["a"], kind)));
    listed.extend([&["b", "0"], &["b", "00"], &["0"][..]].map(|it| part(it, S::Integer)));
    listed.push(part(&["", "0", "é'"], S::Integer));
    listed.push(part(&["b", "1", "c"], S::Boolean));
    listed.push(part(&["it's"], S::Integer));
    listed.push(part(&["small"], S::Float));
    let there = part(&["a"], S::Json);
    listed.push(nodes.unary(U::IsNotNull, there));
    let query = nodes.select(Select {
        projection: outputs(&listed),
        order_by: vec![ascending(id)],
        ..all("User")
    });
    insta::assert_snapshot!(shown(&world.rows(&query, &[]).await), @r##"
1 | text | - | - | - | 10 | 10 | - | - | true | - | - | true
2 | - | 7 | 7 | - | 20 | 20 | - | - | false | - | - | true
3 | - | 7 | 7 | - | - | - | - | - | - | - | - | true
4 | - | - | 1.5 | - | - | - | - | - | - | - | - | true
5 | - | - | - | true | - | - | - | - | - | 1 | - | true
6 | - | - | - | - | - | - | - | - | - | - | - | true
7 | - | - | 12345678901234567000 | - | - | - | - | - | - | - | - | true
8 | - | - | - | - | - | - | 1 | - | - | - | - | false
9 | - | - | - | - | - | - | - | 50 | - | - | - | true
10 | - | - | - | - | - | - | - | - | - | - | - | false
11 | - | - | - | - | - | - | - | - | - | - | - | false
12 | - | - | - | - | - | - | - | - | - | - | - | true
13 | - | -9223372036854775808 | -9223372036854776000 | - | - | - | - | - | - | - | 0 | true
"##);
}

#[tokio::test]
async fn arrays_are_compared_and_searched() {
    let world = users(&[
        ("a", "", &[Some("x"), Some("y")]),
        ("b", "", &[]),
        ("c", "", &[Some("y"), None]),
        ("d", "", &[Some("y"), Some("x")]),
    ])
    .await;
    let found = async |operator, items: &[Option<&str>]| {
        let mut nodes = Nodes::default();
        let (tags, wanted, id) = (nodes.field("tags"), nodes.list(0, S::Text), nodes.field("id"));
        let filter = Some(nodes.binary(tags, operator, wanted));
        let query = nodes.select(Select { filter, order_by: vec![ascending(id)], ..ids() });
        integers(world.rows(&query, &[list(items)]).await)
    };
    assert_eq!(found(B::ArrayContains, &[Some("x")]).await, [1, 4]);
    assert_eq!(found(B::ArrayContains, &[Some("y"), Some("x"), Some("y")]).await, [1, 4]);
    assert_eq!(found(B::ArrayContains, &[]).await, [1, 2, 3, 4]);
    assert_eq!(found(B::ArrayContains, &[Some("y"), None]).await, [0_i64; 0]);
    assert_eq!(found(B::ArrayOverlaps, &[Some("x"), Some("z")]).await, [1, 4]);
    assert_eq!(found(B::ArrayOverlaps, &[None]).await, [0_i64; 0]);
    assert_eq!(found(B::ArrayOverlaps, &[]).await, [0_i64; 0]);
    assert_eq!(found(B::Equal, &[Some("x"), Some("y")]).await, [1]);
    assert_eq!(found(B::NotEqual, &[Some("y"), None]).await, [1, 2, 4]);
    assert_eq!(found(B::IsNotDistinct, &[]).await, [2]);
}

#[tokio::test]
async fn a_value_is_neither_in_a_list_that_is_null_nor_out_of_it() {
    let wish = nullable("wishes", ColumnType::Array(S::Text));
    let models = vec![model("Child", vec![big("id"), wish])];
    let world = World::new(Schema { models, enums: vec![] }, &[]).await;
    let query =
        Nodes::default().query(vec![], Statement::Insert(insert("Child", &["id", "wishes"])));
    let wishes =
        [Value::Null, list(&[]), list(&[None]), list(&[Some("x"), None]), list(&[Some("y")])];
    for (id, wishes) in (1_i64..).zip(wishes) {
        world.rows(&query, &[id.into(), wishes]).await;
    }
    let mut nodes = Nodes::default();
    let (id, wishes) = (nodes.field("id"), nodes.field("wishes"));
    let (wish, given) = (nodes.parameter(0, S::Text), nodes.list(1, S::Text));
    let mut listed = vec![id];
    for list in [wishes, given] {
        let found = [B::InList, B::NotInList].map(|operator| nodes.binary(wish, operator, list));
        listed.extend(found);
        listed.extend(found.map(|it| nodes.unary(U::Not, it)));
    }
    let query = nodes.select(Select {
        projection: outputs(&listed),
        order_by: vec![ascending(id)],
        ..all("Child")
    });
    insta::assert_snapshot!(shown(&world.rows(&query, &["x".into(), Value::Null]).await), @r##"
1 | - | - | - | - | - | - | - | -
2 | false | true | true | false | - | - | - | -
3 | - | - | - | - | - | - | - | -
4 | true | false | false | true | - | - | - | -
5 | false | true | true | false | - | - | - | -
"##);
}

#[tokio::test]
async fn documents_are_searched_where_the_database_can() {
    let world = users(&[("a", r#"{"a": {"b": 1}, "c": 2}"#, &[]), ("b", r#"{"a": 1}"#, &[])]).await;
    for (operator, document) in
        [(B::JsonContains, r#"{"a": {"b": 1}}"#), (B::Equal, r#"{"c": 2.0, "a": {"b": 1}}"#)]
    {
        let mut nodes = Nodes::default();
        let (profile, wanted) = (nodes.field("profile"), nodes.parameter(0, S::Json));
        let filter = Some(nodes.binary(profile, operator, wanted));
        let query = nodes.select(Select { filter, ..ids() });
        let values = [Value::Json(document.into())];
        let [sqlite, postgres] = world.outcomes(&query, &values, None, &[]).await;
        assert_eq!(sqlite.unwrap_err().kind, ErrorKind::Unsupported);
        assert_eq!(integers(postgres.unwrap()), [1]);
    }
}

#[tokio::test]
async fn values_that_do_not_compare_are_told_apart_by_the_key_only() {
    let world =
        users(&[("a", r#"{"a": 1, "b": 2}"#, &[]), ("b", r#"{"b": 2, "a": 1.0}"#, &[])]).await;
    let mut nodes = Nodes::default();
    let profile = nodes.field("profile");
    let counted = nodes.add(Node::Aggregate(Aggregate {
        distinct: true,
        ..Aggregate::new(AggregateFunction::Count, profile)
    }));
    let select = |projection| Select { projection, ..all("User") };
    let alike = |projection| Select { distinct: Distinct::Rows, ..select(projection) };
    let union = |projection| Select { combined: vec![(O::Union, 0)], ..select(projection) };
    let profiles = || fields(&["profile"]);
    let query = |selects: [Select; 2], statement| nodes.clone().query(selects.into(), statement);
    let mut recursive = query([select(profiles()), all("profiles")], Statement::Count(1));
    recursive.selects.insert(1, all("profiles"));
    recursive.common =
        vec![CommonTable { name: "profiles".into(), rows: 0, step: Some((O::Union, 1)) }];
    recursive.statement = Statement::Count(2);
    for query in [
        query([all("User"), alike(profiles())], Statement::Count(1)),
        query([select(profiles()), union(profiles())], Statement::Count(1)),
        query([all("User"), select(outputs(&[counted]))], Statement::Select(1)),
        recursive,
    ] {
        let [sqlite, postgres] = world.outcomes(&query, &[], None, &[]).await;
        assert_eq!(sqlite.unwrap_err().kind, ErrorKind::Unsupported);
        assert_eq!(integers(postgres.unwrap()), [1]);
    }
    let keyed = || fields(&["profile", "id"]);
    for query in [
        query([all("User"), alike(keyed())], Statement::Count(1)),
        query([select(keyed()), union(keyed())], Statement::Count(1)),
        query([all("User"), union(Projection::Model)], Statement::Count(1)),
    ] {
        assert_eq!(integers(world.rows(&query, &[]).await), [2]);
    }
}

#[tokio::test]
async fn a_value_that_is_looked_for_among_nulls_may_be_null_and_is_sorted_last() {
    let tagged = users(&[("a", "", &[Some("x"), None]), ("b", "", &[]), ("c", "", &[Some("c")])]);
    let mut nodes = Nodes::default();
    let (id, name, tags) = (nodes.field("id"), nodes.field("name"), nodes.field("tags"));
    let found = [nodes.binary(name, B::InList, tags), nodes.add(Node::InSelect((id, 0)))];
    let bosses = Select { projection: fields(&["boss_id"]), ..all("Author") };
    let sorted = async |world: &World, model: &str, term: OrderTerm| {
        let select = Select { projection: fields(&["id"]), order_by: vec![term], ..all(model) };
        let query = nodes.clone().query(vec![bosses.clone(), select], Statement::Select(1));
        integers(world.rows(&query, &[]).await)
    };
    let tagged = tagged.await;
    assert_eq!(sorted(&tagged, "User", ascending(found[0])).await, [2, 3, 1]);
    assert_eq!(sorted(&tagged, "User", descending(found[0])).await, [3, 2, 1]);
    let authors = relations::world().await;
    assert_eq!(sorted(&authors, "Author", ascending(found[1])).await, [1, 4, 2, 3, 5]);
    assert_eq!(sorted(&authors, "Author", descending(found[1])).await, [1, 4, 2, 3, 5]);
}

/// JSON of SQLite's own, as deep as a blob is long: its functions follow it past the end of the stack.
fn nested_blob(depth: usize) -> Vec<u8> {
    let mut blob = vec![0x0b];
    for _ in 0..depth {
        let size = u32::try_from(blob.len()).unwrap();
        // An array whose size has four bytes.
        let mut header = vec![0xdb];
        header.extend(size.to_be_bytes());
        header.append(&mut blob);
        blob = header;
    }
    blob
}

#[tokio::test]
async fn t9_a_blob_that_another_model_put_into_a_document_is_no_json() {
    let world = users(&[("a", "{}", &[])]).await;
    let blob = Value::Blob(nested_blob(30_000));
    let sql = "UPDATE user SET profile = ?1, tags = ?1";
    world.databases()[0].execute_raw(sql, vec![blob]).await.unwrap();
    let mut nodes = Nodes::default();
    let (profile, tags, name) = (nodes.field("profile"), nodes.field("tags"), nodes.field("name"));
    let [part, whole] = [vec!["a".to_owned()], vec![]]
        .map(|steps| nodes.add(Node::Json(JsonPath { document: profile, steps, kind: S::Text })));
    let wanted = nodes.list(0, S::Text);
    let contains = nodes.binary(tags, B::ArrayContains, wanted);
    let overlaps = nodes.binary(tags, B::ArrayOverlaps, wanted);
    let is_in = nodes.binary(name, B::InList, tags);
    let (null, empty) = (nodes.null(), nodes.parameter(1, S::Json));
    let set = nodes.changed(profile, &["a"], Some(null));
    let removed = nodes.changed(profile, &["a"], None);
    let inside = nodes.changed(empty, &["a"], Some(profile));
    let values = [list(&[Some("a")]), Value::Json("{}".into())];
    let (no_values, wanted) = (&values[..0], &values[..1]);
    for (listed, values) in [
        (part, no_values),
        (whole, no_values),
        (contains, wanted),
        (overlaps, wanted),
        (is_in, no_values),
        (set, no_values),
        (removed, no_values),
        (inside, &values),
    ] {
        let query = nodes.clone().select(Select { projection: outputs(&[listed]), ..all("User") });
        let [outcome, _] = world.outcomes(&query, values, None, &[]).await;
        assert!(outcome.is_err(), "{outcome:?}");
    }
}
