//! Eager loading on real databases.

use std::fmt::Write as _;
use std::sync::Arc;

use ferro_driver::{ConnectOptions, Database, Execution};
use ferro_wit::query::{BinaryOperator as B, Inclusion, Select, Statement};
use ferro_wit::schema::{ColumnType, EnumType, ForeignKey, IntegerWidth, Model, Schema};
use ferro_wit::types::{Dialect, ScalarType as S, Value};

use crate::blog::{included, tenant, with};
use crate::fixture::*;
use crate::relations::{first, world};
use crate::world::{ResultSet, World, shown};

/// All result sets, each under its relation.
fn text(sets: &[ResultSet]) -> String {
    let mut out = String::new();
    for (attachment, rows) in sets {
        if let Some(it) = attachment {
            let path = it.relations.join(".");
            writeln!(out, "{path} of {}: {:?} = {:?}", it.parents, it.parent_columns, it.columns)
                .unwrap();
        }
        writeln!(out, "{}", shown(rows)).unwrap();
    }
    out
}

/// Relations to load, each in the order of a field, with some fields of its rows.
fn loading(
    model: &str,
    listed: &[&str],
    relations: &[(&str, &str, &[&str])],
) -> ferro_wit::query::Query {
    let mut nodes = Nodes::default();
    let id = nodes.field("id");
    let mut selects = Vec::new();
    let mut includes = Vec::new();
    for (number, (path, target, listed)) in (0..).zip(relations) {
        let projection = fields(listed);
        selects.push(Select { projection, order_by: vec![ascending(id)], ..all(target) });
        includes.push(included(path, Some(number)));
    }
    let projection = fields(listed);
    selects.push(Select { projection, order_by: vec![ascending(id)], includes, ..all(model) });
    let last = u32::try_from(selects.len() - 1).unwrap();
    nodes.query(selects, Statement::Select(last))
}

