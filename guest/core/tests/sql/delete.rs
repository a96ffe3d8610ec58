//! Deletes.

use ferro_wit::query::{BinaryOperator, Delete, Select, Statement};
use ferro_wit::types::ScalarType;

use crate::fixture::*;

#[test]
fn a_delete_reaches_the_rows_of_its_select() {
    let mut nodes = Nodes::default();
    let filter = nodes.test("name", BinaryOperator::Equal, 0, ScalarType::Text);
    let rows = Select { filter: Some(filter), ..all("User") };
    let delete = Delete { returning: Some(fields(&["id"])), ..delete("User") };
    insta::assert_snapshot!(plan(&nodes.query(vec![rows], Statement::Delete(delete))), @r##"
sqlite: DELETE FROM "user" AS "t0" WHERE "t0"."name" = ?1 RETURNING "id"
  parameter 0 Text
postgres: DELETE FROM "user" AS "t0" WHERE "t0"."name" = $1 RETURNING "id"
  parameter 0 Text
"##);
    let everything = Nodes::default()
        .query(vec![all("User")], Statement::Delete(crate::fixture::delete("User")));
    insta::assert_snapshot!(plan(&everything), @r##"
sqlite: DELETE FROM "user" AS "t0"
postgres: DELETE FROM "user" AS "t0"
"##);
}

#[test]
fn a_limit_or_an_offset_counts_the_rows_of_the_select() {
    let mut nodes = Nodes::default();
    let filter = nodes.test("team", BinaryOperator::Equal, 0, ScalarType::Text);
    let order = nodes.field("note");
    let one = nodes.integer(1);
    let rows = Select {
        filter: Some(filter),
        order_by: vec![ascending(order)],
        offset: Some(one),
        ..all("Membership")
    };
    let query = nodes.query(vec![rows], Statement::Delete(delete("Membership")));
    insta::assert_snapshot!(plan(&query), @r##"
sqlite: DELETE FROM "membership" AS "t0" WHERE ("t0"."user_id", "t0"."team") IN (SELECT "t1"."user_id", "t1"."team" FROM "membership" AS "t1" WHERE "t1"."team" = ?1 ORDER BY "t1"."note" NULLS LAST, "t1"."user_id", "t1"."team" LIMIT -1 OFFSET 1)
  parameter 0 Text
postgres: DELETE FROM "membership" AS "t0" WHERE ("t0"."user_id", "t0"."team") IN (SELECT "t1"."user_id", "t1"."team" FROM "membership" AS "t1" WHERE "t1"."team" = $1 ORDER BY "t1"."note", "t1"."user_id", "t1"."team" OFFSET 1)
  parameter 0 Text
"##);
}
