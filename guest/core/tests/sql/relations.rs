//! Queries across relations: joins to one row, conditions on many, and selects inside of selects.

use ferro_core::Catalog;
use ferro_wit::policy::{FieldSet, Scope, TableScope};
use ferro_wit::query::{
    AggregateFunction, Assignment, BinaryOperator as B, Distinct, Node, NodeRef, Projection,
    Quantifier, Query, Select, SetOperator, Statement, UnaryOperator, Update,
};
use ferro_wit::types::{Dialect, Error, ErrorKind, ScalarType as S};

use crate::blog::{self, tenant};
use crate::fixture::*;

fn plan(query: &Query) -> String {
    scoped(query, None)
}

fn scoped(query: &Query, scope: Option<&Scope>) -> String {
    plans(&Catalog::new(blog::schema()).unwrap(), query, scope)
}

fn scoped_error(query: &Query, scope: Option<&Scope>) -> Error {
    fault(&Catalog::new(blog::schema()).unwrap(), query, scope)
}

fn error(query: &Query) -> Error {
    scoped_error(query, None)
}

/// The ids of the rows of a model for which a condition holds.
fn matching(model: &str, build: impl FnOnce(&mut Nodes) -> NodeRef) -> Query {
    let mut nodes = Nodes::default();
    let filter = Some(build(&mut nodes));
    nodes.select(Select { filter, projection: fields(&["id"]), ..all(model) })
}

