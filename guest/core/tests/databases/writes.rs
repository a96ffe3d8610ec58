//! Writes on real databases: they touch exactly the rows that they choose.

use std::sync::Arc;

use ferro_driver::Execution;
use ferro_wit::query::{
    Aggregate, AggregateFunction, Assignment, BinaryOperator as B, Conflict, Insert, KeyedBatch,
    Node, NodeRef, Quantifier, Query, RowSource, Select, Statement, UnaryOperator, Update,
};
use ferro_wit::schema::{ColumnType, DefaultValue, Field, Index, Model, Schema, UpdateValue};
use ferro_wit::types::{Batch, Column, ErrorKind, ScalarType as S, Scalars, Value};

use crate::blog::tenant;
use crate::fixture::*;
use crate::relations::{first, world};
use crate::world::{World, integers, shown};

/// Pages of books, one for each number, whose updates are counted.
fn schema() -> Schema {
    let counted = |it: Field| Field { default: Some(DefaultValue::Constant(1.into())), ..it };
    let page = Model {
        indexes: vec![Index {
            name: None,
            fields: vec!["book".into(), "number".into()],
            unique: true,
            condition: None,
        }],
        ..model(
            "Page",
            vec![
                id(),
                text("book"),
                big("number"),
                text("words"),
                counted(Field { version: true, ..big("version") }),
            ],
        )
    };
    Schema { models: vec![page], enums: vec![] }
}

const PAGES: &str = "INSERT INTO page (book, number, words) VALUES ('a', 1, 'one'), \
                     ('a', 2, 'two'), ('b', 1, 'three')";

fn set(field: &str, value: NodeRef) -> Assignment {
    Assignment { field: field.into(), value }
}

/// All pages: book, number, words, version.
async fn pages(world: &World) -> String {
    let mut nodes = Nodes::default();
    let id = nodes.field("id");
    let projection = fields(&["book", "number", "words", "version"]);
    let query = nodes.select(Select { projection, order_by: vec![ascending(id)], ..all("Page") });
    shown(&world.rows(&query, &[]).await)
}

fn numbered(columns: Vec<(S, Vec<Value>)>) -> Batch {
    let columns = columns.into_iter().map(|(kind, values)| {
        let mut scalars = Scalars::with_kind(kind);
        for value in values {
            scalars.push(value).unwrap();
        }
        Column::Scalars(scalars)
    });
    Batch::new(columns.collect()).unwrap()
}

#[tokio::test]
async fn the_rows_of_a_select_are_inserted() {
    let world = World::new(schema(), &[PAGES]).await;
    let mut nodes = Nodes::default();
    let (words, number) = (nodes.field("words"), nodes.field("number"));
    let (book, ten) = (nodes.parameter(0, S::Text), nodes.integer(10));
    let later = nodes.binary(number, B::Add, ten);
    let copied = Select {
        projection: outputs(&[book, later, words]),
        filter: Some(nodes.test("book", B::Equal, 1, S::Text)),
        order_by: vec![ascending(number)],
        ..all("Page")
    };
    let conflict = Some(conflict(&["book", "number"]));
    let insert = Insert {
        source: RowSource::Select(0),
        conflict,
        ..insert("Page", &["book", "number", "words"])
    };
    let query = nodes.query(vec![copied], Statement::Insert(insert));
    let copy = async || world.rows(&query, &["c".into(), "a".into()]).await;
    assert_eq!(integers(copy().await), [2]);
    assert_eq!(integers(copy().await), [0], "the keys are taken");
    assert_eq!(
        pages(&world).await,
        "a | 1 | one | 1\na | 2 | two | 1\nb | 1 | three | 1\nc | 11 | one | 1\nc | 12 | two | 1"
    );
}

