//! Common tables: selects that a query reads under names.

use ferro_core::Catalog;
use ferro_wit::policy::{FieldSet, Scope, TableScope};
use ferro_wit::query::{
    AggregateFunction as A, BinaryOperator as B, CommonTable, Delete, Distinct, Insert, Lock,
    LockStrength, LockWait, Node, Projection, Query, RowSource, Select, SetOperator as O,
    Statement, UnaryOperator as U, Update,
};
use ferro_wit::types::ScalarType as S;

use crate::blog::{self, included, tenant};
use crate::commons::{self, join, named, recursive, table};
use crate::fixture::*;

fn plan(query: &Query) -> String {
    of_blog(query, None)
}

fn of_blog(query: &Query, scope: Option<&Scope>) -> String {
    plans(&Catalog::new(blog::schema()).unwrap(), query, scope)
}

fn error(query: &Query) -> String {
    line(&fault(&Catalog::new(blog::schema()).unwrap(), query, None))
}

#[test]
fn a_query_reads_a_select_under_a_name() {
    insta::assert_snapshot!(plan(&commons::best()), @r##"
sqlite: WITH "common0" ("c0", "c1", "c2") AS (SELECT "t1"."author_id", count(*), sum("t1"."stars") FROM "post" AS "t1" GROUP BY "t1"."author_id") SELECT "t0"."c0", "t0"."c1", "t0"."c2" FROM "common0" AS "t0" WHERE "t0"."c2" >= ?1 ORDER BY "t0"."c2" DESC
  parameter 0 Integer
postgres: WITH "common0" ("c0", "c1", "c2") AS (SELECT "t1"."author_id", count(*), CAST(sum("t1"."stars") AS bigint) FROM "post" AS "t1" GROUP BY "t1"."author_id") SELECT "t0"."c0", "t0"."c1", "t0"."c2" FROM "common0" AS "t0" WHERE "t0"."c2" >= $1 ORDER BY "t0"."c2" DESC NULLS LAST
  parameter 0 Integer
"##);
    insta::assert_snapshot!(plan(&commons::beside()), @r##"
sqlite: WITH "common0" ("c0", "c1", "c2") AS (SELECT "t3"."author_id", count(*), sum("t3"."stars") FROM "post" AS "t3" GROUP BY "t3"."author_id") SELECT "t0"."name", "t1"."c1", "t2"."name" FROM "author" AS "t0" LEFT JOIN "author" AS "t2" ON "t2"."id" = "t0"."boss_id" JOIN "common0" AS "t1" ON "t1"."c0" = "t0"."id" ORDER BY "t0"."id"
postgres: WITH "common0" ("c0", "c1", "c2") AS (SELECT "t3"."author_id", count(*), CAST(sum("t3"."stars") AS bigint) FROM "post" AS "t3" GROUP BY "t3"."author_id") SELECT "t0"."name", "t1"."c1", "t2"."name" FROM "author" AS "t0" LEFT JOIN "author" AS "t2" ON "t2"."id" = "t0"."boss_id" JOIN "common0" AS "t1" ON "t1"."c0" = "t0"."id" ORDER BY "t0"."id"
"##);
    insta::assert_snapshot!(plan(&commons::inside()), @r##"
sqlite: WITH "common0" ("c0", "c1", "c2") AS (SELECT "t4"."author_id", count(*), sum("t4"."stars") FROM "post" AS "t4" GROUP BY "t4"."author_id"), "common1" ("c0", "c1") AS MATERIALIZED (SELECT "t3"."c0", "t3"."c2" FROM "common0" AS "t3" WHERE "t3"."c1" > ?1) SELECT "t0"."id", (SELECT max("t1"."c1") FROM "common1" AS "t1") FROM "author" AS "t0" WHERE "t0"."id" IN (SELECT "t2"."c0" FROM "common1" AS "t2") ORDER BY "t0"."id"
  parameter 0 Integer
postgres: WITH "common0" ("c0", "c1", "c2") AS (SELECT "t4"."author_id", count(*), CAST(sum("t4"."stars") AS bigint) FROM "post" AS "t4" GROUP BY "t4"."author_id"), "common1" ("c0", "c1") AS MATERIALIZED (SELECT "t3"."c0", "t3"."c2" FROM "common0" AS "t3" WHERE "t3"."c1" > $1) SELECT "t0"."id", (SELECT max("t1"."c1") FROM "common1" AS "t1") FROM "author" AS "t0" WHERE "t0"."id" IN (SELECT "t2"."c0" FROM "common1" AS "t2") ORDER BY "t0"."id"
  parameter 0 Integer
"##);
}

#[test]
fn a_recursive_table_reads_itself() {
    insta::assert_snapshot!(plan(&commons::chart()), @r##"
sqlite: WITH RECURSIVE "common0" ("c0", "c1", "c2") AS (SELECT "t1"."id", "t1"."name", 0 FROM "author" AS "t1" WHERE "t1"."boss_id" IS NULL UNION ALL SELECT "t2"."id", "t2"."name", CASE typeof("t3"."c2" + 1) WHEN 'real' THEN abs(-9223372036854775808) ELSE "t3"."c2" + 1 END FROM "author" AS "t2" JOIN "common0" AS "t3" ON "t2"."boss_id" = "t3"."c0") SELECT "t0"."c0", "t0"."c1", "t0"."c2" FROM "common0" AS "t0" ORDER BY "t0"."c2", "t0"."c0"
postgres: WITH RECURSIVE "common0" ("c0", "c1", "c2") AS (SELECT CAST("t1"."id" AS bigint), CAST("t1"."name" AS text), CAST(0 AS bigint) FROM "author" AS "t1" WHERE "t1"."boss_id" IS NULL UNION ALL SELECT CAST("t2"."id" AS bigint), CAST("t2"."name" AS text), CAST(CAST("t3"."c2" AS bigint) + CAST(1 AS bigint) AS bigint) FROM "author" AS "t2" JOIN "common0" AS "t3" ON "t2"."boss_id" = "t3"."c0") SELECT "t0"."c0", "t0"."c1", "t0"."c2" FROM "common0" AS "t0" ORDER BY "t0"."c2", "t0"."c0"
"##);
    insta::assert_snapshot!(plan(&commons::bosses()), @r##"
sqlite: WITH RECURSIVE "common0" ("c0", "c1") AS (SELECT "t1"."id", "t1"."boss_id" FROM "author" AS "t1" WHERE "t1"."id" = ?1 UNION SELECT "t2"."id", "t2"."boss_id" FROM "author" AS "t2" JOIN "common0" AS "t3" ON "t3"."c1" = "t2"."id") SELECT "t0"."c0" FROM "common0" AS "t0" ORDER BY "t0"."c0"
  parameter 0 Integer
postgres: WITH RECURSIVE "common0" ("c0", "c1") AS (SELECT CAST("t1"."id" AS bigint), CAST("t1"."boss_id" AS bigint) FROM "author" AS "t1" WHERE "t1"."id" = $1 UNION SELECT CAST("t2"."id" AS bigint), CAST("t2"."boss_id" AS bigint) FROM "author" AS "t2" JOIN "common0" AS "t3" ON "t3"."c1" = "t2"."id") SELECT "t0"."c0" FROM "common0" AS "t0" ORDER BY "t0"."c0"
  parameter 0 Integer
"##);
    insta::assert_snapshot!(plan(&commons::numbers()), @r##"
sqlite: WITH RECURSIVE "common0" ("c0") AS (SELECT * FROM (SELECT "t1"."stars" FROM "post" AS "t1" WHERE "t1"."stars" IS NOT NULL ORDER BY "t1"."stars" NULLS LAST, "t1"."id" LIMIT 1) AS "rows" UNION ALL SELECT CASE typeof("t2"."c0" + 1) WHEN 'real' THEN abs(-9223372036854775808) ELSE "t2"."c0" + 1 END FROM "common0" AS "t2" WHERE "t2"."c0" < ?1) SELECT "t0"."c0" FROM "common0" AS "t0" ORDER BY "t0"."c0" DESC
  parameter 0 Integer
postgres: WITH RECURSIVE "common0" ("c0") AS (SELECT CAST("rows"."c0" AS bigint) FROM (SELECT "t1"."stars" FROM "post" AS "t1" WHERE "t1"."stars" IS NOT NULL ORDER BY "t1"."stars", "t1"."id" LIMIT 1) AS "rows" ("c0") UNION ALL SELECT CAST(CAST("t2"."c0" AS bigint) + CAST(1 AS bigint) AS bigint) FROM "common0" AS "t2" WHERE "t2"."c0" < $1) SELECT "t0"."c0" FROM "common0" AS "t0" ORDER BY "t0"."c0" DESC NULLS LAST
  parameter 0 Integer
"##);
}

#[test]
fn only_what_the_statement_leads_to_is_written_and_looked_at() {
    let mut query = commons::inside();
    query.common.push(table("nonsense", 9));
    assert_eq!(error(&query), "invalid-query: there is no select 9");
    query.common.pop();
    query.selects.push(Select { filter: Some(0), ..all("Nonsense") });
    query.common.push(table("nonsense", 5));
    assert_eq!(plan(&query), plan(&commons::inside()));
    query.statement = Statement::Select(0);
    assert!(!plan(&query).contains("WITH"));
}

#[test]
fn counts_and_writes_read_common_tables() {
    let with = |statement| {
        let mut query = commons::inside();
        query.statement = statement;
        plan(&query)
    };
    insta::assert_snapshot!(with(Statement::Count(4)), @r##"
sqlite: WITH "common0" ("c0", "c1", "c2") AS (SELECT "t4"."author_id", count(*), sum("t4"."stars") FROM "post" AS "t4" GROUP BY "t4"."author_id"), "common1" ("c0", "c1") AS MATERIALIZED (SELECT "t3"."c0", "t3"."c2" FROM "common0" AS "t3" WHERE "t3"."c1" > ?1) SELECT count(*) FROM (SELECT "t0"."id", (SELECT max("t1"."c1") FROM "common1" AS "t1") FROM "author" AS "t0" WHERE "t0"."id" IN (SELECT "t2"."c0" FROM "common1" AS "t2")) AS "rows"
  parameter 0 Integer
postgres: WITH "common0" ("c0", "c1", "c2") AS (SELECT "t4"."author_id", count(*), CAST(sum("t4"."stars") AS bigint) FROM "post" AS "t4" GROUP BY "t4"."author_id"), "common1" ("c0", "c1") AS MATERIALIZED (SELECT "t3"."c0", "t3"."c2" FROM "common0" AS "t3" WHERE "t3"."c1" > $1) SELECT count(*) FROM (SELECT "t0"."id", (SELECT max("t1"."c1") FROM "common1" AS "t1") FROM "author" AS "t0" WHERE "t0"."id" IN (SELECT "t2"."c0" FROM "common1" AS "t2")) AS "rows"
  parameter 0 Integer
"##);
    insta::assert_snapshot!(with(Statement::Exists(4)), @r##"
sqlite: WITH "common0" ("c0", "c1", "c2") AS (SELECT "t4"."author_id", count(*), sum("t4"."stars") FROM "post" AS "t4" GROUP BY "t4"."author_id"), "common1" ("c0", "c1") AS MATERIALIZED (SELECT "t3"."c0", "t3"."c2" FROM "common0" AS "t3" WHERE "t3"."c1" > ?1) SELECT EXISTS (SELECT "t0"."id", (SELECT max("t1"."c1") FROM "common1" AS "t1") FROM "author" AS "t0" WHERE "t0"."id" IN (SELECT "t2"."c0" FROM "common1" AS "t2"))
  parameter 0 Integer
postgres: WITH "common0" ("c0", "c1", "c2") AS (SELECT "t4"."author_id", count(*), CAST(sum("t4"."stars") AS bigint) FROM "post" AS "t4" GROUP BY "t4"."author_id"), "common1" ("c0", "c1") AS MATERIALIZED (SELECT "t3"."c0", "t3"."c2" FROM "common0" AS "t3" WHERE "t3"."c1" > $1) SELECT EXISTS (SELECT "t0"."id", (SELECT max("t1"."c1") FROM "common1" AS "t1") FROM "author" AS "t0" WHERE "t0"."id" IN (SELECT "t2"."c0" FROM "common1" AS "t2"))
  parameter 0 Integer
"##);
    let removed = Delete { rows: 4, ..delete("Author") };
    insta::assert_snapshot!(with(Statement::Delete(removed)), @r##"
sqlite: WITH "common0" ("c0", "c1", "c2") AS (SELECT "t4"."author_id", count(*), sum("t4"."stars") FROM "post" AS "t4" GROUP BY "t4"."author_id"), "common1" ("c0", "c1") AS MATERIALIZED (SELECT "t3"."c0", "t3"."c2" FROM "common0" AS "t3" WHERE "t3"."c1" > ?1) DELETE FROM "author" AS "t0" WHERE "t0"."id" IN (SELECT "t1"."id" FROM "author" AS "t1" WHERE "t1"."id" IN (SELECT "t2"."c0" FROM "common1" AS "t2") ORDER BY "t1"."id")
  parameter 0 Integer
postgres: WITH "common0" ("c0", "c1", "c2") AS (SELECT "t4"."author_id", count(*), CAST(sum("t4"."stars") AS bigint) FROM "post" AS "t4" GROUP BY "t4"."author_id"), "common1" ("c0", "c1") AS MATERIALIZED (SELECT "t3"."c0", "t3"."c2" FROM "common0" AS "t3" WHERE "t3"."c1" > $1) DELETE FROM "author" AS "t0" WHERE "t0"."id" IN (SELECT "t1"."id" FROM "author" AS "t1" WHERE "t1"."id" IN (SELECT "t2"."c0" FROM "common1" AS "t2") ORDER BY "t1"."id")
  parameter 0 Integer
"##);
    let copied =
        Insert { source: RowSource::Select(1), ..insert("PostLabel", &["post_id", "label_id"]) };
    insta::assert_snapshot!(with(Statement::Insert(copied)), @r##"
sqlite: WITH "common0" ("c0", "c1", "c2") AS (SELECT "t2"."author_id", count(*), sum("t2"."stars") FROM "post" AS "t2" GROUP BY "t2"."author_id"), "source.rows" ("c0", "c1") AS (SELECT "t1"."c0", "t1"."c2" FROM "common0" AS "t1" WHERE "t1"."c1" > ?1) INSERT INTO "post_label" AS "t0" ("post_id", "label_id") SELECT "c0", "c1" FROM "source.rows"
  parameter 0 Integer
postgres: WITH "common0" ("c0", "c1", "c2") AS (SELECT "t2"."author_id", count(*), CAST(sum("t2"."stars") AS bigint) FROM "post" AS "t2" GROUP BY "t2"."author_id"), "source.rows" ("c0", "c1") AS (SELECT "t1"."c0", "t1"."c2" FROM "common0" AS "t1" WHERE "t1"."c1" > $1) INSERT INTO "post_label" AS "t0" ("post_id", "label_id") SELECT "c0", "c1" FROM "source.rows"
  parameter 0 Integer
"##);
}

/// Values are what they were: enums of their own type, decimals that compare as numbers, integers.
#[test]
fn the_columns_of_a_common_table_are_of_the_types_of_its_select() {
    let mut nodes = Nodes::default();
    let (id, mood, balance, age) =
        (nodes.field("id"), nodes.field("mood"), nodes.field("balance"), nodes.field("age"));
    let least = nodes.call("coalesce", &[balance, balance]);
    let (next, null) = (nodes.binary(age, B::Multiply, age), nodes.null());
    let users = Select {
        projection: named(&[
            ("id", id),
            ("mood", mood),
            ("least", least),
            ("next", next),
            ("nothing", null),
        ]),
        ..all("User")
    };
    let filter = nodes.test("least", B::Less, 0, S::Decimal);
    let glad = nodes.test("mood", B::Equal, 1, S::Text);
    let filter = Some(nodes.add(Node::AllOf(vec![filter, glad])));
    let (mood, least) = (nodes.field("mood"), nodes.field("least"));
    let rows =
        Select { filter, order_by: vec![ascending(mood), descending(least)], ..all("users") };
    let query = nodes.with(vec![users, rows], vec![table("users", 0)]);
    insta::assert_snapshot!(scoped(&query, None), @r##"
sqlite: WITH "common0" ("c0", "c1", "c2", "c3", "c4") AS (SELECT "t1"."id", "t1"."mood", coalesce("t1"."balance", "t1"."balance") COLLATE "ferro_decimal", CASE typeof("t1"."age" * "t1"."age") WHEN 'real' THEN abs(-9223372036854775808) ELSE "t1"."age" * "t1"."age" END, NULL FROM "user" AS "t1") SELECT "t0"."c0", "t0"."c1", "t0"."c2", "t0"."c3", "t0"."c4" FROM "common0" AS "t0" WHERE "t0"."c2" < ?1 AND "t0"."c1" = ?2 ORDER BY CASE "t0"."c1" WHEN 'sad' THEN 0 WHEN 'so-so' THEN 1 WHEN 'glad' THEN 2 END NULLS LAST, "t0"."c2" DESC
  parameter 0 Decimal, parameter 1 Text
postgres: WITH "common0" ("c0", "c1", "c2", "c3", "c4") AS (SELECT "t1"."id", "t1"."mood", coalesce("t1"."balance", "t1"."balance"), CAST("t1"."age" AS bigint) * CAST("t1"."age" AS bigint), NULL FROM "user" AS "t1") SELECT "t0"."c0", CAST("t0"."c1" AS text), "t0"."c2", "t0"."c3", "t0"."c4" FROM "common0" AS "t0" WHERE "t0"."c2" < $1 AND "t0"."c1" = CAST($2 AS "mood") ORDER BY "t0"."c1", "t0"."c2" DESC
  parameter 0 Decimal, parameter 1 Text
"##);
}

#[test]
fn common_tables_hold_texts_where_enums_and_texts_are_combined() {
    let mut nodes = Nodes::default();
    let (name, mood) = (nodes.field("name"), nodes.field("mood"));
    let names = Select { projection: named(&[("word", name)]), ..all("User") };
    let words = Select {
        projection: named(&[("word", mood)]),
        combined: vec![(O::Union, 0)],
        ..all("User")
    };
    let word = nodes.field("word");
    let rows = Select { order_by: vec![ascending(word)], ..all("words") };
    let query = nodes.with(vec![names, words, rows], vec![table("words", 1)]);
    insta::assert_snapshot!(scoped(&query, None), @r##"
sqlite: WITH "common0" ("c0") AS (SELECT "t1"."mood" FROM "user" AS "t1" UNION SELECT "t2"."name" FROM "user" AS "t2") SELECT "t0"."c0" FROM "common0" AS "t0" ORDER BY "t0"."c0" NULLS LAST
postgres: WITH "common0" ("c0") AS (SELECT CAST("t1"."mood" AS text) FROM "user" AS "t1" UNION SELECT "t2"."name" FROM "user" AS "t2") SELECT "t0"."c0" FROM "common0" AS "t0" ORDER BY "t0"."c0"
"##);
}

#[test]
fn t2_common_tables_hold_rows_of_the_scope_only() {
    let scope = tenant();
    insta::assert_snapshot!(of_blog(&commons::best(), Some(&scope)), @r##"
sqlite: WITH "common0" ("c0", "c1", "c2") AS MATERIALIZED (SELECT "t1"."author_id", count(*), sum("t1"."stars") FROM "post" AS "t1" WHERE "t1"."tenant_id" = ?2 GROUP BY "t1"."author_id") SELECT "t0"."c0", "t0"."c1", "t0"."c2" FROM "common0" AS "t0" WHERE "t0"."c2" >= ?1 ORDER BY "t0"."c2" DESC
  parameter 0 Integer, forced 1 Integer
postgres: WITH "t1" AS (SELECT "author_id", "stars", "tenant_id" FROM "post" AS "t1"), "common0" ("c0", "c1", "c2") AS MATERIALIZED (SELECT "t1"."author_id", count(*), CAST(sum("t1"."stars") AS bigint) FROM "post" AS "t1" WHERE "t1"."tenant_id" = $2 GROUP BY "t1"."author_id") SELECT "t0"."c0", "t0"."c1", "t0"."c2" FROM "common0" AS "t0" WHERE "t0"."c2" >= $1 ORDER BY "t0"."c2" DESC NULLS LAST
  parameter 0 Integer, forced 1 Integer
"##);
    insta::assert_snapshot!(of_blog(&commons::chart(), Some(&scope)), @r##"
sqlite: WITH RECURSIVE "common0" ("c0", "c1", "c2") AS MATERIALIZED (SELECT "t1"."id", "t1"."name", 0 FROM "author" AS "t1" WHERE "t1"."tenant_id" = ?1 AND "t1"."boss_id" IS NULL UNION ALL SELECT "t2"."id", "t2"."name", CASE typeof("t3"."c2" + 1) WHEN 'real' THEN abs(-9223372036854775808) ELSE "t3"."c2" + 1 END FROM "author" AS "t2" JOIN "common0" AS "t3" ON "t2"."boss_id" = "t3"."c0" WHERE "t2"."tenant_id" = ?1) SELECT "t0"."c0", "t0"."c1", "t0"."c2" FROM "common0" AS "t0" ORDER BY "t0"."c2", "t0"."c0"
  forced 0 Integer
postgres: WITH RECURSIVE "t1" AS (SELECT "boss_id", "id", "name", "tenant_id" FROM "author" AS "t1"), "t2" AS (SELECT "boss_id", "id", "name", "tenant_id" FROM "author" AS "t2"), "common0" ("c0", "c1", "c2") AS MATERIALIZED (SELECT CAST("t1"."id" AS bigint), CAST("t1"."name" AS text), CAST(0 AS bigint) FROM "author" AS "t1" WHERE "t1"."tenant_id" = $1 AND "t1"."boss_id" IS NULL UNION ALL SELECT CAST("t2"."id" AS bigint), CAST("t2"."name" AS text), CAST(CAST("t3"."c2" AS bigint) + CAST(1 AS bigint) AS bigint) FROM "author" AS "t2" JOIN "common0" AS "t3" ON "t2"."boss_id" = "t3"."c0" WHERE "t2"."tenant_id" = $1) SELECT "t0"."c0", "t0"."c1", "t0"."c2" FROM "common0" AS "t0" ORDER BY "t0"."c2", "t0"."c0"
  forced 0 Integer
"##);
}

/// Databases take a table apart that is read once, and would ask of other rows what is asked of its
/// own.
#[test]
fn t3_what_is_asked_of_a_common_table_is_asked_of_its_rows_only() {
    let mut nodes = Nodes::default();
    let stars = nodes.field("stars");
    let posts = Select { projection: named(&[("stars", stars)]), ..all("Post") };
    let squared = nodes.binary(stars, B::Multiply, stars);
    let five = nodes.integer(5);
    let filter = Some(nodes.binary(squared, B::Greater, five));
    let rows = Select { filter, ..all("rated") };
    let query = nodes.with(vec![posts, rows], vec![table("rated", 0)]);
    insta::assert_snapshot!(of_blog(&query, Some(&tenant())), @r##"
sqlite: WITH "common0" ("c0") AS MATERIALIZED (SELECT "t1"."stars" FROM "post" AS "t1" WHERE "t1"."tenant_id" = ?1) SELECT "t0"."c0" FROM "common0" AS "t0" WHERE ("t0"."c0" * "t0"."c0") > 5
  forced 1 Integer
postgres: WITH "t1" AS (SELECT "stars", "tenant_id" FROM "post" AS "t1"), "common0" ("c0") AS MATERIALIZED (SELECT "t1"."stars" FROM "post" AS "t1" WHERE "t1"."tenant_id" = $1) SELECT "t0"."c0" FROM "common0" AS "t0" WHERE (CAST("t0"."c0" AS bigint) * CAST("t0"."c0" AS bigint)) > 5
  forced 1 Integer
"##);
    assert!(!plan(&query).contains("MATERIALIZED"));
}

#[test]
fn t3_what_joins_rows_is_asked_of_rows_in_scope_only() {
    let mut nodes = Nodes::default();
    let totals = nodes.totals();
    let (author, id) = (nodes.path("totals.author"), nodes.field("author_id"));
    let same = nodes.binary(author, B::Equal, id);
    let (stars, all_of_them) = (nodes.field("stars"), nodes.path("totals.stars"));
    let product = nodes.binary(stars, B::Multiply, all_of_them);
    let five = nodes.integer(5);
    let many = nodes.binary(product, B::Greater, five);
    let on = nodes.add(Node::AllOf(vec![same, many]));
    let rows = Select { projection: fields(&["id"]), joins: join("totals", on), ..all("Post") };
    let query = nodes.with(vec![totals, rows], vec![table("totals", 0)]);
    insta::assert_snapshot!(of_blog(&query, Some(&tenant())), @r##"
sqlite: WITH "common0" ("c0", "c1", "c2") AS MATERIALIZED (SELECT "t2"."author_id", count(*), sum("t2"."stars") FROM "post" AS "t2" WHERE "t2"."tenant_id" = ?1 GROUP BY "t2"."author_id") SELECT "t0"."id" FROM "post" AS "t0" JOIN "common0" AS "t1" ON "t1"."c0" = "t0"."author_id" AND CASE WHEN "t0"."tenant_id" = ?1 THEN ("t0"."stars" * "t1"."c2") > 5 ELSE 0 END WHERE "t0"."tenant_id" = ?1
  forced 1 Integer
postgres: WITH "t0" AS (SELECT "author_id", "id", "stars", "tenant_id" FROM "post" AS "t0"), "t2" AS (SELECT "author_id", "stars", "tenant_id" FROM "post" AS "t2"), "common0" ("c0", "c1", "c2") AS MATERIALIZED (SELECT "t2"."author_id", count(*), CAST(sum("t2"."stars") AS bigint) FROM "post" AS "t2" WHERE "t2"."tenant_id" = $1 GROUP BY "t2"."author_id") SELECT "t0"."id" FROM "post" AS "t0" JOIN "common0" AS "t1" ON "t1"."c0" = "t0"."author_id" AND CASE WHEN "t0"."tenant_id" = $1 THEN (CAST("t0"."stars" AS bigint) * CAST("t1"."c2" AS bigint)) > 5 ELSE FALSE END WHERE "t0"."tenant_id" = $1
  forced 1 Integer
"##);
}

#[test]
fn rows_that_are_joined_load_relations() {
    let mut query = commons::beside();
    query.selects[1].projection = fields(&["name"]);
    query.selects[1].includes = vec![included("posts", None)];
    insta::assert_snapshot!(plan(&query), @r##"
sqlite: WITH "common0" ("c0", "c1", "c2") AS (SELECT "t2"."author_id", count(*), sum("t2"."stars") FROM "post" AS "t2" GROUP BY "t2"."author_id") SELECT "t0"."name", "t0"."id" FROM "author" AS "t0" JOIN "common0" AS "t1" ON "t1"."c0" = "t0"."id" ORDER BY "t0"."id"
sqlite: SELECT "t1"."id", "t1"."tenant_id", "t1"."author_id", "t1"."editor_id", "t1"."title", "t1"."stars" FROM "post" AS "t1" WHERE "t1"."author_id" IN (SELECT value FROM json_each(?1))
  posts of 0: [1] = [2]
  keys 0.1 Integer[]
postgres: WITH "common0" ("c0", "c1", "c2") AS (SELECT "t2"."author_id", count(*), CAST(sum("t2"."stars") AS bigint) FROM "post" AS "t2" GROUP BY "t2"."author_id") SELECT "t0"."name", "t0"."id" FROM "author" AS "t0" JOIN "common0" AS "t1" ON "t1"."c0" = "t0"."id" ORDER BY "t0"."id"
postgres: SELECT "t1"."id", "t1"."tenant_id", "t1"."author_id", "t1"."editor_id", "t1"."title", "t1"."stars" FROM "post" AS "t1" WHERE "t1"."author_id" = ANY($1)
  posts of 0: [1] = [2]
  keys 0.1 Integer[]
"##);
}

#[test]
fn t1_a_common_table_lists_what_may_be_read_and_no_more() {
    let scope = tenant();
    let mut nodes = Nodes::default();
    let secret = nodes.field("secret");
    let authors = Select { projection: named(&[("name", secret)]), ..all("Author") };
    let query = nodes.with(vec![authors, all("authors")], vec![table("authors", 0)]);
    let catalog = Catalog::new(blog::schema()).unwrap();
    insta::assert_snapshot!(line(&fault(&catalog, &query, Some(&scope))), @"denied: common table `authors`: model `Author` has no field `secret`");
    let query =
        Nodes::default().with(vec![all("Author"), all("authors")], vec![table("authors", 0)]);
    let plan = of_blog(&query, Some(&scope));
    assert!(!plan.contains("secret"), "{plan}");
    let rows = Select { projection: fields(&["secret"]), ..all("authors") };
    let query = Nodes::default().with(vec![all("Author"), rows], vec![table("authors", 0)]);
    insta::assert_snapshot!(line(&fault(&catalog, &query, Some(&scope))), @"invalid-query: common table `authors` has no field `secret`");
}

/// A name is that of the query's own table, or of a model that the caller may see, and says nothing
/// about others.
#[test]
fn t1_a_common_table_has_the_name_of_no_model_that_may_be_seen() {
    let catalog = Catalog::new(blog::schema()).unwrap();
    let named_like = |name: &str, scope: Option<&Scope>| {
        let labels = Select { projection: fields(&["name"]), ..all("Label") };
        let query = Nodes::default().with(vec![labels, all(name)], vec![table(name, 0)]);
        plans(&catalog, &query, scope)
    };
    insta::assert_snapshot!(named_like("Author", None), @r##"
sqlite: invalid-query: common table `Author`: there is a model of that name
postgres: invalid-query: common table `Author`: there is a model of that name
"##);
    let labels = scope(vec![TableScope { readable: FieldSet::All, ..open_scope("Label") }]);
    let hidden = named_like("Author", Some(&labels));
    assert_eq!(hidden, named_like("Nonsense", Some(&labels)));
    assert_eq!(hidden, named_like("author", Some(&labels)));
    insta::assert_snapshot!(hidden, @r##"
sqlite: WITH "common0" ("c0") AS MATERIALIZED (SELECT "t1"."name" FROM "label" AS "t1") SELECT "t0"."c0" FROM "common0" AS "t0"
postgres: WITH "t1" AS (SELECT "name" FROM "label" AS "t1"), "common0" ("c0") AS MATERIALIZED (SELECT "t1"."name" FROM "label" AS "t1") SELECT "t0"."c0" FROM "common0" AS "t0"
"##);
}

/// The common tables of a query over labels, and what the core says of it.
fn refused(build: impl FnOnce(&mut Nodes) -> (Vec<Select>, Vec<CommonTable>)) -> String {
    let mut nodes = Nodes::default();
    let (selects, common) = build(&mut nodes);
    error(&nodes.with(selects, common))
}

#[test]
fn common_tables_that_cannot_be_are_errors() {
    let labels = || Select { projection: fields(&["name"]), ..all("Label") };
    let two = |one: &str, other: &str| {
        refused(|_| (vec![labels(), all(one)], vec![table(one, 0), table(other, 0)]))
    };
    insta::assert_snapshot!(two("a", "a"), @"invalid-query: common table `a`: there is another one of that name");
    insta::assert_snapshot!(two("a", ""), @"invalid-query: common table ``: its name is empty");
    insta::assert_snapshot!(two("a", &"x".repeat(64)), @"invalid-query: common table `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…`: its name is longer than 63 bytes");
    insta::assert_snapshot!(refused(|_| {
        (vec![labels(), all("b")], (0..33).map(|it| table(&format!("t{it}"), 0)).collect())
    }), @"limit-exceeded: more than 32 common tables");
    insta::assert_snapshot!(refused(|_| (vec![labels(), all("kindz")], vec![table("kinds", 0)])), @"invalid-query: there is no model `kindz`; did you mean `kinds`?");
    insta::assert_snapshot!(refused(|_| (vec![all("a"), all("a")], vec![table("a", 0)])), @"invalid-query: common table `a`: its rows read the table itself: only the step of a recursive one may");
    insta::assert_snapshot!(refused(|_| {
        (vec![all("b"), all("a"), all("a")], vec![table("a", 0), table("b", 1)])
    }), @"invalid-query: common table `a`: it reads `b`, which does not come before it");
    insta::assert_snapshot!(refused(|it| {
        let wrong = it.field("nmae");
        let labels = Select { projection: named(&[("name", wrong)]), ..all("Label") };
        (vec![labels, all("a")], vec![table("a", 0)])
    }), @"invalid-query: common table `a`: model `Label` has no field `nmae`; did you mean `name`?");
    insta::assert_snapshot!(refused(|_| {
        let lock = Some(Lock { strength: LockStrength::Update, wait: LockWait::Wait });
        (vec![Select { lock, ..labels() }, all("a")], vec![table("a", 0)])
    }), @"invalid-query: common table `a`: its rows cannot be locked");
    insta::assert_snapshot!(refused(|_| {
        let posts = Select { includes: vec![included("posts", None)], ..labels() };
        (vec![posts, all("a")], vec![table("a", 0)])
    }), @"invalid-query: common table `a`: `Label.posts`: relations are loaded with the rows of a query only");
}

#[test]
fn a_common_table_is_no_model() {
    let with = |build: &dyn Fn(&mut Nodes) -> Select| {
        refused(|it| {
            let labels = Select { projection: fields(&["name"]), ..all("Label") };
            (vec![labels, build(it)], vec![table("labels", 0)])
        })
    };
    insta::assert_snapshot!(with(&|_| Select { projection: fields(&["nam"]), ..all("labels") }), @"invalid-query: common table `labels` has no field `nam`; did you mean `name`?");
    insta::assert_snapshot!(with(&|it| {
        let name = it.path("posts.title");
        Select { order_by: vec![ascending(name)], ..all("labels") }
    }), @"invalid-query: `labels.posts.title`: common table `labels` has no relation `posts`");
    insta::assert_snapshot!(with(&|_| Select { includes: vec![included("posts", None)], ..all("labels") }), @"invalid-query: common table `labels` has no relation `posts`");
    insta::assert_snapshot!(with(&|_| {
        let lock = Some(Lock { strength: LockStrength::Update, wait: LockWait::Wait });
        Select { lock, ..all("labels") }
    }), @"invalid-query: `labels`: `lock` is for the rows of a model: not with groups, `distinct`, `combined` or window functions, not for a count or a common table, and not inside of another select");
    insta::assert_snapshot!(with(&|it| {
        let name = it.field("name");
        Select { distinct: Distinct::On(vec![name]), ..all("labels") }
    }), @"unsupported: `labels`: `distinct on` is for the rows of a model, without `joins`");
    let written = |statement| {
        let labels = Select { projection: fields(&["name"]), ..all("Label") };
        let mut query =
            Nodes::default().with(vec![all("labels"), labels], vec![table("labels", 1)]);
        query.statement = statement;
        error(&query)
    };
    let refused = "invalid-query: `labels` is a common table: only rows of models are written";
    assert_eq!(written(Statement::Delete(Delete { ..delete("labels") })), refused);
    assert_eq!(written(Statement::Update(Update { ..update("labels") })), refused);
    assert_eq!(written(Statement::Insert(insert("labels", &["name"]))), refused);
}

#[test]
fn joins_that_cannot_be_are_errors() {
    let with = |build: &dyn Fn(&mut Nodes) -> Select| {
        refused(|it| {
            let labels = Select { projection: fields(&["id", "name"]), ..all("Label") };
            (vec![labels, build(it)], vec![table("labels", 0)])
        })
    };
    insta::assert_snapshot!(with(&|it| {
        let on = it.path("labels.name");
        Select { joins: join("labels", on), ..all("Tag") }
    }), @"type-mismatch: `Tag.labels.name`: expected a boolean as a condition, got text");
    insta::assert_snapshot!(with(&|it| {
        let on = it.test("id", B::Equal, 0, S::Integer);
        Select { joins: join("Label", on), ..all("Tag") }
    }), @"invalid-query: there is no common table `Label`");
    insta::assert_snapshot!(with(&|it| {
        let on = it.test("id", B::Equal, 0, S::Integer);
        Select { joins: [join("labels", on), join("labels", on)].concat(), ..all("Tag") }
    }), @"invalid-query: common table `labels` is joined twice");
    insta::assert_snapshot!(with(&|it| {
        let name = it.path("labels.name");
        Select { order_by: vec![ascending(name)], ..all("Tag") }
    }), @"invalid-query: `Tag.labels.name`: model `Tag` has no relation `labels`");
    insta::assert_snapshot!(with(&|it| {
        let (on, name) = (it.test("id", B::Equal, 0, S::Integer), it.path("labels.name"));
        Select { joins: join("labels", on), distinct: Distinct::On(vec![name]), ..all("Tag") }
    }), @"unsupported: `Tag`: `distinct on` is for the rows of a model, without `joins`");
    insta::assert_snapshot!(with(&|it| {
        let star = it.star();
        let count = it.aggregate(A::Count, star);
        let two = it.integer(2);
        let on = it.binary(count, B::Greater, two);
        Select { joins: join("labels", on), ..all("Tag") }
    }), @"invalid-query: `count` cannot be used in the condition of a join: aggregates go into the outputs, the order and `having` of a select");
    let labels = || Select { projection: fields(&["id"]), ..all("Label") };
    let mut nodes = Nodes::default();
    let on = nodes.test("id", B::Equal, 0, S::Integer);
    let rows = Select { joins: join("labels", on), ..all("Tag") };
    let mut query = nodes.with(vec![rows, labels()], vec![table("labels", 1)]);
    query.statement = Statement::Delete(delete("Tag"));
    insta::assert_snapshot!(error(&query), @"invalid-query: the rows to change are chosen by a filter, an order, a limit and an offset only");
}

#[test]
fn recursions_that_cannot_be_are_errors() {
    let with = |step: &dyn Fn(&mut Nodes) -> Select, operator: O| {
        refused(|it| {
            let (id, name) = (it.field("id"), it.field("name"));
            let first =
                Select { projection: named(&[("id", id), ("name", name)]), ..all("Author") };
            (vec![first, step(it), all("a")], vec![recursive("a", 0, operator, 1)])
        })
    };
    let own = |it: &mut Nodes| {
        let (boss, id) = (it.field("boss_id"), it.path("a.id"));
        let on = it.binary(boss, B::Equal, id);
        Select { joins: join("a", on), projection: fields(&["id", "name"]), ..all("Author") }
    };
    insta::assert_snapshot!(with(&own, O::Except), @"invalid-query: common table `a`: its step adds rows with `union` or `union-all`");
    let with = |step: &dyn Fn(&mut Nodes) -> Select| with(step, O::Union);
    insta::assert_snapshot!(with(&|_| all("Author")), @"invalid-query: common table `a`: its step reads the table once, as its `model` or as one of its `joins`");
    insta::assert_snapshot!(with(&|it| {
        let id = it.field("id");
        Select { joins: join("a", id), ..all("a") }
    }), @"invalid-query: common table `a`: its step reads the table once, as its `model` or as one of its `joins`");
    insta::assert_snapshot!(with(&|it| Select { projection: fields(&["id"]), ..own(it) }), @"invalid-query: common table `a`: its step and its rows differ in how many columns they have: 1 and 2");
    insta::assert_snapshot!(with(&|it| Select { projection: fields(&["name", "id"]), ..own(it) }), @"type-mismatch: common table `a`: column `id` has another type in its step than in its rows");
    insta::assert_snapshot!(with(&|it| Select { distinct: Distinct::Rows, ..own(it) }), @"invalid-query: common table `a`: its step has joins, a filter and a projection only");
    insta::assert_snapshot!(with(&|it| {
        let id = it.field("id");
        Select { order_by: vec![ascending(id)], ..own(it) }
    }), @"invalid-query: common table `a`: its step has joins, a filter and a projection only");
    insta::assert_snapshot!(with(&|it| {
        let (id, name) = (it.field("id"), it.field("name"));
        let most = it.aggregate(A::Maximum, name);
        Select { projection: named(&[("id", id), ("name", most)]), ..own(it) }
    }), @"invalid-query: common table `a`: `Author.id`: the field is neither grouped by nor aggregated");
    insta::assert_snapshot!(with(&|it| {
        let (id, name) = (it.field("id"), it.field("name"));
        let first = it.add(Node::Window(ferro_wit::query::Window {
            function: "first-value".into(),
            arguments: vec![name],
            partition_by: vec![],
            order_by: vec![ascending(id)],
            frame: None,
        }));
        Select { projection: named(&[("id", id), ("name", first)]), ..own(it) }
    }), @"invalid-query: common table `a`: `Author.name`, `Author.id`: `first-value` cannot be used in the step of a recursive table: window functions go into the outputs and the order of a select");
    insta::assert_snapshot!(refused(|it| {
        let id = it.field("id");
        let filter = Some(it.add(Node::InSelect((id, 1))));
        let first = Select { projection: fields(&["id"]), ..all("Author") };
        let inner = Select { projection: fields(&["id"]), ..all("a") };
        let step = Select { filter, projection: fields(&["id"]), ..all("Author") };
        (vec![first, inner, step, all("a")], vec![recursive("a", 0, O::Union, 2)])
    }), @"invalid-query: common table `a`: its step reads the table once, as its `model` or as one of its `joins`");
    insta::assert_snapshot!(refused(|it| {
        let on = it.test("id", B::Equal, 0, S::Integer);
        let step = Select { projection: fields(&["id"]), joins: join("a", on), ..all("Author") };
        (vec![all("a"), step, all("a")], vec![recursive("a", 0, O::Union, 1)])
    }), @"invalid-query: common table `a`: its rows read the table itself: only the step of a recursive one may");
}

/// `next` is null where the step finds nothing, and so is what takes its value the time after.
#[test]
fn a_column_is_nullable_if_a_step_makes_it_so() {
    let mut nodes = Nodes::default();
    let (id, tenant) = (nodes.field("id"), nodes.field("tenant_id"));
    let first = Select {
        projection: named(&[("id", id), ("next", tenant), ("last", tenant), ("same", tenant)]),
        ..all("Author")
    };
    let (null, next, same) = (nodes.null(), nodes.field("next"), nodes.field("same"));
    let always = nodes.unary(U::IsNull, null);
    let maybe = nodes.add(Node::Case(ferro_wit::query::CaseExpression {
        branches: vec![ferro_wit::query::CaseBranch { when: always, then: next }],
        otherwise: None,
    }));
    let step = Select {
        projection: named(&[("id", id), ("next", maybe), ("last", next), ("same", same)]),
        ..all("a")
    };
    let query = nodes.with(vec![first, step, all("a")], vec![recursive("a", 0, O::Union, 1)]);
    let catalog = Catalog::new(blog::schema()).unwrap();
    let plan = catalog.compile(&query, BOTH[0], None).unwrap();
    let nullable: Vec<_> = plan.steps[0].columns.iter().map(|it| it.nullable).collect();
    assert_eq!(nullable, [false, true, true, false]);
}

#[test]
fn s7_the_tables_of_common_tables_count_among_those_of_the_statement() {
    let mut nodes = Nodes::default();
    let yes = nodes.add(Node::Literal(ferro_wit::query::Literal::Boolean(true)));
    let mut selects = vec![Select { projection: Projection::Model, ..all("Label") }];
    let mut common = vec![table("a0", 0)];
    for index in 1..32_u32 {
        let before = format!("a{}", index - 1);
        selects.push(Select { joins: join("a0", yes), ..all(&before) });
        common.push(table(&format!("a{index}"), index));
    }
    let enough = all("a30");
    let query = nodes.clone().with([selects.clone(), vec![enough]].concat(), common.clone());
    assert!(plan(&query).starts_with("sqlite: WITH"), "{}", plan(&query));
    let too_many = Select { joins: join("a0", yes), ..all("a31") };
    let query = nodes.with([selects, vec![too_many]].concat(), common);
    insta::assert_snapshot!(error(&query), @"limit-exceeded: more than 64 tables in one statement");
}
