//! Eager loading: one statement for each relation, bound to keys that an earlier one returned.

use ferro_core::Catalog;
use ferro_wit::policy::{FieldSet, Scope, TableScope};
use ferro_wit::query::{
    AggregateFunction, BinaryOperator as B, Distinct, Inclusion, Projection, Query, Select,
    Statement,
};
use ferro_wit::schema::{ColumnType, EnumType, Field, ForeignKey, Model, Schema};
use ferro_wit::types::{Dialect, ScalarType as S};

use crate::blog::{self, included, tenant, with};
use crate::fixture::*;

fn catalog() -> Catalog {
    Catalog::new(blog::schema()).unwrap()
}

fn plan(query: &Query) -> String {
    plans(&catalog(), query, None)
}

fn scoped(query: &Query, scope: &Scope) -> String {
    plans(&catalog(), query, Some(scope))
}

fn refused(query: &Query) -> String {
    line(&catalog().compile(query, Dialect::Sqlite, None).unwrap_err())
}

#[test]
fn each_relation_is_one_step_bound_to_keys_of_its_parents() {
    insta::assert_snapshot!(plan(&with("Post", &["author", "comments"])), @r##"
sqlite: SELECT "t0"."id", "t0"."tenant_id", "t0"."author_id", "t0"."editor_id", "t0"."title", "t0"."stars" FROM "post" AS "t0"
sqlite: SELECT "t1"."id", "t1"."tenant_id", "t1"."name", "t1"."secret", "t1"."boss_id" FROM "author" AS "t1" WHERE "t1"."id" IN (SELECT value FROM json_each(?1))
  author of 0: [2] = [0]
  keys 0.2 Integer[]
sqlite: SELECT "t1"."id", "t1"."tenant_id", "t1"."post_id", "t1"."body", "t1"."stars" FROM "comment" AS "t1" WHERE "t1"."post_id" IN (SELECT value FROM json_each(?1))
  comments of 0: [0] = [2]
  keys 0.0 Integer[]
postgres: SELECT "t0"."id", "t0"."tenant_id", "t0"."author_id", "t0"."editor_id", "t0"."title", "t0"."stars" FROM "post" AS "t0"
postgres: SELECT "t1"."id", "t1"."tenant_id", "t1"."name", "t1"."secret", "t1"."boss_id" FROM "author" AS "t1" WHERE "t1"."id" = ANY($1)
  author of 0: [2] = [0]
  keys 0.2 Integer[]
postgres: SELECT "t1"."id", "t1"."tenant_id", "t1"."post_id", "t1"."body", "t1"."stars" FROM "comment" AS "t1" WHERE "t1"."post_id" = ANY($1)
  comments of 0: [0] = [2]
  keys 0.0 Integer[]
"##);
}

#[test]
fn relations_of_relations_are_bound_to_the_step_before() {
    insta::assert_snapshot!(plan(&with("Author", &["posts", "posts.comments", "boss"])), @r##"
sqlite: SELECT "t0"."id", "t0"."tenant_id", "t0"."name", "t0"."secret", "t0"."boss_id" FROM "author" AS "t0"
sqlite: SELECT "t1"."id", "t1"."tenant_id", "t1"."author_id", "t1"."editor_id", "t1"."title", "t1"."stars" FROM "post" AS "t1" WHERE "t1"."author_id" IN (SELECT value FROM json_each(?1))
  posts of 0: [0] = [2]
  keys 0.0 Integer[]
sqlite: SELECT "t1"."id", "t1"."tenant_id", "t1"."post_id", "t1"."body", "t1"."stars" FROM "comment" AS "t1" WHERE "t1"."post_id" IN (SELECT value FROM json_each(?1))
  posts.comments of 1: [0] = [2]
  keys 1.0 Integer[]
sqlite: SELECT "t1"."id", "t1"."tenant_id", "t1"."name", "t1"."secret", "t1"."boss_id" FROM "author" AS "t1" WHERE "t1"."id" IN (SELECT value FROM json_each(?1))
  boss of 0: [4] = [0]
  keys 0.4 Integer[]
postgres: SELECT "t0"."id", "t0"."tenant_id", "t0"."name", "t0"."secret", "t0"."boss_id" FROM "author" AS "t0"
postgres: SELECT "t1"."id", "t1"."tenant_id", "t1"."author_id", "t1"."editor_id", "t1"."title", "t1"."stars" FROM "post" AS "t1" WHERE "t1"."author_id" = ANY($1)
  posts of 0: [0] = [2]
  keys 0.0 Integer[]
postgres: SELECT "t1"."id", "t1"."tenant_id", "t1"."post_id", "t1"."body", "t1"."stars" FROM "comment" AS "t1" WHERE "t1"."post_id" = ANY($1)
  posts.comments of 1: [0] = [2]
  keys 1.0 Integer[]
postgres: SELECT "t1"."id", "t1"."tenant_id", "t1"."name", "t1"."secret", "t1"."boss_id" FROM "author" AS "t1" WHERE "t1"."id" = ANY($1)
  boss of 0: [4] = [0]
  keys 0.4 Integer[]
"##);
}

#[test]
fn keys_that_a_projection_lacks_come_last_and_once() {
    let mut nodes = Nodes::default();
    let (body, post) = (nodes.field("body"), nodes.field("post_id"));
    let comments = Select { projection: outputs(&[body, post]), ..all("Comment") };
    let author = Select { projection: fields(&["name"]), ..all("Author") };
    let posts = Select {
        projection: fields(&["title"]),
        includes: vec![
            included("comments", Some(0)),
            included("author", Some(1)),
            included("tags", None),
            included("editor", Some(1)),
        ],
        ..all("Post")
    };
    let query = nodes.query(vec![comments, author, posts], Statement::Select(2));
    insta::assert_snapshot!(plan(&query), @r##"
sqlite: SELECT "t0"."title", "t0"."id", "t0"."author_id", "t0"."editor_id" FROM "post" AS "t0"
sqlite: SELECT "t1"."body", "t1"."post_id" FROM "comment" AS "t1" WHERE "t1"."post_id" IN (SELECT value FROM json_each(?1))
  comments of 0: [1] = [1]
  keys 0.1 Integer[]
sqlite: SELECT "t1"."name", "t1"."id" FROM "author" AS "t1" WHERE "t1"."id" IN (SELECT value FROM json_each(?1))
  author of 0: [2] = [1]
  keys 0.2 Integer[]
sqlite: SELECT "t1"."id", "t1"."tenant_id", "t1"."name", "t2"."post_id" FROM "tag" AS "t1" JOIN "post_tags" AS "t2" ON "t1"."id" = "t2"."tag_id" WHERE "t2"."post_id" IN (SELECT value FROM json_each(?1))
  tags of 0: [1] = [3]
  keys 0.1 Integer[]
sqlite: SELECT "t1"."name", "t1"."id" FROM "author" AS "t1" WHERE "t1"."id" IN (SELECT value FROM json_each(?1))
  editor of 0: [3] = [1]
  keys 0.3 Integer[]
postgres: SELECT "t0"."title", "t0"."id", "t0"."author_id", "t0"."editor_id" FROM "post" AS "t0"
postgres: SELECT "t1"."body", "t1"."post_id" FROM "comment" AS "t1" WHERE "t1"."post_id" = ANY($1)
  comments of 0: [1] = [1]
  keys 0.1 Integer[]
postgres: SELECT "t1"."name", "t1"."id" FROM "author" AS "t1" WHERE "t1"."id" = ANY($1)
  author of 0: [2] = [1]
  keys 0.2 Integer[]
postgres: SELECT "t1"."id", "t1"."tenant_id", "t1"."name", "t2"."post_id" FROM "tag" AS "t1" JOIN "post_tags" AS "t2" ON "t1"."id" = "t2"."tag_id" WHERE "t2"."post_id" = ANY($1)
  tags of 0: [1] = [3]
  keys 0.1 Integer[]
postgres: SELECT "t1"."name", "t1"."id" FROM "author" AS "t1" WHERE "t1"."id" = ANY($1)
  editor of 0: [3] = [1]
  keys 0.3 Integer[]
"##);
}

#[test]
fn related_rows_are_filtered_and_ordered() {
    let mut nodes = Nodes::default();
    let filter = nodes.test("stars", B::Greater, 0, S::Integer);
    let order = nodes.path("post.author.name");
    let comments =
        Select { filter: Some(filter), order_by: vec![descending(order)], ..all("Comment") };
    let posts = Select { includes: vec![included("comments", Some(0))], ..all("Post") };
    let query = nodes.query(vec![comments, posts], Statement::Select(1));
    insta::assert_snapshot!(plan(&query), @r##"
sqlite: SELECT "t0"."id", "t0"."tenant_id", "t0"."author_id", "t0"."editor_id", "t0"."title", "t0"."stars" FROM "post" AS "t0"
sqlite: SELECT "t1"."id", "t1"."tenant_id", "t1"."post_id", "t1"."body", "t1"."stars" FROM "comment" AS "t1" JOIN "post" AS "t2" ON "t2"."id" = "t1"."post_id" JOIN "author" AS "t3" ON "t3"."id" = "t2"."author_id" WHERE "t1"."stars" > ?1 AND "t1"."post_id" IN (SELECT value FROM json_each(?2)) ORDER BY "t3"."name" DESC, "t1"."id"
  comments of 0: [0] = [2]
  parameter 0 Integer, keys 0.0 Integer[]
postgres: SELECT "t0"."id", "t0"."tenant_id", "t0"."author_id", "t0"."editor_id", "t0"."title", "t0"."stars" FROM "post" AS "t0"
postgres: SELECT "t1"."id", "t1"."tenant_id", "t1"."post_id", "t1"."body", "t1"."stars" FROM "comment" AS "t1" JOIN "post" AS "t2" ON "t2"."id" = "t1"."post_id" JOIN "author" AS "t3" ON "t3"."id" = "t2"."author_id" WHERE "t1"."stars" > $1 AND "t1"."post_id" = ANY($2) ORDER BY "t3"."name" DESC, "t1"."id"
  comments of 0: [0] = [2]
  parameter 0 Integer, keys 0.0 Integer[]
"##);
}

#[test]
fn a_limit_counts_for_each_parent() {
    let mut nodes = Nodes::default();
    let (limit, offset) = (nodes.integer(2), nodes.parameter(0, S::Integer));
    let order = nodes.field("stars");
    let newest = Select {
        projection: fields(&["title"]),
        order_by: vec![descending(order)],
        limit: Some(limit),
        ..all("Post")
    };
    let further = Select { offset: Some(offset), ..newest.clone() };
    for (rows, both) in [(0, newest), (1, further)] {
        let authors = Select { includes: vec![included("posts", Some(0))], ..all("Author") };
        let query = nodes.clone().query(vec![both, authors], Statement::Select(1));
        match rows {
            0 => insta::assert_snapshot!(plan(&query), @r##"
sqlite: SELECT "t0"."id", "t0"."tenant_id", "t0"."name", "t0"."secret", "t0"."boss_id" FROM "author" AS "t0"
sqlite: WITH "related.rows" ("c0", "c1", "place") AS (SELECT "t1"."title", "t1"."author_id", row_number() OVER (PARTITION BY "t1"."author_id" ORDER BY "t1"."stars" DESC, "t1"."id") FROM "post" AS "t1" WHERE "t1"."author_id" IN (SELECT value FROM json_each(?1))) SELECT "c0", "c1" FROM "related.rows" WHERE "place" <= 2 ORDER BY "place"
  posts of 0: [0] = [1]
  keys 0.0 Integer[]
postgres: SELECT "t0"."id", "t0"."tenant_id", "t0"."name", "t0"."secret", "t0"."boss_id" FROM "author" AS "t0"
postgres: WITH "related.rows" ("c0", "c1", "place") AS (SELECT "t1"."title", "t1"."author_id", row_number() OVER (PARTITION BY "t1"."author_id" ORDER BY "t1"."stars" DESC NULLS LAST, "t1"."id") FROM "post" AS "t1" WHERE "t1"."author_id" = ANY($1)) SELECT "c0", "c1" FROM "related.rows" WHERE "place" <= 2 ORDER BY "place"
  posts of 0: [0] = [1]
  keys 0.0 Integer[]
"##),
            _ => insta::assert_snapshot!(plan(&query), @r##"
sqlite: SELECT "t0"."id", "t0"."tenant_id", "t0"."name", "t0"."secret", "t0"."boss_id" FROM "author" AS "t0"
sqlite: WITH "related.rows" ("c0", "c1", "place") AS (SELECT "t1"."title", "t1"."author_id", row_number() OVER (PARTITION BY "t1"."author_id" ORDER BY "t1"."stars" DESC, "t1"."id") FROM "post" AS "t1" WHERE "t1"."author_id" IN (SELECT value FROM json_each(?1))) SELECT "c0", "c1" FROM "related.rows" WHERE "place" > ?2 AND "place" - ?2 <= 2 ORDER BY "place"
  posts of 0: [0] = [1]
  keys 0.0 Integer[], parameter 0 Integer
postgres: SELECT "t0"."id", "t0"."tenant_id", "t0"."name", "t0"."secret", "t0"."boss_id" FROM "author" AS "t0"
postgres: WITH "related.rows" ("c0", "c1", "place") AS (SELECT "t1"."title", "t1"."author_id", row_number() OVER (PARTITION BY "t1"."author_id" ORDER BY "t1"."stars" DESC NULLS LAST, "t1"."id") FROM "post" AS "t1" WHERE "t1"."author_id" = ANY($1)) SELECT "c0", "c1" FROM "related.rows" WHERE "place" > $2 AND "place" - $2 <= 2 ORDER BY "place"
  posts of 0: [0] = [1]
  keys 0.0 Integer[], parameter 0 Integer
"##),
        }
    }
}

#[test]
fn t2_every_table_of_every_step_is_in_scope() {
    let query = with("Author", &["posts", "posts.labels", "posts.tags", "posts.author"]);
    insta::assert_snapshot!(scoped(&query, &tenant()), @r##"
sqlite: SELECT "t0"."id", "t0"."tenant_id", "t0"."name", "t0"."boss_id" FROM "author" AS "t0" WHERE "t0"."tenant_id" = ?1
  forced 0 Integer
sqlite: SELECT "t1"."id", "t1"."tenant_id", "t1"."author_id", "t1"."editor_id", "t1"."title", "t1"."stars" FROM "post" AS "t1" WHERE "t1"."tenant_id" = ?1 AND "t1"."author_id" IN (SELECT value FROM json_each(?2))
  posts of 0: [0] = [2]
  forced 1 Integer, keys 0.0 Integer[]
sqlite: SELECT "t1"."id", "t1"."name", "t2"."post_id" FROM "label" AS "t1" JOIN "post_label" AS "t2" ON "t1"."id" = "t2"."label_id" AND "t2"."tenant_id" = ?1 WHERE "t2"."post_id" IN (SELECT value FROM json_each(?2))
  posts.labels of 1: [0] = [2]
  forced 4 Integer, keys 1.0 Integer[]
sqlite: SELECT "t1"."id", "t1"."tenant_id", "t1"."name", "t2"."post_id" FROM "tag" AS "t1" JOIN "post_tags" AS "t2" ON "t1"."id" = "t2"."tag_id" WHERE "t1"."tenant_id" = ?1 AND "t2"."post_id" IN (SELECT value FROM json_each(?2))
  posts.tags of 1: [0] = [3]
  forced 3 Integer, keys 1.0 Integer[]
sqlite: SELECT "t1"."id", "t1"."tenant_id", "t1"."name", "t1"."boss_id" FROM "author" AS "t1" WHERE "t1"."tenant_id" = ?1 AND "t1"."id" IN (SELECT value FROM json_each(?2))
  posts.author of 1: [2] = [0]
  forced 0 Integer, keys 1.2 Integer[]
postgres: WITH "t0" AS (SELECT "boss_id", "id", "name", "tenant_id" FROM "author" AS "t0") SELECT "t0"."id", "t0"."tenant_id", "t0"."name", "t0"."boss_id" FROM "author" AS "t0" WHERE "t0"."tenant_id" = $1
  forced 0 Integer
postgres: WITH "t1" AS (SELECT "author_id", "editor_id", "id", "stars", "tenant_id", "title" FROM "post" AS "t1") SELECT "t1"."id", "t1"."tenant_id", "t1"."author_id", "t1"."editor_id", "t1"."title", "t1"."stars" FROM "post" AS "t1" WHERE "t1"."tenant_id" = $1 AND "t1"."author_id" = ANY($2)
  posts of 0: [0] = [2]
  forced 1 Integer, keys 0.0 Integer[]
postgres: WITH "t1" AS (SELECT "id", "name" FROM "label" AS "t1"), "t2" AS (SELECT "label_id", "post_id", "tenant_id" FROM "post_label" AS "t2") SELECT "t1"."id", "t1"."name", "t2"."post_id" FROM "label" AS "t1" JOIN "post_label" AS "t2" ON "t1"."id" = "t2"."label_id" AND "t2"."tenant_id" = $1 WHERE "t2"."post_id" = ANY($2)
  posts.labels of 1: [0] = [2]
  forced 4 Integer, keys 1.0 Integer[]
postgres: WITH "t1" AS (SELECT "id", "name", "tenant_id" FROM "tag" AS "t1"), "t2" AS (SELECT "post_id", "tag_id" FROM "post_tags" AS "t2") SELECT "t1"."id", "t1"."tenant_id", "t1"."name", "t2"."post_id" FROM "tag" AS "t1" JOIN "post_tags" AS "t2" ON "t1"."id" = "t2"."tag_id" WHERE "t1"."tenant_id" = $1 AND "t2"."post_id" = ANY($2)
  posts.tags of 1: [0] = [3]
  forced 3 Integer, keys 1.0 Integer[]
postgres: WITH "t1" AS (SELECT "boss_id", "id", "name", "tenant_id" FROM "author" AS "t1") SELECT "t1"."id", "t1"."tenant_id", "t1"."name", "t1"."boss_id" FROM "author" AS "t1" WHERE "t1"."tenant_id" = $1 AND "t1"."id" = ANY($2)
  posts.author of 1: [2] = [0]
  forced 0 Integer, keys 1.2 Integer[]
"##);
}

#[test]
fn t1_a_relation_out_of_scope_does_not_exist() {
    let scope = |readable: FieldSet| {
        let comments = TableScope { readable, ..open_scope("Comment") };
        scope(vec![open_scope("Post"), comments])
    };
    let denied = |path: &str, scope: &Scope| {
        let error = catalog().compile(&with("Post", &[path]), Dialect::Postgres, Some(scope));
        line(&error.unwrap_err())
    };
    let all = scope(FieldSet::All);
    insta::assert_snapshot!(denied("author", &all), @"denied: model `Post` has no relation `author`");
    insta::assert_snapshot!(denied("nothing", &all), @"denied: model `Post` has no relation `nothing`");
    insta::assert_snapshot!(denied("labels", &all), @"denied: model `Post` has no relation `labels`");
    let without = scope(FieldSet::Except(vec!["post_id".into()]));
    insta::assert_snapshot!(denied("comments", &without), @"denied: model `Post` has no relation `comments`");
}

/// Orders with a key of an enum and a uuid, and their lines.
fn orders() -> Schema {
    let key = |prefix: &str| {
        let name = |it: &str| format!("{prefix}{it}");
        vec![
            field(&name("region"), ColumnType::Enumeration("zone".into())),
            field(&name("number"), ColumnType::Uuid),
        ]
    };
    let order =
        Model { primary_key: vec!["region".into(), "number".into()], ..model("Order", key("")) };
    let mut fields = vec![id()];
    fields.extend(key("order_"));
    let line = Model {
        foreign_keys: vec![ForeignKey {
            fields: vec![
                ("order_region".into(), "region".into()),
                ("order_number".into(), "number".into()),
            ],
            reverse: Some("lines".into()),
            ..foreign_key("order", "order_region", "Order")
        }],
        ..model("Line", fields)
    };
    let zone = EnumType { name: "zone".into(), values: vec!["north".into(), "south".into()] };
    Schema { models: vec![order, line], enums: vec![zone] }
}

#[test]
fn keys_of_several_fields_belong_together() {
    let catalog = Catalog::new(orders()).unwrap();
    insta::assert_snapshot!(plans(&catalog, &with("Order", &["lines"]), None), @r##"
sqlite: SELECT "t0"."region", "t0"."number" FROM "order" AS "t0"
sqlite: SELECT "t1"."id", "t1"."order_region", "t1"."order_number" FROM "line" AS "t1" WHERE ("t1"."order_region", "t1"."order_number") IN (WITH "k0" AS MATERIALIZED (SELECT "key", "value" FROM json_each(?1)), "k1" AS MATERIALIZED (SELECT "key", "value" FROM json_each(?2)) SELECT "k0"."value", unhex("k1"."value") FROM "k0" JOIN "k1" ON "k1"."key" = "k0"."key")
  lines of 0: [0, 1] = [1, 2]
  keys 0.0 Text[], keys 0.1 Uuid[]
postgres: SELECT CAST("t0"."region" AS text), "t0"."number" FROM "order" AS "t0"
postgres: SELECT "t1"."id", CAST("t1"."order_region" AS text), "t1"."order_number" FROM "line" AS "t1" WHERE ("t1"."order_region", "t1"."order_number") IN (SELECT * FROM unnest(CAST($1 AS "zone"[]), $2))
  lines of 0: [0, 1] = [1, 2]
  keys 0.0 Text[], keys 0.1 Uuid[]
"##);
}

#[test]
fn keys_of_an_enum_are_values_of_its_type() {
    let mood = || ColumnType::Enumeration("mood".into());
    let state = model("State", vec![field("mood", mood())]);
    let visit = Model {
        foreign_keys: vec![ForeignKey {
            fields: vec![("mood".into(), "mood".into())],
            reverse: Some("visits".into()),
            ..foreign_key("state", "mood", "State")
        }],
        ..model("Visit", vec![id(), Field { nullable: true, ..field("mood", mood()) }])
    };
    let enums = vec![EnumType { name: "mood".into(), values: vec!["sad".into(), "glad".into()] }];
    let catalog = Catalog::new(Schema { models: vec![state, visit], enums }).unwrap();
    insta::assert_snapshot!(plans(&catalog, &with("State", &["visits"]), None), @r##"
sqlite: SELECT "t0"."mood" FROM "state" AS "t0"
sqlite: SELECT "t1"."id", "t1"."mood" FROM "visit" AS "t1" WHERE "t1"."mood" IN (SELECT value FROM json_each(?1))
  visits of 0: [0] = [1]
  keys 0.0 Text[]
postgres: SELECT CAST("t0"."mood" AS text) FROM "state" AS "t0"
postgres: SELECT "t1"."id", CAST("t1"."mood" AS text) FROM "visit" AS "t1" WHERE "t1"."mood" = ANY(CAST($1 AS "mood"[]))
  visits of 0: [0] = [1]
  keys 0.0 Text[]
"##);
}

#[test]
fn an_inclusion_that_makes_no_sense_is_refused_by_name() {
    insta::assert_snapshot!(refused(&with("Post", &["comment"])), @"invalid-query: model `Post` has no relation `comment`; did you mean `comments`?");
    insta::assert_snapshot!(refused(&with("Post", &["comments.post"])), @"invalid-query: relation `comments.post` is loaded with the rows of `comments`: include these before it");
    insta::assert_snapshot!(refused(&with("Post", &["author", "author"])), @"invalid-query: relation `author` is included twice");
    let nothing = vec![Inclusion { relations: vec![], rows: None }];
    let nothing = Nodes::default().select(Select { includes: nothing, ..all("Post") });
    insta::assert_snapshot!(refused(&nothing), @"invalid-query: an inclusion names at least one relation");
    let rows = |rows: Select, posts: Select| {
        let posts = Select { includes: vec![included("comments", Some(0))], ..posts };
        Nodes::default().query(vec![rows, posts], Statement::Select(1))
    };
    insta::assert_snapshot!(refused(&rows(all("Author"), all("Post"))), @"invalid-query: the rows of relation `comments` are those of `Comment`, not of `Author`");
    let distinct = Select { distinct: Distinct::Rows, ..all("Comment") };
    insta::assert_snapshot!(refused(&rows(distinct, all("Post"))), @"invalid-query: the rows of a relation are chosen by a filter, an order, a limit and an offset only");
    let nested = Select { includes: vec![included("post", None)], ..all("Comment") };
    insta::assert_snapshot!(refused(&rows(nested, all("Post"))), @"invalid-query: the relations of related rows are included by the query itself, as `comments.author`");
    let titles = Select { distinct: Distinct::Rows, projection: fields(&["title"]), ..all("Post") };
    insta::assert_snapshot!(refused(&rows(all("Comment"), titles)), @"invalid-query: distinct rows load relations only by what they list, and `id` is not listed");

    let mut nodes = Nodes::default();
    let star = nodes.star();
    let count = nodes.aggregate(AggregateFunction::Count, star);
    let includes = vec![included("comments", None)];
    let counted =
        Select { projection: outputs(&[count]), includes: includes.clone(), ..all("Post") };
    insta::assert_snapshot!(refused(&nodes.select(counted)), @"invalid-query: a select with groups or aggregates loads no relations");
    let posts = Select { includes, ..all("Post") };
    for statement in [Statement::Count(0), Statement::Exists(0), Statement::Delete(delete("Post"))]
    {
        let query = Nodes::default().query(vec![posts.clone()], statement);
        assert_eq!(
            refused(&query),
            "invalid-query: `Post.comments`: relations are loaded with the rows of a query only"
        );
    }
}

#[test]
fn s7_the_number_of_relations_is_bounded() {
    let paths: Vec<_> = (1..=65).map(|depth| vec!["boss"; depth].join(".")).collect();
    let paths: Vec<_> = paths.iter().map(String::as_str).collect();
    insta::assert_snapshot!(refused(&with("Author", &paths)), @"limit-exceeded: more than 64 relations are included");
    let most = catalog().compile(&with("Author", &paths[..64]), Dialect::Sqlite, None).unwrap();
    assert_eq!(most.steps.len(), 65);
    assert!(most.atomic);
}

#[test]
fn parameters_are_counted_over_all_steps() {
    let mut nodes = Nodes::default();
    let one = nodes.test("stars", B::Greater, 1, S::Integer);
    let other = nodes.test("title", B::Equal, 0, S::Text);
    let comments = Select { filter: Some(one), ..all("Comment") };
    let posts = Select {
        projection: Projection::Model,
        filter: Some(other),
        includes: vec![included("comments", Some(0))],
        ..all("Post")
    };
    let query = nodes.query(vec![comments, posts], Statement::Select(1));
    assert!(catalog().compile(&query, Dialect::Sqlite, None).is_ok());
}