/// SQLite would take the table for the select that reads it.
#[tokio::test]
async fn tables_may_be_called_like_the_parts_of_a_statement() {
    let models = ["Source", "Batch", "Related"].map(|it| model(it, vec![big("id"), text("name")]));
    let rows = ["source", "batch"].map(|it| format!("INSERT INTO {it} VALUES (1, 'a')"));
    let rows = rows.each_ref().map(String::as_str);
    let world = World::new(Schema { models: models.into(), enums: vec![] }, &rows).await;
    let mut nodes = Nodes::default();
    let (id, ten, name) = (nodes.field("id"), nodes.integer(10), nodes.field("name"));
    let later = nodes.binary(id, B::Add, ten);
    let copied = Select { projection: outputs(&[later, name]), ..all("Source") };
    let insert = Insert { source: RowSource::Select(0), ..insert("Source", &["id", "name"]) };
    let query = nodes.query(vec![copied], Statement::Insert(insert));
    assert_eq!(integers(world.rows(&query, &[]).await), [1]);

    let mut nodes = Nodes::default();
    let value = nodes.add(Node::Excluded("name".into()));
    let batch = KeyedBatch { fields: vec!["id".into(), "name".into()], key: vec!["id".into()] };
    let set = vec![set("name", value)];
    let update = Update { set, batch: Some(batch), ..update("Batch") };
    let query = nodes.query(vec![all("Batch")], Statement::Update(update));
    let given = numbered(vec![(S::Integer, vec![Value::Integer(1)]), (S::Text, vec!["b".into()])]);
    assert_eq!(world.write(&query, &given).await, 1);
}

fn upsert(condition: bool, returning: bool) -> Query {
    let mut nodes = Nodes::default();
    let (own, new) = (nodes.field("words"), nodes.add(Node::Excluded("words".into())));
    let words = nodes.binary(own, B::Concat, new);
    let longer = nodes.binary(own, B::Less, new);
    let conflict = Conflict {
        update: vec![set("words", words)],
        condition: condition.then_some(longer),
        ..conflict(&["number", "book"])
    };
    let insert = Insert {
        conflict: Some(conflict),
        returning: returning.then(|| fields(&["words", "version"])),
        ..insert("Page", &["book", "number", "words"])
    };
    nodes.query(vec![], Statement::Insert(insert))
}

#[tokio::test]
async fn a_taken_key_updates_chosen_fields_where_the_condition_holds() {
    let world = World::new(schema(), &[PAGES]).await;
    let put = async |query: &Query, number: i64, words: &str| {
        let values = ["a".into(), Value::Integer(number), words.into()];
        shown(&world.rows(query, &values).await)
    };
    let (always, longer) = (upsert(false, true), upsert(true, true));
    assert_eq!(put(&always, 1, "!").await, "one! | 2");
    assert_eq!(put(&always, 3, "new").await, "new | 1");
    assert_eq!(put(&longer, 2, "zzz").await, "twozzz | 2");
    assert_eq!(put(&longer, 2, "a").await, "", "the condition does not hold");
    assert_eq!(put(&upsert(true, false), 2, "a").await, "0");
    assert_eq!(
        pages(&world).await,
        "a | 1 | one! | 2\na | 2 | twozzz | 2\nb | 1 | three | 1\na | 3 | new | 1"
    );
}

#[tokio::test]
async fn returning_tells_a_new_row_from_one_whose_key_was_taken() {
    let world = World::new(schema(), &[PAGES]).await;
    let insert = Insert {
        conflict: Some(conflict(&["book", "number"])),
        returning: Some(fields(&["words"])),
        ..insert("Page", &["book", "number", "words"])
    };
    let query = Nodes::default().query(vec![], Statement::Insert(insert));
    let put = async |number: i64| {
        let values = ["a".into(), Value::Integer(number), "mine".into()];
        shown(&world.rows(&query, &values).await)
    };
    assert_eq!(put(1).await, "");
    assert_eq!(put(3).await, "mine");
}