#[tokio::test]
async fn t2_related_rows_are_loaded_in_scope() {
    let world = world().await;
    let query = loading(
        "Author",
        &["name"],
        &[
            ("boss", "Author", &["name"]),
            ("posts", "Post", &["title"]),
            ("posts.comments", "Comment", &["body"]),
            ("posts.tags", "Tag", &["name"]),
            ("posts.labels", "Label", &["name"]),
            ("posts.editor", "Author", &["name"]),
        ],
    );
    insta::assert_snapshot!(text(&world.result_sets(&query, &[], None, &[]).await), @r##"
Ada | - | 1
Bob | 1 | 2
Cid | 4 | 3
Zoe | - | 4
Yan | 1 | 5
boss of 0: [1] = [1]
Ada | 1
Zoe | 4
posts of 0: [2] = [1]
one | 1 | 1 | 2
two | 1 | 2 | -
six | 1 | 6 | -
three | 2 | 3 | 4
four | 4 | 4 | 1
five | 4 | 5 | -
posts.comments of 2: [2] = [1]
by Ada | 1
bad | 1
leak | 2
good | 3
own | 5
far | 6
cross | 6
posts.tags of 2: [2] = [1]
rust | 1
wasm | 1
rust | 2
rust | 3
rust | 5
posts.labels of 2: [2] = [1]
hot | 1
hot | 2
cold | 3
hot | 4
posts.editor of 2: [3] = [1]
Ada | 1
Bob | 2
Zoe | 4
"##);
    let own = world.result_sets(&query, &[], Some(&tenant()), &first()).await;
    insta::assert_snapshot!(text(&own), @r##"
Ada | - | 1
Bob | 1 | 2
Cid | 4 | 3
boss of 0: [1] = [1]
Ada | 1
posts of 0: [2] = [1]
one | 1 | 1 | 2
two | 1 | 2 | -
three | 2 | 3 | 4
posts.comments of 2: [2] = [1]
by Ada | 1
bad | 1
good | 3
posts.tags of 2: [2] = [1]
rust | 1
wasm | 1
rust | 3
posts.labels of 2: [2] = [1]
hot | 1
cold | 3
posts.editor of 2: [3] = [1]
Bob | 2
"##);
}

#[tokio::test]
async fn a_limit_and_an_offset_count_for_each_parent() {
    let world = world().await;
    let mut nodes = Nodes::default();
    let (limit, offset) = (nodes.parameter(0, S::Integer), nodes.parameter(1, S::Integer));
    let (stars, id) = (nodes.field("stars"), nodes.field("id"));
    let posts = Select {
        projection: fields(&["author_id", "title"]),
        order_by: vec![descending(stars), ascending(id)],
        limit: Some(limit),
        offset: Some(offset),
        ..all("Post")
    };
    let authors = Select {
        projection: fields(&["id"]),
        order_by: vec![ascending(id)],
        includes: vec![included("posts", Some(0))],
        ..all("Author")
    };
    let query = nodes.query(vec![posts, authors], Statement::Select(1));
    let page = async |limit: i64, offset: i64| {
        let parameters = [Value::Integer(limit), Value::Integer(offset)];
        let sets = world.result_sets(&query, &parameters, None, &[]).await;
        shown(&sets[1].1)
    };
    assert_eq!(page(1, 0).await, "1 | six\n2 | three\n4 | four");
    assert_eq!(page(2, 1).await, "1 | one\n1 | two\n4 | five");
    assert_eq!(page(0, 0).await, "");
    assert_eq!(page(i64::MAX, 2).await, "1 | two");
}

#[tokio::test]
async fn related_rows_are_filtered() {
    let world = world().await;
    let mut nodes = Nodes::default();
    let filter = nodes.test("stars", B::GreaterOrEqual, 0, S::Integer);
    let id = nodes.field("id");
    let order_by = vec![ascending(id)];
    let comments = Select {
        projection: fields(&["body"]),
        filter: Some(filter),
        order_by: order_by.clone(),
        ..all("Comment")
    };
    let includes = vec![included("comments", Some(0))];
    let posts = Select { projection: fields(&["id"]), order_by, includes, ..all("Post") };
    let query = nodes.query(vec![comments, posts], Statement::Select(1));
    let sets = world.result_sets(&query, &[Value::Integer(4)], None, &[]).await;
    assert_eq!(shown(&sets[1].1), "by Ada | 1\nleak | 2");
}

/// A model with a key of a type, and rows that refer to it or to nothing.
fn keyed(name: &str, kind: &ColumnType) -> [Model; 2] {
    let key = || field("key", kind.clone());
    let owner = Model { table: Some(format!("{name}_owner")), ..model(name, vec![key()]) };
    let part = Model {
        table: Some(format!("{name}_part")),
        foreign_keys: vec![ForeignKey {
            fields: vec![("owner".into(), "key".into())],
            reverse: Some("parts".into()),
            ..foreign_key("whole", "owner", name)
        }],
        ..model(&format!("{name}Part"), vec![id(), nullable("owner", kind.clone())])
    };
    [owner, part]
}

#[tokio::test]
async fn keys_of_every_type_find_their_rows() {
    let integer = ColumnType::Integer(IntegerWidth::Small);
    let kinds: [(&str, ColumnType, [&str; 2]); 12] = [
        ("Whole", integer, ["1", "2"]),
        ("Real", ColumnType::Double, ["1.5", "2.5"]),
        ("Exact", ColumnType::Decimal(None), ["'1.50'", "'2.5'"]),
        ("Word", ColumnType::Text(None), ["'it''s'", "'[\"a\"]'"]),
        ("Truth", ColumnType::Boolean, ["true", "false"]),
        ("Mood", ColumnType::Enumeration("mood".into()), ["'sad'", "'glad'"]),
        ("Day", ColumnType::Date, ["'2024-02-29'", "'1999-12-31'"]),
        ("Clock", ColumnType::Time, ["'12:30:00.000000'", "'23:59:59.999999'"]),
        (
            "Reading",
            ColumnType::Timestamp,
            ["'2024-02-29 12:30:00.000000'", "'1999-12-31 00:00:00.000000'"],
        ),
        (
            "Instant",
            ColumnType::Timestamptz,
            ["'2024-02-29 12:30:00.000000+00:00'", "'1999-12-31 00:00:00.000000+00:00'"],
        ),
        ("Bytes", ColumnType::Blob, ["00FF", "2727"]),
        ("Ident", ColumnType::Uuid, ["00112233445566778899AABBCCDDEEFF", "FF".repeat(16).leak()]),
    ];
    let models = kinds.iter().flat_map(|(name, kind, _)| keyed(name, kind)).collect();
    let enums = vec![EnumType { name: "mood".into(), values: vec!["sad".into(), "glad".into()] }];
    let world = World::new(Schema { models, enums }, &[]).await;
    for (name, kind, keys) in &kinds {
        for database in &world.databases {
            let literal = |it: &str| match (kind, database.dialect()) {
                (ColumnType::Blob | ColumnType::Uuid, Dialect::Sqlite) => format!("x'{it}'"),
                (ColumnType::Blob, Dialect::Postgres) => format!(r"'\x{it}'"),
                (ColumnType::Uuid, Dialect::Postgres) => format!("'{it}'"),
                _ => it.to_owned(),
            };
            let [one, other] = keys.map(literal);
            for sql in [
                format!("INSERT INTO \"{name}_owner\" VALUES ({one}), ({other})"),
                format!("INSERT INTO \"{name}_part\" (owner) VALUES ({one}), ({one}), (NULL)"),
            ] {
                let done = database.execute_raw(&sql, vec![]).await;
                done.unwrap_or_else(|error| panic!("`{sql}`: {error}"));
            }
        }
        let mut sets = world.result_sets(&with(name, &["parts"]), &[], None, &[]).await;
        assert_eq!((sets[0].1.len(), sets[1].1.len()), (2, 2), "{name}");
        let owner = sets[1].1[0][1].clone();
        assert!(sets[0].1.contains(&vec![owner.clone()]), "{name}: {owner:?}");
        // The other way there is one row, to which two refer.
        sets = world.result_sets(&with(&format!("{name}Part"), &["whole"]), &[], None, &[]).await;
        assert_eq!(sets[1].1, [[owner]], "{name}");
    }
}

#[tokio::test]
async fn keys_of_several_fields_find_their_rows() {
    let key = |prefix: &str| {
        let kinds = [ColumnType::Text(None), ColumnType::Uuid];
        let names = ["region", "number"].map(|it| format!("{prefix}{it}"));
        names.into_iter().zip(kinds).map(|(name, kind)| nullable(&name, kind)).collect::<Vec<_>>()
    };
    let mut order = model("Order", key(""));
    order.fields.iter_mut().for_each(|it| it.nullable = false);
    order.primary_key = vec!["region".into(), "number".into()];
    order.table = Some("orders".into());
    let mut line = model("Line", [vec![id()], key("order_")].concat());
    line.foreign_keys = vec![ForeignKey {
        fields: vec![
            ("order_region".into(), "region".into()),
            ("order_number".into(), "number".into()),
        ],
        reverse: Some("lines".into()),
        ..foreign_key("order", "order_region", "Order")
    }];
    let world = World::new(Schema { models: vec![order, line], enums: vec![] }, &[]).await;
    for database in &world.databases {
        let number = |it: u8| match database.dialect() {
            Dialect::Sqlite => format!("x'{it:032X}'"),
            Dialect::Postgres => format!("'{it:032X}'"),
        };
        let (one, two) = (number(1), number(2));
        for sql in [
            format!("INSERT INTO orders VALUES ('n', {one}), ('n', {two}), ('s', {one})"),
            format!(
                "INSERT INTO line (order_region, order_number) VALUES ('n', {one}), ('n', {two}), \
                 ('s', {one}), ('n', NULL), (NULL, NULL)"
            ),
        ] {
            database.execute_raw(&sql, vec![]).await.unwrap();
        }
    }
    let mut nodes = Nodes::default();
    let (region, number) = (nodes.field("region"), nodes.field("number"));
    let same = nodes.binary(region, B::Equal, region);
    let (id, limit) = (nodes.field("id"), nodes.integer(2));
    let lines =
        Select { order_by: vec![ascending(id)], projection: fields(&["id"]), ..all("Line") };
    let orders = Select {
        filter: Some(same),
        order_by: vec![descending(region), descending(number)],
        limit: Some(limit),
        includes: vec![Inclusion { relations: vec!["lines".into()], rows: Some(0) }],
        ..all("Order")
    };
    let query = nodes.query(vec![lines, orders], Statement::Select(1));
    let sets = world.result_sets(&query, &[], None, &[]).await;
    // Not the line of `n` and 1: both stand there, but in two orders.
    let ids: Vec<_> = sets[1].1.iter().map(|row| row[0].clone()).collect();
    assert_eq!(ids, [Value::Integer(2), Value::Integer(3)]);
}

/// The statements that PostgreSQL itself counts on the only connection.
#[tokio::test]
async fn the_number_of_statements_does_not_grow_with_the_rows() {
    let mut options = ConnectOptions::default();
    options.pool.max_connections = 1;
    let url = ferro_test_support::postgres::url();
    let database = Database::connect(&url, &options).await.unwrap();
    let catalog = ferro_core::Catalog::new(crate::blog::schema()).unwrap();
    database.apply(&catalog.create_tables(Dialect::Postgres, &[]).unwrap()).await.unwrap();
    for sql in [
        "INSERT INTO author (id, tenant_id, name, secret) SELECT n, 1, '', '' FROM generate_series(1, 500) n",
        "INSERT INTO post (tenant_id, author_id, title) SELECT 1, 1 + n % 500, '' FROM generate_series(1, 2000) n",
        "INSERT INTO comment (tenant_id, post_id, body) SELECT 1, id, '' FROM post",
    ] {
        database.execute_raw(sql, vec![]).await.unwrap();
    }
    let plan = Arc::new(
        catalog
            .compile(&with("Author", &["posts", "posts.comments"]), Dialect::Postgres, None)
            .unwrap(),
    );
    let execution = Execution { plan, parameters: vec![], forced: vec![], rows: None };
    let mut cursor = database.fetch(execution).await.unwrap();
    let mut counts = Vec::new();
    loop {
        let mut rows = 0;
        while let Some(batch) = cursor.next(100).await.unwrap() {
            rows += batch.rows;
        }
        counts.push(rows);
        if !cursor.next_result().await.unwrap() {
            break;
        }
    }
    assert_eq!(counts, [500, 2000, 2000]);
    let counted = "SELECT sum(generic_plans + custom_plans)::bigint FROM pg_prepared_statements \
                   WHERE statement LIKE 'SELECT \"t%'";
    let mut cursor = database.fetch_raw(counted, vec![]).await.unwrap();
    let batch = cursor.next(1).await.unwrap().unwrap();
    assert_eq!(batch.columns[0].get(0), Some(Value::Integer(3)));
}
