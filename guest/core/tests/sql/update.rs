//! Updates.

use ferro_wit::query::{
    Assignment, BinaryOperator, Distinct, Projection, Query, Select, Statement, Update,
};
use ferro_wit::types::ScalarType;

use crate::fixture::*;

fn query(nodes: Nodes, rows: Select, update: Update) -> Query {
    nodes.query(vec![rows], Statement::Update(update))
}

fn set(field: &str, value: u32) -> Assignment {
    Assignment { field: field.into(), value }
}

#[test]
fn an_update_sets_values_and_expressions() {
    let mut nodes = Nodes::default();
    let mood = nodes.parameter(0, ScalarType::Text);
    let age = nodes.field("age");
    let one = nodes.integer(1);
    let older = nodes.binary(age, BinaryOperator::Add, one);
    let null = nodes.null();
    let filter = nodes.test("id", BinaryOperator::Equal, 1, ScalarType::Integer);
    let update = Update {
        set: vec![
            set("mood", mood),
            set("age", older),
            set("score", one),
            set("balance", one),
            set("avatar", null),
        ],
        returning: Some(Projection::Fields(vec!["age".into()])),
        ..update("User")
    };
    let rows = Select { filter: Some(filter), ..all("User") };
    insta::assert_snapshot!(plan(&query(nodes, rows, update)), @r##"
sqlite: UPDATE "user" AS "t0" SET "mood" = ?1, "age" = CASE typeof("t0"."age" + 1) WHEN 'real' THEN abs(-9223372036854775808) ELSE "t0"."age" + 1 END, "score" = 1, "balance" = CAST(1 AS TEXT), "avatar" = NULL WHERE "t0"."id" = ?2 RETURNING "age"
  parameter 0 Text, parameter 1 Integer
postgres: UPDATE "user" AS "t0" SET "mood" = CAST($1 AS "mood"), "age" = CAST("t0"."age" AS bigint) + CAST(1 AS bigint), "score" = 1, "balance" = 1, "avatar" = NULL WHERE "t0"."id" = $2 RETURNING "age"
  parameter 0 Text, parameter 1 Integer
"##);
}

#[test]
fn a_limit_chooses_the_rows_by_their_keys() {
    let limited = |model: &str, field: &str, order: &str| {
        let mut nodes = Nodes::default();
        let value = nodes.parameter(0, ScalarType::Text);
        let order = nodes.field(order);
        let ten = nodes.integer(10);
        let update = Update { set: vec![set(field, value)], ..update(model) };
        let rows = Select { order_by: vec![descending(order)], limit: Some(ten), ..all(model) };
        plan(&query(nodes, rows, update))
    };
    insta::assert_snapshot!(limited("User", "name", "age"), @r##"
sqlite: UPDATE "user" AS "t0" SET "name" = ?1 WHERE "t0"."id" IN (SELECT "t1"."id" FROM "user" AS "t1" ORDER BY "t1"."age" DESC, "t1"."id" LIMIT 10)
  parameter 0 Text
postgres: UPDATE "user" AS "t0" SET "name" = $1 WHERE "t0"."id" IN (SELECT "t1"."id" FROM "user" AS "t1" ORDER BY "t1"."age" DESC NULLS LAST, "t1"."id" LIMIT 10)
  parameter 0 Text
"##);
    insta::assert_snapshot!(limited("Membership", "note", "team"), @r##"
sqlite: UPDATE "membership" AS "t0" SET "note" = ?1 WHERE ("t0"."user_id", "t0"."team") IN (SELECT "t1"."user_id", "t1"."team" FROM "membership" AS "t1" ORDER BY "t1"."team" DESC, "t1"."user_id" LIMIT 10)
  parameter 0 Text
postgres: UPDATE "membership" AS "t0" SET "note" = $1 WHERE ("t0"."user_id", "t0"."team") IN (SELECT "t1"."user_id", "t1"."team" FROM "membership" AS "t1" ORDER BY "t1"."team" DESC, "t1"."user_id" LIMIT 10)
  parameter 0 Text
"##);
}

#[test]
fn an_order_without_a_limit_chooses_nothing() {
    let mut nodes = Nodes::default();
    let value = nodes.parameter(0, ScalarType::Text);
    let order = nodes.field("age");
    let update = Update { set: vec![set("name", value)], ..update("User") };
    let rows = Select { order_by: vec![ascending(order)], ..all("User") };
    insta::assert_snapshot!(plan(&query(nodes, rows, update)), @r##"
sqlite: UPDATE "user" AS "t0" SET "name" = ?1
  parameter 0 Text
postgres: UPDATE "user" AS "t0" SET "name" = $1
  parameter 0 Text
"##);
}

#[test]
fn updates_that_cannot_be_are_refused() {
    let fault = |kind: ScalarType, field: &str, rows: Select| {
        let mut nodes = Nodes::default();
        let value = nodes.parameter(0, kind);
        let update = Update { set: vec![set(field, value)], ..update("User") };
        line(&error(&query(nodes, rows, update)))
    };
    insta::assert_snapshot!(fault(ScalarType::Text, "age", all("User")), @"type-mismatch: `User.age`: text where integer is wanted");
    insta::assert_snapshot!(fault(ScalarType::Text, "tags", all("User")), @"type-mismatch: `User.tags`: text where a list of text is wanted");
    insta::assert_snapshot!(fault(ScalarType::Decimal, "age", all("User")), @"type-mismatch: `User.age`: decimal where integer is wanted");
    insta::assert_snapshot!(fault(ScalarType::Text, "nam", all("User")), @"invalid-query: model `User` has no field `nam`; did you mean `name`?");
    insta::assert_snapshot!(fault(ScalarType::Text, "name", all("Membership")), @"invalid-query: the rows to change are selected from another model");
    let distinct = Select { distinct: Distinct::Rows, ..all("User") };
    insta::assert_snapshot!(fault(ScalarType::Text, "name", distinct), @"invalid-query: the rows to change are chosen by a filter, an order, a limit and an offset only");
    let nothing = query(Nodes::default(), all("User"), update("User"));
    insta::assert_snapshot!(line(&error(&nothing)), @"invalid-query: an update sets at least one field");
}