#[tokio::test]
async fn a_batch_updates_the_rows_with_its_keys() {
    let world = World::new(schema(), &[PAGES]).await;
    let many: Vec<_> = (100..400).map(|it| format!("('m', {it}, '-')")).collect();
    for database in &world.databases {
        let sql = format!("INSERT INTO page (book, number, words) VALUES {}", many.join(", "));
        database.execute_raw(&sql, vec![]).await.unwrap();
    }
    let mut nodes = Nodes::default();
    let (own, new) = (nodes.field("words"), nodes.add(Node::Excluded("words".into())));
    let words = nodes.binary(own, B::Concat, new);
    let names = |it: &[&str]| it.iter().map(|it| (*it).to_owned()).collect();
    let batch = Some(KeyedBatch {
        fields: names(&["words", "number", "book"]),
        key: names(&["book", "number"]),
    });
    let update = Update { set: vec![set("words", words)], batch, ..update("Page") };
    let query = nodes.query(vec![all("Page")], Statement::Update(update));
    let rows = |numbers: std::ops::Range<i64>| {
        let count = usize::try_from(numbers.end - numbers.start).unwrap();
        let words = numbers.clone().map(|it| Value::from(format!("{it}"))).collect();
        let numbers = numbers.map(Value::Integer).collect();
        numbered(vec![(S::Text, words), (S::Integer, numbers), (S::Text, vec!["m".into(); count])])
    };
    assert_eq!(world.write(&query, &rows(150..400)).await, 250);
    assert_eq!(world.write(&query, &rows(390..410)).await, 10, "the others are not there");
    let mut nodes = Nodes::default();
    let star = nodes.star();
    let count = nodes.aggregate(AggregateFunction::Count, star);
    let version = nodes.field("version");
    let versions = Select {
        projection: outputs(&[version, count]),
        group_by: vec![version],
        order_by: vec![ascending(version)],
        ..all("Page")
    };
    let versions = nodes.select(versions);
    assert_eq!(shown(&world.rows(&versions, &[]).await), "1 | 53\n2 | 240\n3 | 10");
    let mut nodes = Nodes::default();
    let last = nodes.test("number", B::Equal, 0, S::Integer);
    let last = Select { projection: fields(&["words"]), filter: Some(last), ..all("Page") };
    let last = nodes.select(last);
    assert_eq!(shown(&world.rows(&last, &[399.into()]).await), "-399399");
}

#[tokio::test]
async fn a_version_lets_the_first_of_two_updates_win() {
    let world = World::new(schema(), &[PAGES]).await;
    let mut nodes = Nodes::default();
    let (one, seen) =
        (nodes.test("id", B::Equal, 0, S::Integer), nodes.test("version", B::Equal, 1, S::Integer));
    let both = nodes.add(Node::AllOf(vec![one, seen]));
    let words = nodes.parameter(2, S::Text);
    let update = Update { set: vec![set("words", words)], ..update("Page") };
    let rows = Select { filter: Some(both), ..all("Page") };
    let query = nodes.query(vec![rows], Statement::Update(update));
    let save =
        async |words: &str| integers(world.rows(&query, &[1.into(), 1.into(), words.into()]).await);
    assert_eq!(save("first").await, [1]);
    assert_eq!(save("second").await, [0]);
    assert!(pages(&world).await.starts_with("a | 1 | first | 2\n"));
}

/// What a write of posts returns, their ids in order.
async fn changed(world: &World, query: &Query, parameters: &[Value], scoped: bool) -> Vec<i64> {
    let scope = tenant();
    let rows = match scoped {
        true => world.outcomes(query, parameters, Some(&scope), &first()).await,
        false => world.outcomes(query, parameters, None, &[]).await,
    };
    let [mut sqlite, mut postgres] = rows.map(|it| integers(it.unwrap()));
    sqlite.sort_unstable();
    postgres.sort_unstable();
    assert_eq!(sqlite, postgres);
    sqlite
}

#[tokio::test]
async fn t4_updates_choose_rows_by_relations_limit_and_order() {
    let world = world().await;
    let update = |build: &dyn Fn(&mut Nodes) -> Select| {
        let mut nodes = Nodes::default();
        let stars = nodes.field("stars");
        let rows = build(&mut nodes);
        let update = Update {
            set: vec![set("stars", stars)],
            returning: Some(fields(&["id"])),
            ..update("Post")
        };
        nodes.query(vec![rows], Statement::Update(update))
    };
    let ada = ["Ada".into()];
    let by_author = update(&|nodes| {
        let (name, ada) = (nodes.path("author.name"), nodes.parameter(0, S::Text));
        Select { filter: Some(nodes.binary(name, B::Equal, ada)), ..all("Post") }
    });
    assert_eq!(changed(&world, &by_author, &ada, false).await, [1, 2, 6]);
    assert_eq!(changed(&world, &by_author, &ada, true).await, [1, 2]);
    let by_tag = update(&|nodes| {
        let name = nodes.test("name", B::Equal, 0, S::Text);
        Select {
            filter: Some(nodes.related(Quantifier::Any, &["tags"], Some(name))),
            ..all("Post")
        }
    });
    assert_eq!(changed(&world, &by_tag, &["rust".into()], false).await, [1, 2, 3, 5]);
    assert_eq!(changed(&world, &by_tag, &["rust".into()], true).await, [1, 3]);
    let best = update(&|nodes| {
        let (stars, id) = (nodes.field("stars"), nodes.field("id"));
        let (limit, offset) = (nodes.integer(2), nodes.integer(1));
        Select {
            order_by: vec![descending(stars), ascending(id)],
            limit: Some(limit),
            offset: Some(offset),
            ..all("Post")
        }
    });
    assert_eq!(changed(&world, &best, &[], false).await, [1, 4]);
    assert_eq!(changed(&world, &best, &[], true).await, [3, 4]);
}