#[test]
fn a_path_joins_each_relation_once() {
    let mut nodes = Nodes::default();
    let name = nodes.path("author.name");
    let boss = nodes.path("author.boss.name");
    let editor = nodes.path("editor.name");
    let ada = nodes.parameter(0, S::Text);
    let filter = nodes.binary(name, B::Equal, ada);
    let query = nodes.select(Select {
        projection: outputs(&[name, boss]),
        filter: Some(filter),
        order_by: vec![ascending(editor), descending(name)],
        ..all("Post")
    });
    insta::assert_snapshot!(plan(&query), @r##"
sqlite: SELECT "t1"."name", "t2"."name" FROM "post" AS "t0" JOIN "author" AS "t1" ON "t1"."id" = "t0"."author_id" LEFT JOIN "author" AS "t2" ON "t2"."id" = "t1"."boss_id" LEFT JOIN "author" AS "t3" ON "t3"."id" = "t0"."editor_id" WHERE "t1"."name" = ?1 ORDER BY "t3"."name" NULLS LAST, "t1"."name" DESC, "t0"."id"
  parameter 0 Text
postgres: SELECT "t1"."name", "t2"."name" FROM "post" AS "t0" JOIN "author" AS "t1" ON "t1"."id" = "t0"."author_id" LEFT JOIN "author" AS "t2" ON "t2"."id" = "t1"."boss_id" LEFT JOIN "author" AS "t3" ON "t3"."id" = "t0"."editor_id" WHERE "t1"."name" = $1 ORDER BY "t3"."name", "t1"."name" DESC, "t0"."id"
  parameter 0 Text
"##);
}

#[test]
fn t2_a_row_outside_of_the_scope_is_joined_as_none() {
    let mut nodes = Nodes::default();
    let name = nodes.path("author.name");
    let query = nodes.select(Select {
        projection: outputs(&[name]),
        order_by: vec![ascending(name)],
        ..all("Post")
    });
    insta::assert_snapshot!(scoped(&query, Some(&tenant())), @r##"
sqlite: SELECT "t1"."name" FROM "post" AS "t0" LEFT JOIN "author" AS "t1" ON "t1"."id" = "t0"."author_id" AND "t1"."tenant_id" = ?1 WHERE "t0"."tenant_id" = ?2 ORDER BY "t1"."name" NULLS LAST, "t0"."id"
  forced 0 Integer, forced 1 Integer
postgres: WITH "t0" AS (SELECT "author_id", "id", "tenant_id" FROM "post" AS "t0"), "t1" AS (SELECT "id", "name", "tenant_id" FROM "author" AS "t1") SELECT "t1"."name" FROM "post" AS "t0" LEFT JOIN "author" AS "t1" ON "t1"."id" = "t0"."author_id" AND "t1"."tenant_id" = $1 WHERE "t0"."tenant_id" = $2 ORDER BY "t1"."name", "t0"."id"
  forced 0 Integer, forced 1 Integer
"##);
}

#[test]
fn groups_are_made_by_fields_of_other_models() {
    let mut nodes = Nodes::default();
    let name = nodes.path("author.name");
    let star = nodes.star();
    let count = nodes.aggregate(AggregateFunction::Count, star);
    let stars = nodes.path("editor.boss_id");
    let most = nodes.aggregate(AggregateFunction::Maximum, stars);
    let query = nodes.select(Select {
        projection: outputs(&[name, count, most]),
        group_by: vec![name],
        ..all("Post")
    });
    insta::assert_snapshot!(plan(&query), @r##"
sqlite: SELECT "t1"."name", count(*), max("t2"."boss_id") FROM "post" AS "t0" JOIN "author" AS "t1" ON "t1"."id" = "t0"."author_id" LEFT JOIN "author" AS "t2" ON "t2"."id" = "t0"."editor_id" GROUP BY "t1"."name"
postgres: SELECT "t1"."name", count(*), max("t2"."boss_id") FROM "post" AS "t0" JOIN "author" AS "t1" ON "t1"."id" = "t0"."author_id" LEFT JOIN "author" AS "t2" ON "t2"."id" = "t0"."editor_id" GROUP BY "t1"."name"
"##);
}

#[test]
fn the_way_back_of_a_unique_key_leads_to_one_row_or_none() {
    let query = matching("Author", |it| {
        let bio = it.path("profile.bio");
        it.unary(UnaryOperator::IsNull, bio)
    });
    insta::assert_snapshot!(plan(&query), @r##"
sqlite: SELECT "t0"."id" FROM "author" AS "t0" LEFT JOIN "profile" AS "t1" ON "t1"."author_id" = "t0"."id" WHERE "t1"."bio" IS NULL
postgres: SELECT "t0"."id" FROM "author" AS "t0" LEFT JOIN "profile" AS "t1" ON "t1"."author_id" = "t0"."id" WHERE "t1"."bio" IS NULL
"##);
}

#[test]
fn a_path_does_not_cross_to_many_rows() {
    let query = matching("Author", |it| {
        let title = it.path("posts.title");
        it.unary(UnaryOperator::IsNull, title)
    });
    insta::assert_snapshot!(line(&error(&query)), @"invalid-query: `Author.posts.title`: relation `posts` of `Author` leads to many rows: ask about them with `related`");
    let query = matching("Author", |it| {
        let title = it.path("post.title");
        it.unary(UnaryOperator::IsNull, title)
    });
    insta::assert_snapshot!(line(&error(&query)), @"invalid-query: `Author.post.title`: model `Author` has no relation `post`; did you mean `posts`?");
}

#[test]
fn any_none_and_all_are_asked_of_related_rows() {
    let query = |quantifier, condition: bool| {
        matching("Author", |it| {
            let condition = condition.then(|| it.test("stars", B::Greater, 0, S::Integer));
            it.related(quantifier, &["posts"], condition)
        })
    };
    insta::assert_snapshot!(plan(&query(Quantifier::Any, true)), @r##"
sqlite: SELECT "t0"."id" FROM "author" AS "t0" WHERE EXISTS (SELECT 1 FROM "post" AS "t1" WHERE "t1"."author_id" = "t0"."id" AND "t1"."stars" > ?1 LIMIT 1)
  parameter 0 Integer
postgres: SELECT "t0"."id" FROM "author" AS "t0" WHERE EXISTS (SELECT 1 FROM "post" AS "t1" WHERE "t1"."author_id" = "t0"."id" AND "t1"."stars" > $1)
  parameter 0 Integer
"##);
    insta::assert_snapshot!(plan(&query(Quantifier::None, false)), @r##"
sqlite: SELECT "t0"."id" FROM "author" AS "t0" WHERE NOT EXISTS (SELECT 1 FROM "post" AS "t1" WHERE "t1"."author_id" = "t0"."id" LIMIT 1)
postgres: SELECT "t0"."id" FROM "author" AS "t0" WHERE NOT EXISTS (SELECT 1 FROM "post" AS "t1" WHERE "t1"."author_id" = "t0"."id")
"##);
    insta::assert_snapshot!(plan(&query(Quantifier::All, true)), @r##"
sqlite: SELECT "t0"."id" FROM "author" AS "t0" WHERE NOT EXISTS (SELECT 1 FROM "post" AS "t1" WHERE "t1"."author_id" = "t0"."id" AND ("t1"."stars" > ?1) IS NOT 1 LIMIT 1)
  parameter 0 Integer
postgres: SELECT "t0"."id" FROM "author" AS "t0" WHERE NOT EXISTS (SELECT 1 FROM "post" AS "t1" WHERE "t1"."author_id" = "t0"."id" AND ("t1"."stars" > $1) IS NOT TRUE)
  parameter 0 Integer
"##);
    insta::assert_snapshot!(line(&error(&query(Quantifier::All, false))), @"invalid-query: `Author.posts`: `all` needs a condition");
}

#[test]
fn t2_every_table_on_the_way_is_in_scope() {
    let query = matching("Author", |it| {
        let stars = it.test("stars", B::Greater, 0, S::Integer);
        it.related(Quantifier::Any, &["posts", "comments"], Some(stars))
    });
    insta::assert_snapshot!(scoped(&query, Some(&tenant())), @r##"
sqlite: SELECT "t0"."id" FROM "author" AS "t0" WHERE "t0"."tenant_id" = ?1 AND EXISTS (SELECT 1 FROM "post" AS "t1" WHERE "t1"."author_id" = "t0"."id" AND "t1"."tenant_id" = ?2 AND EXISTS (SELECT 1 FROM "comment" AS "t2" WHERE "t2"."post_id" = "t1"."id" AND "t2"."tenant_id" = ?3 AND "t2"."stars" > ?4 LIMIT 1) LIMIT 1)
  forced 0 Integer, forced 1 Integer, forced 2 Integer, parameter 0 Integer
postgres: WITH "t0" AS (SELECT "id", "tenant_id" FROM "author" AS "t0"), "t1" AS (SELECT "author_id", "id", "tenant_id" FROM "post" AS "t1"), "t2" AS (SELECT "post_id", "stars", "tenant_id" FROM "comment" AS "t2") SELECT "t0"."id" FROM "author" AS "t0" WHERE "t0"."tenant_id" = $1 AND EXISTS (SELECT 1 FROM "post" AS "t1" WHERE "t1"."author_id" = "t0"."id" AND "t1"."tenant_id" = $2 AND EXISTS (SELECT 1 FROM "comment" AS "t2" WHERE "t2"."post_id" = "t1"."id" AND "t2"."tenant_id" = $3 AND "t2"."stars" > $4))
  forced 0 Integer, forced 1 Integer, forced 2 Integer, parameter 0 Integer
"##);
    let query = matching("Post", |it| {
        let name = it.test("name", B::Equal, 0, S::Text);
        it.related(Quantifier::None, &["labels"], Some(name))
    });
    insta::assert_snapshot!(scoped(&query, Some(&tenant())), @r##"
sqlite: SELECT "t0"."id" FROM "post" AS "t0" WHERE "t0"."tenant_id" = ?1 AND NOT EXISTS (SELECT 1 FROM "label" AS "t1" JOIN "post_label" AS "t2" ON "t1"."id" = "t2"."label_id" AND "t2"."tenant_id" = ?2 WHERE "t2"."post_id" = "t0"."id" AND "t1"."name" = ?3 LIMIT 1)
  forced 1 Integer, forced 4 Integer, parameter 0 Text
postgres: WITH "t0" AS (SELECT "id", "tenant_id" FROM "post" AS "t0"), "t1" AS (SELECT "id", "name" FROM "label" AS "t1"), "t2" AS (SELECT "label_id", "post_id", "tenant_id" FROM "post_label" AS "t2") SELECT "t0"."id" FROM "post" AS "t0" WHERE "t0"."tenant_id" = $1 AND NOT EXISTS (SELECT 1 FROM "label" AS "t1" JOIN "post_label" AS "t2" ON "t1"."id" = "t2"."label_id" AND "t2"."tenant_id" = $2 WHERE "t2"."post_id" = "t0"."id" AND "t1"."name" = $3)
  forced 1 Integer, forced 4 Integer, parameter 0 Text
"##);
}

#[test]
fn many_to_many_goes_through_the_table_of_pairs_both_ways() {
    let query = |model, relation, field| {
        matching(model, |it| {
            let field = it.test(field, B::Equal, 0, S::Text);
            it.related(Quantifier::Any, &[relation], Some(field))
        })
    };
    insta::assert_snapshot!(plan(&query("Post", "tags", "name")), @r##"
sqlite: SELECT "t0"."id" FROM "post" AS "t0" WHERE EXISTS (SELECT 1 FROM "tag" AS "t1" JOIN "post_tags" AS "t2" ON "t1"."id" = "t2"."tag_id" WHERE "t2"."post_id" = "t0"."id" AND "t1"."name" = ?1 LIMIT 1)
  parameter 0 Text
postgres: SELECT "t0"."id" FROM "post" AS "t0" WHERE EXISTS (SELECT 1 FROM "tag" AS "t1" JOIN "post_tags" AS "t2" ON "t1"."id" = "t2"."tag_id" WHERE "t2"."post_id" = "t0"."id" AND "t1"."name" = $1)
  parameter 0 Text
"##);
    insta::assert_snapshot!(plan(&query("Tag", "posts", "title")), @r##"
sqlite: SELECT "t0"."id" FROM "tag" AS "t0" WHERE EXISTS (SELECT 1 FROM "post" AS "t1" JOIN "post_tags" AS "t2" ON "t1"."id" = "t2"."post_id" WHERE "t2"."tag_id" = "t0"."id" AND "t1"."title" = ?1 LIMIT 1)
  parameter 0 Text
postgres: SELECT "t0"."id" FROM "tag" AS "t0" WHERE EXISTS (SELECT 1 FROM "post" AS "t1" JOIN "post_tags" AS "t2" ON "t1"."id" = "t2"."post_id" WHERE "t2"."tag_id" = "t0"."id" AND "t1"."title" = $1)
  parameter 0 Text
"##);
    insta::assert_snapshot!(plan(&query("Label", "posts", "title")), @r##"
sqlite: SELECT "t0"."id" FROM "label" AS "t0" WHERE EXISTS (SELECT 1 FROM "post" AS "t1" JOIN "post_label" AS "t2" ON "t1"."id" = "t2"."post_id" WHERE "t2"."label_id" = "t0"."id" AND "t1"."title" = ?1 LIMIT 1)
  parameter 0 Text
postgres: SELECT "t0"."id" FROM "label" AS "t0" WHERE EXISTS (SELECT 1 FROM "post" AS "t1" JOIN "post_label" AS "t2" ON "t1"."id" = "t2"."post_id" WHERE "t2"."label_id" = "t0"."id" AND "t1"."title" = $1)
  parameter 0 Text
"##);
}

#[test]
fn conditions_on_related_rows_nest_and_look_outwards() {
    let query = matching("Author", |it| {
        let own = it.outer_path(2, "name");
        let body = it.field("body");
        let named = it.binary(body, B::Contains, own);
        let comments = it.related(Quantifier::Any, &["comments"], Some(named));
        let editor = it.path("editor.id");
        let author = it.outer_path(1, "id");
        let other = it.binary(editor, B::IsDistinct, author);
        let both = it.add(Node::AllOf(vec![comments, other]));
        it.related(Quantifier::Any, &["posts"], Some(both))
    });
    insta::assert_snapshot!(plan(&query), @r##"
sqlite: SELECT "t0"."id" FROM "author" AS "t0" WHERE EXISTS (SELECT 1 FROM "post" AS "t1" LEFT JOIN "author" AS "t3" ON "t3"."id" = "t1"."editor_id" WHERE "t1"."author_id" = "t0"."id" AND EXISTS (SELECT 1 FROM "comment" AS "t2" WHERE "t2"."post_id" = "t1"."id" AND instr("t2"."body", "t0"."name") > 0 LIMIT 1) AND "t3"."id" IS DISTINCT FROM "t0"."id" LIMIT 1)
postgres: SELECT "t0"."id" FROM "author" AS "t0" WHERE EXISTS (SELECT 1 FROM "post" AS "t1" LEFT JOIN "author" AS "t3" ON "t3"."id" = "t1"."editor_id" WHERE "t1"."author_id" = "t0"."id" AND EXISTS (SELECT 1 FROM "comment" AS "t2" WHERE "t2"."post_id" = "t1"."id" AND strpos("t2"."body", "t0"."name") > 0) AND "t3"."id" IS DISTINCT FROM "t0"."id")
"##);
    let query = matching("Author", |it| {
        let field = it.outer_path(1, "name");
        it.unary(UnaryOperator::IsNull, field)
    });
    insta::assert_snapshot!(line(&error(&query)), @"invalid-query: there is no select around this one");
}

#[test]
fn relations_to_one_row_are_joined_on_the_way_to_many() {
    let query = matching("Comment", |it| {
        let stars = it.test("stars", B::Greater, 0, S::Integer);
        it.related(Quantifier::Any, &["post", "author", "posts"], Some(stars))
    });
    insta::assert_snapshot!(plan(&query), @r##"
sqlite: SELECT "t0"."id" FROM "comment" AS "t0" JOIN "post" AS "t1" ON "t1"."id" = "t0"."post_id" JOIN "author" AS "t2" ON "t2"."id" = "t1"."author_id" WHERE EXISTS (SELECT 1 FROM "post" AS "t3" WHERE "t3"."author_id" = "t2"."id" AND "t3"."stars" > ?1 LIMIT 1)
  parameter 0 Integer
postgres: SELECT "t0"."id" FROM "comment" AS "t0" JOIN "post" AS "t1" ON "t1"."id" = "t0"."post_id" JOIN "author" AS "t2" ON "t2"."id" = "t1"."author_id" WHERE EXISTS (SELECT 1 FROM "post" AS "t3" WHERE "t3"."author_id" = "t2"."id" AND "t3"."stars" > $1)
  parameter 0 Integer
"##);
}

fn inner(nodes: Nodes, selects: Vec<Select>) -> Query {
    let last = u32::try_from(selects.len() - 1).unwrap();
    nodes.query(selects, Statement::Select(last))
}

#[test]
fn selects_stand_in_expressions() {
    let mut nodes = Nodes::default();
    let star = nodes.star();
    let count = nodes.aggregate(AggregateFunction::Count, star);
    let (author, own) = (nodes.field("author_id"), nodes.outer_path(1, "id"));
    let same = nodes.binary(author, B::Equal, own);
    let posts = Select { projection: outputs(&[count]), filter: Some(same), ..all("Post") };
    let number = nodes.add(Node::Subquery(0));
    let starred = nodes.test("stars", B::Greater, 0, S::Integer);
    let both = nodes.add(Node::AllOf(vec![same, starred]));
    let found = Select { filter: Some(both), ..all("Post") };
    let exists = nodes.add(Node::Exists(1));
    let tenants = Select { projection: fields(&["tenant_id"]), ..all("Tag") };
    let own = nodes.field("tenant_id");
    let tagged = nodes.add(Node::InSelect((own, 2)));
    let neither = nodes.unary(UnaryOperator::Not, tagged);
    let filter = nodes.add(Node::AllOf(vec![exists, neither]));
    let name = nodes.field("name");
    let scope = blog::tenant();
    let authors = Select {
        projection: outputs(&[name, number]),
        filter: Some(filter),
        order_by: vec![descending(number)],
        ..all("Author")
    };
    let query = inner(nodes, vec![posts, found, tenants, authors]);
    insta::assert_snapshot!(plan(&query), @r##"
sqlite: SELECT "t0"."name", (SELECT count(*) FROM "post" AS "t1" WHERE "t1"."author_id" = "t0"."id") FROM "author" AS "t0" WHERE EXISTS (SELECT 1 FROM "post" AS "t2" WHERE "t2"."author_id" = "t0"."id" AND "t2"."stars" > ?1 LIMIT 1) AND NOT ("t0"."tenant_id" IN (SELECT "t3"."tenant_id" FROM "tag" AS "t3")) ORDER BY (SELECT count(*) FROM "post" AS "t1" WHERE "t1"."author_id" = "t0"."id") DESC, "t0"."id"
  parameter 0 Integer
postgres: SELECT "t0"."name", (SELECT count(*) FROM "post" AS "t1" WHERE "t1"."author_id" = "t0"."id") FROM "author" AS "t0" WHERE EXISTS (SELECT 1 FROM "post" AS "t2" WHERE "t2"."author_id" = "t0"."id" AND "t2"."stars" > $1) AND NOT ("t0"."tenant_id" IN (SELECT "t3"."tenant_id" FROM "tag" AS "t3")) ORDER BY (SELECT count(*) FROM "post" AS "t1" WHERE "t1"."author_id" = "t0"."id") DESC NULLS LAST, "t0"."id"
  parameter 0 Integer
"##);
    insta::assert_snapshot!(scoped(&query, Some(&scope)), @r##"
sqlite: SELECT "t0"."name", (SELECT count(*) FROM "post" AS "t1" WHERE "t1"."tenant_id" = ?1 AND "t1"."author_id" = "t0"."id") FROM "author" AS "t0" WHERE "t0"."tenant_id" = ?2 AND EXISTS (SELECT 1 FROM "post" AS "t2" WHERE "t2"."tenant_id" = ?1 AND "t2"."author_id" = "t0"."id" AND "t2"."stars" > ?3 LIMIT 1) AND NOT ("t0"."tenant_id" IN (SELECT "t3"."tenant_id" FROM "tag" AS "t3" WHERE "t3"."tenant_id" = ?4)) ORDER BY (SELECT count(*) FROM "post" AS "t1" WHERE "t1"."tenant_id" = ?1 AND "t1"."author_id" = "t0"."id") DESC, "t0"."id"
  forced 1 Integer, forced 0 Integer, parameter 0 Integer, forced 3 Integer
postgres: WITH "t0" AS (SELECT "id", "name", "tenant_id" FROM "author" AS "t0"), "t1" AS (SELECT "author_id", "tenant_id" FROM "post" AS "t1"), "t2" AS (SELECT "author_id", "stars", "tenant_id" FROM "post" AS "t2"), "t3" AS (SELECT "tenant_id" FROM "tag" AS "t3") SELECT "t0"."name", (SELECT count(*) FROM "post" AS "t1" WHERE "t1"."tenant_id" = $1 AND "t1"."author_id" = "t0"."id") FROM "author" AS "t0" WHERE "t0"."tenant_id" = $2 AND EXISTS (SELECT 1 FROM "post" AS "t2" WHERE "t2"."tenant_id" = $1 AND "t2"."author_id" = "t0"."id" AND "t2"."stars" > $3) AND NOT ("t0"."tenant_id" IN (SELECT "t3"."tenant_id" FROM "tag" AS "t3" WHERE "t3"."tenant_id" = $4)) ORDER BY (SELECT count(*) FROM "post" AS "t1" WHERE "t1"."tenant_id" = $1 AND "t1"."author_id" = "t0"."id") DESC NULLS LAST, "t0"."id"
  forced 1 Integer, forced 0 Integer, parameter 0 Integer, forced 3 Integer
"##);
}

#[test]
fn an_update_writes_what_selects_find() {
    let query = blog::updated("Post", "stars", ["Comment", "stars"], Some("post_id"));
    insta::assert_snapshot!(plan(&query), @r##"
sqlite: UPDATE "post" AS "t0" SET "stars" = (SELECT CASE typeof("found") WHEN 'real' THEN abs(-9223372036854775808) ELSE "found" END FROM (SELECT (SELECT max("t1"."stars") FROM "comment" AS "t1" WHERE "t1"."post_id" = "t0"."id") AS "found"))
postgres: UPDATE "post" AS "t0" SET "stars" = (SELECT max("t1"."stars") FROM "comment" AS "t1" WHERE "t1"."post_id" = "t0"."id")
"##);
    insta::assert_snapshot!(scoped(&query, Some(&blog::tenant())), @r##"
sqlite: UPDATE "post" AS "t0" SET "stars" = (SELECT CASE typeof("found") WHEN 'real' THEN abs(-9223372036854775808) ELSE "found" END FROM (SELECT (SELECT max("t1"."stars") FROM "comment" AS "t1" WHERE "t1"."tenant_id" = ?1 AND "t1"."post_id" = "t0"."id") AS "found")) WHERE "t0"."tenant_id" = ?2
  forced 2 Integer, forced 1 Integer
postgres: WITH "t0" AS (SELECT "id", "tenant_id" FROM "post" AS "t0"), "t1" AS (SELECT "post_id", "stars", "tenant_id" FROM "comment" AS "t1") UPDATE "post" AS "t0" SET "stars" = (SELECT max("t1"."stars") FROM "comment" AS "t1" WHERE "t1"."tenant_id" = $1 AND "t1"."post_id" = "t0"."id") WHERE "t0"."tenant_id" = $2
  forced 2 Integer, forced 1 Integer
"##);
    let query = blog::updated("Post", "stars", ["Post", "stars"], None);
    insta::assert_snapshot!(plan(&query), @r##"
sqlite: UPDATE "post" AS "t0" SET "stars" = (SELECT CASE typeof("found") WHEN 'real' THEN abs(-9223372036854775808) ELSE "found" END FROM (SELECT (SELECT max("t1"."stars") FROM "post" AS "t1") AS "found"))
postgres: UPDATE "post" AS "t0" SET "stars" = (SELECT max("t1"."stars") FROM "post" AS "t1")
"##);
}

#[test]
fn a_select_in_a_value_looks_at_its_row_only_where_that_is_as_it_was() {
    let compiled = |query: &Query, dialect, scope| {
        let plan = Catalog::new(blog::schema()).unwrap().compile(query, dialect, scope);
        plan.map_or_else(|error| line(&error), |plan| plan.steps[0].sql.clone())
    };
    let own = blog::updated("Post", "stars", ["Post", "stars"], Some("author_id"));
    insta::assert_snapshot!(compiled(&own, Dialect::Sqlite, None), @"unsupported: `Post.stars`: SQLite would read rows that the update has changed already: a value to write that looks at its row has no select of the same table, and of no common table");
    let of_posts = blog::updated("Author", "name", ["Post", "title"], Some("author_id"));
    insta::assert_snapshot!(compiled(&of_posts, Dialect::Postgres, Some(&blog::tenant())), @r##"WITH "t0" AS (SELECT "id", "tenant_id" FROM "author" AS "t0"), "t1" AS (SELECT "author_id", "tenant_id", "title" FROM "post" AS "t1") UPDATE "author" AS "t0" SET "name" = (SELECT max("t1"."title") FROM "post" AS "t1" WHERE "t1"."tenant_id" = $1 AND "t1"."author_id" = "t0"."id") WHERE "t0"."tenant_id" = $2"##);
}

#[test]
fn a_select_in_two_values_is_refused_in_the_one_that_looks_at_its_row() {
    let mut nodes = Nodes::default();
    let stars = nodes.field("stars");
    let largest = nodes.aggregate(AggregateFunction::Maximum, stars);
    let inner = Select { projection: outputs(&[largest]), ..all("Post") };
    let value = nodes.add(Node::Subquery(1));
    let more = nodes.binary(stars, B::Add, value);
    let set = ["tenant_id", "stars"].into_iter().zip([value, more]);
    let set = set.map(|(field, value)| Assignment { field: field.into(), value }).collect();
    let update = Update { set, ..update("Post") };
    let query = nodes.query(vec![all("Post"), inner], Statement::Update(update));
    let catalog = Catalog::new(blog::schema()).unwrap();
    let fault = catalog.compile(&query, Dialect::Sqlite, None).unwrap_err();
    insta::assert_snapshot!(line(&fault), @"unsupported: `Post.stars`: SQLite would read rows that the update has changed already: a value to write that looks at its row has no select of the same table, and of no common table");
}

#[test]
fn what_an_update_returns_is_of_its_own_row_though_it_was_written() {
    let mut query = blog::updated("Post", "stars", ["Comment", "stars"], Some("post_id"));
    let Statement::Update(update) = &mut query.statement else { unreachable!() };
    update.returning = Some(outputs(&[update.set[0].value]));
    insta::assert_snapshot!(line(&error(&query)), @"unsupported: a query of `Comment`: values to write and what a write returns are made of the fields of its own row: no relations and selects");
}

#[test]
fn a_select_that_stands_for_a_value_has_one_column_and_one_row() {
    let value = |select: Select| {
        let mut nodes = Nodes::default();
        nodes.integer(1);
        let value = nodes.add(Node::Subquery(0));
        let authors = Select { projection: outputs(&[value]), ..all("Author") };
        line(&error(&inner(nodes, vec![select, authors])))
    };
    insta::assert_snapshot!(value(all("Post")), @"invalid-query: a query of `Post`: a select that stands for a value has one column");
    insta::assert_snapshot!(value(Select { projection: fields(&["title"]), ..all("Post") }), @"invalid-query: a query of `Post`: a select that stands for a value has one row: give it a limit of 1, or an aggregate without groups");
    let mut nodes = Nodes::default();
    let id = nodes.field("id");
    let largest = nodes.aggregate(AggregateFunction::Maximum, id);
    let value = nodes.add(Node::Subquery(1));
    let ids = Select { projection: fields(&["id"]), ..all("Post") };
    let more = Select {
        projection: outputs(&[largest]),
        combined: vec![(SetOperator::UnionAll, 0)],
        ..all("Post")
    };
    let authors = Select { projection: outputs(&[value]), ..all("Author") };
    let fault = error(&inner(nodes, vec![ids, more, authors]));
    insta::assert_snapshot!(line(&fault), @"invalid-query: a query of `Post`: a select that stands for a value has one row: give it a limit of 1, or an aggregate without groups");
    let mut nodes = Nodes::default();
    let one = nodes.integer(1);
    let value = nodes.add(Node::Subquery(0));
    let first = Select { projection: fields(&["title"]), limit: Some(one), ..all("Post") };
    let authors = Select { projection: outputs(&[value]), ..all("Author") };
    insta::assert_snapshot!(plan(&inner(nodes, vec![first, authors])), @r##"
sqlite: SELECT (SELECT "t1"."title" FROM "post" AS "t1" ORDER BY "t1"."id" LIMIT 1) FROM "author" AS "t0"
postgres: SELECT (SELECT "t1"."title" FROM "post" AS "t1" ORDER BY "t1"."id" LIMIT 1) FROM "author" AS "t0"
"##);
}

#[test]
fn values_are_looked_for_among_values_of_their_type() {
    let mut nodes = Nodes::default();
    let name = nodes.field("name");
    let filter = nodes.add(Node::InSelect((name, 0)));
    let ids = Select { projection: fields(&["id"]), ..all("Post") };
    let authors = Select { filter: Some(filter), ..all("Author") };
    insta::assert_snapshot!(line(&error(&inner(nodes, vec![ids, authors]))), @"type-mismatch: `Author.name`: text cannot be compared with integer");
}

/// A term that can fail is asked only where every row that it depends on is in scope, or missing.
#[test]
fn t3_what_can_fail_is_guarded_by_every_row_that_it_depends_on() {
    let fails = |it: &mut Nodes, path: &str| {
        let one = it.integer(1);
        let id = it.path(path);
        let quotient = it.binary(one, B::Divide, id);
        let two = it.integer(2);
        it.binary(quotient, B::Greater, two)
    };
    let joined = matching("Post", |it| fails(it, "author.id"));
    insta::assert_snapshot!(scoped(&joined, Some(&tenant())), @r##"
sqlite: SELECT "t0"."id" FROM "post" AS "t0" LEFT JOIN "author" AS "t1" ON "t1"."id" = "t0"."author_id" AND "t1"."tenant_id" = ?1 WHERE "t0"."tenant_id" = ?2 AND CASE WHEN "t0"."tenant_id" = ?2 AND ("t1"."id" IS NULL AND "t1"."tenant_id" IS NULL AND "t1"."name" IS NULL AND "t1"."boss_id" IS NULL OR "t1"."tenant_id" = ?1) THEN (1 / "t1"."id") > 2 ELSE 0 END
  forced 0 Integer, forced 1 Integer
postgres: WITH "t0" AS (SELECT "author_id", "id", "tenant_id" FROM "post" AS "t0"), "t1" AS (SELECT "boss_id", "id", "name", "tenant_id" FROM "author" AS "t1") SELECT "t0"."id" FROM "post" AS "t0" LEFT JOIN "author" AS "t1" ON "t1"."id" = "t0"."author_id" AND "t1"."tenant_id" = $1 WHERE "t0"."tenant_id" = $2 AND CASE WHEN "t0"."tenant_id" = $2 AND ("t1"."id" IS NULL AND "t1"."tenant_id" IS NULL AND "t1"."name" IS NULL AND "t1"."boss_id" IS NULL OR "t1"."tenant_id" = $1) THEN (CAST(1 AS bigint) / NULLIF(CAST("t1"."id" AS bigint), 0)) > 2 ELSE FALSE END
  forced 0 Integer, forced 1 Integer
"##);
    let related = |quantifier| {
        matching("Author", |it| {
            let inner = fails(it, "id");
            let one = it.integer(1);
            let outer = it.outer_path(1, "id");
            let sum = it.binary(one, B::Add, outer);
            let outer = it.binary(sum, B::Greater, one);
            let both = it.add(Node::AllOf(vec![inner, outer]));
            it.related(quantifier, &["posts"], Some(both))
        })
    };
    insta::assert_snapshot!(scoped(&related(Quantifier::Any), Some(&tenant())), @r##"
sqlite: SELECT "t0"."id" FROM "author" AS "t0" WHERE "t0"."tenant_id" = ?1 AND EXISTS (SELECT 1 FROM "post" AS "t1" WHERE "t1"."author_id" = "t0"."id" AND "t1"."tenant_id" = ?2 AND CASE WHEN "t1"."tenant_id" = ?2 THEN (1 / "t1"."id") > 2 ELSE 0 END AND CASE WHEN "t0"."tenant_id" = ?1 AND "t1"."tenant_id" = ?2 THEN (1 + "t0"."id") > 1 ELSE 0 END LIMIT 1)
  forced 0 Integer, forced 1 Integer
postgres: WITH "t0" AS (SELECT "id", "tenant_id" FROM "author" AS "t0"), "t1" AS (SELECT "author_id", "id", "tenant_id" FROM "post" AS "t1") SELECT "t0"."id" FROM "author" AS "t0" WHERE "t0"."tenant_id" = $1 AND EXISTS (SELECT 1 FROM "post" AS "t1" WHERE "t1"."author_id" = "t0"."id" AND "t1"."tenant_id" = $2 AND CASE WHEN "t1"."tenant_id" = $2 THEN (CAST(1 AS bigint) / NULLIF(CAST("t1"."id" AS bigint), 0)) > 2 ELSE FALSE END AND CASE WHEN "t0"."tenant_id" = $1 AND "t1"."tenant_id" = $2 THEN (CAST(1 AS bigint) + CAST("t0"."id" AS bigint)) > 1 ELSE FALSE END)
  forced 0 Integer, forced 1 Integer
"##);
    insta::assert_snapshot!(scoped(&related(Quantifier::All), Some(&tenant())), @r##"
sqlite: SELECT "t0"."id" FROM "author" AS "t0" WHERE "t0"."tenant_id" = ?1 AND NOT EXISTS (SELECT 1 FROM "post" AS "t1" WHERE "t1"."author_id" = "t0"."id" AND "t1"."tenant_id" = ?2 AND CASE WHEN "t0"."tenant_id" = ?1 AND "t1"."tenant_id" = ?2 THEN ((1 / "t1"."id") > 2 AND (1 + "t0"."id") > 1) IS NOT 1 ELSE 0 END LIMIT 1)
  forced 0 Integer, forced 1 Integer
postgres: WITH "t0" AS (SELECT "id", "tenant_id" FROM "author" AS "t0"), "t1" AS (SELECT "author_id", "id", "tenant_id" FROM "post" AS "t1") SELECT "t0"."id" FROM "author" AS "t0" WHERE "t0"."tenant_id" = $1 AND NOT EXISTS (SELECT 1 FROM "post" AS "t1" WHERE "t1"."author_id" = "t0"."id" AND "t1"."tenant_id" = $2 AND CASE WHEN "t0"."tenant_id" = $1 AND "t1"."tenant_id" = $2 THEN ((CAST(1 AS bigint) / NULLIF(CAST("t1"."id" AS bigint), 0)) > 2 AND (CAST(1 AS bigint) + CAST("t0"."id" AS bigint)) > 1) IS NOT TRUE ELSE FALSE END)
  forced 0 Integer, forced 1 Integer
"##);
    let mut nodes = Nodes::default();
    let (one, id) = (nodes.integer(1), nodes.field("id"));
    let quotient = nodes.binary(one, B::Divide, id);
    let filter = nodes.add(Node::InSelect((id, 0)));
    let posts = Select { projection: outputs(&[quotient]), ..all("Post") };
    let authors = Select { filter: Some(filter), projection: fields(&["id"]), ..all("Author") };
    insta::assert_snapshot!(scoped(&inner(nodes, vec![posts, authors]), Some(&tenant())), @r##"
sqlite: SELECT "t0"."id" FROM "author" AS "t0" WHERE "t0"."tenant_id" = ?1 AND CASE WHEN "t0"."tenant_id" = ?1 THEN "t0"."id" IN (SELECT CASE WHEN "t1"."tenant_id" = ?2 THEN 1 / "t1"."id" END FROM "post" AS "t1" WHERE "t1"."tenant_id" = ?2) ELSE 0 END
  forced 0 Integer, forced 1 Integer
postgres: WITH "t0" AS (SELECT "id", "tenant_id" FROM "author" AS "t0"), "t1" AS (SELECT "id", "tenant_id" FROM "post" AS "t1") SELECT "t0"."id" FROM "author" AS "t0" WHERE "t0"."tenant_id" = $1 AND CASE WHEN "t0"."tenant_id" = $1 THEN "t0"."id" IN (SELECT CASE WHEN "t1"."tenant_id" = $2 THEN CAST(1 AS bigint) / NULLIF(CAST("t1"."id" AS bigint), 0) END FROM "post" AS "t1" WHERE "t1"."tenant_id" = $2) ELSE FALSE END
  forced 0 Integer, forced 1 Integer
"##);
}

/// Inside of a subquery a name that is no column of its table could become one of a table around
/// it, so names are proven ahead of the statement.
#[test]
fn t1_names_are_proven_where_no_table_stands_around() {
    let query = matching("Post", |it| {
        let name = it.test("name", B::Equal, 0, S::Text);
        let staff = it.related(Quantifier::Any, &["author", "staff"], Some(name));
        let boss = it.path("author.boss.name");
        let boss = it.unary(UnaryOperator::IsNull, boss);
        it.add(Node::AllOf(vec![staff, boss]))
    });
    insta::assert_snapshot!(scoped(&query, Some(&tenant())), @r##"
sqlite: SELECT "t0"."id" FROM "post" AS "t0" LEFT JOIN "author" AS "t1" ON "t1"."id" = "t0"."author_id" AND "t1"."tenant_id" = ?1 LEFT JOIN "author" AS "t3" ON "t3"."id" = "t1"."boss_id" AND "t3"."tenant_id" = ?1 WHERE "t0"."tenant_id" = ?2 AND EXISTS (SELECT 1 FROM "author" AS "t2" WHERE "t2"."boss_id" = "t1"."id" AND "t2"."tenant_id" = ?1 AND "t2"."name" = ?3 LIMIT 1) AND "t3"."name" IS NULL
  forced 0 Integer, forced 1 Integer, parameter 0 Text
postgres: WITH "t0" AS (SELECT "author_id", "id", "tenant_id" FROM "post" AS "t0"), "t1" AS (SELECT "boss_id", "id", "tenant_id" FROM "author" AS "t1"), "t2" AS (SELECT "boss_id", "name", "tenant_id" FROM "author" AS "t2"), "t3" AS (SELECT "id", "name", "tenant_id" FROM "author" AS "t3") SELECT "t0"."id" FROM "post" AS "t0" LEFT JOIN "author" AS "t1" ON "t1"."id" = "t0"."author_id" AND "t1"."tenant_id" = $1 LEFT JOIN "author" AS "t3" ON "t3"."id" = "t1"."boss_id" AND "t3"."tenant_id" = $1 WHERE "t0"."tenant_id" = $2 AND EXISTS (SELECT 1 FROM "author" AS "t2" WHERE "t2"."boss_id" = "t1"."id" AND "t2"."tenant_id" = $1 AND "t2"."name" = $3) AND "t3"."name" IS NULL
  forced 0 Integer, forced 1 Integer, parameter 0 Text
"##);
}

#[test]
fn t1_a_relation_outside_of_the_scope_looks_like_one_that_does_not_exist() {
    let read = |model: &str, hidden: &str| TableScope {
        readable: FieldSet::Except(vec![hidden.into()]),
        ..open_scope(model)
    };
    let open = |models: &[&str]| scope(models.iter().map(|it| open_scope(it)).collect());
    // The target, a key on either side, the model of the pairs.
    let cases = [
        ("author", open(&["Post"])),
        ("author", scope(vec![read("Post", "author_id"), open_scope("Author")])),
        ("author", scope(vec![open_scope("Post"), read("Author", "id")])),
        ("labels", open(&["Post", "Label"])),
        (
            "labels",
            scope(vec![open_scope("Post"), open_scope("Label"), read("PostLabel", "label_id")]),
        ),
        ("tags", scope(vec![read("Post", "id"), open_scope("Tag")])),
        ("tags", scope(vec![open_scope("Post"), read("Tag", "id")])),
    ];
    for (relation, scope) in cases {
        let related =
            |name: &str| matching("Post", |it| it.related(Quantifier::Any, &[name], None));
        let hidden = scoped_error(&related(relation), Some(&scope));
        let unknown = scoped_error(&related("nonsense"), Some(&scope));
        assert_eq!(hidden.kind, ErrorKind::Denied);
        assert_eq!(hidden.message, unknown.message.replace("nonsense", relation));
        let path = |name: &str| {
            matching("Post", |it| {
                let field = it.path(&format!("{name}.name"));
                it.unary(UnaryOperator::IsNull, field)
            })
        };
        let hidden = scoped_error(&path(relation), Some(&scope));
        let unknown = scoped_error(&path("nonsense"), Some(&scope));
        assert_eq!(hidden.message, unknown.message.replace("nonsense", relation));
    }
}

/// Wherever a field can be named across tables, a hidden one is missing.
#[test]
fn t1_a_hidden_field_cannot_be_named_across_relations_and_in_selects_inside() {
    let path = |field: &str, outer: u8| {
        matching("Post", |it| {
            let field = it.outer_path(outer, &format!("author.{field}"));
            let null = it.unary(UnaryOperator::IsNull, field);
            match outer {
                0 => null,
                _ => it.related(Quantifier::Any, &["comments"], Some(null)),
            }
        })
    };
    let related = |field: &str| {
        matching("Author", |it| {
            let field = it.field(field);
            let null = it.unary(UnaryOperator::IsNull, field);
            it.related(Quantifier::None, &["staff"], Some(null))
        })
    };
    let select = |field: &str, place: usize| {
        let mut nodes = Nodes::default();
        let id = nodes.field("id");
        let named = nodes.field(field);
        let null = nodes.unary(UnaryOperator::IsNull, named);
        let one = nodes.integer(1);
        let mut inner = Select { limit: Some(one), projection: fields(&["id"]), ..all("Author") };
        match place {
            0 => inner.projection = outputs(&[named]),
            1 => inner.filter = Some(null),
            2 => inner.order_by = vec![ascending(named)],
            3 => inner.projection = fields(&[field]),
            _ => {
                inner.projection = outputs(&[named]);
                inner.group_by = vec![named];
            }
        }
        let filter = match place % 2 {
            0 => nodes.add(Node::Exists(0)),
            _ => nodes.add(Node::InSelect((id, 0))),
        };
        let posts = Select { filter: Some(filter), ..all("Post") };
        nodes.query(vec![inner, posts], Statement::Count(1))
    };
    let queries = |field: &str| {
        let mut queries = vec![path(field, 0), path(field, 1), related(field)];
        queries.extend((0..5).map(|place| select(field, place)));
        queries
    };
    for (hidden, unknown) in queries("secret").iter().zip(queries("nonexi")) {
        let hidden = scoped_error(hidden, Some(&tenant()));
        let unknown = scoped_error(&unknown, Some(&tenant()));
        assert_eq!(hidden.kind, ErrorKind::Denied, "{hidden}");
        assert_eq!(hidden.message, unknown.message.replace("nonexi", "secret"));
    }
}

#[test]
fn writes_choose_their_rows_across_relations() {
    let rows = |nodes: &mut Nodes| {
        let name = nodes.path("author.name");
        let ada = nodes.parameter(0, S::Text);
        let filter = nodes.binary(name, B::Equal, ada);
        Select { filter: Some(filter), ..all("Post") }
    };
    let mut nodes = Nodes::default();
    let chosen = rows(&mut nodes);
    let query = nodes.query(vec![chosen], Statement::Delete(delete("Post")));
    insta::assert_snapshot!(plan(&query), @r##"
sqlite: DELETE FROM "post" AS "t0" WHERE "t0"."id" IN (SELECT "t1"."id" FROM "post" AS "t1" JOIN "author" AS "t2" ON "t2"."id" = "t1"."author_id" WHERE "t2"."name" = ?1)
  parameter 0 Text
postgres: DELETE FROM "post" AS "t0" WHERE "t0"."id" IN (SELECT "t1"."id" FROM "post" AS "t1" JOIN "author" AS "t2" ON "t2"."id" = "t1"."author_id" WHERE "t2"."name" = $1)
  parameter 0 Text
"##);
    insta::assert_snapshot!(scoped(&query, Some(&tenant())), @r##"
sqlite: DELETE FROM "post" AS "t0" WHERE "t0"."tenant_id" = ?1 AND "t0"."id" IN (SELECT "t1"."id" FROM "post" AS "t1" LEFT JOIN "author" AS "t2" ON "t2"."id" = "t1"."author_id" AND "t2"."tenant_id" = ?2 WHERE "t1"."tenant_id" = ?1 AND "t2"."name" = ?3)
  forced 1 Integer, forced 0 Integer, parameter 0 Text
postgres: WITH "t0" AS (SELECT "id", "tenant_id" FROM "post" AS "t0"), "t1" AS (SELECT "author_id", "id", "tenant_id" FROM "post" AS "t1"), "t2" AS (SELECT "id", "name", "tenant_id" FROM "author" AS "t2") DELETE FROM "post" AS "t0" WHERE "t0"."tenant_id" = $1 AND "t0"."id" IN (SELECT "t1"."id" FROM "post" AS "t1" LEFT JOIN "author" AS "t2" ON "t2"."id" = "t1"."author_id" AND "t2"."tenant_id" = $2 WHERE "t1"."tenant_id" = $1 AND "t2"."name" = $3)
  forced 1 Integer, forced 0 Integer, parameter 0 Text
"##);
    let mut nodes = Nodes::default();
    let chosen = rows(&mut nodes);
    let name = nodes.path("author.name");
    let set = vec![Assignment { field: "title".into(), value: name }];
    let query = nodes.query(vec![chosen], Statement::Update(Update { set, ..update("Post") }));
    insta::assert_snapshot!(line(&error(&query)), @"unsupported: `Post.author.name`: values to write are made of the fields of their own row and of selects: ask for what a relation leads to with `subquery`");
}

#[test]
fn groups_have_no_single_row_to_relate() {
    let mut nodes = Nodes::default();
    let title = nodes.field("title");
    let related = nodes.related(Quantifier::Any, &["comments"], None);
    let query = nodes.select(Select {
        projection: outputs(&[title, related]),
        group_by: vec![title],
        ..all("Post")
    });
    insta::assert_snapshot!(line(&error(&query)), @"invalid-query: `Post.comments`: `related` asks about a row: group by it, or put it into the filter");
    let mut nodes = Nodes::default();
    let title = nodes.field("title");
    let (body, own) = (nodes.field("body"), nodes.outer_path(1, "title"));
    let same = nodes.binary(body, B::Equal, own);
    let inner = Select { filter: Some(same), ..all("Comment") };
    let exists = nodes.add(Node::Exists(0));
    let select = |group| Select {
        projection: outputs(&[group, exists]),
        group_by: vec![group],
        ..all("Post")
    };
    let query = nodes.clone().query(vec![inner.clone(), select(title)], Statement::Select(1));
    insta::assert_snapshot!(plan(&query), @r##"
sqlite: SELECT "t0"."title", EXISTS (SELECT 1 FROM "comment" AS "t1" WHERE "t1"."body" = "t0"."title" LIMIT 1) FROM "post" AS "t0" GROUP BY "t0"."title"
postgres: SELECT "t0"."title", EXISTS (SELECT 1 FROM "comment" AS "t1" WHERE "t1"."body" = "t0"."title") FROM "post" AS "t0" GROUP BY "t0"."title"
"##);
    let stars = nodes.field("stars");
    let query = nodes.clone().query(vec![inner.clone(), select(stars)], Statement::Select(1));
    insta::assert_snapshot!(line(&error(&query)), @"invalid-query: `Post.title`: the field is neither grouped by nor aggregated");
    let union = Select { combined: vec![(SetOperator::Union, 0)], ..all("Comment") };
    let exists = nodes.add(Node::Exists(1));
    let groups = Select { projection: outputs(&[stars, exists]), ..select(stars) };
    let query = nodes.query(vec![inner, union, groups], Statement::Select(2));
    insta::assert_snapshot!(line(&error(&query)), @"invalid-query: `Post.title`: the field is neither grouped by nor aggregated");
}

#[test]
fn distinct_rows_are_not_ordered_by_what_other_rows_list() {
    let mut nodes = Nodes::default();
    let name = nodes.path("author.name");
    let select = |projection: Projection| Select {
        projection,
        distinct: Distinct::Rows,
        order_by: vec![ascending(name)],
        ..all("Post")
    };
    let query = nodes.clone().select(select(Projection::Model));
    insta::assert_snapshot!(line(&error(&query)), @"invalid-query: `Post.author.name`: distinct and combined rows are ordered by what they list only");
    insta::assert_snapshot!(plan(&nodes.select(select(outputs(&[name])))), @r##"
sqlite: SELECT DISTINCT "t1"."name" FROM "post" AS "t0" JOIN "author" AS "t1" ON "t1"."id" = "t0"."author_id" ORDER BY "t1"."name"
postgres: SELECT DISTINCT "t1"."name" FROM "post" AS "t0" JOIN "author" AS "t1" ON "t1"."id" = "t0"."author_id" ORDER BY "t1"."name"
"##);
}

#[test]
fn s7_a_statement_reads_a_bounded_number_of_tables() {
    // Each level asks twice: without a bound the statement would double with each.
    let query = matching("Author", |it| {
        let mut node = it.test("id", B::Greater, 0, S::Integer);
        for _ in 0..30 {
            let both =
                [&["staff"], &["staff"]].map(|it2| it.related(Quantifier::Any, it2, Some(node)));
            node = it.add(Node::AllOf(both.to_vec()));
        }
        node
    });
    insta::assert_snapshot!(line(&error(&query)), @"limit-exceeded: more than 64 tables in one statement");
    let query = matching("Author", |it| {
        let path = format!("{}name", "boss.".repeat(70));
        let name = it.path(&path);
        it.unary(UnaryOperator::IsNull, name)
    });
    insta::assert_snapshot!(line(&error(&query)), @"limit-exceeded: `Author.boss.boss.boss.boss.boss.boss.boss.…`: more than 64 tables in one statement");
}