#[tokio::test]
async fn t4_a_delete_through_a_many_to_many_relation_keeps_all_others() {
    let world = world().await;
    let mut nodes = Nodes::default();
    let title = nodes.test("title", B::Equal, 0, S::Text);
    let filter = Some(nodes.related(Quantifier::Any, &["posts"], Some(title)));
    let tags = Select { filter, ..all("Tag") };
    let delete = ferro_wit::query::Delete { returning: Some(fields(&["id"])), ..delete("Tag") };
    let query = nodes.query(vec![tags], Statement::Delete(delete));
    assert_eq!(changed(&world, &query, &["three".into()], false).await, [1]);
    let mut nodes = Nodes::default();
    let id = nodes.field("id");
    let left = Select { projection: fields(&["id"]), order_by: vec![ascending(id)], ..all("Tag") };
    let left = integers(world.rows(&nodes.select(left), &[]).await);
    assert_eq!(left, [2, 3]);
}

#[tokio::test]
async fn of_a_hundred_inserts_at_once_one_makes_the_row() {
    let world = World::new(schema(), &[]).await;
    let insert = Insert {
        conflict: Some(conflict(&["book", "number"])),
        returning: Some(fields(&["id"])),
        ..insert("Page", &["book", "number", "words"])
    };
    let query = Nodes::default().query(vec![], Statement::Insert(insert));
    for database in &world.databases {
        let plan = Arc::new(world.catalog.compile(&query, database.dialect(), None).unwrap());
        let tasks: Vec<_> = (0..100)
            .map(|it| {
                let (database, plan) = (database.clone(), Arc::clone(&plan));
                let parameters = vec!["a".into(), 1.into(), Value::from(format!("{it}"))];
                let execution = Execution { plan, parameters, forced: vec![], rows: None };
                tokio::spawn(async move {
                    let mut cursor = database.fetch(execution).await.unwrap();
                    cursor.next(2).await.unwrap().map_or(0, |it| it.rows)
                })
            })
            .collect();
        let mut made = 0;
        for task in tasks {
            made += task.await.unwrap();
        }
        assert_eq!(made, 1);
    }
}

#[tokio::test]
async fn an_integer_past_64_bits_becomes_no_other_number_and_no_text() {
    let [paid, rough] =
        [field("paid", ColumnType::Decimal(None)), nullable("rough", ColumnType::Double)];
    let price = model("Price", vec![id(), paid, rough]);
    let schema = Schema { models: vec![price], enums: vec![] };
    let world = World::new(schema, &["INSERT INTO price (paid) VALUES ('1')"]).await;
    let mut nodes = Nodes::default();
    let (id, most) = (nodes.field("id"), nodes.parameter(0, S::Integer));
    let sum = nodes.binary(id, B::Add, most);
    let casts = [S::Decimal, S::Text].map(|kind| nodes.add(Node::Cast((sum, kind))));
    let prices = |value| Select { projection: outputs(&[value]), ..all("Price") };
    let copied = || Insert { source: RowSource::Select(0), ..insert("Price", &["paid"]) };
    let set = |field, value| Update { set: vec![set(field, value)], ..update("Price") };
    let statements = [
        (prices(casts[0]), Statement::Select(0)),
        (prices(casts[1]), Statement::Select(0)),
        (prices(sum), Statement::Insert(copied())),
        (prices(casts[0]), Statement::Insert(copied())),
        (all("Price"), Statement::Update(set("paid", sum))),
        (all("Price"), Statement::Update(set("rough", sum))),
        (all("Price"), Statement::Update(set("paid", casts[0]))),
    ];
    for (select, statement) in statements {
        let query = nodes.clone().query(vec![select], statement);
        for outcome in world.outcomes(&query, &[Value::Integer(i64::MAX)], None, &[]).await {
            assert_eq!(outcome.unwrap_err().kind, ErrorKind::ValueOutOfRange);
        }
    }
}

/// Of each type that updates can set, once.
const TOUCHED: [&str; 5] = ["instant", "local", "day", "hour", "tag"];

#[tokio::test]
async fn updates_set_fields_to_the_time_by_themselves() {
    let kinds = [
        ColumnType::Timestamptz,
        ColumnType::Timestamp,
        ColumnType::Date,
        ColumnType::Time,
        ColumnType::Uuid,
    ];
    let touched = TOUCHED.iter().zip(kinds).map(|(name, kind)| {
        let value = match kind {
            ColumnType::Uuid => UpdateValue::RandomUuid,
            _ => UpdateValue::Now,
        };
        Field { on_update: Some(value), ..nullable(name, kind) }
    });
    let fields = [id(), text("title")].into_iter().chain(touched).collect();
    let models = vec![model("Note", fields)];
    let seed = "INSERT INTO note (id, title) VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')";
    let world = World::new(Schema { models, enums: vec![] }, &[seed]).await;
    // The rows in which all of them, or none, are set; and the different tags.
    let touched = async || {
        let mut nodes = Nodes::default();
        let id = nodes.field("id");
        let found = TOUCHED.map(|it| nodes.field(it));
        let found = found.map(|it| nodes.unary(UnaryOperator::IsNull, it));
        let mut columns = vec![id];
        columns.extend(found);
        let projection = outputs(&columns);
        let select = Select { projection, order_by: vec![ascending(id)], ..all("Note") };
        let rows = world.rows(&nodes.select(select), &[]).await;
        let rows = rows.into_iter().filter(|row| {
            let is_null = row[1] == Value::Boolean(true);
            assert!(row[1..].iter().all(|it| *it == Value::Boolean(is_null)), "{row:?}");
            !is_null
        });
        integers(rows.map(|row| row[..1].to_vec()).collect())
    };
    assert_eq!(touched().await, [] as [i64; 0]);

    let mut nodes = Nodes::default();
    let (title, chosen) = (nodes.parameter(0, S::Text), nodes.test("id", B::Equal, 1, S::Integer));
    let rows = Select { filter: Some(chosen), ..all("Note") };
    let update = Update { set: vec![set("title", title)], ..update("Note") };
    let query = nodes.query(vec![rows], Statement::Update(update));
    assert_eq!(integers(world.rows(&query, &["z".into(), 1.into()]).await), [1]);
    assert_eq!(touched().await, [1]);

    let mut nodes = Nodes::default();
    let title = nodes.add(Node::Excluded("title".into()));
    let names = |it: &[&str]| it.iter().map(|it| (*it).to_owned()).collect();
    let batch = Some(KeyedBatch { fields: names(&["id", "title"]), key: names(&["id"]) });
    let by_key = Update { set: vec![set("title", title)], batch, ..self::update("Note") };
    let query = nodes.clone().query(vec![all("Note")], Statement::Update(by_key));
    let rows =
        vec![(S::Integer, vec![2.into(), 3.into()]), (S::Text, vec!["y".into(), "x".into()])];
    assert_eq!(world.write(&query, &numbered(rows)).await, 2);
    assert_eq!(touched().await, [1, 2, 3]);
    let taken = Conflict { update: vec![set("title", title)], ..conflict(&["id"]) };
    let upsert = Insert { conflict: Some(taken), ..insert("Note", &["id", "title"]) };
    let query = nodes.query(vec![], Statement::Insert(upsert));
    for id in [4, 5] {
        world.rows(&query, &[id.into(), "w".into()]).await;
    }
    assert_eq!(touched().await, [1, 2, 3, 4], "a new row is not updated");

    let mut nodes = Nodes::default();
    let tag = nodes.field("tag");
    let tags = nodes.add(Node::Aggregate(Aggregate {
        distinct: true,
        ..Aggregate::new(AggregateFunction::Count, tag)
    }));
    let select = Select { projection: outputs(&[tags]), ..all("Note") };
    assert_eq!(integers(world.rows(&nodes.select(select), &[]).await), [4]);
    // As the database itself says, so that it is the time, and in UTC.
    let is_other = [
        "abs(julianday(instant) - julianday('now')) > 0.01 OR abs(julianday(local) - \
         julianday('now')) > 0.01",
        "now() - instant > interval '15 min' OR (now() AT TIME ZONE 'UTC') - local > \
         interval '15 min' OR local > now() AT TIME ZONE 'UTC'",
    ];
    world.run(is_other.map(|it| format!("UPDATE note SET id = NULL WHERE {it}"))).await;
}
